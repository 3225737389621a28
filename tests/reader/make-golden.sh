#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# make-golden.sh: makes golden.tar and golden.manifest anew, with the programs
# of VMBACKUP_BUILD. Only a new version of the format is a reason to: what was
# written once must be readable for ever.
. "$(dirname "$0")/../lib.sh"
requires python3 setfattr
here=$tests/reader

umask 022
tree=$tmp/golden-tree
mkdir "$tree" "$tree/many" "$tree/empty" "$tree/odd" "$tree/a" "$tree/a.b"
for i in $(seq 500); do
	echo "file $i" >"$tree/many/f$i"
done
python3 - "$tree" <<'END'
import os, sys
top = sys.argv[1]
def text(n, seed):
    out = bytearray()
    i = seed
    while len(out) < n:
        i = (i * 1103515245 + 12345) & 0x7fffffff
        out += b"%d " % (i % 1000)
    return bytes(out[:n])
open(top + "/zero", "wb").close()
open(top + "/one", "wb").write(b"1")
open(top + "/text", "wb").write(text(150001, 1))
open(top + "/zeros", "wb").write(bytes(200000))
with open(top + "/extents", "wb") as f:
    f.truncate(60 * 8192 + 5)
    for i in range(60):
        f.seek(i * 8192)
        f.write(text(512, i) * 8)
with open(top + "/hole", "wb") as f:
    f.truncate(1 << 26)
for name in (b"\x01", b"\x02\x01", b"\x02\x02", b"\xff\xfe", b"new\nline",
             b"-dash", b"n" * 255):
    os.mkdir(os.fsencode(top) + b"/odd/" + name)
    open(os.fsencode(top) + b"/odd/" + name + b"/x", "wb").write(name)
os.link(top + "/text", top + "/a/linked")
os.link(top + "/text", top + "/a.b/linked")
os.symlink("nowhere/\udcff", top + "/symlink")
os.mkfifo(top + "/fifo", 0o640)
os.setxattr(top + "/one", "user.small", b"value")
os.setxattr(top + "/one", "user.empty", b"")
os.setxattr(top + "/a", "user.long", text(3000, 7))
os.chmod(top + "/one", 0o4755)
os.chmod(top + "/empty", 0o1777)
when = -86400 * 10**9 - 1
for folder, names, leaves in os.walk(top, topdown=False):
    for name in sorted(names + leaves):
        os.utime(folder + "/" + name, ns=(when, when), follow_symlinks=False)
        when += 123456789012345678 % (10**16 + 7)
        when %= 4 * 10**18
os.utime(top, ns=(1, 1))
END
"$here/manifest.py" "$tree" >"$tmp/golden.manifest"

(umask 077; head -c 64 /dev/zero | tr "\\0" k >"$keyfile")
new_vault
echo golden >"$tmp/password"
VMBACKUP_NEW_PASSWORD=golden vmb key add >/dev/null ||
	fail "key add"
expect 0 vmb backup --vm golden --time 2026-11-22T10:15:00Z "$tree"
tar -C "$tmp" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner \
	-cf "$tmp/golden.tar" vault
mv "$tmp/golden.tar" "$tmp/golden.manifest" "$here/"
ls -l "$here/golden.tar"
