/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a backend is made of. Its operations are called through backend.h alone,
 * with names and ranges that have been checked. Each tries once; what fails for
 * the moment is tried again by the wrapper, and so it is silent: -EAGAIN and
 * -ETIMEDOUT. Other errors are said in words, as backend.h says.
 */
#ifndef STORE_BACKEND_INTERNAL_H
#define STORE_BACKEND_INTERNAL_H

#include "store/backend/backend.h"
#include "store/base/buf.h"

struct stop;

/* How long an operation may take, and who may end it. What waits looks at
 * backend_call_over(). */
struct backend_call {
	struct backend *b;
	int64_t deadline_ns; /* by the seam's monotonic clock */
	struct stop *obeys; /* what the calling thread obeys; NULL: nobody */
};

/* A part of a listing. Zero it. */
struct backend_page {
	/* What is found may be added without size and time. */
	bool plain;
	struct backend_found *found; /* owned */
	size_t n, cap;
	size_t *tokens; /* owned; where they begin in text */
	size_t ntokens, tokens_cap;
	struct buf text; /* names and tokens, each ended by a 0 */
};

struct backend_found {
	size_t name; /* where it begins in the page's text */
	struct backend_info info;
};

struct backend_ops {
	int (*put)(struct backend *b, const struct backend_call *c,
		   const char *name, const void *data, size_t len);
	/* As backend_replace(). NULL: it cannot. */
	int (*replace)(struct backend *b, const struct backend_call *c,
		       const char *name, const void *data, size_t len);
	int (*get)(struct backend *b, const struct backend_call *c,
		   const char *name, uint64_t off, void *data, size_t len);
	int (*get_all)(struct backend *b, const struct backend_call *c,
		       const char *name, size_t max, uint8_t **out,
		       size_t *len_out);
	int (*head)(struct backend *b, const struct backend_call *c,
		    const char *name, struct backend_info *info_out);
	/*
	 * One page of a listing. @token is NULL, or one that an earlier page of
	 * the same listing ended with. A page may end with several: each leads
	 * to a further page, and they are taken in any order and at once.
	 */
	int (*list)(struct backend *b, const struct backend_call *c,
		    const char *prefix, const char *token,
		    struct backend_page *page);
	/* As backend_take_stamp(). NULL: there are none. */
	bool (*stamp)(struct backend *b, const char *prefix,
		      struct backend_stamp *out);
	int (*sync)(struct backend *b, const struct backend_call *c,
		    const char *name);
	int (*delete)(struct backend *b, const struct backend_call *c,
		      const char *name);
	/* NULL: one by one. */
	int (*delete_many)(struct backend *b, const struct backend_call *c,
			   const char *const *names, size_t n);
	int (*probe)(struct backend *b);
	/* As backend_may_delete(). NULL: only trying tells. */
	int (*may_delete)(struct backend *b, const char *prefix);
	/* As backend_may_lag(). NULL: it never does. */
	bool (*may_lag)(struct backend *b, char why[BACKEND_LAG_MAX]);
	/* Make room for a new vault: -EEXIST where one is already. */
	int (*create)(struct backend *b);
	/* As backend_missing_folders() and backend_make_folders(). Both NULL: a
	 * name needs no folder. */
	int (*missing_folders)(struct backend *b,
			       int (*fn)(void *arg, const char *folder),
			       void *arg);
	int (*make_folders)(struct backend *b);
	void (*close)(struct backend *b);
};

/* All backends have this, and embed it first. */
struct backend {
	const struct backend_ops *ops;
	char *url; /* owned; for messages */
	struct backend_options options; /* with the defaults filled in */
	unsigned int list_threads; /* that fetch pages at once; 0: the caller */
};

/* Fill in what all have; @url and @o are copied, @o may be NULL. Return 0 or
 * -ENOMEM. */
MUST_CHECK int backend_init(struct backend *b, const struct backend_ops *ops,
			    const char *url, const struct backend_options *o);
/* Free what backend_init() made. */
void backend_release(struct backend *b);

/* True for a name that an object may have. */
bool backend_name_valid(const char *name);

/* ---- call.c: deadlines, and trying again ---- */

/* A call of an operation, as often as it takes:
 *
 *     struct backend_trial t = backend_begin(b, "read", name);
 *
 *     do
 *             r = b->ops->get(b, &t.call, ...);
 *     while (backend_try_again(&t, &r));
 */
struct backend_trial {
	struct backend_call call;
	const char *what, *name; /* borrowed; for messages */
	unsigned int attempts; /* that failed */
};

struct backend_trial backend_begin(struct backend *b, const char *what,
				   const char *name);
/* After a pause: whether to try again what returned @r. At the end of the time
 * it is false, and @r has been said in words; when somebody asked for an end,
 * @r says so. */
bool backend_try_again(struct backend_trial *t, int *r);
/* Shall the operation end? Return 0, -ETIMEDOUT, -ECANCELED or -EINTR;
 * silent. */
MUST_CHECK int backend_call_over(const struct backend_call *c);
/* Is @err one of the moment? */
bool backend_is_passing(int err);

/* ---- list.c ---- */

/* Return 0 or -ENOMEM. */
MUST_CHECK int backend_page_add(struct backend_page *page, const char *name,
				const struct backend_info *info);
/* There is more, behind @token. Return 0 or -ENOMEM. */
MUST_CHECK int backend_page_more(struct backend_page *page, const char *token);
void backend_page_release(struct backend_page *page);
/* What an operation must not be called from: whether this thread is in the
 * callback of a listing of @b. */
bool backend_is_listing(const struct backend *b);

/* ---- the backends ---- */

/*
 * A local directory. @url names it in messages, @path is the place; both are
 * copied. With @create the directory itself is made where it is missing; its
 * emptiness is what ops->create looks at.
 * Return 0, -ENOENT, -ENOTDIR or another negative errno, said in words.
 */
MUST_CHECK int backend_dir_open(const char *url, const char *path,
				const struct backend_options *o, bool create,
				struct backend **out);

/* What ops->probe is for most: the operations, on an object of its own under
 * probe/, and their answers. @other is the same place, opened a second time, as near to
 * another client as can be had here; it may be @b itself. */
MUST_CHECK int backend_probe_all(struct backend *b, struct backend *other);

#endif
