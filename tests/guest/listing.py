#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""
listing.py [--all] [--ask NAMES] DIR: a line an entry, as tests/reader/manifest.py has them
and tests/guest/dump prints them of an image; large files read in pieces.
--all adds owner, ctime, links and length of every kind, device, all
attributes, and which ranges of a file are data. --ask adds the values of these
attributes (NAME,NAME...), which need not be listed.
"""
import errno
import hashlib
import os
import stat
import sys

ALL = "--all" in sys.argv
ASK = sys.argv[sys.argv.index("--ask") + 1].split(",") \
    if "--ask" in sys.argv else []
PIECE = 1 << 20


def data_ranges(f, size):
    """First of all: pages that were read make data of what is preallocated."""
    end = 0
    while end < size:
        try:
            start = f.seek(end, os.SEEK_DATA)
        except OSError as e:
            if e.errno != errno.ENXIO:
                raise
            return
        end = f.seek(start, os.SEEK_HOLE)
        yield start, end


def content(path):
    sha, size = hashlib.sha256(), 0
    with open(path, "rb", buffering=0) as f:
        ranges = list(data_ranges(f, os.fstat(f.fileno()).st_size))
        f.seek(0)
        while True:
            data = f.read(PIECE)
            if not data:
                break
            sha.update(data)
            size += len(data)
    hole = ranges[0][1] if ranges and ranges[0][0] == 0 else 0
    out = "size=%d sha256=%s hole=%d" % (size, sha.hexdigest(), hole)
    if ALL:
        out += " data=" + ",".join("%d-%d" % r for r in ranges)
    return out


def describe(path, first):
    st = os.lstat(path)
    kind = stat.S_IFMT(st.st_mode)
    out = ["%06o" % st.st_mode, "mtime=%d" % st.st_mtime_ns]
    if kind != stat.S_IFDIR:
        out.append("nlink=%d" % st.st_nlink)
        # (A subvolume of btrfs has a device number and inodes of its own.)
        out.append("first=%s" % ascii(first.setdefault(
            (st.st_dev, st.st_ino), path)))
    if kind == stat.S_IFREG:
        out.append(content(path))
    elif kind == stat.S_IFLNK:
        out.append("target=%s" % ascii(os.readlink(path)))
    if ALL:
        out.append("uid=%d gid=%d ctime=%d links=%d" % (
            st.st_uid, st.st_gid, st.st_ctime_ns, st.st_nlink))
        if kind in (stat.S_IFCHR, stat.S_IFBLK):
            out.append("rdev=%d:%d" % (os.major(st.st_rdev),
                                       os.minor(st.st_rdev)))
        else:
            out.append("length=%d" % st.st_size)
    names = os.listxattr(path, follow_symlinks=False)
    for name in sorted(names, key=os.fsencode):
        if not ALL and not name.startswith("user."):
            continue
        try:
            value = os.getxattr(path, name, follow_symlinks=False)
        except OSError as e:
            if e.errno != errno.E2BIG:  # a stream of NTFS over 64 KiB
                raise
            continue
        out.append("%s=%s" % (ascii(name) if ALL else name, value.hex()))
    for name in ASK:
        try:
            out.append("%s=%s" % (name, os.getxattr(
                path, name, follow_symlinks=False).hex()))
        except OSError:
            pass  # ntfs-3g has several errors for what a file does not have
    return " ".join(out)


def lines(top):
    os.chdir(top)
    first = {}
    paths = [b"."]
    for folder, names, leaves in os.walk(b"."):
        paths += [folder + b"/" + n for n in names + leaves]
    for path in sorted(paths):
        path = os.fsdecode(path)
        yield ascii(path) + " " + describe(path, first)


if __name__ == "__main__":
    for line in lines(sys.argv[-1]):
        print(line)
