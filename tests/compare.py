#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""
Compare two trees entry by entry: nothing printed and exit 0 when equal;
one line a difference ("path: field: A B") and exit 1; exit 2 on misuse.

Walks by directory descriptors, so that paths may be longer than PATH_MAX,
and reads data ranges only, so that a file of 1 TiB of hole costs nothing.

Fields: entry type mode uid gid nlink links size holes blocks rdev mtime
ctime target xattr content inode error. --ignore takes some out; "dirsize",
"dirnlink" stand for size and nlink of directories alone, "topmtime" for the
mtime of the two tops.

Holes are compared in blocks of 4 KiB. --holes exact: the same blocks hold
data. loose: B's data covers all of A's that is not zeros, and what else it
has is at most 64 KiB a range. none: not compared.
"""
import argparse
import collections
import errno
import os
import shutil
import stat
import struct
import subprocess
import sys
import tempfile

BLOCK = 4096
STEP = 1 << 20
FIELDS = set("entry type mode uid gid nlink links size holes blocks rdev "
             "mtime ctime target xattr content inode error dirsize dirnlink "
             "topmtime".split())


class Entry:
    """What lstat and the attributes say; proc is a path through /proc."""

    def __init__(self, dirfd, name):
        self.proc = b"/proc/self/fd/%d/%s" % (dirfd, name)
        self.dirfd, self.name = dirfd, name
        self.st = os.stat(name, dir_fd=dirfd, follow_symlinks=False)
        self.kind = stat.S_IFMT(self.st.st_mode)

    def xattrs(self):
        out = {}
        for name in os.listxattr(self.proc, follow_symlinks=False):
            out[name] = os.getxattr(self.proc, name, follow_symlinks=False)
        return out

    def open(self, flags=0):
        return os.open(self.name, os.O_RDONLY | os.O_NOFOLLOW |
                       os.O_NONBLOCK | os.O_CLOEXEC | flags,
                       dir_fd=self.dirfd)


def data_ranges(fd, size):
    out, off = [], 0
    while off < size:
        try:
            start = os.lseek(fd, off, os.SEEK_DATA)
        except OSError as e:
            if e.errno == errno.ENXIO:
                break
            raise
        if start < off or start >= size:
            raise OSError(errno.EPROTO, "SEEK_DATA went to %d from %d" % (
                start, off))
        end = os.lseek(fd, start, os.SEEK_HOLE)
        if end <= start or end > size:
            raise OSError(errno.EPROTO, "SEEK_HOLE went to %d from %d" % (
                end, start))
        out.append((start, end))
        off = end
    return out


def widen(ranges, size):
    """To whole blocks, joined."""
    out = []
    for start, end in ranges:
        start -= start % BLOCK
        end = -(-end // BLOCK) * BLOCK
        if out and out[-1][1] >= start:
            out[-1] = (out[-1][0], end)
        else:
            out.append((start, end))
    return out


def union(a, b):
    out = []
    for start, end in sorted(a + b):
        if out and out[-1][1] >= start:
            out[-1] = (out[-1][0], max(end, out[-1][1]))
        else:
            out.append((start, end))
    return out


def minus(a, b):
    """Ranges of a that are not in b; both sorted and disjoint."""
    out = []
    for start, end in a:
        for s, e in b:
            if e <= start or s >= end:
                continue
            if s > start:
                out.append((start, s))
            start = max(start, e)
        if start < end:
            out.append((start, end))
    return out


def read_all(fd, off, length):
    out = b""
    while len(out) < length:
        part = os.pread(fd, length - len(out), off + len(out))
        if not part:
            break
        out += part
    return out


class Compare:
    def __init__(self, ignore, holes, limit):
        self.ignore = ignore
        self.holes = holes
        self.limit = limit
        self.found = 0
        self.entries = 0
        self.groups = (collections.defaultdict(list),
                       collections.defaultdict(list))
        self.single = {}

    def differ(self, path, field, a="", b=""):
        if field in self.ignore:
            return
        self.found += 1
        if self.found <= self.limit:
            print("%s: %s: %s %s" % (ascii(os.fsdecode(path))[1:-1] or ".",
                                     field, a, b))

    def stat_fields(self, path, a, b):
        for field in ("uid", "gid"):
            x = getattr(a.st, "st_" + field)
            y = getattr(b.st, "st_" + field)
            if x != y:
                self.differ(path, field, x, y)
        x, y = stat.S_IMODE(a.st.st_mode), stat.S_IMODE(b.st.st_mode)
        if x != y:
            self.differ(path, "mode", "%04o" % x, "%04o" % y)
        isdir = stat.S_ISDIR(a.kind)
        if a.st.st_nlink != b.st.st_nlink and not (
                isdir and "dirnlink" in self.ignore):
            self.differ(path, "nlink", a.st.st_nlink, b.st.st_nlink)
        if a.st.st_size != b.st.st_size and not (
                isdir and "dirsize" in self.ignore):
            self.differ(path, "size", a.st.st_size, b.st.st_size)
        if a.st.st_mtime_ns != b.st.st_mtime_ns and not (
                not path and "topmtime" in self.ignore):
            self.differ(path, "mtime", a.st.st_mtime_ns, b.st.st_mtime_ns)
        if a.st.st_ctime_ns != b.st.st_ctime_ns:
            self.differ(path, "ctime", a.st.st_ctime_ns, b.st.st_ctime_ns)
        if a.kind in (stat.S_IFCHR, stat.S_IFBLK) and (
                a.st.st_rdev != b.st.st_rdev):
            self.differ(path, "rdev", "%d:%d" % (os.major(a.st.st_rdev),
                                                 os.minor(a.st.st_rdev)),
                        "%d:%d" % (os.major(b.st.st_rdev),
                                   os.minor(b.st.st_rdev)))

    def xattr_fields(self, path, a, b):
        x, y = a.xattrs(), b.xattrs()
        for name in sorted(set(x) | set(y)):
            if x.get(name) != y.get(name):
                self.differ(path, "xattr", name, "%s %s" % (
                    short(x.get(name)), short(y.get(name))))

    def blocks_field(self, path, st, ranges, side):
        data = sum(e - s for s, e in ranges)
        slack = BLOCK * (len(ranges) + 1) + 65536
        low = sum(e - s for s, e in ranges if e - s > BLOCK) // 512
        if st.st_blocks * 512 > data + slack or st.st_blocks < low:
            self.differ(path, "blocks", "%s has %d" % (side, st.st_blocks),
                        "for %d bytes of data" % data)

    def holes_field(self, path, fa, ra, rb, size):
        wa, wb = widen(ra, size), widen(rb, size)
        if self.holes == "exact":
            if wa != wb:
                self.differ(path, "holes", short_ranges(wa),
                            short_ranges(wb))
            return
        for start, end in minus(wa, wb):
            for off in range(start, min(end, size), STEP):
                part = read_all(fa, off, min(STEP, min(end, size) - off))
                if part.strip(b"\0"):
                    self.differ(path, "holes", "no data at %d" % off)
                    return
        extra = sum(e - s for s, e in minus(wb, wa))
        if extra > 65536 * (len(wa) + 1):
            self.differ(path, "holes", "%d bytes more" % extra)

    def content_field(self, path, a, b):
        if not a.st.st_size or a.st.st_size != b.st.st_size:
            return
        size = a.st.st_size
        fa = fb = -1
        try:
            fa, fb = a.open(), b.open()
            ra, rb = data_ranges(fa, size), data_ranges(fb, size)
            self.blocks_field(path, a.st, ra, "A")
            self.blocks_field(path, b.st, rb, "B")
            if self.holes != "none":
                self.holes_field(path, fa, ra, rb, size)
            if "content" in self.ignore:
                return
            for start, end in union(ra, rb):
                for off in range(start, end, STEP):
                    n = min(STEP, end - off)
                    x, y = read_all(fa, off, n), read_all(fb, off, n)
                    if x != y:
                        at = next((i for i, (p, q) in enumerate(zip(x, y))
                                   if p != q), min(len(x), len(y)))
                        self.differ(path, "content", "first at %d" % (
                            off + at))
                        return
        finally:
            for fd in (fa, fb):
                if fd >= 0:
                    os.close(fd)

    def note_links(self, path, a, b):
        for side, e in enumerate((a, b)):
            if stat.S_ISDIR(e.kind):
                continue
            key = (e.st.st_dev, e.st.st_ino)
            if e.st.st_nlink > 1:
                self.groups[side][key].append(path)
            elif side == 1:
                if key in self.single:
                    self.differ(path, "inode", "shared with",
                                ascii(os.fsdecode(self.single[key])))
                self.single[key] = path

    def links_fields(self):
        where = ({}, {})
        for side in (0, 1):
            for paths in self.groups[side].values():
                for path in paths:
                    where[side][path] = tuple(sorted(paths))
        for path in sorted(set(where[0]) | set(where[1])):
            x, y = where[0].get(path), where[1].get(path)
            if x != y:
                self.differ(path, "links", short_paths(x), short_paths(y))

    def entry(self, path, a, b):
        self.entries += 1
        if a.kind != b.kind:
            self.differ(path, "type", "%06o" % a.kind, "%06o" % b.kind)
            return
        self.stat_fields(path, a, b)
        try:
            self.xattr_fields(path, a, b)
            if stat.S_ISLNK(a.kind):
                x = os.readlink(a.name, dir_fd=a.dirfd)
                y = os.readlink(b.name, dir_fd=b.dirfd)
                if x != y:
                    self.differ(path, "target", ascii(x), ascii(y))
            elif stat.S_ISREG(a.kind):
                self.content_field(path, a, b)
        except OSError as e:
            self.differ(path, "error", e)
        self.note_links(path, a, b)
        if stat.S_ISDIR(a.kind):
            self.directory(path, a, b)

    def directory(self, path, a, b):
        fa = fb = -1
        try:
            try:
                fa, fb = a.open(os.O_DIRECTORY), b.open(os.O_DIRECTORY)
                names = [sorted(os.fsencode(n) for n in os.listdir(fd))
                         for fd in (fa, fb)]
            except OSError as e:
                self.differ(path, "error", e)
                return
            if len(set(names[1])) != len(names[1]):
                self.differ(path, "entry", "a name listed twice")
            for name in sorted(set(names[0]) ^ set(names[1])):
                self.differ(path + b"/" + name if path else name, "entry",
                            "only in", "A" if name in names[0] else "B")
            for name in sorted(set(names[0]) & set(names[1])):
                sub = path + b"/" + name if path else name
                try:
                    x, y = Entry(fa, name), Entry(fb, name)
                except OSError as e:
                    self.differ(sub, "error", e)
                    continue
                self.entry(sub, x, y)
        finally:
            for fd in (fa, fb):
                if fd >= 0:
                    os.close(fd)

    def run(self, a, b):
        here = []
        for path in (a, b):
            path = os.fsencode(path)
            here.append(os.open(path, os.O_RDONLY | os.O_DIRECTORY))
        self.entry(b"", Entry(here[0], b"."), Entry(here[1], b"."))
        for fd in here:
            os.close(fd)
        self.links_fields()
        if self.found > self.limit:
            print("... %d differences in all" % self.found)
        return self.found


def short(value):
    if value is None:
        return "(none)"
    return ascii(value[:20]) + ("..(%d)" % len(value) if len(value) > 20
                                else "")


def short_ranges(ranges):
    return "%d ranges %s" % (len(ranges), ranges[:4])


def short_paths(paths):
    return "(none)" if paths is None else ascii([os.fsdecode(p)
                                                 for p in paths[:4]])


# ---- self-test: each kind of difference is noticed, and nothing else ----

def build(top):
    os.mkdir(top)
    os.mkdir(f"{top}/dir")
    for name in ("f", "one", "other"):
        with open(f"{top}/{name}", "wb") as f:
            f.write((b"some bytes of " + name.encode()) * 5000)
    os.link(f"{top}/one", f"{top}/dir/two")
    os.link(f"{top}/other", f"{top}/dir/another")
    os.symlink("f", f"{top}/link")
    os.mkfifo(f"{top}/fifo")
    with open(f"{top}/sparse", "wb") as f:
        f.truncate(1 << 20)
        f.seek(1 << 19)
        f.write(b"data" * 1024)
        f.flush()
        os.fsync(f.fileno())
    for folder, names, leaves in os.walk(top, topdown=False):
        for name in names + leaves + ["."]:
            os.utime(f"{folder}/{name}", ns=(5, 5), follow_symlinks=False)


def self_test():
    tmp = tempfile.mkdtemp(prefix="compare-")
    root = os.geteuid() == 0
    bad = []

    def punch(path):
        subprocess.run(["fallocate", "-p", "-o", "8192", "-l", "8192", path],
                       check=True)

    def swap_link(b):
        os.unlink(f"{b}/dir/two")
        os.unlink(f"{b}/dir/another")
        os.link(f"{b}/one", f"{b}/dir/another")
        os.link(f"{b}/other", f"{b}/dir/two")
        for name in ("another", "two"):
            shutil.copyfile(f"{b}/dir/{name}", f"{b}/dir/x")
        os.unlink(f"{b}/dir/x")

    def overwrite(path, off, data):
        fd = os.open(path, os.O_WRONLY)
        os.pwrite(fd, data, off)
        os.close(fd)

    def touch(path, ns=6):
        os.utime(path, ns=(ns, ns), follow_symlinks=False)

    def replace(path, make):
        os.unlink(path)
        make()

    def acl(path):
        os.setxattr(path, "system.posix_acl_access", struct.pack(
            "<IHHIHHIHHIHHIHHI", 2, 1, 6, 0xffffffff, 2, 4, 1,
            4, 4, 0xffffffff, 16, 4, 0xffffffff, 32, 4, 0xffffffff))

    cases = [
        ("entry", "f", lambda b: os.unlink(f"{b}/f")),
        ("entry", "extra", lambda b: os.mkfifo(f"{b}/extra")),
        ("type", "fifo", lambda b: replace(
            f"{b}/fifo", lambda: os.mkdir(f"{b}/fifo"))),
        ("mode", "f", lambda b: os.chmod(f"{b}/f", 0o4711)),
        ("nlink", "f", lambda b: os.link(f"{b}/f", tmp + "/outside")),
        ("links", "one", swap_link),
        ("size", "f", lambda b: os.truncate(f"{b}/f", 5)),
        ("holes", "sparse", lambda b: overwrite(
            f"{b}/sparse", 0, bytes(4096))),
        ("holes", "f", lambda b: punch(f"{b}/f")),
        ("blocks", "f", lambda b: subprocess.run(
            ["fallocate", "-n", "-o", "1M", "-l", "1M", f"{b}/f"],
            check=True)),
        ("mtime", "f", lambda b: touch(f"{b}/f")),
        ("mtime", "link", lambda b: touch(f"{b}/link", -1)),
        ("mtime", "dir", lambda b: touch(f"{b}/dir")),
        ("target", "link", lambda b: replace(
            f"{b}/link", lambda: os.symlink("g", f"{b}/link"))),
        ("xattr", "f", lambda b: os.setxattr(f"{b}/f", "user.x", b"")),
        ("xattr", "dir", lambda b: os.setxattr(f"{b}/dir", "user.x", b"y")),
        ("xattr", "f", lambda b: acl(f"{b}/f")),
        ("content", "f", lambda b: overwrite(f"{b}/f", 20000, b"!")),
        ("content", "sparse", lambda b: overwrite(
            f"{b}/sparse", 1 << 19, b"!")),
        ("content", "sparse", lambda b: overwrite(
            f"{b}/sparse", 0, b"!")),
    ]
    if root:
        cases += [
            ("uid", "f", lambda b: os.chown(f"{b}/f", 70000, -1)),
            ("gid", "link", lambda b: os.chown(
                f"{b}/link", -1, 70000, follow_symlinks=False)),
            ("xattr", "link", lambda b: os.setxattr(
                f"{b}/link", "trusted.x", b"y", follow_symlinks=False)),
            ("rdev", "dev", None),
        ]
    try:
        for i, (field, path, change) in enumerate([("", "", lambda b: None)]
                                                  + cases):
            a, b = f"{tmp}/{i}a", f"{tmp}/{i}b"
            build(a)
            build(b)
            if change:
                change(b)
            else:
                os.mknod(f"{a}/dev", stat.S_IFCHR | 0o600, os.makedev(1, 3))
                os.mknod(f"{b}/dev", stat.S_IFCHR | 0o600, os.makedev(1, 5))
            out = subprocess.run(
                [sys.executable, __file__, "--ignore", "ctime,topmtime", a,
                 b], capture_output=True, text=True)
            lines = out.stdout.splitlines()
            if not field:
                ok = out.returncode == 0 and not lines
            else:
                ok = out.returncode == 1 and any(
                    line.startswith(f"{path}: {field}: ") for line in lines)
                quiet = subprocess.run(
                    [sys.executable, __file__, "--ignore", "ctime,topmtime,"
                     + field, a, b], capture_output=True, text=True)
                ok = ok and f": {field}: " not in quiet.stdout
            if not ok:
                bad.append("%s of %s: exit %d, %s%s" % (
                    field or "equal trees", path, out.returncode, lines,
                    out.stderr))
            for top in (a, b):
                shutil.rmtree(top)
            if os.path.exists(f"{tmp}/outside"):
                os.unlink(f"{tmp}/outside")
    finally:
        shutil.rmtree(tmp, ignore_errors=True)
    for line in bad:
        print("not noticed:", line)
    return 1 if bad else 0


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse
                                .RawDescriptionHelpFormatter)
    p.add_argument("a", nargs="?")
    p.add_argument("b", nargs="?")
    p.add_argument("--ignore", default="ctime")
    p.add_argument("--holes", choices=("exact", "loose", "none"),
                   default="exact")
    p.add_argument("--limit", type=int, default=50,
                   help="differences to print")
    p.add_argument("--count", action="store_true",
                   help="print the number of entries on standard error")
    p.add_argument("--self-test", action="store_true")
    args = p.parse_args()
    if args.self_test:
        return self_test()
    if not args.b:
        p.error("two trees are wanted")
    ignore = set(filter(None, args.ignore.split(",")))
    if ignore - FIELDS:
        p.error("no such field: %s" % ", ".join(sorted(ignore - FIELDS)))
    c = Compare(ignore, args.holes, args.limit)
    try:
        c.run(args.a, args.b)
    except OSError as e:
        print("compare.py: %s" % e, file=sys.stderr)
        return 2
    if args.count:
        print("%d entries" % c.entries, file=sys.stderr)
    return 1 if c.found else 0


sys.exit(main())
