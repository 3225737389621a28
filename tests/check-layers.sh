#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Includes point one way: README lists the rooms, the table below says which
# room may include headers of which. internal.h and NAME_internal.h stay in
# their folder, and each foreign library has one home. Before the tree is
# judged, planted violations must be found.
set -eu
cd "${srcdir:-.}"

# A room is a folder. This prints the room that PATH lies in, or a question
# mark where the table does not know the folder.
room()
{
	case ${1%/*} in
	src | src/cmd | src/mount | src/backup | src/restore | src/scan | \
	src/disk | src/cli | fs | fs/fuse | fs/guest | fs/guest/volumes | \
	fs/guest/btrfs | fs/guest/ext | fs/guest/fat | fs/guest/iso | \
	fs/guest/ntfs | fs/guest/xfs | store | store/backend | \
	store/catalog | store/check | store/base)
		echo "${1%/*}" ;;
	*) echo '?' ;;
	esac
}

# What a room may include besides itself. Everything may reach store/base; what
# may reach store may reach its backends, its database and its checks.
reach()
{
	case $1 in
	src) echo cmd cli mount store ;;
	src/cmd) echo cli mount backup restore scan disk fs fs/fuse store ;;
	src/mount) echo cli fs fs/fuse store ;;
	src/backup) echo scan disk store ;;
	src/restore) echo scan disk fs store ;;
	src/scan | src/disk) echo store ;;
	src/cli) echo fs store ;;
	fs) echo fs/guest fs/guest/volumes store ;;
	fs/fuse) echo fs store ;;
	fs/guest) echo store ;;
	fs/guest/*) echo fs/guest store ;;
	store/check) echo store ;;
	store) echo store ;;
	store/backend) ;;
	store/catalog) echo store ;;
	esac
}

# May a file of room $1 include a header of room $2?
may_include()
{
	[ "$1" != "$2" ] || return 0
	case $2 in
	store/base) return 0 ;;
	store/check)
		# The store itself does not look up to its checks.
		case $1 in src/cmd) return 0 ;; *) return 1 ;; esac ;;
	esac
	for to in $(reach "$1"); do
		case $2 in
		"$to" | "src/$to") return 0 ;;
		store | store/backend | store/catalog)
			if [ "$to" = store ]; then
				case $1 in
				store/catalog) [ "$2" = store ] && return 0 ;;
				*) return 0 ;;
				esac
			fi ;;
		esac
	done
	return 1
}

# May FILE include the foreign header <HEADER>?
may_use()
{
	case $2 in
	openssl/*)
		case $1 in store/crypt.c) ;; *) return 1 ;; esac ;;
	zstd*.h | zdict.h)
		case $1 in store/zip.c) ;; *) return 1 ;; esac ;;
	sqlite3*.h)
		case $1 in store/catalog/*) ;; *) return 1 ;; esac ;;
	fuse*)
		case $1 in fs/fuse/*.c) ;; *) return 1 ;; esac ;;
	blkid/*)
		case $1 in fs/guest/volumes/probe.c) ;; *) return 1 ;; esac ;;
	libcryptsetup.h)
		case $1 in fs/guest/volumes/luks.c) ;; *) return 1 ;; esac ;;
	ext2fs/* | et/*)
		case $1 in fs/guest/ext/*) ;; *) return 1 ;; esac ;;
	ntfs-3g/*)
		case $1 in fs/guest/ntfs/*) ;; *) return 1 ;; esac ;;
	lzo/* | zlib.h)
		case $1 in fs/guest/inflate.c) ;; *) return 1 ;; esac ;;
	libnbd.h)
		case $1 in src/disk/nbd*) ;; *) return 1 ;; esac ;;
	nbdkit-plugin.h)
		case $1 in src/nbdkit_plugin.c) ;; *) return 1 ;; esac ;;
	curl/*)
		return 1 ;;
	esac
}

# Judge the files below the current directory; print what is wrong.
judge()
{
	find store fs src -name '*.[ch]' -print |
	xargs -r sed -nE '/^[[:space:]]*#[[:space:]]*include/ {
		s/^[[:space:]]*#[[:space:]]*include[[:space:]]*//
		F
		p
	}' | paste -d ' ' - - | sort -u |
	while read -r file include; do
		target=$(echo "$include" | sed 's/^[<"]\([^>"]*\).*/\1/')
		from=$(room "$file")
		case $include in
		'"config.h"'*)
			case $file in
			*.c) ;;
			*) echo "$file: config.h is included by .c files" ;;
			esac ;;
		'"'* | '<store/'* | '<fs/'* | '<src/'*)
			to=$(room "$target")
			if [ "$from" = '?' ]; then
				echo "$file: no room that this test knows"
			elif [ "$to" = '?' ]; then
				echo "$file: $include: write its whole path"
			elif ! may_include "$from" "$to"; then
				echo "$file: $include: $from may not reach $to"
			fi
			case $target in
			*/internal.h | *_internal.h)
				[ "$from" = "$to" ] ||
					echo "$file: $include: private to $to"
			esac ;;
		'<'*)
			may_use "$file" "$target" ||
				echo "$file: $include: has another home" ;;
		*)
			echo "$file: $include: cannot be judged" ;;
		esac
	done
}

# Each of these lines, planted in an empty tree, must be found; the rest not.
self_test()
{
	tmp=$(mktemp -d)
	trap 'rm -rf "$tmp"' EXIT
	wrong=0
	while read -r verdict file include; do
		mkdir -p "$tmp/store" "$tmp/fs" "$tmp/src" "$tmp/${file%/*}"
		printf '#include %s\n' "$include" >"$tmp/$file"
		found=$(cd "$tmp" && judge)
		rm "$tmp/$file"
		case $verdict in
		bad) [ -n "$found" ] || wrong=1 ;;
		ok) [ -z "$found" ] || wrong=1 ;;
		esac
		if [ "$wrong" -ne 0 ]; then
			echo "self-test: $file with $include is not '$verdict'"
			return 1
		fi
	done <<-END
	bad store/a.c "fs/view.h"
	bad store/a.h "src/cmd/cmd.h"
	bad store/a.c "store/check/check.h"
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
	bad src/new/a.c "store/base/buf.h"
	bad store/a.h "config.h"
	bad store/a.c <openssl/evp.h>
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
	ok src/a.c "config.h"
	ok store/crypt.c <openssl/evp.h>
	ok store/zip.c <zstd.h>
	ok store/catalog/catalog.c <sqlite3.h>
	ok fs/fuse/ops.c <fuse_lowlevel.h>
	ok fs/a.c "fs/guest/guest.h"
	ok fs/guest/a.c "store/entry.h"
	ok fs/guest/ext/map.c <ext2fs/ext2fs.h>
	ok fs/guest/xfs/a.c "fs/guest/guest.h"
	ok src/disk/nbd.c <libnbd.h>
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

self_test
found=$(judge; judge_rooms)
if [ -n "$found" ]; then
	printf '%s\n' "$found"
	exit 1
fi
