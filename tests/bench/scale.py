#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""
Measures what grows with a vault, and prints a table: seconds of CPU, the peak
of memory, the bytes of the local database, and what a listing asks of the store.
Times of the clock are not shown, for they say what else the machine does.

The vaults are made by tests/bench/scale below --work, which should be in memory:
on a disk, making them takes far longer. All is removed at the end, and nothing
stays mounted. --before names a directory where another version was built; it
gets the same vaults, and a column of its own.
"""
import argparse
import glob
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

TICK = os.sysconf("SC_CLK_TCK")


class Build:
    def __init__(self, args, title, where):
        self.title = title
        self.where = where
        self.work = os.path.join(args.work, title)
        self.key = args.key
        self.rows = {}
        os.mkdir(self.work)

    def program(self, name):
        return os.path.join(self.where, name)

    def run(self, vault, cache, *argv):
        """Run vmbackup; return seconds of CPU and MB at the peak."""
        command = [self.program("vmbackup"), "-q", "-r", vault, "--key-file",
                   self.key, "--cache-dir", os.path.join(self.work, cache)]
        with open(os.devnull, "wb") as null:
            p = subprocess.Popen(command + list(argv), stdout=null)
        _, status, used = os.wait4(p.pid, 0)
        p.returncode = os.waitstatus_to_exitcode(status)
        if p.returncode != 0:
            sys.exit("%s: exit code %d" % (" ".join(command), p.returncode))
        return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024

    def best(self, *argv):
        """The least of three: what else runs can only add."""
        return min(self.run(*argv) for _ in range(3))

    def note(self, row, cpu, mb=None, **more):
        self.rows[row] = dict(cpu_s=round(cpu, 3), **more)
        if mb is not None:
            self.rows[row]["peak_mb"] = round(mb, 1)
        print("%s: %s: %s" % (self.title, row, self.rows[row]),
              file=sys.stderr, flush=True)

    def database(self, cache):
        path = os.path.join(self.work, cache, "*", "catalog.db")
        return sum(os.path.getsize(f) for f in glob.glob(path + "*"))

    def indexes(self, cache):
        """How many index objects are in use."""
        path = glob.glob(os.path.join(self.work, cache, "*", "catalog.db"))
        with sqlite3.connect(path[0]) as db:
            return db.execute("SELECT count(*) FROM sources WHERE name"
                              " LIKE 'index/%'").fetchone()[0]


def cpu_of(pid):
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def find_pids(mnt):
    """The processes of a mount: some versions have two."""
    pids = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as f:
                words = f.read().split(b"\0")
        except OSError:
            continue
        if b"mount.vmbackupfs" in words[0] and mnt.encode() in words:
            pids.append(int(path.split("/")[2]))
    if not pids:
        sys.exit("the mount is not there")
    return pids


def peak_mb(pid):
    with open("/proc/%d/status" % pid) as f:
        return int(re.search(r"VmHWM:\s+(\d+)", f.read()).group(1)) / 1024


def looks(b, vault, cache, mnt):
    """CPU of the mount's process for ten looks at vms/, and its memory."""
    os.makedirs(mnt)
    subprocess.run([b.program("mount.vmbackupfs"), vault, mnt, "-o",
                    "keyfile=%s,cachedir=%s" % (b.key,
                                                os.path.join(b.work, cache))],
                   check=True)
    try:
        pids = find_pids(mnt)
        os.listdir(mnt + "/vms")
        before = sum(map(cpu_of, pids))
        for _ in range(10):
            # Longer than refresh=1, so that each look lists the points.
            time.sleep(1.1)
            os.listdir(mnt + "/vms")
        used = sum(map(cpu_of, pids)) - before
        peak = max(map(peak_mb, pids))
    finally:
        subprocess.run(["umount", mnt], check=True)
    b.note("mount: ten looks at vms/", used, peak)


def measure(b, args):
    # What was seen of these vaults is of no use later; and each build has copies
    # of the same ones, which would miss what the other one put into its own.
    os.environ["VMBACKUP_STATE_DIR"] = os.path.join(b.work, "state")
    vault = os.path.join(b.work, "vault")
    shutil.copytree(os.path.join(args.work, "points"), vault)
    b.note("points, cold, all loose", *b.run(vault, "c1", "points"),
           database_kb=b.database("c1") // 1024)
    b.note("points, warm", *b.best(vault, "c1", "points"))
    source = os.path.join(b.work, "one")
    os.mkdir(source)
    with open(os.path.join(source, "file"), "w") as f:
        f.write("file\n")
    backup = ("backup", "--vm", "one", source)
    b.note("one-file backup, the first", *b.run(vault, "c1", *backup),
           indexes=b.indexes("c1"))
    b.note("one-file backup, warm", *b.best(vault, "c1", *backup))
    b.note("points, cold, after a backup", *b.run(vault, "c2", "points"),
           database_kb=b.database("c2") // 1024)
    b.note("points, warm, after a backup", *b.best(vault, "c2", "points"))
    if not args.no_mount:
        looks(b, vault, "c2", os.path.join(b.work, "mnt"))
    shutil.rmtree(vault)
    chunks = os.path.join(args.work, "chunks")
    # Listing points reads no index.
    b.note("import of %d chunks" % args.chunks,
           *b.run(chunks, "c3", "stats"),
           indexes=b.indexes("c3"),
           database_bytes_a_chunk=round(b.database("c3") / args.chunks, 1))
    if args.collect:
        collect(b, args)


def collect(b, args):
    """Half of the points of a vault are forgotten, and then removed."""
    vault = os.path.join(b.work, "grown")
    subprocess.run([args.scale, "grow", vault, args.key,
                    os.path.join(b.work, "c4"), str(args.points),
                    str(args.chunks)], check=True)
    keep = ("--keep-last", str(max(1, args.points // 40)))
    tail = " of %d points, %d chunks" % (args.points, args.chunks)
    b.note("stats" + tail, *b.run(vault, "c5", "stats"))
    b.note("forget -n", *b.run(vault, "c5", "forget", "-n", *keep))
    b.note("forget", *b.run(vault, "c5", "forget", *keep))
    forge = os.path.join(os.path.dirname(__file__), "../reader/forge.py")
    subprocess.run([sys.executable, forge, vault, args.key, "age", "15"],
                   check=True, stdout=subprocess.DEVNULL)
    b.note("prune -n, cold", *b.run(vault, "c6", "prune", "-n"))
    b.note("prune -n, warm", *b.run(vault, "c6", "prune", "-n"))
    b.note("prune", *b.run(vault, "c6", "prune", "--yes-remove",
                           str(asked_for(b, vault))))
    shutil.rmtree(vault)


def asked_for(b, vault):
    """The number that has to be typed for that much to be removed."""
    p = subprocess.run([b.program("vmbackup"), "-q", "-r", vault, "--key-file",
                        b.key, "--cache-dir", os.path.join(b.work, "c6"),
                        "prune"], stdout=subprocess.DEVNULL,
                       stderr=subprocess.PIPE, text=True)
    found = re.search(r"--yes-remove (\d+)", p.stderr)
    if p.returncode != 1 or not found:
        sys.exit("prune did not ask: " + p.stderr)
    return int(found.group(1))


def count(args):
    """What a listing asks of a store in memory: lines of JSON."""
    text = subprocess.run([args.scale, "count", str(min(args.points, 1000))],
                          check=True, stdout=subprocess.PIPE, text=True).stdout
    return [json.loads(line) for line in text.splitlines()]


def show(builds, counted):
    print("%-44s" % "CPU seconds, peak MB" +
          "".join("%22s" % b.title for b in builds))
    for row in builds[-1].rows:
        print("%-44s" % row + "".join(
            "%12.3f %6.0f MB" % (b.rows[row]["cpu_s"],
                                 b.rows[row].get("peak_mb", 0))
            for b in builds))
        for key in builds[-1].rows[row]:
            if key not in ("cpu_s", "peak_mb"):
                print("%-44s" % ("    " + key.replace("_", " ")) + "".join(
                    "%12s%10s" % (b.rows[row].get(key, "-"), "")
                    for b in builds))
    for c in counted:
        print("%s, %d points: %s" % (
            c["what"], c["points"],
            ", ".join("%s %d" % (k, v) for k, v in c.items()
                      if k not in ("what", "points"))))


def main():
    p = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", default=".", help="where vmbackup was built")
    p.add_argument("--before", help="where another version was built")
    p.add_argument("--work", default="/dev/shm", help="where vaults are made")
    p.add_argument("--points", type=int, default=10000)
    p.add_argument("--chunks", type=int, default=1000000)
    p.add_argument("--no-mount", action="store_true")
    p.add_argument("--collect", action="store_true",
                   help="also remove half of as many points that share chunks")
    p.add_argument("--json", help="a file for the figures")
    args = p.parse_args()
    args.scale = os.path.join(args.build, "tests/bench/scale")
    args.work = tempfile.mkdtemp(prefix="bench-scale-", dir=args.work)
    os.environ["VMBACKUP_STATE_DIR"] = os.path.join(args.work, "state")
    try:
        args.key = os.path.join(args.work, "key")
        with open(os.open(args.key, os.O_WRONLY | os.O_CREAT, 0o600),
                  "wb") as f:
            f.write(os.urandom(32))
        subprocess.run([args.scale, "make", args.work + "/points", args.key,
                        str(args.points), "100", "0", "0"], check=True)
        # Index objects of ten packs of a thousand chunks.
        subprocess.run([args.scale, "make", args.work + "/chunks", args.key,
                        "0", "1000", str(args.chunks // 10000), "10"],
                       check=True)
        builds = [Build(args, "before", args.before)] if args.before else []
        builds.append(Build(args, "now", args.build))
        for b in builds:
            measure(b, args)
        counted = count(args)
    finally:
        shutil.rmtree(args.work)
    show(builds, counted)
    if args.json:
        with open(args.json, "w") as f:
            json.dump({"rows": {b.title: b.rows for b in builds},
                       "listings": counted}, f, indent=1)


if __name__ == "__main__":
    main()
