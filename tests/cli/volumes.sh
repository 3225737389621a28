#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# restore, diff and versions of what is inside disks, and of config files:
# neither root nor a mount is needed.
. "$(dirname "$0")/../lib.sh"
requires python3 truncate mke2fs debugfs

new_vault
manifest() {
	"$tests/reader/manifest.py" "$1" | grep -v "lost+found\|^'[.]' "
}

# image FILE DIR: an ext4 filesystem that holds it; times of whole seconds,
# as mke2fs keeps no others.
image() {
	find "$2" -print0 | xargs -0 touch -h -d '2024-03-05 06:07:08 UTC'
	rm -f "$1"
	truncate -s 64M "$1"
	mke2fs -q -t ext4 -b 4096 -d "$2" "$1" 2>"$tmp/err" ||
		fail "mke2fs: $(cat "$tmp/err")"
}

src=$tmp/src
mkdir -p "$src/etc/conf.d" "$src/bin" "$src/empty" "$src/deep/a/b/c/d/e/f"
echo root:x:0 >"$src/etc/passwd"
echo '/dev/vda1 / ext4' >"$src/etc/fstab"
head -c 3000000 /dev/urandom >"$src/bin/tool"
chmod 4755 "$src/bin/tool"
ln "$src/bin/tool" "$src/bin/alias"
ln -s ../bin/tool "$src/etc/link"
mkfifo "$src/etc/fifo"
truncate -s 30M "$src/sparse"
printf middle | dd of="$src/sparse" bs=4096 seek=3000 conv=notrunc status=none
echo deep >"$src/deep/a/b/c/d/e/f/file"
for i in $(seq 1 300); do
	echo "$i" >"$src/etc/conf.d/$i.conf"
done
image "$tmp/vda" "$src"
manifest "$src" >"$tmp/want"
echo '<domain/>' >"$tmp/domain.xml"
expect 0 vmb backup --vm web1 --disk vda="$tmp/vda" --config "$tmp/domain.xml"

# field NAME: of the summary in $tmp/out.
field() {
	"$tests/json_field.py" "$1" <"$tmp/out"
}

# ---- restore ----

expect 0 vmb restore web1/latest:volumes/vda --target "$tmp/a" --verify --json
[ "$(field error_count)" = 0 ] || fail "errors"
[ "$(field files_verified)" = "$(find "$src" -type f | wc -l)" ] ||
	[ "$(field files_verified)" = "$(($(find "$src" -type f | wc -l) - 1))" ] ||
	fail "verified $(field files_verified)"
manifest "$tmp/a" >"$tmp/got"
diff "$tmp/want" "$tmp/got" >"$tmp/err" || fail "the restored tree differs"
[ "$(stat -c %b "$tmp/a/sparse")" -lt 100 ] || fail "holes were filled"
[ "$(stat -c %i "$tmp/a/bin/tool")" = "$(stat -c %i "$tmp/a/bin/alias")" ] ||
	fail "two files of one"
expect 0 vmb restore web1/latest:volumes/vda/etc/fstab --target "$tmp/b" \
	--verify
cmp "$tmp/b/fstab" "$src/etc/fstab"
prints 'Verified: 1 files'
expect 0 vmb restore web1/latest:volumes/vda/etc/link --target "$tmp/b"
[ "$(readlink "$tmp/b/link")" = ../bin/tool ] || fail "a link"
expect 0 vmb restore web1/latest:config/domain.xml --target "$tmp/b" --verify
cmp "$tmp/b/domain.xml" "$tmp/domain.xml"
expect 0 vmb restore web1/latest:config --target "$tmp/c"
cmp "$tmp/c/domain.xml" "$tmp/domain.xml"
expect 0 vmb restore web1/latest:disks --target "$tmp/c" --verify
cmp "$tmp/c/vda.raw" "$tmp/vda"
[ "$(stat -c %b "$tmp/c/vda.raw")" -lt 60000 ] || fail "a disk's holes"
expect 0 vmb restore web1/latest:volumes/vda --target "$tmp/d" \
	--include '/volumes/vda/etc/*.d' --exclude '1*.conf' --verify
[ "$(find "$tmp/d" -type f | wc -l)" = 189 ] ||
	fail "patterns: $(find "$tmp/d" -type f | wc -l)"
expect 1 vmb restore web1/latest:volumes/vda/none --target "$tmp/x"
expect 1 vmb restore web1/latest:volumes/vdb --target "$tmp/x"
expect 1 vmb restore web1/latest --target "$tmp/x"
says 'no files'
[ ! -e "$tmp/x" ] || fail "a failed restore made its target"
note "restore"

# Onto what is there.
echo mine >"$tmp/a/etc/passwd"
echo extra >"$tmp/a/extra"
mkdir -p "$tmp/a/empty/x/y" "$tmp/outside"
echo kept >"$tmp/outside/kept"
rm -rf "$tmp/a/deep"
ln -s "$tmp/outside" "$tmp/a/deep"
expect 0 vmb restore web1/latest:volumes/vda --target "$tmp/a" --dry-run \
	--delete --overwrite if-changed -v
prints "^deleted +$tmp/a/extra"
prints '^unchanged +/volumes/vda/etc/fstab'
[ -e "$tmp/a/extra" ] || fail "a dry run deleted"
expect 3 vmb restore web1/latest:volumes/vda --target "$tmp/a" \
	--overwrite never --json
says 'deep: not restored, .* no directory stands there'
[ "$(field files_restored)" = 0 ] || fail "--overwrite never"
[ "$(cat "$tmp/a/etc/passwd")" = mine ] || fail "--overwrite never wrote"
expect 0 vmb restore web1/latest:volumes/vda --target "$tmp/a" --delete \
	--overwrite if-changed --json
[ "$(field files_deleted)" = 3 ] || fail "deleted $(field files_deleted)"
manifest "$tmp/a" >"$tmp/got"
diff "$tmp/want" "$tmp/got" >"$tmp/err" || fail "it differs after --delete"
[ "$(ls "$tmp/outside")" = kept ] || fail "a link was followed out"
note "onto what is there"

# ---- diff and versions ----

rm -r "$src/empty"
echo changed >>"$src/etc/fstab"
echo new >"$src/etc/new"
rm "$src/etc/fifo"
mkdir "$src/etc/fifo"
echo below >"$src/etc/fifo/below"
printf MIDDLE | dd of="$src/sparse" bs=4096 seek=3000 conv=notrunc status=none
chmod 600 "$src/etc/passwd"
image "$tmp/vda" "$src"
echo '<domain>2</domain>' >"$tmp/domain.xml"
expect 0 vmb backup --vm web1 --disk vda="$tmp/vda" --disk vdb="$tmp/vda" \
	--config "$tmp/domain.xml" -q
expect 0 vmb diff web1/latest~1:volumes/vda web1/latest:volumes/vda --content \
	--metadata
grep -v '^[A-Z][a-z]*:\|^ \|^$' "$tmp/out" | grep -v 'vda/$\|etc/$\|lost+found' |
	sed 's/^\(.\) */\1 /' >"$tmp/got"
cat >"$tmp/want" <<-END
	- volumes/vda/empty/
	T volumes/vda/etc/fifo/
	+ volumes/vda/etc/fifo/below
	M volumes/vda/etc/fstab
	+ volumes/vda/etc/new
	U volumes/vda/etc/passwd
	M volumes/vda/sparse
END
diff "$tmp/want" "$tmp/got" >"$tmp/err" || fail "diff"
expect 0 vmb diff web1/latest~1:volumes/vda/etc/fstab web1/latest -q
[ "$(cut -c6- "$tmp/out")" = volumes/vda/etc/fstab ] || fail "of one file"
expect 0 vmb diff web1/latest~1 web1/latest
prints '^M    disks/vda.raw \(.* differ\)'
prints '^[+]    disks/vdb.raw'
prints '^M    config/domain.xml'
expect 0 vmb diff web1/latest~1:disks/vda.raw web1/latest --json
[ "$(field changed_bytes)" -gt 0 ] || fail "changed_bytes"
[ "$(field changed_bytes)" -lt $((32 << 20)) ] || fail "changed_bytes"
expect 0 vmb diff web1/latest web1/latest -q
[ ! -s "$tmp/out" ] || fail "a point differs from itself"
expect 1 vmb diff web1/latest:volumes/none web1/latest
expect 2 vmb diff web1/latest:none web1/latest
expect 0 vmb backup --vm web1 --disk vda="$tmp/vda" \
	--config "$tmp/domain.xml" -q
# versions PATH COUNT...: how many points each version has, newest first.
versions() {
	local path=$1
	shift
	expect 0 vmb versions "$path" --json
	[ "$(python3 -c 'import json, sys
print(*[len(x["points"]) for x in json.load(sys.stdin)])' <"$tmp/out")" = \
		"$*" ] || fail "versions of $path: $(cat "$tmp/out")"
}
versions web1:volumes/vda/etc/fstab 2 1
versions web1:volumes/vda/etc/passwd 2 1
versions web1:config/domain.xml 2 1
expect 1 vmb versions web1:volumes/vda/none
note "diff and versions"

# ---- a directory of which something cannot be listed ----

# maimed COMMAND: a volume whose /etc/conf.d debugfs has changed so. What is
# lost is said, and is nowhere taken for absent.
maimed() {
	truncate -s 64M "$tmp/m"
	mke2fs -q -F -t ext4 -b 4096 -O ^metadata_csum -d "$src" "$tmp/m"
	"$@"
	expect 0 vmb backup --vm maimed --disk vda="$tmp/m" -q
	rm -rf "$tmp/t"
	cp -a "$src" "$tmp/t"
	touch "$tmp/t/etc/conf.d/zzz"
	expect 3 vmb restore maimed/latest:volumes/vda --target "$tmp/t" \
		--delete
	says 'not all of the point can be read'
	[ "$(ls "$tmp/t/etc/conf.d" | wc -l)" = 301 ] || fail "$*: files deleted"
	expect 1 vmb ls maimed/latest:volumes/vda/etc/conf.d
	[ "$(wc -l <"$tmp/out")" -ge 100 ] || fail "$*: the rest is not listed"
	expect 1 vmb find --point maimed/latest '*.conf'
}
# The first entry behind "." and ".." leads nowhere. More are listed at once
# than stand before it, and more calls follow.
bad_entry() {
	local block
	block=$(debugfs -R 'bmap /etc/conf.d 0' "$tmp/m" 2>/dev/null)
	printf '\xff\xff\xff\xff' | dd of="$tmp/m" bs=1 conv=notrunc \
		seek=$((block * 4096 + 24)) status=none
}
lost_block() {
	debugfs -w -R 'punch /etc/conf.d 1 1' "$tmp/m" 2>/dev/null
}
cut_size() {
	debugfs -w -R 'sif /etc/conf.d size 4096' "$tmp/m" 2>/dev/null
}
maimed bad_entry
maimed lost_block
maimed cut_size
note "what cannot be listed"

# ---- a filesystem that leads in circles ----

debugfs -w -R 'link /deep /deep/a/b/c/circle' "$tmp/vda" 2>/dev/null
debugfs -w -R 'link /etc/conf.d /deep/again' "$tmp/vda" 2>/dev/null
expect 0 vmb backup --vm bad --disk vda="$tmp/vda" -q
expect 3 timeout 60 "$vmbackup" -r "$vault" --key-file "$keyfile" \
	--cache-dir "$cache" restore bad/latest:volumes/vda --target "$tmp/bad" \
	--verify
says 'circle: not entered'
[ -e "$tmp/bad/deep/a/b/c/d/e/f/file" ] || fail "the rest of it"
cmp "$tmp/bad/bin/tool" "$src/bin/tool"
for verb in "ls -R bad/latest:volumes/vda" "find --point bad/latest file"; do
	# shellcheck disable=SC2086
	expect 1 timeout 60 "$vmbackup" -r "$vault" --key-file "$keyfile" \
		--cache-dir "$cache" $verb
	says 'circle: not entered'
	prints 'deep/a/b/c/d/e/f/file$'
done
printf x | dd of="$tmp/vda" bs=1 seek=$((63 << 20)) conv=notrunc status=none
expect 0 vmb backup --vm bad --disk vda="$tmp/vda" -q
expect 3 timeout 60 "$vmbackup" -r "$vault" --key-file "$keyfile" \
	--cache-dir "$cache" diff bad/latest~1:volumes bad/latest
note "circles"
