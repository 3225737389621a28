#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# What stat(2) does not tell of a file: birth, flags and project go into a point,
# are shown, and come back as far as the target has them.
. "$(dirname "$0")/../lib.sh"
requires root loop mkfs.xfs mkfs.btrfs chattr lsattr setfacl python3

# filesystem NAME MKFS...: a new one, mounted at $tmp/NAME.
filesystem() {
	truncate -s 320M "$tmp/$1.img"
	"${@:2}" "$tmp/$1.img" >/dev/null 2>&1 || fail "${*:2}"
	mkdir "$tmp/$1"
	loop_mount "$tmp/$1.img" "$tmp/$1"
	mounts+=("$tmp/$1")
}
# flags NAME...: as "letters project", without how the inode is arranged.
flags() {
	lsattr -dp "$@" | awk '{ gsub(/[-eIN]/, "", $2); print $2, $1 }'
}
field() {
	python3 "$tests/json_field.py" "$1" <"$tmp/out"
}

filesystem xfs mkfs.xfs -q
src=$tmp/xfs/src t=$tmp/xfs/t
mkdir -p "$src"/{fixed,plain}
for f in fixed/in append both nodump plain/f project; do
	echo "$f" >"$src/$f"
done
ln "$src/both" "$src/plain/both"
chattr -p 7 "$src/project"
chattr +d "$src/nodump"
chattr -p 8 "$src/plain"
chattr +AS "$src/both"
chattr +a "$src/append"
chattr +i "$src/fixed/in" "$src/fixed"
all=(fixed fixed/in append nodump plain plain/f project both .)
new_vault
expect 0 vmb backup --vm xfs "$src"

# ---- shown ----

for f in fixed:i append:a nodump:d; do
	expect 0 vmb ls -d --json "xfs/latest:files$src/${f%:*}"
	[ "$(field flags)" = "${f#*:}" ] || fail "flags: $(cat "$tmp/out")"
done
expect 0 vmb ls -d --json "xfs/latest:files$src/project"
[ "$(field project)" = 7 ] || fail "project: $(cat "$tmp/out")"
born=$(stat -c %W "$src/project")
[[ "$(field btime)" == "$(date -u -d "@$born" +%Y-%m-%dT%H:%M:%S)"* ]] ||
	fail "born at $born: $(cat "$tmp/out")"
note "shown"

# ---- restored ----

same_flags() {
	(cd "$src" && flags "${all[@]}") >"$tmp/want"
	(cd "$t" && flags "${all[@]}") | diff "$tmp/want" - >&2 ||
		fail "other flags: $1"
}
expect 0 vmb restore "xfs/latest:files$src" --target "$t" --verify
same_flags "a first time"
# Its own work is not in the way of a restore: neither of one that finds nothing
# to do, nor where something is missing, or another is in its place.
expect 0 vmb restore -v "xfs/latest:files$src" --target "$t"
same_flags "once more"
chattr -i "$t/fixed" "$t/fixed/in"
chattr -a "$t/append"
rm "$t/fixed/in"
echo other >"$t/append"
chattr +i "$t/fixed"
chattr +a "$t/append"
expect 0 vmb restore "xfs/latest:files$src" --target "$t" --verify
same_flags "what was missing"
# What somebody else made immutable is.
chattr +i "$t/nodump"
touch -d @1 "$src/nodump" && echo more >"$src/nodump"
expect 0 vmb backup --vm xfs "$src"
expect 3 vmb restore "xfs/latest:files$src" --target "$t"
says 'nodump.*Operation not permitted'
chattr -i "$t/nodump"
note "restored"

# A change of flags alone is one.
chattr +d "$src/plain/f"
expect 0 vmb backup --vm xfs --json "$src"
[ "$(field files_changed)" = 1 ] || fail "changed: $(cat "$tmp/out")"
points=($("$vmbackup" -r "$vault" --key-file "$keyfile" --cache-dir "$cache" \
	points --vm xfs --json | python3 -c '
import json, sys
for p in json.load(sys.stdin)[-2:]: print(p["id"])'))
expect 0 vmb diff --metadata "${points[@]}"
prints '^U +.*src/plain/f$'

# ---- the names of owners ----

mkdir "$tmp/xfs/owned"
touch "$tmp/xfs/owned"/{nobody,by-acl,nameless}
chown daemon:bin "$tmp/xfs/owned/nobody"
chown 3999999999:3999999998 "$tmp/xfs/owned/nameless"
setfacl -m u:mail:r,g:news:r,u:3999999997:r "$tmp/xfs/owned/by-acl"
expect 0 vmb backup --vm owned "$tmp/xfs/owned"
# named: what the newest point says.
named() {
	local wanted
	expect 0 vmb cat owned/latest:point.json
	wanted=$(python3 -c '
import grp, json, pwd
users, groups = ["root", "daemon", "mail"], ["root", "bin", "news"]
print(json.dumps([{str(pwd.getpwnam(n).pw_uid): n for n in users},
                  {str(grp.getgrnam(n).gr_gid): n for n in groups}],
                 sort_keys=True))')
	[ "$(python3 -c '
import json, sys
p = json.load(sys.stdin)
print(json.dumps([p["users"], p["groups"]], sort_keys=True))' <"$tmp/out")" = \
		"$wanted" ] || fail "not $wanted: $(cat "$tmp/out")"
}
named
# What did not change has its owners too.
touch "$tmp/xfs/owned/new"
expect 0 vmb backup --vm owned "$tmp/xfs/owned"
named
note "names"

# ---- to and from what has others ----

filesystem btrfs mkfs.btrfs -q
mkdir "$tmp/btrfs/src"
touch "$tmp/btrfs/src/nocow"
chattr +C "$tmp/btrfs/src/nocow"
head -c 100000 /dev/urandom >"$tmp/btrfs/src/nocow"
expect 0 vmb backup --vm btrfs "$tmp/btrfs/src"
expect 0 vmb restore "btrfs/latest:files$tmp/btrfs/src" --target "$tmp/btrfs/t"
[ "$(flags "$tmp/btrfs/t/nocow" 2>/dev/null)" ] &&
	lsattr "$tmp/btrfs/t/nocow" | grep -q '^[^ ]*C' || fail "nocow was lost"
expect 0 vmb restore --json "btrfs/latest:files$tmp/btrfs/src" \
	--target "$tmp/xfs/cow"
[ "$(field flags_not_restored)" = 1 ] || fail "to XFS: $(cat "$tmp/out")"
says 'did not get all their flags'
