#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""
Measures the peak of memory where there is much of one thing, and compares it with
what vmbackupfs(7) promises: chunks in one session, names in one directory, files
whose other names are to come, and the largest index object that the format
allows. Exits with 1 where a promise is broken.

The full size takes an hour and 12 GB below --work; --divide 100 a minute. All
is removed at the end, and nothing stays mounted.
"""
import argparse
import glob
import json
import os
import re
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

MB = 1 << 20
OWN_MB = 40  # this program
# What one kind of thing may take beside what a command takes anyway.
SESSION_MB = 48  # without threads that compress
BACKUP_MB = 150
RESTORE_MB = 150
MOUNT_MB = 128
SHOWN_SECONDS = 60  # until a mount shows a new point, at most
NAME_BYTES = 40  # of a name of 20 bytes
LINK_BYTES = 160  # of a small file
RESTORE_LINK_BYTES = 130  # with a name of 20 bytes


class Bench:
    def __init__(self, args):
        self.args = args
        self.work = args.work
        self.key = os.path.join(self.work, "key")
        self.rows = []
        with open(os.open(self.key, os.O_WRONLY | os.O_CREAT, 0o600),
                  "wb") as f:
            f.write(os.urandom(32))

    def path(self, name):
        return os.path.join(self.work, name)

    def program(self, name):
        return os.path.join(self.args.build, name)

    def run(self, *argv):
        """Run a program; return its peak in MB and its seconds of CPU."""
        with open(os.devnull, "wb") as null:
            p = subprocess.Popen(argv, stdout=null)
        _, status, used = os.wait4(p.pid, 0)
        p.returncode = os.waitstatus_to_exitcode(status)
        if p.returncode != 0:
            sys.exit("%s: exit code %d" % (" ".join(argv), p.returncode))
        # What this program held as it began another one counts as that one's.
        mine = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if mine > OWN_MB * 1024:
            sys.exit("the bench itself takes %d MB" % (mine // 1024))
        return used.ru_maxrss / 1024, used.ru_utime + used.ru_stime

    def vmbackup(self, vault, *argv):
        return self.run(self.program("vmbackup"), "-q", "-r", vault,
                        "--key-file", self.key, "--cache-dir",
                        self.path("cache"), *argv)

    def note(self, what, n, used, bound_mb):
        row = dict(what=what, n=n, peak_mb=round(used[0], 1),
                   cpu_s=round(used[1], 1), bound_mb=round(bound_mb, 1))
        self.rows.append(row)
        print("%-34s %9d %8.1f MB of %6.1f %8.1f s of CPU%s" %
              (what, n, row["peak_mb"], row["bound_mb"], row["cpu_s"],
               "" if used[0] <= bound_mb else "  TOO MUCH"), flush=True)

    def forget(self, *names):
        for name in ("cache",) + names:
            shutil.rmtree(self.path(name), ignore_errors=True)

    def mount(self, vault, fn):
        """The peak of a mount while fn(mount point) runs."""
        mnt = self.path("mnt")
        os.makedirs(mnt, exist_ok=True)
        subprocess.run([self.program("mount.vmbackupfs"), vault, mnt, "-o",
                        "keyfile=%s,cachedir=%s" % (self.key,
                                                    self.path("cache"))],
                       check=True)
        try:
            fn(mnt)
            return max(peak_mb(pid) for pid in find_pids(mnt))
        finally:
            subprocess.run(["umount", mnt], check=True)

    def indexes_of(self, n):
        """A vault, made by a program of the tests, that has an index object of so
        many chunks in ten packs; the object."""
        vault = self.path("vault")
        self.run(self.program("tests/bench/scale"), "make", vault, self.key,
                 "0", str(n // 10), "1", "10")
        return glob.glob(vault + "/index/*")[0]

    # ---- what there is much of ----

    def session(self, n):
        used = self.run(self.program("tests/bench/scale"), "session",
                        self.path("vault"), self.key, self.path("cache"),
                        str(n))
        self.note("session: chunks", n, used, SESSION_MB)
        self.forget("vault")

    def index(self, n):
        """An index object of so many chunks, in ten packs; it comes while the
        mount's caches are full, too."""
        vault = self.path("vault")
        late = self.indexes_of(n)
        peak = self.mount(vault, lambda mnt: os.listdir(mnt + "/vms"))
        self.note("mount, importing an index: chunks", n, (peak, 0), MOUNT_MB)
        shutil.rmtree(self.path("cache"))
        self.full_caches(vault)
        os.rename(late, self.path("late"))

        def fill_and_import(mnt):
            read_all(mnt + "/vms/m/latest/files")
            os.rename(self.path("late"), late)
            self.make_point(vault, "new", "cache-of-new", self.key)
            # What is in it is in no index object that the mount knows.
            read_all(mnt + "/vms/new/latest/files")
            self.assert_imported(late)
        peak = self.mount(vault, fill_and_import)
        self.note("the same beside full caches", n, (peak, 0), MOUNT_MB)
        self.forget("vault", "source", "cache-of-new")

    def assert_imported(self, index):
        """What was measured did happen."""
        path = glob.glob(self.path("cache/*/catalog.db"))[0]
        name = "/".join(index.split("/")[-2:])
        with sqlite3.connect(path) as db:
            if not db.execute("SELECT 1 FROM sources WHERE name = ?",
                              (name,)).fetchone():
                sys.exit(name + " was not imported")

    def full_caches(self, vault):
        """A point that is more than the caches of a mount hold."""
        os.mkdir(self.path("source"))
        for i in range(16):
            with open(self.path("source/%d" % i), "wb") as f:
                f.write(os.urandom(8 * MB))
        for i in range(20000):
            os.mknod(self.path("source/name-%015d" % (i * 7919)))
        self.make_point(vault, "m", "cache", self.path("source"))

    def make_point(self, vault, vm, cache, source):
        self.run(self.program("vmbackup"), "-q", "-r", vault, "--key-file",
                 self.key, "--cache-dir", self.path(cache), "backup", "--vm",
                 vm, source)

    def tree(self, what, n, backup_mb, restore_mb, delete_mb):
        """Back up, look at, and restore what is in source."""
        vault, out = self.path("vault"), self.path("out")
        self.vmbackup(vault, "init")
        self.note("backup: " + what, n, self.vmbackup(
            vault, "backup", "--vm", "m", self.path("source")), backup_mb)
        shutil.rmtree(self.path("source"))
        self.note("mount: " + what, n, (self.mount(vault, walk), 0), MOUNT_MB)
        self.note("restore: " + what, n, self.vmbackup(
            vault, "restore", "m/latest", "-t", out), restore_mb)
        self.note("restore --delete: " + what, n, self.vmbackup(
            vault, "restore", "m/latest", "-t", out, "--delete"), delete_mb)
        self.forget("vault", "out")

    def directory(self, n):
        os.mkdir(self.path("source"))
        fd = os.open(self.path("source"), os.O_RDONLY)
        for i in range(n):
            os.mknod("name-%015d" % (i * 2654435761 % n), dir_fd=fd)
        os.close(fd)
        more = n * NAME_BYTES / MB
        self.tree("names in a directory", n, BACKUP_MB + more, RESTORE_MB,
                  RESTORE_MB + more)

    def links(self, n):
        """Files of a few bytes, all of whose other names come later."""
        fds = []
        for name in ("source", "source/a", "source/b"):
            os.mkdir(self.path(name))
            fds.append(os.open(self.path(name), os.O_RDONLY))
        for i in range(n):
            name = "name-%015d" % i
            fd = os.open(name, os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=fds[1])
            os.write(fd, b"%d" % i)
            os.close(fd)
            os.link(name, name, src_dir_fd=fds[1], dst_dir_fd=fds[2])
        for fd in fds:
            os.close(fd)
        names = n * NAME_BYTES / MB
        self.tree("files with names to come", n,
                  BACKUP_MB + n * LINK_BYTES / MB + names,
                  RESTORE_MB + n * RESTORE_LINK_BYTES / MB,
                  RESTORE_MB + n * RESTORE_LINK_BYTES / MB + names)


def walk(mnt):
    """List all names, without keeping them: os.walk() would."""
    below = [mnt + "/vms/m/latest/"]
    while below:
        with os.scandir(below.pop()) as entries:
            below += [e.path for e in entries
                      if e.is_dir(follow_symlinks=False)]


def read_all(tree):
    """Read all files below it, to their ends. A mount looks for new points once a
    second."""
    deadline = time.monotonic() + SHOWN_SECONDS
    while not os.path.isdir(tree):
        if time.monotonic() > deadline:
            sys.exit(tree + " is not there")
        time.sleep(0.1)
    for top, _, names in os.walk(tree):
        for name in names:
            with open(os.path.join(top, name), "rb") as f:
                while f.read(MB):
                    pass


def find_pids(mnt):
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


def main():
    p = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", default=".", help="where vmbackup was built")
    p.add_argument("--work", default="/var/tmp", help="where all is made")
    p.add_argument("--divide", type=int, default=1,
                   help="make so many times less of each")
    p.add_argument("--only", help="of session,index,directory,links")
    p.add_argument("--json", help="a file for the figures")
    args = p.parse_args()
    args.work = tempfile.mkdtemp(prefix="bench-memory-", dir=args.work)
    os.environ["VMBACKUP_STATE_DIR"] = os.path.join(args.work, "state")
    kinds = dict(index=1650000, session=10000000, links=1000000,
                 directory=5000000)
    try:
        bench = Bench(args)
        for kind in args.only.split(",") if args.only else kinds:
            getattr(bench, kind)(kinds[kind] // args.divide)
    finally:
        shutil.rmtree(args.work)
    if args.json:
        with open(args.json, "w") as f:
            json.dump(bench.rows, f, indent=1)
    sys.exit(any(r["peak_mb"] > r["bound_mb"] for r in bench.rows))


if __name__ == "__main__":
    main()
