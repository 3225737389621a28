#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# An encrypted volume opens with the keys that the mount and the commands are
# given, and says so where there is none. (What it then holds are bytes that
# were never written: to fill it takes the kernel's device-mapper.)
. "$(dirname "$0")/../lib.sh"
requires fuse cryptsetup
unset VMBACKUP_LUKS_KEY_FILE

truncate -s 40M "$tmp/vda"
printf 'open sesame' >"$tmp/pass"
head -c 512 /dev/urandom >"$tmp/binary"
printf 'wrong' >"$tmp/wrong"
printf 'open sesame\n' >"$tmp/line"
chmod 600 "$tmp/pass" "$tmp/binary" "$tmp/wrong" "$tmp/line"
cryptsetup -q luksFormat --type luks2 --pbkdf pbkdf2 \
	--pbkdf-force-iterations 1000 --key-file "$tmp/pass" "$tmp/vda" \
	2>"$tmp/err" || fail "cryptsetup luksFormat"
cryptsetup -q luksAddKey --pbkdf pbkdf2 --pbkdf-force-iterations 1000 \
	--key-file "$tmp/pass" "$tmp/vda" "$tmp/binary" 2>"$tmp/err" ||
	fail "cryptsetup luksAddKey"
new_vault
expect 0 vmb backup --vm web1 --disk "vda=$tmp/vda"
volumes=web1/latest:volumes

expect 0 vmb ls "$volumes"
prints '^vda.unreadable$'
if grep -q crypt "$tmp/out"; then
	fail "opened without a key"
fi
expect 0 vmb cat "$volumes/vda.unreadable"
prints '[Kk]ey'
expect 0 vmb --luks-key-file "$tmp/wrong" ls "$volumes"
if grep -q crypt "$tmp/out"; then
	fail "opened with a wrong key"
fi
# As it is, as a line, as bytes, after a wrong one, and from the environment.
for key in pass line binary; do
	expect 0 vmb --luks-key-file "$tmp/wrong" \
		--luks-key-file "$tmp/$key" ls "$volumes"
	prints '^vda_crypt.raw$'
done
export VMBACKUP_LUKS_KEY_FILE=$tmp/line
expect 0 vmb ls "$volumes"
prints '^vda_crypt.raw$'
unset VMBACKUP_LUKS_KEY_FILE
expect 1 vmb --luks-key-file "$tmp/absent" ls "$volumes"
says absent
: >"$tmp/empty"
chmod 600 "$tmp/empty"
expect 2 vmb --luks-key-file "$tmp/empty" ls "$volumes"
says 'empty'

start_mount "$vault" "$tmp/mnt" "lukskey=$tmp/wrong,lukskey=$tmp/binary"
[ -f "$tmp/mnt/vms/web1/latest/volumes/vda_crypt.raw" ] ||
	fail "not opened in the mount"
stop_mount "$tmp/mnt"
note "keys open volumes"
