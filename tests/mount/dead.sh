#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A daemon that was killed leaves an error, never an empty directory, and the
# next mount at that place cleans up.
. "$(dirname "$0")/../lib.sh"
requires fuse root

mkdir "$tmp/source" "$tmp/mnt"
echo content >"$tmp/source/file"
new_vault
expect 0 vmb backup --vm web1 "$tmp/source"
for turn in 1 2; do
	start_mount "$vault" "$tmp/mnt"
	file=$tmp/mnt/vms/web1/latest/files$tmp/source/file
	[ "$(cat "$file")" = content ] || fail "turn $turn: not readable"
	exec 7<"$file"
	pid=$(mount_pid "$tmp/mnt")
	kill -KILL "$pid"
	await_end "$pid" 10 || fail "not dead"
	is_mounted "$tmp/mnt" || fail "the dead mount vanished: a backup" \
		"of this machine would find an empty directory"
	if ls "$tmp/mnt" >"$tmp/out" 2>"$tmp/err"; then
		fail "a dead mount lists: '$(cat "$tmp/out")'"
	fi
	says 'transport endpoint|input/output'
	if cat "$file" >/dev/null 2>&1; then
		fail "a dead mount reads"
	fi
	exec 7<&-
done
start_mount "$vault" "$tmp/mnt"
[ "$(cat "$file")" = content ] || fail "not readable after the deaths"
[ "$(awk -v p="$tmp/mnt" '$5 == p' /proc/self/mountinfo | wc -l)" = 1 ] ||
	fail "the dead mount lies below the living"
# A second mount on a living one is refused and does no harm.
if "$mounter" "$vault" "$tmp/mnt" -o "keyfile=$keyfile" 2>"$tmp/err"; then
	[ "$(awk -v p="$tmp/mnt" '$5 == p' /proc/self/mountinfo |
		wc -l)" = 1 ] || note "two mounts at one place"
	umount "$tmp/mnt"
fi
[ "$(cat "$file")" = content ] || fail "the living mount was harmed"
stop_mount "$tmp/mnt"
[ -z "$(ls "$tmp/mnt")" ] || fail "something lies below the mount"
