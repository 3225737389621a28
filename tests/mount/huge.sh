#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A disk of 64 TiB with little in it, in places all over: what is read, stored,
# shown, written back and held in memory is in proportion to what is in it.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
requires fuse python3 truncate
pieces=64
[ -z "${SOAK:-}" ] || pieces=1024
data=$((pieces << 20))
size=$((64 << 40))

# Not every filesystem has files so long.
dir=$tmp
if ! truncate -s $size "$dir/huge" 2>/dev/null; then
	rm -f "$dir/huge"
	dir=$(mktemp -d /dev/shm/vmbackup-huge-XXXXXX) ||
		skip "no place for a file of 64 TiB"
	cleanup_fn rm -rf "$dir"
	truncate -s $size "$dir/huge" || skip "no file of 64 TiB can be made"
fi
huge=$dir/huge
# A piece of 1 MiB at the begin, at the end, and at other places: so many cells
# at most have something.
python3 - "$huge" $size $pieces <<-'END'
	import os
	import random
	import sys
	path, size, pieces = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
	rng = random.Random(64)
	part = size // pieces
	fd = os.open(path, os.O_WRONLY)
	for i in range(pieces):
	    off = i * part + rng.randrange((part - (1 << 20)) // 4096) * 4096
	    if i == 0:
	        off = 0
	    elif i == pieces - 1:
	        off = size - (1 << 20)
	    os.pwrite(fd, rng.randbytes(1 << 20), off)
	os.fsync(fd)
END

# field NAME: of the summary in $tmp/out.
field() {
	"$tests/json_field.py" "$1" <"$tmp/out"
}

# disk_field FIELD: of the disk in it.
disk_field() {
	field disks | python3 -c '
import json, sys
print(json.load(sys.stdin)[0][sys.argv[1]])' "$1"
}

# bounded COMMAND...: with memory that its data explain, not its size.
bounded() {
	expect 0 "$tests/peak.py" "$tmp/peak" "$vmbackup" -r "$vault" \
		--key-file "$keyfile" --cache-dir "$cache" "$@"
	bound "$1" "$(cat "$tmp/peak")"
}

# bound WHAT KIB
bound() {
	note "$1: at most $2 KiB of memory"
	sanitized || [ "$2" -le 196608 ] || fail "$1: more than 192 MiB"
}

vault_bytes() {
	find "$vault" -type f -printf '%s\n' | awk '{ n += $1 } END { print n }'
}

# at_most WHAT BYTES: what there is of data, and an eighth.
at_most() {
	[ "$2" -le $((data + data / 8 + 1048576)) ] ||
		fail "$1: $2 bytes, for $data of data"
}

# ---- in ----

new_vault
before=$(vault_bytes)
bounded backup --vm huge --disk "a=$huge" --json
[ "$(disk_field size)" = $size ] || fail "size: $(disk_field size)"
[ "$(disk_field used)" = $data ] || fail "used: $(disk_field used)"
at_most read "$(disk_field read)"
at_most stored $(($(vault_bytes) - before))
before=$(vault_bytes)
bounded backup --vm huge --disk "a=$huge" --json
[ $(($(vault_bytes) - before)) -le 1048576 ] ||
	fail "an unchanged disk is stored again"

# ---- shown ----

start_mount "$vault" "$tmp/mnt"
pid=$(mount_pid "$tmp/mnt")
shown=$(cd "$tmp/mnt/vms/huge/latest/disks" && pwd -P)/a.raw
[ "$(stat -c '%s %b' "$shown")" = "$size $((data / 512))" ] ||
	fail "stat: $(stat -c '%s %b' "$shown")"
expect 0 "$tests/disk_same.py" --holes --data "$huge" "$shown"
note "mount: $(cat "$tmp/out")"
bound mount "$(peak_kib "$pid")"
stop_mount "$tmp/mnt"

# ---- out ----

bounded restore huge/latest:disks/a.raw --to "$dir/restored" --json
[ "$(field bytes_written)" = $data ] || fail "written: $(field bytes_written)"
at_most allocated "$(du -B1 "$dir/restored" | cut -f1)"
expect 0 "$tests/disk_same.py" --data --reads 200 "$huge" "$dir/restored"
