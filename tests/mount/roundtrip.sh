#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Every kind of inode goes into a vault and comes out of the mount, and out of
# the three ways to restore, identical.
. "$(dirname "$0")/../lib.sh"
requires fuse python3 rsync

# Of ours alone; a tree of the fixture's parts where it is to be restored.
source=$tmp/source
fixture "$source"
new_vault
expect 0 vmb backup --vm web1 "$source"
expect 0 vmb check --read-data

start_mount "$vault" "$tmp/mnt"
point=$tmp/mnt/vms/web1/latest
shown=$point/files$source
same "$source" "$shown" --count
note "mount and source are equal"

# rsync and cp name what they copy by whole paths, and rsync reads holes: the
# parts that neither can do are compared above and restored by vmbackup below.
# It compares whole seconds unless told --modify-window=-1.
for direction in "$source/main/ $shown/main/" "$shown/main/ $source/main/"; do
	# shellcheck disable=SC2086
	rsync -aHAXSn --checksum --numeric-ids --itemize-changes --delete \
		--modify-window=-1 $direction >"$tmp/rsync" 2>"$tmp/err" ||
		fail "rsync --dry-run $direction"
	[ ! -s "$tmp/rsync" ] ||
		fail "rsync would change: $(head "$tmp/rsync")"
done
note "rsync finds nothing to do"

restored=$tmp/restored
if [ "$(id -u)" = 0 ] && losetup -f >/dev/null 2>&1; then
	mkdir "$restored"
	big_filesystem "$restored" 1500M
fi
mkdir -p "$restored/rsync" "$restored/vmbackup"

# Directories' sizes are the filesystem's affair. --sparse of rsync turns
# zeros into holes.
rsync -aHAXS --numeric-ids --modify-window=-1 "$shown/main" \
	"$restored/rsync/" 2>"$tmp/err" || fail "rsync"
same "$source/main" "$restored/rsync/main" --ignore ctime,dirsize \
	--holes none
rm -rf "$restored/rsync"
note "rsync: equal"

cp -a "$shown/main" "$restored/cp" 2>"$tmp/err" || fail "cp -a"
[ ! -s "$tmp/err" ] || fail "cp -a complains"
same "$source/main" "$restored/cp" --ignore ctime,dirsize --holes loose
cp -a "$shown/huge" "$restored/cp-huge"
same "$source/huge" "$restored/cp-huge" --ignore ctime,dirsize --holes loose
rm -rf "$restored/cp" "$restored/cp-huge"
note "cp -a: equal"

expect 0 vmb restore "web1/latest:files$source" \
	--target "$restored/vmbackup" --verify
where=$restored/vmbackup
if [ ! -d "$where/main" ]; then
	where=$(find "$restored/vmbackup" -type d -path '*/main' -prune |
		head -n 1)
	where=${where%/main}
fi
same "$source" "$where" --ignore ctime,dirsize,topmtime --holes exact
note "vmbackup restore: equal"

stop_mount "$tmp/mnt"
