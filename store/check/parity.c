/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Parity of packs: which have any, whether it is as it was made, and which damaged packs
 * it would mend. A pack that it mends is damaged all the same, for it may not be mended
 * the next time; so what hangs on it is named as with any other.
 */
#include "config.h"

#include "store/parity/parity.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/lock.h"
#include "store/base/log.h"
#include "store/check/internal.h"
#include "store/vault.h"

int check_add_parity(struct check *c, const char *name, uint64_t size)
{
	char pack[PACK_NAME_MAX];
	uint32_t n;

	if (!name_parity(name, pack, &n))
		return 0;
	c->out->parity_bytes += size;
	buf_put(&c->parity, name, strlen(name) + 1);
	return buf_error(&c->parity);
}

int check_match_parity(struct check *c)
{
	char pack[PACK_NAME_MAX];
	size_t i, at = 0;
	uint32_t n;

	while (at < c->parity.len) {
		const char *name = (const char *)c->parity.data + at;
		struct check_pack *p = NULL;

		at += strlen(name) + 1;
		if (name_parity(name, pack, &n) && n <= PARITY_NUMBER_MAX)
			p = check_find_pack(c, pack);
		if (p)
			p->parity |= (uint16_t)(1u << n);
		else
			c->out->parity_alone++;
	}
	for (i = 0; i < c->npacks; i++)
		if (c->packs[i].parity)
			c->out->parity_packs++;
	buf_release(&c->parity);
	return 0;
}

int check_parity_of(struct check *c, const struct check_pack *p,
		    const void *data, size_t len)
{
	char name[OBJECT_NAME_MAX];
	uint32_t last = PARITY_NUMBER_MAX;
	int r, n;

	if (!p->parity)
		return 0;
	r = parity_find_whole(c->backend, p->name, p->parity, data, len);
	if (r != 0) /* A collection takes it with its pack. */
		return r == -ENOENT ? 0 : MIN(r, 0);
	while (!(p->parity >> last & 1))
		last--;
	r = parity_object_name(p->name, last, name);
	if (r < 0)
		return r;
	n = check_found(c, false, name,
			"damaged: no point needs it, but it mends its pack "
			"less than it should; run: vmbackup repair parity "
			"--read-data");
	SCOPED_LOCK(&c->lock);
	c->out->parity_damaged++;
	return MIN(n, 0);
}

static int add_text(struct check_finding *f, const char *more)
{
	char *text;

	if (asprintf(&text, "%s%s", f->text, more) < 0)
		return -ENOMEM;
	free(f->text);
	f->text = text;
	return 0;
}

static int try_mend(struct check *c, struct check_finding *f)
{
	struct parity_mended m;
	int r = parity_fetch(c->backend, strrchr(f->object, '/') + 1, &m);

	if (r == -ENOENT || r == -EBADMSG)
		return 0;
	if (r == 0 && m.is_proven) {
		f->is_mendable = true;
		c->out->mendable++;
		r = add_text(f, "; its parity mends all of it: run vmbackup "
				"repair packs --apply");
	} else if (r == 0) {
		r = add_text(f, "; it has lost more than its parity mends");
	}
	parity_release(&m);
	return r;
}

int check_mendable(struct check *c)
{
	size_t i;
	int r = 0;

	for (i = 0; i < c->out->nfindings && r == 0; i++) {
		struct check_finding *f = c->out->findings[i];

		if (!f->damage || f->is_void || f->is_known || f->is_gone ||
		    strncmp(f->object, "pack/", 5) != 0 ||
		    !name_is_object(f->object))
			continue;
		r = task_stopped(c->task) ? -EINTR : try_mend(c, f);
	}
	return r;
}
