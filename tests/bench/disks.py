#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""
Measures the backup of a disk and what is read from it: ours beside the
installed peers, in one run (as root).

An 8 GiB ext4 disk is filled from --tree with share, jvm, include and gcc (or
with what of the tree fits into 2 GiB, where it has none of these). Then it
changes: 2,000 small files grow by a line, one directory goes, one is added.
Both states are backed up. Of the second one are read: random 4 KiB in the used
parts of the raw disk, the whole raw disk, and, through whatever way there is to
the files inside (our volumes; a loop mount over the disk that FUSE serves), the
first ls of the root, a find, and a cp -a of a directory of some 8,000 files.

Everything is below --work and is removed at the end; nothing stays mounted.
"""
import argparse
import atexit
import json
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time

import bench

ROWS = [
    ("first", "first backup of the disk", "s", 5.0),
    ("changed", "backup of the changed disk", "s", 1.2),
    ("size", "vault size after both", "MB", None),
    ("mem_backup", "peak memory of backup", "MB", None),
    ("mount", "mount until ls of the root", "s", 0.05),
    ("disk_rand4k", "random 4 KiB of the raw disk", "ms", None),
    ("disk_rand4k_p99", "the same, 99th percentile", "ms", None),
    ("disk_read", "the raw disk, whole, cold", "s", None),
    ("volume_ls", "first ls of the volume's root", "s", None),
    ("volume_find", "find over the volume, cold", "s", None),
    ("volume_cp", "cp -a of a directory in it, cold", "s", None),
    ("mem_mount", "peak memory of mount", "MB", 128.0),
]
PARTS = ["share", "jvm", "include", "gcc"]
USED = 2 << 30

loops = []


def detach(loop):
    subprocess.run(["losetup", "-d", loop], capture_output=True)
    if loop in loops:
        loops.remove(loop)


def attach(path, *options):
    loop = subprocess.run(["losetup", "-f", "--show", *options, path],
                          check=True, capture_output=True,
                          text=True).stdout.strip()
    loops.append(loop)
    return loop


def clean_up():
    bench.clean_up()
    for loop in list(loops):
        detach(loop)


class Mounted:
    """The image, mounted to be written."""

    def __init__(self, image, path):
        self.image, self.path = image, path

    def __enter__(self):
        os.makedirs(self.path, exist_ok=True)
        self.loop = attach(self.image)
        bench.mounts.append(self.path)
        subprocess.run(["mount", self.loop, self.path], check=True)
        return self.path

    def __exit__(self, *_):
        bench.unmount(self.path)
        detach(self.loop)


def fill(tree, top):
    parts = [p for p in PARTS if os.path.isdir(os.path.join(tree, p))]
    for part in parts or sorted(os.listdir(tree)):
        if not parts and bench.disk_usage(os.path.join(tree, part)) > USED:
            continue
        used = os.statvfs(top)
        if (used.f_blocks - used.f_bfree) * used.f_frsize > USED * 5 // 4:
            break
        subprocess.run(["cp", "-a", os.path.join(tree, part), top],
                       check=True)


def small_files(top, n):
    found = []
    for folder, folders, names in os.walk(top):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)
            st = os.lstat(path)
            if stat.S_ISREG(st.st_mode) and 0 < st.st_size < 16384:
                found.append(path)
                if len(found) == n:
                    return found
    return found


def change(tree, top):
    gone = os.path.join(top, "include")
    if os.path.isdir(gone):
        shutil.rmtree(gone)
    added = os.path.join(tree, "python3")
    if not os.path.isdir(added):
        added = os.path.join(tree, sorted(os.listdir(tree))[0])
    subprocess.run(["cp", "-a", added, os.path.join(top, "added")],
                   check=True)
    for path in small_files(top, 2000):
        with open(path, "a") as f:
            f.write("change\n")


def make_disks(tree, work):
    """(first state, changed state)"""
    one, two = os.path.join(work, "one.raw"), os.path.join(work, "two.raw")
    with open(one, "wb") as f:
        f.truncate(8 << 30)
    subprocess.run(["mkfs.ext4", "-q", "-F", one], check=True)
    with Mounted(one, os.path.join(work, "image")) as top:
        fill(tree, top)
    subprocess.run(["cp", "--sparse=always", one, two], check=True)
    with Mounted(two, os.path.join(work, "image")) as top:
        change(tree, top)
    os.rmdir(os.path.join(work, "image"))
    return one, two


def warm(path):
    with open(path, "rb", buffering=0) as f:
        while f.read(1 << 20):
            pass


def used_ranges(path):
    """The data of a sparse file, (start, end)."""
    ranges, at = [], 0
    fd = os.open(path, os.O_RDONLY)
    size = os.fstat(fd).st_size
    try:
        while at < size:
            start = os.lseek(fd, at, os.SEEK_DATA)
            at = os.lseek(fd, start, os.SEEK_HOLE)
            if at - start >= 65536:
                ranges.append((start, at))
    except OSError:
        pass
    os.close(fd)
    return ranges


def rand4k(raw, ranges, count=2000, seconds=60):
    rng = random.Random(7)
    weights = [end - start for start, end in ranges]
    ms = []
    fd = os.open(raw, os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
    begin = time.monotonic()
    while len(ms) < count and time.monotonic() - begin < seconds:
        start, end = rng.choices(ranges, weights)[0]
        at = rng.randrange(start // 4096, end // 4096) * 4096
        t = time.monotonic()
        os.pread(fd, 4096, at)
        ms.append((time.monotonic() - t) * 1e3)
    os.close(fd)
    ms.sort()
    return sum(ms) / len(ms), ms[int(len(ms) * 0.99)]


# ---- contestants ----

class Ours(bench.Ours):
    def backup_disk(self, image):
        return bench.timed(self.cli + ["-q", "backup", "--vm", "bench",
                                       "--disk", "vda=" + image])

    def start(self):
        bench.Ours.start(self)
        return self.mnt + "/vms/bench/latest", None

    def raw(self, root):
        return root + "/disks/vda.raw"

    def volume(self, root):
        return root + "/volumes/vda"


class OursLoop(Ours):
    """The kernel's ext4 over the raw disk that our mount serves."""
    name = "ours+loop"
    writes = False

    def volume(self, root):
        return None


class Restic(bench.Restic):
    def backup_disk(self, image):
        put_in_place(image, self.tree)
        return self.backup(0)

    def raw(self, root):
        return root + "/disk.raw"

    def volume(self, root):
        return None


class Borg(bench.Borg):
    count = 0

    def backup_disk(self, image):
        self.count += 1
        put_in_place(image, self.tree)
        return bench.timed(["borg", "create", "-C", "zstd,3", "--sparse",
                            "--chunker-params", "fixed,262144", "%s::%d" % (
                                self.store, self.count), self.tree], self.env)

    def start(self):
        return (self.mnt + self.tree, self.background(
            ["borg", "mount", "-f", self.store + "::2", self.mnt]))

    raw = Restic.raw
    volume = Restic.volume


class Native(bench.Native):
    """The image itself, and a loop mount of it."""

    def start(self):
        return self.tree, None

    raw = Restic.raw
    volume = Restic.volume


CONTESTANTS = [Ours, OursLoop, Restic, Borg, Native]


def put_in_place(image, folder):
    """The same name for both states, as a disk has; no bytes are copied."""
    path = os.path.join(folder, "disk.raw")
    if os.path.exists(path):
        os.unlink(path)
    os.link(image, path)


# ---- measuring ----

def measure_writes(c, one, two, out):
    warm(one)
    out["first"], kib = c.backup_disk(one)
    warm(two)
    out["changed"], again = c.backup_disk(two)
    out["mem_backup"] = max(kib, again) / 1024
    out["size"] = bench.disk_usage(c.store) / 1e6


def mounted_loop(c, raw):
    loop = attach(raw, "-r")
    path = os.path.join(c.work, "volume")
    os.makedirs(path, exist_ok=True)
    bench.mounts.append(path)
    subprocess.run(["mount", "-o", "ro,noload", loop, path], check=True)
    return path, loop


def measure_volume(c, raw, volume, out):
    scratch = tempfile.mkdtemp(dir=c.work)
    loop = None
    try:
        bench.drop_caches()
        start = time.monotonic()
        if not volume:
            volume, loop = mounted_loop(c, raw)
        os.listdir(volume)
        out["volume_ls"] = time.monotonic() - start
        bench.drop_caches()
        out["volume_find"], _ = bench.timed(["find", volume], ok=(0, 1))
        bench.drop_caches()
        sub = os.path.join(volume, "added")
        if os.path.isdir(sub):
            out["volume_cp"], _ = bench.timed(["cp", "-a", sub, scratch])
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        if loop:
            bench.unmount(volume)
            detach(loop)


def measure_reads(c, two, out):
    bench.drop_caches()
    if c.name != "native":
        os.makedirs(c.mnt, exist_ok=True)
        bench.mounts.append(c.mnt)
    try:
        start = time.monotonic()
        root, process = c.start()
        bench.wait_root(root, process)
        if c.name != "native":
            out["mount"] = time.monotonic() - start
        raw = c.raw(root)
        bench.drop_caches()
        out["disk_rand4k"], out["disk_rand4k_p99"] = rand4k(
            raw, used_ranges(two))
        bench.drop_caches()
        out["disk_read"], _ = bench.timed(["dd", "if=" + raw, "of=/dev/null",
                                           "bs=1M"])
        measure_volume(c, raw, c.volume(root), out)
        if c.name != "native" and c.pid(process):
            out["mem_mount"] = bench.peak_mb(c.pid(process))
    finally:
        clean_up()


def measure(cls, work, args, one, two, left):
    """@left: a store that the next contestant reads too."""
    source = os.path.join(work, "source")
    os.makedirs(source, exist_ok=True)
    c = cls(source, work, args)
    out = {}
    try:
        if cls.writes:
            shutil.rmtree(c.dir, ignore_errors=True)
            os.makedirs(c.dir)
            c.init()
            measure_writes(c, one, two, out)
            left.append(c)
        elif isinstance(c, Ours):
            for name in ("key", "cache", "store"):
                setattr(c, name, getattr(left[0], name))
        else:
            put_in_place(two, source)
        measure_reads(c, two, out)
    except (OSError, RuntimeError, subprocess.CalledProcessError) as e:
        bench.say("%s: %s" % (c.name, e))
        out["error"] = str(e)
    finally:
        clean_up()
    return out


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse
                                .RawDescriptionHelpFormatter)
    p.add_argument("--tree", default=os.environ.get("BENCH_TREE") or
                   "/usr")
    p.add_argument("--work")
    p.add_argument("--build", default=os.environ.get("VMBACKUP_BUILD", "."))
    p.add_argument("--only", help="contestants, by commas: " + ",".join(
        c.name for c in CONTESTANTS))
    p.add_argument("--json", metavar="FILE")
    args = p.parse_args()
    if os.geteuid() != 0:
        sys.exit("disks.py: needs root, for loop devices and cold caches")
    only = args.only.split(",") if args.only else [
        c.name for c in CONTESTANTS]
    args.vmbackup = bench.program(args.build, "vmbackup")
    args.mounter = bench.program(args.build, "mount.vmbackupfs")
    work = os.path.realpath(args.work or tempfile.mkdtemp(
        prefix="vmbackup-bench-", dir=os.environ.get("TMPDIR", "/var/tmp")))
    os.makedirs(work, exist_ok=True)
    atexit.register(clean_up)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda n, _frame: sys.exit(128 + n))
    made = os.path.join(work, "disks")
    results, left = {}, []
    try:
        os.makedirs(made)
        bench.say("making the disks")
        one, two = make_disks(os.path.realpath(args.tree), made)
        for cls in CONTESTANTS:
            if cls.name not in only or cls.missing():
                continue
            bench.say(cls.name)
            results[cls.name] = measure(cls, made, args, one, two, left)
            if args.json:
                with open(args.json, "w") as f:
                    json.dump({"schema_version": 1, "results": results}, f,
                              indent=1)
        bench.table(results, {r[0] for r in ROWS}, ROWS)
    finally:
        clean_up()
        shutil.rmtree(made, ignore_errors=True)
        if not args.work:
            shutil.rmtree(work, ignore_errors=True)
    return 1 if any("error" in r for n, r in results.items()
                    if n in ("vmbackupfs", "ours+loop")) else 0


if __name__ == "__main__":
    sys.exit(main())
