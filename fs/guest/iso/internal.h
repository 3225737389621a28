/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of the ISO 9660 reader share. */
#ifndef FS_GUEST_ISO_INTERNAL_H
#define FS_GUEST_ISO_INTERNAL_H

#include "fs/guest/guest.h"

#define ISO_SECTOR 2048u /* records do not cross from one to the next */
#define ISO_RECORD_MIN 34

enum iso_names { ISO_PLAIN, ISO_JOLIET, ISO_ROCK };

struct iso {
	struct blocks *data; /* borrowed */
	struct blocks *meta; /* the same through a cache; owned */
	uint32_t block; /* bytes: 512, 1024 or 2048 */
	enum iso_names names;
	unsigned int skip; /* bytes before the Rock Ridge of each record */
	uint64_t root; /* node */
};

enum iso_flags {
	ISO_DIRECTORY = 1 << 1,
	ISO_ASSOCIATED = 1 << 2, /* a resource fork or so: not shown */
	ISO_MORE = 1 << 7, /* the file goes on in the next record */
};

/* One directory record, decoded; it borrows nothing. */
struct iso_record {
	uint64_t pos;
	unsigned int len; /* of the record; 0: none, up to the sector's end */
	uint64_t at; /* where its data begin */
	uint32_t size;
	uint8_t flags;
	bool interleaved;
	uint8_t time[7];
	unsigned int name_len;
	unsigned int use, use_len; /* the system use area, in raw */
	uint8_t raw[255];
};
/* The node of the directory whose data begin at @at: its "." record. */
#define ISO_NODE(at) ((at) / 2)

/* Decode the record at @pos from the @len bytes of its sector from there on.
 * Return 0 or -EBADMSG (silent). */
MUST_CHECK int iso_record_get(const struct iso *iso, uint64_t pos,
			      const uint8_t *data, size_t len,
			      struct iso_record *out);
/* Read the one at @pos. -EBADMSG, or what reading returned. */
MUST_CHECK int iso_record_read(const struct iso *iso, uint64_t pos,
			       struct iso_record *out);
/* "." or ".." */
bool iso_record_is_dot(const struct iso_record *rec);
/* The name that the record itself has, without its version; @out has room for
 * GUEST_NAME_MAX + 1. Return its length. */
size_t iso_record_name(const struct iso *iso, const struct iso_record *rec,
		       char *out);
/* Seven bytes, as in records; or seventeen digits. */
struct timestamp iso_time_short(const uint8_t *t);
struct timestamp iso_time_long(const uint8_t *t);

/* The record of @node. Return 0, -ENOENT or what reading returned. */
MUST_CHECK int iso_node_record(const struct iso *iso, uint64_t node,
			       struct iso_record *out);
/* Bytes in all the records of the file whose first one is @rec. Return 0,
 * -EBADMSG (not all are there; said) or what reading returned. */
MUST_CHECK int iso_file_size(const struct iso *iso,
			     const struct iso_record *rec, uint64_t *out);
/* Of guest_iso (guest.h). */
MUST_CHECK int iso_file(struct guest *g, uint64_t node,
			struct guest_file **out);
MUST_CHECK int iso_readdir(struct guest *g, uint64_t dir, uint64_t cookie,
			   guest_dir_fn *fn, void *arg);

/* What Rock Ridge says of a record. */
struct rock {
	bool attrs; /* the next ones are set */
	uint32_t mode, nlink, uid, gid;
	bool device;
	uint32_t dev_major, dev_minor;
	bool times; /* where one is missing, it is the record's */
	struct timestamp atime, mtime, ctime;
	uint64_t child; /* node of the directory that stands here; 0: none */
	bool relocated; /* stands elsewhere: not shown here */
	bool sparse, compressed;
	bool named; /* name is set */
	bool name_done, target_done, target_joins; /* while it is read */
	bool target_bad;
	unsigned int name_len;
	char name[GUEST_NAME_MAX + 1];
	struct buf *target; /* NULL: not wanted */
	uint64_t target_len;
};
/*
 * Read it. @target, which may be NULL, gets a symbolic link's target appended.
 * Return 0, -EBADMSG (it continues without end; said), or what reading
 * returned. Entries that are malformed end the area that they are in.
 */
MUST_CHECK int rock_read(const struct iso *iso, const struct iso_record *rec,
			 struct buf *target, struct rock *out);
/* The same of a node, whose record goes to @rec. */
MUST_CHECK int rock_read_node(const struct iso *iso, uint64_t node,
			      struct buf *target, struct iso_record *rec,
			      struct rock *out);
/* Is it there? Asks the "." record of the root. Sets names and skip. */
MUST_CHECK int rock_probe(struct iso *iso, const struct iso_record *root);

#endif
