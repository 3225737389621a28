#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""
seekdir.py DIR COUNT: read DIR whole with readdir(3), remembering positions;
then go back to many of them, in no order, in this and in another stream, and
find what was there. Names must not repeat.
"""
import ctypes
import os
import random
import sys

libc = ctypes.CDLL(None, use_errno=True)
libc.opendir.restype = ctypes.c_void_p
libc.opendir.argtypes = [ctypes.c_char_p]
libc.readdir.restype = ctypes.c_void_p
libc.readdir.argtypes = [ctypes.c_void_p]
libc.telldir.restype = ctypes.c_long
libc.telldir.argtypes = [ctypes.c_void_p]
libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
libc.closedir.argtypes = [ctypes.c_void_p]


def opendir(path):
    d = libc.opendir(os.fsencode(path))
    if not d:
        raise OSError(ctypes.get_errno(), "opendir")
    return d


def readdir(d):
    ctypes.set_errno(0)
    e = libc.readdir(d)
    if not e:
        if ctypes.get_errno():
            raise OSError(ctypes.get_errno(), "readdir")
        return None
    return ctypes.string_at(e + 19)     # d_name


def main():
    path, count = sys.argv[1], int(sys.argv[2])
    rng = random.Random(1)
    keep = 2000
    d = opendir(path)
    seen, marks = 0, []
    names = set()
    while True:
        pos = libc.telldir(d)
        name = readdir(d)
        if name is None:
            break
        if name in names:
            sys.exit("listed twice: %r" % name)
        names.add(name)
        seen += 1
        if len(marks) < keep:
            marks.append((pos, name))
        elif rng.randrange(seen) < keep:
            marks[rng.randrange(keep)] = (pos, name)
    if seen != count + 2:
        sys.exit("%d entries, not %d and . and .." % (seen, count))
    other = opendir(path)
    rng.shuffle(marks)
    for i, (pos, name) in enumerate(marks):
        stream = other if i % 2 else d
        libc.seekdir(stream, pos)
        got = readdir(stream)
        if got != name:
            sys.exit("at %d was %r, now %r" % (pos, name, got))
    libc.closedir(d)
    libc.closedir(other)


main()
