#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Parity: sectors that are lost are read through, said, and stored anew, and beyond
# its strength nothing is made up. tests/unit/test_parity has the arithmetic, and
# prune.sh what becomes of it in a collection.
. "$(dirname "$0")/../lib.sh"
requires python3 fuse

s=$tmp/source
mkdir -p "$s"
head -c 2500000 /dev/urandom >"$s/big"
printf 'small\n' >"$s/small"
(umask 077; head -c 64 /dev/urandom >"$keyfile")
for bad in 0 51% 5x -1 ''; do
	expect 2 vmb init --parity "$bad"
done
expect 0 vmb init --parity 10%
expect 0 vmb backup --vm m --time 2026-10-01 "$s"
point=m/2026-10-01T000000Z

names() {
	(cd "$vault/$1" && find . -type f -printf '%P\n' | sort)
}
biggest() {
	find "$vault/pack" -type f -printf '%s %p\n' | sort -rn | head -n 1 |
		cut -d ' ' -f 2
}
# burst FILE BLOCK COUNT: lose so many blocks of 4 KiB.
burst() {
	python3 - "$@" <<-'EOF2'
	import sys
	with open(sys.argv[1], "r+b") as f:
	    at, n = int(sys.argv[2]) * 4096, int(sys.argv[3]) * 4096
	    f.seek(at)
	    old = f.read(n)
	    f.seek(at)
	    f.write(bytes(b ^ 0xff for b in old))
	EOF2
}
# strength PACK: the longest burst that is always mended.
strength() {
	python3 - "$vault" "$1" <<-'EOF2'
	import os, sys
	vault, pack = sys.argv[1:]
	with open(vault + "/parity" + pack[len(vault) + 5:], "rb") as f:
	    head = f.read(144)
	n = (os.path.getsize(pack) + 4095) // 4096
	k, m = head[140], head[141]
	print(m * ((n + k - 1) // k))
	EOF2
}
# reads: what was backed up is as it was.
reads() {
	expect 0 vmb cat "$point:files$s/big"
	cmp "$tmp/out" "$s/big" || fail "wrong data"
	says 'damaged, and mended for now by its parity'
}

[ "$(names pack)" = "$(names parity)" ] || fail "not each pack has parity"
expect 0 vmb check --read-data
prints '^packs with parity 2 '
expect 0 vmb repair parity --read-data
prints '^nothing to repair$'

# ---- as much as it can be ----

pack=$(biggest)
cp "$pack" "$tmp/pack"
most=$(strength "$pack")
[ "$most" -ge 61 ] || fail "$most blocks are less than a tenth"
burst "$pack" 100 "$most"
reads
start_mount "$vault" "$tmp/mnt"
same "$s" "$tmp/mnt/vms/$point/files$s"
stop_mount "$tmp/mnt"
# The second reader, written from the manual, makes the same parity of a pack, and
# mends it.
if python3 -c 'import cryptography' 2>/dev/null; then
	reader=$tests/reader/vmbackup_reader.py
	expect 0 "$reader" "$vault" mend "${pack##*/}" "$tmp/mended"
	cmp "$tmp/mended" "$tmp/pack" || fail "the second reader"
	cp "$pack" "$tmp/lost"
	cp "$tmp/pack" "$pack"
	expect 0 "$reader" "$vault" --key-file "$keyfile" verify
	prints '^2 packs have parity$'
	cp "$tmp/lost" "$pack"
fi
# A pack that was cut, and one with something behind it.
cp "$tmp/pack" "$pack"
truncate -s -$(((most - 1) * 4096)) "$pack"
reads
cp "$tmp/pack" "$pack"
burst "$pack" 200 1
head -c 10000 /dev/zero >>"$pack"
reads
cp "$tmp/pack" "$pack"
burst "$pack" 0 "$most"
expect 13 vmb check --scrub
says 'its parity mends all of it'
expect 13 vmb check --read-data
says 'its parity mends all of it'
says "hits $point:files$s/big"
prints '^next: vmbackup repair packs --apply'
expect 13 vmb repair packs
prints '^would repair: .* can be stored anew'
expect 0 vmb repair packs --apply
prints '^repaired: .* are stored anew'
# What was stored anew has parity, and nobody needs the damaged pack.
[ "$(names pack)" = "$(names parity)" ] || fail "not each pack has parity"
expect 0 vmb check --read-data
burst "$pack" 0 100000
expect 0 vmb cat "$point:files$s/big"
cmp "$tmp/out" "$s/big"

# ---- beyond that ----

pack=$(find "$vault/pack" -type f -size +1M ! -path "$pack")
cp "$pack" "$tmp/pack"
most=$(strength "$pack")
burst "$pack" 100 $((most + 1))
expect 13 vmb cat "$point:files$s/big"
cmp "$tmp/out" <(head -c "$(stat -c %s "$tmp/out")" "$s/big") ||
	fail "wrong data"
expect 13 vmb check --read-data
says 'it has lost more than its parity mends'
cp "$tmp/pack" "$pack"
expect 0 vmb check --read-data

# ---- parity that is damaged, or missing ----

parity=$vault/parity${pack#"$vault/pack"}
burst "$parity" 0 1
burst "$parity" 5 1
expect 0 vmb check --read-data
prints '^parity that is damaged 1:'
expect 13 vmb repair parity --read-data
prints '^would repair: parity/: 1 packs would get parity of 10 %'
burst "$parity" 0 1000
expect 0 vmb repair parity --read-data --apply
[ -e "$parity-1" ] || fail "no other parity stands beside what is damaged"
expect 0 vmb check --read-data
! grep -q 'parity that is damaged' "$tmp/out" || fail "not repaired"
burst "$pack" 50 "$most"
reads
cp "$tmp/pack" "$pack"

# A backup that died between a pack and its parity; one that wanted none.
rm "$parity" "$parity-1"
head -c 300000 /dev/urandom >"$s/big"
expect 2 vmb backup --parity 51 --vm m "$s"
expect 0 vmb backup --parity 0 --vm m --time 2026-10-02 "$s"
expect 0 vmb check
prints '^packs without parity 3: vmbackup repair parity makes it'
expect 2 vmb repair packs --parity 5
expect 2 vmb repair parity --parity 0
expect 0 vmb repair parity --parity 20% --apply
prints '^repaired: parity/: 3 packs got parity of 20 %'
expect 0 vmb check --read-data
! grep -q 'without parity' "$tmp/out" || fail "some pack has none"
expect 0 vmb stats
prints '^  parity '
