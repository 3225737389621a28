/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the backends share among themselves. */
#ifndef STORE_BACKEND_INTERNAL_H
#define STORE_BACKEND_INTERNAL_H

#include "store/backend/backend.h"

/*
 * A local directory. @url names it in messages, @path is the place; both are
 * copied. With @create the directory itself is made where it is missing; its
 * emptiness is what ops->create looks at.
 * Return 0, -ENOENT, -ENOTDIR or another negative errno, said in words.
 */
MUST_CHECK int backend_dir_open(const char *url, const char *path,
				struct seam *seam, bool create,
				struct backend **out);

/* True for a name that an object may have. */
bool backend_name_valid(const char *name);

/* What ops->probe is for most: the six operations, on an object of its own
 * under probe/, and their answers. @seam gives that object its name. */
MUST_CHECK int backend_probe_all(struct backend *b, struct seam *seam);

#endif
