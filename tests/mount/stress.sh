#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Many readers of one mount at once, with points being added: right bytes,
# bounded memory, and (under ThreadSanitizer) no race.
. "$(dirname "$0")/../lib.sh"
requires fuse python3

seconds=${STRESS_SECONDS:-10}
[ -z "${SOAK:-}" ] || seconds=120
limit=131072	# KiB; what vmbackupfs(7) states
"$tests/fixture.py" make "$tmp/source" 2>/dev/null
"$tests/fixture.py" many "$tmp/source/many" 5000 200
rm -rf "$tmp/source/huge" "$tmp/source/deep"
new_vault
expect 0 vmb backup --vm web1 "$tmp/source"
start_mount "$vault" "$tmp/mnt"
pid=$(mount_pid "$tmp/mnt")
shown=$(cd "$tmp/mnt/vms/web1/latest/files$tmp/source" && pwd -P)

python3 "$tests/readers.py" "$tmp/source" "$shown" "$seconds" &
readers=$!
cleanup_fn end_process "$readers"
finds=()
for _ in 1 2; do
	find "$tmp/mnt/vms" -ls >/dev/null &
	finds+=($!)
done
mkdir "$tmp/more"
for i in 1 2 3; do
	echo "$i" >"$tmp/more/file-$i"
	expect 0 vmb backup --vm "more$i" "$tmp/more"
done
for find in "${finds[@]}"; do
	wait "$find" || fail "find over the mount"
done
wait "$readers" || fail "readers"
kill -0 "$pid" || fail "the daemon died"
[ "$(ls "$tmp/mnt/vms" | wc -l)" -ge 1 ] || fail "ls after it all"
kib=$(peak_kib "$pid")
note "peak memory of the mount $kib KiB"
sanitized || [ "$kib" -le $limit ] || fail "more than $limit KiB"
stop_mount "$tmp/mnt"
