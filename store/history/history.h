/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whether a vault still has what this machine has seen of it. Registers
 * (commits, verdicts) are never deleted, nor are notes on points that are there, so
 * one that was seen and is not listed any more means that the vault went back, that it is another copy of it, or
 * that somebody removed what nobody may remove. That is remembered in a file
 * outside of the vault and of the cache (seen.h).
 *
 * One thread at a time; but history_note() and history_lost() any, at any time.
 */
#ifndef STORE_HISTORY_HISTORY_H
#define STORE_HISTORY_HISTORY_H

#include "store/base/attrs.h"
#include "store/base/buf.h"

#include <stdbool.h>
#include <stdint.h>

#include "store/history/chain.h"
#include "store/history/seen.h"

struct history;
struct seam;

/*
 * Of the vault with this id, at @url; what is remembered lies below the
 * directory @dir, an absolute path, which is made where it is needed; NULL: nothing
 * is, nor where it does not remember, as with a key that reads nothing: @dir then keeps
 * only who may sign. Return 0 or -ENOMEM.
 */
MUST_CHECK int history_new(const char *dir, bool remembers,
			   const uint8_t *vault_id, const char *url,
			   struct seam *seam, struct history **out);
void history_free(struct history *h);
/*
 * Read what is remembered; to be called before the vault is listed, for what is
 * seen later may be younger than the listing. Return 1 where that is something
 * else than before, 0, or -ENOMEM. Where it cannot be read, that is said, once.
 */
MUST_CHECK int history_read(struct history *h);
/*
 * Compare that with the registers that the vault has: @n @names, sorted. What is
 * missing is said, where it is not what was missing before, unless @is_missed
 * (NULL: any is) says that the one called @name may be gone. @describe fills in
 * what is known of number @i, one that was not seen before, but for its name and
 * place; what it gives is borrowed until this returns, and where it returns false
 * that one is not remembered. @describe NULL: nothing new is. Return 0 or -ENOMEM;
 * what could not be written is said, once.
 */
MUST_CHECK int history_compare(struct history *h, char *const *names, size_t n,
			       bool (*is_missed)(void *arg, const char *name),
			       bool (*describe)(void *arg, size_t i,
						struct seen_row *out),
			       void *arg);
/*
 * Take in what the commits say of one another: flaws that were not accepted are
 * said, where they are not those of before, but for what history_compare(), which
 * is to be called first, has missed. @is_there: whether the register of that name
 * is there though it was not listed (1, 0 or a negative errno), for a store may list
 * one that was made later and not this one. @describe is that of history_compare(),
 * of the nodes of @c. Return 0 or a negative errno.
 */
MUST_CHECK int history_judge(struct history *h, const struct chain *c,
			     int (*is_there)(void *arg, const char *name),
			     bool (*describe)(void *arg, size_t i,
					      struct seen_row *out),
			     void *arg);
/*
 * What tells whether the file is what it was. Where history_is_settled() gave the same
 * of an earlier process, at the same place of the vault, what it says is in what was
 * compared then, and it need not be read.
 */
void history_stamp(struct history *h, struct seen_stamp *out);
/* Whether all that the file says was in what history_compare() and history_judge()
 * were called with last, but for what history_note() added; then *@out is its stamp. */
bool history_is_settled(const struct history *h, struct seen_stamp *out);
/* Append what it says of who may sign, for history_settle(); ask buf_error(). */
void history_put_trust(const struct history *h, struct buf *out);
/* Take the file for what it was when history_stamp() was called last, and settled:
 * history_note() spares to read it. @trust, of @len bytes, is what history_put_trust()
 * put when it was so. Return 0, -ENOMEM, or -EBADMSG, silently: it is nothing that
 * was put. Then nothing is settled. */
MUST_CHECK int history_settle(struct history *h, const void *trust, size_t len);
/* Where it lies; NULL: nothing is remembered. Borrowed. */
const char *history_dir(const struct history *h);
/* Return whether anything is remembered, now. */
bool history_is_kept(const struct history *h);
/* Who may sign, as it is remembered; borrowed, until anything is read or changed. */
const struct trust *history_trust(const struct history *h);
/* Remember one more of it. Return 0, -ENOENT (nothing is remembered; silent), or
 * another negative errno, said in words. */
MUST_CHECK int history_add_trust(struct history *h,
				 const struct trust_row *row);
/* How many registers were missing then, and how many flaws there are. */
uint64_t history_lost(const struct history *h);
/* Remember one register, which this process put itself. A failure is said. */
void history_note(struct history *h, const struct seen_row *row);
/* Which commits were the newest when somebody accepted what was missing, each as
 * "settled <sid>"; sorted, borrowed. */
const char *const *history_settled(const struct history *h, size_t *n_out);
/* Forget what is missing, and remember the flaws as known, and that the @n commits
 * @newest, sids, are the newest now. Return 0, or a negative errno, said in words. */
MUST_CHECK int history_accept(struct history *h, const char *const *newest,
			      size_t n);

#endif
