/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/config/pair.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/bytes.h"
#include "store/base/log.h"
#include "store/base/seam.h"
#include "store/base/secret.h"
#include "store/vault.h"

void config_release(struct config_object *c)
{
	free(c->raw);
	memset(c, 0, sizeof(*c));
}

bool config_is_same(const struct config_object *a,
		    const struct config_object *b)
{
	return a->raw && b->raw && a->len == b->len &&
	       memcmp(a->raw, b->raw, a->len) == 0;
}

/* ---- reading ---- */

static int look_at(struct vault *v, struct config_object *c)
{
	int r = format_parse_box(c->raw, c->len, OBJECT_CONFIG, c->name,
				 &c->box);

	if (r == 0)
		r = features_decode(c->box.clear, c->box.clear_len, c->name,
				    &c->features);
	if (r == 0 && (c->features.read & ~FEATURES_READ))
		r = fail(-EOPNOTSUPP,
			 "%s: this vault needs a newer vmbackup to be read",
			 vault_url(v));
	return r;
}

int config_load(struct vault *v, const char *name, struct config_object *out)
{
	memset(out, 0, sizeof(*out));
	out->name = name;
	out->error = vault_get_all(v, name, CONFIG_MAX, &out->raw, &out->len);
	if (out->error < 0)
		out->raw = NULL;
	else
		out->error = look_at(v, out);
	return out->error;
}

int config_head(struct backend *b)
{
	struct backend_info info;
	int r = backend_head(b, CONFIG_NAME, &info);

	return r == -ENOENT ? backend_head(b, CONFIG_COPY_NAME, &info) : r;
}

/* ---- judging ---- */

/* Return 0 (it is right), -EBADMSG (it is not), -EOPNOTSUPP (of a version or an epoch
 * that nobody here knows) or another negative errno, which says nothing of it. */
static int prove(const struct keyring *k, const void *raw, size_t len)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	bool before = log_hush(true);
	struct config_doc doc;
	int r = format_read_box(k, raw, len, OBJECT_CONFIG, CONFIG_NAME,
				&plain);

	if (r == 0) {
		r = config_decode(plain.data, plain.len, &doc);
		/* A newer plaintext is understood by somebody. */
		r = r == -EOPNOTSUPP ? 0 : r;
	}
	(void)log_hush(before);
	secret_wipe(&doc, sizeof(doc));
	if (plain.len)
		secret_wipe(plain.data, plain.len);
	return r;
}

/* The version and the epoch are all that a reader has to believe before it can compare
 * the seal. With those of today it opens, if nothing but these was changed. */
static bool opens_as_ours(const struct keyring *k, const uint8_t *raw,
			  size_t len)
{
	AUTO_FREE uint8_t *copy = len < FORMAT_BOX_LEN ? NULL : malloc(len);

	if (!copy)
		return false;
	memcpy(copy, raw, len);
	put_le16(copy + 8, FORMAT_VERSION);
	put_le32(copy + 12, 0);
	return prove(k, copy, len) == 0;
}

enum config_verdict config_judge(const struct keyring *k, const void *raw,
				 size_t len)
{
	int r = prove(k, raw, len);

	if (r == -EOPNOTSUPP)
		return opens_as_ours(k, raw, len) ? CONFIG_DAMAGED
						  : CONFIG_NEWER;
	return r == 0	       ? CONFIG_RIGHT
	       : r == -EBADMSG ? CONFIG_DAMAGED
			       : CONFIG_NEWER;
}

/* ---- putting ---- */

/* The plaintext. Without a secret for the chunker a new one is made. */
static int describe(struct seam *seam, const struct vault_options *o,
		    struct buf *out)
{
	struct config_doc doc = { .created_ns = seam->ops->realtime_ns(seam),
				  .has_chunker = true,
				  .parity = o->parity };
	int r = 0;

	if (o->chunker)
		memcpy(doc.chunker, o->chunker, sizeof(doc.chunker));
	else
		r = seam->ops->random(seam, doc.chunker, sizeof(doc.chunker));
	if (r == 0) {
		config_encode(&doc, out);
		r = buf_error(out);
	}
	secret_wipe(&doc, sizeof(doc));
	return r;
}

static int seal(const struct keyring *k, struct seam *seam,
		const struct vault_options *o, struct buf *out)
{
	static const struct feature_words none = { 0 };
	AUTO_BUF struct buf plain = BUF_INIT;
	uint8_t features[FEATURES_LEN];
	int r = describe(seam, o, &plain);

	features_encode(&none, features);
	if (r == 0)
		r = format_seal_box(k, NULL, NULL, seam, OBJECT_CONFIG,
				    CONFIG_NAME, features, sizeof(features),
				    plain.data, plain.len, out);
	if (plain.len)
		secret_wipe(plain.data, plain.len);
	return r;
}

static int put_copy(struct backend *b, const struct buf *box)
{
	int r = backend_put_own(b, CONFIG_COPY_NAME, box->data, box->len);

	if (r < 0)
		log_warn("%s: the vault is made, and the second copy of its "
			 "config is not (%s); it is with: vmbackup repair keys "
			 "--apply",
			 backend_url(b), strerror(-r));
	return 0;
}

int config_create(struct backend *b, const struct keyring *k, struct seam *seam,
		  const struct vault_options *o)
{
	AUTO_BUF struct buf box = BUF_INIT;
	struct backend_info info;
	int r = backend_head(b, CONFIG_COPY_NAME, &info);

	/* A vault that lost its config is no place for another. */
	if (r == 0)
		return fail(-EEXIST,
			    "%s: there is a vault that lost its config; mend "
			    "it with: vmbackup -r %s repair keys --apply",
			    backend_url(b), backend_url(b));
	if (r == -ENOENT)
		r = seal(k, seam, o, &box);
	if (r == 0)
		r = backend_put_own(b, CONFIG_NAME, box.data, box.len);
	if (r == -EEXIST)
		return fail(r,
			    "%s: somebody else made a vault there at this "
			    "moment",
			    backend_url(b));
	return r < 0 ? r : put_copy(b, &box);
}

int config_mend(struct backend *b, const char *name, bool is_there,
		const void *raw, size_t len)
{
	int r;

	if (!is_there)
		return backend_put_own(b, name, raw, len);
	r = backend_replace(b, name, raw, len);
	if (r != -EOPNOTSUPP)
		return r;
	/* Between the two steps there is the other. */
	r = backend_delete(b, name);
	if (r == 0 || r == -ENOENT)
		r = backend_put_own(b, name, raw, len);
	return r;
}
