#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a vault look as if time had passed, or as if others were at work.

    forge.py VAULT KEYFILE age DAYS      wishes to remove points are so much older
    forge.py VAULT KEYFILE session SID   a backup far away has begun
"""
import json
import os
import sys

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

sys.dont_write_bytecode = True
import vmbackup_reader as reader  # noqa: E402

SESSION = 3


def seal(vault, name, kind, text):
    """Write the box @name. Its salt says nothing, for this is a test's."""
    plain = json.dumps(text).encode()
    salt = os.urandom(32)
    key = reader.ObjectKey(vault.bases[kind], kind, vault.vault_id, salt, name)
    head = (b"vmbackup" + (1).to_bytes(2, "little") + bytes([kind, 0]) +
            bytes(4) + vault.vault_id + salt + key.commitment + bytes(4) +
            len(plain).to_bytes(4, "little") * 2 + bytes(4))
    path = os.path.join(vault.path, name)
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


def main():
    path, keyfile, what, arg = sys.argv[1:]
    with open(keyfile, "rb") as f:
        vault = reader.Vault(path, keyfile=f.read())
    if what == "age":
        age(vault, int(arg))
    else:
        seal(vault, "session/" + arg, SESSION,
             {"session": arg, "kind": "backup", "host": "far-away", "pid": 7})


main()
