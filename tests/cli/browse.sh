#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# points, ls, cat, find, diff and versions against what was backed up.
. "$(dirname "$0")/../lib.sh"
requires python3

s=$tmp/source
mkdir -p "$s/dir/deep" "$s/empty"
echo one >"$s/file"
echo two >"$s/dir/two"
head -c 3000001 /dev/urandom >"$s/big"
truncate -s 5000000 "$s/hole"
ln -s file "$s/link"
mkfifo "$s/fifo"
echo x >"$s/dir/deep/Mixed Case"
printf 'y' >"$s/$(printf 'bad\377name')"
touch -d 2020-01-01T00:00:00Z "$s/dir/two"
new_vault
expect 0 vmb backup --vm web1 --time 2030-01-01 --tag first "$s"
cp -a "$s" "$tmp/before"
echo uno >"$s/file"
rm "$s/dir/two"
mkdir "$s/new"
echo new >"$s/new/new"
chmod 600 "$s/big"
rm "$s/link"
echo "now a file" >"$s/link"
expect 0 vmb backup --vm web1 --time 2030-01-02 "$s"
expect 0 vmb backup --vm db2 --time 2030-01-03 "$s/new"
f=files$s

expect 0 vmb points
prints 'web1/2030-01-01T000000Z .* first '
prints '^3 points'
expect 0 vmb ls
prints '^3 points'
# On a terminal a row fits into a line: the paths are cut.
expect 0 vmb points
width=$(($(wc -L <"$tmp/out") - 5))
python3 - $width "$vmbackup" -r "$vault" --key-file "$keyfile" --no-cache points \
	>"$tmp/out" <<'PY'
import fcntl, os, pty, struct, sys, termios
pid, fd = pty.fork()
if pid == 0:
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, int(sys.argv[1]), 0, 0))
    os.execv(sys.argv[2], sys.argv[2:])
text = b""
while True:
    try:
        data = os.read(fd, 4096)
    except OSError:
        break
    if not data:
        break
    text += data
lines = text.decode().splitlines()
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, text
assert max(map(len, lines)) == int(sys.argv[1]), lines
assert any(line.endswith("...") for line in lines), lines
PY
expect 0 vmb points --vm db2
prints '^1 point$'
expect 0 vmb points --latest 1
prints '^2 points'

# ls: as find(1) says.
(cd "$s" && find . -mindepth 1 | sed 's,^\./,,' | LC_ALL=C sort) \
	>"$tmp/want"
expect 0 vmb ls -R "web1/latest:$f"
LC_ALL=C sort "$tmp/out" | cmp - "$tmp/want" || fail "ls -R"
(cd "$s" && ls -A | LC_ALL=C sort) >"$tmp/want"
expect 0 vmb ls "web1:$f/"
LC_ALL=C sort "$tmp/out" | cmp - "$tmp/want" || fail "ls"
expect 0 vmb ls -l "web1/latest~1:$f"
prints '^lrwxrwxrwx .* link -> file$'
prints "^-rw-.* $(id -u) .* 3000001 .* big\$"
expect 0 vmb ls -d "web1:$f"
[ "$(wc -l <"$tmp/out")" = 1 ] || fail "ls -d"
expect 1 vmb ls "web1:$f/nosuch"
says 'nosuch'
expect 1 vmb ls web9
expect 1 vmb ls "web1/2031-01-01T000000Z"

# cat: the bytes.
for name in file big hole dir/deep/Mixed\ Case; do
	expect 0 vmb cat "web1/latest:$f/$name"
	cmp "$tmp/out" "$s/$name" || fail "cat $name"
done
expect 0 vmb dump "web1/latest~1:$f/file" "web1/latest~1:$f/dir/two"
printf 'one\ntwo\n' | cmp - "$tmp/out" || fail "cat of two files"
id=$(vmb points --vm db2 | awk '/db2/ { print $1 }')
expect 0 vmb cat "$id:$f/new/new"
prints '^new$'
expect 1 vmb cat "web1:$f/dir"
says 'directory'
expect 1 vmb cat "web1:$f/fifo"
says 'fifo'

# find
lines() {
	[ "$(wc -l <"$tmp/out")" = "$1" ] ||
		fail "$1 lines were wanted: $(cat "$tmp/out")"
}
expect 0 vmb find two
lines 1
prints "^web1/2030-01-01T000000Z:$f/dir/two\$"
expect 0 vmb find 'mixed*'
lines 0
expect 0 vmb find -i 'mixed*'
lines 2
expect 0 vmb find --vm web1 --latest 1 --size +1M
lines 2
expect 0 vmb find --vm web1 --latest 1 --size +1M --name 'b*'
lines 1
expect 0 vmb find --point db2 --type f
lines 1
expect 0 vmb find --older 2020-06-01 --type f
lines 1
expect 0 vmb find --newer 2020-06-01 --name two
lines 0
expect 0 vmb find 'dir/*'
lines 3
expect 0 vmb find "$s/new/*"
lines 2
expect 1 vmb find --point nosuch x

# diff
expect 0 vmb diff web1/latest~1 web1/latest
sed -n "s,^\([^ ]*\)  *$f/,\1 ,p" "$tmp/out" | sort >"$tmp/got"
sort >"$tmp/want" <<END
+ new/
+ new/new
- dir/two
M file
T link
END
cmp "$tmp/got" "$tmp/want" || fail "diff: $(cat "$tmp/out")"
expect 0 vmb diff --metadata web1/latest~1 web1/latest
prints "^U  *$f/big\$"
prints "^U  *$f/dir/\$"
expect 0 vmb diff web1/latest web1/latest~1
prints "^-  *$f/new/\$"
prints "^\+  *$f/dir/two\$"
expect 0 vmb -q diff "web1/latest~1:$f/dir" web1/latest
lines 1
prints "^-  *$f/dir/two\$"
expect 0 vmb -q diff web1 web1
lines 0
expect 1 vmb diff web1 nosuch

# versions
expect 0 vmb versions "web1:$s/file"
lines 4
prints "web1/2030-01-02T000000Z:$f/file\$"
expect 0 vmb versions "$f/dir/deep/Mixed Case"
lines 3
prints ' 2  web1/2030-01-02T000000Z'
expect 0 vmb versions "$s/new/new"
lines 3
prints ' 2  web1'
expect 1 vmb versions "db2:$s/file"
says 'no point'

expect 0 vmb stats
prints '3 of 2 machines'
