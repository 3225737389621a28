/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Filesystems in volumes: opened, lent, and closed again. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/guest/guest.h"
#include "fs/roster.h"
#include "fs/volumes_internal.h"
#include "store/base/lock.h"
#include "store/base/log.h"
#include "store/base/stop.h"

/* ---- closing ---- */

bool volumes_over(const struct volumes *m)
{
	return m->nguests > VOLUMES_GUESTS_MAX ||
	       (m->nguests > 1 && m->held > VOLUMES_HELD_MAX);
}

/* With the lock held: will nobody get it any more? */
static bool is_dropped(const struct opened *o)
{
	return o->row->opened != o;
}

/* With the lock held: take one out, to be closed without the lock. */
static struct opened *take_oldest(struct volumes *m, bool all)
{
	struct opened **at, **oldest = NULL, *o;

	all = all || volumes_over(m);
	for (at = &m->guests; *at; at = &(*at)->next)
		if ((*at)->refs == 0 && (all || is_dropped(*at)) &&
		    (!oldest || (*at)->used < (*oldest)->used))
			oldest = at;
	if (!oldest)
		return NULL;
	o = *oldest;
	*oldest = o->next;
	m->nguests--;
	m->held -= o->guest->held;
	if (!is_dropped(o))
		o->row->opened = NULL;
	return o;
}

void volumes_trim(struct volumes *m, bool all)
{
	struct opened *o;

	do {
		pthread_mutex_lock(&m->lock);
		o = take_oldest(m, all);
		pthread_mutex_unlock(&m->lock);
		if (o)
			guest_close(o->guest);
		free(o);
	} while (o);
}

/* ---- opening ---- */

/* Will the same bytes say the same again? */
static bool is_final(int r)
{
	return r == -EBADMSG || r == -EOPNOTSUPP || r == -EINVAL ||
	       r == -ERANGE || r == -EFBIG || r == -ENOKEY;
}

static int ignore_entry(void *arg, const char *name, size_t len, uint64_t node,
			unsigned int type, uint64_t cookie)
{
	(void)arg, (void)name, (void)len, (void)node, (void)type, (void)cookie;
	return 0;
}

/*
 * Open the filesystem that one of the volume's signatures speaks for. Where two
 * formats have left theirs, only one of them is whole: it opens, and its top
 * directory can be read.
 */
static int open_type(struct volumes *m, const struct volume *v,
		     const char *type, struct buf *why, struct guest **out)
{
	struct guest_attr attr;
	int r = guest_open(type, v->blocks, m->memory, why, out);

	if (r < 0 || !v->others[0][0])
		return r;
	r = guest_getattr(*out, (*out)->root, &attr);
	if (r == 0 && !S_ISDIR(attr.mode))
		r = -EBADMSG;
	if (r == 0)
		r = guest_readdir(*out, (*out)->root, 0, ignore_entry, NULL);
	if (r < 0) {
		buf_printf(why, "its top directory cannot be read");
		guest_close(*out);
		*out = NULL;
	}
	return r;
}

/* What is wrong with the volume itself goes before what its filesystem says
 * of itself. */
static void add_mark(const struct volume *v, struct guest_info *info)
{
	char note[sizeof(info->note)];

	if (!v->state[0])
		return;
	snprintf(note, sizeof(note), "%s", info->note);
	snprintf(info->state, sizeof(info->state), "%s", v->state);
	snprintf(info->note, sizeof(info->note), "%.180s%s%.60s", v->note,
		 note[0] ? "; " : "", note);
}

/* Try the volume's types until one opens. The reason why not is the first
 * one's. */
static int open_found(struct volumes *m, const struct volume *v,
		      struct buf *why, struct guest **out)
{
	size_t i;
	int r = open_type(m, v, v->type, why, out);

	for (i = 0;
	     i < VOLUME_OTHERS && r < 0 && is_final(r) && v->others[i][0];
	     i++) {
		AUTO_BUF struct buf other = BUF_INIT;

		if (open_type(m, v, v->others[i], &other, out) == 0)
			r = 0;
	}
	if (r == 0)
		add_mark(v, &(*out)->info);
	return r;
}

/* Open volume @i of a set. */
static int open_in(struct volumes *m, const struct point_volumes *x, size_t i,
		   struct buf *why, struct guest **out)
{
	const struct volume *v = &x->set->volumes[i];

	if (v->reason) {
		buf_printf(why, "%s", v->reason);
		return -EOPNOTSUPP;
	}
	return open_found(m, v, why, out);
}

/* Find the volume in its point, and open what is in it. *sure_out: no read
 * failed meanwhile, so that the result holds for ever. */
static int open_volume(struct volumes *m, uint32_t serial, uint32_t point,
		       struct buf *why, bool *sure_out, struct guest **out)
{
	AUTO_POINT_VOLUMES struct point_volumes *x = NULL;
	uint64_t before;
	size_t i;
	int r = volumes_get(m, point, &x);

	*sure_out = false;
	if (r < 0)
		return r;
	for (i = 0; i < x->set->n; i++)
		if (x->serials[i] == serial)
			break;
	if (i == x->set->n)
		return x->sure ? -ESTALE : -EIO;
	before = point_volumes_failures(x);
	r = open_in(m, x, i, why, out);
	*sure_out = x->sure && point_volumes_failures(x) == before;
	return r;
}

static char *reason(struct buf *why, int r)
{
	if (why->len == 0)
		buf_printf(why, "it cannot be read: %s", strerror(-r));
	buf_put_u8(why, 0);
	return buf_error(why) < 0 ? NULL : strdup((char *)why->data);
}

static void say_state(struct volumes *m, const struct row *row,
		      const struct guest_info *info)
{
	char machine[ROSTER_NAME_MAX];
	struct roster_point p;
	int64_t changed;

	if (roster_get_point(m->roster, row->point, &p) < 0 ||
	    roster_machine(m->roster, p.machine, machine, &changed) < 0)
		return;
	log_warn("%s/%s:volumes/%s is marked %s: %s", machine, p.name,
		 row->name, info->state,
		 info->note[0] ? info->note : "see vmbackupfs(7)");
}

/* With the lock held: keep what came of an attempt. @final: it would come of
 * any other, too. */
static int settle(struct volumes *m, struct row *row, struct opened *o,
		  char *why, bool final, int r)
{
	if (r < 0 ? !final : row->error < 0)
		row->changed_ns = volumes_now_ns(m);
	row->opening = false;
	row->attempts++;
	row->error = r;
	free(row->why_now);
	row->why_now = NULL;
	if (r == 0) {
		o->row = row;
		o->next = m->guests;
		m->guests = o;
		m->nguests++;
		m->held += o->guest->held;
		/* What it was found by may have been doubted meanwhile. */
		row->opened = row->gone ? NULL : o;
	} else if (final && why) {
		free(row->why);
		row->why = why;
		r = row->error = -ENODATA;
	} else {
		row->why_now = why;
		r = row->error = volumes_error(r);
	}
	pthread_cond_broadcast(&m->done);
	return r;
}

/*
 * This thread is the one. Others wait for the filesystem that it opens, so the
 * end of its own request does not end that: the bounds of the readers do.
 */
static int attempt(struct volumes *m, uint32_t serial, struct row *row)
{
	STOP_SHIELD;
	AUTO_BUF struct buf why = BUF_INIT;
	struct opened *o = calloc(1, sizeof(*o));
	struct guest_info info;
	bool mark = false, sure = false, dropped;
	char *text = NULL;
	int r = -ENOMEM;

	if (o)
		r = open_volume(m, serial, row->point, &why, &sure, &o->guest);
	if (r < 0) {
		text = reason(&why, r);
		free(o);
		o = NULL;
	}
	pthread_mutex_lock(&m->lock);
	if (o && o->guest->info.state[0] && !row->marked) {
		mark = row->marked = true;
		info = o->guest->info;
	}
	r = settle(m, row, o, text, sure && is_final(r), r);
	dropped = o && is_dropped(o);
	pthread_mutex_unlock(&m->lock);
	if (dropped)
		volumes_trim(m, false);
	if (mark)
		say_state(m, row, &info);
	return r;
}

/*
 * With the lock held. Return 0 where the row is open, -ENODATA, the error of
 * an attempt that ended while this thread waited for it, or 1: this thread has
 * to make one.
 */
static int await_row(struct volumes *m, struct row *row)
{
	unsigned int seen = row->attempts;

	while (!row->opened) {
		if (row->why)
			return -ENODATA;
		if (row->attempts != seen && row->error < 0)
			return row->error;
		if (!row->opening) {
			row->opening = true;
			return 1;
		}
		pthread_cond_wait(&m->done, &m->lock);
	}
	return 0;
}

int volumes_enter(struct volumes *m, uint32_t serial, struct lent *out)
{
	struct row *row;
	int r;

	memset(out, 0, sizeof(*out));
	if (stop_asked()) /* a listing goes from volume to volume */
		return -ECANCELED;
	pthread_mutex_lock(&m->lock);
	row = volumes_row(m, serial);
	r = row ? await_row(m, row) : -ESTALE;
	while (r == 1) {
		pthread_mutex_unlock(&m->lock);
		r = attempt(m, serial, row);
		pthread_mutex_lock(&m->lock);
		if (r == 0) /* it may have been closed again already */
			r = await_row(m, row);
	}
	if (r == 0) {
		row->opened->refs++;
		row->opened->used = ++m->clock;
		out->volumes = m;
		out->opened = row->opened;
		out->guest = row->opened->guest;
		out->sure = !row->unsure;
	}
	pthread_mutex_unlock(&m->lock);
	return r;
}

void volumes_leave(struct lent *l)
{
	struct volumes *m = l->volumes;
	bool over;

	if (!l->opened)
		return;
	pthread_mutex_lock(&m->lock);
	l->opened->refs--;
	over = is_dropped(l->opened) || volumes_over(m);
	pthread_mutex_unlock(&m->lock);
	l->opened = NULL;
	if (over)
		volumes_trim(m, false);
}

int volumes_why(struct volumes *m, uint32_t serial, struct buf *out)
{
	struct row *row;
	int r = -ENOENT;

	SCOPED_LOCK(&m->lock);
	row = volumes_row(m, serial);
	if (!row)
		return -ESTALE;
	if (row->why) {
		buf_put(out, row->why, strlen(row->why));
		r = 0;
	} else if (row->why_now) {
		buf_put(out, row->why_now, strlen(row->why_now));
		r = 1;
	}
	return buf_error(out) < 0 ? buf_error(out) : r;
}
