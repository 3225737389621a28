/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is to be said of a filesystem: its label, and whether it is as Windows
 * would see it. $LogFile is not replayed. It needs to be where a restart
 * page says that there was a client and not that the volume was clean; where
 * $Volume has the flag "dirty", chkdsk would run; and where hiberfil.sys
 * begins with "hibr", Windows sleeps, with changes of its own in memory
 * (that is so too after a shutdown with "fast startup").
 */
#include "config.h"

#include "fs/guest/ntfs/internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "store/base/bytes.h"
#include "store/base/log.h"

#define LOG_PAGE 4096u
#define LOG_NO_CLIENT 0xffff
#define LOG_CLEAN 0x0002
#define SECTOR 512u

static const char not_replayed[] = "log-not-replayed";

static void tell(struct ntfs *n, const char *note)
{
	struct guest_info *info = &n->g->info;

	memcpy(info->state, not_replayed, sizeof(not_replayed));
	snprintf(info->note, sizeof(info->note), "%s", note);
}

/*
 * A restart page: "RSTR"; le16 at 4 and 6, offset and count of the fixups; le16
 * at 24, offset of the restart area: le64 newest LSN; le16 at 12, list of
 * clients in use; le16 at 14, flags. Return true where it is a page that says
 * that the log is in use; *lsn is how new it is.
 */
static bool page_dirty(uint8_t *page, uint64_t *lsn)
{
	unsigned int fix = get_le16(page + 4), count = get_le16(page + 6), i;
	unsigned int area = get_le16(page + 24);

	*lsn = 0;
	if (memcmp(page, "RSTR", 4) || area < 30 || area > LOG_PAGE - 48 ||
	    count < 1 || count > LOG_PAGE / SECTOR + 1 || fix < 30 ||
	    fix + 2 * count > LOG_PAGE)
		return false;
	for (i = 1; i < count; i++)
		memcpy(page + i * SECTOR - 2, page + fix + 2 * i, 2);
	*lsn = get_le64(page + area);
	return get_le16(page + area + 12) != LOG_NO_CLIENT &&
	       !(get_le16(page + area + 14) & LOG_CLEAN);
}

/* -ENOENT: none. */
static int read_start(struct ntfs *n, uint64_t record, uint8_t *out, size_t len,
		      size_t *len_out)
{
	struct guest_file *f = NULL;
	ntfs_inode *ni;
	int r;

	errno = 0;
	ni = ntfs_inode_open(n->vol, record);
	if (!ni)
		return ntfs_error(n, "damaged", record);
	r = ntfs_data_open(n, ni, AT_DATA, AT_UNNAMED, 0, &f);
	ntfs_inode_close(ni);
	if (r < 0)
		return r;
	*len_out = f->size < len ? (size_t)f->size : len;
	if (*len_out)
		r = f->ops->read(f, 0, out, *len_out);
	f->ops->free(f);
	return r;
}

static int check_log(struct ntfs *n)
{
	uint8_t pages[2 * LOG_PAGE] = { 0 };
	uint64_t lsn[2];
	bool dirty[2];
	size_t len;
	int r;

	r = read_start(n, FILE_LogFile, pages, sizeof(pages), &len);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	dirty[0] = page_dirty(pages, &lsn[0]);
	dirty[1] = page_dirty(pages + LOG_PAGE, &lsn[1]);
	if (lsn[0] >= lsn[1] ? dirty[0] : dirty[1])
		tell(n, "The filesystem was in use when its disk was read, and "
			"its $LogFile is not replayed: what changed last may "
			"be missing or incomplete.");
	return 0;
}

static int check_hibernation(struct ntfs *n)
{
	static const uint8_t name[] = "h\0i\0b\0e\0r\0f\0i\0l\0.\0s\0y\0s";
	AUTO_BUF struct buf found = BUF_INIT;
	uint8_t start[4] = { 0 };
	ntfs_inode *root;
	uint64_t node;
	size_t len;
	int r;

	r = ntfs_node_open(n, FILE_root, &root);
	if (r < 0)
		return r;
	buf_put(&found, name, sizeof(name));
	r = buf_error(&found);
	if (!r) {
		ntfschar units[sizeof(name) / 2];

		memcpy(units, name, sizeof(name));
		r = ntfs_dir_find(n, root, units, sizeof(name) / 2, &node,
				  &found);
	}
	ntfs_inode_close(root);
	if (!r)
		r = read_start(n, node & UINT32_MAX, start, sizeof(start),
			       &len);
	if (r == -ENOMEM)
		return r;
	if (!r && len == 4 &&
	    (!memcmp(start, "hibr", 4) || !memcmp(start, "HIBR", 4)))
		tell(n, "Windows was hibernated (a shutdown with fast startup "
			"is that too): what it kept in memory is missing.");
	return 0; /* what is damaged is said when somebody looks there */
}

/* A resident value in $Volume; NULL: there is none. */
static const uint8_t *volume_value(ntfs_attr_search_ctx *ctx, ATTR_TYPES type,
				   size_t *len)
{
	const ATTR_RECORD *a;
	size_t off;

	ntfs_attr_reinit_search_ctx(ctx);
	if (ntfs_attr_lookup(type, AT_UNNAMED, 0, CASE_SENSITIVE, 0, NULL, 0,
			     ctx))
		return NULL;
	a = ctx->attr;
	off = le16_to_cpu(a->value_offset);
	*len = le32_to_cpu(a->value_length);
	if (a->non_resident || off > le32_to_cpu(a->length) ||
	    *len > le32_to_cpu(a->length) - off)
		return NULL;
	return (const uint8_t *)a + off;
}

static int read_volume(struct ntfs *n)
{
	AUTO_BUF struct buf label = BUF_INIT;
	ntfs_attr_search_ctx *ctx;
	const uint8_t *p;
	ntfs_inode *ni;
	size_t len;
	int r = 0;

	errno = 0;
	ni = ntfs_inode_open(n->vol, FILE_Volume);
	if (!ni)
		return ntfs_error(n, "damaged", FILE_Volume);
	ctx = ntfs_attr_get_search_ctx(ni, NULL);
	if (!ctx) {
		ntfs_inode_close(ni);
		return -ENOMEM;
	}
	p = volume_value(ctx, AT_VOLUME_NAME, &len);
	if (p)
		r = ntfs_text_put(&label, p, len / 2);
	if (!r && label.len && label.len < sizeof(n->g->info.label))
		memcpy(n->g->info.label, label.data, label.len);
	p = volume_value(ctx, AT_VOLUME_INFORMATION, &len);
	/* The library allows no compression before version 3. */
	n->vol->major_ver = p && len >= 12 ? p[8] : 3;
	n->vol->minor_ver = p && len >= 12 ? p[9] : 1;
	if (p && len >= 12 && (get_le16(p + 10) & 1))
		tell(n, "The filesystem is marked dirty: Windows would check "
			"it before use.");
	ntfs_attr_put_search_ctx(ctx);
	ntfs_inode_close(ni);
	return r;
}

int ntfs_state_read(struct ntfs *n)
{
	int r;

	n->err = 0;
	r = read_volume(n);
	if (!r)
		r = check_log(n);
	if (!r)
		r = check_hibernation(n);
	return r;
}
