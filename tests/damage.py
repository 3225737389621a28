#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""
Damages a copy of a vault, one way at a time, and insists that `vmbackup
check` ends with an error that names the object.
"""
import argparse
import os
import random
import shutil
import subprocess
import sys


def objects(vault):
    out = []
    for folder, _, names in os.walk(vault):
        for name in names:
            path = os.path.relpath(os.path.join(folder, name), vault)
            out.append(path)
    return sorted(out)


class Victim:
    def __init__(self, args):
        self.args = args
        self.bad = []
        self.runs = 0

    def fresh(self):
        shutil.rmtree(self.args.work, ignore_errors=True)
        shutil.copytree(self.args.vault, self.args.work, copy_function=os.link)

    def own(self, name):
        """The work directory links to the vault: give it a copy to change."""
        path = os.path.join(self.args.work, name)
        with open(path, "rb") as f:
            data = bytearray(f.read())
        os.unlink(path)
        return path, data

    def check(self, what, name, silent=False):
        r = subprocess.run(
            [self.args.vmbackup, "-r", self.args.work, "--key-file",
             self.args.keyfile, "--no-cache", "check",
             "--read-data"], capture_output=True, timeout=120)
        self.runs += 1
        said = (r.stdout + r.stderr).decode(errors="replace")
        if r.returncode == 0:
            self.bad.append("%s: check finds nothing" % what)
        elif r.returncode not in (1, 10, 12, 13, 16):
            self.bad.append("%s: check ends with %d: %s" % (
                what, r.returncode, said[-300:]))
        elif not silent and not self.names(name, said):
            self.bad.append("%s: check does not name it: %s" % (
                what, said[-300:]))

    @staticmethod
    def names(name, said):
        # A slot that does not open may be of another password, as far as
        # anybody can tell; config and slots name the vault to one another.
        if name.startswith("key/") or name == "config":
            return "key" in said or "config" in said
        last = name.split("/")[-1]
        return last[:8] in said or name in said

    def flip(self, name, at, bit):
        self.fresh()
        path, data = self.own(name)
        data[at] ^= 1 << bit
        with open(path, "wb") as f:
            f.write(data)
        self.check("%s: bit %d of byte %d flipped" % (name, bit, at), name)

    def cut(self, name, length):
        self.fresh()
        path, data = self.own(name)
        with open(path, "wb") as f:
            f.write(data[:length])
        self.check("%s: cut to %d of %d" % (name, length, len(data)), name)

    def extend(self, name):
        self.fresh()
        path, data = self.own(name)
        with open(path, "wb") as f:
            f.write(data + b"\0")
        self.check("%s: a byte more" % name, name)

    def remove(self, name):
        self.fresh()
        os.unlink(os.path.join(self.args.work, name))
        self.check("%s: removed" % name, name, silent=True)

    def swap(self, one, other):
        self.fresh()
        a = os.path.join(self.args.work, one)
        b = os.path.join(self.args.work, other)
        os.rename(a, a + ".x")
        os.rename(b, a)
        os.rename(a + ".x", b)
        self.check("%s and %s: swapped" % (one, other), one, silent=True)


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--vmbackup", required=True)
    p.add_argument("--vault", required=True)
    p.add_argument("--keyfile", required=True)
    p.add_argument("--work", required=True)
    p.add_argument("--all", action="store_true", help="every byte")
    args = p.parse_args()
    rng = random.Random(3)
    v = Victim(args)
    names = objects(args.vault)
    kinds = {}
    for name in names:
        kinds.setdefault(name.split("/")[0], []).append(name)
    for want in ("config", "key", "session", "pack", "index", "point",
                 "commit"):
        if want not in kinds:
            sys.exit("the vault has no %s" % want)
    for name in names:
        size = os.path.getsize(os.path.join(args.vault, name))
        if args.all:
            places = range(size)
        else:
            places = {0, 8, 10, 11, 16, 32, 64, 96, size - 1, size - 17,
                      size - 24, size // 2}
            places |= {rng.randrange(size) for _ in range(3)}
        for at in sorted(x for x in places if 0 <= x < size):
            v.flip(name, at, rng.randrange(8))
        for length in (0, 1, size // 2, size - 1):
            v.cut(name, length)
        v.extend(name)
        # Without its only key a vault does not open; sessions of committed
        # points and commits that are missing leave garbage or no point.
        if not name.startswith(("session/", "commit/", "index/")):
            v.remove(name)
    for kind, members in kinds.items():
        if len(members) > 1:
            v.swap(members[0], members[1])
    shutil.rmtree(args.work, ignore_errors=True)
    for line in v.bad[:40]:
        print(line)
    print("%d ways to damage, %d not noticed or not named" % (
        v.runs, len(v.bad)), file=sys.stderr)
    return 1 if v.bad else 0


sys.exit(main())
