#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Bytes of packs flipped: the mount answers with an error for what is hit, never
# with other bytes, and lives on. What check says of damage is in
# tests/unit/test_corpus.c.
. "$(dirname "$0")/../lib.sh"
requires fuse python3

mkdir "$tmp/source" "$tmp/source/dir"
for i in 1 2 3; do
	head -c $((i * 150000)) /dev/urandom >"$tmp/source/random-$i"
	seq 1 $((i * 3000)) >"$tmp/source/dir/text-$i"
	echo "small $i" >"$tmp/source/dir/small-$i"
done
setfattr -n user.x -v y "$tmp/source/dir/small-1" 2>/dev/null || true
new_vault
expect 0 vmb backup --vm web1 "$tmp/source"
echo more >>"$tmp/source/dir/small-2"
expect 0 vmb backup --vm web1 "$tmp/source"
expect 0 vmb check --read-data

# Through the mount: each data and tree pack, hit in turn.
new_vault victim
rm -rf "$vault"
hits=0
while IFS= read -r object; do
	size=$(stat -c %s "$tmp/vault/$object")
	for at in 200 $((size / 3)) $((size / 2)) $((size * 2 / 3)); do
		cp -a "$tmp/vault" "$vault"
		rm -rf "$cache"
		python3 -c 'import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(int(sys.argv[2])); b = f.read(1)
    f.seek(-1, 1); f.write(bytes([b[0] ^ 0x40]))' "$vault/$object" "$at" \
		2>/dev/null || { chmod u+w "$vault/$object"; fail "flip"; }
		start_mount "$vault" "$tmp/mnt"
		pid=$(mount_pid "$tmp/mnt")
		r=0
		"$tests/compare.py" "$tmp/source" \
			"$tmp/mnt/vms/web1/latest/files$tmp/source" \
			>"$tmp/differences" 2>&1 || r=$?
		# An error, never bytes: only "error:" lines are right, and an
		# intact tree where the flip hit what only the first point has.
		if grep -Ev ': error: .*(Input/output error|Errno 5)|^compare.py: .*Errno 5' \
			"$tmp/differences" >"$tmp/wrong"; then
			cat "$tmp/wrong" >&2
			fail "$object damaged at $at: not an error"
		fi
		[ $r = 0 ] || hits=$((hits + 1))
		kill -0 "$pid" || fail "the mount died"
		ls "$tmp/mnt/vms" >/dev/null || fail "the mount does not list"
		stop_mount "$tmp/mnt"
		rm -rf "$vault"
	done
done < <(cd "$tmp/vault" && find pack -type f)
[ $hits -gt 0 ] || fail "no flip hit anything"
note "$hits flips met as errors"
