/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * keep_run: apply retention policies that keep.py sends, line by line:
 *
 *     policy COUNT*6 WITHIN_NS*6 GROUP_BY REMOVE_ALL TAGS
 *     point ID MACHINE HOST TAGS PATHS TIME_NS STORED_NS UNTIL_NS FLAGS
 *     run NOW_NS VAULT_NS
 *
 * Lists are separated by commas, those of the policy's TAGS by semicolons; "-" is
 * an empty one. "run" judges the points since the last one, and prints "ID REASONS
 * OLDEST DOUBTS GROUP" of each, by group and receipt, and then ".".
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/retain/keep.h"
#include "store/base/array.h"

#define LIST_MAX 16

struct list {
	const char *items[LIST_MAX];
	size_t n;
};

struct given {
	char *line; /* owned; the strings lie in it */
	struct list tags, paths;
	struct keep_point point;
};

struct judge {
	struct keep_policy policy;
	struct keep_tags tags[LIST_MAX];
	struct list tag_lists[LIST_MAX];
	char *policy_line; /* owned */
	struct given **points; /* owned */
	size_t n, cap;
};

static void require(bool is_right, const char *what)
{
	if (is_right)
		return;
	fprintf(stderr, "keep_run: %s\n", what);
	exit(1);
}

static char *next_word(char **line)
{
	char *word;

	do
		word = strsep(line, " \n");
	while (word && !*word);
	require(word, "a line is too short");
	return word;
}

static int64_t next_number(char **line)
{
	return strtoll(next_word(line), NULL, 10);
}

static void split(char *word, struct list *out)
{
	out->n = 0;
	if (strcmp(word, "-") == 0)
		return;
	while (word) {
		require(out->n < LIST_MAX, "a list is too long");
		out->items[out->n++] = strsep(&word, ",");
	}
}

static void read_policy(struct judge *j, char *line)
{
	struct keep_policy *p = &j->policy;
	char *tags;
	int i;

	memset(p, 0, sizeof(*p));
	for (i = 0; i < KEEP_RULES; i++)
		p->count[i] = (uint32_t)next_number(&line);
	for (i = 0; i < KEEP_RULES; i++)
		p->within_ns[i] = next_number(&line);
	p->group_by = (unsigned int)next_number(&line);
	p->remove_all = next_number(&line) != 0;
	tags = next_word(&line);
	p->tags = j->tags;
	if (strcmp(tags, "-") == 0)
		return;
	while (tags) {
		struct list *l = &j->tag_lists[p->ntags];

		require(p->ntags < LIST_MAX, "too many tags");
		split(strsep(&tags, ";"), l);
		j->tags[p->ntags++] = (struct keep_tags){ l->items, l->n };
	}
}

static void read_point(struct judge *j, char *line, char *owned)
{
	struct given *g = calloc(1, sizeof(*g));
	struct keep_point *p;

	require(g && array_reserve(&j->points, &j->cap, j->n + 1) == 0,
		"no memory");
	j->points[j->n++] = g;
	g->line = owned;
	p = &g->point;
	p->id = next_word(&line);
	p->machine = next_word(&line);
	p->host = next_word(&line);
	split(next_word(&line), &g->tags);
	split(next_word(&line), &g->paths);
	p->time_ns = next_number(&line);
	p->stored_ns = next_number(&line);
	p->until_ns = next_number(&line);
	p->flags = (unsigned int)next_number(&line);
	p->tags = g->tags.items;
	p->ntags = g->tags.n;
	p->paths = g->paths.items;
	p->npaths = g->paths.n;
}

static void run(struct judge *j, const struct keep_clock *clock)
{
	struct keep_point *points = alloc_array(j->n + 1, sizeof(*points));
	struct keep_verdict *v = alloc_array(j->n + 1, sizeof(*v));
	size_t *order = alloc_array(j->n + 1, sizeof(*order)), i;

	require(points && v && order, "no memory");
	for (i = 0; i < j->n; i++)
		points[i] = j->points[i]->point;
	require(keep_apply(&j->policy, points, j->n, clock, v, order) == 0,
		"no memory");
	for (i = 0; i < j->n; i++) {
		const struct keep_verdict *one = &v[order[i]];

		printf("%s %" PRIu32 " %" PRIu32 " %u %zu\n",
		       points[order[i]].id, one->reasons, one->oldest,
		       one->doubts, one->group);
	}
	puts(".");
	fflush(stdout);
	for (i = 0; i < j->n; i++) {
		free(j->points[i]->line);
		free(j->points[i]);
	}
	j->n = 0;
	free(points);
	free(v);
	free(order);
}

int main(void)
{
	static struct judge j;
	struct keep_clock clock;
	char *line = NULL, *rest, *word;
	size_t size = 0;

	while (getline(&line, &size, stdin) > 0) {
		rest = line;
		word = next_word(&rest);
		if (strcmp(word, "policy") == 0) {
			free(j.policy_line);
			j.policy_line = line;
			read_policy(&j, rest);
			line = NULL;
		} else if (strcmp(word, "point") == 0) {
			read_point(&j, rest, line);
			line = NULL;
		} else {
			require(strcmp(word, "run") == 0, "what is this?");
			clock.now_ns = next_number(&rest);
			clock.vault_ns = next_number(&rest);
			run(&j, &clock);
		}
	}
	free(line);
	free(j.policy_line);
	free(j.points);
	return 0;
}
