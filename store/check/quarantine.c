/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a check found of packs is noted in the vault, for all who write to it: a
 * damaged pack goes into quarantine, so that nobody refers to it any more and
 * what the sources still have is stored anew; one that is whole after all comes
 * out again.
 *
 * Nothing is noted that was not proven. The store's word that a pack is not
 * there, or is of another size, is proof, and so are its bytes. Where only a
 * part of a pack was read, all of it is read now and compared with its name.
 */
#include "config.h"

#include "store/check/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/seam.h"
#include "store/crypt/crypt.h"
#include "store/vault.h"

/* Is the pack of item @i, the first about it, in quarantine? The last object counts
 * that is authentic. */
static bool is_in(struct check *c, size_t i)
{
	const struct quarantine_list *l = &c->quarantine;
	size_t end = i < l->n ? quarantine_list_next(l, i) : i;
	char name[OBJECT_NAME_MAX];

	for (; i < end; i++) {
		quarantine_name(l->items[i].pack, l->items[i].n, name);
		if (!check_find(c, name))
			return !quarantine_is_lifted(l->items[i].n);
	}
	return false;
}

static int put(struct check *c, const char *name, const char *what)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	AUTO_BUF struct buf box = BUF_INIT;
	int r = vault_may_write(c->vault);

	if (r == 0)
		r = quarantine_encode(what, c->o->by,
				      c->seam->ops->realtime_ns(c->seam),
				      &plain);
	if (r == 0)
		r = format_seal_box(vault_keyring(c->vault), NULL, NULL,
				    c->seam, OBJECT_QUARANTINE, name, NULL, 0,
				    plain.data, plain.len, &box);
	if (r == 0)
		r = backend_put(c->backend, name, box.data, box.len);
	/* Another check found the same. */
	return r == -EEXIST ? 0 : r;
}

/* A pack that is whole after all is named. */
static int say_released(struct check *c, const char *pack)
{
	char object[OBJECT_NAME_MAX];
	int n = format_pack_object_name(pack, object);

	if (n == 0)
		n = check_found(c, false, object,
				"let out of quarantine: all of it was read, "
				"and it is whole");
	if (n >= 0)
		c->out->findings[n]->is_mended = true;
	return MIN(n, 0);
}

/* Say of a pack that it is whole, or that it is not, for reason @what. */
static int note_pack(struct check *c, const char *pack, bool whole,
		     const char *what)
{
	const struct quarantine_list *l = &c->quarantine;
	size_t i = quarantine_list_find(l, pack);
	uint64_t n = i < l->n ? (uint64_t)l->items[i].n + 1 : 0;
	char name[OBJECT_NAME_MAX];
	int r;

	if (is_in(c, i) != whole)
		return 0; /* it is known */
	if (quarantine_is_lifted((uint32_t)n) != whole)
		n++;
	if (n > UINT32_MAX)
		return 0;
	quarantine_name(pack, (uint32_t)n, name);
	r = put(c, name, what);
	if (r == 0 && whole) {
		c->out->released++;
		r = say_released(c, pack);
	} else if (r == 0) {
		c->out->quarantined++;
	}
	return r;
}

/* Is the damage of a pack proven? 1, 0 or a negative errno. */
static int prove(struct check *c, const struct check_finding *f)
{
	uint8_t want[CRYPT_SHA256_LEN], got[CRYPT_SHA256_LEN];
	AUTO_FREE uint8_t *bytes = NULL;
	size_t len;
	int r;

	if (f->is_proven)
		return 1;
	r = backend_get_all(c->backend, f->object, FORMAT_PACK_MAX, &bytes,
			    &len);
	/* That it may not be read here says nothing about its bytes. */
	if (r == -EPERM)
		return 0;
	if (r == -ENOENT || r == -EFBIG || backend_error_is_of_object(r))
		return 1;
	if (r == 0)
		r = format_pack_hash(strrchr(f->object, '/') + 1, want);
	if (r == 0)
		r = crypt_sha256(bytes, len, got);
	return r < 0 ? r : memcmp(want, got, sizeof(got)) != 0;
}

static int note_damage(struct check *c, const struct check_finding *f)
{
	int r;

	if (!f->damage || f->is_void || strncmp(f->object, "pack/", 5) != 0)
		return 0;
	r = prove(c, f);
	return r <= 0 ? r
		      : note_pack(c, strrchr(f->object, '/') + 1, false,
				  f->text);
}

bool check_in_quarantine(struct check *c, const char *pack)
{
	return is_in(c, quarantine_list_find(&c->quarantine, pack));
}

/*
 * A pack that is known to be damaged, and of which no point needs anything that no
 * other pack has, is no damage any more: backups do without it, and readers ask it
 * last.
 */
int check_excuse_known(struct check *c)
{
	size_t i;

	for (i = 0; i < c->out->nfindings; i++) {
		struct check_finding *f = c->out->findings[i];
		char *text;

		if (!f->damage || f->nplaces > 0 || f->is_void ||
		    strncmp(f->object, "pack/", 5) != 0 ||
		    !check_in_quarantine(c, strrchr(f->object, '/') + 1))
			continue;
		if (asprintf(&text,
			     "%s; it is in quarantine, and no point needs what "
			     "only it had",
			     f->text) < 0)
			return -ENOMEM;
		free(f->text);
		f->text = text;
		f->is_known = true;
	}
	return 0;
}

static void count_packs(struct check *c)
{
	size_t i;

	for (i = 0; i < c->quarantine.n;
	     i = quarantine_list_next(&c->quarantine, i))
		c->out->in_quarantine += is_in(c, i);
	c->out->in_quarantine += c->out->quarantined;
	c->out->in_quarantine -= c->out->released;
}

int check_quarantine(struct check *c)
{
	size_t i;
	int r = 0;

	for (i = 0; i < c->out->nfindings && r == 0; i++)
		r = note_damage(c, c->out->findings[i]);
	for (i = 0; i < c->npacks && r == 0; i++)
		if (c->packs[i].whole)
			r = note_pack(c, c->packs[i].name, true,
				      "all of it was read, and it is whole");
	count_packs(c);
	if (r == -ENOMEM || r == -EINTR)
		return r;
	/* What was found is as true where it cannot be noted. */
	c->out->quarantine_error = r;
	return 0;
}
