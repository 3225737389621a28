#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""
read_volumes.py IMAGES POINT OUT NAME...: sixteen processes, each of which
lists all of POINT/volumes/NAME into OUT-NUMBER-NAME (as listing.py), reads
files of it past the kernel's cache, and compares reads of POINT/disks/NAME.raw
with IMAGES/NAME, for all NAMEs, beginning with another one.
"""
import os
import random
import stat
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                ".."))
import disk_same  # noqa: E402
import listing  # noqa: E402

PROCESSES = 16
READS = 20
FILES = 25


def read_anew(rng, top):
    """Some files, from the mount's process, are as the kernel has them."""
    paths = [os.path.join(folder, leaf) for folder, _, leaves in os.walk(top)
             for leaf in leaves]
    for path in rng.sample(sorted(paths), FILES):
        if not stat.S_ISREG(os.lstat(path).st_mode):
            continue
        with open(path, "rb") as f:
            cached = f.read()
        fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
        if disk_same.read_all(fd, 0, len(cached) + 1) != cached:
            raise AssertionError("%r was read differently" % path)
        os.close(fd)


def read(number, images, point, out, names):
    rng = random.Random(number)
    k = number % len(names)
    for name in names[k:] + names[:k]:
        with open(f"{out}-{number}-{name}", "w", encoding="utf-8") as f:
            for line in listing.lines(f"{point}/volumes/{name}"):
                f.write(line + "\n")
        read_anew(rng, f"{point}/volumes/{name}")
        a = os.open(f"{images}/{name}", os.O_RDONLY)
        b = os.open(f"{point}/disks/{name}.raw", os.O_RDONLY | os.O_DIRECT)
        disk_same.compare_reads(a, b, disk_same.ranges(a), rng, READS)
        os.close(a)
        os.close(b)


def main():
    listing.ALL = True
    images, point, out, *names = sys.argv[1:]
    children = []
    for number in range(PROCESSES):
        pid = os.fork()
        if not pid:
            try:
                read(number, images, point, out, names)
                os._exit(0)
            except BaseException as e:
                print("reader %d: %s: %s" % (number, type(e).__name__, e),
                      file=sys.stderr, flush=True)
                os._exit(1)
        children.append(pid)
    bad = [os.waitpid(pid, 0)[1] for pid in children]
    return 1 if any(bad) else 0


sys.exit(main())
