/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The vault in tests/golden: still readable, and still what is written. */
#include "config.h"

#include "tests/unit/golden.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/backend/mem.h"
#include "store/base/seam.h"
#include "store/base/secret.h"
#include "store/base/task.h"
#include "store/check/check.h"
#include "store/content.h"
#include "store/format.h"
#include "store/point.h"
#include "store/tree.h"
#include "store/vault.h"
#include "tests/unit/vaults.h"

static const char *stored(void)
{
	const char *srcdir = getenv("srcdir");

	return support_path("%s/tests/golden/vault", srcdir ? srcdir : ".");
}

static int count_object(void *arg, const char *name,
			const struct backend_info *info)
{
	(void)name;
	(void)info;
	++*(size_t *)arg;
	return 0;
}

/* All but sessions, which say what program wrote them. (Another version of
 * zstd may compress otherwise: then compare with what this one makes of the
 * old sources before anything else is suspected.) */
static void made_anew_it_is_the_same(void **state)
{
	struct backend *mem = backend_mem_new(), *dir;
	size_t i, n = 0, len, stored_len;
	uint8_t *old;

	(void)state;
	assert_non_null(mem);
	golden_make(mem);
	assert_ok(backend_open(stored(), WITH_SEAM(seam_system()), &dir));
	for (i = 0; i < backend_mem_nobjects(mem); i++) {
		const char *name = backend_mem_name(mem, i);
		const uint8_t *data = backend_mem_data(mem, name, &len);

		assert_ok(backend_get_all(dir, name, FORMAT_PACK_MAX, &old,
					  &stored_len));
		if (strncmp(name, "session/", 8) != 0 &&
		    (len != stored_len || memcmp(old, data, len) != 0))
			fail_msg("%s is not what it was", name);
		free(old);
	}
	assert_ok(backend_list(dir, "", count_object, &n));
	assert_int_equal(n, backend_mem_nobjects(mem));
	backend_close(mem);
	backend_close(dir);
}

static void assert_text(struct vault *v, const struct point *p)
{
	AUTO_FREE uint8_t *want = malloc(GOLDEN_TEXT_LEN);
	AUTO_FREE uint8_t *got = malloc(GOLDEN_TEXT_LEN);
	AUTO_BUF struct buf dir = BUF_INIT;
	struct content_ref content;
	struct cursor c = { 0 };
	struct entry e;

	golden_text(want);
	assert_ok(tree_path_key(&dir, "/srv"));
	assert_ok(tree_lookup(v, &p->root, dir.data, dir.len, "text", 4, &c));
	cursor_entry(&c, &e);
	assert_int_equal(e.size, GOLDEN_TEXT_LEN);
	assert_int_equal(e.mtime.sec, -86401);
	assert_int_equal(e.gid, 100000);
	content = entry_content(&e);
	assert_ok(content_read(v, &content, 0, got, GOLDEN_TEXT_LEN));
	assert_memory_equal(want, got, GOLDEN_TEXT_LEN);
	cursor_release(&c);
}

static void assert_readable(const struct vault_options *o)
{
	uint8_t digest[CRYPT_SHA256_LEN];
	struct point_list *l;
	struct vault *v;

	assert_ok(vault_open(o, &v));
	assert_ok(vault_points(v, &l));
	assert_int_equal(l->n, 3);
	assert_int_equal(l->ndamaged, 0);
	assert_string_equal(l->names[0], "2026-11-22T101500Z");
	assert_string_equal(l->names[1], "2026-11-22T111500Z");
	assert_string_equal(l->points[0]->tags[0], "first");
	assert_int_equal(l->points[0]->entries, 1219);
	assert_string_equal(l->names[2], "2026-11-22T121500Z");
	assert_text(v, l->points[0]);
	/* What lies beside points. */
	assert_non_null(strstr(l->points[2]->extra, "\"alice\""));
	assert_true(l->points[2]->is_protected);
	assert_false(l->points[1]->is_protected);
	assert_int_equal(l->points[2]->nnotes, 1);
	/* The file of 1 TiB is not read byte by byte. */
	assert_ok(vaults_digest(v, l->points[1], "/srv", digest));
	point_list_put(l);
	vault_close(v);
}

/* How many damages a check finds that puts nothing beside the sources. */
static uint64_t damages(const struct vault_options *o)
{
	struct check_options co = { .read_data = true, .look_only = true };
	struct task task = { .stop = NULL };
	struct check_result found;
	struct vault *v;
	uint64_t n;

	assert_ok(vault_open(o, &v));
	assert_ok(check_run(v, &co, &task, &found));
	n = found.damages;
	check_release(&found);
	vault_close(v);
	return n;
}

static void it_can_be_read(void **state)
{
	struct vault_options o = vaults_options(stored(), NULL, NULL, NULL);

	(void)state;
	assert_readable(&o);
	assert_int_equal(damages(&o), 0);
}

static void it_opens_with_the_password(void **state)
{
	struct secret *s = secret_new(strlen(GOLDEN_PASSWORD));
	struct vault_options o = { .url = stored() };

	(void)state;
	assert_non_null(s);
	memcpy(s->data, GOLDEN_PASSWORD, s->len);
	o.credential.passphrase = s;
	assert_readable(&o);
	s->data[0] ^= 1;
	support_log_capture();
	{
		struct vault *v;

		assert_result(vault_open(&o, &v), -EKEYREJECTED);
		assert_null(v);
	}
	secret_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(made_anew_it_is_the_same),
		cmocka_unit_test(it_can_be_read),
		cmocka_unit_test(it_opens_with_the_password),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
