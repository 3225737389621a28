# SPDX-License-Identifier: GPL-3.0-or-later
"""Who does what in processes.py, each on a thread, and what each insists on."""
import json
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
import traceback

import keepers
import sources

WAITING = 12               # so many backups may wait to be compared
SHOWN_SECONDS = 30         # until a mount shows a new point
MOUNTS = 2


class Failure(Exception):
    """Something is not as it should be."""


class Stopped(Exception):
    """The run ends before its time."""


def unmount(where):
    """Also one whose process is dead, or hangs."""
    subprocess.run(["umount", "-f", "-l", where], check=False,
                   stderr=subprocess.DEVNULL)


class Vault:
    """The vault, and what has to be in it."""

    def __init__(self, run):
        self.run = run
        self.dir = run.args.dir
        self.key = self.dir + "/key"
        with open(os.open(self.key, os.O_CREAT | os.O_WRONLY, 0o600),
                  "wb") as f:
            f.write(run.rng("key").randbytes(64))
        self.lock = threading.RLock()
        self.compared = threading.Condition(self.lock)
        self.begun = {}            # tag: (path, manifest) of its source
        self.points = {}           # id: tag, of those that have to be there
        self.order = []            # their ids, as they came
        self.machine = {}          # id: machine
        self.busy = {}             # id: how often it is still to be compared
        self.maybe = {}            # id: tag, of those that may be gone
        self.waiting = set()       # ids for which a backup waits
        self.notes = {}            # id: texts that were taken
        self.to_restore = queue.Queue()
        self.to_read = queue.Queue()
        self.may_wait = threading.Semaphore(WAITING)
        run.on_stop = self.no_more
        self.mounted = [0] * MOUNTS    # how many times; odd while it is

    def command(self, actor, cache, *args):
        return self.run.command(actor, [
            self.run.args.vmbackup, "-r", self.dir + "/vault", "--key-file",
            self.key, "--cache-dir", "%s/cache-%s" % (self.dir, cache),
            "--json"] + list(args))

    def must(self, actor, cache, *args):
        """What was killed is run again; and then it succeeds."""
        code = None
        while code is None:
            code, out, said = self.command(actor, cache, *args)
        if code != 0:
            raise Failure("%s: exit %d: %s" % (" ".join(args), code, said))
        return out

    def no_more(self):
        """Nobody has to wait for anything."""
        self.to_restore.put(None)
        for _ in range(MOUNTS):
            self.to_read.put(None)
        self.may_wait.release(1000)
        with self.compared:
            self.compared.notify_all()

    def wait(self):
        """Until nothing is left to be compared."""
        with self.compared:
            self.compared.wait_for(
                lambda: not self.busy or self.run.stopping.is_set())
        if self.run.stopping.is_set():
            raise Stopped

    def newer(self, point):
        """How many later points of its machine stay. The lock is held."""
        return sum(1 for p in self.order[self.order.index(point) + 1:]
                   if p in self.points and
                   self.machine[p] == self.machine[point])

    def is_there(self, point, tag, first=True):
        """A point is known: it is to be compared, in both ways."""
        with self.lock:
            self.points[point] = tag
            self.busy[point] = self.busy.get(point, 0) + 2
            if first:
                self.order.append(point)
                # All points of a writer have one machine, or its new name.
                self.machine[point] = tag.split("-")[0]
                self.waiting.add(point)
        self.to_restore.put(point)
        self.to_read.put(point)

    def compare(self, way, point, got):
        path, want = self.begun[self.points[point]]
        if got != want:
            lines = set(got.splitlines()) ^ set(want.splitlines())
            raise Failure("%s of %s, tag %s, of %s: differs: %s" % (
                way, point, self.points[point], path, sorted(lines)[:6]))
        self.run.count(way)
        with self.compared:
            self.busy[point] -= 1
            if self.busy[point] == 0:
                del self.busy[point]
            self.compared.notify_all()


class Writer:
    """Changes its source and backs it up, again and again."""

    def __init__(self, vault, number, machine, source, renames=False):
        self.vault, self.run = vault, vault.run
        self.name = "writer%d" % number
        self.number, self.machine, self.source = number, machine, source
        self.renames = renames
        self.cache = "ab"[number // 2 % 2]
        self.rng = self.run.rng(self.name)
        self.made = 0

    def argv(self, tag):
        argv = ["backup", "--vm", self.machine, "--tag", tag]
        if self.source.kind == "disk":
            return argv + ["--disk", "d=" + self.source.path]
        if self.rng.random() < 0.1:
            argv.append("--force")
        return argv + [self.source.path]

    def backup(self):
        """The point, or None where the backup was killed."""
        tag = "%s-%d" % (self.name, self.made)
        self.made += 1
        with self.source.still(self.rng.random() < 0.8) as text:
            with self.vault.lock:
                self.vault.begun[tag] = (self.source.path, text)
            code, out, said = self.vault.command(self.name, self.cache,
                                                 *self.argv(tag))
        if code is None:
            return None
        if code != 0:
            raise Failure("%s: backup: exit %d: %s" % (tag, code, said))
        last = json.loads(out.splitlines()[-1])
        if last["message_type"] != "summary":
            raise Failure("%s: backup printed no summary" % tag)
        self.run.count("backups")
        self.vault.is_there(last["point_id"], tag)
        return last["point_id"]

    def rename(self):
        new = "%s-%d" % (self.machine.split("-")[0], self.made)
        code, _, said = self.vault.command(self.name, self.cache, "rename",
                                           self.machine, new)
        if code is None:
            points = json.loads(self.vault.must(self.name, self.cache,
                                                "points"))
            if not any(p["vm"] == new for p in points):
                return
        elif code != 0:
            raise Failure("rename: exit %d: %s" % (code, said))
        self.machine = new
        self.run.count("renames")

    def __call__(self):
        some = False
        while not self.run.calm.is_set():
            self.vault.may_wait.acquire()
            if self.backup():
                some = True
            else:
                self.vault.may_wait.release()
            if self.renames and some and self.rng.random() < 0.4:
                self.rename()
        # Whatever was killed, the next backup works.
        if not self.backup():
            raise Failure("a backup was killed by somebody else")


class Checker:
    """Nobody is accused while others write."""

    def __init__(self, vault):
        self.vault = vault

    def __call__(self):
        rng = self.vault.run.rng("check")
        while not self.vault.run.calm.is_set():
            args = ["check"]
            if rng.random() < 0.3:
                args.append("--read-data-subset=20%")
            code, out, said = self.vault.command("check", rng.choice("ab"),
                                                 *args)
            if code is None:
                continue
            if code != 0:
                found = [line for line in out.splitlines()
                         if '"status"' not in line]
                raise Failure("%s beside writers: exit %d: %s %s" % (
                    " ".join(args), code, " | ".join(found), said))
            self.vault.run.count("checks")


class Noter:
    """Says something of points; what was taken is there at the end."""

    def __init__(self, vault):
        self.vault = vault
        self.made = 0

    def __call__(self):
        run, rng = self.vault.run, self.vault.run.rng("note")
        while not run.calm.wait(0.5):
            with self.vault.lock:
                ids = sorted(self.vault.points)
            if not ids:
                continue
            point = rng.choice(ids[-20:])
            self.made += 1
            text = "note %d" % self.made
            code, _, said = self.vault.command("note", rng.choice("ab"),
                                               "note", point, "--text", text)
            if code is None:
                continue
            if code != 0:
                with self.vault.lock:
                    if point not in self.vault.points:
                        continue
                raise Failure("note: exit %d: %s" % (code, said))
            with self.vault.lock:
                self.vault.notes.setdefault(point, set()).add(text)
            run.count("notes")


class Restorer:
    """Restores each point, and compares."""

    def __init__(self, vault):
        self.vault = vault

    def one(self, point):
        path = self.vault.begun[self.vault.points[point]][0]
        to = self.vault.dir + "/restored"
        if os.path.isfile(path):
            # What a killed restore has written is gone on with, or whole.
            to += ".raw"
            self.vault.must("restore", "b", "restore", point + ":disks/d.raw",
                            "--to", to, "--overwrite=always")
            self.vault.compare("restores", point, sources.manifest(to))
            os.unlink(to)
            return
        code = None
        while code is None:
            shutil.rmtree(to, ignore_errors=True)
            code, _, said = self.vault.command(
                "restore", "b", "restore", "%s:files%s" % (point, path),
                "--target", to)
        if code != 0:
            raise Failure("restore of %s, tag %s: exit %d: %s" % (
                point, self.vault.points[point], code, said))
        self.vault.compare("restores", point, sources.manifest(to))

    def __call__(self):
        while (point := self.vault.to_restore.get()) is not None:
            self.one(point)


class Mount:
    """Serves the vault; where it is killed, another takes its place."""

    def __init__(self, vault, number):
        self.vault, self.number = vault, number
        self.where = "%s/mnt%d" % (vault.dir, number)
        self.out = open("%s/mount%d.err" % (vault.dir, number), "a+")
        os.mkdir(self.where)

    def __call__(self):
        run = self.vault.run
        argv = [run.args.mounter, self.vault.dir + "/vault", self.where, "-f",
                "-o", "keyfile=%s,cachedir=%s/cache-%s" % (
                    self.vault.key, self.vault.dir, "ab"[self.number])]
        while not run.over.is_set():
            child = run.start("mount", argv, self.out, self.out)
            self.vault.mounted[self.number] += 1
            code, killed = run.end("mount", *child, None)
            self.vault.mounted[self.number] += 1
            unmount(self.where)
            if code != 0 and not killed and not run.stopping.is_set():
                self.out.seek(0)
                raise Failure("the mount ended: exit %d: %s" % (
                    code, self.out.read()[-2000:]))


class Reader:
    """Reads points through one mount, and compares."""

    def __init__(self, vault, number):
        self.vault, self.number = vault, number

    def one(self, point):
        path = self.vault.begun[self.vault.points[point]][0]
        shown = "%s/mnt%d/ids/%s/%s" % (
            self.vault.dir, self.number, point[:8],
            "disks/d.raw" if os.path.isfile(path) else "files" + path)
        run, since, before = self.vault.run, time.monotonic(), -1
        while True:
            mounted = self.vault.mounted[self.number]
            if mounted != before:
                since, before = time.monotonic(), mounted
            code, out, said = run.command(
                "read", [sys.executable, sources.__file__, shown], False)
            if code == 0:
                break
            # Its mount may have been killed meanwhile, or be on its way.
            if code is not None and \
                    mounted == self.vault.mounted[self.number] and \
                    time.monotonic() > since + SHOWN_SECONDS:
                raise Failure("read of %s, tag %s: %s" % (
                    point, self.vault.points[point], said))
            run.stopping.wait(0.2)
        self.vault.compare("reads", point, out)
        with self.vault.lock:
            waits = point in self.vault.waiting
            self.vault.waiting.discard(point)
        if waits:
            self.vault.may_wait.release()

    def __call__(self):
        while (point := self.vault.to_read.get()) is not None:
            self.one(point)


def body(run, actor):
    """A thread's: what goes wrong in it ends the run."""
    name = type(actor).__name__.lower()
    try:
        actor()
    except Stopped:
        pass
    except Failure as e:
        run.fail(name, str(e))
    except Exception:
        run.fail(name, traceback.format_exc())


def sources_of(run, writers):
    """The machine and source of each writer: two share both, two the first."""
    kinds = ("small", "small", "large", "small", "small", "disk", "large",
             "small")
    made = []
    for i in range(writers):
        path = "%s/source%d" % (run.args.dir, i)
        source = made[0][1] if i == 1 else sources.Source(
            path, kinds[i % len(kinds)], run.rng(path[-1]))
        made.append(("m0" if i == 1 else "m2" if i == 3 else "m%d" % i,
                     source))
    return made


def start(run, vault):
    """Make the vault, and let everybody begin: the threads of each kind."""
    vault.must("init", "a", "init")
    made = sources_of(run, run.args.writers)
    everybody = {
        "write": [Writer(vault, i, *made[i], renames=i == 4)
                  for i in range(len(made))],
        "check": [Checker(vault)], "note": [Noter(vault)],
        "restore": [Restorer(vault)],
        "read": [Reader(vault, i) for i in range(MOUNTS)],
        "mount": [Mount(vault, i) for i in range(MOUNTS)],
        "forget": [keepers.Forgetter(vault, run.args.forge)],
        "prune": [keepers.Pruner(vault, i) for i in range(2)],
    }
    threads = {}
    for kind, some in everybody.items():
        threads[kind] = [] if kind in run.args.without else [
            threading.Thread(target=body, args=(run, actor))
            for actor in some]
        for thread in threads[kind]:
            thread.start()
    return threads


def settle(run, threads, *kinds):
    """Those come to their end."""
    for kind in kinds:
        for thread in threads[kind]:
            thread.join()
    if run.stopping.is_set():
        raise Stopped


def find_points(vault):
    """All that exited 0 are listed; what else is is of killed backups."""
    listed = {}
    for point in json.loads(vault.must("end", "a", "points")):
        listed[point["id"]] = point["tags"][0]
    for point, tag in vault.points.items():
        if listed.get(point) != tag:
            raise Failure("the point %s, tag %s, is not listed" % (point, tag))
    for point, tag in listed.items():
        if point in vault.points:
            continue
        if point not in vault.maybe:
            vault.run.count("points of killed backups")
        vault.is_there(point, tag, first=point not in vault.maybe)


def find_notes(vault):
    for point, texts in vault.notes.items():
        if point not in vault.points:
            continue
        notes = json.loads(vault.must("end", "b", "note", point))["notes"]
        missing = texts - {note.get("text") for note in notes}
        if missing:
            raise Failure("notes of %s are gone: %s" % (point, missing))


def finish(run, vault, threads):
    """Nothing is killed any more: all that was said holds."""
    settle(run, threads, "write", "check", "note", "forget", "prune")
    find_points(vault)
    find_notes(vault)
    vault.wait()
    if threads["prune"]:
        keepers.settle(vault, run.args.forge)
        vault.must("end", "fresh", "check", "--read-data")
        for point, tag in list(vault.points.items()):
            vault.is_there(point, tag, first=False)
    vault.no_more()
    settle(run, threads, "restore", "read")
    run.over.set()
    for i in range(MOUNTS):
        if subprocess.run(["umount", "%s/mnt%d" % (vault.dir, i)]).returncode:
            raise Failure("a mount cannot be unmounted")
    settle(run, threads, "mount")
    vault.must("end", "fresh", "check", "--read-data")
