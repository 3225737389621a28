# SPDX-License-Identifier: GPL-3.0-or-later
# Sourced by tests of the mount, after lib.sh and through.sh: a small image of
# each format with a reader, and what is in it.

formats='ext4 xfs btrfs ntfs fat exfat iso'
requires root fuse loop python3 mkfs.ext4 mkfs.xfs mkfs.btrfs mkntfs ntfs-3g \
	mkfs.vfat mcopy mkfs.exfat mount.exfat-fuse genisoimage

# small_tree DIR: directories and files that all formats can hold.
small_tree() {
	python3 - "$1" <<'END'
import os
import random
import sys
rng = random.Random(11)
top = sys.argv[1]

def write(path, data):
    with open(path, "wb") as f:
        f.write(data)

os.makedirs(top + "/many")
for i in range(150):
    write("%s/many/entry-%04d" % (top, i), b"%d\n" % i * (i % 3))
path = top
for i in range(12):
    path += "/level%d" % i
    os.mkdir(path)
    write(path + "/file.dat", rng.randbytes(i * 700))
os.mkdir(top + "/sizes")
for n in (0, 1, 511, 512, 513, 4095, 4096, 4097, 65537, 300001):
    write("%s/sizes/size-%d" % (top, n), rng.randbytes(n))
write(top + "/text.txt", b"".join(b"line %d of it\n" % (i * i)
                                  for i in range(60000)))
for folder, names, leaves in os.walk(top, topdown=False):
    for name in leaves + ["."]:
        os.utime(folder + "/" + name, (1600000000, 1600000000))
END
}

# kinds DIR: what only some formats hold.
kinds() {
	ln -s text.txt "$1/link"
	ln "$1/text.txt" "$1/hard"
	mkfifo "$1/fifo"
	mknod "$1/null" c 1 3
	truncate -s 3M "$1/sparse"
	echo middle | dd of="$1/sparse" bs=4096 seek=300 conv=notrunc \
		status=none
	setfattr -n user.name -v value "$1/many"
	chmod 4711 "$1/text.txt"
	chown 1000:70000 "$1/many"
}

# small_image FORMAT IMAGE TREE: also the listing IMAGE.listing of it.
small_image() {
	local format=$1 image=$2 tree=$3 dir=$tmp/inside
	mkdir -p "$dir"
	"image_$format" "$image" "$tree" "$dir"
}

# filled IMAGE TREE DIR OPTIONS: by the kernel; its reader's reference too.
filled() {
	loop_mount "$1" "$3" "$4"
	mounts+=("$3")
	cp -a "$2/." "$3"
	kinds "$3"
	await 10 umount "$3" || fail "cannot unmount"
	loop_mount "$1" "$3" ro
	"$tests/guest/listing.py" --all "$3" >"$1.listing"
	await 10 umount "$3" || fail "cannot unmount"
}

image_ext4() {
	truncate -s 40M "$1"
	expect 0 mkfs.ext4 -q -F "$1"
	filled "$@" noatime
}

image_xfs() {
	truncate -s 300M "$1"
	expect 0 mkfs.xfs -q -f "$1"
	filled "$@" noatime
}

image_btrfs() {
	truncate -s 130M "$1"
	expect 0 mkfs.btrfs -q "$1"
	filled "$@" noatime,compress=zstd
}

# It writes the rest after umount(8) has returned.
unmount_ntfs() {
	local pids pid
	pids=$(pgrep -f -x "ntfs-3g .* $1 $2") || true
	umount "$2"
	for pid in $pids; do
		await_end "$pid" 30 || fail "ntfs-3g does not end"
	done
}

image_ntfs() {
	truncate -s 24M "$1"
	expect 0 mkntfs -F -Q -q "$1"
	mounts+=("$3")
	expect 0 ntfs-3g -o streams_interface=xattr,compression "$1" "$3"
	setfattr -n system.ntfs_attrib_be -v 0x00000800 "$3"
	cp -r --preserve=timestamps "$2/." "$3"
	unmount_ntfs "$1" "$3"
	expect 0 ntfs-3g -o ro,streams_interface=xattr "$1" "$3"
	"$tests/guest/listing.py" "$3" | sed 's/ hole=[0-9]*//' >"$1.listing"
	unmount_ntfs "$1" "$3"
}

image_fat() {
	truncate -s 24M "$1"
	expect 0 mkfs.vfat "$1"
	MTOOLS_SKIP_CHECK=1 MTOOLSRC=/dev/null expect 0 \
		mcopy -i "$1" -s -m -Q "$2"/* ::
	"$tests/reader/manifest.py" "$2" >"$1.listing"
}

# It mounts block devices alone.
image_exfat() {
	local loop
	truncate -s 24M "$1"
	expect 0 mkfs.exfat "$1"
	loop_attach "$1"
	mounts+=("$3")
	expect 0 mount.exfat-fuse "$loop" "$3" -o rw,noatime
	cp -r --preserve=timestamps "$2/." "$3"
	umount "$3"
	loop_detach "$loop"
	"$tests/reader/manifest.py" "$2" >"$1.listing"
}

image_iso() {
	expect 0 genisoimage -quiet -R -o "$1" "$2"
	"$tests/reader/manifest.py" "$2" >"$1.listing"
}

# small_same FORMAT DIR LISTING: what is in DIR is what is in the image.
small_same() {
	case $1 in
	ntfs)
		"$tests/guest/listing.py" "$2" | sed 's/ hole=[0-9]*//' \
			>"$tmp/shown"
		private_modes <"$3" >"$tmp/private-modes"
		shown_same "$1" "$tmp/private-modes" ;;
	fat)
		plain_same --no-dir-times "$@" ;;
	exfat)
		plain_same "$@" ;;
	iso)
		# Where the deep ones lie is a directory of the image's own.
		plain_same --skip ./rr_moved "$@" ;;
	*)
		listed_same "$@" ;;
	esac
}
