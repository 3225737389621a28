/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading JSON, so that a text is not taken for another where memory runs out:
 * jansson may answer then that it is no JSON, and even leave out a byte of a string or
 * a digit of a number and say nothing.
 */
#ifndef STORE_BASE_JSON_H
#define STORE_BASE_JSON_H

#include "store/base/attrs.h"

#include <jansson.h>

/*
 * Parse @len bytes with the @flags of json_loadb(), which also says how @error (may be
 * NULL) is filled. @out is the caller's, NULL where this fails. Return 0, -EBADMSG
 * (it is no JSON) or -ENOMEM. For any thread.
 */
MUST_CHECK int json_text_read(const void *data, size_t len, size_t flags,
			      json_error_t *error, json_t **out);

#endif
