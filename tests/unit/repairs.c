/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See repairs.h. */
#include "config.h"

#include "tests/unit/repairs.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/backend/backend.h"
#include "store/backend/mem.h"
#include "store/base/task.h"
#include "store/check/check.h"
#include "store/chunk.h"
#include "store/content.h"
#include "store/format.h"
#include "store/point.h"
#include "store/tree.h"

/* ---- what can be restored ---- */

/* So much is read of a file with holes that no memory would hold. */
#define READ_MAX (UINT64_C(64) << 20)

struct reading {
	struct vault *vault;
	const struct point *point;
	struct idset *out;
};

static void add_key(struct reading *rd, const struct buf *name, char kind,
		    const void *data, size_t len)
{
	struct sha256 *h;
	struct id key;

	assert_ok(sha256_new(&h));
	assert_ok(sha256_update(h, rd->point->id, sizeof(rd->point->id)));
	assert_ok(sha256_update(h, &kind, 1));
	assert_ok(sha256_update(h, &name->len, sizeof(name->len)));
	assert_ok(sha256_update(h, name->data, name->len));
	assert_ok(sha256_update(h, data, len));
	assert_ok(sha256_finish(h, key.b));
	sha256_free(h);
	assert_true(idset_add(rd->out, &key) >= 0);
}

static void add_content(struct reading *rd, const struct buf *name,
			struct content_ref c)
{
	size_t len = c.size > READ_MAX ? 4096 : (size_t)c.size;
	AUTO_FREE uint8_t *data = malloc(len + 1);

	assert_non_null(data);
	if (content_read(rd->vault, &c, 0, data, len) == 0)
		add_key(rd, name, 'c', data, len);
}

static void add_entry(struct reading *rd, const struct buf *name,
		      const struct entry *e)
{
	AUTO_BUF struct buf xattrs = BUF_INIT;

	add_key(rd, name, 'e', e->raw, e->raw_len);
	if (e->flags & ENTRY_XATTRS_CHUNK &&
	    chunk_read_all(rd->vault, CHUNK_XATTRS, &e->xattrs_id, &xattrs) ==
		    0)
		add_key(rd, name, 'x', xattrs.data, xattrs.len);
	if (S_ISREG(e->mode))
		add_content(rd, name, entry_content(e));
}

static int on_node(void *arg, const struct id *id, struct leaf *leaf, int error)
{
	struct reading *rd = arg;
	size_t i;

	(void)id;
	for (i = 0; leaf && !error && i < leaf_count(leaf); i++) {
		AUTO_BUF struct buf name = BUF_INIT;
		struct entry e;
		size_t len;
		const uint8_t *key = leaf_dirkey(leaf, i, &len);

		leaf_entry(leaf, i, &e);
		if (len)
			buf_put(&name, key, len);
		buf_put_u8(&name, 0);
		if (e.name_len)
			buf_put(&name, e.name, e.name_len);
		add_entry(rd, &name, &e);
	}
	return 0;
}

static void read_point(struct reading *rd)
{
	const struct point *p = rd->point;
	size_t i;

	int r = p->has_tree ? tree_nodes(rd->vault, &p->root, on_node, rd) : 0;

	if (r < 0 && !backend_error_is_of_object(r))
		fail_msg("point %s: %d", p->id, r);
	for (i = 0; i < p->ndisks; i++) {
		AUTO_BUF struct buf name = BUF_INIT;

		buf_printf(&name, "disk %s", p->disks[i].name);
		add_content(rd, &name, point_disk_content(&p->disks[i]));
	}
}

void restorable(struct backend *b, point_wanted_fn *wanted, struct idset *out)
{
	struct vault_options o = vaults_options(NULL, b, NULL, NULL);
	struct point_list *l = NULL;
	struct vault *v = NULL;
	size_t i;

	if (vault_open(&o, &v) < 0)
		return;
	vault_show_forgotten(v);
	if (vault_points(v, &l) == 0)
		for (i = 0; i < l->n; i++) {
			struct reading rd = { v, l->points[i], out };

			if (!wanted || wanted(l->points[i]->id))
				read_point(&rd);
		}
	point_list_put(l);
	vault_close(v);
}

size_t idset_lacking(const struct idset *a, const struct idset *b)
{
	static const struct id none;
	size_t i, n = 0;

	for (i = 0; i < a->cap; i++)
		n += !id_equal(&a->slots[i], &none) &&
		     !idset_has(b, &a->slots[i]);
	return n;
}

void assert_restorable(const struct idset *before, struct backend *b,
		       const char *what)
{
	struct idset after = { 0 };
	size_t lacking;

	restorable(b, NULL, &after);
	lacking = idset_lacking(before, &after);
	if (lacking)
		fail_msg("%s: %zu things cannot be restored any more", what,
			 lacking);
	idset_release(&after);
}

/* ---- repairing ---- */

static repair_fn *const kinds[] = { repair_keys, repair_packs, repair_index,
				    repair_points };

char repair_said[8192];

static void say(void *arg, enum repair_verdict verdict, const char *object,
		const char *text)
{
	size_t n = strlen(repair_said);

	(void)arg;
	snprintf(repair_said + n, sizeof(repair_said) - n, "%d %s: %s\n",
		 (int)verdict, object, text);
}

int repair_run(struct backend *b, repair_fn *fn, bool apply,
	       struct backend *from, struct repair_result *out)
{
	struct vault_options o = vaults_options(NULL, b, NULL, NULL);
	struct vault_options from_o = vaults_options(NULL, from, NULL, NULL);
	struct repair_options ro = { .apply = apply,
				     .read_data = fn != repair_index,
				     .level = 1,
				     .disk_level = 1,
				     .say = say };
	struct task task = { .stop = NULL };
	struct vault *v = NULL;
	int r;

	*out = (struct repair_result){ .repaired = 0 };
	r = vault_open(&o, &v);
	if (r == 0 && from)
		r = vault_open(&from_o, &ro.from);
	if (r == 0)
		r = fn(v, &ro, &task, out);
	vault_close(ro.from);
	vault_close(v);
	return r;
}

int repair_all(struct backend *b, bool apply, struct repair_result *sum)
{
	size_t i;
	int r = 0;

	*sum = (struct repair_result){ .repaired = 0 };
	repair_said[0] = '\0';
	for (i = 0; i < ARRAY_SIZE(kinds) && r == 0; i++) {
		struct repair_result one;

		r = repair_run(b, kinds[i], apply, NULL, &one);
		sum->repaired += one.repaired;
		sum->left += one.left;
	}
	return r;
}

/* ---- what check says ---- */

const char *verdict_name(enum verdict v)
{
	static const char *const names[] = {
		[WHOLE] = "no damage",
		[NAMED] = "the object named",
		[TOLD] = "something else named",
		[CLOSED] = "not opened",
	};

	return names[v];
}

enum verdict judge(struct backend *b, const char *name, char first_out[256])
{
	struct vault_options o = vaults_options(NULL, b, NULL, NULL);
	struct check_options co = { .read_data = true,
				    .threads = 1,
				    .look_only = true };
	struct task task = { .stop = NULL };
	enum verdict verdict = WHOLE;
	struct check_result res;
	struct vault *v;
	size_t i;

	support_log_clear();
	if (first_out)
		first_out[0] = '\0';
	if (vault_open(&o, &v) < 0) {
		assert_true(*support_log_text());
		return CLOSED;
	}
	assert_ok(check_run(v, &co, &task, &res));
	for (i = 0; i < res.nfindings; i++) {
		const struct check_finding *f = res.findings[i];

		if (!f->damage)
			continue;
		if (verdict == WHOLE && first_out)
			snprintf(first_out, 256, "%s: %s", f->object, f->text);
		if (strncmp(f->object, name, strlen(name)) == 0)
			verdict = NAMED;
		else if (verdict == WHOLE)
			verdict = TOLD;
	}
	assert_int_equal(verdict != WHOLE, res.damages > 0);
	check_release(&res);
	vault_close(v);
	return verdict;
}

/* ---- backends ---- */

bool backends_are_same(struct backend *a, struct backend *b)
{
	size_t i, n = backend_mem_nobjects(a);

	if (n != backend_mem_nobjects(b))
		return false;
	for (i = 0; i < n; i++) {
		const char *name = backend_mem_name(a, i);
		size_t la, lb;
		const uint8_t *da = backend_mem_data(a, name, &la);
		const uint8_t *db = backend_mem_data(b, name, &lb);

		if (!db || la != lb || (la && memcmp(da, db, la) != 0))
			return false;
	}
	return true;
}

/* What opens a vault is put in the place of what was damaged: config is what its copy
 * is then. (What is in epoch/<n>, opening the vault proves.) */
static bool is_mended(struct backend *b, const char *name)
{
	size_t la, lb;
	const uint8_t *config = backend_mem_data(b, "config", &la);
	const uint8_t *copy = backend_mem_data(b, "config.copy", &lb);

	if (strncmp(name, "epoch/", 6) == 0)
		return true;
	return strncmp(name, "config", 6) == 0 && config && copy && la == lb &&
	       memcmp(config, copy, la) == 0;
}

void assert_only_added(struct backend *before, struct backend *b,
		       const char *what)
{
	size_t i;

	for (i = 0; i < backend_mem_nobjects(before); i++) {
		const char *name = backend_mem_name(before, i);
		size_t la, lb;
		const uint8_t *da = backend_mem_data(before, name, &la);
		const uint8_t *db = backend_mem_data(b, name, &lb);

		if ((!db || la != lb || (la && memcmp(da, db, la) != 0)) &&
		    !is_mended(b, name))
			fail_msg("%s: %s was changed", what, name);
	}
}

bool vault_opens(struct backend *b)
{
	struct vault_options o = vaults_options(NULL, b, NULL, NULL);
	struct vault *v = NULL;
	int r = vault_open(&o, &v);

	vault_close(v);
	return r == 0;
}
