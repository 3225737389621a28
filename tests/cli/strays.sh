#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Things that are no objects lie in the directories of a vault: nothing that
# reads or writes the vault fails or hangs because of them, and each is named
# once.
. "$(dirname "$0")/../lib.sh"
requires python3

mkdir "$tmp/source"
echo hello >"$tmp/source/file"
new_vault
expect 0 vmb backup --vm web1 "$tmp/source"
chmod -R u+w "$vault"

# Each kind of thing in each folder, by names that no object has.
strew() {
	python3 - "$1" <<-'EOF2'
	import os, socket, sys
	os.chdir(sys.argv[1])
	open("desktop.ini", "w").close()
	os.mkfifo("fifo")
	os.mkdir("empty")
	os.mkdir("full")
	open("full/file", "w").close()
	os.mkdir("shut", 0)
	os.symlink("nowhere", "dangling")
	os.symlink("..", "link")
	with socket.socket(socket.AF_UNIX) as s:
	    s.bind("socket")
	EOF2
}

folders=(commit digest feature forget heartbeat index key machine note point
	purge quarantine session sweep tomb pack "pack/$(ls "$vault/pack" |
	head -n 1)")
for folder in "${folders[@]}"; do
	strew "$vault/$folder"
done
mkdir "$vault/foreign" && chmod 0 "$vault/foreign"
mkfifo "$vault/pipe"

# named N NAME: it is named so often.
named() {
	[ "$(grep -c "$2" "$tmp/err")" = "$1" ] || fail "not $1 times: $2"
}

run() {
	expect "$1" timeout 60 "$vmbackup" -r "$vault" --key-file "$keyfile" \
		--no-cache "${@:2}"
}
run 0 points
prints web1
for folder in commit purge note machine; do
	for name in desktop.ini fifo empty shut dangling link socket; do
		named 1 "$folder/$name is no object"
	done
done
run 0 cat "web1:files$tmp/source/file"
prints '^hello$'
run 0 key list
run 0 stats
run 0 key export "$tmp/exported"
run 0 backup --vm web1 "$tmp/source"
run 0 backup --vm web2 "$tmp/source"
named 1 'pack/fifo is no object'
! grep -q 'stores everything anew' "$tmp/err" || fail "strays condemn packs"
pack=$(find "$vault/pack" -type f -name '*-*-*' -printf '%f\n' | head -n 1)
echo garbage >"$vault/quarantine/$pack"
run 0 backup --vm web2 "$tmp/source"
! grep -q 'stored again' "$tmp/err" || fail "garbage is believed"
run 13 check
says "quarantine/$pack: damaged; it says nothing"
rm "$vault/quarantine/$pack"
run 0 -v check --read-data
prints 'no damage'
for folder in "${folders[@]}"; do
	named 1 "$folder/fifo: not an object"
done
named 1 'pipe: not an object'
expect 0 setsid timeout 60 "$vmbackup" -r "$vault" check --scrub

# A mount looks at the vault again and again, and says it once.
if (: <>/dev/fuse) 2>/dev/null; then
	start_mount "$vault" "$tmp/mnt"
	[ "$(cat "$tmp/mnt/vms/web1/latest/files$tmp/source/file")" = hello ] ||
		fail "the mount does not show the file"
	run 0 backup --vm web3 "$tmp/source"
	await 20 test -d "$tmp/mnt/vms/web3/latest/files" ||
		fail "the mount does not show a new point"
	stop_mount "$tmp/mnt"
fi

# What has an object's own name is that object, damaged, and hides no other.
commit=$(ls "$vault/commit" | grep -Ex '[0-9a-f]{32}' | head -n 1)
rm "$vault/commit/$commit"
mkfifo "$vault/commit/$commit"
run 13 points
prints web
says "commit/$commit"
run 13 check
says "commit/$commit"

# Where commit/ is missing or cannot be listed, no point is taken for absent.
rm "$vault/commit/$commit"
mv "$vault/commit" "$tmp/commit"
for command in 'ls latest' 'ls' 'versions a:/x' 'versions /x' 'cat a/latest:x' \
	'restore latest -t /nowhere' 'points' 'find x'; do
	run 13 $command
	! grep -q 'no points yet\|is in no point$\|in no point of' "$tmp/err" ||
		fail "$command: absence was inferred"
done
: >"$vault/commit"
for command in 'ls latest' 'versions a:/x' 'points'; do
	! "$vmbackup" -r "$vault" $command >"$tmp/out" 2>"$tmp/err" ||
		fail "$command: not listed, and all is well"
	! grep -q 'no points yet\|is in no point' "$tmp/err" ||
		fail "$command: absence was inferred"
done
