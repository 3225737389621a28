#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# What is said of points and machines after they were made: notes, and names
# that machines are given.
. "$(dirname "$0")/../lib.sh"
requires python3

mkdir "$tmp/source"
echo hello >"$tmp/source/file"
new_vault
expect 0 vmb backup --vm web1 --tag old "$tmp/source"
expect 0 vmb backup --vm db1 "$tmp/source"

# of MEMBER: of each point in the last list, once each.
of() {
	python3 -c 'import json, sys
for value in sorted({p[sys.argv[1]] for p in json.load(sys.stdin)}):
    print(value)' "$1" <"$tmp/out"
}

# ---- notes ----

expect 0 vmb note web1/latest --text "before the upgrade" --tag gold \
	--untag old --protect
expect 0 vmb note web1/latest --verified
expect 0 vmb note web1/latest
prints 'text  before the upgrade$'
prints 'tag  gold$'
prints '@.*  verified$'
expect 0 vmb points
prints 'web1/.*protected.*gold'
expect 0 vmb points --tag gold --json
[ "$(of vm)" = web1 ] || fail "the tag"
expect 0 vmb points --tag old
prints '^0 points'
# Another client, which has no cache, sees the same.
expect 0 vmb --no-cache note web1/latest --json
python3 - "$tmp/out" <<-'EOF' || fail "notes as JSON"
	import json, sys
	o = json.load(open(sys.argv[1]))
	assert o["protected"] is True, o
	assert [n["kind"] for n in o["notes"]] == [
	    "text", "tag", "untag", "protect", "verified"], o
	assert all(n["by"] and n["time"] for n in o["notes"]), o
EOF
expect 0 vmb note web1/latest --unprotect
expect 0 vmb points
if grep -q protected "$tmp/out"; then
	fail "it is protected still"
fi
expect 2 vmb note
expect 2 vmb note web1/latest --tag a/b
says 'cannot be a tag'
expect 1 vmb note nobody/latest --text x
expect 2 vmb note web1/latest --protect --unprotect
# All or none, for nobody can take back what was noted; and each point once.
count=$(ls "$vault/note" | wc -l)
expect 2 vmb note web1/latest --text good --tag bad/tag
expect 1 vmb note web1/latest nope --text x
expect 1 vmb note web1/latest db1/latest --text x --untag old
says 'no tag "old"'
[ "$(ls "$vault/note" | wc -l)" = "$count" ] || fail "some of it was noted"
expect 0 vmb note db1 db1/latest --text one --text two --json
prints '"notes": ?2'
[ "$(ls "$vault/note" | wc -l)" = $((count + 2)) ] || fail "noted twice"
# A note that cannot be read hides nothing, and may be the one that protects.
chmod -R u+w "$vault"
last=$(find "$vault/note" -name '*-5')
flip "$last" 120
expect 0 vmb --no-cache points
prints 'web1/.*protected'
expect 13 vmb check
says 'note/'
expect 0 vmb note web1/latest --unprotect
expect 0 vmb points
if grep -q protected "$tmp/out"; then
	fail "a later note does not end it"
fi
# Nor can one that is gone, though it was there, for a later one is.
rm "$last"
expect 0 vmb check -v
says 'note/.*-5: a note that was put is missing$'
expect 0 vmb note web1/latest --protect
expect 0 vmb note web1/latest --text "after it"
rm "${last%-5}-7"
expect 0 vmb --no-cache points
prints 'web1/.*protected'
expect 13 vmb check
says 'note/.*-7.*may be one that protects'
expect 0 vmb note web1/latest --unprotect
expect 0 vmb points
if grep -q protected "$tmp/out"; then
	fail "it is protected still"
fi
# The last one is missed by whoever has seen it, and until that is accepted nothing
# is forgotten.
expect 0 vmb note web1/latest --protect
last=$(ls -v "${last%-5}"-* | tail -n 1)
mv "$last" "$tmp/last"
expect 17 vmb forget web1/latest --unsafe-allow-remove-all
says 'gone: a note, which may protect it, on the point'
mv "$tmp/last" "$last"
expect 1 vmb forget web1/latest --unsafe-allow-remove-all
says 'is protected'
expect 0 vmb note web1/latest --unprotect
note notes

# ---- names ----

expect 0 vmb points --vm web1 --json
id=$(of machine)
expect 0 vmb rename web1 shop
expect 0 vmb ls shop/latest:files"$tmp/source"
prints file
expect 1 vmb ls web1/latest
expect 0 vmb backup --vm shop "$tmp/source" --json
expect 0 vmb points --vm shop --json
[ "$(of machine)" = "$id" ] ||
	fail "the history is not one machine's"
expect 0 vmb backup --vm shop "$tmp/source" -v
# The old name is another machine's.
expect 0 vmb backup --vm web1 "$tmp/source"
expect 0 vmb points --vm web1 --json
[ "$(of machine)" != "$id" ] ||
	fail "two machines have one id"
expect 1 vmb rename shop db1
says 'called so already'
expect 1 vmb rename nobody x
expect 2 vmb rename shop a/b
# A word that means the latest point of all names no machine.
expect 2 vmb rename shop latest~1
expect 2 vmb backup --vm latest "$tmp"
says 'no machine can be called "latest"'
expect 2 vmb rename shop
# And back: what counts is the last name.
expect 0 vmb rename shop shop2
expect 0 vmb rename shop2 shop
expect 0 vmb --no-cache points --vm shop
prints '^3 points'
expect 0 vmb check
# One that cannot be read is not taken for none, and can be given anew.
name=$(find "$vault/machine" -name "$id-*" | sort -V | tail -n 1)
expect 0 vmb rename shop store
name=${name%-*}-$((${name##*-} + 1))
flip "$name" 120
expect 13 vmb --no-cache points
says 'what this machine is called now is lost or cannot be read'
prints ' shop/'
expect 13 vmb --no-cache ls shop/latest
prints files
expect 13 vmb --no-cache backup --vm store "$tmp/source"
says 'store: no machine is known to be called so'
expect 0 vmb --no-cache rename shop shop
expect 0 vmb --no-cache points --vm shop
prints '^3 points'
note names

# ---- in the mount ----

start_mount "$vault" "$tmp/mnt"
[ -e "$tmp/mnt/vms/shop/latest/files$tmp/source/file" ] || fail "shop"
expect 0 vmb rename shop market
await 20 test -e "$tmp/mnt/vms/market/latest/files$tmp/source/file" ||
	fail "market"
await 20 test ! -e "$tmp/mnt/vms/shop" || fail "shop is there still"
[ "$(ls "$tmp/mnt/vms/market" | grep -c Z)" = 3 ] || fail "points of market"
stop_mount "$tmp/mnt"
note mount

# ---- root in somebody's vault ----

# nobody_vmb ARG...: as the one whose vault it is.
nobody_vmb() {
	as_nobody "$tmp/bin/vmbackup" -r "$tmp/theirs" --key-file "$tmp/home/key" \
		--cache-dir "$tmp/home/cache" "$@"
}
if [ "$(id -u)" = 0 ]; then
	open_programs
	mkdir "$tmp/theirs" "$tmp/home"
	chown 65534:65534 "$tmp/theirs" "$tmp/home"
	expect 0 as_nobody "$tmp/bin/vmbackup" -r "$tmp/theirs" init \
		--new-key-file "$tmp/home/key"
	expect 0 nobody_vmb backup --vm www "$tmp/source"
	root=("$vmbackup" -r "$tmp/theirs" --key-file "$tmp/home/key"
		--cache-dir "$tmp/cache")
	expect 0 "${root[@]}" note www --text 'by root'
	expect 0 "${root[@]}" rename www web
	expect 0 "${root[@]}" backup --vm web "$tmp/source"
	[ -z "$(find "$tmp/theirs" -uid 0)" ] ||
		fail "root left what is his: $(find "$tmp/theirs" -uid 0)"
	expect 0 nobody_vmb backup --vm web "$tmp/source"
	expect 0 nobody_vmb check
	# What may not be read all the same ends no other thing.
	object=$(find "$tmp/theirs/note" -type f)
	chown 0:0 "$object"
	chmod 600 "$object"
	expect 0 nobody_vmb --no-cache points
	prints 'web/.*protected'
	expect 0 nobody_vmb backup --vm web "$tmp/source"
	object=$(find "$tmp/theirs/index" -type f | head -n 1)
	chown 0:0 "$object"
	chmod 600 "$object"
	expect 0 nobody_vmb --no-cache restore web/latest --target "$tmp/home/got"
	expect 13 nobody_vmb check
	says 'cannot be read'
	# That one user may not read a pack does not make it damaged for all.
	object=$(find "$tmp/theirs/pack" -type f | head -n 1)
	chown 0:0 "$object"
	chmod 600 "$object"
	expect 13 nobody_vmb check --read-data
	[ -z "$(find "$tmp/theirs/quarantine" -type f)" ] ||
		fail "a pack is in quarantine for its rights"
	note "root in somebody's vault"
fi

# A clock was wrong: the point of the future is marked.
expect 0 vmb backup --vm future --time 2250-01-01T00:00:00Z "$tmp/source"
expect 0 vmb points --vm future
prints 'future/2250-01-01T000000Z \(in the future\)'
expect 0 vmb points --json
prints '"in_future":true'
prints '"in_future":false'
# What decides of it in a policy is seen, too.
expect 0 vmb note future/2250-01-01T000000Z --verified --suspicious
expect 0 vmb forget --keep 7d future/2250-01-01T000000Z
expect 0 vmb points --vm future
prints 'future/.* \(suspicious\) \(in the future\)'
expect 0 vmb points --json --vm future
prints '"suspicious":true,"verified":true,"keep_until":"20'
expect 0 vmb backup --vm future "$tmp/source"
says 'future/2250-01-01T000000Z is dated in the future'
