#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""
A second reader of vaults, written from vmbackup-vault(5) alone: it shares no
code with the programs, so that the manual is tested and not only the code.

    vmbackup_reader.py VAULT --key-file FILE points
    vmbackup_reader.py VAULT --key-file FILE restore POINT-ID TARGET
    vmbackup_reader.py VAULT --key-file FILE verify
    vmbackup_reader.py VAULT --key-file FILE config

It looks at every pack's own directory, not at the index; verify compares the
two. Everything that is read is authenticated, and each chunk is hashed again.
restore makes the point's tree in TARGET, its disks TARGET/disks/NAME.raw, and
its config files TARGET/config/NAME.
Needs python3-cryptography and the zstd program.
"""
import argparse
import base64
import collections
import hashlib
import hmac
import json
import os
import stat
import subprocess
import sys

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PublicKey)
from cryptography.hazmat.primitives.asymmetric.x25519 import (
    X25519PrivateKey, X25519PublicKey)
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import (
    Encoding, PublicFormat)
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

CONFIG, KEY, SESSION, DATA_PACK, TREE_PACK, INDEX, POINT, COMMIT, PURGE = range(1, 10)
TOMB, SWEEP, QUARANTINE, NOTE, FEATURE, HEARTBEAT, DIGEST, FORGET, MACHINE = \
    range(10, 19)
LEDGER = 20
EPOCH = 21
WINDOW = 23
CHUNK_DATA, CHUNK_NODE, CHUNK_EXTENTS, CHUNK_DISK, CHUNK_XATTRS = range(1, 6)
HEADER, BOX, TRAILER, TAG = 96, 112, 24, 16
CELL = 256 << 10
Frame = collections.namedtuple("Frame", "off clen plen codec")
Chunk = collections.namedtuple("Chunk", "type id len frame off pack")


class Bad(Exception):
    """What is there is not what the manual says."""


def expand(prk, info, length):
    return HKDFExpand(algorithm=hashes.SHA256(), length=length,
                      info=info).derive(prk)


def extract(salt, ikm):
    return hmac.new(salt, ikm, hashlib.sha256).digest()


def unzip(data, length):
    r = subprocess.run(["zstd", "-dcq"], input=data, capture_output=True)
    if r.returncode or len(r.stdout) != length:
        raise Bad("zstd: %s" % r.stderr.decode(errors="replace"))
    return r.stdout


class Reader:
    """Takes values off the front of bytes, never past their end."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        if n > len(self.data) - self.at:
            raise Bad("too short")
        out = self.data[self.at:self.at + n]
        self.at += n
        return out

    def int(self, n):
        return int.from_bytes(self.take(n), "little")

    def varint(self):
        value = shift = 0
        while True:
            b = self.int(1)
            value |= (b & 0x7f) << shift
            shift += 7
            if not b & 0x80:
                break
        if value >> 64 or (not b and shift > 7):
            raise Bad("varint too long")
        return value

    def svarint(self):
        v = self.varint()
        return v >> 1 ^ -(v & 1)

    def bytes(self):
        return self.take(self.varint())

    def left(self):
        return len(self.data) - self.at

    def done(self):
        if self.left():
            raise Bad("%d bytes behind the end" % self.left())


# ---- objects ----

class ObjectKey:
    def __init__(self, base, kind, vault_id, salt, name, epoch):
        tail = epoch.to_bytes(4, "little") if epoch else b""
        out = expand(base, b"vmbackupfs/1/object" + bytes([kind]) + vault_id +
                     salt + name.encode() + tail, 76)
        self.key, self.nonce, self.commitment = out[:32], out[32:44], out[44:]

    def open(self, number, aad, data):
        nonce = self.nonce[:8] + bytes(
            a ^ b for a, b in zip(self.nonce[8:], number.to_bytes(4, "big")))
        try:
            return AESGCM(self.key).decrypt(nonce, bytes(data), bytes(aad))
        except InvalidTag:
            raise Bad("frame %d: the tag does not match" % number)


def header(data, kind):
    r = Reader(data)
    if r.take(8) != b"vmbackup":
        raise Bad("no magic")
    if r.int(2) != 1:
        raise Bad("another version of the format")
    if r.int(1) != kind or r.int(1) != 0:
        raise Bad("header of another kind")
    epoch = r.int(4)
    return r.take(16), r.take(32), r.take(32), epoch


def open_box(data, kind, name, base_of):
    """base_of(vault id, clear text, epoch, salt) gives the base key."""
    vault_id, salt, commitment, epoch = header(data, kind)
    r = Reader(data[HEADER:])
    clear_len, plain_len, cipher_len = r.int(4), r.int(4), r.int(4)
    codec = r.int(1)
    if r.take(3) != b"\0\0\0":
        raise Bad("%s: reserved bytes" % name)
    clear = r.take(clear_len)
    cipher = r.take(cipher_len + TAG)
    r.done()
    key = ObjectKey(base_of(vault_id, clear, epoch, salt), kind, vault_id, salt,
                    name, epoch)
    if not hmac.compare_digest(key.commitment, commitment):
        raise Bad("%s: another key" % name)
    plain = key.open(0, data[:BOX + clear_len], cipher)
    if codec == 1:
        plain = unzip(plain, plain_len)
    if codec > 1 or len(plain) != plain_len:
        raise Bad("%s: length" % name)
    return vault_id, clear, plain


class Vault:
    def __init__(self, path, keyfile=None, passphrase=None, trusted=()):
        self.path = path
        self.trusted, self.demanded = set(trusted), False
        self.names = []
        for folder, _, names in os.walk(path):
            for name in names:
                self.names.append(os.path.relpath(os.path.join(
                    folder, name), path))
        self.masters, self.vault_id = self.unlock(keyfile, passphrase)
        self.id_key = expand(extract(self.vault_id, self.masters[0]),
                             b"vmbackupfs/1/id", 32)
        self.bases = [
            {t: self.base(master, self.vault_id, t) for t in range(1, 23)}
            for master in self.masters]
        clear, plain = self.read_config()
        self.demand(clear)
        config = self.config = json.loads(plain)
        if config["format"] != 1:
            raise Bad("config: format")
        # Only writers need it, but what is there has to be well formed.
        if "chunker" in config and len(bytes.fromhex(config["chunker"])) != 32:
            raise Bad("config: chunker")
        for name in self.under("feature/"):
            try:
                clear, _ = self.box(name, FEATURE, with_clear=True)
            except Bad:
                continue  # it keeps writers away, not readers
            self.demand(clear)
        self.chunks = {}
        self.holders = {}  # of each chunk: the names of the packs
        self.reached = set()  # chunks that were asked for
        self.packs = {}
        self.cache = collections.OrderedDict()
        self.quarantine = self.in_quarantine()
        for name in self.under("pack/"):
            try:
                self.read_pack(name)
            except Bad:
                # It was found already that it cannot be read.
                if name.split("/")[2] not in self.quarantine:
                    raise
                self.packs.pop(name, None)

    def in_quarantine(self):
        """Packs of which the object of the highest number is even, of those
        that open: anybody may put what does not."""
        last = {}
        for name in self.under("quarantine/"):
            parts = name.split("/")[1].split("-")
            number = int(parts[3]) if len(parts) > 3 else 0
            pack = "-".join(parts[:3])
            try:
                json.loads(self.box(name, QUARANTINE))
            except (Bad, ValueError):
                continue
            last[pack] = max(last.get(pack, (0, name)), (number, name))
        return {pack for pack, (number, _) in last.items() if number % 2 == 0}

    def demand(self, clear):
        """What a reader must know: bits of features. Bit 2: signatures."""
        if len(clear) != 16:
            raise Bad("features: length")
        bits = int.from_bytes(clear[:4], "little")
        if bits & ~4:
            raise Bad("features that are not known: %r" % clear)
        self.demanded |= bits == 4

    def counts(self, name, text, vm):
        """Where signatures are demanded: of one who may sign for the machine."""
        if not self.demanded:
            return True
        key = json.loads(text).get("sig", {}).get("key")
        if not self.trusted & {(key, None), (key, vm)}:
            return False
        verify_signature(self, name.split("/")[1], text)
        return True

    def under(self, prefix):
        return sorted(n for n in self.names if n.startswith(prefix))

    def get(self, name):
        with open(os.path.join(self.path, name), "rb") as f:
            return f.read()

    @staticmethod
    def base(master, vault_id, kind):
        return expand(extract(vault_id, master),
                      b"vmbackupfs/1/seal/" + bytes([kind]), 32)

    def all_masters(self, plain, vault_id, epoch):
        """The master keys of all epochs, which epoch/<n> has to bear out."""
        masters = [plain[i:i + 32] for i in range(0, len(plain), 32)]
        if epoch == 0:
            return masters
        name = "epoch/%d" % epoch
        if name not in self.names:
            raise Bad("%s: not there" % name)
        data = self.get(name)
        if header(data, EPOCH)[3] != epoch:
            raise Bad("%s: of another epoch" % name)
        _, _, plain = open_box(data, EPOCH, name, lambda v, c, e, s: self.base(
            masters[-1], vault_id, EPOCH))
        if plain != b"".join(masters[:-1]):
            raise Bad("%s: of other keys" % name)
        return masters

    def unlock(self, keyfile, passphrase):
        found = None
        for name in self.under("key/"):
            def base_of(_vault_id, clear, _epoch, _salt):
                slot = json.loads(clear)
                salt = bytes.fromhex(slot["salt"])
                if slot["kdf"] == "keyfile" and keyfile:
                    return expand(extract(salt, keyfile),
                                  b"vmbackupfs/1/keyfile", 32)
                if slot["kdf"] == "scrypt" and passphrase:
                    return Scrypt(salt=salt, length=32, n=1 << slot["log_n"],
                                  r=slot["r"], p=slot["p"]).derive(passphrase)
                raise Bad("another kind of slot")
            try:
                data = self.get(name)
                vault_id, _, plain = open_box(data, KEY, name, base_of)
            except Bad:
                continue
            if len(plain) != 32 * (header(data, KEY)[3] + 1):
                raise Bad("%s: not a key" % name)
            try:
                masters = self.all_masters(plain, vault_id,
                                           header(data, KEY)[3])
            except Bad:
                continue  # of a rotation that did not come to be
            if not found or len(masters) > len(found[0]):
                found = masters, vault_id
        if not found:
            raise Bad("no key slot opens")
        return found

    # -- writers that read nothing --

    PUT_KINDS = (SESSION, DATA_PACK, TREE_PACK, INDEX, POINT, COMMIT, HEARTBEAT)

    def put_secret(self, epoch, what):
        """Of one such writer, from his number and the keys of the vault's epoch."""
        if epoch >> 21 & 0x3ff >= len(self.masters):
            raise Bad("keys of epoch %d are not known" % (epoch >> 21 & 0x3ff))
        prk = extract(self.vault_id, self.masters[epoch >> 21 & 0x3ff])
        return expand(prk, b"vmbackupfs/1/put/" + what +
                      (epoch & 0x1fffff).to_bytes(4, "little"), 32)

    def writer_of(self, sid):
        """The epoch of the writer whose session that is, or 0."""
        raw = bytes.fromhex(sid)
        epoch = int.from_bytes(raw[:4], "little")
        if not epoch >> 31 or epoch >> 21 & 0x3ff >= len(self.masters):
            return 0
        tag = hmac.new(self.put_secret(epoch, b"sid"), raw[:8],
                       hashlib.sha256).digest()[:8]
        return epoch if hmac.compare_digest(tag, raw[8:]) else 0

    def put_number(self, epoch, machine):
        prk = extract(self.vault_id, self.masters[epoch >> 21 & 0x3ff])
        mac = hmac.new(expand(prk, b"vmbackupfs/1/put", 32), machine.encode(),
                       hashlib.sha256).digest()
        return int.from_bytes(mac[:4], "little") & 0x1fffff or 1

    def check_machine(self, point):
        epoch = self.writer_of(point["session"])
        if epoch and epoch & 0x1fffff and \
                self.put_number(epoch, point["vm"]) != epoch & 0x1fffff:
            raise Bad("point %s: of a machine that is not its writer's" %
                      point["id"])

    def put_base(self, epoch, kind, salt, name):
        if kind not in self.PUT_KINDS:
            raise Bad("%s: no such writer seals that" % name)
        if kind != POINT and self.writer_of(name.split("/")[-1][:32]) != epoch:
            raise Bad("%s: not by the writer whose session it is of" % name)
        private = X25519PrivateKey.from_private_bytes(
            self.put_secret(epoch, b"private"))
        shared = private.exchange(X25519PublicKey.from_public_bytes(salt))
        ours = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return expand(extract(self.vault_id, shared + salt + ours),
                      b"vmbackupfs/1/put/seal" + bytes([kind]), 32)

    def base_key(self, epoch, kind, salt=None, name=None):
        if epoch >> 31:
            return self.put_base(epoch, kind, salt, name)
        if epoch >= len(self.bases):
            raise Bad("keys of epoch %d are not known" % epoch)
        return self.bases[epoch][kind]

    def read_config(self):
        """Of config and its copy the first that opens."""
        for name in "config", "config.copy":
            try:
                if name in self.names:
                    return self.box(name, CONFIG, with_clear=True,
                                    sealed="config")
            except Bad:
                pass
        raise Bad("neither config nor its copy opens")

    def box(self, name, kind, with_clear=False, sealed=None):
        vault_id, clear, plain = open_box(
            self.get(name), kind, sealed or name,
            lambda v, c, e, s: self.base_key(e, kind, s, sealed or name))
        if vault_id != self.vault_id:
            raise Bad("%s: of another vault" % name)
        return (clear, plain) if with_clear else plain

    # -- packs --

    def read_pack(self, name):
        data = self.get(name)
        sid, number, digest = name.split("/")[2].split("-")
        if hashlib.sha256(data).hexdigest() != digest or not name.startswith(
                "pack/%s/" % digest[:2]):
            raise Bad("%s: the hash is another" % name)
        kind = data[10]
        if kind not in (DATA_PACK, TREE_PACK):
            raise Bad("%s: not a pack" % name)
        vault_id, salt, commitment, epoch = header(data, kind)
        if vault_id != self.vault_id:
            raise Bad("%s: of another vault" % name)
        key_name = "pack/%s-%s" % (sid, number)
        key = ObjectKey(self.base_key(epoch, kind, salt, key_name), kind,
                        vault_id, salt, key_name, epoch)
        if key.commitment != commitment:
            raise Bad("%s: another key" % name)
        t = Reader(data[-TRAILER:])
        dir_off, clen, plen, codec = t.int(8), t.int(4), t.int(4), t.int(1)
        if t.take(3) != b"\0\0\0" or t.take(4) != b"vmbt":
            raise Bad("%s: trailer" % name)
        if dir_off + clen + TAG + TRAILER != len(data):
            raise Bad("%s: trailer's lengths" % name)
        pack = self.packs[name] = {"data": data, "key": key, "name": name,
                                   "kind": kind, "salt": salt,
                                   "epoch": epoch}
        plain = self.frame(pack, 0xffffffff, Frame(dir_off, clen, plen,
                                                   codec))
        pack["directory"] = plain
        pack["frames"], chunks = self.directory(name, plain)
        end = HEADER
        for f in pack["frames"]:
            end = f.off + f.clen + TAG
        if end != dir_off:
            raise Bad("%s: frames and directory do not meet" % name)
        for c in chunks:
            if (c.type in (CHUNK_DATA, CHUNK_DISK)) != (kind == DATA_PACK):
                raise Bad("%s: a chunk of type %d" % (name, c.type))
            self.chunks.setdefault(c.id, c)
            self.holders.setdefault(c.id, set()).add(name.split("/")[2])

    @staticmethod
    def directory(name, plain):
        r = Reader(plain)
        frames, chunks, off = [], [], HEADER
        for _ in range(r.varint()):
            f = Frame(off, r.varint(), r.varint(), r.int(1))
            frames.append(f)
            off += f.clen + TAG
        for _ in range(r.varint()):
            chunks.append(Chunk(r.int(1), r.take(32), r.varint(), r.varint(),
                                r.varint(), name))
        r.done()
        return frames, chunks

    @staticmethod
    def frame(pack, number, f):
        aad = (number.to_bytes(4, "little") + f.off.to_bytes(8, "little") +
               f.clen.to_bytes(4, "little") + f.plen.to_bytes(4, "little") +
               bytes([f.codec]))
        plain = pack["key"].open(
            number, aad, pack["data"][f.off:f.off + f.clen + TAG])
        if f.codec == 1:
            plain = unzip(plain, f.plen)
        if f.codec > 1 or len(plain) != f.plen:
            raise Bad("%s: frame %d: length" % (pack["name"], number))
        return plain

    def cached_frame(self, pack, number):
        key = (pack["name"], number)
        if key not in self.cache:
            self.cache[key] = self.frame(pack, number,
                                         pack["frames"][number])
            if len(self.cache) > 2000:
                self.cache.popitem(last=False)
        self.cache.move_to_end(key)
        return self.cache[key]

    def chunk(self, kind, chunk_id):
        self.reached.add(chunk_id)
        c = self.chunks.get(chunk_id)
        if not c or c.type != kind:
            raise Bad("chunk %s is in no pack" % chunk_id.hex())
        pack = self.packs[c.pack]
        first = self.cached_frame(pack, c.frame)
        out = first[c.off:c.off + c.len]
        number = c.frame
        while len(out) < c.len:
            number += 1
            out += self.cached_frame(pack, number)
        if len(out) != c.len:
            raise Bad("chunk %s: its frames are longer" % chunk_id.hex())
        want = hmac.new(self.id_key, bytes([kind]) + c.len.to_bytes(
            8, "little") + out, hashlib.sha256).digest()
        if want != chunk_id:
            raise Bad("chunk %s: holds other bytes" % chunk_id.hex())
        return out

    # -- points --

    def forgotten(self, wishes, verdicts):
        """The points with a wish to remove them that nobody has answered. A wish
        that is damaged is none."""
        out = set()
        for name in wishes:
            point = name.split("/")[1].split("-")[0]
            try:
                wish = json.loads(self.box(name, FORGET))
            except (Bad, ValueError):
                continue
            if (isinstance(wish, dict) and type(wish.get("time_ns")) is int
                    and "purge/" + name.split("/")[1] not in verdicts):
                out.add(point)
        return out

    def points(self, forgotten=False):
        """All points; those that were forgotten, too, if @forgotten."""
        out = []
        commits = list(self.under("commit/"))
        wishes = list(self.under("forget/"))
        purged = set()
        verdicts = set(self.under("purge/"))
        for name in verdicts:
            verdict = json.loads(self.box(name, PURGE))["verdict"]
            if verdict not in ("PURGED", "KEPT"):
                raise Bad("%s: an unknown verdict" % name)
            # One that nobody wished counts for nothing.
            if verdict == "PURGED" and "forget/" + name.split("/")[1] in wishes:
                purged.add(name.split("/")[1].split("-")[0])
        hidden = set() if forgotten else self.forgotten(wishes, verdicts)
        texts = {name.split("/")[1]: self.box(name, COMMIT)
                 for name in commits}
        registers = {sid: json.loads(text) for sid, text in texts.items()}
        for name in commits:
            text = texts[name.split("/")[1]]
            c = registers[name.split("/")[1]]
            if c["decision"] != "COMMIT":
                continue
            if c["session"] != name.split("/")[1]:
                raise Bad("%s: of another session" % name)
            point = "point/" + c["point"]
            if c["point"] in purged or c["point"] in hidden:
                continue
            sha256 = hashlib.sha256(self.get(point)).hexdigest()
            p = json.loads(self.box(point, POINT))
            own = registers.get(p["session"], {})
            if p["session"] != c["session"] and (
                    own.get("point"), own.get("point_sha256")) == (
                    c["point"], sha256):
                continue  # somebody else claims it
            if sha256 != c["point_sha256"]:
                raise Bad("%s: not what was committed" % point)
            if p["id"] != c["point"] or p["session"] != c["session"]:
                raise Bad("%s: another point" % point)
            self.check_machine(p)
            if self.counts(name, text, p["vm"]):
                out.append(p)
        return sorted(out, key=lambda p: (p["vm"], p["time"], p["id"]))

    def digest(self, name):
        """What a digest says: {sid: None or (point id, hash, document)}, and
        the names of those that it supersedes."""
        plain = self.box(name, DIGEST)
        r, sessions = Reader(plain), {}
        if len(plain) > 8 << 20:
            raise Bad("%s: too long" % name)
        for _ in range(r.varint()):
            sid, decision = r.take(16).hex(), r.int(1)
            if decision not in (1, 2, 3):
                raise Bad("%s: decision %d" % (name, decision))
            if decision == 3:
                c = json.loads(r.bytes())
                sessions[sid] = c["point"], c["point_sha256"], r.bytes(), c
            else:
                sessions[sid] = None if decision == 2 else (
                    r.take(16).hex(), r.take(32).hex(), r.bytes())
        gone = [r.bytes().decode() for _ in range(r.varint())]
        r.done()
        return sessions, gone

    # -- trees --

    def entries(self, node_id):
        """(components of the directory, entry) in order."""
        r = Reader(self.chunk(CHUNK_NODE, node_id))
        kind = r.take(1)
        if kind == b"I":
            r.int(1)
            children = []
            for _ in range(r.varint()):
                r.bytes()
                children.append((r.varint(), r.take(32)))
            r.done()
            for count, child in children:
                n = 0
                for item in self.entries(child):
                    n += 1
                    yield item
                if n != count:
                    raise Bad("a child holds %d entries, not %d" % (n,
                                                                   count))
        elif kind == b"L":
            for _ in range(r.varint()):
                key = components(r.bytes())
                for _ in range(r.varint()):
                    yield key, self.entry(r.bytes())
            r.done()
        else:
            raise Bad("a node of kind %r" % kind)

    def entry(self, data):
        r = Reader(data)
        e = {"name": r.bytes(), "flags": r.int(1), "mode": r.varint(),
             "uid": r.varint(), "gid": r.varint(), "nlink": r.varint(),
             "size": r.varint()}
        e["mtime"] = r.svarint() * 10**9 + r.varint()
        e["ctime"] = r.svarint() * 10**9 + r.varint()
        e["ino"], e["dev"] = r.varint(), r.varint()
        kind = stat.S_IFMT(e["mode"])
        if kind in (stat.S_IFCHR, stat.S_IFBLK):
            e["rdev"] = os.makedev(r.varint(), r.varint())
        if kind == stat.S_IFLNK:
            e["target"] = r.bytes()
        xattrs = b""
        if e["flags"] & 1:
            xattrs = r.bytes()
        if e["flags"] & 2:
            chunk_id = r.take(32)
            length = r.varint()
            xattrs = self.chunk(CHUNK_XATTRS, chunk_id)
            if len(xattrs) != length:
                raise Bad("attributes' length")
        e["xattrs"] = []
        if xattrs:
            x = Reader(xattrs)
            for _ in range(x.varint()):
                e["xattrs"].append((x.bytes(), x.bytes()))
            x.done()
        if e["flags"] & 16:
            e.update(self.extra(r))
        if kind == stat.S_IFREG:
            e["content"] = r.take(r.left())
        r.done()
        return e

    def extra(self, r):
        """What is known beyond stat: of the tags that are known."""
        found, last = {}, 0
        for _ in range(r.varint()):
            tag, value = r.int(1), Reader(r.bytes())
            if tag <= last:
                raise Bad("tags that do not ascend")
            last = tag
            if tag == 1:
                found["birth"] = value.svarint() * 10**9 + value.varint()
            elif tag == 2:
                found["inode_flags"] = value.varint()
            elif tag == 3:
                found["project"] = value.varint()
            else:
                continue
            value.done()
        if not last:
            raise Bad("an extra of nothing")
        return found

    def extents(self, content, kind, size):
        """
        (offset, length, bytes) of the data of what is @size long, in order;
        None in place of bytes where there are zeros that are allocated.
        """
        off = used = 0
        r = Reader(content)
        form = r.int(1)
        if form == 1:
            count = r.varint()
            if not 1 <= count <= 16:
                raise Bad("%d extents" % count)
            found = self.extent_list(r, count)
        elif form == 2:
            level, allocated, root = r.int(1), r.varint(), r.take(32)
            if level > 6:
                raise Bad("an extent map of level %d" % level)
            found = self.extent_map(level, root)
        elif form == 0:
            found = ()
        else:
            raise Bad("content of form %d" % form)
        for length, what, chunk_id in found:
            if what == 0:
                data = self.chunk(kind, chunk_id)
                if len(data) != length:
                    raise Bad("an extent of another length")
                yield off, length, data
                used += length
            elif what == 2:
                yield off, length, None
            off += length
        r.done()
        if off != size:
            raise Bad("extents of %d bytes for %d" % (off, size))
        if form == 2 and used != allocated:
            raise Bad("%d bytes are allocated, not %d" % (used, allocated))

    @staticmethod
    def extent_list(r, count):
        for _ in range(count):
            length, what = r.varint(), r.int(1)
            if what > 2 or not length:
                raise Bad("an extent of kind %d" % what)
            yield length, what, r.take(32) if what == 0 else None

    def extent_map(self, level, chunk_id):
        r = Reader(self.chunk(CHUNK_EXTENTS, chunk_id))
        if r.int(1) != level:
            raise Bad("an extent map of another level")
        count = r.varint()
        if not 1 <= count <= 4096:
            raise Bad("an extent map of %d" % count)
        if not level:
            yield from self.extent_list(r, count)
        else:
            for _ in range(count):
                covered, allocated = r.varint(), r.varint()
                for e in self.extent_map(level - 1, r.take(32)):
                    covered -= e[0]
                    allocated -= e[0] if e[1] == 0 else 0
                    yield e
                if covered or allocated:
                    raise Bad("a child of an extent map covers other bytes")
        r.done()

    # -- disks and config files --

    @staticmethod
    def members(point, key):
        """What the point lists there; the names can be names of files."""
        last = b""
        for m in point.get(key, ()):
            name = m["name"].encode()
            if not name or len(name) > 200 or name[:1] == b"." or \
                    b"/" in name or min(name) < 32 or 127 in name:
                raise Bad("a name in %s: %r" % (key, name))
            if name <= last:
                raise Bad("%s is not in order" % key)
            last = name
            content = base64.b64decode(m["content"], validate=True)
            if len(content) > 4096:
                raise Bad("%s of %s: long content" % (key, m["name"]))
            yield m, content

    def disk(self, m, content):
        """As extents() of a disk; Bad at the end where all is not right."""
        sector, used = m["sector"], 0
        if sector not in (1 << i for i in range(9, 17)):
            raise Bad("disk %s: sectors of %d" % (m["name"], sector))
        digest = DiskDigest(m["size"])
        for off, n, data in self.extents(content, CHUNK_DISK, m["size"]):
            if data is not None:
                if off // CELL != (off + n - 1) // CELL:
                    raise Bad("disk %s: data over a cell's border" %
                              m["name"])
                digest.add(off, data)
                used += n
            yield off, n, data
        if used != m["used"]:
            raise Bad("disk %s: %d bytes in use" % (m["name"], used))
        if m.get("sha256", digest.end()) != digest.end():
            raise Bad("disk %s: the digest is another" % m["name"])


class DiskDigest:
    """Of what add() is told, in order; all else is zeros."""

    def __init__(self, size):
        self.size, self.hash = size, hashlib.sha256()
        self.cell, self.bytes = 0, bytearray()

    def add(self, off, data):
        if off // CELL != self.cell:
            self.end_cell()
            self.cell = off // CELL
        self.bytes += bytes(off % CELL - len(self.bytes)) + data

    def end_cell(self):
        off = self.cell * CELL
        if any(self.bytes):
            length = min(CELL, self.size - off)
            self.hash.update(off.to_bytes(8, "little"))
            self.hash.update(length.to_bytes(4, "little"))
            self.hash.update(self.bytes.ljust(length, b"\0"))
        self.bytes = bytearray()

    def end(self):
        self.end_cell()
        return self.hash.hexdigest()


def components(key):
    """A directory key to the names on its path."""
    out, name, i = [], bytearray(), 0
    while i < len(key):
        b = key[i]
        if b == 1:
            out.append(bytes(name))
            name.clear()
        elif b == 2:
            i += 1
            if i >= len(key) or key[i] not in (2, 3):
                raise Bad("a directory key")
            name.append(key[i] - 1)
        else:
            name.append(b)
        i += 1
    if name:
        raise Bad("a directory key that does not end")
    return tuple(out)


# ---- restore ----

class Restore:
    def __init__(self, vault, target):
        self.vault = vault
        os.makedirs(target, exist_ok=True)
        self.top = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
        self.here, self.fd = (), os.dup(self.top)
        self.dirs = []
        self.links = {}
        self.root = os.geteuid() == 0

    def enter(self, path):
        if path == self.here:
            return
        os.close(self.fd)
        fd = os.dup(self.top)
        for name in path:
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY |
                            os.O_NOFOLLOW, dir_fd=fd)
            os.close(fd)
            fd = below
        self.here, self.fd = path, fd

    def attributes(self, e):
        name = e["name"] or b"."
        proc = b"/proc/self/fd/%d/%s" % (self.fd, name)
        link = stat.S_ISLNK(e["mode"])
        if self.root:
            os.chown(name, e["uid"], e["gid"], dir_fd=self.fd,
                     follow_symlinks=False)
        for key, value in e["xattrs"]:
            os.setxattr(proc, key, value, follow_symlinks=False)
        if not link:
            os.chmod(name, stat.S_IMODE(e["mode"]), dir_fd=self.fd)
        os.utime(name, ns=(e["mtime"], e["mtime"]), dir_fd=self.fd,
                 follow_symlinks=False)

    def data(self, e):
        fd = os.open(e["name"], os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600,
                     dir_fd=self.fd)
        os.ftruncate(fd, e["size"])
        for off, n, data in self.vault.extents(e["content"], CHUNK_DATA,
                                               e["size"]):
            os.pwrite(fd, bytes(n) if data is None else data, off)
        os.close(fd)

    def entry(self, path, e):
        self.enter(path)
        kind, name = stat.S_IFMT(e["mode"]), e["name"]
        if kind == stat.S_IFDIR:
            if name:
                os.mkdir(name, 0o700, dir_fd=self.fd)
            self.dirs.append((path, e))
            return
        group = (e["dev"], e["ino"]) if e["nlink"] > 1 else None
        if group in self.links:
            first, old = self.links[group]
            self.enter(first)
            there = os.dup(self.fd)
            self.enter(path)
            os.link(old, name, src_dir_fd=there, dst_dir_fd=self.fd,
                    follow_symlinks=False)
            os.close(there)
            return
        if group:
            self.links[group] = (path, name)
        if kind == stat.S_IFREG:
            self.data(e)
        elif kind == stat.S_IFLNK:
            os.symlink(e["target"], name, dir_fd=self.fd)
        elif kind in (stat.S_IFIFO, stat.S_IFSOCK) or self.root:
            os.mknod(name, kind | 0o600, e.get("rdev", 0), dir_fd=self.fd)
        else:
            return
        self.attributes(e)

    def member(self, folder, name, size, pieces):
        """A disk or config file; zeros become holes."""
        os.makedirs(b"/proc/self/fd/%d/%s" % (self.top, folder), 0o755, True)
        there = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW,
                        dir_fd=self.top)
        fd = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600,
                     dir_fd=there)
        os.ftruncate(fd, size)
        for off, _, data in pieces:
            if data is not None:
                os.pwrite(fd, data, off)
        os.close(fd)
        os.close(there)

    def machine(self, point):
        n = 0
        for m, content in self.vault.members(point, "disks"):
            self.member(b"disks", m["name"].encode() + b".raw", m["size"],
                        self.vault.disk(m, content))
            n += 1
        for m, content in self.vault.members(point, "config"):
            self.member(b"config", m["name"].encode(), m["size"],
                        self.vault.extents(content, CHUNK_DATA, m["size"]))
            n += 1
        return n

    def tree(self, root):
        n = 0
        for path, e in self.vault.entries(root):
            self.entry(path, e)
            n += 1
        for path, e in reversed(self.dirs):
            self.enter(path)
            self.attributes(e)
        return n


def verify(vault):
    """The index says of every pack what the pack's own directory says."""
    indexed, named, superseded = {}, {}, {}
    for name in vault.under("index/"):
        r = Reader(vault.box(name, INDEX))
        packs = named[name.split("/")[1]] = set()
        for _ in range(r.varint()):
            pack = r.bytes().decode()
            packs.add(pack)
            size, kind, epoch = r.int(8), r.int(1), 0
            if kind & 128:
                kind, epoch = kind & 127, r.int(4)
                if epoch == 0:
                    raise Bad("%s: an epoch of 0" % name)
            salt = r.take(32)
            indexed[pack] = (size, kind, epoch, salt, r.bytes())
        if r.left():
            for _ in range(r.varint()):
                superseded.setdefault(r.bytes().decode(), packs)
        r.done()
    for name, pack in vault.packs.items():
        want = (len(pack["data"]), pack["kind"], pack["epoch"], pack["salt"],
                pack["directory"])
        if indexed.pop(name.split("/")[2], None) != want:
            raise Bad("%s: the index differs" % name)
    for pack in vault.quarantine:
        indexed.pop(pack, None)
    # Who reads nothing finds his packs by his own index objects, which stay.
    for name in vault.under("sweep/"):
        for pack in pack_list(vault, name, SWEEP):
            if vault.writer_of(pack[:32].decode()):
                indexed.pop(pack.decode(), None)
    if indexed:
        raise Bad("packs that are not there: %s" % ", ".join(indexed))
    for name in vault.under("session/"):
        json.loads(vault.box(name, SESSION))
    for c in vault.chunks.values():
        vault.chunk(c.type, c.id)
    for p in vault.points(forgotten=True):
        vault.reached.clear()
        if "tree" in p:
            n = 0
            for _, e in vault.entries(bytes.fromhex(p["tree"]["root"])):
                n += 1
                for _ in vault.extents(e["content"], CHUNK_DATA, e["size"]
                                       ) if "content" in e else ():
                    pass
            if n != p["tree"]["entries"]:
                raise Bad("point %s: %d entries" % (p["id"], n))
        for m, content in vault.members(p, "disks"):
            for _ in vault.disk(m, content):
                pass
        for m, content in vault.members(p, "config"):
            for _ in vault.extents(content, CHUNK_DATA, m["size"]):
                pass
        for kind in ("users", "groups"):
            for number, name in p.get(kind, {}).items():
                if not (0 <= int(number) < 1 << 32 and
                        1 <= len(name.encode()) <= 255):
                    raise Bad("point %s: %s %s" % (p["id"], kind, number))
        if "index" in p:
            verify_index(vault, p, {**superseded, **named})


def verify_index(vault, p, named):
    """What a point stands on names a pack for each chunk that it reaches."""
    if len(p["index"]) > 1000 or p["index"] != sorted(set(p["index"])):
        raise Bad("point %s: index" % p["id"])
    packs = set()
    for name in p["index"]:
        if name not in named:
            raise Bad("point %s stands on %s" % (p["id"], name))
        packs |= named[name]
    # What a damaged pack held may have been stored anew by a later session.
    if packs & vault.quarantine:
        return
    for chunk_id in vault.reached:
        if not vault.holders[chunk_id] & packs:
            raise Bad("point %s: chunk %s is in no pack that it stands on" %
                      (p["id"], chunk_id.hex()))


def note(vault, name, kind):
    """A note on a point or a machine, in the form that the manual says."""
    n = json.loads(vault.box(name, kind))
    word, text = n["kind"], n.get("text")
    if not 1 <= len(word.encode()) <= 32 or min(word) < " ":
        raise Bad("%s: kind" % name)
    if word in ("text", "tag", "untag", "name") and text is None:
        raise Bad("%s: no text" % name)
    if text is not None and not (1 <= len(text.encode()) <= 4096 and
                                 min(text) >= " "):
        raise Bad("%s: text" % name)
    if not isinstance(n["time_ns"], int):
        raise Bad("%s: time" % name)


def fnv1a(data):
    out = 0xcbf29ce484222325
    for byte in data:
        out = (out ^ byte) * 0x100000001b3 & (1 << 64) - 1
    return out


def pack_list(vault, name, kind):
    """The packs that a tomb or a sweep names, and whether they go."""
    clear, plain = vault.box(name, kind, with_clear=True)
    r = Reader(plain)
    verdict = r.int(1) if kind == SWEEP else 1
    count = r.varint()
    if verdict not in (1, 2) or count > 400000 or (verdict == 2 and count):
        raise Bad("%s: verdict %d of %d packs" % (name, verdict, count))
    packs = [r.bytes() for _ in range(count)]
    r.done()
    if packs != sorted(set(packs)):
        raise Bad("%s: not in order" % name)
    # For those who read nothing, of what they stored.
    own = [pack for pack in packs if vault.writer_of(pack[:32].decode())]
    if own and clear != b"".join(fnv1a(pack).to_bytes(8, "little")
                                 for pack in own):
        raise Bad("%s: its clear text" % name)
    return set(packs)


def ledger(vault, name):
    """What a check noted: {first half of a pack's hash: (when, by whom)}, the ids
    of points of which something was lost, or None, and what it supersedes."""
    r = Reader(vault.box(name, LEDGER))
    names = [r.bytes().decode() for _ in range(r.varint())]
    if len(names) > 255 or any(len(n.encode()) > 255 for n in names):
        raise Bad("%s: names" % name)
    keys, packs, points = [], {}, None
    for _ in range(r.varint()):
        keys.append(r.take(16))
        packs[keys[-1]] = r.varint(), names[r.varint()]
    if keys != sorted(set(keys)) or len(keys) > 1000000:
        raise Bad("%s: not in order" % name)
    count = r.varint()
    if count:
        points = [r.take(16) for _ in range(count - 1)]
        if points != sorted(set(points)):
            raise Bad("%s: points are not in order" % name)
    gone = [r.bytes().decode() for _ in range(r.varint())]
    r.done()
    return packs, points, gone


def verify_records(vault):
    """All that lies beside points; return how many objects."""
    count = 0
    for prefix, kind in (("note/", NOTE), ("machine/", MACHINE)):
        for name in vault.under(prefix):
            note(vault, name, kind)
            count += 1
    for prefix, kind in (("forget/", FORGET), ("heartbeat/", HEARTBEAT),
                         ("quarantine/", QUARANTINE)):
        for name in vault.under(prefix):
            if not isinstance(json.loads(vault.box(name, kind))["time_ns"],
                              int):
                raise Bad("%s: time" % name)
            count += 1
    for name in vault.under("tomb/"):
        tomb = pack_list(vault, name, TOMB)
        sweep = "sweep/" + name.split("/")[1]
        if sweep in vault.names and pack_list(vault, sweep, SWEEP) - tomb:
            raise Bad("%s: packs that the tomb does not name" % sweep)
        count += 1
    for name in vault.under("sweep/"):
        pack_list(vault, name, SWEEP)
        count += 1
    for name in vault.under("ledger/"):
        ledger(vault, name)
        count += 1
    for name in vault.under("window/"):
        json.loads(vault.box(name, WINDOW))
        count += 1
    for name in vault.under("feature/"):
        clear, plain = vault.box(name, FEATURE, with_clear=True)
        vault.demand(clear)
        json.loads(plain)
        count += 1
    return count


def verify_signature(vault, sid, text):
    """Where a commit is signed, it is by whom it says, for this vault."""
    c = json.loads(text)
    sig = c.get("sig")
    if sig is None:
        return
    key, value = sig["key"], sig["value"]
    tail = ',"sig":{"key":"%s","value":"%s"}}' % (key, value)
    if not text.endswith(tail.encode()) or len(key) != 64:
        raise Bad("commit/%s: a signature of another form" % sid)
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(
            bytes.fromhex(value),
            b"vmbackupfs/1/commit" + text[:-len(tail)])
    except InvalidSignature:
        raise Bad("commit/%s: its signature is wrong" % sid)
    if c["vault"] != vault.vault_id.hex():
        raise Bad("commit/%s: was signed for another vault" % sid)


def verify_history(vault):
    """Commits name others; return how many are named. Each is there, and says
    what it did."""
    plain, named = {}, {}
    for name in vault.under("commit/"):
        plain[name.split("/")[1]] = vault.box(name, COMMIT)
    for sid, text in plain.items():
        refs = json.loads(text).get("after", [])
        if len(refs) > 256 or refs != sorted(
                refs, key=lambda ref: ref["session"]):
            raise Bad("session %s: follows too much, or in no order" % sid)
        verify_signature(vault, sid, text)
        for ref in refs:
            if ref["sha256"]:
                named[ref["session"]] = ref["sha256"]
    for sid, digest in named.items():
        if sid not in plain:
            raise Bad("commit/%s: was removed" % sid)
        if hashlib.sha256(plain[sid]).hexdigest() != digest:
            raise Bad("commit/%s: was replaced" % sid)
    return len(named)


def verify_digests(vault):
    """Digests say what registers and points say; return how many sessions are
    in one that is not superseded."""
    told, superseded = {}, set()
    for name in vault.under("digest/"):
        told[name.split("/")[1]], gone = vault.digest(name)
        superseded |= set(gone)
    for sessions in told.values():
        for sid, entry in sessions.items():
            c = json.loads(vault.box("commit/" + sid, COMMIT))
            if (c["decision"] == "COMMIT") != (entry is not None):
                raise Bad("session %s: decided otherwise" % sid)
            if entry is None:
                continue
            if entry[:2] != (c["point"], c["point_sha256"]):
                raise Bad("session %s: another point" % sid)
            if entry[3:] not in ((), (c,)):
                raise Bad("session %s: another register" % sid)
            if json.loads(entry[2]) != json.loads(
                    vault.box("point/" + entry[0], POINT)):
                raise Bad("point %s: says something else" % entry[0])
    live = [s for name, s in told.items() if name not in superseded]
    return len(live), len(set().union(*live))


# ---- parity ----

BLOCK, SUMS = 4096, 493


def field_tables():
    """Logarithms in GF(2^8), and what a byte is times each other one."""
    exp, log, x = [0] * 510, [0] * 256, 1
    for i in range(255):
        exp[i] = exp[i + 255] = x
        log[x] = i
        x = x << 1 ^ (0x11d if x & 0x80 else 0)
    times = [bytes(256)] + [bytes(exp[log[a] + log[b]] if b else 0
                                  for b in range(256)) for a in range(1, 256)]
    return [0] + [exp[(255 - log[a]) % 255] for a in range(1, 256)], times


INVERSE, TIMES = field_tables()


def crc64_table():
    table = []
    for i in range(256):
        for _ in range(8):
            i = i >> 1 ^ (0xc96c5795d7870f42 if i & 1 else 0)
        table.append(i)
    return table


CRC64 = crc64_table()


def crc64(data):
    crc, table = (1 << 64) - 1, CRC64
    for b in data:
        crc = table[(crc ^ b) & 255] ^ crc >> 8
    return crc ^ (1 << 64) - 1


def add_blocks(factors, blocks):
    """The sum of blocks, each times its factor."""
    total = 0
    for f, block in zip(factors, blocks):
        total ^= int.from_bytes(block.translate(TIMES[f]), "little")
    return total.to_bytes(BLOCK, "little")


class Parity:
    """One object, as far as it can be read."""

    def __init__(self, data, digest):
        self.data, self.digest, self.sums = data, digest, {}
        self.k = None
        for at in range(len(data) // BLOCK):
            self.piece(at, data[at * BLOCK:(at + 1) * BLOCK])
        if self.k is None:
            raise Bad("no piece of a table of parity can be read")

    def piece(self, at, p):
        if (p[:8] != b"vmbackup" or p[96:128] != self.digest or
                int.from_bytes(p[4088:], "little") != crc64(p[:4088])):
            return
        self.vault_id, salt, commitment, _ = header(p, 19)
        if salt + commitment != bytes(64) or p[142:144] != b"\0\0":
            raise Bad("a piece of a table of parity")
        self.length, number = (int.from_bytes(p[128:136], "little"),
                               int.from_bytes(p[136:140], "little"))
        self.k, self.m = p[140], p[141]
        self.n = -(-self.length // BLOCK)
        self.stripes = -(-self.n // self.k)
        self.total = self.n + self.m * self.stripes
        self.pieces = -(-self.total // SUMS)
        if at not in (number, self.pieces + self.m * self.stripes + number):
            return
        for i in range(min(SUMS, self.total - number * SUMS)):
            self.sums[number * SUMS + i] = int.from_bytes(
                p[144 + 8 * i:152 + 8 * i], "little")

    def factor(self, row, j):
        return INVERSE[(self.k + row) ^ j]

    def stripe(self, blocks, s):
        """The data blocks of a stripe, zeros for those behind the end."""
        return [blocks[j * self.stripes + s]
                if j * self.stripes + s < self.n else bytes(BLOCK)
                for j in range(self.k)]

    def blocks(self, pack):
        pack = pack[:self.length].ljust(self.n * BLOCK, b"\0")
        return [pack[i * BLOCK:(i + 1) * BLOCK] for i in range(self.n)]

    def make(self, pack):
        """The object, from the pack alone."""
        blocks = self.blocks(pack)
        parity = [add_blocks([self.factor(r, j) for j in range(self.k)],
                             self.stripe(blocks, s))
                  for r in range(self.m) for s in range(self.stripes)]
        sums = [crc64(b) for b in blocks + parity]
        table = b""
        for number in range(self.pieces):
            some = sums[number * SUMS:(number + 1) * SUMS]
            p = (b"vmbackup\1\0\x13\0\0\0\0\0" + self.vault_id + bytes(64) +
                 self.digest + self.length.to_bytes(8, "little") +
                 number.to_bytes(4, "little") + bytes([self.k, self.m, 0, 0]) +
                 b"".join(x.to_bytes(8, "little") for x in some))
            p = p.ljust(4088, b"\0")
            table += p + crc64(p).to_bytes(8, "little")
        return table + b"".join(parity) + table

    def mend(self, pack):
        blocks = self.blocks(pack)
        lost = [crc64(b) != self.sums.get(i) for i, b in enumerate(blocks)]
        for s in range(self.stripes):
            gone = [j for j in range(self.k) if j * self.stripes + s < self.n
                    and lost[j * self.stripes + s]]
            if gone:
                self.solve(blocks, s, gone)
        return b"".join(blocks)[:self.length]

    def solve(self, blocks, s, gone):
        """Gauss, over the first rows of parity that are there."""
        data, rows = self.stripe(blocks, s), []
        for r in range(self.m):
            i = r * self.stripes + s
            p = self.data[(self.pieces + i) * BLOCK:][:BLOCK]
            if len(rows) == len(gone) or crc64(p) != self.sums.get(self.n + i):
                continue
            rest = add_blocks([self.factor(r, j) for j in range(self.k)] + [1],
                              [bytes(BLOCK) if j in gone else data[j]
                               for j in range(self.k)] + [p])
            rows.append([[self.factor(r, j) for j in gone], rest])
        if len(rows) < len(gone):
            raise Bad("stripe %d has lost too much" % s)
        for i in range(len(gone)):
            at = next(r for r in range(i, len(rows)) if rows[r][0][i])
            rows[i], rows[at] = rows[at], rows[i]
            f = INVERSE[rows[i][0][i]]
            rows[i] = [[TIMES[f][x] for x in rows[i][0]],
                       rows[i][1].translate(TIMES[f])]
            for r in range(len(rows)):
                f = rows[r][0][i]
                if r != i and f:
                    rows[r] = [[x ^ TIMES[f][y] for x, y in
                                zip(rows[r][0], rows[i][0])],
                               add_blocks([1, f], [rows[r][1], rows[i][1]])]
        for j, row in zip(gone, rows):
            blocks[j * self.stripes + s] = row[1]


def parity_of(top, pack):
    digest = pack.rsplit("-", 1)[1]
    path = os.path.join(top, "%s", digest[:2], pack)
    with open(path % "pack", "rb") as f:
        data = f.read()
    with open(path % "parity", "rb") as f:
        parity = f.read()
    return data, parity, Parity(parity, bytes.fromhex(digest))


def verify_parity(vault):
    """What the object of each pack has to be follows from the pack."""
    n, top = 0, os.path.join(vault.path, "parity")
    for folder in sorted(os.listdir(top)) if os.path.isdir(top) else []:
        for pack in os.listdir(os.path.join(top, folder)):
            data, object, parity = parity_of(vault.path, pack)
            if parity.length != len(data) or parity.make(data) != object:
                raise Bad("parity of %s: is another" % pack)
            n += 1
    return n


def mend(top, pack, target):
    data, _, parity = parity_of(top, pack)
    data = parity.mend(data)
    if hashlib.sha256(data).hexdigest() != pack.rsplit("-", 1)[1]:
        raise Bad("what was mended is not the pack")
    with open(target, "wb") as f:
        f.write(data)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse
                                .RawDescriptionHelpFormatter)
    p.add_argument("vault")
    p.add_argument("--key-file")
    p.add_argument("--password")
    p.add_argument("--trust", action="append", default=[],
                   metavar="KEY[=MACHINE]")
    sub = p.add_subparsers(dest="verb", required=True)
    sub.add_parser("points")
    sub.add_parser("verify")
    sub.add_parser("digests")
    sub.add_parser("config")
    q = sub.add_parser("mend")
    q.add_argument("pack")
    q.add_argument("target")
    q = sub.add_parser("restore")
    q.add_argument("point")
    q.add_argument("target")
    a = p.parse_args()
    if a.verb == "mend":
        # No key is needed for that.
        mend(a.vault, a.pack, a.target)
        return 0
    keyfile = None
    if a.key_file:
        with open(a.key_file, "rb") as f:
            keyfile = f.read()
    trusted = [tuple(t.split("=", 1)) if "=" in t else (t, None)
               for t in a.trust]
    vault = Vault(a.vault, keyfile, a.password.encode() if a.password
                  else None, trusted)
    if a.verb == "points":
        for point in vault.points():
            print(json.dumps(point))
    elif a.verb == "config":
        print(json.dumps(vault.config))
    elif a.verb == "digests":
        print("%d digests in use, %d sessions" % verify_digests(vault))
    elif a.verb == "verify":
        verify(vault)
        for pack in sorted(vault.quarantine):
            print("in quarantine: %s" % pack)
        print("%d records beside points" % verify_records(vault))
        print("%d packs have parity" % verify_parity(vault))
        print("%d commits that others follow" % verify_history(vault))
        print("%d packs, %d chunks, %d points" % (
            len(vault.packs), len(vault.chunks), len(vault.points())))
    else:
        os.umask(0)
        found = [x for x in vault.points(forgotten=True) if x["id"].startswith(a.point)]
        if len(found) != 1:
            raise Bad("%d points are %s" % (len(found), a.point))
        restore, n = Restore(vault, a.target), 0
        if "tree" in found[0]:
            n = restore.tree(bytes.fromhex(found[0]["tree"]["root"]))
        members = restore.machine(found[0])
        print("%d entries, %d disks and config files" % (n, members))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Bad as e:
        sys.exit("vmbackup_reader.py: %s" % e)
