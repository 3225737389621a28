/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The register of a session, from its writer's side. Whoever puts it first
 * decides, and a put whose answer is lost may have been the first. So after
 * each put, whatever its answer was, the register is asked; and where that
 * cannot be answered either, nobody knows whether there is a point, which is
 * neither a success nor a failure, and is said.
 */
#include "config.h"

#include "store/writer/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/log.h"
#include "store/base/seam.h"
#include "store/crypt/crypt.h"
#include "store/history/signer.h"
#include "store/point.h"
#include "store/record/commit.h"
#include "store/vault.h"

#define COMMIT_MAX (64u << 10)
/* A put that failed, and left no register, is tried so often. */
#define ATTEMPTS 3
#define HEARTBEAT_NS (INT64_C(600) * 1000000000)

static int fenced(const char *name)
{
	return fail(-ECANCELED,
		    "%s: this backup was taken for dead and fenced off; run it "
		    "again: what it uploaded will be reused",
		    name);
}

/* The register's plaintext. */
static int get_register(struct writer *w, const char *name, struct buf *out)
{
	uint8_t *raw = NULL;
	size_t len;
	int r = vault_get_all(w->vault, name, COMMIT_MAX, &raw, &len);

	if (r == 0)
		r = format_read_box(vault_keyring(w->vault), raw, len,
				    OBJECT_COMMIT, name, out);
	free(raw);
	return r;
}

int writer_check_fenced(struct writer *w)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	char name[OBJECT_NAME_MAX];

	snprintf(name, sizeof(name), "commit/%s", w->sid);
	/* What cannot be read now is asked about at the end. */
	return get_register(w, name, &plain) == 0 ? fenced(name) : 0;
}

/*
 * What does the register say? Return 0 (it is ours), -ECANCELED (said in words),
 * -ENOENT or another negative errno.
 */
static int ask_register(struct writer *w, const char *name,
			const struct buf *mine)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	int r = get_register(w, name, &plain);

	if (r == 0 && (plain.len != mine->len ||
		       memcmp(plain.data, mine->data, mine->len) != 0))
		r = fenced(name);
	return r;
}

int writer_put_register(struct writer *w, const struct point *p,
			const uint8_t *point_hash, uint8_t *own_out)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	char name[OBJECT_NAME_MAX];
	int put, r, i;
	struct commit_after after;
	struct commit c;

	put = vault_newest_commits(w->vault, &after);
	if (put < 0)
		return put;
	/* The hash ties the register to these bytes of the point. */
	memcpy(c.point, p->id, sizeof(c.point));
	memcpy(c.hash, point_hash, sizeof(c.hash));
	commit_encode_after(&c, w->sid, &after,
			    w->signer ? vault_id_hex(w->vault) : NULL, &plain);
	r = buf_error(&plain);
	if (r == 0 && w->signer)
		r = signer_sign(w->signer, &plain);
	if (r == 0)
		r = crypt_sha256(plain.data, plain.len, own_out);
	if (r < 0)
		return r;
	r = -ENOENT;
	snprintf(name, sizeof(name), "commit/%s", w->sid);
	for (i = 0; i < ATTEMPTS && r == -ENOENT; i++) {
		put = writer_put_box(w, OBJECT_COMMIT, name, &plain, NULL);
		r = ask_register(w, name, &plain);
	}
	/* It stands, and nobody has promised that it will. */
	if (r == 0 && put < 0)
		r = backend_sync(vault_backend(w->vault), name);
	if (r == 0 || r == -ECANCELED)
		return r;
	if (r == -ENOENT)
		return put < 0 ? put
			       : fail(-EIO,
				      "%s: was stored, and is not there: this "
				      "place cannot be relied on",
				      name);
	return fail(
		put < 0 ? put : r,
		"whether the point %s was made is not known, for nobody "
		"answered whether %s stands: see \"vmbackup points\" later, "
		"before this backup is run again",
		p->id, name);
}

/* Should it not get there, the session looks dead, which it is. */
void writer_put_fenced(struct writer *w)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	char name[OBJECT_NAME_MAX];

	commit_encode_fenced(w->sid, &plain);
	snprintf(name, sizeof(name), "commit/%s", w->sid);
	(void)!writer_put_box(w, OBJECT_COMMIT, name, &plain, NULL);
}

static void beat(struct writer *w, int64_t now)
{
	struct seam *seam = vault_seam(w->vault);
	AUTO_BUF struct buf plain = BUF_INIT;
	char name[OBJECT_NAME_MAX];

	w->beat_ns = now;
	buf_printf(&plain, "{\"time_ns\":%lld}",
		   (long long)seam->ops->realtime_ns(seam));
	snprintf(name, sizeof(name), "heartbeat/%s-%u", w->sid, w->nbeats++);
	/* One that is missed is no reason to end. */
	(void)!writer_put_box(w, OBJECT_HEARTBEAT, name, &plain, NULL);
}

int writer_tick(struct writer *w)
{
	struct seam *seam = vault_seam(w->vault);
	int64_t now = seam->ops->monotonic_ns(seam);
	int r = writer_error(w);

	if (r < 0)
		return r;
	if (now - w->beat_ns >= HEARTBEAT_NS)
		beat(w, now);
	r = writer_flush_due(w);
	return r < 0 ? writer_fail(w, r) : 0;
}
