/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A point in memory: its members, their bounds, and the forms of its time.
 */
#include "config.h"

#include "store/point_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/base/arena.h"
#include "store/base/hex.h"
#include "store/base/log.h"
#include "store/base/text.h"
#include "store/content.h"
#include "store/crypt/crypt.h"
#include "store/format.h"
#include "store/index.h"
#include "store/record/note.h"

#define NS_PER_S INT64_C(1000000000)

struct point *point_new(void)
{
	struct point *p = calloc(1, sizeof(struct point));

	if (p)
		p->refs = 1;
	return p;
}

struct point *point_get(struct point *p)
{
	__atomic_add_fetch(&p->refs, 1, __ATOMIC_RELAXED);
	return p;
}

int point_machine_of(const char *vm, uint32_t n, char out[POINT_ID_HEX + 1])
{
	static const char label[] = "vmbackupfs/1/machine/";
	uint8_t hash[CRYPT_SHA256_LEN];
	AUTO_BUF struct buf b = BUF_INIT;
	int r;

	buf_put(&b, label, sizeof(label) - 1);
	buf_put(&b, vm, strlen(vm));
	if (n > 0) {
		buf_put_u8(&b, 0);
		buf_put_le32(&b, n);
	}
	r = buf_error(&b);
	if (r == 0)
		r = crypt_sha256(b.data, b.len, hash);
	if (r == 0)
		hex_encode(hash, POINT_ID_HEX / 2, out);
	return r;
}

void point_free(struct point *p)
{
	size_t i;

	if (!p || __atomic_sub_fetch(&p->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	if (p->arena) {
		arena_put(p->arena);
		return;
	}
	for (i = 0; i < p->nnotes; i++)
		note_release(&p->notes[i]);
	for (i = 0; i < p->ntags; i++)
		point_free_part(p, p->tags[i]);
	for (i = 0; i < p->nsources; i++)
		point_free_part(p, p->sources[i]);
	for (i = 0; i < p->left_out.npatterns; i++)
		point_free_part(p, p->left_out.patterns[i].text);
	for (i = 0; i < p->left_out.nmounts; i++)
		point_free_part(p, p->left_out.mounts[i]);
	for (i = 0; i < p->ndisks; i++) {
		point_free_part(p, p->disks[i].name);
		point_free_part(p, p->disks[i].format);
		point_free_part(p, p->disks[i].source);
		point_free_part(p, p->disks[i].bitmap);
		point_free_part(p, p->disks[i].content);
	}
	for (i = 0; i < p->nconfigs; i++) {
		point_free_part(p, p->configs[i].name);
		point_free_part(p, p->configs[i].content);
	}
	for (i = 0; i < p->nindex; i++)
		point_free_part(p, p->index[i]);
	point_free_part(p, p->index);
	point_free_part(p, p->left_out.patterns);
	point_free_part(p, p->left_out.mounts);
	point_free_part(p, p->disks);
	point_free_part(p, p->configs);
	point_free_part(p, p->tags);
	point_free_part(p, p->sources);
	point_free_part(p, p->vm);
	point_free_part(p, p->host);
	point_free_part(p, p->user);
	point_free_part(p, p->program);
	point_free_part(p, p->extra);
	point_free_part(p, p->notes);
	point_free_part(p, p->named);
	point_free_part(p, p->open_forgets);
	point_free_part(p, p->unread_forgets);
	point_free_part(p, p->forget_reason);
	free(p);
}

/* ---- lists ---- */

struct point_list *point_list_get(struct point_list *l)
{
	__atomic_add_fetch(&l->refs, 1, __ATOMIC_RELAXED);
	return l;
}

void point_list_put(struct point_list *l)
{
	size_t i;

	if (!l || __atomic_sub_fetch(&l->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	for (i = 0; i < l->n; i++)
		point_free(l->points[i]);
	for (i = 0; i < l->nmachines; i++)
		free(l->machines[i].name);
	free(l->machines);
	free(l->points);
	free(l->names);
	free(l->signatures);
	free(l->damaged);
	for (i = 0; i < l->nforgotten; i++)
		point_free(l->forgotten[i]);
	free(l->forgotten);
	for (i = 0; i < l->nuntrusted; i++)
		point_free(l->untrusted[i]);
	free(l->untrusted);
	free(l);
}

/* ---- names ---- */

/* A name becomes a directory of the mount and a part of what people type, so it
 * may not lead elsewhere, nor change what a terminal shows. */
bool point_name_ok(const char *name)
{
	size_t len = strnlen(name, POINT_NAME_MAX + 1);

	return len > 0 && len <= POINT_NAME_MAX && !memchr(name, '/', len) &&
	       strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
	       text_is_plain(name, len);
}

bool point_hex_ok(const char *text, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (!strchr("0123456789abcdef", text[i]) || !text[i])
			return false;
	return true;
}

static bool id_ok(const char *id)
{
	return strnlen(id, POINT_ID_HEX + 1) == POINT_ID_HEX &&
	       point_hex_ok(id, POINT_ID_HEX);
}

static bool text_ok(const char *text)
{
	return strnlen(text, POINT_TEXT_MAX + 1) <= POINT_TEXT_MAX;
}

static int compare_tags(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void point_sort_tags(struct point *p)
{
	size_t i, n = 0;

	if (p->ntags > 1)
		qsort(p->tags, p->ntags, sizeof(*p->tags), compare_tags);
	for (i = 0; i < p->ntags; i++) {
		if (n > 0 && strcmp(p->tags[n - 1], p->tags[i]) == 0)
			point_free_part(p, p->tags[i]);
		else
			p->tags[n++] = p->tags[i];
	}
	p->ntags = n;
}

static int compare_disks(const void *a, const void *b)
{
	return strcmp(((const struct point_disk *)a)->name,
		      ((const struct point_disk *)b)->name);
}

static int compare_configs(const void *a, const void *b)
{
	return strcmp(((const struct point_config *)a)->name,
		      ((const struct point_config *)b)->name);
}

void point_sort(struct point *p)
{
	if (p->ndisks > 1)
		qsort(p->disks, p->ndisks, sizeof(*p->disks), compare_disks);
	if (p->nconfigs > 1)
		qsort(p->configs, p->nconfigs, sizeof(*p->configs),
		      compare_configs);
}

const struct point_disk *point_find_disk(const struct point *p,
					 const char *name)
{
	size_t i;

	for (i = 0; i < p->ndisks; i++)
		if (!strcmp(p->disks[i].name, name))
			return &p->disks[i];
	return NULL;
}

struct content_ref point_disk_content(const struct point_disk *d)
{
	return (struct content_ref){ .data = d->content,
				     .len = d->content_len,
				     .size = d->size,
				     .type = CHUNK_DISK };
}

struct content_ref point_config_content(const struct point_config *c)
{
	return (struct content_ref){ .data = c->content,
				     .len = c->content_len,
				     .size = c->size,
				     .type = CHUNK_DATA };
}

/* No dot in front: "ls" would hide the disk. */
static bool member_ok(const char *name, const struct content_ref *content)
{
	return name && point_name_ok(name) && name[0] != '.' &&
	       strlen(name) <= POINT_MEMBER_NAME_MAX &&
	       content->len <= POINT_CONTENT_MAX &&
	       content->size <= CONTENT_SIZE_MAX && content_check(content) == 0;
}

static const char *check_disks(const struct point *p)
{
	size_t i;

	if (p->ndisks > POINT_DISKS_MAX)
		return "it has over 1024 disks";
	for (i = 0; i < p->ndisks; i++) {
		const struct point_disk *d = &p->disks[i];
		struct content_ref content = point_disk_content(d);

		if (!member_ok(d->name, &content))
			return "a disk's name or content is malformed";
		if (i > 0 && compare_disks(d - 1, d) >= 0)
			return "its disks are not in order";
		if (d->used > d->size)
			return "a disk uses more than its size";
		if (d->sector < 512 || d->sector > 65536 ||
		    (d->sector & (d->sector - 1)) != 0)
			return "a disk's sectors are of no size there is";
		if ((d->format && !text_ok(d->format)) ||
		    (d->source && !text_ok(d->source)))
			return "a disk's text is over 1024 bytes";
	}
	return NULL;
}

static const char *check_configs(const struct point *p)
{
	size_t i;

	if (p->nconfigs > POINT_CONFIGS_MAX)
		return "it has over 1024 config files";
	for (i = 0; i < p->nconfigs; i++) {
		const struct point_config *f = &p->configs[i];
		struct content_ref content = point_config_content(f);

		if (!member_ok(f->name, &content))
			return "a config file's name or content is malformed";
		if (i > 0 && compare_configs(f - 1, f) >= 0)
			return "its config files are not in order";
	}
	return NULL;
}

static bool path_ok(const char *path)
{
	return path[0] == '/' &&
	       strnlen(path, POINT_PATH_MAX + 1) <= POINT_PATH_MAX;
}

static const char *check_left_out(const struct point_left_out *l)
{
	size_t i, len;

	if (l->npatterns > POINT_LEFT_OUT_MAX ||
	    l->nmounts > POINT_LEFT_OUT_MAX)
		return "it lists over 100000 things that were left out";
	for (i = 0; i < l->npatterns; i++) {
		len = strnlen(l->patterns[i].text, POINT_PATH_MAX + 1);
		if (len == 0 || len > POINT_PATH_MAX)
			return "a pattern is empty or over 65535 bytes";
	}
	for (i = 0; i < l->nmounts; i++)
		if (!path_ok(l->mounts[i]) ||
		    (i > 0 && strcmp(l->mounts[i - 1], l->mounts[i]) >= 0))
			return "what was not entered is not a sorted list of "
			       "absolute paths";
	return NULL;
}

static const char *check_index(const struct point *p)
{
	size_t i;

	if (p->nindex > POINT_INDEX_MAX)
		return "it stands on over 1000 index objects";
	for (i = 0; i < p->nindex; i++)
		if (!index_name_ok(p->index[i]) ||
		    (i > 0 && strcmp(p->index[i - 1], p->index[i]) >= 0))
			return "what it stands on is not a sorted list of "
			       "index objects";
	return NULL;
}

const char *point_check(const struct point *p)
{
	const char *why;
	size_t i;

	if (!id_ok(p->id))
		return "its id is not 32 digits";
	if (!id_ok(p->session))
		return "its session is not 32 digits";
	if (p->parent[0] && !id_ok(p->parent))
		return "its parent is not 32 digits";
	if (!p->vm || !point_name_ok(p->vm))
		return "its machine's name is not a name";
	if (!p->host || !text_ok(p->host))
		return "its host is missing or over 1024 bytes";
	if (p->user && !text_ok(p->user))
		return "its user is over 1024 bytes";
	if (p->program && !text_ok(p->program))
		return "its program is over 1024 bytes";
	if (p->ntags > POINT_TAGS_MAX)
		return "it has over 1000 tags";
	for (i = 0; i < p->ntags; i++)
		if (!point_name_ok(p->tags[i]))
			return "a tag is not a name";
	if (p->nsources > POINT_SOURCES_MAX)
		return "it has over 100000 sources";
	for (i = 0; i < p->nsources; i++)
		if (!path_ok(p->sources[i]))
			return "a source is not an absolute path";
	if (p->entries > INT64_MAX || p->files > INT64_MAX ||
	    p->bytes > INT64_MAX || p->errors > INT64_MAX ||
	    p->data_added > INT64_MAX || p->data_added_packed > INT64_MAX)
		return "a count is over 2^63";
	why = check_left_out(&p->left_out);
	if (!why)
		why = check_index(p);
	if (!why)
		why = check_disks(p);
	return why ? why : check_configs(p);
}

/* ---- times ---- */

/* All of 64 bits of nanoseconds lie in the years 1677 to 2262. */
static void broken_down(int64_t time_ns, struct tm *tm)
{
	int64_t s = time_ns / NS_PER_S;
	time_t t;

	if (time_ns % NS_PER_S < 0)
		s--;
	t = (time_t)s;
	if (!gmtime_r(&t, tm))
		memset(tm, 0, sizeof(*tm));
}

static char *put_digits(char *at, int v, int n)
{
	int i;

	for (i = n - 1; i >= 0; i--, v /= 10)
		at[i] = (char)('0' + v % 10);
	return at + n;
}

/* As strftime() has it, which asks the system for its time zone each time. */
static void put_time(int64_t time_ns, const char *colon, char *out)
{
	struct tm tm;

	broken_down(time_ns, &tm);
	out = put_digits(out, tm.tm_year + 1900, 4);
	*out++ = '-';
	out = put_digits(out, tm.tm_mon + 1, 2);
	*out++ = '-';
	out = put_digits(out, tm.tm_mday, 2);
	*out++ = 'T';
	out = stpcpy(put_digits(out, tm.tm_hour, 2), colon);
	out = stpcpy(put_digits(out, tm.tm_min, 2), colon);
	(void)stpcpy(put_digits(out, tm.tm_sec, 2), "Z");
}

void point_time_name(int64_t time_ns, char out[POINT_TIME_LEN])
{
	put_time(time_ns, "", out);
}

void point_time_rfc3339(int64_t time_ns, char out[POINT_RFC3339_LEN])
{
	put_time(time_ns, ":", out);
}

/* Compare with a form in which '9' stands for any digit. */
static bool has_form(const char *text, const char *form)
{
	for (; *form; text++, form++)
		if (*form == '9' ? *text < '0' || *text > '9' : *text != *form)
			return false;
	return *text == '\0';
}

static int number(const char *text, size_t len)
{
	int v = 0;

	while (len-- > 0)
		v = 10 * v + (*text++ - '0');
	return v;
}

void point_put_name(const struct point *p, int digits, char out[POINT_NAME_LEN])
{
	char *end;

	point_time_name(p->time_ns, out);
	if (digits == 0)
		return;
	end = out + strlen(out);
	*end++ = '-';
	memcpy(end, p->id, (size_t)digits);
	end[digits] = '\0';
}

bool point_is_to_come(const struct point *p, int64_t now_ns)
{
	return p->time_ns > now_ns && p->time_ns - now_ns > POINT_CLOCKS_NS;
}

int point_parse_time(const char *text, int64_t *out)
{
	size_t colon = 1;
	char again[POINT_RFC3339_LEN];
	struct tm tm = { 0 };
	int64_t ns;
	time_t t;

	if (has_form(text, "9999-99-99T999999Z"))
		colon = 0;
	else if (!has_form(text, "9999-99-99T99:99:99Z"))
		return -EINVAL;
	tm.tm_year = number(text, 4) - 1900;
	tm.tm_mon = number(text + 5, 2) - 1;
	tm.tm_mday = number(text + 8, 2);
	tm.tm_hour = number(text + 11, 2);
	tm.tm_min = number(text + 13 + colon, 2);
	tm.tm_sec = number(text + 15 + 2 * colon, 2);
	t = timegm(&tm);
	if (__builtin_mul_overflow((int64_t)t, NS_PER_S, &ns))
		return -EINVAL;
	/* February 30th and the like come back as another day. */
	if (colon)
		point_time_rfc3339(ns, again);
	else
		point_time_name(ns, again);
	if (strcmp(text, again) != 0)
		return -EINVAL;
	*out = ns;
	return 0;
}
