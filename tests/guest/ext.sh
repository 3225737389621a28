#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# ext2, ext3 and ext4: what the reader finds in an image is what the kernel's
# own mount of it shows, entry by entry; of a filesystem that was copied while
# it was mounted and busy, what the kernel finds after its recovery.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/guest/through.sh
. "$(dirname "$0")/through.sh"

requires root loop fuse python3 mkfs.ext4 dumpe2fs debugfs tune2fs
dump=$(find_program tests/guest/dump)
[ -n "$dump" ] || fail "tests/guest/dump is not built"
small=--small size=200M
[ -z "${SOAK:-}" ] || small='' size=1500M
here=$tests/guest
through='ext2-1k inline crash-of-ext4'
mkdir "$tmp/mnt"

# mounted IMAGE [OPTIONS]
mounted() {
	loop_mount "$1" "$tmp/mnt" "${2:-}"
}
unmounted() {
	await 10 umount "$tmp/mnt" || fail "cannot unmount"
}
undo() {
	while is_mounted "$tmp/mnt"; do
		umount "$tmp/mnt" || umount -l "$tmp/mnt"
	done
}
cleanup_fn undo

# compare NAME TYPE IMAGE KERNEL'S-IMAGE [MOUNT-OPTIONS]
compare() {
	mounted "$4" "${5:-ro}"
	"$here/listing.py" --all "$tmp/mnt" >"$tmp/kernel"
	unmounted
	expect 0 "$dump" --all --threads 2 "$2" "$3"
	if ! diff "$tmp/kernel" "$tmp/out" >"$tmp/diff"; then
		head -n 10 "$tmp/diff" | cut -c 1-400 >&2
		fail "$1: $(grep -c '^[<>]' "$tmp/diff") lines differ"
	fi
	if grep -q 'log-' "$tmp/err"; then
		fail "$1: something of the log was not replayed"
	fi
	note "$1: $(wc -l <"$tmp/out") entries are the same"
	keep "${1// /-}" "$3" "$tmp/kernel"
}

# zoo NAME TYPE MKFS-OPTION...
zoo() {
	local name=$1 type=$2 image=$tmp/$1.img
	shift 2
	truncate -s $size "$image"
	mkfs.ext4 -q -F -N 30000 "$@" "$image" 2>"$tmp/err" ||
		fail "$name: mkfs"
	mounted "$image"
	"$here/populate.py" $small "$tmp/mnt" 2>/dev/null ||
		fail "$name: populate.py"
	unmounted
	compare "$name" "$type" "$image" "$image"
	rm "$image"
}

zoo ext2-1k ext2 -t ext2 -b 1024 -I 128
zoo ext3 ext3 -t ext3 -b 4096
zoo ext4 ext4 -b 4096
zoo inline ext4 -b 4096 -I 1024 -O inline_data,metadata_csum,ea_inode
zoo ext4-1k ext4 -b 1024 -O metadata_csum,^resize_inode,meta_bg
zoo no-extents ext4 -b 4096 -O ^extent,^64bit
zoo bigalloc ext4 -b 4096 -O bigalloc -C 16384

# ---- a crash ----

# busy DIR: much change, most of it synced.
busy() {
	python3 - "$1" <<'PY'
import os, sys
top = sys.argv[1]
d = os.open(top, os.O_RDONLY)
def put(name, data):
    with open(top + "/" + name, "wb") as f:
        f.write(data)
        f.flush()
        os.fsync(f.fileno())
os.mkdir(top + "/new")
for i in range(600):
    with open(top + "/new/f%d" % i, "wb") as f:
        f.write(b"%d" % i * (i % 50))
put("synced-1", b"one")
for i in range(0, 600, 3):
    os.rename(top + "/new/f%d" % i, top + "/new/renamed-%d" % i)
for i in range(1, 300, 3):
    os.unlink(top + "/new/f%d" % i)
# A block of a directory freed and used for data: the journal revokes it.
os.mkdir(top + "/gone")
for i in range(400):
    open(top + "/gone/entry-with-a-long-name-%d" % i, "w").close()
os.fsync(d)
for i in range(400):
    os.unlink(top + "/gone/entry-with-a-long-name-%d" % i)
os.rmdir(top + "/gone")
os.fsync(d)
put("large", bytes(range(256)) * 40000)
# Looks like a block of the journal: escaped where data are journalled.
put("magic", b"\xc0\x3b\x39\x98" * 4096)
put("synced-2", b"two" * 1000)
os.sync()
put("synced-3", b"three" * 1000)
PY
}

# in_use IMAGE MOUNT-OPTIONS MKFS-OPTION...: a new one, mounted and busy.
in_use() {
	local image=$1 options=$2
	shift 2
	truncate -s 128M "$image"
	mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 "$@" \
		"$image" 2>"$tmp/err" || fail "mkfs $*"
	mounted "$image" "$options"
	busy "$tmp/mnt"
}

# crash NAME TYPE MOUNT-OPTIONS MKFS-OPTION...
crash() {
	local name=$1 type=$2 options=$3 image=$tmp/$1.img
	shift 3
	in_use "$image" "$options" "$@"
	# The image's pages are what a disk would hold at this moment.
	cp --sparse=always "$image" "$tmp/crash.img"
	unmounted
	cp --sparse=always "$tmp/crash.img" "$tmp/recovered.img"
	dumpe2fs -h "$tmp/crash.img" 2>/dev/null | grep -q needs_recovery ||
		fail "$name: the copy is clean, nothing is tested"
	compare "crash of $name" "$type" "$tmp/crash.img" \
		"$tmp/recovered.img" rw,noatime
	for file in synced-1 synced-2 synced-3 large magic; do
		prints "^'./$file' "
	done
	rm "$image" "$tmp/crash.img" "$tmp/recovered.img"
}

crash ext3 ext3 data=ordered -t ext3 -b 1024
crash ext3-data ext3 data=journal -t ext3 -b 4096 -J size=32
crash ext4 ext4 data=ordered -b 4096
crash ext4-1k-data ext4 data=journal -b 1024 -O metadata_csum -J size=32
crash ext4-checksum ext4 journal_checksum -b 4096 -O ^metadata_csum

# A log with a damage: what came before it counts, and it is said.
in_use "$tmp/torn.img" data=journal -b 4096 -J size=32
cp --sparse=always "$tmp/torn.img" "$tmp/crash.img"
unmounted
python3 - "$tmp/crash.img" <<'PY'
import struct, sys
with open(sys.argv[1], "r+b") as f:
    data = f.read()
    # The superblock of the log, then its last block that describes others.
    log = data.index(struct.pack(">III", 0xc03b3998, 4, 0))
    last = [at for at in range(log, log + (32 << 20), 4096)
            if data[at:at + 8] == struct.pack(">II", 0xc03b3998, 1)][-1]
    f.seek(last + 4096)
    f.write(b"damage")
PY
"$dump" ext4 "$tmp/crash.img" >"$tmp/out" 2>"$tmp/err" || true
says 'log-partly-replayed'
prints "^'./synced-1' "
rm "$tmp/torn.img" "$tmp/crash.img"

# ---- large directories: a name is found by its hash ----

# large NAME TYPE MKFS-OPTION...: a directory of 6,000 names, with the hash $hash,
# s_flags $flags and blocks of $block bytes. Each name is found (compare looks it
# up), and little is read for one.
large() {
	local name=$1 type=$2
	shift 2
	truncate -s 32M "$tmp/large.img"
	mkfs.ext4 -q -F -N 10000 "$@" "$tmp/large.img" 2>"$tmp/err" ||
		fail "$name: mkfs"
	tune2fs -E "hash_alg=$hash" "$tmp/large.img" >"$tmp/out" 2>&1 ||
		fail "$name: tune2fs"
	debugfs -w -R "set_super_value flags $flags" "$tmp/large.img" \
		>"$tmp/out" 2>&1 || fail "$name: debugfs"
	mounted "$tmp/large.img"
	python3 - "$tmp/mnt" <<'PY'
import os, sys
os.mkdir(sys.argv[1] + "/d")
os.chdir(sys.argv[1] + "/d")
for i in range(6000):
    os.mknod("Größe-%d%s" % (i, "x" * (i % 40)))
PY
	unmounted
	compare "$name" "$type" "$tmp/large.img" "$tmp/large.img"
	expect 0 "$dump" --find d/Größe-5999xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx \
		"$type" "$tmp/large.img"
	little
	expect 1 "$dump" --find d/none "$type" "$tmp/large.img"
	prints ': No such file or directory$'
	little
	# A damaged index hides nothing: the directory is read whole.
	debugfs -R "blocks /d" "$tmp/large.img" 2>/dev/null >"$tmp/blocks"
	printf '\377\377\377\377' | dd of="$tmp/large.img" bs=1 conv=notrunc \
		seek=$(($(cut -d' ' -f1 "$tmp/blocks") * block + 32)) status=none
	expect 0 "$dump" --find d/Größe-40 "$type" "$tmp/large.img"
	expect 1 "$dump" --find d/none "$type" "$tmp/large.img"
	prints ': No such file or directory$'
	rm "$tmp/large.img"
}
little() {
	local n
	n=$(awk '/ bytes read$/ { print $1 }' "$tmp/out")
	[ "$n" -le 150000 ] || fail "$n bytes were read to find a name"
}

hash=half_md4 flags=2 block=4096
large "large, half MD4 unsigned" ext4 -b 4096 -O metadata_csum
hash=tea flags=1 block=1024
large "large, TEA signed" ext4 -b 1024 -O ^metadata_csum,large_dir
hash=legacy flags=1
large "large, legacy hash, block maps" ext3 -t ext3 -b 1024
hash=legacy flags=2
large "large, legacy hash unsigned" ext4 -b 1024

# ---- wrong checksums of descriptors: marked, and shown as the kernel does ----

# suspect NAME FEATURES FIELD VALUE: a filesystem with a descriptor that does
# not match its checksum.
suspect() {
	truncate -s 8M "$tmp/suspect.img"
	mkfs.ext4 -q -F -O "$2" "$tmp/suspect.img" 2>"$tmp/err" ||
		fail "$1: mkfs"
	mounted "$tmp/suspect.img"
	echo hello >"$tmp/mnt/hello"
	unmounted
	debugfs -w -R "set_bg 0 $3 $4" "$tmp/suspect.img" >"$tmp/out" 2>&1 ||
		fail "$1: debugfs"
	compare "$1" ext4 "$tmp/suspect.img" "$tmp/suspect.img"
	says 'checksum-mismatch: .* 1 of 1 descriptors of block groups'
	prints "^'./hello' "
	rm "$tmp/suspect.img"
}

suspect "wrong checksum" metadata_csum,^has_journal checksum 0x1234
suspect "wrong old checksum" ^metadata_csum,uninit_bg checksum 0x1234
suspect "wrong bitmap checksum" metadata_csum block_bitmap_csum 0x12345678

# What the library refuses is said in words, not in numbers of errors.
truncate -s 8M "$tmp/suspect.img"
mkfs.ext4 -q -F -O ^metadata_csum "$tmp/suspect.img" 2>"$tmp/err" || fail "mkfs"
debugfs -w -R "set_super_value log_groups_per_flex 200" "$tmp/suspect.img" \
	>"$tmp/out" 2>&1 || fail "debugfs"
expect 1 "$dump" ext4 "$tmp/suspect.img"
says 'its block groups cannot be read: The ext2 superblock is corrupt'
rm "$tmp/suspect.img"

# ---- fast commits, which are not read ----

# fast_commits: how many the kernel has made since it was mounted.
fast_commits() {
	local name
	name=$(losetup -nO NAME -j "$tmp/fast.img")
	awk '$2 == "commits" { print $1 }' "/proc/fs/ext4/${name#/dev/}/fc_info"
}
in_use "$tmp/fast.img" data=ordered -b 4096 -O fast_commit
# All is in one whole commit: nothing behind the log counts.
touch "$tmp/mnt/whole"
sync -f "$tmp/mnt"
cp --sparse=always "$tmp/fast.img" "$tmp/crash.img"
before=$(fast_commits)
echo fast >"$tmp/mnt/fast"
sync "$tmp/mnt/fast"
cp --sparse=always "$tmp/fast.img" "$tmp/part.img"
after=$(fast_commits)
unmounted
cp --sparse=always "$tmp/crash.img" "$tmp/recovered.img"
compare "whole commits only" ext4 "$tmp/crash.img" "$tmp/recovered.img" \
	rw,noatime
prints "^'./whole' "
[ "$after" -gt "$before" ] || fail "the kernel made no fast commit"
expect 0 "$dump" ext4 "$tmp/part.img"
says 'log-partly-replayed: .*fast commits'
prints "^'./whole' "
through_mount
note "all is well"
