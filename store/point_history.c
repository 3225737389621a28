/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The points that are there are compared with what was seen of the vault, and the
 * commits with what they say of one another, once in each process and whenever
 * something changes.
 *
 * That is a look at each register there ever was, and most commands find what the
 * last one has compared already. So the database keeps of which file and of which
 * names it was that nothing was missing and all fitted; where both are the same
 * there is nothing to compare, and the file is not even read. That says nothing of
 * a vault with which something is wrong: there all is compared and said each time.
 */
#include "config.h"

#include "store/point_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/bytes.h"
#include "store/catalog/catalog.h"
#include "store/crypt/keyring.h"
#include "store/crypt/siphash.h"
#include "store/history/history.h"
#include "store/kept.h"
#include "store/record/note.h"
#include "store/vault_internal.h"

/* ---- comparing ---- */

/* Is there the point that it is of? */
static bool has_point(const struct point_objects *o, const char *id)
{
	char name[OBJECT_NAME_MAX];

	snprintf(name, sizeof(name), "%s%s", point_kept_points.prefix, id);
	return kept_has(&o->points, name);
}

/* A note is missed as long as there is its point, unless a later note tells that it
 * is lost (point_apply_notes()). */
static bool is_missed(void *arg, const char *name)
{
	const struct point_objects *o = arg;
	char id[NAME_HEX + 1];
	uint32_t number, other;
	size_t i, n;

	if (!name_numbered(name, point_kept_notes.prefix, id, &number))
		return true;
	i = point_items_of(&o->notes, point_kept_notes.prefix, id, &n);
	for (; n > 0; n--, i++)
		if (o->notes.items[i].value &&
		    name_numbered(o->notes.items[i].name,
				  point_kept_notes.prefix, id, &other) &&
		    other > number)
			return false;
	return has_point(o, id);
}

/* What is known of a register that is new here. One that could not be opened may
 * be anybody's garbage, which nobody misses when it is gone. */
static bool describe_register(void *arg, size_t i, struct seen_row *out)
{
	const struct point_objects *o = arg;
	const struct known_commit *known;
	const struct commit *c;
	const struct point *p;
	char name[OBJECT_NAME_MAX];
	size_t at;

	if (i >= o->commits.n + o->notes.n)
		return o->verdicts.items[i - o->commits.n - o->notes.n].value;
	if (i >= o->commits.n)
		return o->notes.items[i - o->commits.n].value;
	known = o->commits.items[i].value;
	c = known ? &known->commit : NULL;
	if (!c || !c->point[0])
		return c;
	out->point = c->point;
	snprintf(name, sizeof(name), "%s%s", point_kept_points.prefix,
		 c->point);
	at = kept_find(&o->points, name);
	if (at == o->points.n || strcmp(o->points.items[at].name, name) != 0 ||
	    !(p = o->points.items[at].value))
		return true;
	out->vm = p->vm;
	out->time_s = p->time_ns / 1000000000;
	return true;
}

/* Commits stand before notes, and these before verdicts, in the order of names,
 * too. */
static int compare_history(struct vault *v)
{
	struct point_objects *o = &v->objects;
	AUTO_FREE char **names = alloc_array(
		o->commits.n + o->notes.n + o->verdicts.n, sizeof(*names));
	size_t i, n = 0;

	if (!names)
		return -ENOMEM;
	for (i = 0; i < o->commits.n; i++)
		names[n++] = o->commits.items[i].name;
	for (i = 0; i < o->notes.n; i++)
		names[n++] = o->notes.items[i].name;
	for (i = 0; i < o->verdicts.n; i++)
		names[n++] = o->verdicts.items[i].name;
	return history_compare(v->history, names, n, is_missed,
			       describe_register, o);
}

bool point_commit_tells(const struct vault *v, const struct kept *item)
{
	const struct known_commit *c = item->value;

	return c && c->is_told &&
	       !keyring_sid_writer(v->keyring,
				   item->name +
					   strlen(point_kept_commits.prefix));
}

static void node_of(const struct vault *v, const struct kept *item,
		    struct chain_node *out)
{
	const struct known_commit *c = item->value;

	out->sid = item->name + strlen(point_kept_commits.prefix);
	if (!c)
		return;
	out->own = c->own;
	out->is_fenced = !c->commit.point[0];
	if (!point_commit_tells(v, item))
		return;
	out->is_told = true;
	out->refs = c->refs;
	out->nrefs = get_le16(c->nrefs);
	out->is_cut = c->is_cut;
}

int point_judge_chain(struct vault *v, bool forks, struct chain *out)
{
	const struct point_objects *o = &v->objects;
	AUTO_FREE bool *settled = NULL;
	AUTO_FREE struct chain_node *nodes =
		alloc_array(o->commits.n + 1, sizeof(*nodes));
	size_t i;
	int r;

	memset(out, 0, sizeof(*out));
	if (!nodes)
		return -ENOMEM;
	r = forks ? point_mark_settled(v, &settled) : 0;
	if (r < 0)
		return r;
	for (i = 0; i < o->commits.n; i++) {
		node_of(v, &o->commits.items[i], &nodes[i]);
		nodes[i].is_settled = settled && settled[i];
	}
	return chain_judge(nodes, o->commits.n, forks, out);
}

static int is_there(void *arg, const char *name)
{
	struct vault *v = arg;
	struct backend_info info;
	int r = backend_head(v->backend, name, &info);

	return r == -ENOENT ? 0 : r < 0 ? r : 1;
}

static bool describe_node(void *arg, size_t i, struct seen_row *out)
{
	struct vault *v = arg;

	return describe_register(&v->objects, i, out);
}

/* @fits_out: nothing of it does not fit. */
static int judge_chain(struct vault *v, bool *fits_out)
{
	struct chain chain;
	int r = point_judge_chain(v, true, &chain);

	if (r == 0)
		r = history_judge(v->history, &chain, is_there, describe_node,
				  v);
	*fits_out = r == 0 && chain.nflaws == 0;
	chain_release(&chain);
	return r;
}

/* ---- what was compared ---- */

#define ROW "judged/points"
#define ROW_VERSION 2
#define ROW_SUMS 4
#define ROW_LEN (1 + SEEN_STAMP_LEN + 16 * ROW_SUMS) /* and who may sign */

static void put_sum(struct buf *out, const struct name_sum *s)
{
	buf_put_le64(out, s->n);
	buf_put_le64(out, s->sum);
}

static struct name_sum get_sum(struct reader *r)
{
	struct name_sum s;

	s.n = reader_le64(r);
	s.sum = reader_le64(r);
	return s;
}

/* What cannot be kept is compared again. */
static void put_row(struct vault *v)
{
	const struct point_judged *j = &v->judged;
	AUTO_BUF struct buf row = BUF_INIT;

	/* A private database ends with the process. */
	if (!j->is_known || v->no_digests || !catalog_dir(v->catalog))
		return;
	buf_put_u8(&row, ROW_VERSION);
	buf_put(&row, j->file.b, sizeof(j->file.b));
	put_sum(&row, &j->commits);
	put_sum(&row, &j->notes);
	put_sum(&row, &j->verdicts);
	put_sum(&row, &j->points);
	buf_put(&row, j->trust.data, j->trust.len);
	kept_put_row(v, ROW, &row);
}

static int get_row(struct vault *v)
{
	struct point_judged *j = &v->judged;
	AUTO_BUF struct buf row = BUF_INIT;
	const uint8_t *file;
	struct reader in;
	int r = kept_get_row(v, ROW, &row);

	if (r < 0)
		return r == -ENOMEM ? r : 0;
	reader_init(&in, row.data, row.len);
	if (row.len < ROW_LEN || reader_u8(&in) != ROW_VERSION)
		return 0;
	file = reader_get(&in, sizeof(j->file.b));
	memcpy(j->file.b, file, sizeof(j->file.b));
	j->commits = get_sum(&in);
	j->notes = get_sum(&in);
	j->verdicts = get_sum(&in);
	j->points = get_sum(&in);
	buf_clear(&j->trust);
	buf_put(&j->trust, row.data + ROW_LEN, row.len - ROW_LEN);
	j->is_known = buf_error(&j->trust) == 0;
	return buf_error(&j->trust);
}

static struct name_sum sum_of(const struct vault *v, struct kept_set *s)
{
	return (struct name_sum){ .n = s->n, .sum = kept_sum(v, s) };
}

static bool is_sum(const struct name_sum *a, struct name_sum b)
{
	return a->n == b.n && a->sum == b.sum;
}

/* Of commits and verdicts not the names alone: a vault that was put back to what it
 * was before may have others under the same names. */
static struct name_sum sum_of_commits(const struct vault *v, struct kept_set *s)
{
	struct name_sum sum = sum_of(v, s);
	size_t i;

	for (i = 0; i < s->n; i++) {
		const struct known_commit *c = s->items[i].value;

		if (c)
			sum.sum += siphash(v->sum_key, c->own, sizeof(c->own));
	}
	return sum;
}

static struct name_sum sum_of_verdicts(const struct vault *v,
				       struct kept_set *s)
{
	struct name_sum sum = sum_of(v, s), purged = { 0, 0 };
	size_t i;

	for (i = 0; i < s->n; i++) {
		const bool *is_purged = s->items[i].value;

		if (is_purged && *is_purged)
			vault_sum_add(v, &purged, s->items[i].name);
	}
	sum.sum += purged.sum;
	return sum;
}

/* Points follow from commits and verdicts. */
bool point_history_knows_points(struct vault *v)
{
	const struct point_judged *j = &v->judged;
	struct point_objects *o = &v->objects;

	return j->is_known && !v->no_digests && j->points.n == o->points.n &&
	       j->commits.n == o->commits.n && kept_all_read(&o->commits) &&
	       kept_all_read(&o->verdicts) && kept_all_read(&o->points) &&
	       is_sum(&j->commits, sum_of_commits(v, &o->commits)) &&
	       is_sum(&j->verdicts, sum_of_verdicts(v, &o->verdicts)) &&
	       is_sum(&j->points, sum_of(v, &o->points));
}

/* Read what is remembered, unless it is what was compared. Of whatever file came
 * after that some may have been read already, and was not compared. */
int point_history_begin(struct vault *v)
{
	struct point_judged *j = &v->judged;
	struct seen_stamp now;
	bool was_known;
	int r = 0;

	if (!j->was_asked && !v->no_digests)
		r = get_row(v);
	j->was_asked = true;
	if (r < 0)
		return r;
	history_stamp(v->history, &now);
	was_known = j->is_known;
	if (j->is_known && memcmp(&now, &j->file, sizeof(now)) == 0) {
		r = history_settle(v->history, j->trust.data, j->trust.len);
		if (r != -EBADMSG)
			return r;
	}
	j->is_known = false;
	r = history_read(v->history);
	return r == 0 && was_known ? 1 : r;
}

/* Note what was compared, where nothing was wrong. */
static void note_judged(struct vault *v, bool fits)
{
	struct point_judged *j = &v->judged;
	struct point_objects *o = &v->objects;

	/* Who may sign stands in the file, which is not read again. */
	buf_clear(&j->trust);
	history_put_trust(v->history, &j->trust);
	j->is_known = fits && !v->no_digests && buf_error(&j->trust) == 0 &&
		      kept_all_read(&o->commits) && kept_all_read(&o->notes) &&
		      kept_all_read(&o->verdicts) &&
		      kept_all_read(&o->points) &&
		      history_is_settled(v->history, &j->file);
	if (!j->is_known)
		return;
	j->commits = sum_of_commits(v, &o->commits);
	j->notes = sum_of(v, &o->notes);
	j->verdicts = sum_of_verdicts(v, &o->verdicts);
	j->points = sum_of(v, &o->points);
	put_row(v);
}

int point_history_compare(struct vault *v)
{
	struct point_judged *j = &v->judged;
	struct seen_stamp now;
	bool fits = false;
	int r;

	if (point_history_knows_points(v) && kept_all_read(&v->objects.notes) &&
	    is_sum(&j->notes, sum_of(v, &v->objects.notes)))
		return 0;
	if (j->is_known) {
		/* The file was not read, or not since it was compared. */
		j->is_known = false;
		r = history_read(v->history);
		if (r < 0)
			return r;
		history_stamp(v->history, &now);
		if (memcmp(&now, &j->file, sizeof(now)) != 0)
			return POINT_HISTORY_LATER;
	}
	r = compare_history(v);
	if (r == 0)
		r = judge_chain(v, &fits);
	if (r == 0)
		note_judged(v, fits);
	return r;
}

void point_history_add(struct vault *v, const struct point *p,
		       const uint8_t *commit_hash)
{
	struct point_judged *j = &v->judged;
	char name[OBJECT_NAME_MAX];

	if (!j->is_known)
		return;
	j->is_known = history_is_settled(v->history, &j->file);
	snprintf(name, sizeof(name), "%s%s", point_kept_commits.prefix,
		 p->session);
	vault_sum_add(v, &j->commits, name);
	j->commits.sum += siphash(v->sum_key, commit_hash, COMMIT_HASH_LEN);
	snprintf(name, sizeof(name), "%s%s", point_kept_points.prefix, p->id);
	vault_sum_add(v, &j->points, name);
	put_row(v);
}
