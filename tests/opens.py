#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""
Stand between a filesystem and those who read it (fanotify; root).

    opens.py MOUNTPOINT LOG [EVENT NAME ACTION [ARG]]...
    opens.py --probe        exit 0 where this can be done

LOG gets a line "EVENT NAME" for each file that is opened or read, before that
happens: EVENT is open or read, NAME the last part of its path. Its first line
is "ready". At each such event of NAME there happens, before it is let go on,

    append          one byte is appended to the file
    truncate SIZE   the file is cut, if it is longer
    remove PATH     PATH is removed; if it is still there
    fifo PATH       and a fifo put there
    slow SECONDS    nothing for so long
    hold FIFO       nothing until somebody has opened FIFO for writing

NAME/ is a directory. Runs until it is killed; what is held then
goes on.
"""
import ctypes
import os
import stat
import struct
import sys
import time

CLASS_CONTENT, CLOEXEC = 4, 1
MARK_ADD, MARK_MOUNT = 1, 0x10
OPEN_PERM, ACCESS_PERM, ONDIR = 0x10000, 0x20000, 0x40000000
EVENT = struct.Struct("=IBBHQii")
libc = ctypes.CDLL(None, use_errno=True)


def checked(r):
    if r < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return r


def begin(path, flags, mask, mark=MARK_ADD | MARK_MOUNT):
    # Descriptors of events make no events themselves.
    fd = checked(libc.fanotify_init(CLASS_CONTENT | CLOEXEC, flags))
    checked(libc.fanotify_mark(
        fd, mark, ctypes.c_uint64(mask), -100, os.fsencode(path)))
    return fd


def remove(path):
    try:
        os.unlink(path)
        return True
    except FileNotFoundError:
        return False


def act(fd, action, arg):
    if action == "append":
        os.lseek(fd, 0, os.SEEK_END)
        os.write(fd, b"+")
    elif action == "truncate":
        if os.fstat(fd).st_size > int(arg):
            os.ftruncate(fd, int(arg))
    elif action == "remove":
        remove(arg)
    elif action == "fifo":
        if remove(arg):
            os.mkfifo(arg)
    elif action == "slow":
        time.sleep(float(arg))
    elif action == "hold":
        os.close(os.open(arg, os.O_RDONLY))
    else:
        sys.exit("no such action: " + action)


def rules_of(words):
    out, alone = {}, ("append",)
    while words:
        event, name, action = words[:3]
        arg = None if action in alone else words[3]
        out.setdefault((event, name), []).append((action, arg))
        words = words[3 if action in alone else 4:]
    return out


def serve(path, log, rules):
    dirs = any(name.endswith("/") for _, name in rules)
    fd = begin(path, os.O_RDONLY if dirs else os.O_RDWR,
               OPEN_PERM | ACCESS_PERM | (ONDIR if dirs else 0))
    print("ready", file=log, flush=True)
    while True:
        data = os.read(fd, 65536)
        while data:
            length, _, _, _, mask, event_fd, _ = EVENT.unpack_from(data)
            data = data[length:]
            event = "open" if mask & OPEN_PERM else "read"
            name = os.path.basename(os.readlink("/proc/self/fd/%d" %
                                                event_fd))
            if stat.S_ISDIR(os.fstat(event_fd).st_mode):
                name += "/"
            print(event, name, file=log, flush=True)
            for action, arg in rules.get((event, name), ()):
                act(event_fd, action, arg)
            os.write(fd, struct.pack("=iI", event_fd, 1))
            os.close(event_fd)


def main():
    if sys.argv[1:] == ["--probe"]:
        try:
            begin(__file__, os.O_RDONLY, OPEN_PERM, MARK_ADD)
        except (AttributeError, OSError) as e:
            print("opens.py: %s" % e, file=sys.stderr)
            return 1
        return 0
    with open(sys.argv[2], "w", encoding="utf-8",
              errors="surrogateescape") as log:
        serve(sys.argv[1], log, rules_of(sys.argv[3:]))
    return 0


sys.exit(main())
