#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# mount -t vmbackupfs, and a line of fstab. mount(8) looks for helpers in
# /sbin alone: in a mount namespace of our own, /sbin gets one more entry.
. "$(dirname "$0")/../lib.sh"
requires fuse root namespaces findmnt

mkdir "$tmp/sbin" "$tmp/newsbin"
sbin=$(readlink -f /sbin)
mount --bind "$sbin" "$tmp/sbin"
cleanup_fn umount "$tmp/sbin"
mount -t tmpfs sbin "$tmp/newsbin"
for program in "$tmp/sbin"/*; do
	ln -s "$program" "$tmp/newsbin/"
done
ln -sf "$mounter" "$tmp/newsbin/mount.vmbackupfs"
mount --move "$tmp/newsbin" "$sbin"
cleanup_fn umount "$sbin"

mkdir "$tmp/source" "$tmp/mnt"
echo content >"$tmp/source/file"
new_vault
chmod 755 "$tmp"	# as it is backed up, so will it be shown
expect 0 vmb backup --vm web1 "$tmp/source"
chmod 700 "$tmp"
file=$tmp/mnt/vms/web1/latest/files$tmp/source/file
mounts+=("$tmp/mnt")

mounted() {
	is_mounted "$tmp/mnt" || fail "not mounted"
	daemons+=("$(mount_pid "$tmp/mnt")")
	[ "$(cat "$file")" = content ] || fail "not readable"
	findmnt -no FSTYPE "$tmp/mnt" | grep -qx 'fuse.vmbackupfs' ||
		fail "type: $(findmnt -no FSTYPE "$tmp/mnt")"
	[ "$(findmnt -no SOURCE "$tmp/mnt")" = "$vault" ] ||
		fail "source: $(findmnt -no SOURCE "$tmp/mnt")"
	for flag in ro nosuid nodev; do
		findmnt -no OPTIONS "$tmp/mnt" | tr , '\n' | grep -qx $flag ||
			fail "not $flag: $(findmnt -no OPTIONS "$tmp/mnt")"
	done
}
umounted() {
	local pid
	pid=$(mount_pid "$tmp/mnt")
	expect 0 umount "$tmp/mnt"
	await_end "$pid" 20 || fail "the process outlives its mount"
	is_mounted "$tmp/mnt" && fail "still mounted"
	:
}

expect 0 mount -t vmbackupfs "$vault" "$tmp/mnt" \
	-o "keyfile=$keyfile,cachedir=$cache"
mounted
umounted

generic=defaults,noauto,nofail,_netdev,x-systemd.automount,noatime,user
echo "$vault $tmp/mnt vmbackupfs keyfile=$keyfile,cachedir=$cache,$generic,comment=x 0 0" \
	>"$tmp/fstab"
expect 0 mount -T "$tmp/fstab" "$tmp/mnt"
mounted
# allow_other is what root's mounts are for.
umounted
echo "$vault $tmp/mnt vmbackupfs keyfile=$keyfile,cachedir=$cache,allow_other,ro 0 0" \
	>"$tmp/fstab"
expect 0 mount -T "$tmp/fstab" "$tmp/mnt"
mounted
chmod 755 "$tmp"
if [ "$(stat -c %a "$tmp/source/file")" = 644 ]; then
	[ "$(as_nobody cat "$file")" = content ] ||
		fail "allow_other, but others may not"
fi
umounted
chmod 700 "$tmp"

# Exit codes and words of mount(8).
for bad in no_such_option cachesize=many; do
	r=0
	mount -t vmbackupfs "$vault" "$tmp/mnt" -o "keyfile=$keyfile,$bad" \
		2>"$tmp/err" || r=$?
	[ $r = 1 ] || fail "-o $bad: exit $r, not 1"
	says "${bad%%=*}"
	is_mounted "$tmp/mnt" && fail "mounted with $bad"
done
# mount(8) itself says "rw" where nobody did: only by hand is it meant.
expect 1 "$mounter" "$vault" "$tmp/mnt" -o "keyfile=$keyfile,rw"
says 'read-only'
r=0
mount -t vmbackupfs "$tmp/nothing" "$tmp/mnt" -o "keyfile=$keyfile" \
	2>"$tmp/err" || r=$?
[ $r = 32 ] || fail "missing vault: exit $r, not 32"
says 'nothing'
r=0
head -c 64 /dev/zero >"$tmp/otherkey"
mount -t vmbackupfs "$vault" "$tmp/mnt" -o "keyfile=$tmp/otherkey" \
	2>"$tmp/err" || r=$?
[ $r = 32 ] || fail "wrong key: exit $r, not 32"
says 'key|password'
is_mounted "$tmp/mnt" && fail "mounted without a key"
# -s is "sloppy": unknown options are let pass. -n, -v, -f come from mount(8).
expect 0 mount -n -v -t vmbackupfs "$vault" "$tmp/mnt" \
	-o "keyfile=$keyfile,cachedir=$cache"
mounted
umounted
