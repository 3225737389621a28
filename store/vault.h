/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A vault: a backend, its keys, the local database, caches. Everything that
 * reads or writes one goes through this. No globals; any number can be open.
 * Safe from any thread except open and close.
 *
 * Lock order: writer.lock, vault.lock, cache locks; none is held across I/O.
 */
#ifndef STORE_VAULT_H
#define STORE_VAULT_H

#include "store/backend/backend.h"
#include "store/base/attrs.h"
#include "store/base/buf.h"
#include "store/base/id.h"
#include "store/crypt/crypt.h"

#include <stdbool.h>

struct backend;
struct catalog;
struct pack_dir;
struct point;
struct secret;
struct seam;
struct vault;

/* A credential opens key slots: it is one of the two, borrowed. */
struct credential {
	const struct secret *passphrase;
	const struct secret *keyfile; /* the file's bytes */
};

struct vault_options {
	const char *url;
	struct seam *seam; /* NULL: the system's */
	struct credential credential;
	/*
	 * Where set, vault_open() calls it for the credential instead: once, on
	 * its own thread, when the backend is open and its "config" is one that
	 * this program can read, so that nobody is asked for the password of a
	 * vault that is not there. The secrets stay the caller's. It returns 0,
	 * or a negative errno, said in words, that vault_open() returns.
	 */
	int (*ask)(void *arg, struct credential *out);
	void *ask_arg;
	/* the vault's own folder is made below; NULL: none, private
	 * temporary */
	const char *cache_dir;
	/* where it is remembered what was seen of the vault, so that a rollback
	 * is noticed; an absolute path, and no cache. NULL: it is not */
	const char *state_dir;
	/* bytes of decoded frames and nodes in memory; 0: 64 MiB */
	uint64_t cache_size;
	/* set by whoever wants an end: what waits for the backend fails with
	 * -EINTR then; NULL: nobody. Borrowed until vault_close() */
	const volatile bool *stop;
	/* Take chunks as they are: do not compare them with their ids. */
	bool no_verify;
	/* the index is not read until a chunk is looked for, or a session
	 * begins: for who may need neither. What asks the database itself has to
	 * call vault_refresh() first */
	bool index_later;
	/* where set, used instead of @url; it stays the caller's, to be closed
	 * after vault_close() */
	struct backend *backend;
	const char *label; /* of a new vault's first key slot; may be NULL */
	/* of a new vault: what another's vault_chunker() gave, borrowed; NULL:
	 * a secret of its own */
	const uint8_t *chunker;
	unsigned int parity; /* of a new vault, as vault_parity() */
	/* the key slot to try first; NULL: the one that opened last time */
	const char *slot;
	/* A key that adds points and reads none will do: vault_is_put_only(). Else
	 * it is refused. */
	bool only_adds;
};

/*
 * Make a new vault: probe the backend, write config and a first key slot.
 * @scrypt_log_n 0: the default (17). What an interrupted one left there, a key
 * slot of no vault, is removed. Return 0, -EEXIST (there is one, or the place is
 * not empty), or another negative errno, said in words.
 */
MUST_CHECK int vault_create(const struct vault_options *o,
			    unsigned int scrypt_log_n, char id_out[33]);
/*
 * Open a vault, with what @o says; it is copied, its strings are not needed
 * later. Return 0, -ENOENT (no such place, or no vault there), -EKEYREJECTED
 * (no slot opens with this credential, or only one that reads nothing, which @o does not
 * take), -EOPNOTSUPP (newer format), -EBADMSG
 * (damaged), what @o's ask returned, or another negative errno; said in words.
 */
MUST_CHECK int vault_open(const struct vault_options *o, struct vault **out);
/*
 * Copy out the secret, of CHUNKER_LEN bytes (store/record/config.h), that says
 * where this vault's writers cut files; wipe it later. Return 0, or -ENODATA (it
 * was made before vaults had one), said in words.
 */
MUST_CHECK int vault_chunker(const struct vault *v, uint8_t *out);
/* How much parity writers make for packs, in percent of these; 0: none. It is what the
 * vault was made with, or what vault_set_parity() said; that has to be called before a
 * session begins. */
unsigned int vault_parity(const struct vault *v);
void vault_set_parity(struct vault *v, unsigned int percent);
/* Close a vault that no thread uses any more, and free it. NULL is fine. */
void vault_close(struct vault *v);

/*
 * Compare the vault with what this machine has seen of it before, and say what is
 * gone. vault_points() does that too; this is for who does not list the points,
 * and before other threads use the vault. Return 0 or the negative errno of a
 * listing.
 */
MUST_CHECK int vault_look_back(struct vault *v);
/* Remember the point that a session of this process has just committed, by a register
 * whose plaintext has this hash, COMMIT_HASH_LEN. What could not be written is said. */
void vault_remember(struct vault *v, const struct point *p,
		    const uint8_t *commit_hash);
/* The same of a note, by the name of its object. */
void vault_remember_note(struct vault *v, const char *name);
/* Read the key with which this machine signs the points that it makes, 32 bytes;
 * NULL: it has none. Return 0 or a negative errno, said in words. */
MUST_CHECK int vault_signing_key(const struct vault *v, struct secret **out);
/* How many registers, that is points and verdicts, were gone at the last look. */
uint64_t vault_lost(const struct vault *v);
/* Take the vault as it is now: what was gone at the last look is not missed any
 * more, and what the local database kept of small objects is dropped. Return 0 or a
 * negative errno, said in words. */
MUST_CHECK int vault_accept_rollback(struct vault *v);
/*
 * How many folders that the vault was made with were not there when it was opened,
 * and their names ("note"), in @out, borrowed. What was in them is lost, and reads
 * as if it had never been.
 */
size_t vault_missing_folders(const struct vault *v, char *const **out);
/* Make these folders again, empty, so that they are not missed any more. Return 0
 * or a negative errno, said in words. */
MUST_CHECK int vault_make_folders(struct vault *v);
/*
 * Whether this program may write to the vault, as far as is known. Return 0,
 * -EOPNOTSUPP (a newer one is needed), -EBADMSG (nobody can tell), -EKEYREJECTED (the
 * vault's keys were rotated, and its own is an old one), or -EREMCHG (it has lost
 * what it had, or a folder); said in words.
 */
MUST_CHECK int vault_may_write(const struct vault *v);
/* The same of whether it may put back what opens the vault, of which neither history
 * nor epochs keep it. */
MUST_CHECK int vault_may_mend_keys(const struct vault *v);
/* The same of whether it may delete what nothing refers to. */
MUST_CHECK int vault_may_collect(const struct vault *v);
/* Read again what programs that write to the vault, or delete from it, have to know:
 * a later one may have added to it since it was opened. Return 0, -EOPNOTSUPP (a newer
 * program is needed to read it) or another negative errno, said in words. For one
 * thread, while no other asks. */
MUST_CHECK int vault_read_features(struct vault *v);

/* Read the vault's index: import what is new into the database. Where an index
 * object cannot be read, packs that no other names are asked themselves. Return 0
 * or a negative errno. */
MUST_CHECK int vault_refresh(struct vault *v);

/*
 * Read one index object, which this program has just put, without a listing.
 * Return 0, -ENOENT, -EBADMSG (said in words) or another negative errno.
 */
MUST_CHECK int vault_import_index(struct vault *v, const char *name);

/* Import what the directory of pack @name says, from the pack itself, in place of what
 * was known of it. Return 0,
 * -EBADMSG (said in words) or another negative errno. */
MUST_CHECK int vault_import_pack(struct vault *v, const char *name,
				 uint64_t size);
/*
 * Make what the local database says of pack @name what the pack says itself, for whoever
 * doubts the index. Return 1; 0 (it is not there, or cannot be read: all is as it was);
 * or another negative errno.
 */
MUST_CHECK int vault_settle_pack(struct vault *v, const char *name);
/* Read the directory of pack @name of @size bytes from itself alone, for
 * format_release_dir(); the database is not asked. Return 0, -ENOENT, -EBADMSG (said
 * in words) or another negative errno. */
MUST_CHECK int vault_read_pack_dir(struct vault *v, const char *name,
				   uint64_t size, struct pack_dir *out);
/* Import every pack that the database does not know; those that cannot be
 * read are passed over. @n_out: how many were imported, which is said if any was.
 * Return 0 or a negative errno. */
MUST_CHECK int vault_import_packs(struct vault *v, size_t *n_out);

/* The config that the vault was opened by, as it is stored; borrowed. */
const struct buf *vault_config(const struct vault *v);
/* Whether that is its second copy, because config itself is gone, damaged, or cannot be
 * read. */
bool vault_config_is_hurt(const struct vault *v);
/* The name of the key slot that opened it, 32 digits; and that object, as it is stored;
 * borrowed. */
const char *vault_slot(const struct vault *v);
const struct buf *vault_slot_object(const struct vault *v);
/* The newest epoch of keys that there is, as it was listed; whether nothing bears out
 * that the newest of the keys in use is one; and whether the vault says that programs
 * have to know of epochs. */
uint32_t vault_newest_epoch(const struct vault *v);
bool vault_epoch_is_unproven(const struct vault *v);
bool vault_demands_epochs(const struct vault *v);
const char *vault_url(const struct vault *v);
const char *vault_id_hex(const struct vault *v); /* 32 digits */
struct backend *vault_backend(struct vault *v);
struct catalog *vault_catalog(struct vault *v);
const struct keyring *vault_keyring(const struct vault *v);
/*
 * Whether the key that opened the vault adds points and reads none. Then vault_list()
 * and vault_list_plain() show what sessions of that key have made, and the key slots,
 * and nothing else: that something is not listed means nothing.
 */
bool vault_is_put_only(const struct vault *v);
/*
 * Whether a session is of a writer of the same kind as that key: one with master keys
 * trusts what others with master keys stored, and one that reads nothing what it
 * stored itself. @sid: 32 digits, whatever follows.
 */
bool vault_is_own(const struct vault *v, const char *sid);
/* Of that key: whether somebody may have forgotten @point, 32 digits, or removed it for
 * ever, which it cannot read, but sees by names. Return 1, 0 or a negative errno. */
MUST_CHECK int vault_is_touched(struct vault *v, const char *point);
/* Of that key: the machine whose points it makes; "": any. */
const char *vault_put_machine(const struct vault *v);
struct seam *vault_seam(struct vault *v);

struct vault_stats {
	uint64_t gets, get_bytes; /* backend reads */
	uint64_t frames_decoded, frame_hits;
	uint64_t nodes_decoded, node_hits;
	uint64_t cache_bytes, cache_limit;
	uint64_t damage; /* reads that failed on damage */
};
void vault_get_stats(struct vault *v, struct vault_stats *out);

/*
 * backend_list() of the vault's objects alone. What else lies there is left
 * alone, and named once, as a warning. An object whose place something else than
 * a file has is listed: reading it fails with -EBADMSG.
 */
MUST_CHECK int vault_list(struct vault *v, const char *prefix,
			  backend_list_fn *fn, void *arg);
/* The same with backend_list_plain(). */
MUST_CHECK int vault_list_plain(struct vault *v, const char *prefix,
				backend_list_fn *fn, void *arg);
/* Read from the backend, as backend_get() and backend_get_all(), and count it.
 * An object over @max is damage: -EBADMSG. */
MUST_CHECK int vault_get(struct vault *v, const char *name, uint64_t off,
			 void *data, size_t len);
MUST_CHECK int vault_get_all(struct vault *v, const char *name, size_t max,
			     uint8_t **out, size_t *len_out);

/* ---- keys (store/key/key_manage.c) ---- */

struct key_info {
	char slot[33];
	/* "passphrase", "keyfile", "unknown" (of a newer program), "foreign"
	 * (of another vault) or "damaged" */
	char kind[16];
	/* JSON text of created, host, user, label; owned, NULL where it is
	 * damaged */
	char *label;
	uint32_t epoch; /* of the master key that it says it holds */
	bool current; /* the one that opened this vault */
};
/* Add a slot. @label as in key_info, may be NULL. Return 0 or a negative
 * errno said in words. */
MUST_CHECK int vault_key_add(struct vault *v, const struct credential *c,
			     unsigned int scrypt_log_n, const char *label,
			     char slot_out[33]);
/*
 * Add a slot of a writer that adds points and reads none: points of @machine, or of any
 * where that is "". Otherwise as vault_key_add(); also -ENODATA: the vault was made
 * before the chunker had a secret of its own.
 */
MUST_CHECK int vault_key_add_put(struct vault *v, const struct credential *c,
				 unsigned int scrypt_log_n, const char *label,
				 const char *machine, char slot_out[33]);
/* List the slots, damaged ones among them; the caller frees each label and the
 * array. Return 0 or a negative errno. */
MUST_CHECK int vault_key_list(struct vault *v, struct key_info **out,
			      size_t *n_out);
/*
 * Remove the slot whose name begins with the digits @prefix. Where somebody else
 * removed the slot in use at the same moment, it is put back, so that two who
 * remove each other's key leave both.
 * Return 0, -ENOENT, -EEXIST (several do), -EPERM (the one in use),
 * -ECANCELED (the one in use was removed meanwhile, and is back), or another
 * negative errno; said in words.
 */
MUST_CHECK int vault_key_remove(struct vault *v, const char *prefix);

#endif
