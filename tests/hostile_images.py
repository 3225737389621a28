#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""
Write disk images that name other files, of each format in which one can.

    hostile_images.py DIR CANARY

DIR gets files NAME.WORD, where WORD says the format as vmbackup takes it. Each
wants to have CANARY, an absolute path, opened by whoever reads it; what names no
file at all is there to look like an image. The names are printed.
"""
import os
import struct
import subprocess
import sys

where, canary = sys.argv[1], sys.argv[2]
up = os.path.relpath(canary, where)
DISK = 1 << 20


def write(name, data, size=0):
    with open(os.path.join(where, name), "wb") as f:
        f.write(data)
        if size:
            f.truncate(max(size, len(data)))
    print(name)


def at(*parts):
    """Bytes with (offset, bytes) put into them."""
    out = bytearray(max(off + len(b) for off, b in parts))
    for off, b in parts:
        out[off:off + len(b)] = b
    return bytes(out)


def be(fmt, *values):
    return struct.pack(">" + fmt, *values)


def le(fmt, *values):
    return struct.pack("<" + fmt, *values)


# ---- qcow2: a header, an empty table of the first level, and names ----

def qcow2(name, backing=None, driver=b"raw", data=None, version=3):
    parts = [(0, b"QFI\xfb" + be("I", version)),
             (20, be("IQIIQQIIQ", 16, DISK, 0, 1, 0x30000, 0x10000, 1, 0, 0)),
             (0x10000, be("Q", 0x20000)), (0x20000, be("H", 1) * 4),
             (0x30000, bytes(0x10000))]
    ext, off = b"", 72
    if version == 3:
        parts.append((72, be("QQQII", 4 if data else 0, 0, 0, 4, 104)))
        off = 104
    if backing and driver:
        ext += be("II", 0xe2792aca, len(driver)) + driver.ljust(8, b"\0")
    if data:
        ext += be("II", 0x44415441, len(data))
        ext += data.ljust((len(data) + 7) // 8 * 8, b"\0")
    parts.append((off, ext + bytes(8)))
    if backing:
        parts.append((1024, backing))
        parts.append((8, be("QI", 1024, len(backing))))
    write(name, at(*parts))


for kind, text in (("absolute", canary), ("relative", up),
                   ("file", "file:" + canary),
                   ("nbd", "nbd+unix:///?socket=" + canary),
                   ("json", 'json:{"driver":"raw","file":{"driver":"file",'
                            '"filename":"%s"}}' % canary)):
    qcow2("backing-%s.qcow2" % kind, text.encode())
qcow2("backing-unsaid.qcow2", canary.encode(), driver=b"")
qcow2("backing-v2.qcow2", canary.encode(), version=2)
qcow2("data.qcow2", data=canary.encode())
qcow2("data-relative.qcow2", data=up.encode())
# Beside the image lies what names the canary.
qcow2("second.qcow2", b"backing-absolute.qcow2", driver=b"qcow2")
qcow2("itself.qcow2", b"itself.qcow2", driver=b"qcow2")

# ---- other formats with backing files ----

name = canary.encode()
write("backing.qcow", at(
    (0, b"QFI\xfb" + be("IQIIQBBHIQ", 1, 512, len(name), 0, DISK, 12, 9, 0, 0,
                        1024)),
    (512, name)), 65536)
write("backing.qed", at(
    (0, b"QED\0" + le("IIIQQQQQII", 65536, 4, 1, 1, 0, 0, 65536, DISK, 512,
                      len(name))),
    (512, name)), 65536 * 8)

# ---- VMDK ----

HEAD = "# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=%s\n" \
       'createType="%s"\n'
END = '\nddb.adapterType = "ide"\n'


def vmdk(name, extent, kind="monolithicFlat", parent="ffffffff"):
    write(name, (HEAD % (parent, kind) + extent + END).encode())


def vmdk4(name, capacity, text):
    write(name, at((0, b"KDMV" + le("IIQQQQIQQQ", 1, 3, capacity, 128, 1, 20,
                                    512, 21, 26, 128)),
                   (512, text.encode())), 65536)


flat = 'RW 2048 FLAT "%s" 0\n'
vmdk("flat.vmdk", flat % canary)
vmdk("flat-relative.vmdk", flat % up)
vmdk("sparse.vmdk", 'RW 2048 SPARSE "%s"\n' % canary, "twoGbMaxExtentSparse")
vmdk("vmfs.vmdk", 'RW 2048 VMFS "%s"\n' % canary, "vmfs")
vmdk("nbd.vmdk", flat % ("nbd+unix:///?socket=" + canary))
# A line that our parser does not take for an extent, and qemu does.
vmdk("hidden.vmdk", " \t" + flat % canary)
vmdk("parent.vmdk", 'RW 2048 ZERO\nparentFileNameHint="%s"\n' % canary,
     parent="12345678")
vmdk4("descriptor.vmdk", 0, HEAD % ("ffffffff", "monolithicFlat") +
      flat % canary)
vmdk4("sparse-parent.vmdk", 2048,
      HEAD % ("12345678", "monolithicSparse") +
      'parentFileNameHint="%s"\nRW 2048 SPARSE "x"\n' % canary)
vmdk4("sparse-two.vmdk", 2048, HEAD % ("ffffffff", "monolithicSparse") +
      'RW 1024 SPARSE "x"\n' + flat % canary)
# The piece of a disk that lies beside it is itself a descriptor.
vmdk("inner.vmdk", 'RW 2048 SPARSE "descriptor.vmdk"\n',
     "twoGbMaxExtentSparse")

# ---- Virtual PC and Hyper-V ----

def seal(d, off, size, where_to):
    d[off + where_to:off + where_to + 4] = bytes(4)
    d[off + where_to:off + where_to + 4] = be(
        "I", ~sum(d[off:off + size]) & 0xffffffff)


def made(fmt, *options):
    path = os.path.join(where, "made")
    subprocess.run(["qemu-img", "create", "-q", "-f", fmt, *options, path,
                    "4M"], check=True)
    with open(path, "rb") as f:
        data = bytearray(f.read())
    os.unlink(path)
    return data


d = made("vpc", "-o", "force_size=on")
for off in (0, len(d) - 512):
    d[off + 60:off + 64] = be("I", 4)
    seal(d, off, 512, 64)
wide = canary.encode("utf-16-be")
d[512 + 64:512 + 64 + len(wide)] = wide
seal(d, 512, 1024, 36)
write("differencing.vhd", bytes(d))
d = made("vpc", "-o", "subformat=fixed,force_size=on")
write("fixed.vhd", bytes(d))
d = made("vhdx")
# The file parameters, 64 KiB behind the table of metadata: "has a parent".
off = d.index(b"metadata") + 65536 + 4
d[off] |= 2
write("parent.vhdx", bytes(d))

# ---- those that only have to be recognised ----

write("plain.vdi", bytes(made("vdi")))
write("plain.parallels", bytes(made("parallels")))
write("plain.bochs", b"Bochs Virtual HD Image\0", 65536)
write("plain.cloop", b"#!/bin/sh\n#V2.0 Format\nmodprobe cloop\n", 65536)
write("plain.dmg", at((65536 - 512, b"koly" + be("II", 4, 512)),
                      (65535, b"\0")))
