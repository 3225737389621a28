/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Physical volumes of LVM2: the label in one of the first four sectors, the
 * header that it points to (the volume's id, where data and metadata lie), and
 * the metadata areas, each with the place of the group's description: text, in
 * a ring. What the groups then hold is lvm_group.c's.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/guest/crc32.h"
#include "fs/guest/volumes/lvm_group_internal.h"
#include "store/base/array.h"
#include "store/base/bytes.h"

#define SECTOR 512u
#define CRC_INIT 0xf597a6cfu
#define AREAS_MAX 16
#define MDA_HEADER 512u
#define MDA_MAGIC " LVM2 x[5A%r0N*>"
#define LOCN_IGNORED 1u

struct area {
	uint64_t off, len;
};

/* What the label tells. */
struct label {
	char id[LVM_ID_LEN + 1];
	struct area mdas[AREAS_MAX];
	size_t nmdas;
};

/* Read the pairs of places and lengths up to one of zeros. Return how many
 * there are, or -1 where they do not end. */
static int get_areas(struct reader *r, struct area *out)
{
	int n;

	for (n = 0; n < AREAS_MAX; n++) {
		out[n].off = reader_le64(r);
		out[n].len = reader_le64(r);
		if (r->bad)
			return -1;
		if (!out[n].off)
			return n;
	}
	return -1;
}

/* Return 0, -ENOENT (no label here) or -EBADMSG. */
static int parse_label(const uint8_t *s, uint64_t sector, struct label *out)
{
	struct area skipped[AREAS_MAX];
	const uint8_t *id;
	struct reader r;
	uint32_t at;
	int n;

	if (memcmp(s, "LABELONE", 8) != 0)
		return -ENOENT;
	at = get_le32(s + 20);
	if (get_le64(s + 8) != sector || memcmp(s + 24, "LVM2 001", 8) != 0 ||
	    crc32_raw(CRC_INIT, s + 20, SECTOR - 20) != get_le32(s + 16) ||
	    at < 32 || at > SECTOR)
		return -EBADMSG;
	reader_init(&r, s + at, SECTOR - at);
	id = reader_get(&r, LVM_ID_LEN);
	(void)reader_le64(&r); /* size of the device */
	if (!id || get_areas(&r, skipped) < 0)
		return -EBADMSG;
	n = get_areas(&r, out->mdas);
	if (n < 0)
		return -EBADMSG;
	memcpy(out->id, id, LVM_ID_LEN);
	out->id[LVM_ID_LEN] = '\0';
	out->nmdas = (size_t)n;
	return 0;
}

static int read_label(struct blocks *b, struct label *out)
{
	uint8_t s[SECTOR];
	uint64_t i;
	int r;

	for (i = 0; i < 4; i++) {
		r = blocks_read(b, i * SECTOR, s, SECTOR);
		if (r == -ERANGE)
			break;
		if (r == 0)
			r = parse_label(s, i, out);
		if (r != -ENOENT)
			return r;
	}
	return -EBADMSG;
}

/* Read the text of a metadata area out of its ring. Return 0, -ENOENT (it holds
 * none), -EBADMSG or another negative errno. */
static int read_text(struct blocks *b, const struct area *a, char **out,
		     size_t *len_out)
{
	uint64_t off, len, first;
	uint8_t h[MDA_HEADER];
	char *text;
	int r;

	r = blocks_read(b, a->off, h, sizeof(h));
	if (r < 0)
		return r == -ERANGE ? -EBADMSG : r;
	if (crc32_raw(CRC_INIT, h + 4, sizeof(h) - 4) != get_le32(h) ||
	    memcmp(h + 4, MDA_MAGIC, 16) != 0 || get_le32(h + 20) != 1 ||
	    get_le64(h + 24) != a->off || a->off > b->size ||
	    get_le64(h + 32) > b->size - a->off)
		return -EBADMSG;
	off = get_le64(h + 40);
	len = get_le64(h + 48);
	if (!off || !len || (get_le32(h + 60) & LOCN_IGNORED))
		return -ENOENT;
	if (off < MDA_HEADER || off >= get_le64(h + 32) || len > LVM_TEXT_MAX ||
	    len > get_le64(h + 32) - MDA_HEADER)
		return -EBADMSG;
	text = malloc((size_t)len + 1);
	if (!text)
		return -ENOMEM;
	first = MIN(len, get_le64(h + 32) - off);
	r = blocks_read(b, a->off + off, text, (size_t)first);
	if (r == 0)
		r = blocks_read(b, a->off + MDA_HEADER, text + first,
				(size_t)(len - first));
	if (r == 0 &&
	    crc32_raw(CRC_INIT, text, (size_t)len) != get_le32(h + 56))
		r = -EBADMSG;
	if (r < 0) {
		free(text);
		return r == -ERANGE ? -EBADMSG : r;
	}
	*out = text;
	*len_out = (size_t)len;
	return 0;
}

/* ---- the set ---- */

int lvm_new(struct lvm_set **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

void lvm_free(struct lvm_set *s)
{
	size_t i;

	if (!s)
		return;
	for (i = 0; i < s->npvs; i++)
		blocks_put(s->pvs[i].b);
	for (i = 0; i < s->ngroups; i++)
		lvm_text_release(&s->groups[i].text);
	free(s->pvs);
	free(s->groups);
	free(s);
}

static int add_pv(struct lvm_set *s, const char *id, struct blocks *b)
{
	if (lvm_find_pv(s, id))
		return -EEXIST;
	if (array_reserve(&s->pvs, &s->pvs_cap, s->npvs + 1) < 0)
		return -ENOMEM;
	memcpy(s->pvs[s->npvs].id, id, LVM_ID_LEN + 1);
	s->pvs[s->npvs++].b = blocks_get(b);
	return 0;
}

/* Keep a group's description, which is taken over, unless there is one that is
 * as new. */
static int add_group(struct lvm_set *s, struct lvm_group *g)
{
	size_t i;

	for (i = 0; i < s->ngroups; i++) {
		struct lvm_group *old = &s->groups[i];

		if (strcmp(old->id, g->id) != 0)
			continue;
		if (old->seqno < g->seqno) {
			lvm_text_release(&old->text);
			*old = *g;
		} else {
			lvm_text_release(&g->text);
		}
		return 0;
	}
	if (array_reserve(&s->groups, &s->groups_cap, s->ngroups + 1) < 0) {
		lvm_text_release(&g->text);
		return -ENOMEM;
	}
	s->groups[s->ngroups++] = *g;
	return 0;
}

/* Read one metadata area. Return 0, -ENOENT (it holds nothing) or an error. */
static int add_area(struct lvm_set *s, struct blocks *b, const struct area *a,
		    struct buf *vg_out)
{
	struct lvm_group g;
	char *text = NULL;
	size_t len = 0;
	int r;

	r = read_text(b, a, &text, &len);
	if (r < 0)
		return r;
	memset(&g, 0, sizeof(g));
	r = lvm_text_parse(text, len, &g.text);
	if (r == 0)
		r = lvm_group_init(&g);
	if (r < 0) {
		lvm_text_release(&g.text);
		return r;
	}
	if (vg_out->len == 0)
		buf_printf(vg_out, "%s", g.name);
	return add_group(s, &g);
}

int lvm_add(struct lvm_set *s, struct blocks *b, struct buf *vg_out,
	    struct buf *why)
{
	struct label label = { 0 };
	bool found = false;
	int r, error = 0;
	size_t i;

	r = read_label(b, &label);
	if (r == -EBADMSG)
		buf_printf(why, "its label is damaged");
	else if (r < 0)
		buf_printf(why, "its label cannot be read: %s", strerror(-r));
	if (r == 0)
		r = add_pv(s, label.id, b);
	for (i = 0; i < label.nmdas && r == 0; i++) {
		r = add_area(s, b, &label.mdas[i], vg_out);
		if (r == -ENOMEM)
			return r;
		found = found || r == 0;
		if (r < 0 && r != -ENOENT)
			error = r;
		r = 0;
	}
	if (r == 0 && !found && error) {
		buf_printf(why, "the description of its group is damaged");
		r = error;
	}
	return r;
}
