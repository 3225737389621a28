/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See always.h. */
#include "config.h"

#include "src/forget/always.h"

#include <stdio.h>

#include "src/cli/context.h"
#include "src/cli/output.h"
#include "store/record/forget.h"
#include "store/vault.h"
#include "store/writer/forget.h"
#include "store/writer/window.h"

static int days_of(int64_t window_ns)
{
	return (int)(window_ns / FORGET_DAY_NS);
}

static int print(struct context *ctx, int before, int days, bool is_dry_run)
{
	json_t *o;

	if (ctx->json) {
		o = output_message("undelete_window");
		output_set_uint(o, "days_before", (uint64_t)before);
		output_set_uint(o, "days", (uint64_t)days);
		output_set_bool(o, "dry_run", is_dry_run);
		return output_json(o);
	}
	if (ctx->quiet)
		return 0;
	if (before >= days)
		printf("undelete works for %d days in this vault already, and "
		       "that cannot be made shorter\n",
		       before);
	else
		printf("undelete %s for %d days in this vault, which were %d%s\n",
		       is_dry_run ? "would work" : "works", days, before,
		       is_dry_run ? ", and nobody could make that shorter again"
				  : "; nobody can make that shorter again");
	return output_error();
}

int always_set(struct context *ctx, struct vault *v, int64_t window_ns,
	       bool is_dry_run)
{
	int64_t floor_ns = 0;
	int r = window_floor(v, &floor_ns);

	if (r == 0 && is_dry_run)
		r = vault_may_write(v);
	else if (r == 0)
		r = window_raise(v, window_ns);
	return r < 0 ? r
		     : print(ctx, days_of(floor_ns),
			     days_of(MAX(window_ns, floor_ns)), is_dry_run);
}

int always_apply(struct vault *v, struct forget_wish *wish)
{
	int64_t floor_ns = 0;
	int r = window_floor(v, &floor_ns);

	wish->window_ns = MAX(wish->window_ns, floor_ns);
	return r;
}
