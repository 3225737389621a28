#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Logical volumes over two disks of one point, one linear of three segments and
# one striped: the files in them are those that the kernel shows of the same
# filesystems in plain files.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/guest/through.sh
. "$(dirname "$0")/../guest/through.sh"
requires root fuse loop lvm python3 mkfs.ext4 mkfs.xfs
small=--small
[ -z "${SOAK:-}" ] || small=
mib=700
[ -z "${SOAK:-}" ] || mib=2400

loops=()
for i in 1 2; do
	truncate -s $((mib * 3 / 2 + 200))M "$tmp/pv$i"
	loops+=("$(losetup -f --show "$tmp/pv$i")")
	cleanup_fn losetup -d "${loops[-1]}"
done
lv() {
	local verb=$1
	shift
	lvm "$verb" --driverloaded n --config "devices { use_devicesfile=0
		filter=[ \"a|^${loops[0]}\$|\", \"a|^${loops[1]}\$|\", \"r|.*|\" ] }
		backup { backup=0 archive=0 }" "$@" 2>>"$tmp/err"
}
third=$((mib / 3))
lv pvcreate -qq "${loops[@]}"
lv vgcreate -qq -s 1M vg-0 "${loops[@]}"
lv lvcreate -qq -an -Zn -Wn -l $third -n root vg-0 "${loops[0]}"
lv lvcreate -qq -an -Zn -Wn -l $mib -i 2 -I 64k -n data vg-0
lv lvextend -qq -l +$third vg-0/root "${loops[1]}"
lv lvextend -qq -l +$((mib - 2 * third)) vg-0/root "${loops[0]}"
lv lvs --noheadings --separator , -o \
	lv_name,seg_start_pe,stripes,seg_pe_ranges vg-0 >"$tmp/segments"
[ "$(wc -l <"$tmp/segments")" = 4 ] || fail "other segments were made"

# ---- the filesystems, in files of their own ----

# filesystem NAME MKFS...: what the kernel shows of it, in $tmp/NAME.listing.
filesystem() {
	local name=$1 image=$tmp/$1
	shift
	truncate -s ${mib}M "$image"
	expect 0 "$@" "$image"
	mkdir -p "$tmp/plain"
	loop_mount "$image" "$tmp/plain"
	mounts+=("$tmp/plain")
	"$tests/guest/populate.py" $small "$tmp/plain" 2>/dev/null ||
		fail "populate.py"
	await 10 umount "$tmp/plain" || fail "cannot unmount"
	loop_mount "$image" "$tmp/plain" ro
	"$tests/guest/listing.py" --all "$tmp/plain" >"$tmp/$name.listing"
	await 10 umount "$tmp/plain" || fail "cannot unmount"
}
filesystem root mkfs.ext4 -q -F -b 1024 -N 30000
filesystem data mkfs.xfs -q -f

# Without a device mapper the bytes are put where the segments say; data begins
# at 1 MiB of a physical volume.
python3 - "$tmp" "${loops[@]}" <<-'END'
	import os
	import sys
	top, loops = sys.argv[1], sys.argv[2:]
	MIB, STRIPE = 1 << 20, 65536
	pvs = dict(zip(loops, (open("%s/pv%d" % (top, i), "r+b") for i in (1, 2))))
	for line in open(top + "/segments"):
	    name, start, stripes, ranges = line.strip().split(",")
	    places = []
	    for r in ranges.split():
	        pv, pes = r.rsplit(":", 1)
	        first, last = map(int, pes.split("-"))
	        places.append((pvs[pv], MIB + first * MIB, last + 1 - first))
	    with open("%s/%s" % (top, name), "rb") as f:
	        f.seek(int(start) * MIB)
	        step = MIB if stripes == "1" else STRIPE
	        for i in range(sum(p[2] for p in places) * MIB // step):
	            pv, off, _ = places[i % len(places)]
	            piece = f.read(step)
	            if piece.strip(b"\0"):
	                pv.seek(off + i // len(places) * step)
	                pv.write(piece)
	for pv in pvs.values():
	    pv.flush()
	    os.fsync(pv.fileno())
END

# ---- through the mount ----

new_vault
expect 0 vmb backup --vm lvm --disk "vda=$tmp/pv1" --disk "vdb=$tmp/pv2"
start_mount "$vault" "$tmp/mnt"
top=$(cd "$tmp/mnt/vms/lvm/latest/volumes" && pwd -P)
for name in root data; do
	[ -d "$top/vg--0-$name" ] || fail "$name is no volume: $(ls "$top")"
	cmp "$tmp/$name" "$top/vg--0-$name.raw" || fail "$name.raw differs"
	listed_same "$name" "$top/vg--0-$name" "$tmp/$name.listing"
	note "$name: $(wc -l <"$tmp/$name.listing") entries, the same in the" \
		"mount"
done
stop_mount "$tmp/mnt"

# Of half of a group: what is missing is said, and the point can be looked at.
expect 0 vmb backup --vm half --disk "vdb=$tmp/pv2"
start_mount "$vault" "$tmp/mnt"
top=$(cd "$tmp/mnt/vms/half/latest/volumes" && pwd -P)
for name in root data; do
	grep -q 'on none of the disks' "$top/vg--0-$name.unreadable" ||
		fail "$name: not said why it cannot be read"
done
stop_mount "$tmp/mnt"
