/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Damaged vaults, each with the verdict that it must get. From the golden vault, which
 * has an object of every kind and is the same in each run, several hundred are made:
 * every object is hurt in every way that a store, a copy or somebody with or without
 * the key can hurt it. For each it is known
 *
 *   - what check has to say, and of which object;
 *   - that no byte is ever read that was not backed up, and what can be restored all
 *     the same;
 *   - that repairs take nothing away, and that a second one finds nothing to do.
 *
 * Of each object every third way is tried, so that each kind meets nearly all of them,
 * and some of that is repaired; with SOAK=1 all of it.
 */
#include "config.h"

#include "tests/unit/golden.h"
#include "tests/unit/repairs.h"
#include "tests/unit/vaults.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/backend/mem.h"
#include "store/crypt/keyring.h"
#include "store/format.h"
#include "store/index.h"
#include "store/point.h"
#include "store/record/digest.h"

static struct backend *base;
static struct idset whole; /* all that can be restored from it */
static struct vault *vault, *other; /* for their keys */
static struct backend *other_base;
static char points[3][POINT_ID_HEX + 1], sessions[3][POINT_ID_HEX + 1];
static size_t made, repaired;

static bool is_of_base(const char *id)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(points); i++)
		if (strcmp(points[i], id) == 0)
			return true;
	return false;
}

static int setup(void **state)
{
	struct vault_options o;
	struct point_list *l;
	char id[33];
	size_t i;

	(void)state;
	support_log_capture();
	base = backend_mem_new();
	other_base = backend_mem_new();
	assert_true(base && other_base);
	golden_make(base);
	o = vaults_options(NULL, other_base, NULL, NULL);
	assert_ok(vault_create(&o, 0, id));
	assert_ok(vault_open(&o, &other));
	o = vaults_options(NULL, base, NULL, NULL);
	assert_ok(vault_open(&o, &vault));
	assert_ok(vault_points(vault, &l));
	assert_int_equal(l->n, ARRAY_SIZE(points));
	for (i = 0; i < l->n; i++) {
		memcpy(points[i], l->points[i]->id, sizeof(points[i]));
		memcpy(sessions[i], l->points[i]->session, sizeof(sessions[i]));
	}
	point_list_put(l);
	assert_ok(vault_refresh(vault));
	restorable(base, is_of_base, &whole);
	assert_true(whole.n > 1000);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vault_close(vault);
	vault_close(other);
	backend_close(base);
	backend_close(other_base);
	idset_release(&whole);
	return 0;
}

/* ---- ways to hurt an object ---- */

enum way {
	DELETED,
	EMPTY,
	HALF,
	SHORTER,
	LONGER,
	PADDED,
	FLIPPED_MAGIC,
	FLIPPED_VERSION,
	FLIPPED_TYPE,
	FLIPPED_RESERVED,
	FLIPPED_EPOCH,
	FLIPPED_VAULT,
	FLIPPED_SALT,
	FLIPPED_COMMITMENT,
	FLIPPED_LENGTH,
	FLIPPED_MIDDLE,
	FLIPPED_END,
	ZEROED,
	REPLACED, /* by another of its kind */
	EXCHANGED, /* with it */
	RENAMED_FIRST, /* the first digit behind the kind is another */
	RENAMED_LAST,
	/* sealed anew by somebody who has the key of this vault, or of another */
	SEALED_ELSEWHERE,
	SEALED_EMPTY,
	SEALED_GARBAGE,
	SEALED_SHORTER,
	SEALED_LONGER,
	SEALED_OTHER_TYPE,
	WAYS
};

static const char *const way_names[WAYS] = {
	"deleted",
	"cut to nothing",
	"cut to half",
	"a byte shorter",
	"a byte longer",
	"a page longer",
	"flipped in the magic",
	"flipped in the version",
	"flipped in the type",
	"flipped where zeros are",
	"flipped in the epoch",
	"flipped in the vault's id",
	"flipped in the salt",
	"flipped in the commitment",
	"flipped in the first length",
	"flipped in the middle",
	"flipped at the end",
	"zeros throughout",
	"replaced by another",
	"exchanged with another",
	"renamed in front",
	"renamed at the end",
	"sealed by another vault",
	"sealed with nothing in it",
	"sealed with garbage",
	"sealed a byte shorter",
	"sealed a byte longer",
	"sealed as another type",
};

/* Kinds of objects: the type in their headers follows from the golden one. */
static size_t kind_len(const char *name)
{
	return strcspn(name, "/");
}

static bool is_kind(const char *name, const char *kind)
{
	return strlen(kind) == kind_len(name) &&
	       strncmp(name, kind, kind_len(name)) == 0;
}

/* Another of its kind, the next one by name; or NULL. */
static const char *find_other(const char *name)
{
	const char *at, *first = NULL;
	bool seen = false;
	size_t i;

	for (i = 0; (at = backend_mem_name(base, i)); i++) {
		if (strcmp(at, name) == 0) {
			seen = true;
			continue;
		}
		if (kind_len(at) != kind_len(name) ||
		    strncmp(at, name, kind_len(name)) != 0)
			continue;
		if (seen)
			return at;
		first = first ? first : at;
	}
	return first;
}

static void set_from(struct backend *b, const char *name, const char *from)
{
	size_t len;
	const uint8_t *data = backend_mem_data(base, from, &len);

	assert_non_null(data);
	assert_ok(backend_mem_set(b, name, data, len));
}

static void rename_digit(struct backend *b, const char *name, size_t at)
{
	char *changed = strdup(name);
	size_t len;

	assert_non_null(changed);
	changed[at] = name[at] == '1' ? '2' : '1';
	while (backend_mem_data(b, changed, &len))
		changed[at]++;
	assert_ok(backend_mem_rename(b, name, changed));
	free(changed);
}

/* The name that an object is sealed under: the copy of config is the same. */
static const char *sealed_name(const char *name)
{
	return is_kind(name, "config.copy") ? "config" : name;
}

static void seal(struct backend *b, struct vault *by, uint8_t type,
		 const char *name, const struct box *box, const void *plain,
		 size_t len)
{
	AUTO_BUF struct buf out = BUF_INIT;

	assert_ok(format_seal_box(vault_keyring(by), NULL, NULL, vault_seam(by),
				  type, sealed_name(name),
				  box->clear_len ? box->clear : NULL,
				  box->clear_len, plain, len, &out));
	assert_ok(backend_mem_set(b, name, out.data, out.len));
}

/* What somebody with a key does to a box. */
static void hurt_sealed(struct backend *b, const char *name, enum way way)
{
	static const char garbage[] = "{\"this\": [is none";
	AUTO_BUF struct buf plain = BUF_INIT;
	struct box box;
	size_t len;
	const uint8_t *data = backend_mem_data(base, name, &len);
	uint8_t type = data[10];

	assert_ok(format_parse_box(data, len, type, name, &box));
	assert_ok(format_read_box(vault_keyring(vault), data, len, type,
				  sealed_name(name), &plain));
	buf_put_u8(&plain, 'x');
	assert_ok(buf_error(&plain));
	plain.len--;
	if (way == SEALED_ELSEWHERE)
		seal(b, other, type, name, &box, plain.data, plain.len);
	else if (way == SEALED_OTHER_TYPE)
		seal(b, vault, type == OBJECT_NOTE ? OBJECT_POINT : OBJECT_NOTE,
		     name, &box, plain.data, plain.len);
	else if (way == SEALED_EMPTY)
		seal(b, vault, type, name, &box, "", 0);
	else if (way == SEALED_GARBAGE)
		seal(b, vault, type, name, &box, garbage, sizeof(garbage) - 1);
	else if (way == SEALED_SHORTER)
		seal(b, vault, type, name, &box, plain.data, plain.len - 1);
	else
		seal(b, vault, type, name, &box, plain.data, plain.len + 1);
}

/* Where a flip of that kind goes. */
static size_t flip_at(enum way way, size_t len)
{
	static const size_t at[WAYS] = {
		[FLIPPED_MAGIC] = 1,   [FLIPPED_VERSION] = 8,
		[FLIPPED_TYPE] = 10,   [FLIPPED_RESERVED] = 11,
		[FLIPPED_EPOCH] = 12,  [FLIPPED_VAULT] = 17,
		[FLIPPED_SALT] = 40,   [FLIPPED_COMMITMENT] = 70,
		[FLIPPED_LENGTH] = 96,
	};

	return way == FLIPPED_MIDDLE ? (96 + len) / 2
	       : way == FLIPPED_END  ? len - 1
				     : at[way];
}

/* Can the object be hurt so? */
static bool applies(const char *name, enum way way)
{
	bool is_box = !is_kind(name, "pack") && !is_kind(name, "key");

	if (way == REPLACED || way == EXCHANGED)
		return find_other(name) != NULL;
	if (way == RENAMED_FIRST || way == RENAMED_LAST)
		return strchr(name, '/') != NULL;
	return way < SEALED_ELSEWHERE || is_box;
}

static void hurt(struct backend *b, const char *name, enum way way)
{
	size_t len;
	uint8_t *data = backend_mem_data(b, name, &len);

	assert_non_null(data);
	if (way == DELETED)
		assert_ok(backend_mem_remove(b, name));
	else if (way <= PADDED)
		assert_ok(backend_mem_resize(b, name,
					     way == EMPTY     ? 0
					     : way == HALF    ? len / 2
					     : way == SHORTER ? len - 1
					     : way == LONGER  ? len + 1
							      : len + 4096));
	else if (way < ZEROED)
		data[flip_at(way, len)] ^= 4;
	else if (way == ZEROED)
		memset(data, 0, len);
	else if (way == REPLACED || way == EXCHANGED)
		set_from(b, name, find_other(name));
	else if (way == RENAMED_FIRST)
		rename_digit(b, name, kind_len(name) + 1);
	else if (way == RENAMED_LAST)
		rename_digit(b, name, strlen(name) - 1);
	else
		hurt_sealed(b, name, way);
	if (way == EXCHANGED)
		set_from(b, find_other(name), name);
}

/* ---- verdicts ---- */

static bool is_config(const char *name)
{
	return is_kind(name, "config") || is_kind(name, "config.copy");
}

/* The slot of the key file, with which these tests open vaults. */
static bool is_own_slot(const char *name)
{
	size_t len;
	const uint8_t *data = backend_mem_data(base, name, &len);

	return is_kind(name, "key") && memmem(data, len, "keyfile", 7);
}

/* The index objects that another one supersedes, which therefore nobody needs. */
static bool is_superseded(const char *name)
{
	char by[INDEX_NAME_MAX];

	return is_kind(name, "index") &&
	       vault_index_superseding(vault, name + 6, by) == 0;
}

/* Whether a slot is of another password, or of a rotation that did not come to be,
 * cannot be told from whether it is damaged, where its form is right. */
static enum verdict expected_of_slot(const char *name, enum way way)
{
	if (is_own_slot(name) || way == EXCHANGED)
		return CLOSED;
	switch (way) {
	case DELETED:
	case FLIPPED_EPOCH:
	case FLIPPED_SALT:
	case FLIPPED_COMMITMENT:
	case FLIPPED_END:
	case REPLACED:
	case RENAMED_FIRST:
	case RENAMED_LAST:
		return WHOLE;
	default:
		return NAMED;
	}
}

static enum verdict expected_of_index(const char *name, enum way way)
{
	const char *merged = strstr(name, ".m");

	if (way == DELETED)
		return merged || is_superseded(name) ? WHOLE : TOLD;
	if (way == RENAMED_FIRST || way == RENAMED_LAST)
		return merged && way == RENAMED_LAST ? WHOLE : TOLD;
	/* What may be of a newer program is told of in any case; and where the one
	 * that supersedes it is hit, too, it is needed. */
	if (!is_superseded(name) || way == FLIPPED_VERSION ||
	    way == FLIPPED_EPOCH ||
	    (way == EXCHANGED && strstr(find_other(name), ".m")))
		return NAMED;
	return WHOLE;
}

static int note_entry(void *arg, const struct digest_entry *e)
{
	const char **name = arg;

	return strcmp(*name + strlen("commit/"), e->sid) == 0;
}

/* Does a digest tell of that register? */
static bool is_digested(const char *name)
{
	const char *digest;
	bool found = false;
	size_t i;

	for (i = 0; !found && (digest = backend_mem_name(base, i)); i++) {
		AUTO_BUF struct buf plain = BUF_INIT;
		const uint8_t *data;
		size_t len;

		if (!is_kind(digest, "digest"))
			continue;
		data = backend_mem_data(base, digest, &len);
		assert_ok(format_read_box(vault_keyring(vault), data, len,
					  OBJECT_DIGEST, digest, &plain));
		found = digest_decode(plain.data, plain.len, digest, note_entry,
				      NULL, &name) == 1;
	}
	return found;
}

/* Kinds of objects of which check knows by their names alone, or by others that
 * need them, that they are gone. The loss of a register that no digest tells of is
 * missed by who has seen it before (see vmbackup(1), ROLLBACK). */
static bool is_missed(const char *name)
{
	return is_kind(name, "pack") || is_kind(name, "point") ||
	       (is_kind(name, "commit") && is_digested(name));
}

static enum verdict expected(const char *name, enum way way)
{
	/* The other of the two opens the vault. That there is none is no damage, for
	 * old vaults have none. */
	if (is_config(name))
		return is_kind(name, "config.copy") && way == DELETED ? WHOLE
								      : NAMED;
	/* What bears out the key in use is missed. */
	if (is_kind(name, "epoch"))
		return NAMED;
	if (is_kind(name, "key"))
		return expected_of_slot(name, way);
	if (is_kind(name, "index"))
		return expected_of_index(name, way);
	if (way == DELETED)
		return is_missed(name) ? NAMED : WHOLE;
	if (way == RENAMED_FIRST || way == RENAMED_LAST)
		return is_missed(name) ? NAMED : TOLD;
	/* Of these it matters that they are there, and who sealed them. */
	if ((is_kind(name, "session") || is_kind(name, "feature")) &&
	    way >= SEALED_EMPTY && way <= SEALED_LONGER)
		return WHOLE;
	return NAMED;
}

/* ---- what may be lost ---- */

static const char *wanted_id;

static bool is_wanted(const char *id)
{
	return strcmp(id, wanted_id) == 0;
}

static void add_point(const char *id, struct idset *out)
{
	wanted_id = id;
	restorable(base, is_wanted, out);
}

static void add_pack(const char *name, struct idset *out)
{
	struct backend *b = backend_mem_clone(base);
	struct idset left = { 0 };
	static const struct id none;
	size_t i;

	assert_non_null(b);
	assert_ok(backend_mem_remove(b, name));
	restorable(b, is_of_base, &left);
	for (i = 0; i < whole.cap; i++)
		if (!id_equal(&whole.slots[i], &none) &&
		    !idset_has(&left, &whole.slots[i]))
			assert_true(idset_add(out, &whole.slots[i]) >= 0);
	idset_release(&left);
	backend_close(b);
}

/* What hangs on an object and is nowhere else. */
static void add_needing(const char *name, struct idset *out)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(points); i++)
		if ((is_kind(name, "point") &&
		     strcmp(name + 6, points[i]) == 0) ||
		    (is_kind(name, "commit") &&
		     strcmp(name + 7, sessions[i]) == 0))
			add_point(points[i], out);
	if (is_kind(name, "pack"))
		add_pack(name, out);
}

/* All else is there, and right. */
static void assert_rest(const struct idset *now, const struct idset *allowed,
			const char *what)
{
	static const struct id none;
	size_t i, lost = 0;

	if (idset_lacking(now, &whole))
		fail_msg("%s: something is read that was not backed up", what);
	for (i = 0; i < whole.cap; i++)
		lost += !id_equal(&whole.slots[i], &none) &&
			!idset_has(now, &whole.slots[i]) &&
			!idset_has(allowed, &whole.slots[i]);
	if (lost)
		fail_msg("%s: %zu things cannot be read that do not hang on it",
			 what, lost);
}

/* ---- the corpus ---- */

/* Do both hold the same, but for what was noted of the packs that were read? */
static bool are_settled(struct backend *a, struct backend *b)
{
	struct backend *both[] = { backend_mem_clone(a), backend_mem_clone(b) };
	bool same;
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(both); i++) {
		assert_non_null(both[i]);
		for (k = backend_mem_nobjects(both[i]); k-- > 0;)
			if (is_kind(backend_mem_name(both[i], k), "ledger"))
				assert_ok(backend_mem_remove(
					both[i], backend_mem_name(both[i], k)));
	}
	same = backends_are_same(both[0], both[1]);
	backend_close(both[0]);
	backend_close(both[1]);
	return same;
}

/* Nothing is taken away, and a second run finds nothing to do. Where a feature cannot
 * be read nobody writes (vmbackup-vault(5), Features), and so nobody repairs. */
static void repair_twice(struct backend *b, const struct idset *before,
			 const char *what)
{
	struct backend *damaged = backend_mem_clone(b), *settled;
	struct repair_result res;
	int r;

	assert_non_null(damaged);
	r = repair_all(b, true, &res);
	if (r < 0 && strncmp(what, "feature/", 8) != 0)
		fail_msg("%s: cannot be repaired: %d, %s", what, r,
			 support_log_text());
	assert_only_added(damaged, b, what);
	if (r < 0 && !backends_are_same(damaged, b))
		fail_msg("%s: written to all the same", what);
	assert_restorable(before, b, what);
	settled = backend_mem_clone(b);
	assert_non_null(settled);
	if (r == 0)
		assert_ok(repair_all(b, true, &res));
	if (r == 0 && (res.repaired || !are_settled(settled, b)))
		fail_msg("%s: a second repair finds something to do: %s", what,
			 repair_said);
	backend_close(damaged);
	backend_close(settled);
	repaired++;
}

/* Config and its copy are as they were, and there is an epoch again. */
static void heal_keys(struct backend *b, const char *name, const char *what)
{
	struct repair_result res;
	bool is_epoch = is_kind(name, "epoch");

	repair_said[0] = '\0';
	assert_ok(repair_run(b, repair_keys, false, NULL, &res));
	assert_int_equal(res.repaired, 1);
	assert_ok(repair_run(b, repair_keys, true, NULL, &res));
	assert_int_equal(res.repaired, 1);
	if (res.left || (!is_epoch && !backends_are_same(base, b)))
		fail_msg("%s: not mended: %s", what, repair_said);
	assert_ok(repair_run(b, repair_keys, true, NULL, &res));
	assert_int_equal(res.repaired, 0);
	assert_int_equal(judge(b, name, NULL), WHOLE);
}

/* @allowed: what may be lost with the object. */
static void try(const char *name, enum way way, const struct idset *allowed,
		bool repairs)
{
	struct backend *b = backend_mem_clone(base);
	enum verdict wanted = expected(name, way), verdict;
	struct idset now = { 0 };
	char what[256];

	assert_non_null(b);
	snprintf(what, sizeof(what), "%s %s", name, way_names[way]);
	hurt(b, name, way);
	verdict = judge(b, name, NULL);
	if (verdict != wanted)
		fail_msg("%s: check: %s, and not: %s", what,
			 verdict_name(verdict), verdict_name(wanted));
	restorable(b, is_of_base, &now);
	if (wanted != CLOSED)
		assert_rest(&now, allowed, what);
	else
		assert_int_equal(now.n, 0);
	/* One that may be of a newer program is left, and so is a later epoch that
	 * somebody claims. */
	if (is_config(name) ||
	    (is_kind(name, "epoch") && way != FLIPPED_VERSION &&
	     way != RENAMED_FIRST && way != RENAMED_LAST))
		heal_keys(b, name, what);
	else if (repairs && wanted != CLOSED)
		repair_twice(b, &now, what);
	idset_release(&now);
	backend_close(b);
	made++;
}

/* Only these have parts that a repair touches. */
static bool is_repaired(const char *name)
{
	return is_kind(name, "pack") || is_kind(name, "index") ||
	       is_kind(name, "point") || is_kind(name, "commit") ||
	       is_kind(name, "quarantine");
}

static void each_object_in_each_way(void **state)
{
	bool all = getenv("SOAK") != NULL;
	const char *name;
	size_t i, k;

	(void)state;
	for (i = 0; (name = backend_mem_name(base, i)); i++) {
		struct idset alone = { 0 }, both = { 0 };

		add_needing(name, &alone);
		if (find_other(name)) {
			add_needing(name, &both);
			add_needing(find_other(name), &both);
		}
		for (k = 0; k < WAYS; k++)
			if (applies(name, (enum way)k) &&
			    (all || (i + k) % 3 == 0))
				try(name, (enum way)k,
				    k == EXCHANGED ? &both : &alone,
				    all || (is_repaired(name) &&
					    (i + k) % 9 == 0));
		idset_release(&alone);
		idset_release(&both);
	}
	assert_true(made >= 300);
	assert_true(repaired >= 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_object_in_each_way),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
