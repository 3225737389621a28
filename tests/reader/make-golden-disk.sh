#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# make-golden-disk.sh: makes golden-disk.tar and golden-disk.manifest anew, with
# the programs of VMBACKUP_BUILD. As with make-golden.sh, only a new version of
# the format is a reason to.
. "$(dirname "$0")/../lib.sh"
requires python3 mke2fs debugfs
here=$tests/reader

# A small ext4 as it would be without anything of this machine.
tree=$tmp/tree
umask 022
mkdir "$tree" "$tree/etc" "$tree/empty"
echo golden >"$tree/etc/hostname"
seq 4000 >"$tree/numbers"
ln -s etc/hostname "$tree/link"
find "$tree" -exec touch -h -d '2026-11-22 10:00:00 UTC' {} +
truncate -s 256K "$tmp/ext4"
options=hash_seed=fedcba98-7654-3210-fedc-ba9876543210,root_owner=0:0,nodiscard
options=$options,lazy_itable_init=0
E2FSPROGS_FAKE_TIME=1795341600 mke2fs -q -F -t ext4 -b 1024 -N 16 -m 0 \
	-O '^has_journal,^resize_inode,^metadata_csum' -I 256 -L golden \
	-U 01234567-89ab-cdef-0123-456789abcdef \
	-E "$options" -d "$tree" "$tmp/ext4"
# chown needs root: whoever makes this, root owns the files.
for name in etc etc/hostname empty numbers link; do
	printf 'sif %s %s 0\n' "$name" uid "$name" gid
done | E2FSPROGS_FAKE_TIME=1795341600 debugfs -w -f - "$tmp/ext4" \
	>/dev/null 2>&1

# A disk of 6 MiB and a bit: a table with one partition at 1 MiB; a hole,
# zeros that are written, data over the border of two cells, a short last cell.
python3 - "$tmp" <<'END'
import os, struct, sys
top = sys.argv[1]
with open(top + "/ext4", "rb") as f:
    ext4 = f.read()
table = bytearray(512)
table[446:462] = struct.pack("<B3sB3sII", 0, b"\0\x21\0", 0x83, b"\0\x21\0",
                             2048, len(ext4) // 512)
table[510:] = b"\x55\xaa"
table[440:444] = b"vmbk"
cell = 256 << 10
f = os.open(top + "/vda", os.O_CREAT | os.O_RDWR | os.O_EXCL, 0o600)
os.ftruncate(f, 24 * cell + 5 * 512)
os.pwrite(f, table, 0)
for at in range(0, len(ext4), 4096):
    if any(ext4[at:at + 4096]):
        os.pwrite(f, ext4[at:at + 4096], (1 << 20) + at)
os.pwrite(f, bytes(2 * cell), 10 * cell)
os.pwrite(f, b"".join(b"%7d\n" % i for i in range(1500)), 16 * cell - 5000)
os.pwrite(f, b"the end\n", 24 * cell + 5 * 512 - 8)
os.close(f)
END
truncate -s 1M "$tmp/vdb"
cat >"$tmp/domain.xml" <<'END'
<domain type='kvm'><name>golden</name></domain>
END

(umask 077; head -c 64 /dev/zero | tr "\\0" k >"$keyfile")
new_vault
echo golden >"$tmp/password"
VMBACKUP_NEW_PASSWORD=golden vmb key add >/dev/null ||
	fail "key add"
# What the point says of its sources is no path of the maker's machine.
(cd "$tmp" && expect 0 vmb backup --vm golden --host golden \
	--time 2026-11-23T10:15:00Z --disk vda=vda --disk vdb=vdb \
	--config domain.xml)
(cd "$tmp" && sha256sum vda vdb domain.xml) >"$tmp/golden-disk.manifest"
(cd "$tree" && find . -type f -printf '%P\n' | sort | xargs sha256sum) \
	>>"$tmp/golden-disk.manifest"
# The files alone: folders that hold nothing are no part of a vault.
(cd "$tmp" && find vault -type f ! -name '.*' | sort) |
	tar -C "$tmp" --mtime=@0 --owner=0 --group=0 --numeric-owner \
		-cf "$tmp/golden-disk.tar" -T -
mv "$tmp/golden-disk.tar" "$tmp/golden-disk.manifest" "$here/"
ls -l "$here/golden-disk.tar"
