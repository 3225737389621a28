/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A place in a vault, as people type it: POINT or POINT:PATH.
 *
 *     web1/2026-11-22T10:15:00Z:files/etc/passwd
 *     `------- POINT ---------' `---- PATH ----'
 *
 * Every program that takes a place takes it apart here, so that all of them
 * mean the same by it. Where POINT ends is not obvious: the name of a machine
 * may hold colons, and so may a time. These rules decide:
 *
 *   - If the text begins with the name of a machine that has a point in the
 *     vault, followed by '/', ':' or the end, then it means that machine. Of
 *     several such names the longest one wins: "rack1:web" before "rack1".
 *   - Behind "MACHINE/", the colons of a time in the form 10:15:00 belong to
 *     the time.
 *   - In all other texts POINT ends at the first colon.
 *
 * PATH is a path of the mount below the point's directory. Empty components,
 * "." and a '/' at either end do not count. No symbolic link is followed, and
 * ".." is a name that nothing has.
 */
#ifndef FS_PLACE_H
#define FS_PLACE_H

#include "store/base/attrs.h"

#include <stddef.h>

struct point;
struct point_disk;
struct point_list;
struct view;
struct view_attr;

/* The part of a point that a place is in. */
enum place_kind {
	PLACE_POINT, /* the point as a whole */
	PLACE_FILES,
	PLACE_DISKS,
	PLACE_VOLUMES,
	PLACE_CONFIG,
	PLACE_OTHER, /* point.json, or a name that no point has */
};

struct place {
	struct point_list *list; /* held until place_release() */
	size_t index; /* of the point in list */
	const struct point *point; /* borrowed from list */
	size_t point_len; /* the bytes of the text that named the point */
	char *path; /* owned; "files/etc/passwd", "" for the whole point */
	enum place_kind kind;
	/* In path, what follows the folder of that kind: "etc/passwd"; "" is
	 * the folder itself. */
	const char *inside;
};

/*
 * Take @text apart by the points of @l, which @out holds from then on. Whether
 * PATH exists is not looked at.
 * Return 0; -ENOENT (no such point) or -EEXIST (an id's beginning that several
 * points have), both said in words; or -ENOMEM. Then @out is empty. In every
 * case place_release() may be called. Does not block.
 */
MUST_CHECK int place_parse(struct point_list *l, const char *text,
			   struct place *out);
/* Free what @p owns and leave it empty. An empty place is fine. */
void place_release(struct place *p);

/*
 * Take @text apart by the points of the view, and look up what is there.
 * Return as place_parse(), or -ENOENT (the point has no such path; said in
 * words) or what view_lookup() returns. May block on the vault.
 */
MUST_CHECK int place_find(struct view *w, const char *text, struct place *out,
			  struct view_attr *attr_out);

/* Say what is wrong with who signed the place's point, for whoever is to take it for
 * what its machine was. */
void place_warn_of_signer(const struct place *p);
/*
 * The disk that the place is: POINT:disks/NAME.raw; or, where the place is a
 * whole point, disk @name of it (NULL: none was named).
 * @text is what was typed, for messages.
 * Return 0, -ENOENT (the point has no such disk) or -EINVAL (the place is no
 * disk, or @name is another one); both are said in words.
 */
MUST_CHECK int place_disk(const struct place *p, const char *text,
			  const char *name, const struct point_disk **out);

/*
 * If @text is "MACHINE:REST" with a machine of @l (the longest name wins),
 * return REST and set *@vm_out, which @l owns. Else return NULL.
 */
const char *place_machine(const struct point_list *l, const char *text,
			  const char **vm_out);

/* A copy of @text without empty components, ".", and a '/' at either end. The
 * caller frees it. NULL: no memory. */
MUST_CHECK char *place_clean_path(const char *text);

#endif
