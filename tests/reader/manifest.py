#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""manifest.py DIR: one line an entry: all that anybody's restore keeps."""
import hashlib
import os
import stat
import sys


def describe(path, first):
    st = os.lstat(path)
    kind = stat.S_IFMT(st.st_mode)
    out = ["%06o" % st.st_mode, "mtime=%d" % st.st_mtime_ns]
    if kind != stat.S_IFDIR:
        out.append("nlink=%d" % st.st_nlink)
        out.append("first=%s" % ascii(first.setdefault(st.st_ino, path)))
    if kind == stat.S_IFREG:
        with open(path, "rb") as f:
            data = f.read()
            out.append("size=%d sha256=%s" % (
                len(data), hashlib.sha256(data).hexdigest()))
            hole = os.lseek(f.fileno(), 0, os.SEEK_HOLE) if data else 0
            out.append("hole=%d" % hole)
    elif kind == stat.S_IFLNK:
        out.append("target=%s" % ascii(os.readlink(path)))
    for name in sorted(os.listxattr(path, follow_symlinks=False)):
        if name.startswith("user."):
            out.append("%s=%s" % (name, os.getxattr(
                path, name, follow_symlinks=False).hex()))
    return " ".join(out)


def main():
    os.chdir(sys.argv[1])
    first = {}
    paths = [b"."]
    for folder, names, leaves in os.walk(b"."):
        paths += [folder + b"/" + n for n in names + leaves]
    for path in sorted(paths):
        print(ascii(os.fsdecode(path)), describe(os.fsdecode(path), first))


main()
