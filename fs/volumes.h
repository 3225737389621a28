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
 * its bytes are the reason, and tried again where reading them failed.
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
/* Bytes of their replayed logs; of more than one filesystem. */
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
/* -ENOENT: none of that name. */
MUST_CHECK int point_volumes_find(const struct point_volumes *x,
				  const char *name, uint32_t *serial);

/* Of a serial: its point, and its name (borrowed for ever). -ESTALE: there was
 * never such a one. */
MUST_CHECK int volumes_volume(struct volumes *m, uint32_t serial,
			      uint32_t *point_out, const char **name_out);
/* Its bytes, held. */
MUST_CHECK int volumes_blocks(struct volumes *m, uint32_t serial,
			      struct blocks **out);

/* An open filesystem, lent: it stays open until it is given back. */
struct lent {
	struct guest *guest;
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
/* Why a volume cannot be read, a sentence without a newline, appended: 0; 1
 * where it may be able to later; -ENOENT where it can be. */
MUST_CHECK int volumes_why(struct volumes *m, uint32_t serial, struct buf *out);

struct volumes_stats {
	uint64_t known; /* volumes seen so far */
	uint64_t unreadable; /* of them */
	uint64_t marked; /* of those opened: with a state that users are told */
	uint64_t open; /* now */
	uint64_t memory; /* bytes kept of those, of VOLUMES_MEMORY */
};
void volumes_stats(struct volumes *m, struct volumes_stats *out);

#endif
