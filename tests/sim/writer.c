/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An actor that writes: sessions, each with a small tree and perhaps a file beside
 * it, of which some is there already. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/backend/mem.h"
#include "store/content.h"
#include "store/crypt/keyring.h"
#include "store/format.h"
#include "store/point.h"
#include "store/tree.h"
#include "store/vault.h"
#include "store/writer/content_build.h"
#include "store/writer/tree_build.h"
#include "store/writer/writer.h"
#include "tests/sim/truth.h"

/* One to three of the world's chunks. */
static uint32_t choose_data(void)
{
	unsigned int n = 1 + sim_dice(2);
	uint32_t mask = 0;

	while (n-- > 0)
		mask |= 1u << sim_dice(SIM_DATA);
	return mask;
}

static int store_content(struct writer *w, uint32_t mask, struct buf *out,
			 uint64_t *size_out)
{
	struct content_builder *b = content_builder_new(w);
	uint8_t bytes[SIM_CHUNK_MAX];
	unsigned int i;
	int r = b ? 0 : -ENOMEM;

	*size_out = 0;
	for (i = 0; i < SIM_DATA && r == 0; i++) {
		struct extent e = { .type = EXTENT_DATA };

		if (!(mask & 1u << i))
			continue;
		e.len = sim_chunk_bytes(i, bytes);
		r = writer_chunk(w, CHUNK_DATA, bytes, e.len, &e.id);
		if (r == 0)
			r = content_builder_add(b, &e);
		*size_out += e.len;
	}
	if (r == 0)
		r = content_builder_finish(b, out);
	content_builder_free(b);
	return r;
}

static int add_file(struct writer *w, struct tree_builder *t, unsigned int i)
{
	AUTO_BUF struct buf content = BUF_INIT;
	const uint8_t name = (uint8_t)('0' + i);
	struct entry e = { .name = &name,
			   .name_len = 1,
			   .mode = S_IFREG | 0644,
			   .nlink = 1,
			   .ino = 2 + i };
	int r = store_content(w, 1u << i, &content, &e.size);

	e.content = content.data;
	e.content_len = (uint32_t)content.len;
	return r < 0 ? r : tree_builder_add(t, (const uint8_t *)"", 0, &e);
}

/* A directory with a file for each chunk. */
static int build_tree(struct writer *w, uint32_t mask, struct point *p)
{
	const struct entry top = { .name = (const uint8_t *)"",
				   .mode = S_IFDIR | 0755,
				   .nlink = 2,
				   .ino = 1 };
	struct tree_builder *t = tree_builder_new(w);
	unsigned int i;
	int r = t ? tree_builder_add(t, (const uint8_t *)"", 0, &top) : -ENOMEM;

	for (i = 0; i < SIM_DATA && r == 0; i++)
		if (mask & 1u << i)
			r = add_file(w, t, i);
	if (r == 0)
		r = tree_builder_finish(t, &p->root, &p->entries);
	tree_builder_free(t);
	if (r == 0) {
		p->has_tree = true;
		truth_note_tree(&p->root, mask);
	}
	return r;
}

/* Are all chunks of that point there, so far as this session may know? */
static int has_all(struct writer *w, const struct point *parent)
{
	uint32_t mask = truth_tree(&parent->root);
	uint8_t bytes[SIM_CHUNK_MAX];
	unsigned int i;
	int r = writer_has_chunk(w, CHUNK_NODE, &parent->root, 0);

	for (i = 0; i < SIM_DATA && r == 1; i++) {
		struct id id;
		size_t len;

		if (!(mask & 1u << i))
			continue;
		len = sim_chunk_bytes(i, bytes);
		r = keyring_id(vault_keyring(writer_vault(w)), CHUNK_DATA,
			       bytes, len, &id);
		if (r == 0)
			r = writer_has_chunk(w, CHUNK_DATA, &id, len);
	}
	return r;
}

/* Take the tree of another point over, unseen where the session may rely on it.
 * Return 1, 0 or a negative errno. */
static int take_over(struct sim_actor *a, struct writer *w, struct point *p)
{
	struct point_list *l = writer_points(w);
	const struct point *parent = NULL;
	int r = 0;

	if (l && l->n > 0)
		parent = l->points[sim_dice((unsigned int)l->n)];
	if (parent && parent->has_tree) {
		r = writer_rely_on(w, parent);
		if (r == 0)
			r = has_all(w, parent);
		if (r == 1) {
			p->has_tree = true;
			p->root = parent->root;
			p->entries = parent->entries;
			memcpy(p->parent, parent->id, sizeof(p->parent));
			sim_trace(a, "takes over %s", parent->id);
		}
	}
	point_list_put(l);
	return r;
}

static int add_config(struct writer *w, struct point *p)
{
	AUTO_BUF struct buf content = BUF_INIT;
	uint32_t mask = choose_data();
	struct point_config *c = calloc(1, sizeof(*c));
	int r = c ? store_content(w, mask, &content, &c->size) : -ENOMEM;

	p->configs = c;
	if (r < 0)
		return r;
	if (asprintf(&c->name, "%x", mask) < 0)
		return -ENOMEM;
	c->content_len = content.len;
	c->content = malloc(content.len);
	if (!c->content)
		return -ENOMEM;
	memcpy(c->content, content.data, content.len);
	p->nconfigs = 1;
	return 0;
}

static int fill(struct sim_actor *a, struct writer *w, struct point *p)
{
	int r = sim_dice(3) ? take_over(a, w, p) : 0;

	if (r == 0)
		r = build_tree(w, choose_data(), p);
	if (r >= 0 && sim_dice(2))
		r = add_config(w, p);
	if (r >= 0 && sim_dice(3) == 0)
		r = writer_tick(w);
	return MIN(r, 0);
}

static struct point *new_point(void)
{
	struct point *p = point_new();

	if (!p)
		abort();
	p->vm = strdup("m");
	p->host = strdup("h");
	p->program = strdup("simulation");
	p->time_ns = sim.now_ns / SIM_SECOND * SIM_SECOND;
	if (!p->vm || !p->host || !p->program ||
	    point_machine_of(p->vm, 0, p->machine) < 0)
		abort();
	return p;
}

/* What it is told has to be true. */
static void judge(struct sim_actor *a, const char *sid, int r)
{
	const struct truth_point *p = truth_of_session(sid);

	sim_trace(a, "commit: %s", r < 0 ? strerrorname_np(-r) : "ok");
	if (r == 0 && !p)
		sim_violated("session %s was told of a point that is none",
			     sid);
	if (r == -ECANCELED && p && !a->dead)
		sim_violated("session %s was told that it is fenced, and is "
			     "committed",
			     sid);
}

static void run_session(struct sim_actor *a)
{
	char sid[NAME_HEX + 1];
	struct writer *w;
	struct point *p;
	int r;

	/* What was wished away is a parent like another. */
	if (sim_dice(2))
		vault_show_forgotten(a->vault);
	r = writer_begin(a->vault, 0, NULL, &w);
	if (r < 0)
		return;
	snprintf(sid, sizeof(sid), "%s", writer_session(w));
	p = new_point();
	r = fill(a, w, p);
	if (r == 0 && sim_dice(8) == 0) {
		writer_abandon(w);
	} else if (r == 0 && !a->dead) {
		r = writer_commit(w, p);
		judge(a, sid, r);
	}
	point_free(p);
	writer_free(w);
}

void sim_writer(struct sim_actor *a)
{
	unsigned int sessions = 1 + sim_dice(2);

	while (sessions-- > 0) {
		a->faults = 0;
		if (sim_open(a) == 0)
			run_session(a);
	}
	sim_close(a);
}
