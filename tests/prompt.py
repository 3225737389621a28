#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""prompt.py VMBACKUP VAULT: what the password prompt does on a terminal."""

import os
import pty
import signal
import sys
import termios

vmbackup, vault = sys.argv[1:3]


class Terminal:
    """The program on a terminal of its own."""

    def __init__(self, *args):
        self.seen = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            for name in list(os.environ):
                if name.startswith("VMBACKUP_"):
                    del os.environ[name]
            os.execv(vmbackup, [vmbackup, "-r", vault, "--no-cache", *args])
        signal.alarm(120)

    def read(self):
        try:
            data = os.read(self.fd, 4096)
        except OSError:
            data = b""
        self.seen += data
        return data

    def expect(self, text):
        while text not in self.seen:
            if not self.read():
                sys.exit(f"not asked {text!r}; but: {self.seen!r}")
        self.seen = self.seen.split(text, 1)[1]

    def echoes(self):
        return bool(termios.tcgetattr(self.fd)[3] & termios.ECHO)

    def type(self, text):
        if self.echoes():
            sys.exit("the terminal echoes while a password is asked for")
        os.write(self.fd, text)

    def end(self):
        while self.read():
            pass
        status = os.waitpid(self.pid, 0)[1]
        os.close(self.fd)
        if b"right" in self.seen:
            sys.exit("the password was shown")
        return os.waitstatus_to_exitcode(status)


def check(what, got, want):
    if got != want:
        sys.exit(f"{what}: exit {got}, not {want}")


t = Terminal("init", "--kdf-cost", "14")
t.expect(b"password for the new vault: ")
t.type(b"right\n")
t.expect(b"again: ")
t.type(b"wrong\n")
check("typed differently", t.end(), 2)
if os.path.exists(vault):
    sys.exit("a vault was made of two passwords")

t = Terminal("init", "--kdf-cost", "14")
t.expect(b"password for the new vault: ")
t.type(b"right\n")
t.expect(b"again: ")
t.type(b"right\n")
check("init", t.end(), 0)

for word, code in (b"right\n", 0), (b"wrong\n", 12), (b"\n", 12):
    t = Terminal("points")
    t.expect(b"password for the vault: ")
    t.type(word)
    check(f"typed {word!r}", t.end(), code)

t = Terminal("points")
t.expect(b"password for the vault: ")
t.type(b"\x03")
check("Ctrl-C", t.end(), 130)
