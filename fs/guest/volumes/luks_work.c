/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a LUKS header makes us work, from what it says of itself. Whoever wrote
 * it chose the numbers, and a guest may have: PBKDF2 of 2^32 iterations takes
 * an hour.
 *
 * Work is counted, not clocked, so that a header opens on every machine or on
 * none. The unit is an iteration of PBKDF2 with SHA-256, a third of a
 * microsecond at most; a KiB that Argon2 passes over is four of them.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fs/guest/volumes/internal.h"

#define WORK_KIB 4
/* cryptsetup's own limit is 4 GiB, and 1 GiB what it takes unasked. */
#define KIB_MAX (2u << 20)
/* cryptsetup takes 4 at most. */
#define THREADS_MAX 64
/* Two of AES-256 are the longest that a slot is encrypted with. */
#define KEY_MAX 64

/* The work of an iteration. What is not here is taken for the slowest. */
static unsigned int iteration_work(const char *hash, size_t key_len)
{
	static const struct {
		const char *name;
		unsigned int len, work;
	} known[] = {
		{ "sha1", 20, 1 },
		{ "sha256", 32, 1 },
		{ "sha512", 64, 3 },
	};
	unsigned int len = 20, work = 4;
	size_t i;

	for (i = 0; hash && i < ARRAY_SIZE(known); i++)
		if (strcasecmp(hash, known[i].name) == 0) {
			len = known[i].len;
			work = known[i].work;
		}
	return work * (unsigned int)((key_len + len - 1) / len);
}

int luks_work(const struct luks_kdf *k, struct buf *why, uint64_t *out)
{
	uint64_t work;

	if (k->key_len > KEY_MAX) {
		buf_printf(why, "a key of %zu bytes is too long", k->key_len);
		return -EOPNOTSUPP;
	}
	if (k->kib > KIB_MAX) {
		buf_printf(why, "Argon2 in %u KiB is too much memory", k->kib);
		return -EOPNOTSUPP;
	}
	if (k->threads > THREADS_MAX) {
		buf_printf(why, "Argon2 of %u threads is too many", k->threads);
		return -EOPNOTSUPP;
	}
	if (strcmp(k->type, "pbkdf2") == 0)
		work = k->iterations * iteration_work(k->hash, k->key_len);
	else
		work = k->iterations * k->kib * (uint64_t)WORK_KIB;
	if (work > LUKS_WORK_MAX && k->kib == 0)
		buf_printf(why,
			   "%" PRIu64 " iterations of PBKDF2%s%.20s are too "
			   "much work",
			   k->iterations, k->hash ? " with " : "",
			   k->hash ? k->hash : "");
	else if (work > LUKS_WORK_MAX)
		buf_printf(why,
			   "Argon2 of %" PRIu64 " passes over %u KiB is too "
			   "much work",
			   k->iterations, k->kib);
	if (work > LUKS_WORK_MAX)
		return -EOPNOTSUPP;
	*out = work;
	return 0;
}

/* A plain number, or one that is too much. */
static uint64_t number(const char *p)
{
	size_t len = strspn(p, "0123456789");

	if (len == 0 || len > 10 || !p[len] || !strchr(",} \n", p[len]))
		return UINT32_MAX;
	return MIN(strtoull(p, NULL, 10), (uint64_t)UINT32_MAX);
}

uint64_t luks_digest_iterations(const char *json)
{
	static const char name[] = "\"iterations\"";
	const char *p = strstr(json, "\n  \"digests\":");
	const char *end = p ? strstr(p, "\n  }") : NULL;
	uint64_t most = 0;

	if (!end)
		p = json;
	while ((p = strstr(p, name)) != NULL && (!end || p < end)) {
		p += strlen(name);
		p += strspn(p, " ");
		if (*p != ':')
			continue;
		p++;
		most = MAX(most, number(p + strspn(p, " ")));
	}
	return most;
}
