#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Disks go into a vault, and come out of the mount whole, and as the files in
# their filesystems: equal to what the kernel shows of the same image.
. "$(dirname "$0")/../lib.sh"
requires fuse root loop python3 rsync qemu-img sfdisk mkfs.ext4 mkfs.xfs \
	mkswap getfacl setfacl

# ---- the machine ----

# with_part IMAGE START_MIB SIZE_MIB COMMAND...: the command gets a loop device
# of that part as $part.
with_part() {
	loop_attach -o $(($2 << 20)) --sizelimit $(($3 << 20)) "$1"
	part=$loop
	shift 3
	"$@"
	loop_detach "$part"
}

# populate DIR: what both filesystems hold.
populate() {
	"$tests/fixture.py" make "$1" --small 2>/dev/null
	rm -rf "$1/huge" "$1/deep"
	mkdir "$1/many"
	(cd "$1/many" && seq -f '%05g' 3000 | xargs touch)
	head -c 3000000 /dev/urandom >"$1/random"
	setfacl -m u:1234:rwx -m g:4321:r "$1/random"
	setfacl -d -m u:77:rx "$1/many"
	echo root:x:0 >"$1/passwd"
	chmod 600 "$1/passwd"
}

# fill_part DIR MKFS...: make a filesystem on $part and fill it.
fill_part() {
	local dir=$1
	shift
	"$@" "$part" >/dev/null
	mkdir -p "$dir"
	mount "$part" "$dir"
	populate "$dir"
	umount "$dir"
}

# kernel_mount IMAGE OFFSET_MIB SIZE_MIB DIR OPTIONS: read-only.
kernel_mount() {
	mkdir -p "$4"
	mount -o "loop,ro,offset=$(($2 << 20)),sizelimit=$(($3 << 20)),$5" \
		"$1" "$4"
	mounts+=("$4")
}

truncate -s 700M "$tmp/vda"
truncate -s 400M "$tmp/vdb"
sfdisk -q "$tmp/vda" <<-EOF
	label: gpt
	start=1MiB, size=400MiB
	start=401MiB, size=10MiB, type=swap
	start=420MiB, size=20MiB
EOF
with_part "$tmp/vda" 1 400 fill_part "$tmp/fill" mkfs.ext4 -q -I 256
with_part "$tmp/vda" 401 10 eval 'mkswap -q "$part"'
with_part "$tmp/vdb" 0 400 fill_part "$tmp/fill" mkfs.xfs -q
echo '<domain/>' >"$tmp/domain.xml"

new_vault
expect 0 vmb backup --vm web1 --disk "vda=$tmp/vda" --disk "vdb=$tmp/vdb" \
	--config "$tmp/domain.xml"
start_mount "$vault" "$tmp/mnt"
pid=$(mount_pid "$tmp/mnt")
point=$(cd "$tmp/mnt/vms/web1/latest" && pwd -P)

# ---- disks ----

for disk in vda vdb; do
	cmp "$tmp/$disk" "$point/disks/$disk.raw" || fail "$disk.raw differs"
	qemu-img compare -q -f raw -F raw "$tmp/$disk" \
		"$point/disks/$disk.raw" || fail "qemu-img compare $disk"
	cp --sparse=always "$point/disks/$disk.raw" "$tmp/copy"
	cmp "$tmp/$disk" "$tmp/copy" || fail "a copy of $disk differs"
	[ "$(stat -c %b "$tmp/copy")" -le "$(stat -c %b "$tmp/$disk")" ] ||
		fail "the copy of $disk is not sparse"
	rm "$tmp/copy"
	loop_attach -r "$point/disks/$disk.raw"
	cmp "$tmp/$disk" "$loop" || fail "a loop device of $disk differs"
	loop_detach "$loop"
done
[ "$(stat -c %a "$point/disks/vda.raw")" = 400 ] || fail "mode of a disk"
cmp "$tmp/domain.xml" "$point/config/domain.xml" || fail "config"
cmp <(dd if="$tmp/vda" bs=1M skip=1 count=400 status=none) \
	"$point/volumes/vda1.raw" || fail "vda1.raw"

# Cells of the grid that are holes at the source are holes.
python3 - "$tmp/vda" "$point/disks/vda.raw" <<'EOF' || fail "holes differ"
import os, sys

def data(path):
    fd = os.open(path, os.O_RDONLY)
    end = os.lseek(fd, 0, os.SEEK_END)
    cells, at = set(), 0
    while at < end:
        try:
            at = os.lseek(fd, at, os.SEEK_DATA)
        except OSError:
            break
        hole = os.lseek(fd, at, os.SEEK_HOLE)
        cells.update(range(at >> 18, (hole + (1 << 18) - 1) >> 18))
        at = hole
    return cells

source, shown = map(data, sys.argv[1:])
if not shown or not shown <= source:
    sys.exit("shown as data, but holes: %s" % sorted(shown - source)[:9])
EOF
used=$(($(stat -c %b "$point/disks/vda.raw") * 512))
[ $used -gt 0 ] && [ $used -lt $((600 << 20)) ] || fail "st_blocks: $used"
note "disks are equal"

# ---- volumes ----

got=$(cd "$point/volumes" && echo *)
want="vda1 vda1.raw vda2.raw vda2.unreadable vda3.raw vda3.unreadable vdb"
want="$want vdb.raw"
[ "$got" = "$want" ] || fail "volumes: $got"
grep -qi swap "$point/volumes/vda2.unreadable" || fail "why not vda2"
[ "$(wc -l <"$point/volumes/vda3.unreadable")" = 1 ] || fail "why not vda3"

acls() {
	(cd "$1" && find . -print0 | sort -z | xargs -0 getfacl -nP 2>/dev/null)
}

kernel_mount "$tmp/vda" 1 400 "$tmp/kernel/vda1" noload
kernel_mount "$tmp/vdb" 0 400 "$tmp/kernel/vdb" norecovery
for volume in vda1 vdb; do
	kernel=$tmp/kernel/$volume
	shown=$point/volumes/$volume
	same "$kernel" "$shown" --count
	for direction in "$kernel/ $shown/" "$shown/ $kernel/"; do
		# shellcheck disable=SC2086
		rsync -aHAXSn --checksum --numeric-ids --itemize-changes \
			--delete --modify-window=-1 $direction \
			>"$tmp/rsync" 2>"$tmp/err" ||
			fail "rsync --dry-run $direction"
		[ ! -s "$tmp/rsync" ] ||
			fail "rsync would change: $(head "$tmp/rsync")"
	done
	acls "$kernel" >"$tmp/acls"
	acls "$shown" | cmp "$tmp/acls" - || fail "ACLs of $volume"
	grep -q user:1234:rwx "$tmp/acls" || fail "no ACL was compared"
done
note "rsync finds nothing to do"

# A volume as the kernel sees it in the disk that we show.
loop_attach -r -o 1048576 --sizelimit $((400 << 20)) "$point/disks/vda.raw"
mkdir "$tmp/over"
mount -o ro,noload "$loop" "$tmp/over"
mounts+=("$tmp/over")
cmp "$tmp/over/random" "$point/volumes/vda1/random" || fail "over a loop"
umount "$tmp/over"
loop_detach "$loop"

# Hard links are one inode; the two volumes share none.
find "$point/volumes/vda1" -printf '%i\n' | sort -u >"$tmp/inodes1"
find "$point/volumes/vdb" -printf '%i\n' | sort -u >"$tmp/inodes2"
[ -z "$(comm -12 "$tmp/inodes1" "$tmp/inodes2")" ] || fail "inode numbers"

# ---- the commands say the same ----

where=web1/latest:volumes
expect 0 vmb ls "$where/vda1/many"
[ "$(wc -l <"$tmp/out")" = 3000 ] || fail "ls"
expect 0 vmb ls "$where"
prints '^vda3.unreadable$'
expect 0 vmb ls -l web1/latest:disks
prints ' 734003200 .* vda.raw$'
expect 0 vmb cat "$where/vdb/random"
cmp "$tmp/out" "$tmp/kernel/vdb/random" || fail "cat"
expect 0 vmb cat "$where/vda2.unreadable"
prints swap
expect 0 vmb find --type f /passwd
[ "$(wc -l <"$tmp/out")" = 2 ] || fail "find /passwd: $(cat "$tmp/out")"
prints ':volumes/vda1/passwd$'
expect 0 vmb find 'vdb/pass*'
[ "$(wc -l <"$tmp/out")" = 1 ] || fail "find vdb/pass*"
expect 0 vmb find vda.raw
prints ':disks/vda.raw$'
expect 1 vmb cat "$where/vda1/absent"
says 'has no volumes/vda1/absent'
note "commands agree"

# ---- 16 readers ----

sums() {
	(cd "$1" && find . -type f -size -20M -print0 | sort -z |
		xargs -0 sha256sum | sha256sum)
}
for volume in vda1 vdb; do
	sums "$tmp/kernel/$volume" >"$tmp/sum-$volume"
done
echo 3 >/proc/sys/vm/drop_caches 2>/dev/null || true
readers=()
for i in $(seq 16); do
	volume=vda1
	[ $((i % 2)) = 0 ] || volume=vdb
	sums "$point/volumes/$volume" >"$tmp/read-$i-$volume" &
	readers+=($!)
done
for reader in "${readers[@]}"; do
	wait "$reader" || fail "a reader of volumes"
done
for volume in vda1 vdb; do
	for file in "$tmp"/read-*-$volume; do
		cmp "$tmp/sum-$volume" "$file" || fail "$file"
	done
done
kib=$(peak_kib "$pid")
note "16 readers; peak memory of the mount $kib KiB"
sanitized || [ "$kib" -le 196608 ] || fail "more than 192 MiB"

stop_mount "$tmp/mnt"

# ---- others ----

start_mount "$vault" "$tmp/mnt" allow_other
point=$(cd "$tmp/mnt/vms/web1/latest" && pwd -P)
chmod 755 "$tmp"
if command -v setpriv >/dev/null; then
	expect 0 as_nobody ls "$point/volumes/vda1/many"
	expect 1 as_nobody cat "$point/volumes/vda1/passwd"
	expect 1 as_nobody cat "$point/disks/vda.raw"
	expect 1 as_nobody cat "$point/volumes/vda1.raw"
	expect 1 as_nobody cat "$point/config/domain.xml"
fi
stop_mount "$tmp/mnt"
