/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The volumes of a machine: each disk's table, what is on each part, and what
 * that opens in turn (LUKS, a mirror), then the volumes of the groups whose
 * parts were met. Whatever is wrong becomes the reason of what it concerns.
 */
#include "config.h"

#include "fs/guest/volumes/discover.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "fs/guest/guest.h"
#include "fs/guest/volumes/internal.h"
#include "store/base/log.h"

#define NEST_MAX 4 /* LUKS in a mirror in LUKS... */
#define NAME_MAX_LEN 200

struct finder {
	struct volume_set *set;
	size_t cap;
	const struct luks_keys *keys;
	struct luks_tries tries;
	struct lvm_set *lvm;
	bool full; /* and it was said */
};

/* ---- the set ---- */

void volume_set_free(struct volume_set *s)
{
	size_t i;

	if (!s)
		return;
	for (i = 0; i < s->n; i++) {
		free(s->volumes[i].name);
		free(s->volumes[i].reason);
		blocks_put(s->volumes[i].blocks);
	}
	free(s->volumes);
	free(s);
}

static bool ends_with(const char *s, const char *end)
{
	size_t len = strlen(s), n = strlen(end);

	return len >= n && strcmp(s + len - n, end) == 0;
}

/* Is it a name already, or one that a volume's other files have? */
static bool taken(const struct finder *f, const char *name)
{
	size_t i;

	if (ends_with(name, ".raw") || ends_with(name, ".unreadable"))
		return true;
	for (i = 0; i < f->set->n; i++)
		if (strcmp(f->set->volumes[i].name, name) == 0)
			return true;
	return false;
}

static char *unique_name(const struct finder *f, const char *wanted)
{
	char name[NAME_MAX_LEN + 16];
	unsigned int n = 1;
	char *p;

	snprintf(name, sizeof(name), "%.*s", NAME_MAX_LEN, wanted);
	do {
		for (p = name; *p; p++)
			if (*p == '/' || (unsigned char)*p < 0x20)
				*p = '_';
		if (!taken(f, name))
			return strdup(name);
		snprintf(name, sizeof(name), "%.*s-%u", NAME_MAX_LEN, wanted,
			 ++n);
	} while (n <= VOLUMES_MAX + 1);
	return NULL;
}

/* A volume without anything known yet. Return its number, -ENOSPC (the set is
 * full; said) or -ENOMEM. */
static int add_volume(struct finder *f, const char *name, struct blocks *b)
{
	struct volume_set *s = f->set;
	struct volume *grown;

	if (s->n == VOLUMES_MAX) {
		if (!f->full)
			log_warn("more than %d volumes: the rest is not shown",
				 VOLUMES_MAX);
		f->full = true;
		return -ENOSPC;
	}
	if (s->n == f->cap) {
		f->cap = f->cap ? f->cap * 2 : 8;
		grown = realloc(s->volumes, f->cap * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		s->volumes = grown;
	}
	memset(&s->volumes[s->n], 0, sizeof(s->volumes[s->n]));
	s->volumes[s->n].name = unique_name(f, name);
	if (!s->volumes[s->n].name)
		return -ENOMEM;
	s->volumes[s->n].blocks = blocks_get(b);
	return (int)s->n++;
}

PRINTF(2, 3)
static int set_reason(struct volume *v, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	free(v->reason);
	v->reason = strdup(text);
	return v->reason ? 0 : -ENOMEM;
}

static int cannot_be_read(struct volume *v, int r)
{
	return set_reason(v, "it cannot be read where it says what it is: %s",
			  r == -EBADMSG ? "it is damaged in the vault"
					: strerror(-r));
}

static const char *text_of(const struct buf *b)
{
	return b->len ? (const char *)b->data : "";
}

/* ---- what is on a volume ---- */

static int identify(struct finder *f, size_t i, int depth);

/* What volume @i opens to, as one named behind it. */
static int add_inner(struct finder *f, size_t i, const char *suffix,
		     struct blocks *inner, int depth)
{
	char name[NAME_MAX_LEN + 32];
	int n;

	snprintf(name, sizeof(name), "%.*s%s", NAME_MAX_LEN,
		 f->set->volumes[i].name, suffix);
	n = add_volume(f, name, inner);
	if (n < 0)
		return n == -ENOSPC ? 0 : n;
	return identify(f, (size_t)n, depth + 1);
}

static int identify_lvm(struct finder *f, size_t i)
{
	struct volume *v = &f->set->volumes[i];
	struct buf vg = BUF_INIT, why = BUF_INIT;
	int r = lvm_add(f->lvm, v->blocks, &vg, &why);

	buf_put_u8(&why, 0);
	buf_put_u8(&vg, 0);
	if (r == 0 && buf_error(&why) == 0 && buf_error(&vg) == 0) {
		if (vg.len > 1)
			r = set_reason(v,
				       "an LVM2 physical volume of group "
				       "%.127s: its volumes are beside it",
				       text_of(&vg));
		else
			r = set_reason(v, "an LVM2 physical volume that says "
					  "nothing of its group: where the "
					  "group is known, its volumes are "
					  "beside it");
	} else if (r != -ENOMEM) {
		r = set_reason(v,
			       "an LVM2 physical volume that is damaged: "
			       "%s",
			       text_of(&why));
	}
	buf_release(&vg);
	buf_release(&why);
	return r;
}

static int identify_luks(struct finder *f, size_t i, const char *version,
			 int depth)
{
	struct volume *v = &f->set->volumes[i];
	struct blocks *inner = NULL;
	struct buf why = BUF_INIT;
	int r;

	if (!f->keys || f->keys->n == 0)
		return set_reason(v,
				  "encrypted with LUKS%s: mount with -o "
				  "lukskey=FILE, or give --luks-key-file",
				  version);
	r = luks_open(v->blocks, f->keys, &f->tries, &why, &inner);
	buf_put_u8(&why, 0);
	if (r == 0)
		r = set_reason(v,
			       "encrypted with LUKS%s, and unlocked: what "
			       "it holds is %s_crypt beside it",
			       version, v->name);
	else if (r != -ENOMEM)
		r = set_reason(v, "encrypted with LUKS%s: %s", version,
			       why.len > 1 ? text_of(&why) : strerror(-r));
	if (r == 0 && inner)
		r = add_inner(f, i, "_crypt", inner, depth);
	blocks_put(inner);
	buf_release(&why);
	return r;
}

static int identify_md(struct finder *f, size_t i, int depth)
{
	struct volume *v = &f->set->volumes[i];
	struct blocks *inner = NULL;
	struct buf why = BUF_INIT;
	int r;

	r = md_open(v->blocks, &why, &inner);
	buf_put_u8(&why, 0);
	if (r == 0)
		r = set_reason(v,
			       "a member of a Linux MD mirror: what it "
			       "holds is %s_md beside it",
			       v->name);
	else if (r != -ENOMEM)
		r = set_reason(v, "%s",
			       why.len > 1 ? text_of(&why) : strerror(-r));
	if (r == 0 && inner)
		r = add_inner(f, i, "_md", inner, depth);
	blocks_put(inner);
	buf_release(&why);
	return r;
}

static int reason_of_type(struct volume *v)
{
	static const struct {
		const char *type, *reason;
	} known[] = {
		{ "swap", "swap space: it holds no files" },
		{ "swsuspend", "a suspended system's memory: it holds no "
			       "files" },
		{ "BitLocker", "encrypted with BitLocker, which vmbackupfs "
			       "does not open: use the .raw file beside it" },
		{ "zfs_member", "a member of a ZFS pool: vmbackupfs has no "
				"reader for it: use the .raw file beside it" },
		{ "DM_snapshot_cow", "the changes of a device-mapper snapshot: "
				     "they hold no files by themselves" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known); i++)
		if (strcmp(known[i].type, v->type) == 0)
			return set_reason(v, "%s", known[i].reason);
	return set_reason(v,
			  "a %s filesystem: vmbackupfs has no reader for "
			  "it: use the .raw file beside it",
			  v->type);
}

static int identify(struct finder *f, size_t i, int depth)
{
	struct volume *v = &f->set->volumes[i];
	struct probe p;
	int r;

	r = probe_blocks(v->blocks, &p);
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return cannot_be_read(v, r);
	snprintf(v->type, sizeof(v->type), "%s", p.type);
	if (p.label[0])
		snprintf(v->label, sizeof(v->label), "%s", p.label);
	if (p.uuid[0])
		snprintf(v->uuid, sizeof(v->uuid), "%s", p.uuid);
	if (!p.type[0])
		return set_reason(v, "no filesystem that is known was found");
	if (guest_knows(p.type))
		return 0;
	if (strcmp(p.type, "LVM2_member") == 0)
		return identify_lvm(f, i);
	if (depth >= NEST_MAX)
		return set_reason(v, "too many layers lie one in the other");
	if (strcmp(p.type, "crypto_LUKS") == 0)
		return identify_luks(f, i, p.version, depth);
	if (strcmp(p.type, "linux_raid_member") == 0)
		return identify_md(f, i, depth);
	return reason_of_type(v);
}

/* ---- disks ---- */

static int add_partition(struct finder *f, const struct discover_disk *disk,
			 const struct partition *p)
{
	uint64_t size = disk->blocks->size, off = MIN(p->off, size);
	uint64_t len = MIN(p->len, size - off);
	size_t n = strlen(disk->name);
	char name[NAME_MAX_LEN + 32];
	struct blocks *b;
	int r, i;

	r = blocks_slice(disk->blocks, off, len, &b);
	if (r < 0)
		return r;
	snprintf(name, sizeof(name), "%.*s%s%u", NAME_MAX_LEN, disk->name,
		 n && isdigit((unsigned char)disk->name[n - 1]) ? "p" : "",
		 p->number);
	i = add_volume(f, name, b);
	blocks_put(b);
	if (i < 0)
		return i == -ENOSPC ? 0 : i;
	if (off == size && p->len)
		return set_reason(&f->set->volumes[i],
				  "the partition lies "
				  "behind the end of the disk");
	/* Of one that is cut the reader decides what it can still do. */
	r = identify(f, (size_t)i, 0);
	if (r == 0 && len < p->len && !f->set->volumes[i].type[0])
		r = set_reason(&f->set->volumes[i],
			       "the partition reaches "
			       "past the end of the disk, and no filesystem "
			       "that is known was found");
	return r;
}

static int add_partitions(struct finder *f, const struct discover_disk *disk,
			  const struct table *t)
{
	size_t i;
	int r = 0;

	for (i = 0; i < t->n && r == 0; i++)
		r = add_partition(f, disk, &t->parts[i]);
	return r;
}

/* The whole of a disk as a volume; @reason where it is known already, @error
 * where it could not be read. */
static int add_whole(struct finder *f, const struct discover_disk *disk,
		     const char *reason, int error)
{
	int i = add_volume(f, disk->name, disk->blocks);

	if (i < 0)
		return i == -ENOSPC ? 0 : i;
	if (error < 0)
		return cannot_be_read(&f->set->volumes[i], error);
	if (reason)
		return set_reason(&f->set->volumes[i], "%s", reason);
	return identify(f, (size_t)i, 0);
}

/*
 * A GPT is a GPT. Without one, what is known on the whole disk comes before an
 * MBR where its boot sector is a filesystem's own; else both are shown.
 */
static int find_on_disk(struct finder *f, const struct discover_disk *disk,
			struct table *t)
{
	uint8_t first[512];
	struct probe p;
	int gpt, mbr, r;

	r = blocks_read(disk->blocks, 0, first,
			(size_t)MIN((uint64_t)sizeof(first),
				    disk->blocks->size));
	gpt = gpt_read(disk->blocks, t);
	if (gpt == -ENOMEM)
		return gpt;
	if (gpt == 0)
		return add_partitions(f, disk, t);
	mbr = mbr_read(disk->blocks, t);
	if (mbr < 0 && mbr != -ENOENT && r < 0 && gpt < 0 && gpt != -ENOENT)
		return r;
	r = probe_blocks(disk->blocks, &p);
	if (r == -ENOMEM)
		return r;
	if (mbr < 0 && (gpt == -ENOENT || p.type[0]))
		return add_whole(f, disk, NULL, 0);
	if (mbr < 0 || (t->n == 0 && !p.type[0]))
		return add_whole(f, disk,
				 "its GUID partition table is damaged "
				 "or cut off, and so is the copy",
				 0);
	if (strcmp(p.type, "vfat") == 0 || strcmp(p.type, "ntfs") == 0 ||
	    strcmp(p.type, "exfat") == 0)
		return add_whole(f, disk, NULL, 0);
	if (p.type[0]) {
		r = add_whole(f, disk, NULL, 0);
		if (r < 0)
			return r;
	}
	return add_partitions(f, disk, t);
}

/* ---- groups ---- */

/* '-' doubled, as device-mapper writes it. */
static void put_doubled(struct buf *out, const char *s)
{
	for (; *s; s++) {
		if (*s == '-')
			buf_put_u8(out, '-');
		buf_put_u8(out, (uint8_t)*s);
	}
}

static int add_logical(void *arg, const char *vg, const char *lv,
		       struct blocks *blocks, const char *why)
{
	struct finder *f = arg;
	struct buf name = BUF_INIT;
	struct blocks *b = NULL;
	int i, r = 0;

	put_doubled(&name, vg);
	buf_put_u8(&name, '-');
	put_doubled(&name, lv);
	buf_put_u8(&name, 0);
	if (buf_error(&name) < 0)
		r = -ENOMEM;
	else if (!blocks)
		r = blocks_memory("", 0, 0, &b);
	if (r < 0)
		goto out;
	i = add_volume(f, (char *)name.data, blocks ? blocks : b);
	if (i < 0)
		r = i == -ENOSPC ? 0 : i;
	else if (why)
		r = set_reason(&f->set->volumes[i], "%s", why);
	else
		r = identify(f, (size_t)i, 0);
out:
	blocks_put(b);
	buf_release(&name);
	return r;
}

int discover_volumes(const struct discover_disk *disks, size_t n,
		     const struct luks_keys *keys, struct volume_set **out)
{
	struct finder f = { .keys = keys };
	struct table *t = calloc(1, sizeof(*t));
	size_t i;
	int r;

	*out = NULL;
	f.tries.left = LUKS_WORK_HEADERS *
		       (LUKS_WORK_MAX + LUKS_WORK_KEY * (keys ? keys->n : 0));
	f.set = calloc(1, sizeof(*f.set));
	r = f.set && t ? lvm_new(&f.lvm) : -ENOMEM;
	for (i = 0; i < n && r == 0; i++) {
		r = find_on_disk(&f, &disks[i], t);
		/* The other disks are none the worse for it. */
		if (r < 0 && r != -ENOMEM)
			r = add_whole(&f, &disks[i], NULL, r);
	}
	if (r == 0)
		r = lvm_each(f.lvm, add_logical, &f);
	lvm_free(f.lvm);
	free(t);
	if (r < 0) {
		volume_set_free(f.set);
		return r;
	}
	*out = f.set;
	return 0;
}
