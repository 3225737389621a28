#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Many filesystems in the disks of one point: a walk over all of them takes no
# more memory than the manual says, though what could be remembered of them is
# ten times what may be.
. "$(dirname "$0")/../lib.sh"
requires fuse python3 mke2fs

disks=30 dirs=20 files=100

mkdir "$tmp/tree"
for ((i = 0; i < dirs; i++)); do
	mkdir "$tmp/tree/d$i"
	(cd "$tmp/tree/d$i" && seq -f "file-%g-of-$i" $files | xargs touch)
done
echo content >"$tmp/tree/d7/file-7-of-7"
# Large inodes make much metadata of few files.
truncate -s 64M "$tmp/image"
mke2fs -q -F -t ext4 -b 4096 -I 4096 -N 4000 -d "$tmp/tree" "$tmp/image"

new_vault
args=()
for ((i = 1; i <= disks; i++)); do
	args+=(--disk "d${i}x=$tmp/image")
done
expect 0 vmb backup --vm many "${args[@]}"

start_mount "$vault" "$tmp/mnt"
pid=$(mount_pid "$tmp/mnt")
volumes=$(cd "$tmp/mnt/vms/many/latest/volumes" && pwd -P)
note "$(peak_kib "$pid") KiB before"
n=$(find "$volumes" -name 'file-*' -type f -size -2 | wc -l)
[ "$n" = $((disks * dirs * files)) ] || fail "$n files were found"
n=$(cat "$volumes"/*/d7/file-7-of-7 | grep -c content)
[ "$n" = $disks ] || fail "$n files were read"

kib=$(peak_kib "$pid")
note "peak memory $kib KiB"
sanitized || [ "$kib" -le 131072 ] || fail "more than 128 MiB: $kib KiB"

status=$(tr -d '\n' <"$tmp/mnt/.vmbackupfs/status.json")
open=$("$tests/json_field.py" volumes_open <<<"$status")
memory=$("$tests/json_field.py" volumes_memory <<<"$status")
[ "$open" = $disks ] || fail "$open filesystems are open"
[ "$memory" -le $((24 << 20)) ] || fail "they keep $memory bytes"
stop_mount "$tmp/mnt"
