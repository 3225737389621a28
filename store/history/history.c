/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/history/history.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/array.h"
#include "store/base/hex.h"
#include "store/base/log.h"
#include "store/base/text.h"

#define SAID_MAX 10 /* of what is missing, by name */
#define PLACE_MAX 1000

struct history {
	struct seen_file file; /* path NULL: nothing is remembered */
	char *url; /* owned; for people */
	char *place; /* owned; as it is noted, NULL: it cannot be */
	struct seen seen;
	bool was_read; /* @seen is what the file said */
	bool unusable; /* that was said */
	bool damaged; /* that was said */
	char **lost; /* names; sorted; owned, and so is each */
	size_t nlost, lost_cap;
	atomic_uint_fast64_t lost_count;
};

int history_new(const char *dir, const uint8_t *vault_id, const char *url,
		struct seam *seam, struct history **out)
{
	struct history *h = calloc(1, sizeof(*h));
	char hex[2 * SEEN_ID_LEN + 1];

	*out = h;
	if (!h)
		return -ENOMEM;
	h->file.seam = seam;
	memcpy(h->file.vault_id, vault_id, SEEN_ID_LEN);
	hex_encode(vault_id, SEEN_ID_LEN, hex);
	h->url = strdup(url);
	if (strlen(url) <= PLACE_MAX && text_is_plain(url, strlen(url)))
		h->place = strdup(url);
	if (dir) {
		h->file.dir = strdup(dir);
		if (asprintf(&h->file.path, "%s/%s.seen", dir, hex) < 0)
			h->file.path = NULL;
	}
	if (!h->url || (dir && (!h->file.dir || !h->file.path))) {
		history_free(h);
		*out = NULL;
		return -ENOMEM;
	}
	return 0;
}

static void forget_lost(struct history *h)
{
	while (h->nlost > 0)
		free(h->lost[--h->nlost]);
	atomic_store(&h->lost_count, 0);
}

void history_free(struct history *h)
{
	if (!h)
		return;
	forget_lost(h);
	free(h->lost);
	seen_release(&h->seen);
	free(h->file.dir);
	free(h->file.path);
	free(h->url);
	free(h->place);
	free(h);
}

/* ---- reading ---- */

static void say_unusable(struct history *h, int r, const char *what)
{
	if (!h->unusable)
		log_warn("%s: cannot be %s: %s; whether the vault %s goes back "
			 "to an older state may not be noticed",
			 h->file.path, what, strerror(-r), h->url);
	h->unusable = true;
}

int history_read(struct history *h)
{
	struct seen now;
	int r;

	if (!h->file.path ||
	    (h->was_read && seen_is_current(&h->file, &h->seen)))
		return 0;
	r = seen_read(&h->file, &now);
	if (r < 0) {
		seen_release(&now);
		if (r != -ENOMEM)
			say_unusable(h, r, "read");
		return r == -ENOMEM ? r : 0;
	}
	if (now.bad && !h->damaged) {
		h->damaged = true;
		log_warn("%s: damaged: %llu lines of it say nothing any more; "
			 "what they told to have been seen in the vault %s "
			 "would not be missed",
			 h->file.path, (unsigned long long)now.bad, h->url);
	}
	seen_release(&h->seen);
	h->seen = now;
	h->was_read = true;
	return 1;
}

/* ---- what is missing ---- */

static void say_row(const struct seen_row *row)
{
	AUTO_BUF struct buf text = BUF_INIT;
	const char *id = strchr(row->name, '/') + 1;
	struct tm tm;
	time_t t = (time_t)row->time_s;
	char time[32] = "";

	if (strncmp(row->name, "purge/", 6) == 0)
		buf_printf(&text,
			   "what was decided of removing the point %.32s", id);
	else if (strncmp(row->name, "note/", 5) == 0)
		buf_printf(&text,
			   "a note, which may protect it, on the point %.32s",
			   id);
	else if (!row->point)
		buf_printf(&text, "the fate of the session %s", id);
	else if (row->vm && gmtime_r(&t, &tm) &&
		 strftime(time, sizeof(time), "%Y-%m-%dT%H%M%SZ", &tm))
		buf_printf(&text, "the point %s/%s (%.8s)", row->vm, time,
			   row->point);
	else
		buf_printf(&text, "the point %.8s", row->point);
	if (row->place)
		buf_printf(&text, ", seen at %s", row->place);
	buf_put_u8(&text, 0);
	if (buf_error(&text) == 0)
		log_line(LOG_LEVEL_ERROR, "    gone: %s", (char *)text.data);
}

/* Errors, and not warnings: --quiet does not hide them. */
static void say_lost(const struct history *h)
{
	size_t i;

	log_line(LOG_LEVEL_ERROR,
		 "vault %s: %zu of the records that were seen in this vault "
		 "are not there: it was put back to an older state, or this is "
		 "a copy of it that lags behind or went its own way, or "
		 "somebody removed them",
		 h->url, h->nlost);
	for (i = 0; i < h->nlost && i < SAID_MAX; i++)
		say_row(seen_find(&h->seen, h->lost[i]));
	if (h->nlost > SAID_MAX)
		log_line(LOG_LEVEL_ERROR,
			 "    and %zu more; %s lists all that were seen",
			 h->nlost - SAID_MAX, h->file.path);
	log_line(LOG_LEVEL_ERROR,
		 "    next: find out why; what is there can be read, but "
		 "nothing is written to it until you accept that with: "
		 "vmbackup check --accept-rollback");
}

/* Make @list, of names, what is lost. Return whether it is something new. */
static bool replace_lost(struct history *h, char **list, size_t n, size_t cap)
{
	bool news = false;
	size_t i;

	for (i = 0; i < n && !news; i++)
		news = !h->nlost || i >= h->nlost ||
		       strcmp(list[i], h->lost[i]) != 0;
	forget_lost(h);
	free(h->lost);
	h->lost = list;
	h->nlost = n;
	h->lost_cap = cap;
	atomic_store(&h->lost_count, n);
	return news;
}

/* Both lists are sorted: note in @is_new what only the vault has. */
static int find_lost(struct history *h, char *const *names, size_t n,
		     bool (*is_missed)(void *, const char *), void *arg,
		     bool *is_new, bool *news)
{
	char **lost = NULL;
	size_t i, j = 0, nlost = 0, cap = 0;
	int r = 0;

	for (i = 0; i < h->seen.n && r == 0; i++) {
		const char *name = h->seen.rows[i].name;

		while (j < n && strcmp(names[j], name) < 0)
			is_new[j++] = true;
		if (j < n && strcmp(names[j], name) == 0) {
			j++;
			continue;
		}
		if (is_missed && !is_missed(arg, name))
			continue;
		r = array_reserve(&lost, &cap, nlost + 1);
		if (r == 0) {
			lost[nlost] = strdup(name);
			r = lost[nlost] ? 0 : -ENOMEM;
			nlost += r == 0;
		}
	}
	while (j < n)
		is_new[j++] = true;
	if (r == 0) {
		*news = replace_lost(h, lost, nlost, cap);
		return 0;
	}
	while (nlost > 0)
		free(lost[--nlost]);
	free(lost);
	return r;
}

static int note_new(struct history *h, char *const *names, size_t n,
		    const bool *is_new,
		    bool (*describe)(void *, size_t, struct seen_row *),
		    void *arg)
{
	struct seen_row *rows = alloc_array(n + 1, sizeof(*rows));
	size_t i, k = 0;
	int r = 0;

	if (!rows)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		if (!is_new[i])
			continue;
		rows[k] = (struct seen_row){ .name = names[i] };
		if (describe(arg, i, &rows[k]))
			k++;
	}
	if (k)
		r = seen_change(&h->file, h->place, &h->seen, rows, k, NULL, 0);
	free(rows);
	if (r < 0 && r != -ENOMEM)
		say_unusable(h, r, "written");
	return r == -ENOMEM ? r : 0;
}

int history_compare(struct history *h, char *const *names, size_t n,
		    bool (*is_missed)(void *, const char *),
		    bool (*describe)(void *, size_t, struct seen_row *),
		    void *arg)
{
	AUTO_FREE bool *is_new = NULL;
	bool news = false;
	int r;

	if (!history_is_kept(h))
		return 0;
	is_new = alloc_array(n + 1, sizeof(*is_new));
	if (!is_new)
		return -ENOMEM;
	r = find_lost(h, names, n, is_missed, arg, is_new, &news);
	if (r < 0)
		return r;
	if (news)
		say_lost(h);
	if (!h->seen.there && n)
		log_info("vault %s: seen here for the first time: what it had "
			 "before cannot be missed",
			 h->url);
	return describe ? note_new(h, names, n, is_new, describe, arg) : 0;
}

bool history_is_kept(const struct history *h)
{
	return h->file.path && h->was_read;
}

uint64_t history_lost(const struct history *h)
{
	return atomic_load(&h->lost_count);
}

void history_note(struct history *h, const struct seen_row *row)
{
	int r;

	if (!h->file.path)
		return;
	r = seen_change(&h->file, h->place, &h->seen, row, 1, NULL, 0);
	if (r < 0)
		log_warn("%s: cannot be written: %s; that the vault %s has %s "
			 "now is not remembered",
			 h->file.path, strerror(-r), h->url, row->name);
}

int history_accept(struct history *h)
{
	int r;

	if (h->nlost == 0)
		return 0;
	r = seen_change(&h->file, NULL, &h->seen, NULL, 0, h->lost, h->nlost);
	if (r < 0)
		return fail(r, "%s: cannot be written: %s", h->file.path,
			    strerror(-r));
	forget_lost(h);
	return 0;
}
