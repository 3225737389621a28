#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""
pack_image.py IMAGE OUT          what is not zero of an image (see image.h)
pack_image.py --unpack IN IMAGE  the image again, sparse
"""
import struct
import sys

MAGIC = b"VMBIMG1\n"
SECTOR = 512


def pack(image, out):
    with open(image, "rb") as f:
        data = f.read()
    runs, start = [], None
    count = (len(data) + SECTOR - 1) // SECTOR
    zero = bytes(SECTOR)
    for i in range(count + 1):
        piece = data[i * SECTOR:(i + 1) * SECTOR]
        full = i < count and piece != zero[:len(piece)]
        if full and start is None:
            start = i
        if start is not None and (not full or i - start == 65535):
            runs.append((start, i))
            start = i if full else None
    with open(out, "wb") as f:
        f.write(MAGIC + struct.pack("<Q", len(data)))
        for first, end in runs:
            part = data[first * SECTOR:end * SECTOR]
            part += bytes(-len(part) % SECTOR)
            f.write(struct.pack("<IH", first, end - first) + part)


def unpack(packed, image):
    with open(packed, "rb") as f:
        data = f.read()
    assert data[:8] == MAGIC
    with open(image, "wb") as f:
        size = struct.unpack_from("<Q", data, 8)[0]
        at = 16
        while at < len(data):
            first, count = struct.unpack_from("<IH", data, at)
            f.seek(first * SECTOR)
            f.write(data[at + 6:at + 6 + count * SECTOR])
            at += 6 + count * SECTOR
        f.truncate(size)


if len(sys.argv) == 4 and sys.argv[1] == "--unpack":
    unpack(sys.argv[2], sys.argv[3])
elif len(sys.argv) == 3:
    pack(sys.argv[1], sys.argv[2])
else:
    sys.exit(__doc__.strip())
