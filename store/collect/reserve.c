/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/collect/reserve.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/backend/names.h"
#include "store/base/buf.h"
#include "store/base/log.h"
#include "store/base/name.h"
#include "store/base/seam.h"
#include "store/collect/ledger.h"
#include "store/vault.h"

/* A file takes a block of a disk at least. */
#define BLOCK 4096
/* A heartbeat, what the probe tries, and what goes with a session. */
#define ROOM_MIN (16 * BLOCK)
#define ROOM_MAX (4u << 20)
/* A pack's name, in a tomb and in a sweep. */
#define ROOM_PACK 256

bool reserve_is_full(int r)
{
	return r == -ENOSPC || r == -EDQUOT;
}

/* ---- giving it up ---- */

static int on_reserve(void *arg, const char *name,
		      const struct backend_info *info)
{
	(void)info;
	return backend_names_add(arg, name);
}

static int on_commit(void *arg, const char *name,
		     const struct backend_info *info)
{
	(void)info;
	return hex_ids_add(arg, name + strlen("commit/"));
}

static int list_decided(struct vault *v, struct backend_names *out)
{
	struct backend_names sessions = { .n = 0 };
	struct hex_ids decided = { .n = 0 };
	size_t i;
	int r = vault_list_plain(v, "session/", on_reserve, &sessions);

	if (r == 0)
		r = vault_list_plain(v, "commit/", on_commit, &decided);
	hex_ids_sort(&decided);
	for (i = 0; i < sessions.n && r == 0; i++)
		if (hex_ids_has(&decided,
				sessions.list[i] + strlen("session/")))
			r = backend_names_add(out, sessions.list[i]);
	backend_names_release(&sessions);
	hex_ids_release(&decided);
	return r;
}

bool reserve_spend(struct vault *v)
{
	struct backend_names l = { .n = 0 };
	size_t i;
	int r = vault_list_plain(v, "reserve/", on_reserve, &l);

	if (r == 0 && l.n == 0)
		r = list_decided(v, &l);
	for (i = 0; i < l.n && r == 0; i++) {
		r = backend_delete(vault_backend(v), l.list[i]);
		r = r == -ENOENT ? 0 : r;
	}
	if (r == 0 && l.n)
		log_warn("vault %s is full: what is kept there for that makes "
			 "room, so that this goes on",
			 vault_url(v));
	r = r == 0 ? l.n > 0 : 0;
	backend_names_release(&l);
	return r;
}

/* ---- keeping it ---- */

static int add_size(void *arg, const char *name,
		    const struct backend_info *info)
{
	(void)name;
	*(uint64_t *)arg += info->size;
	return 0;
}

/* What can be compressed would take up less than it should. */
static int put_random(struct vault *v, const char *gid, size_t len)
{
	AUTO_BUF struct buf data = BUF_INIT;
	struct seam *seam = vault_seam(v);
	char name[OBJECT_NAME_MAX];
	uint8_t part[256];
	int r = 0;

	while (r == 0 && data.len < len && buf_error(&data) == 0) {
		r = seam->ops->random(seam, part, sizeof(part));
		buf_put(&data, part, sizeof(part));
	}
	snprintf(name, sizeof(name), "reserve/%s", gid);
	if (r == 0)
		r = buf_error(&data);
	return r < 0 ? r
		     : backend_put_own(vault_backend(v), name, data.data,
				       data.len);
}

void reserve_fill(struct vault *v, const char *gid, size_t npacks,
		  size_t npoints)
{
	uint64_t want = ROOM_MIN, there = 0;
	bool before;

	if (!backend_path(vault_url(v)))
		return;
	want += MIN(npacks, ROOM_MAX / ROOM_PACK) * ROOM_PACK;
	want += MIN(npoints, ROOM_MAX / BLOCK) * BLOCK;
	want = MIN(want, ROOM_MAX);
	before = log_hush(true);
	if (vault_list(v, "reserve/", add_size, &there) == 0 &&
	    there < want - want / 4)
		(void)!put_random(v, gid, (size_t)(want - there));
	(void)log_hush(before);
}
