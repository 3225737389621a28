#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""
Trees to back up.

    fixture.py make DIR [--small]    every kind of inode and oddity
    fixture.py mutate DIR SEED       change such a tree a little
    fixture.py many DIR COUNT [EACH] COUNT empty files, EACH to a directory

DIR/main    what every tool can copy
DIR/huge    a file of 1 TiB with a few bytes: for tools that skip holes
DIR/deep    a path of more than 4096 bytes: for tools that use openat

What the user or the filesystem does not allow is left out and said on
standard error ("left out: ..."), so that a test can insist on it.
"""
import argparse
import errno
import os
import random
import socket
import stat
import struct
import sys

ROOT = os.geteuid() == 0
MIB = 1 << 20
left_out = []


def attempt(what, fn, *args, **kwargs):
    """Call fn; where it may not be done here, note it. True when done."""
    try:
        fn(*args, **kwargs)
        return True
    except OSError as e:
        allowed = (errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.ENOSPC,
                   errno.E2BIG, errno.EILSEQ, errno.EINVAL, errno.EMLINK,
                   errno.ERANGE, errno.EFBIG, errno.ENAMETOOLONG)
        if e.errno not in allowed:
            raise
        left_out.append("%s: %s" % (what, e.strerror))
        return False


def write(path, data):
    with open(path, "wb") as f:
        f.write(data)


def text(rng, length):
    """Bytes that compress about three to one."""
    words = [bytes(rng.choices(b"abcdefghijklmnopqrstuvwxyz", k=rng.randint(
        2, 9))) for _ in range(300)]
    out = bytearray()
    while len(out) < length:
        out += rng.choice(words) + b" "
    return bytes(out[:length])


def make_regular(top, rng, small):
    os.mkdir(top)
    for size in (0, 1, 2, 511, 512, 4095, 4096, 4097, 65535, 65536, 65537,
                 131071, 131072, 131073, 262143, 262144, 262145):
        write(f"{top}/random-{size}", rng.randbytes(size))
    for size in (65535, 262144, 262145):
        write(f"{top}/text-{size}", text(rng, size))
    big = MIB if small else 5 * MIB
    write(f"{top}/random-big", rng.randbytes(big))
    write(f"{top}/text-big", text(rng, MIB) * (big // MIB) + b"end")
    write(f"{top}/zeros", bytes(300000))
    write(f"{top}/zeros-inside", rng.randbytes(70000) + bytes(200000) + b"x")
    write(f"{top}/equal-1", b"the same bytes\n" * 9000)
    write(f"{top}/equal-2", b"the same bytes\n" * 9000)


def sparse(path, size, pieces):
    fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    try:
        os.ftruncate(fd, size)
        for off, data in pieces:
            os.pwrite(fd, data, off)
    finally:
        os.close(fd)


def make_sparse(top, rng):
    os.mkdir(top)

    def block(n=1):
        return rng.randbytes(4096 * n)

    sparse(f"{top}/hole-at-start", 2 * MIB, [(2 * MIB - 8192, block(2))])
    sparse(f"{top}/hole-in-middle", 2 * MIB,
           [(0, block()), (2 * MIB - 4096, block())])
    sparse(f"{top}/hole-at-end", 2 * MIB, [(0, block(3))])
    sparse(f"{top}/only-hole", 3 * MIB + 7, [])
    sparse(f"{top}/one-byte-hole", 1, [])
    sparse(f"{top}/one-block-hole", 4096, [])
    sparse(f"{top}/unaligned", 100001, [(5000, b"y"), (99999, b"zz")])
    sparse(f"{top}/zeros-and-holes", MIB,
           [(0, bytes(65536)), (512 * 1024, block()), (768 * 1024,
                                                      bytes(4096))])
    sparse(f"{top}/many-holes", 4 * MIB,
           [(i * 32768, block()) for i in range(128)])
    sparse(f"{top}/large", 3 << 30,
           [(0, b"first"), (1 << 30, block(2)), ((3 << 30) - 5, b"last!")])


def make_links(top, rng):
    os.makedirs(f"{top}/a/b")
    os.mkdir(f"{top}/c")
    write(f"{top}/a/one", rng.randbytes(70001))
    os.link(f"{top}/a/one", f"{top}/a/b/two")
    os.link(f"{top}/a/one", f"{top}/c/three")
    write(f"{top}/a/same-dir-1", b"linked in one directory")
    os.link(f"{top}/a/same-dir-1", f"{top}/a/same-dir-2")
    write(f"{top}/a/empty-1", b"")
    os.link(f"{top}/a/empty-1", f"{top}/c/empty-2")
    os.symlink("one", f"{top}/a/symlink-1")
    attempt("hard link of a symbolic link", os.link, f"{top}/a/symlink-1",
            f"{top}/c/symlink-2", follow_symlinks=False)
    os.mkfifo(f"{top}/a/fifo-1")
    attempt("hard link of a fifo", os.link, f"{top}/a/fifo-1",
            f"{top}/c/fifo-2")
    # A link whose other name is outside of what is backed up.
    os.mkdir(f"{top}/d")
    write(f"{top}/d/many-1", b"many links")
    for i in range(2, 40):
        os.link(f"{top}/d/many-1", f"{top}/d/many-{i}")


def make_symlinks(top):
    os.mkdir(top)
    write(f"{top}/file", b"pointed at")
    os.mkdir(f"{top}/dir")
    for name, target in (
            (b"relative", b"file"), (b"to-dir", b"dir"),
            (b"dangling", b"no/such/file"), (b"absolute", b"/etc/passwd"),
            (b"up", b"../../../../../../../../etc"), (b"self", b"self"),
            (b"dot", b"."), (b"slash", b"/"),
            (b"not-utf8", b"\xff\xfe\x80 \xc3"), (b"newline", b"a\nb"),
            (b"one", b"x"), (b"len-59", b"y" * 59), (b"len-60", b"y" * 60),
            (b"len-1000", b"z" * 1000)):
        os.symlink(target, os.fsencode(top) + b"/" + name)
    attempt("symbolic link of 4095 bytes", os.symlink, "/" + "t" * 4094,
            f"{top}/len-4095")


def make_special(top):
    os.mkdir(top)
    os.mkfifo(f"{top}/fifo", 0o600)
    with socket.socket(socket.AF_UNIX) as s:
        # bind() takes 107 bytes: go there.
        here = os.open(".", os.O_RDONLY)
        try:
            os.chdir(top)
            s.bind("socket")
        finally:
            os.fchdir(here)
            os.close(here)
    if not ROOT:
        left_out.append("devices: not root")
        return
    for name, kind, major, minor in (
            ("null", stat.S_IFCHR, 1, 3), ("big-char", stat.S_IFCHR, 4095,
                                           1048575),
            ("loop", stat.S_IFBLK, 7, 300), ("zero", stat.S_IFBLK, 259,
                                             70000)):
        attempt(f"device {name}", os.mknod, f"{top}/{name}", kind | 0o640,
                os.makedev(major, minor))


def acl(*entries):
    """The bytes of system.posix_acl_*: (tag, permissions, id)."""
    out = struct.pack("<I", 2)
    for tag, perm, who in entries:
        out += struct.pack("<HHI", tag, perm, who)
    return out


def make_xattrs(top, rng):
    os.mkdir(top)
    os.mkdir(f"{top}/dir")
    for name in ("file", "many", "long", "empty-value", "acl", "cap",
                 "cap-v3", "trusted", "binary"):
        write(f"{top}/{name}", name.encode())
    os.symlink("file", f"{top}/link")
    os.mkfifo(f"{top}/fifo")

    def put(path, name, value):
        attempt(f"attribute {name} of {len(value)} bytes", os.setxattr,
                f"{top}/{path}", name, value, follow_symlinks=False)

    put("file", "user.comment", b"a remark")
    put("file", "user.\xc3\xa9t\xc3\xa9", b"\xc3\xa9")
    put("dir", "user.on.directory", b"yes")
    put("binary", "user.binary", bytes(range(256)))
    put("empty-value", "user.empty", b"")
    put("empty-value", "user.other", b"x")
    for i in range(60):
        put("many", "user.attribute-number-%d" % i, b"value %d" % i)
    put("long", "user.long-2049", rng.randbytes(1500))
    put("long", "user.long-61440", rng.randbytes(61440))
    put("acl", "system.posix_acl_access", acl(
        (0x01, 6, 0xffffffff), (0x02, 4, 1), (0x02, 6, 70000),
        (0x04, 4, 0xffffffff), (0x08, 7, 12), (0x10, 7, 0xffffffff),
        (0x20, 0, 0xffffffff)))
    put("dir", "system.posix_acl_access", acl(
        (0x01, 7, 0xffffffff), (0x04, 5, 0xffffffff), (0x08, 5, 5),
        (0x10, 5, 0xffffffff), (0x20, 5, 0xffffffff)))
    put("dir", "system.posix_acl_default", acl(
        (0x01, 7, 0xffffffff), (0x02, 7, 2), (0x04, 5, 0xffffffff),
        (0x10, 7, 0xffffffff), (0x20, 1, 0xffffffff)))
    if not ROOT:
        left_out.append("capabilities, trusted attributes: not root")
        return
    put("cap", "security.capability",
        struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0))
    put("trusted", "trusted.overlay.opaque", b"y")
    put("trusted", "trusted.binary", bytes(range(255, -1, -1)))
    put("link", "trusted.on-link", b"kept")
    put("fifo", "trusted.on-fifo", b"kept")
    put("dir", "trusted.on-dir", b"kept")


def make_modes(top):
    os.mkdir(top)
    modes = [0o600, 0o400, 0o444, 0o640, 0o755, 0o777, 0o700, 0o4755,
             0o2755, 0o6711, 0o1644, 0o7777]
    if ROOT:
        modes += [0o000, 0o100, 0o007, 0o200]
    for mode in modes:
        path = f"{top}/file-{mode:04o}"
        write(path, b"mode")
        os.chmod(path, mode)
    for mode in (0o755, 0o700, 0o1777, 0o2775, 0o3777, 0o500) + (
            (0o000, 0o111) if ROOT else ()):
        path = f"{top}/dir-{mode:04o}"
        os.mkdir(path)
        write(f"{path}/inside", b"in")
        os.chmod(path, mode)
    if not ROOT:
        left_out.append("other owners: not root")
        return
    for uid, gid in ((1, 2), (65534, 65534), (65536, 65537),
                     (100000, 4000000000), (4294967294, 4294967294)):
        path = f"{top}/owner-{uid}-{gid}"
        write(path, b"owner")
        os.chown(path, uid, gid)
        os.symlink("x", path + ".link")
        os.chown(path + ".link", uid, gid, follow_symlinks=False)
        os.mkdir(path + ".dir")
        os.chown(path + ".dir", uid, gid)
    # chown clears set-id bits: set them again on something not root's.
    path = f"{top}/setuid-of-other"
    write(path, b"setuid")
    os.chown(path, 1000, 1000)
    os.chmod(path, 0o6755)


def make_times(top):
    os.mkdir(top)
    ns = 1000000000
    for name, when in (
            ("epoch", 0), ("one-ns", 1), ("before-1970", -5 * ns - 1),
            ("minus-one-ns", -1), ("1950", -631152000 * ns + 123456789),
            ("1902", -2145916800 * ns + 999999999),
            ("2038", 2147483648 * ns + 5), ("2100", 4102444800 * ns + 1),
            ("2400", 13569465600 * ns + 999999999)):
        for kind in ("file", "dir", "link"):
            path = f"{top}/{name}.{kind}"
            if kind == "file":
                write(path, name.encode())
            elif kind == "dir":
                os.mkdir(path)
            else:
                os.symlink(name, path)
            os.utime(path, ns=(when, when), follow_symlinks=False)
            if os.lstat(path).st_mtime_ns != when:
                left_out.append(f"time {name}: the filesystem changed it")


def make_names(top):
    top = os.fsencode(top)
    os.mkdir(top)
    for b in range(1, 256):
        if b not in (0x2f, 0x2e):
            write(top + b"/" + bytes([b]), b"%d" % b)
        if b != 0x2f:
            write(top + b"/n" + bytes([b]) + b"m", b"%d" % b)
    for name in (b"-rf", b"--help", b"trailing ", b" leading", b"two\nlines",
                 b"...", b"..a", b"a.", b"\x01\x02\x01", b"\x02\x01",
                 b"\x02\x02", b"\x02\x03", b"\x01", b"\xff" * 255,
                 b"n" * 254, b"n" * 255, "e\u0301".encode(),
                 "\u00e9".encode(), b"*", b"[a]", b"\\", b"a\tb", b"'\"$`",
                 b"latest", b"files", b"point.json", b".vmbackupfs"):
        write(top + b"/" + name, name)
    # Directories whose order as paths and as names is not the same.
    sub = top + b"/order"
    os.mkdir(sub)
    for name in (b"foo", b"foo.d", b"foo-bar", b"foo\x01", b"foo\x02",
                 b"foo\x01a", b"foo\x02\x02", b"\x01", b"\x02", b"\x01\x01",
                 b"foo bar", b"foo0", b"fo", b"fop", b"\xff"):
        os.mkdir(sub + b"/" + name)
        write(sub + b"/" + name + b"/file", name)
        os.mkdir(sub + b"/" + name + b"/sub")
        write(sub + b"/" + name + b"/sub/file", name)
    for name in (b"foo.", b"foo.e", b"foo!", b"foo\x03"):
        write(sub + b"/" + name, name)


def make_dirs(top, small):
    os.mkdir(top)
    os.mkdir(f"{top}/empty")
    os.makedirs(f"{top}/empty-below/empty/empty")
    path = f"{top}/forty"
    for i in range(40):
        path += f"/d{i}" if i else ""
        os.mkdir(path)
        write(f"{path}/f{i}", b"%d" % i)
    os.mkdir(f"{top}/2000")
    for i in range(300 if small else 2000):
        write(f"{top}/2000/entry-{i}", b"%d\n" % i if i % 3 else b"")


def make_deep(top):
    """Twenty names of 250 bytes: made by steps, no path is that long."""
    os.mkdir(top)
    fd = os.open(top, os.O_RDONLY)
    for i in range(20):
        name = (b"%02d-" % i) + b"d" * 247
        os.mkdir(name, dir_fd=fd)
        below = os.open(name, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    out = os.open("bottom", os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=fd)
    os.write(out, b"deep")
    os.close(out)
    os.symlink("bottom", "link", dir_fd=fd)
    os.close(fd)


def make(top, small):
    rng = random.Random(20261122)
    main = f"{top}/main"
    os.makedirs(main)
    make_regular(f"{main}/regular", rng, small)
    make_sparse(f"{main}/sparse", rng)
    make_links(f"{main}/links", rng)
    make_symlinks(f"{main}/symlinks")
    make_special(f"{main}/special")
    make_xattrs(f"{main}/xattrs", rng)
    make_modes(f"{main}/modes")
    make_times(f"{main}/times")
    make_names(f"{main}/names")
    make_dirs(f"{main}/dirs", small)
    make_deep(f"{top}/deep")
    os.mkdir(f"{top}/huge")
    attempt("a file of 1 TiB", sparse, f"{top}/huge/tebibyte", 1 << 40,
            [(12345, b"begin"), (1 << 39, b"middle"),
             ((1 << 40) - 3, b"end")])
    os.utime(main, ns=(1234567890123456789, 1234567890123456789))


# ---- mutation ----

def listing(top):
    """Paths below main/, sorted; deep enough for changes, not for oddities."""
    files, dirs, others = [], [], []
    for folder, names, leaves in os.walk(os.fsencode(top)):
        names.sort()
        dirs.append(folder)
        for name in sorted(leaves):
            path = folder + b"/" + name
            st = os.lstat(path)
            if stat.S_ISREG(st.st_mode):
                if st.st_size < 64 * MIB:
                    files.append(path)
            else:
                others.append(path)
    return files, dirs, others


def ensure_writable(path):
    mode = os.lstat(path).st_mode
    if not ROOT and not mode & 0o200:
        os.chmod(path, stat.S_IMODE(mode) | 0o600)


def mutate(top, seed):
    rng = random.Random("mutate %d" % seed)
    main = f"{top}/main"
    files, dirs, _ = listing(main)
    if not ROOT:
        dirs = [d for d in dirs if os.access(d, os.W_OK)]
        files = [f for f in files if os.access(os.path.dirname(f), os.W_OK)]
    gone = set()

    def pick():
        while True:
            path = rng.choice(files)
            if path not in gone:
                return path

    def leaf_dir():
        return rng.choice(dirs)

    for _ in range(6):      # appended
        path = pick()
        ensure_writable(path)
        with open(path, "ab") as f:
            f.write(rng.randbytes(rng.choice((1, 100, 5000))))
    for _ in range(5):      # overwritten inside, same size
        path = pick()
        ensure_writable(path)
        size = os.stat(path).st_size
        if size:
            fd = os.open(path, os.O_WRONLY)
            os.pwrite(fd, rng.randbytes(min(50, size)), rng.randrange(size))
            os.close(fd)
    for _ in range(3):      # cut
        path = pick()
        ensure_writable(path)
        os.truncate(path, rng.randrange(os.stat(path).st_size + 1))
    for _ in range(5):      # removed
        path = pick()
        gone.add(path)
        os.unlink(path)
    for i in range(4):      # renamed, within and across directories
        path = pick()
        gone.add(path)
        os.rename(path, leaf_dir() + b"/moved-%d-%d" % (seed, i))
    for i in range(8):      # made
        write(leaf_dir() + b"/new-%d-%d" % (seed, i),
              rng.randbytes(rng.choice((0, 10, 4096, 200000))))
    folder = leaf_dir() + b"/newdir-%d" % seed
    os.mkdir(folder)
    for i in range(30):
        write(folder + b"/%d" % i, b"%d %d" % (seed, i))
    os.symlink(b"target-%d" % seed, leaf_dir() + b"/newlink-%d" % seed)
    attempt("hard link", os.link, pick(), leaf_dir() + b"/hard-%d" % seed)
    for _ in range(4):      # attributes alone
        os.chmod(pick(), rng.choice((0o600, 0o644, 0o755)))
    for _ in range(3):
        when = rng.randrange(1, 2 * 10**18)
        os.utime(pick(), ns=(when, when))
    for _ in range(2):
        path = pick()
        attempt("attribute", os.setxattr, path, "user.changed",
                b"%d" % seed)
    if ROOT:
        os.chown(pick(), 1000 + seed, 2000 + seed)
    # A file becomes a directory, a directory of ours a file.
    path = pick()
    gone.add(path)
    os.unlink(path)
    os.mkdir(path)
    write(path + b"/was-a-file", b"%d" % seed)
    old = [d for d in dirs if os.path.basename(d) == b"newdir-%d" % (seed - 1)]
    if old and not any(True for d in dirs if d.startswith(old[0] + b"/")):
        for name in sorted(os.listdir(old[0])):
            child = old[0] + b"/" + name
            if not os.path.isdir(child) or os.path.islink(child):
                os.unlink(child)
        try:
            os.rmdir(old[0])
            write(old[0], b"was a directory")
        except OSError as e:
            if e.errno != errno.ENOTEMPTY:
                raise


def many(top, count, each):
    os.makedirs(top, exist_ok=True)
    done = 0
    folder = 0
    while done < count:
        sub = f"{top}/{folder:05d}" if each < count else top
        os.makedirs(sub, exist_ok=True)
        fd = os.open(sub, os.O_RDONLY)
        for i in range(min(each, count - done)):
            os.close(os.open("file-%07d" % (done + i),
                             os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=fd))
        os.close(fd)
        done += min(each, count - done)
        folder += 1


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse
                                .RawDescriptionHelpFormatter)
    sub = p.add_subparsers(dest="verb", required=True)
    q = sub.add_parser("make")
    q.add_argument("dir")
    q.add_argument("--small", action="store_true", help="smaller files")
    q = sub.add_parser("mutate")
    q.add_argument("dir")
    q.add_argument("seed", type=int)
    q = sub.add_parser("many")
    q.add_argument("dir")
    q.add_argument("count", type=int)
    q.add_argument("each", type=int, nargs="?", default=1 << 40)
    a = p.parse_args()
    os.umask(0o022)
    if a.verb == "make":
        make(a.dir, a.small)
    elif a.verb == "mutate":
        mutate(a.dir, a.seed)
    else:
        many(a.dir, a.count, a.each)
    for line in sorted(set(left_out)):
        print("left out:", line, file=sys.stderr)


if __name__ == "__main__":
    main()
