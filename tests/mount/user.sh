#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# An ordinary user backs up his own files, mounts the vault through
# fusermount3 and restores. Root becomes nobody for it.
. "$(dirname "$0")/../lib.sh"
requires fuse python3 rsync

if [ "$(id -u)" = 0 ]; then
	requires nobody namespaces
	if ! as_nobody sh -c ': <>/dev/fuse' 2>/dev/null; then
		# udev would have made it mode 0666.
		mknod -m 0666 "$tmp/fuse" c 10 229
		mount --bind "$tmp/fuse" /dev/fuse
		cleanup_fn umount /dev/fuse
	fi
	user() { as_nobody "$@"; }
else
	user() { HOME=$tmp/home "$@"; }
fi

open_programs
mkdir "$tmp/work" "$tmp/home"
install -m 755 "$tests/fixture.py" "$tests/compare.py" "$tmp/bin"
[ "$(id -u)" != 0 ] || chown 65534:65534 "$tmp/work" "$tmp/home"
touch "$tmp/err" "$tmp/out"
as_user() { (cd "$tmp/work" && user "$@"); }
run() { expect 0 as_user "$@"; }

run "$tmp/bin/fixture.py" make "$tmp/work/source" --small
sed 's/^/user: /' "$tmp/err" >&2
run sh -c 'umask 077; head -c 64 /dev/urandom >key'
set -- -r "$tmp/work/vault" --key-file "$tmp/work/key"
run "$tmp/bin/vmbackup" "$@" init
run "$tmp/bin/vmbackup" "$@" backup --vm mine "$tmp/work/source"
run mkdir mnt
mounts+=("$tmp/work/mnt")
run "$tmp/bin/mount.vmbackupfs" "$tmp/work/vault" "$tmp/work/mnt" \
	-o "keyfile=$tmp/work/key"
daemons+=("$(mount_pid "$tmp/work/mnt")") ||
	fail "no process serves the mount"
shown=$tmp/work/mnt/vms/mine/latest/files$tmp/work/source
run "$tmp/bin/compare.py" "$tmp/work/source" "$shown"
note "mount and source are equal"

run cp -a "$shown/main" copy
run "$tmp/bin/compare.py" source/main copy --ignore ctime,dirsize \
	--holes loose
run rsync -aHAXSn --checksum --numeric-ids --itemize-changes --delete \
	--modify-window=-1 source/main/ "$shown/main/"
[ ! -s "$tmp/out" ] || fail "rsync would change: $(head "$tmp/out")"
run "$tmp/bin/vmbackup" "$@" restore "mine/latest:files$tmp/work/source" \
	--target "$tmp/work/restored"
where=$(find "$tmp/work/restored" -type d -path '*/main' -prune | head -n 1)
run "$tmp/bin/compare.py" source/main "$where" --ignore ctime,dirsize
note "copies are equal"

# What he may not read is reported, and the rest is there.
run sh -c 'mkdir bad && echo a >bad/yes && echo b >bad/no && chmod 0 bad/no'
expect 3 as_user "$tmp/bin/vmbackup" "$@" backup --vm bad "$tmp/work/bad"
says 'bad/no.*(permission|denied)'
# The mount sees the new point.
await 30 as_user test -e "$tmp/work/mnt/vms/bad/latest/point.json" ||
	fail "the new point does not appear"
run cat "$tmp/work/mnt/vms/bad/latest/files$tmp/work/bad/yes"
prints '^a$'
if as_user cat "$tmp/work/mnt/vms/bad/latest/files$tmp/work/bad/no" \
	2>/dev/null; then
	fail "a file that could not be read can be"
fi

# Alone in his mount he reads all that he could read of the disk: what belongs to
# his guest's root, too.
if [ "$(id -u)" = 0 ] && command -v mkfs.ext4 >/dev/null; then
	mkdir "$tmp/guest"
	echo guest >"$tmp/guest/shadow"
	chmod 600 "$tmp/guest/shadow"
	truncate -s 4M "$tmp/work/image"
	expect 0 mkfs.ext4 -q -F -d "$tmp/guest" "$tmp/work/image"
	chown 65534 "$tmp/work/image"
	run "$tmp/bin/vmbackup" "$@" backup --vm guest \
		--disk "vda=$tmp/work/image"
	await 30 as_user test -e "$tmp/work/mnt/vms/guest/latest/point.json" ||
		fail "the new point does not appear"
	run cat "$tmp/work/mnt/vms/guest/latest/volumes/vda/shadow"
	prints '^guest$'
fi

# And he gets to know that his daemon was killed, from what the kernel asks for
# at each path.
run mkdir mnt2
mounts+=("$tmp/work/mnt2")
run "$tmp/bin/mount.vmbackupfs" "$tmp/work/vault" "$tmp/work/mnt2" \
	-o "keyfile=$tmp/work/key"
pid=$(mount_pid "$tmp/work/mnt2") || fail "no process serves the mount"
shown=$tmp/work/mnt2/vms/mine/latest/files$tmp/work/source
run ls "$shown"
kill -KILL "$pid"
await_end "$pid" 10 || fail "not dead"
dead() { ! as_user ls "$shown"; }
await 10 dead || fail "a dead mount lists"
run fusermount3 -u -z "$tmp/work/mnt2"

# fusermount3 needs a table that is not there: which one is said.
if [ "$(id -u)" = 0 ]; then
	mkdir "$tmp/etc"
	cp -a /etc/passwd /etc/group /etc/nsswitch.conf /etc/ld.so.cache \
		/etc/fuse.conf "$tmp/etc" 2>/dev/null || true
	chmod 755 "$tmp/etc"
	mount --bind "$tmp/etc" /etc
	cleanup_fn sh -c 'umount /etc 2>/dev/null || true'
	expect 1 as_user "$tmp/bin/vmbackup" umount "$tmp/work/mnt"
	umount /etc
	says '/etc/mtab, which cannot be read'
	is_mounted "$tmp/work/mnt" || fail "unmounted all the same"
fi

run fusermount3 -u "$tmp/work/mnt"
is_mounted "$tmp/work/mnt" && fail "still mounted"
await_end "${daemons[0]}" 20 || fail "the process outlives its mount"
