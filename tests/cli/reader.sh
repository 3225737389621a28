#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The second reader, written from vmbackup-vault(5) alone, restores what the
# program writes today.
. "$(dirname "$0")/../lib.sh"
requires python3 zstd
python3 -c 'import cryptography' 2>/dev/null ||
	skip "python3-cryptography is not installed"

source=$tmp/source
"$tests/fixture.py" make "$source" --small 2>/dev/null
rm -rf "$source/huge"
new_vault
expect 0 vmb backup --vm web1 --json "$source"
id=$(python3 "$tests/json_field.py" point_id <"$tmp/out")
"$tests/fixture.py" mutate "$source" 2 2>/dev/null
expect 0 vmb backup --vm web1 --json "$source"
second=$(python3 "$tests/json_field.py" point_id <"$tmp/out")
[ "$id" != "$second" ] || fail "two points of one id"
reader=$tests/reader/vmbackup_reader.py
expect 0 "$reader" "$vault" --key-file "$keyfile" verify
note "$(cat "$tmp/out")"
expect 0 "$reader" "$vault" --key-file "$keyfile" restore "$second" \
	"$tmp/restored"
same "$source" "$tmp/restored$source" --ignore ctime,dirsize
