#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""
A tree that FAT, exFAT and ISO 9660 can all keep: files and directories.

    plain_tree.py make DIR CLUSTER [--many N] [--depth N]  sizes around CLUSTER
    plain_tree.py holes DIR CLUSTER      remove every second filler
    plain_tree.py refill DIR CLUSTER     files that take those places

Times are whole even seconds, which is the least that all of them keep. What is
made does not depend on the day.
"""
import argparse
import os
import random
import zlib

START = 1600000000


def write(path, data, when):
    with open(path, "wb") as f:
        f.write(data)
    os.utime(path, (when, when))


def names():
    yield from ("a", "A1.TXT", "lower.txt", "MiXeD.TxT", "two.dots.tar.gz",
                "with blank", " leading", "noext.", ".hidden", "a+b,c;d=e[f]",
                "umlaut-äöüß", "русский", "日本語ファイル", "emoji-😀🚀",
                "🎉", "é", "e\u0301", "x" * 200, "y" * 190 + "ü" * 30,
                "z" * 64, "8CHARS12.EXT", "9chars123.ext", "UPPER", "~tilde",
                "#$%&'()-@^_`{}!", "n" * 12, "n" * 13, "n" * 14, "n" * 26,
                "n" * 27, "n" * 39)


def make(top, cluster, many, depth):
    rng = random.Random(20261123)
    when = START
    os.makedirs(f"{top}/sizes")
    os.mkdir(f"{top}/names")
    os.mkdir(f"{top}/empty")
    for n in (0, 1, 2, 511, 512, 513, cluster - 1, cluster, cluster + 1,
              2 * cluster - 1, 2 * cluster, 2 * cluster + 1,
              7 * cluster + 3, 1000003):
        when += 2
        write(f"{top}/sizes/size-{n}", rng.randbytes(n), when)
    for i, name in enumerate(names()):
        when += 2
        # The end of it may be what some writers cut away.
        if not name.endswith("."):
            write(f"{top}/names/{name}", b"%d %s" % (i, name.encode()), when)
    path = f"{top}/deep"
    for i in range(depth):
        os.mkdir(path)
        write(f"{path}/file{i}", b"%d" % i, when + i * 2)
        path += f"/level{i}"
    for i in range(30):
        os.mkdir(f"{top}/dir{i}")
        for j in range(50):
            when += 2
            write(f"{top}/dir{i}/{j} is a file.dat",
                  rng.randbytes(rng.randrange(3 * cluster // 2)), when)
    os.mkdir(f"{top}/many")
    for i in range(many):
        # Names that begin alike would take mtools for ever.
        write(f"{top}/many/{i:05d}-entry", b"%d\n" % i if i % 11 == 0 else b"",
              START + 2 * i)
    os.mkdir(f"{top}/fillers")
    for i in range(200):
        write(f"{top}/fillers/f{i}", rng.randbytes(cluster), START + i * 2)
    set_dir_times(top)


def set_dir_times(top):
    for folder, _, _ in os.walk(top, topdown=False):
        path = os.path.relpath(folder, top).encode()
        when = START + zlib.crc32(path) % 100000 * 2
        os.utime(folder, (when, when))


def holes(top):
    for i in range(0, 200, 2):
        os.unlink(f"{top}/fillers/f{i}")


def refill(top, cluster):
    rng = random.Random(7)
    for i in range(5):
        write(f"{top}/fillers/in-pieces-{i}",
              rng.randbytes(15 * cluster + 11 * i), START + i * 100)
    set_dir_times(top)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse
                                .RawDescriptionHelpFormatter)
    p.add_argument("verb", choices=("make", "holes", "refill"))
    p.add_argument("dir")
    p.add_argument("cluster", type=int)
    p.add_argument("--many", type=int, default=12000)
    p.add_argument("--depth", type=int, default=20)
    a = p.parse_args()
    if a.verb == "make":
        make(a.dir, a.cluster, a.many, a.depth)
    elif a.verb == "holes":
        holes(a.dir)
    else:
        refill(a.dir, a.cluster)


main()
