#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A key that adds points and reads none, as its owner and the vault's use it: what
# it adds is restored by who has the vault's keys, and by the second reader.
. "$(dirname "$0")/../lib.sh"
requires python3 zstd fuse namespaces
python3 -c 'import cryptography' 2>/dev/null ||
	skip "python3-cryptography is not installed"

reader=$tests/reader/vmbackup_reader.py
forge=$tests/reader/forge.py
source=$tmp/source
mkdir "$source"
for i in $(seq 20); do
	head -c $((i * 9000)) /dev/urandom >"$source/file$i"
done
ln -s file1 "$source/link"
new_vault

# put VERB...: with the key that only adds, and a cache of its own.
put() {
	"$vmbackup" -r "$vault" --key-file "$tmp/put.key" \
		--cache-dir "$tmp/put-cache" "$@"
}
# A point of what the source is, by that key; its id is in $id.
adds() {
	expect 0 put backup --json "$@" "$source"
	id=$(python3 "$tests/json_field.py" point_id <"$tmp/out")
}
# How many bytes packs take; and whether that is more than $before, and not only for
# what is above the source, which changes as tests go on.
stored() {
	find "$vault/pack" -type f -printf '%s\n' | awk '{ n += $1 } END { print n + 0 }'
}
grown() {
	[ "$(stored)" -gt $((before + ${1:-30000})) ]
}
# restored ID: what the vault's owner restores is what the source is now.
restored() {
	rm -rf "$tmp/restored"
	expect 0 vmb restore "$1:files$source" --target "$tmp/restored"
	diff -r "$source" "$tmp/restored" || fail "another tree"
}

# ---- the key ----

expect 2 vmb key add --put-only --new-key-file "$tmp/put.key"
says 'whose points may the key add'
expect 2 vmb key add --put-only --machine web1 --any-machine \
	--new-key-file "$tmp/put.key"
expect 2 vmb key add --any-machine --new-key-file "$tmp/put.key"
expect 2 vmb key list --put-only
[ ! -e "$tmp/put.key" ] || fail "a key was made all the same"
expect 0 vmb key add --put-only --machine web1 --new-key-file "$tmp/put.key"
expect 0 vmb key list
prints 'put-only, keyfile'
expect 0 put key list --json
prints '"put_only": *true'

# ---- what it adds ----

expect 1 put backup --vm db1 "$source"
says 'adds points of machine web1 alone'
adds
first=$id
before=$(stored)
adds
! grown || fail "stored again what is there"
echo changed >>"$source/file3"
adds --vm web1 --tag nightly
! grown 80000 || fail "stored again what did not change"
second=$id
restored "$id"
expect 0 vmb points
prints '^3 points$'
prints 'web1/.* nightly '
expect 0 vmb check --read-data
expect 0 "$reader" "$vault" --key-file "$keyfile" verify
expect 0 "$reader" "$vault" --key-file "$keyfile" restore "$id" "$tmp/again"
diff -r "$source" "$tmp/again$source" || fail "the second reader: another tree"
start_mount "$vault" "$tmp/mnt"
diff -r "$source" "$tmp/mnt/vms/web1/latest/files$source" ||
	fail "the mount: another tree"
stop_mount "$tmp/mnt"

# Its owner has the same content stored by another key: nobody relies on what the key
# that only adds has stored.
before=$(stored)
expect 0 vmb backup --vm db1 "$source"
grown || fail "relied on what was put"
# And without what this machine has kept, all is stored again.
rm -rf "$tmp/put-cache"
before=$(stored)
adds
grown || fail "nothing was stored"
restored "$id"

# ---- what it does not do ----

listing() {
	(cd "$vault" && find . -type f | sort | sha256sum)
}
state=$(listing)
while read -r verb; do
	# shellcheck disable=SC2086 # operands
	expect 12 put $verb
	says 'this key adds points and reads none'
done <<END
points
ls web1
cat web1/latest:files/etc/hosts
find web1/latest
diff $first $second
versions web1/latest:files/etc/hosts
stats
check
repair index
note $first --text stolen
tag $first --add stolen
protect $first
forget $first
undelete $first
prune -n
prune
rename web1 db2
rewrite $first --exclude file1
restore $first --target $tmp/none
key add --new-key-file $tmp/none.key
key remove $first
key rotate
mount $tmp/mnt
END
[ "$(listing)" = "$state" ] || fail "the vault has changed"
[ ! -e "$tmp/none" ] && [ ! -e "$tmp/none.key" ] || fail "something was made"

# ---- collection ----

# The points go, and what they alone needed; the key's owner goes on, and uses
# nothing that went.
python3 "$forge" "$vault" "$keyfile" wish "$first"
python3 "$forge" "$vault" "$keyfile" wish "$second"
expect 0 vmb prune -n --json
count=$(python3 "$tests/json_field.py" remove_count <"$tmp/out")
expect 0 vmb prune --yes-remove "$count"
prints '^removed 2 points'
for i in 1 2; do
	adds
	restored "$id"
done
expect 0 vmb check --read-data
expect 0 "$reader" "$vault" --key-file "$keyfile" verify

# ---- rotation ----

expect 0 vmb key rotate
prints 'opens only what was written before'
expect 12 put backup "$source"
says "the vault's keys were rotated"
expect 0 vmb key add --put-only --any-machine --new-key-file "$tmp/put2.key"
mv "$tmp/put2.key" "$tmp/put.key"
adds --vm db7
restored "$id"
adds --vm web1
restored "$id"
expect 0 "$reader" "$vault" --key-file "$keyfile" restore "$id" "$tmp/third"
diff -r "$source" "$tmp/third$source" || fail "the second reader: another tree"
expect 0 vmb check --read-data
