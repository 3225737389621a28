/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A machine that miscalculates makes no point. */
#include "config.h"

#include "tests/unit/sessions.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/zip.h"
#include "store/format.h"
#include "store/writer/bundle.h"

/* The linker puts the wrapper where zip_compress() is called. */
ssize_t __real_zip_compress(struct zip *z, const void *in, size_t len,
			    void *out, size_t out_cap);
ssize_t __wrap_zip_compress(struct zip *z, const void *in, size_t len,
			    void *out, size_t out_cap);

/* Before compression a bit of the input flips, behind it one of the output. */
static enum { HEALTHY, FLIP_IN, FLIP_OUT } fault;

ssize_t __wrap_zip_compress(struct zip *z, const void *in, size_t len,
			    void *out, size_t out_cap)
{
	AUTO_FREE uint8_t *copy = malloc(len);
	ssize_t n;

	assert_non_null(copy);
	memcpy(copy, in, len);
	if (fault == FLIP_IN)
		copy[len / 2] ^= 4;
	n = __real_zip_compress(z, copy, len, out, out_cap);
	if (fault == FLIP_OUT && n > 0)
		((uint8_t *)out)[n / 2] ^= 4;
	return n;
}

static void assert_noticed(struct scene *s, const char *text)
{
	struct bundle *b = bundle_new(s->writer);
	struct id id;
	int r;

	assert_non_null(b);
	support_log_clear();
	r = bundle_add(b, CHUNK_DATA, text, strlen(text), &id);
	if (r == 0)
		r = bundle_flush(b);
	bundle_free(b);
	fault = HEALTHY;
	assert_result(r, -EIO);
	assert_said("does not decompress");
	assert_result(sessions_commit(s), -EIO);
	assert_int_equal(sessions_npoints(s), 0);
}

#define TEXT                                                                   \
	"to be or not to be, or to be and not to be, or to be or not to be, "  \
	"or to be and not to be, or to be or not to be, or to be and not"

static void flipped_in(void **state)
{
	fault = FLIP_IN;
	assert_noticed(*state, TEXT);
}

static void flipped_out(void **state)
{
	fault = FLIP_OUT;
	assert_noticed(*state, TEXT);
}

static void large_chunks_too(void **state)
{
	static uint8_t data[300000];
	struct scene *s = *state;
	struct id id;

	memset(data, 'x', sizeof(data));
	fault = FLIP_IN;
	assert_result(writer_chunk(s->writer, CHUNK_DATA, data, sizeof(data),
				   &id),
		      -EIO);
	fault = HEALTHY;
	assert_result(sessions_commit(s), -EIO);
}

#define CASE(fn)                                                               \
	cmocka_unit_test_setup_teardown(fn, sessions_setup, sessions_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(flipped_in),
		CASE(flipped_out),
		CASE(large_chunks_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
