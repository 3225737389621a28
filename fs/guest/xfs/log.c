/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The log of XFS: where it ends (its head), from where on it is needed (its tail,
 * which the last record tells), and its replay between the two. The head is
 * where the cycle falls; as several records may have been on the way to the disk when
 * the machine stopped, the last ones are looked at one by one.
 */
#include "config.h"

#include <errno.h>

#include "fs/guest/xfs/log_internal.h"

enum {
	AT_ONCE = 128, /* blocks read at a time */
	/* The most that can be on its way to the disk: 8 records. */
	FLIGHT_RECORDS = 8,
	FLIGHT = FLIGHT_RECORDS * (int)(LOG_RECORD_MAX / LOG_BLOCK),
};

static int cycle_at(const struct xfs_log *l, uint32_t blk, uint32_t *out)
{
	uint8_t block[LOG_BLOCK];
	int r;

	r = xfs_log_read(l, blk, 1, block);
	if (!r)
		*out = xfs_log_cycle(block);
	return r;
}

/* The first block of @cycle; block 0 is not, the last one is. */
static int first_of(const struct xfs_log *l, uint32_t cycle, uint32_t *out)
{
	uint32_t low = 0, high = l->size - 1, mid, have;
	int r;

	while (high - low > 1) {
		mid = low + (high - low) / 2;
		r = cycle_at(l, mid, &have);
		if (r < 0)
			return r;
		if (have == cycle)
			high = mid;
		else
			low = mid;
	}
	*out = high;
	return 0;
}

/* The first block of @cycle in [@from, @to): something before the head that was
 * not written. @out stays where there is none. */
static int stale_in(const struct xfs_log *l, uint32_t from, uint32_t to,
		    uint32_t cycle, uint32_t *out)
{
	uint8_t space[AT_ONCE * LOG_BLOCK];
	uint32_t n, i;
	int r;

	for (; from < to; from += n) {
		n = MIN(to - from, (uint32_t)AT_ONCE);
		r = xfs_log_read(l, from, n, space);
		if (r < 0)
			return r;
		for (i = 0; i < n; i++) {
			if (xfs_log_cycle(space + i * LOG_BLOCK) != cycle)
				continue;
			*out = from + i;
			return 1;
		}
	}
	return 0;
}

/* Where the log of cycle @first at its start and @last at its end has its head,
 * if all before it was written. */
static int head_guess(const struct xfs_log *l, uint32_t first, uint32_t last,
		      uint32_t *out)
{
	if (first != last)
		return first_of(l, last, out);
	*out = l->size;
	return 0;
}

static int head_stale(const struct xfs_log *l, uint32_t first, uint32_t last,
		      uint32_t *head)
{
	uint32_t older = first == last ? last - 1 : last;
	uint32_t rest;
	int r;

	if (*head >= FLIGHT) {
		r = stale_in(l, *head - FLIGHT, *head, older, head);
		return MIN(r, 0);
	}
	/* Before block 0 is the end of the ring, one time round earlier. */
	rest = MIN(FLIGHT - *head, l->size - *head);
	if (last) {
		r = stale_in(l, l->size - rest, l->size, older - 1, head);
		if (r)
			return MIN(r, 0);
	}
	r = stale_in(l, 0, *head, older, head);
	return MIN(r, 0);
}

/* A record's header, of which no more is known. */
struct seen {
	uint32_t blk;
	uint64_t lsn, tail_lsn;
};

/*
 * The last record's header before @head, at most *@room blocks before it, by
 * which *@room shrinks. -EBADMSG: none.
 */
static int header_before(const struct xfs_log *l, uint32_t head, uint32_t *room,
			 struct seen *out)
{
	uint8_t space[AT_ONCE * LOG_BLOCK];
	uint32_t n, i, from;
	int r;

	while (*room) {
		n = MIN(*room, (uint32_t)AT_ONCE);
		from = (uint32_t)(((uint64_t)head + l->size - n) % l->size);
		r = xfs_log_read(l, from, n, space);
		if (r < 0)
			return r;
		for (i = n; i-- > 0;) {
			if (!xfs_log_is_header(space + i * LOG_BLOCK))
				continue;
			out->blk = (from + i) % l->size;
			out->lsn = be64(space + i * LOG_BLOCK + 16);
			out->tail_lsn = be64(space + i * LOG_BLOCK + 24);
			*room -= n - i;
			return 0;
		}
		head = from;
		*room -= n;
	}
	return -EBADMSG;
}

/* Blocks from @from forward to @to. */
static uint32_t distance(const struct xfs_log *l, uint32_t from, uint32_t to)
{
	return (uint32_t)(((uint64_t)to + l->size - from) % l->size);
}

/*
 * The last record that is whole, as are those before it that may still have
 * been on their way. @room: blocks before @head that may be looked at.
 */
static int last_whole(const struct xfs_log *l, uint32_t head, uint32_t room,
		      struct xfs_record *rec)
{
	struct seen at[FLIGHT_RECORDS + 2];
	uint32_t n, good, end = head;
	int r = 0;

	/* The newest first. What is before the tail need not be whole. */
	for (n = 0; n < ARRAY_SIZE(at); n++) {
		r = header_before(l, end, &room, &at[n]);
		if (r < 0)
			break;
		end = at[n].blk;
		if (at[n].lsn < at[0].tail_lsn) {
			r = xfs_record_read(l, end, rec);
			n += r == 0;
			break;
		}
	}
	if (r && r != -EBADMSG)
		return r;
	/* The first one that is not whole ends the log. */
	for (good = n; good > 0; good--) {
		if (good < n &&
		    (at[good].blk + rec->total) % l->size != at[good - 1].blk)
			break;
		r = xfs_record_read(l, at[good - 1].blk, rec);
		if (r == -EBADMSG)
			break;
		if (r < 0)
			return r;
	}
	if (good == n)
		return -EBADMSG;
	return xfs_record_read(l, at[good].blk, rec);
}

/* Find the last record. -ENOENT: the log was never written. -EBADMSG. */
static int log_end(const struct xfs_log *l, struct xfs_record *rec)
{
	uint32_t first = 0, last = 0, head, room;
	struct seen at;
	int r;

	r = cycle_at(l, 0, &first);
	if (!r)
		r = cycle_at(l, l->size - 1, &last);
	if (r < 0)
		return r;
	if (!first)
		return -ENOENT;
	r = head_guess(l, first, last, &head);
	if (r < 0)
		return r;
	/* After a clean end nothing was on its way. */
	room = last ? l->size - 1 : head;
	r = header_before(l, head, &room, &at);
	if (!r)
		r = xfs_record_read(l, at.blk, rec);
	if (!r && xfs_record_unmount(rec) &&
	    (at.blk + rec->total) % l->size == head % l->size)
		return 0;
	if (r && r != -EBADMSG)
		return r;
	r = head_stale(l, first, last, &head);
	if (r < 0)
		return r;
	return last_whole(l, head % l->size, last ? l->size - 1 : head, rec);
}

/* ---- replay ---- */

struct log_pass {
	const struct xfs_log *log;
	uint32_t tail, blocks; /* from the tail to the head */
	uint64_t last; /* the last record's number */
	struct xfs_record rec;
};

/* All records once, through @fn. */
static int pass_run(struct log_pass *p, xfs_trans_fn *fn,
		    struct xfs_replay *arg)
{
	struct xfs_gather g = { .fn = fn, .arg = arg };
	uint64_t before = 0;
	uint32_t done;
	int r = 0;

	for (done = 0; done < p->blocks && !r; done += p->rec.total) {
		r = xfs_record_read(
			p->log,
			(uint32_t)(((uint64_t)p->tail + done) % p->log->size),
			&p->rec);
		if (!r &&
		    (p->rec.lsn <= before || p->rec.lsn > p->last ||
		     memcmp(p->rec.uuid, p->log->sb->uuid, XFS_UUID_LEN) != 0))
			r = -EBADMSG;
		before = p->rec.lsn;
		if (!r)
			r = xfs_gather_record(&g, &p->rec);
	}
	xfs_gather_release(&g);
	return r;
}

/* Why it could not be replayed; 0 where that is an answer. */
static int not_replayed(int err, struct xfs_log_report *report)
{
	const char *why;

	switch (err) {
	case -EBADMSG:
	case -ERANGE:
		why = "a part of it is damaged";
		break;
	case -EFBIG:
		why = "it holds too much";
		break;
	case -EOPNOTSUPP:
		why = "it holds changes of an unknown kind";
		break;
	default:
		return err;
	}
	snprintf(report->note, sizeof(report->note),
		 "The log was not replayed (%s): files are shown as they were"
		 " at its last checkpoint.",
		 why);
	return 0;
}

static int log_replay(const struct xfs_log *l, struct log_pass *p,
		      struct xfs_log_report *report, struct xfs_overlay **out)
{
	struct xfs_replay replay = { .sb = l->sb };
	int r;

	r = xfs_overlay_new(l->b, &replay.overlay);
	if (!r)
		r = pass_run(p, xfs_replay_cancels, &replay);
	if (!r)
		r = pass_run(p, xfs_replay_apply, &replay);
	if (!r && replay.nintents)
		snprintf(report->note, sizeof(report->note),
			 "The log was"
			 " replayed, but for %zu changes of files that were"
			 " under way when the machine stopped.",
			 replay.nintents);
	if (!r) {
		report->replayed = true;
		*out = replay.overlay;
		replay.overlay = NULL;
	}
	xfs_overlay_free(replay.overlay);
	xfs_replay_release(&replay);
	return r;
}

static bool log_at(const struct xfs_super *sb, struct blocks *b,
		   struct xfs_log *l)
{
	uint64_t bytes = (uint64_t)sb->log_blocks << sb->block_log;

	if (!sb->log_blocks || !xfs_block_ok(sb, sb->log_start, sb->log_blocks))
		return false;
	l->b = b;
	l->sb = sb;
	l->at = xfs_block_at(sb, sb->log_start);
	l->size = (uint32_t)(bytes / LOG_BLOCK);
	return bytes <= LOG_BYTES_MAX && l->at <= b->size &&
	       bytes <= b->size - l->at;
}

/* The last record tells where to begin. False: it cannot be so. */
static bool pass_begin(struct log_pass *p)
{
	const struct xfs_log *l = p->log;
	uint32_t cycle = (uint32_t)(p->rec.tail_lsn >> 32);
	uint32_t own = (uint32_t)(p->rec.lsn >> 32);

	p->tail = (uint32_t)p->rec.tail_lsn;
	if (p->tail >= l->size || p->rec.tail_lsn > p->rec.lsn)
		return false;
	if (cycle != own && (cycle != own - 1 || p->tail <= p->rec.blk))
		return false;
	p->last = p->rec.lsn;
	p->blocks = distance(l, p->tail, p->rec.blk) + p->rec.total;
	return p->blocks <= l->size;
}

static int log_open(const struct xfs_log *l, struct xfs_log_report *report,
		    struct xfs_overlay **out)
{
	struct log_pass p = { .log = l };
	int r;

	r = log_end(l, &p.rec);
	if (r == -ENOENT || (!r && xfs_record_unmount(&p.rec))) {
		r = 0;
	} else {
		report->dirty = true;
		if (!r)
			r = pass_begin(&p) ? log_replay(l, &p, report, out)
					   : -EBADMSG;
		if (r < 0)
			r = not_replayed(r, report);
	}
	xfs_record_release(&p.rec);
	return r;
}

int xfs_log_open(struct blocks *b, const struct xfs_super *sb,
		 struct xfs_log_report *report,
		 struct xfs_overlay **overlay_out)
{
	struct xfs_log l;

	*overlay_out = NULL;
	memset(report, 0, sizeof(*report));
	if (!sb->log_start) {
		report->dirty = true;
		snprintf(report->note, sizeof(report->note),
			 "The log lies on"
			 " another device and was not read: the latest changes"
			 " of files may be missing.");
		return 0;
	}
	if (!log_at(sb, b, &l)) {
		report->dirty = true;
		snprintf(report->note, sizeof(report->note),
			 "The log lies"
			 " outside the volume: the latest changes of files may"
			 " be missing.");
		return 0;
	}
	return log_open(&l, report, overlay_out);
}
