#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""
Run a command on a kernel that seems to have no Landlock.

    no_landlock.py COMMAND ARG...

A seccomp filter answers landlock_create_ruleset(2) with ENOSYS.
"""
import ctypes
import errno
import os
import struct
import sys

CREATE_RULESET = 444  # on every architecture
SET_NO_NEW_PRIVS, SET_SECCOMP, FILTER = 38, 22, 2
code = b"".join(struct.pack("HBBI", *op) for op in (
    (0x20, 0, 0, 0),                            # load the call's number
    (0x15, 0, 1, CREATE_RULESET),               # is it that?
    (0x06, 0, 0, 0x00050000 | errno.ENOSYS),
    (0x06, 0, 0, 0x7fff0000)))
buffer = ctypes.create_string_buffer(code)


class Program(ctypes.Structure):
    _fields_ = [("n", ctypes.c_ushort), ("code", ctypes.c_void_p)]


libc = ctypes.CDLL(None, use_errno=True)
program = Program(len(code) // 8, ctypes.addressof(buffer))
if libc.prctl(SET_NO_NEW_PRIVS, 1, 0, 0, 0) or \
        libc.prctl(SET_SECCOMP, FILTER, ctypes.byref(program)):
    sys.exit("no seccomp: " + os.strerror(ctypes.get_errno()))
os.execvp(sys.argv[1], sys.argv[1:])
