#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""
plain_same.py DIR-MANIFEST IMAGE-DUMP [--step NS] [--modes] [--no-dir-times]
              [--fold] [--skip PATH]...

Compare what manifest.py says of a directory with what dump says of an image
made of it, as far as formats without owners and modes keep it: type, size,
times (up to NS nanoseconds earlier), targets, contents. Exit 1 and print what
differs.
"""
import argparse
import ast
import re
import sys

LINE = re.compile(r"^((?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")) (.*)$")


def load(path, skip, fold):
    out = {}
    with open(path, encoding="utf-8") as f:
        for line in f:
            m = LINE.match(line.rstrip("\n"))
            if not m:
                sys.exit("%s: not a line of a manifest: %r" % (path, line))
            name = ast.literal_eval(m.group(1))
            if any(name == s or name.startswith(s + "/") for s in skip):
                continue
            rest = re.sub(r"first='(?:[^'\\]|\\.)*'|first=\"[^\"]*\"", "",
                          m.group(2))
            fields = rest.split()
            d = {"mode": int(fields[0], 8)}
            for field in fields[1:]:
                key, _, value = field.partition("=")
                d[key] = value
            m = re.search(r"target=(.*)$", rest)
            if m:
                d["target"] = m.group(1).strip()
            name = name.upper() if fold else name
            if name in out:
                sys.exit("%s: %r is there twice" % (path, name))
            out[name] = d
    return out


def main():
    p = argparse.ArgumentParser()
    p.add_argument("source")
    p.add_argument("image")
    p.add_argument("--step", type=int, default=0)
    p.add_argument("--modes", action="store_true")
    p.add_argument("--no-dir-times", action="store_true")
    p.add_argument("--fold", action="store_true")
    p.add_argument("--skip", action="append", default=[])
    a = p.parse_args()
    want, got = (load(x, a.skip, a.fold) for x in (a.source, a.image))
    bad = []
    for name in sorted(set(want) | set(got)):
        if name not in got or name not in want:
            bad.append("%r: only in the %s" % (
                name, "source" if name in want else "image"))
            continue
        w, g = want[name], got[name]
        keys = ["size", "sha256", "target"]
        if (w["mode"] ^ g["mode"]) & 0o170000:
            bad.append("%r: types differ" % name)
        if a.modes and w["mode"] != g["mode"]:
            bad.append("%r: mode %o, not %o" % (name, g["mode"], w["mode"]))
        for key in keys:
            if w.get(key) != g.get(key):
                bad.append("%r: %s=%s, not %s" % (name, key, g.get(key),
                                                 w.get(key)))
        late = int(w["mtime"]) - int(g["mtime"])
        if not 0 <= late <= a.step and name != "." and not (
                a.no_dir_times and w["mode"] & 0o170000 == 0o40000):
            bad.append("%r: mtime %s, not %s" % (name, g["mtime"],
                                                w["mtime"]))
    print("%d entries compared, %d differences" % (len(want), len(bad)))
    print("\n".join(bad[:40]))
    if len(want) < 10:
        sys.exit("too few entries: the test is wrong")
    sys.exit(1 if bad else 0)


main()
