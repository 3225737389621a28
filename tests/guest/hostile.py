#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""
hostile.py names IMAGE        names of small_tree() get a slash, or dots and
                              slashes, wherever they stand, in any coding
hostile.py loop FORMAT IMAGE  a directory (FAT, ISO 9660) that is its parent
hostile.py flip SEED IMAGE    40 bytes of what looks like metadata
hostile.py walk DIR...        everything is looked at and read, within bounds;
                              prints the number of entries and of errors of each
"""
import errno
import os
import random
import re
import stat
import struct
import sys
import zlib

BLOCK = 4096
# Inodes and directories of NTFS and XFS, among much of their logs.
MAGICS = (b"FILE", b"INDX", b"IN", b"XDB3", b"XDD3")
READ_MAX = 4 << 20
ENTRIES_MAX = 20000
TROUBLE = {"EIO", "EUCLEAN", "ENAMETOOLONG", "ELOOP", "EOVERFLOW", "ENOENT",
           "ESTALE", "EINVAL", "ENOTDIR", "EFBIG", "EOPNOTSUPP", "ENODATA",
           "E2BIG", "ERANGE", "EACCES", "EBADMSG", "EISDIR"}


def ranges(fd):
    """Where data are: most of an image are holes."""
    end, size = 0, os.fstat(fd).st_size
    while end < size:
        try:
            start = os.lseek(fd, end, os.SEEK_DATA)
        except OSError:
            return
        end = os.lseek(fd, start, os.SEEK_HOLE)
        yield start, end


def load(path):
    """The data of an image, one behind the other."""
    fd = os.open(path, os.O_RDONLY)
    data = bytearray()
    for start, end in ranges(fd):
        data += os.pread(fd, end - start, start)
    os.close(fd)
    return data


def save(path, data):
    fd = os.open(path, os.O_RDWR)
    at = 0
    for start, end in list(ranges(fd)):
        os.pwrite(fd, data[at:at + end - start], start)
        at += end - start
    os.close(fd)


def replace(data, old, new):
    if len(old) != len(new):
        sys.exit("%r and %r are not of one length" % (old, new))
    n = data.count(old)
    data[:] = data.replace(old, new)
    return n


def change_names(data):
    n = 0
    for old, new in (("entry-0007", "entry/0007"), ("entry-0011", "../../up/x"),
                     ("entry-0013", "entry-0\x0013")):
        n += replace(data, old.encode(), new.encode())
        n += replace(data, old.encode("utf-16le"), new.encode("utf-16le"))
    # A FAT name is in pieces of 5, 6 and 2 units.
    n += replace(data, "-0017\0".encode("utf-16le"),
                 "/0017\0".encode("utf-16le"))
    if not n:
        sys.exit("no name was found")


def loop_fat(data):
    """level0/level1 has the cluster of level0."""
    place = [m.start() for m in re.finditer(rb"LEVEL[01] {5}", data)]
    if len(place) != 2:
        sys.exit("not two directories, but %d" % len(place))
    for field in (20, 26):
        data[place[1] + field:place[1] + field + 2] = \
            data[place[0] + field:place[0] + field + 2]


def loop_iso(data):
    """The record of level0/level1 has the extent of that of level0."""
    # Their numbers are there in both orders of bytes; in path tables not.
    place = [m.start() - 33 for m in re.finditer(rb"LEVEL[01]", data)
             if data[m.start() - 1] == len("LEVEL0") and
             data[m.start() - 31:m.start() - 27] ==
             data[m.start() - 27:m.start() - 23][::-1]]
    if len(place) != 2:
        sys.exit("not two records, but %d" % len(place))
    data[place[1] + 2:place[1] + 18] = data[place[0] + 2:place[0] + 18]


def change_bytes(data, seed):
    rng = random.Random(seed)
    places, known = [], []
    for at in range(0, len(data), BLOCK):
        block = data[at:at + BLOCK]
        # Not the superblocks, nor what files hold.
        if at >= 1 << 17 and block.strip(b"\0") and b"line 1" not in block \
                and len(zlib.compress(block, 1)) < BLOCK * 0.8:
            places.append(at)
            if block.startswith(MAGICS):
                known.append(at)
    for i in range(40):
        at = rng.choice(known if known and i % 4 else places)
        used = [i for i in range(BLOCK) if data[at + i]] or [0]
        i = at + min(rng.choice(used) + rng.randrange(2), BLOCK - 1)
        data[i] ^= rng.choice((1, 0x80, 0xff, rng.randrange(1, 256)))


# ---- the walk ----

class Walk:
    def __init__(self):
        self.entries = self.errors = 0

    def attempt(self, fn, *args, **kwargs):
        try:
            return fn(*args, **kwargs)
        except OSError as e:
            if errno.errorcode.get(e.errno) not in TROUBLE:
                raise
            self.errors += 1
            return None

    def read(self, path):
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            size = os.fstat(fd).st_size
            for off in sorted({0, size // 2, max(0, size - READ_MAX)}):
                left = READ_MAX
                while left > 0:
                    piece = os.pread(fd, min(left, 1 << 17), off)
                    if not piece:
                        break
                    off += len(piece)
                    left -= len(piece)
            if size:
                self.attempt(os.lseek, fd, 0, os.SEEK_HOLE)
        finally:
            os.close(fd)

    def attributes(self, path):
        for name in os.listxattr(path, follow_symlinks=False):
            self.attempt(os.getxattr, path, name, follow_symlinks=False)

    def names(self, path):
        """What comes before an error is listed, as ls(1) and find(1) do."""
        found = []
        it = self.attempt(os.scandir, path)
        while it is not None:
            entry = self.attempt(next, it, None)
            if entry is None:
                it.close()
                break
            found.append(entry.name)
        return found

    def entry(self, path, above):
        self.entries += 1
        if self.entries > ENTRIES_MAX:
            sys.exit("%r: more entries than it can have" % path)
        st = self.attempt(os.lstat, path)
        if st is None:
            return
        self.attempt(self.attributes, path)
        if stat.S_ISLNK(st.st_mode):
            self.attempt(os.readlink, path)
        elif stat.S_ISREG(st.st_mode):
            self.attempt(self.read, path)
        elif stat.S_ISDIR(st.st_mode):
            if st.st_ino in above:
                self.errors += 1
                return
            for name in self.names(path):
                if name in (b"", b".", b"..") or b"/" in name or b"\0" in name:
                    sys.exit("%r has %r" % (path, name))
                self.entry(path + b"/" + name, above | {st.st_ino})


def walk(tops):
    for top in tops:
        w = Walk()
        w.entry(os.fsencode(top), frozenset())
        print(os.path.basename(top), w.entries, w.errors)


def main():
    verb, *args = sys.argv[1:]
    if verb == "walk":
        walk(args)
        return
    data = load(args[-1])
    if verb == "names":
        change_names(data)
    elif verb == "loop":
        {"fat": loop_fat, "iso": loop_iso}[args[0]](data)
    elif verb == "flip":
        change_bytes(data, int(args[0]))
    else:
        sys.exit("what is " + verb)
    save(args[-1], data)


main()
