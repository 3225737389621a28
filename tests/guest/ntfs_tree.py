#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""
ntfs_tree.py make DIR            what only NTFS has, into a mount by ntfs-3g
                                 (-o streams_interface=xattr,compression)
ntfs_tree.py odd DIR             what ntfs-3g shows other than we do (-o
                                 special_files=wsl too)
ntfs_tree.py patch IMAGE WHAT..  change an image as Windows would: efs=NAME
                                 (encrypted), stale=NAME (its record used anew),
                                 dirty (the flag of $Volume), log ($LogFile in
                                 use), rule (by which the keys of $SII
                                 are compared), mft=BYTE (the $MFT moved to there)
"""
import mmap
import os
import random
import socket
import struct
import sys

ATTRIB = "system.ntfs_attrib_be"
REPARSE = "system.ntfs_reparse_data"
NS = 10**9
TIMES = (("1601", -11644473600 * NS + 100), ("1900", -2208988800 * NS + 1200),
         ("1969", -100), ("epoch", 0), ("2038", 2**31 * NS + 100),
         ("2400", 13569465600 * NS + 999999900))


def write(path, data):
    with open(path, "wb") as f:
        f.write(data)


def reparse(path, tag, data, folder=False):
    if folder:
        os.mkdir(path)
    elif not os.path.exists(path):
        write(path, b"")
    os.setxattr(path, REPARSE, struct.pack("<IHH", tag, len(data), 0) + data)


def junction(path, target):
    t = target.encode("utf-16le")
    reparse(path, 0xa0000003, struct.pack(
        "<HHHH", 0, len(t), len(t) + 2, 0) + t + bytes(4), True)


def symlink(path, target, relative, folder=False):
    t = target.encode("utf-16le")
    reparse(path, 0xa000000c, struct.pack(
        "<HHHHI", 0, len(t), len(t), len(t), relative) + t + t, folder)


def streams(rng):
    os.makedirs("streams/dir")
    write("streams/file", b"unnamed")
    os.setxattr("streams/dir", "user.on dir", b"d")
    for name, value in (("Zone.Identifier", b"[ZoneTransfer]\r\nZoneId=3\r\n"),
                        ("größe€😀", b"x" * 3000), ("empty", b""),
                        ("long", rng.randbytes(60000))):
        os.setxattr("streams/file", "user." + name, value)
    for i in range(100):
        os.setxattr("streams/file", "user.s%03d" % i, b"%d" % i * 20)


def compressed(rng):
    words = [rng.randbytes(rng.randint(2, 9)).hex().encode()
             for _ in range(500)]
    text = b" ".join(rng.choices(words, k=80000))
    os.mkdir("compressed")
    os.setxattr("compressed", ATTRIB, struct.pack(">I", 0x800))
    for n in (0, 1, 100, 700, 4095, 4096, 4097, 65535, 65536, 65537, 131072,
              200001, len(text)):
        write("compressed/text-%d" % n, text[:n])
        write("compressed/random-%d" % n, rng.randbytes(n))
        write("compressed/zeros-%d" % n, bytes(n))
    write("compressed/mixed", b"".join(rng.choice(
        (text[:70000], rng.randbytes(50000), bytes(90000)))
        for _ in range(40)))
    with open("compressed/sparse", "wb") as f:
        f.seek(1 << 20)
        f.write(text[:100000])
        f.seek(3 << 20)
        f.write(b"end")
        f.truncate(5 << 20)
    write("compressed/rewritten", text[:500000])
    with open("compressed/rewritten", "r+b") as f:
        for _ in range(30):
            f.seek(rng.randrange(400000))
            f.write(rng.choice((text[:9000], rng.randbytes(9000))))
        f.truncate(300001)


def special():
    os.makedirs("special/sub/Deep Dir")
    write("special/target", b"t")
    write("special/sub/Deep Dir/file", b"f")
    os.mkfifo("special/fifo")
    os.mknod("special/null", 0o20666, os.makedev(1, 3))
    os.mknod("special/block", 0o60666, os.makedev(7, 300))
    with socket.socket(socket.AF_UNIX) as s:
        s.bind("special/socket")
    os.symlink("target", "special/link")
    os.symlink("/absolute/ümlaut", "special/absolute")
    os.symlink("t" * 1000, "special/long")
    os.link("special/target", "special/hard")
    os.mkdir("reparse")
    write("reparse/target", b"")
    for i, target in enumerate((
            "C:\\special\\sub", "C:\\SPECIAL\\SUB\\deep dir",
            "D:\\nothing\\here", "c:\\special\\sub\\",
            "Volume{01234567-0000-0000-0000-000000000000}\\")):
        junction("reparse/j%d" % i, "\\??\\" + target)
    for i, (target, relative, folder) in enumerate((
            ("..\\special\\target", 1, False), ("target", 1, False),
            ("\\??\\C:\\Special\\Target", 0, False),
            ("\\special\\sub\\deep dir\\FILE", 1, False),
            ("..\\special\\sub", 1, True))):
        symlink("reparse/s%d" % i, target, relative, folder)
    reparse("reparse/wsl", 0xa000001d,
            struct.pack("<I", 2) + "../special/tärget".encode())


def names(rng):
    os.mkdir("names")
    for n in ("UPPER", "upper", "Upper", "ß", "ẞ", "日本語", "😀", "a" * 255,
              "trailing.", "space ", "é", "e\u0301", "CON", "a:b", "*?"):
        write("names/" + n, n.encode())
    # A deep index with blocks that are free again.
    os.mkdir("large")
    for i in range(3000):
        write("large/%04d-" % i + "ж" * (i % 60), b"")
    for i in range(0, 2500):
        if i % 3 == 0 or 500 < i < 1500:
            os.unlink("large/%04d-" % i + "ж" * (i % 60))


def extents(rng):
    with open("sparse", "wb") as f:
        f.truncate(32 << 20)
        f.seek(12345678)
        f.write(b"x" * 5)
        f.seek((32 << 20) - 3)
        f.write(b"end")
    with open("fragmented-1", "wb") as a, open("fragmented-2", "wb") as b:
        for i in range(1500):
            for f in (a, b):
                f.write(rng.randbytes(4096))
                f.flush()
    write("grown", b"")
    os.truncate("grown", 1 << 20)


def sid(*numbers):
    return struct.pack("<BB6s", 1, len(numbers), b"\0\0\0\0\0\5") + \
        b"".join(struct.pack("<I", n) for n in numbers)


def descriptor(rid):
    owner = sid(21, 1, 2, 3, rid)
    ace = struct.pack("<BBHI", 0, 0, 8 + len(owner), 0x1f01ff) + owner
    acl = struct.pack("<BBHHH", 2, 0, 8 + len(ace), 1, 0) + ace
    return struct.pack("<BBHIIII", 1, 0, 0x8004, 20, 20 + len(owner), 0,
                       20 + 2 * len(owner)) + 2 * owner + acl


def metadata():
    """More descriptors than the root of an index has room for."""
    os.mkdir("metadata")
    for i in range(100):
        path = "metadata/owner-%d" % i
        write(path, b"")
        os.setxattr(path, "system.ntfs_acl", descriptor(1000 + i))
    path = "metadata/a long name.text"
    write(path, b"")
    os.setxattr(path, "system.ntfs_dos_name", b"ALONGN~1.TEX")
    os.setxattr(path, "system.ntfs_attrib_be", struct.pack(">I", 0x27))
    os.setxattr(path, "system.ntfs_object_id", bytes(range(1, 17)))
    os.setxattr(path, "system.ntfs_crtime_be",
                struct.pack(">Q", 130000000000000000))
    os.setxattr(path, "system.ntfs_ea", struct.pack(
        "<IBBH", 20, 0, 4, 5) + b"NAME\0value\0\0")


def large():
    """A directory that is found by its index: names that differ in case, of
    several letters, and of what comes in pairs of UTF-16."""
    os.mkdir("many")
    for i in range(1500):
        name = ("Name", "name", "Größe", "\U0001f600", "ab:c")[i % 5]
        write("many/%s-%d" % (name, i // 2 * 3), b"")


def make(top):
    rng = random.Random(20261123)
    os.chdir(top)
    streams(rng)
    metadata()
    large()
    compressed(rng)
    special()
    names(rng)
    extents(rng)
    os.mkdir("times")
    for name, when in TIMES:
        write("times/" + name, b"")
        os.utime("times/" + name, ns=(when, when))


def odd(top):
    os.chdir(top)
    for name, tag in (("wof", 0x80000017), ("dedup", 0x80000013),
                      ("cloud", 0x9000301a), ("unknown", 0x80001234)):
        write(name, b"content" * 1000)
        reparse(name, tag, bytes(16))
    write("efs", b"secret" * 2000)
    write("stale", b"")
    # The mount has special_files=wsl.
    os.mkdir("wsl")
    os.mkfifo("wsl/fifo")
    os.mknod("wsl/null", 0o20666, os.makedev(1, 3))
    os.mknod("wsl/block", 0o60666, os.makedev(7, 300))
    os.symlink("../fine", "wsl/link")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind("wsl/socket")
    write("fine", b"fine\n")
    os.setxattr("fine", "user.kept", b"kept")
    write("hiberfil.sys", b"hibr" + bytes(5000))


# ---- the image ----

def attributes(data, at):
    """(type, offset) of each attribute of the record at."""
    off = at + struct.unpack_from("<H", data, at + 20)[0]
    while True:
        kind, length = struct.unpack_from("<II", data, off)
        if kind == 0xffffffff or not length:
            return
        yield kind, off
        off += length


def value(data, off):
    return off + struct.unpack_from("<H", data, off + 20)[0]


def mft(data):
    cluster = struct.unpack_from("<H", data, 11)[0] * data[13]
    return cluster, struct.unpack_from("<Q", data, 48)[0] * cluster


def find(data, name):
    want = name.encode("utf-16le")
    _, at = mft(data)
    while True:
        if data[at:at + 4] == b"FILE":
            for kind, off in attributes(data, at):
                v = value(data, off) + 64
                if kind == 0x30 and data[v] == len(name) and \
                        data[v + 2:v + 2 + len(want)] == want:
                    return at
        at += 1024


def alter(data, off, form, change):
    struct.pack_into(form, data, off,
                     change(struct.unpack_from(form, data, off)[0]))


def encrypt(data, at):
    for kind, off in attributes(data, at):
        if kind == 0x10:
            alter(data, value(data, off) + 32, "<I", lambda v: v | 0x4000)
        elif kind == 0x80:
            alter(data, off + 12, "<H", lambda v: v | 0x4000)


def start_log(data):
    """A restart page that says that somebody is at work."""
    cluster, at = mft(data)
    for kind, off in attributes(data, at + 2 * 1024):
        if kind == 0x80:
            run = off + struct.unpack_from("<H", data, off + 32)[0]
            n, m = data[run] & 15, data[run] >> 4
            lcn = int.from_bytes(data[run + 1 + n:run + 1 + n + m], "little")
    page = bytearray(4096)
    page[0:4] = b"RSTR"
    struct.pack_into("<HH", page, 4, 30, 9)
    struct.pack_into("<IIHHH", page, 16, 4096, 4096, 48, 1, 1)
    struct.pack_into("<QHHHH", page, 48, 1000, 1, 0xffff, 0, 0)
    data[lcn * cluster:lcn * cluster + 4096] = page


def move_mft(data, to):
    """In one piece, as mkntfs makes it; $MFTMirr tells of it too."""
    cluster, at = mft(data)
    mirror = struct.unpack_from("<Q", data, 56)[0] * cluster

    def runs(record):
        for kind, off in attributes(data, record):
            if kind == 0x80:
                return off + struct.unpack_from("<H", data, off + 32)[0]

    run = runs(at)
    n, m = data[run] & 15, data[run] >> 4
    length = int.from_bytes(data[run + 1:run + 1 + n], "little") * cluster
    assert data[run + 1 + n + m] == 0
    data[to:to + length] = data[at:at + length]
    for record in (to, mirror):
        run = runs(record)
        data[run] = 0x40 | n
        struct.pack_into("<IB", data, run + 1 + n, to // cluster, 0)
    data[at:at + length] = bytes(length)
    struct.pack_into("<Q", data, 48, to // cluster)


def patch(image, *what):
    with open(image, "r+b") as f:
        data = mmap.mmap(f.fileno(), 0)
    for word in what:
        verb, _, name = word.partition("=")
        if verb == "efs":
            encrypt(data, find(data, name))
        elif verb == "stale":
            alter(data, find(data, name) + 16, "<H", lambda v: v + 1)
        elif verb == "dirty":
            for kind, off in attributes(data, mft(data)[1] + 3 * 1024):
                if kind == 0x70:
                    alter(data, value(data, off) + 10, "<H", lambda v: v | 1)
        elif verb == "log":
            start_log(data)
        elif verb == "rule":
            for kind, off in attributes(data, mft(data)[1] + 9 * 1024):
                if kind == 0x90 and "$SII".encode("utf-16le") in \
                        data[off:off + 64]:
                    alter(data, value(data, off) + 4, "<I", lambda v: 0)
        elif verb == "mft":
            move_mft(data, int(name))
        else:
            sys.exit("what is " + word)
    data.close()


{"make": make, "odd": odd, "patch": patch}[sys.argv[1]](*sys.argv[2:])
