/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The backend of buckets that speak the protocol of Amazon S3. */
#ifndef STORE_BACKEND_S3_H
#define STORE_BACKEND_S3_H

#include "store/base/attrs.h"

#include <stdbool.h>

struct backend;
struct backend_options;

/* Open the bucket that @rest of "s3:REST" names (store/backend/s3_place.h). Nothing is
 * asked of it. Return 0, -EINVAL, -ENOKEY (there are no keys) or another negative errno,
 * said in words. */
MUST_CHECK int backend_s3_open(const char *url, const char *rest,
			       const struct backend_options *o, bool create,
			       struct backend **out);

#endif
