#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# NTFS: images made by mkntfs and filled through ntfs-3g; what our reader
# finds is what ntfs-3g's own mount shows.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/guest/through.sh
. "$(dirname "$0")/through.sh"
small=--small size=300M
[ -z "${SOAK:-}" ] || small='' size=2000M
requires root fuse mkntfs ntfs-3g python3
dump=$(find_program tests/guest/dump)
[ -n "$dump" ] || fail "tests/guest/dump is not built"
guest=$tests/guest
mnt=$tmp/mnt
through='main other-4096'
mkdir "$mnt"

# new_image NAME SIZE [OPTION...]: an empty filesystem in $tmp/NAME
new_image() {
	local image=$tmp/$1
	truncate -s "$2" "$image"
	shift 2
	mkntfs -F -Q -q -L 'Größe' "$@" "$image" >"$tmp/mkntfs" 2>&1 ||
		{ cat "$tmp/mkntfs" >&2; fail "mkntfs"; }
}

mount_image() {
	is_mounted "$mnt" || mounts+=("$mnt")
	expect 0 ntfs-3g -o "streams_interface=xattr,compression${2:+,$2}" \
		"$tmp/$1" "$mnt"
}

# It writes the rest after umount(8) has returned.
umount_image() {
	local pids pid
	pids=$(pgrep -f -x "ntfs-3g .* $tmp/$1 $mnt") || true
	umount "$mnt"
	for pid in $pids; do
		await_end "$pid" 30 || fail "ntfs-3g does not end"
	done
}

# What is not comparable: FUSE knows no holes; ntfs-3g puts its mount point
# before absolute targets, its times before 1970 lack the fraction, it counts 8.3
# names as links, and it does not read the descriptor that mkntfs gives the root.
comparable() {
	sed -e 's/ hole=[0-9]*//' -e "s#target='$mnt/#target='/#" \
		-e "/^'.\/metadata\/a long/s/ nlink=2 / nlink=1 /" \
		-e "/^'.' /s/ system.ntfs_acl=[0-9a-f]*//" \
		-e "/^'.\/times\/1[69]/d"
}

# What is not listed, and asked for by its name.
unlisted=
for name in acl attrib attrib_be times times_be crtime crtime_be dos_name \
	object_id reparse_data ea efsinfo; do
	unlisted=${unlisted:+$unlisted,}system.ntfs_$name
done

same_as_mount() {
	mount_image "$1" ro
	"$guest/listing.py" --ask "$unlisted" "$mnt" | comparable >"$tmp/theirs"
	umount_image "$1"
	expect 0 "$dump" --ask "$unlisted" ntfs "$tmp/$1"
	comparable <"$tmp/out" >"$tmp/ours"
	[ "$(wc -l <"$tmp/ours")" -ge "$2" ] ||
		fail "$1: only $(wc -l <"$tmp/ours") entries"
	diff "$tmp/theirs" "$tmp/ours" >"$tmp/differences" || {
		head -n 10 "$tmp/differences" | cut -c 1-300 >&2
		fail "$1: not as ntfs-3g has it"
	}
	keep "${3:-$1}" "$tmp/$1" "$tmp/theirs" as_ntfs3g_and_reader
	little "$1"
}

# A name of the large directory is found by its index, and so is none.
little() {
	local path n
	for path in 'many/Größe-1398' 'many/none'; do
		"$dump" --find "$path" ntfs "$tmp/$1" >"$tmp/out" 2>"$tmp/err" ||
			[ $path = many/none ] || fail "$1: $path is not found"
		n=$(awk '/ bytes read$/ { print $1 }' "$tmp/out")
		[ "$n" -le 120000 ] || fail "$1: $n bytes were read for $path"
	done
}

# as_ntfs3g_and_reader NAME DIR LISTING: of ntfs-3g, which knows no holes; and
# of the reader alone, with them.
as_ntfs3g_and_reader() {
	"$guest/listing.py" --ask "$unlisted" "$2" | comparable >"$tmp/shown"
	private_modes <"$3" >"$tmp/private-modes"
	shown_same "$1" "$tmp/private-modes"
	streams_as_files "$2/streams"
	expect 0 "$dump" --all ntfs "$tmp/kept/$1"
	private_modes <"$tmp/out" >"$tmp/all"
	listed_same "$1" "$2" "$tmp/all"
}

# Streams are files that are not listed, whatever their size.
streams_as_files() {
	cmp "$1/file:big" "$tmp/big" || fail "a large stream is another"
	[ "$(cat "$1/file:Zone.Identifier")" = "$(printf '%s\r\n' \
		'[ZoneTransfer]' ZoneId=3)" ] || fail "a stream is another"
	[ "$(cat "$1/dir:on dir")" = d ] || fail "a directory's stream is another"
	[ "$(stat -c '%F %s' "$1/file:empty" "$1/file:größe€😀" | tr '\n' ' ')" = \
		'regular empty file 0 regular file 3000 ' ] || fail "streams' sizes"
	[ ! -e "$1/file:none" ] && [ ! -e "$1/dir:on dir/x" ] ||
		fail "there is a stream that is not"
}
head -c 300000 /dev/urandom >"$tmp/big"
add_large_stream() {
	expect 0 ntfs-3g -o streams_interface=windows "$tmp/$1" "$mnt"
	cp "$tmp/big" "$mnt/streams/file:big"
	umount_image "$1"
}

# ---- clusters of 4 KiB, all sorts of files ----

new_image main $size
mount_image main
mkdir "$mnt/portable"
"$guest/populate.py" "$mnt/portable" $small --only-portable \
	2>"$tmp/left-out" || { cat "$tmp/left-out" >&2; fail "populate.py"; }
"$guest/ntfs_tree.py" make "$mnt"
umount_image main
add_large_stream main
same_as_mount main 3000
expect 0 "$dump" ntfs "$tmp/main"
prints "^'./sparse' .* hole=0$"
prints "^'./compressed/sparse' .* hole=0$"
prints "^'./reparse/j1' .* target='/special/sub/Deep Dir'"
prints "^'./times/1601' .* mtime=-11644473599999999900 "
prints "^'./times/1900' .* mtime=-2208988799999998800 "
prints "^'./times/1969' .* mtime=-100 "
expect 0 "$dump" --threads 8 ntfs "$tmp/main"

# zoo: with SOAK, many thousand portable files too.
zoo() {
	[ -n "${SOAK:-}" ] || return 0
	mkdir "$mnt/zoo"
	"$guest/populate.py" "$mnt/zoo" --only-portable 2>/dev/null ||
		fail "populate.py"
}
[ -z "${SOAK:-}" ] || size_of_others=$size

# ---- clusters of 512 bytes, of 64 KiB; records of 4 KiB ----

for options in '-c 512' '-c 1024' '-c 65536' '-s 4096 -c 4096'; do
	[ -n "${SOAK:-}" ] || [ "$options" != '-c 1024' ] || continue
	# shellcheck disable=SC2086
	new_image other ${size_of_others:-100M} $options
	mount_image other
	"$guest/ntfs_tree.py" make "$mnt"
	zoo
	umount_image other
	add_large_stream other
	same_as_mount other 1000 "other-${options##* }"
	rm "$tmp/other"
done

# ---- the $MFT where Windows puts it, at 3 GiB ----

new_image far 3100M
mount_image far
"$guest/ntfs_tree.py" make "$mnt"
umount_image far
add_large_stream far
"$guest/ntfs_tree.py" patch "$tmp/far" mft=3221225472
same_as_mount far 1000
rm "$tmp/far"

# ---- what cannot be read says so, and hurts nothing else ----

new_image odd 20M
mount_image odd special_files=wsl
"$guest/ntfs_tree.py" odd "$mnt"
umount_image odd special_files=wsl
"$guest/ntfs_tree.py" patch "$tmp/odd" efs=efs stale=stale
expect 1 "$dump" ntfs "$tmp/odd"
says 'compressed by Windows \(CompactOS\)'
says 'deduplicated by Windows Server'
says 'encrypted by Windows \(EFS\)'
says 'tag 0x80001234'
says 'not its file any more'
says 'log-not-replayed: Windows was hibernated'
prints "^'./fine' 100777 .* size=5 .* user.kept=6b657074"
prints "^'./cloud' 100777 .* size=7000 "
prints "^'./wsl/socket' 140777 "
prints "^'./wsl/fifo' 010777 "
prints "^'./wsl/link' 120777 .* target='../fine'"
expect 1 "$dump" --all ntfs "$tmp/odd"
prints "^'./wsl/null' 020777 .*rdev=1:3"
prints "^'./wsl/block' 060777 .*rdev=7:300"
if grep -E "^'./(wof|dedup|efs|unknown|stale)' .*sha256" "$tmp/out"; then
	fail "something was read of what cannot be"
fi

new_image state 20M
expect 0 "$dump" ntfs "$tmp/state"
! grep -q replayed "$tmp/err" || fail "a new filesystem is not clean"
cp "$tmp/state" "$tmp/dirty"
"$guest/ntfs_tree.py" patch "$tmp/dirty" dirty
expect 0 "$dump" ntfs "$tmp/dirty"
says 'log-not-replayed: The filesystem is marked dirty'
"$guest/ntfs_tree.py" patch "$tmp/state" log
expect 0 "$dump" ntfs "$tmp/state"
says 'log-not-replayed: The filesystem was in use'

# The library would compare the keys of this index as that says.
cp "$tmp/main" "$tmp/rule"
"$guest/ntfs_tree.py" patch "$tmp/rule" rule
expect 1 "$dump" --ask system.ntfs_acl ntfs "$tmp/rule"
says 'metadata/owner-99: system.ntfs_acl: Bad message'

through_mount
