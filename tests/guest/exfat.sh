#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The exFAT reader against the tree that exfat-fuse wrote: clusters of 512
# and 4096 bytes, fragmented files, a directory of 2,000 entries. Needs root,
# a loop device (exfat-fuse mounts block devices alone), mkfs.exfat and
# exfat-fuse.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/guest/through.sh
. "$(dirname "$0")/through.sh"
requires root fuse loop mkfs.exfat mount.exfat-fuse python3

dump=$(find_program tests/guest/dump)
[ -n "$dump" ] || fail "tests/guest/dump is not built"
tree=$tests/guest/plain_tree.py
through='cluster-512'
many=2000 few=200 depth=20
[ -z "${SOAK:-}" ] || many=12000 few=12000 depth=40
dir=$tmp/mnt
loop=
mkdir "$dir"

release() {
	if is_mounted "$dir"; then
		umount "$dir" || umount -l "$dir"
	fi
	if [ -n "$loop" ]; then
		losetup -d "$loop" || true
	fi
	loop=
}
cleanup_fn release

# check NAME SIZE CLUSTER MANY
check() {
	local image=$tmp/$1 size=$2 cluster=$3 many=$4 source=$tmp/$1.tree
	truncate -s "$size" "$image"
	expect 0 mkfs.exfat -L LABEL -c "$cluster" -b "$cluster" "$image"
	expect 0 "$tree" make "$source" "$cluster" --many "$many" \
		--depth $depth
	loop=$(losetup -f --show "$image")
	expect 0 mount.exfat-fuse "$loop" "$dir" -o rw,noatime
	cp -r --preserve=timestamps "$source/." "$dir"
	for where in "$source" "$dir"; do
		expect 0 "$tree" holes "$where" "$cluster"
		expect 0 "$tree" refill "$where" "$cluster"
	done
	release
	"$tests/reader/manifest.py" "$source" >"$tmp/want"
	expect 0 "$dump" exfat "$image"
	mv "$tmp/out" "$tmp/got"
	expect 0 "$tests/guest/plain_same.py" "$tmp/want" "$tmp/got"
	note "$1: $(head -n 1 "$tmp/out")"
	keep "$1" "$image" "$tmp/want" plain_same
	rm -rf "$source" "$image"
}

check cluster-512 40M 512 $many
[ -z "${SOAK:-}" ] || check cluster-1024 80M 1024 $many
check cluster-4096 150M 4096 $few
through_mount
