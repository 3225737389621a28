#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# disks/NAME.raw against the image: reads at random places, and the holes, to
# the block, of several layouts.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
requires fuse python3 qemu-img truncate
reads=2000
[ -z "${SOAK:-}" ] || reads=50000

# paint FILE SIZE SEED LAYOUT
#   ordinary   extents of whole blocks, a few to a cell
#   odd        data that begin and end anywhere, zeros that are allocated
#   dense      every other block and gaps of several lengths: more runs than a
#              cell may have
#   full       no hole
paint() {
	python3 - "$@" <<'PY'
import os
import random
import sys
path, size, seed, layout = sys.argv[1], *map(int, sys.argv[2:4]), sys.argv[4]
rng = random.Random(seed)
fd = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
os.ftruncate(fd, size)
CELL = 262144

def put(off, n, zeros=False):
    n = min(n, size - off)
    if n > 0:
        os.pwrite(fd, bytes(n) if zeros else rng.randbytes(n), off)

if layout == "ordinary":
    off = 0
    while off < size:
        n = rng.choice((4096, 8192, 65536, 262144, 1 << 20))
        put(off, n)
        off += n + rng.choice((32768, 131072, 262144, 3 << 20))
elif layout == "odd":
    for _ in range(300):
        n = rng.choice((1, 512, 4096, 5000, 100000, 300000))
        put(rng.randrange(size), n, rng.random() < 0.3)
elif layout == "dense":
    for cell in range(0, size, 2 * CELL):
        block = 0
        while block < 64:
            n = rng.randint(1, 2)
            put(cell + block * 4096, n * 4096, rng.random() < 0.1)
            block += n + rng.choice((1, 1, 1, 2, 3, 5)) * (cell % 3 != 0)
elif layout == "full":
    put(0, size)
os.fsync(fd)
os.close(fd)
PY
}

paint "$tmp/ordinary" $((64 << 20)) 1 ordinary
paint "$tmp/odd" $(((48 << 20) + 512 * 3)) 2 odd
paint "$tmp/dense" $((24 << 20)) 3 dense
paint "$tmp/full" $(((9 << 20) + 4096)) 4 full
truncate -s 5G "$tmp/empty"
qemu-img convert -O qcow2 -o cluster_size=64k "$tmp/ordinary" "$tmp/qcow2"
layouts='ordinary odd dense full empty'

new_vault
disks=(--disk "qcow2=qcow2:$tmp/qcow2")
for name in $layouts; do
	disks+=(--disk "$name=$tmp/$name")
done
expect 0 vmb backup --vm web1 "${disks[@]}"
start_mount "$vault" "$tmp/mnt"
top=$(cd "$tmp/mnt/vms/web1/latest/disks" && pwd -P)
for name in $layouts; do
	expect 0 "$tests/disk_same.py" --holes --reads $reads "$tmp/$name" \
		"$top/$name.raw"
	note "$name: $(cat "$tmp/out")"
done
expect 0 "$tests/disk_same.py" --holes --reads 1 "$tmp/dense" "$top/dense.raw"
prints ' [1-9][0-9]* of them of more than 16 runs'

# An image has its holes by clusters: of the disk that it holds, none is data
# that the disk has not.
expect 0 "$tests/disk_same.py" --reads $reads "$tmp/ordinary" "$top/qcow2.raw"
[ "$(stat -c %b "$top/qcow2.raw")" -ge "$(stat -c %b "$top/ordinary.raw")" ] ||
	fail "st_blocks of qcow2.raw"

# What differs is noticed.
cp --sparse=always "$tmp/ordinary" "$tmp/other"
at=$(python3 -c '
import os, sys
print(os.lseek(os.open(sys.argv[1], os.O_RDONLY), 1 << 20, os.SEEK_HOLE))' \
	"$tmp/other")
fallocate -o "$at" -l 4096 "$tmp/other"
dd if=/dev/zero of="$tmp/other" bs=4096 seek=$((at / 4096)) count=1 \
	conv=notrunc status=none
expect 1 "$tests/disk_same.py" --holes "$tmp/other" "$top/ordinary.raw"
says 'are holes, but are data of the image'
stop_mount "$tmp/mnt"

# The same with a parent point.
head -c 4096 /dev/urandom | dd of="$tmp/ordinary" bs=4096 seek=$((at / 4096)) \
	conv=notrunc status=none
expect 0 vmb backup --vm web1 --disk "ordinary=$tmp/ordinary"
start_mount "$vault" "$tmp/mnt"
top=$(cd "$tmp/mnt/vms/web1/latest/disks" && pwd -P)
expect 0 "$tests/disk_same.py" --holes --reads 200 "$tmp/ordinary" \
	"$top/ordinary.raw"
stop_mount "$tmp/mnt"
