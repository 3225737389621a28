#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""
Flips bits of a copy of a vault that holds a disk, and insists that what is
read of the disk and of its volumes is right or an error, and that `vmbackup
check` finds an error.
"""
import argparse
import os
import random
import shutil
import subprocess
import sys

POINT = "golden/latest:"
FILES = ("disks/vda.raw", "disks/vdb.raw", "volumes/vda1.raw",
         "volumes/vda1/numbers", "volumes/vda1/etc/hostname",
         "config/domain.xml")


class Victim:
    def __init__(self, args):
        self.args = args
        self.bad = []
        self.runs = self.errors = 0
        self.right = {}
        for path in FILES:
            r = self.run(args.vault, "cat", POINT + path)
            if r.returncode or not r.stdout:
                sys.exit("%s is not in the vault: %r" % (path, r.stderr))
            self.right[path] = r.stdout

    def run(self, vault, *what):
        return subprocess.run(
            [self.args.vmbackup, "-r", vault, "--key-file",
             self.args.keyfile, "--no-cache", *what],
            capture_output=True, timeout=120)

    def look(self, what):
        self.runs += 1
        if self.run(self.args.work, "check", "--read-data").returncode == 0:
            self.bad.append("%s: check finds nothing" % what)
        for path in FILES:
            r = self.run(self.args.work, "cat", POINT + path)
            if r.returncode < 0 or r.returncode >= 126:
                self.bad.append("%s: cat %s ends with %d" % (
                    what, path, r.returncode))
            elif r.returncode:
                self.errors += 1
                if not self.right[path].startswith(r.stdout):
                    self.bad.append("%s: other bytes before the error in %s" %
                                    (what, path))
            elif r.stdout != self.right[path]:
                self.bad.append("%s: other bytes in %s" % (what, path))

    def flip(self, name, at, bit):
        shutil.rmtree(self.args.work, ignore_errors=True)
        shutil.copytree(self.args.vault, self.args.work)
        with open(os.path.join(self.args.work, name), "r+b") as f:
            f.seek(at)
            b = f.read(1)
            f.seek(at)
            f.write(bytes([b[0] ^ 1 << bit]))
        self.look("%s: bit %d of byte %d flipped" % (name, bit, at))


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--vmbackup", required=True)
    p.add_argument("--vault", required=True)
    p.add_argument("--keyfile", required=True)
    p.add_argument("--work", required=True)
    p.add_argument("--all", action="store_true", help="every byte")
    args = p.parse_args()
    rng = random.Random(4)
    v = Victim(args)
    for folder, _, names in sorted(os.walk(args.vault)):
        for leaf in sorted(names):
            path = os.path.join(folder, leaf)
            name, size = os.path.relpath(path, args.vault), \
                os.path.getsize(path)
            # What is in the disk is in packs.
            step = 1 if args.all else 601 if "pack/" in name else 257
            for at in range(rng.randrange(step), size, step):
                v.flip(name, at, rng.randrange(8))
    shutil.rmtree(args.work, ignore_errors=True)
    for line in v.bad[:40]:
        print(line)
    print("%d flips, %d errors met, %d things wrong" % (
        v.runs, v.errors, len(v.bad)), file=sys.stderr)
    # A sample that hits nothing would be no test.
    return 1 if v.bad or not v.errors else 0


sys.exit(main())
