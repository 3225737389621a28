/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The volumes in the disks of points, and the filesystems in them that are
 * open: found and opened when something looks, closed again when others are
 * wanted more.
 *
 * A volume gets a serial when its point's volumes are first found, from 1 up,
 * never given to another: node numbers are made of it. What was found of a
 * point may be forgotten and found again; its volumes are known by their names
 * and keep their serials. So with a filesystem: closed and opened again it is
 * the same, as a point never changes. One thread finds or opens; others that
 * want the same wait for it. No lock is held meanwhile.
 *
 * That a volume has no reader, or does not open, is remembered for ever where
 * its bytes are the reason. Where reading them failed it is tried again, and so
 * are volumes that were found while reads of their disks failed: such a set is
 * found anew by whoever looks a moment later. Until all of that is settled
 * callers must not let anything be cached. What was found while reads failed
 * has serials of its own: the volume that has its name later, when all could be
 * read, may hold something else.
 *
 * Safe from any thread.
 */
#ifndef FS_VOLUMES_H
#define FS_VOLUMES_H

#include "store/base/attrs.h"
#include "store/base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct blocks;
struct guest;
struct volumes;
struct roster;
struct secret;
struct vault;

#define VOLUMES_SERIAL_MAX ((1u << 16) - 1)
#define VOLUMES_SETS_MAX 16 /* points whose volumes are kept found */
#define VOLUMES_GUESTS_MAX 32 /* filesystems that are kept open */
/* Bytes that all of them together keep of metadata, directories and files. */
#define VOLUMES_MEMORY ((size_t)24 << 20)
/* Bytes of their replayed logs and large tables, where more than one of them is
 * open. */
#define VOLUMES_HELD_MAX ((size_t)128 << 20)

/* Both are borrowed. NULL: no memory. */
MUST_CHECK struct volumes *volumes_new(struct vault *v, struct roster *r);
void volumes_free(struct volumes *m); /* NULL is fine */
/* What opens LUKS volumes, copied; before anything was looked at. Return 0 or
 * -ENOMEM. */
MUST_CHECK int volumes_set_keys(struct volumes *m, struct secret *const *keys,
				size_t n);

/* The volumes of a point, found if need be; held. Names that cannot be shown
 * have serial 0. Errors are said in words. */
struct point_volumes;
MUST_CHECK int volumes_get(struct volumes *m, uint32_t point,
			   struct point_volumes **out);
void point_volumes_put(struct point_volumes *x);
void point_volumes_put_ptr(struct point_volumes **x);
#define AUTO_POINT_VOLUMES CLEANUP(point_volumes_put_ptr)
size_t point_volumes_count(const struct point_volumes *x);
/* The name is borrowed from @x. */
const char *point_volumes_name(const struct point_volumes *x, size_t i,
			       uint32_t *serial);
/* Are these all that there are? If not, the log says so. */
bool point_volumes_whole(const struct point_volumes *x);
/* Return 0; -ENOENT (there is none of that name); or -EIO (it was not found, but
 * reads failed when it was looked for, or these are not all). */
MUST_CHECK int point_volumes_find(const struct point_volumes *x,
				  const char *name, uint32_t *serial);

/* Tell which volume a serial is of: its point, and its name (borrowed for
 * ever). Return 0, or -ESTALE (no volume ever had it). */
MUST_CHECK int volumes_volume(struct volumes *m, uint32_t serial,
			      uint32_t *point_out, const char **name_out);
/* Hold the bytes of a volume. Return 0; -ESTALE (it was found while reads
 * failed, and is not there); or what finding failed with. */
MUST_CHECK int volumes_blocks(struct volumes *m, uint32_t serial,
			      struct blocks **out);

/* An open filesystem, lent: it stays open until it is given back. */
struct lent {
	struct guest *guest;
	bool sure; /* the volume was found without any read failing */
	struct opened *opened;
	struct volumes *volumes;
};
/*
 * Return 0; -ENODATA: it is not readable, and never will be; or what reading
 * it failed with (said in words).
 */
MUST_CHECK int volumes_enter(struct volumes *m, uint32_t serial,
			     struct lent *out);
void volumes_leave(struct lent *l);
#define AUTO_LENT CLEANUP(volumes_leave)
/* Append why a volume cannot be read, a sentence without a newline. Return 0
 * where that will never change; 1 where it may, because a read failed; -ENOENT
 * where nothing is known against it; or another negative errno. */
MUST_CHECK int volumes_why(struct volumes *m, uint32_t serial, struct buf *out);

/*
 * Is all known of the volumes of a point, and for ever: each was found, and is
 * readable, or is not for a reason in its bytes? *changed_ns_out: when what is
 * shown of them last changed since the mount, or 0.
 */
bool volumes_settled(struct volumes *m, uint32_t point,
		     int64_t *changed_ns_out);
/* Was this volume found without any read failing? */
bool volumes_is_sure(struct volumes *m, uint32_t serial);

struct volumes_stats {
	uint64_t known; /* volumes seen so far */
	uint64_t unreadable; /* of them */
	uint64_t marked; /* of those opened: with a state that users are told */
	uint64_t open; /* now */
	uint64_t memory; /* bytes kept of those, of VOLUMES_MEMORY */
};
void volumes_get_stats(struct volumes *m, struct volumes_stats *out);

#endif
