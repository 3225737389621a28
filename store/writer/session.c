/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/writer/session.h"

#include <errno.h>
#include <jansson.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/base/json.h"
#include "store/base/log.h"
#include "store/base/text.h"

static void get_host(char out[SESSION_HOST_MAX])
{
	AUTO_BUF struct buf text = BUF_INIT;
	char host[SESSION_HOST_MAX] = "";

	out[0] = '\0';
	if (gethostname(host, sizeof(host) - 1) < 0)
		return;
	text_put_plain(&text, host, strlen(host));
	buf_put_u8(&text, '\0');
	if (buf_error(&text) == 0)
		snprintf(out, SESSION_HOST_MAX, "%s", (char *)text.data);
}

/* A user without a name is known by his number. */
static void get_user(char *out, size_t len)
{
	struct passwd pw, *found = NULL;
	char names[4096];

	if (getpwuid_r(geteuid(), &pw, names, sizeof(names), &found) == 0 &&
	    found && text_is_plain(pw.pw_name, strlen(pw.pw_name)))
		snprintf(out, len, "%s", pw.pw_name);
	else
		snprintf(out, len, "%u", (unsigned int)geteuid());
}

/* @when_ns is the member @when. */
static int encode(const char *sid, const char *kind, const char *when,
		  int64_t when_ns, struct buf *out)
{
	char host[SESSION_HOST_MAX], user[256], *text;
	json_t *j;

	get_host(host);
	get_user(user, sizeof(user));
	j = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I}", "session", sid,
		      "kind", kind, "host", host, "user", user, "program",
		      PACKAGE_STRING, "pid", (json_int_t)getpid(), when,
		      (json_int_t)when_ns);
	text = j ? json_dumps(j, JSON_COMPACT) : NULL;
	json_decref(j);
	if (!text)
		return -ENOMEM;
	buf_put(out, text, strlen(text));
	free(text);
	return 0;
}

int session_encode(const char *sid, const char *kind, int64_t began_ns,
		   struct buf *out)
{
	return encode(sid, kind, "began_ns", began_ns, out);
}

int session_encode_beat(const char *gid, int64_t time_ns, struct buf *out)
{
	return encode(gid, "collect", "time_ns", time_ns, out);
}

int session_decode(const void *data, size_t len, const char *name,
		   struct session_info *out)
{
	const char *host;
	const json_t *pid;
	json_t *j;
	bool ok;

	*out = (struct session_info){ .pid = 0 };
	if (json_text_read(data, len, JSON_REJECT_DUPLICATES, NULL, &j) ==
	    -ENOMEM)
		return -ENOMEM;
	ok = json_is_object(j);
	host = json_string_value(json_object_get(j, "host"));
	pid = json_object_get(j, "pid");
	if (ok && host && strlen(host) < sizeof(out->host))
		memcpy(out->host, host, strlen(host) + 1);
	if (ok && json_is_integer(pid))
		out->pid = json_integer_value(pid);
	json_decref(j);
	if (!ok)
		return fail(-EBADMSG, "%s: authentic, but malformed", name);
	return 0;
}

/* Two hosts of one name, or a number that another process has now, are rare;
 * what is taken for dead, or for alive, in error costs time and nothing else. */
bool session_process_ended(const struct session_info *s)
{
	char host[SESSION_HOST_MAX];

	get_host(host);
	return host[0] && strcmp(host, s->host) == 0 && s->pid > 0 &&
	       s->pid <= INT32_MAX && kill((pid_t)s->pid, 0) < 0 &&
	       errno == ESRCH;
}
