#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# vmbackup restore --delete into a directory that takes names which differ in
# case for one: what was just restored may be listed in another case there, and
# is not removed as an extra.
#
# exFAT is such a filesystem, and exfat-fuse needs no driver in the kernel.
. "$(dirname "$0")/../lib.sh"
requires root fuse loop mkfs.exfat mount.exfat-fuse

mkdir -p "$tmp/src/sub" "$tmp/usb"
echo new >"$tmp/src/Foo"
echo page >"$tmp/src/sub/Page"
new_vault
expect 0 vmb backup --vm web1 "$tmp/src"

truncate -s 16M "$tmp/image"
expect 0 mkfs.exfat "$tmp/image"
loop_attach "$tmp/image"
expect 0 mount.exfat-fuse "$loop" "$tmp/usb" -o rw,noatime
mounts+=("$tmp/usb")
echo old >"$tmp/usb/foo"
mkdir "$tmp/usb/SUB"
echo old >"$tmp/usb/SUB/page"
echo mine >"$tmp/usb/zebra"
[ -e "$tmp/usb/FOO" ] || fail "this filesystem tells case"
expect 3 vmb restore "web1/latest:files$tmp/src" --target "$tmp/usb" --delete
says 'nothing is deleted: the target takes names that differ in case for one'
for name in Foo sub/Page; do
	cmp "$tmp/src/$name" "$tmp/usb/$name" || fail "$name is gone"
done
[ -e "$tmp/usb/zebra" ] || fail "something was deleted after all"
