/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Each secret has pages of its own: locking and advice work on whole pages, and
 * a page that is shared with other data would be unlocked with that. Both are
 * best effort (a user's limit on locked memory is small); wiping is not.
 */
#include "config.h"

#include "store/base/secret.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

void secret_wipe(void *data, size_t len)
{
	if (len) /* nothing may be nowhere */
		explicit_bzero(data, len);
}

struct secret *secret_new(size_t len)
{
	struct secret *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->len = len;
	s->data = mmap(NULL, len ? len : 1, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (s->data == MAP_FAILED) {
		free(s);
		return NULL;
	}
	(void)mlock(s->data, len ? len : 1);
	(void)madvise(s->data, len ? len : 1, MADV_DONTDUMP);
	return s;
}

void secret_free(struct secret *s)
{
	if (!s)
		return;
	secret_wipe(s->data, s->len);
	munmap(s->data, s->len ? s->len : 1);
	free(s);
}

void secret_free_ptr(struct secret **s)
{
	secret_free(*s);
}
