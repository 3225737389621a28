/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Nodes that are to be read lie on a stack, so that the walk goes into the depth
 * and the stack stays short: it holds no more than the children of the nodes on
 * two paths. A node is read without the lock. What was found in it is
 * handed over at once, under the lock, and nodes that nobody wants to look into
 * never come onto the stack.
 *
 * Ids are hashes of what they name, so no node is below itself; and a level that
 * does not shrink ends the walk.
 */
#include "config.h"

#include "store/mark/walk.h"

#include <errno.h>
#include <pthread.h>
#include <sys/stat.h>

#include "store/base/array.h"
#include "store/base/hex.h"
#include "store/base/lock.h"
#include "store/base/log.h"
#include "store/base/stop.h"
#include "store/base/task.h"
#include "store/crypt/keyring.h"
#include "store/format.h"
#include "store/mark/prints.h"
#include "store/node.h"
#include "store/point.h"
#include "store/vault.h"

/* A node that is to be read. */
struct walk_item {
	struct id id;
	uint8_t type; /* CHUNK_NODE or CHUNK_EXTENTS */
	int8_t level; /* as its parent has it; negative: not known */
};

/* What was found in one. */
struct walk_found {
	struct walk *walk; /* borrowed */
	struct walk_item *items; /* owned, as the prints */
	uint64_t *prints;
	size_t nitems, items_cap, nprints, prints_cap;
};

struct walk {
	struct vault *vault; /* borrowed, as the visitor */
	const struct walk_visitor *visitor;
	pthread_t helper;
	bool has_helper;
	struct walk_found first; /* of the thread that walks */
	struct walk_found second; /* of the helper */
	pthread_cond_t more; /* there are items, or the walk ends */
	pthread_cond_t less; /* a thread has handed over what it found */
	pthread_mutex_t lock; /* protects what follows */
	struct walk_item *items; /* a stack; owned */
	size_t n, cap;
	unsigned int busy; /* threads that read a node */
	struct stop *stop; /* of the thread that walks */
	bool is_hushed; /* so is that thread */
	int error;
	struct walk_progress progress; /* without the chunks */
	bool ends; /* the helper shall */
};

/* ---- reading a node ---- */

static int find_node(struct walk_found *f, uint8_t type, const struct id *id,
		     int level)
{
	if (array_reserve(&f->items, &f->items_cap, f->nitems + 1) < 0)
		return -ENOMEM;
	f->items[f->nitems++] = (struct walk_item){ *id, type, (int8_t)level };
	return 0;
}

static int find_chunk(struct walk_found *f, const struct id *id)
{
	if (array_reserve(&f->prints, &f->prints_cap, f->nprints + 1) < 0)
		return -ENOMEM;
	f->prints[f->nprints++] = prints_of(f->walk->visitor->prints, id);
	return 0;
}

/* Maps are read later, as nodes of trees are: so this reads nothing. */
static int on_chunk(void *arg, uint8_t type, const struct id *id, uint64_t len)
{
	int r;

	(void)len;
	if (type != CHUNK_EXTENTS)
		return find_chunk(arg, id);
	r = find_node(arg, type, id, -1);
	return r < 0 ? r : 1;
}

static int find_content(struct walk_found *f, struct content_ref content)
{
	return content_chunks(f->walk->vault, &content, on_chunk, f);
}

static int find_in_leaf(struct walk_found *f, const struct node *n)
{
	size_t i;
	int r = 0;

	for (i = 0; i < n->n && r == 0; i++) {
		struct entry e;

		/* A leaf that callers see is the node. */
		leaf_entry((const struct leaf *)n, i, &e);
		if (e.flags & ENTRY_XATTRS_CHUNK)
			r = find_chunk(f, &e.xattrs_id);
		if (r == 0 && S_ISREG(e.mode))
			r = find_content(f, entry_content(&e));
	}
	return r;
}

static int find_children(struct walk_found *f, const struct node *n,
			 uint8_t type)
{
	size_t i;
	int r = 0;

	for (i = 0; i < n->n && r == 0; i++)
		r = find_node(f, type, &n->children[i].id, (int)n->level - 1);
	return r;
}

static int find_extents(struct walk_found *f, const struct node *n)
{
	size_t i;
	int r = 0;

	for (i = 0; i < n->n && r == 0; i++)
		if (n->extents[i].type == EXTENT_DATA)
			r = find_chunk(f, &n->extents[i].id);
	return r;
}

/* The seal says that somebody with the key wrote it, and not that it is what its id
 * names: another in its place would hide all that is below it. */
static int check_id(struct vault *v, uint8_t type, const struct node *n)
{
	char hex[2 * ID_LEN + 1];
	struct id real;
	int r = keyring_id(vault_keyring(v), type, n->raw, n->raw_len, &real);

	if (r < 0 || id_equal(&real, &n->id))
		return r;
	hex_encode(n->id.b, ID_LEN, hex);
	return fail(-EBADMSG,
		    "chunk %s: its bytes are authentic but not those of its "
		    "name: whoever wrote it wrote something else",
		    hex);
}

static int look(struct walk_found *f, const struct walk_item *item)
{
	struct node *n;
	int r = node_load(f->walk->vault, item->type, &item->id, &n);

	if (r < 0)
		return r;
	r = check_id(f->walk->vault, item->type, n);
	if (r < 0) {
		node_put(n);
		return r;
	}
	if (item->level >= 0 && n->level != (unsigned int)item->level)
		r = fail(-EBADMSG, "a tree's nodes do not fit together");
	else if (n->kind == NODE_LEAF)
		r = find_in_leaf(f, n);
	else if (n->kind == NODE_EXTENTS && n->level == 0)
		r = find_extents(f, n);
	else
		r = find_children(f, n, item->type);
	node_put(n);
	return r;
}

/* ---- the stack ---- */

/* How far ahead the places of prints are asked for. */
#define AHEAD 12

static int give_chunks(struct walk *w, struct walk_found *f)
{
	size_t i;

	for (i = 0; i < MIN(f->nprints, (size_t)AHEAD); i++)
		prints_expect(w->visitor->prints, f->prints[i]);
	return f->nprints ? w->visitor->chunks(w->visitor->arg, f->prints,
					       f->nprints)
			  : 0;
}

/* Hand over what was found, with the lock held. */
static int give(struct walk *w, struct walk_found *f)
{
	size_t i;
	int r = give_chunks(w, f);

	/* The first shall lie on top, so that nodes are read in their order. */
	for (i = f->nitems; i > 0 && r >= 0; i--) {
		const struct walk_item *item = &f->items[i - 1];

		r = w->visitor->node(w->visitor->arg, &item->id);
		if (r == 1) {
			if (array_reserve(&w->items, &w->cap, w->n + 1) < 0)
				return -ENOMEM;
			w->items[w->n++] = *item;
		}
	}
	return MIN(r, 0);
}

static void pass_on(struct walk *w, struct walk_found *f, int r)
{
	if (r == 0 && w->error == 0)
		r = give(w, f);
	if (r < 0 && w->error == 0)
		w->error = r;
	if (w->error < 0)
		w->n = 0;
	f->nitems = f->nprints = 0;
	if (w->n > 1)
		pthread_cond_signal(&w->more);
	pthread_cond_signal(&w->less);
}

/* Take the node on top and read it. The lock is held, but not meanwhile. */
static void read_one(struct walk *w, struct walk_found *f)
{
	struct walk_item item = w->items[--w->n];
	int r;

	w->busy++;
	pthread_mutex_unlock(&w->lock);
	r = look(f, &item);
	pthread_mutex_lock(&w->lock);
	w->busy--;
	w->progress.nodes++;
	pass_on(w, f, r);
}

static void *help(void *arg)
{
	struct walk *w = arg;

	SCOPED_LOCK(&w->lock);
	while (!w->ends) {
		/* One that is alone is read by who walks. */
		if (w->n > 1) {
			stop_obey(w->stop);
			(void)log_hush(w->is_hushed);
			read_one(w, &w->second);
		} else {
			pthread_cond_wait(&w->more, &w->lock);
		}
	}
	return NULL;
}

int walk_new(struct vault *v, const struct walk_visitor *visitor,
	     struct walk **out)
{
	struct walk *w = calloc(1, sizeof(*w));

	*out = w;
	if (!w)
		return -ENOMEM;
	w->vault = v;
	w->visitor = visitor;
	w->first.walk = w->second.walk = w;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->more, NULL);
	pthread_cond_init(&w->less, NULL);
	/* Where there can be none, one thread does it all. */
	w->has_helper = pthread_create(&w->helper, NULL, help, w) == 0;
	return 0;
}

static void found_release(struct walk_found *f)
{
	free(f->items);
	free(f->prints);
}

void walk_free(struct walk *w)
{
	if (!w)
		return;
	if (w->has_helper) {
		pthread_mutex_lock(&w->lock);
		w->ends = true;
		pthread_cond_signal(&w->more);
		pthread_mutex_unlock(&w->lock);
		pthread_join(w->helper, NULL);
	}
	found_release(&w->first);
	found_release(&w->second);
	free(w->items);
	pthread_cond_destroy(&w->more);
	pthread_cond_destroy(&w->less);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

/* ---- a point ---- */

static int find_in_point(struct walk_found *f, const struct point *p)
{
	size_t i;
	int r = p->has_tree ? find_node(f, CHUNK_NODE, &p->root, -1) : 0;

	for (i = 0; i < p->ndisks && r == 0; i++)
		r = find_content(f, point_disk_content(&p->disks[i]));
	for (i = 0; i < p->nconfigs && r == 0; i++)
		r = find_content(f, point_config_content(&p->configs[i]));
	return r;
}

/* Tell the task, without the lock. */
static void tick(struct walk *w, struct task *task)
{
	struct walk_progress progress = w->progress;

	if (!task_is_due(task, vault_seam(w->vault)))
		return;
	progress.chunks = w->visitor->prints->n;
	pthread_mutex_unlock(&w->lock);
	task_tick_now(task, &progress);
	pthread_mutex_lock(&w->lock);
}

/* Read what is on the stack until nothing is, and nobody may add to it. */
static void work(struct walk *w, struct task *task)
{
	while (w->n > 0 || w->busy > 0) {
		if (w->n > 0)
			read_one(w, &w->first);
		else
			pthread_cond_wait(&w->less, &w->lock);
		if (task && task_stopped(task))
			pass_on(w, &w->first, -EINTR);
		if (task)
			tick(w, task);
	}
}

int walk_point(struct walk *w, const struct point *p, struct task *task)
{
	int r = find_in_point(&w->first, p);
	bool is_hushed = log_hush(true);

	(void)log_hush(is_hushed);
	SCOPED_LOCK(&w->lock);
	w->stop = stop_of_thread;
	w->is_hushed = is_hushed;
	w->error = 0;
	pass_on(w, &w->first, r);
	work(w, task);
	w->progress.points += w->error == 0;
	return w->error;
}
