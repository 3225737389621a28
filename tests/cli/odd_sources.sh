#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Sources that are not what they seem: filesystems that say what is not so, or
# nothing at all, sizes that no point can hold, symbolic links. Whatever can be
# had is in the point, the point can be read, and what is missing was said.
. "$(dirname "$0")/../lib.sh"
requires root fuse nobody namespaces
odd_fs=$(find_program tests/odd_fs)
[ -n "$odd_fs" ] || fail "tests/odd_fs is not built"
new_vault
chmod 711 "$tmp"

# mount_odd DIR [COMMAND...]: with COMMAND in front.
mount_odd() {
	local dir=$1
	shift
	mkdir -p "$dir"
	mounts+=("$dir")
	"$@" "$odd_fs" -f -o attr_timeout=0,entry_timeout=0 "$dir" \
		2>>"$tmp/odd_fs.err" &
	daemons+=($!)
	await 20 is_mounted "$dir" || fail "odd_fs at $dir"
}
is_dead() {
	is_mounted "$1" && ! stat "$1"
}
# same_stored NAME [POINT]: it is stored as it reads.
same_stored() {
	expect 0 vmb cat "${2:-odd}/latest:files$tmp/odd/$1"
	# By a pipe, since the sizes that stat tells differ.
	cmp "$tmp/out" - <"$tmp/odd/$1" || fail "$1 is stored otherwise"
}

# ---- a filesystem that is not to be believed ----

mount_odd "$tmp/odd"
expect 3 vmb backup --vm odd --json "$tmp/odd"
says 'odd/huge: .*2\^62'
says 'odd/attrs: its extended attribute user.bad cannot be read: Perm'
says 'odd/attr-dir: its extended attribute user.bad cannot be read: Perm'
[ "$(python3 "$tests/json_field.py" error_count <"$tmp/out")" = 4 ] ||
	fail "other errors: $(cat "$tmp/err")"
# What did not hold still is read again, though it looks as the point has it: the
# clock of a file server tells nothing of when it was changed.
says 'odd/settling: changed while it was read'
for name in empty short tiny no-seek bad-seek attrs plain; do
	same_stored "$name"
done
expect 0 vmb ls -l "odd/latest:files$tmp/odd"
prints ' 300000 .*empty'
prints 'huge-dir'
[ "$(grep -c 'huge$' "$tmp/out")" = 0 ] || fail "huge is stored"
# Of the attributes those that can be read are there.
expect 0 vmb restore "odd/latest:files$tmp/odd" --target "$tmp/back"
for name in attrs attr-dir; do
	[ "$(getfattr --absolute-names -d "$tmp/back/$name" | grep '^user' |
		tr '\n' ' ')" = 'user.good="1" user.last="1" ' ] ||
		fail "attributes of $name"
done
# Nothing of it is taken for unchanged next time.
expect 3 vmb backup --vm odd "$tmp/odd"
same_stored empty
same_stored settling
if [ -r /proc/version ]; then
	expect 0 vmb backup --vm proc /proc/version
	expect 0 vmb cat proc/latest:files/proc/version
	cmp "$tmp/out" - </proc/version || fail "/proc/version"
fi

# ---- sizes that are too much for a point, alone or together ----

tmpfs_at "$tmp/sparse"
echo important >"$tmp/sparse/letter"
for i in 1 2 3; do
	truncate -s $((1 << 62)) "$tmp/sparse/large-$i"
done
expect 0 vmb backup --vm sparse "$tmp/sparse"
expect 0 vmb cat "sparse/latest:files$tmp/sparse/letter"
prints '^important$'
truncate -s 9223372036854775807 "$tmp/sparse/large-2"
expect 3 vmb backup --vm sparse "$tmp/sparse"
says 'large-2: .*2\^62'
expect 0 vmb cat "sparse/latest:files$tmp/sparse/letter"
prints '^important$'
expect 0 vmb points --json
expect 0 vmb stats

# ---- mounts that do not answer, below what is not to leave its filesystem ----

s=$tmp/source
open_programs
install -m 755 "$odd_fs" "$tmp/bin"
odd_fs=$tmp/bin/odd_fs
mkdir -p "$s/dir"
echo x >"$s/dir/file"
mount_odd "$s/alive"
mount_odd "$s/dead"
kill -KILL $!
await 20 is_dead "$s/dead" || fail "$s/dead answers"
if ! as_nobody test -w /dev/fuse; then
	mknod -m 666 "$tmp/fuse" c 10 229
	mount --bind "$tmp/fuse" /dev/fuse
	cleanup_fn umount /dev/fuse
fi
mkdir -p "$s/foreign"
chown nobody: "$s/foreign"
mount_odd "$s/foreign" as_nobody
expect 0 vmb backup --vm x -x "$s"
says 'source/dead: another filesystem'
says 'source/foreign: another filesystem'
expect 0 vmb ls -R "x:files$s"
printf '%s\n' alive dead dir dir/file foreign >"$tmp/want"
LC_ALL=C sort "$tmp/out" | diff "$tmp/want" - || fail "ls after -x"
expect 0 vmb cat x/latest:point.json
for name in alive dead foreign; do
	prints "\"$s/$name\""
done
# Whoever wants what is there is told that it was not to be had.
expect 3 vmb backup --vm x "$s"
says 'dead: cannot be'

# ---- symbolic links as sources ----

l=$tmp/links
mkdir -p "$l/real"
echo y >"$l/real/file"
setfattr -n user.mark -v 1 "$l/real"
ln -s real "$l/to-dir"
ln -s real/file "$l/to-file"
expect 0 vmb backup --vm link "$l/to-dir"
says 'to-dir: it is a symbolic link.*write .*to-dir/ '
expect 0 vmb ls -l "link:files$l"
prints '^l.*to-dir'
for source in to-dir/ to-dir/. to-dir//; do
	expect 0 vmb backup --vm link "$l/$source"
	[ ! -s "$tmp/err" ] || fail "said: $(cat "$tmp/err")"
	expect 0 vmb cat "link:files$l/to-dir/file"
	prints '^y$'
done
expect 0 vmb restore "link/latest:files$l/to-dir" --target "$tmp/linked"
[ "$(getfattr --absolute-names --only-values -n user.mark \
	"$tmp/linked")" = 1 ] || fail "attributes of what the link leads to"
expect 0 vmb backup --vm link "$l"
[ ! -s "$tmp/err" ] || fail "said of a link inside: $(cat "$tmp/err")"
expect 1 vmb backup --vm link "$l/to-file/"
says 'not a directory'
expect 2 vmb backup --vm link "$l" "$l/to-dir/"
says 'real path'
