/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What session/<sid> says: who writes, and since when. See vmbackup-vault(5). */
#ifndef STORE_WRITER_SESSION_H
#define STORE_WRITER_SESSION_H

#include "store/base/attrs.h"
#include "store/base/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct vault;

#define SESSION_HOST_MAX 256

/* Append the plaintext of a session object of this process, which does @kind
 * ("backup") and began at @began_ns. Ask buf_error(). Return 0 or -ENOMEM. */
MUST_CHECK int session_encode(const char *sid, const char *kind,
			      int64_t began_ns, struct buf *out);

/* The same of a heartbeat of the collection @gid: it says that it is alive at
 * @time_ns, and who it is. */
MUST_CHECK int session_encode_beat(const char *gid, int64_t time_ns,
				   struct buf *out);

/* What another session says that it is. */
struct session_info {
	/* "" where it does not say, or says something too long */
	char host[SESSION_HOST_MAX];
	int64_t pid; /* on that host; 0 where it does not say */
};

/* Decode the plaintext of the session object called @name, or of a collection's
 * heartbeat. Return 0 or -EBADMSG,
 * said in words. */
MUST_CHECK int session_decode(const void *data, size_t len, const char *name,
			      struct session_info *out);
/* Whether it was written on this host by a process that is no more. */
bool session_process_ended(const struct session_info *s);
/* A session that stored nothing for so long is taken for dead. */
#define SESSION_LEASE_NS (INT64_C(24) * 3600 * 1000000000)
/*
 * In dead.c: whether the session @sid has ended, as far as can be told, or has stored
 * nothing for a day (what seems to be stored more than a day from now is no sign of
 * life); the newest object of its own was stored at @newest_ns, and
 * it is @now_ns by the clock of the store. Where that cannot be found out it has not.
 */
bool session_is_dead(struct vault *v, const char *sid, int64_t now_ns,
		     int64_t newest_ns);

#endif
