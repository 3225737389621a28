#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The btrfs reader against the kernel: every kind of inode and extent, three
# compressions, subvolumes, snapshots, reflinks, sizes of nodes, kinds of
# checksums; damaged copies; a disk copied while in use; threads.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/guest/through.sh
. "$(dirname "$0")/through.sh"
small=--small size=700M
[ -z "${SOAK:-}" ] || small='' size=2500M
requires root loop fuse mkfs.btrfs btrfs python3

# That this kernel has btrfs at all, mount says.
grep -qw btrfs /proc/filesystems || modprobe btrfs 2>/dev/null ||
	skip "the kernel has no btrfs"

dump=$(find_program tests/guest/dump)
[ -n "$dump" ] || fail "tests/guest/dump is not built"
mnt=$tmp/mnt
through='default logged'
mkdir "$mnt"

release() {
	if is_mounted "$mnt"; then
		umount "$mnt" || umount -l "$mnt"
	fi
}
cleanup_fn release

# make NAME SIZE OPTION...: a new one, mounted.
make() {
	local image=$tmp/$1 size=$2
	shift 2
	truncate -s "$size" "$image"
	mkfs.btrfs -q "$@" "$image" >"$tmp/out" 2>"$tmp/err" ||
		fail "mkfs.btrfs $*"
	loop_mount "$image" "$mnt" noatime
}

again() {
	mount -o "remount,$1" "$mnt"
}

python3 - "$tests" >"$tmp/text" <<-'END'
	import random
	import sys
	sys.path.insert(0, sys.argv[1])
	import fixture
	sys.stdout.buffer.write(fixture.text(random.Random(5), 600000))
END

# Text that was compressed, sub-page inline pieces of it, and what does not
# compress, in $1.
some_of_each() {
	local i kind
	mkdir -p "$1"
	for kind in zstd lzo zlib; do
		again "compress-force=$kind"
		cat "$tmp/text" >"$1/text-$kind"
		for i in 1 90 700 1900 3000 4096 5000 131072 131073; do
				head -c $i "$1/text-$kind" >"$1/$kind-$i"
		done
		head -c 400000 /dev/urandom >"$1/random-$kind"
		sync
	done
	again compress=no
	# Pieces of compressed extents, by links and by holes.
	cp --reflink=always "$1/text-zstd" "$1/reflink"
	dd if=/dev/urandom of="$1/reflink" bs=1000 seek=77 count=5 \
		conv=notrunc status=none
	fallocate -p -o 40960 -l 8192 "$1/text-lzo"
	truncate -s 100001 "$1/text-zlib"
	touch "$1/nocow"
	chattr +C "$1/nocow"
	head -c 300000 /dev/urandom >"$1/nocow"
	btrfs property set "$1/nocow" compression "" 2>/dev/null || true
	btrfs property set "$1/zlib-1" compression zlib
	# Inline, then longer: the rest is a hole.
	echo inline >"$1/grown"
	sync
	truncate -s 70000 "$1/grown"
}

subvolumes() {
	btrfs -q subvolume create "$mnt/home" >/dev/null
	btrfs -q subvolume create "$mnt/home/inner" >/dev/null
	mkdir "$mnt/home/snaps"
	some_of_each "$mnt/home/files"
	cp "$mnt/home/files/text-lzo" "$mnt/home/inner"
	btrfs -q subvolume snapshot -r "$mnt/home" "$mnt/home/snaps/1" \
		>/dev/null
	rm "$mnt/home/files/random-lzo"
	echo more >>"$mnt/home/files/text-lzo"
	btrfs -q subvolume snapshot "$mnt/home" "$mnt/snap" >/dev/null
	btrfs -q subvolume create "$mnt/gone" >/dev/null
	btrfs -q subvolume delete "$mnt/gone" >/dev/null
	# Where a snapshot was taken of a directory with a subvolume in it there is
	# an empty directory, whose times the kernel makes up.
	made_up="(snap|home/snaps/1)/inner'|snap/snaps/1'"
}

# settle LISTING: without what may differ.
settle() {
	sed -E -e "\\%^'./(${made_up:-none})%d" "$1"
}

# in_the_mount MADE-UP NAME DIR LISTING: its state is an attribute there.
in_the_mount() {
	local made_up=$1
	"$tests/guest/listing.py" --all "$3" >"$tmp/ours" ||
		fail "$2: cannot be listed in the mount"
	settle "$tmp/ours" |
		sed "1s/ 'user\\.vmbackupfs\\.[a-z]*'=[0-9a-f]*//g" >"$tmp/shown"
	shown_same "$2" "$4"
}

# compare NAME [STATE]: what the reader says of it is what the kernel says.
compare() {
	loop_mount "$tmp/$1" "$mnt" \
		ro,subvolid=5,rescue=nologreplay
	"$tests/guest/listing.py" --all "$mnt" >"$tmp/kernel"
	umount "$mnt"
	"$dump" --all btrfs "$tmp/$1" >"$tmp/ours" 2>"$tmp/err" ||
		fail "$1: dump failed"
	settle "$tmp/kernel" >"$tmp/kernel-kept"
	settle "$tmp/ours" >"$tmp/ours-kept"
	[ "$(wc -l <"$tmp/kernel")" = "$(wc -l <"$tmp/ours")" ] ||
		fail "$1: not as many entries"
	if ! diff "$tmp/kernel-kept" "$tmp/ours-kept" >"$tmp/differences"; then
		head -n 20 "$tmp/differences" >&2
		fail "$1: the reader and the kernel differ"
	fi
	[ "$(grep -o 'log-[a-z-]*' "$tmp/err")" = "${2:-}" ] ||
		fail "$1: its state is not '${2:-}'"
	note "$1: $(wc -l <"$tmp/kernel") entries, no difference"
	keep "$1" "$tmp/$1" "$tmp/kernel-kept" in_the_mount "$made_up"
}

# ---- all of it, as mkfs makes it ----

made_up=
make default $size
"$tests/guest/populate.py" $small "$mnt" 2>"$tmp/left-out" ||
	{ cat "$tmp/left-out" >&2; fail "populate.py"; }
subvolumes
umount "$mnt"
compare default
"$dump" --threads 8 btrfs "$tmp/default" >"$tmp/threads" ||
	fail "threads do not find the same"

# ---- other forms ----

# zoo: with SOAK, all of populate.py; some of it compressed.
zoo() {
	[ -n "${SOAK:-}" ] || return 0
	mkdir "$mnt/zoo"
	again compress=zstd
	"$tests/guest/populate.py" "$mnt/zoo" 2>/dev/null || fail "populate.py"
}

form() {
	local name=$1
	made_up=
	make "$@"
	subvolumes
	zoo
	umount "$mnt"
	compare "$name"
	[ "$name" != nodes-4k ] || cp --sparse=always "$tmp/$name" "$tmp/damaged"
	rm "$tmp/$name"
}
zoo_size=
[ -z "${SOAK:-}" ] || zoo_size=5G
form nodes-4k ${zoo_size:-700M} -n 4096 -m dup -d dup
form nodes-64k ${zoo_size:-700M} -n 65536 -O ^no-holes -R ^free-space-tree
form mixed ${zoo_size:-500M} -M --csum xxhash
made_up=
for sum in sha256 blake2; do
	make $sum ${zoo_size:-200M} --csum $sum
	some_of_each "$mnt/files"
	zoo
	umount "$mnt"
	compare $sum
	rm "$tmp/$sum"
done

# ---- damage ----

"$dump" --all btrfs "$tmp/damaged" >"$tmp/whole"
# Where the chunks of two copies have the first one.
btrfs inspect-internal dump-tree -t chunk "$tmp/damaged" |
	awk '/CHUNK_ITEM|DEV_ITEM/ { dup = 0 }
		/length [0-9]+ .* type .*DUP/ { dup = 1; len = $2 }
		dup && /stripe 0 devid/ { print $NF, len }' >"$tmp/chunks"
[ -s "$tmp/chunks" ] || fail "no chunks of two copies"
python3 - "$tmp/damaged" "$tmp/chunks" <<-'END'
	import sys
	with open(sys.argv[1], "r+b") as f:
	    f.seek(64 << 10)
	    f.write(bytes(4096))  # the first superblock
	    for line in open(sys.argv[2]):
	        at, length = map(int, line.split())
	        for sector in range(at, at + length, 4096):
	            if sector != 64 << 20:  # the second superblock
	                f.seek(sector + 999)
	                f.write(b"damage")
END
"$dump" --all btrfs "$tmp/damaged" >"$tmp/ours" 2>"$tmp/err" ||
	fail "with a copy damaged: dump failed"
# A file without checksums is as its first copy says.
cmp -s <(grep -v "/nocow'" "$tmp/whole") <(grep -v "/nocow'" "$tmp/ours") ||
	fail "what the other copies say is something else"
says 'superblock is damaged'
says 'other copy'
note "nodes-4k: the first copies damaged: no difference"
rm "$tmp/damaged"

# ---- several devices ----

devices() {
	local a b
	truncate -s 300M "$tmp/a" "$tmp/b"
	a=$(losetup -f --show "$tmp/a")
	cleanup_fn losetup -d "$a"
	b=$(losetup -f --show "$tmp/b")
	cleanup_fn losetup -d "$b"
	mkfs.btrfs -q -f -m raid1 -d raid0 "$a" "$b" >/dev/null 2>&1
	expect 1 "$dump" btrfs "$tmp/a"
	says 'RAID0'
	mkfs.btrfs -q -f -m raid1 -d raid1 "$a" "$b" >/dev/null 2>&1
	btrfs device scan "$a" "$b" >/dev/null 2>&1 || true
	mount -o noatime "$a" "$mnt"
	some_of_each "$mnt/files"
	umount "$mnt"
	mount -o ro "$a" "$mnt"
	"$tests/guest/listing.py" --all "$mnt" >"$tmp/kernel"
	umount "$mnt"
	for i in a b; do
		"$dump" --all btrfs "$tmp/$i" >"$tmp/ours" ||
			fail "RAID1, device $i: dump failed"
		cmp -s "$tmp/kernel" "$tmp/ours" ||
			fail "RAID1, device $i: the kernel finds something else"
	done
	note "RAID1: either device alone: no difference"
}
devices

# ---- a disk that is in use ----

make used 500M
again commit=300
some_of_each "$mnt/before"
sync -f "$mnt"
# What comes now is in no commit, some of it in the log.
for i in $(seq 300); do
	echo "$i" >"$mnt/before/new-$i"
	rm -f "$mnt/before/new-$((i - 50))"
done
cp "$mnt/before/text-zstd" "$mnt/after"
cp "$tmp/used" "$tmp/crashed"
sync "$mnt/after"
cp "$tmp/used" "$tmp/logged"
umount "$mnt"
compare crashed
compare logged log-not-replayed
btrfs inspect-internal dump-super "$tmp/logged" |
	grep -Eq '^log_root[[:space:]]+[1-9]' || fail "there is no log"

through_mount
