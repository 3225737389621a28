#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""
What the writers of processes.py back up, and what it should look like.

    sources.py DIR    print the manifest of a directory: a line an entry
    sources.py FILE   of a file: its size and hash
"""
import contextlib
import hashlib
import os
import random
import stat
import sys
import threading

POOL = 40          # contents that several sources may have


def pool_bytes(number):
    """The same for everybody, so that machines have chunks in common."""
    rng = random.Random("pool %d" % number)
    size = rng.choice((300, 5000, 70000, 400000))
    if number % 2:
        return rng.randbytes(size)
    return b"".join(b"line %d of %d\n" % (i, number) for i in range(size // 16))


def hash_file(path):
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        while block := f.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def manifest(top):
    """All that there is below top, sorted: the text is equal iff the trees
    are."""
    if not os.path.isdir(top):
        return "%d %s\n" % (os.stat(top).st_size, hash_file(top))
    lines = []

    def raise_it(error):
        raise error

    for folder, names, leaves in os.walk(top, onerror=raise_it):
        for name in names + leaves + ["."]:
            path = os.path.join(folder, name)
            st = os.lstat(path)
            what = ""
            if stat.S_ISREG(st.st_mode):
                what = "%d %s" % (st.st_size, hash_file(path))
            elif stat.S_ISLNK(st.st_mode):
                what = os.readlink(path)
            if name == "." or not stat.S_ISDIR(st.st_mode):
                lines.append("%s %o %d:%d %d %s\n" % (
                    os.path.relpath(path, top), st.st_mode, st.st_uid,
                    st.st_gid, st.st_mtime_ns, what))
    return "".join(sorted(lines))


class Source:
    """A tree or a disk. It changes only while nobody reads it."""

    def __init__(self, path, kind, rng):
        self.path, self.kind, self.rng = path, kind, rng
        self.made = 0
        self.change = threading.Condition()
        self.readers = 0
        self.text = None
        if kind == "disk":
            with open(path, "wb") as f:
                f.truncate(6 << 20)
            self.change_disk()
        else:
            os.mkdir(path)
            for _ in range(3 if kind == "large" else 60):
                self.add()

    @contextlib.contextmanager
    def still(self, mutate):
        """Hold it still; before that change it, if nobody else holds it."""
        with self.change:
            if mutate and not self.readers:
                self.mutate()
                self.text = None
            if self.text is None:
                self.text = manifest(self.path)
            self.readers += 1
            text = self.text
        try:
            yield text
        finally:
            with self.change:
                self.readers -= 1

    def entries(self, want):
        found = [self.path] if want == "dir" else []
        for folder, names, leaves in os.walk(self.path):
            names.sort()
            for name in names if want == "dir" else sorted(leaves):
                path = os.path.join(folder, name)
                if want == "dir" or not os.path.islink(path):
                    found.append(path)
        return found

    def content(self):
        if self.kind == "large":
            return self.rng.randbytes(self.rng.randint(6 << 20, 14 << 20))
        if self.rng.random() < 0.5:
            return pool_bytes(self.rng.randrange(POOL))
        return self.rng.randbytes(self.rng.choice((0, 10, 3000, 60000)))

    def add(self):
        self.made += 1
        folder = self.rng.choice(self.entries("dir"))
        path = "%s/n%d" % (folder, self.made)
        if self.rng.random() < 0.1:
            os.mkdir(path)
            path += "/in"
        if self.rng.random() < 0.05:
            os.symlink("n%d" % self.rng.randrange(9), path)
            return
        with open(path, "wb") as f:
            f.write(self.content())

    def change_disk(self):
        size = os.stat(self.path).st_size
        with open(self.path, "r+b") as f:
            for _ in range(self.rng.randint(1, 12)):
                f.seek(self.rng.randrange(size - 300000) & ~511)
                f.write(self.rng.choice((bytes(65536), self.rng.randbytes(
                    self.rng.choice((512, 4096, 262144))))))

    def mutate(self):
        rng = self.rng
        if self.kind == "disk":
            self.change_disk()
            return
        for _ in range(1 if self.kind == "large" else rng.randint(0, 6)):
            files = self.entries("file")
            what = rng.choice(("add", "write", "append", "remove", "move",
                               "link", "chmod"))
            if what == "add" or len(files) < 3:
                self.add()
                continue
            path = rng.choice(files)
            self.made += 1
            beside = "%s/m%d" % (os.path.dirname(path), self.made)
            if what == "write":
                with open(path, "r+b") as f:
                    f.seek(rng.randrange(os.stat(path).st_size + 1))
                    f.write(rng.randbytes(rng.choice((1, 5000))))
            elif what == "append":
                with open(path, "ab") as f:
                    f.write(self.content())
            elif what == "remove":
                os.unlink(path)
            elif what == "move":
                os.rename(path, beside)
            elif what == "link":
                os.link(path, beside)
            else:
                os.chmod(path, rng.choice((0o600, 0o644, 0o755)))
        if self.kind == "large":
            while len(files := self.entries("file")) > 4:
                os.unlink(rng.choice(files))


if __name__ == "__main__":
    sys.stdout.write(manifest(sys.argv[1]))
