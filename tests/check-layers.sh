#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Includes point one way: README lists the rooms, the table below says which
# room may include headers of which. internal.h and NAME_internal.h stay in
# their folder, and each foreign library has one home. Before the tree is
# judged, planted violations must be found.
set -eu
cd "${srcdir:-.}"

# Judge lines "FILE INCLUDE" on standard input; print what is wrong.
judge_lines()
{
	awk '
	BEGIN {
		# A room is a folder, and what it may include besides itself.
		# Everything may reach store/base; what may reach store may
		# reach its backends, records, history, parity, database and
		# cryptography.
		reach["src"] = "src/cmd src/cli src/mount store"
		reach["src/cmd"] = "src/cli src/mount src/backup" \
			" src/restore src/check src/forget src/keys src/retain" \
			" src/scan src/stats src/disk fs fs/fuse store" \
			" store/check store/collect store/mark store/repair" \
			" store/writer"
		reach["src/check"] = "src/cli store store/check"
		reach["src/forget"] = "src/cli src/retain store store/mark" \
			" store/writer"
		reach["src/stats"] = "src/cli store store/mark"
		reach["src/keys"] = "src/cli store store/repair"
		reach["src/retain"] = ""
		reach["src/mount"] = "src/cli fs fs/fuse store"
		reach["src/backup"] = "src/scan src/disk store store/writer"
		reach["src/restore"] = "src/scan src/disk fs store"
		reach["src/scan"] = reach["src/disk"] = "store"
		reach["src/cli"] = "fs store"
		reach["fs"] = "fs/guest fs/guest/volumes store"
		reach["fs/fuse"] = "fs store"
		reach["fs/guest"] = "store"
		n = split("volumes btrfs ext fat iso ntfs xfs", readers)
		for (i = 1; i <= n; i++)
			reach["fs/guest/" readers[i]] = "fs/guest store"
		reach["store/check"] = reach["store/writer"] = "store"
		reach["store/collect"] = "store store/writer store/mark"
		reach["store/mark"] = "store"
		reach["store/repair"] = "store store/check store/writer"
		reach["store"] = "store"
		reach["store/catalog"] = "store-alone"
		reach["store/epoch"] = reach["store/config"] = "store"
		reach["store/key"] = "store"
		reach["store/backend"] = "store/crypt"
		reach["store/crypt"] = ""
		reach["store/base"] = reach["store/record"] = ""
		reach["store/history"] = "store/crypt store/record"
		reach["store/parity"] = "store/backend store/crypt"
		for (r in reach) {
			may[r, r] = may[r, "store/base"] = 1
			n = split(reach[r], list)
			for (i = 1; i <= n; i++) {
				if (list[i] == "store-alone") {
					list[i] = "store"
					may[r, "store/crypt"] = 1
				} else if (list[i] == "store")
					may[r, "store/backend"] = \
					may[r, "store/catalog"] = \
					may[r, "store/config"] = \
					may[r, "store/epoch"] = \
					may[r, "store/key"] = \
					may[r, "store/record"] = \
					may[r, "store/history"] = \
					may[r, "store/parity"] = \
					may[r, "store/crypt"] = 1
				may[r, list[i]] = 1
			}
		}

		# The files that may include a foreign header.
		homes = "openssl/ ^store/crypt/.*[.]c$\n" \
			"zstd ^store/base/zip[.]c$\n" \
			"zdict ^store/base/zip[.]c$\n" \
			"sqlite3 ^store/catalog/\n" \
			"isa-l ^store/parity/.*[.]c$\n" \
			"fuse ^fs/fuse/.*[.]c$\n" \
			"blkid/ ^fs/guest/volumes/probe[.]c$\n" \
			"libcryptsetup ^fs/guest/volumes/luks[.]c$\n" \
			"ext2fs/ ^fs/guest/ext/\n" \
			"et/ ^fs/guest/ext/\n" \
			"ntfs-3g/ ^fs/guest/ntfs/\n" \
			"lzo/ ^fs/guest/inflate[.]c$\n" \
			"zlib ^fs/guest/inflate[.]c$\n" \
			"libnbd ^src/disk/nbd_lib[.]h$\n" \
			"nbdkit-plugin ^src/nbdkit_plugin[.]c$\n" \
			"curl/ ^store/backend/http\n" \
			"expat ^store/backend/xml[.]c$"
		nhomes = split(homes, home, "\n")
	}
	function room(path) {
		sub("/[^/]*$", "", path)
		return path in reach ? path : "?"
	}
	function foreign_ok(file, header,    i, pair) {
		for (i = 1; i <= nhomes; i++) {
			split(home[i], pair, " ")
			if (index(header, pair[1]) == 1)
				return file ~ pair[2]
		}
		return 1
	}
	{
		file = $1
		include = $2
		from = room(file)
		target = substr(include, 2)
		sub("[>\"].*", "", target)
		first = substr(include, 1, 1)
		if (from == "?")
			print file ": no room that this test knows"
		if (include == "\"config.h\"") {
			if (file !~ /[.]c$/)
				print file ": config.h is included by .c files"
		} else if (first == "\"" || target ~ "^(store|fs|src)/") {
			to = room(target)
			if (to == "?")
				print file ": " include ": write its whole path"
			else if (!((from, to) in may))
				print file ": " include ": " from \
					" may not reach " to
			if (target ~ "(/|_)internal[.]h$" && from != to)
				print file ": " include ": private to " to
		} else if (first == "<") {
			if (!foreign_ok(file, target))
				print file ": " include ": has another home"
		} else {
			print file ": " include ": cannot be judged"
		}
	}'
}

# Judge the files below the current directory; print what is wrong.
judge()
{
	find store fs src -name '*.[ch]' -print |
	xargs -r sed -nE '/^[[:space:]]*#[[:space:]]*include/ {
		s/^[[:space:]]*#[[:space:]]*include[[:space:]]*//
		F
		p
	}' | paste -d ' ' - - | sort -u | judge_lines
}

# Each of these lines, planted in an empty tree, must be found; the rest not.
self_test()
{
	tmp=$(mktemp -d)
	trap 'rm -rf "$tmp"' EXIT
	mkdir -p "$tmp/store" "$tmp/fs" "$tmp/src/cmd"
	printf '  # include <curl/curl.h>\n' >"$tmp/src/cmd/a.c"
	if [ -z "$(cd "$tmp" && judge)" ]; then
		echo "self-test: a planted include was not found"
		return 1
	fi
	while read -r verdict line; do
		found=$(echo "$line" | judge_lines)
		case $verdict in
		bad) [ -n "$found" ] ;;
		ok) [ -z "$found" ] ;;
		esac || {
			echo "self-test: $line is not '$verdict': $found"
			return 1
		}
	done <<-'END'
	bad store/a.c "fs/view.h"
	bad store/a.h "src/cmd/cmd.h"
	bad store/a.c "store/check/check.h"
	bad store/a.c "store/writer/writer.h"
	bad store/check/a.c "store/writer/writer.h"
	bad fs/a.c "store/writer/writer.h"
	bad store/base/a.c "store/vault.h"
	bad store/backend/a.c "store/vault.h"
	bad store/catalog/a.c "store/backend/backend.h"
	bad store/check/a.c "store/vault_internal.h"
	bad fs/a.c "src/cli/context.h"
	bad fs/a.c <src/cmd/cmd.h>
	bad fs/a.c "fs/fuse/ops.h"
	bad fs/fuse/a.c "fs/guest/guest.h"
	bad fs/guest/a.c "fs/view.h"
	bad fs/guest/a.c "fs/guest/xfs/internal.h"
	bad fs/guest/ext/a.c "fs/guest/xfs/internal.h"
	bad fs/guest/ext/a.c "fs/guest/volumes/discover.h"
	bad src/a.c "src/restore/restore.h"
	bad src/cmd/a.c "fs/guest/guest.h"
	bad src/cmd/a.c "fs/view_internal.h"
	bad src/cmd/a.c "src/backup/internal.h"
	bad src/cmd/a.c "cmd.h"
	bad src/cmd/a.c "../store/vault.h"
	bad src/cmd/a.c "tests/unit/support.h"
	bad src/cli/a.c "src/cmd/cmd.h"
	bad src/mount/a.c "src/cmd/cmd.h"
	bad src/scan/a.c "src/disk/source.h"
	bad src/backup/a.c "fs/view.h"
	bad src/backup/a.c "src/cli/output.h"
	bad src/restore/a.c "src/backup/backup.h"
	bad src/retain/a.c "store/point.h"
	bad src/retain/a.c "src/cli/options.h"
	bad src/new/a.c "store/base/buf.h"
	bad store/a.h "config.h"
	bad store/a.c <openssl/evp.h>
	bad store/crypt/crypt.h <openssl/evp.h>
	bad store/crypt/a.c "store/vault.h"
	bad store/record/a.c "store/format.h"
	bad store/history/a.c "store/vault.h"
	bad store/parity/a.c "store/format.h"
	bad store/writer/a.c <isa-l/crc64.h>
	bad store/a.c "store/crypt/internal.h"
	bad fs/a.c <zstd.h>
	bad src/cmd/a.c <sqlite3.h>
	bad fs/view.c <fuse_lowlevel.h>
	bad fs/fuse/ops.h <fuse_lowlevel.h>
	bad store/a.c <fuse3/fuse_lowlevel.h>
	bad store/a.c <curl/curl.h>
	bad fs/a.c <ext2fs/ext2fs.h>
	bad fs/guest/xfs/xfs.c <ext2fs/ext2fs.h>
	bad fs/guest/btrfs/btrfs.c <zlib.h>
	bad src/backup/backup.c <libnbd.h>
	bad store/a.c MACRO_HEADER
	ok store/a.c "store/base/buf.h"
	ok store/a.c "store/backend/backend.h"
	ok store/a.c "store/vault_internal.h"
	ok store/catalog/a.c "store/catalog/internal.h"
	ok store/catalog/a.c "store/format.h"
	ok store/check/a.c "store/catalog/catalog.h"
	ok fs/a.c "store/vault.h"
	ok fs/a.c "fs/guest/volumes/discover.h"
	ok fs/fuse/a.c "fs/view.h"
	ok src/cmd/a.c "fs/view.h"
	ok src/cmd/a.c "store/check/check.h"
	ok src/backup/a.c "src/scan/scan.h"
	ok src/restore/a.c "src/restore/internal.h"
	ok src/retain/a.c "store/base/attrs.h"
	ok src/cmd/a.c "src/retain/keep.h"
	ok src/a.c "config.h"
	ok store/crypt/crypt.c <openssl/evp.h>
	ok store/a.c "store/crypt/crypt.h"
	ok store/a.c "store/record/note.h"
	ok store/writer/a.c "store/vault.h"
	ok src/backup/a.c "store/writer/bundle.h"
	ok store/catalog/a.c "store/crypt/crypt.h"
	ok fs/guest/volumes/a.c "store/crypt/xts.h"
	ok store/base/zip.c <zstd.h>
	ok store/catalog/catalog.c <sqlite3.h>
	ok fs/fuse/ops.c <fuse_lowlevel.h>
	ok fs/a.c "fs/guest/guest.h"
	ok fs/guest/a.c "store/entry.h"
	ok fs/guest/ext/map.c <ext2fs/ext2fs.h>
	ok fs/guest/xfs/a.c "fs/guest/guest.h"
	ok src/disk/nbd_lib.h <libnbd.h>
	ok src/a.c <jansson.h>
	END
}

# Every folder that holds sources is a room that README explains, with a
# fragment of its own, and no room is a hall.
judge_rooms()
{
	find store fs src -name '*.[ch]' -printf '%h\n' | sort | uniq -c |
	while read -r n dir; do
		grep -qE "^    $dir/( |\$)" README ||
			echo "README: $dir is not among the rooms"
		[ -e "$dir/Makemodule.am" ] ||
			echo "$dir: has no Makemodule.am"
		[ "$n" -le 45 ] ||
			echo "$dir: holds $n files, more than 45"
	done
}

# Every path that ARCHITECTURE names is there (NAME stands for any name).
judge_architecture()
{
	grep -oE '\<(src|fs|store|tests|man)/[A-Za-z0-9_./-]+' ARCHITECTURE |
	sed 's/[.]$//' | grep -v NAME | sort -u |
	while read -r path; do
		[ -e "$path" ] || echo "ARCHITECTURE: there is no $path"
	done
}

self_test
found=$(judge; judge_rooms; judge_architecture)
if [ -n "$found" ]; then
	printf '%s\n' "$found"
	exit 1
fi
