#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replay a trace of the simulation against the rules of the model.

usage: replay.py TRACE...

The model (vault.pml) says in which order a backup and a collection call the
store, and what may be there when they do. Here the same rules follow a trace
that "simulate --seed N --trace" printed of the real code: the vault is built up
again, call by call, each client is in some state of its process in the model,
and a call that the process could not make in that state ends the replay. Rules
are called as they are in vault.pml, which explains them. LIST is not a rule of
a client but what the model takes for a listing: it has all that was there from
its beginning to its end, and nothing that was not there at all.

It says the rule and the line and exits with 1, or with 0 when the model accepts
all of them, after saying how often it was asked for each rule.
"""

import collections
import re
import sys

FOR_EVER = {
    "commit": "R6f",
    "purge": "R8b",
    "sweep": "R14d",
}


# What the trace tells of from the beginning.
KINDS = ("pack/", "index/", "commit/", "purge/", "session/", "point/", "forget/",
         "tomb/", "sweep/")


class Rejected(Exception):
    pass


class Client:
    """Where a client is in its process."""

    def __init__(self):
        self.sid = None  # of the session that it began
        self.began = False  # and knows to stand
        self.point = False  # which has put a point
        self.tombs = None  # found since; None: not listed
        self.asked = set()  # those of them that were read
        self.tombs_read = 0  # when the last of them was
        self.sweeps = 0  # when sweeps were listed
        self.purged = None  # points that were when verdicts were listed
        self.order = []  # what had to hold when it listed packs last
        self.register = None  # the answer to who asked for it
        self.gid = None  # of the collection whose tomb it put
        self.begins = {}  # listings: when, and what was there
        self.lists = {}  # those that ended: when they began


class Vault:
    def __init__(self):
        self.now = 0
        self.asked = collections.Counter()
        self.objects = {}  # name -> when it came
        self.who = {}  # name -> who put it
        self.gone = {}  # name -> when it went last
        self.copies = set()  # that are on their way
        self.names = collections.defaultdict(set)  # index -> packs
        self.condemned = collections.defaultdict(set)  # tomb -> packs
        self.deleted = collections.defaultdict(set)  # sweep -> packs
        self.purged = set()
        self.clients = collections.defaultdict(Client)
        self.tomb_sessions = {}  # tomb -> sessions that were open then

    def demand(self, rule, holds, why):
        self.asked[rule] += 1
        if not holds:
            raise Rejected(f"{rule}: {why}")

    def listed(self, prefix):
        return {n for n in self.objects if n.startswith(prefix)}

    def swept(self):
        return set().union(*self.deleted.values())

    def is_pack_there(self, pack):
        return any(n.endswith("/" + pack) for n in self.listed("pack/"))

    def is_decided(self, sid):
        return "commit/" + sid in self.objects

    # ---- what happens in the store ----

    def comes(self, who, name):
        kind = name.split("/")[0]
        self.demand("R6a" if kind == "commit" else "R8a", name not in self.objects,
                    f"{name} is put over what stands there")
        # A collector that is not answered puts its tomb again, though others gave it
        # up meanwhile. It deletes nothing then, and the next one takes the tomb away.
        is_void = kind == "tomb" and "sweep/" + name[5:] in self.objects \
            and not self.deleted["sweep/" + name[5:]]
        self.demand("R6d", name not in self.gone or name in self.copies or is_void,
                    f"{name} was deleted, and is put again")
        self.copies.discard(name)
        self.objects[name] = self.now
        self.who[name] = who
        if kind == "tomb":
            self.tomb_sessions[name] = {
                n[8:] for n in self.listed("session/")
                if not self.is_decided(n[8:])}

    def goes(self, name):
        kind = name.split("/")[0]
        if kind in FOR_EVER:
            self.demand(FOR_EVER[kind], False, f"{name} is deleted")
        if kind == "pack":
            self.demand("R14a", name.split("/")[-1] in self.swept(),
                        f"{name} goes, and no sweep names it")
        elif kind == "tomb":
            sweep = "sweep/" + name[5:]
            self.demand("R14b", sweep in self.objects,
                        f"{name} goes, and nothing is decided on it")
            left = {p for p in self.deleted[sweep] if self.is_pack_there(p)}
            self.demand("R15", not left, f"{name} goes before {left}")
        elif kind == "index":
            others = set().union(*(self.names[n] for n in self.listed("index/")
                                   if n != name), set())
            lost = {p for p in self.names[name] - others - self.swept()
                    if self.is_pack_there(p)}
            self.demand("R16a", not lost, f"{name} goes, which alone names {lost}")
        self.objects.pop(name, None)
        self.gone[name] = self.now

    # ---- what clients do ----

    def puts(self, c, name, result):
        kind, _, rest = name.partition("/")
        if c.sid and kind in ("pack", "index", "point", "commit"):
            self.relies(c)
        if kind == "session" and c.role == "writer":
            role, key = c.role, c.key
            c.__init__()
            c.role, c.key, c.sid = role, key, rest
            c.began = result == "ok"
        elif kind == "point":
            c.point = True
        elif kind == "commit" and rest == c.sid and c.point:
            c.register = None
            mine = {p.split("/")[-1] for p in self.listed("pack/")
                    if p.split("/")[-1].startswith(rest)}
            named = set().union(*(self.names[n] for n in self.listed("index/")),
                                set())
            self.demand("R6c", mine <= named,
                        f"{name} is put, and no index object names {mine - named}")
        elif kind == "tomb":
            c.gid = rest
        elif kind == "sweep" and rest == c.gid and self.deleted[name] \
                and self.who.get(name) == c.key and result == "ok":
            self.decides(c, "tomb/" + rest)

    def decides(self, c, tomb):
        since = self.objects.get(tomb)
        self.demand("R10", since is not None,
                    f"packs are to go, and {tomb} does not stand")
        began = c.lists.get("session/", 0)
        self.demand("R11a", began > since,
                    "sessions were not listed since the tomb stands")
        last = began
        for sid in self.tomb_sessions[tomb]:
            self.demand("R11b", self.is_decided(sid),
                        f"packs are to go, and session {sid} is not decided")
            last = max(last, self.objects["commit/" + sid])
        self.demand("R12a", c.lists.get("commit/", 0) > last,
                    "points were not listed since the last session was decided")

    def reads(self, c, name, result):
        kind, _, rest = name.partition("/")
        if kind == "session" and rest == c.sid and result == "ok":
            c.began = True
        elif kind == "commit" and rest == c.sid:
            c.register = result
        elif kind == "tomb" and c.tombs is not None:
            c.asked.add(name)
            c.tombs_read = self.now

    def begins(self, c, prefix):
        c.begins[prefix] = (self.now, self.listed(prefix), set(self.purged))
        c.found = set()
        # What is listed before a session proves nothing: R2.
        if c.role != "writer" or c.sid is None:
            return
        if prefix in ("tomb/", "pack/"):
            # Once it was decided, by whomever, it may go.
            self.demand("R1", c.began and ("session/" + c.sid in self.objects
                                           or self.is_decided(c.sid)),
                        f"{prefix} is listed, and no session stands")
        if prefix == "pack/":
            unread = (c.tombs or set()) - c.asked
            c.order = [
                ("R3a", c.tombs is not None, "packs are listed before tombs"),
                ("R3b", not unread, f"{unread} were not read before packs"),
                ("R4c", c.sweeps > c.tombs_read,
                 "sweeps were not listed between tombs and packs")]

    def relies(self, c):
        """On its last listing of packs. One before that may have been of others: who
        finds an index object gone looks which packs there are, and uses none yet."""
        for rule, holds, why in c.order:
            self.demand(rule, holds, why)

    def ends(self, c, prefix, result):
        if result != "ok" or prefix not in c.begins:
            return
        began, before, purged = c.begins.pop(prefix)
        c.lists[prefix] = began
        if prefix not in KINDS:
            return
        must = {n for n in before if self.objects.get(n, self.now) <= began}
        self.demand("LIST", must <= c.found | set(self.gone),
                    f"the listing of {prefix} lacks {must - c.found}")
        never = {n for n in c.found if n not in self.objects
                 and self.gone.get(n, -1) < began}
        self.demand("LIST", not never, f"{never} are listed, and are not there")
        if prefix == "tomb/":
            c.tombs = set(c.found)
            c.tombs_read = began
        elif prefix == "sweep/":
            c.sweeps = self.now
        elif prefix == "purge/" and c.began:
            c.purged = purged

    def says(self, c, text):
        if text.startswith("takes over "):
            self.relies(c)
            self.demand("R5a", c.purged is not None,
                        "a parent is chosen, and verdicts were not listed since")
            self.demand("R5b", text.split()[2] not in c.purged,
                        "a parent is one that was purged")
        elif text.startswith("commit: ") and c.sid:
            name = "commit/" + c.sid
            self.demand("R6b", text != "commit: ok" or c.register == "ok"
                        and self.who.get(name) == c.key,
                        f"{name} was not read, or is not its own")
            c.sid, c.began = None, False
        elif text == "is killed":
            role, key = c.role, c.key
            c.__init__()
            c.role, c.key = role, key

    # ---- a line ----

    CALL = re.compile(r"(put|get|head|list|sync|delete) (\S*): (\S+)$")

    def line(self, text):
        m = re.match(r"(\d+) (([a-z]+)\d+) (.*)", text)
        if not m:
            return
        self.now += 1
        key, role, what = m.group(2), m.group(3), m.group(4)
        c = self.clients[key]
        c.role, c.key = role, key
        word = what.split()
        call = self.CALL.match(what)
        if word[0] == "+":
            self.comes(key, word[1])
        elif word[0] == "-":
            self.goes(word[1])
        elif word[0] == "copy":
            self.copies.add(word[1])
        elif word[0] == "purged":
            self.demand("R9", "forget/" + word[1] in self.objects,
                        f"purge/{word[1]}: nobody wished it")
            self.purged.add(word[1][:32])
        elif word[0] == "begins":
            self.begins(c, word[2])
        elif word[0] == "found":
            c.found.add(word[1])
        elif len(word) == 3 and word[1] in ("names", "condemns", "deletes"):
            {"names": self.names, "condemns": self.condemned,
             "deletes": self.deleted}[word[1]][word[0]].add(word[2])
        elif call:
            op, name, result = call.groups()
            if op == "put":
                self.puts(c, name, result)
            elif op == "get":
                self.reads(c, name, result)
            elif op == "list":
                self.ends(c, name, result)
        else:
            self.says(c, what)


def replay(path, asked):
    vault = Vault()
    with open(path, encoding="utf-8") as f:
        for number, text in enumerate(f, 1):
            text = text.rstrip("\n")
            try:
                vault.line(text)
            except Rejected as e:
                print(f"{path}:{number}: {text[:100]}\n{path}: {e}")
                return False
    asked.update(vault.asked)
    return True


def main():
    asked = collections.Counter()
    if not all([replay(path, asked) for path in sys.argv[1:]]):
        sys.exit(1)
    print(" ".join(f"{rule}:{n}" for rule, n in sorted(asked.items())))


main()
