#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The second reader, written from vmbackup-vault(5) alone, restores what the
# program writes today: files, disks, config files.
. "$(dirname "$0")/../lib.sh"
requires python3 zstd truncate
python3 -c 'import cryptography' 2>/dev/null ||
	skip "python3-cryptography is not installed"

source=$tmp/source
reader=$tests/reader/vmbackup_reader.py
"$tests/fixture.py" make "$source" --small 2>/dev/null
rm -rf "$source/huge"
new_vault

# restored POINT-ID: by the reader, in $tmp/restored.
restored() {
	rm -rf "$tmp/restored"
	expect 0 "$reader" "$vault" --key-file "$keyfile" verify
	note "$(cat "$tmp/out")"
	expect 0 "$reader" "$vault" --key-file "$keyfile" restore "$1" \
		"$tmp/restored"
}

# allocated FILE LIMIT: it takes no more than so many KiB of the filesystem.
allocated() {
	[ "$(du -k "$1" | cut -f1)" -le "$2" ] ||
		fail "$1 takes $(du -k "$1" | cut -f1) KiB, not $2"
}

# ---- files ----

expect 0 vmb backup --vm web1 --json "$source"
id=$(python3 "$tests/json_field.py" point_id <"$tmp/out")
"$tests/fixture.py" mutate "$source" 2 2>/dev/null
expect 0 vmb backup --vm web1 --json "$source"
second=$(python3 "$tests/json_field.py" point_id <"$tmp/out")
[ "$id" != "$second" ] || fail "two points of one id"
restored "$second"
same "$source" "$tmp/restored$source" --ignore ctime,dirsize

# What was forgotten is not listed, and can be restored.
expect 0 vmb forget "$id"
expect 0 "$reader" "$vault" --key-file "$keyfile" points
if grep -q "\"id\": \"$id\"" "$tmp/out"; then
	fail "the reader lists what was forgotten"
fi
restored "$id"
expect 0 vmb undelete "$id"
expect 0 "$reader" "$vault" --key-file "$keyfile" points
prints "\"id\": \"$id\""

# ---- disks ----

# The first: holes, zeros, data from one cell into the next, single bytes, as
# many runs as a cell can have and more, and a tail of less than a cell. The
# second: an island in each of more cells than one node of an extent map holds,
# and a large hole, of which its last byte is none. The third: but a hole.
python3 - "$tmp" <<'END'
import os, random, sys
cell = 256 << 10
r = random.Random(5)
f = os.open(sys.argv[1] + "/vda", os.O_CREAT | os.O_RDWR, 0o600)
os.ftruncate(f, 40 * cell + 3 * 512)
os.pwrite(f, r.randbytes(4096), 0)
os.pwrite(f, bytes(3 * cell), 2 * cell)
os.pwrite(f, r.randbytes(2 * cell + 5000), 8 * cell - 3000)
os.pwrite(f, b"x", 12 * cell + 99999)
os.pwrite(f, r.randbytes(4096) + bytes(8192) + r.randbytes(4096), 14 * cell)
for i in range(0, 64, 2):
    os.pwrite(f, b"%4096d" % i, 20 * cell + i * 4096)
for i in range(0, 64, 8):
    os.pwrite(f, b"%4096d" % i, 25 * cell + i * 4096)
os.pwrite(f, b"the last sector", 40 * cell + 2 * 512)
os.close(f)
f = os.open(sys.argv[1] + "/vdb", os.O_CREAT | os.O_RDWR, 0o600)
os.ftruncate(f, 400 << 20)
for i in range(1300):
    os.pwrite(f, b"%4096d" % i, i * cell + 8192)
os.pwrite(f, b"e", (400 << 20) - 1)
os.close(f)
END
truncate -s 64M "$tmp/vdc"
echo '<domain/>' >"$tmp/domain.xml"
head -c 5540000 /dev/urandom >"$tmp/nvram"
: >"$tmp/nothing"

# of_machine POINT-ID: it is restored and the same as what is there now.
of_machine() {
	local name
	restored "$1"
	prints '^0 entries, 6 disks and config files$'
	for name in vda vdb vdc; do
		cmp "$tmp/$name" "$tmp/restored/disks/$name.raw" ||
			fail "disk $name"
	done
	for name in domain.xml nvram nothing; do
		cmp "$tmp/$name" "$tmp/restored/config/$name" ||
			fail "config file $name"
	done
	allocated "$tmp/restored/disks/vda.raw" 2048
	allocated "$tmp/restored/disks/vdb.raw" 7168
	allocated "$tmp/restored/disks/vdc.raw" 64
}

expect 0 vmb backup --vm web1 --disk vda="$tmp/vda" --disk vdb="$tmp/vdb" \
	--disk vdc="$tmp/vdc" --config "$tmp/domain.xml" \
	--config "$tmp/nvram" --config "$tmp/nothing" --json
id=$(python3 "$tests/json_field.py" point_id <"$tmp/out")
of_machine "$id"
expect 0 "$reader" "$vault" --key-file "$keyfile" points
[ "$(grep "\"id\": \"$id\"" "$tmp/out" | grep -o '"sha256"' | wc -l)" = 3 ] ||
	fail "disks without a digest"

# Taken over from that one where nothing is new, with the tree beside it; what
# was not read has no digest.
printf 'changed' | dd of="$tmp/vda" bs=1 seek=300000 conv=notrunc status=none
echo '0 262144 same
262144 262144 data
524288 9963008 same' >"$tmp/map"
expect 0 vmb backup --vm web1 --disk vda="$tmp/vda" --map "$tmp/map" \
	--config "$tmp/domain.xml" "$source" --json
id=$(python3 "$tests/json_field.py" point_id <"$tmp/out")
restored "$id"
prints ', 2 disks and config files$'
cmp "$tmp/vda" "$tmp/restored/disks/vda.raw" || fail "disk vda, changed"
same "$source" "$tmp/restored$source" --ignore ctime,dirsize
expect 0 "$reader" "$vault" --key-file "$keyfile" points
if grep "\"id\": \"$id\"" "$tmp/out" | grep -q '"sha256"'; then
	fail "a digest of what was not read"
fi

# ---- quarantine ----

new_vault other
mkdir "$tmp/small"
head -c 100000 /dev/urandom >"$tmp/small/file"
expect 0 vmb backup --vm web1 --time 2030-01-01 "$tmp/small" --json
id=$(python3 "$tests/json_field.py" point_id <"$tmp/out")
chmod -R u+w "$vault"
pack=$(find "$vault/pack" -type f -size +90k)
cp "$pack" "$tmp/pack"
printf 'damage' | dd of="$pack" bs=1 seek=5000 conv=notrunc status=none
expect 1 "$reader" "$vault" --key-file "$keyfile" verify
expect 13 vmb check --read-data
# quarantined N: so many packs are in quarantine, for the reader as well.
quarantined() {
	expect 0 "$reader" "$vault" --key-file "$keyfile" verify
	[ "$(grep -c "in quarantine: $(basename "$pack")" "$tmp/out")" = "$1" ] ||
		fail "not $1 packs in quarantine: $(cat "$tmp/out")"
}
# What it held is stored anew, and serves the old point.
expect 0 vmb backup --vm web1 --time 2030-01-02 "$tmp/small"
quarantined 1
restored "$id"
cmp "$tmp/small/file" "$tmp/restored$tmp/small/file" || fail "not healed"
cp "$tmp/pack" "$pack"
expect 0 vmb check --read-data
quarantined 0

# ---- two vaults that cut alike ----

chunker() {
	expect 0 "$reader" "$1" --key-file "$2" config
	python3 "$tests/json_field.py" chunker <"$tmp/out"
}
expect 0 "$vmbackup" -r "$tmp/alike" init --new-key-file "$tmp/alike.key" \
	--copy-chunker-from "$vault" --from-key-file "$keyfile"
one=$(chunker "$vault" "$keyfile")
[ "$one" ] || fail "no secret"
[ "$(chunker "$tmp/alike" "$tmp/alike.key")" = "$one" ] ||
	fail "the secret is another"
VMBACKUP_FROM_KEY_FILE=$tmp/alike.key expect 0 "$vmbackup" -r "$tmp/alike2" \
	--key-file "$keyfile" init --copy-chunker-from "$tmp/alike"
[ "$(chunker "$tmp/alike2" "$keyfile")" = "$one" ] ||
	fail "the secret of the copy is another"
# Without that vault, or its key, nothing is made.
expect 12 "$vmbackup" -r "$tmp/none" init --new-key-file "$tmp/none.key" \
	--copy-chunker-from "$vault" --from-key-file "$tmp/alike.key"
expect 10 "$vmbackup" -r "$tmp/none" init --new-key-file "$tmp/none.key" \
	--copy-chunker-from "$tmp/nowhere" --from-key-file "$keyfile"
expect 2 "$vmbackup" -r "$tmp/none" init --new-key-file "$tmp/none.key" \
	--from-key-file "$keyfile"
if [ -e "$tmp/none" ] || [ -e "$tmp/none.key" ]; then
	fail "something was made"
fi

# ---- digests ----

# Of a vault of many points, which the next backup makes.
mkdir "$tmp/one"
echo one >"$tmp/one/file"
scale=$(find_program tests/bench/scale)
[ -n "$scale" ] || fail "tests/bench/scale is not built"
vault=$tmp/many
cache=$tmp/cache-of-many
expect 0 "$scale" make "$vault" "$keyfile" 120 1 0 0
expect 0 "$reader" "$vault" --key-file "$keyfile" digests
prints '^0 digests in use, 0 sessions$'
expect 0 vmb backup --vm web1 "$tmp/one"
expect 0 "$reader" "$vault" --key-file "$keyfile" digests
prints '^1 digests in use, 120 sessions$'
