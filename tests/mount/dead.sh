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
expect 32 "$mounter" "$vault" "$tmp/mnt" -o "keyfile=$keyfile"
says 'mounted there already'
[ "$(cat "$file")" = content ] || fail "the living mount was harmed"
stop_mount "$tmp/mnt"
[ -z "$(ls "$tmp/mnt")" ] || fail "something lies below the mount"

# A database inside of the mountpoint could not be reached any more.
for dir in mnt mnt/new/dir; do
	expect 1 "$mounter" "$vault" "$tmp/mnt" \
		-o "keyfile=$keyfile,cachedir=$tmp/$dir"
	says 'cache directory .* is inside the mountpoint'
done
[ -z "$(ls "$tmp/mnt")" ] || fail "a cache was made in the mountpoint"

# Started with closed descriptors, as by a daemon.
for program in "$mounter" "$vmbackup mount"; do
	# shellcheck disable=SC2086 # words
	timeout 30 $program "$vault" "$tmp/mnt" \
		-o "keyfile=$keyfile,cachedir=$cache" <&- >&- 2>&- ||
		fail "$program with closed descriptors ends with $?"
	is_mounted "$tmp/mnt" || fail "$program: not mounted"
	[ "$(cat "$file")" = content ] || fail "not readable"
	pid=$(pgrep -f "$vault $tmp/mnt") || fail "no process"
	umount "$tmp/mnt"
	await_end "$pid" 20 || fail "process $pid outlives its mount"
done
