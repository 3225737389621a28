#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The second reader finds every byte of the vault in tests/golden right, with
# either key. A vault with disks that was written long ago is read by both
# readers: to what its manifest says, and down to the files in a disk.
. "$(dirname "$0")/../lib.sh"
requires python3 zstd
python3 -c 'import cryptography' 2>/dev/null ||
	skip "python3-cryptography is not installed"

reader=$tests/reader/vmbackup_reader.py
vault=$tests/golden/vault
(umask 077; head -c 64 /dev/zero | tr '\0' k >"$keyfile")
# by_reader POINTS: of that many.
by_reader() {
	local how
	for how in "--key-file $keyfile" "--password golden"; do
		# shellcheck disable=SC2086
		expect 0 "$reader" "$vault" $how verify
		prints " $1 points$"
		# shellcheck disable=SC2086
		expect 0 "$reader" "$vault" $how points
		prints '"vm": "golden"'
	done
}
by_reader 3
# What lies beside points: the last digest stands for the one before, and says
# the same as the registers of three points and of a session that made none.
for how in "--key-file $keyfile" "--password golden"; do
	# shellcheck disable=SC2086
	expect 0 "$reader" "$vault" $how digests
	prints '^1 digests in use, 4 sessions$'
done
expect 0 "$reader" "$vault" --key-file "$keyfile" verify
prints '^11 records beside points$'
expect 0 "$reader" "$vault" --key-file "$keyfile" points
prints '"users": [{]"1000": "alice"[}]'
prints '"groups": [{]"100000": "staff"[}]'

# A merged index object stands for those that it supersedes, which a collection may
# have deleted.
cp -r "$vault" "$tmp/merged"
chmod -R u+w "$tmp/merged"
merged=$(ls "$vault"/index/*.m)
[ "$(ls "$vault"/index | wc -l)" = 4 ] || fail "not three and a merged one"
first=("$vault"/index/*-0)
rm "$tmp/merged/index/${first[0]##*/}"
expect 0 "$reader" "$tmp/merged" --key-file "$keyfile" verify
rm "$tmp/merged/index/${merged##*/}"
expect 1 "$reader" "$tmp/merged" --key-file "$keyfile" verify

# ---- disks ----

mkdir "$tmp/disks"
tar -C "$tmp/disks" -xf "$tests/reader/golden-disk.tar"
vault=$tmp/disks/vault
# is_golden DISKS CONFIGS: what was restored there, and the files in the disk's
# volume, are what the manifest names.
is_golden() {
	local name
	rm -rf "$tmp/all"
	mkdir -p "$tmp/all/etc"
	cp "$1/vda.raw" "$tmp/all/vda"
	cp "$1/vdb.raw" "$tmp/all/vdb"
	cp "$2/domain.xml" "$tmp/all/"
	for name in etc/hostname numbers; do
		expect 0 vmb cat "golden/latest:volumes/vda1/$name"
		cp "$tmp/out" "$tmp/all/$name"
	done
	(cd "$tmp/all" && sha256sum --quiet --strict -c \
		"$tests/reader/golden-disk.manifest") >&2 ||
		fail "not what was backed up: $1"
}

by_reader 1
id=$(python3 "$tests/json_field.py" id <"$tmp/out")
expect 0 "$reader" "$vault" --key-file "$keyfile" restore "$id" "$tmp/one"
prints '^0 entries, 3 disks and config files$'
is_golden "$tmp/one/disks" "$tmp/one/config"

expect 0 vmb check --read-data
expect 0 vmb restore golden/2026-11-23T101500Z --disks-to "$tmp/two" --verify
is_golden "$tmp/two" "$tmp/two"
expect 0 vmb ls golden/latest:volumes/vda1
[ "$(sort "$tmp/out" | tr '\n' ' ')" = "empty etc link lost+found numbers " ] ||
	fail "in the volume: $(cat "$tmp/out")"
