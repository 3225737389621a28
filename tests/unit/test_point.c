/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "tests/unit/support.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "store/content.h"
#include "store/point.h"

#define ID_1 "0123456789abcdef0123456789abcdef"
#define ID_2 "fedcba9876543210fedcba9876543210"
#define ROOT_1 ID_1 ID_2
#define S(n) ((int64_t)(n)*1000000000)

#define MINIMAL                                                                \
	"\"format\":1,\"id\":\"" ID_1 "\",\"session\":\"" ID_2                 \
	"\",\"vm\":\"web1\",\"host\":\"h\",\"time\":\"2026-11-22T10:15:00Z\""

/* A disk that is right where its arguments are: "AA==" is content of size 0. */
#define DISK(name, size, content)                                              \
	"{\"name\":\"" name "\",\"size\":" size                                \
	",\"sector\":512,\"content\":\"" content "\"}"

static int setup(void **state)
{
	(void)state;
	support_log_capture();
	support_log_clear();
	return 0;
}

static char *copy(const char *text)
{
	char *s = strdup(text);

	assert_non_null(s);
	return s;
}

static char **copies(const char *const *list, size_t n)
{
	char **out = calloc(n, sizeof(*out));
	size_t i;

	assert_non_null(out);
	for (i = 0; i < n; i++)
		out[i] = copy(list[i]);
	return out;
}

/* Content of one hole. */
static void set_hole(uint8_t **content, size_t *len, uint64_t size)
{
	AUTO_BUF struct buf b = BUF_INIT;

	buf_put_u8(&b, 1);
	buf_put_varint(&b, 1);
	buf_put_varint(&b, size);
	buf_put_u8(&b, EXTENT_HOLE);
	assert_ok(buf_error(&b));
	*content = b.data;
	*len = b.len;
	b = (struct buf)BUF_INIT;
}

static void add_machine(struct point *p)
{
	static const char *const names[] = { "vdb", "vda" };
	size_t i;

	p->disks = calloc(2, sizeof(*p->disks));
	p->configs = calloc(1, sizeof(*p->configs));
	assert_true(p->disks && p->configs);
	for (i = 0; i < 2; i++) {
		struct point_disk *d = &p->disks[i];

		d->name = copy(names[i]);
		d->size = (uint64_t)1 << (40 + i);
		d->sector = i ? 4096 : 512;
		d->format = copy("qcow2");
		d->source = copy("/srv/web1.qcow2");
		set_hole(&d->content, &d->content_len, d->size);
		d->has_sha256 = i == 1;
	}
	support_fill(2, p->disks[1].sha256, sizeof(p->disks[1].sha256));
	p->ndisks = 2;
	p->configs[0].name = copy("domain.xml");
	p->configs[0].size = 9;
	set_hole(&p->configs[0].content, &p->configs[0].content_len, 9);
	p->nconfigs = 1;
	point_sort(p);
}

static void add_left_out(struct point *p)
{
	static const char *const mounts[] = { "/home", "/home/\xff" };
	static const char *const patterns[] = { "*.o", "!\xfe", "*.TMP",
						"\xfd*" };
	struct point_left_out *l = &p->left_out;
	size_t i;

	l->known = l->one_file_system = l->caches = true;
	l->mounts = copies(mounts, 2);
	l->nmounts = 2;
	l->patterns = calloc(4, sizeof(*l->patterns));
	assert_non_null(l->patterns);
	l->npatterns = 4;
	for (i = 0; i < 4; i++) {
		l->patterns[i].text = copy(patterns[i]);
		l->patterns[i].ignore_case = i >= 2;
	}
}

static void add_index(struct point *p)
{
	static const char *const index[] = { ID_1 "-0", ID_1 "-17.m",
					     ID_2 "-4294967295" };

	p->has_index = true;
	p->index = copies(index, 3);
	p->nindex = 3;
}

/* A point with something in every member. */
static struct point *full_point(void)
{
	static const char *const tags[] = { "nightly", "big", "nightly" };
	static const char *const sources[] = { "/", "/home/\xff\n\xc3\xa9",
					       "/a\nb" };
	struct point *p = point_new();

	assert_non_null(p);
	memcpy(p->id, ID_1, sizeof(p->id));
	memcpy(p->session, ID_2, sizeof(p->session));
	memcpy(p->parent, ID_2, sizeof(p->parent));
	p->vm = copy("w\xc3\xa9"
		     "b 1");
	p->host = copy("host.example");
	p->user = copy("root");
	p->program = copy("vmbackupfs 0.1.0");
	p->time_ns = S(1795342500);
	p->tags = copies(tags, 3);
	p->ntags = 3;
	p->sources = copies(sources, 3);
	p->nsources = 3;
	p->has_tree = true;
	support_fill(1, p->root.b, ID_LEN);
	p->entries = 212000;
	p->files = 200000;
	p->bytes = INT64_MAX;
	p->incomplete = true;
	p->errors = 3;
	p->has_acl = true;
	p->scan_start_ns = S(1795342400) + 5;
	p->data_added = 77;
	p->data_added_packed = 44;
	p->extra = copy("{\"nics\":[{\"name\":\"eth0\"}],\"x\":1.5}");
	add_left_out(p);
	add_index(p);
	add_machine(p);
	return p;
}

static void assert_same(const struct point *a, const struct point *b)
{
	size_t i;

	assert_string_equal(a->id, b->id);
	assert_string_equal(a->session, b->session);
	assert_string_equal(a->parent, b->parent);
	assert_string_equal(a->vm, b->vm);
	assert_string_equal(a->host, b->host);
	assert_string_equal(a->user, b->user);
	assert_string_equal(a->program, b->program);
	assert_true(a->time_ns == b->time_ns);
	assert_int_equal(a->ntags, b->ntags);
	for (i = 0; i < a->ntags; i++)
		assert_string_equal(a->tags[i], b->tags[i]);
	assert_int_equal(a->nsources, b->nsources);
	for (i = 0; i < a->nsources; i++)
		assert_string_equal(a->sources[i], b->sources[i]);
	assert_int_equal(a->left_out.known, b->left_out.known);
	assert_int_equal(a->left_out.one_file_system,
			 b->left_out.one_file_system);
	assert_int_equal(a->left_out.caches, b->left_out.caches);
	assert_int_equal(a->left_out.nmounts, b->left_out.nmounts);
	for (i = 0; i < a->left_out.nmounts; i++)
		assert_string_equal(a->left_out.mounts[i],
				    b->left_out.mounts[i]);
	assert_int_equal(a->left_out.npatterns, b->left_out.npatterns);
	for (i = 0; i < a->left_out.npatterns; i++) {
		assert_string_equal(a->left_out.patterns[i].text,
				    b->left_out.patterns[i].text);
		assert_int_equal(a->left_out.patterns[i].ignore_case,
				 b->left_out.patterns[i].ignore_case);
	}
	assert_int_equal(a->has_index, b->has_index);
	assert_int_equal(a->nindex, b->nindex);
	for (i = 0; i < a->nindex; i++)
		assert_string_equal(a->index[i], b->index[i]);
	assert_int_equal(a->has_tree, b->has_tree);
	assert_true(id_equal(&a->root, &b->root));
	assert_true(a->entries == b->entries && a->files == b->files &&
		    a->bytes == b->bytes && a->errors == b->errors);
	assert_true(a->incomplete == b->incomplete && a->has_acl == b->has_acl);
	assert_true(a->scan_start_ns == b->scan_start_ns);
	assert_true(a->data_added == b->data_added &&
		    a->data_added_packed == b->data_added_packed);
	assert_string_equal(a->extra, b->extra);
	assert_int_equal(a->ndisks, b->ndisks);
	for (i = 0; i < a->ndisks; i++) {
		const struct point_disk *x = &a->disks[i], *y = &b->disks[i];

		assert_string_equal(x->name, y->name);
		assert_string_equal(x->format, y->format);
		assert_string_equal(x->source, y->source);
		assert_true(x->size == y->size && x->used == y->used);
		assert_int_equal(x->sector, y->sector);
		assert_int_equal(x->content_len, y->content_len);
		assert_memory_equal(x->content, y->content, x->content_len);
		assert_int_equal(x->has_sha256, y->has_sha256);
		assert_memory_equal(x->sha256, y->sha256, sizeof(x->sha256));
	}
	assert_int_equal(a->nconfigs, b->nconfigs);
	for (i = 0; i < a->nconfigs; i++) {
		const struct point_config *x = &a->configs[i];
		const struct point_config *y = &b->configs[i];

		assert_string_equal(x->name, y->name);
		assert_true(x->size == y->size);
		assert_int_equal(x->content_len, y->content_len);
		assert_memory_equal(x->content, y->content, x->content_len);
	}
}

static void test_round_trip(void **state)
{
	struct point *p = full_point(), *q, *r;
	AUTO_BUF struct buf b = BUF_INIT;
	AUTO_BUF struct buf again = BUF_INIT;

	(void)state;
	assert_ok(point_encode(p, false, &b));
	assert_int_equal(b.data[b.len - 1], '}');
	assert_null(memchr(b.data, '\n', b.len));
	assert_ok(point_decode(b.data, b.len, "point/1", &q));
	/* Tags come sorted, each once. */
	assert_int_equal(q->ntags, 2);
	assert_string_equal(q->tags[0], "big");
	assert_string_equal(q->tags[1], "nightly");
	assert_int_equal(q->ndisks, 2);
	assert_string_equal(q->disks[0].name, "vda");
	assert_ptr_equal(point_find_disk(q, "vdb"), &q->disks[1]);
	assert_null(point_find_disk(q, "vdc"));
	free(p->tags[0]);
	p->tags[0] = p->tags[1];
	p->tags[1] = p->tags[2];
	p->ntags = 2;
	assert_same(p, q);
	assert_ok(point_encode(q, true, &again));
	assert_int_equal(again.data[again.len - 1], '\n');
	assert_non_null(memmem(again.data, again.len, "\n  \"vm\": ", 9));
	assert_ok(point_decode(again.data, again.len, "point/1", &r));
	assert_same(q, r);
	point_free(p);
	point_free(q);
	point_free(r);
	point_free(NULL);
}

/* The member names are the format: others read it too. */
static void test_member_names(void **state)
{
	struct point *p = full_point();
	AUTO_BUF struct buf b = BUF_INIT;
	const char *root, *path, *b64;
	json_int_t entries, start;
	json_t *o;

	(void)state;
	assert_ok(point_encode(p, false, &b));
	o = json_loadb((char *)b.data, b.len, 0, NULL);
	assert_int_equal(json_unpack(o, "{s:{s:s,s:I},s:[s,{s:s,s:s},s],s:I}",
				     "tree", "root", &root, "entries", &entries,
				     "sources", &path, "path", &path,
				     "path_b64", &b64, &b64, "scan_start_ns",
				     &start),
			 0);
	assert_int_equal(strlen(root), 64);
	assert_int_equal(entries, 212000);
	assert_string_equal(path, "/home/\xef\xbf\xbd\xef\xbf\xbd\xc3\xa9");
	assert_true(start == S(1795342400) + 5);
	assert_string_equal(json_string_value(json_object_get(o, "time")),
			    "2026-11-22T10:15:00Z");
	assert_int_equal(json_object_size(o), 22 + 2);
	json_decref(o);
	point_free(p);
}

static void test_minimal(void **state)
{
	static const char doc[] = "{" MINIMAL "}";
	AUTO_BUF struct buf b = BUF_INIT;
	struct point *p, *q;

	(void)state;
	assert_ok(point_decode(doc, strlen(doc), "point/1", &p));
	assert_string_equal(p->vm, "web1");
	assert_true(p->time_ns == S(1795342500));
	assert_null(p->user);
	assert_null(p->extra);
	assert_false(p->has_tree);
	assert_false(p->left_out.known);
	assert_int_equal(p->ntags + p->nsources, 0);
	assert_string_equal(p->parent, "");
	assert_ok(point_encode(p, false, &b));
	assert_ok(point_decode(b.data, b.len, "point/1", &q));
	assert_false(q->has_tree);
	assert_null(q->user);
	point_free(p);
	point_free(q);
}

/* A host or a user may have any name: it is shown, not used. */
static void test_odd_host(void **state)
{
	struct point *p = full_point(), *q;
	AUTO_BUF struct buf b = BUF_INIT;

	(void)state;
	p->host[0] = '\033';
	p->user[0] = (char)0xff;
	assert_ok(point_encode(p, false, &b));
	assert_ok(point_decode(b.data, b.len, "point/1", &q));
	assert_string_equal(q->host, "\xef\xbf\xbdost.example");
	assert_string_equal(q->user, "\xef\xbf\xbdoot");
	point_free(p);
	point_free(q);
}

static void test_encode_refuses(void **state)
{
	struct point *p = full_point();
	AUTO_BUF struct buf b = BUF_INIT;

	(void)state;
	p->vm[0] = '/';
	assert_result(point_encode(p, false, &b), -EINVAL);
	assert_said(ID_1);
	p->vm[0] = 'w';
	p->sources[0][0] = 'x';
	assert_result(point_encode(p, false, &b), -EINVAL);
	p->sources[0][0] = '/';
	p->tags[0][0] = '\n';
	assert_result(point_encode(p, false, &b), -EINVAL);
	p->tags[0][0] = 'n';
	p->extra[0] = ' ';
	assert_result(point_encode(p, false, &b), -EINVAL);
	p->extra[0] = '{';
	p->errors = (uint64_t)INT64_MAX + 1;
	assert_result(point_encode(p, false, &b), -EINVAL);
	p->errors = 0;
	p->index[0][32] = '.';
	assert_result(point_encode(p, false, &b), -EINVAL);
	p->index[0][32] = '-';
	assert_ok(point_encode(p, false, &b));
	point_free(p);
}

/* ---- what the decoder refuses ---- */

static void assert_refused(const char *doc, size_t len)
{
	struct point *p = (struct point *)1;

	support_log_clear();
	assert_result(point_decode(doc, len, "point/1", &p), -EBADMSG);
	assert_null(p);
	assert_said("point/1");
}

static void test_every_truncation(void **state)
{
	struct point *p = full_point();
	AUTO_BUF struct buf b = BUF_INIT;
	size_t len;

	(void)state;
	assert_ok(point_encode(p, false, &b));
	for (len = 0; len < b.len; len++) {
		/* Memory that ends there, so that reading on is seen. */
		char *part = malloc(len ? len : 1);

		assert_non_null(part);
		memcpy(part, b.data, len);
		assert_refused(part, len);
		free(part);
	}
	buf_put(&b, "x", 1);
	assert_refused((char *)b.data, b.len);
	point_free(p);
}

static void test_left_out(void **state)
{
	static const char *const bad[] = {
		"\"patterns\":{}",
		"\"patterns\":[1]",
		"\"patterns\":[\"\"]",
		"\"patterns\":[{}]",
		"\"patterns\":[{\"path\":1}]",
		"\"patterns\":[{\"path\":\"x\",\"path_b64\":\"?\"}]",
		"\"patterns\":[{\"path\":\"x\",\"ignore_case\":1}]",
		"\"mounts\":\"/a\"",
		"\"mounts\":[\"a\"]",
		"\"mounts\":[\"/a\",\"/a\"]",
		"\"mounts\":[\"/b\",\"/a\"]",
		"\"one_file_system\":1",
		"\"caches\":\"yes\"",
	};
	static const char good[] =
		"{" MINIMAL ",\"left_out\":{\"mounts\":[\"/a\"],"
		"\"patterns\":[\"x\",{\"path\":\"y\"}]}}";
	struct point *p;
	char doc[1000];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(doc, sizeof(doc), "{%s,\"left_out\":{%s}}", MINIMAL,
			 bad[i]);
		assert_refused(doc, strlen(doc));
	}
	assert_ok(point_decode(good, strlen(good), "point/1", &p));
	assert_true(p->left_out.known);
	assert_false(p->left_out.one_file_system);
	assert_string_equal(p->left_out.patterns[1].text, "y");
	assert_false(p->left_out.patterns[1].ignore_case);
	assert_string_equal(p->left_out.mounts[0], "/a");
	point_free(p);
}

static void test_every_member_of_another_type(void **state)
{
	static const char *const others[] = {
		"null",	     "true",	  "-1",	  "1.5",
		"\"\"",	     "\"x\"",	  "[1]",  "[[]]",
		"{\"a\":1}", "[\"\\n\"]", "[{}]", "9223372036854775807",
	};
	static const char *const may[] = {
		/* member and value that are as good as others */
		"tree=null",
		"incomplete=true",
		"has_acl=true",
		"errors=9223372036854775807",
		"data_added=9223372036854775807",
		"data_added_packed=9223372036854775807",
		"scan_start_ns=9223372036854775807",
		"scan_start_ns=-1",
		"user=\"\"",
		"user=\"x\"",
		"host=\"\"",
		"host=\"x\"",
		"program=\"\"",
		"program=\"x\"",
		"vm=\"x\"",
		"left_out={\"a\":1}",
	};
	struct point *p = full_point();
	AUTO_BUF struct buf b = BUF_INIT;
	const char *key;
	json_t *o, *v;
	void *tmp;
	int n = 0;

	(void)state;
	free(p->extra);
	p->extra = NULL;
	assert_ok(point_encode(p, false, &b));
	o = json_loadb((char *)b.data, b.len, 0, NULL);
	json_object_foreach_safe(o, tmp, key, v)
	{
		size_t i, j;

		for (i = 0; i < ARRAY_SIZE(others); i++) {
			json_t *bad = json_copy(o);
			char name[128], *doc;
			bool fine = false;
			struct point *q;

			snprintf(name, sizeof(name), "%s=%s", key, others[i]);
			for (j = 0; j < ARRAY_SIZE(may); j++)
				fine = fine || strcmp(name, may[j]) == 0;
			json_object_set_new(bad, key,
					    json_loads(others[i],
						       JSON_DECODE_ANY, NULL));
			doc = json_dumps(bad, 0);
			if (fine) {
				assert_ok(point_decode(doc, strlen(doc), name,
						       &q));
				point_free(q);
			} else {
				assert_refused(doc, strlen(doc));
			}
			n++;
			free(doc);
			json_decref(bad);
		}
	}
	assert_int_equal(n, 22 * ARRAY_SIZE(others));
	json_decref(o);
	point_free(p);
}

static void test_refused_documents(void **state)
{
	static const char *const docs[] = {
		"",
		"null",
		"[]",
		"1",
		"{}",
		"{" MINIMAL,
		MINIMAL,
		"{\"format\":2,\"id\":5}",
		"{" MINIMAL ",\"vm\":\"twice\"}",
		"{" MINIMAL ",\"tree\":{}}",
		"{" MINIMAL ",\"disks\":{}}",
		"{" MINIMAL ",\"disks\":[5]}",
		"{" MINIMAL ",\"disks\":[" DISK("vda", "1", "AA==") "]}",
		"{" MINIMAL ",\"disks\":[" DISK("vda", "0", "AA=") "]}",
		"{" MINIMAL ",\"disks\":[" DISK("v/a", "0", "AA==") "]}",
		"{" MINIMAL ",\"disks\":[" DISK(".v", "0", "AA==") "]}",
		"{" MINIMAL ",\"disks\":[" DISK("", "0", "AA==") "]}",
		"{" MINIMAL ",\"disks\":[" DISK("b", "0", "AA==") "," DISK(
			"a", "0", "AA==") "]}",
		"{" MINIMAL ",\"disks\":[" DISK("a", "0", "AA==") "," DISK(
			"a", "0", "AA==") "]}",
		"{" MINIMAL ",\"disks\":[" DISK("a", "-1", "AA==") "]}",
		"{" MINIMAL ",\"disks\":[{\"name\":\"a\",\"size\":0,"
		"\"sector\":513,\"content\":\"AA==\"}]}",
		"{" MINIMAL ",\"disks\":[{\"name\":\"a\",\"size\":0,"
		"\"sector\":512}]}",
		"{" MINIMAL ",\"disks\":[{\"name\":\"a\",\"size\":0,\"used\":1,"
		"\"sector\":512,\"content\":\"AA==\"}]}",
		"{" MINIMAL ",\"disks\":[{\"name\":\"a\",\"size\":0,"
		"\"sha256\":\"00\",\"sector\":512,\"content\":\"AA==\"}]}",
		"{" MINIMAL ",\"config\":[{\"name\":\"a\"}]}",
		"{" MINIMAL ",\"config\":[{\"name\":\"..\",\"size\":0,"
		"\"content\":\"AA==\"}]}",
		"{" MINIMAL ",\"index\":[\"" ID_1 "\"]}",
		"{" MINIMAL ",\"index\":[\"" ID_1 "-\"]}",
		"{" MINIMAL ",\"index\":[\"" ID_1 "-0.n\"]}",
		"{" MINIMAL ",\"index\":[\"" ID_1 "-12345678901\"]}",
		"{" MINIMAL ",\"index\":[\"../" ID_1 "-0\"]}",
		"{" MINIMAL ",\"index\":[\"" ID_1 "-0\",\"" ID_1 "-0\"]}",
		"{" MINIMAL ",\"index\":[\"" ID_2 "-0\",\"" ID_1 "-0\"]}",
		"{" MINIMAL ",\"tree\":{\"root\":\"" ID_1 "\"}}",
		"{" MINIMAL ",\"tree\":{\"root\":\"" ID_1
		"ABCDEF9876543210fedcba9876543210\"}}",
		"{" MINIMAL ",\"tree\":{\"root\":\"" ROOT_1 "\",\"files\":-1}}",
		"{" MINIMAL ",\"tree\":{\"root\":\"" ROOT_1
		"\",\"bytes\":\"1\"}}",
		"{" MINIMAL ",\"parent\":\"0123456789ABCDEF0123456789abcdef\"}",
		"{" MINIMAL ",\"parent\":\"0123\"}",
		"{" MINIMAL ",\"tags\":[\"a/b\"]}",
		"{" MINIMAL ",\"tags\":[\"..\"]}",
		"{" MINIMAL ",\"user\":\"a\\u0000b\"}",
		"{" MINIMAL ",\"user\":\"a\\u001b[1m\"}",
		"{" MINIMAL ",\"user\":\"\xff\"}",
		"{" MINIMAL ",\"sources\":[\"relative\"]}",
		"{" MINIMAL ",\"sources\":[{\"path\":\"/a\"}]}",
		"{" MINIMAL ",\"sources\":[{\"path_b64\":\"L2E\"}]}",
		"{" MINIMAL ",\"sources\":[{\"path_b64\":\"\"}]}",
		"{" MINIMAL ",\"sources\":[{\"path_b64\":\"LwBh\"}]}",
		"{" MINIMAL ",\"errors\":9223372036854775808}",
		"{" MINIMAL ",\"errors\":1e3}",
	};
	static const char ok[] =
		"{" MINIMAL ",\"sources\":[{\"path_b64\":\"L/8=\"}],"
		"\"tree\":{\"root\":\"" ROOT_1 "\",\"new\":[]}}";
	struct point *p;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(docs); i++)
		assert_refused(docs[i], strlen(docs[i]));
	assert_refused("{\"format\":2}", 12);
	assert_said("newer version");
	assert_ok(point_decode(ok, strlen(ok), "point/1", &p));
	assert_string_equal(p->sources[0], "/\xff");
	assert_true(p->has_tree);
	point_free(p);
}

static void test_bounds(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT;
	struct point *p;
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		int n = 1000 + i;

		buf_clear(&b);
		buf_printf(&b, "{%s,\"tags\":[", MINIMAL);
		while (n-- > 0)
			buf_printf(&b, "\"t%d\"%s", n, n ? "," : "]}");
		if (i == 1) {
			assert_refused((char *)b.data, b.len);
			break;
		}
		assert_ok(point_decode(b.data, b.len, "point/1", &p));
		assert_int_equal(p->ntags, 1000);
		point_free(p);
	}
	for (i = 0; i < 2; i++) {
		int j, n = 1000 + i;

		buf_clear(&b);
		buf_printf(&b, "{%s,\"index\":[", MINIMAL);
		for (j = 0; j < n; j++)
			buf_printf(&b, "\"" ID_1 "-%d\"%s", 1000 + j,
				   j < n - 1 ? "," : "]}");
		if (i == 1) {
			assert_refused((char *)b.data, b.len);
			break;
		}
		assert_ok(point_decode(b.data, b.len, "point/1", &p));
		assert_int_equal(p->nindex, 1000);
		point_free(p);
	}
	/* Deep, but with brackets in a string that do not count. */
	buf_clear(&b);
	buf_printf(&b, "{%s,\"x\":\"\\\"%0100d\",\"y\":", MINIMAL, 0);
	for (i = 0; i < 31; i++)
		buf_put_u8(&b, '[');
	buf_printf(&b, "\"[[[[[[[[\"");
	for (i = 0; i < 31; i++)
		buf_put_u8(&b, ']');
	buf_put_u8(&b, '}');
	assert_ok(point_decode(b.data, b.len, "point/1", &p));
	point_free(p);
	buf_clear(&b);
	for (i = 0; i < 1000000; i++)
		buf_put_u8(&b, '[');
	assert_refused((char *)b.data, b.len);
	assert_said("nested");
	buf_clear(&b);
	assert_ok(buf_reserve(&b, (16u << 20) + 1));
	memset(b.data, ' ', (16u << 20) + 1);
	assert_refused((char *)b.data, (16u << 20) + 1);
	assert_said("16 MiB");
}

/* ---- names and times ---- */

static void test_names(void **state)
{
	char longest[POINT_NAME_MAX + 2];

	(void)state;
	assert_true(point_name_ok("web1"));
	assert_true(point_name_ok("latest"));
	assert_true(point_name_ok("..."));
	assert_true(point_name_ok("a b\xc3\xa9~1:x"));
	assert_false(point_name_ok(""));
	assert_false(point_name_ok("."));
	assert_false(point_name_ok(".."));
	assert_false(point_name_ok("a/b"));
	assert_false(point_name_ok("a\n"));
	assert_false(point_name_ok("\x7f"));
	assert_false(point_name_ok("a\xc2\x85"));
	assert_false(point_name_ok("\xff"));
	memset(longest, 'x', sizeof(longest));
	longest[POINT_NAME_MAX] = '\0';
	assert_true(point_name_ok(longest));
	longest[POINT_NAME_MAX] = 'x';
	longest[POINT_NAME_MAX + 1] = '\0';
	assert_false(point_name_ok(longest));
}

static void test_times(void **state)
{
	static const struct {
		int64_t s;
		const char *name;
	} rows[] = {
		{ 0, "1970-01-01T000000Z" },
		{ -1, "1969-12-31T235959Z" },
		{ 1795342500, "2026-11-22T101500Z" },
		{ 951827696, "2000-02-29T123456Z" },
		{ 2147483648, "2038-01-19T031408Z" },
		{ 4294967296, "2106-02-07T062816Z" },
		{ -2208988800, "1900-01-01T000000Z" },
		{ 9223372036, "2262-04-11T234716Z" },
		{ -9223372036, "1677-09-21T001244Z" },
	};
	char name[POINT_TIME_LEN];
	int64_t t;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		point_time_name(S(rows[i].s), name);
		assert_string_equal(name, rows[i].name);
		assert_ok(point_parse_time(name, &t));
		assert_true(t == S(rows[i].s));
	}
	/* Parts of a second are dropped, also before 1970. */
	point_time_name(-1, name);
	assert_string_equal(name, "1969-12-31T235959Z");
	point_time_name(999999999, name);
	assert_string_equal(name, "1970-01-01T000000Z");
	point_time_name(INT64_MIN, name);
	assert_string_equal(name, "1677-09-21T001243Z");
	point_time_name(INT64_MAX, name);
	assert_string_equal(name, "2262-04-11T234716Z");
	assert_ok(point_parse_time("2026-11-22T10:15:00Z", &t));
	assert_true(t == S(1795342500));
}

static void test_least_disk(void **state)
{
	static const char doc[] = "{" MINIMAL ",\"disks\":[" DISK(
		"a", "0", "AA==") "," DISK("b", "0", "AA==") "]}";
	struct point *p;

	(void)state;
	assert_ok(point_decode(doc, strlen(doc), "point/1", &p));
	assert_int_equal(p->ndisks, 2);
	assert_false(p->disks[1].has_sha256);
	point_free(p);
}

static void test_bad_times(void **state)
{
	static const char *const rows[] = {
		"",
		"2026",
		"2026-11-22",
		"2026-11-22T101500",
		"2026-11-22T101500z",
		"2026-11-22T101500ZZ",
		"2026-11-22t101500Z",
		"2026-11-22T10:1500Z",
		"2026-11-22T1015:00Z",
		"2026-13-22T101500Z",
		"2026-00-22T101500Z",
		"2026-02-29T101500Z",
		"2026-11-31T101500Z",
		"2026-11-00T101500Z",
		"2026-11-22T240000Z",
		"2026-11-22T106000Z",
		"2026-11-22T101560Z",
		"+026-11-22T101500Z",
		"2026-11- 2T101500Z",
		"0000-01-01T000000Z",
		"1600-01-01T000000Z",
		"2263-01-01T000000Z",
		"9999-12-31T23:59:59Z",
		"2026-11-22T10:15:00+00:00",
	};
	int64_t t = 5;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		assert_result(point_parse_time(rows[i], &t), -EINVAL);
	assert_true(t == 5);
}

/* ---- finding ---- */

struct row {
	const char *vm, *name, *id;
	int64_t s;
};

/* By machine, time and id, as a list is. */
static const struct row rows[] = {
	{ "cafe", "1970-01-01T000500Z", "1111" ID_1, 300 },
	{ "db", "1970-01-01T000140Z", "2222" ID_1, 100 },
	{ "db", "1970-01-01T000320Z-abcd1012", "abcd1" ID_1, 200 },
	{ "db", "1970-01-01T000320Z-abcd2012", "abcd2" ID_1, 200 },
	{ "db1", "1970-01-01T000140Z", "cafe" ID_1, 100 },
	{ "latest", "1970-01-01T000010Z", "3333" ID_1, 10 },
	{ "web1", "1970-01-01T000640Z", "4444" ID_1, 400 },
	{ "web1", "1970-01-01T001000Z", "5555" ID_1, 600 },
	{ ID_2, "1970-01-01T000001Z", "6666" ID_1, 1 },
};

struct list {
	struct point_list l;
	struct point points[ARRAY_SIZE(rows)];
	struct point *pointers[ARRAY_SIZE(rows)];
	char names[ARRAY_SIZE(rows)][64];
	char damaged[1][POINT_ID_HEX + 1];
};

static struct point_list *make_list(struct list *m)
{
	size_t i;

	memset(m, 0, sizeof(*m));
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		m->points[i].vm = (char *)rows[i].vm;
		m->points[i].time_ns = S(rows[i].s);
		memcpy(m->points[i].id, rows[i].id, POINT_ID_HEX);
		snprintf(m->names[i], sizeof(m->names[i]), "%s", rows[i].name);
		m->pointers[i] = &m->points[i];
	}
	memcpy(m->damaged[0], "7777" ID_1, POINT_ID_HEX);
	m->l.points = m->pointers;
	m->l.names = m->names;
	m->l.n = ARRAY_SIZE(rows);
	m->l.damaged = m->damaged;
	m->l.ndamaged = 1;
	return &m->l;
}

static void test_find(void **state)
{
	static const struct {
		const char *text;
		size_t i;
	} good[] = {
		{ "latest", 7 },
		{ "latest~0", 7 },
		{ "latest~1", 6 },
		{ "latest~2", 0 },
		{ "latest~3", 3 }, /* of one second: the greater id is later */
		{ "latest~4", 2 },
		{ "latest~8", 8 },
		{ "web1", 7 },
		{ "web1/latest", 7 },
		{ "web1/latest~1", 6 },
		{ "web1/latest~01", 6 },
		{ "latest/latest", 5 },
		{ "latest/1970-01-01T000010Z", 5 },
		{ "db", 3 },
		{ "db1", 4 },
		{ "db/1970-01-01T000140Z", 1 },
		{ "db/1970-01-01T00:01:40Z", 1 },
		{ "db/1970-01-01T000320Z-abcd1012", 2 },
		{ "db/1970-01-01T00:03:20Z-abcd10123", 2 },
		/* So a name goes on to lead to its point when others of its
		 * second are no more. */
		{ "db/1970-01-01T000140Z-22220123", 1 },
		{ "db/1970-01-01T000320Z-abcd2012", 3 },
		{ "2222", 1 },
		{ "22220123456789ab", 1 },
		{ "abcd1", 2 },
		{ "abcd2", 3 },
		{ "cafe0", 4 },
		/* A whole id wins; without one it is a name too. */
		{ "cafe0123456789abcdef0123456789ab", 4 },
		{ ID_2, 8 },
	};
	struct list m;
	struct point_list *l = make_list(&m);
	size_t i, out;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(good); i++) {
		out = SIZE_MAX;
		support_assert_result(point_find(l, good[i].text, &out), 0,
				      good[i].text, __FILE__, __LINE__);
		if (out != good[i].i)
			print_error("%s\n", good[i].text);
		assert_int_equal(out, good[i].i);
	}
}

static void test_find_nothing(void **state)
{
	static const struct {
		const char *text;
		int err;
		const char *said;
	} bad[] = {
		{ "", -ENOENT, "(nothing)" },
		{ "/", -ENOENT, "no machine" },
		{ "/latest", -ENOENT, "no machine" },
		{ "web", -ENOENT, "not a point" },
		{ "web2/latest", -ENOENT, "web2" },
		{ "web1/", -ENOENT, "no such point" },
		{ "web1/latest~2", -ENOENT, "only 2 points" },
		{ "cafe/latest~1", -ENOENT, "only 1 point" },
		{ "web1/latest~99999999999999999999", -ENOENT, "only 2" },
		{ "web1/latest~", -ENOENT, "no such point" },
		{ "web1/latest~x", -ENOENT, "no such point" },
		{ "web1/latest~-1", -ENOENT, "no such point" },
		{ "web1/latest1", -ENOENT, "no such point" },
		{ "web1/1970-01-01T000641Z", -ENOENT, "no such point" },
		{ "web1/latest/x", -ENOENT, "no such point" },
		{ "latest~9", -ENOENT, "only 9 points" },
		{ "latest~", -ENOENT, "not a point" },
		{ "latestX", -ENOENT, "not a point" },
		{ "222", -ENOENT, "at least 4" },
		{ "2223", -ENOENT, "no point's id" },
		{ "ABCD1", -ENOENT, "not a point" },
		{ "abcd", -EEXIST, "2 points" },
		/* A machine's name, and the beginning of another's id. */
		{ "cafe", -EEXIST, "say cafe/latest" },
		{ "db/1970-01-01T000320Z", -EEXIST, "T000320Z-abcd2012" },
		{ "db/1970-01-01T00:03:20Z", -EEXIST, "say which" },
		{ "db/1970-01-01T000320Z-abcd101", -ENOENT, "no such point" },
		{ "db/1970-01-01T000320Z-abcd1013", -ENOENT, "no such point" },
		{ "7777", -ENOENT, "damaged" },
		{ "22220123456789abcdef0123456789abc", -ENOENT, "not a point" },
	};
	struct list m;
	struct point_list *l = make_list(&m);
	size_t i, out = 5;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		support_log_clear();
		support_assert_result(point_find(l, bad[i].text, &out),
				      bad[i].err, bad[i].text, __FILE__,
				      __LINE__);
		assert_said(bad[i].said);
	}
	assert_int_equal(out, 5);
	l->n = 0;
	assert_result(point_find(l, "latest", &out), -ENOENT);
	assert_said("no points yet");
	assert_result(point_find(l, "web1", &out), -ENOENT);
	assert_result(point_find(l, "2222", &out), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_round_trip, setup),
		cmocka_unit_test_setup(test_member_names, setup),
		cmocka_unit_test_setup(test_minimal, setup),
		cmocka_unit_test_setup(test_odd_host, setup),
		cmocka_unit_test_setup(test_encode_refuses, setup),
		cmocka_unit_test_setup(test_every_truncation, setup),
		cmocka_unit_test_setup(test_left_out, setup),
		cmocka_unit_test_setup(test_every_member_of_another_type,
				       setup),
		cmocka_unit_test_setup(test_refused_documents, setup),
		cmocka_unit_test_setup(test_bounds, setup),
		cmocka_unit_test_setup(test_names, setup),
		cmocka_unit_test_setup(test_times, setup),
		cmocka_unit_test_setup(test_least_disk, setup),
		cmocka_unit_test_setup(test_bad_times, setup),
		cmocka_unit_test_setup(test_find, setup),
		cmocka_unit_test_setup(test_find_nothing, setup),
	};

	return cmocka_run_group_tests_name("point", tests, NULL, NULL);
}
