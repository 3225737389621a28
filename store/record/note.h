/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Notes: what people and programs say of a point after it was made, the only
 * thing about a point that can change. Each is an object of its own,
 * note/<point>-<n>, put where none of its name is and never changed, so that
 * the notes of a point are a list in an order that all readers see alike.
 *
 * machine/<mid>-<n>, the names that a machine was given, is the same kind of
 * list: the last one counts. Both are JSON, see vmbackup-vault(5).
 */
#ifndef STORE_RECORD_NOTE_H
#define STORE_RECORD_NOTE_H

#include "store/base/attrs.h"
#include "store/base/buf.h"

#include <stdbool.h>
#include <stdint.h>

enum note_kind {
	NOTE_OTHER, /* of a later version: shown by its word */
	NOTE_TEXT,
	NOTE_TAG,
	NOTE_UNTAG,
	NOTE_PROTECT, /* not to be removed until it is unprotected */
	NOTE_UNPROTECT,
	NOTE_VERIFIED, /* all of it was read, and was what it should be */
	NOTE_DRILLED, /* it was started or restored as a rehearsal */
	NOTE_NAME, /* of a machine: it is called this from now on */
	NOTE_KEEP, /* no policy is to forget it before this time (RFC 3339) */
	NOTE_SUSPICIOUS, /* something is wrong with it, as it seems */
	NOTE_TRUSTED, /* no, nothing is */
	NOTE_KINDS
};

#define NOTE_TEXT_MAX 4096 /* bytes of text or name */

struct note {
	enum note_kind kind;
	char *word; /* the kind as it is stored; owned */
	char *text; /* the text, tag or name, UTF-8; owned, may be NULL */
	char *by; /* who wrote it: "user@host"; owned, may be NULL */
	int64_t time_ns; /* when, since 1970; 0: not said */
};

void note_release(struct note *n);
/* Return the word for a kind, as it is stored: "tag"; static. NOTE_OTHER has
 * none: NULL. */
const char *note_word(enum note_kind kind);
/*
 * Append the plaintext of a note of @kind, @text (may be NULL) and @by (may be
 * NULL). Return 0, -EINVAL (the kind takes a text and there is none, or it is
 * too long, not UTF-8, or of control characters) or -ENOMEM.
 */
MUST_CHECK int note_encode(enum note_kind kind, const char *text,
			   const char *by, int64_t time_ns, struct buf *out);
/* Decode the plaintext of the note called @name. Return 0, -EBADMSG (said in
 * words) or -ENOMEM. */
MUST_CHECK int note_decode(const void *data, size_t len, const char *name,
			   struct note *out);

#endif
