#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""
Fills a directory with what an initial RAM disk for a test machine holds:
busybox, kernel modules with all that they depend on, and an init that loads
them in order and hands over to the filesystem on /dev/vda.

    initramfs.py DIR MODULES BUSYBOX    MODULES: /lib/modules/VERSION
"""
import lzma
import os
import re
import shutil
import sys

# Built in, where there is no such file.
WANTED = ("virtio_pci", "virtio_blk", "crc32c_generic", "ext4")

INIT = """#!/bin/busybox sh
/bin/busybox mount -t devtmpfs none /dev
for m in $(/bin/busybox cat /order); do
	/bin/busybox insmod /$m || echo "insmod $m failed"
done
/bin/busybox mount -t ext4 /dev/vda /root ||
	{ echo "no root filesystem"; /bin/busybox poweroff -f; }
exec /bin/busybox switch_root /root /sbin/init
echo "no init"
/bin/busybox poweroff -f
"""


def modules(top):
    found = {}
    for folder, _, names in os.walk(top):
        for name in names:
            m = re.fullmatch(r"(.+)\.ko(\.xz)?", name)
            if m:
                found[m[1].replace("-", "_")] = os.path.join(folder, name)
    return found


def read(path):
    with (lzma.open if path.endswith(".xz") else open)(path, "rb") as f:
        return f.read()


def main():
    out, top, busybox = sys.argv[1:]
    found = modules(top)
    order = []

    def take(name):
        path = found.get(name)
        if not path or name in order:
            return
        data = read(path)
        needs = re.search(rb"\0depends=([^\0]*)\0", data)
        for n in (needs[1].decode() if needs else "").split(","):
            take(n.replace("-", "_"))
        order.append(name)
        with open(os.path.join(out, name), "wb") as f:
            f.write(data)

    for name in ("bin", "dev", "root"):
        os.makedirs(os.path.join(out, name))
    for name in WANTED:
        take(name)
    shutil.copy(busybox, os.path.join(out, "bin/busybox"))
    with open(os.path.join(out, "order"), "w") as f:
        f.write(" ".join(order))
    with open(os.path.join(out, "init"), "w") as f:
        f.write(INIT)
    os.chmod(os.path.join(out, "init"), 0o755)


main()
