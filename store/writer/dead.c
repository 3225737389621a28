/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whether a session is dead, so that what it left may as well serve another. To
 * be wrong is safe, for a pack that stays is as good a place for a chunk as any;
 * but a running backup has gigabytes that no index object names yet, and each
 * session that begins beside it would read and name them all.
 *
 * A session whose register stands is decided. One of this host whose process is
 * no more has died. Of all others only the silence tells, and how long that is
 * must go by the clock of the store.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/log.h"
#include "store/format.h"
#include "store/vault.h"
#include "store/writer/internal.h"
#include "store/writer/session.h"

#define SESSION_OBJECT_MAX (64u << 10)

/* A stamp of a clock that was ahead tells nothing. */
static int64_t sign_of_life(int64_t stored_ns, int64_t now_ns)
{
	return stored_ns - now_ns > SESSION_LEASE_NS ? 0 : stored_ns;
}

/* Since when is there nothing new of the session, whose newest pack was stored
 * at @newest_ns? */
static bool is_silent(struct backend *b, const char *name, int64_t now_ns,
		      int64_t newest_ns)
{
	struct backend_info info;

	if (backend_head(b, name, &info) < 0)
		return false;
	return now_ns - MAX(sign_of_life(info.stored_ns, now_ns),
			    sign_of_life(newest_ns, now_ns)) >
	       SESSION_LEASE_NS;
}

static bool has_ended(struct vault *v, const char *name)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	struct session_info s;
	uint8_t *raw = NULL;
	size_t len;
	int r = vault_get_all(v, name, SESSION_OBJECT_MAX, &raw, &len);

	if (r == 0)
		r = format_read_box(vault_keyring(v), raw, len, OBJECT_SESSION,
				    name, &plain);
	if (r == 0)
		r = session_decode(plain.data, plain.len, name, &s);
	free(raw);
	return r == 0 && session_process_ended(&s);
}

bool session_is_dead(struct vault *v, const char *sid, int64_t now_ns,
		     int64_t newest_ns)
{
	struct backend *b = vault_backend(v);
	char name[OBJECT_NAME_MAX];
	struct backend_info info;
	int r;

	snprintf(name, sizeof(name), "commit/%s", sid);
	r = backend_head(b, name, &info);
	if (r == 0)
		return true;
	if (r != -ENOENT)
		return false;
	snprintf(name, sizeof(name), "session/%s", sid);
	/* Only after its end does somebody take that away. */
	if (backend_head(b, name, &info) == -ENOENT)
		return true;
	return has_ended(v, name) || is_silent(b, name, now_ns, newest_ns);
}

bool writer_is_dead(struct writer *w, const char *sid, int64_t newest_ns)
{
	char own[OBJECT_NAME_MAX];
	struct backend_info info;

	/* It was stored just now, as the store sees it. */
	snprintf(own, sizeof(own), "session/%s", w->sid);
	if (backend_head(vault_backend(w->vault), own, &info) < 0)
		info.stored_ns = 0;
	return session_is_dead(w->vault, sid, info.stored_ns, newest_ns);
}
