#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The FAT reader against the tree that mtools wrote: FAT12, FAT16 and FAT32,
# sectors of 512 and 4096 bytes, fragmented files, a directory of 3,000 entries.
# Needs no root.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/guest/through.sh
. "$(dirname "$0")/through.sh"
requires fuse mkfs.vfat mcopy mdel mdir python3
export MTOOLS_SKIP_CHECK=1 MTOOLSRC=/dev/null

dump=$(find_program tests/guest/dump)
[ -n "$dump" ] || fail "tests/guest/dump is not built"
tree=$tests/guest/plain_tree.py
through='fat12 fat16 fat32'
many=3000 depth=20
[ -z "${SOAK:-}" ] || many=12000 depth=40

# What mtools 4.0 writes otherwise than it is named: units over 16 bits are cut,
# combining letters lost.
lost=(--skip $'./names/emoji-\U1f600\U1f680' --skip $'./names/emoji-\uf600\uf680'
	--skip $'./names/\U1f389' --skip $'./names/\uf389'
	--skip $'./names/e\u0301' --skip ./names/e)

# compare IMAGE DIR
compare() {
	"$tests/reader/manifest.py" "$2" >"$tmp/want"
	expect 0 "$dump" vfat "$1"
	mv "$tmp/out" "$tmp/got"
	# mtools does not set the times of directories.
	expect 0 "$tests/guest/plain_same.py" "$tmp/want" "$tmp/got" \
		--no-dir-times "${lost[@]}"
	note "${1##*/}: $(head -n 1 "$tmp/out")"
}

# check NAME SIZE CLUSTER MANY OPTION...
check() {
	local image=$tmp/$1 size=$2 cluster=$3 many=$4 dir=$tmp/$1.tree
	local fillers=() i
	shift 4
	truncate -s "$size" "$image"
	expect 0 mkfs.vfat "$@" -n LABEL "$image"
	expect 0 "$tree" make "$dir" "$cluster" --many "$many" \
		--depth $depth
	expect 0 mcopy -i "$image" -s -m -Q "$dir"/* ::
	compare "$image" "$dir"
	# Holes in the allocation, and files that fill them in pieces.
	for ((i = 0; i < 200; i += 2)); do
		fillers+=("::/fillers/f$i")
	done
	expect 0 mdel -i "$image" "${fillers[@]}"
	expect 0 "$tree" holes "$dir" "$cluster"
	expect 0 "$tree" refill "$dir" "$cluster"
	expect 0 mcopy -i "$image" -m -Q "$dir"/fillers/in-pieces-* ::/fillers
	compare "$image" "$dir"
	keep "${image##*/}" "$image" "$tmp/want" plain_same --no-dir-times \
		"${lost[@]}"
	rm -rf "$dir" "$image"
}

if [ -z "${SOAK:-}" ]; then
	check fat12 15M 4096 100 -F 12 -s 8
	check fat16 60M 2048 2000 -F 16 -s 4
	check fat32 70M 512 $many -F 32 -s 1
	check sectors-4096 300M 4096 100 -F 32 -S 4096 -s 1
else
	# FAT12 has 4,084 clusters at most.
	check fat12 126M 32768 $many -F 12 -s 64
	check fat16 60M 2048 $many -F 16 -s 4
	check fat16-1k 60M 1024 $many -F 16 -s 2
	check fat32 70M 512 $many -F 32 -s 1
	check sectors-4096 300M 4096 $many -F 32 -S 4096 -s 1
fi
through_mount
