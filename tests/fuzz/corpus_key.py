#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the corpus of fuzz_key: corpus_key.py [DIRECTORY]

The slots are made from the manual (vmbackup-vault(5)) with nothing of this
project, and every byte of them is fixed: test_key.c opens the same two.
"""
import hashlib
import hmac
import os
import struct
import sys

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

OBJECT_KEY = 2
SLOT = "0123456789abcdef0123456789abcdef"
VAULT_ID = bytes(range(0xa0, 0xb0))
MASTER = bytes(range(32))
KEYFILE = b"key file\n"
PASSPHRASE = b"correct horse"
SLOT_SALT = bytes([9]) * 32
BOX_SALT = bytes([6]) * 32


def mac(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def expand(prk, info, length):
    out = block = b""
    while len(out) < length:
        block = mac(prk, block + info + bytes([len(out) // 32 + 1]))
        out += block
    return out[:length]


def slot(kek, clear, plain=MASTER):
    name = b"key/" + SLOT.encode()
    okm = expand(kek, b"vmbackupfs/1/object" + bytes([OBJECT_KEY]) + VAULT_ID
                 + BOX_SALT + name, 76)
    head = b"vmbackup" + struct.pack("<HBBI", 1, OBJECT_KEY, 0, 0)
    head += VAULT_ID + BOX_SALT + okm[44:76]
    head += struct.pack("<IIIB3x", len(clear), len(plain), len(plain), 0)
    aad = head + clear
    return aad + AESGCM(okm[:32]).encrypt(okm[32:44], plain, aad)


def main():
    where = sys.argv[1] if len(sys.argv) > 1 else os.path.join(
        os.path.dirname(os.path.abspath(__file__)), "corpus", "key")
    salt = SLOT_SALT.hex().encode()
    info = b'"info":{"host":"web1","label":"first"}'
    by_file = b'{"kdf":"keyfile","salt":"' + salt + b'",' + info + b"}"
    by_pass = (b'{"kdf":"scrypt","log_n":14,"r":8,"p":1,"salt":"' + salt
               + b'",' + info + b"}")
    file_kek = expand(mac(SLOT_SALT, KEYFILE), b"vmbackupfs/1/keyfile", 32)
    pass_kek = hashlib.scrypt(PASSPHRASE, salt=SLOT_SALT, n=1 << 14, r=8, p=1,
                              dklen=32)
    files = {
        "slot-keyfile": slot(file_kek, by_file),
        "slot-scrypt": slot(pass_kek, by_pass),
        "slot-short-master": slot(file_kek, by_file, MASTER[:31]),
        # fuzz_key puts a box around what is none
        "clear-keyfile": by_file,
        "clear-scrypt": by_pass,
        "clear-unknown": b'{"kdf":"x25519","info":{}}',
        "clear-bounds": by_pass.replace(b"14", b"63"),
        "clear-twice": by_file.replace(b"{", b'{"kdf":"scrypt",', 1),
    }
    os.makedirs(where, exist_ok=True)
    for name, data in files.items():
        with open(os.path.join(where, name), "wb") as f:
            f.write(data)


if __name__ == "__main__":
    main()
