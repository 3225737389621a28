/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Parity for packs that have none, such as those of a vault that was made without, or
 * of a session that died; and beside parity that is damaged. It is made of the pack as it
 * is read, so of none that is not what its name says.
 */
#include "config.h"

#include "store/parity/parity.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/array.h"
#include "store/base/log.h"
#include "store/base/task.h"
#include "store/crypt/keyring.h"
#include "store/format.h"
#include "store/point.h"
#include "store/repair/internal.h"
#include "store/vault.h"

struct parity_pack {
	char name[PACK_NAME_MAX];
	uint64_t size;
	uint16_t numbers; /* bit n: it has parity of number n */
};

struct parity_run {
	struct vault *vault;
	const struct repair_options *o;
	struct task *task;
	struct repair_result *out;
	struct parity_pack *packs; /* owned; sorted by name */
	size_t n, cap;
	struct condemned condemned; /* nobody needs parity of these */
	unsigned int percent;
	uint64_t nmade, bytes; /* objects, or what they would take */
	struct check_progress progress;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct parity_pack *)a)->name,
		      ((const struct parity_pack *)b)->name);
}

static int on_pack(void *arg, const char *object,
		   const struct backend_info *info)
{
	const char *name = strrchr(object, '/') + 1;
	struct parity_run *p = arg;

	if (array_reserve(&p->packs, &p->cap, p->n + 1) < 0)
		return -ENOMEM;
	p->packs[p->n] = (struct parity_pack){ .size = info->size };
	memcpy(p->packs[p->n++].name, name, strlen(name) + 1);
	p->progress.bytes_total += info->size;
	return 0;
}

static int on_parity(void *arg, const char *object,
		     const struct backend_info *info)
{
	struct parity_run *p = arg;
	struct parity_pack key, *found;
	uint32_t n;

	(void)info;
	if (p->n == 0 || !name_parity(object, key.name, &n))
		return 0;
	found = bsearch(&key, p->packs, p->n, sizeof(key), by_name);
	if (found && n <= PARITY_NUMBER_MAX)
		found->numbers |= (uint16_t)(1u << n);
	return 0;
}

static int list(struct parity_run *p)
{
	int r = condemned_read(p->vault, &p->condemned);

	if (r == 0)
		r = vault_list(p->vault, "pack/", on_pack, p);
	if (r == 0 && p->n > 0)
		qsort(p->packs, p->n, sizeof(*p->packs), by_name);
	if (r == 0)
		r = vault_list_plain(p->vault, "parity/", on_parity, p);
	p->progress.items_total = p->n;
	return r;
}

static void say(struct parity_run *p, enum repair_verdict verdict,
		const char *object, const char *text)
{
	p->out->left += verdict == REPAIR_LEFT;
	if (p->o->say)
		p->o->say(p->o->say_arg, verdict, object, text);
}

/* Read a pack that is what its name says. Return 0, -EBADMSG (it is not), -ENOENT or
 * another negative errno. */
static int read_pack(struct parity_run *p, const char *name, uint8_t **out,
		     size_t *len_out)
{
	uint8_t want[CRYPT_SHA256_LEN], got[CRYPT_SHA256_LEN];
	char object[OBJECT_NAME_MAX];
	int r = format_pack_object_name(name, object);

	if (r == 0)
		r = backend_get_all(vault_backend(p->vault), object,
				    FORMAT_PACK_MAX, out, len_out);
	if (r == -EFBIG || backend_error_is_of_object(r))
		r = -EBADMSG;
	if (r == 0)
		r = format_pack_hash(name, want);
	if (r == 0)
		r = crypt_sha256(*out, *len_out, got);
	if (r == 0 && memcmp(want, got, sizeof(got)) != 0)
		r = -EBADMSG;
	return r;
}

/* The first number that is free; one more than the greatest where none is. */
static uint32_t free_number(const struct parity_pack *pack)
{
	uint32_t n = 0;

	while (n <= PARITY_NUMBER_MAX && (pack->numbers >> n & 1))
		n++;
	return n;
}

static int put(struct parity_run *p, const struct parity_pack *pack,
	       const struct buf *object)
{
	char name[OBJECT_NAME_MAX];
	int r = parity_object_name(pack->name, free_number(pack), name);

	if (r == 0)
		r = backend_put(vault_backend(p->vault), name, object->data,
				object->len);
	/* Somebody else does the same. */
	return r == -EEXIST ? 0 : r;
}

/* Anybody can put objects of all numbers, and only somebody can remove them. */
static void say_full(struct parity_run *p, const struct parity_pack *pack)
{
	char name[OBJECT_NAME_MAX];

	if (parity_object_name(pack->name, 0, name) == 0)
		say(p, REPAIR_LEFT, name,
		    "none of the objects up to number 9 that the pack has is "
		    "right, and no number is free: remove them, for they are "
		    "of no use");
}

/* Is there something whole among what the pack has? @bytes: all of it, where it is what
 * its name says, or NULL. Return 1, 0 or a negative errno. */
static int is_whole(struct parity_run *p, const struct parity_pack *pack,
		    const uint8_t *bytes, size_t len)
{
	int r;

	if (!pack->numbers)
		return 0;
	r = parity_find_whole(vault_backend(p->vault), pack->name,
			      pack->numbers, bytes, len);
	return r == -ENOENT ? 0 : r;
}

/* Give it parity, made of its @bytes, or say that it would get some. */
static int give(struct parity_run *p, const struct parity_pack *pack,
		const uint8_t *bytes, size_t len)
{
	AUTO_BUF struct buf object = BUF_INIT;
	int r;

	if (free_number(pack) > PARITY_NUMBER_MAX) {
		say_full(p, pack);
		return 0;
	}
	if (!p->o->apply) {
		p->nmade++;
		p->bytes += pack->size * p->percent / 100;
		return 0;
	}
	r = parity_make(pack->name, bytes, len, p->percent,
			keyring_vault_id(vault_keyring(p->vault)), &object);
	if (r == -EINVAL)
		return 0; /* nobody can make it of no bytes */
	if (r == 0)
		r = put(p, pack, &object);
	if (r == 0) {
		p->nmade++;
		p->bytes += object.len;
	}
	return r;
}

static int tick(struct parity_run *p)
{
	if (task_stopped(p->task))
		return -EINTR;
	task_tick(p->task, vault_seam(p->vault), &p->progress);
	return 0;
}

/* What is in quarantine is damaged, or was, and a check lets it out. */
static bool is_condemned(const struct condemned *c, const char *pack)
{
	return pack_list_has(&c->tombs, pack) ||
	       pack_prints_has(&c->swept, pack) ||
	       pack_list_has(&c->quarantined, pack);
}

static int try_pack(struct parity_run *p, const struct parity_pack *pack)
{
	AUTO_FREE uint8_t *bytes = NULL;
	char name[OBJECT_NAME_MAX];
	size_t len = 0;
	int r;

	if ((pack->numbers && !p->o->read_data) ||
	    is_condemned(&p->condemned, pack->name))
		return 0;
	/* Where nothing is to be read, what would be made is guessed. */
	if (!p->o->read_data && !p->o->apply)
		return give(p, pack, NULL, 0);
	r = read_pack(p, pack->name, &bytes, &len);
	if (r < 0 && r != -EBADMSG) /* collected meanwhile */
		return r == -ENOENT ? 0 : r;
	if (r == 0) {
		r = is_whole(p, pack, bytes, len);
		return r == 0 ? give(p, pack, bytes, len) : MIN(r, 0);
	}
	r = is_whole(p, pack, NULL, 0);
	if (r == 0 && format_pack_object_name(pack->name, name) == 0)
		say(p, REPAIR_LEFT, name,
		    "is damaged, so that no parity can be made of it: see "
		    "vmbackup repair packs");
	return MIN(r, 0);
}

static void say_all(struct parity_run *p)
{
	char text[160];

	p->out->repaired = p->nmade;
	if (p->nmade == 0)
		return;
	snprintf(text, sizeof(text),
		 "%llu packs %s parity of %u %%, %s%llu bytes",
		 (unsigned long long)p->nmade,
		 p->o->apply ? "got" : "would get", p->percent,
		 p->o->apply ? "" : "about ", (unsigned long long)p->bytes);
	say(p, p->o->apply ? REPAIR_DONE : REPAIR_WOULD, "parity/", text);
}

static int run(struct parity_run *p)
{
	struct point_list *points = NULL;
	/* Nothing is written to a vault that went back, which a list tells. */
	int r = vault_points(p->vault, &points);
	size_t i;

	point_list_put(points);
	if (r == 0 && p->o->apply)
		r = vault_may_write(p->vault);
	if (r == 0)
		r = list(p);
	for (i = 0; i < p->n && r == 0; i++) {
		r = try_pack(p, &p->packs[i]);
		p->progress.items_done++;
		p->progress.bytes_done += p->packs[i].size;
		if (r == 0)
			r = tick(p);
	}
	say_all(p);
	return r;
}

int repair_parity(struct vault *v, const struct repair_options *o,
		  struct task *task, struct repair_result *out)
{
	struct parity_run p = { .vault = v,
				.o = o,
				.task = task,
				.out = out,
				.percent =
					o->parity ? o->parity : vault_parity(v),
				.progress = { .phase = "packs" } };
	int r;

	*out = (struct repair_result){ .repaired = 0 };
	if (p.percent == 0)
		return fail(-EINVAL,
			    "%s: this vault was made without parity: say how "
			    "much packs are to get, as in --parity 5%%",
			    vault_url(v));
	r = run(&p);
	condemned_release(&p.condemned);
	free(p.packs);
	return r;
}
