#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""
Real processes at one vault, and every second kill -9 of one of them.

Eight writers on two caches back up sources that change; some are of one
machine, one renames its machine. Beside them `check` runs in a loop, points get
notes, are forgotten and brought back, two processes prune, and two mounts are
read. All the time each backup that exited 0 is restored and is read through a
mount, and has to be what its source was. At the end nothing is killed any more:
each writer makes one more backup, every point that there is, also those of
killed backups, is compared, each note that was taken is there, most points go
and the space that nothing needs with them, and `check --read-data` has nothing
to say.

What happens when is in DIR/events; what is tried follows from --seed, but not
which process is where when it is killed. Whatever ends this, the processes that
it started end, and the mount goes.
"""
import argparse
import os
import random
import select
import signal
import subprocess
import sys
import threading
import time

import actors

COMMAND_SECONDS = 240      # a command that takes longer hangs
LATE_SECONDS = 900         # for all that is compared at the end


class Run:
    """The processes that were started, the log, and what was found."""

    def __init__(self, args):
        self.args = args
        self.began = time.monotonic()
        self.lock = threading.RLock()    # a signal may come while it is held
        self.living = {}           # pidfd: what it does
        self.victims = set()       # those pidfds that may be killed
        self.killed = set()        # and were
        self.failures = []
        self.stopping = threading.Event()
        self.calm = threading.Event()      # nothing is killed any more
        self.over = threading.Event()      # and nobody reads the mount
        self.on_stop = None        # wakes those who wait
        self.counts = {}
        self.events = open(args.dir + "/events", "w", buffering=1)
        self.number = 0

    def rng(self, name):
        return random.Random("%s %s" % (self.args.seed, name))

    def say(self, actor, text):
        with self.lock:
            self.events.write("%8.3f %-8s %s\n" % (
                time.monotonic() - self.began, actor, text))

    def count(self, what):
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + 1

    def fail(self, actor, text):
        self.say(actor, "FAILED " + text)
        with self.lock:
            self.failures.append("%s: %s" % (actor, text))
        self.kill_all()

    def start(self, actor, argv, out, err, victim=True):
        """It dies with this process, whatever that dies of."""
        with self.lock:
            if self.stopping.is_set():
                raise actors.Stopped
            child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL"] + argv,
                stdin=subprocess.DEVNULL, stdout=out, stderr=err)
            fd = os.pidfd_open(child.pid)
            self.living[fd] = "%s %d" % (actor, child.pid)
            if victim:
                self.victims.add(fd)
        self.say(actor, "pid %d: %s" % (child.pid, " ".join(argv)))
        return child, fd

    def end(self, actor, child, fd, seconds):
        """Its exit code, and whether it was killed by us."""
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        hung = not poll.poll(seconds and seconds * 1000)
        if hung:
            signal.pidfd_send_signal(fd, signal.SIGKILL)
            poll.poll()
        with self.lock:
            # Whoever has the lock may send a signal to what is living.
            code = child.wait()
            del self.living[fd]
            self.victims.discard(fd)
            killed = fd in self.killed and code == -signal.SIGKILL
            self.killed.discard(fd)
            os.close(fd)
        self.say(actor, "pid %d: exit %d%s" % (
            child.pid, code, ", killed" if killed else ""))
        if hung and not self.stopping.is_set():
            raise actors.Failure("pid %d has not ended after %d s" % (
                child.pid, seconds))
        return code, killed

    def command(self, actor, argv, victim=True):
        """Run it: exit code, None where it was killed; output; messages."""
        with self.lock:
            self.number += 1
            name = "%s/out/%d" % (self.args.dir, self.number)
        try:
            with open(name, "w+") as out, open(name + ".err", "w+") as err:
                code, killed = self.end(
                    actor, *self.start(actor, argv, out, err, victim),
                    COMMAND_SECONDS)
                out.seek(0)
                err.seek(0)
                text, said = out.read(), err.read()
        finally:
            for path in (name, name + ".err"):
                if os.path.exists(path):
                    os.unlink(path)
        if self.stopping.is_set():
            raise actors.Stopped
        if said:
            self.say(actor, "said: " + said.strip().replace("\n", " | "))
        return None if killed else code, text, said

    def kill_one(self, rng):
        with self.lock:
            if not self.victims:
                return
            fd = rng.choice(sorted(self.victims))
            self.killed.add(fd)
            what = self.living[fd]
            signal.pidfd_send_signal(fd, signal.SIGKILL)
        self.say("killer", "kill -9 %s" % what)
        self.count("kills")

    def kill_all(self):
        self.stopping.set()
        self.on_stop()
        with self.lock:
            for fd in self.living:
                signal.pidfd_send_signal(fd, signal.SIGKILL)




def arguments():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    p.add_argument("--vmbackup", required=True)
    p.add_argument("--mounter", required=True)
    p.add_argument("--forge", required=True, help="tests/reader/forge.py")
    p.add_argument("--dir", required=True, help="a directory of its own")
    p.add_argument("--seconds", type=float, default=20,
                   help="how long processes are killed")
    p.add_argument("--seed", default="1")
    p.add_argument("--writers", type=int, default=8)
    p.add_argument("--without", action="append", default=[],
                   choices=("check", "note", "forget", "prune"), help="leave them out")
    return p.parse_args()


def storm(run):
    """The seconds in which processes are killed."""
    rng = run.rng("killer")
    end = run.began + run.args.seconds
    while not run.stopping.is_set() and time.monotonic() < end:
        run.stopping.wait(1)
        run.kill_one(rng)
    run.calm.set()
    run.say("main", "nothing is killed any more")


def main():
    args = arguments()
    args.dir = os.path.realpath(args.dir)
    os.mkdir(args.dir + "/out")
    run = Run(args)
    vault = actors.Vault(run)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: run.kill_all())
    late = threading.Timer(args.seconds + LATE_SECONDS, lambda: run.fail(
        "main", "it has not come to its end"))
    late.daemon = True
    late.start()
    threads = {}
    try:
        threads = actors.start(run, vault)
        storm(run)
        actors.finish(run, vault, threads)
    except actors.Stopped:
        if not run.failures:
            run.fail("main", "was ended before its time")
    except actors.Failure as e:
        run.fail("main", str(e))
    finally:
        late.cancel()
        run.kill_all()
        for some in threads.values():
            for thread in some:
                thread.join()
        for i in range(actors.MOUNTS):
            where = "%s/mnt%d" % (args.dir, i)
            if os.path.ismount(where):
                actors.unmount(where)
    for text in run.failures:
        print("FAILED: " + text, file=sys.stderr)
    print("seed %s, %.0f s: %s" % (
        args.seed, time.monotonic() - run.began, ", ".join(
            "%d %s" % (n, what) for what, n in sorted(run.counts.items()))),
        file=sys.stderr)
    return 1 if run.failures else 0


if __name__ == "__main__":
    sys.exit(main())
