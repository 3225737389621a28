#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The mount's memory under a full find beside 16 readers of everything, with
# the options that it has by itself: what vmbackupfs(7) states.
. "$(dirname "$0")/../lib.sh"
requires fuse python3

sanitized && skip "limits of memory are not ours under a sanitizer"
limit=131072 # KiB
dirs=24
[ -z "${SOAK:-}" ] || dirs=400

python3 - "$tmp/source" $dirs <<'PY'
import os, random, sys
rng = random.Random(5)
words = [rng.randbytes(rng.randrange(3, 30)) for _ in range(4000)]
def some(n):
    out = bytearray()
    while len(out) < n:
        out += b"".join(rng.choices(words, k=500))
    return bytes(out[:n])
piece = some(1 << 20)
for d in range(int(sys.argv[2])):
    folder = os.path.join(sys.argv[1], "dir-%d" % d)
    os.makedirs(folder)
    with open(folder + "/large", "wb") as f:
        for i in range(5):
            f.write(some(4096))
            f.write(piece[rng.randrange(1 << 19):])
    for i in range(200):
        at = rng.randrange(1 << 19)
        with open(folder + "/small-%d" % i, "wb") as f:
            f.write(piece[at:at + rng.randrange(100, 6000)])
PY
new_vault
expect 0 vmb backup --vm web1 "$tmp/source"
start_mount "$vault" "$tmp/mnt"
pid=$(mount_pid "$tmp/mnt")
shown=$tmp/mnt/vms/web1/latest/files$tmp/source
readers=()
find "$shown" -ls >/dev/null &
readers+=($!)
for ((i = 0; i < 16; i++)); do
	# Its part of the directories, and all of their files.
	(for ((d = i; d < dirs; d += 16)); do
		cat "$shown/dir-$d"/*
	done) >/dev/null &
	readers+=($!)
done
for reader in "${readers[@]}"; do
	wait "$reader" || fail "a reader failed"
done
kib=$(peak_kib "$pid")
note "peak memory of the mount $kib KiB"
[ "$kib" -le $limit ] || fail "more than $limit KiB"
"$tests/compare.py" "$tmp/source" "$shown" || fail "it differs"
stop_mount "$tmp/mnt"
