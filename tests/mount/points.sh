#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Five points of a changing tree: each one exactly what the source was, what
# differs between any two is what a comparison of copies finds, and the vault
# grows with the change, not with the tree.
. "$(dirname "$0")/../lib.sh"
requires fuse python3

rounds=5
source=$tmp/source
mkdir "$tmp/copies" "$source"
"$tests/fixture.py" make "$tmp/made" --small 2>/dev/null
mv "$tmp/made/main" "$source/main"
new_vault

size() { du -sb --apparent-size "$1" | cut -f 1; }

ids=()
for i in $(seq $rounds); do
	[ "$i" = 1 ] || "$tests/fixture.py" mutate "$source" "$i" 2>/dev/null
	cp -a "$source/main" "$tmp/copies/$i"
	before=$(size "$vault")
	expect 0 vmb backup --vm web1 --json "$source"
	ids+=("$(python3 "$tests/json_field.py" point_id <"$tmp/out")")
	grown=$(($(size "$vault") - before))
	[ "$i" = 1 ] && continue
	bound=$("$tests/tree_diff.py" --bound "$tmp/copies/$((i - 1))" \
		"$tmp/copies/$i")
	note "point $i: $grown bytes more, at most $bound"
	[ "$grown" -le "$bound" ] || fail "the vault grew by $grown bytes"
done

# Nothing changed: --skip-if-unchanged makes no point, and stores nothing but that
# it did not. The least change is one.
objects() { (cd "$vault" && find point pack index -type f | sort); }
skips() {
	objects >"$tmp/before"
	expect 0 vmb backup --vm web1 --skip-if-unchanged --json "$source"
	[ "$(python3 "$tests/json_field.py" skipped <"$tmp/out")" = "$1" ] ||
		fail "skipped is not $1: $(cat "$tmp/out")"
	if [ "$1" = true ]; then
		objects | cmp "$tmp/before" - || fail "skipped, but stored"
	fi
}
skips true
chmod 751 "$source/main"
skips false
skips true
touch -h -d 2001-02-03T04:05:06.7Z "$source/main/symlinks/relative"
skips false
mv "$source/main/regular/random-1" "$source/main/regular/random-one"
skips false
mv "$source/main/regular/random-one" "$source/main/regular/random-1"
skips false
ln "$source/main/regular/random-1" "$tmp/outside"
skips false
skips true

expect 0 vmb check --read-data

start_mount "$vault" "$tmp/mnt"
for i in $(seq $rounds); do
	id=${ids[i - 1]}
	same "$tmp/copies/$i" "$tmp/mnt/ids/${id:0:8}/files$source/main" \
		--holes loose
done
note "$rounds points are what the source was"

for i in $(seq $rounds); do
	for j in $(seq $rounds); do
		expect 0 vmb diff --json --metadata "${ids[i - 1]}" "${ids[j - 1]}"
		"$tests/tree_diff.py" --check "$tmp/out" "$source/main" \
			"$tmp/copies/$i" "$tmp/copies/$j" ||
			fail "diff of points $i and $j"
	done
done
note "diff agrees with the comparison of copies"

# Every distinct version of one path, oldest or newest first.
expect 0 vmb versions --json "$source/main/regular/random-1"
stop_mount "$tmp/mnt"

# One file of many changed: a few leaves, whatever the size of the tree.
"$tests/fixture.py" many "$tmp/many" 20000 500
vault=$tmp/vault2
new_vault vault2
expect 0 vmb backup "$tmp/many"
first=$(size "$vault")
echo changed >"$tmp/many/00020/file-0010007"
before=$(size "$vault")
expect 0 vmb backup "$tmp/many"
grown=$(($(size "$vault") - before))
note "20,000 files: $first bytes; one changed: $grown more"
[ $grown -lt 131072 ] || fail "one change of 20,000 files took $grown bytes"
