#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Commits tell of one another: what was removed from a vault, replaced or forked is
# noticed by whoever sees it for the first time, and honest work is not.
. "$(dirname "$0")/../lib.sh"

new_vault
mkdir "$tmp/source"
unset VMBACKUP_STATE_DIR

# as STATE ARG...: vmbackup on another machine, which remembers in STATE.
as() {
	local state=$1
	shift
	VMBACKUP_STATE_DIR="$tmp/$state" "$vmbackup" -r "$vault" \
		--key-file "$keyfile" --no-cache "$@"
}

nth=0
# point STATE MACHINE: a point; its session is in $sid.
point() {
	nth=$((nth + 1))
	echo "$nth" >>"$tmp/source/file"
	ls "$vault/commit" >"$tmp/before"
	expect 0 as "$1" backup --vm "$2" \
		--time "2026-11-02T00:00:$(printf %02d "$nth")Z" "$tmp/source"
	sid=$(ls "$vault/commit" | comm -13 "$tmp/before" -)
}

# stranger VERB...: on a machine that never saw the vault.
stranger() {
	rm -rf "$tmp/stranger"
	as stranger "$@"
}

# vault_from DIR: the vault is a copy of it.
vault_from() {
	rm -rf "$vault"
	cp -a "$1" "$vault"
	chmod -R u+w "$vault"
}

# is_told TEXT: whoever comes here for the first time is told, does not write, and
# goes on once that is accepted.
is_told() {
	expect 0 stranger points
	says "do not fit what others say"
	says "$1"
	expect 0 stranger ls web1/latest:
	says "$1"
	expect 17 stranger check
	says "$1"
	expect 17 stranger backup --vm web1 "$tmp/source"
	says "nothing is written"
	if [ -e /dev/fuse ] && [ "$(id -u)" = 0 ]; then
		rm -rf "$tmp/mounter" "$cache"
		VMBACKUP_STATE_DIR="$tmp/mounter" start_mount "$vault" "$tmp/mnt"
		says "$1"
		[ "$(stat_of "$tmp/mnt" "records gone")" -ge 1 ] ||
			fail "the mount does not say so"
		stop_mount "$tmp/mnt"
	fi
	expect "${2:-0}" stranger check --accept-rollback
	says "$1"
	expect "${2:-0}" as stranger check
	! grep -q "do not fit" "$tmp/err" || fail "it is said again"
}

# Three points one after another, a pair at once that is joined by the next: no
# flaw for anybody.
point a web1
point a web2
second=$sid
cp -a "$vault" "$tmp/one"
point a web1
cp -a "$vault" "$tmp/left"
vault_from "$tmp/one"
point b web2
cp -an "$tmp/left/." "$vault/"
point c web1
newest=$sid
cp -a "$vault" "$tmp/honest"
expect 0 stranger points
! grep -q "do not fit" "$tmp/err" || fail "an honest vault is accused"
expect 0 stranger check
expect 0 stranger backup --vm web3 "$tmp/source"

# A point that was removed, commit and all.
vault_from "$tmp/honest"
rm "$vault/commit/$second"
is_told "removed: commit/$second, which made a point, is not there; the point web[12]/2026-11-02T00000[34]Z .* was made after it"

# The newest, where somebody had put, without a key, more objects that are no commits
# than a commit can name.
vault_from "$tmp/honest"
for n in $(seq 300); do
	echo junk >"$vault/commit/$(printf %032x "$n")"
done
point g web1
rm "$vault/commit/$newest"
expect 13 stranger points
says "removed: commit/$newest, which made a point, is not there"

# Somebody with the key makes it a session that made none.
vault_from "$tmp/honest"
"$tests/reader/forge.py" "$vault" "$keyfile" fence "$second"
is_told "replaced: commit/$second, of the session $second, is another one than that after which the point web[12]/.* was made"

# One that was forgotten, and is purged for ever, is not missed.
vault_from "$tmp/honest"
expect 0 stranger forget --unsafe-allow-remove-all web2/2026-11-02T000002Z
"$tests/reader/forge.py" "$vault" "$keyfile" age 30
expect 0 as stranger prune
[ "$(ls "$vault/point" | wc -l)" = 4 ] || fail "it was not purged"
expect 0 stranger points
! grep -q "do not fit" "$tmp/err" || fail "a point that was purged is missed"
expect 0 stranger check

# Two clients are shown different vaults for a while, which are joined then. What
# one point each would show could come of two that list at the same moment.
vault_from "$tmp/one"
for n in 1 2 3; do point d web1; done
rm -r "$tmp/left"
cp -a "$vault" "$tmp/left"
vault_from "$tmp/one"
for n in 1 2 3; do point e web2; done
cp -an "$tmp/left/." "$vault/"
is_told "forked: the point web[12]/.* was made without what comes before the point web[12]/.*, which was made without what comes before it"

# After a removal was accepted a fork of what came later is told all the same, and
# who goes on honestly is not accused.
vault_from "$tmp/honest"
rm "$vault/commit/$second"
for state in d2 e2 judge; do
	expect 0 as "$state" check --accept-rollback
done
cp -a "$vault" "$tmp/accepted"
for n in 1 2 3; do point d2 web1; done
rm -r "$tmp/left"
cp -a "$vault" "$tmp/left"
expect 0 as judge points
! grep -q "do not fit" "$tmp/err" || fail "who goes on is accused"
vault_from "$tmp/accepted"
for n in 1 2 3; do point e2 web2; done
cp -an "$tmp/left/." "$vault/"
expect 0 as judge points
says "forked: the point web[12]/.* was made without what comes before"
expect 17 as judge check

# A commit of another vault, under the same key, is none here.
vault_from "$tmp/honest"
expect 0 "$vmbackup" -r "$tmp/other" --key-file "$keyfile" init
other=$vault
vault=$tmp/other
point f web1
vault=$other
cp "$tmp/other/commit/$sid" "$vault/commit/"
expect 13 stranger points
says "commit/$sid: .*another vault"
rm "$vault/commit/$sid"
expect 0 stranger points

# Yesterday's vault, for one who saw today's.
vault_from "$tmp/one"
expect 0 as a points
says "gone: the point web1/2026-11-02T000003Z"

# ---- who made a point ----

# A machine that has a signing key signs, from then on.
vault_from "$tmp/one"
expect 0 as own key sign-new
prints '^signing key [0-9a-f]{64}$'
signer=$(sed -n 's/^signing key //p' "$tmp/out")
[ "$(stat -c %a "$tmp/own/signing.key")" = 600 ] || fail "the key is open"
expect 1 as own key sign-new
says 'signing.key exists'
point own web1
signed=$sid
expect 0 stranger points --vm web1 --json
prints "\"signer\": *\"$signer\""
prints '"signature": *"valid"'
prints '"signature": *"none"'
expect 0 "$tests/reader/vmbackup_reader.py" "$vault" --key-file "$keyfile" verify
cp -a "$vault" "$tmp/signed"

# Whoever has the vault's key and not this one makes points, and none that is
# signed with it.
point thief web1
expect 0 stranger points --vm web1 --latest 1 --json
prints '"signature": *"none"'
expect 0 as thief key sign-new
point thief web1
expect 0 stranger points --vm web1 --latest 1 --json
prints '"signature": *"valid"'
! grep -q "$signer" "$tmp/out" || fail "a thief signs with web1's key"

# What it says is changed under its signature: it is nobody's, to commands, to the
# mount and to the second reader.
vault_from "$tmp/signed"
"$tests/reader/forge.py" "$vault" "$keyfile" spoof "$signed"
expect 13 stranger points
says "commit/$signed: its signature is wrong"
expect 13 stranger check
says "commit/$signed: its signature is wrong"
expect 1 "$tests/reader/vmbackup_reader.py" "$vault" --key-file "$keyfile" verify
says 'its signature is wrong'
if [ -e /dev/fuse ] && [ "$(id -u)" = 0 ]; then
	rm -rf "$tmp/mounter" "$cache"
	VMBACKUP_STATE_DIR="$tmp/mounter" start_mount "$vault" "$tmp/mnt"
	says "commit/$signed: its signature is wrong"
	[ "$(find "$tmp/mnt/vms/web1" -mindepth 1 -maxdepth 1 -type d | wc -l)" = 1 ] ||
		fail "the mount shows a point of a wrong signature"
	stop_mount "$tmp/mnt"
fi
# One that was signed for another vault.
vault_from "$tmp/signed"
"$tests/reader/forge.py" "$vault" "$keyfile" replay "$signed"
expect 0 stranger points --vm web1 --latest 1 --json
prints '"signature": *"of another vault"'
prints '"signer_trust": *"elsewhere"'
says 'was signed for another vault, and put into this one by somebody'
expect 13 stranger check
says "commit/$signed: the point web1/.* was signed for another vault, and put here"
expect 1 "$tests/reader/vmbackup_reader.py" "$vault" --key-file "$keyfile" verify
says 'signed for another vault'

# A key that others can read signs nothing.
vault_from "$tmp/signed"
chmod 644 "$tmp/own/signing.key"
expect 1 as own backup --vm web1 "$tmp/source"
says 'others may read this key'

# ---- who may sign for whom ----

# The first one who signs for a machine is remembered; another one is reported, loudly,
# to every command and by the mount, and is nobody's that reader knows.
forget_seen() {
	rm -f "$tmp"/{own,thief,reader,reader2}/*.seen
}
forget_seen
vault_from "$tmp/one"
chmod 600 "$tmp/own/signing.key"
point own web1
expect 0 as reader points
says "web1 signs its points with the key $signer, which is seen here for the first time"
prints 'web1/2026-11-02T0000[0-9]*Z \(signed\)'
prints 'web1/2026-11-02T000001Z \(unsigned\)'
expect 0 as reader key list
prints "^$signer  first  *web1"
point thief web1
thief=$(as stranger points --json --vm web1 --latest 1 |
	sed -n 's/.*"signer": *"\([0-9a-f]*\)".*/\1/p')
[ "$thief" != "$signer" ] || fail "a thief has the key of web1"
changed="THE SIGNER OF web1 HAS CHANGED: the point web1/2026-11-02T0000[0-9]*Z was signed with the key $thief"
for verb in points "ls web1/latest:"; do
	expect 0 as reader $verb
	says "$changed"
done
expect 0 as reader points --json --vm web1 --latest 1
prints '"signer_trust": *"another"'
expect 13 as reader check
says "commit/$sid: the point web1/.* is signed with a key that may not sign for its machine"
expect 0 as reader restore web1/latest --target "$tmp/restored"
says "the point web1/.* is signed with a key that may not sign for its machine"
if [ -e /dev/fuse ] && [ "$(id -u)" = 0 ]; then
	rm -rf "$cache"
	VMBACKUP_STATE_DIR="$tmp/reader" start_mount "$vault" "$tmp/mnt"
	says "$changed"
	grep -q '"points_untrusted": 1,' "$tmp/mnt/.vmbackupfs/status.json" ||
		fail "status.json does not count it"
	newest=$tmp/mnt/vms/web1/latest/
	[ "$(getfattr --only-values -n user.vmbackupfs.signature "$newest")" = another ] ||
		fail "no word of the signature"
	[ "$(getfattr --only-values -n user.vmbackupfs.signer "$newest")" = "$thief" ] ||
		fail "no word of the signer"
	stop_mount "$tmp/mnt"
	VMBACKUP_STATE_DIR="$tmp/reader" start_mount "$vault" "$tmp/mnt" "trust=$thief"
	! grep -q "HAS CHANGED" "$tmp/err" || fail "-o trust does nothing"
	stop_mount "$tmp/mnt"
fi
# Nobody knows which of two is right who sees both for the first time.
expect 0 stranger points
says 'several keys sign for web1'
prints '\(unknown signer\)'
# It is trusted for one command, for good, or never again.
expect 0 as reader --trust "$thief" points
! grep -q "HAS CHANGED" "$tmp/err" || fail "--trust does nothing"
expect 2 as reader --trust 12 points
expect 2 as reader key trust "${thief%?}"
expect 0 as reader key trust "$thief" --machine web2
expect 0 as reader points
says "$changed"
expect 0 as reader key trust "$thief" --machine web1
expect 0 as reader points
! grep -q "HAS CHANGED" "$tmp/err" || fail "a key that is trusted is reported"
expect 0 as reader key revoke "$thief"
expect 0 as reader points
! grep -q "was revoked" "$tmp/err" || fail "what came before is revoked, too"
# By the order of the commits, whatever time they tell.
nth=$((nth - 1))
point thief web1
expect 0 as reader points
[ "$(grep -c 'REVOKED SIGNER' "$tmp/out")" = 1 ] || fail "not the later one alone"
says "was signed with the key $thief, which was revoked"
prints '\(REVOKED SIGNER\)'
expect 1 as reader key trust "$thief"
says 'was revoked, which cannot be taken back'
expect 0 as reader key list --json
prints '"trust": *"revoked"'
# A machine of another name that is called web1 is not web1, whoever signs for it.
forget_seen
vault_from "$tmp/one"
point own web1
expect 0 as reader2 points
point thief web9
expect 0 as thief rename web1 old
expect 0 as thief rename web9 web1
expect 0 as reader2 points
says "THE SIGNER OF web1 HAS CHANGED: .*$thief"

# ---- a vault that demands signatures ----

forget_seen
vault_from "$tmp/one"
point own web1
first=$sid
expect 12 as reader3 key demand
says 'this machine has no signing key'
expect 0 as own key demand
prints 'have to be signed: 1 count, 2 do not'
cp -a "$vault" "$tmp/demanding"
# To the machine itself its own points count; to a reader those of whom he trusts.
expect 13 as own points
prints '^1 point$'
says 'the point web1/2026-11-02T000001Z .* is untrusted: .*: unsigned'
expect 13 as reader3 points
prints '^0 points$'
says "the point web1/.* is untrusted: .*: unknown"
expect 0 as reader3 key trust "$signer" --machine web1
expect 13 as reader3 points
prints '^1 point$'
reads() {
	"$tests/reader/vmbackup_reader.py" "$vault" --key-file "$keyfile" "$@" points
}
[ "$(reads | wc -l)" = 0 ] || fail "the second reader trusts everybody"
[ "$(reads --trust "$signer=web1" | wc -l)" = 1 ] ||
	fail "the second reader does not trust the signer of web1"
[ "$(reads --trust "$signer=web2" | wc -l)" = 0 ] ||
	fail "the second reader trusts it for web1, too"
# A machine without a key makes none, one with a key of its own one that is nobody's.
expect 12 as keyless backup --vm web1 "$tmp/source"
says 'the points of this vault have to be signed'
point thief web1
for reader in reader3 own; do
	expect 13 as "$reader" points --vm web1 --latest 1
	prints '^1 point$'
	says "is untrusted: .*: another|is untrusted: .*: unknown"
	expect 0 as "$reader" ls web1/latest:
done
expect 13 as reader3 check
says "commit/$sid: the point web1/.* is signed with a key that may not sign for its machine"
says "is not signed, as this vault demands"
# It pushes nothing out, is no parent, and is restored by an explicit switch alone.
expect 0 as own forget --keep-last 1 --dry-run
! grep -q "$sid" "$tmp/out" || fail "an untrusted point is judged"
expect 0 as own backup --json --vm web1 --time 2026-11-03T00:00:00Z "$tmp/source"
expect 13 as own points --vm web1 --latest 1 --json
parent=$(sed -n 's/.*"parent": *"\([0-9a-f]*\)".*/\1/p' "$tmp/out")
[ -n "$parent" ] || fail "it has no parent"
as own --untrusted points 2>/dev/null >"$tmp/all"
bad=$(grep -E 'ANOTHER|unknown' "$tmp/all" | head -n 1 | cut -c 1-8)
[ -n "$bad" ] || fail "--untrusted does not show it"
case $parent in "$bad"*) fail "a backup builds on a stranger's point" ;; esac
expect 1 as reader3 restore "$bad" --target "$tmp/no"
says "point $bad lacks a signature that this vault demands"
expect 0 as reader3 --untrusted restore "$bad" --target "$tmp/yes"
says 'may not sign for its machine'
if [ -e /dev/fuse ] && [ "$(id -u)" = 0 ]; then
	rm -rf "$cache"
	for option in "" untrusted; do
		VMBACKUP_STATE_DIR="$tmp/reader3" start_mount "$vault" "$tmp/mnt" "$option"
		n=$(find "$tmp/mnt/vms/web1" -mindepth 1 -maxdepth 1 -type d | wc -l)
		[ "$n" = "$([ -n "$option" ] && echo 4 || echo 2)" ] ||
			fail "with -o '$option' the mount shows $n points"
		grep -q '"points_untrusted": 3,' "$tmp/mnt/.vmbackupfs/status.json" ||
			fail "status.json does not count those that are untrusted"
		stop_mount "$tmp/mnt"
	done
fi
# Whoever may delete from the store takes the demand away, and no reader who knew it.
rm "$vault"/feature/*
expect 13 as reader3 points
prints '^2 points$'
says 'it demanded that its points be signed, and does not any more'
expect 0 stranger points

# ---- whoever has compared all of it once does not read again what he has seen ----

# cached STATE ARG...: as as(), and with a local database.
cached() {
	local state=$1
	shift
	VMBACKUP_STATE_DIR="$tmp/$state" "$vmbackup" -r "$vault" \
		--key-file "$keyfile" --cache-dir "$tmp/db-$state" "$@"
}

# Who may sign is known all the same, of the database's row, and when that is old.
forget_seen
vault_from "$tmp/one"
point own web1
expect 0 cached quick points
says "seen here for the first time"
for i in 1 2 3; do
	expect 0 cached quick points
	prints ' \(signed\)'
done
expect 0 cached quick key list
prints "^$signer  first  *web1"
point thief web1
for i in 1 2 3; do
	expect 0 cached quick points
	says "$changed"
done
expect 0 cached quick key trust "$thief" --machine web1
expect 0 cached quick points
expect 0 cached quick key revoke "$signer"
for i in 1 2 3; do
	expect 0 cached quick points --json
	prints '"signer_trust": *"trusted"'
	! grep -q "HAS CHANGED" "$tmp/err" || fail "a key that is trusted is reported"
done
# What was not compared when one more line was written is compared next.
seen=$(echo "$tmp"/quick/*.seen)
grep -q "signer revoked $signer" "$seen" || fail "it is not remembered"
rm "$vault/commit/$sid"
expect 0 cached quick points
says "gone: the point web1/"
# A demand that comes when nothing else does is remembered, too.
forget_seen
vault_from "$tmp/one"
expect 0 cached late points
expect 0 cached late points
expect 0 as own key demand
expect 13 cached late points
grep -q "signer demanded" "$tmp"/late/*.seen || fail "the demand is not remembered"
rm "$vault"/feature/*
for i in 1 2; do
	expect 13 cached late points
	says 'it demanded that its points be signed, and does not any more'
done
