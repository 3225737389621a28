/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "fs/attr.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "store/base/bytes.h"
#include "store/content.h"
#include "store/entry.h"

#define DIR_BLOCK_MIN 4096u
#define DIR_BLOCK_MAX (1u << 20)

uint32_t attr_dir_block(uint64_t size)
{
	uint32_t block = DIR_BLOCK_MIN;

	/* An entry costs its directory 20 to 40 bytes at the source, and us
	 * about 180 in an answer that has attributes. */
	while (size > DIR_BLOCK_MIN && block < DIR_BLOCK_MAX &&
	       block < 6 * size)
		block *= 2;
	return block;
}

uint64_t attr_sectors(uint64_t bytes)
{
	return bytes / 512 + (bytes % 512 != 0);
}

void attr_from_entry(const struct entry *e, struct stat *st)
{
	memset(st, 0, sizeof(*st));
	st->st_mode = e->mode;
	st->st_nlink = (nlink_t)e->nlink;
	st->st_uid = e->uid;
	st->st_gid = e->gid;
	st->st_size = (off_t)e->size;
	st->st_blksize = 4096;
	st->st_mtim.tv_sec = e->mtime.sec;
	st->st_mtim.tv_nsec = e->mtime.nsec;
	st->st_ctim.tv_sec = e->ctime.sec;
	st->st_ctim.tv_nsec = e->ctime.nsec;
	st->st_atim = st->st_mtim;
	if (S_ISREG(e->mode)) {
		struct content_ref content = entry_content(e);

		st->st_blksize = ATTR_FILE_BLOCK;
		st->st_blocks =
			(blkcnt_t)attr_sectors(content_allocated(&content));
	} else if (S_ISDIR(e->mode)) {
		st->st_blksize = (blksize_t)attr_dir_block(e->size);
		st->st_blocks = (blkcnt_t)attr_sectors(e->size);
	} else if (S_ISCHR(e->mode) || S_ISBLK(e->mode)) {
		st->st_rdev = makedev(e->rdev_major, e->rdev_minor);
	}
}

void attr_put_flags(struct buf *out, uint32_t flags)
{
	/* In the order of lsattr(1). */
	static const struct {
		uint32_t flag;
		char letter;
	} t[] = {
		{ FS_SECRM_FL, 's' },	     { FS_UNRM_FL, 'u' },
		{ FS_SYNC_FL, 'S' },	     { FS_DIRSYNC_FL, 'D' },
		{ FS_IMMUTABLE_FL, 'i' },    { FS_APPEND_FL, 'a' },
		{ FS_NODUMP_FL, 'd' },	     { FS_NOATIME_FL, 'A' },
		{ FS_COMPR_FL, 'c' },	     { FS_ENCRYPT_FL, 'E' },
		{ FS_JOURNAL_DATA_FL, 'j' }, { FS_NOTAIL_FL, 't' },
		{ FS_TOPDIR_FL, 'T' },	     { FS_NOCOW_FL, 'C' },
		{ FS_DAX_FL, 'x' },	     { FS_CASEFOLD_FL, 'F' },
		{ FS_PROJINHERIT_FL, 'P' },  { FS_VERITY_FL, 'V' },
		{ FS_NOCOMP_FL, 'm' },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(t); i++)
		if (flags & t[i].flag)
			buf_put_u8(out, (uint8_t)t[i].letter);
}

void attr_put_time(struct buf *out, const struct timestamp *t)
{
	bool before = t->sec < 0;
	/* -1 s and 999999999 ns are a billionth of a second before 1970. */
	uint64_t sec = before ? -(uint64_t)t->sec : (uint64_t)t->sec;
	uint32_t nsec = t->nsec;

	if (before && nsec > 0) {
		sec--;
		nsec = 1000000000 - nsec;
	}
	buf_printf(out, "%s%" PRIu64 ".%09" PRIu32, before ? "-" : "", sec,
		   nsec);
}

/* Return false where *@id is in no range: it is nobody's then, which is the
 * number of an account, too. */
static bool map_id(const struct attr_policy *p, bool user, uint32_t *id)
{
	bool any = false;
	size_t i;

	if (user ? p->set_uid : p->set_gid) {
		*id = user ? p->uid : p->gid;
		return true;
	}
	for (i = 0; i < p->nranges; i++) {
		const struct attr_range *g = &p->ranges[i];

		if (!(user ? g->users : g->groups))
			continue;
		any = true;
		if (*id >= g->from && *id - g->from < g->count) {
			*id = g->to + (*id - g->from);
			return true;
		}
	}
	if (any)
		*id = ATTR_NOBODY;
	return !any;
}

void attr_apply(const struct attr_policy *p, bool stored, struct stat *st)
{
	bool user = !stored || map_id(p, true, &st->st_uid);
	bool group = !stored || map_id(p, false, &st->st_gid);
	mode_t others;

	if (S_ISLNK(st->st_mode))
		return;
	st->st_mode &= ~(p->umask & 0777);
	others = st->st_mode & 07;
	if (!user)
		st->st_mode =
			(st->st_mode & ~(mode_t)(S_ISUID | 0700)) | others << 6;
	if (!group)
		st->st_mode =
			(st->st_mode & ~(mode_t)(S_ISGID | 070)) | others << 3;
}

/* linux/posix_acl_xattr.h: le32 version 2, then entries of le16 tag,
 * le16 permissions, le32 id. */
#define ACL_VERSION 2
#define ACL_ENTRY_LEN 8
#define ACL_MAX 4096 /* the page that the kernel reads it into */
#define ACL_TAG_USER_OBJ 0x01
#define ACL_TAG_USER 0x02
#define ACL_TAG_GROUP_OBJ 0x04
#define ACL_TAG_GROUP 0x08
#define ACL_TAG_MASK 0x10
#define ACL_TAG_OTHER 0x20

static bool acl_has_form(const uint8_t *value, size_t len)
{
	return len >= 4 && get_le32(value) == ACL_VERSION &&
	       (len - 4) % ACL_ENTRY_LEN == 0;
}

/* The permissions that a umask takes away from an entry. */
static uint16_t masked(mode_t umask, uint16_t tag)
{
	switch (tag) {
	case ACL_TAG_USER_OBJ:
		return umask >> 6 & 7;
	case ACL_TAG_OTHER:
		return umask & 7;
	default:
		return umask >> 3 & 7;
	}
}

/* What an ACL grants to those of whom it says nothing. */
static uint16_t acl_others(const uint8_t *value, size_t len)
{
	const uint8_t *at;

	for (at = value + 4; at < value + len; at += ACL_ENTRY_LEN)
		if (get_le16(at) == ACL_TAG_OTHER)
			return get_le16(at + 2);
	return 0;
}

/* Map the id of an entry, or of the owner or group whose entry it is. Return
 * false where that is nobody's. */
static bool map_entry(const struct attr_policy *p, const struct stat *st,
		      uint8_t *at)
{
	uint16_t tag = get_le16(at);
	bool named = tag == ACL_TAG_USER || tag == ACL_TAG_GROUP, known = true;
	uint32_t id = get_le32(at + 4);

	if (!named)
		id = tag == ACL_TAG_USER_OBJ ? st->st_uid : st->st_gid;
	if (named || tag == ACL_TAG_USER_OBJ || tag == ACL_TAG_GROUP_OBJ)
		known = map_id(
			p, tag == ACL_TAG_USER || tag == ACL_TAG_USER_OBJ, &id);
	if (named)
		put_le32(at + 4, id);
	return known;
}

void attr_apply_acl(const struct attr_policy *p, const struct stat *st,
		    void *value, size_t len)
{
	uint8_t *at = value, *end = at + len;
	uint16_t others;

	if (!acl_has_form(value, len))
		return;
	others = acl_others(value, len);
	for (at += 4; at < end; at += ACL_ENTRY_LEN) {
		uint16_t tag = get_le16(at), perms = get_le16(at + 2);

		if (!map_entry(p, st, at)) {
			perms = others;
			tag = ACL_TAG_OTHER;
		}
		put_le16(at + 2, perms & ~masked(p->umask, tag));
	}
}

bool attr_acl_ok(const void *value, size_t len)
{
	/* Which tags may come, as a set: an ACL is sorted by them. */
	unsigned int next = ACL_TAG_USER_OBJ;
	const uint8_t *at = value, *end = at + len;
	bool named = false;

	if (!acl_has_form(at, len) || len > ACL_MAX)
		return false;
	if (len == 4)
		return true;
	for (at += 4; at < end; at += ACL_ENTRY_LEN) {
		uint16_t tag = get_le16(at);
		bool has_id = tag == ACL_TAG_USER || tag == ACL_TAG_GROUP;

		if (!(tag & next) || (tag & (tag - 1)) ||
		    get_le16(at + 2) > 7 ||
		    (has_id && get_le32(at + 4) == UINT32_MAX))
			return false;
		named |= has_id;
		if (tag == ACL_TAG_USER_OBJ || tag == ACL_TAG_USER)
			next = ACL_TAG_USER | ACL_TAG_GROUP_OBJ;
		else if (tag == ACL_TAG_GROUP_OBJ || tag == ACL_TAG_GROUP)
			next = ACL_TAG_GROUP | ACL_TAG_MASK |
			       (named ? 0 : ACL_TAG_OTHER);
		else
			next = tag == ACL_TAG_MASK ? ACL_TAG_OTHER : 0;
	}
	return next == 0;
}

static int parse_number(const char **text, uint32_t *out)
{
	unsigned long long v;
	char *end;

	if (**text < '0' || **text > '9')
		return -EINVAL;
	errno = 0;
	v = strtoull(*text, &end, 10);
	if (errno || v > UINT32_MAX)
		return -EINVAL;
	*text = end;
	*out = (uint32_t)v;
	return 0;
}

int attr_parse_range(const char *text, struct attr_range *out)
{
	struct attr_range g = { .count = 1, .users = true, .groups = true };

	if (text[0] != '\0' && text[1] == ':' && strchr("ugb", text[0])) {
		g.users = text[0] != 'g';
		g.groups = text[0] != 'u';
		text += 2;
	}
	if (parse_number(&text, &g.from) < 0 || *text++ != ':' ||
	    parse_number(&text, &g.to) < 0)
		return -EINVAL;
	if (*text == ':' && (text++, parse_number(&text, &g.count) < 0))
		return -EINVAL;
	if (*text || g.count == 0 || g.from > UINT32_MAX - g.count ||
	    g.to > UINT32_MAX - g.count)
		return -EINVAL;
	*out = g;
	return 0;
}
