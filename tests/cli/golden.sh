#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A vault that was written long ago restores to what its manifest says, by
# the program and by the second reader.
. "$(dirname "$0")/../lib.sh"
requires python3 zstd
python3 -c 'import cryptography' 2>/dev/null ||
	skip "python3-cryptography is not installed"

tar -C "$tmp" -xf "$tests/reader/golden.tar"
vault=$tmp/vault
(umask 077; head -c 64 /dev/zero | tr "\\0" k >"$keyfile")
golden() {
	local dir
	dir=$(find "$1" -type d -name golden-tree -print -quit)
	[ -n "$dir" ] || dir=$1
	"$tests/reader/manifest.py" "$dir" >"$tmp/manifest"
	diff -u "$tests/reader/golden.manifest" "$tmp/manifest" >&2 ||
		fail "not what was backed up: $1"
}

reader=$tests/reader/vmbackup_reader.py
for how in "--key-file $keyfile" "--password golden"; do
	# shellcheck disable=SC2086
	expect 0 "$reader" "$vault" $how points
	prints '"vm": "golden"'
done
id=$(python3 "$tests/json_field.py" id <"$tmp/out")
expect 0 "$reader" "$vault" --key-file "$keyfile" verify
expect 0 "$reader" "$vault" --key-file "$keyfile" restore "$id" "$tmp/one"
golden "$tmp/one"

expect 0 vmb check --read-data
expect 0 vmb restore golden/2026-11-22T101500Z --target "$tmp/two" --verify
golden "$tmp/two"
expect 0 env VMBACKUP_PASSWORD=golden "$vmbackup" -r "$vault" points
