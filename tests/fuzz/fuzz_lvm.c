/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The physical volume of an LVM2 group, on an image (image.h); what does not
 * begin as one is its metadata text, whose checksums a fuzzer would not meet.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "fs/guest/volumes/lvm_group_internal.h"
#include "tests/fuzz/image.h"
#include "tests/fuzz/quiet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int each(void *arg, const struct lvm_volume *v)
{
	uint8_t out[512];

	(void)arg;
	if (strlen(v->vg) + strlen(v->lv) > LVM_TEXT_MAX ||
	    !v->blocks == !v->why || !v->note)
		abort();
	if (v->blocks) {
		(void)!blocks_read(v->blocks, 0, out, sizeof(out));
		if (v->blocks->size > sizeof(out))
			(void)!blocks_read(v->blocks,
					   v->blocks->size - sizeof(out), out,
					   sizeof(out));
	}
	return 0;
}

/* A group whose text is the input, and whose one physical volume is there. */
static void try_text(struct lvm_set *s, struct blocks *b, const uint8_t *data,
		     size_t len)
{
	struct lvm_group g = { .node = 0 };
	char *text = malloc(len + 1);
	int r;

	if (!text)
		return;
	if (len)
		memcpy(text, data, len);
	r = lvm_text_parse(text, len, &g.text);
	if (r == 0)
		r = lvm_group_init(&g);
	s->groups = r == 0 ? calloc(1, sizeof(*s->groups)) : NULL;
	s->pvs = calloc(1, sizeof(*s->pvs));
	if (!s->groups || !s->pvs) {
		lvm_text_release(&g.text);
		return;
	}
	s->groups[0] = g;
	s->ngroups = 1;
	s->pvs[0].b = blocks_get(b);
	memset(s->pvs[0].id, 'a', LVM_ID_LEN);
	s->npvs = 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct buf vg = BUF_INIT, why = BUF_INIT;
	struct lvm_set *s;
	struct blocks *b;

	fuzz_quiet();
	if (fuzz_image(data, len, &b) < 0)
		return 0;
	if (lvm_new(&s) == 0) {
		if (len < 8 || memcmp(data, "VMBIMG1\n", 8) != 0)
			try_text(s, b, data, len);
		else
			(void)!lvm_add(s, b, &vg, &why);
		(void)!lvm_each(s, each, NULL);
		lvm_free(s);
	}
	buf_release(&vg);
	buf_release(&why);
	blocks_put(b);
	return 0;
}
