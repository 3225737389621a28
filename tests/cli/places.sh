#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# POINT:PATH means the same to every verb and to the mount, where a time is typed
# with colons and where a machine's name has colons, too.
. "$(dirname "$0")/../lib.sh"
requires truncate

s=$tmp/source
mkdir -p "$s/sub"
echo one >"$s/sub/a:b"
head -c 70000 /dev/urandom >"$tmp/disk"
truncate -s 1M "$tmp/disk"
new_vault
back_up() {
	expect 0 vmb backup --vm "$1" --time "$2" --disk "vda=raw:$tmp/disk" \
		--config "$tmp/config" "$s"
}
echo "of rack1" >"$tmp/config"
back_up rack1 2030-01-01T10:15:00Z
echo "of rack1:web, first" >"$tmp/config"
back_up rack1:web 2030-01-01T10:15:00Z
echo two >"$s/sub/a:b"
printf 'other' | dd of="$tmp/disk" conv=notrunc status=none
echo "of rack1:web, second" >"$tmp/config"
back_up rack1:web 2030-01-02T10:15:00Z
f=files$s/sub
first=rack1:web/2030-01-01T10:15:00Z

# says_config POINT TEXT: whose point is it?
says_config() {
	expect 0 vmb cat "$1:config/config"
	prints "^$2\$"
}
says_config rack1 "of rack1"
says_config rack1/2030-01-01T10:15:00Z "of rack1"
says_config rack1:web "of rack1:web, second"
says_config rack1:web/latest~1 "of rack1:web, first"
says_config "$first" "of rack1:web, first"
expect 1 vmb cat rack1:web:config/nosuch
says 'rack1:web/2030-01-02T101500Z has no config/nosuch'
expect 1 vmb cat rack2:web/2030-01-01T10:15:00Z:config/config
says 'rack2: '
note "cat"

# ls prints paths that begin behind POINT:, whatever POINT is.
for p in rack1/2030-01-01T10:15:00Z "$first" rack1:web; do
	expect 0 vmb ls "$p:/$f//a:b"
	[ "$(cat "$tmp/out")" = "$f/a:b" ] || fail "ls of a file"
	expect 0 vmb ls -d "$p"
	[ "$(cat "$tmp/out")" = "$p" ] || fail "ls -d of a point"
	expect 0 vmb ls --json "$p:$f"
	[ "$("$tests/json_field.py" path <"$tmp/out")" = "$f/a:b" ] ||
		fail "the path in ls --json: $(cat "$tmp/out")"
	expect 0 vmb ls --json "$p:./$f/a:b"
	[ "$("$tests/json_field.py" path <"$tmp/out")" = "$f/a:b" ] ||
		fail "the path in ls --json: $(cat "$tmp/out")"
done
note "ls"

expect 0 vmb find --point "$first" a:b
[ "$(cat "$tmp/out")" = "rack1:web/2030-01-01T101500Z:$f/a:b" ] || fail "find"
# What find prints, cat takes.
expect 0 vmb cat "$(cat "$tmp/out")"
prints '^one$'
note "find"

expect 0 vmb versions "rack1:web:$s/sub//a:b"
prints "rack1:web/2030-01-02T101500Z:$f/a:b"
prints "rack1:web/2030-01-01T101500Z:$f/a:b"
expect 0 vmb versions "rack1:$f/a:b"
[ "$(grep -c rack1 "$tmp/out")" = 1 ] || fail "versions of rack1"
note "versions"

expect 0 vmb diff -q "$first:$f" rack1:web
prints "^M    $f/a:b\$"
expect 0 vmb diff -q "$first:disks/vda.raw" rack1:web/2030-01-02T10:15:00Z
prints '^M    disks/vda.raw '
expect 0 vmb diff -q "$first:config" rack1:web:/config/
prints '^M    config/config$'
expect 2 vmb diff "$first:config" rack1:web:disks
# A point without files is not an error, but differs.
expect 0 vmb backup --vm bare --time 2030-01-03 --disk "vda=raw:$tmp/disk"
expect 0 vmb diff -q rack1:web bare
prints "^-    $f/a:b\$"
prints '^-    config/config$'
expect 0 vmb diff -q "bare:$f" rack1:web
prints "^[+]    $f/a:b\$"
[ "$(grep -c "^[+]" "$tmp/out")" = 2 ] || fail "diff at a path of one side"
expect 1 vmb diff bare:files bare
says 'neither .* has files'
note "diff"

expect 0 vmb restore "$first:$f" --target "$tmp/t"
grep -qx one "$tmp/t/a:b" || fail "restore of a tree"
expect 0 vmb restore "$first:/$f/a:b" --target "$tmp/t2"
grep -qx one "$tmp/t2/a:b" || fail "restore of a file"
expect 0 vmb restore rack1:web --target "$tmp/t3"
grep -qx two "$tmp/t3$s/sub/a:b" || fail "restore of a point"
expect 0 vmb restore "$first:config//config" --target "$tmp/t4"
grep -qx 'of rack1:web, first' "$tmp/t4/config" || fail "restore of config"
expect 0 vmb restore "$first:files" --target "$tmp/t5"
grep -qx one "$tmp/t5$s/sub/a:b" || fail "restore of files"
note "restore"

# One spelling for a disk.
expect 0 vmb restore rack1:web/2030-01-02T10:15:00Z:disks/vda.raw \
	--to "$tmp/vda.raw"
cmp "$tmp/disk" "$tmp/vda.raw" || fail "restore of a disk"
expect 0 vmb cat rack1:web:disks/vda.raw
cmp "$tmp/disk" "$tmp/out" || fail "cat of a disk"
expect 0 vmb restore rack1:web --disks-to "$tmp/disks"
cmp "$tmp/disk" "$tmp/disks/vda.raw" || fail "--disks-to"
expect 2 vmb restore rack1:web:disks --disks-to "$tmp/disks2"
expect 2 vmb restore rack1:web:disks/vda --to "$tmp/vda2"
says 'say POINT:disks/NAME.raw'
expect 1 vmb restore rack1:web:disks/vdb.raw --to "$tmp/vda2"
says 'no disk "vdb"'
expect 0 vmb boot "$first:disks/vda.raw"
prints "^overlay disk0 \".disks/\"'vda'\.raw"
prints "^disks=.mnt/vms/'rack1:web'/'2030-01-01T101500Z'/disks"
expect 2 vmb boot "$first:disks"
note "disks"

if ! sanitized && command -v nbdkit nbdinfo >/dev/null &&
	[ -f "$(dirname "$vmbackup")/nbdkit-vmbackup-plugin.so" ]; then
	for p in "$first:disks/vda.raw" "rack1:web --disk vda" \
		"rack1:web:disks/vda.raw --disk vda"; do
		# shellcheck disable=SC2086
		expect 0 vmb nbd $p --run 'nbdinfo --size "$uri"'
		prints '^1048576$'
	done
	expect 2 vmb nbd rack1:web:disks/vda.raw --disk vdb --run true
	note "nbd"
fi

if (: <>/dev/fuse) 2>/dev/null && command -v fusermount3 >/dev/null; then
	start_mount "$vault" "$tmp/mnt" "point=$first:$f"
	grep -qx one "$tmp/mnt/a:b" || fail "mount -o point"
	expect 0 vmb umount --json "$tmp/mnt"
	[ "$("$tests/json_field.py" mountpoint <"$tmp/out")" = "$tmp/mnt" ] ||
		fail "umount --json: $(cat "$tmp/out")"
	note "mount"
fi
