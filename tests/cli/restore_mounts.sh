#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# vmbackup restore where other filesystems lie below the target: one that is
# read-only or full is said, and stops nothing else; one that a backup with
# --one-file-system would not have entered is left alone by --delete.
. "$(dirname "$0")/../lib.sh"
requires root namespaces loop mkfs.btrfs btrfs

names() {
	(cd "$1" && find . -mindepth 1 | sort | xargs)
}
# both WANT ARG...: a dry run says line for line what the real one then does,
# and ends as that does.
both() {
	local want=$1
	shift
	expect "$want" vmb restore -v "$@" --dry-run
	sed '/^Would restore/d' "$tmp/out" | sort >"$tmp/dry"
	expect "$want" vmb restore -v "$@"
	sed '/^Restored/d' "$tmp/out" | sort | diff "$tmp/dry" - >&2 ||
		fail "the dry run differs from the real one"
}

new_vault

# ---- read-only ----

src=$tmp/src t=$tmp/t
mkdir -p "$src"/{a,b/new,m/in,z} "$t"/{b/old,m} "$tmp/ro"
for dir in a b b/new m m/in z; do
	echo "$dir" >"$src/$dir/f"
done
expect 0 vmb backup --vm ro "$src"
echo old | tee "$t/b/f" >"$t/b/old/extra"
mount --bind "$t/b" "$t/b"
mounts+=("$t/b")
mount -o remount,bind,ro "$t/b"
both 3 "ro/latest:files$src" --target "$t" --delete
says 'b/f: not restored: Read-only file system'
says 'b/new: not restored.*Read-only file system'
grep -q 'restored .*/z/f$' "$tmp/out" || fail "z/f was not told"
! grep -q 'restored .*/b/f$\|updated .*/b/f$' "$tmp/out" ||
	fail "b/f was told as restored"
cmp "$src/z/f" "$t/z/f" && cmp "$src/a/f" "$t/a/f" && cmp "$src/m/in/f" \
	"$t/m/in/f" || fail "what is not read-only was not restored"
[ "$(cat "$t/b/f")" = old ] || fail "read-only, but written to"
# The target itself.
mount --bind "$t" "$tmp/ro"
mounts+=("$tmp/ro")
mount -o remount,bind,ro "$tmp/ro"
expect 1 vmb restore "ro/latest:files$src" --target "$tmp/ro"
says 'ended early: Read-only file system'
note "read-only"

# ---- full ----

rm -rf "$src"
mkdir -p "$src"/{a,b,z}
echo a | tee "$src/a/f" >"$src/z/f"
head -c 300000 /dev/urandom >"$src/b/f"
expect 0 vmb backup --vm full "$src"
mkdir -p "$tmp/f/b" "$tmp/small"
mount -t tmpfs -o size=64k none "$tmp/f/b"
mounts+=("$tmp/f/b")
expect 3 vmb restore "full/latest:files$src" --target "$tmp/f"
says 'b/f: not restored: No space left on device'
cmp "$src/z/f" "$tmp/f/z/f" || fail "z/f was not restored"
[ "$(names "$tmp/f/b")" = '' ] || fail "a part of a file: $(names "$tmp/f/b")"
# The target itself.
mount -t tmpfs -o size=64k none "$tmp/small"
mounts+=("$tmp/small")
expect 15 vmb restore "full/latest:files$src" --target "$tmp/small"
says 'ended early: No space left on device'
note "full"

# ---- subvolumes ----

mkdir "$tmp/btrfs"
truncate -s 128M "$tmp/image"
mkfs.btrfs -q "$tmp/image" 2>/dev/null
mount -o loop "$tmp/image" "$tmp/btrfs"
mounts+=("$tmp/btrfs")
src=$tmp/btrfs/src
mkdir -p "$src/data" "$src/zdir"
echo f | tee "$src/f" "$src/data/d" >"$src/zdir/f"
expect 0 vmb backup -x --vm sub "$src"
expect 0 vmb backup --vm all "$src"
# One that is new, one that is read-only, and one where a directory was.
rm -r "$src/data" "$src/zdir"
mkdir "$src/gone"
for name in new data; do
	btrfs -q subvolume create "$src/$name"
	echo mine >"$src/$name/mine"
done
btrfs -q subvolume create "$tmp/btrfs/old"
echo o | tee "$tmp/btrfs/old/o" >"$tmp/btrfs/old/p"
btrfs -q subvolume snapshot -r "$tmp/btrfs/old" "$src/snap"
both 3 "sub/latest:files$src" --target "$src" --delete
says 'src/new: not deleted: another filesystem is there'
says 'src/data/: the target has another filesystem there: nothing is deleted'
[ "$(names "$src")" = "./data ./data/d ./data/mine ./f ./new ./new/mine ./snap \
./snap/o ./snap/p ./zdir ./zdir/f" ] || fail "subvolumes: $(names "$src")"
# Another backup would have entered them; what is read-only is said, once.
rm -r "$src/zdir"
both 3 "all/latest:files$src" --target "$src" --delete
says 'src/snap: not removed: Read-only file system'
! grep -q 'snap/' "$tmp/err" || fail "each name of what is read-only was said"
[ "$(names "$src")" = "./data ./data/d ./f ./snap ./snap/o ./snap/p ./zdir \
./zdir/f" ] || fail "a read-only subvolume: $(names "$src")"
note "subvolumes"
