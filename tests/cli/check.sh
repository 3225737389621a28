#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# check finds each kind of damage, goes on, and names what is hit.
. "$(dirname "$0")/../lib.sh"

s=$tmp/source
mkdir -p "$s/dir"
head -c 1500000 /dev/urandom >"$s/random"
for i in $(seq 50); do
	echo "small file $i" >"$s/dir/small-$i"
done
new_vault
expect 0 vmb backup --vm web1 --time 2030-01-01 "$s"
echo changed >"$s/dir/small-7"
expect 0 vmb backup --vm web1 --time 2030-01-02 "$s"
mv "$vault" "$tmp/good"
cp -a "$tmp/state" "$tmp/good-state"

# What is newest, so that a pack's contents are known.
biggest() {
	find "$vault/pack" -type f -printf '%s %p\n' | sort -n | tail -n 1 |
		cut -d ' ' -f 2
}
fresh() {
	rm -rf "$vault"
	cp -a "$tmp/good" "$vault"
	rm -rf "$tmp/state"
	cp -a "$tmp/good-state" "$tmp/state"
	chmod -R u+w "$vault"
}

fresh
expect 0 vmb check
prints 'no damage'
expect 0 vmb check --read-data
prints 'no damage'
for subset in 1/2 2/2 50% 0.5% 1M 100%; do
	expect 0 vmb check --read-data-subset $subset
done
parts=0
for n in 1 2 3; do
	expect 0 vmb check --read-data-subset $n/3
	parts=$((parts + $(sed -n 's/^packs.*read \([0-9]*\) .*/\1/p' \
		"$tmp/out")))
done
[ "$parts" = "$(find "$vault/pack" -type f | wc -l)" ] ||
	fail "the parts of the subset are not the whole: $parts"
# Nobody is asked for a password.
expect 0 setsid "$vmbackup" -r "$vault" check --scrub

# What was verified is noted: the next check goes on, also as another machine, and
# none reads what was read already.
fresh
packs=$(find "$vault/pack" -type f | wc -l)
for i in $(seq "$packs"); do
	expect 0 vmb --no-cache check --budget 1
	prints "^packs $packs, of them read 1 "
done
! grep -q 'never verified' "$tmp/out" || fail "not all were read in turn"
expect 0 vmb check --max-age 30d
prints "^packs $packs, of them read 0 "
prints '^verified within 30 days: 100.0 %'
expect 0 vmb --json check --budget 10m --read-data-subset 1/1
prints "\"packs_read\":$packs,.*\"percent\":100.0,"
[ "$(ls "$vault/ledger" | wc -l)" -gt "$packs" ] || fail "nothing was noted"
for i in $(seq 8); do
	expect 0 vmb check --budget 1
done
before=$(ls "$vault/ledger" | wc -l)
expect 0 vmb prune
[ "$(ls "$vault/ledger" | wc -l)" -lt "$before" ] ||
	fail "what is superseded was not pruned"
expect 0 vmb check --max-age 30d
prints "^packs $packs, of them read 0 "
# That says nothing of a copy, though it has all the times of the vault; but of one
# that was made in another second.
noted=$(stat -c %Y "$vault/ledger"/* | sort -n | tail -n 1)
until [ "$(date +%s)" -gt "$noted" ]; do
	sleep 0.1
done
cp -a "$vault" "$tmp/copy"
expect 0 vmb -r "$tmp/copy" --no-cache check --max-age 30d --json
# Not each filesystem tells when a file was made.
[ "$(stat -c %W "$tmp/copy/config")" -le 0 ] || prints "\"packs_read\":$packs,"
expect 0 vmb -r "$tmp/copy" --no-cache check --max-age 30d --json
prints '"packs_read":0,'
rm -rf "$tmp/copy"
for wrong in 10x 0 -1 5mo 1.5h; do
	expect 2 vmb check --budget=$wrong
done
expect 2 vmb check --max-age=3m
expect 2 vmb check --scrub --budget=1h
fresh

# One bit in the data.
flip "$(biggest)" 700000
expect 0 vmb check
expect 13 vmb check --read-data
says "^vmbackup: pack/.*$(basename "$(biggest)")"
says '^vmbackup:  *chunk [0-9a-f]{64}$'
says "hits web1/2030-01-01T000000Z:files$s/random"
says "hits web1/2030-01-02T000000Z:files$s/random"
! grep -q 'small-' "$tmp/err" || fail "what is whole was said to be hit"
says '^vmbackup:  *bytes [0-9]* to [0-9]* of it$'
says '^vmbackup:  *next: vmbackup repair packs --apply$'
range=$(sed -n 's/.*  bytes \([0-9]* to [0-9]*\) of it$/\1/p' "$tmp/err")
[ "${range% to *}" -le 700000 ] && [ "${range#* to }" -ge 700000 ] ||
	fail "another place: $range"
expect 13 vmb --json check --limit 1
python3 - "$tmp/out" <<'END' || fail "not exact: $(cat "$tmp/out")"
import json, sys
found = [json.loads(line) for line in open(sys.argv[1])]
f, = [m for m in found if m["message_type"] == "damage"]
r, = f["ranges"]
assert r["offset"] <= 700000 < r["offset"] + r["length"] < 1500000
assert len(f["places"]) == 1 and f["place_count"] == 2 == f["point_count"]
assert f["places"][0]["path"].endswith("/random") and f["chunk_count"] == 1
assert f["next"] == "vmbackup repair packs --apply"
END
expect 2 vmb check --limit 201
expect 13 setsid "$vmbackup" -r "$vault" check --scrub
says "$(basename "$(biggest)")"
# What is hit cannot be read; the rest can.
expect 13 vmb cat "web1:files$s/random"
expect 0 vmb cat "web1:files$s/dir/small-7"
prints '^changed$'

# Index objects that are gone: the packs say what they said.
fresh
rm "$vault"/index/*
expect 0 vmb --no-cache cat "web1:files$s/dir/small-7"
prints '^changed$'
says 'no index object names'
expect 0 vmb --no-cache restore web1 --target "$tmp/of-packs"
cmp "$s/random" "$tmp/of-packs$s/random" || fail "not what was backed up"
expect 13 vmb --no-cache check --read-data
says 'no index names [1-9][0-9]* packs that points need'
expect 0 vmb --no-cache backup --vm web1 "$s"
expect 0 vmb --no-cache check
! grep -q 'no index' "$tmp/out" || fail "they are not named again"

# A pack that is missing, cut, longer, or another's.
fresh
rm "$(biggest)"
expect 13 vmb check
says 'missing'
says "hits web1/2030-01-0[12]T000000Z:files$s/random"
fresh
truncate -s -7 "$(biggest)"
expect 13 vmb check
says 'bytes long'
fresh
echo more >>"$(biggest)"
expect 13 vmb check
fresh
big=$(biggest)
other=$(find "$vault/pack" -type f ! -path "$big" | head -n 1)
cp "$other" "$big"
expect 13 vmb check --read-data
fresh
mv "$(biggest)" "$vault/pack/00/"
expect 13 vmb check

# Trees, indexes, points, commits, sessions.
fresh
for pack in "$vault"/pack/*/*; do
	# Tree packs are the small ones of type 5 (vmbackup-vault(5)).
	[ "$(od -An -tu1 -j 10 -N 1 "$pack" | tr -d ' ')" = 5 ] || continue
	flip "$pack" 120
done
expect 13 vmb check
says 'hits web1/2030-01-01T000000Z '
says 'hits web1/2030-01-02T000000Z '
for folder in index point commit session; do
	fresh
	for object in "$vault/$folder"/*; do
		flip "$object" 130
	done
	expect 13 vmb check
	says "^vmbackup: $folder/"
done
fresh
rm "$vault"/point/*
expect 13 vmb check
says 'a point is lost'
fresh
rm "$vault"/index/*
expect 13 vmb check
says 'no index names'
fresh
rm "$vault"/commit/*
expect 17 vmb check
prints 'no commit names 2'
says 'gone: the point'

# A backup puts right what the source still has.
fresh
rm "$(biggest)"
expect 13 vmb check
expect 0 vmb backup --vm web1 --time 2030-01-03 --force "$s"
expect 0 vmb cat "web1/2030-01-01T000000Z:files$s/random"
cmp "$tmp/out" "$s/random" || fail "a healed file differs"

# All at once.
fresh
rm "$(biggest)"
for object in "$vault"/session/* "$vault"/commit/*; do
	flip "$object" 130
done
expect 13 vmb check --read-data
says '^vmbackup: pack/.*missing'
says '^vmbackup: session/'
says '^vmbackup: commit/'

# What was found damaged is stored anew by the next backup, for old points too,
# also from a machine that knows nothing but the vault.
fresh
flip "$(biggest)" 700000
expect 13 vmb check --read-data
prints '^packs in quarantine 1, of them new 1:'
expect 0 vmb --no-cache backup --vm web1 --time 2030-01-03 "$s"
for day in 01 03; do
	rm -rf "$tmp/out-tree"
	expect 0 vmb restore "web1/2030-01-${day}T000000Z:files$s" \
		--target "$tmp/out-tree"
	cmp "$s/random" "$tmp/out-tree/random" || fail "day $day is not healed"
done
# The damaged pack is no damage any more, and is told of where that is asked.
expect 0 vmb check -v
prints '^packs in quarantine 1, of them new 0:'
says 'in quarantine, and no point needs what only it had'
expect 0 vmb check --read-data
# A disk that lied, and gives the pack again, which is read in any case.
big=$(find "$vault/quarantine" -type f -printf '%f\n')
big=$(echo "$vault"/pack/*/"$big")
flip "$big" 700000
expect 0 vmb check
prints '^packs let out of quarantine 1:'
prints "^pack/.*/$(basename "$big"): let out of quarantine"
! grep -q 'packs in quarantine' "$tmp/out" || fail 'it is still in quarantine'

# Where nothing can be written, what is found is said all the same.
flip "$big" 700000
if [ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null; then
	# shellcheck disable=SC2016
	expect 13 unshare -m sh -c 'mount --bind "$1" "$1" &&
		mount -o remount,bind,ro "$1" && shift && exec "$@"' \
		sh "$vault" "$vmbackup" -r "$vault" --key-file "$keyfile" \
		check --read-data
	says "$(basename "$big")"
	says 'could not be noted in it'
	[ "$(ls "$vault/quarantine" | wc -l)" = 2 ] || fail "it was noted"
fi

# What others leave in directories is no damage, and one line.
fresh
for name in desktop.ini .DS_Store Thumbs.db .nfs000000000000abcd; do
	for folder in . pack pack/00 index commit quarantine; do
		mkdir -p "$vault/$folder"
		: >"$vault/$folder/$name"
	done
done
mkdir "$vault/lost+found" "$vault/pack/lost+found"
expect 0 vmb check --read-data
prints 'no damage'
prints '^things that are no objects of a vault 6:'
! grep -q 'not an object' "$tmp/err" || fail 'each is named'
