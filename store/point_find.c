/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Finding a point by what somebody typed.
 *
 * What a text without '/' means, the first that fits:
 *
 *   latest, latest~N    of all machines; new machines are not called so, and one
 *                       of before is reached as "latest/latest"
 *   32 digits           the point of that id
 *   a machine's name    its latest point; where another machine's point has an
 *                       id that begins so, neither is guessed
 *   4 digits or more    the beginning of an id
 *
 * With '/' (which no name has) the first part is a machine and the second is
 * latest, latest~N, or a time: as the mount shows it, with its "-<id8>" where
 * a machine has two of one second, or in the form with colons.
 *
 * Somebody wanted a point that was forgotten to go, and often for a reason. So no
 * name leads to it but its own, where such points are shown at all, and the latest
 * is the latest of the others.
 */
#include "config.h"

#include "store/point_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/log.h"
#include "store/format.h"

#define ID_PREFIX_MIN 4

/* "latest" or "latest~N": true, and how many before the last. */
static bool parse_latest(const char *text, size_t *back)
{
	size_t n = 0, i;

	if (strncmp(text, "latest", 6) != 0)
		return false;
	text += 6;
	*back = 0;
	if (!*text)
		return true;
	if (*text++ != '~' || !*text)
		return false;
	for (i = 0; text[i]; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		/* Beyond any list, and no overflow. */
		if (n < 100000000)
			n = 10 * n + (size_t)(text[i] - '0');
	}
	*back = n;
	return true;
}

bool point_name_is_latest(const char *name)
{
	size_t back;

	return parse_latest(name, &back);
}

/* The run of a machine's points: from @first, before @end. */
static bool find_vm(const struct point_list *l, const char *vm, size_t len,
		    size_t *first, size_t *end)
{
	size_t i;

	*first = l->n;
	for (i = 0; i < l->n; i++) {
		bool same = strlen(l->points[i]->vm) == len &&
			    memcmp(l->points[i]->vm, vm, len) == 0;

		if (same && *first == l->n)
			*first = i;
		else if (!same && *first < l->n)
			break;
	}
	*end = i;
	return *first < l->n;
}

static bool is_counted(const struct point *p)
{
	return !point_is_aside(p);
}

static size_t count_points(const struct point_list *l, size_t first, size_t end)
{
	size_t n = 0;

	for (; first < end; first++)
		n += is_counted(l->points[first]);
	return n;
}

/* The point that is so many before the last of a machine's, which there is. */
static size_t count_back(const struct point_list *l, size_t end, size_t back)
{
	while (end-- > 0)
		if (is_counted(l->points[end]) && back-- == 0)
			break;
	return end;
}

/* Is one of the points that the list does not show, for they were forgotten, of
 * this machine? */
static bool has_forgotten(const struct point_list *l, const char *vm,
			  size_t len)
{
	size_t i;

	for (i = 0; i < l->nforgotten; i++)
		if (strlen(l->forgotten[i]->vm) == len &&
		    memcmp(l->forgotten[i]->vm, vm, len) == 0)
			return true;
	return false;
}

static int fail_all_forgotten(const char *whose, size_t len)
{
	return fail(-ENOENT,
		    "%.*s: all its points were forgotten: \"vmbackup "
		    "--forgotten points\" lists them; name one by its time, or "
		    "bring it back with \"vmbackup undelete\"",
		    (int)MIN(len, POINT_NAME_MAX), whose);
}

struct newest {
	const struct point *point;
	size_t index;
};

/* The newest first, and among equals the one of the greater id, so that the
 * order is the same for everybody. */
static int compare_newest(const void *a, const void *b)
{
	const struct newest *x = a, *y = b;

	if (x->point->time_ns != y->point->time_ns)
		return x->point->time_ns > y->point->time_ns ? -1 : 1;
	return strcmp(y->point->id, x->point->id);
}

static int find_latest(const struct point_list *l, size_t back, size_t *out)
{
	size_t i, n = count_points(l, 0, l->n);
	struct newest *all;

	if (n == 0 && (l->n > 0 || l->nforgotten > 0))
		return fail_all_forgotten("the vault", strlen("the vault"));
	if (n == 0)
		return fail(-ENOENT, "the vault has no points yet; make one"
				     " with \"vmbackup backup\"");
	if (back >= n)
		return fail(-ENOENT,
			    "latest~%zu: the vault has only %zu point%s%s",
			    back, n, n == 1 ? "" : "s",
			    l->n > n ? " that nobody forgot" : "");
	all = alloc_array(n, sizeof(*all));
	if (!all)
		return -ENOMEM;
	for (i = 0, n = 0; i < l->n; i++) {
		if (!is_counted(l->points[i]))
			continue;
		all[n].point = l->points[i];
		all[n++].index = i;
	}
	qsort(all, n, sizeof(*all), compare_newest);
	*out = all[back].index;
	free(all);
	return 0;
}

/* Whether the list tells that a point is there, but cannot be read. */
static bool is_damaged(const struct point_list *l, const char *prefix,
		       size_t len)
{
	size_t i;

	for (i = 0; i < l->ndamaged; i++)
		if (strncmp(l->damaged[i], prefix, len) == 0)
			return true;
	return false;
}

static bool is_forgotten(const struct point_list *l, const char *prefix,
			 size_t len)
{
	size_t i;

	for (i = 0; i < l->nforgotten; i++)
		if (strncmp(l->forgotten[i]->id, prefix, len) == 0)
			return true;
	return false;
}

static bool is_untrusted(const struct point_list *l, const char *prefix,
			 size_t len)
{
	size_t i;

	for (i = 0; i < l->nuntrusted; i++)
		if (strncmp(l->untrusted[i]->id, prefix, len) == 0)
			return true;
	return false;
}

static int fail_forgotten(const char *text)
{
	return fail(-ENOENT,
		    "point %s was forgotten: it is found with --forgotten, and "
		    "\"vmbackup undelete\" brings it back",
		    text);
}

/* An id in full always means the point, even where a machine is called so. */
static bool find_exact(const struct point_list *l, const char *id, size_t *out)
{
	size_t i;

	for (i = 0; i < l->n; i++) {
		if (strcmp(l->points[i]->id, id) == 0) {
			*out = i;
			return true;
		}
	}
	return false;
}

/* Not an id that is given in full, so it is a machine's name; but another
 * machine's point may have an id that begins so. */
static int check_one_meaning(const struct point_list *l, const char *text,
			     size_t len)
{
	size_t i;

	if (len < ID_PREFIX_MIN || len >= POINT_ID_HEX ||
	    !point_hex_ok(text, len))
		return 0;
	for (i = 0; i < l->n; i++)
		if (strncmp(l->points[i]->id, text, len) == 0 &&
		    strcmp(l->points[i]->vm, text) != 0)
			return fail(-EEXIST,
				    "%s: a machine has this name, and the id of"
				    " the point %s/%s begins so; say %s/latest,"
				    " or more digits of the id",
				    text, l->points[i]->vm, l->names[i], text);
	return 0;
}

static int find_id(const struct point_list *l, const char *text, size_t *out)
{
	size_t len = strlen(text), i, first = 0, n = 0;

	for (i = 0; i < l->n; i++)
		if (strncmp(l->points[i]->id, text, len) == 0 && n++ == 0)
			first = i;
	if (n > 1)
		return fail(-EEXIST,
			    "%s: %zu points have ids that begin so; give more"
			    " digits",
			    text, n);
	if (n == 1) {
		*out = first;
		return 0;
	}
	if (is_damaged(l, text, len))
		return fail(-ENOENT,
			    "point %s is in the vault, but damaged: it cannot"
			    " be read; see \"vmbackup check\"",
			    text);
	if (len >= ID_PREFIX_MIN && is_untrusted(l, text, len))
		return fail(-ENOENT,
			    "point %s lacks a signature that this vault "
			    "demands, of one who may sign for its machine: it "
			    "is found with --untrusted",
			    text);
	if (len >= ID_PREFIX_MIN && is_forgotten(l, text, len))
		return fail_forgotten(text);
	return fail(-ENOENT,
		    "%s: no machine has this name and no point's id begins so;"
		    " \"vmbackup points\" lists what there is",
		    text);
}

/* Is @what the time of @p, with or without digits of its id behind it? */
static bool is_named(const struct point *p, const char *what)
{
	char text[POINT_NAME_LEN], time[POINT_TIME_LEN];
	size_t len = strcspn(what, "Z");
	const char *rest = what[len] ? what + len + 1 : what + len;
	int64_t time_ns;

	snprintf(text, sizeof(text), "%.*s", (int)MIN(len + 1, 32u), what);
	if (point_parse_time(text, &time_ns) < 0)
		return false;
	point_time_name(time_ns, text);
	point_time_name(p->time_ns, time);
	if (strcmp(text, time) != 0)
		return false;
	return !*rest || (*rest == '-' && strlen(rest + 1) >= 8 &&
			  strncmp(p->id, rest + 1, strlen(rest + 1)) == 0);
}

/* Is it the time of one that the list does not show? */
static bool is_forgotten_time(const struct point_list *l, const char *vm,
			      size_t len, const char *what)
{
	size_t i;

	for (i = 0; i < l->nforgotten; i++)
		if (strlen(l->forgotten[i]->vm) == len &&
		    memcmp(l->forgotten[i]->vm, vm, len) == 0 &&
		    is_named(l->forgotten[i], what))
			return true;
	return false;
}

static bool is_time_of_any(const struct point_list *l, size_t first, size_t end,
			   const char *what)
{
	while (first < end)
		if (is_named(l->points[first++], what))
			return true;
	return false;
}

/* By time, among the points @first to @end of one machine. */
static int find_by_time(const struct point_list *l, size_t first, size_t end,
			const char *what, size_t *out)
{
	const char *vm = l->points[first]->vm;
	size_t i, n = 0, found = first;

	for (i = first; i < end; i++) {
		if (!is_named(l->points[i], what))
			continue;
		if (n++ > 0)
			return fail(-EEXIST,
				    "%s/%.64s: several points begin in this "
				    "second: %s, %s; say which",
				    vm, what, l->names[found], l->names[i]);
		found = i;
	}
	if (n == 1) {
		*out = found;
		return 0;
	}
	return fail(-ENOENT,
		    "%s/%.64s: the machine has no such point; \"vmbackup"
		    " points\" lists what there is",
		    vm, what);
}

/* "<vm>/<what>". */
static int find_of_vm(const struct point_list *l, const char *vm, size_t len,
		      const char *what, size_t *out)
{
	size_t first, end, i, n, back;
	bool found = find_vm(l, vm, len, &first, &end);

	if (!found && is_forgotten_time(l, vm, len, what))
		return fail_forgotten(vm);
	if (!found && has_forgotten(l, vm, len))
		return fail_all_forgotten(vm, len);
	if (!found)
		return fail(-ENOENT,
			    "%.*s: no machine of this name has a point;"
			    " \"vmbackup points\" lists what there is",
			    (int)MIN(len, POINT_NAME_MAX), vm);
	if (parse_latest(what, &back)) {
		n = count_points(l, first, end);
		if (n == 0)
			return fail_all_forgotten(vm, len);
		if (back >= n)
			return fail(-ENOENT,
				    "%.*s/%.20s: the machine has only %zu"
				    " point%s%s",
				    (int)len, vm, what, n, n == 1 ? "" : "s",
				    end - first > n ? " that nobody forgot"
						    : "");
		*out = count_back(l, end, back);
		return 0;
	}
	for (i = first; i < end; i++) {
		if (strcmp(l->names[i], what) == 0) {
			*out = i;
			return 0;
		}
	}
	if (is_forgotten_time(l, vm, len, what) &&
	    !is_time_of_any(l, first, end, what))
		return fail_forgotten(vm);
	return find_by_time(l, first, end, what, out);
}

static int find(const struct point_list *l, const char *text, size_t *out)
{
	const char *slash = strchr(text, '/');
	size_t len = strlen(text), first, end, back;

	if (slash)
		return find_of_vm(l, text, (size_t)(slash - text), slash + 1,
				  out);
	if (parse_latest(text, &back))
		return find_latest(l, back, out);
	if (len == POINT_ID_HEX && find_exact(l, text, out))
		return 0;
	if (find_vm(l, text, len, &first, &end)) {
		int r = check_one_meaning(l, text, len);

		if (r == 0 && count_points(l, first, end) == 0)
			return fail_all_forgotten(text, len);
		if (r == 0)
			*out = count_back(l, end, 0);
		return r;
	}
	if (len >= ID_PREFIX_MIN && len <= POINT_ID_HEX &&
	    point_hex_ok(text, len))
		return find_id(l, text, out);
	if (has_forgotten(l, text, len))
		return fail_all_forgotten(text, len);
	if (len > 0 && len < ID_PREFIX_MIN && point_hex_ok(text, len))
		return fail(-ENOENT,
			    "%s: no machine has this name, and an id needs at"
			    " least 4 digits",
			    text);
	return fail(-ENOENT,
		    "%s: not a point; name one as MACHINE/TIME, MACHINE/latest,"
		    " latest, latest~2 or by its id; \"vmbackup points\" lists"
		    " them",
		    len ? text : "(nothing)");
}

/*
 * The latest that can be read is the latest only where all can be: a point that is
 * damaged tells neither its time nor its machine. Who restores after a disaster
 * is not to take the state of the day before for the last one without a word.
 */
static void doubt_latest(struct point_list *l, size_t i)
{
	if (l->ndamaged == 0)
		return;
	log_line(LOG_LEVEL_ERROR,
		 "%s/%s is the latest point that can be read, but %zu point%s"
		 " of the vault cannot, and may be later; see \"vmbackup"
		 " check\"",
		 l->points[i]->vm, l->names[i], l->ndamaged,
		 l->ndamaged == 1 ? "" : "s");
	atomic_store(&l->in_doubt, true);
}

int point_find(struct point_list *l, const char *text, size_t *out)
{
	const char *slash = strchr(text, '/');
	int r;

	if (l->n == 0 && l->lacks_commits)
		return fail(
			-EBADMSG,
			"%s: which points there are cannot be seen, for the "
			"vault's folder commit is missing; see \"vmbackup "
			"check\"",
			text);
	r = find(l, text, out);
	/* A machine's name alone is its latest; an id or a time is not. */
	if (r == 0 && (slash ? point_name_is_latest(slash + 1)
			     : point_name_is_latest(text) ||
				       strcmp(text, l->points[*out]->vm) == 0))
		doubt_latest(l, *out);
	return r;
}
