#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Points that were forgotten long ago are removed, the space comes back, and all
# that is left is as it was, for a mount that reads meanwhile, too. What happens
# when something fails on the way is the business of tests/unit/test_prune.
. "$(dirname "$0")/../lib.sh"
requires python3 fuse
python3 -c 'import cryptography' 2>/dev/null ||
	skip "python3-cryptography is not installed"

sid=0123456789abcdef0123456789abcdef
forge() {
	expect 0 "$tests/reader/forge.py" "$vault" "$keyfile" "$@"
	# What was known of it is older.
	rm -rf "$cache"
}
# field EXPRESSION: of the JSON lines that were printed last, as a list o.
field() {
	python3 -c 'import json, sys
o = [json.loads(line) for line in open(sys.argv[1])]
o = [m for m in o if m["message_type"] != "status"]
print(eval(sys.argv[2]))' "$tmp/out" "$1"
}
packs() {
	find "$vault/pack" -type f -printf '%s\n' | awk '{ n += $1 }
		END { print n + 0 }'
}

# ---- points of which half are forgotten ----

new_vault
# Parity goes with its pack, and so does what an older program left; that of a pack
# that was lost stays.
parities() {
	(cd "$vault/parity" && find . -type f | sort)
}
lost=$vault/parity/00/$sid-0-00$(printf %062d 0)
mkdir "$tmp/source"
for n in 1 2 3 4; do
	rm -f "$tmp/source/own"
	head -c 600000 /dev/urandom >"$tmp/source/own"
	[ "$n" != 1 ] || head -c 600000 /dev/urandom >"$tmp/source/shared"
	cp -a "$tmp/source" "$tmp/kept-$n"
	expect 0 vmb backup -q --parity 1 --vm web \
		--time "2026-10-0${n}T02:00:00Z" "$tmp/source"
done
mkdir -p "$vault/parity/00"
echo >"$lost"
cp -a "$vault/parity" "$tmp/parity"
expect 0 vmb prune
prints 'nothing is due: 4 points'
expect 0 vmb forget -q web/2026-10-01T020000Z web/2026-10-02T020000Z
expect 0 vmb prune
prints '^2 forgotten points stay for now:'
prints 'web/2026-10-01T020000Z'
prints 'nothing is due'
expect 2 vmb prune something
expect 2 vmb prune --wait soon
expect 2 vmb prune --yes-remove all

# ---- they are due ----

start_mount "$vault" "$tmp/mnt" forgotten
mounted=$tmp/mnt/vms/web/2026-10-03T020000Z/files$tmp/source
head -c 1000 "$mounted/own" | cmp - <(head -c 1000 "$tmp/kept-3/own")
forge age 15
objects=$(find "$vault" -type f | sort)
# Too much goes for nobody to say so.
expect 1 vmb prune
prints '^2 forgotten points go:'
says '2 of 4 points and ([0-9]+) of [0-9]+ packs would go'
expect 0 vmb prune -n --json
count=$(field 'o[0]["remove_count"]')
[ "$(field 'o[0]["packs_to_rewrite"]')" = 1 ] || fail "$(cat "$tmp/out")"
expect 0 vmb prune -n
prints "it goes with --yes-remove $count"
expect 1 vmb prune --yes-remove $((count + 1))
[ "$objects" = "$(find "$vault" -type f | sort)" ] ||
	fail "something was removed: $(find "$vault" -type f)"
before=$(packs)

# A backup on another machine may use what would go.
forge session "$sid"
expect 11 vmb prune --yes-remove "$count" --wait 0s
says 'waiting for a backup on far-away'
[ "$(packs)" = "$before" ] || fail "packs went beside a backup"
[ -z "$(ls "$vault/tomb")" ] || fail "a tomb was left"
rm "$vault/session/$sid"
expect 2 vmb gc --max-unused 5
expect 2 vmb gc --max-unused 101%
expect 2 vmb gc --max-unused many
expect 2 vmb gc --max-repack much
# The points went before: what they leave goes now, and the number is the same.
expect 0 vmb gc --json --yes-remove "$count"
[ "$(field 'o[0]["points_removed_before"]')" = 2 ] || fail "$(cat "$tmp/out")"
[ "$(field 'o[-1]["points_removed"]')" = 0 ] || fail "$(cat "$tmp/out")"
[ "$(field 'o[-1]["bytes_before"]')" = "$before" ] || fail "$(cat "$tmp/out")"
[ "$(field 'o[-1]["bytes_after"]')" = "$(packs)" ] || fail "$(cat "$tmp/out")"
# Three files of 600000 bytes are left, of five, and small things.
[ "$(packs)" -lt 1890000 ] || fail "$(packs) bytes are left"
removed=$(comm -23 <(cd "$tmp/parity" && find . -type f | sort) <(parities))
[ -n "$removed" ] || fail "no parity was removed"
[ -e "$lost" ] || fail "parity of a lost pack was removed"
for name in $(parities); do
	[ "$vault/parity/$name" -ef "$lost" ] || [ -e "$vault/pack/$name" ] ||
		fail "the parity of a pack that was removed is there: $name"
done
for name in $removed; do
	[ ! -e "$vault/pack/$name" ] || fail "$name was needed"
	mkdir -p "$vault/parity/${name%/*}"
	cp "$tmp/parity/$name" "$vault/parity/$name"
done
before=$(parities)
expect 0 vmb prune
for name in $removed; do
	[ ! -e "$vault/parity/$name" ] || fail "$name was left"
done
[ "$(parities | wc -l)" = "$(($(wc -w <<<"$before") - $(wc -w <<<"$removed")))" ] ||
	fail "other parity was removed"
rm "$lost"
note "removed"

# ---- what is left is whole ----

cmp "$mounted/own" "$tmp/kept-3/own" || fail "the mount reads something else"
cmp "$mounted/shared" "$tmp/kept-3/shared" || fail "the mount lost a file"
stop_mount "$tmp/mnt"
for n in 3 4; do
	expect 0 vmb restore "web/2026-10-0${n}T020000Z" --target "$tmp/got-$n"
	diff -r "$tmp/kept-$n" "$tmp/got-$n$tmp/source" || fail "point $n"
done
expect 0 vmb check --read-data
prints 'no damage found'
expect 0 vmb --no-cache --forgotten points
prints '^2 points'
expect 0 "$tests/reader/vmbackup_reader.py" "$vault" --key-file "$keyfile" \
	verify
expect 0 vmb compact
prints 'nothing is due: 2 points'
expect 0 vmb prune --max-unused unlimited
prints 'nothing is due: 2 points'
expect 0 vmb prune --max-unused 1G
prints 'nothing is due: 2 points'
expect 0 vmb prune --max-unused 0
# What is backed up again is stored again.
expect 0 vmb backup -q --vm web "$tmp/kept-2"
expect 0 vmb restore web/latest --target "$tmp/got-2"
diff -r "$tmp/kept-2" "$tmp/got-2$tmp/kept-2" || fail "point 2, again"
note "whole"

# ---- on a disk that is full ----

[ "$(id -u)" = 0 ] || exit 0
mkdir "$tmp/small"
mount -t tmpfs -o size=6M none "$tmp/small"
cleanup_fn umount "$tmp/small"
new_vault small/vault
for n in 1 2 3; do
	expect 0 vmb backup -q --vm "m$n" --time "2026-10-0${n}T02:00:00Z" \
		"$tmp/kept-$n"
done
for n in 4 5 6; do
	expect 0 vmb backup -q --vm "m$n" "$keyfile"
done
# Not even a sign of life has room.
prune_full() {
	expect 0 vmb forget -q --unsafe-allow-remove-all "$1"
	forge age 15
	cat /dev/zero >>"$tmp/small/filler" 2>/dev/null || true
	[ "$(df --output=avail -B 1 "$tmp/small" | tail -n 1)" -eq 0 ] ||
		fail "there is room left"
	before=$(packs)
	expect 0 vmb prune -n --json
	count=$(field 'o[0]["remove_count"]')
	expect 0 vmb prune --yes-remove "$count"
	says 'is full: what is kept there for that makes room'
	[ "$(packs)" -lt $((before - 500000)) ] ||
		fail "$(packs) of $before left"
}
# What backups left makes room, and then what the prune before did.
prune_full m2/latest
[ -z "$(ls "$vault/session")" ] || fail "sessions were left"
reserve=$(ls "$vault/reserve")
prune_full m3/latest
[ "$reserve" != "$(ls "$vault/reserve")" ] || fail "the reserve was not used"
expect 0 vmb check --read-data
prints 'no damage found'
