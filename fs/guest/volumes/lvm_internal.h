/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The metadata of LVM2: text parsed to a tree of nodes. */
#ifndef FS_GUEST_VOLUMES_LVM_INTERNAL_H
#define FS_GUEST_VOLUMES_LVM_INTERNAL_H

#include "store/base/attrs.h"

#include <stdbool.h>
#include <stdint.h>

#define LVM_TEXT_MAX (8u << 20)
#define LVM_NODES_MAX (256u << 10)
#define LVM_DEPTH_MAX 12

enum lvm_kind { LVM_SECTION, LVM_STRING, LVM_NUMBER, LVM_ARRAY };

/* Numbers of nodes are indices; 0, the root, also stands for none. */
struct lvm_node {
	enum lvm_kind kind;
	const char *key; /* borrowed from the text, ended; "" in arrays */
	const char *text; /* of a string */
	int64_t number;
	uint32_t child, next;
};
struct lvm_text {
	char *bytes; /* owned; keys and strings are ended in place */
	struct lvm_node *nodes; /* owned; nodes[0] is the root */
	uint32_t n;
	size_t cap;
};

/* Parse a text. @bytes, malloc'ed with room for one more behind @len, is taken over in any case.
 * Return 0, -EBADMSG or -ENOMEM (silent). Release it after both. */
MUST_CHECK int lvm_text_parse(char *bytes, size_t len, struct lvm_text *out);
void lvm_text_release(struct lvm_text *t);
/* Find the node of a key below @parent that is of that kind; 0: there is
 * none. */
uint32_t lvm_text_find(const struct lvm_text *t, uint32_t parent,
		       const char *key, enum lvm_kind kind);
/* Get a number. Return false where it does not lie between the two. */
bool lvm_text_number(const struct lvm_text *t, uint32_t parent, const char *key,
		     uint64_t min, uint64_t max, uint64_t *out);
/* Get a string; "" where there is none. */
const char *lvm_text_string(const struct lvm_text *t, uint32_t parent,
			    const char *key);
/* Does the array of strings hold @word? */
bool lvm_text_has(const struct lvm_text *t, uint32_t parent, const char *key,
		  const char *word);

#endif
