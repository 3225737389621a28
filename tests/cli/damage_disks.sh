#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Bytes of a vault with a disk are flipped: a disk, a volume, and a file in a
# volume are then read right or not at all, and check finds each. The vault is
# tests/reader/golden-disk.tar. SOAK=1: every byte.
. "$(dirname "$0")/../lib.sh"
requires python3

tar -C "$tmp" -xf "$tests/reader/golden-disk.tar"
(umask 077; head -c 64 /dev/zero | tr "\\0" k >"$keyfile")
"$tests/damage_disks.py" --vmbackup "$vmbackup" --vault "$vault" \
	--keyfile "$keyfile" --work "$tmp/work" ${SOAK:+--all} ||
	fail "damage not noticed"
