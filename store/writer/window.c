/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A name counts also where the object under it is damaged: what it can do at worst is
 * that space comes back later, and were it passed over, points would go early.
 */
#include "config.h"

#include "store/writer/window.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/format.h"
#include "store/record/forget.h"
#include "store/vault.h"
#include "store/writer/sealed.h"

static int on_window(void *arg, const char *name, const struct backend_info *st)
{
	int64_t *floor_ns = arg;

	(void)st;
	*floor_ns = MAX(*floor_ns, forget_window_of(name));
	return 0;
}

int window_floor(struct vault *v, int64_t *out_ns)
{
	*out_ns = FORGET_WINDOW_MIN_NS;
	return vault_list(v, FORGET_WINDOW_PREFIX, on_window, out_ns);
}

static int put(struct vault *v, int64_t days)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	char name[OBJECT_NAME_MAX];

	snprintf(name, sizeof(name), FORGET_WINDOW_PREFIX "%lld",
		 (long long)days);
	buf_put(&plain, "{}", 2);
	return sealed_ensure(v, OBJECT_WINDOW, name, &plain);
}

int window_raise(struct vault *v, int64_t window_ns)
{
	int64_t floor_ns;
	int r;

	if (window_ns < FORGET_WINDOW_MIN_NS ||
	    window_ns > FORGET_WINDOW_MAX_NS || window_ns % FORGET_DAY_NS)
		return -EINVAL;
	r = vault_may_write(v);
	if (r == 0)
		r = window_floor(v, &floor_ns);
	return r < 0 || floor_ns >= window_ns
		       ? r
		       : put(v, window_ns / FORGET_DAY_NS);
}
