#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""
Measures vmbackupfs and its installed peers in one run on one tree, and
prints a table with ratios (a peer's figure over ours).

The tree is --tree, or $BENCH_TREE, or is made from what this machine has
installed. Every contestant gets the rows one after the other: a first backup
of a warm source, the size of its store, a backup with nothing changed; then,
caches dropped (root), a mount until the root of the backup lists, find, find
again, ls -lR, cp -a include, tar of jvm, random 4 KiB reads in freshly
opened files over 1 MiB, and the most memory that the mount's process had.

Everything is below --work and is removed at the end; nothing stays mounted.
"""
import argparse
import atexit
import json
import os
import platform
import random
import shutil
import signal
import stat
import statistics
import subprocess
import sys
import tempfile
import time

ROWS = [     # name, what it is, unit, goal
    ("first", "first backup", "s", None),
    ("size", "vault size", "MB", None),
    ("again", "nothing changed", "s", 1.0),
    ("mem_backup", "peak memory of backup", "MB", None),
    ("mount", "mount until ls of the root", "s", 0.05),
    ("find", "find, caches dropped", "s", 1.0),
    ("find_again", "find again", "s", 0.45),
    ("ls_lR", "ls -lR", "s", 4.0),
    ("cp_include", "cp -a include", "s", 1.8),
    ("tar_jvm", "tar of jvm, cold", "s", 1.0),
    ("tar_again", "tar of jvm again", "s", None),
    ("rand4k", "random 4 KiB, mean", "ms", 0.25),
    ("rand4k_p99", "random 4 KiB, 99th percentile", "ms", None),
    ("mem_mount", "peak memory of mount", "MB", 128.0),
]
WRITE = {"first", "size", "again", "mem_backup"}
PARTS = ["/usr/share", "/usr/include", "/usr/lib/gcc", "/usr/lib/python3",
         "/usr/lib/jvm"]

mounts, children = [], []


def say(text):
    print(text, file=sys.stderr, flush=True)


def is_mounted(path):
    with open("/proc/self/mountinfo") as f:
        return any(line.split()[4] == path for line in f)


def unmount(path):
    for command in (["umount", path], ["fusermount3", "-u", path],
                    ["fusermount", "-u", path]):
        for _ in range(100):
            if not is_mounted(path):
                return True
            try:
                r = subprocess.run(command, capture_output=True)
            except FileNotFoundError:
                break
            if r.returncode == 0:
                break
            if b"busy" not in r.stderr:
                break
            time.sleep(0.05)
    return not is_mounted(path)


def clean_up():
    for path in list(mounts):
        if is_mounted(path) and not unmount(path):
            subprocess.run(["umount", "-l", path], capture_output=True)
        mounts.remove(path)
    for child in list(children):
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        children.remove(child)


def on_signal(number, _frame):
    clean_up()
    sys.exit(128 + number)


def drop_caches():
    if os.geteuid() == 0:
        os.sync()
        with open("/proc/sys/vm/drop_caches", "w") as f:
            f.write("3")


def disk_usage(path):
    """Bytes of all files: what a store costs."""
    if not os.path.isdir(path):
        return os.path.getsize(path)
    return sum(os.lstat(os.path.join(folder, name)).st_size
               for folder, _, names in os.walk(path) for name in names)


def timed(command, env=None, ok=(0,), **kwargs):
    """Run to its end: (seconds, peak KiB)."""
    start = time.monotonic()
    p = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL,
                         stdout=kwargs.pop("stdout", subprocess.DEVNULL),
                         stderr=subprocess.PIPE, **kwargs)
    children.append(p)
    said = p.stderr.read()
    _, status, usage = os.wait4(p.pid, 0)
    p.returncode = os.waitstatus_to_exitcode(status)
    children.remove(p)
    if p.returncode not in ok:
        raise RuntimeError("%s: exit %d: %s" % (
            command, p.returncode, said.decode(errors="replace")[-400:]))
    return time.monotonic() - start, usage.ru_maxrss


def rand4k(root, seconds=60):
    """As the project's reference script: 2,000 reads, or as many as a minute
    allows; milliseconds of open, read, close."""
    rng = random.Random(7)
    files = []
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            st = os.lstat(path)
            if stat.S_ISREG(st.st_mode) and st.st_size > 1 << 20:
                files.append((path, st.st_size))
    files.sort()
    if not files:
        return None
    ms = []
    start = time.monotonic()
    while len(ms) < 2000 and time.monotonic() - start < seconds:
        path, size = rng.choice(files)
        t = time.monotonic()
        fd = os.open(path, os.O_RDONLY)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
        os.pread(fd, 4096, rng.randrange(0, size - 4096))
        os.close(fd)
        ms.append((time.monotonic() - t) * 1e3)
    ms.sort()
    return sum(ms) / len(ms), ms[int(len(ms) * 0.99)]


def peak_mb(pid):
    with open("/proc/%d/status" % pid) as f:
        for line in f:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return None


def find_pid(exe, arg):
    """The process of that program that has that argument."""
    comm = os.path.basename(exe)[:15]
    for p in os.listdir("/proc"):
        if not p.isdigit():
            continue
        try:
            with open("/proc/%s/cmdline" % p, "rb") as f:
                args = f.read().split(b"\0")
            with open("/proc/%s/comm" % p) as f:
                if f.read().rstrip("\n") == comm and os.fsencode(
                        arg) in args:
                    return int(p)
        except OSError:
            continue
    return None


# ---- contestants: how to store, what it takes, where the tree shows ----

class Contestant:
    needs = ()
    writes = reads = True

    def __init__(self, tree, work, args):
        self.tree, self.work, self.args = tree, work, args
        self.dir = os.path.join(work, self.name)
        self.mnt = os.path.join(work, self.name + ".mnt")
        self.store = os.path.join(self.dir, "store")
        self.env = dict(os.environ,
                        VMBACKUP_STATE_DIR=os.path.join(work, "state"))

    @classmethod
    def missing(cls):
        return [n for n in cls.needs if not shutil.which(n)]

    def init(self):
        pass

    def backup(self, number):
        raise NotImplementedError

    def start(self):
        """Begin to mount; return (root, process or None)."""
        raise NotImplementedError

    def pid(self, process):
        return process.pid if process else None

    def background(self, command):
        log = open(os.path.join(self.dir, "mount.log"), "wb")
        p = subprocess.Popen(command, env=self.env, stdout=log, stderr=log,
                             stdin=subprocess.DEVNULL)
        log.close()
        children.append(p)
        return p


class Ours(Contestant):
    name = "vmbackupfs"

    def init(self):
        self.key = os.path.join(self.dir, "key")
        with open(self.key, "wb") as f:
            f.write(os.urandom(64))
        self.cache = os.path.join(self.dir, "cache")
        self.cli = [self.args.vmbackup, "-r", self.store, "--key-file",
                    self.key, "--cache-dir", self.cache]
        timed(self.cli + ["init"])

    def backup(self, number):
        return timed(self.cli + ["-q", "backup", "--vm", "bench", self.tree])

    def start(self):
        timed([self.args.mounter, self.store, self.mnt, "-o",
               "keyfile=%s,cachedir=%s" % (self.key, self.cache)])
        return self.mnt + "/vms/bench/latest/files" + self.tree, None

    def pid(self, process):
        return find_pid(self.args.mounter, self.mnt)


class Restic(Contestant):
    name = "restic"
    needs = ("restic",)

    def init(self):
        self.env.update(RESTIC_PASSWORD="bench", RESTIC_CACHE_DIR=os.path
                        .join(self.dir, "cache"))
        timed(["restic", "-r", self.store, "init", "-q",
               "--repository-version", "2"], self.env)

    def backup(self, number):
        return timed(["restic", "-r", self.store, "backup", "-q", self.tree],
                     self.env)

    def start(self):
        return (self.mnt + "/snapshots/latest" + self.tree, self.background(
            ["restic", "-r", self.store, "mount", self.mnt]))


class Borg(Contestant):
    name = "borg"
    needs = ("borg",)

    def init(self):
        self.env.update(BORG_PASSPHRASE="bench", BORG_BASE_DIR=self.dir)
        timed(["borg", "init", "-e", "repokey-blake2", self.store], self.env)

    def backup(self, number):
        return timed(["borg", "create", "-C", "zstd,3", "%s::%d" % (
            self.store, number), self.tree], self.env)

    def start(self):
        return (self.mnt + self.tree, self.background(
            ["borg", "mount", "-f", self.store + "::1", self.mnt]))


class Bup(Contestant):
    name = "bup"
    needs = ("bup",)
    reads = False

    def init(self):
        self.env.update(BUP_DIR=self.store)
        timed(["bup", "init"], self.env)

    def backup(self, number):
        a, m = timed(["bup", "index", self.tree], self.env)
        b, n = timed(["bup", "save", "-q", "-n", "bench", self.tree],
                     self.env)
        return a + b, max(m, n)


class Tar(Contestant):
    name = "tar|zstd"
    needs = ("tar", "zstd")
    reads = False
    once = True

    def backup(self, number):
        return timed(["sh", "-c", 'tar cf - "$1" 2>/dev/null | '
                      'zstd -q -1 -T2 -o "$2"', "sh", self.tree, self.store])


class Squashfuse(Contestant):
    name = "squashfuse_ll"
    needs = ("mksquashfs", "squashfuse_ll")
    once = True

    def backup(self, number):
        return timed(["mksquashfs", self.tree, self.store, "-comp", "zstd",
                      "-Xcompression-level", "3", "-no-progress", "-quiet"])

    def start(self):
        return self.mnt, self.background(["squashfuse_ll", "-f", self.store,
                                          self.mnt])


class Native(Contestant):
    name = "native"
    writes = False

    def start(self):
        return self.tree, None


CONTESTANTS = [Ours, Restic, Borg, Bup, Tar, Squashfuse, Native]


# ---- measuring ----

def measure_writes(c, want, out):
    seconds, kib = c.backup(1)
    out["first"], out["mem_backup"] = seconds, kib / 1024
    out["size"] = disk_usage(c.store) / 1e6
    if "again" in want and not getattr(c, "once", False):
        out["again"], _ = c.backup(2)


def wait_root(root, process, timeout=180):
    end = time.monotonic() + timeout
    while True:
        try:
            if os.listdir(root):
                return
        except OSError as e:
            error = e
        else:
            error = "an empty directory"
        if process and process.poll() is not None:
            raise RuntimeError("the mount ended with %d" % process.returncode)
        if time.monotonic() > end:
            raise RuntimeError("%s: %s" % (root, error))
        time.sleep(0.002)


def row(out, want, name, command):
    if name in want:
        out[name], _ = timed(command, ok=(0, 1))


def measure_reads(c, want, out):
    drop_caches()
    if c.name != "native":
        os.makedirs(c.mnt, exist_ok=True)
        mounts.append(c.mnt)
    scratch = tempfile.mkdtemp(dir=c.work)
    try:
        start = time.monotonic()
        root, process = c.start()
        wait_root(root, process)
        if c.name != "native":
            out["mount"] = time.monotonic() - start
        row(out, want, "find", ["find", root])
        row(out, want, "find_again", ["find", root])
        row(out, want, "ls_lR", ["ls", "-lR", root])
        if os.path.isdir(root + "/include"):
            row(out, want, "cp_include", ["cp", "-a", root + "/include",
                                          scratch + "/include"])
        if os.path.isdir(root + "/jvm"):
            tar = ["sh", "-c", 'tar cf - "$1/jvm" 2>/dev/null | cat', "sh",
                   root]
            row(out, want, "tar_jvm", tar)
            row(out, want, "tar_again", tar)
        if want & {"rand4k", "rand4k_p99"}:
            sub = root + "/pyenv"
            r = rand4k(sub if os.path.isdir(sub) else root)
            if r:
                out["rand4k"], out["rand4k_p99"] = r
        if c.name != "native":
            pid = c.pid(process)
            if pid:
                out["mem_mount"] = peak_mb(pid)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        clean_up()


def measure(cls, tree, work, args, want):
    c = cls(tree, work, args)
    out = {}
    shutil.rmtree(c.dir, ignore_errors=True)
    os.makedirs(c.dir)
    try:
        if c.writes:
            c.init()
            measure_writes(c, want, out)
        if c.reads and want - WRITE:
            measure_reads(c, want, out)
    except (OSError, RuntimeError) as e:
        say("%s: %s" % (c.name, e))
        out["error"] = str(e)
    finally:
        clean_up()
        shutil.rmtree(c.dir, ignore_errors=True)
        if os.path.isdir(c.mnt) and not os.path.ismount(c.mnt):
            os.rmdir(c.mnt)
    return out


def middle(runs):
    out = {}
    for name, _, _, _ in ROWS:
        values = [r[name] for r in runs if r.get(name) is not None]
        if values:
            out[name] = statistics.median(values)
    errors = [r["error"] for r in runs if "error" in r]
    if errors:
        out["error"] = errors[0]
    return out


# ---- the tree, the table ----

def make_tree(top):
    if os.path.isdir(top) and os.listdir(top):
        return
    os.makedirs(top, exist_ok=True)
    for part in PARTS:
        if os.path.isdir(part):
            subprocess.run(["cp", "-a", part, top + "/"], check=True)
    pyenv = os.path.expanduser("~/.pyenv")
    if os.path.isdir(pyenv):
        subprocess.run(["cp", "-a", pyenv, top + "/pyenv"], check=True)


def warm(tree):
    """Read all of it; (entries, bytes)."""
    n = total = 0
    for folder, names, leaves in os.walk(tree):
        n += len(names) + len(leaves)
        for name in leaves:
            path = os.path.join(folder, name)
            try:
                fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW |
                             os.O_NONBLOCK)
            except OSError:
                continue
            while True:
                part = os.read(fd, 1 << 20)
                if not part:
                    break
                total += len(part)
            os.close(fd)
    return n, total


def figure(value):
    if value is None:
        return "-"
    return "%.0f" % value if value >= 100 else "%.2f" % value if (
        value >= 1) else "%.3f" % value


def table(results, want, rows=None):
    names = list(results)
    ours = results.get("vmbackupfs", {})
    lines = [["", "unit", "goal"] + names]
    for name, what, unit, goal in rows or ROWS:
        if name not in want:
            continue
        cells = [what, unit, "<= %g" % goal if goal else ""]
        for who in names:
            value = results[who].get(name)
            text = figure(value)
            if value is not None and who != "vmbackupfs" and ours.get(name):
                text += " (%.1fx)" % (value / ours[name])
            cells.append(text)
        lines.append(cells)
    widths = [max(len(line[i]) for line in lines)
              for i in range(len(lines[0]))]
    for line in lines:
        print("  ".join(cell.ljust(w) if i == 0 else cell.rjust(w)
                        for i, (cell, w) in enumerate(zip(line, widths))))
    for who in names:
        if "error" in results[who]:
            print("%s: %s" % (who, results[who]["error"].splitlines()[0]))


def save(path, results, tree):
    with open(path, "w") as f:
        json.dump({"schema_version": 1, "time": time.strftime(
            "%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "machine": {"cpus": os.cpu_count(),
                        "kernel": platform.release()},
            "tree": tree,
            "rows": [{"name": n, "what": w, "unit": u, "goal": g}
                     for n, w, u, g in ROWS],
            "results": results}, f, indent=1)
        f.write("\n")


def program(build, name):
    for path in (os.path.join(build, name), os.path.join(build, "src", name)):
        if os.path.isfile(path):
            return os.path.abspath(path)
    found = shutil.which(name) or shutil.which(name, path="/sbin:/usr/sbin")
    if not found:
        sys.exit("bench.py: no %s: build it first, or --build DIR" % name)
    return found


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse
                                .RawDescriptionHelpFormatter)
    p.add_argument("--tree", default=os.environ.get("BENCH_TREE") or None)
    p.add_argument("--work", help="a directory with room for everything; "
                   "default: a new one in $TMPDIR or /var/tmp")
    p.add_argument("--build", default=os.environ.get("VMBACKUP_BUILD", "."))
    p.add_argument("--only", help="contestants, by commas: " + ",".join(
        c.name for c in CONTESTANTS))
    p.add_argument("--rows", help="rows, by commas: " + ",".join(
        r[0] for r in ROWS))
    p.add_argument("--repeat", type=int, default=1,
                   help="print the median of so many runs")
    p.add_argument("--json", metavar="FILE", help="write the figures there")
    args = p.parse_args()
    want = set(args.rows.split(",")) if args.rows else {r[0] for r in ROWS}
    only = args.only.replace("ours", Ours.name).split(",") if (
        args.only) else None
    known = {c.name for c in CONTESTANTS}
    if want - {r[0] for r in ROWS} or set(only or ()) - known:
        p.error("no such row or contestant")
    atexit.register(clean_up)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
    made = None
    if not args.work:
        args.work = made = tempfile.mkdtemp(
            prefix="vmbackup-bench-", dir=os.environ.get("TMPDIR",
                                                         "/var/tmp"))
    os.makedirs(args.work, exist_ok=True)
    args.work = os.path.realpath(args.work)
    try:
        return run(args, want, only)
    finally:
        clean_up()
        if made:
            shutil.rmtree(made, ignore_errors=True)


def run(args, want, only):
    tree = args.tree
    if not tree:
        tree = os.path.join(args.work, "tree")
        say("making the tree")
        make_tree(tree)
    tree = os.path.realpath(tree)
    if os.geteuid() != 0:
        say("not root: caches are not dropped, rows are warm")
    entries, size = warm(tree)
    say("%d entries, %.2f GB" % (entries, size / 1e9))
    results = {}
    for cls in CONTESTANTS:
        if only and cls.name not in only:
            continue
        if cls.missing():
            say("%s: not installed (%s)" % (cls.name, ", ".join(
                cls.missing())))
            continue
        if cls is Ours:
            args.vmbackup = program(args.build, "vmbackup")
            args.mounter = program(args.build, "mount.vmbackupfs")
        runs = []
        for i in range(args.repeat):
            say("%s, run %d of %d" % (cls.name, i + 1, args.repeat))
            warm(tree)
            runs.append(measure(cls, tree, args.work, args, want))
        results[cls.name] = middle(runs)
        results[cls.name]["runs"] = runs
        # After each, so that a run that is stopped early leaves its figures.
        if args.json:
            save(args.json, results, {"path": tree, "entries": entries,
                                      "bytes": size})
    table(results, want)
    return 1 if "error" in results.get("vmbackupfs", {}) else 0


if __name__ == "__main__":
    sys.exit(main())
