/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The signatures are those that qemu's own probing looks for (the functions
 * *_probe of QEMU 7.2), and two that it does not know: a fixed VHD and a DMG
 * have their marks in the last sector.
 *
 * Only as much is understood as tells which files an image names, and qemu is
 * never left to find those by itself: what it may open is what was found here.
 * A name that is missed here is therefore one that qemu cannot open.
 */
#include "config.h"

#include "src/disk/format.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "store/base/bytes.h"

#define NAME_LEN_MAX 1023 /* of a backing file, as in qemu */
#define DRIVER_LEN_MAX 15

#define QCOW_VERSION 4
#define QCOW_BACKING_OFF 8
#define QCOW_BACKING_LEN 16
#define QCOW1_ENCRYPTION 36
#define QCOW2_ENCRYPTION 32
#define QCOW2_V2_LEN 72
#define QCOW2_INCOMPATIBLE 72
#define QCOW2_HEADER_LEN 100
#define QCOW2_EXTERNAL_DATA 4u
#define QCOW2_BACKING_FORMAT UINT32_C(0xe2792aca)
#define QCOW2_DATA_NAME UINT32_C(0x44415441)
#define QED_FEATURES 16
#define QED_BACKING_OFF 56
#define QED_BACKING_LEN 60
#define QED_HAS_BACKING 1u
#define QED_NO_PROBE 4u
#define VDI_MAGIC_OFF 64
#define VDI_MAGIC UINT32_C(0xbeda107f)
#define VHD_SIZE 48
#define VHD_TYPE 60
#define VHD_FIXED 2
#define VHD_DIFFERENCING 4
#define VMDK4_CAPACITY 12
#define DMG_HEADER_LEN 8

enum format_index {
	RAW,
	QCOW2,
	VPC,
	VHDX,
	VMDK,
	VDI,
	QCOW,
	QED,
	PARALLELS,
	DMG,
	CLOOP,
	BOCHS
};

static const struct image_format formats[] = {
	[RAW] = { "raw", "raw", "a raw disk" },
	[QCOW2] = { "qcow2", "qcow2", "a qcow2 image" },
	[VPC] = { "vhd", "vpc", "a VHD image" },
	[VHDX] = { "vhdx", "vhdx", "a VHDX image" },
	[VMDK] = { "vmdk", "vmdk", "a VMDK image" },
	[VDI] = { "vdi", "vdi", "a VDI image" },
	[QCOW] = { "qcow", "qcow", "a qcow image of version 1" },
	[QED] = { "qed", "qed", "a QED image" },
	[PARALLELS] = { "parallels", "parallels", "a Parallels image" },
	[DMG] = { "dmg", "dmg", "a DMG image" },
	[CLOOP] = { "cloop", "cloop", "a cloop image" },
	[BOCHS] = { "bochs", "bochs", "a Bochs image" },
};

/* ---- bounded reading ---- */

static uint64_t head_be(const struct image_bytes *b, size_t off, size_t n)
{
	uint64_t v = 0;

	if (off + n > b->head_len)
		return 0;
	while (n-- > 0)
		v = v << 8 | b->head[off++];
	return v;
}

static uint64_t head_le(const struct image_bytes *b, size_t off, size_t n)
{
	uint64_t v = 0;

	if (off + n > b->head_len)
		return 0;
	while (n-- > 0)
		v = v << 8 | b->head[off + n];
	return v;
}

static uint64_t tail_be(const struct image_bytes *b, size_t off, size_t n)
{
	const struct image_bytes t = { .head = b->tail,
				       .head_len = b->tail_len };

	return head_be(&t, off, n);
}

static bool starts(const struct image_bytes *b, const char *magic, size_t n)
{
	return b->head_len >= n && memcmp(b->head, magic, n) == 0;
}

static bool ends(const struct image_bytes *b, const char *magic, size_t n)
{
	return b->tail_len == IMAGE_TAIL_LEN && memcmp(b->tail, magic, n) == 0;
}

/* ---- recognising ---- */

static bool is_fixed_vhd(const struct image_bytes *b)
{
	return ends(b, "conectix", 8) && tail_be(b, VHD_TYPE, 4) == VHD_FIXED &&
	       tail_be(b, VHD_SIZE, 8) == b->size - IMAGE_TAIL_LEN;
}

/* The footer says its version and its own length. */
static bool is_dmg(const struct image_bytes *b)
{
	return ends(b, "koly", 4) && tail_be(b, 4, 4) == 4 &&
	       tail_be(b, DMG_HEADER_LEN, 4) == IMAGE_TAIL_LEN;
}

const struct image_format *image_format_recognise(const struct image_bytes *b)
{
	/* Literals behind their lengths, since some end with a zero byte. */
	static const struct {
		enum format_index format;
		unsigned int len;
		const char *magic;
	} heads[] = {
		{ VPC, 8, "conectix" },
		{ VHDX, 8, "vhdxfile" },
		{ VMDK, 4, "KDMV" },
		{ VMDK, 4, "COWD" },
		{ VMDK, 8, "\xbe\xba\xfe\xca\0\0\0\0" }, /* seSparse */
		{ VMDK, 21, "# Disk DescriptorFile" },
		{ QED, 4, "QED\0" },
		{ PARALLELS, 16, "WithoutFreeSpace" },
		{ PARALLELS, 16, "WithouFreSpacExt" },
		{ CLOOP, 10, "#!/bin/sh\n" },
		{ BOCHS, 22, "Bochs Virtual HD Image" },
	};
	static const char cloop[] = "#V2.0 Format\nmodprobe cloop";
	size_t i;

	if (starts(b, "QFI\xfb", 4))
		return &formats[head_be(b, QCOW_VERSION, 4) == 1 ? QCOW
								 : QCOW2];
	for (i = 0; i < ARRAY_SIZE(heads); i++) {
		if (!starts(b, heads[i].magic, heads[i].len))
			continue;
		if (heads[i].format != CLOOP ||
		    (b->head_len >= 10 + sizeof(cloop) - 1 &&
		     memcmp(b->head + 10, cloop, sizeof(cloop) - 1) == 0))
			return &formats[heads[i].format];
	}
	if (head_le(b, VDI_MAGIC_OFF, 4) == VDI_MAGIC)
		return &formats[VDI];
	if (is_fixed_vhd(b))
		return &formats[VPC];
	return is_dmg(b) ? &formats[DMG] : NULL;
}

/* The marks are those of libewf (EWF), huven/asif-format (ASIF), libmodi (sparse
 * images), wimlib, AOSP's libsparse, Proxmox' vma_spec, partclone, partimage, RFC
 * 1952, 8878 and the formats of xz, bzip2, 7z, zip and tar. */
const char *image_format_foreign(const struct image_bytes *b)
{
	/* Literals behind where they stand and their lengths. */
	static const struct {
		unsigned int off, len;
		const char *magic, *title;
	} marks[] = {
		{ 0, 8, "EVF\x09\r\n\xff\0", "an EWF (E01) image" },
		{ 0, 8, "LVF\x09\r\n\xff\0", "an EWF (L01) image" },
		{ 0, 8, "EVF2\r\n\x81\0", "an EWF (Ex01) image" },
		{ 0, 8, "AFF10\r\n\0", "an AFF image" },
		{ 0, 8, "shdw\0\0\0\1", "an ASIF image" },
		{ 0, 7, "sprs\0\0\0", "an Apple sparse image" },
		{ 0, 8, "MSWIM\0\0\0", "a WIM archive" },
		{ 0, 8, "WLPWM\0\0\0", "a WIM archive" },
		{ 0, 8, "VMA\0\0\0\0\1", "a VMA archive of Proxmox" },
		{ 0, 8, "\x3a\xff\x26\xed\1\0\0\0", "an Android sparse image" },
		{ 0, 15, "partclone-image", "an image of partclone" },
		{ 0, 16, "\0ntfsclone-image", "an image of ntfsclone" },
		{ 0, 16, "PaRtImAgE-VoLuMe", "an image of partimage" },
		{ 0, 3, "\x1f\x8b\x08", "a file that gzip compressed" },
		{ 0, 6, "\3757zXZ\0", "a file that xz compressed" },
		{ 0, 4, "\x28\xb5\x2f\xfd", "a file that zstd compressed" },
		{ 4, 6, "1AY&SY", "a file that bzip2 compressed" },
		{ 0, 6, "7z\xbc\xaf\x27\x1c", "a 7z archive" },
		{ 0, 4, "PK\3\4", "a zip archive" },
		{ 257, 5, "ustar", "a tar archive, as an OVA is one" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(marks); i++)
		if (b->head_len >= marks[i].off + marks[i].len &&
		    memcmp(b->head + marks[i].off, marks[i].magic,
			   marks[i].len) == 0)
			return marks[i].title;
	return NULL;
}

const struct image_format *image_format_raw(void)
{
	return &formats[RAW];
}

const struct image_format *image_format_find(const char *word, size_t len)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(formats); i++) {
		const struct image_format *f = &formats[i];

		if ((strlen(f->word) == len && !memcmp(f->word, word, len)) ||
		    (strlen(f->driver) == len && !memcmp(f->driver, word, len)))
			return f;
	}
	return NULL;
}

/* ---- what a header says ---- */

static bool qcow2_external_data(const struct image_bytes *b)
{
	return head_be(b, QCOW_VERSION, 4) >= 3 &&
	       (head_be(b, QCOW2_INCOMPATIBLE, 8) & QCOW2_EXTERNAL_DATA);
}

bool image_format_is_plain(const struct image_format *f,
			   const struct image_bytes *b)
{
	uint64_t version = head_be(b, QCOW_VERSION, 4);

	return f == &formats[QCOW2] && starts(b, "QFI\xfb", 4) &&
	       b->head_len > QCOW2_HEADER_LEN + 4 &&
	       (version == 2 || version == 3) &&
	       head_be(b, QCOW_BACKING_OFF, 8) == 0 && !qcow2_external_data(b);
}

bool image_format_is_certain(const struct image_format *f,
			     const struct image_bytes *b, const char *path)
{
	const char *dot = strrchr(path, '.');

	return image_format_is_plain(f, b) && dot &&
	       (strcasecmp(dot, ".qcow2") == 0 ||
		strcasecmp(dot, ".qcow") == 0);
}

/* VirtualBox's source, VDICore.h: VDIHEADER1. */
#define VDI_DATA_OFF 0x158
#define VDI_BLOCK_LEN 0x178
#define VDI_BLOCK_EXTRA 0x17c
#define VDI_ALLOCATED 0x184
#define VDI_HEADER_LEN 0x188

uint64_t image_format_end(const struct image_format *f,
			  const struct image_bytes *b)
{
	uint64_t block;

	if (f != &formats[VDI] || b->head_len < VDI_HEADER_LEN)
		return 0;
	block = (uint64_t)get_le32(b->head + VDI_BLOCK_LEN) +
		get_le32(b->head + VDI_BLOCK_EXTRA);
	/* A product of less than 2^62. */
	if (block > UINT64_C(1) << 30)
		return 0;
	return get_le32(b->head + VDI_DATA_OFF) +
	       block * get_le32(b->head + VDI_ALLOCATED);
}

bool image_format_is_descriptor(const struct image_format *f,
				const struct image_bytes *b)
{
	return f == &formats[VMDK] && !starts(b, "KDMV", 4) &&
	       !starts(b, "COWD", 4);
}

const char *image_format_encryption(const struct image_format *f,
				    const struct image_bytes *b)
{
	uint64_t method = 0;

	if (f == &formats[QCOW2])
		method = head_be(b, QCOW2_ENCRYPTION, 4);
	else if (f == &formats[QCOW])
		method = head_be(b, QCOW1_ENCRYPTION, 4);
	return method == 2 ? "luks" : method == 1 ? "aes" : NULL;
}

struct search {
	const struct image_bytes *b;
	image_name_fn *fn;
	void *arg;
	const char **why;
};

static int bad(const struct search *s, const char *why)
{
	*s->why = why;
	return -EBADMSG;
}

/* The @len bytes at @off are a name: hand it on as a string. */
static int give_name(const struct search *s, enum image_role role, uint64_t off,
		     uint64_t len, const char *driver)
{
	char name[NAME_LEN_MAX + 1];

	if (len == 0 || len > NAME_LEN_MAX || off > s->b->head_len ||
	    len > s->b->head_len - off)
		return bad(s, "the name of another file in it cannot be read");
	memcpy(name, s->b->head + off, len);
	name[len] = '\0';
	if (strlen(name) != len)
		return bad(s, "the name of another file in it has a zero byte");
	return s->fn(s->arg, role, name, driver);
}

/* The header extensions of qcow2: tags and lengths, each padded to 8 bytes. The
 * format of the backing file is put into @driver, "" where none is said. */
static int qcow2_extensions(const struct search *s,
			    char driver[DRIVER_LEN_MAX + 1])
{
	const struct image_bytes *b = s->b;
	uint64_t version = head_be(b, QCOW_VERSION, 4);
	uint64_t off =
		version == 2 ? QCOW2_V2_LEN : head_be(b, QCOW2_HEADER_LEN, 4);
	bool data = false;
	int r = 0;

	while (r == 0 && off + 8 <= b->head_len) {
		uint64_t tag = head_be(b, off, 4), len = head_be(b, off + 4, 4);

		off += 8;
		if (tag == 0)
			break;
		if (len > b->head_len - off)
			return bad(s, "its header extensions do not end");
		if (tag == QCOW2_BACKING_FORMAT && len <= DRIVER_LEN_MAX) {
			memcpy(driver, b->head + off, len);
			driver[len] = '\0';
		} else if (tag == QCOW2_DATA_NAME && qcow2_external_data(b)) {
			if (data)
				return bad(s, "it names two data files");
			data = true;
			r = give_name(s, IMAGE_DATA, off, len, "raw");
		}
		off += (len + 7) / 8 * 8;
	}
	if (r == 0 && qcow2_external_data(b) && !data)
		return bad(s, "its data are in another file, whose name it"
			      " does not say");
	return r;
}

static int qcow_names(const struct search *s, bool version1)
{
	uint64_t off = head_be(s->b, QCOW_BACKING_OFF, 8);
	uint64_t len = head_be(s->b, QCOW_BACKING_LEN, 4);
	char driver[DRIVER_LEN_MAX + 1] = "";
	int r = 0;

	if (!starts(s->b, "QFI\xfb", 4) ||
	    version1 != (head_be(s->b, QCOW_VERSION, 4) == 1) ||
	    s->b->head_len < QCOW2_HEADER_LEN + 4)
		return bad(s, "it is no such image");
	if (!version1)
		r = qcow2_extensions(s, driver);
	if (r == 0 && off != 0)
		r = give_name(s, IMAGE_BACKING, off, len, driver);
	return r;
}

static int qed_names(const struct search *s)
{
	uint64_t features = head_le(s->b, QED_FEATURES, 8);

	if (!starts(s->b, "QED\0", 4) || s->b->head_len < QED_BACKING_LEN + 4)
		return bad(s, "it is no such image");
	if (!(features & QED_HAS_BACKING))
		return 0;
	return give_name(s, IMAGE_BACKING, head_le(s->b, QED_BACKING_OFF, 4),
			 head_le(s->b, QED_BACKING_LEN, 4),
			 features & QED_NO_PROBE ? "raw" : "");
}

/* qemu's driver of VHD knows nothing of parents: it would read zeros there. */
static int vpc_names(const struct search *s)
{
	if (!starts(s->b, "conectix", 8) && !ends(s->b, "conectix", 8))
		return bad(s, "it is no such image");
	if ((starts(s->b, "conectix", 8) &&
	     head_be(s->b, VHD_TYPE, 4) == VHD_DIFFERENCING) ||
	    (ends(s->b, "conectix", 8) &&
	     tail_be(s->b, VHD_TYPE, 4) == VHD_DIFFERENCING))
		return bad(s, "it is a differencing disk: it has only what"
			      " differs from a parent, which cannot be read"
			      " with it; merge it with its parent first"
			      " (Hyper-V: Merge-VHD)");
	return 0;
}

/* ---- VMDK descriptors ---- */

/* Copy the text between the first pair of quotation marks of a line. */
static bool quoted(const char *line, size_t len, char out[NAME_LEN_MAX + 1])
{
	const char *from = memchr(line, '"', len), *to;

	if (!from)
		return false;
	from++;
	to = memchr(from, '"', len - (size_t)(from - line));
	if (!to || to == from || to - from > NAME_LEN_MAX)
		return false;
	memcpy(out, from, (size_t)(to - from));
	out[to - from] = '\0';
	return strlen(out) == (size_t)(to - from);
}

static bool begins(const char *line, size_t len, const char *word)
{
	size_t n = strlen(word);

	return len >= n && memcmp(line, word, n) == 0;
}

static int descriptor_line(const struct search *s, const char *line, size_t len)
{
	static const char parent[] = "parentFileNameHint";
	char name[NAME_LEN_MAX + 1];

	if (begins(line, len, "RW ") || begins(line, len, "RDONLY ") ||
	    begins(line, len, "NOACCESS ")) {
		if (!memchr(line, '"', len))
			return 0; /* an extent of zeros has no file */
		if (!quoted(line, len, name))
			return bad(s, "an extent in it has no name that can be"
				      " read");
		return s->fn(s->arg, IMAGE_EXTENT, name, "");
	}
	if (!begins(line, len, parent))
		return 0;
	if (!quoted(line, len, name))
		return bad(s, "the name of its parent cannot be read");
	return s->fn(s->arg, IMAGE_BACKING, name, "vmdk");
}

static int descriptor_names(const struct search *s, size_t off, size_t end)
{
	const char *text = (const char *)s->b->head;
	int r = 0;

	while (r == 0 && off < end) {
		const char *nl = memchr(text + off, '\n', end - off);
		size_t len = nl ? (size_t)(nl - text) - off : end - off;

		r = descriptor_line(s, text + off, len);
		off += len + 1;
	}
	return r;
}

/* A descriptor within a sparse file names the file itself as its one extent;
 * what else it names is a parent. */
struct own_extent {
	const struct search *outer;
	unsigned int extents;
};

static int parent_only(void *arg, enum image_role role, const char *name,
		       const char *driver)
{
	struct own_extent *o = arg;

	if (role != IMAGE_EXTENT)
		return o->outer->fn(o->outer->arg, role, name, driver);
	return ++o->extents > 1 ? bad(o->outer, "the descriptor in it names"
						" other files")
				: 0;
}

static int sparse_vmdk_names(const struct search *s)
{
	struct own_extent own = { .outer = s };
	struct search inner = *s;
	uint64_t off = head_le(s->b, 28, 8), len = head_le(s->b, 36, 8);

	/* To qemu such a file is a descriptor, which may name any file. */
	if (head_le(s->b, VMDK4_CAPACITY, 8) == 0)
		return bad(s, "its header is not one that VMware writes (its"
			      " capacity is 0)");
	if (off == 0 || len == 0)
		return 0;
	if (off > s->b->head_len / 512)
		return bad(s, "its descriptor cannot be read");
	inner.fn = parent_only;
	inner.arg = &own;
	off *= 512;
	len = MIN(len, (uint64_t)s->b->head_len / 512) * 512;
	return descriptor_names(&inner, off, MIN(off + len, s->b->head_len));
}

static int vmdk_names(const struct search *s)
{
	if (starts(s->b, "KDMV", 4))
		return sparse_vmdk_names(s);
	if (starts(s->b, "COWD", 4))
		return 0;
	if (!starts(s->b, "# Disk DescriptorFile", 21))
		return bad(s, "it is no such image");
	if (s->b->size > s->b->head_len)
		return bad(s, "its descriptor is longer than any that VMware"
			      " writes");
	return descriptor_names(s, 0, s->b->head_len);
}

int image_format_names(const struct image_format *f,
		       const struct image_bytes *b, image_name_fn *fn,
		       void *arg, const char **why)
{
	const struct search s = { b, fn, arg, why };

	*why = "";
	switch (f - formats) {
	case RAW:
		return 0;
	case QCOW2:
		return qcow_names(&s, false);
	case QCOW:
		return qcow_names(&s, true);
	case QED:
		return qed_names(&s);
	case VPC:
		return vpc_names(&s);
	case VMDK:
		return vmdk_names(&s);
	default:
		/* The others name no files that qemu follows. */
		return image_format_recognise(b) == f
			       ? 0
			       : bad(&s, "it is no such image");
	}
}
