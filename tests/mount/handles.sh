#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# File handles, as an NFS server holds them: of each kind of node, after the
# kernel has forgotten the inode, with points being added, and after a new mount:
# the same file, or ESTALE, and never another.
. "$(dirname "$0")/../lib.sh"
requires fuse root python3 mkfs.ext4

mkdir -p "$tmp/tree/a/b/c" "$tmp/other"
for i in 1 2 3; do
	echo "file $i" >"$tmp/tree/a/b/f$i"
	echo "other $i" >"$tmp/other/f$i"
done
ln "$tmp/tree/a/b/f1" "$tmp/tree/a/linked"
ln -s nowhere "$tmp/tree/a/b/symlink"
truncate -s 8M "$tmp/image"
expect 0 mkfs.ext4 -q -F -d "$tmp/tree" "$tmp/image"
new_vault
expect 0 vmb backup --vm web1 --tag t --disk "vda=$tmp/image" \
	--config "$tests/lib.sh" "$tmp/tree"
start_mount "$vault" "$tmp/mnt"

cat >"$tmp/handles.py" <<'END'
import ctypes
import errno
import os
import pickle
import stat
import sys

libc = ctypes.CDLL(None, use_errno=True)
mnt, store, what = sys.argv[1:]
top = os.open(mnt, os.O_RDONLY)


class Handle(ctypes.Structure):
    _fields_ = [("len", ctypes.c_uint), ("type", ctypes.c_int),
                ("data", ctypes.c_ubyte * 128)]


def take(path):
    h, mount_id = Handle(len=128), ctypes.c_int()
    if libc.name_to_handle_at(-100, path.encode(), ctypes.byref(h),
                              ctypes.byref(mount_id), 0) < 0:
        raise OSError(ctypes.get_errno(), "name_to_handle_at", path)
    return h.len, h.type, bytes(h.data)


def open_it(handle, flags):
    h = Handle(handle[0], handle[1])
    ctypes.memmove(h.data, handle[2], 128)
    fd = libc.open_by_handle_at(top, ctypes.byref(h), flags)
    if fd < 0:
        raise OSError(ctypes.get_errno(), "open_by_handle_at")
    return fd


def known(fd, volatile):
    st = os.fstat(fd)
    content = None
    if stat.S_ISREG(st.st_mode) and not volatile:
        content = os.pread(os.open("/proc/self/fd/%d" % fd, os.O_RDONLY),
                           65536, 0)
    return st.st_ino, stat.S_IFMT(st.st_mode), content


def nodes():
    for here, dirs, files in os.walk(mnt):
        for name in [None] + dirs + files:
            yield os.path.join(here, name) if name else here
    for name in ("status.json", "stats", "version"):
        yield mnt + "/.vmbackupfs/" + name


if what == "take":
    rows = []
    for path in sorted(set(nodes())):
        fd = os.open(path, os.O_PATH | os.O_NOFOLLOW)
        grows = ".vmbackupfs" in path
        rows.append((path, take(path), known(fd, grows), grows))
        os.close(fd)
    pickle.dump(rows, open(store, "wb"))
    print(len(rows), "handles")
    sys.exit()

if what == "unopened":
    # Of files that nobody has opened nothing but the handle is left.
    for path in sorted(set(nodes())):
        handle = take(path)
        open("/proc/sys/vm/drop_caches", "w").write("3")
        os.close(open_it(handle, os.O_PATH))
    sys.exit()

for path, handle, before, grows in pickle.load(open(store, "rb")):
    try:
        fd = open_it(handle, os.O_PATH)
    except OSError as e:
        # The top is the top of the mount in any mount.
        if what == "stale" and e.errno == errno.ESTALE:
            continue
        sys.exit("%s: %s" % (path, e))
    if what == "stale" and path != mnt:
        sys.exit("%s: a handle of another mount opens" % path)
    if known(fd, grows) != before:
        sys.exit("%s: the handle leads elsewhere" % path)
    if before[1] == stat.S_IFDIR:
        # Connected: the way up leads to where it is.
        where = os.readlink("/proc/self/fd/%d" % fd)
        if where != path:
            sys.exit("%s: found as %s" % (path, where))
    os.close(fd)
END
handles() { expect 0 python3 "$tmp/handles.py" "$tmp/mnt" "$tmp/taken" "$1"; }
# With 2 inodes stay whose pages are cached.
forget() { echo 3 >/proc/sys/vm/drop_caches; }

handles take
note "$(cat "$tmp/out")"
for kind in volumes/vda/a/b/f1 volumes/vda.raw disks/vda.raw config/lib.sh \
	"files$tmp/tree/a/b/symlink" point.json; do
	grep -q "/$kind" "$tmp/taken" || fail "no handle of $kind was taken"
done
handles same
forget
handles same
handles unopened
# New points come in front of and behind the old one.
expect 0 vmb backup --vm aaa --time 2001-01-01 "$tmp/other"
expect 0 vmb backup --vm web1 "$tmp/other"
await 20 ls "$tmp/mnt/vms/aaa/latest/files$tmp/other" ||
	fail "the new point does not appear"
forget
handles same
stop_mount "$tmp/mnt"

# Numbers begin anew in a new mount: what they led to is another file there.
start_mount "$vault" "$tmp/mnt"
find "$tmp/mnt" -path '*/other/*' -exec cat {} + >/dev/null
handles stale
forget
handles stale
stop_mount "$tmp/mnt"

# Where a part is shown, handles lead to nothing else.
cat >"$tmp/forge.py" <<'END'
import sys
part = sys.argv.pop()
sys.argv += ["", "none"]
exec(open(sys.argv[0].replace("forge", "handles")).read().split("if what")[0])
END
start_mount "$vault" "$tmp/mnt" "point=web1/latest~1"
cat >>"$tmp/forge.py" <<'END'
length, kind, data = take(mnt + "/files" + part)
open("/proc/sys/vm/drop_caches", "w").write("3")
if known(open_it((length, kind, data), os.O_PATH), True)[1] != stat.S_IFDIR:
    sys.exit("a handle from the part that is shown does not open")
# vms, ids, tags: node numbers of the view that stand above the part.
for node in (1 << 54, 2 << 54, 3 << 54):
    forged = node.to_bytes(8, "little") + data[8:]
    # The kernel stores the number as two words, the high one first.
    forged = forged[4:8] + forged[0:4] + forged[8:]
    try:
        open_it((length, kind, forged), os.O_PATH)
    except OSError as e:
        if e.errno == errno.ESTALE:
            continue
        raise
    sys.exit("a handle that was made up leaves the part that is shown")
END
expect 0 python3 "$tmp/forge.py" "$tmp/mnt" "$tmp/tree/a/b"
handles unopened
stop_mount "$tmp/mnt"
start_mount "$vault" "$tmp/mnt" "point=web1/latest~1:volumes/vda"
handles unopened
stop_mount "$tmp/mnt"
