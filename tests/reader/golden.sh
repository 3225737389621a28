#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The second reader finds every byte of the vault in tests/golden right, with
# either key.
. "$(dirname "$0")/../lib.sh"
requires python3 zstd
python3 -c 'import cryptography' 2>/dev/null ||
	skip "python3-cryptography is not installed"

reader=$tests/reader/vmbackup_reader.py
vault=$tests/golden/vault
head -c 64 /dev/zero | tr '\0' k >"$tmp/key"
for how in "--key-file $tmp/key" "--password golden"; do
	# shellcheck disable=SC2086
	expect 0 "$reader" "$vault" $how points
	prints '"vm": "golden"'
	# shellcheck disable=SC2086
	expect 0 "$reader" "$vault" $how verify
	prints '2 points'
done
