#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""
corpus_xfs.py DIR: the inputs of fuzz_xfs and fuzz_xfs_log, by mkfs.xfs and the
kernel (root, loop), into DIR/xfs and DIR/xfs_log.
"""
import os
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
KINDS = {
    "v5-4k": "-b size=4096 -i size=512".split(),
    "v5-1k": "-b size=1024 -n size=4096 -m rmapbt=1 -i nrext64=1".split(),
    "v4": "-m crc=0 -b size=1024 -i size=512".split(),
}


def run(*args):
    subprocess.run(args, check=True, stdout=subprocess.DEVNULL)


def populate(top):
    os.chdir(top)
    os.mkdir("dir")
    names = ["dir/entry-%d-%s" % (i, "of-many" * 20) for i in range(24)]
    for i, name in enumerate(names):
        with open(name, "wb") as f:
            f.write(b"x" * (i // 25))
    for name in names[16:20]:
        os.unlink(name)
    os.symlink("t", "short")
    os.symlink("t" * 900, "long")
    os.mknod("dev", 0o20600, os.makedev(4, 5))
    os.setxattr("short", "trusted.t", b"v", follow_symlinks=False)
    with open("sparse", "wb") as f:
        for i in range(0, 20, 2):
            f.seek(i * 1024)
            f.write(b"s")
    for i in range(12):
        os.setxattr("sparse", "user.%d-%s" % (i, "n" * 40), b"v" * i)
    os.setxattr("sparse", "user.big", b"b" * 2000)
    os.link("sparse", "link")
    fd = os.open("sparse", os.O_RDONLY)
    os.fsync(fd)
    os.chdir("/")
    os.close(fd)


def super_of(image):
    with open(image, "rb") as f:
        sb = f.read(512)
    block, = struct.unpack_from(">I", sb, 4)
    start, = struct.unpack_from(">Q", sb, 48)
    ag_blocks, = struct.unpack_from(">I", sb, 84)
    blocks, = struct.unpack_from(">I", sb, 96)
    start = (start >> sb[124]) * ag_blocks + (start & ((1 << sb[124]) - 1))
    return start * block, blocks * block


def log_of(image):
    """The operations of its records, unpacked."""
    at, size = super_of(image)
    with open(image, "rb") as f:
        f.seek(at)
        log = bytearray(f.read(size))
    # Version 5; and whether blocks have 4 KiB.
    out, off = b"\x03" if "4k" in os.path.basename(image) else b"\x01", 0
    while off < size:
        if log[off:off + 4] != b"\xfe\xed\xba\xbe":
            off += 512
            continue
        length, = struct.unpack_from(">I", log, off + 12)
        data = off + 512
        for i in range((length + 511) // 512):
            word = log[off + 44 + 4 * i:off + 48 + 4 * i]
            log[data + 512 * i:data + 512 * i + 4] = word
        out += struct.pack("<I", length) + log[data:data + length]
        off = data + (length + 511) // 512 * 512
    return out


def wipe_log(image, rest):
    """All of it; or the rest of it, that mounting fills with headers."""
    at, size = super_of(image)
    with open(image, "r+b") as f:
        f.seek(at)
        log = f.read(size)
        off = 0
        while rest and log[off:off + 4] == b"\xfe\xed\xba\xbe":
            length, = struct.unpack_from(">I", log, off + 12)
            if not length:
                break
            off += 512 + (length + 511) // 512 * 512
        f.seek(at + off)
        f.write(bytes(size - off))


def pack(image, out):
    run(os.path.join(HERE, "pack_image.py"), image, out)


def proto(folder):
    lines = ["dummy", "0 0", "d--755 0 0", "s l--777 0 0 " + "t" * 900,
             "c c--600 0 0 4 5", "d d--755 0 0"]
    one = os.path.join(folder, "one")
    with open(one, "w", encoding="ascii") as f:
        f.write("1" * 3000)
    lines += [f" entry-{i}-{'of-many' * 12} ---644 1 2 {one if i < 2 else '/dev/null'}"
              for i in range(50)] + [" $", "$"]
    path = os.path.join(folder, "proto")
    with open(path, "w", encoding="ascii") as f:
        f.write("\n".join(lines) + "\n")
    return path


def make(kind, args, out, folder):
    image = os.path.join(folder, kind)
    with open(image, "wb") as f:
        f.truncate(24 << 20)
    command = ["mkfs.xfs", "--unsupported", "-q", "-f", "-l", "size=6m",
               "-d", "agcount=1"] + args
    if kind == "v4":
        run(*command, "-p", proto(folder), image)
    else:
        run(*command, image)
        mnt = os.path.join(folder, "mnt")
        os.makedirs(mnt, exist_ok=True)
        run("mount", "-o", "loop", image, mnt)
        try:
            populate(mnt)
            run("cp", image, image + "-busy")
        finally:
            run("umount", mnt)
        wipe_log(image + "-busy", True)
        pack(image + "-busy", f"{out}/xfs/{kind}-busy")
        with open(f"{out}/xfs_log/{kind}", "wb") as f:
            f.write(log_of(image + "-busy"))
    wipe_log(image, False)
    pack(image, f"{out}/xfs/{kind}")


def main():
    out = os.path.abspath(sys.argv[1])
    for name in ("xfs", "xfs_log"):
        os.makedirs(os.path.join(out, name), exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for kind, args in KINDS.items():
            make(kind, args, out, folder)


main()
