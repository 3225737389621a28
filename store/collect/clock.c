/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/collect/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/buf.h"
#include "store/base/hex.h"
#include "store/base/log.h"
#include "store/base/seam.h"
#include "store/collect/register.h"
#include "store/format.h"
#include "store/vault.h"
#include "store/writer/session.h"

#define BEAT_NS (INT64_C(600) * 1000000000)

static int beat(struct collect_clock *c)
{
	struct backend *b = vault_backend(c->vault);
	struct seam *seam = vault_seam(c->vault);
	AUTO_BUF struct buf plain = BUF_INIT;
	char before[OBJECT_NAME_MAX];
	struct backend_info info;
	int r = session_encode_beat(c->gid, seam->ops->realtime_ns(seam),
				    &plain);

	memcpy(before, c->name, sizeof(before));
	snprintf(c->name, sizeof(c->name), "heartbeat/%s-%u", c->gid, c->n++);
	if (r == 0)
		r = register_put_own(c->vault, OBJECT_HEARTBEAT, c->name, NULL,
				     &plain);
	if (r == 0)
		r = backend_head(b, c->name, &info);
	if (r == -ENOENT)
		r = fail(-EIO,
			 "%s: was stored, and is not there: this place cannot "
			 "be relied on",
			 c->name);
	if (r < 0)
		return r;
	c->now_ns = info.stored_ns;
	c->least_ns = MIN(info.stored_ns, seam->ops->realtime_ns(seam));
	c->beat_ns = seam->ops->monotonic_ns(seam);
	if (before[0])
		r = backend_delete(b, before);
	return r == -ENOENT ? 0 : r;
}

static int make_gid(struct vault *v, struct collect_clock *out)
{
	struct seam *seam = vault_seam(v);
	uint8_t raw[NAME_HEX / 2];
	int r = seam->ops->random(seam, raw, sizeof(raw));

	*out = (struct collect_clock){ .vault = v };
	if (r < 0)
		return fail(r, "no random bytes from the kernel: %s",
			    strerror(-r));
	hex_encode(raw, sizeof(raw), out->gid);
	return 0;
}

int clock_begin(struct vault *v, struct collect_clock *out)
{
	int r = make_gid(v, out);

	return r < 0 ? r : beat(out);
}

int clock_begin_silent(struct vault *v, struct collect_clock *out)
{
	struct seam *seam = vault_seam(v);
	int r = make_gid(v, out);

	out->now_ns = out->least_ns = seam->ops->realtime_ns(seam);
	return r;
}

int clock_tick(struct collect_clock *c)
{
	struct seam *seam = vault_seam(c->vault);

	if (!c->name[0])
		return 0;
	return seam->ops->monotonic_ns(seam) - c->beat_ns < BEAT_NS ? 0
								    : beat(c);
}

void clock_try_tick(struct collect_clock *c)
{
	bool before = log_hush(true);

	(void)!clock_tick(c);
	(void)log_hush(before);
}

/* One that stays is taken for that of a dead collection, and goes with it. */
void clock_end(struct collect_clock *c)
{
	if (c->name[0])
		(void)!backend_delete(vault_backend(c->vault), c->name);
}
