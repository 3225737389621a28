/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/history/history.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/array.h"
#include "store/base/hex.h"
#include "store/base/log.h"
#include "store/base/text.h"
#include "store/history/history_internal.h"
#include "store/history/row.h"

#define SAID_MAX 10 /* of what is missing, by name */
#define PLACE_MAX 1000

int history_new(const char *dir, bool remembers, const uint8_t *vault_id,
		const char *url, struct seam *seam, struct history **out)
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
		if (remembers &&
		    asprintf(&h->file.path, "%s/%s.seen", dir, hex) < 0)
			h->file.path = NULL;
	}
	if (!h->url || (dir && !h->file.dir) ||
	    (dir && remembers && !h->file.path)) {
		history_free(h);
		*out = NULL;
		return -ENOMEM;
	}
	return 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void count_lost(struct history *h)
{
	atomic_store(&h->lost_count, h->nlost + h->nflaws);
}

static void forget_lost(struct history *h)
{
	while (h->nlost > 0)
		free(h->lost[--h->nlost]);
	count_lost(h);
}

static void forget_flaws(struct history *h)
{
	while (h->nflaws > 0)
		free(h->flaws[--h->nflaws]);
	count_lost(h);
}

void history_free(struct history *h)
{
	if (!h)
		return;
	forget_lost(h);
	free(h->lost);
	forget_flaws(h);
	free(h->flaws);
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

/* ---- adding ---- */

/* Whether lines that are added need not say where they were seen, nor is any wrong. */
static bool is_plain(const struct history *h)
{
	return h->seen.there && !h->seen.bad && !h->seen.torn && h->place &&
	       h->seen.last_place && strcmp(h->place, h->seen.last_place) == 0;
}

/* Let the file have these rows, which are of what is there. */
static int add_rows(struct history *h, const struct seen_row *rows, size_t n)
{
	struct seen same = { .there = true,
			     .st = h->settled,
			     .last_place = h->place };
	const struct seen *was = h->is_settled ? &same : &h->seen;
	struct stat now = { .st_ino = 0 };
	int r = seen_change(&h->file, h->place, was, rows, n, NULL, 0, &now);

	/* As it was settled, and these. */
	h->is_settled = h->is_settled && r == 0 && now.st_ino != 0;
	h->settled = now;
	return r;
}

/* ---- what is missing ---- */

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
		row_say(seen_find(&h->seen, h->lost[i]));
	if (h->nlost > SAID_MAX)
		log_line(LOG_LEVEL_ERROR,
			 "    and %zu more; %s lists all that were seen",
			 h->nlost - SAID_MAX, h->file.path);
	row_say_next();
}

/* Put the @n strings of @list, with room for @cap, in the place of the @old_n that are
 * at @old. Return whether they tell something new. */
static bool replace_list(char ***old, size_t *old_n, size_t *old_cap,
			 char **list, size_t n, size_t cap)
{
	bool news = false;
	size_t i;

	for (i = 0; i < n && !news; i++)
		news = i >= *old_n || strcmp(list[i], (*old)[i]) != 0;
	while (*old_n > 0)
		free((*old)[--*old_n]);
	free(*old);
	*old = list;
	*old_n = n;
	*old_cap = cap;
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
		*news = replace_list(&h->lost, &h->nlost, &h->lost_cap, lost,
				     nlost, cap);
		count_lost(h);
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
	h->is_settled = is_plain(h) && h->nlost == 0;
	h->settled = h->seen.st;
	if (k)
		r = add_rows(h, rows, k);
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

	h->is_settled = false;
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

/* ---- what the commits say of one another ---- */

/* What history_judge() was called with. */
struct judgement {
	struct history *history;
	const struct chain *chain;
	bool (*describe)(void *arg, size_t i, struct seen_row *out);
	void *arg;
	bool *is_told; /* of each flaw: it is not accepted; owned */
};

#define FLAW_MAX 64 /* "replaced ", 32 digits and a NUL fit */

static void put_flaw(const struct chain_flaw *f, char out[FLAW_MAX])
{
	static const char *const words[] = {
		[CHAIN_REMOVED] = "removed",
		[CHAIN_REPLACED] = "replaced",
		[CHAIN_FORKED] = "forked",
	};

	snprintf(out, FLAW_MAX, "%s %s", words[f->kind], f->sid);
}

static void put_node(const struct judgement *j, size_t node, const char *sid,
		     struct buf *out)
{
	char name[64];
	struct seen_row row = { .name = name };

	snprintf(name, sizeof(name), "commit/%s", sid);
	if (node == CHAIN_NOWHERE || !j->describe(j->arg, node, &row))
		row.point = NULL;
	row_put_point(&row, out);
}

static void say_flaw(const struct judgement *j, const struct chain_flaw *f)
{
	AUTO_BUF struct buf at = BUF_INIT, by = BUF_INIT;

	put_node(j, f->at, f->sid, &at);
	put_node(j, f->by, f->by_sid, &by);
	buf_put_u8(&at, 0);
	buf_put_u8(&by, 0);
	if (buf_error(&at) < 0 || buf_error(&by) < 0)
		return;
	if (f->kind == CHAIN_REMOVED)
		log_line(LOG_LEVEL_ERROR,
			 "    removed: commit/%s, which made a point, is not "
			 "there; %s was made after it",
			 f->sid, (char *)by.data);
	else if (f->kind == CHAIN_REPLACED)
		log_line(LOG_LEVEL_ERROR,
			 "    replaced: commit/%s, of %s, is another one than "
			 "that after which %s was made",
			 f->sid, (char *)at.data, (char *)by.data);
	else
		log_line(LOG_LEVEL_ERROR,
			 "    forked: %s was made without what comes before "
			 "%s, which was made without what comes before it",
			 (char *)at.data, (char *)by.data);
}

static void say_flaws(const struct judgement *j)
{
	const struct history *h = j->history;
	size_t i, said = 0;

	log_line(LOG_LEVEL_ERROR,
		 "vault %s: %zu of its commits do not fit what others say of "
		 "them: somebody removed or replaced points, or two histories "
		 "of this vault were made and joined",
		 h->url, h->nflaws);
	for (i = 0; i < j->chain->nflaws && said < SAID_MAX; i++)
		if (j->is_told[i]) {
			say_flaw(j, &j->chain->flaws[i]);
			said++;
		}
	if (h->nflaws > said)
		log_line(LOG_LEVEL_ERROR, "    and %zu more", h->nflaws - said);
	row_say_next();
}

/* Return 1 where a flaw is one that nobody knows yet, 0, or a negative errno. */
static int is_flaw(const struct history *h, const struct chain_flaw *f,
		   int (*is_there)(void *, const char *), void *arg)
{
	char what[FLAW_MAX], name[FLAW_MAX];
	const char *at = name;
	int r;

	put_flaw(f, what);
	if (seen_is_accepted(&h->seen, what))
		return 0;
	if (f->kind != CHAIN_REMOVED)
		return 1;
	snprintf(name, sizeof(name), "commit/%s", f->sid);
	if (h->nlost &&
	    bsearch(&at, h->lost, h->nlost, sizeof(*h->lost), by_text))
		return 0; /* it was said already */
	r = is_there(arg, name);
	return r < 0 ? r : r == 0;
}

/* Append "<word><sid>". */
static int add_flaw(char ***list, size_t *n, size_t *cap, const char *word,
		    const char *sid)
{
	if (array_reserve(list, cap, *n + 1) < 0)
		return -ENOMEM;
	if (asprintf(&(*list)[*n], "%s%s", word, sid) < 0)
		return -ENOMEM;
	++*n;
	return 0;
}

int history_judge(struct history *h, const struct chain *c,
		  int (*is_there)(void *, const char *),
		  bool (*describe)(void *, size_t, struct seen_row *),
		  void *arg)
{
	AUTO_FREE bool *is_told = alloc_array(c->nflaws + 1, sizeof(bool));
	bool news;
	struct judgement j = { h, c, describe, arg, is_told };
	char **list = NULL, what[FLAW_MAX];
	size_t i, n = 0, cap = 0;
	int r = is_told ? 0 : -ENOMEM;

	for (i = 0; i < c->nflaws && r == 0; i++) {
		r = is_flaw(h, &c->flaws[i], is_there, arg);
		if (r != 1)
			continue;
		is_told[i] = true;
		put_flaw(&c->flaws[i], what);
		r = add_flaw(&list, &n, &cap, what, "");
	}
	if (r == 0) {
		news = replace_list(&h->flaws, &h->nflaws, &h->flaws_cap, list,
				    n, cap);
		count_lost(h);
		if (news)
			say_flaws(&j);
		return 0;
	}
	while (n > 0)
		free(list[--n]);
	free(list);
	return r;
}

const char *history_dir(const struct history *h)
{
	return h->file.dir;
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
	r = add_rows(h, row, 1);
	if (r < 0)
		log_warn("%s: cannot be written: %s; that the vault %s has %s "
			 "now is not remembered",
			 h->file.path, strerror(-r), h->url, row->name);
}

#define SETTLED "settled "

const char *const *history_settled(const struct history *h, size_t *n_out)
{
	const struct seen *s = &h->seen;
	size_t i = 0, end;

	while (i < s->naccepted && strcmp(s->accepted[i], SETTLED) < 0)
		i++;
	for (end = i; end < s->naccepted; end++)
		if (strncmp(s->accepted[end], SETTLED, strlen(SETTLED)) != 0)
			break;
	*n_out = end - i;
	return s->naccepted ? s->accepted + i : NULL;
}

int history_accept(struct history *h, const char *const *newest, size_t n)
{
	size_t i;
	int r = 0;

	if (h->nlost + h->nflaws == 0)
		return 0;
	if (!h->file.path)
		return fail(-EINVAL, "nothing can be accepted where nothing is "
				     "remembered: set VMBACKUP_STATE_DIR");
	h->is_settled = false;
	/* A point that is gone is named by those that followed it, too. */
	for (i = 0; i < h->nlost && r == 0; i++)
		if (strncmp(h->lost[i], "commit/", 7) == 0)
			r = add_flaw(&h->flaws, &h->nflaws, &h->flaws_cap,
				     "removed ", h->lost[i] + 7);
	for (i = 0; i < n && r == 0; i++)
		r = add_flaw(&h->flaws, &h->nflaws, &h->flaws_cap, SETTLED,
			     newest[i]);
	if (r < 0)
		return r;
	r = seen_accept(&h->file, &h->seen, h->lost, h->nlost, h->flaws,
			h->nflaws);
	if (r < 0)
		return fail(r, "%s: cannot be written: %s", h->file.path,
			    strerror(-r));
	forget_lost(h);
	forget_flaws(h);
	return 0;
}

const struct trust *history_trust(const struct history *h)
{
	return &h->seen.trust;
}

int history_add_trust(struct history *h, const struct trust_row *row)
{
	AUTO_FREE char *line = NULL;
	int r;

	r = history_read(h);
	if (r < 0)
		return r;
	if (!history_is_kept(h))
		return -ENOENT;
	line = trust_line(row);
	if (!line)
		return -ENOMEM;
	h->is_settled = false;
	r = seen_accept(&h->file, &h->seen, NULL, 0, &line, 1);
	if (r < 0)
		return fail(r, "%s: cannot be written: %s", h->file.path,
			    strerror(-r));
	r = history_read(h);
	return MIN(r, 0);
}
