#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Where passwords and key files come from, and the keys of a vault.
. "$(dirname "$0")/../lib.sh"

v=$tmp/v
vm() {
	"$vmbackup" -r "$v" --no-cache "$@"
}

# A killed init leaves what it tried out, or a key slot; the next one makes the
# vault, and takes the slot away.
expect 0 vm init --new-key-file "$tmp/k0"
rm "$v/config" "$v/config.copy"
mkdir -p "$v/probe"
echo x >"$v/probe/0123"
cp -a "$v" "$tmp/left"
expect 0 vm init --new-key-file "$tmp/k00"
expect 0 vm --key-file "$tmp/k00" key list
prints "^\\*.* keyfile +20[0-9-]+.* $(id -un) +$(uname -n)"
[ "$(ls "$v/key" | wc -l)" = 1 ] || fail "the slot of no vault is still there"
expect 12 vm --key-file "$tmp/k0" points
# But where there is anything else, somebody needs that slot.
echo x >"$tmp/left/point/x"
expect 1 "$vmbackup" -r "$tmp/left" --key-file "$tmp/k0" init
says 'not empty'
[ "$(ls "$tmp/left/key" | wc -l)" = 1 ] || fail "init took a key slot away"
rm -rf "$v" "$tmp/left"

# A new key file: its own, private, never overwritten.
expect 0 vm init --new-key-file "$tmp/k1"
[ "$(stat -c '%a %s' "$tmp/k1")" = "600 32" ] || fail "the new key file"
sum=$(sha256sum <"$tmp/k1")
expect 1 "$vmbackup" -r "$tmp/other" init --new-key-file "$tmp/k1"
says 'exists'
[ "$(sha256sum <"$tmp/k1")" = "$sum" ] || fail "the key file was overwritten"
[ ! -e "$tmp/other" ] || fail "a vault was made without its key"
expect 1 vm init --new-key-file "$tmp/unused"
[ ! -e "$tmp/unused" ] || fail "a key of nothing was left"
expect 0 vm --key-file "$tmp/k1" points
expect 0 env VMBACKUP_KEY_FILE="$tmp/k1" "$vmbackup" -r "$v" --no-cache points

# Each way in for a password.
VMBACKUP_NEW_PASSWORD=secret expect 0 vm --key-file "$tmp/k1" key add \
	--kdf-cost 14 --label test
# Where there is none, the options are named that give a new one.
expect 12 setsid -w "$vmbackup" -r "$v" --no-cache --key-file "$tmp/k1" \
	key add </dev/null
says 'no new password.*--new-password-file'
printf 'secret\nmore\n' >"$tmp/pass"
printf 'wrong\n' >"$tmp/wrong"
chmod 600 "$tmp/pass" "$tmp/wrong"
expect 0 vm -p "$tmp/pass" points
expect 0 vm --password-command "cat '$tmp/pass'" points
expect 0 env VMBACKUP_PASSWORD=secret "$vmbackup" -r "$v" --no-cache points
expect 0 env VMBACKUP_PASSWORD_FILE="$tmp/pass" "$vmbackup" -r "$v" \
	--no-cache points
expect 0 env VMBACKUP_PASSWORD_COMMAND='echo secret' "$vmbackup" -r "$v" \
	--no-cache points
VMBACKUP_PASSWORD_FD=7 expect 0 vm points 7<"$tmp/pass"
mkdir "$tmp/credentials"
cp "$tmp/pass" "$tmp/credentials/vmbackup.password"
expect 0 env CREDENTIALS_DIRECTORY="$tmp/credentials" "$vmbackup" -r "$v" \
	--no-cache points
# The command line wins over the environment.
VMBACKUP_PASSWORD=wrong expect 0 vm -p "$tmp/pass" points
VMBACKUP_PASSWORD=secret expect 12 vm -p "$tmp/wrong" points
says 'wrong password'

# What cannot be had, or cannot be one.
expect 12 vm -p "$tmp/nosuch" points
says 'nosuch'
expect 12 vm --password-command 'echo secret; exit 3' points
says 'status 3'
expect 12 vm --key-file "$tmp/pass" points
says '32'
head -c 65537 /dev/zero >"$tmp/long"
expect 12 vm --key-file "$tmp/long" points
: >"$tmp/empty"
expect 12 vm -p "$tmp/empty" points
says 'empty'
VMBACKUP_PASSWORD_FD=x expect 12 vm points
expect 12 setsid "$vmbackup" -r "$v" --no-cache points
says 'password'
chmod 644 "$tmp/pass"
expect 0 vm -p "$tmp/pass" points
says 'warning.*chmod 600'
chmod 600 "$tmp/pass"
# A vault that is not there is said before anybody is asked.
expect 10 "$vmbackup" -r "$tmp/none" points

# The vault's keys.
expect 0 vm -p "$tmp/pass" key list
prints 'keyfile'
prints '\*.*passphrase.*test'
expect 0 vm -p "$tmp/pass" key add --new-key-file "$tmp/k2"
expect 0 vm --key-file "$tmp/k2" points
expect 1 vm -p "$tmp/pass" key remove ffffffffff
current=$(vm -p "$tmp/pass" key list | sed -n 's/^\*  \([0-9a-f]*\).*/\1/p')
expect 1 vm -p "$tmp/pass" key remove "$current"
says 'in use'
expect 0 vm --key-file "$tmp/k2" key remove "$current"
expect 12 vm -p "$tmp/pass" points
says 'none of its key slots takes a password'
expect 0 vm --key-file "$tmp/k1" key passwd --new-key-file "$tmp/k3"
expect 12 vm --key-file "$tmp/k1" points
expect 0 vm --key-file "$tmp/k2" points
expect 0 vm --key-file "$tmp/k3" points

# The same password again is a new slot for the old one, and no other.
VMBACKUP_NEW_PASSWORD=same expect 0 vm --key-file "$tmp/k3" key add \
	--kdf-cost 14
for cache in "$tmp/keycache" "$tmp/keycache"; do
	slots=$(ls "$v/key")
	VMBACKUP_PASSWORD=same VMBACKUP_NEW_PASSWORD=same expect 0 "$vmbackup" \
		-r "$v" --cache-dir "$cache" key passwd --kdf-cost 14
	[ "$(ls "$v/key" | wc -l)" = 3 ] || fail "passwd left the old slot"
	[ "$(ls "$v/key")" != "$slots" ] || fail "passwd made no slot"
done
VMBACKUP_PASSWORD=same expect 0 vm key list
current=$(sed -n 's/^\*  \([0-9a-f]*\).*/\1/p' "$tmp/out")
expect 0 vm --key-file "$tmp/k3" key remove "$current"

# A damaged slot hides no other, whatever is wrong with it, and whether it is tried
# before the sound ones or after them.
first=00000000000000000000000000000000
last=ffffffffffffffffffffffffffffffff
current=$(vm --key-file "$tmp/k3" key list |
	sed -n 's/^\*  \([0-9a-f]*\).*/\1/p')
current=$(cd "$v/key" && ls "$current"*)
for damage in mark empty short long cut cost; do
	for slot in $first $last; do
		f=$v/key/$slot
		cp "$v/key/$current" "$f"
		case $damage in
		mark) flip "$f" 0 ;;
		empty) : >"$f" ;;
		short) truncate -s 1 "$f" ;;
		long) truncate -s 100000 "$f" ;;
		cut) truncate -s -1 "$f" ;;
		cost) sed -i 's/"keyfile"/"scrypt" /' "$f" ;;
		esac
	done
	touch -d 2001-01-01 "$v/key/$first"
	expect 0 vm --key-file "$tmp/k2" points
	expect 0 vm --key-file "$tmp/k3" key list
	[ "$(grep -c damaged "$tmp/out")" = 2 ] || fail "$damage: not both"
	[ "$(grep -c keyfile "$tmp/out")" = 2 ] || fail "$damage: hides a slot"
	# The key file may be of the one that cannot be read.
	expect 13 vm --key-file "$tmp/k1" points
	says 'no readable key slot opens'
	expect 13 vm --key-file "$tmp/k2" check
	says "key/$first: damaged"
	expect 0 vm --key-file "$tmp/k3" key remove $first
	expect 0 vm --key-file "$tmp/k2" key remove $last
done
expect 12 vm --key-file "$tmp/k1" points
# One whose seal is broken is none that this key file opens.
cp "$v/key/$current" "$tmp/slot"
flip "$v/key/$current" $(($(stat -c %s "$v/key/$current") - 1))
expect 13 vm --key-file "$tmp/k3" points
says "key/$current: damaged"
expect 0 vm --key-file "$tmp/k2" points
cp "$tmp/slot" "$v/key/$current"
expect 0 vm --key-file "$tmp/k3" points

# A copy of the slots brings back lost ones, and only lost ones.
expect 0 vm key export "$tmp/copy"
[ "$(stat -c %a "$tmp/copy")" = 600 ] || fail "the copy can be read by others"
expect 1 vm key export "$tmp/copy"
says 'exist'
rm -f "$v"/key/*
expect 13 vm --key-file "$tmp/k2" points
says 'the vault lost its key slots.*key import FILE'
expect 0 vm key import "$tmp/copy"
prints '^2 objects'
expect 0 vm --key-file "$tmp/k2" points
expect 0 vm key import "$tmp/copy"
prints '^0 objects put back, 4 were there already'
# What has not even the form of a slot or config any more is put back.
slot=$(ls "$v/key" | head -n 1)
cp "$v/key/$slot" "$tmp/slot"
cp "$v/config" "$tmp/config"
printf x >>"$v/key/$slot"
flip "$v/config" 0
flip "$v/config.copy" 0
rm "$v/key/$(ls "$v/key" | tail -n 1)"
expect 13 vm --key-file "$tmp/k2" points
expect 0 vm key import "$tmp/copy"
prints '^4 objects put back, 0 were'
cmp "$v/config" "$v/config.copy" || fail "the second copy is another"
cmp "$v/key/$slot" "$tmp/slot" || fail "the slot is not as it was"
cmp "$v/config" "$tmp/config" || fail "config is not as it was"
expect 0 vm --key-file "$tmp/k2" points
# Where it has, it is left, and that is no success. The remedy is said, and true.
flip "$v/key/$slot" 130
flip "$v/config" 20
expect 13 vm key import "$tmp/copy"
prints '^0 objects put back, 2 were'
says "key/$slot: the vault has another object.* move the object out of"
says "config: the vault has another object.* move the object out of"
says '2 objects are not as in the copy'
rm "$v/key/$slot"
mv "$v/config" "$tmp/damaged"
expect 0 vm key import "$tmp/copy"
prints '^2 objects put back, 2 were'
expect 0 vm --key-file "$tmp/k2" points

# A vault without points that lost its config is none, but one with points is.
mv "$v/config" "$tmp/damaged"
rm "$v/config.copy"
expect 10 vm --key-file "$tmp/k2" points
mv "$tmp/damaged" "$v/config"
# One that has no second copy gets it, and is opened by that.
expect 13 vm --key-file "$tmp/k2" repair keys
prints 'would repair: config.copy: was gone'
expect 0 vm --key-file "$tmp/k2" repair keys --apply
cmp "$v/config" "$v/config.copy" || fail "the second copy is another"
echo text >"$tmp/file"
expect 0 vm --key-file "$tmp/k2" backup --vm web "$tmp/file"
rm "$v/config"
expect 0 vm --key-file "$tmp/k2" --quiet points
says 'its config is gone, and the vault was opened by the second copy'
expect 0 vm --key-file "$tmp/k2" repair keys --apply
prints '^repaired: config: was gone, and is put back from config.copy'
flip "$v/config" 100
expect 13 vm --key-file "$tmp/k2" check
says 'config: damaged'
expect 0 vm key export "$tmp/bycopy"
cmp "$tmp/bycopy" "$tmp/copy" || fail "the copy is not of the second config"
flip "$v/config" 100
flip "$v/config" 40
expect 13 vm key export "$tmp/unused"
says 'config and its copy are not the same'
rm "$v/config.copy"
expect 13 vm --key-file "$tmp/k2" points
rm "$v/config"
expect 13 vm --key-file "$tmp/k2" points
says 'the vault lost its config.*key import FILE'
expect 1 vm init --new-key-file "$tmp/unused"
# By the keys that a copy of them holds, or one of the vault.
expect 13 vm --key-file "$tmp/k2" repair keys --from "$tmp/copy"
[ ! -e "$v/config" ] || fail "a dry run put config"
expect 0 vm --key-file "$tmp/k2" repair keys --from "$tmp/copy" --apply
prints '^repaired: config: was gone, and is put back from the copy'
expect 0 vm --key-file "$tmp/k2" repair keys --from "$tmp/copy"
prints '^nothing to repair'
rm "$v/config" "$v/config.copy"
expect 0 vm key import "$tmp/copy"
expect 0 vm --key-file "$tmp/k2" points
prints 'web'

# The copy of another vault is none of this one, whatever is lost here.
expect 0 "$vmbackup" -r "$tmp/other" init --new-key-file "$tmp/k9"
expect 0 "$vmbackup" -r "$tmp/other" key export "$tmp/othercopy"
expect 2 vm key import "$tmp/othercopy"
says 'a copy of another vault'
mv "$v/config" "$tmp/config"
expect 2 vm key import "$tmp/othercopy"
says 'a copy of another vault'
before=$(ls "$v/key")
expect 0 vm key import "$tmp/copy"
[ "$(ls "$v/key")" = "$before" ] || fail "a slot of another vault was put"
cmp "$v/config" "$tmp/config" || fail "config is not this vault's"
# Nor is it where a slot of that one lies here already, which is shown as foreign.
cp "$tmp"/other/key/* "$v/key"
mv "$v/config" "$tmp/config"
expect 2 vm key import "$tmp/othercopy"
says 'a copy of another vault'
mv "$tmp/config" "$v/config"
expect 0 vm --key-file "$tmp/k2" key list
prints 'foreign'
expect 13 vm --key-file "$tmp/k2" check
says 'a key slot of another vault, which opens nothing here'
(cd "$tmp/other/key" && ls) | while read -r slot; do rm "$v/key/$slot"; done
# What is no slot keeps none from being copied.
head -c 100000 /dev/zero >"$v/key/00000000000000000000000000000000"
mkfifo "$v/key/00000000000000000000000000000001"
: >"$v/key/ffffffffffffffffffffffffffffffff"
expect 13 vm key export "$tmp/most"
says '3 objects that stand where key slots do'
cmp "$tmp/most" "$tmp/copy" || fail "the copy is not of the slots"
rm "$v"/key/0000000000000000000000000000000[01] \
	"$v/key/ffffffffffffffffffffffffffffffff"
# A slot of another vault or damaged one in a copy is left out.
{
	head -n -2 "$tmp/copy" | sed '$s/$/,/'
	tr -d '\n' <"$tmp/othercopy" | grep -o '{[^{]*"key/[^}]*}'
	echo ']}'
} >"$tmp/mixed"
before=$(ls "$v/key")
expect 13 vm key import "$tmp/mixed"
says 'a key slot of another vault'
prints '^0 objects put back, 4 were'
[ "$(ls "$v/key")" = "$before" ] || fail "a slot of another vault was put"

for text in '{}' '{"vmbackup_keys":1}' '{"vmbackup_keys":1,"objects":[]}' \
	'{"vmbackup_keys":1,"objects":[{"name":"key/../../x","data":"00"}]}'; do
	echo "$text" >"$tmp/nocopy"
	expect 2 vm key import "$tmp/nocopy"
	says 'not a copy'
done
[ ! -e "$tmp/x" ] || fail "import wrote outside the vault"
# Nothing of a copy that is not one to its end.
rm -f "$v"/key/*
tr -d '\n' <"$tmp/copy" |
	sed 's,\] *}$,\, {"name": "point/x"\, "data": "00"}]},' >"$tmp/nocopy"
expect 2 vm key import "$tmp/nocopy"
says 'not a copy'
[ -z "$(ls "$v/key")" ] || fail "half of a bad copy was put back"
expect 0 vm key import "$tmp/copy"
prints '^2 objects'

# ---- rotation ----

# A key that leaked is removed, and the others' go on: given now, or added later.
v=$tmp/rotated
expect 0 vm init --new-key-file "$tmp/own"
expect 0 vm --key-file "$tmp/own" key add --new-key-file "$tmp/leaked" --label leaked
expect 0 vm --key-file "$tmp/own" key add --new-key-file "$tmp/web" --label web
expect 0 vm --key-file "$tmp/own" key add --new-key-file "$tmp/late" --label late
echo before >"$tmp/file"
expect 0 vm --key-file "$tmp/own" backup --vm web "$tmp/file"
expect 0 vm --key-file "$tmp/own" key list
id=$(awk '/ leaked / { print $1 }' "$tmp/out")
cp "$v/key/$id"* "$tmp/kept"
kept=$(cd "$v/key" && echo "$id"*)
expect 0 vm --key-file "$tmp/own" key remove "$id"
head -c 32 /dev/zero >"$tmp/nokey"
chmod 600 "$tmp/nokey"
expect 12 vm --key-file "$tmp/own" key rotate --with-key-file "$tmp/nokey"
expect 0 vm --key-file "$tmp/own" key rotate --with-key-file "$tmp/web"
prints '^what is written from now on has keys of epoch 1$'
prints '^key [0-9a-f]* opens only what was written before: add it again'
[ "$(wc -l <"$tmp/out")" = 2 ] || fail "not one key that was left out"
echo after >"$tmp/file"
expect 0 vm --key-file "$tmp/web" backup --vm web "$tmp/file"
expect 0 vm --key-file "$tmp/own" cat "web/latest:files$tmp/file"
prints '^after$'
expect 0 vm --key-file "$tmp/own" check --read-data
expect 0 vm --key-file "$tmp/own" key list
prints ' web +1$'
prints ' late +0$'
# Neither who is to be added yet nor who was removed reads it, or writes.
mv "$tmp/kept" "$v/key/$kept"
for key in leaked late; do
	expect 12 vm --key-file "$tmp/$key" backup --vm web "$tmp/file"
	says "keys were rotated, to epoch 1, and the key in use opens only"
	expect 13 vm --key-file "$tmp/$key" cat "web/latest:files$tmp/file"
	prints '^before$'
	expect 13 vm --key-file "$tmp/$key" points
	[ "$(grep -c web "$tmp/out")" = 1 ] || fail "not one point: $(cat "$tmp/out")"
	# Nothing is called damaged that is not.
	expect 12 vm --key-file "$tmp/$key" check
	says 'nothing was checked; use a newer key'
done
expect 0 vm --key-file "$tmp/own" key add --add-key-file "$tmp/late"
expect 0 vm --key-file "$tmp/late" backup --vm web "$tmp/file"
# A copy of the keys has what the new ones need.
expect 0 vm key export "$tmp/rotated.copy"
rm -r "$v/epoch" "$v"/key/*
expect 13 vm --key-file "$tmp/own" points
expect 0 vm key import "$tmp/rotated.copy"
rm "$v/epoch/1"
expect 0 vm --key-file "$tmp/own" points
expect 13 vm --key-file "$tmp/own" backup --vm web "$tmp/file"
says 'epoch/1, which bears out the key in use, is lost or damaged'
expect 0 vm key import "$tmp/rotated.copy"
expect 0 vm --key-file "$tmp/own" points
# Or the key in use makes it anew.
rm "$v/epoch/1"
expect 0 vm --key-file "$tmp/own" repair keys --apply
prints '^repaired: epoch/1: was gone, and is made anew'
# What the old keys open goes from the store.
expect 0 vm --key-file "$tmp/own" stats
prints '^with older keys .* in 2 packs'
expect 0 vm --key-file "$tmp/own" prune --reseal
prints '^2 packs .* have keys of before a rotation: 2 of them are rewritten'
expect 0 vm --key-file "$tmp/own" check --read-data
! grep 'before a rotation' "$tmp/out" || fail "packs with old keys are left"
expect 0 vm --key-file "$tmp/own" cat "web/latest~2:files$tmp/file"
prints '^before$'
# So does the reader that was written from the manual.
if python3 -c 'import cryptography' 2>/dev/null; then
	expect 0 "$tests/reader/vmbackup_reader.py" "$v" --key-file "$tmp/own" verify
	expect 1 "$tests/reader/vmbackup_reader.py" "$v" --key-file "$tmp/leaked" verify
fi

# The prompt: no echo, asked twice for a new one, Ctrl-C ends it.
if command -v python3 >/dev/null; then
	"$tests/prompt.py" "$vmbackup" "$tmp/prompted" || fail "the prompt"
fi
