/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "fs/fuse/ops.h"

#include <errno.h>
#include <linux/fuse.h>
#include <string.h>
#include <unistd.h>

#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>

#include "fs/fuse/loop.h"
#include "fs/fuse/reply.h"
#include "fs/view.h"
#include "store/base/buf.h"
#include "store/base/log.h"
#include "store/entry.h"
#include "store/point.h"

#define MAX_TRANSFER (1u << 20)
#define MAX_BACKGROUND 64
#define ACL_PREFIX "system.posix_acl_"
#define ACL_ACCESS ACL_PREFIX "access"
#define SELINUX "security.selinux"
#define HIDDEN_NAME ".vmbackupfs"

static struct ops *ops_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

/* FUSE's number of the top is fixed; what is shown there is not. */
static uint64_t node_of(const struct ops *o, fuse_ino_t ino)
{
	return ino == FUSE_ROOT_ID ? o->root : ino;
}

/* Directories of points grow: look at the vault before they are looked at. Return
 * whether there is something new. */
static bool freshen(struct ops *o, uint64_t node)
{
	if (view_is_fixed(node) || !call_may_wait() ||
	    view_refresh_after(o->view, o->refresh_ns) != 1)
		return false;
	o->has_acl = view_has_acl(o->view);
	return true;
}

static void op_init(void *arg, struct fuse_conn_info *conn)
{
	struct ops *o = arg;
	unsigned int off = FUSE_CAP_AUTO_INVAL_DATA |
			   FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_SPLICE_READ |
			   FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE |
			   /* The links in ids/ and tags/ lead elsewhere once a
			    * machine has another name. */
			   FUSE_CAP_CACHE_SYMLINKS |
			   /* The kernel waits for those uninterruptibly. */
			   FUSE_CAP_ASYNC_DIO;
	unsigned int on = FUSE_CAP_ASYNC_READ | FUSE_CAP_READDIRPLUS |
			  FUSE_CAP_PARALLEL_DIROPS |
			  FUSE_CAP_EXPLICIT_INVAL_DATA |
			  FUSE_CAP_EXPORT_SUPPORT;

	if (o->others)
		on |= FUSE_CAP_POSIX_ACL;
	else
		off |= FUSE_CAP_POSIX_ACL;
	conn->want = (conn->want & ~off) | (on & conn->capable);
	conn->max_write = MAX_TRANSFER;
	conn->max_background = MAX_BACKGROUND;
	conn->time_gran = 1;
}

/*
 * Is @node below the mount's top? Where a mount shows a part of the vault, file
 * handles lead to that part alone: a client of an export may make them up. From
 * what is in a volume the way up is not always known, but where the volume
 * stands is; the way itself is asked for only where a directory in this very
 * volume is the mount's top.
 */
static bool is_shown(const struct ops *o, uint64_t node)
{
	struct view_attr a = { .node = node };
	uint64_t top, last;

	if (o->root == VIEW_ROOT)
		return true;
	if (view_in_volume(node)) {
		if (view_volume_top(o->view, node, &top) < 0)
			return false;
		if (!view_same_volume(o->root, node) || o->root == top)
			a.node = top;
	}
	do {
		if (a.node == o->root)
			return true;
		last = a.node;
		if (view_parent(o->view, a.node, &a) < 0)
			return false;
	} while (last != VIEW_ROOT && a.node != VIEW_ROOT);
	/* What is hidden stands in every top. */
	return view_lookup(o->view, VIEW_ROOT, HIDDEN_NAME, &a) == 0 &&
	       a.node == last;
}

/*
 * The kernel asks a node for "." and ".." only to find its way from a file
 * handle to an inode that it has forgotten: the node itself, and the directory
 * that it stands in.
 */
static int look_around(const struct ops *o, uint64_t node, const char *name,
		       struct view_attr *out)
{
	int r;

	if (!is_shown(o, node))
		return -ESTALE;
	if (name[1] == '.' && node != o->root)
		r = view_parent(o->view, node, out);
	else
		r = view_getattr(o->view, node, out);
	return r == -ENOENT ? -ESTALE : r;
}

static int look_up(struct ops *o, uint64_t dir, const char *name,
		   struct view_attr *out)
{
	int r;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return look_around(o, dir, name, out);
	(void)freshen(o, dir);
	r = view_lookup(o->view, dir, name, out);
	if (r == -ENOENT && dir == o->root && strcmp(name, HIDDEN_NAME) == 0)
		r = view_lookup(o->view, VIEW_ROOT, name, out);
	/* With the name the kernel gets attributes, and while these hold it asks
	 * for no others: the times of a directory that grows tell it that its
	 * listing is old. */
	if (r == 0 && view_is_fixed(dir) && freshen(o, out->node))
		r = view_getattr(o->view, out->node, out);
	return r;
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct ops *o = ops_of(req);
	uint64_t dir = node_of(o, parent);
	enum reply_place place = dir == o->root ? REPLY_NEAR_TOP : REPLY_DEEP;
	struct view_attr a;
	int r;

	if (!call_begin(req))
		return;
	r = look_up(o, dir, name, &a);
	if (r == 0 && a.node == o->root)
		place = REPLY_TOP;
	reply_entry(req, o, r, &a, place, view_is_settled(o->view, dir));
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
	(void)ino;
	(void)nlookup;
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count,
			    struct fuse_forget_data *forgets)
{
	(void)count;
	(void)forgets;
	fuse_reply_none(req);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino,
		       struct fuse_file_info *fi)
{
	struct ops *o = ops_of(req);
	uint64_t node = node_of(o, ino);
	enum reply_place place = ino == FUSE_ROOT_ID ? REPLY_TOP : REPLY_DEEP;
	bool statx = call_wants_statx();
	struct entry_extra x;
	struct view_attr a;
	int r;

	(void)fi;
	if (!call_begin(req))
		return;
	(void)freshen(o, node);
	r = view_getattr(o->view, node, &a);
	if (r == 0 && statx)
		r = view_extra(o->view, node, &x);
	if (r < 0)
		reply_error(req, r);
	else if (statx)
		reply_statx(req, o, &a, &x, place);
	else
		reply_attr(req, o, &a, place);
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct ops *o = ops_of(req);
	AUTO_BUF struct buf text = BUF_INIT;
	int r;

	if (!call_begin(req))
		return;
	r = view_readlink(o->view, node_of(o, ino), &text);
	buf_put_u8(&text, 0);
	if (r == 0)
		r = buf_error(&text);
	if (r < 0)
		reply_error(req, r);
	else
		reply_link(req, (char *)text.data);
}

/* ENOSYS to the first open, opendir and flush: the kernel sends no more of
 * them, and keeps pages and directories over opens. There is nothing that a
 * handle would tell us: node numbers are all. */
static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	(void)fi;
	if (call_begin(req))
		reply_error(req, -ENOSYS);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	struct ops *o = ops_of(req);
	size_t len = 0;
	void *data;
	int r = -ENOMEM;

	(void)fi;
	if (!call_begin(req))
		return;
	data = call_buffer(size);
	if (data)
		r = view_read(o->view, node_of(o, ino), (uint64_t)off, data,
			      size, &len);
	if (r < 0)
		reply_error(req, r);
	else
		reply_data(req, data, len);
}

static void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence,
		     struct fuse_file_info *fi)
{
	struct ops *o = ops_of(req);
	uint64_t at = 0;
	int r = -EINVAL;

	(void)fi;
	if (!call_begin(req))
		return;
	if (off >= 0 && (whence == SEEK_DATA || whence == SEEK_HOLE))
		r = view_seek(o->view, node_of(o, ino), (uint64_t)off,
			      whence == SEEK_HOLE, &at);
	if (r < 0)
		reply_error(req, r);
	else
		reply_offset(req, at);
}

/* ---- directories ---- */

struct listing {
	fuse_req_t req;
	const struct ops *o;
	char *data;
	size_t len, cap;
	enum reply_place place; /* of the rows */
	bool plus;
};

/* Return 1 where there is no room for the row. */
static int add_row(struct listing *l, const char *name,
		   const struct view_attr *a, bool linked, uint64_t cookie)
{
	struct fuse_entry_param e;
	size_t room = l->cap - l->len, n;

	reply_fill_entry(l->o, a, l->place, &e);
	/* "." and ".." are no entries of the kernel's, and of what is damaged
	 * it shall ask for more when somebody wants to know. */
	if (!linked || a->damaged)
		e.ino = 0;
	n = l->plus ? fuse_add_direntry_plus(l->req, l->data + l->len, room,
					     name, &e, (off_t)cookie)
		    : fuse_add_direntry(l->req, l->data + l->len, room, name,
					&e.attr, (off_t)cookie);
	if (n > room)
		return 1;
	l->len += n;
	return 0;
}

static int add_entry(void *arg, const char *name, size_t name_len,
		     const struct view_attr *a, uint64_t cookie)
{
	char text[256];

	if (name_len >= sizeof(text))
		return -EIO;
	memcpy(text, name, name_len);
	text[name_len] = '\0';
	return add_row(arg, text, a, true, cookie);
}

/* "." is cookie 1, ".." is 2. */
static int add_dots(struct listing *l, uint64_t node, uint64_t cookie)
{
	struct view_attr a;
	int r = view_getattr(l->o->view, node, &a);

	if (r < 0)
		return r;
	if (cookie < 1 && add_row(l, ".", &a, false, 1) > 0)
		return 1;
	return cookie < 2 ? add_row(l, "..", &a, false, 2) : 0;
}

static void list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		 bool plus)
{
	struct ops *o = ops_of(req);
	uint64_t node = node_of(o, ino), cookie = (uint64_t)off;
	struct listing l = { .req = req, .o = o, .plus = plus };
	int r = 0;

	l.place = node == o->root ? REPLY_NEAR_TOP : REPLY_DEEP;

	if (!call_begin(req))
		return;
	l.cap = MIN(size, MAX_TRANSFER);
	l.data = call_buffer(l.cap);
	if (!l.data)
		r = -ENOMEM;
	if (r == 0 && cookie == 0)
		(void)freshen(o, node);
	if (r == 0 && cookie < 2)
		r = add_dots(&l, node, cookie);
	if (r == 0)
		r = plus ? view_readdir(o->view, node, cookie, add_entry, &l)
			 : view_readnames(o->view, node, cookie, add_entry, &l);
	/* What was gathered before an error is good; the error comes again
	 * when the kernel asks for what follows. */
	if (r < 0 && l.len == 0)
		reply_error(req, r);
	else
		reply_data(req, l.data, l.len);
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		       struct fuse_file_info *fi)
{
	(void)fi;
	list(req, ino, size, off, false);
}

static void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size,
			   off_t off, struct fuse_file_info *fi)
{
	(void)fi;
	list(req, ino, size, off, true);
}

/* ---- the rest ---- */

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct ops *o = ops_of(req);
	struct statvfs st = { .f_bsize = 4096,
			      .f_frsize = 4096,
			      .f_namemax = 255,
			      .f_flag = ST_RDONLY };
	struct point_list *l;
	uint64_t bytes = 0;
	size_t i, j;

	(void)ino;
	if (!call_begin(req))
		return;
	l = view_points(o->view);
	for (i = 0; i < l->n; i++) {
		bytes += l->points[i]->bytes;
		st.f_files += l->points[i]->entries;
		for (j = 0; j < l->points[i]->ndisks; j++)
			bytes += l->points[i]->disks[j].used;
	}
	point_list_put(l);
	st.f_blocks = bytes / st.f_frsize;
	reply_statfs(req, &st);
}

/* Never ENOSYS: the kernel would take it for all points that are to come. */
static int get_xattr(const struct ops *o, uint64_t node, const char *name,
		     struct buf *value)
{
	bool acl = strncmp(name, ACL_PREFIX, strlen(ACL_PREFIX)) == 0;
	struct view_attr a;
	int r;

	/* ls(1) remembers this answer and does not ask for each file; so
	 * with a label, which it wants of every file. A kernel that enforces
	 * ACLs would take it for a failure to read one. */
	if (acl && !o->has_acl && !o->others && !view_in_volume(node))
		return -EOPNOTSUPP;
	r = view_getxattr(o->view, node, name, value);
	if (r == -ENODATA && strcmp(name, SELINUX) == 0)
		r = -EOPNOTSUPP;
	if (r == 0 && acl)
		r = view_getattr(o->view, node, &a);
	if (r == 0 && acl)
		attr_apply_acl(&o->policy, &a.st, value->data, value->len);
	return r;
}

/*
 * A kernel that enforces ACLs asks for one before it looks at anybody's
 * capabilities, and an error there would keep the file from root, too. An ACL
 * that cannot be read, or that is none, therefore denies access, which root
 * passes over; others, and who wants to copy it, get that error.
 */
static bool acl_denies(const struct ops *o, uint64_t node, const char *name,
		       int r, const struct buf *value)
{
	AUTO_BUF struct buf place = BUF_INIT;

	if (!o->others || strcmp(name, ACL_ACCESS) != 0)
		return false;
	if (r == 0 && !attr_acl_ok(value->data, value->len)) {
		view_describe(o->view, node, &place);
		buf_put_u8(&place, 0);
		log_line(LOG_LEVEL_ERROR,
			 "%s: its access control list is malformed: "
			 "only root and the owner may read it",
			 buf_error(&place) < 0 ? "a file" : (char *)place.data);
		return true;
	}
	return r == -EIO || r == -EBADMSG;
}

static void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
			size_t size)
{
	struct ops *o = ops_of(req);
	AUTO_BUF struct buf value = BUF_INIT;
	uint64_t node = node_of(o, ino);
	int r;

	if (!call_begin(req))
		return;
	r = get_xattr(o, node, name, &value);
	if (acl_denies(o, node, name, r, &value))
		reply_denied(req);
	else if (r < 0)
		reply_error(req, r);
	else
		reply_xattr(req, value.data, value.len, size);
}

static void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct ops *o = ops_of(req);
	AUTO_BUF struct buf names = BUF_INIT;
	int r;

	if (!call_begin(req))
		return;
	r = view_listxattr(o->view, node_of(o, ino), &names);
	if (r < 0)
		reply_error(req, r);
	else
		reply_xattr(req, names.data, names.len, size);
}

bool ops_at_hand(void *arg, const struct fuse_in_header *request, size_t len)
{
	const struct ops *o = arg;
	uint64_t node = node_of(o, request->nodeid);
	const char *name = (const char *)(request + 1);

	switch (request->opcode) {
	case FUSE_STATFS:
	case FUSE_OPEN:
	case FUSE_OPENDIR:
	case FUSE_FLUSH:
		return true;
	case FUSE_GETATTR:
	case LOOP_STATX:
	case FUSE_READLINK:
	case FUSE_READ:
	case FUSE_GETXATTR:
	case FUSE_LISTXATTR:
		return view_at_hand(o->view, node, NULL, false);
	case FUSE_READDIR:
	case FUSE_READDIRPLUS:
		return view_at_hand(o->view, node, NULL, true);
	case FUSE_LOOKUP:
		len -= sizeof(*request);
		return memchr(name, 0, len) &&
		       view_at_hand(o->view, node, name, false);
	default:
		return false;
	}
}

const struct fuse_lowlevel_ops ops_table = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.readlink = op_readlink,
	.open = op_open,
	.read = op_read,
	.flush = op_open,
	.opendir = op_open,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.lseek = op_lseek,
	.statfs = op_statfs,
	.getxattr = op_getxattr,
	.listxattr = op_listxattr,
};
