#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Sixteen processes read all of all volumes of one point at once, one volume of
# each format, and its disks at random places. What each of them finds is what
# is there. It is small, for ThreadSanitizer.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/guest/through.sh
. "$(dirname "$0")/../guest/through.sh"
# shellcheck source=tests/guest/formats.sh
. "$(dirname "$0")/../guest/formats.sh"

small_tree "$tmp/tree"
disks=()
for format in $formats; do
	small_image "$format" "$tmp/$format" "$tmp/tree"
	disks+=(--disk "$format=$tmp/$format")
done
new_vault
expect 0 vmb backup --vm all "${disks[@]}"
note "a disk of each format: $formats"

start_mount "$vault" "$tmp/mnt"
pid=$(mount_pid "$tmp/mnt")
top=$(cd "$tmp/mnt/vms/all/latest" && pwd -P)
# shellcheck disable=SC2086 # several
expect 0 "$tests/guest/read_volumes.py" "$tmp" "$top" "$tmp/read" \
	$formats
kib=$(peak_kib "$pid")
note "16 readers; peak memory of the mount $kib KiB"
sanitized || [ "$kib" -le 196608 ] || fail "more than 192 MiB"

for format in $formats; do
	for i in {1..15}; do
		cmp "$tmp/read-0-$format" "$tmp/read-$i-$format" ||
			fail "readers 0 and $i find different things in $format"
	done
	small_same "$format" "$top/volumes/$format" "$tmp/$format.listing"
	note "$format: $(wc -l <"$tmp/read-0-$format") entries, 16 times"
done
stop_mount "$tmp/mnt"
