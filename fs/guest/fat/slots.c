/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Directories of FAT and exFAT, slot by slot (clusters.h). */
#include "config.h"

#include "fs/guest/fat/clusters.h"

#include <errno.h>
#include <inttypes.h>

#include "store/base/log.h"

static void slots_init(struct slots *s, uint64_t pos, uint32_t cluster_left,
		       uint64_t left)
{
	s->fixed = false;
	s->sized = true;
	s->left = left;
	s->next_pos = pos;
	s->cluster_left = cluster_left;
	s->index = 0;
	s->pos = 0;
	s->len = 0;
	s->at = 0;
}

int slots_open(struct slots *s, const struct clusters *c, uint32_t first,
	       bool contiguous, uint64_t max, bool sized)
{
	if (chain_begin(&s->chain, c, first, contiguous) < 0)
		return fail(-EBADMSG,
			    "%s: a directory begins at cluster "
			    "%" PRIu32 ", which there is not",
			    c->format, first);
	slots_init(s, clusters_position(c, first), c->size, max);
	s->sized = sized;
	return 0;
}

int slots_open_at(struct slots *s, const struct clusters *c, uint64_t pos,
		  bool contiguous, uint64_t max)
{
	uint64_t off = pos - c->heap, cluster = 2 + off / c->size;

	if (pos < c->heap || cluster - 2 >= c->count)
		return -EBADMSG;
	if (chain_begin(&s->chain, c, (uint32_t)cluster, contiguous) < 0)
		return -EBADMSG;
	slots_init(s, pos, c->size - (uint32_t)(off % c->size), max);
	return 0;
}

void slots_open_fixed(struct slots *s, const struct clusters *c, uint64_t pos,
		      uint64_t len)
{
	s->chain.c = c;
	slots_init(s, pos, 0, len);
	s->fixed = true;
}

/* Stand at the start of the next cluster. */
static int slots_step(struct slots *s)
{
	const struct clusters *c = s->chain.c;
	int r = chain_next(&s->chain);

	if (r <= 0)
		return r;
	s->next_pos = clusters_position(c, s->chain.cluster);
	s->cluster_left = c->size;
	return 1;
}

static int slots_fill(struct slots *s)
{
	const struct clusters *c = s->chain.c;
	uint64_t len = s->left;
	int r;

	if (!len && s->sized)
		return 0;
	if (!s->fixed && !s->cluster_left) {
		r = slots_step(s);
		if (r <= 0)
			return r;
	}
	if (!len)
		return fail(-EBADMSG,
			    "%s: a directory is longer than any may "
			    "be",
			    c->format);
	len = MIN(len, sizeof(s->buf));
	if (!s->fixed)
		len = MIN(len, s->cluster_left);
	r = blocks_read(c->meta, s->next_pos, s->buf, len);
	if (r < 0)
		return fail(r == -ERANGE ? -EBADMSG : r,
			    "%s: a directory cannot be read at byte %" PRIu64
			    " of the filesystem",
			    c->format, s->next_pos);
	s->pos = s->next_pos;
	s->len = len;
	s->at = 0;
	s->next_pos += len;
	s->left -= len;
	if (!s->fixed)
		s->cluster_left -= (uint32_t)len;
	return 1;
}

int slots_skip(struct slots *s, uint64_t n)
{
	uint64_t bytes;
	int r = 1;

	if (n > s->left / SLOT_LEN)
		return 0;
	bytes = n * SLOT_LEN;
	s->left -= bytes;
	s->index = n;
	while (!s->fixed && bytes && bytes >= s->cluster_left) {
		bytes -= s->cluster_left;
		s->cluster_left = 0;
		/* At the very end it may well stand there. */
		if (bytes)
			r = slots_step(s);
		if (r <= 0)
			return r;
	}
	s->next_pos += bytes;
	if (!s->fixed)
		s->cluster_left -= (uint32_t)bytes;
	return 1;
}

int slots_next(struct slots *s, const uint8_t **out, uint64_t *pos_out)
{
	int r;

	if (s->len - s->at < SLOT_LEN) {
		r = slots_fill(s);
		if (r <= 0)
			return r;
		/* A length that is no multiple of a slot. */
		if (s->len < SLOT_LEN)
			return 0;
	}
	*out = s->buf + s->at;
	*pos_out = s->pos + s->at;
	s->at += SLOT_LEN;
	s->index++;
	return 1;
}

void slots_unget(struct slots *s)
{
	s->at -= SLOT_LEN;
	s->index--;
}
