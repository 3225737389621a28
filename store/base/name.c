/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/base/name.h"

#include <string.h>

#include "store/base/hex.h"

#define HASH_HEX 64

/* A decimal number without leading zeros, so that a number has one name. */
static bool get_number(const char **text, uint32_t *out)
{
	const char *p = *text;
	uint64_t n = 0;

	for (; *p >= '0' && *p <= '9' && n <= UINT32_MAX; p++)
		n = 10 * n + (uint64_t)(*p - '0');
	if (p == *text || n > UINT32_MAX || (**text == '0' && p - *text > 1))
		return false;
	*text = p;
	*out = (uint32_t)n;
	return true;
}

bool name_is_hex(const char *text)
{
	return hex_is(text, NAME_HEX) && text[NAME_HEX] == '\0';
}

bool name_numbered(const char *name, const char *prefix,
		   char hex_out[NAME_HEX + 1], uint32_t *n_out)
{
	size_t len = strlen(prefix);
	const char *p = name + len;
	uint32_t n;

	if (strncmp(name, prefix, len) != 0 || !hex_is(p, NAME_HEX) ||
	    p[NAME_HEX] != '-')
		return false;
	memcpy(hex_out, p, NAME_HEX);
	hex_out[NAME_HEX] = '\0';
	p += NAME_HEX + 1;
	if (!get_number(&p, &n) || *p)
		return false;
	if (n_out)
		*n_out = n;
	return true;
}

bool name_is_pack(const char *name, size_t *number_end)
{
	const char *p = name + NAME_HEX + 1;
	uint32_t n;

	if (!hex_is(name, NAME_HEX) || name[NAME_HEX] != '-' ||
	    !get_number(&p, &n) || *p != '-' || !hex_is(p + 1, HASH_HEX) ||
	    p[1 + HASH_HEX])
		return false;
	if (number_end)
		*number_end = (size_t)(p - name);
	return true;
}

/* "<pack>", of number 0, or "<pack>-<n>". */
static bool take_numbered_pack(const char *text, char pack_out[PACK_NAME_MAX],
			       uint32_t *n_out)
{
	char pack[OBJECT_NAME_MAX];
	const char *number;
	size_t end, len = strnlen(text, sizeof(pack));

	if (len == sizeof(pack))
		return false;
	memcpy(pack, text, len + 1);
	*n_out = 0;
	/* The first has no number; a pack's name ends in a hash, so the rest
	 * cannot be part of it. */
	if (!name_is_pack(pack, NULL)) {
		char *cut = strrchr(pack, '-');

		if (!cut)
			return false;
		*cut = '\0';
		number = text + (cut - pack) + 1;
		if (!name_is_pack(pack, &end) || !get_number(&number, n_out) ||
		    *number || *n_out == 0)
			return false;
	}
	memcpy(pack_out, pack, strlen(pack) + 1);
	return true;
}

bool name_quarantine(const char *name, char pack_out[PACK_NAME_MAX],
		     uint32_t *n_out)
{
	static const char folder[] = "quarantine/";

	return strncmp(name, folder, strlen(folder)) == 0 &&
	       take_numbered_pack(name + strlen(folder), pack_out, n_out);
}

bool name_parity(const char *name, char pack_out[PACK_NAME_MAX],
		 uint32_t *n_out)
{
	static const char folder[] = "parity/";
	const char *rest = name + strlen(folder);
	size_t end;

	return strncmp(name, folder, strlen(folder)) == 0 &&
	       strnlen(rest, 3) == 3 && rest[2] == '/' &&
	       take_numbered_pack(rest + 3, pack_out, n_out) &&
	       name_is_pack(pack_out, &end) &&
	       memcmp(rest, pack_out + end + 1, 2) == 0;
}

/* ---- all kinds ---- */

enum form {
	FORM_HEX, /* 32 digits */
	FORM_NUMBERED, /* 32 digits, "-" and a number */
	FORM_INDEX, /* the same, and ".m" where others were merged into it */
	FORM_NUMBER,
	FORM_QUARANTINE, /* a pack's name, and "-" and a number */
	FORM_FILED_PACK, /* that, in a folder of two digits of its hash */
	FORM_PARITY, /* as in quarantine, and filed as a pack */
	FORM_COLLECTION, /* 32 digits, and "-" and a number where it has several */
};

static bool is_number(const char *text)
{
	uint32_t n;

	return get_number(&text, &n) && *text == '\0';
}

static bool is_filed_pack(const char *text)
{
	size_t end;

	return strnlen(text, 3) == 3 && text[2] == '/' &&
	       name_is_pack(text + 3, &end) &&
	       memcmp(text, text + 3 + end + 1, 2) == 0;
}

static bool is_index(const char *name, const char *prefix)
{
	size_t len = strnlen(name, OBJECT_NAME_MAX);
	char plain[OBJECT_NAME_MAX], hex[NAME_HEX + 1];

	if (len >= sizeof(plain))
		return false;
	memcpy(plain, name, len + 1);
	if (len > 2 && strcmp(plain + len - 2, ".m") == 0)
		plain[len - 2] = '\0';
	return name_numbered(plain, prefix, hex, NULL);
}

static bool has_form(const char *name, const char *prefix, enum form form)
{
	const char *rest = name + strlen(prefix);
	char hex[NAME_HEX + 1], pack[PACK_NAME_MAX];
	uint32_t n;

	switch (form) {
	case FORM_HEX:
		return name_is_hex(rest);
	case FORM_NUMBERED:
		return name_numbered(name, prefix, hex, NULL);
	case FORM_INDEX:
		return is_index(name, prefix);
	case FORM_NUMBER:
		return is_number(rest);
	case FORM_QUARANTINE:
		return name_quarantine(name, pack, &n);
	case FORM_PARITY:
		return name_parity(name, pack, &n);
	case FORM_FILED_PACK:
		return is_filed_pack(rest);
	case FORM_COLLECTION:
		return name_is_hex(rest) ||
		       name_numbered(name, prefix, hex, NULL);
	}
	return false;
}

bool name_is_object(const char *name)
{
	static const struct {
		const char *prefix;
		enum form form;
	} kinds[] = {
		/* Those first of which there are most. */
		{ "pack/", FORM_FILED_PACK },
		{ "parity/", FORM_PARITY },
		{ "commit/", FORM_HEX },
		{ "index/", FORM_INDEX },
		{ "point/", FORM_HEX },
		{ "key/", FORM_HEX },
		{ "session/", FORM_HEX },
		{ "purge/", FORM_NUMBERED },
		{ "tomb/", FORM_COLLECTION },
		{ "sweep/", FORM_COLLECTION },
		{ "quarantine/", FORM_QUARANTINE },
		{ "note/", FORM_NUMBERED },
		{ "feature/", FORM_NUMBER },
		{ "heartbeat/", FORM_NUMBERED },
		{ "digest/", FORM_NUMBERED },
		{ "forget/", FORM_NUMBERED },
		{ "machine/", FORM_NUMBERED },
		{ "reserve/", FORM_HEX },
		{ "ledger/", FORM_NUMBERED },
		{ "epoch/", FORM_NUMBER },
		{ "window/", FORM_NUMBER },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strncmp(name, kinds[i].prefix, strlen(kinds[i].prefix)) ==
		    0)
			return has_form(name, kinds[i].prefix, kinds[i].form);
	return strcmp(name, "config") == 0 || strcmp(name, "config.copy") == 0;
}
