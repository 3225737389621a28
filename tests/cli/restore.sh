#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# vmbackup restore: where things land, what happens to what is there, and that
# nothing is ever written outside of the target.
. "$(dirname "$0")/../lib.sh"
requires python3

source=$tmp/source
"$tests/fixture.py" make "$source" --small 2>/dev/null || fail "fixture.py"
new_vault
expect 0 vmb backup --vm web1 "$source"
point=web1/latest
files=$point:files$source
loosely=(--ignore ctime,dirsize,topmtime)

# ---- where it lands ----

expect 0 vmb restore "$point" --target "$tmp/whole" --verify
same "$source" "$tmp/whole$source" --ignore ctime,dirsize
# The way down to the source has its own attributes too.
[ "$(stat -c '%a %u %g %y' "$tmp")" = \
	"$(stat -c '%a %u %g %y' "$tmp/whole$tmp")" ] ||
	[ "$(stat -c '%a %u %g' "$tmp")" = \
	"$(stat -c '%a %u %g' "$tmp/whole$tmp")" ] ||
	fail "attributes above the source"
expect 0 vmb restore "$files" --target "$tmp/a/b/new"
same "$source" "$tmp/a/b/new" --ignore ctime,dirsize
expect 0 vmb restore "$files/" --target "$tmp/a/b/new"
same "$source" "$tmp/a/b/new" --ignore ctime,dirsize
note "whole, and one directory"

mkdir "$tmp/few" "$tmp/few/dir" "$tmp/few/empty"
echo one >"$tmp/few/file"
chmod 640 "$tmp/few/file"
echo two >"$tmp/few/dir/file"
ln "$tmp/few/dir/file" "$tmp/few/dir/hard"
ln "$tmp/few/dir/file" "$tmp/few/hard"
ln -s dir "$tmp/few/link"
mkfifo "$tmp/few/fifo"
chmod 2750 "$tmp/few/dir"
touch -d '1999-12-31 23:59:59.123456789' "$tmp/few/file" "$tmp/few/dir" \
	"$tmp/few/empty"
expect 0 vmb backup --vm few "$tmp/few"
few=few/latest:files$tmp/few

expect 0 vmb restore "$few/file" --target "$tmp/one"
cmp "$tmp/few/file" "$tmp/one/file"
[ "$(stat -c '%a %y' "$tmp/one/file")" = \
	"$(stat -c '%a %y' "$tmp/few/file")" ] || fail "mode, time of a file"
expect 0 vmb restore "$few/link" --target "$tmp/one"
[ "$(readlink "$tmp/one/link")" = dir ] || fail "link"
[ "$(ls "$tmp/one")" = "$(printf 'file\nlink')" ] || fail "one file only"

expect 1 vmb restore "$few/none" --target "$tmp/x"
says 'no .*none'
expect 1 vmb restore few/latest:volumes/none --target "$tmp/x"
expect 2 vmb restore "$few"
expect 2 vmb restore --target "$tmp/x"
expect 2 vmb restore "$few" --target "$tmp/x" --overwrite sometimes
expect 1 vmb restore "$few" --target "$tmp/few/file"
[ ! -e "$tmp/x" ] || fail "a failed restore made its target"

# ---- what is there ----

out=$tmp/out.d
reset() {
	chmod -R u+rwx "$out" 2>/dev/null || true
	rm -rf "$out"
	cp -a "$tmp/few" "$out"
}

reset
echo changed >"$out/file"
echo extra >"$out/extra"
expect 0 vmb restore "$few" --target "$out" --overwrite never
[ "$(cat "$out/file")" = changed ] || fail "never overwrote"
rm "$out/dir/file"
expect 0 vmb restore "$few" --target "$out" --overwrite never
[ "$(cat "$out/dir/file")" = two ] || fail "never did not restore"

reset
echo changed >"$out/file"
touch -d '2001-01-01' "$out/file"
expect 0 vmb restore "$few" --target "$out" --overwrite if-newer
[ "$(cat "$out/file")" = changed ] || fail "if-newer overwrote a newer one"
touch -d '1998-01-01' "$out/file"
expect 0 vmb restore "$few" --target "$out" --overwrite if-newer
[ "$(cat "$out/file")" = one ] || fail "if-newer kept an older one"

reset
printf 'ONE\n' >"$out/file" # the same size
chmod 600 "$out/file"
touch -r "$tmp/few/file" "$out/file"
expect 0 vmb restore "$few" --target "$out" --overwrite if-changed
[ "$(cat "$out/file")" = ONE ] || fail "if-changed wrote"
[ "$(stat -c %a "$out/file")" = 640 ] || fail "if-changed left the mode"
expect 3 vmb restore "$few" --target "$out" --overwrite if-changed --verify
says 'file: .*differs'
expect 0 vmb restore "$few" --target "$out"
same "$tmp/few" "$out" "${loosely[@]}"

reset
echo changed >"$out/dir/hard"
mkdir -p "$out/more/and/more" "$out/empty/not"
touch "$out/more/and/more/x" "$out/.hidden"
ln -s / "$out/root"
chmod 700 "$out/dir"
expect 0 vmb restore "$few" --target "$out" --delete --verify
same "$tmp/few" "$out" --ignore ctime,dirsize
note "overwriting and deleting"

# A kind in the place of another.
reset
rm -r "$out/file" "$out/link" "$out/dir"
mkdir -p "$out/file" "$out/link/full"
echo plain >"$out/dir"
expect 3 vmb restore "$few" --target "$out"
says 'link: .*--delete'
[ -d "$out/link/full" ] || fail "a full directory was removed"
expect 0 vmb restore "$few" --target "$out" --delete
same "$tmp/few" "$out" "${loosely[@]}"
reset
rm -r "$out/dir"
echo plain >"$out/dir"
expect 3 vmb restore "$few" --target "$out" --overwrite never
says 'dir: not restored'
[ -f "$out/dir" ] || fail "never replaced a file by a directory"

# Nothing changes in a dry run.
reset
echo changed >"$out/file"
touch "$out/extra"
cp -a "$out" "$tmp/before"
expect 0 vmb restore "$few" --target "$out" --delete --dry-run -v
prints 'deleted +.*/extra'
prints 'updated +.*/file'
same "$tmp/before" "$out"
expect 0 vmb restore "$few" --target "$tmp/not/there" --dry-run
[ ! -e "$tmp/not" ] || fail "a dry run made its target"

# ---- choosing ----

rm -rf "$out"
expect 0 vmb restore "$few" --target "$out" --exclude dir --exclude '*.x'
[ "$(cd "$out" && echo *)" = 'empty fifo file hard link' ] ||
	fail "exclude: $(cd "$out" && echo *)"
rm -rf "$out"
expect 0 vmb restore "$few" --target "$out" --include hard
[ "$(cd "$out" && find . -mindepth 1 | sort | xargs)" = \
	'./dir ./dir/hard ./hard' ] || fail "include"
[ "$out/hard" -ef "$out/dir/hard" ] || fail "include: links"
[ "$(stat -c '%a %y' "$out/dir")" = "$(stat -c '%a %y' "$tmp/few/dir")" ] ||
	fail "include: a directory on the way"
rm -rf "$out"
expect 0 vmb restore "$few" --target "$out" --include "$tmp/few/dir" \
	--exclude hard
[ "$(cd "$out" && find . -mindepth 1 | sort | xargs)" = \
	'./dir ./dir/file' ] || fail "include with exclude"
reset
touch "$out/keep.x" "$out/gone"
expect 0 vmb restore "$few" --target "$out" --delete --exclude '*.x'
[ -e "$out/keep.x" ] && [ ! -e "$out/gone" ] || fail "delete and exclude"
note "patterns"

# ---- never outside ----

outside=$tmp/outside
fresh_outside() {
	rm -rf "$outside"
	mkdir "$outside"
	echo mine >"$outside/file"
	chmod 600 "$outside/file"
	touch -d 2000-01-01 "$outside/file" "$outside"
	stat -c '%n %a %u %g %s %y %z' "$outside" "$outside/file" >"$tmp/stat"
}
untouched() {
	stat -c '%n %a %u %g %s %y %z' "$outside" "$outside/file" |
		cmp - "$tmp/stat" || fail "$1: something outside was touched"
	[ "$(ls "$outside")" = file ] || fail "$1: something outside was made"
}

for mode in always if-changed if-newer never; do
	fresh_outside
	reset
	rm -r "$out/dir" "$out/empty" "$out/file"
	ln -s "$outside" "$out/dir"
	ln -s "$outside" "$out/empty"
	ln -s "$outside/file" "$out/file"
	case $mode in
	always | if-changed) want=0 ;;
	*) want=3 ;;
	esac
	expect $want vmb restore "$few" --target "$out" --overwrite $mode
	untouched $mode
	[ $want = 3 ] || same "$tmp/few" "$out" "${loosely[@]}"
done
fresh_outside
reset
ln -s "$outside" "$out/extra"
mkdir "$out/more"
ln -s "$outside" "$out/more/link"
expect 0 vmb restore "$few" --target "$out" --delete
untouched delete
same "$tmp/few" "$out" "${loosely[@]}"
# A hard link to something outside is cut, not written through.
fresh_outside
reset
ln -f "$outside/file" "$out/file"
chmod 600 "$outside/file"
touch -d 2000-01-01 "$outside/file"
expect 0 vmb restore "$few" --target "$out"
[ "$(cat "$outside/file")" = mine ] || fail "written through a hard link"
[ "$(stat -c %a "$outside/file")" = 600 ] || fail "a mode through a hard link"
# The target itself may be a link: that is what was asked for.
rm -rf "$out"
mkdir "$tmp/real"
ln -s "$tmp/real" "$out"
expect 0 vmb restore "$few" --target "$out"
same "$tmp/few" "$tmp/real" "${loosely[@]}"
rm "$out"
note "nothing outside was touched"

# The vault is not deleted, even where it lies in the target.
mkdir -p "$tmp/all$tmp/few"
cp -a "$vault" "$tmp/all$tmp/few/vault"
(
	vault=$tmp/all$tmp/few/vault
	expect 3 vmb restore few/latest --target "$tmp/all" --delete
	says 'vault'
	expect 0 vmb check
)

# ---- temporary names ----

[ -z "$(find "$tmp" -name '.vmbackup-*')" ] || fail "temporary files are left"

# ---- a full disk ----

if [ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null; then
	mkdir "$tmp/small"
	head -c 3000000 /dev/urandom >"$tmp/few/large"
	expect 0 vmb backup --vm few "$tmp/few"
	expect 15 unshare -m --propagation private sh -c '
		mount -t tmpfs -o size=1m none "$1" || exit 77
		target=$1; shift
		"$@" --target "$target"; r=$?
		[ ! -e "$target/large" ] || exit 99
		exit $r' sh "$tmp/small" "$vmbackup" -r "$vault" \
		--key-file "$keyfile" --cache-dir "$cache" restore "$few"
	says 'No space left'
	rm "$tmp/few/large"
fi

# ---- a filesystem without extended attributes ----

if [ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null &&
	python3 -c 'import os, sys
os.setxattr(sys.argv[1], "user.note", b"x")' "$tmp/few/hard" 2>/dev/null; then
	expect 0 vmb backup --vm few "$tmp/few"
	expect 3 unshare -m --propagation private sh -c '
		mount -t ramfs none "$1" || exit 77
		target=$1; shift
		"$@" --target "$target"; r=$?
		[ "$(cat "$target/hard")" = two ] || exit 98
		[ "$target/hard" -ef "$target/dir/file" ] || exit 99
		exit $r' sh "$tmp/small" "$vmbackup" -r "$vault" \
		--key-file "$keyfile" --cache-dir "$cache" restore "$few"
	says 'hard: restored, but not all of its attributes: .*not supported'
	! grep 'not restored' "$tmp/err" || fail "it was restored"
	prints 'Restored: 4 files'
	python3 -c 'import os, sys
os.removexattr(sys.argv[1], "user.note")' "$tmp/few/hard"
fi

# ---- damage ----

head -c 3000000 /dev/urandom >"$tmp/few/large"
(
	new_vault broken
	expect 0 vmb backup --vm few "$tmp/few"
	pack=$(find "$vault/pack" -type f -size +2000k | head -n 1)
	printf '\377\377\377\377' | dd of="$pack" bs=1 seek=1500000 \
		conv=notrunc 2>/dev/null
	rm -rf "$out"
	expect 13 vmb restore "$few" --target "$out"
	says 'large: not restored'
	[ ! -e "$out/large" ] || fail "a damaged file was restored"
	[ "$(cat "$out/dir/file")" = two ] || fail "the rest was not"
)
rm "$tmp/few/large"
note "a full disk, a damaged vault"

# ---- an ordinary user ----

if [ "$(id -u)" = 0 ]; then
	requires nobody
	open_programs
	mkdir "$tmp/dev" "$tmp/user"
	mknod "$tmp/dev/null" c 1 3
	echo suid >"$tmp/dev/suid"
	chmod 4755 "$tmp/dev/suid"
	chown 1:1 "$tmp/dev/suid"
	chmod 4755 "$tmp/dev/suid"
	expect 0 vmb backup --vm dev "$tmp/dev"
	chmod -R a+rX "$vault"
	chmod 644 "$keyfile"
	chown 65534:65534 "$tmp/user"
	expect 3 as_nobody "$tmp/bin/vmbackup" -r "$vault" --key-file \
		"$keyfile" --no-cache restore "dev/latest:files$tmp/dev" \
		--target "$tmp/user/dev"
	says 'null: not restored: only root'
	says 'owners were not restored'
	[ ! -e "$tmp/user/dev/null" ] || fail "a device of an ordinary user"
	[ "$(stat -c '%a %u' "$tmp/user/dev/suid")" = '755 65534' ] ||
		fail "a set-id bit went to another owner"
	# Closed directories are opened for the time of the restore.
	expect 0 as_nobody "$tmp/bin/vmbackup" -r "$vault" --key-file \
		"$keyfile" --no-cache restore "$few" --target "$tmp/user/few"
	as_nobody chmod 500 "$tmp/user/few/dir"
	expect 0 as_nobody "$tmp/bin/vmbackup" -r "$vault" --key-file \
		"$keyfile" --no-cache restore "$few" --target "$tmp/user/few"
	note "an ordinary user"
fi
