/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Volume groups out of hand-built text and physical volumes, also where they lie
 * in one another. */
#include "config.h"

#include "tests/unit/support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/guest/crc32.h"
#include "fs/guest/volumes/lvm_group_internal.h"
#include "store/base/bytes.h"

#define SIZE 65536

/* ---- the text ---- */

#define ID "aaaaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaaaa"
static const char group_text[] =
	"vg { id = \"" ID "\" seqno = 3 # a remark\n"
	"extent_size = 8 physical_volumes { pv0 { id = \"" ID "\"\n"
	"pe_start = 16 pe_count = 10 } }\n"
	"logical_volumes { lv { status = [\"READ\", \"VISIBLE\"]\n"
	"segment_count = 1 segment1 { start_extent = 0 extent_count = 2\n"
	"type = \"striped\" stripe_count = 1 stripes = [ \"pv0\", 1 ] } } } }";

static int take_lv(void *arg, const struct lvm_volume *v)
{
	unsigned int *n = arg;

	assert_string_equal(v->vg, "vg");
	assert_string_equal(v->lv, "lv");
	assert_null(v->why);
	assert_int_equal(v->blocks->size, 8192);
	++*n;
	return 0;
}

static int take_any(void *arg, const struct lvm_volume *v)
{
	(void)arg;
	assert_true(!v->blocks != !v->why);
	return 0;
}

/* Run a text as a group's. Return what parsing returned. */
static int run_text(const char *s, size_t len, lvm_fn *fn, void *arg)
{
	struct lvm_set *set;
	struct blocks *b;
	char *copy = malloc(len + 1);
	int r;

	assert_int_equal(blocks_memory("", 0, SIZE, &b), 0);
	memcpy(copy, s, len);
	assert_int_equal(lvm_new(&set), 0);
	set->groups = calloc(1, sizeof(*set->groups));
	set->pvs = calloc(1, sizeof(*set->pvs));
	set->npvs = 1;
	set->pvs[0].b = b;
	memset(set->pvs[0].id, 'a', LVM_ID_LEN);
	set->ngroups = 1;
	r = lvm_text_parse(copy, len, &set->groups[0].text);
	if (r == 0)
		r = lvm_group_init(&set->groups[0]);
	if (r == 0)
		assert_int_equal(lvm_each(set, fn, arg), 0);
	lvm_free(set);
	return r;
}

static void test_lvm_text(void **state)
{
	size_t len = sizeof(group_text) - 1, i;
	char copy[sizeof(group_text)];
	unsigned int n = 0;

	(void)state;
	assert_int_equal(run_text(group_text, len, take_lv, &n), 0);
	assert_int_equal(n, 1);
	for (i = 0; i < len; i++)
		assert_int_equal(run_text(group_text, i, take_any, NULL),
				 -EBADMSG);
	for (i = 0; i < len; i++) {
		memcpy(copy, group_text, sizeof(group_text));
		copy[i] ^= 0x13;
		(void)!run_text(copy, len, take_any, NULL);
	}
}

/* Find the volumes of a disk. */
static struct volume_set *discover(const uint8_t *disk, size_t len)
{
	struct discover_disk d = { .name = "vda" };
	struct volume_set *set;

	assert_int_equal(blocks_memory(disk, len, len, &d.blocks), 0);
	assert_int_equal(discover_volumes(&d, 1, NULL, &set), 0);
	blocks_put(d.blocks);
	return set;
}

static const struct volume *find(const struct volume_set *set, const char *name)
{
	size_t i;

	for (i = 0; i < set->n; i++)
		if (strcmp(set->volumes[i].name, name) == 0)
			return &set->volumes[i];
	return NULL;
}

static void put_entry(uint8_t *sector, int i, uint8_t type, uint32_t start,
		      uint32_t count)
{
	uint8_t *e = sector + 446 + i * 16;

	e[4] = type;
	put_le32(e + 8, start);
	put_le32(e + 12, count);
	sector[510] = 0x55;
	sector[511] = 0xaa;
}

/* ---- volume groups in the volumes of groups ---- */

#define NEST_DISK (6u << 20)

/*
 * A physical volume at @at whose id is all @id, with a group of the same id
 * called "vg<group>", the newer the higher @seqno is. It has the volumes "a",
 * which begins at its extent 0, 1 MiB behind @at, and "b", at extent 64;
 * both are of 64 extents of 32 KiB.
 */
static void put_pv(uint8_t *at, char id, char group, unsigned int seqno)
{
	uint8_t *label = at + 512, *mda = at + 4096;
	char *text = (char *)mda + 512;
	char ids[2][39];
	int len, i;

	for (i = 0; i < 38; i++)
		ids[0][i] = ids[1][i] =
			i == 6 || (i > 6 && i < 32 && (i - 6) % 5 == 0) ? '-'
									: id;
	for (i = 0; i < 38; i++)
		if (ids[1][i] != '-')
			ids[1][i] = group;
	ids[0][38] = ids[1][38] = '\0';
	len = snprintf(text, 4096,
		       "vg%c { id = \"%s\" seqno = %u extent_size = 64\n"
		       "physical_volumes { pv0 { id = \"%s\"\n"
		       "pe_start = 2048 pe_count = 128 } }\n"
		       "logical_volumes {\n"
		       "a { status = [\"VISIBLE\"] segment_count = 1\n"
		       "segment1 { start_extent = 0 extent_count = 64\n"
		       "type = \"striped\" stripe_count = 1\n"
		       "stripes = [ \"pv0\", 0 ] } }\n"
		       "b { status = [\"VISIBLE\"] segment_count = 1\n"
		       "segment1 { start_extent = 0 extent_count = 64\n"
		       "type = \"striped\" stripe_count = 1\n"
		       "stripes = [ \"pv0\", 64 ] } } } }\n",
		       group, ids[1], seqno, ids[0]);
	memcpy(label, "LABELONE", 8);
	put_le64(label + 8, 1);
	put_le32(label + 20, 32);
	memcpy(label + 24, "LVM2 001", 8);
	memset(label + 32, id, 32);
	put_le64(label + 32 + 40, 1 << 20); /* data */
	put_le64(label + 32 + 72, 4096); /* metadata */
	put_le64(label + 32 + 80, 65536);
	put_le32(label + 16, crc32_raw(0xf597a6cf, label + 20, 512 - 20));
	memcpy(mda + 4, " LVM2 x[5A%r0N*>", 16);
	put_le32(mda + 20, 1);
	put_le64(mda + 24, 4096);
	put_le64(mda + 32, 65536);
	put_le64(mda + 40, 512);
	put_le64(mda + 48, (uint64_t)len);
	put_le32(mda + 56, crc32_raw(0xf597a6cf, (uint8_t *)text, (size_t)len));
	put_le32(mda, crc32_raw(0xf597a6cf, mda + 4, 512 - 4));
}

/*
 * A machine's disk is a logical volume, and has a physical volume on it. To
 * find that must not touch what is being walked: the group that it is in (it
 * may claim to be a newer description of that one), nor the list of groups.
 */
static void test_nested_groups(void **state)
{
	static uint8_t disk[NEST_DISK];
	struct volume_set *set;

	(void)state;
	put_pv(disk, 'a', 'a', 1);
	put_pv(disk + (1 << 20), 'b', 'b', 1);
	set = discover(disk, sizeof(disk));
	assert_non_null(find(set, "vga-a"));
	assert_non_null(strstr(find(set, "vga-a")->reason, "group vgb"));
	assert_non_null(find(set, "vga-b"));
	/* Its own data would lie behind the end of the volume. */
	assert_non_null(strstr(find(set, "vgb-a")->reason, "past the end"));
	volume_set_free(set);
	put_pv(disk + (1 << 20), 'b', 'a', 9);
	set = discover(disk, sizeof(disk));
	assert_non_null(find(set, "vga-b"));
	assert_non_null(find(set, "vga-a-2"));
	volume_set_free(set);
	/* The very same one: a machine made from the same template. */
	put_pv(disk + (1 << 20), 'a', 'a', 1);
	set = discover(disk, sizeof(disk));
	assert_non_null(find(set, "vga-a-2"));
	volume_set_free(set);
}

/* A volume that is its own physical volume ends at the bound of layers. */
static void test_endless_groups(void **state)
{
	static uint8_t disk[NEST_DISK];
	struct volume_set *set;
	uint8_t *mda = disk + 4096;
	char *text = (char *)mda + 512, *at;
	size_t len;

	(void)state;
	memset(disk, 0, sizeof(disk));
	put_pv(disk, 'a', 'a', 1);
	/* Extents are counted from the very begin. */
	len = (size_t)get_le64(mda + 48);
	at = memmem(text, len, "pe_start = 2048", 15);
	assert_non_null(at);
	memcpy(at, "pe_start = 0   ", 15);
	put_le32(mda + 56, crc32_raw(0xf597a6cf, (uint8_t *)text, len));
	put_le32(mda, crc32_raw(0xf597a6cf, mda + 4, 512 - 4));
	set = discover(disk, sizeof(disk));
	assert_in_range(set->n, 5, 20);
	assert_non_null(
		strstr(find(set, "vga-a-4")->reason, "too many layers"));
	volume_set_free(set);
}

/* The disk of a machine in a logical volume has partitions of its own. */
static void test_nested_table(void **state)
{
	static uint8_t disk[NEST_DISK];
	struct volume_set *set;
	const struct volume *v;
	uint8_t *lv = disk + (1 << 20);

	(void)state;
	put_pv(disk, 'a', 'a', 1);
	put_entry(lv, 0, 0x83, 8, 200);
	put_entry(lv, 1, 0x82, 256, 200);
	put_le32(lv + 256 * 512 + 1024, 1);
	put_le32(lv + 256 * 512 + 1028, 20);
	memcpy(lv + 256 * 512 + 4086, "SWAPSPACE2", 10);
	set = discover(disk, sizeof(disk));
	v = find(set, "vga-a");
	assert_non_null(v);
	assert_non_null(strstr(v->reason, "partitions are beside it"));
	v = find(set, "vga-a1");
	assert_non_null(v);
	assert_int_equal(v->blocks->size, 200 * 512);
	v = find(set, "vga-a2");
	assert_non_null(v);
	assert_string_equal(v->type, "swap");
	volume_set_free(set);
}

/* An origin into which a snapshot is being merged. */
static int take_note(void *arg, const struct lvm_volume *v)
{
	assert_non_null(v->blocks);
	*(bool *)arg = v->note[0];
	return 0;
}

static void test_merging(void **state)
{
	static const char with[] =
		"vg { id = \"" ID "\" seqno = 3 extent_size = 8\n"
		"physical_volumes { pv0 { id = \"" ID "\" pe_start = 16 } }\n"
		"logical_volumes { lv { status = [\"VISIBLE\"]\n"
		"segment_count = 1 segment1 { start_extent = 0\n"
		"extent_count = 2 type = \"striped\" stripe_count = 1\n"
		"stripes = [ \"pv0\", 1 ] } }\n"
		"snapshot0 { status = [\"READ\"] segment1 {\n"
		"type = \"snapshot\" origin = \"lv\"\n"
		"merging_store = \"s\" } } } }";
	char without[sizeof(with)];
	bool noted = false;

	(void)state;
	assert_int_equal(run_text(with, sizeof(with) - 1, take_note, &noted),
			 0);
	assert_true(noted);
	memcpy(without, with, sizeof(with));
	memcpy(strstr(without, "merging_store"), "    cow_store", 13);
	assert_int_equal(run_text(without, sizeof(with) - 1, take_note, &noted),
			 0);
	assert_false(noted);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lvm_text),
		cmocka_unit_test(test_nested_groups),
		cmocka_unit_test(test_endless_groups),
		cmocka_unit_test(test_nested_table),
		cmocka_unit_test(test_merging),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
