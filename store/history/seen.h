/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The file of what this machine has seen of a vault: a line for each register and
 * note, for these are never deleted. It grows at its end, so that a backup writes
 * one line whatever there was before, and is written anew, beside the old one
 * and then in its place, only where lines go or are damaged. Many processes may
 * read and change it at once. It is text, for whoever looks for what was lost:
 *
 *     <check> at <the vault's place>
 *     <check> <register> <point> <seconds since 1970> <machine>
 *     <check> accepted removed|replaced|forked <session>
 *     <check> accepted signer ..., see trust.h
 *
 * The check is SipHash-2-4 of the rest of the line under the vault's id, as 16
 * hexadecimal digits. "-" stands for what is not known. A line says where the
 * lines below it were seen. One that is damaged says nothing, and the last one is
 * torn where a machine lost power while it was written: both are passed over.
 */
#ifndef STORE_HISTORY_SEEN_H
#define STORE_HISTORY_SEEN_H

#include "store/base/attrs.h"
#include "store/base/buf.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "store/history/trust.h"

struct seam;

#define SEEN_ID_LEN 16

/* A register, and what there is to say of it. Borrows its strings. */
struct seen_row {
	/* "commit/<sid>", "purge/<point>-<n>" or "note/<point>-<n>" */
	const char *name;
	const char *point; /* its id; NULL: none, or not known */
	const char *vm; /* what the point's machine was called; as @point */
	const char *place; /* where the vault was then; NULL: not known */
	int64_t time_s; /* the point's time, in seconds since 1970 */
};

struct seen_file {
	struct seam *seam; /* borrowed */
	char *dir; /* owned */
	char *path; /* owned; "<dir>/<vault id>.seen" */
	uint8_t vault_id[SEEN_ID_LEN];
};

/* Tells states of the file apart, as far as that can be known without reading it.
 * Bytes alone. */
#define SEEN_STAMP_LEN 57
struct seen_stamp {
	uint8_t b[SEEN_STAMP_LEN];
};

/* What was read of it at one moment. */
struct seen {
	struct buf text; /* what the rows borrow from */
	struct seen_row *rows; /* owned; sorted by name, each name once */
	size_t n, cap;
	/* What is wrong with the vault's own history and was accepted: "removed
	 * <session>" and the like. Owned; sorted; the strings are borrowed. */
	const char **accepted;
	size_t naccepted, accepted_cap;
	struct trust trust; /* what of it is of signers */
	const char *last_place; /* of the end of the file; may be NULL */
	uint64_t bad; /* lines that are damaged */
	bool torn; /* the last line has no end */
	bool there; /* there is such a file */
	struct stat st; /* as it was then, where it is there */
};

void seen_release(struct seen *s);
/* Read the file. Return 0, also where there is none, or a negative errno,
 * silently; @out is to be released either way. */
MUST_CHECK int seen_read(const struct seen_file *f, struct seen *out);
/* The same of a descriptor that is open. */
MUST_CHECK int seen_read_fd(const struct seen_file *f, int fd,
			    struct seen *out);
/* Return whether the file is still as it was when @s was read. */
bool seen_is_current(const struct seen_file *f, const struct seen *s);
/* The same of a file that was looked at, @now. */
bool seen_is_of(const struct seen *s, const struct stat *now);
/* The stamp of a file that was looked at; NULL: there is none. */
void seen_stamp_of(const struct stat *st, struct seen_stamp *out);
/* Return the row of that name, or NULL. */
const struct seen_row *seen_find(const struct seen *s, const char *name);
/* Return whether @what was accepted. */
bool seen_is_accepted(const struct seen *s, const char *what);
/* Append the line that says @text, which has neither newline nor NUL. */
void seen_put_line(const struct seen_file *f, const char *text, size_t len,
		   struct buf *out);
/*
 * Note these rows, but for those that the file has, as seen at @place, and let
 * it forget those of the names @drop. @was: what was read of it before, which
 * spares to read it again where it is still so; may be NULL. @now_out, which may be
 * NULL: what the file is now, where that is @was and these rows, else untouched.
 * Durable when it returns 0; else a negative errno, silently: -EBUSY (others kept the
 * file locked for long).
 */
MUST_CHECK int seen_change(const struct seen_file *f, const char *place,
			   const struct seen *was, const struct seen_row *rows,
			   size_t nrows, char *const *drop, size_t ndrop,
			   struct stat *now_out);

/* Let it forget those of the names @drop, and note what was accepted. For the rest as
 * seen_change(). */
MUST_CHECK int seen_accept(const struct seen_file *f, const struct seen *was,
			   char *const *drop, size_t ndrop,
			   char *const *accepted, size_t naccepted);

#endif
