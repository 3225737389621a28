#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a vault look as if time had passed, or as if others were at work.

    forge.py VAULT KEYFILE age DAYS      wishes to remove points are so much older
    forge.py VAULT KEYFILE session SID   a backup far away has begun
    forge.py VAULT KEYFILE wish POINT... somebody forgot points 20 days ago
    forge.py VAULT KEYFILE fence SID     a session that made a point made none
    forge.py VAULT KEYFILE spoof SID     its commit says that it follows none
    forge.py VAULT KEYFILE replay SID    it is as signed for another vault
"""
import json
import os
import sys
import time

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

sys.dont_write_bytecode = True
import vmbackup_reader as reader  # noqa: E402

SESSION = 3


class Vault(reader.Vault):
    """Opened without its packs, which come and go."""

    def read_pack(self, name):
        pass


def seal(vault, name, kind, text, path=None):
    return seal_bytes(vault, name, kind,
                      json.dumps(text, separators=(",", ":")).encode(), path)


def seal_bytes(vault, name, kind, plain, path=None):
    """Write the box @name, at its place or at @path. Its salt says nothing, for
    this is a test's."""
    salt = os.urandom(32)
    key = reader.ObjectKey(vault.base_key(0, kind), kind, vault.vault_id, salt,
                           name, 0)
    head = (b"vmbackup" + (1).to_bytes(2, "little") + bytes([kind, 0]) +
            bytes(4) + vault.vault_id + salt + key.commitment + bytes(4) +
            len(plain).to_bytes(4, "little") * 2 + bytes(4))
    path = path or os.path.join(vault.path, name)
    with open(path + ".new", "wb") as f:
        f.write(head + AESGCM(key.key).encrypt(key.nonce, plain, head))
    os.rename(path + ".new", path)
    return path


def age(vault, days):
    for name in vault.under("forget/"):
        path = os.path.join(vault.path, name)
        stored = os.stat(path).st_mtime - days * 86400
        wish = json.loads(vault.box(name, reader.FORGET))
        for member in ("time_ns", "until_ns"):
            wish[member] -= days * 86400 * 10**9
        seal(vault, name, reader.FORGET, wish)
        os.utime(path, (stored, stored))


def wish(vault, point, days=20):
    """The next wish to remove the point, put at once and with its age."""
    names = vault.under("forget/") + vault.under("purge/")
    n = 1 + max([int(name.rpartition("-")[2]) for name in names
                 if point in name], default=-1)
    then = time.time_ns() - days * 86400 * 10**9
    name = "forget/%s-%d" % (point, n)
    path = seal(vault, name, reader.FORGET, {
        "time_ns": then, "until_ns": then + 14 * 86400 * 10**9},
        os.path.join(os.path.dirname(vault.path), "wish-" + point))
    os.utime(path, ns=(then, then))
    os.makedirs(os.path.join(vault.path, "forget"), exist_ok=True)
    os.link(path, os.path.join(vault.path, name))
    os.unlink(path)


def replay(vault, sid):
    """Sign a commit with a key of our own, as for another vault."""
    from cryptography.hazmat.primitives import serialization as s
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey)
    c = json.loads(vault.box("commit/" + sid, reader.COMMIT))
    c.pop("sig", None)
    c["vault"] = "5" * 32
    text = json.dumps(c, separators=(",", ":"))[:-1]
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(s.Encoding.Raw,
                                           s.PublicFormat.Raw)
    value = key.sign(b"vmbackupfs/1/commit" + text.encode())
    seal_bytes(vault, "commit/" + sid, reader.COMMIT, (
        text + ',"sig":{"key":"%s","value":"%s"}}' % (
            public.hex(), value.hex())).encode())


def main():
    path, keyfile, what, arg = sys.argv[1:5]
    with open(keyfile, "rb") as f:
        vault = Vault(path, keyfile=f.read())
    if what == "fence":
        seal(vault, "commit/" + arg, reader.COMMIT,
             {"decision": "FENCED", "session": arg})
    elif what == "spoof":
        c = json.loads(vault.box("commit/" + arg, reader.COMMIT))
        c["after"] = []
        seal(vault, "commit/" + arg, reader.COMMIT, c)
    elif what == "replay":
        replay(vault, arg)
    elif what == "age":
        age(vault, int(arg))
    elif what == "wish":
        for point in sys.argv[4:]:
            wish(vault, point)
    else:
        seal(vault, "session/" + arg, SESSION,
             {"session": arg, "kind": "backup", "host": "far-away", "pid": 7})


main()
