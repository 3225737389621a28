#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# One directory of very many entries: lists whole, in bounded memory, with
# positions that stay good. SOAK=1: a million.
. "$(dirname "$0")/../lib.sh"
requires fuse python3

count=100000
[ -z "${SOAK:-}" ] || count=1000000
limit=131072	# KiB
big=$tmp/source/big
mkdir "$tmp/source"
if [ "$(id -u)" = 0 ] && losetup -f >/dev/null 2>&1; then
	truncate -s 2G "$tmp/image"
	mkfs.ext4 -q -F -N $((count + 1000)) -E \
		lazy_itable_init=1,lazy_journal_init=1 "$tmp/image"
	mount -o loop "$tmp/image" "$tmp/source"
	cleanup_fn umount "$tmp/source"
fi
"$tests/fixture.py" many "$big" $count
new_vault
expect 0 vmb backup --vm web1 "$tmp/source"
start_mount "$vault" "$tmp/mnt"
shown=$tmp/mnt/vms/web1/latest/files$big
pid=$(mount_pid "$tmp/mnt")

# One entry by name, before anything was listed.
[ -f "$shown/file-0050000" ] || fail "an entry is not found"
[ ! -e "$shown/file-x" ] || fail "what is not there is"
[ "$(find "$shown" -type f | wc -l)" = $count ] || fail "find: wrong count"
python3 "$tests/seekdir.py" "$shown" $count || fail "positions move"
kib=$(peak_kib "$pid")
note "$count entries, peak memory of the mount $kib KiB"
sanitized || [ "$kib" -le $limit ] || fail "more than $limit KiB"
stop_mount "$tmp/mnt"

# From nothing: the first names of it. In 32 KiB the kernel gets at most 200
# names with their attributes; leaves have 64 entries or more. So these are four
# leaves, the one of the top, the root, two inner nodes; and opening the vault
# takes ten reads at most. (opendir(3) would ask for 1 MiB: 6,000 names.)
rm -rf "$cache"
start_mount "$vault" "$tmp/mnt"
python3 - "$shown" >"$tmp/out" <<'END' || fail "the first names"
import ctypes, os, sys
libc = ctypes.CDLL(None)
fd = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECTORY)
buf = ctypes.create_string_buffer(32768)
n = libc.getdents64(fd, buf, 32768)
print(buf.raw[:n].count(b"file-"))
END
note "$(cat "$tmp/out") first names: $(stat_of "$tmp/mnt" 'backend reads')" \
	"reads, $(stat_of "$tmp/mnt" 'tree nodes') tree nodes"
[ "$(cat "$tmp/out")" -gt 100 ] || fail "the first names are few"
[ "$(stat_of "$tmp/mnt" 'tree nodes')" -le 8 ] || fail "more than 8 nodes"
[ "$(stat_of "$tmp/mnt" 'backend reads')" -le 18 ] || fail "more than 18 reads"
[ "$(stat_of "$tmp/mnt" frames)" = 0 ] || fail "data was read"
stop_mount "$tmp/mnt"

# One file of it.
rm -rf "$cache"
expect 0 vmb restore "web1/latest:files$big/file-0000007" \
	--target "$tmp/one"
[ "$(find "$tmp/one" -name file-0000007 -type f | wc -l)" = 1 ] ||
	fail "restore of one file"
