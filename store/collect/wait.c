/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/collect/wait.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/array.h"
#include "store/base/buf.h"
#include "store/base/log.h"
#include "store/base/seam.h"
#include "store/collect/clock.h"
#include "store/collect/ledger.h"
#include "store/collect/register.h"
#include "store/format.h"
#include "store/record/commit.h"
#include "store/vault.h"
#include "store/writer/session.h"

#define SECOND_NS INT64_C(1000000000)
/* Registers are asked for so often at first, and later less. */
#define PAUSE_MIN_NS (SECOND_NS / 10)
#define PAUSE_MAX_NS (5 * SECOND_NS)
/* Whether somebody is dead is looked at so often. */
#define LOOK_NS (60 * SECOND_NS)

struct open_session {
	char sid[NAME_HEX + 1];
	int64_t stored_ns;
	int64_t newest_ns; /* of what it stored since */
	char host[SESSION_HOST_MAX];
	int64_t pid;
};

struct open_sessions {
	struct open_session *items; /* owned; sorted by sid */
	size_t n, cap;
	int64_t now_ns; /* by the store, when they were last looked at */
};

static int on_session(void *arg, const char *name,
		      const struct backend_info *info)
{
	struct open_sessions *l = arg;
	struct open_session *s;

	if (array_reserve(&l->items, &l->cap, l->n + 1) < 0)
		return -ENOMEM;
	s = &l->items[l->n++];
	*s = (struct open_session){ .stored_ns = info->stored_ns,
				    .newest_ns = info->stored_ns };
	snprintf(s->sid, sizeof(s->sid), "%s", name + strlen("session/"));
	return 0;
}

static int by_sid(const void *a, const void *b)
{
	return strcmp(((const struct open_session *)a)->sid,
		      ((const struct open_session *)b)->sid);
}

static struct open_session *find(const struct open_sessions *l, const char *sid)
{
	struct open_session key = { .pid = 0 };

	if (l->n == 0)
		return NULL;
	snprintf(key.sid, sizeof(key.sid), "%.32s", sid);
	return bsearch(&key, l->items, l->n, sizeof(key), by_sid);
}

/* Names of heartbeats and packs begin with the session that put them. */
static int on_own(void *arg, const char *name, const struct backend_info *info)
{
	const struct open_sessions *l = arg;
	struct open_session *s = find(l, strrchr(name, '/') + 1);

	if (s && info->stored_ns - l->now_ns <= SESSION_LEASE_NS)
		s->newest_ns = MAX(s->newest_ns, info->stored_ns);
	return 0;
}

/* ---- registers ---- */

static void remove_at(struct open_sessions *l, size_t i)
{
	memmove(&l->items[i], &l->items[i + 1],
		(l->n - i - 1) * sizeof(*l->items));
	l->n--;
}

static int on_commit(void *arg, const char *name,
		     const struct backend_info *info)
{
	struct open_sessions *l = arg;
	struct open_session *s = find(l, name + strlen("commit/"));

	(void)info;
	if (s)
		remove_at(l, (size_t)(s - l->items));
	return 0;
}

static int list_sessions(struct vault *v, struct open_sessions *out)
{
	int r = vault_list(v, "session/", on_session, out);

	if (out->n)
		qsort(out->items, out->n, sizeof(*out->items), by_sid);
	return r;
}

/* Drop those that have a register. */
static int drop_listed(struct vault *v, struct open_sessions *l)
{
	return vault_list_plain(v, "commit/", on_commit, l);
}

/* Drop those that were decided meanwhile. */
static int drop_decided(struct vault *v, struct open_sessions *l)
{
	char name[OBJECT_NAME_MAX];
	struct backend_info info;
	size_t i;
	int r;

	for (i = l->n; i-- > 0;) {
		snprintf(name, sizeof(name), "commit/%s", l->items[i].sid);
		r = backend_head(vault_backend(v), name, &info);
		if (r == 0)
			remove_at(l, i);
		else if (r != -ENOENT)
			return r;
	}
	return 0;
}

/* Whatever stands there then, it is decided. @fenced_out: that it makes no point. */
static int fence(struct vault *v, const char *sid, bool *fenced_out)
{
	AUTO_BUF struct buf mine = BUF_INIT;
	AUTO_BUF struct buf stands = BUF_INIT;
	char name[OBJECT_NAME_MAX];
	int r;

	snprintf(name, sizeof(name), "commit/%s", sid);
	commit_encode_fenced(sid, &mine);
	r = register_put(v, OBJECT_COMMIT, name, NULL, &mine, &stands);
	*fenced_out = r == 0 && stands.len == mine.len &&
		      memcmp(stands.data, mine.data, mine.len) == 0;
	return r;
}

int wait_fence(struct vault *v, const char *sid)
{
	bool fenced;

	return fence(v, sid, &fenced);
}

/* ---- who is dead ---- */

/* Whether one may be, by the stamps that are known. One that is of the future makes
 * nobody live for ever. */
static bool may_be_silent(struct open_sessions *l)
{
	bool found = false;
	size_t i;

	for (i = 0; i < l->n; i++) {
		struct open_session *s = &l->items[i];

		if (s->newest_ns - l->now_ns > SESSION_LEASE_NS)
			s->newest_ns = 0;
		found |= l->now_ns - s->newest_ns > CLOCK_LEASE_NS;
	}
	return found;
}

static int fence_dead(struct vault *v, const struct collect_clock *c,
		      struct open_sessions *l, bool is_dry_run,
		      struct hex_ids *fenced_out)
{
	size_t i;
	int r = 0;

	/* Only where it matters is it looked up what is newest. */
	l->now_ns = c->now_ns;
	if (may_be_silent(l)) {
		r = vault_list(v, "heartbeat/", on_own, l);
		if (r == 0)
			r = vault_list(v, "pack/", on_own, l);
	}
	for (i = l->n; i-- > 0 && r == 0;) {
		const struct open_session *s = &l->items[i];
		bool fenced = true;

		if (!session_is_dead(v, s->sid, c->now_ns, s->newest_ns))
			continue;
		r = is_dry_run ? 0 : fence(v, s->sid, &fenced);
		if (r == 0 && fenced)
			r = hex_ids_add(fenced_out, s->sid);
		if (r == 0)
			remove_at(l, i);
	}
	return r;
}

int wait_fence_dead(struct vault *v, const struct collect_clock *c,
		    bool is_dry_run, struct hex_ids *out)
{
	struct open_sessions l = { .n = 0 };
	int r = list_sessions(v, &l);

	if (r == 0)
		r = drop_listed(v, &l);
	if (r == 0)
		r = fence_dead(v, c, &l, is_dry_run, out);
	hex_ids_sort(out);
	free(l.items);
	return r;
}

/* ---- waiting ---- */

/* Who it is, for people: what cannot be read is left out. */
static void describe(struct vault *v, struct open_session *s)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	struct session_info info = { .pid = 0 };
	char name[OBJECT_NAME_MAX];
	bool before = log_hush(true);

	snprintf(name, sizeof(name), "session/%s", s->sid);
	if (register_read(v, OBJECT_SESSION, name, &plain) == 0 &&
	    session_decode(plain.data, plain.len, name, &info) == 0) {
		memcpy(s->host, info.host, sizeof(s->host));
		s->pid = info.pid;
	}
	(void)log_hush(before);
}

static void tell(const struct open_sessions *l, const struct wait_options *o)
{
	size_t i;

	for (i = 0; o->on_wait && i < l->n; i++)
		o->on_wait(o->arg, &(struct collect_waiting){
					   .sid = l->items[i].sid,
					   .host = l->items[i].host,
					   .pid = l->items[i].pid,
					   .since_ns = l->items[i].stored_ns,
					   .n = l->n });
}

static int give_up(const struct open_sessions *l)
{
	const struct open_session *s = &l->items[0];

	return fail(
		-EBUSY,
		"%zu backup%s began before this collection, and may use what "
		"it would delete (the first one: host %s, process %lld): "
		"none of that was deleted; run it again later, or let it wait",
		l->n, l->n == 1 ? "" : "s", s->host[0] ? s->host : "unknown",
		(long long)s->pid);
}

/* Wait a little, in pieces that an interrupt can end. */
static int pause_for(struct seam *seam, const struct wait_options *o,
		     int64_t ns)
{
	while (ns > 0 && !(o->stop && *o->stop)) {
		seam->ops->sleep_ns(seam, MIN(ns, PAUSE_MIN_NS));
		ns -= PAUSE_MIN_NS;
	}
	return o->stop && *o->stop ? -EINTR : 0;
}

static int wait_open(struct vault *v, struct collect_clock *c,
		     const struct wait_options *o, struct open_sessions *l,
		     struct hex_ids *fenced_out)
{
	struct seam *seam = vault_seam(v);
	int64_t began = seam->ops->monotonic_ns(seam), looked = began;
	int64_t pause = PAUSE_MIN_NS;
	int r = 0;

	while (r == 0 && l->n > 0) {
		int64_t now = seam->ops->monotonic_ns(seam);

		tell(l, o);
		if (o->wait_ns >= 0 && now - began >= o->wait_ns)
			return give_up(l);
		r = pause_for(seam, o, pause);
		pause = MIN(2 * pause, PAUSE_MAX_NS);
		if (r == 0)
			r = drop_decided(v, l);
		if (r == 0)
			r = clock_tick(c);
		now = seam->ops->monotonic_ns(seam);
		if (r == 0 && now - looked >= LOOK_NS) {
			looked = now;
			r = fence_dead(v, c, l, false, fenced_out);
		}
	}
	return r;
}

int wait_for_sessions(struct vault *v, struct collect_clock *c,
		      const struct wait_options *o, struct hex_ids *listed_out,
		      struct hex_ids *fenced_out)
{
	struct open_sessions l = { .n = 0 };
	size_t i;
	int r = list_sessions(v, &l);

	for (i = 0; i < l.n && r == 0; i++)
		r = hex_ids_add(listed_out, l.items[i].sid);
	hex_ids_sort(listed_out);
	if (r == 0)
		r = drop_listed(v, &l);
	/* What they stored since the last time is not of the future. */
	if (r == 0)
		r = clock_tick(c);
	if (r == 0)
		r = fence_dead(v, c, &l, false, fenced_out);
	for (i = 0; i < l.n && r == 0; i++)
		describe(v, &l.items[i]);
	if (r == 0)
		r = wait_open(v, c, o, &l, fenced_out);
	free(l.items);
	return r;
}
