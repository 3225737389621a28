#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The vault's disk does not answer: a blocked reader can be interrupted, the
# rest of the mount goes on, and unmounting works. The vault lies on a
# filesystem whose own daemon is stopped.
. "$(dirname "$0")/../lib.sh"
requires fuse root namespaces mksquashfs squashfuse_ll

mkdir "$tmp/source" "$tmp/ro"
head -c 9000000 /dev/urandom >"$tmp/source/large"
echo small >"$tmp/source/small"
new_vault
expect 0 vmb backup --vm web1 "$tmp/source"
mksquashfs "$vault" "$tmp/image" -no-progress -quiet >"$tmp/out"
squashfuse_ll -f "$tmp/image" "$tmp/ro" >"$tmp/squashfuse" 2>&1 &
server=$!
cleanup_fn await_end "$server" 10
cleanup_fn umount_any "$tmp/ro"
before_cleanup() {
	exec 8<&-
	kill -CONT "$server"
}
await 10 is_mounted "$tmp/ro" || fail "squashfuse_ll does not mount"
mountpoint -q /sys/fs/fuse/connections ||
	mount -t fusectl fusectl /sys/fs/fuse/connections

# More threads than a reader's read-ahead can hold up.
start_mount "$tmp/ro" "$tmp/mnt" threads=32
files=$tmp/mnt/vms/web1/latest/files$tmp/source
[ "$(cat "$files/small")" = small ] || fail "not readable"
waiting=/sys/fs/fuse/connections/$(stat -c %d "$tmp/ro")/waiting
blocked() { [ "$(cat "$waiting")" -gt 0 ]; }

# Opened now: the way to it is looked up again when caches are dropped, and
# looking up a machine asks the vault for new points.
exec 8<"$files"
kill -STOP "$server"
echo 3 >/proc/sys/vm/drop_caches
for signal in INT TERM KILL; do
	# An asynchronous command of a shell ignores SIGINT: Python does not.
	python3 -c 'import signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
f = open(sys.argv[1], "rb"); f.seek(4000000); f.read(1)' \
		/proc/self/fd/8/large 2>/dev/null &
	reader=$!
	await 10 blocked || fail "the reader is not blocked"
	# What needs no disk is still answered.
	[ "$(timeout 10 ls /proc/self/fd/8/)" = "$(printf 'large\nsmall')" ] ||
		fail "ls waits for a blocked read"
	kill -"$signal" "$reader"
	await_end "$reader" 10 || fail "SIG$signal does not end a blocked read"
	wait "$reader" && fail "the blocked read succeeded"
done

# Unmounting with a reader in it.
cat /proc/self/fd/8/large >/dev/null 2>&1 &
reader=$!
exec 8<&-
await 10 blocked || fail "the reader is not blocked"
expect 1 timeout 30 "$vmbackup" umount "$tmp/mnt"
says "$reader"
expect 0 timeout 30 "$vmbackup" umount --lazy "$tmp/mnt"
is_mounted "$tmp/mnt" && fail "still mounted"
kill -CONT "$server"
await_end "$reader" 20 || fail "the reader hangs after the unmount"
wait "$reader" || true
await_end "${daemons[0]}" 20 || fail "the daemon hangs after the unmount"
