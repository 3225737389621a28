#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Includes point one way, src -> fs -> fs/guest -> store -> store/base (src also
# reaches store, but no guest), a *_internal.h stays in its room, and each foreign library has one
# home. Before the tree is judged, planted violations must be found.
set -eu
cd "${srcdir:-.}"

# The room that PATH lies in.
room()
{
	case $1 in
	store/base/*) echo store/base ;;
	store/*) echo store ;;
	fs/guest/*) echo fs/guest ;;
	fs/*) echo fs ;;
	src/*) echo src ;;
	*) echo '?' ;;
	esac
}

# May a file of room $1 include a header of room $2?
may_include()
{
	case "$1 $2" in
	'src src' | 'src fs' | 'src store' | 'src store/base') ;;
	'fs fs' | 'fs fs/guest' | 'fs store' | 'fs store/base') ;;
	'fs/guest fs/guest' | 'fs/guest store' | 'fs/guest store/base') ;;
	'store store' | 'store store/base') ;;
	'store/base store/base') ;;
	*) return 1 ;;
	esac
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
		case $1 in store/catalog*.[ch]) ;; *) return 1 ;; esac ;;
	fuse*)
		case $1 in
		fs/ops.c | fs/mount.c | fs/reply.c | fs/loop.c) ;;
		*) return 1 ;;
		esac ;;
	blkid/*)
		case $1 in fs/guest/probe.c) ;; *) return 1 ;; esac ;;
	libcryptsetup.h)
		case $1 in fs/guest/luks.c) ;; *) return 1 ;; esac ;;
	ext2fs/* | et/*)
		case $1 in fs/guest/ext*.[ch]) ;; *) return 1 ;; esac ;;
	ntfs-3g/*)
		case $1 in fs/guest/ntfs*.[ch]) ;; *) return 1 ;; esac ;;
	lzo/* | zlib.h)
		case $1 in fs/guest/inflate.c) ;; *) return 1 ;; esac ;;
	libnbd.h)
		case $1 in src/disk_nbd*.[ch]) ;; *) return 1 ;; esac ;;
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
			if [ "$to" = '?' ]; then
				echo "$file: $include: write its whole path"
			elif ! may_include "$from" "$to"; then
				echo "$file: $include: $from may not reach $to"
			fi
			case $target in
			*_internal.h)
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
	mkdir -p "$tmp/store/base" "$tmp/fs/guest" "$tmp/src"
	wrong=0
	while read -r verdict file include; do
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
	bad store/a.h "src/cmd.h"
	bad store/base/a.c "store/vault.h"
	bad fs/a.c "src/cmd.h"
	bad fs/a.c <src/cmd.h>
	bad fs/guest/a.c "fs/view.h"
	bad src/a.c "fs/guest/guest.h"
	bad src/a.c "fs/view_internal.h"
	bad src/a.c "cmd.h"
	bad src/a.c "../store/vault.h"
	bad src/a.c "tests/unit/support.h"
	bad store/a.h "config.h"
	bad store/a.c <openssl/evp.h>
	bad fs/a.c <zstd.h>
	bad src/a.c <sqlite3.h>
	bad fs/view.c <fuse_lowlevel.h>
	bad fs/ops.h <fuse_lowlevel.h>
	bad store/a.c <fuse3/fuse_lowlevel.h>
	bad store/a.c <curl/curl.h>
	bad fs/a.c <ext2fs/ext2fs.h>
	bad fs/guest/xfs.c <ext2fs/ext2fs.h>
	bad fs/guest/btrfs.c <zlib.h>
	bad src/backup.c <libnbd.h>
	bad store/a.c MACRO_HEADER
	ok store/a.c "store/base/buf.h"
	ok store/a.c "store/catalog_internal.h"
	ok fs/a.c "store/vault.h"
	ok src/a.c "fs/view.h"
	ok src/a.c "store/vault.h"
	ok src/a.c "config.h"
	ok store/crypt.c <openssl/evp.h>
	ok store/zip.c <zstd.h>
	ok store/catalog_pack.c <sqlite3.h>
	ok fs/ops.c <fuse_lowlevel.h>
	ok fs/a.c "fs/guest/guest.h"
	ok fs/guest/a.c "store/entry.h"
	ok fs/guest/ext_map.c <ext2fs/ext2fs.h>
	ok src/disk_nbd.c <libnbd.h>
	ok src/a.c <jansson.h>
	END
}

self_test
found=$(judge)
if [ -n "$found" ]; then
	printf '%s\n' "$found"
	exit 1
fi
