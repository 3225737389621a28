/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A name counts also where the object under it is damaged: what it can do at worst is
 * that space comes back later, and were it passed over, points would go early.
 */
#include "config.h"

#include "store/writer/window.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/format.h"
#include "store/record/forget.h"
#include "store/vault.h"

#define PREFIX "window/"

static int on_window(void *arg, const char *name, const struct backend_info *st)
{
	int64_t *floor_ns = arg;
	unsigned long days = strtoul(name + strlen(PREFIX), NULL, 10);
	const int64_t max = FORGET_WINDOW_MAX_NS;

	(void)st;
	days = MIN(days, (unsigned long)(max / FORGET_DAY_NS));
	*floor_ns = MAX(*floor_ns, (int64_t)days * FORGET_DAY_NS);
	return 0;
}

int window_floor(struct vault *v, int64_t *out_ns)
{
	*out_ns = FORGET_WINDOW_MIN_NS;
	return vault_list(v, PREFIX, on_window, out_ns);
}

static int put(struct vault *v, int64_t days)
{
	AUTO_BUF struct buf box = BUF_INIT;
	char name[OBJECT_NAME_MAX];
	int r;

	snprintf(name, sizeof(name), PREFIX "%lld", (long long)days);
	r = format_seal_box(vault_keyring(v), NULL, NULL, vault_seam(v),
			    OBJECT_WINDOW, name, NULL, 0, "{}", 2, &box);
	if (r == 0)
		r = backend_put(vault_backend(v), name, box.data, box.len);
	/* Somebody else asked for the same. */
	return r == -EEXIST ? 0 : r;
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
