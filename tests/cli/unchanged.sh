#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# What did not change since the parent point is not opened.
. "$(dirname "$0")/../lib.sh"
requires root python3 fanotify

source=$tmp/source
tmpfs_at "$source"
mkdir -p "$source/dir/below"
for i in 1 2 3 4 5 6 7 8 9; do
	echo "$i" >"$source/file-$i"
	echo "$i" >"$source/dir/below/deep-$i"
done
head -c 3000000 /dev/urandom >"$source/dir/large"
truncate -s 10M "$source/sparse"
ln "$source/file-1" "$source/dir/linked-1"
setfattr -n user.remark -v yes "$source/file-3" 2>/dev/null || true
new_vault

# The names that a backup opened, once each, are these.
opens() {
	local want
	want=$(printf '%s\n' "$@" | sort)
	[ "$(sed -n 's/^open //p' "$tmp/opened" | sort -u)" = "$want" ] ||
		fail "opened: $(grep ^open "$tmp/opened" | tr '\n' ' ')"
}
# watched ARG...: a backup.
watched() {
	watch_opens "$source"
	expect 0 vmb backup --vm web1 --json "$@" "$source"
	end_watch
}
all=(file-1 file-{2..9} deep-{1..9} large sparse)

watched
opens "${all[@]}"
# The files were new, the first point perhaps made within the clock's tick: such
# files are looked at again. From the second point on they are not.
expect 0 vmb backup --vm web1 "$source"
watched
opens ''
[ "$(python3 "$tests/json_field.py" files_unmodified <"$tmp/out")" = 21 ] ||
	fail "unmodified: $(cat "$tmp/out")"
# Not what its size and time, as a program may set them, say, but its change.
touch -r "$source/file-2" "$tmp/time"
echo X >"$source/file-2"
touch -r "$tmp/time" "$source/file-2"
echo new >"$source/dir/new"
chmod 600 "$source/dir/below/deep-4"
rm "$source/file-9"
watched
opens file-2 new deep-4
expect 0 vmb cat "web1:files$source/file-2"
prints '^X$'
# A directory that was renamed: the same files in another place.
mv "$source/dir/below" "$source/dir/above"
watched
opens deep-{1..9}
watched --force
all=("${all[@]/file-9/new}")
opens "${all[@]}"
expect 0 vmb check --read-data

# A pack is gone, and the index object that named it: what was in them is stored
# again, although nothing changed.
expect 0 vmb backup --vm web1 --skip-if-unchanged "$source"
prints "^nothing changed"
sid=$(basename "$(ls -t "$vault"/index/* | head -1)")
rm "$vault/index/$sid" "$vault"/pack/*/"${sid%-*}"-*
expect 0 vmb backup --vm web1 --skip-if-unchanged "$source"
prints "^point .* made"
expect 0 vmb restore web1/latest --target "$tmp/again"
diff -r "$source" "$tmp/again$source" >&2 || fail "not what was backed up"

# Of the newest point nobody can say whether it was purged, and so whether what
# it stands on is still there: it is no parent.
point_field()
{
	expect 0 vmb cat web1/latest:point.json
	sed -n "s/^ *\"$1\": *\"\([0-9a-f]*\)\".*/\1/p" "$tmp/out"
}
id=$(point_field id)
[ -n "$id" ] || fail "no id"
mkdir -p "$vault/purge"
echo 'not a verdict' >"$vault/purge/$id-0"
expect 0 vmb backup --vm web1 "$source"
[ "$(point_field id)" != "$id" ] || fail "no new point"
[ "$(point_field parent)" != "$id" ] || fail "$id is the parent"
expect 13 vmb backup --vm web1 --parent "$id" "$source"
says 'cannot be read: it is no parent'
