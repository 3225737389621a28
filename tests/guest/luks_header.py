#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""
luks_header.py IMAGE PLACE=VALUE...: set what cryptsetup would not, with
checksums made to fit.

PLACE in LUKS1 is "digest" or a slot's number: the iterations of either. In
LUKS2 it is a path in the JSON, as "keyslots.0.kdf.memory"; VALUE is JSON. The
area of a slot that moves is moved.
"""
import hashlib
import json
import struct
import sys

MAGIC = b"LUKS\xba\xbe"


def luks1(f, place, value):
    f.seek(164 if place == "digest" else 208 + 48 * int(place) + 4)
    f.write(struct.pack(">I", int(value)))


def put(tree, path, value):
    for step in path[:-1]:
        tree = tree[step]
    tree[path[-1]] = value


def move(f, old, new):
    for slot in old.keys() & new.keys():
        here, there = (int(t[slot]["area"]["offset"]) for t in (old, new))
        if here != there:
            f.seek(here)
            area = f.read(int(old[slot]["area"]["size"]))
            f.seek(there)
            f.write(area)


def luks2(f, sets):
    f.seek(8)
    size = struct.unpack(">Q", f.read(8))[0]
    f.seek(4096)
    tree = json.loads(f.read(size - 4096).rstrip(b"\0"))
    old = json.loads(json.dumps(tree))
    for place, value in sets:
        put(tree, place.split("."), json.loads(value))
    text = json.dumps(tree, separators=(",", ":")).encode()
    move(f, old["keyslots"], tree["keyslots"])
    for at in 0, size:
        f.seek(at)
        head = bytearray(f.read(4096))
        head[448:512] = bytes(64)
        body = text.ljust(size - 4096, b"\0")
        head[448:480] = hashlib.sha256(head + body).digest()
        f.seek(at)
        f.write(head + body)


def main():
    sets = [arg.split("=", 1) for arg in sys.argv[2:]]
    with open(sys.argv[1], "r+b") as f:
        magic, version = struct.unpack(">6sH", f.read(8))
        if magic != MAGIC:
            sys.exit("%s: not LUKS" % sys.argv[1])
        if version == 2:
            luks2(f, sets)
            return
        for place, value in sets:
            luks1(f, place, value)


main()
