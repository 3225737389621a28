/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Machines, tags and points of a vault as the namespace numbers them.
 *
 * Each gets a serial when it is first seen, from 1 up, which is never given to
 * another: node numbers and directory cookies are made of serials, and the
 * kernel holds those for as long as it likes. What is gone from the vault
 * keeps its serial and is not listed any more.
 *
 * A point's name stays, too: what it leads to never changes while the roster
 * lives. A new point gets the name that the list of points has for it, or, where
 * another point has or had that name, one with more digits of its id.
 *
 * Safe from any thread. Answers are copies.
 */
#ifndef FS_ROSTER_H
#define FS_ROSTER_H

#include "store/base/attrs.h"
#include "store/base/buf.h"
#include "store/base/id.h"

#include <stdbool.h>
#include <stdint.h>

struct point;
struct point_list;
struct roster;

#define ROSTER_SERIAL_MAX ((1u << 18) - 1)
#define ROSTER_NAME_MAX 256 /* of a machine or tag, with its NUL */
/* Stands in the place of a tag, and means all points, tagged or not. */
#define ROSTER_ALL 0

struct roster_point {
	uint32_t serial;
	uint32_t machine;
	uint8_t id[16];
	char name[64]; /* in its machine's directory; it stays */
	char link[33]; /* in ids/ */
	int64_t time_ns;
	bool has_tree;
	struct id root;
	uint32_t ndisks, nconfigs;
	bool live; /* still in the vault */
};

MUST_CHECK struct roster *roster_new(void);
void roster_free(struct roster *r);
/*
 * Take in what the vault has now, at @now_ns. The reference to @list is taken
 * over. Return 1 where it differs from before, 0 where not, or -ENOMEM (also
 * where serials are used up, said in words): then the old list stays.
 */
MUST_CHECK int roster_update(struct roster *r, struct point_list *list,
			     int64_t now_ns);
/* Return the list as it is now; give it back with point_list_put(). */
struct point_list *roster_list(struct roster *r);
/* Return when the last change was noticed; before there was one, the time of
 * the newest point. */
int64_t roster_changed_ns(struct roster *r);

/* These look up a serial. They return 0, or -ESTALE if it was never given. */
MUST_CHECK int roster_get_point(struct roster *r, uint32_t serial,
				struct roster_point *out);
MUST_CHECK int roster_machine(struct roster *r, uint32_t serial,
			      char name[ROSTER_NAME_MAX], int64_t *changed_ns);
MUST_CHECK int roster_tag(struct roster *r, uint32_t serial,
			  char name[ROSTER_NAME_MAX]);

/* These look up a name. They return 0, or -ENOENT if the vault has no such
 * thing now. */
MUST_CHECK int roster_find_machine(struct roster *r, const char *name,
				   uint32_t *out);
MUST_CHECK int roster_find_tag(struct roster *r, const char *name,
			       uint32_t *out);
MUST_CHECK int roster_find_point(struct roster *r, uint32_t machine,
				 const char *name, uint32_t *out);
/* Look up a name in ids/, or a whole id. */
MUST_CHECK int roster_find_id(struct roster *r, const char *name,
			      uint32_t *out);
/* Look up the newest point of a machine that was not forgotten. */
MUST_CHECK int roster_latest(struct roster *r, uint32_t machine, uint32_t *out);

/*
 * These walk by serial: they find the first one above @after among the tags,
 * the machines that have a point with @tag, and those points. Return 0, or
 * -ENOENT at the end.
 */
MUST_CHECK int roster_next_tag(struct roster *r, uint32_t after, uint32_t *out);
MUST_CHECK int roster_next_machine(struct roster *r, uint32_t tag,
				   uint32_t after, uint32_t *out);
MUST_CHECK int roster_next_point(struct roster *r, uint32_t tag,
				 uint32_t machine, uint32_t after,
				 uint32_t *out);
/* The same among all live points, whatever their machine. */
MUST_CHECK int roster_next_any(struct roster *r, uint32_t after, uint32_t *out);
/* Has the point this tag (or @tag is ROSTER_ALL), and is it live? */
bool roster_has_tag(struct roster *r, uint32_t point, uint32_t tag);

/* Hand out the whole point. It is borrowed from *list_out, which the caller
 * gives back with point_list_put(). Return 0, or -ENOENT if the point is
 * gone. */
MUST_CHECK int roster_hold(struct roster *r, uint32_t serial,
			   struct point_list **list_out,
			   const struct point **out);
/* Append the JSON document of a point. Return 0, or -ENOENT if it is gone. */
MUST_CHECK int roster_json(struct roster *r, uint32_t serial, struct buf *out);

#endif
