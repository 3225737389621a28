#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Files that change or vanish while they are read: reported, the point marked
# incomplete, exit code 3, and every other file right. Another process does it
# whenever the backup opens or reads a file.
. "$(dirname "$0")/../lib.sh"
requires root python3 fanotify

s=$tmp/source
tmpfs_at "$s"
echo first >"$s/a-first"
head -c 3000000 /dev/urandom >"$s/cut"
head -c 200000 /dev/urandom >"$s/growing"
head -c 5000000 /dev/urandom >"$s/growing-large"
truncate -s 4M "$s/growing-sparse"
echo end >>"$s/growing-sparse"
for name in left replaced vanished; do
	echo $name >"$s/$name"
done
head -c 100000 /dev/urandom >"$s/steady"
cp -a "$s" "$tmp/before"
new_vault

# One thread reads them, in order: when a-first is opened the rest was listed.
watch_opens "$s" open a-first remove "$s/vanished" \
	open a-first fifo "$s/replaced" \
	open left remove "$s/left" read cut truncate 1000000 \
	read growing append read growing-large append \
	read growing-sparse append
expect 3 vmb backup --vm web1 --threads 1 "$s"
end_watch
cp "$tmp/err" "$tmp/said"
says 'source/vanished: vanished before it was read'
says 'source/replaced: was replaced by something else while it was read'
for name in growing growing-large growing-sparse; do
	says "source/$name: changed while it was read"
done
says '5 files or directories could not be read whole'
says 'incomplete'
# What held still in the end is whole; what was removed after it had been
# opened could be read.
for name in a-first cut left steady; do
	grep -q "source/$name:" "$tmp/said" && fail "complained of $name"
done

expect 0 vmb points --json
[ "$(python3 -c 'import json, sys
p = json.load(sys.stdin)[-1]
print(p["incomplete"], p["error_count"])' <"$tmp/out")" = "True 5" ] ||
	fail "the point is not marked: $(cat "$tmp/out")"

expect 0 vmb ls "web1:files$s"
[ "$(tr '\n' ' ' <"$tmp/out")" = "a-first cut growing growing-large \
growing-sparse left steady " ] || fail "not what it holds: $(cat "$tmp/out")"
# is NAME BYTES...: it has so many bytes, the first of them those of before.
is() {
	local size
	expect 0 vmb cat "web1:files$s/$1"
	size=$(stat -c %s "$tmp/out")
	[ "$size" -ge "$2" ] && [ "$size" -le "$3" ] ||
		fail "$1 has $size bytes"
	cmp -n "$2" "$tmp/out" "$tmp/before/$1" || fail "$1: wrong bytes"
}
is a-first 6 6
is left 5 5
is steady 100000 100000
is cut 1000000 1000000
is growing 200000 200100
is growing-large 5000000 5000100
is growing-sparse 4194308 4194408
# As long as it is said to be.
expect 0 vmb check --read-data
expect 0 vmb restore "web1:files$s" --target "$tmp/restored" --verify
[ "$(stat -c %s "$tmp/restored/growing")" -ge 200000 ] || fail "growing"
expect 0 vmb ls -l "web1:files$s/left"
prints '^-[-rwx]* +1 '

# The next backup finds all of it at rest.
expect 0 vmb backup --vm web1 "$s"
expect 0 vmb cat "web1:files$s/growing-large"
cmp "$tmp/out" "$s/growing-large" || fail "growing-large, when it is at rest"
