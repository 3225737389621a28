#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""
readers.py SOURCE MOUNT SECONDS: eight processes that walk, read whole files,
read at random places, seek for holes, stat and list attributes, and compare
each answer with the source's.
"""
import os
import random
import stat
import sys
import time

PROCESSES = 8


def listing(top):
    out = []
    for folder, names, leaves in os.walk(os.fsencode(top)):
        for name in names + leaves:
            path = os.path.join(folder, name)
            out.append(os.path.relpath(path, os.fsencode(top)))
    return out


def check_file(rng, a, b, st):
    with open(a, "rb") as f, open(b, "rb") as g:
        if st.st_size < 1 << 21 and rng.random() < 0.5:
            if f.read() != g.read():
                raise AssertionError("content of %r" % b)
            return
        for _ in range(10):
            off = rng.randrange(max(st.st_size, 1))
            n = rng.choice((1, 4096, 131072, 400000))
            x = os.pread(f.fileno(), n, off)
            y = os.pread(g.fileno(), n, off)
            if x != y:
                raise AssertionError("%r at %d" % (b, off))
        if st.st_size:
            off = rng.randrange(st.st_size)
            if os.lseek(f.fileno(), off, os.SEEK_HOLE) < st.st_size:
                os.lseek(g.fileno(), off, os.SEEK_HOLE)


def reader(number, source, mount, names, end):
    rng = random.Random(number)
    source, mount = os.fsencode(source), os.fsencode(mount)
    done = 0
    while time.monotonic() < end:
        name = rng.choice(names)
        a, b = source + b"/" + name, mount + b"/" + name
        st, other = os.lstat(a), os.lstat(b)
        for field in ("st_mode", "st_size", "st_mtime_ns", "st_nlink"):
            if getattr(st, field) != getattr(other, field):
                raise AssertionError("%s of %r" % (field, b))
        if stat.S_ISLNK(st.st_mode):
            if os.readlink(a) != os.readlink(b):
                raise AssertionError("target of %r" % b)
        elif stat.S_ISREG(st.st_mode):
            check_file(rng, a, b, st)
        elif stat.S_ISDIR(st.st_mode):
            if sorted(os.listdir(a)) != sorted(os.listdir(b)):
                raise AssertionError("names in %r" % b)
        for attr in os.listxattr(a, follow_symlinks=False):
            if os.getxattr(a, attr, follow_symlinks=False) != os.getxattr(
                    b, attr, follow_symlinks=False):
                raise AssertionError("%s of %r" % (attr, b))
        done += 1
    return done


def main():
    source, mount, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    names = listing(source)
    if len(names) < 100:
        sys.exit("only %d names" % len(names))
    end = time.monotonic() + seconds
    children = []
    for i in range(PROCESSES):
        pid = os.fork()
        if not pid:
            try:
                done = reader(i, source, mount, names, end)
                os._exit(0 if done else 3)
            except BaseException as e:
                print("reader %d: %s: %s" % (i, type(e).__name__, e),
                      file=sys.stderr)
                sys.stderr.flush()
                os._exit(1)
        children.append(pid)
    bad = 0
    for pid in children:
        _, status = os.waitpid(pid, 0)
        bad |= status != 0
    return 1 if bad else 0


sys.exit(main())
