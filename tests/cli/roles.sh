#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# What ROLES of vmbackupfs(7) says: every verb is tried by a reader, who may only
# read; by a writer, who may also create objects, and may neither delete nor change
# one; and by the maintainer. It works, or names the right that it lacks, and then
# the vault is as it was.
. "$(dirname "$0")/../lib.sh"
requires nobody fuse loop namespaces setfacl mkfs.ext4 chattr

# Two users of their own, and the vault's owner; nobody is in any list.
reader=61003 writer=61002 owner=61001

open_programs
vmbackup=$tmp/bin/vmbackup
mkdir "$tmp/disk" "$tmp/source"
big_filesystem "$tmp/disk" 64M
keyfile=$tmp/key cache=$tmp/cache vault=$tmp/disk/vault
head -c 64 /dev/urandom >"$keyfile"
head -c 64 /dev/urandom >"$tmp/key2"
chmod 644 "$keyfile" "$tmp/key2"
chmod 755 "$tmp/source"
install -d -o $owner -g $owner -m 700 "$vault"

# as ROLE COMMAND...: without any other right
as() {
	local uid=${!1}
	shift
	setpriv --reuid="$uid" --regid="$uid" --clear-groups --inh-caps=-all \
		env HOME="$tmp/home-$uid" USER="u$uid" \
		XDG_CACHE_HOME="$tmp/home-$uid" \
		VMBACKUP_STATE_DIR="$tmp/home-$uid/state" "$@"
}
run() {
	local role=$1
	shift
	as "$role" "$vmbackup" -r "$vault" --key-file "$keyfile" "$@"
}
for uid in $reader $writer $owner; do
	install -d -o "$uid" -g "$uid" -m 700 "$tmp/home-$uid"
done

# state: what there is, and what is in it.
state() {
	(cd "$vault" && find . -type f -printf '%p %s %T@ %i\n' | sort) |
		sha256sum
}
# works ROLE VERB...
works() {
	expect 0 run "$@"
}
# refused ROLE RIGHT PREFIX VERB...: it lacks the right to RIGHT objects there.
refused() {
	local role=$1 right=$2 prefix=$3 before got=0
	shift 3
	before=$(state)
	run "$role" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null || got=$?
	[ $got -ne 0 ] || fail "the $role may: $*"
	says "it takes the right to $right objects \($prefix\), see ROLES"
	[ "$before" = "$(state)" ] || fail "$role: $* changed the vault"
}

# ---- as the manual says ----

works owner init
works owner backup -q --vm web --time 2026-10-01T02:00:00Z "$tmp/source"
echo 1 >"$tmp/source/file"
works owner backup -q --vm web --time 2026-10-02T02:00:00Z "$tmp/source"
find "$vault" -type d -exec setfacl -m "u:$reader:rx,u:$writer:rwx" \
	-m "d:u:$owner:rwx,d:u:$reader:rx,d:u:$writer:rwx" {} +
find "$vault" -type f -exec setfacl -m "u:$reader:r,u:$writer:r" {} +
append_only() {
	find "$vault" -type d -exec chattr "$1a" {} +
}
cleanup_fn append_only -

copies=0
# What each role does alike, and reads what the others wrote. The last point, and
# not latest: there may be more by then.
reads() {
	local role=$1 p=web/2026-10-02T020000Z
	works "$role" points
	prints web
	works "$role" ls $p
	works "$role" cat "$p:files$tmp/source/file"
	prints '^1$'
	works "$role" find file
	works "$role" diff web/2026-10-01T020000Z $p
	works "$role" versions "web:$tmp/source/file"
	works "$role" stats
	works "$role" restore "$p:files$tmp/source" \
		--target "$tmp/home-${!role}/restored"
	works "$role" forget -n --keep-last 1
	works "$role" prune -n
	works "$role" key list
	works "$role" key export "$tmp/home-${!role}/copy-$((++copies))"
	works "$role" repair index
	works "$role" repair packs
	works "$role" repair points
}

# ---- a reader ----

before=$(state)
reads reader
works reader check --read-data
[ "$before" = "$(state)" ] || fail "a reader changed the vault"
p=web/2026-10-02T020000Z
refused reader create session/ backup --vm web "$tmp/source"
refused reader create note/ note $p --text "some words"
refused reader create note/ tag $p --add a
refused reader create note/ protect $p
refused reader create forget/ forget $p
refused reader create machine/ rename web www
refused reader create session/ rewrite --exclude "$tmp/source/file" $p
refused reader create key/ key add --add-key-file "$tmp/key2"
refused reader delete key/ key passwd --add-key-file "$tmp/key2"
refused reader delete key/ key rotate
refused reader delete digest/ prune
# ---- a writer ----

append_only +
works writer backup -q --vm web --time 2026-10-03T02:00:00Z "$tmp/source"
works writer backup -q --vm db --time 2026-10-04T02:00:00Z "$tmp/source"
reads writer
works writer check --read-data
works writer note $p --text "some words"
works writer tag $p --add a
works writer protect $p
works writer unprotect $p
works writer forget $p
works writer undelete $p
works writer rename db sql
works writer rewrite --exclude "$tmp/source/file" sql/latest
works writer repair index --apply
works writer repair packs --apply
works writer repair points --apply
works writer key add --add-key-file "$tmp/key2"
expect 0 run owner --json key list
key2=$(python3 -c 'import json, sys
print([k["id"] for k in json.load(sys.stdin) if not k["current"]][0])' \
	<"$tmp/out")
refused writer delete key/ key passwd --add-key-file "$tmp/key2"
refused writer delete key/ key rotate
refused writer delete key/ key remove "$key2"
refused writer delete digest/ prune
# To mend from a copy is to put one object in the place of another.
cp -a "$vault" "$tmp/whole"
chown -R $writer "$tmp/whole"
append_only -
hurt=$(find "$vault/point" -type f -user $owner | head -n 1)
flip "$hurt" 100
append_only +
refused writer replace point/ repair points --apply \
	--from "$tmp/whole" --from-key-file "$keyfile"
append_only -
flip "$hurt" 100
append_only +
# Not even its own, and not by any other program.
own=$(find "$vault/point" -type f -user $writer | head -n 1)
others=$(find "$vault/point" -type f -user $owner | head -n 1)
before=$(state)
as writer cp "$others" "$tmp/home-$writer/other"
for object in "$own" "$others" "$vault/config"; do
	expect 1 as writer rm -f "$object"
	expect 1 as writer mv -f "$tmp/home-$writer/other" "$object"
	expect 1 as writer mv "$object" "$object-1"
done
expect 1 as writer dd if=/dev/zero of="$others" bs=1 count=1 conv=notrunc
[ "$before" = "$(state)" ] || fail "the writer could do something to what is there"

# The reader reads what the writer put, and no folder is open to others.
reads reader
expect 0 find "$vault" -perm /007
[ ! -s "$tmp/out" ] || fail "open to all: $(head -n 1 "$tmp/out")"

# A backup that ends in the middle leaves what a collection clears.
append_only -
setfacl -m "u:$writer:rx" "$vault/point"
append_only +
sessions=$(find "$vault/session" -type f | wc -l)
got=0
run writer backup --vm web "$tmp/source" >"$tmp/out" 2>"$tmp/err" || got=$?
[ $got -ne 0 ] || fail "a point was made without the right to"
says 'it takes the right to create objects \(point/\)'
[ "$(find "$vault/session" -type f | wc -l)" -gt "$sessions" ] ||
	fail "it left nothing"

# With the sticky bit alone it may delete what is its own, and that is not enough.
append_only -
find "$vault" -type d -exec chmod +t {} +
refused writer delete digest/ prune
find "$vault" -type d -exec chmod -t {} +
# On a mount that is read-only everybody is a reader.
mkdir "$tmp/read-only"
mount --bind "$vault" "$tmp/read-only"
mounts+=("$tmp/read-only")
mount -o remount,bind,ro "$tmp/read-only"
vault=$tmp/read-only
reads owner
refused owner create session/ backup --vm web "$tmp/source"
refused owner delete digest/ prune
start_mount "$vault" "$tmp/mnt"
expect 0 cat "$tmp/mnt/vms/$p/files$tmp/source/file"
prints '^1$'
stop_mount "$tmp/mnt"
vault=$tmp/disk/vault
append_only +

# ---- the maintainer ----

reads owner
refused owner delete digest/ prune
says 'chattr -ai'
append_only -
works owner forget web/2026-10-01T020000Z
works owner prune
prints 'sessions were dead, and are fenced off'
find "$vault/session" -type f >"$tmp/out"
[ ! -s "$tmp/out" ] || fail "left: $(cat "$tmp/out")"
works owner key passwd --add-key-file "$tmp/key2"
keyfile=$tmp/key2
works owner key rotate
works owner check --read-data
works owner restore "web/latest:files$tmp/source" --target "$tmp/home-$owner/again"
# That points have to be signed takes no right to delete.
append_only +
works owner key sign-new
works owner key demand
append_only -
