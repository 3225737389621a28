#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# What is looked at is read, and nothing else: the mount's own counters of
# reads, in a point of 200,000 files. SOAK=1: a million.
. "$(dirname "$0")/../lib.sh"
requires fuse python3

count=200000
[ -z "${SOAK:-}" ] || count=1000000

source=$tmp/source
tmpfs_at "$source" nr_inodes=0
"$tests/fixture.py" many "$source/many" $count $((count / 200))
middle=many/00100
for i in 1 2 3; do
	echo "small $i" >"$source/$middle/file-$i"
done
head -c 20000000 /dev/urandom >"$source/large"
new_vault
expect 0 vmb backup --vm web1 "$source"
shown=$tmp/mnt/vms/web1/latest/files$source

# costs WHAT NODES FRAMES COMMAND...: on a mount of its own, whose memory is
# empty, COMMAND takes at most so many nodes and frames, and a read for each.
costs() {
	local what=$1 nodes=$2 frames=$3 r f n
	shift 3
	start_mount "$vault" "$tmp/mnt"
	r=$(stat_of "$tmp/mnt" 'backend reads')
	"$@" >"$tmp/out" || fail "$what"
	r=$(($(stat_of "$tmp/mnt" 'backend reads') - r))
	f=$(stat_of "$tmp/mnt" frames)
	n=$(stat_of "$tmp/mnt" 'tree nodes')
	note "$what: $r reads, $f frames, $n tree nodes"
	[ "$n" -gt 0 ] || fail "$what: no nodes are counted"
	[ "$n" -le "$nodes" ] || fail "$what: more than $nodes nodes"
	[ "$f" -le "$frames" ] || fail "$what: more than $frames frames"
	[ "$r" -le $((nodes + frames)) ] ||
		fail "$what: more than $((nodes + frames)) reads"
	stop_mount "$tmp/mnt"
}

# A node holds 64 entries or children at least, some 300 entries mostly; so the
# tree is three nodes high. Its top directories are in its first leaf.
costs "ls of the top" 3 0 ls "$shown"
[ "$(cat "$tmp/out")" = "$(printf 'large\nmany')" ] ||
	fail "not what is there: $(cat "$tmp/out")"
# Those 200 come next: three leaves more at most, below the same inner node.
costs "ls of 200 directories" 6 0 ls "$shown/many"
[ "$(wc -l <"$tmp/out")" = 200 ] || fail "not all of the directories"
# The root, and a leaf for the top, for its directory's name and for its own,
# with another inner node; then the frame that it shares with its neighbours.
costs "cat of a small file" 6 1 cat "$shown/$middle/file-2"
[ "$(cat "$tmp/out")" = "small 2" ] || fail "not what the file holds"

# Nothing is at hand but the key: opening the vault reads its config, key slot,
# commit, point, and the index. The rest as above.
rm -rf "$cache"
start_mount "$vault" "$tmp/mnt"
ls "$shown/many" >"$tmp/out"
[ "$(cat "$shown/$middle/file-3")" = "small 3" ] || fail "not file-3"
r=$(stat_of "$tmp/mnt" 'backend reads')
note "without local databases: $r reads"
[ "$r" -le 20 ] || fail "more than 20 reads"
stop_mount "$tmp/mnt"
