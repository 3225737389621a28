#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# An encrypted volume opens with the keys that the mount and the commands are
# given, says so where there is none, and what it then holds are the files
# that the kernel shows of the same before it was encrypted.
. "$(dirname "$0")/../lib.sh"
. "$tests/guest/images.sh"
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

# ---- the files, of each kind ----

requires root loop python3 lvm mkfs.ext4

# pv NAME GROUP LV MIB: a disk with a volume of that size; its data is at 1 MiB.
pv() {
	local loop
	truncate -s $(($4 + 4))M "$tmp/$1"
	loop=$(losetup -f --show "$tmp/$1")
	pvs=("$loop")
	{ lv pvcreate -qq "$loop" && lv vgcreate -qq -s 1M "$2" "$loop" &&
		lv lvcreate -qq -an -Zn -Wn -L "$4M" -n "$3" "$2"; } || {
		losetup -d "$loop"
		fail "LVM: $1"
	}
	losetup -d "$loop"
}

# into NAME IMAGE: the bytes of its volume.
into() {
	dd if="$2" of="$tmp/$1" bs=1M seek=1 conv=notrunc,sparse status=none
}

# encrypt NAME SECTOR: a disk of its own.
encrypt() {
	truncate -s +16M "$tmp/$1"
	luks_encrypt "$tmp/$1" "$tmp/pass" "$2" --pbkdf pbkdf2 \
		--pbkdf-force-iterations 1000
}

truncate -s 24M "$tmp/plain"
mkfs.ext4 -q -b 4096 -I 256 -N 4000 "$tmp/plain"
mkdir "$tmp/kernel"
loop_mount "$tmp/plain" "$tmp/kernel"
mounts+=("$tmp/kernel")
"$tests/fixture.py" make "$tmp/kernel" --small 2>/dev/null
rm -rf "$tmp/kernel/huge" "$tmp/kernel/deep"
head -c 3000001 /dev/urandom >"$tmp/kernel/random"
umount "$tmp/kernel"
loop_mount "$tmp/plain" "$tmp/kernel" ro,noload

for disk in luks1 luks2 large; do
	cp --sparse=always "$tmp/plain" "$tmp/$disk"
done
encrypt luks1 512
luks_to_luks1 "$tmp/luks1"
encrypt luks2 512
encrypt large 4096
pv inside vg0 root 24
into inside "$tmp/plain"
encrypt inside 4096
pv outside vg1 secret 40
into outside "$tmp/luks2"
disks=()
for disk in luks1 luks2 large inside outside; do
	disks+=(--disk "$disk=$tmp/$disk")
done
expect 0 vmb backup --vm web2 "${disks[@]}"
volumes=web2/latest:volumes

start_mount "$vault" "$tmp/mnt" "lukskey=$tmp/wrong,lukskey=$tmp/pass"
shown=$tmp/mnt/vms/web2/latest/volumes
for volume in luks1_crypt luks2_crypt large_crypt vg0-root vg1-secret_crypt; do
	[ -d "$shown/$volume" ] || fail "no $volume: $(ls "$shown")"
	same "$tmp/kernel" "$shown/$volume" --count
	cmp -n $((24 << 20)) "$tmp/plain" "$shown/$volume.raw" ||
		fail "$volume.raw"
	expect 0 vmb --luks-key-file "$tmp/pass" cat "$volumes/$volume/random"
	cmp "$tmp/out" "$tmp/kernel/random" || fail "cat of $volume"
done
stop_mount "$tmp/mnt"
ls "$tmp/kernel" >"$tmp/names"
expect 0 vmb --luks-key-file "$tmp/pass" ls "$volumes/vg1-secret_crypt"
cmp "$tmp/out" "$tmp/names" || fail "ls"

# With another key each says why, and what lies in it is not there.
start_mount "$vault" "$tmp/mnt" "lukskey=$tmp/wrong"
for volume in luks1 luks2 large inside vg1-secret; do
	grep -q "none of the keys given opens it" \
		"$shown/$volume.unreadable" || fail "why not $volume"
done
if ls "$shown" | grep -q -e crypt -e vg0; then
	fail "opened with a wrong key"
fi
stop_mount "$tmp/mnt"
note "files in encrypted volumes are equal"
