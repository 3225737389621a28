#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The XFS reader against the kernel: every kind of inode, forms of directories,
# attributes and extents, sizes of blocks, version 4 (against its source: the
# kernel may not mount it); disks copied while in use, their logs replayed;
# threads; damage.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/guest/through.sh
. "$(dirname "$0")/through.sh"
small=--small size=1200M
[ -z "${SOAK:-}" ] || small='' size=2500M
requires root loop fuse mkfs.xfs python3

dump=$(find_program tests/guest/dump)
[ -n "$dump" ] || fail "tests/guest/dump is not built"
mnt=$tmp/mnt
through='plain version-4 crash-1k'
mkdir "$mnt"

release() {
	if is_mounted "$mnt"; then
		umount "$mnt" || umount -l "$mnt"
	fi
}
cleanup_fn release

# make NAME SIZE OPTION...: a new one, mounted.
make() {
	local image=$tmp/$1 size=$2
	shift 2
	truncate -s "$size" "$image"
	mkfs.xfs -q -f "$@" "$image" >"$tmp/out" 2>"$tmp/err" ||
		fail "mkfs.xfs $*"
	# (That of the same name before it may still be going.)
	await 10 mount -o loop "$image" "$mnt" ||
		mount -o loop "$image" "$mnt" 2>"$tmp/err" ||
		skip "this kernel does not mount XFS made with: $*"
}

# differ WHAT: $tmp/kernel and $tmp/ours are to be the same.
differ() {
	if ! diff "$tmp/kernel" "$tmp/ours" >"$tmp/differences"; then
		head -n 20 "$tmp/differences" | cut -c 1-300 >&2
		fail "$1: the reader finds something else"
	fi
	note "$1: $(wc -l <"$tmp/kernel") entries, no difference"
}

# compare NAME [OPTION,...]: what the reader says of it is what the kernel says,
# which may write into a copy of it.
compare() {
	cp --sparse=always "$tmp/$1" "$tmp/copy"
	loop_mount "$tmp/copy" "$mnt" "${2:-}"
	"$tests/guest/listing.py" --all "$mnt" >"$tmp/kernel"
	umount "$mnt"
	rm "$tmp/copy"
	"$dump" --all xfs "$tmp/$1" >"$tmp/ours" 2>"$tmp/err" ||
		fail "$1: dump failed"
	if grep -q replayed "$tmp/err"; then
		fail "$1: the log was not replayed"
	fi
	differ "$1"
	keep "$1" "$tmp/$1" "$tmp/kernel"
}

# ---- whole ones ----

form() {
	local name=$1
	make "$@"
	"$tests/guest/populate.py" $small "$mnt" 2>/dev/null ||
		fail "populate.py"
	umount "$mnt"
	compare "$name" ro
	[ "$name" = plain ] || rm "$tmp/$name"
}
form plain 2500M
form blocks-1k $size -b size=1024 -n size=8192 -m rmapbt=1
form large $size -n size=65536 -i size=2048 -l su=256k
"$dump" --threads 8 --all xfs "$tmp/plain" >"$tmp/ours" ||
	fail "eight threads: dump failed"

# ---- version 4 ----

# proto DIR: it as mkfs.xfs takes it.
proto() {
	python3 - "$1" <<-'END'
		import os
		import stat
		import sys
		LETTERS = {stat.S_IFREG: "-", stat.S_IFDIR: "d", stat.S_IFLNK: "l",
		           stat.S_IFIFO: "p", stat.S_IFCHR: "c", stat.S_IFBLK: "b"}

		def emit(path, name):
		    st = os.lstat(path)
		    kind = stat.S_IFMT(st.st_mode)
		    line = [name, "%s--%03o" % (LETTERS[kind], st.st_mode & 0o777),
		            str(st.st_uid), str(st.st_gid)]
		    if kind == stat.S_IFREG:
		        line.append(path)
		    elif kind == stat.S_IFLNK:
		        line.append(os.readlink(path))
		    elif kind in (stat.S_IFCHR, stat.S_IFBLK):
		        line += [str(os.major(st.st_rdev)), str(os.minor(st.st_rdev))]
		    print(" ".join(line).strip())
		    if kind == stat.S_IFDIR:
		        for entry in sorted(os.listdir(path)):
		            emit(path + "/" + entry, entry)
		        print("$")

		print("dummy\n0 0")
		emit(sys.argv[1], "")
	END
}

# plainly FILE: without what mkfs.xfs does not take over.
plainly() {
	sed -E -e 's/ (links|length|hole|[cm]?time|mtime|data)=[-0-9,]*//g' "$1"
}

version4() {
	local name=$1
	shift
	truncate -s 4G "$tmp/$name"
	# It gives up when the first group is full.
	mkfs.xfs -q -f -m crc=0 -d agcount=2 "$@" -p "$tmp/proto" "$tmp/$name" \
		>"$tmp/out" 2>"$tmp/err" || fail "mkfs.xfs -m crc=0 $*"
	"$dump" --all xfs "$tmp/$name" >"$tmp/all" 2>"$tmp/err" ||
		fail "$name: dump failed"
	"$tests/guest/listing.py" --all "$tmp/source" >"$tmp/list"
	plainly "$tmp/all" >"$tmp/ours"
	plainly "$tmp/list" >"$tmp/kernel"
	differ "$name"
	keep "$name" "$tmp/$name" "$tmp/kernel" plainly_same
	rm "$tmp/$name"
}

# plainly_same NAME DIR LISTING
plainly_same() {
	"$tests/guest/listing.py" --all "$2" >"$tmp/all" ||
		fail "$1: cannot be listed in the mount"
	plainly "$tmp/all" >"$tmp/shown"
	shown_same "$1" "$3"
}
mkdir -p "$tmp/source/many" "$tmp/source/a/b/c"
for i in $(seq 2500); do
	echo "$i" >"$tmp/source/many/entry-$i"
done
if [ -n "${SOAK:-}" ]; then
	mkdir "$tmp/source/zoo"
	"$tests/guest/populate.py" "$tmp/source/zoo" --only-portable
	# A name in the list cannot have a blank.
	find "$tmp/source/zoo" -name '* *' -delete
fi
head -c 3000000 /dev/urandom >"$tmp/source/a/random"
ln -s "$(printf 'x%.0s' {1..900})" "$tmp/source/a/long"
ln -s short "$tmp/source/a/b/short"
mknod "$tmp/source/a/c" c 10 200
mknod "$tmp/source/a/d" b 259 70000
mkfifo "$tmp/source/a/pipe"
proto "$tmp/source" >"$tmp/proto"
version4 version-4
version4 version-4-small -b size=512 -i size=256 -n ftype=0
version4 version-4-dirs -b size=2048 -n size=16384

# ---- disks in use ----

# Much is changed and synced, and nothing is written to its place yet.
busy() {
	python3 - "$mnt" <<-'END'
		import os
		import random
		import sys
		rng = random.Random(7)
		os.chdir(sys.argv[1])

		def sync(path):
		    fd = os.open(path, os.O_RDONLY)
		    os.fsync(fd)
		    os.close(fd)

		for top in ("one", "two"):
		    os.mkdir(top)
		    for i in range(700):
		        name = "%s/file-%05d-%s" % (top, i, "n" * rng.randrange(80))
		        with open(name, "wb") as f:
		            f.write(os.urandom(rng.randrange(9000)))
		        if i % 9 == 0:
		            os.symlink("t" * rng.randrange(1, 900), name + ".l")
		            for k in range(rng.randrange(1, 30)):
		                os.setxattr(name, "user.k%d" % k,
		                            os.urandom(rng.randrange(1, 400)))
		        if i % 50 == 0:
		            os.setxattr(name, "user.big", os.urandom(20000))
		            os.mknod(name + ".c", 0o20600, os.makedev(5, i))
		names = sorted(n for n in os.listdir("one") if len(n) < 200)
		for name in names[:350]:
		    os.unlink("one/" + name)
		for name in names[350:500]:
		    os.rename("one/" + name, "two/renamed-" + name)
		for i in range(100):
		    os.mkdir("two/d%d" % i)
		    for j in range(i % 40):
		        open("two/d%d/%s" % (i, "e%d" % j * 5), "w").close()
		for i in range(0, 100, 2):
		    for name in os.listdir("two/d%d" % i):
		        os.unlink("two/d%d/%s" % (i, name))
		    os.rmdir("two/d%d" % i)
		with open("a", "wb") as a, open("b", "wb") as b:
		    for i in range(400):
		        a.seek(i * 9000)
		        for f in a, b:
		            f.write(os.urandom(5000))
		            f.flush()
		            if i % 10 == 0:
		                os.fsync(f.fileno())
		os.truncate("b", 1000000)
		sync("a")
		sync("b")
		for folder, _, leaves in os.walk("."):
		    for leaf in leaves:
		        path = folder + "/" + leaf
		        if os.path.isfile(path) and not os.path.islink(path):
		            sync(path)
		sync(".")
	END
	echo last >"$mnt/last"
	sync "$mnt/last"
}

# crash NAME OPTION...: the copy has what is only in the log.
crash() {
	local name=$1 missing=0
	shift
	# The kernel may have put all of it to its place in the meantime.
	for _ in 1 2 3; do
		make busy 1200M "$@"
		busy
		cp --sparse=always "$tmp/busy" "$tmp/$name"
		umount "$mnt"
		rm "$tmp/busy"
		cp --sparse=always "$tmp/$name" "$tmp/copy"
		loop_mount "$tmp/copy" "$mnt" ro,norecovery
		find "$mnt" >"$tmp/stale" 2>/dev/null || true
		umount "$mnt"
		compare "$name"
		missing=$(($(wc -l <"$tmp/ours") - $(wc -l <"$tmp/stale")))
		[ $missing -le 0 ] || break
	done
	[ $missing -gt 0 ] || fail "$name: there was nothing to replay"
	note "$name: $missing of them only in the log"
}
crash crash -l size=128m
crash crash-1k -b size=1024 -n size=8192 -m rmapbt=1 -l size=128m,su=64k
through_mount

# A log of which the first record that counts is damaged, and not the last, which
# may be torn: the state of before, and it is said.
python3 - "$tmp/crash" <<-'END'
	import struct
	import sys
	with open(sys.argv[1], "r+b") as f:
	    sb = f.read(512)
	    block, = struct.unpack_from(">I", sb, 4)
	    start, = struct.unpack_from(">Q", sb, 48)
	    group, nblocks = struct.unpack_from(">I8xI", sb, 84)
	    start = (start >> sb[124]) * group + (start & ((1 << sb[124]) - 1))
	    f.seek(start * block)
	    log = f.read(nblocks * block)
	    records = []
	    for at in range(0, len(log), 512):
	        if log[at:at + 4] == b"\xfe\xed\xba\xbe":
	            length, lsn, tail = struct.unpack_from(">IQQ", log, at + 12)
	            size, = struct.unpack_from(">I", log, at + 320)
	            headers = max(1, -(-size // 32768))
	            records.append((lsn, tail, at + headers * 512, length))
	    records.sort()
	    live = [r for r in records[:-1] if r[0] >= records[-1][1] and r[3]]
	    f.seek(start * block + live[0][2] + live[0][3] // 2)
	    f.write(b"damage" * 20)
END
"$dump" xfs "$tmp/crash" >"$tmp/out" 2>"$tmp/err" || true
says 'log-not-replayed'
rm "$tmp/crash" "$tmp/crash-1k"

# ---- damage ----

# Every inode of the kind "file with a list of extents" fails its checksum;
# the directories are whole.
python3 - "$tmp/plain" <<-'END'
	import sys
	with open(sys.argv[1], "r+b") as f:
	    sb = f.read(512)
	    f.seek(0)
	    data = f.read(64 << 20)
	    for at in range(0, len(data), 512):
	        if data[at:at + 2] == b"IN" and data[at + 2] >> 4 == 8 and \
	                data[at + 5] == 2:
	            f.seek(at + 300)
	            f.write(b"damage")
END
expect 1 "$dump" xfs "$tmp/plain"
says 'checksum is wrong'
prints "^'./many' 040755"
prints "^'./deep/level-0/level-1' 040755"
