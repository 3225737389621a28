#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# vmbackup restore of disks: to files, devices and images of other formats,
# interrupted and gone on with, and onto what is there.
. "$(dirname "$0")/../lib.sh"
requires python3 truncate

new_vault
disk=$tmp/disk
size=$((96 * 1024 * 1024 + 512 * 3))

# field NAME: of the summary in $tmp/out.
field() {
	"$tests/json_field.py" "$1" <"$tmp/out"
}

allocated() {
	du -B1 "$1" | cut -f1
}

# Data, zeros and holes of many lengths and borders.
python3 - "$disk" $size <<'PY'
import os, random, sys
path, size = sys.argv[1], int(sys.argv[2])
r = random.Random(3)
f = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
os.ftruncate(f, size)
for i in range(60):
    n = r.choice([512, 4096, 12288, 100352, 300032, 700416])
    off = r.randrange(size - n) // 512 * 512
    os.pwrite(f, r.choice([r.randbytes(n), bytes(n), b"text" * (n // 4)]), off)
os.pwrite(f, b"end", size - 3)
PY
echo '<domain/>' >"$tmp/domain.xml"
expect 0 vmb backup --vm web1 --disk vda="$disk" --config "$tmp/domain.xml" \
	--json
used=$(field disks | python3 -c 'import json,sys; print(json.load(sys.stdin)[0]["used"])')
place=web1/latest:disks/vda.raw

# same FILE: it is the disk.
same() {
	[ "$(stat -c %s "$1")" = $size ] || fail "$1: another size"
	cmp "$1" "$disk" || fail "$1: other bytes"
}

# ---- a new file ----

expect 0 vmb restore "$place" --to "$tmp/a" --verify --json
same "$tmp/a"
[ "$(field bytes_written)" = "$used" ] || fail "bytes_written"
[ "$(field bytes_verified)" = "$used" ] || fail "bytes_verified"
[ "$(allocated "$tmp/a")" -le $((used + used / 8 + 1048576)) ] ||
	fail "not sparse: $(allocated "$tmp/a") of $used"
[ ! -e "$tmp/a.vmbackup-partial" ] || fail "the partial file stays"
before=$(stat -c '%i %y' "$tmp/a")
expect 1 vmb restore "$place" --to "$tmp/a"
says 'it is there: say --delta'
[ "$(stat -c '%i %y' "$tmp/a")" = "$before" ] || fail "it was written to"
expect 1 vmb restore "$place" --to "$tmp/a" --overwrite never
echo short >"$tmp/b"
expect 0 vmb restore "$place" --to "$tmp/b" --overwrite always
prints 'vda restored to'
same "$tmp/b"
expect 2 vmb restore "$place" --to "$tmp/c" --target "$tmp/x"
expect 2 vmb restore "$place" --to "$tmp/c" --delete
expect 2 vmb restore "$place" --to "$tmp/c" --format vmdk
expect 2 vmb restore web1/latest --to "$tmp/c"
expect 1 vmb restore web1/latest:disks/vdb.raw --to "$tmp/c"
expect 2 vmb restore "$place" --to "$tmp"
expect 1 vmb restore "$place" --to "$tmp/none/c"
expect 2 vmb restore "$place" --to "$tmp/c" --dry-run
[ ! -e "$tmp/c" ] || fail "something was made"
note "a new file"

# ---- onto a file that differs ----

printf differs | dd of="$tmp/a" bs=1 seek=1000000 conv=notrunc status=none
head -c 5000 /dev/urandom |
	dd of="$tmp/a" bs=1 seek=90000000 conv=notrunc status=none
cp "$tmp/a" "$tmp/a.was"
expect 0 vmb restore "$place" --to "$tmp/a" --delta --dry-run --json
prints '"dry_run":true'
would=$(field bytes_written)/$(field bytes_zeroed)
cmp "$tmp/a" "$tmp/a.was" || fail "a dry run wrote"
expect 0 vmb restore "$place" --to "$tmp/a" --delta --json --verify
[ "$(field bytes_written)/$(field bytes_zeroed)" = "$would" ] ||
	fail "the dry run said $would"
[ $(($(field bytes_written) + $(field bytes_zeroed))) -gt 0 ] ||
	fail "nothing was written"
[ "$(field bytes_written)" -le $((3 * 262144)) ] ||
	fail "it wrote $(field bytes_written)"
same "$tmp/a"
expect 0 vmb restore "$place" --to "$tmp/a" --delta --json
[ "$(field bytes_written)$(field bytes_zeroed)" = 00 ] || fail "again"
# Of another size it may be anything: it becomes the disk when that is said.
echo '/dev/vda1 / ext4 defaults 0 1' >"$tmp/fstab"
cp -p "$tmp/fstab" "$tmp/fstab.was"
for more in '' --dry-run --verify '--format raw'; do
	expect 2 vmb restore "$place" --to "$tmp/fstab" --delta $more
	says 'only a disk of that size is written onto'
	cmp "$tmp/fstab" "$tmp/fstab.was" || fail "a text file was written to"
done
expect 1 vmb restore "$place" --to "$tmp/fstab" --delta --format qcow2
says 'it is no such image'
cmp "$tmp/fstab" "$tmp/fstab.was" || fail "a text file was written to"
# What is cleared is told, too.
hole=$(python3 - "$tmp/a" <<'PY'
import sys
data = open(sys.argv[1], "rb").read()
print(data.index(bytes(262144 * 2)) // 4096 * 4096 + 4096)
PY
)
printf dirt | dd of="$tmp/a" bs=1 seek="$hole" conv=notrunc status=none
expect 0 vmb restore "$place" --to "$tmp/a" --delta --dry-run
prints 'hold data that the disk has as zeros'
expect 0 vmb restore "$place" --to "$tmp/a" --delta
prints 'were cleared that the disk has as zeros'
same "$tmp/a"
truncate -s 1000000 "$tmp/a"
expect 2 vmb restore "$place" --to "$tmp/a" --delta
expect 0 vmb restore "$place" --to "$tmp/a" --delta --overwrite always \
	--dry-run --json
would=$(field bytes_written)
[ "$(stat -c %s "$tmp/a")" = 1000000 ] || fail "a dry run made it longer"
expect 0 vmb restore "$place" --to "$tmp/a" --delta --overwrite always --json
[ "$(field bytes_written)" = "$would" ] || fail "the dry run said $would"
same "$tmp/a"
truncate -s 200M "$tmp/a"
expect 0 vmb restore "$place" --to "$tmp/a" --delta --overwrite always
same "$tmp/a"
head -c $size /dev/zero | tr '\0' x >"$tmp/full"
expect 0 vmb restore "$place" --to "$tmp/full" --delta
same "$tmp/full"
[ "$(allocated "$tmp/full")" -lt $((size / 2)) ] || fail "zeros stay allocated"
note "onto what is there"

# ---- interrupted ----

# A restore that takes a moment.
python3 - "$tmp/big" <<'PY'
import os, sys
f = os.open(sys.argv[1], os.O_CREAT | os.O_RDWR, 0o600)
os.ftruncate(f, 1 << 30)
for i in range(192):
    os.pwrite(f, os.urandom(1 << 20), i * (5 << 20))
PY
expect 0 vmb backup --vm big --disk vda="$tmp/big" -q

# stop_at TARGET SIGNAL COMMAND...: send it the signal when something was written.
stop_at() {
	python3 - "$@" <<'PY'
import glob, os, signal, subprocess, sys
sig = getattr(signal, sys.argv[2])
p = subprocess.Popen(sys.argv[3:], stdout=subprocess.DEVNULL)
def written():
    for path in glob.glob(sys.argv[1] + ".vmbackup-partial"):
        try:
            if os.stat(path).st_blocks > 0:
                return True
        except FileNotFoundError:
            pass
    return False
while p.poll() is None and not written():
    pass
if p.returncode is None:
    p.send_signal(sig)
print(p.wait())
PY
}

for sig in SIGINT SIGKILL; do
	# It may be quicker than the signal: then once more.
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		rm -f "$tmp/r" "$tmp/r".*
		got=$(stop_at "$tmp/r" $sig "$vmbackup" -r "$vault" --key-file \
			"$keyfile" --cache-dir "$cache" restore \
			big/latest:disks/vda.raw --to "$tmp/r" --threads 1 \
			--json 2>"$tmp/err")
		[ "$got" = 0 ] || break
	done
	[ $sig != SIGINT ] || [ "$got" = 130 ] || fail "SIGINT: $got"
	[ $sig != SIGKILL ] || [ "$got" = -9 ] || fail "SIGKILL: $got"
	[ ! -e "$tmp/r" ] || fail "half a disk under its name"
	[ -e "$tmp/r.vmbackup-partial" ] || fail "no partial file"
	expect 0 vmb restore big/latest:disks/vda.raw --to "$tmp/r" --json
	[ "$(field resumed)" = true ] ||
		fail "not resumed: $(field resumed)"
	[ "$(field bytes_unchanged)" -gt 0 ] || fail "nothing was kept"
	[ "$(field bytes_written)" -lt $((192 << 20)) ] ||
		fail "all was written again"
	cmp "$tmp/r" "$tmp/big" || fail "$sig: other bytes"
done
if command -v qemu-img >/dev/null && command -v qemu-nbd >/dev/null; then
	got=$(stop_at "$tmp/r2" SIGKILL "$vmbackup" -r "$vault" --key-file "$keyfile" \
		--cache-dir "$cache" restore big/latest:disks/vda.raw \
		--to "$tmp/r2" --threads 1 --format qcow2 --json 2>"$tmp/err")
	[ "$got" = -9 ] || fail "SIGKILL of an image: $got"
	[ ! -e "$tmp/r2" ] || fail "half an image under its name"
	# qemu-nbd dies with it, but not in the same moment.
	await 20 qemu-img info -f qcow2 "$tmp/r2.vmbackup-partial" ||
		fail "the image is not let go"
	expect 0 vmb restore big/latest:disks/vda.raw --to "$tmp/r2" \
		--format qcow2 --json
	[ "$(field resumed)" = true ] || fail "the image is not gone on with"
	qemu-img compare -q -f qcow2 -F raw "$tmp/r2" "$tmp/big" ||
		fail "the image differs"
	rm "$tmp/r2"
fi
rm -f "$tmp/big" "$tmp/r"
# What an earlier run left is proved, not believed.
(umask 077; head -c 3000000 /dev/urandom >"$tmp/p.vmbackup-partial")
expect 0 vmb restore "$place" --to "$tmp/p"
same "$tmp/p"
mkfifo "$tmp/q.vmbackup-partial"
expect 1 timeout 20 "$vmbackup" -r "$vault" --key-file "$keyfile" \
	--cache-dir "$cache" restore "$place" --to "$tmp/q"
ln -s "$tmp/p" "$tmp/s.vmbackup-partial"
expect 1 vmb restore "$place" --to "$tmp/s"
same "$tmp/p"
# Nor is it gone on with where it may be somebody else's.
echo victim >"$tmp/victim"
chmod 600 "$tmp/victim"
for format in raw qcow2; do
	command -v qemu-nbd >/dev/null || [ $format = raw ] || continue
	t=$tmp/t.vmbackup-partial
	if [ $format = qcow2 ]; then
		(umask 077; qemu-img create -q -f qcow2 "$t" $size)
		qemu-img create -q -f qcow2 "$tmp/victim" $size
	else
		(umask 077; truncate -s $size "$t")
	fi
	cp "$tmp/victim" "$tmp/victim.was"
	for mode in 666 640 604; do
		chmod $mode "$t"
		expect 1 vmb restore "$place" --to "$tmp/t" --format $format
		says 'not what an earlier run of yours left'
	done
	chmod 600 "$t"
	if [ "$(id -u)" = 0 ]; then
		chown 65534 "$t"
		expect 1 vmb restore "$place" --to "$tmp/t" --format $format
		says 'not what an earlier run of yours left'
	fi
	ln -f "$tmp/victim" "$t"
	expect 1 vmb restore "$place" --to "$tmp/t" --format $format
	says 'not what an earlier run of yours left'
	cmp "$tmp/victim" "$tmp/victim.was" || fail "written by a hard link"
	[ ! -e "$tmp/t" ] || fail "a disk that others may read"
	rm "$t"
	[ $format = raw ] || ln "$tmp/victim" "$t.new"
	expect 0 vmb restore "$place" --to "$tmp/t" --format $format
	cmp "$tmp/victim" "$tmp/victim.was" || fail "written by a hard link"
	[ "$(stat -c '%a %h' "$tmp/t")" = '600 1' ] || fail "open to others"
	[ -z "$(find "$tmp" -maxdepth 1 -name 't.*')" ] || fail "something is left"
	rm "$tmp/t"
done
note "interrupted"

# ---- all of them ----

expect 0 vmb backup --vm two --disk vda="$disk" --disk vdb="$tmp/domain.xml" \
	--config "$tmp/domain.xml" --config "$keyfile" -q
expect 0 vmb restore two/latest --disks-to "$tmp/all" --verify
same "$tmp/all/vda.raw"
cmp "$tmp/all/vdb.raw" "$tmp/domain.xml"
cmp "$tmp/all/domain.xml" "$tmp/domain.xml"
cmp "$tmp/all/key" "$keyfile"
expect 1 vmb restore two/latest --disks-to "$tmp/all"
expect 0 vmb restore two/latest --disks-to "$tmp/all" --delta
expect 0 vmb restore two/latest --disks-to "$tmp/all" --overwrite always
same "$tmp/all/vda.raw"
expect 2 vmb restore two/latest:disks --disks-to "$tmp/all"
note "all disks and config files"

# ---- what a machine runs on ----

# lock FILE BYTE COMMAND...: it runs while another process has locked the byte.
lock() {
	python3 - "$@" <<'PY'
import fcntl, os, struct, subprocess, sys
fd = os.open(sys.argv[1], os.O_RDWR)
lock = struct.pack("hhqqi4x", fcntl.F_RDLCK, 0, int(sys.argv[2]), 1, 0)
fcntl.fcntl(fd, fcntl.F_OFD_SETLK, lock)
sys.exit(subprocess.call(sys.argv[3:]))
PY
}
# locked FILE ARG...: the restore is refused, and the file is left as it is.
locked() {
	local file=$1
	shift
	cp "$file" "$tmp/live.was"
	expect 1 lock "$file" 100 "$vmbackup" -r "$vault" --key-file \
		"$keyfile" --cache-dir "$cache" restore "$place" "$@"
	says 'another program has locked it'
	cmp "$file" "$tmp/live.was" || fail "written under a machine: $*"
}
truncate -s $size "$tmp/live"
for more in --delta '--overwrite always' '--delta --overwrite always'; do
	locked "$tmp/live" --to "$tmp/live" $more
	if command -v qemu-nbd >/dev/null; then
		qemu-img create -q -f qcow2 "$tmp/live.qcow2" $size
		locked "$tmp/live.qcow2" --to "$tmp/live.qcow2" \
			--format qcow2 $more
	fi
done
expect 0 lock "$tmp/live" 100 "$vmbackup" -r "$vault" --key-file "$keyfile" \
	--cache-dir "$cache" restore "$place" --to "$tmp/live" --delta --dry-run
if [ "$(id -u)" = 0 ] && losetup -f >/dev/null 2>&1; then
	loop_attach "$tmp/live"
	for more in --delta '--overwrite always'; do
		expect 1 vmb restore "$place" --to "$tmp/live" $more
		says "$loop lies on it"
		# A machine has the device open, not exclusively.
		locked "$loop" --to "$loop" $more
	done
	cmp "$tmp/live" "$tmp/live.was" || fail "written under a loop device"
	loop_detach "$loop"
fi
await 20 vmb restore "$place" --to "$tmp/live" --delta ||
	fail "it is not let go"
same "$tmp/live"
expect 2 vmb restore "$place" --to -
[ ! -e - ] || fail "a file is called -"
note "what a machine runs on"

# ---- images ----

if command -v qemu-img >/dev/null && command -v qemu-nbd >/dev/null; then
	for format in qcow2 vhd; do
		driver=${format/vhd/vpc}
		# One that was killed before its image was one.
		echo half >"$tmp/i.$format.vmbackup-partial.new"
		expect 0 vmb restore "$place" --to "$tmp/i.$format" \
			--format $format --verify --json
		[ "$(field bytes_written)" = "$used" ] || fail "written"
		! compgen -G "$tmp/i.$format.*" >/dev/null ||
			fail "something is left beside the image"
		qemu-img info -f $driver --output json "$tmp/i.$format" \
			>"$tmp/info"
		grep -q "\"virtual-size\": $size," "$tmp/info" ||
			fail "$format: $(cat "$tmp/info")"
		qemu-img compare -q -f $driver -F raw "$tmp/i.$format" \
			"$disk" || fail "$format: it differs"
		[ "$(allocated "$tmp/i.$format")" -lt $((size / 2)) ] ||
			fail "$format: not sparse"
		expect 1 vmb restore "$place" --to "$tmp/i.$format" \
			--format $format
		says 'it is there'
		qemu-io -f $driver -c "write -P 7 1M 64k" \
			-c "write -P 9 60M 64k" "$tmp/i.$format" >/dev/null
		expect 0 vmb restore "$place" --to "$tmp/i.$format" \
			--format $format --delta --verify --json
		[ "$(field bytes_written)" -le 1048576 ] ||
			fail "$format: wrote $(field bytes_written)"
		qemu-img compare -q -f $driver -F raw "$tmp/i.$format" \
			"$disk" || fail "$format: it differs after --delta"
	done
	qemu-img check -q -f qcow2 "$tmp/i.qcow2" || fail "qcow2 is damaged"
	expect 1 env PATH=/nowhere "$vmbackup" -r "$vault" --key-file \
		"$keyfile" --cache-dir "$cache" restore "$place" \
		--to "$tmp/j" --format qcow2
	says 'qemu-utils'
	[ -z "$(find "$tmp" -name 'j*')" ] || fail "something was made"
	note "images"
fi

# ---- devices ----

if [ "$(id -u)" = 0 ] && losetup -f >/dev/null 2>&1; then
	head -c 120M /dev/zero | tr '\0' y >"$tmp/device"
	loop=$(losetup -f --show -b 512 "$tmp/device")
	cleanup_fn losetup -d "$loop"
	expect 0 vmb restore "$place" --to "$loop" --verify --keep-end
	says "will not be at its end"
	cmp -n $size "$loop" "$disk" || fail "the device differs"
	[ "$(tail -c +$((size + 1)) "$loop" | tr -d y | wc -c)" = 0 ] ||
		fail "behind the disk something was written"
	printf 1 | dd of="$loop" bs=1 seek=5000000 conv=notrunc,fsync \
		status=none
	expect 0 vmb restore "$place" --to "$loop" --delta --keep-end --json
	[ "$(field bytes_written)" -le 262144 ] || fail "--delta on a device"
	cmp -n $size "$loop" "$disk" || fail "the device differs"
	expect 2 vmb restore "$place" --to "$loop" --format qcow2
	expect 0 vmb restore "$place" --to "$loop" --delta --dry-run
	says 'last MiB'
	[ "$(tail -c 1M "$loop" | tr -d y | wc -c)" = 0 ] ||
		fail "a dry run cleared the end"
	expect 0 vmb restore "$place" --to "$loop" --delta
	[ "$(tail -c 1M "$loop" | tr -d '\0' | wc -c)" = 0 ] ||
		fail "stale signatures may stay at the end"
	[ "$(tail -c +$((size + 1)) "$loop" | head -c -1M | tr -d y | wc -c)" = 0 ] ||
		fail "more than the last MiB was cleared"
	cmp -n $size "$loop" "$disk" || fail "the device differs"
	# Less than a MiB behind the disk: nothing of the disk is cleared.
	truncate -s $((size + 5120)) "$tmp/tight"
	tight=$(losetup -f --show -b 512 "$tmp/tight")
	cleanup_fn losetup -d "$tight"
	expect 0 vmb restore "$place" --to "$tight" --verify
	cmp -n $size "$tight" "$disk" || fail "the end of the disk was cleared"

	truncate -s 90M "$tmp/small"
	small=$(losetup -f --show "$tmp/small")
	cleanup_fn losetup -d "$small"
	expect 15 vmb restore "$place" --to "$small"
	says 'choose a device that is not smaller'
	[ "$(tr -d '\0' <"$tmp/small" | wc -c)" = 0 ] || fail "it was written"
	if command -v mkfs.ext4 >/dev/null; then
		truncate -s 100M "$tmp/fs"
		mkfs.ext4 -q -F "$tmp/fs"
		used_loop=$(losetup -f --show "$tmp/fs")
		cleanup_fn losetup -d "$used_loop"
		mkdir "$tmp/mnt"
		mount "$used_loop" "$tmp/mnt"
		mounts+=("$tmp/mnt")
		expect 1 vmb restore "$place" --to "$used_loop"
		says 'mounted'
		expect 1 vmb restore "$place" --to "$used_loop" --delta
	fi
	note "devices"
fi

# ---- damage ----

new_vault damaged
expect 0 vmb backup --vm web1 --disk vda="$disk" -q
expect 0 vmb check --read-data
pack=$(find "$vault/pack" -type f -printf '%s %p\n' | sort -n | tail -n 1 |
	cut -d' ' -f2)
chmod u+w "$pack"
python3 - "$pack" <<'PY'
import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(1000000)
    b = f.read(1)
    f.seek(1000000)
    f.write(bytes([b[0] ^ 1]))
PY
expect 13 vmb check --read-data
says 'disks/vda.raw'
expect 13 vmb restore "$place" --to "$tmp/z"
[ ! -e "$tmp/z" ] || fail "a damaged disk under its name"
note "damage"
