#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""
The oracle of `vmbackup diff`: compares two directories by brute force.

    tree_diff.py --bound A B          bytes that a point of B may add after A
    tree_diff.py --check FILE PREFIX A B
                                      FILE: JSON lines of the diff, PREFIX:
                                      where A and B were when backed up
"""
import base64
import errno
import hashlib
import json
import os
import stat
import sys

BLOCK = 65536


def content(path, size):
    """A hash of what it holds; holes are zeros, and cost nothing."""
    h = hashlib.sha256(b"%d" % size)
    with open(path, "rb") as f:
        off = 0
        while off < size:
            try:
                off = os.lseek(f.fileno(), off, os.SEEK_DATA)
            except OSError as e:
                if e.errno == errno.ENXIO:
                    break
                raise
            # By blocks: what is all zeros may be a hole in another copy.
            off -= off % BLOCK
            data = os.pread(f.fileno(), BLOCK, off)
            if data.count(0) != len(data):
                h.update(b"%d " % off + data)
            off += BLOCK
    return h.digest()


def look(top):
    out = {}
    top = os.fsencode(top)
    stack = [b""]
    while stack:
        here = stack.pop()
        for name in os.listdir(top + b"/" + here):
            path = here + b"/" + name if here else name
            full = top + b"/" + path
            st = os.lstat(full)
            e = {"kind": stat.S_IFMT(st.st_mode), "st": st}
            # A directory's link count is its filesystem's affair.
            e["meta"] = (stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid,
                         st.st_mtime_ns,
                         stat.S_ISDIR(st.st_mode) or st.st_nlink,
                         tuple(sorted(
                             (a, os.getxattr(full, a, follow_symlinks=False))
                             for a in os.listxattr(
                                 full, follow_symlinks=False))))
            if stat.S_ISDIR(st.st_mode):
                stack.append(path)
                e["content"] = None
            elif stat.S_ISLNK(st.st_mode):
                e["content"] = os.readlink(full)
            elif stat.S_ISREG(st.st_mode):
                e["content"] = content(full, st.st_size)
            else:
                e["content"] = st.st_rdev
            out[path] = e
    return out


def bound(a, b):
    """New and changed files whole, and a part of the tree for each entry."""
    total = 256 * 1024
    for path, e in b.items():
        old = a.get(path)
        if old and old["content"] == e["content"] and old["meta"] == e["meta"]:
            continue
        # Up to a leaf of the tree, which is shared by its neighbours.
        total += 4096
        if stat.S_ISREG(e["kind"]) and not (
                old and old["content"] == e["content"]):
            total += min(e["st"].st_size, e["st"].st_blocks * 512) + 512
    return total


def changes(a, b):
    out = {}
    for path in set(a) | set(b):
        x, y = a.get(path), b.get(path)
        if not x:
            out[path] = "+"
        elif not y:
            out[path] = "-"
        elif x["kind"] != y["kind"]:
            out[path] = "T"
        elif x["content"] != y["content"]:
            out[path] = "M"
        elif x["meta"] != y["meta"]:
            out[path] = "U"
    return out


def reported(file, prefix):
    out = {}
    prefix = os.fsencode(prefix).rstrip(b"/") + b"/"
    for line in open(file, encoding="utf-8"):
        if not line.strip():
            continue
        d = json.loads(line)
        if d.get("message_type") != "change":
            continue
        path = (base64.b64decode(d["path_b64"]) if "path_b64" in d
                else d["path"].encode())
        for front in (b"", b"/", b"files", b"files/"):
            if path.startswith(front + prefix):
                path = path[len(front + prefix):]
                break
        else:
            continue
        path = path.rstrip(b"/")
        if not path:
            continue
        if path in out:
            sys.exit("reported twice: %r" % path)
        out[path] = d["modifier"]
    return out


def main():
    if sys.argv[1] == "--bound":
        print(bound(look(sys.argv[2]), look(sys.argv[3])))
        return 0
    got = reported(sys.argv[2], sys.argv[3])
    a, b = look(sys.argv[4]), look(sys.argv[5])
    want = changes(a, b)
    bad = 0
    for path in sorted(set(got) | set(want)):
        x, y = want.get(path, ""), got.get(path, "")
        if x == y:
            continue
        bad += 1
        if bad <= 20:
            print("%r: want '%s', reported '%s'" % (path, x, y))
    return 1 if bad else 0


sys.exit(main())
