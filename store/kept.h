/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Small immutable objects of one kind, decoded, as an open vault keeps them
 * from one listing to the next: what did not change is neither fetched nor
 * decoded again.
 *
 * The local database has each of them, and from time to time all of a kind in one
 * piece, its snapshot, from which a new process begins: so that to have what is
 * known costs nothing that counts, however many there are.
 */
#ifndef STORE_KEPT_H
#define STORE_KEPT_H

#include "store/base/name.h"
#include "store/base/words.h"
#include "store/vault.h"

struct arena;
struct name_sum;

/* A snapshot that is made. */
struct kept_pack {
	struct buf out;
	struct words words; /* what @out has numbers of */
};

/* One that is read. */
struct kept_unpack {
	struct arena *arena; /* whose text it is */
	struct reader in;
	char **words; /* owned; they lie in the text */
	size_t nwords;
	const char *name; /* of the item, borrowed */
};

/* The longest is "machine/", 32 digits, "-" and a number of 32 bits. */
#define KEPT_NAME_MAX 52

struct kept_kind {
	const char *prefix; /* "commit/" */
	uint8_t type; /* enum object_type */
	size_t max; /* bytes that the object may have */
	/* Return 0, -ENOMEM, or -EBADMSG, said in words. */
	int (*decode)(const void *data, size_t len, const char *name,
		      void **out);
	void (*release)(void *value);
	/* For the snapshot. Append a value; ask buf_error(). */
	void (*pack)(const void *value, struct kept_pack *p);
	/* Take off what was appended there. Return 0, -EBADMSG (silent) or
	 * -ENOMEM. */
	int (*unpack)(struct kept_unpack *u, void **out);
	uint32_t version; /* of that form */
	bool in_arena; /* what was unpacked lies there, and @release spares it */
	/* May be NULL. Is it of the session that it was wanted of? Return 0 or
	 * -EBADMSG, said in words. */
	int (*check)(const struct vault *v, const void *value, const char *name,
		     const char *session);
};

struct kept {
	char name[KEPT_NAME_MAX];
	int error; /* -EBADMSG, -EOPNOTSUPP, -EIO or -ENOENT, where @value is NULL */
	/* owned; NULL where it is damaged, or was gone when it was looked for */
	void *value;
};

/* Sorted by name, as strings are. */
struct kept_set {
	struct kept *items; /* owned */
	size_t n, cap;
	size_t fresh; /* how many values came since the last snapshot */
	struct arena *arena; /* held; of those that came from it; may be NULL */
	bool has_sum;
	uint64_t sum; /* of the names, once it was asked for: kept_sum() */
};

/*
 * An object that is to be in a set. Several may want one of the same name, for anybody
 * who may put objects can name the point of another: it is right where it is what any
 * of them wants.
 */
struct kept_wanted {
	char name[KEPT_NAME_MAX];
	const uint8_t *sha256; /* of the object as stored; NULL: any */
	const char *session; /* that it is of; NULL: any */
	bool has_more; /* the next one, once sorted, is of the same name */
};

struct kept_wish {
	struct kept_wanted *items; /* owned */
	size_t n, cap;
};

void kept_release(const struct kept_kind *kind, struct kept_set *s);
void kept_release_wish(struct kept_wish *l);
/* Append @name to the list. Return 0, -ENOMEM, or -EBADMSG (it is too long to be
 * one; said in words). */
MUST_CHECK int kept_want(struct kept_wish *l, const char *name,
			 const uint8_t *sha256, const char *session);
/* What a listing found, beside what a set has. */
#define KEPT_MORE_MAX 100
enum kept_news {
	KEPT_SAME, /* just that, and each was read: @out is empty */
	/* that and what is in @out, KEPT_MORE_MAX at most, for kept_add() */
	KEPT_MORE,
	KEPT_OTHER, /* all that it found is in @out, for kept_refresh() */
};
/* List the objects of this kind that the vault has. Return enum kept_news, or the
 * negative errno of the listing, said in words. */
MUST_CHECK int kept_list_new(struct vault *v, const struct kept_kind *kind,
			     struct kept_set *s, struct kept_wish *out);
/* Read what is wanted, none of which the set has, into it. For the rest as
 * kept_refresh(). */
MUST_CHECK int kept_add(struct vault *v, const struct kept_kind *kind,
			struct kept_set *s, struct kept_wish *wanted,
			bool *changed_out);
/* Whether each item of the set was read. */
bool kept_all_read(const struct kept_set *s);
/* The sum of the names of a set, as vault_sum_add() makes it. */
uint64_t kept_sum(const struct vault *v, struct kept_set *s);
/* Whether @s has just the names that @sum is of, and each was read. */
bool kept_is_all(const struct vault *v, struct kept_set *s,
		 const struct name_sum *sum);
/* Add the objects of this kind that the vault has to @out. Return 0, or the
 * negative errno of the listing, said in words. */
MUST_CHECK int kept_list(struct vault *v, const struct kept_kind *kind,
			 struct kept_wish *out);
/*
 * Make @s hold just what is wanted: what it has stays, what is new or could not
 * be read last time is read, from the database or the vault. @changed_out: set
 * to true where the outcome differs from before, else left alone. What it had and is
 * not wanted goes from the database, too. The list is sorted by this. One thread at a time may refresh a set.
 * Return 0, or a negative errno that is not of one object alone (the vault
 * cannot be reached, no memory): @s is as it was.
 */
MUST_CHECK int kept_refresh(struct vault *v, const struct kept_kind *kind,
			    struct kept_set *s, struct kept_wish *wanted,
			    bool *changed_out);
/* Append a value, which the set then owns, to a set of its own that is in no order.
 * Return 0, -ENOMEM, or -EBADMSG, as kept_want(). */
MUST_CHECK int kept_append(struct kept_set *s, const char *name, void *value);
/* Move what is in @more, in no order, to the sorted @s, where that does not have it.
 * Return 0 or -ENOMEM. */
MUST_CHECK int kept_join(const struct kept_kind *kind, struct kept_set *s,
			 struct kept_set *more);
/* Append what was read of a set, for kept_unpack_set(). Return 0 or -ENOMEM. */
MUST_CHECK int kept_pack_set(const struct vault *v,
			     const struct kept_kind *kind,
			     const struct kept_set *s, struct buf *out);
/* Fill an empty set from the text of @arena, which is proven to be what was packed;
 * the sum of the names among it. Return 0, -EBADMSG (silent) or -ENOMEM, where @out
 * is to be released. */
MUST_CHECK int kept_unpack_set(const struct kept_kind *kind,
			       struct arena *arena, struct kept_set *out);
/* Append to @out what the database has of an object. Return 0, -ENOENT (it is not there,
 * or not as it was put) or another negative errno. */
MUST_CHECK int kept_get_row(struct vault *v, const char *name, struct buf *out);
/* Put an object into the database; the proof goes behind it in @plain. What cannot be
 * kept is fetched again another time. Return whether it was. */
bool kept_put_row(struct vault *v, const char *name, struct buf *plain);
/* Whether the database has a row of that name, be it right or wrong. */
bool kept_is_local(struct vault *v, const char *name);
/* Sort what is wanted by name and hash, and drop what is there twice. */
void kept_sort_wish(struct kept_wish *l);
/* Whether both want an object of the same hash. */
bool kept_same_hash(const struct kept_wanted *a, const struct kept_wanted *b);
/* Fill an empty set from the snapshot. Where there is none, or it is damaged, the
 * set stays empty. Return 0 or -ENOMEM. */
MUST_CHECK int kept_load(struct vault *v, const struct kept_kind *kind,
			 struct kept_set *s);
/* So many that are read one by one are no burden. */
#define KEPT_FRESH_MAX 128
/* Make a new snapshot, where so much has come since the last that it is worth
 * the writing. What cannot be kept is read again another time. */
void kept_save(struct vault *v, const struct kept_kind *kind,
	       struct kept_set *s);
bool kept_has(const struct kept_set *s, const char *name);
/* The items of @s from @at on; NULL where there are none. */
static inline const struct kept *kept_from(const struct kept_set *s, size_t at)
{
	return s->n > 0 ? &s->items[at] : NULL;
}
/* The first item whose name is not before @name: its index, or s->n. */
size_t kept_find(const struct kept_set *s, const char *name);
/*
 * Read the plaintext of an object, from the database or, authenticated, from
 * the vault, into @out. Return 0, -ENOENT, -EBADMSG or another negative errno;
 * all but -ENOENT said in words.
 */
MUST_CHECK int kept_read(struct vault *v, const struct kept_kind *kind,
			 const char *name, const uint8_t *sha256,
			 struct buf *out);
/* The same, and put what came from the vault into the database: for what never
 * changes and stays. */
MUST_CHECK int kept_read_once(struct vault *v, const struct kept_kind *kind,
			      const char *name, struct buf *out);

#endif
