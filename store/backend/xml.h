/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The answers of object stores, which are small XML documents: bounded in depth and in
 * the length of each text, without a document type, whatever the prefix of a name. */
#ifndef STORE_BACKEND_XML_H
#define STORE_BACKEND_XML_H

#include "store/base/attrs.h"

#include <stddef.h>

#define XML_TEXT_MAX 4096

/* An element has ended: its name, that of the one around it ("" of the first), and the
 * text in it, without that of others in it. Return 0, or what xml_parse() shall
 * return. */
typedef int xml_element_fn(void *arg, const char *parent, const char *name,
			   const char *text);

/* Return 0, what @fn returned that was not 0, -EBADMSG (it is no such document; silent)
 * or -ENOMEM. */
MUST_CHECK int xml_parse(const void *data, size_t len, xml_element_fn *fn,
			 void *arg);

#endif
