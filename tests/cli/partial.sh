#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# What has more extended attributes than can be had is in the point with those
# that fit, and each point says so, not only the first: an ext4 with large ones.
. "$(dirname "$0")/../lib.sh"
requires root loop python3 mke2fs

truncate -s 64M "$tmp/image"
mke2fs -q -t ext4 -b 4096 -O ea_inode "$tmp/image"
mkdir "$tmp/source"
mount -o loop "$tmp/image" "$tmp/source"
cleanup_fn umount "$tmp/source"
rmdir "$tmp/source/lost+found"
mkdir "$tmp/source/dir"
echo content >"$tmp/source/dir/file"
echo small >"$tmp/source/dir/small"
setfattr -n user.a -v b "$tmp/source/dir/small"
python3 - "$tmp/source/dir" "$tmp/source/dir/file" <<'PY'
import os, sys
for path in sys.argv[1:]:
    for i in range(160):
        os.setxattr(path, "user.%d" % i, bytes([i]) * 60000)
PY
new_vault
for run in 1 2 3; do
	expect 3 vmb backup --vm web1 "$tmp/source" --json
	says "dir: 21 of its extended attributes.*over 8 MiB"
	says "dir/file: 21 of its extended attributes.*over 8 MiB"
	expect 0 vmb points --json --latest 1
	prints '"incomplete":true'
done
expect 0 vmb cat "web1/latest:files$tmp/source/dir/file"
prints '^content$'
expect 0 vmb check --read-data
# And whole again once they are few and small.
python3 - "$tmp/source/dir" "$tmp/source/dir/file" <<'PY'
import os, sys
for path in sys.argv[1:]:
    for i in range(160):
        os.removexattr(path, "user.%d" % i)
    for i in range(3):
        os.setxattr(path, "user.%d" % i, b"x")
PY
expect 0 vmb backup --vm web1 "$tmp/source"
expect 0 vmb restore "web1/latest:files$tmp/source" --target "$tmp/back"
[ "$(getfattr --absolute-names -d "$tmp/back/dir" | grep -c '^user\.')" = 3 ] ||
	fail "attributes of the directory"
[ "$(getfattr --absolute-names -d "$tmp/back/dir/file" |
	grep -c '^user\.')" = 3 ] || fail "attributes of the file"
expect 0 vmb check --read-data
