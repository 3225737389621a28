#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# vmbackup restore --delete into a directory that takes several names for one:
# what was just restored may be listed by another name there, in another case,
# say, and is not removed as an extra.
#
# exfat-fuse shows such a filesystem without a driver in the kernel, and gives
# the names of one thing inode numbers of their own; lowntfs-3g gives the file's.
. "$(dirname "$0")/../lib.sh"
requires root fuse loop mkfs.exfat mount.exfat-fuse mkntfs lowntfs-3g

mkdir -p "$tmp/src/sub" "$tmp/usb"
echo new | tee "$tmp/src/Foo" >"$tmp/src/same"
echo page >"$tmp/src/sub/Page"
new_vault
expect 0 vmb backup --vm web1 "$tmp/src"

truncate -s 16M "$tmp/image"
expect 0 mkfs.exfat "$tmp/image"
loop_attach "$tmp/image"
expect 0 mount.exfat-fuse "$loop" "$tmp/usb" -o rw,noatime
mounts+=("$tmp/usb")
echo old | tee "$tmp/usb/foo" >"$tmp/usb/same"
mkdir "$tmp/usb/SUB"
echo old >"$tmp/usb/SUB/page"
echo mine >"$tmp/usb/zebra"
[ -e "$tmp/usb/FOO" ] || fail "this filesystem tells case"
expect 3 vmb restore "web1/latest:files$tmp/src" --target "$tmp/usb" --delete
says 'nothing is deleted: the target takes several names for one'
for name in Foo sub/Page; do
	cmp "$tmp/src/$name" "$tmp/usb/$name" || fail "$name is gone"
done
[ -e "$tmp/usb/zebra" ] || fail "something was deleted after all"

# Letters that are none of ASCII's, and in the other order.
rm -r "$tmp/src" && mkdir "$tmp/src"
echo new | tee "$tmp/src/Ä" "$tmp/src/ö" >"$tmp/src/Z1"
expect 0 vmb backup --vm far "$tmp/src"
mkdir "$tmp/usb/far"
echo old | tee "$tmp/usb/far"/{ä,Ö,Z1} >"$tmp/usb/far/mine"
expect 3 vmb restore "far/latest:files$tmp/src" --target "$tmp/usb/far" --delete
says 'nothing is deleted: the target takes several names for one'
for name in Ä ö Z1; do
	cmp "$tmp/src/$name" "$tmp/usb/far/$name" || fail "$name is gone"
done
[ -e "$tmp/usb/far/mine" ] || fail "it is not known that this is an extra"
# Where no name was met that is another's, extras go.
rm "$tmp/usb/far/ä" "$tmp/usb/far/Ö"
cp "$tmp/src"/* "$tmp/usb/far"
expect 0 vmb restore "far/latest:files$tmp/src" --target "$tmp/usb/far" --delete
[ "$(ls "$tmp/usb/far" | sort | xargs)" = 'Z1 Ä ö' ] ||
	fail "$(ls "$tmp/usb/far")"

# Where the things tell which is which, other extras go.
truncate -s 16M "$tmp/ntfs.image"
expect 0 mkntfs -q -F "$tmp/ntfs.image"
mkdir "$tmp/ntfs"
loop_attach "$tmp/ntfs.image"
expect 0 lowntfs-3g -o ignore_case "$loop" "$tmp/ntfs"
mounts+=("$tmp/ntfs")
mkdir "$tmp/ntfs/far" "$tmp/ntfs/far/SUB" "$tmp/src/sub"
echo old | tee "$tmp/ntfs/far"/{ä,Ö,Z1,mine,zebra} >"$tmp/ntfs/far/SUB/page"
echo new >"$tmp/src/sub/Page"
expect 0 vmb backup --vm far "$tmp/src"
[ -e "$tmp/ntfs/far/Ä" ] || fail "this filesystem tells case"
for how in --dry-run ''; do
	expect 0 vmb restore "far/latest:files$tmp/src" --target \
		"$tmp/ntfs/far" --delete -v $how
	grep -o '^deleted .*' "$tmp/out" >"$tmp/deleted$how"
done
cmp "$tmp/deleted" "$tmp/deleted--dry-run"
for name in Ä ö Z1 sub/Page; do
	cmp "$tmp/src/$name" "$tmp/ntfs/far/$name" || fail "$name is gone"
done
[ ! -e "$tmp/ntfs/far/mine" ] && [ ! -e "$tmp/ntfs/far/zebra" ] ||
	fail "extras were left: $(ls "$tmp/ntfs/far")"
