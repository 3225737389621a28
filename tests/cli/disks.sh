#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# vmbackup backup --disk: every kind of source, holes and zeros, hints that may
# and may not be followed, and sources that fail.
. "$(dirname "$0")/../lib.sh"
requires python3 qemu-img qemu-nbd truncate

reader=$(find_program tests/disk_read)
[ -n "$reader" ] || fail "tests/disk_read is not built"
new_vault

# field NAME: of the summary in $tmp/out.
field() {
	"$tests/json_field.py" "$1" <"$tmp/out"
}

# disk_field NAME FIELD: of one disk in it.
disk_field() {
	field disks | python3 -c '
import json, sys
print([d for d in json.load(sys.stdin) if d["name"] == sys.argv[1]][0]
      [sys.argv[2]])' "$1" "$2"
}

# is POINT DISK IMAGE [DIGEST]: the point holds the image, and says so.
is() {
	expect 0 "$reader" "$vault" "$keyfile" "$1" "$2" "$tmp/restored"
	prints " ${4:-right} "
	[ "$(stat -c %s "$tmp/restored")" = "$(stat -c %s "$3")" ] ||
		fail "$2 of $1: another size"
	cmp "$tmp/restored" "$3" || fail "$2 of $1: other bytes"
}

points() {
	vmb points --json | python3 -c 'import json, sys; print(len(json.load(sys.stdin)))'
}

# no_point CODE COMMAND...: it fails and the points are as before.
no_point() {
	local before
	before=$(points)
	expect "$@"
	[ "$(points)" = "$before" ] || fail "a point of a failed backup"
	[ -z "$(find "$TMPDIR" -maxdepth 1 -name 'vmbackup-*' -newer "$vault/config" -print)" ] ||
		fail "something was left in $TMPDIR"
}

# Private directories of ours are looked for there.
mkdir "$tmp/t"
export TMPDIR=$tmp/t

# paint FILE SIZE SEED: data, zeros and holes of many lengths and borders.
paint() {
	python3 - "$@" <<'PY'
import os, random, sys
path, size, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
r = random.Random(seed)
f = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
os.ftruncate(f, size)
for i in range(150):
    n = r.choice([1, 512, 4096, 12288, 100000, 300000, 700000])
    off = min(r.randrange(size) // 512 * 512, size - n)
    os.pwrite(f, r.choice([r.randbytes(n), bytes(n), b"text" * n])[:n], off)
# Every other block of two cells: more runs than one may have.
for i in range(0, 128, 2):
    os.pwrite(f, b"%4096d" % i, (10 << 20) + i * 4096)
PY
}

raw=$tmp/raw
paint "$raw" $((48 * 1024 * 1024 + 512 * 3)) 1

# ---- raw files ----

echo '<domain/>' >"$tmp/domain.xml"
head -c 540672 /dev/urandom >"$tmp/nvram"
mkdir "$tmp/files"
echo hello >"$tmp/files/a"
expect 0 vmb backup --vm web1 --disk vda="$raw" --disk vdb=raw:"$raw" \
	--config "$tmp/domain.xml" --config "$tmp/nvram" "$tmp/files" --json
[ "$(field files_new)" = 1 ] || fail "files_new"
[ "$(disk_field vda size)" = "$(stat -c %s "$raw")" ] || fail "size"
used=$(disk_field vda used)
[ "$used" -le "$(du -B1 "$raw" | cut -f1)" ] || fail "used $used"
[ "$(disk_field vdb used)" = "$used" ] || fail "used of vdb"
is web1/latest vda "$raw"
is web1/latest vdb "$raw"
expect 0 vmb points --json
prints '"disks":\[\{"name":"vda","size":50333184,"used":'"$used"
prints '"config":\[\{"name":"domain.xml","size":10\},\{"name":"nvram","size":540672\}\]'
expect 0 vmb points
prints 'disk:vda disk:vdb'

expect 0 vmb backup --vm web1 --disk vda="$raw" --disk vdb=raw:"$raw" \
	--config "$tmp/domain.xml" --config "$tmp/nvram" "$tmp/files" \
	--skip-if-unchanged
prints 'nothing changed'
printf x | dd of="$raw" bs=1 seek=12345678 conv=notrunc status=none
expect 0 vmb backup --vm web1 --disk vda="$raw" --config "$tmp/domain.xml" \
	--json --skip-if-unchanged
[ "$(field skipped)" = false ] || fail "skipped a changed disk"
[ "$(field data_added)" -le 262200 ] || fail "one byte: $(field data_added)"
is web1/latest vda "$raw"
expect 0 vmb backup --vm web1 --disk vda="$raw" --dry-run --json
[ "$(disk_field vda used)" -ge "$used" ] || fail "allocated in a dry run"
note "raw files"

truncate -s 4096 "$tmp/empty4k"
: >"$tmp/empty"
expect 0 vmb backup --vm hole --disk a="$tmp/empty4k"
is hole/latest a "$tmp/empty4k"
expect 0 vmb backup --vm odd --disk a="$tmp/domain.xml"
is odd/latest a "$tmp/domain.xml"
no_point 1 vmb backup --vm hole --disk a="$tmp/empty"
says 'disk a: .* is empty'
no_point 1 vmb backup --vm hole --disk a="$tmp/none"
says 'disk a: cannot open'
no_point 1 vmb backup --vm hole --disk a="$tmp"
says 'neither a file nor a block device'
mkfifo "$tmp/fifo"
no_point 1 vmb backup --vm hole --disk a="$tmp/fifo"
no_point 1 vmb backup --vm hole --disk a="$raw" --config "$tmp/none"
for bad in a =x a= ../x=x .a="$raw" "$(printf '%0201d' 1)=$raw"; do
	no_point 2 vmb backup --vm hole --disk "$bad"
done
no_point 2 vmb backup --vm hole --disk a="$raw" --disk a="$raw"
no_point 2 vmb backup --vm hole --config "$keyfile" --config "$keyfile"
no_point 2 vmb backup --vm hole --disk a="$raw" --disk b="$raw" --map "$raw"
no_point 2 vmb backup --vm hole --bitmap b "$tmp/files"
no_point 2 vmb backup --vm hole --disk a="$raw" --exclude-disk 'a*'
expect 0 vmb backup --vm sel --disk sda="$raw" --disk swap="$raw" \
	--disk sdb="$raw" --include-disk 's*' --exclude-disk swap
expect 0 vmb points --vm sel
prints 'disk:sda disk:sdb$'
note "names and choices"

# ---- block devices ----

if [ "$(id -u)" = 0 ] && losetup -f >/dev/null 2>&1; then
	head -c 40960512 "$raw" >"$tmp/device"
	loop=$(losetup -f --show -r -b 512 "$tmp/device")
	cleanup_fn losetup -d "$loop"
	expect 0 vmb backup --vm block --disk vda="$loop" --json
	is block/latest vda "$tmp/device"
	note "a block device"
fi

# ---- images ----

# images read in sectors
truncate -s 48M "$raw"
for format in qcow2 vpc vhdx vmdk; do
	options=
	[ $format != vpc ] || options=force_size=on
	[ $format != vmdk ] || options=subformat=streamOptimized
	qemu-img convert -O $format ${options:+-o "$options"} "$raw" \
		"$tmp/i,$format=x"
	expect 0 vmb backup --vm image --disk a=$format:"$tmp/i,$format=x" --json
	[ "$(disk_field a format)" = $format ] || fail "not read: $format"
	is image/latest a "$raw"
done
ln -s "i,qcow2=x" "$tmp/i.qcow2"
expect 0 vmb backup --vm image --disk a="$tmp/i.qcow2" --json
[ "$(disk_field a format)" = qcow2 ] || fail "not seen: qcow2"
is image/latest a "$raw"
qemu-img convert -O vpc -o force_size=on,subformat=fixed "$raw" "$tmp/fixed"
expect 0 vmb backup --vm image --disk a=vhd:"$tmp/fixed"
is image/latest a "$raw"
note "qcow2, vhd, vhdx, vmdk"

# What a copy that broke off lacks reads as zeros: that is said, and the point is
# not one of the whole disk.
head -c 8M /dev/urandom >"$tmp/full"
for format in qcow2 vmdk vdi parallels; do
	qemu-img convert -O $format "$tmp/full" "$tmp/whole"
	expect 0 vmb backup --vm cut --disk a=$format:"$tmp/whole"
	truncate -s 4M "$tmp/whole"
	expect 3 vmb backup --vm cut --disk a=$format:"$tmp/whole"
	says 'is damaged, and what is missing of it reads as zeros'
	expect 0 vmb points --vm cut --latest 1 --json
	prints '"incomplete":true'
done
# The tables lie behind the end; and an image that another one lies on.
truncate -s 1G "$tmp/full"
head -c 8M /dev/urandom |
	dd of="$tmp/full" bs=1M seek=900 conv=notrunc status=none
qemu-img convert -O qcow2 "$tmp/full" "$tmp/whole"
qemu-img create -q -f qcow2 -F qcow2 -b "$tmp/whole" "$tmp/top"
expect 0 vmb backup --vm cut --disk a=qcow2:"$tmp/top" --allow-backing "$tmp"
truncate -s 1M "$tmp/whole"
for name in whole top; do
	expect 3 vmb backup --vm cut --disk a=qcow2:"$tmp/$name" \
		--allow-backing "$tmp"
	says "$tmp/whole is damaged"
done
rm "$tmp/full" "$tmp/whole" "$tmp/top"
note "images that are cut short"

# What a guest may write into its raw disk does not make us read other files.
qemu-img create -q -f qcow2 -b "$raw" -F raw "$tmp/over"
no_point 1 vmb backup --vm image --disk a="$tmp/over"
says 'refers to other files'
expect 0 vmb backup --vm image --disk a=qcow2:"$tmp/over"
is image/latest a "$raw"
expect 0 vmb backup --vm image --disk a=raw:"$tmp/over"
is image/latest a "$tmp/over"
cp "$tmp/i,qcow2=x" "$tmp/broken"
# The size and place of its table of the first level.
printf '\377%.0s' $(seq 12) |
	dd of="$tmp/broken" bs=1 seek=36 conv=notrunc status=none
no_point 1 vmb backup --vm image --disk a=qcow2:"$tmp/broken"
says 'qemu-nbd gave up'
mkdir "$tmp/bin"
no_point 1 env PATH="$tmp/bin" "$vmbackup" -r "$vault" --key-file "$keyfile" \
	--cache-dir "$cache" backup --vm image --disk a="$tmp/i.qcow2"
says 'qemu-utils'
note "images that are not opened"

# A qemu-nbd that dies at once.
fake_nbd() {
	cat >"$tmp/bin/qemu-nbd"
	chmod +x "$tmp/bin/qemu-nbd"
}
with_fake() {
	PATH=$tmp/bin:$PATH vmb "$@"
}
fake_nbd <<'SH'
#!/bin/sh
echo "qemu-nbd: nothing will come of this" >&2
exit 1
SH
no_point 1 with_fake backup --vm image --disk a="$tmp/i.qcow2"
says 'qemu-nbd gave up: nothing will come of this'
# ---- NBD ----

# serve NAME ARG...: qemu-nbd on a socket of that name.
serve() {
	local socket=$tmp/$1.sock pid
	shift
	qemu-nbd --persistent --shared 8 --read-only --socket "$socket" "$@" \
		2>"$tmp/nbd.err" &
	pid=$!
	cleanup_fn end_process "$pid"
	await 20 test -S "$socket" || fail "qemu-nbd: $(cat "$tmp/nbd.err")"
	server=$pid
}
uri() {
	echo "nbd+unix:///?socket=$tmp/$1.sock"
}

serve plain -f raw "$raw"
expect 0 vmb backup --vm nbd --disk a="$(uri plain)" --json
[ "$(disk_field a format)" = nbd ] || fail "format of an NBD disk"
is nbd/latest a "$raw"
kill "$server"
await_end "$server" 20 || fail "qemu-nbd stays"
no_point 1 vmb backup --vm nbd --disk a="$(uri plain)"
says 'disk a: cannot connect'

# A bitmap: made when the image is as in the point.
qemu-img convert -O qcow2 "$raw" "$tmp/vm.qcow2"
expect 0 vmb backup --vm vm --disk a="$tmp/vm.qcow2" --bitmap b0 \
	--next-bitmap b0
says 'bitmap'
is vm/latest a "$raw"
qemu-img bitmap --add -g 64k "$tmp/vm.qcow2" b0
change() {
	qemu-io -f qcow2 -c "write -P 77 $2 5000" "$1" >/dev/null
	printf 'M%.0s' $(seq 5000) | dd of="$raw" bs=1 seek="$2" conv=notrunc \
		status=none
}
change "$tmp/vm.qcow2" 20000000
expect 0 vmb backup --vm vm --disk a="$tmp/vm.qcow2" --bitmap b0 --json
[ "$(disk_field a read)" -le 524288 ] || fail "read $(disk_field a read)"
[ "$(disk_field a reused)" -gt 10000000 ] || fail "reused"
is vm/latest a "$raw" none
# One that began later than the parent point, or with another image.
expect 0 vmb backup --vm late --disk a="$tmp/vm.qcow2"
qemu-img bitmap --add "$tmp/vm.qcow2" late
expect 0 vmb backup --vm late --disk a="$tmp/vm.qcow2" --bitmap late --json
says 'does not say that the bitmap .*late.* began with it'
[ "$(disk_field a reused)" = 0 ] || fail "followed a bitmap of another time"
expect 0 vmb backup --vm late --disk a="$tmp/vm.qcow2" --bitmap late --json
[ "$(disk_field a reused)" -gt 10000000 ] || fail "reused"
cp "$tmp/vm.qcow2" "$tmp/copy.qcow2"
expect 0 vmb backup --vm late --disk a="$tmp/copy.qcow2" --bitmap late --json
says 'from another source'
[ "$(disk_field a reused)" = 0 ] || fail "followed a bitmap of another source"
head -c 48M /dev/urandom >"$tmp/noise.raw"
qemu-img convert -O qcow2 "$tmp/noise.raw" "$tmp/copy.qcow2"
qemu-img bitmap --add "$tmp/copy.qcow2" late
expect 0 vmb backup --vm late --disk a="$tmp/copy.qcow2" --bitmap late --json
says 'it is not what the bitmap or map says: all of it is read'
[ "$(disk_field a reused)" = 0 ] || fail "followed a bitmap of another image"
is late/latest a "$tmp/noise.raw"
rm "$tmp/noise.raw" "$tmp/copy.qcow2"
serve dirty -f qcow2 -B b0 "$tmp/vm.qcow2"
expect 0 vmb backup --vm vm --disk a="$(uri dirty)" --bitmap b0 --json
[ "$(disk_field a read)" -le 524288 ] || fail "read $(disk_field a read)"
is vm/latest a "$raw" none
expect 0 vmb backup --vm vm --disk a="$(uri dirty)" --bitmap b0 --force
is vm/latest a "$raw"
expect 0 vmb backup --vm vm --disk a="$(uri dirty)" --bitmap lost --json
says 'no usable bitmap .*lost'
[ "$(disk_field a reused)" = 0 ] || fail "reused by a bitmap that is lost"
is vm/latest a "$raw"
# The hint is of no use where the machine's last point has no such disk.
expect 0 vmb backup --vm vm --disk b="$(uri dirty)" --bitmap b0 --json
says 'no parent point has it'
[ "$(disk_field b reused)" = 0 ] || fail "reused from nowhere"
is vm/latest b "$raw"
kill "$server"
await_end "$server" 20 || fail "qemu-nbd stays"
expect 0 vmb backup --vm vm --disk a="$tmp/vm.qcow2" --bitmap lost
says 'bitmap "lost".*all of it is read'
is vm/latest a "$raw"
note "bitmaps"

# ---- maps ----

size=$(stat -c %s "$raw")
expect 0 vmb backup --vm vm --disk a="$raw"
printf 'Q%.0s' $(seq 3000) | dd of="$raw" bs=1 seek=30000000 conv=notrunc \
	status=none
cat >"$tmp/map" <<EOT
# what changed
0 29884416 same

29884416 0x80000 data
30408704 $((size - 30408704)) same
EOT
cp "$raw" "$tmp/raw2"
expect 0 vmb backup --vm vm --disk a="$raw" --map a="$tmp/map" --json
[ "$(disk_field a read)" -le 524288 ] || fail "read $(disk_field a read)"
is vm/latest a "$raw" none
for bad in '0 10 same' '0 x same' "0 $size maybe" "1 $((size - 1)) same" \
	"0 $((size + 1)) same" "0 $((size - 1)) same
0 $size same" "0 $size"; do
	printf '%s\n' "$bad" >"$tmp/bad"
	expect 0 vmb backup --vm vm --disk a="$raw" --map "$tmp/bad" --json
	says 'map .*all of the disk is read'
	[ "$(disk_field a reused)" = 0 ] || fail "a bad map was followed"
	is vm/latest a "$raw"
done
expect 0 vmb backup --vm vm --disk a="$raw" --map "$tmp/none"
says 'map .*all of the disk is read'
# Maps of the right form that lie.
for state in zero same; do
	[ $state = zero ] || printf x | dd of="$raw" bs=1 conv=notrunc status=none
	echo "0 $size $state" >"$tmp/bad"
	expect 0 vmb backup --vm vm --disk a="$raw" --map "$tmp/bad" --json
	says 'it is not what the bitmap or map says: all of it is read'
	[ "$(disk_field a reused)" = 0 ] || fail "a map that lies was followed"
	is vm/latest a "$raw"
done

# Grown and shrunk: what lies in both is taken over.
truncate -s $((size + 1000448)) "$raw"
printf 'tail' | dd of="$raw" bs=1 seek=$((size + 700)) conv=notrunc status=none
cat >"$tmp/map" <<EOT
0 $size same
$size 1000448 data
EOT
expect 0 vmb backup --vm vm --disk a="$raw" --map "$tmp/map" --json
says 'had .* bytes in the parent'
[ "$(disk_field a reused)" -gt 10000000 ] || fail "reused of a grown disk"
is vm/latest a "$raw" none
truncate -s 20000256 "$raw"
echo "0 20000256 same" >"$tmp/map"
expect 0 vmb backup --vm vm --disk a="$raw" --map "$tmp/map" --json
[ "$(disk_field a reused)" -gt 1000000 ] || fail "reused of a shrunk disk"
is vm/latest a "$raw" none
# One that comes from a program.
expect 0 vmb backup --vm vm --disk a="$raw" --map \
	<(echo "0 10000000 same"; echo "10000000 10000256 same") --json
[ "$(disk_field a reused)" -gt 1000000 ] || fail "reused by a map in a pipe"
is vm/latest a "$raw" none
# gives_up FIFO ARG...: a backup opens it, and one signal ends the wait for what
# is written to it, at its beginning and in its midst.
gives_up() {
	local pid holder code text
	for text in '' 0; do
		env --default-signal "$vmbackup" -r "$vault" --key-file \
			"$keyfile" --cache-dir "$cache" backup --vm vm \
			"${@:2}" >"$tmp/out" 2>"$tmp/err" &
		pid=$!
		cleanup_fn end_process "$pid"
		# The open() of a writer ends once there is a reader.
		timeout 100 sh -c 'exec 9>"$1"; printf "$2" >&9; kill "$3"
			exec tail -f /dev/null' - "$1" "$text" "$pid" &
		holder=$!
		cleanup_fn end_process "$holder"
		code=0
		await_end "$pid" 60 || fail "$1 is not given up"
		wait "$pid" || code=$?
		[ "$code" = 130 ] || fail "exit code $code after a signal, not 130"
		kill "$holder"
	done
}
mkfifo "$tmp/pipe"
gives_up "$tmp/pipe" --disk a="$raw" --map "$tmp/pipe"
note "maps"

# ---- sources that fail ----

if command -v nbdkit >/dev/null; then
	head -c 33554432 /dev/urandom >"$tmp/noise"
	nbdkit -f -U "$tmp/bad.sock" --filter=noextents eval \
		get_size='echo 33554432' \
		pread='[ $4 -lt 16777216 ] || { echo EIO failed >&2; exit 1; }
			dd if='"$tmp/noise"' iflag=skip_bytes,count_bytes skip=$4 count=$3 status=none' \
		2>"$tmp/nbd.err" &
	cleanup_fn end_process $!
	await 20 test -S "$tmp/bad.sock" || fail "nbdkit"
	no_point 1 vmb backup --vm bad --disk good="$tmp/noise" \
		--disk a="$(uri bad)"
	says 'disk a: cannot read .* at byte 1[0-9]{7}: .*input/output error'
	note "a read error in mid-disk"
fi

# The server of the first disk, when it is read, changes the source of the
# second, which is open by then.
if command -v nbdkit >/dev/null; then
	cp "$tmp/noise" "$tmp/shrinks"
	cp "$tmp/noise" "$tmp/written"
	nbdkit -f -U "$tmp/acts.sock" eval get_size='echo 4096' \
		pread='truncate -s 1M '"$tmp/shrinks"'; echo >>'"$tmp/touched"'
			dd if=/dev/zero count=$3 iflag=count_bytes status=none' \
		2>"$tmp/nbd.err" &
	cleanup_fn end_process $!
	await 20 test -S "$tmp/acts.sock" || fail "nbdkit"
	no_point 1 vmb backup --vm bad --disk a="$(uri acts)" \
		--disk b="$tmp/shrinks"
	says 'disk b: .*(became shorter|changed) while it was read'
	: >"$tmp/touched"
	head -c 100000 "$tmp/noise" >"$tmp/touched"
	expect 1 vmb backup --vm bad --disk a="$(uri acts)" \
		--disk b="$tmp/touched"
	says 'disk b: .*changed while it was read'
	note "a source that shrinks"
fi

# A qemu-nbd that dies while it is needed: the server of the first disk kills
# that of the second, which is open by then.
if command -v nbdkit >/dev/null; then
	cp "$tmp/vm.qcow2" "$tmp/victim.qcow2"
	cat >"$tmp/kill" <<SH
#!/bin/sh
for f in /proc/[0-9]*/fd/*; do
	[ "\$(readlink "\$f")" = "$tmp/victim.qcow2" ] || continue
	pid=\${f#/proc/}
	pid=\${pid%%/*}
	[ "\$(cat /proc/\$pid/comm)" != qemu-nbd ] || kill -KILL "\$pid"
done
SH
	chmod +x "$tmp/kill"
	nbdkit -f -U "$tmp/kills.sock" eval get_size='echo 4096' \
		pread="$tmp/kill"'
			dd if=/dev/zero count=$3 iflag=count_bytes status=none' \
		2>"$tmp/nbd.err" &
	cleanup_fn end_process $!
	await 20 test -S "$tmp/kills.sock" || fail "nbdkit"
	no_point 1 vmb backup --vm bad --disk a="$(uri kills)" \
		--disk b="$tmp/victim.qcow2"
	says 'disk b: .* at byte [0-9]+'
	says 'disk b: qemu-nbd was killed by signal 9'
	note "a killed qemu-nbd"
fi

# find_child PID: the qemu-nbd that it started.
find_child() {
	local p
	for p in /proc/[0-9]*; do
		if grep -qx "PPid:	$1" "$p/status" 2>/dev/null &&
			grep -qx qemu-nbd "$p/comm"; then
			echo "${p#/proc/}"
			return
		fi
	done
	return 1
}

# SIGINT ends it, and what it started; a later backup is whole.
if command -v nbdkit >/dev/null; then
	# One for each: nbdkit may abort when a client goes in mid-request.
	for slow in slow1 slow2; do
		nbdkit -f -U "$tmp/$slow.sock" --filter=noextents \
			--filter=delay memory 64M delay-read=20 \
			2>"$tmp/nbd.err" &
		cleanup_fn end_process $!
		await 20 test -S "$tmp/$slow.sock" || fail "nbdkit"
	done
	# Not through a function: the process itself is what gets the signal.
	slowly=("$vmbackup" -r "$vault" --key-file "$keyfile"
		--cache-dir "$cache" backup --vm bad)
	before=$(points)
	"${slowly[@]}" --disk a="$(uri slow1)" --disk b="$tmp/vm.qcow2" \
		>"$tmp/out" 2>"$tmp/err" &
	pid=$!
	await 20 compgen -G "$TMPDIR/vmbackup-*/nbd" || fail "no socket"
	kill -TERM "$pid"
	got=0
	wait "$pid" || got=$?
	[ "$got" = 130 ] || fail "exit code $got of an interrupted backup"
	[ "$(points)" = "$before" ] || fail "a point of an interrupted backup"
	! compgen -G "$TMPDIR/vmbackup-*/nbd" >/dev/null || fail "a socket"
	# Killed outright, it leaves no server behind.
	"${slowly[@]}" --disk a="$(uri slow2)" --disk b="$tmp/vm.qcow2" \
		>"$tmp/out" 2>"$tmp/err" &
	pid=$!
	await 20 compgen -G "$TMPDIR/vmbackup-*/nbd" || fail "no socket"
	await 20 find_child "$pid" || fail "no qemu-nbd"
	child=$(find_child "$pid")
	kill -KILL "$pid"
	wait "$pid" || true
	await_end "$child" 20 || fail "qemu-nbd outlives us"
	note "interrupted and killed"
fi

expect 0 vmb check --read-data
