/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A list of packs, as tomb/<gid> and sweep/<gid> hold it (vmbackup-vault(5)):
 * a tomb names the packs that a collection condemns, so that whoever begins to
 * write meanwhile does without just these; a sweep is the register that says
 * which of them went, or that the collection gave up.
 */
#ifndef STORE_RECORD_PACK_LIST_H
#define STORE_RECORD_PACK_LIST_H

#include "store/base/attrs.h"
#include "store/base/buf.h"
#include "store/base/name.h"

#include <stdbool.h>

/* More packs than that are condemned in several tombs. */
#define PACK_LIST_MAX 400000

struct pack_list {
	char (*names)[PACK_NAME_MAX]; /* owned; ascending, none twice */
	size_t n, cap;
};

/* Free the names and empty the list. */
void pack_list_release(struct pack_list *l);
/* Append a name; order it later with pack_list_sort(). Return 0, -EINVAL (not
 * a pack's name) or -ENOMEM. */
MUST_CHECK int pack_list_add(struct pack_list *l, const char *name);
/* Sort the names and drop what is there twice. */
void pack_list_sort(struct pack_list *l);
/* Return whether the sorted list has @name. */
MUST_CHECK bool pack_list_has(const struct pack_list *l, const char *name);

/* Append the plaintext of a tomb that condemns the sorted @l; ask
 * buf_error(). */
void tomb_encode(const struct pack_list *l, struct buf *out);
/* Add the packs of the tomb called @name to @out, which has to be sorted anew
 * then. Return 0, -EBADMSG (said in words; @out holds some of them) or
 * -ENOMEM. */
MUST_CHECK int tomb_decode(const void *data, size_t len, const char *name,
			   struct pack_list *out);

/* Append the plaintext of a sweep of the sorted @l, or, where @l is NULL, of
 * one that was aborted; ask buf_error(). */
void sweep_encode(const struct pack_list *l, struct buf *out);
/* Add the packs that the sweep called @name deletes to @out, as tomb_decode();
 * none where it was aborted, which @aborted_out says. */
MUST_CHECK int sweep_decode(const void *data, size_t len, const char *name,
			    bool *aborted_out, struct pack_list *out);

#endif
