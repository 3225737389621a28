/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The verbs that change what opens a vault, ended or failing at each of their
 * state-changing calls: "key add", "remove", "passwd", "rotate", "import" and "repair
 * keys". Whatever happened, whoever could open the vault can, but for the key that was
 * to be removed; its point is whole; and the same verb run again does what it has to.
 */
#include "config.h"

#include "tests/unit/vaults.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/context.h"
#include "src/cmd/key_export.h"
#include "store/backend/backend.h"
#include "store/base/secret.h"
#include "store/base/task.h"
#include "store/crypt/keyring.h"
#include "store/epoch/rotate.h"
#include "store/point.h"
#include "store/repair/repair.h"
#include "tests/unit/seam_fault.h"

/* Those who have a key: the first is whoever runs the verb. */
enum person { OWN, OTHER, NEW, PERSONS };

static struct {
	const char *root, *base, *hurt, *lost, *document;
	struct secret *keys[PERSONS]; /* of OTHER and NEW; owned */
	char other_slot[33];
} scene;

static struct vault_options as(enum person who, const char *vault,
			       struct seam *seam)
{
	struct vault_options o = vaults_options(vault, NULL, seam, NULL);

	o.index_later = true;
	if (who != OWN)
		o.credential.keyfile = scene.keys[who];
	return o;
}

/* ---- the verbs ---- */

static int add(const char *vault, struct seam *seam)
{
	struct vault_options o = as(OWN, vault, seam);
	struct credential c = { .keyfile = scene.keys[NEW] };
	struct vault *v = NULL;
	char slot[33];
	int r = vault_open(&o, &v);

	if (r == 0)
		r = vault_key_add(v, &c, 0, NULL, slot);
	vault_close(v);
	return r;
}

static int remove_other(const char *vault, struct seam *seam)
{
	struct vault_options o = as(OWN, vault, seam);
	struct vault *v = NULL;
	int r = vault_open(&o, &v);

	if (r == 0)
		r = vault_key_remove(v, scene.other_slot);
	vault_close(v);
	/* It was done before. */
	return r == -ENOENT ? 0 : r;
}

/* As the command does it: a new slot, and the old one away once that opens. Whoever
 * runs it again has the old key, or that does not open any more. */
static int replace(const char *vault, struct seam *seam)
{
	struct vault_options o = as(OWN, vault, seam), after;
	struct credential c = { .keyfile = scene.keys[NEW] };
	struct vault *v = NULL;
	char slot[33], old[33];
	int r = vault_open(&o, &v);

	if (r == -EKEYREJECTED)
		return 0;
	if (r == 0) {
		memcpy(old, vault_slot(v), sizeof(old));
		r = vault_key_add(v, &c, 0, NULL, slot);
	}
	vault_close(v);
	v = NULL;
	after = as(NEW, vault, seam);
	after.slot = slot;
	if (r == 0)
		r = vault_open(&after, &v);
	if (r == 0)
		r = vault_key_remove(v, old);
	vault_close(v);
	return r;
}

static int rotate(const char *vault, struct seam *seam)
{
	struct vault_options o = as(OWN, vault, seam), other;
	struct rotate_key keys[2];
	struct vault *v = NULL;
	uint32_t epoch;
	int r = vault_open(&o, &v);

	memset(keys, 0, sizeof(keys));
	other = as(OTHER, vault, seam);
	keys[0].credential = &o.credential;
	keys[1].credential = &other.credential;
	if (r == 0)
		r = rotate_run(v, keys, 2, 0, &epoch);
	vault_close(v);
	return r;
}

static int import(const char *vault, struct seam *seam)
{
	struct context ctx = { .repository = vault,
			       .seam = seam ? seam : seam_system(),
			       .quiet = 1 };
	char *argv[] = { strdup("import"), strdup(scene.document) };
	int r = argv[0] && argv[1] ? key_export(&ctx, 2, argv) : -ENOMEM;

	free(argv[0]);
	free(argv[1]);
	free(ctx.url);
	free(ctx.cache);
	free(ctx.state);
	return r;
}

static int mend(const char *vault, struct seam *seam)
{
	struct repair_options ro = { .apply = true };
	struct repair_result res = { .repaired = 0 };
	struct vault_options o = as(OWN, vault, seam);
	struct task task = { .stop = NULL };
	struct vault *v = NULL;
	int r = vault_open(&o, &v);

	if (r == 0)
		r = repair_keys(v, &ro, &task, &res);
	vault_close(v);
	return r == 0 && res.left ? -EBADMSG : r;
}

static const struct verb {
	const char *name;
	int (*run)(const char *vault, struct seam *seam);
	const char *const *base;
	unsigned int must; /* 1 << person: who opens the vault at any time */
	/* Who opens it after, and writes. */
	enum person after;
	size_t calls; /* at the least */
} verbs[] = {
	{ "key add", add, &scene.base, 1 << OWN | 1 << OTHER, NEW, 5 },
	{ "key remove", remove_other, &scene.base, 1 << OWN, OWN, 2 },
	{ "key passwd", replace, &scene.base, 1 << OTHER, NEW, 7 },
	{ "key rotate", rotate, &scene.base, 1 << OWN | 1 << OTHER, OTHER, 20 },
	{ "key import", import, &scene.lost, 0, OWN, 20 },
	{ "repair keys", mend, &scene.hurt, 1 << OWN | 1 << OTHER, OTHER, 15 },
};

/* ---- what must be ---- */

/* Can they open the vault, and see its point? */
static bool opens(enum person who, const char *vault)
{
	struct vault_options o = as(who, vault, NULL);
	struct point_list *l = NULL;
	struct vault *v = NULL;
	bool ok = vault_open(&o, &v) == 0 && vault_points(v, &l) == 0 &&
		  l->n == 1 && l->ndamaged == 0;

	point_list_put(l);
	vault_close(v);
	return ok;
}

static void assert_open(const struct verb *verb, const char *vault,
			const char *what)
{
	unsigned int who;

	for (who = 0; who < PERSONS; who++)
		if (verb->must & 1 << who && !opens((enum person)who, vault))
			fail_msg("%s, %s: person %u is locked out: %s",
				 verb->name, what, who, support_log_text());
	/* At no moment is there no way in. */
	if (verb->run == replace && !opens(OWN, vault) && !opens(NEW, vault))
		fail_msg("%s, %s: neither key opens it", verb->name, what);
}

/* Run again it does its work, and all is well. */
static void assert_converges(const struct verb *verb, const char *vault,
			     const char *what, bool checks)
{
	struct vault_options o = as(verb->after, vault, NULL);
	struct vault *v;
	int r;

	support_log_clear();
	r = verb->run(vault, NULL);
	if (r < 0)
		fail_msg("%s, %s: run again: %d, %s", verb->name, what, r,
			 support_log_text());
	assert_open(verb, vault, what);
	if (!opens(verb->after, vault))
		fail_msg("%s, %s: run again, and not done", verb->name, what);
	assert_ok(vault_open(&o, &v));
	if (vault_may_write(v) < 0)
		fail_msg("%s, %s: cannot be written to", verb->name, what);
	vault_close(v);
	o.index_later = false;
	if (checks)
		assert_int_equal(vaults_check(&o), 0);
}

/* ---- what happens ---- */

#define FEW 10 /* calls, of which every second is tried each time */

struct run {
	const struct verb *verb;
	const char *vault;
	unsigned long n;
	enum seam_fault_action action;
	int err;
	bool sticky;
	unsigned long hits;
};

static int run_faulty(void *arg)
{
	struct run *run = arg;
	struct seam_fault f;
	int r;

	seam_fault_init(&f, NULL);
	seam_fault_at(&f, run->n, run->action, run->err, run->sticky);
	r = run->verb->run(run->vault, &f.seam);
	run->hits = f.hits;
	seam_fault_release(&f);
	return r < 0;
}

/* The verb meets this at call @n. Return false where there is none. */
static bool meets(struct run *run, const char *how)
{
	bool kills = run->action == SEAM_FAULT_KILL_BEFORE ||
		     run->action == SEAM_FAULT_KILL_AFTER;
	char what[64];
	int r;

	run->vault = support_path("%s/vault", scene.root);
	support_remove(run->vault);
	vaults_copy(*run->verb->base, run->vault);
	support_log_clear();
	r = kills ? support_fork(run_faulty, run) : run_faulty(run);
	if (kills)
		run->hits = r == -SIGKILL;
	snprintf(what, sizeof(what), "%s at call %lu", how, run->n);
	if (run->hits == 0)
		assert_int_equal(r, 0);
	else
		assert_open(run->verb, run->vault, what);
	/* No data are touched, so that each tenth time is often enough. */
	assert_converges(run->verb, run->vault, what, run->n % 10 == 5);
	return run->hits > 0;
}

static void each_call_of_each_verb(void **state)
{
	static const struct {
		const char *how;
		enum seam_fault_action action;
		int err;
		bool sticky;
	} ways[] = {
		{ "kill -9", SEAM_FAULT_KILL_BEFORE, 0, false },
		{ "EIO", SEAM_FAULT_FAIL, -EIO, false },
		{ "ENOSPC from there on", SEAM_FAULT_FAIL, -ENOSPC, true },
		{ "a lost answer", SEAM_FAULT_FAIL_AFTER, -EIO, false },
		{ "a short write", SEAM_FAULT_SHORT, 0, false },
	};
	size_t i, k, step;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(verbs); i++)
		for (k = 0; k < ARRAY_SIZE(ways); k++) {
			struct run run = { .verb = &verbs[i],
					   .n = 1,
					   .action = ways[k].action,
					   .err = ways[k].err,
					   .sticky = ways[k].sticky };

			/* Each way gets other calls, and with SOAK=1 all. */
			step = getenv("SOAK")	      ? 1
			       : verbs[i].calls < FEW ? 2
						      : 6;
			run.n += k % step;
			while (meets(&run, ways[k].how))
				run.n += step;
			if (ways[k].action != SEAM_FAULT_SHORT &&
			    run.n <= verbs[i].calls)
				fail_msg("%s, %s: only %lu calls",
					 verbs[i].name, ways[k].how, run.n - 1);
		}
}

/* ---- the vaults ---- */

static void spoil(const char *vault, const char *name)
{
	struct backend *b;
	uint8_t *data;
	size_t len;

	assert_ok(backend_open(vault, NULL, &b));
	assert_ok(backend_get_all(b, name, 1 << 20, &data, &len));
	data[len - 1] ^= 1;
	assert_ok(backend_replace(b, name, data, len));
	free(data);
	backend_close(b);
}

static void drop(const char *vault, const char *name)
{
	struct backend *b;

	assert_ok(backend_open(vault, NULL, &b));
	assert_ok(backend_delete(b, name));
	backend_close(b);
}

static void backup(const char *vault)
{
	struct vault_options o = as(OWN, vault, NULL);
	const char *dir = support_path("%s/src", scene.root);

	support_remove(dir);
	vaults_make_source(dir);
	vaults_make_disk(dir);
	assert_ok(vaults_open_and_backup(&o, dir, NULL));
}

/* A vault whose config is damaged, and which lost what says that it has an epoch, and
 * what keeps old programs away. */
static void make_hurt(void)
{
	scene.hurt = support_path("%s/hurt", scene.root);
	vaults_copy(scene.base, scene.hurt);
	assert_ok(rotate(scene.hurt, NULL));
	spoil(scene.hurt, "config");
	drop(scene.hurt, "epoch/1");
	drop(scene.hurt, "feature/0");
}

/* One that lost all that a copy of its keys has. */
static void make_lost(void)
{
	char *argv[2];
	struct context ctx = { .repository = scene.base,
			       .seam = seam_system(),
			       .quiet = 1 };
	struct vault_options o = as(OWN, scene.base, NULL);
	char own[64], other[64];
	struct vault *v;

	scene.document = support_path("%s/document", scene.root);
	argv[0] = strdup("export");
	argv[1] = strdup(scene.document);
	assert_true(argv[0] && argv[1]);
	assert_ok(key_export(&ctx, 2, argv));
	free(argv[0]);
	free(argv[1]);
	free(ctx.url);
	free(ctx.cache);
	free(ctx.state);
	assert_ok(vault_open(&o, &v));
	snprintf(own, sizeof(own), "key/%s", vault_slot(v));
	snprintf(other, sizeof(other), "key/%s", scene.other_slot);
	vault_close(v);
	scene.lost = support_path("%s/lost", scene.root);
	vaults_copy(scene.base, scene.lost);
	drop(scene.lost, "config");
	drop(scene.lost, "config.copy");
	drop(scene.lost, own);
	drop(scene.lost, other);
}

static int setup(void **state)
{
	struct vault_options o;
	struct credential c = { NULL, NULL };
	struct vault *v;
	char id[33];
	int i;

	(void)state;
	support_log_capture();
	scene.root = support_tmpdir_fast();
	assert_int_equal(setenv("TMPDIR", support_tmpdir(), 1), 0);
	for (i = OTHER; i < PERSONS; i++) {
		scene.keys[i] = secret_new(32);
		assert_non_null(scene.keys[i]);
		memset(scene.keys[i]->data, 'a' + i, scene.keys[i]->len);
	}
	scene.base = support_path("%s/base", scene.root);
	o = as(OWN, scene.base, NULL);
	assert_ok(vault_create(&o, 0, id));
	assert_ok(vault_open(&o, &v));
	c.keyfile = scene.keys[OTHER];
	assert_ok(vault_key_add(v, &c, 0, NULL, scene.other_slot));
	vault_close(v);
	backup(scene.base);
	make_hurt();
	make_lost();
	return 0;
}

static int teardown(void **state)
{
	int i;

	(void)state;
	for (i = OTHER; i < PERSONS; i++)
		secret_free(scene.keys[i]);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_call_of_each_verb),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
