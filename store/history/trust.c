/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/history/trust.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/array.h"
#include "store/base/hex.h"

static const char *const words[] = {
	[TRUST_FIRST] = "signer first ",
	[TRUST_GIVEN] = "signer trusted ",
	[TRUST_GIVEN_ALL] = "signer trusted-all ",
	[TRUST_TAKEN] = "signer revoked ",
	[TRUST_KEPT] = "signer kept ",
};

#define DEMANDED "signer demanded"

static bool is_of_one(enum trust_kind kind)
{
	return kind == TRUST_FIRST || kind == TRUST_GIVEN || kind == TRUST_KEPT;
}

bool trust_parse_key(const char *text, uint8_t key[SIGN_KEY_LEN])
{
	return strspn(text, "0123456789abcdef") == TRUST_KEY_HEX &&
	       text[TRUST_KEY_HEX] == '\0' &&
	       hex_decode(text, SIGN_KEY_LEN, key) == 0;
}

char *trust_line(const struct trust_row *row)
{
	char hex[TRUST_KEY_HEX + 1], *line = NULL;
	bool one = is_of_one(row->kind);

	if (row->kind == TRUST_DEMANDED)
		return strdup(DEMANDED);
	hex_encode(row->key, sizeof(row->key), hex);
	if (asprintf(&line, "%s%s%s%s", words[row->kind], hex, one ? " " : "",
		     one ? row->machine : "") < 0)
		return NULL;
	return line;
}

int trust_add(struct trust *t, const struct trust_row *row)
{
	if (array_reserve(&t->rows, &t->cap, t->n + 1) < 0)
		return -ENOMEM;
	t->rows[t->n++] = *row;
	return 0;
}

static bool read_line(const char *text, struct trust_row *out)
{
	char hex[TRUST_KEY_HEX + 1];
	size_t i, len;

	memset(out, 0, sizeof(*out));
	if (strcmp(text, DEMANDED) == 0) {
		out->kind = TRUST_DEMANDED;
		return true;
	}
	for (i = 0; i < ARRAY_SIZE(words); i++) {
		len = strlen(words[i]);
		if (strncmp(text, words[i], len) == 0)
			break;
	}
	if (i == ARRAY_SIZE(words) || strlen(text + len) < TRUST_KEY_HEX)
		return false;
	memcpy(hex, text + len, TRUST_KEY_HEX);
	hex[TRUST_KEY_HEX] = '\0';
	text += len + TRUST_KEY_HEX;
	out->kind = (enum trust_kind)i;
	if (is_of_one(out->kind)) {
		if (text[0] != ' ' || text[1] == '\0')
			return false;
		out->machine = text + 1;
	} else if (*text) {
		return false;
	}
	return trust_parse_key(hex, out->key);
}

int trust_add_line(struct trust *t, const char *text)
{
	struct trust_row row;

	return read_line(text, &row) ? trust_add(t, &row) : 0;
}

/* Lines, each ended by a 0. */
void trust_put(const struct trust *t, struct buf *out)
{
	size_t i;

	for (i = 0; i < t->n; i++) {
		AUTO_FREE char *line = trust_line(&t->rows[i]);

		if (line)
			buf_put(out, line, strlen(line) + 1);
		else
			out->failed = true;
	}
}

int trust_take(const char *text, size_t len, struct trust *t)
{
	struct trust_row row;
	size_t at = 0;
	int r = 0;

	if (len > 0 && text[len - 1] != '\0')
		return -EBADMSG;
	while (at < len && r == 0) {
		r = read_line(text + at, &row) ? trust_add(t, &row) : -EBADMSG;
		at += strlen(text + at) + 1;
	}
	return r;
}

void trust_release(struct trust *t)
{
	free(t->rows);
	memset(t, 0, sizeof(*t));
}

static bool is_revoked(const struct trust *t, const uint8_t *key)
{
	size_t i;

	for (i = 0; i < t->n; i++)
		if (t->rows[i].kind == TRUST_TAKEN &&
		    memcmp(t->rows[i].key, key, SIGN_KEY_LEN) == 0)
			return true;
	return false;
}

bool trust_is_demanded(const struct trust *t)
{
	size_t i;

	for (i = 0; i < t->n; i++)
		if (t->rows[i].kind == TRUST_DEMANDED)
			return true;
	return false;
}

static bool is_about(const struct trust_row *row, const char *machine)
{
	return row->kind == TRUST_GIVEN_ALL ||
	       ((row->kind == TRUST_FIRST || row->kind == TRUST_GIVEN) &&
		strcmp(row->machine, machine) == 0);
}

enum trust_verdict trust_judge_kept(const struct trust *t, const uint8_t *key,
				    const char *machine)
{
	enum trust_verdict found = TRUST_IS_OPEN;
	size_t i;

	for (i = 0; i < t->n; i++) {
		const struct trust_row *row = &t->rows[i];

		if (!is_about(row, machine))
			continue;
		if (memcmp(row->key, key, SIGN_KEY_LEN) == 0)
			return TRUST_IS_GIVEN;
		/* Whoever may sign for all machines need not be the only one who
		 * does for this. */
		if (row->machine && !is_revoked(t, row->key))
			found = TRUST_IS_ANOTHERS;
	}
	return found;
}

enum trust_verdict trust_judge(const struct trust *t, const uint8_t *key,
			       const char *machine)
{
	return is_revoked(t, key) ? TRUST_IS_REVOKED
				  : trust_judge_kept(t, key, machine);
}
