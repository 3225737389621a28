#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# vmbackup nbd: a disk of a point as an NBD export: its bytes, its holes, many
# readers at once, and what happens where something is missing or damaged.
. "$(dirname "$0")/../lib.sh"
requires nbdkit nbdinfo nbdcopy qemu-img qemu-io python3

if sanitized; then
	skip "the plugin is not built with a sanitizer: nbdkit would need it"
fi
[ -f "$(dirname "$vmbackup")/nbdkit-vmbackup-plugin.so" ] ||
	fail "nbdkit-vmbackup-plugin.so is not built"
new_vault

# Data, zeros that are written, and holes; a size that no block divides.
image=$tmp/image
size=37000704
python3 - "$image" $size <<'PY'
import os, sys
size = int(sys.argv[2])
MIB = 1 << 20
with open(sys.argv[1], "wb") as f:
    f.truncate(size)
    for off, data in ((0, os.urandom(MIB)),
                      (4 * MIB, os.urandom(65536)),
                      (4 * MIB + 131072, os.urandom(65536)),
                      (8 * MIB, bytes(MIB)),
                      (12 * MIB, os.urandom(5 * MIB)),
                      (17 * MIB, bytes(MIB)),
                      (size - 70000 & ~65535, os.urandom(
                          size - (size - 70000 & ~65535)))):
        f.seek(off)
        f.write(data)
PY
expect 0 vmb backup --vm web1 --disk "vda=raw:$image" --disk "again=raw:$image"

# Programs are told before the server starts what it is of, and where.
mkdir "$tmp/fake"
printf '#!/bin/sh\nexit 0\n' >"$tmp/fake/nbdkit"
chmod +x "$tmp/fake/nbdkit"
expect 0 env PATH="$tmp/fake:$PATH" "$vmbackup" -r "$vault" \
	--key-file "$keyfile" --cache-dir "$cache" --json \
	nbd web1/latest --disk vda --socket "$tmp/socket"
[ "$("$tests/json_field.py" message_type <"$tmp/out")" = serving ] ||
	fail "--json says nothing of what is served"
[ "$("$tests/json_field.py" socket <"$tmp/out")" = "$tmp/socket" ] ||
	fail "--json does not say where"

# Holes of more than 32 bits of length.
truncate -s 20G "$tmp/wide"
printf data | dd of="$tmp/wide" bs=1M seek=9000 conv=notrunc status=none
expect 0 vmb backup --vm wide --disk "vda=raw:$tmp/wide"
expect 0 vmb nbd wide/latest --disk vda --run 'nbdinfo --map "$uri"'
[ "$(awk '$3 == 0 { print $1 }' "$tmp/out")" = 9437184000 ] ||
	fail "the map of a disk with wide holes: $(cat "$tmp/out")"
[ "$(awk '{ n += $2 } END { printf "%.0f", n }' "$tmp/out")" = 21474836480 ] ||
	fail "the map does not cover the disk"
cp --sparse=always "$image" "$tmp/before"

# What nbdinfo should print: START LENGTH TYPE; 0 data, 2 zeros, 3 a hole.
python3 - "$image" >"$tmp/map" <<'PY'
import os, sys
f = os.open(sys.argv[1], os.O_RDONLY)
size = os.fstat(f).st_size
runs = []
def add(off, end, kind):
    if off < end and runs and runs[-1][2] == kind:
        runs[-1][1] = end
    elif off < end:
        runs.append([off, end, kind])
at = 0
while at < size:
    try:
        data = os.lseek(f, at, os.SEEK_DATA)
    except OSError:
        data = size
    add(at, data, 3)
    at = data
    if at == size:
        break
    end = os.lseek(f, at, os.SEEK_HOLE)
    while at < end:
        step = min(65536, end - at)
        add(at, at + step, 0 if os.pread(f, step, at).strip(b"\0") else 2)
        at += step
for off, end, kind in runs:
    print(off, end - off, kind)
PY
grep -q ' 2$' "$tmp/map" && grep -q ' 3$' "$tmp/map" || fail "a poor image"

sock=$tmp/vda.sock
uri="nbd+unix:///?socket=$sock"

# serve DISK [OPTION...]: in the background, until it answers; $server is it.
serve() {
	local disk=$1
	shift
	"$vmbackup" -r "$vault" --key-file "$keyfile" --cache-dir "$cache" \
		nbd web1/latest --disk "$disk" --socket "$sock" "$@" \
		>"$tmp/server.out" 2>"$tmp/server.err" &
	server=$!
	daemons+=("$server")
	cleanup_fn end_process "$server"
	await 30 answers || {
		cat "$tmp/server.err" >&2
		fail "the server does not answer"
	}
}

answers() {
	kill -0 "$server" && nbdinfo --size "$uri"
}

before_cleanup() {
	[ -z "${server:-}" ] || end_process "$server"
}

# stop_server: by SIGTERM; it and its socket are gone.
stop_server() {
	kill -TERM "$server"
	await_end "$server" 30 || fail "SIGTERM does not end the server"
	wait "$server" || true
	server=
	[ ! -e "$sock" ] || fail "the socket is left behind"
}

# ---- the disk ----

serve vda
expect 0 nbdinfo --size "$uri"
prints "^$size\$"
expect 0 nbdinfo --map "$uri"
awk '{ print $1, $2, $3 }' "$tmp/out" >"$tmp/got"
diff "$tmp/map" "$tmp/got" >&2 || fail "the map is not the image's"
expect 0 nbdcopy "$uri" "$tmp/copy"
cmp "$image" "$tmp/copy" || fail "nbdcopy reads something else"
expect 0 qemu-img compare -f raw -F raw "$image" "$uri"
expect 0 qemu-img convert -f raw -O raw "$uri" "$tmp/converted"
cmp "$image" "$tmp/converted" || fail "qemu-img reads something else"
[ $(($(stat -c %b "$tmp/converted") * 512)) -lt $((8 << 20)) ] ||
	fail "the holes are not told: $(stat -c %b "$tmp/converted") blocks"
note "bytes and map"

expect 0 nbdinfo --is read-only "$uri"
expect 1 qemu-io -f raw -c "write -P 1 0 4096" "$uri"
says 'read.?only|permission'
expect 0 qemu-img compare -f raw -F raw "$image" "$uri"
note "read-only"

expect 0 nbdinfo --can multi-conn "$uri"
pids=()
for i in 1 2 3 4 5 6; do
	nbdcopy --connections=4 --request-size=65536 "$uri" "$tmp/copy$i" &
	pids+=($!)
done
for i in 1 2 3 4 5 6; do
	wait "${pids[i - 1]}" || fail "one of several readers failed"
	cmp "$image" "$tmp/copy$i" || fail "one of several readers was lied to"
	rm "$tmp/copy$i"
done
# Readers that break off end themselves, not the server.
for i in 1 2 3 4 5 6 7 8; do
	nbdcopy "$uri" null: &
	(nbdcopy --request-size=4096 "$uri" - || true) |
		head -c 100000 >"$tmp/head"
	kill -KILL $! 2>/dev/null || true
	wait $! || true
	cmp -n 100000 "$tmp/head" "$image" || fail "a pipe got something else"
done 2>"$tmp/err"
expect 0 qemu-img compare -f raw -F raw "$image" "$uri"
stop_server
note "many readers, SIGTERM"

# A second disk; no cache; verbose output is no error.
serve again --no-cache -v
expect 0 qemu-img compare -f raw -F raw "$image" "$uri"
# The socket is taken.
expect 1 vmb nbd web1 --disk vda --socket "$sock"
says 'address already in use'
expect 0 nbdinfo --size "$uri"
stop_server

# ---- for one command ----

expect 0 vmb nbd web1 --disk vda --run 'nbdinfo --size "$uri"'
prints "^$size\$"
expect 7 vmb nbd web1 --disk vda --run 'exit 7'
# Paths below here; the password is read once, from standard input.
cp -r "$vault" "$tmp/copied vault"
echo "a password" >"$tmp/password"
expect 0 vmb --repo "$tmp/copied vault" key add \
	--new-password-file "$tmp/password" --kdf-cost 14
(cd "$tmp" && echo "a password" | "$vmbackup" -r "copied vault" \
	--cache-dir cache2 --password-file - nbd web1/latest --disk vda \
	--run 'nbdinfo --size "$uri"; cat') >"$tmp/out" 2>"$tmp/err" ||
	fail "a relative vault with a password from standard input"
prints "^$size\$"
expect 0 env VMBACKUP_REPOSITORY="$tmp/copied vault" \
	VMBACKUP_PASSWORD_COMMAND="cat '$tmp/password'" \
	VMBACKUP_CACHE_DIR="$tmp/cache2" \
	"$vmbackup" nbd web1 --disk vda --run 'nbdinfo --size "$uri"'
prints "^$size\$"
note "--run"

# ---- what cannot be served ----

expect 2 vmb nbd web1 --socket "$sock"
says "say POINT:disks/NAME.raw"
expect 2 vmb nbd web1 --disk vda
says 'where to'
expect 2 vmb nbd --disk vda --socket "$sock"
expect 1 vmb nbd web1 --disk vdb --socket "$sock"
says 'no disk "vdb".*"again"'
expect 1 vmb nbd web2 --disk vda --socket "$sock"
says 'web2'
expect 10 "$vmbackup" -r "$tmp/none" --key-file "$keyfile" nbd web1 \
	--disk vda --socket "$sock"
head -c 64 /dev/urandom >"$tmp/wrong"
expect 12 "$vmbackup" -r "$vault" --key-file "$tmp/wrong" \
	--cache-dir "$cache" nbd web1 --disk vda --socket "$sock"
mkdir "$tmp/nothing"
expect 1 env PATH="$tmp/nothing" "$vmbackup" -r "$vault" \
	--key-file "$keyfile" --cache-dir "$cache" nbd web1 --disk vda \
	--socket "$sock"
says 'nbdkit .*install the package nbdkit'
[ ! -e "$sock" ] || fail "a socket of a server that never was"
note "errors"

# ---- damage ----

# In the middle of the largest pack lies a frame of the disk.
pack=$(find "$vault/pack" -type f -printf '%s %p\n' | sort -n | tail -n 1)
python3 - "${pack#* }" <<'PY'
import os, sys
os.chmod(sys.argv[1], 0o600)
with open(sys.argv[1], "r+b") as f:
    at = os.fstat(f.fileno()).st_size // 2
    f.seek(at)
    byte = f.read(1)[0]
    f.seek(at)
    f.write(bytes([byte ^ 16]))
PY
serve vda
for i in 1 2 3 4 5 6; do
	if nbdcopy "$uri" "$tmp/copy" 2>"$tmp/err"; then
		fail "a damaged disk was copied"
	fi
done
says 'input/output error'
expect 0 qemu-img convert --salvage -f raw -O raw "$uri" "$tmp/salvaged"
says 'input/output error'
python3 - "$image" "$tmp/salvaged" <<'PY' || fail "damage hits the wrong bytes"
import sys
a, b = (open(name, "rb").read() for name in sys.argv[1:])
assert len(a) == len(b)
step = 4096
bad = [i for i in range(0, len(a), step) if a[i:i + step] != b[i:i + step]]
assert bad, "nothing is damaged"
for i in bad:
    assert not b[i:i + step].strip(b"\0"), "wrong data at %d" % i
span = bad[-1] + step - bad[0]
# A chunk is compared with its name as a whole.
assert span <= 262144, "%d bytes are lost" % span
PY
grep -q 'damaged\|does not\|pack' "$tmp/server.err" ||
	fail "the server says nothing of the damage"
kill -0 "$server" || fail "damage ended the server"
stop_server
note "damage"
cmp "$image" "$tmp/before" || fail "the source was changed"
