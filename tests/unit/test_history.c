/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A vault that has less than was seen in it: whoever opens it is told, and nobody
 * writes to it until that is accepted. */
#include "config.h"

#include "tests/unit/sessions.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/backend/mem.h"
#include "store/base/hex.h"
#include "store/base/pool.h"
#include "store/base/seam.h"
#include "store/format.h"
#include "store/history/history.h"
#include "store/history/seen.h"
#include "store/point.h"
#include "store/record/note.h"
#include "store/vault.h"
#include "store/writer/note.h"
#include "store/writer/writer.h"
#include "tests/unit/seam_crash.h"
#include "tests/unit/vaults.h"

#define MANY 10000

static const uint8_t some_id[SEEN_ID_LEN] = { 1, 2, 3 };

/* ---- vaults ---- */

static char state_dir[300];

/* A scene whose vault is remembered, by nobody else. */
static int setup(void **state)
{
	static int n;
	int r = sessions_setup(state);
	struct scene *s = *state;

	snprintf(state_dir, sizeof(state_dir), "%s/a/b%d", support_tmpdir(),
		 n++);
	s->options.state_dir = state_dir;
	if (r == 0)
		sessions_next(s);
	return r;
}

/* The vault is opened anew, by somebody who reads. */
static void reopen(struct scene *s)
{
	writer_free(s->writer);
	s->writer = NULL;
	vault_close(s->vault);
	support_log_clear();
	assert_ok(vault_open(&s->options, &s->vault));
}

static void lose(struct scene *s, const char *prefix)
{
	assert_ok(backend_mem_remove(s->backend,
				     sessions_first_object(s, prefix)));
}

static void a_point_that_is_gone_is_missed(void **state)
{
	struct scene *s = *state;
	struct point_list *l;
	struct point *p;

	assert_ok(sessions_commit(s));
	sessions_next(s);
	assert_ok(sessions_commit(s));
	/* It was committed here, and never listed. */
	reopen(s);
	lose(s, "commit/");
	assert_ok(vault_points(s->vault, &l));
	assert_int_equal(l->n, 1);
	assert_int_equal(vault_lost(s->vault), 1);
	assert_said("were seen in this vault are not there");
	assert_said("gone: the point m/1970-01-01T000000Z (");
	assert_said("--accept-rollback");
	p = l->points[0];
	/* It is said once. */
	support_log_clear();
	assert_int_equal(sessions_npoints(s), 1);
	assert_string_equal(support_log_text(), "");
	assert_result(note_point(s->vault, p, NOTE_TEXT, "x", "me"), -EREMCHG);
	assert_result(writer_begin(s->vault, 1, s->pool, &s->writer), -EREMCHG);
	assert_int_equal(sessions_nobjects(s, "note/"), 0);
	point_list_put(l);
	/* Whoever only begins to write is told as well, before he wrote. */
	reopen(s);
	{
		size_t n = backend_mem_nobjects(s->backend);

		assert_result(writer_begin(s->vault, 1, s->pool, &s->writer),
			      -EREMCHG);
		assert_int_equal(backend_mem_nobjects(s->backend), n);
	}
	assert_said("gone: the point");
	assert_ok(vault_accept_rollback(s->vault));
	assert_ok(writer_begin(s->vault, 1, s->pool, &s->writer));
	/* And that stays accepted. */
	reopen(s);
	assert_int_equal(sessions_npoints(s), 1);
	assert_string_equal(support_log_text(), "");
	assert_int_equal(vault_lost(s->vault), 0);
}

static void what_was_purged_is_no_loss(void **state)
{
	struct scene *s = *state;
	char name[OBJECT_NAME_MAX];

	assert_ok(sessions_commit(s));
	reopen(s);
	assert_int_equal(sessions_npoints(s), 1);
	snprintf(name, sizeof(name), "purge/%s-0",
		 sessions_first_object(s, "point/") + 6);
	sessions_put_removal(s, name);
	lose(s, "point/");
	reopen(s);
	assert_int_equal(sessions_npoints(s), 0);
	assert_int_equal(vault_lost(s->vault), 0);
	assert_string_equal(support_log_text(), "");
	/* A verdict that is gone would bring the point back. */
	lose(s, "purge/");
	reopen(s);
	assert_ok(vault_look_back(s->vault));
	assert_int_equal(vault_lost(s->vault), 1);
	assert_said("what was decided of removing the point");
}

/* The last note on a point may be what protects it: nothing tells that it is gone but
 * who has seen it. */
static void a_note_that_is_gone_is_missed(void **state)
{
	struct scene *s = *state;
	struct point_list *l;
	char name[OBJECT_NAME_MAX];

	assert_ok(sessions_commit(s));
	reopen(s);
	assert_ok(vault_points(s->vault, &l));
	assert_ok(note_point(s->vault, l->points[0], NOTE_PROTECT, NULL, NULL));
	point_list_put(l);
	/* It was put here, and never listed. */
	lose(s, "note/");
	reopen(s);
	assert_ok(vault_points(s->vault, &l));
	assert_int_equal(vault_lost(s->vault), 1);
	assert_said("gone: a note, which may protect it, on the point");
	assert_result(note_point(s->vault, l->points[0], NOTE_TEXT, "x", NULL),
		      -EREMCHG);
	point_list_put(l);
	assert_ok(vault_accept_rollback(s->vault));
	reopen(s);
	/* What another has put was listed here. */
	snprintf(name, sizeof(name), "note/%s-0",
		 sessions_first_object(s, "point/") + 6);
	sessions_put_text(s, OBJECT_NOTE, name,
			  "{\"kind\":\"protect\",\"time_ns\":1}");
	assert_int_equal(sessions_npoints(s), 1);
	assert_int_equal(vault_lost(s->vault), 0);
	lose(s, "note/");
	reopen(s);
	assert_int_equal(sessions_npoints(s), 1);
	assert_int_equal(vault_lost(s->vault), 1);
	/* Of a point that was purged it may go. */
	snprintf(name, sizeof(name), "purge/%s-0",
		 sessions_first_object(s, "point/") + 6);
	sessions_put_removal(s, name);
	reopen(s);
	assert_int_equal(sessions_npoints(s), 0);
	assert_int_equal(vault_lost(s->vault), 0);
}

/* The listing failed: that is no loss. */
static void what_is_not_listed_is_not_known_to_be_gone(void **state)
{
	struct scene *s = *state;
	struct point_list *l;

	assert_ok(sessions_commit(s));
	reopen(s);
	backend_mem_fail(s->backend, BACKEND_MEM_LIST, "commit/", 1,
			 -EHOSTUNREACH, 0);
	assert_result(vault_points(s->vault, &l), -EHOSTUNREACH);
	backend_mem_fail(s->backend, BACKEND_MEM_LIST, "purge/", 1,
			 -EHOSTUNREACH, 0);
	assert_result(vault_look_back(s->vault), -EHOSTUNREACH);
	assert_int_equal(vault_lost(s->vault), 0);
}

/* Another process of this machine makes a point after the commits were listed here:
 * a look at the verdicts alone does not find it, and does not miss it. */
static void what_was_made_meanwhile_is_no_loss(void **state)
{
	struct scene *s = *state;
	struct point_list *l;
	struct vault *other;

	assert_ok(vault_open(&s->options, &other));
	assert_ok(vault_points(other, &l));
	point_list_put(l);
	assert_ok(sessions_commit(s));
	support_log_clear();
	assert_ok(vault_points_judged(other, &l));
	point_list_put(l);
	assert_int_equal(vault_lost(other), 0);
	assert_string_equal(support_log_text(), "");
	assert_ok(vault_points(other, &l));
	assert_int_equal(l->n, 1);
	point_list_put(l);
	assert_int_equal(vault_lost(other), 0);
	vault_close(other);
}

/* A vault that stays open sees what goes and what comes back; another process may
 * accept it meanwhile. */
static void an_open_vault_looks_again(void **state)
{
	struct scene *s = *state;
	struct vault *other;
	char name[OBJECT_NAME_MAX];
	uint8_t *data;
	size_t len;

	assert_ok(sessions_commit(s));
	reopen(s);
	assert_int_equal(sessions_npoints(s), 1);
	snprintf(name, sizeof(name), "%s", sessions_first_object(s, "commit/"));
	assert_ok(backend_get_all(s->backend, name, 1 << 20, &data, &len));
	lose(s, "commit/");
	assert_int_equal(sessions_npoints(s), 0);
	assert_int_equal(vault_lost(s->vault), 1);
	assert_ok(backend_put(s->backend, name, data, len));
	free(data);
	assert_int_equal(sessions_npoints(s), 1);
	assert_int_equal(vault_lost(s->vault), 0);
	lose(s, "commit/");
	assert_int_equal(sessions_npoints(s), 0);
	assert_int_equal(vault_lost(s->vault), 1);
	assert_ok(vault_open(&s->options, &other));
	assert_ok(vault_look_back(other));
	assert_ok(vault_accept_rollback(other));
	vault_close(other);
	assert_int_equal(sessions_npoints(s), 0);
	assert_int_equal(vault_lost(s->vault), 0);
}

/* Those that somebody wished away are points, too. */
static size_t count_points(struct scene *s)
{
	struct point_list *l;
	size_t n;

	vault_show_forgotten(s->vault);
	assert_ok(vault_points(s->vault, &l));
	n = l->n;
	point_list_put(l);
	return n;
}

/* A vault is put back to what it was before a point was removed, and the point is
 * kept then. What the local database knows of the removal is of another past: it is
 * no more believed, whether somebody saw that the verdict was gone or accepted it. */
static void another_past_is_forgotten(void **state)
{
	struct scene *s = *state;
	char name[OBJECT_NAME_MAX];
	int i;

	assert_ok(sessions_commit(s));
	snprintf(name, sizeof(name), "purge/%s-0",
		 sessions_first_object(s, "point/") + 6);
	for (i = 0; i < 2; i++) {
		s->options.cache_dir =
			support_path("%s/past%d", support_tmpdir(), i);
		sessions_put_removal(s, name);
		reopen(s);
		assert_int_equal(count_points(s), 0);
		lose(s, "purge/");
		if (i == 0) {
			reopen(s);
			assert_ok(vault_look_back(s->vault));
			assert_ok(vault_accept_rollback(s->vault));
		} else {
			assert_int_equal(count_points(s), 1);
		}
		sessions_put_text(s, OBJECT_PURGE, name,
				  "{\"verdict\":\"KEPT\"}");
		reopen(s);
		assert_int_equal(count_points(s), 1);
		lose(s, "purge/");
	}
	s->options.cache_dir = NULL;
}

/* ---- the file ---- */

static struct seen_file file_in(const char *dir, struct seam *seam)
{
	char hex[2 * SEEN_ID_LEN + 1];
	struct seen_file f = { .seam = seam, .dir = strdup(dir) };

	memcpy(f.vault_id, some_id, sizeof(some_id));
	hex_encode(some_id, sizeof(some_id), hex);
	f.path = strdup(support_path("%s/%s.seen", dir, hex));
	return f;
}

static void release_file(struct seen_file *f)
{
	free(f->dir);
	free(f->path);
}

static struct seen_row row_of(unsigned int i, char name[OBJECT_NAME_MAX])
{
	snprintf(name, OBJECT_NAME_MAX, "commit/%032x", i * 2654435761u);
	return (struct seen_row){ .name = name,
				  .point = name + 7,
				  .vm = "a machine",
				  .time_s = 1 + i };
}

static int add_row(const struct seen_file *f, unsigned int i)
{
	char name[OBJECT_NAME_MAX];
	struct seen_row row = row_of(i, name);

	return seen_change(f, "/srv/vault", NULL, &row, 1, NULL, 0, NULL);
}

static bool has_row(const struct seen *s, unsigned int i)
{
	char name[OBJECT_NAME_MAX];

	row_of(i, name);
	return seen_find(s, name) != NULL;
}

/* What a damaged file still says counts, and the damage is mended by whoever
 * writes next. */
static void a_damaged_file_says_the_rest(void **state)
{
	struct seen_file f = file_in(
		support_path("%s/damaged", support_tmpdir()), seam_system());
	AUTO_FREE uint8_t *text = NULL;
	size_t len, at;
	struct seen s;

	(void)state;
	assert_ok(seen_read(&f, &s));
	assert_false(s.there);
	assert_int_equal(s.n, 0);
	seen_release(&s);
	assert_ok(add_row(&f, 1));
	assert_ok(add_row(&f, 2));
	assert_ok(add_row(&f, 2));
	text = support_read(f.path, &len);
	assert_non_null(text);
	assert_ok(seen_read(&f, &s));
	assert_int_equal(s.n, 2);
	assert_string_equal(s.rows[0].vm, "a machine");
	assert_string_equal(s.rows[0].place, "/srv/vault");
	seen_release(&s);
	/* Each byte of it, and each end. */
	for (at = 0; at < len; at++) {
		text[at] ^= 0x20;
		support_write(f.path, text, len);
		text[at] ^= 0x20;
		assert_ok(seen_read(&f, &s));
		assert_true(s.bad > 0 || s.torn);
		assert_true(s.n >= 1 || text[at] == '\n');
		seen_release(&s);
		support_write(f.path, text, at);
		assert_ok(seen_read(&f, &s));
		assert_int_equal(s.bad, 0);
		assert_int_equal(s.torn, at && text[at - 1] != '\n');
		seen_release(&s);
		if (at % 7 != 0)
			continue;
		assert_ok(add_row(&f, 3));
		assert_ok(seen_read(&f, &s));
		assert_int_equal(s.bad, 0);
		assert_false(s.torn);
		assert_true(has_row(&s, 3));
		seen_release(&s);
	}
	release_file(&f);
}

/* That it is damaged, or of another kind than a file, is said, and no more. */
static void a_file_that_cannot_be_used_is_said(void **state)
{
	const char *dir = support_path("%s/unusable", support_tmpdir());
	struct seen_file f = file_in(dir, seam_system());
	char *names[1] = { NULL };
	struct history *h;

	(void)state;
	assert_ok(add_row(&f, 1));
	support_write(f.path, "nonsense\n", 9);
	assert_ok(history_new(dir, true, some_id, "v", seam_system(), &h));
	support_log_clear();
	assert_result(history_read(h), 1);
	assert_ok(history_compare(h, names, 0, NULL, NULL, NULL));
	assert_said("damaged");
	history_free(h);
	support_remove(f.path);
	assert_int_equal(mkdir(f.path, 0700), 0);
	assert_ok(history_new(dir, true, some_id, "v", seam_system(), &h));
	support_log_clear();
	assert_ok(history_read(h));
	assert_said("cannot be read");
	assert_false(history_is_kept(h));
	history_free(h);
	release_file(&f);
}

/* Who may sign is known without the file, and no more of it; where the file is
 * another one than that, it is read when it has to be. */
static void who_may_sign_is_known_without_reading(void **state)
{
	const char *dir = support_path("%s/settled", support_tmpdir());
	struct trust_row row = { .kind = TRUST_FIRST, .machine = "web 1" };
	struct seen_file f = file_in(dir, seam_system());
	AUTO_BUF struct buf put = BUF_INIT;
	struct seen_stamp stamp;
	struct history *h;

	(void)state;
	assert_ok(add_row(&f, 1));
	assert_ok(history_new(dir, true, some_id, "v", seam_system(), &h));
	memset(row.key, 7, sizeof(row.key));
	assert_ok(history_add_trust(h, &row));
	row = (struct trust_row){ .kind = TRUST_DEMANDED };
	assert_ok(history_add_trust(h, &row));
	history_put_trust(h, &put);
	assert_ok(buf_error(&put));
	history_free(h);

	assert_ok(history_new(dir, true, some_id, "v", seam_system(), &h));
	history_stamp(h, &stamp);
	/* Neither half a row nor what is none. */
	assert_result(history_settle(h, put.data, put.len - 1), -EBADMSG);
	assert_result(history_settle(h, "signer", 7), -EBADMSG);
	assert_false(history_is_settled(h, &stamp));
	assert_int_equal(history_trust(h)->n, 0);
	assert_ok(history_settle(h, put.data, put.len));
	assert_true(history_is_settled(h, &stamp));
	assert_false(history_is_kept(h));
	assert_int_equal(history_trust(h)->n, 2);
	memset(row.key, 7, sizeof(row.key));
	assert_int_equal(trust_judge(history_trust(h), row.key, "web 1"),
			 TRUST_IS_GIVEN);
	assert_true(trust_is_demanded(history_trust(h)));
	/* One more is added to the file, and not to what was known. */
	row.kind = TRUST_TAKEN;
	assert_ok(history_add_trust(h, &row));
	assert_true(history_is_kept(h));
	assert_int_equal(history_trust(h)->n, 3);
	assert_int_equal(trust_judge(history_trust(h), row.key, "web 1"),
			 TRUST_IS_REVOKED);
	/* It was read as it is now: an older one does not replace that. */
	history_stamp(h, &stamp);
	assert_ok(history_settle(h, put.data, put.len));
	assert_int_equal(history_trust(h)->n, 3);
	history_free(h);
	release_file(&f);
}

static bool describe_nothing(void *arg, size_t i, struct seen_row *out)
{
	(void)arg;
	(void)i;
	(void)out;
	return true;
}

static int use_closed_dir(void *arg)
{
	char name[OBJECT_NAME_MAX];
	char *names[1] = { name };
	struct history *h;
	int r;

	row_of(1, name);
	support_log_clear();
	if (history_new(arg, true, some_id, "v", seam_system(), &h) < 0)
		return 1;
	r = history_read(h) < 0 ||
	    history_compare(h, names, 1, NULL, describe_nothing, NULL) < 0 ||
	    history_compare(h, names, 1, NULL, describe_nothing, NULL) < 0;
	history_free(h);
	if (r || !strstr(support_log_text(), "cannot be written"))
		return 2;
	/* Once. */
	return strstr(strstr(support_log_text(), "cannot be written") + 1,
		      "cannot be written")
		       ? 3
		       : 0;
}

static void whoever_may_not_write_it_reads(void **state)
{
	const char *dir = support_path("%s/closed", support_tmpdir());

	(void)state;
	assert_int_equal(mkdir(dir, 0555), 0);
	if (geteuid() != 0)
		print_message("as root it is root that may not\n");
	assert_int_equal(support_fork_nobody(use_closed_dir, (char *)dir), 0);
}

#define WRITERS 4
#define EACH 40

static int add_many(void *arg)
{
	struct seen_file f = file_in(arg, seam_system());
	char last[OBJECT_NAME_MAX], name[OBJECT_NAME_MAX], *drop[] = { last };
	unsigned int i, base = (unsigned int)getpid() * 1000;

	for (i = 0; i < EACH; i++) {
		struct seen_row row = row_of(base + i, name);

		/* Every tenth goes again, which writes the file anew. */
		if (seen_change(&f, "/srv/vault", NULL, &row, 1, NULL, 0,
				NULL) < 0 ||
		    (i % 10 == 9 &&
		     (snprintf(last, sizeof(last), "%s", name) < 0 ||
		      seen_change(&f, NULL, NULL, NULL, 0, drop, 1, NULL) < 0)))
			return 1;
	}
	release_file(&f);
	return 0;
}

static int add_in_children(void *arg)
{
	pid_t pids[WRITERS];
	int i, status, bad = 0;

	for (i = 0; i < WRITERS; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			_exit(add_many(arg));
	}
	for (i = 0; i < WRITERS; i++)
		bad |= waitpid(pids[i], &status, 0) < 0 || status != 0;
	return bad;
}

static void many_processes_at_once(void **state)
{
	const char *dir = support_path("%s/many", support_tmpdir());
	struct seen_file f = file_in(dir, seam_system());
	struct seen s;

	(void)state;
	assert_int_equal(support_fork(add_in_children, (char *)dir), 0);
	assert_ok(seen_read(&f, &s));
	assert_int_equal(s.n, WRITERS * (EACH - EACH / 10));
	assert_int_equal(s.bad, 0);
	assert_false(s.torn);
	seen_release(&s);
	release_file(&f);
}

/* Who is stopped while he has the lock keeps nobody from reading. */
static void a_lock_that_is_held(void **state)
{
	const char *dir = support_path("%s/held", support_tmpdir());
	struct seen_file f = file_in(dir, seam_system());
	struct seen s;
	int fd;

	(void)state;
	assert_ok(add_row(&f, 1));
	fd = open(f.path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_ok(seen_read(&f, &s));
	assert_int_equal(s.n, 1);
	seen_release(&s);
	close(fd);
	release_file(&f);
}

/* A backup adds a line to what there is: it does not write all that anew. */
static void one_line_a_point(void **state)
{
	const char *dir = support_path("%s/ten-thousand", support_tmpdir());
	struct seen_file f = file_in(dir, seam_system());
	struct seen_row *rows = alloc_array(MANY, sizeof(*rows));
	char(*names)[OBJECT_NAME_MAX] = alloc_array(MANY, sizeof(*names));
	struct stat before, after;
	struct seen s;
	unsigned int i;

	(void)state;
	assert_non_null(rows);
	assert_non_null(names);
	for (i = 0; i < MANY; i++)
		rows[i] = row_of(i, names[i]);
	assert_ok(
		seen_change(&f, "/srv/vault", NULL, rows, MANY, NULL, 0, NULL));
	assert_int_equal(stat(f.path, &before), 0);
	assert_true(before.st_size < 120 * MANY);
	assert_ok(add_row(&f, MANY));
	assert_int_equal(stat(f.path, &after), 0);
	assert_int_equal(after.st_ino, before.st_ino);
	assert_true(after.st_size - before.st_size < 120);
	assert_ok(seen_read(&f, &s));
	assert_int_equal(s.n, MANY + 1);
	seen_release(&s);
	free(rows);
	free(names);
	release_file(&f);
}

/* ---- power cuts ---- */

static void what_was_noted_outlives_a_power_cut(void **state)
{
	const char *root = support_path("%s/cut", support_tmpdir());
	struct seam_crash *c;
	char name[OBJECT_NAME_MAX], *drop[] = { name };
	struct seen_file f, after;
	struct seen s;
	unsigned int n;
	size_t cut;

	(void)state;
	assert_int_equal(mkdir(root, 0700), 0);
	c = seam_crash_new(root, NULL);
	f = file_in(support_path("%s/state", root), seam_crash_seam(c));
	assert_ok(add_row(&f, 1));
	seam_crash_mark(c, 1);
	assert_ok(add_row(&f, 2));
	seam_crash_mark(c, 2);
	row_of(1, name);
	assert_ok(seen_change(&f, NULL, NULL, NULL, 0, drop, 1, NULL));
	seam_crash_mark(c, 3);
	for (cut = 0; cut <= seam_crash_length(c); cut++) {
		for (n = 0; n < 5; n++) {
			const char *to =
				support_path("%s/../cut-%zu-%u", root, cut, n);

			assert_int_equal(mkdir(to, 0700), 0);
			assert_ok(seam_crash_materialise(
				c, cut, seam_crash_nth_state(n), to));
			after = file_in(support_path("%s/state", to),
					seam_system());
			assert_ok(seen_read(&after, &s));
			if (seam_crash_marked(c, cut, 1) &&
			    !seam_crash_marked(c, cut, 2))
				assert_true(has_row(&s, 1));
			if (seam_crash_marked(c, cut, 2))
				assert_true(has_row(&s, 2));
			if (seam_crash_marked(c, cut, 3))
				assert_false(has_row(&s, 1));
			seen_release(&s);
			release_file(&after);
			support_remove(to);
		}
	}
	release_file(&f);
	seam_crash_free(c);
}

/* A session makes no folder anew that has gone with what was in it. */
static void a_folder_that_goes_ends_a_session(void **state)
{
	static const char *const gone[] = { "commit", "point" };
	const char *dir = support_path("%s/vault", support_tmpdir_fast());
	struct pool *pool = pool_new(1, 1);
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(gone); i++) {
		struct vault_options o =
			vaults_options(dir, NULL, seam_system(), NULL);
		struct point *p = point_new();
		struct writer *w;
		struct vault *v;
		char id[33];

		support_remove(dir);
		assert_ok(vault_create(&o, 0, id));
		assert_ok(vault_open(&o, &v));
		assert_ok(writer_begin(v, 1, pool, &w));
		p->vm = strdup("m");
		p->host = strdup("h");
		p->program = strdup("test");
		assert_int_equal(rmdir(support_path("%s/%s", dir, gone[i])), 0);
		support_log_clear();
		assert_result(writer_commit(w, p), -EIO);
		assert_said("was there, and is not any more");
		point_free(p);
		writer_free(w);
		vault_close(v);
	}
	pool_free(pool);
}

/* While a vault is open, and before it is. */
static void a_folder_that_goes_is_no_empty_one(void **state)
{
	const char *dir = support_path("%s/vault", support_tmpdir_fast());
	struct vault_options o = vaults_options(dir, NULL, seam_system(), NULL);
	char *const *folders;
	struct point_list *l;
	struct vault *v;
	char id[33];

	(void)state;
	assert_ok(vault_create(&o, 0, id));
	assert_ok(vault_open(&o, &v));
	assert_ok(vault_points(v, &l));
	point_list_put(l);
	assert_int_equal(rmdir(support_path("%s/note", dir)), 0);
	support_log_clear();
	assert_result(vault_points(v, &l), -EIO);
	assert_said("the folder note was there, and is not any more");
	vault_close(v);
	support_log_clear();
	assert_ok(vault_open(&o, &v));
	assert_said("the folder note is missing");
	assert_int_equal(vault_missing_folders(v, &folders), 1);
	assert_string_equal(folders[0], "note");
	assert_ok(vault_points(v, &l));
	point_list_put(l);
	assert_result(vault_may_write(v), -EREMCHG);
	assert_ok(vault_make_folders(v));
	assert_int_equal(vault_missing_folders(v, &folders), 0);
	assert_ok(vault_may_write(v));
	assert_ok(vault_points(v, &l));
	point_list_put(l);
	vault_close(v);
	support_log_clear();
	assert_ok(vault_open(&o, &v));
	assert_string_equal(support_log_text(), "");
	vault_close(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_point_that_is_gone_is_missed,
						setup, sessions_teardown),
		cmocka_unit_test_setup_teardown(what_was_purged_is_no_loss,
						setup, sessions_teardown),
		cmocka_unit_test_setup_teardown(
			what_is_not_listed_is_not_known_to_be_gone, setup,
			sessions_teardown),
		cmocka_unit_test_setup_teardown(a_note_that_is_gone_is_missed,
						setup, sessions_teardown),
		cmocka_unit_test_setup_teardown(
			what_was_made_meanwhile_is_no_loss, setup,
			sessions_teardown),
		cmocka_unit_test_setup_teardown(an_open_vault_looks_again,
						setup, sessions_teardown),
		cmocka_unit_test_setup_teardown(another_past_is_forgotten,
						setup, sessions_teardown),
		cmocka_unit_test(a_folder_that_goes_is_no_empty_one),
		cmocka_unit_test(a_folder_that_goes_ends_a_session),
		cmocka_unit_test(a_damaged_file_says_the_rest),
		cmocka_unit_test(a_file_that_cannot_be_used_is_said),
		cmocka_unit_test(who_may_sign_is_known_without_reading),
		cmocka_unit_test(whoever_may_not_write_it_reads),
		cmocka_unit_test(many_processes_at_once),
		cmocka_unit_test(a_lock_that_is_held),
		cmocka_unit_test(one_line_a_point),
		cmocka_unit_test(what_was_noted_outlives_a_power_cut),
	};

	support_log_capture();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
