/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The names in one directory, sorted by their bytes: what a scan walks in the
 * order of the vault's trees, and what a restore compares with a point.
 */
#ifndef SRC_SCAN_DIR_LIST_H
#define SRC_SCAN_DIR_LIST_H

#include "store/base/attrs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIR_LIST_GETDENTS_LEN (256u << 10)

/* 16 bytes a name: a directory of a million costs what its names do. */
struct dir_name {
	uint64_t prefix; /* the first bytes, most significant first */
	uint32_t off; /* in dir_list.text */
	uint16_t len;
	uint8_t type; /* DT_* */
};

struct dir_list {
	struct dir_name *names; /* owned */
	size_t n, cap;
	char *text; /* owned; each name with its NUL */
	size_t text_len, text_cap;
	uint8_t *buf; /* owned, DIR_LIST_GETDENTS_LEN */
};

void dir_list_release(struct dir_list *l);
void dir_list_clear(struct dir_list *l);
MUST_CHECK int dir_list_add(struct dir_list *l, const char *name, size_t len,
			    uint8_t type);
/* Sort what was added, in place but for a megabyte. */
void dir_list_sort(struct dir_list *l);
/*
 * Read and sort the names of @fd. Return 0 or the negative errno that ended
 * the reading early; the list then holds what came before.
 */
MUST_CHECK int dir_list_read(struct dir_list *l, int fd);

/* How the file that marks a cache begins: https://bford.info/cachedir/ */
#define DIR_CACHE_TAG "CACHEDIR.TAG"
#define DIR_CACHE_SIGNATURE "Signature: 8a477f597d28d172789f06886806bc55"
/* Whether the directory open at @fd is a cache: it holds such a file. */
bool dir_has_cache_tag(int fd);

#endif
