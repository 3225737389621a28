#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""keep.py KEEP_RUN SEED CASES: compare retention with what the manual says.

The oracle below is vmbackup(1), "forget", sentence by sentence, without a
thought for speed. It is asked about generated histories of years, with policies
made up at random, and so is keep_run, which runs what the program runs. Both
have to give the same reasons for each point.

Besides that, what keep_run says must have these properties, whatever the oracle
thinks: applied again, a policy forgets nothing more; a policy that keeps more
forgets nothing more; points in doubt, however many, make none go that is in less
doubt; a burst of points, whatever times they bear, makes no more go than its last
point alone; and each machine keeps one of the points that are in the least doubt,
and one of them that was verified.
"""
import collections
import datetime
import random
import subprocess
import sys

SECOND = 10**9
HOUR = 3600 * SECOND
DAY = 24 * HOUR
RULES = ["last", "hourly", "daily", "weekly", "monthly", "yearly"]
UNLIMITED = 2**32 - 1
BURST, TAG, TIME, PROTECTION, GOOD, VERIFIED = range(12, 18)
IS_PROTECTED, IS_VERIFIED, IS_INCOMPLETE, IS_SUSPICIOUS = 1, 2, 4, 8
BY = {"machine": 1, "host": 2, "tags": 4, "paths": 8}
START = 1577836800 * SECOND  # 2020-01-01


# What the one who forgets takes for now, and when the vault got its newest point.
Clock = collections.namedtuple("Clock", "local vault")


class Policy:
    def __init__(self):
        self.count = dict.fromkeys(RULES, 0)
        self.within = dict.fromkeys(RULES, 0)
        self.group_by = ["machine", "paths"]
        self.remove_all = False
        self.tags = []

    def copy(self):
        p = Policy()
        p.count, p.within = dict(self.count), dict(self.within)
        p.group_by, p.remove_all = list(self.group_by), self.remove_all
        p.tags = list(self.tags)
        return p

    def line(self):
        numbers = [self.count[r] for r in RULES]
        numbers += [self.within[r] for r in RULES]
        numbers += [sum(BY[g] for g in self.group_by), int(self.remove_all)]
        tags = ";".join(",".join(t) for t in self.tags) or "-"
        return "policy %s %s\n" % (" ".join(map(str, numbers)), tags)


class Point:
    def __init__(self, name, machine, time, stored):
        self.id, self.machine, self.host = name, machine, "h"
        self.time, self.stored, self.until = time, stored, 0
        self.tags, self.paths, self.flags = (), ("/",), 0

    def line(self):
        return "point %s %s %s %s %s %d %d %d %d\n" % (
            self.id, self.machine, self.host, ",".join(self.tags) or "-",
            ",".join(self.paths) or "-", self.time, self.stored, self.until,
            self.flags)


# ---- the manual's words ----

def utc(moment):
    epoch = datetime.datetime(1970, 1, 1)
    return epoch + datetime.timedelta(seconds=moment // SECOND)


def period(moment, rule):
    t = utc(moment)
    return {"hourly": (t.date(), t.hour), "daily": t.date(),
            "weekly": tuple(t.isocalendar()[:2]),
            "monthly": (t.year, t.month), "yearly": t.year}[rule]


def received(p):
    """The order in which the vault received the points."""
    return (p.stored or p.time, p.time, p.id)


def doubts(p, clock):
    d, now = 0, max(clock)
    if p.flags & IS_INCOMPLETE:
        d |= 1
    if p.flags & IS_SUSPICIOUS:
        d |= 2
    if p.time > now + HOUR:
        d |= 4
    if p.stored and p.time > p.stored + HOUR:
        d |= 4
    return d


def rank(p, clock):
    """The worst of its doubts."""
    return doubts(p, clock).bit_length()


def arrival(p):
    return received(p)[0]


def last_of_periods(points, rule, moment, order):
    """The last point of each period, the latest period first."""
    seen = {}
    for p in points:
        key = p.id if rule == "last" else period(moment(p), rule)
        if key not in seen or order(p) > order(seen[key]):
            seen[key] = p
    return sorted(seen.values(), key=order, reverse=True)


def apply(policy, points, moment, by_vault, keep):
    """Apply the rules once; keep(point, reason, is_oldest) is called."""
    def order(p):
        return (moment(p),) + received(p)
    if not points:
        return
    newest = max(map(moment, points))
    oldest = min(points, key=order)
    for i, rule in enumerate(RULES):
        n = policy.count[rule]
        last = last_of_periods(points, rule, moment, order)
        for p in last[:n]:
            keep(p, i, False)
        if n and len(last) < n and oldest not in last:
            keep(oldest, i, True)
        within = policy.within[rule]
        young = [p for p in points if moment(p) >= newest - within]
        if within:
            last = last_of_periods(young, rule, moment, order)
            for p in last:
                keep(p, 6 + i, False)
            if oldest in young and oldest not in last:
                keep(oldest, 6 + i, True)
    if by_vault and policy.count["last"]:
        for p in last_of_periods(points, "hourly", moment,
                                 order)[:policy.count["last"]]:
            keep(p, BURST, False)


def group_of(policy, p):
    return tuple(getattr(p, g) for g in ("machine", "host", "tags", "paths")
                 if g in policy.group_by)


def oracle(policy, points, clock):
    """{id: (reasons, oldest, doubts)}"""
    reasons = {p.id: set() for p in points}
    plain = {p.id: set() for p in points}

    def keep(p, reason, is_oldest=False):
        reasons[p.id].add(reason)
        if not is_oldest:
            plain[p.id].add(reason)

    groups = {}
    for p in points:
        groups.setdefault(group_of(policy, p), []).append(p)
    for group in groups.values():
        for worst in range(4):
            some = [p for p in group if rank(p, clock) <= worst]
            apply(policy, some, arrival, True, keep)
            apply(policy, some, lambda p: p.time, False, keep)
    for p in points:
        if any(set(t) <= set(p.tags) for t in policy.tags):
            keep(p, TAG)
        if p.until > clock.local or clock.vault and p.until > clock.vault + DAY:
            keep(p, TIME)
        if p.flags & IS_PROTECTED:
            keep(p, PROTECTION)
    for machine in {p.machine for p in points}:
        if policy.remove_all:
            break
        mine = [p for p in points if p.machine == machine]
        least = min(rank(p, clock) for p in mine)
        good = [p for p in mine if rank(p, clock) == least]
        keep(max(good, key=received), GOOD)
        verified = [p for p in good if p.flags & IS_VERIFIED]
        if verified:
            keep(max(verified, key=received), VERIFIED)
    return {p.id: (sum(1 << r for r in reasons[p.id]),
                   sum(1 << r for r in reasons[p.id] - plain[p.id]),
                   doubts(p, clock)) for p in points}


# ---- what the program says ----

class Program:
    def __init__(self, path):
        self.child = subprocess.Popen([path], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True)

    def judge(self, policy, points, clock):
        self.child.stdin.write(policy.line() +
                               "".join(p.line() for p in points) +
                               "run %d %d\n" % clock)
        self.child.stdin.flush()
        out = {}
        for line in iter(self.child.stdout.readline, ".\n"):
            if not line:
                sys.exit("keep_run: ended")
            name, why, oldest, doubt, _ = line.split()
            out[name] = (int(why), int(oldest), int(doubt))
        return out

    def kept(self, policy, points, clock):
        verdicts = self.judge(policy, points, clock)
        return {name for name, v in verdicts.items() if v[0]}


# ---- histories and policies ----

def random_policy(rng):
    p = Policy()
    for rule in RULES:
        if rng.random() < 0.4:
            p.count[rule] = rng.choice([1, 2, 3, 5, 7, 12, 30, UNLIMITED])
        if rng.random() < 0.15:
            p.within[rule] = rng.choice([6 * HOUR, DAY, 7 * DAY, 31 * DAY,
                                         366 * DAY])
    p.group_by = [g for g in BY if rng.random() < 0.5]
    p.remove_all = rng.random() < 0.2
    if rng.random() < 0.3:
        p.tags = rng.choice([[("a",)], [("a", "b")], [("a",), ("b",)]])
    return p


def random_schedule(rng, name):
    """The points of one machine over months or years, with all that happens."""
    step = rng.choice([HOUR // 2, HOUR, 6 * HOUR, DAY, DAY, 7 * DAY])
    moment = START + rng.randrange(3 * 366 * DAY)
    honest = rng.random() < 0.5
    knows_times = rng.random() < 0.8
    shift = 0
    points = []
    for i in range(rng.randrange(1, 70)):
        moment += rng.randrange(step // 2, step + step // 2 + 1)
        if rng.random() < 0.05:
            moment += rng.randrange(60) * DAY  # it was off
        if not honest and rng.random() < 0.05:
            shift = rng.choice([0, 0, -400, -30, -2, 1, 30, 400]) * DAY
        moment -= moment % SECOND
        took = rng.choice([1, 60, 3600, 7200, 100000]) * SECOND
        p = Point("%s%04d" % (name, i), name, moment + shift,
                  moment + took if knows_times else 0)
        if not honest:
            p.flags = sum(f for f in (1, 2, 4, 8) if rng.random() < 0.1)
            if rng.random() < 0.05:
                p.until = p.time + 40 * DAY
        p.tags = rng.choice([(), (), ("a",), ("a", "b"), ("b",)])
        p.paths = rng.choice([("/",), ("/",), ("/", "/home")])
        p.host = rng.choice(["h", "h", "i"])
        points.append(p)
        if rng.random() < 0.03:  # somebody makes many at once
            for k in range(rng.randrange(2, 20)):
                q = Point("%sb%03d" % (p.id, k), name, p.time + k * SECOND,
                          p.stored and p.stored + k * SECOND)
                points.append(q)
    return points


def random_case(rng):
    points = []
    for m in range(rng.choice([1, 1, 2, 3])):
        points += random_schedule(rng, "m%d" % m)
    rng.shuffle(points)
    now = max(max(p.time if rng.random() < 0.5 else 0, p.stored)
              for p in points) + rng.choice([0, HOUR, DAY, 400 * DAY])
    if rng.random() < 0.1:
        now -= 500 * DAY  # the clock of the one who forgets is wrong
    return points, Clock(now, max(p.stored for p in points))


# ---- the properties ----

def check(ok, what, *details):
    if not ok:
        sys.exit("keep.py: %s: %s" % (what, " ".join(map(str, details))))


def more(rng, policy):
    p = policy.copy()
    rule = rng.choice(RULES)
    if rng.random() < 0.5:
        p.count[rule] = min(p.count[rule] + rng.randrange(1, 10), UNLIMITED)
    else:
        p.within[rule] += rng.randrange(1, 60) * DAY
    return p


def check_properties(rng, program, policy, points, clock):
    kept = program.kept(policy, points, clock)
    left = [p for p in points if p.id in kept]
    if left:
        check(program.kept(policy, left, clock) == kept, "not idempotent")
    check(program.kept(more(rng, policy), points, clock) >= kept,
          "a policy that keeps more forgets more")
    for worst in range(3):
        good = [p for p in points if rank(p, clock) <= worst]
        if good:
            check(program.kept(policy, good, clock) <= kept,
                  "points in doubt made one go that is in less")
    if policy.remove_all:
        return
    for machine in {p.machine for p in points}:
        mine = [p for p in points if p.machine == machine]
        check(any(p.id in kept for p in mine), machine, "lost all")
        least = min(rank(p, clock) for p in mine)
        sound = [p for p in mine if rank(p, clock) == least]
        check(any(p.id in kept for p in sound), machine,
              "lost all good ones")
        verified = [p for p in sound if p.flags & IS_VERIFIED]
        check(not verified or any(p.id in kept for p in verified), machine,
              "lost all verified ones")
    check(all(p.id in kept for p in points if p.flags & IS_PROTECTED),
          "a protected one went")


def check_burst(rng, program, policy, now):
    """A day a point, and then many within an hour, in all clothes."""
    policy = policy.copy()
    policy.tags, policy.group_by = [], ["machine"]
    begin = now - now % HOUR - 40 * DAY
    old = [Point("o%03d" % i, "m", begin + i * DAY, begin + i * DAY + SECOND)
           for i in range(40)]
    end = begin + 40 * DAY
    burst = [Point("x%03d" % i, "m", end + i * SECOND, end + i * SECOND)
             for i in range(rng.randrange(2, 200))]
    # It is the same where none of a machine's points is beyond doubt.
    flags = rng.choice([0, IS_INCOMPLETE, IS_SUSPICIOUS])
    for p in old + burst:
        p.flags = flags
    clock = Clock(end + HOUR, rng.choice([0, end, end + 200 * SECOND]))
    one = program.kept(policy, old + burst[-1:], clock)
    many = program.kept(policy, old + burst, clock)
    for p in old:
        check(p.id in many or p.id not in one, "a burst made another go")
    for p in burst:
        p.time += rng.randrange(2, 4000) * HOUR
    future = program.kept(policy, old + burst, clock)
    check(program.kept(policy, old, clock) <= future,
          "points from the future made another go")
    # Forged times of the past take no more room than the vault gives them.
    for p in burst:
        p.time = begin + rng.randrange(39) * DAY + 23 * HOUR
    forged = program.kept(policy, old + burst, clock)
    for p in old:
        check(p.id in forged or p.id not in one, "forged times made one go")
    # Not even such as a backup that took long could have.
    for p in burst:
        p.time = p.stored - rng.randrange(24) * HOUR
    long = program.kept(policy, old + burst, clock)
    for p in old:
        check(p.id in long or p.id not in one, "times of the day made one go")


def main():
    path, seed, cases = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    rng = random.Random(seed)
    program = Program(path)
    points_seen = gone = 0
    for i in range(cases):
        points, clock = random_case(rng)
        policy = random_policy(rng)
        expected = oracle(policy, points, clock)
        found = program.judge(policy, points, clock)
        for p in points:
            check(found.get(p.id) == expected[p.id], "seed", seed, "case", i,
                  policy.line(), p.line(), clock, "found",
                  found.get(p.id), "expected", expected[p.id])
        check_properties(rng, program, policy, points, clock)
        check_burst(rng, program, policy, START + rng.randrange(2000) * DAY)
        points_seen += len(points)
        gone += sum(not v[0] for v in expected.values())
    # What never forgets, or never keeps, has tested nothing.
    check(points_seen / 10 < gone < points_seen * 9 / 10,
          "one-sided", gone, "of", points_seen)
    print("%d cases, %d points, %d of them forgotten"
          % (cases, points_seen, gone))


if __name__ == "__main__":
    main()
