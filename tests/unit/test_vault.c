/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Opening a vault: who is asked for a credential, and when. */
#include "config.h"

#include "tests/unit/support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/backend/backend.h"
#include "store/backend/mem.h"
#include "store/catalog/catalog.h"
#include "store/format.h"
#include "store/vault.h"
#include "tests/unit/vaults.h"

/* Somebody who is asked for the key. */
struct person {
	struct credential credential;
	int result; /* what comes instead of an answer */
	unsigned int asked;
};

static int answer(void *arg, struct credential *out)
{
	struct person *p = arg;

	p->asked++;
	if (p->result == 0)
		*out = p->credential;
	return p->result;
}

static struct vault_options asking(struct person *p, struct backend *b)
{
	struct vault_options o = vaults_options(NULL, b, NULL, NULL);

	*p = (struct person){ .credential = o.credential };
	o.credential = (struct credential){ NULL, NULL };
	o.ask = answer;
	o.ask_arg = p;
	return o;
}

static struct backend *new_vault(void)
{
	struct backend *b = backend_mem_new();
	struct vault_options o = vaults_options(NULL, b, NULL, NULL);
	char id[33];

	support_log_capture();
	support_log_clear();
	assert_non_null(b);
	assert_ok(vault_create(&o, 0, id));
	return b;
}

static void asked_once(void **state)
{
	struct backend *b = new_vault();
	struct person p;
	struct vault_options o = asking(&p, b);
	struct vault *v;

	(void)state;
	assert_ok(vault_open(&o, &v));
	assert_int_equal(p.asked, 1);
	vault_close(v);
	backend_close(b);
}

/* Whoever has no answer is not told that the key was wrong. */
static void no_answer(void **state)
{
	struct backend *b = new_vault();
	struct person p;
	struct vault_options o = asking(&p, b);
	struct vault *v;

	(void)state;
	p.result = -ENOKEY;
	assert_result(vault_open(&o, &v), -ENOKEY);
	assert_null(v);
	assert_string_equal(support_log_text(), "");
	backend_close(b);
}

static void not_asked_without_a_vault(void **state)
{
	struct backend *b = new_vault();
	struct person p;
	struct vault_options o = asking(&p, b);
	struct vault *v;

	(void)state;
	assert_ok(backend_mem_remove(b, "config"));
	assert_ok(backend_mem_remove(b, "config.copy"));
	assert_result(vault_open(&o, &v), -ENOENT);
	assert_said("there is no vault here; make one with: vmbackup init");
	assert_int_equal(p.asked, 0);
	backend_close(b);
}

/* A bit among those that say what a reader must be able to do. */
static void not_asked_for_a_newer_vault(void **state)
{
	struct backend *b = new_vault();
	struct person p;
	struct vault_options o = asking(&p, b);
	struct vault *v;
	static const char *const both[] = { "config", "config.copy" };
	size_t len, i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(both); i++) {
		uint8_t *config = backend_mem_data(b, both[i], &len);

		assert_non_null(config);
		config[FORMAT_BOX_LEN] |= 1;
	}
	assert_result(vault_open(&o, &v), -EOPNOTSUPP);
	assert_int_equal(p.asked, 0);
	backend_close(b);
}

/* The folder of the local database of the vault at @url; the caller frees it. */
static char *database_of(const char *url, const char *cache)
{
	struct vault_options o = vaults_options(url, NULL, NULL, cache);
	struct vault *v;
	char *dir;

	assert_ok(vault_open(&o, &v));
	dir = strdup(catalog_dir(vault_catalog(v)));
	vault_close(v);
	assert_non_null(dir);
	return dir;
}

/* A copy of a vault has the same id and need not hold the same, so that neither is
 * taken for the other's past; but whatever way leads to a vault, it is that one. */
static void a_copy_has_a_database_of_its_own(void **state)
{
	char *url = strdup(support_path("%s/vault", support_tmpdir()));
	char *copy = strdup(support_path("%s/copy", support_tmpdir()));
	char *way = strdup(support_path("%s/way", support_tmpdir()));
	char *cache = strdup(support_path("%s/cache", support_tmpdir()));
	struct vault_options o = vaults_options(url, NULL, NULL, NULL);
	char *dirs[3], id[33];
	size_t i;

	(void)state;
	support_log_capture();
	assert_ok(vault_create(&o, 0, id));
	vaults_copy(url, copy);
	assert_int_equal(symlink(url, way), 0);
	dirs[0] = database_of(url, cache);
	dirs[1] = database_of(copy, cache);
	dirs[2] = database_of(way, cache);
	assert_string_not_equal(dirs[0], dirs[1]);
	assert_string_equal(dirs[0], dirs[2]);
	for (i = 0; i < 3; i++)
		free(dirs[i]);
	free(url);
	free(copy);
	free(way);
	free(cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(asked_once),
		cmocka_unit_test(no_answer),
		cmocka_unit_test(not_asked_without_a_vault),
		cmocka_unit_test(not_asked_for_a_newer_vault),
		cmocka_unit_test(a_copy_has_a_database_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
