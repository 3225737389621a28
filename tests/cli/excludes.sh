#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# What a backup is told to leave out, in each of the ways to tell it.
. "$(dirname "$0")/../lib.sh"
requires python3

s=$tmp/source
mkdir -p "$s/Cache/below" "$s/build/keep" "$s/docs" "$s/other"
for name in a.o A.O a.c build/b.o build/keep/c.o build/keep/c.c docs/draft.tmp \
	docs/Draft.TMP docs/text '#odd' Cache/data Cache/below/data; do
	echo "$name" >"$s/$name"
done
printf 'Signature: 8a477f597d28d172789f06886806bc55\n# and more\n' \
	>"$s/Cache/CACHEDIR.TAG"
mkdir "$s/NoCache"
echo 'Signature: no' >"$s/NoCache/CACHEDIR.TAG"
echo data >"$s/NoCache/data"
new_vault

# leaves ARG... -- NAME...: a backup with ARGs leaves out NAMEs, nothing else.
leaves() {
	local args=() name
	while [ "$1" != -- ]; do
		args+=("$1")
		shift
	done
	shift
	(cd "$s" && find . -mindepth 1 | sed 's,^\./,,') >"$tmp/all"
	for name; do
		grep -qx "$name" "$tmp/all" || fail "there is no $name"
		grep -vx "$name" "$tmp/all" >"$tmp/rest"
		mv "$tmp/rest" "$tmp/all"
	done
	expect 0 vmb backup --vm web1 "${args[@]}" "$s"
	expect 0 vmb ls -R "web1:files$s"
	LC_ALL=C sort "$tmp/all" >"$tmp/want"
	LC_ALL=C sort "$tmp/out" | diff "$tmp/want" - >"$tmp/differences" ||
		fail "${args[*]}: $(cat "$tmp/differences")"
}

# The last point says itself what it left out, as JSON.
notes() {
	expect 0 vmb cat web1/latest:point.json
	python3 - "$tmp/out" "$1" <<'PY'
import json, sys
with open(sys.argv[1]) as f:
    got = json.load(f)["left_out"]
want = {"patterns": [], "one_file_system": False, "caches": False,
        "mounts": []}
want.update(json.loads(sys.argv[2]))
if got != want:
    sys.exit("left out: %s, not %s" % (got, want))
PY
}

leaves --
notes '{}'
leaves --exclude '*.o' -- a.o build/b.o build/keep/c.o
leaves --iexclude '*.o' -- a.o A.O build/b.o build/keep/c.o
leaves --iexclude '*.tmp' -e docs/text -- docs/draft.tmp docs/Draft.TMP \
	docs/text
notes '{"patterns": ["docs/text", {"path": "*.tmp", "ignore_case": true}]}'
leaves -e build -- build build/b.o build/keep build/keep/c.o build/keep/c.c
leaves -e "$s/build/*.o" -- build/b.o
leaves -e '/build' -- # the absolute path is another
# Taken back in: the last that matches counts, but not below what is left out.
leaves -e '*.o' -e '!b.o' -- a.o build/keep/c.o
leaves -e '!b.o' -e '*.o' -- a.o build/b.o build/keep/c.o
leaves -e 'build/*' -e '!keep' -- build/b.o
leaves --iexclude '*.o' --iexclude '!a.O' -- build/b.o build/keep/c.o

printf '\xef\xbb\xbf*.o\n*.a\n' >"$tmp/marked"
leaves --exclude-file "$tmp/marked" -- a.o build/b.o build/keep/c.o
cat >"$tmp/patterns" <<'END'
# a remark, and a blank line

*.o
!keep/*.o
docs/d*
\#odd
END
leaves --exclude-file "$tmp/patterns" -- a.o build/b.o docs/draft.tmp '#odd'
# Those of files come behind the others.
leaves --exclude-file "$tmp/patterns" -e '!a.o' -e keep/c.o --iexclude TEXT -- \
	a.o build/b.o docs/draft.tmp docs/text '#odd'
notes '{"patterns": ["!a.o", "keep/c.o", {"path": "TEXT", "ignore_case": true},
	"*.o", "!keep/*.o", "docs/d*", "\\#odd"]}'
expect 1 vmb backup --vm web1 --exclude-file "$tmp/no-such-file" "$s"
says 'no-such-file'
expect 1 vmb backup --vm web1 --exclude-file /dev/zero "$s"
says 'more than 16 MiB'
# One that nobody writes to: nothing has begun that a signal could not end.
mkfifo "$tmp/fifo"
"$vmbackup" -r "$vault" --key-file "$keyfile" --cache-dir "$tmp/cache" \
	backup --vm web1 --exclude-file "$tmp/fifo" "$s" 2>"$tmp/err" &
pid=$!
# The writer's open() ends once it is read.
timeout 20 sh -c 'exec 9>"$1"; kill "$2"' - "$tmp/fifo" "$pid" ||
	fail "the list was not opened"
code=0
wait "$pid" || code=$?
[ "$code" = 130 ] || fail "exit code $code after a signal, not 130"

# Of a cache its mark is kept, of what only looks like one everything.
leaves --exclude-caches -- Cache/data Cache/below Cache/below/data
notes '{"caches": true}'

# What was excluded once is in again, and --skip-if-unchanged sees it.
expect 0 vmb backup --vm web1 -e docs "$s"
expect 0 vmb backup --vm web1 -e docs --skip-if-unchanged "$s"
prints '^nothing changed'
expect 0 vmb backup --vm web1 --skip-if-unchanged "$s"
prints '^point .* made'

# A backup of what holds its vault and its part of the cache leaves them out.
expect 0 vmb backup --vm web1 "$tmp"
notes '{"mounts": ["'"$(echo "$cache"/*)"'", "'"$vault"'"]}'

# Other filesystems: the directory itself is kept.
if [ "$(id -u)" = 0 ]; then
	tmpfs_at "$s/other"
	mkdir "$s/other/dir"
	echo x >"$s/other/dir/file"
	leaves -x -- other/dir other/dir/file
	notes '{"one_file_system": true, "mounts": ["'"$s/other"'"]}'
	leaves --
	# A source on one is not another one.
	expect 0 vmb backup --vm two --one-file-system "$s/other" "$s"
	expect 0 vmb cat "two:files$s/other/dir/file"
	prints '^x$'
else
	note "-x left out: not root"
fi
