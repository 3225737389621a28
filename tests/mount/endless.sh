#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A guest's directory that takes minutes to read and shows nothing: whoever lists
# it has an error when io_timeout is over, the thread does nothing more for it
# then, and others are served meanwhile.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
requires fuse root python3

# ISO 9660 with Rock Ridge: a million records, each of a directory that is shown
# elsewhere (RE), which goes on in as many areas as a record may have. It would
# be the same with 4 GiB of them, and take hours.
python3 - "$tmp/iso" <<-'END'
	import struct
	import sys

	SECTOR, AREAS, SLOW_SECTORS = 2048, 63, 32 << 9

	def both(n):
	    return struct.pack("<I", n) + struct.pack(">I", n)

	def both16(n):
	    return struct.pack("<H", n) + struct.pack(">H", n)

	def record(at, size, name, use=b"", directory=False):
	    body = both(at) + both(size) + bytes([126, 11, 1, 0, 0, 0, 0])
	    body += bytes([2 if directory else 0, 0, 0]) + both16(1)
	    body += bytes([len(name)]) + name + b"\0" * (1 - len(name) % 2) + use
	    body += b"\0" * (len(body) % 2)
	    return bytes([2 + len(body), 0]) + body

	def attrs(mode):
	    return b"PX\x24\x01" + both(mode) + both(1) + both(0) + both(0)

	def goes_on(at, size):
	    return b"CE\x1c\x01" + both(at) + both(0) + both(size)

	areas = 24
	slow = areas + AREAS
	hello = b"hello\n"
	mark = b"SP\x07\x01\xbe\xef\0"
	size = SLOW_SECTORS * SECTOR
	root = (record(20, SECTOR, b"\0", mark + attrs(0o40755), True) +
	        record(20, SECTOR, b"\1", attrs(0o40755), True) +
	        record(21, len(hello), b"HELLO", attrs(0o100644)) +
	        record(slow, size, b"SLOW", attrs(0o40755), True))
	top = record(20, SECTOR, b"\0", b"", True)
	head = (b"\1CD001\1\0" + b" " * 64 + b"\0" * 8 +
	        both(slow + SLOW_SECTORS) + b"\0" * 32 + both16(1) + both16(1) +
	        both16(SECTOR) + both(10) + b"\0" * 16 + top).ljust(881, b"0")
	image = bytearray(slow * SECTOR)

	def put(sector, data):
	    image[sector * SECTOR:sector * SECTOR + len(data)] = data

	put(16, head + b"\1")
	put(17, b"\xffCD001\1")
	put(20, root)
	put(21, hello)
	nothing = b"XX\x04\x01" * 505
	for i in range(AREAS):
	    put(areas + i, nothing + (goes_on(areas + i + 1, SECTOR)
	                              if i + 1 < AREAS else b""))
	hidden = record(20, SECTOR, b"A",
	                b"RE\x04\x01" + goes_on(areas, SECTOR), True)
	full = (hidden * (SECTOR // len(hidden))).ljust(SECTOR, b"\0")
	first = (record(slow, size, b"\0", attrs(0o40755), True) +
	         record(20, SECTOR, b"\1", attrs(0o40755), True))
	with open(sys.argv[1], "wb") as f:
	    f.write(image)
	    f.write(first.ljust(SECTOR, b"\0"))
	    for i in range(SLOW_SECTORS - 1):
	        f.write(full)
END

new_vault
expect 0 vmb backup --vm web1 --disk "vda=$tmp/iso"
start_mount "$vault" "$tmp/mnt" io_timeout=4
volume=$tmp/mnt/vms/web1/latest/volumes/vda
ls "$volume" >"$tmp/listed" || fail "the volume is not readable"
[ "$(cat "$tmp/listed")" = "$(printf 'HELLO\nSLOW')" ] ||
	fail "not what is in it: $(cat "$tmp/listed")"

ticks() {
	awk '{ print $14 + $15 }' "/proc/${daemons[0]}/stat"
}

# works: the daemon computes; so it does for as long as the listing takes.
works() {
	local before
	before=$(ticks)
	sleep 0.2
	[ $(($(ticks) - before)) -gt 4 ]
}

rests() {
	! works
}

expect_error() {
	! ls "$volume/SLOW" >"$tmp/slow" 2>"$tmp/slow-err"
}

expect_error &
reader=$!
await 4 works || fail "nothing takes time here"
[ "$(timeout 4 cat "$volume/HELLO")" = hello ] ||
	fail "nobody else is served meanwhile"
kill -0 "$reader" || fail "the listing ended before its time"
await_end "$reader" 20 || fail "the listing does not end with its time"
wait "$reader" || fail "an endless listing succeeded"
grep -q 'Input/output error' "$tmp/slow-err" || fail "$(cat "$tmp/slow-err")"
[ ! -s "$tmp/slow" ] || fail "something was listed"
await 5 rests || fail "a thread goes on when nobody waits for it"
stop_mount "$tmp/mnt"
