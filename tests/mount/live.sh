#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Points that are made while the vault is mounted appear; latest moves; what
# was open stays as it was.
. "$(dirname "$0")/../lib.sh"
requires fuse

mkdir "$tmp/source"
echo first >"$tmp/source/file"
new_vault
expect 0 vmb backup --vm web1 --tag daily "$tmp/source"
start_mount "$vault" "$tmp/mnt"
latest=$tmp/mnt/vms/web1/latest
before=$(readlink "$latest")
[ "$(cat "$latest/files$tmp/source/file")" = first ] || fail "not first"
exec 7<"$latest/files$tmp/source/file"
[ ! -e "$tmp/mnt/vms/db1" ] || fail "db1 before it was made"

echo second >"$tmp/source/file"
expect 0 vmb backup --vm web1 --tag daily "$tmp/source"
moved() { [ "$(readlink "$latest")" != "$before" ]; }
await 60 moved || fail "latest does not move"
[ "$(cat "$latest/files$tmp/source/file")" = second ] ||
	fail "latest is not the second"
[ "$(cat "$tmp/mnt/vms/web1/$before/files$tmp/source/file")" = first ] ||
	fail "the first point changed"
[ "$(cat <&7)" = first ] || fail "an open file changed"
exec 7<&-

# A machine that was asked for before it existed.
expect 0 vmb backup --vm db1 --json "$tmp/source"
await 60 test -d "$tmp/mnt/vms/db1/latest/files" ||
	fail "a new machine does not appear"
[ "$(ls "$tmp/mnt/vms")" = "$(printf 'db1\nweb1')" ] || fail "ls of vms/"
# It shows, too, where nothing but the directory is looked at, again and again;
# and so does a tag.
shows() { ls "$tmp/mnt/$1" | grep -qx "$2"; }

# looks DIR NAME: it shows after 1 s, which is how old the list of points may be.
# The looks are so far apart that the kernel asks for the name DIR each time, and
# so near that it never asks for the attributes alone: those which came with the
# name hold for 1 s.
looks() {
	local i
	for i in $(seq 12); do
		if shows "$1" "$2"; then
			return
		fi
		sleep 0.15
	done
	fail "ls of $1/ does not show $2"
}
for new in "vms new1" "tags newtag"; do
	# The second look is served from what the kernel keeps of the first.
	for _ in 1 2; do
		# shellcheck disable=SC2086
		shows $new && fail "$new before it was made"
	done
	expect 0 vmb backup --vm "${new##* }" --tag "${new##* }" "$tmp/source"
	# shellcheck disable=SC2086
	looks $new
done
looks tags/newtag newtag

# Two points and latest; tags and ids lead to the same places.
[ "$(find "$tmp/mnt/vms/web1/" -mindepth 1 -maxdepth 1 | wc -l)" = 3 ] ||
	fail "ls of web1/: $(ls "$tmp/mnt/vms/web1")"
[ "$(find "$tmp/mnt/ids/" -mindepth 1 -maxdepth 1 -type l | wc -l)" = 5 ] ||
	fail "ids/"
for link in "$tmp/mnt/ids"/* "$tmp/mnt/tags/daily/web1"/*; do
	[ -L "$link" ] || fail "$link is not a symbolic link"
	[ -f "$link/point.json" ] || fail "$link leads nowhere"
	python3 -m json.tool <"$link/point.json" >/dev/null ||
		fail "$link/point.json is not JSON"
done
# A walk meets each point once; the control directory is there, unlisted.
[ "$(find "$tmp/mnt" -name file | wc -l)" = 5 ] || fail "a walk's files"
ls -a "$tmp/mnt" | grep -q vmbackupfs && fail ".vmbackupfs is listed"
[ -d "$tmp/mnt/.vmbackupfs" ] || fail "no .vmbackupfs"
python3 -m json.tool <"$tmp/mnt/.vmbackupfs/status.json" >/dev/null ||
	fail "status.json is not JSON"
# Nothing can be written, by root either.
for command in "touch $tmp/mnt/x" "rm $latest/point.json" \
	"mkdir $tmp/mnt/vms/y" "truncate -s 0 $latest/point.json"; do
	if $command 2>/dev/null; then
		fail "done on a read-only mount: $command"
	fi
done
stop_mount "$tmp/mnt"
