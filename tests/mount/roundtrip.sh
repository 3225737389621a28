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

# When each inode was born; older kernels do not ask a mount for it.
born() {
	(cd "$1" && find . -print0 | sort -z | xargs -0 stat -c '%w %n')
}
born "$source/main" >"$tmp/born"
if ! grep -q '^[0-9]' "$tmp/born"; then
	note "births: the source has none"
elif ! printf '%s\n' 6.6 "$(uname -r)" | sort -V -C; then
	note "births: the kernel does not ask"
else
	born "$shown/main" | diff "$tmp/born" - >&2 || fail "born otherwise"
	note "births are equal"
fi

# rsync and cp name what they copy by whole paths, of at most 4096 bytes: of
# deep/, whose paths are longer, rsync can do the upper half, and cp, from
# inside, the lower one. And rsync reads holes as zeros: huge/, a TiB of them,
# would take it an hour. All of both is compared above, and restored by vmbackup
# below. rsync compares whole seconds unless told --modify-window=-1.
rsync_changes() {
	rsync -aHAXSn --checksum --numeric-ids --itemize-changes --delete \
		--modify-window=-1 "$@" >"$tmp/rsync" 2>"$tmp/err" ||
		fail "rsync --dry-run $*"
	[ ! -s "$tmp/rsync" ] ||
		fail "rsync would change: $(head "$tmp/rsync")"
}
rsync_changes "$source/main/" "$shown/main/"
rsync_changes "$shown/main/" "$source/main/"
rsync_changes --exclude '/*/*/*/*/*/*/*/*/*/*/*' "$source/deep/" "$shown/deep/"
rsync_changes --exclude '/*/*/*/*/*/*/*/*/*/*/*' "$shown/deep/" "$source/deep/"
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
	--holes loose
rm -rf "$restored/rsync"
note "rsync: equal"

# cp keeps holes, and may make some of zeros.
middle=deep
for i in 00 01 02 03 04 05 06 07 08 09; do
	middle=$middle/$i-$(printf 'd%.0s' {1..247})
done
for part in main huge "$middle/."; do
	name=cp-$(basename "${part%%/*}")
	(cd "$shown/${part%/.}" && cp -a . "$restored/$name") 2>"$tmp/err" ||
		fail "cp -a of $name"
	[ ! -s "$tmp/err" ] || fail "cp -a of $name complains"
	same "$source/$part" "$restored/$name" --ignore ctime,dirsize \
		--holes loose
	rm -rf "${restored:?}/$name"
done
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
