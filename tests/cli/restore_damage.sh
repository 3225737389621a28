#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# vmbackup restore of what cannot be read whole: nothing is deleted for that,
# the rest is restored and verified, and what is lost is said.
. "$(dirname "$0")/../lib.sh"
requires python3

# field NAME: of the summary in $tmp/out.
field() {
	"$tests/json_field.py" "$1" <"$tmp/out"
}

# names DIR: all below it.
names() {
	(cd "$1" && find . | sort)
}

# ---- a file whose data are damaged ----

src=$tmp/data
mkdir -p "$src"
head -c 400000 /dev/urandom >"$src/bad"
echo whole >"$src/good"
new_vault data-vault
expect 0 vmb backup --vm web1 "$src"
pack=$(find "$vault/pack" -type f -size +390k)
flip "$pack" 200000
# What is told is done: a file that comes to nothing is not.
expect 13 vmb restore -v "web1/latest:files$src" --target "$tmp/data.d"
prints '^restored +.*/data/good$'
says '/data/bad: not restored'
! grep -q 'restored .*/bad$' "$tmp/out" || fail "it was told as restored"
[ ! -e "$tmp/data.d/bad" ] || fail "a damaged file was restored"

# ---- a tree with a leaf that is damaged ----

# Empty files: all that the pack holds is the tree.
src=$tmp/src
mkdir -p "$src/m" "$src/z"
(cd "$src" && seq -f 'm/file-%05g' 5000 | xargs touch)
touch "$src/a" "$src/z/last"
new_vault
expect 0 vmb backup --vm web1 "$src"
files=web1/latest:files$src
pack=$(find "$vault/pack" -type f)
[ "$(printf '%s\n' "$pack" | wc -l)" = 1 ] || fail "more than one pack"
flip "$pack" $(($(stat -c %s "$pack") / 2))
rm -rf "$cache"

out=$tmp/out.d
cp -a "$src" "$out"
touch "$out/0" "$out/m/file-00000" "$out/m/file-05001" "$out/zz"
mkdir "$out/z/more"
touch "$out/z/more/x"
expect 13 vmb restore "$files" --target "$out" --delete --dry-run -v
prints '^deleted +.*/0$'
prints '^kept +.*/m/file-05001$'
expect 13 vmb restore "$files" --target "$out" --delete --json
says 'nothing more is deleted: not all of the point'
names "$src" >"$tmp/want"
names "$out" >"$tmp/got"
[ -z "$(comm -23 "$tmp/want" "$tmp/got")" ] ||
	fail "$(comm -23 "$tmp/want" "$tmp/got" | wc -l) files are gone"
# All names of the top are known; not those of the directory that is damaged, and
# behind it nothing is.
for name in 0 zz; do
	[ ! -e "$out/$name" ] || fail "$name is left"
done
for name in m/file-00000 m/file-05001 z/more/x; do
	[ -e "$out/$name" ] || fail "$name was deleted"
done
[ "$(field files_deleted)" = 2 ] || fail "deleted $(field files_deleted)"
[ "$(field files_not_deleted)" -gt 2 ] || fail "nothing was kept"
# All that was restored is verified, on both sides of the damage.
expect 13 vmb restore "$files" --target "$tmp/new" --verify --json
n=$(find "$tmp/new" -type f | wc -l)
[ -e "$tmp/new/z/last" ] || fail "nothing behind the damage was restored"
[ "$(field files_restored)" = "$n" ] || fail "restored $(field files_restored)"
[ "$(field files_verified)" = "$n" ] ||
	fail "verified $(field files_verified) of $n"
# And only that: what is damaged elsewhere does not matter.
expect 0 vmb restore "$files/z" --target "$tmp/z" --verify
# A directory in the way of a file is not taken away either.
rm "$out/z/last"
mkdir "$out/z/last"
touch "$out/z/last/x"
expect 13 vmb restore "$files" --target "$out" --delete
says 'last: not restored: a directory that is not empty stands there$'
[ -e "$out/z/last/x" ] || fail "a directory was deleted"
note "a damaged tree"

# ---- a filesystem in a disk that is damaged ----

if command -v mke2fs >/dev/null && command -v debugfs >/dev/null; then
	fs=$tmp/fs
	mkdir -p "$fs/a/b" "$fs/c" "$fs/d"
	touch "$fs/a/1" "$fs/a/b/2" "$fs/c/3" "$fs/c/4" "$fs/d/5"
	truncate -s 16M "$tmp/vda"
	mke2fs -q -t ext4 -b 4096 -O ^metadata_csum -d "$fs" "$tmp/vda" \
		2>"$tmp/err" || fail "mke2fs"
	new_vault disks
	expect 0 vmb backup --vm web1 --disk vda="$tmp/vda"
	mkdir "$tmp/got.d"
	expect 0 vmb restore web1/latest:volumes/vda --target "$tmp/got.d"
	names "$tmp/got.d" >"$tmp/want"
	# Its first directory block is not one.
	block=$(debugfs -R 'blocks /c' "$tmp/vda" 2>/dev/null | tr -d ' ')
	dd if=/dev/urandom of="$tmp/vda" bs=4096 seek="$block" count=1 \
		conv=notrunc status=none
	expect 0 vmb backup --vm web1 --disk vda="$tmp/vda"
	expect 3 vmb restore web1/latest:volumes/vda --target "$tmp/got.d" \
		--delete
	says 'nothing is deleted: not all of the point'
	names "$tmp/got.d" | diff "$tmp/want" - >&2 ||
		fail "what a volume has not was deleted"
	# A volume that cannot be shown is not one that is not there.
	mkdir -p "$tmp/all/vda"
	touch "$tmp/all/vda/file"
	truncate -s 16M "$tmp/none"
	expect 0 vmb backup --vm none --disk vda="$tmp/none"
	expect 0 vmb ls none/latest:volumes
	prints 'vda.unreadable'
	expect 0 vmb restore none/latest:volumes --target "$tmp/all" --delete
	says 'nothing is deleted: '
	[ -e "$tmp/all/vda/file" ] || fail "a volume's files were deleted"
	note "a damaged volume"
fi

# ---- an incomplete point ----

# blind COMMAND...: what modes forbid cannot be read, by root neither.
blind() {
	if [ "$(id -u)" = 0 ]; then
		setpriv --bounding-set=-dac_override,-dac_read_search \
			--inh-caps=-all "$@"
	else
		"$@"
	fi
}

if [ "$(id -u)" != 0 ] || blind true 2>/dev/null; then
	src=$tmp/some
	mkdir -p "$src/closed" "$src/open"
	echo one >"$src/open/file"
	echo two >"$src/open/secret"
	echo three >"$src/closed/file"
	out=$tmp/some.out
	cp -a "$src" "$out"
	touch "$out/extra"
	chmod 0 "$src/open/secret" "$src/closed"
	new_vault partial
	expect 3 blind "$vmbackup" -r "$vault" --key-file "$keyfile" \
		--cache-dir "$cache" backup --vm web1 "$src"
	chmod 700 "$src/closed"
	files=web1/latest:files$src
	names "$out" >"$tmp/want"
	expect 3 vmb restore "$files" --target "$out" --delete --json
	says 'the point is incomplete: 2 things could not be read'
	says 'nothing is deleted: .*--delete-incomplete'
	names "$out" | diff "$tmp/want" - >&2 || fail "something was deleted"
	[ "$(field files_deleted)" = 0 ] ||
		fail "deleted $(field files_deleted)"
	[ "$(field files_not_deleted)" = 3 ] ||
		fail "kept $(field files_not_deleted)"
	# Where there is nothing to delete, nothing is amiss.
	expect 0 vmb restore "$files" --target "$tmp/some.new" --delete
	expect 0 vmb restore "$files" --target "$out"
	says 'the point is incomplete'
	expect 2 vmb restore web1/latest:disks/vda.raw --to "$tmp/x" \
		--delete-incomplete
	chmod 700 "$out/closed"
	expect 0 vmb restore "$files" --target "$out" --delete-incomplete
	says 'the point is incomplete'
	[ "$(names "$out" | xargs)" = '. ./closed ./open ./open/file' ] ||
		fail "not deleted: $(names "$out")"
	note "an incomplete point"
fi
