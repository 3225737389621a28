#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""
populate.py DIR [--only-portable] [--small]: files for an image of a
filesystem, into the empty directory DIR (a kernel's mount, say).

Many thousand: a tree 40 deep, a directory of 12,000 entries, fragmented,
sparse and preallocated files, one of 500 MiB, many attributes, long symbolic
links, hard links, and every kind of inode and oddity that tests/fixture.py
makes. What the filesystem does not allow is left out and said on standard
error. --small: as many kinds, of less: 1,000 entries and 6 MiB at most.
--only-portable: only directories and regular files, with names that FAT,
exFAT, ISO 9660 and NTFS take too.
"""
import argparse
import ctypes
import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                ".."))
import fixture  # noqa: E402

MIB = 1 << 20


def fallocate(fd, mode, off, length):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64,
                               ctypes.c_int64]
    if libc.fallocate(fd, mode, off, length) != 0:
        err = ctypes.get_errno()
        raise OSError(err, os.strerror(err))


def make_many(top, rng, count):
    """A directory of many; names of several lengths; some gone again."""
    os.mkdir(top)
    for i in range(count):
        name = f"{top}/entry-{i:05d}" + "x" * (i % 40)
        fixture.write(name, b"%d\n" % i if i % 5 == 0 else b"")
    for i in range(0, count, 37):
        os.unlink(f"{top}/entry-{i:05d}" + "x" * (i % 40))
    for i in range(count, count + count // 50):
        fixture.write(f"{top}/later-{i}", rng.randbytes(i % 300))


def make_tree(top, rng, count):
    """Ordinary files, 40 to a directory, of ordinary sizes."""
    os.mkdir(top)
    for i in range(count):
        folder = f"{top}/d{i // 400}/e{i // 40}"
        if i % 40 == 0:
            os.makedirs(folder, exist_ok=True)
        size = int(rng.lognormvariate(7.5, 2.0))
        fixture.write(f"{folder}/file-{i}.txt",
                      fixture.text(rng, min(size, 2 * MIB)) if i % 3
                      else rng.randbytes(min(size, MIB)))


def make_deep(top):
    path = top
    os.mkdir(path)
    for i in range(40):
        path += f"/level-{i}"
        os.mkdir(path)
        fixture.write(f"{path}/at-{i}", b"depth %d" % i)


def make_fragmented(top, rng, small):
    """Files that grow in turns, and one in the gaps of deleted ones."""
    os.mkdir(top)
    fds = [os.open(f"{top}/turns-{i}", os.O_CREAT | os.O_WRONLY, 0o644)
           for i in range(4)]
    for _ in range(60):
        for fd in fds:
            os.write(fd, rng.randbytes(4096 * rng.randint(1, 4)))
            os.fsync(fd)
    for fd in fds:
        os.close(fd)
    for i in range(200):
        fixture.write(f"{top}/gap-{i}", rng.randbytes(8192))
    os.sync()
    for i in range(0, 200, 2):
        os.unlink(f"{top}/gap-{i}")
    os.sync()
    fixture.write(f"{top}/in-the-gaps", rng.randbytes(2 * MIB))
    with open(f"{top}/large", "wb") as f:
        piece = rng.randbytes(6 * MIB if small else 20 * MIB)
        for i in range(1 if small else 25):
            f.write(piece)
        f.write(piece[:12345])


def make_holes(top, rng, small):
    fixture.sparse(f"{top}/1000-holes", 1000 * 16384 + 77,
                   [(i * 16384, rng.randbytes(4096)) for i in range(1000)])
    size = (30 if small else 300) * MIB
    fixture.sparse(f"{top}/wide", size,
                   [(0, b"first"), (size // 2 + 5, rng.randbytes(70000)),
                    (size - 5, b"last!")])


def preallocated(path, rng):
    fd = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fallocate(fd, 0, 0, 3 * MIB)
        os.pwrite(fd, rng.randbytes(10000), MIB)
        os.pwrite(fd, rng.randbytes(4096), 2 * MIB + 4096)
        fallocate(fd, 1, 3 * MIB, MIB)          # past the end, size kept
    finally:
        os.close(fd)


def punched(path, rng):
    fd = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
    try:
        os.write(fd, rng.randbytes(2 * MIB))
        fallocate(fd, 3, 500000, 600000)
    finally:
        os.close(fd)


def make_preallocated(top, rng):
    os.mkdir(top)
    fixture.attempt("a preallocated file", preallocated,
                    f"{top}/preallocated", rng)
    fixture.attempt("a punched file", punched, f"{top}/punched", rng)


def make_attributes(top, rng):
    os.mkdir(top)

    def put(path, name, value):
        fixture.attempt(f"attribute {name} of {len(value)} bytes",
                        os.setxattr, path, name, value)

    for i in range(120):
        path = f"{top}/file-{i}"
        fixture.write(path, b"%d" % i)
        for k in range(i % 13):
            put(path, f"user.attribute-{k}-" + "n" * (k * 7 % 60),
                rng.randbytes(i * 3 % 140))
        if i % 11 == 0:
            put(path, "user.longer", rng.randbytes(1000 + i * 17))
        if i % 7 == 0:
            put(path, "system.posix_acl_access", fixture.acl(
                (0x01, 6, 0xffffffff), (0x02, 4, 1000 + i),
                (0x04, 4, 0xffffffff), (0x10, 6, 0xffffffff),
                (0x20, 0, 0xffffffff)))


def make_long_links(top):
    os.mkdir(top)
    for size in (58, 59, 60, 61, 100, 150, 255, 256, 400, 511, 512, 970,
                 971, 1000, 1001, 1023, 1024, 2000, 3000, 4000, 4094):
        fixture.attempt(f"symbolic link of {size} bytes", os.symlink,
                        ("../" + "t" * size)[:size], f"{top}/len-{size}")


def make_hard_links(top, rng):
    os.mkdir(top)
    for i in range(60):
        os.makedirs(f"{top}/d{i % 7}", exist_ok=True)
        fixture.write(f"{top}/d{i % 7}/file-{i}", rng.randbytes(i * 50))
        for k in range(1 + i % 4):
            os.link(f"{top}/d{i % 7}/file-{i}", f"{top}/link-{i}-{k}")


def make_portable_names(top):
    os.mkdir(top)
    names = ["a", "UPPER.TXT", "lower.txt", "MiXeD.CaSe", "8CHARS.EXT",
             "longer than eight.extension", "two.dots.txt", "no-extension",
             "ünï-cödé.txt", "日本語.txt", "кириллица", "emoji-\U0001f600.x",
             "with space", "plus+comma,semi;eq=[x]", "tilde~1.txt", "n" * 200,
             "n" * 60 + ".txt", "~$temp", "hash#dollar$percent%", "{braces}",
             "13 characters", "26 characters of long name", "x.y.z.w"]
    for name in names:
        fixture.attempt(f"name {name!r}", fixture.write, f"{top}/{name}",
                        name.encode())


def make_portable_sizes(top, rng):
    os.mkdir(top)
    for size in (0, 1, 511, 512, 513, 2047, 2048, 2049, 4095, 4096, 4097,
                 32767, 32768, 32769, 65536, 131072, 262145, MIB + 1):
        fixture.write(f"{top}/size-{size}", rng.randbytes(size))


def whole(top, rng, small):
    """The oddities of fixture.py, but for the file of 3 GiB."""
    os.mkdir(top)
    fixture.make_regular(f"{top}/regular", rng, True)
    fixture.make_sparse(f"{top}/sparse", rng)
    os.unlink(f"{top}/sparse/large")
    make_holes(f"{top}/sparse", rng, small)
    fixture.make_links(f"{top}/links", rng)
    fixture.make_symlinks(f"{top}/symlinks")
    fixture.make_special(f"{top}/special")
    fixture.make_xattrs(f"{top}/xattrs", rng)
    fixture.make_modes(f"{top}/modes")
    fixture.make_times(f"{top}/times")
    fixture.make_names(f"{top}/names")
    fixture.make_dirs(f"{top}/dirs", small)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("dir")
    parser.add_argument("--only-portable", action="store_true")
    parser.add_argument("--small", action="store_true")
    args = parser.parse_args()
    rng = random.Random(20261123)
    top = args.dir
    many = 1000 if args.small else 12000
    make_many(f"{top}/many", rng, many)
    make_tree(f"{top}/tree", rng, 400 if args.small else 3000)
    make_deep(f"{top}/deep")
    make_fragmented(f"{top}/fragmented", rng, args.small)
    if args.only_portable:
        make_portable_names(f"{top}/names")
        make_portable_sizes(f"{top}/sizes", rng)
    else:
        whole(f"{top}/main", rng, args.small)
        make_preallocated(f"{top}/preallocated", rng)
        make_attributes(f"{top}/attributes", rng)
        make_long_links(f"{top}/long-links")
        make_hard_links(f"{top}/hard-links", rng)
    for what in fixture.left_out:
        print(f"left out: {what}", file=sys.stderr)


main()
