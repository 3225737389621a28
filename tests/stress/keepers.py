# SPDX-License-Identifier: GPL-3.0-or-later
"""Who forgets points in processes.py, brings them back, and frees their space."""
import json
import subprocess
import sys

import actors

NEWER = 3                  # so many later points of its machine stay
SPARE = 1.05               # what is left of what a vault of its points takes
PRUNE_OK = (
    0,
    1,                     # more than 30 % would go
    11,                    # another one is at work, or a backup
)


class Forgetter:
    """Forgets points that were compared, now and as if 20 days ago, and brings
    back some. What is back stays; what is not may go."""

    def __init__(self, vault, forge):
        self.vault, self.run, self.forge = vault, vault.run, forge
        self.rng = vault.run.rng("forget")

    def choose(self):
        """A point that nobody is at; it is no more to be compared."""
        vault = self.vault
        with vault.lock:
            some = [p for p in vault.order
                    if p in vault.points and p not in vault.busy and
                    vault.newer(p) > NEWER]
            if not some:
                return None, None
            point = self.rng.choice(some)
            return point, vault.points.pop(point)

    def wish_long_ago(self, *points):
        """Such as are due. No clock is turned back for that."""
        made = subprocess.run(
            [sys.executable, self.forge, self.vault.dir + "/vault",
             self.vault.key, "wish", *points], stderr=subprocess.PIPE, text=True)
        if made.returncode != 0:
            raise actors.Failure("forge.py: " + made.stderr)

    def undelete(self, point, tag, due):
        code, _, said = self.vault.command("undelete", self.rng.choice("ab"),
                                           "undelete", point)
        if code == 0:
            self.run.count("points brought back")
            with self.vault.lock:
                self.vault.maybe.pop(point, None)
            self.vault.is_there(point, tag, first=False)
        elif code is not None and not due:
            raise actors.Failure("undelete of %s: exit %d: %s" % (
                point, code, said))

    def one(self):
        point, tag = self.choose()
        if not point:
            return
        with self.vault.lock:
            self.vault.maybe[point] = tag
        due = self.rng.random() < 0.7
        if due:
            self.wish_long_ago(point)
        else:
            code, _, said = self.vault.command(
                "forget", self.rng.choice("ab"), "forget", point)
            if code not in (0, None):
                raise actors.Failure("forget of %s: exit %d: %s" % (
                    point, code, said))
        self.run.count("points forgotten")
        if not due or self.rng.random() < 0.3:
            self.run.calm.wait(self.rng.random() * 3)
            self.undelete(point, tag, due)

    def __call__(self):
        while not self.run.calm.wait(self.rng.random()):
            self.one()
            # Meanwhile points that stay are read again.
            with self.vault.lock:
                some = [p for p in self.vault.order if p in self.vault.points
                        and p not in self.vault.busy]
                point = self.rng.choice(some) if some else None
                if point:
                    self.vault.is_there(point, self.vault.points[point],
                                        first=False)


class Pruner:
    """Frees what nothing needs, beside all the others."""

    def __init__(self, vault, number):
        self.vault, self.run = vault, vault.run
        self.name = "prune%d" % number
        self.cache = "ab"[number % 2]
        self.rng = vault.run.rng(self.name)

    def prune(self, *args):
        """Exit code, and what was printed, by message type."""
        code, out, said = self.vault.command(
            self.name, self.cache, "prune", *args)
        if code is not None and code not in PRUNE_OK:
            raise actors.Failure("prune: exit %d: %s" % (code, said))
        lines = [json.loads(line) for line in out.splitlines()]
        return code, {line["message_type"]: line for line in lines}

    def typed(self, *args):
        """With the number that has to be typed, where it has to."""
        code, got = self.prune("-n", *args)
        number = ()
        if code == 0 and got["plan"]["needs_yes_remove"]:
            number = "--yes-remove", str(got["plan"]["remove_count"])
        return self.prune(*args, *number)

    def __call__(self):
        while not self.run.calm.wait(self.rng.random() * 4):
            code, got = self.typed("--wait", "20s")
            if code != 0:
                continue
            self.run.count("prunes")
            if got["summary"]["packs_removed"]:
                self.run.count("prunes that freed")


def packs_size(vault):
    size = 0
    for line in subprocess.run(
            ["find", vault.dir + "/vault/pack", "-type", "f", "-printf",
             "%s\n"], stdout=subprocess.PIPE, text=True,
            check=True).stdout.splitlines():
        size += int(line)
    return size


def settle(vault, forge):
    """All but a few points go, then what is left takes little more than what
    it takes in a vault of its own."""
    pruner, forgetter = Pruner(vault, 0), Forgetter(vault, forge)
    with vault.lock:
        going = [p for p in vault.points if vault.newer(p) > NEWER]
    for i in range(0, len(going), 1000):
        forgetter.wish_long_ago(*going[i:i + 1000])
    for point in going:
        del vault.points[point]
        vault.maybe[point] = "went"
    for _ in range(3):
        code, got = pruner.typed()
        if code != 0:
            raise actors.Failure("the last prune: exit %d" % code)
    plan = got["plan"]
    needed = plan["bytes"] - plan["bytes_unused_in_packs"]
    if plan["bytes"] != packs_size(vault):
        raise actors.Failure("prune says %d bytes of packs, there are %d" % (
            plan["bytes"], packs_size(vault)))
    if plan["bytes"] > needed * SPARE:
        raise actors.Failure("%d bytes of packs, of which %d are needed" % (
            plan["bytes"], needed))
    vault.run.say("main", "%d bytes are left, %d are needed" % (
        plan["bytes"], needed))
    vault.run.counts["KiB left"] = plan["bytes"] >> 10
    vault.run.counts["KiB needed"] = needed >> 10
