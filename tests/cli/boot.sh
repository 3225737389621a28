#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# vmbackup boot: the script, with odd names and paths, however the vault is
# opened. What it starts is not qemu here but prints its arguments; a machine
# that boots is in tests/vm/boot.sh.
. "$(dirname "$0")/../lib.sh"
requires qemu-img truncate python3

# Everything odd at once.
odd="it's \"odd\", \$HOME \`id\` \\ & über"
mkdir "$tmp/$odd" "$tmp/bin" "$tmp/t"
export TMPDIR=$tmp/t

# A "qemu" that says how it was called, and what it was given to read.
cat >"$tmp/bin/fake qemu" <<'EOT'
#!/bin/sh
printf '<%s>\n' "$@"
echo "input: $(cat)"
while [ $# -gt 0 ]; do
	case $1 in
	-drive)
		# As qemu reads it: ,, is a comma of the name.
		file=$(printf %s "$2" |
			sed 's/,,/\n/g; s/,format=.*//; s/^file=//' |
			tr '\n' ',')
		qemu-img info --backing-chain -U "$file" || exit 9 ;;
	esac
	shift
done
exit 5
EOT
chmod +x "$tmp/bin/fake qemu"

head -c 300000 /dev/urandom >"$tmp/disk"
truncate -s 1M "$tmp/disk"
truncate -s 2M "$tmp/second"
new_vault "$odd/vault"
expect 0 vmb backup --vm "$odd" --disk "vda=raw:$tmp/disk" \
	--disk "odd '\$,disk=raw:$tmp/second"
expect 0 vmb backup --vm files "$tmp/bin"

# ---- the text ----

expect 0 vmb boot "$odd/latest"
sh -n "$tmp/out" || fail "the script is not one"
prints '^#!/bin/sh$'
prints 'qemu=.qemu-system-x86_64.$'
prints '-nic none '
prints ' -m 2048 -smp 2 '
prints ' -accel kvm -accel tcg '
! grep -q -- -bios "$tmp/out" || fail "firmware that nobody asked for"
expect 0 vmb boot "$odd" --network user --memory 512 --cpus 3 --bus scsi \
	--no-kvm --firmware "$tmp/$odd/fw" -- -serial "file:$odd"
sh -n "$tmp/out" || fail "the script is not one"
prints '-nic user '
prints ' -m 512 -smp 3 '
prints 'scsi-hd,drive=disk1'
prints 'virtio-scsi-pci'
! grep -q 'accel kvm' "$tmp/out" || fail "--no-kvm"
for word in -daemonize --daemonize; do
	expect 2 vmb boot "$odd" --run -- -display none $word
	says 'put that into the background'
done
expect 0 vmb boot "$odd" --json
[ "$("$tests/json_field.py" script <"$tmp/out" | head -n 1)" = '#!/bin/sh' ] ||
	fail "--json: $(head -c 300 "$tmp/out")"
expect 0 vmb boot "$odd" --bus ide
prints 'ide-hd,drive=disk0'

expect 2 vmb boot
says 'takes a POINT'
expect 2 vmb boot "$odd" --network bridge
expect 2 vmb boot "$odd" --bus usb
expect 1 vmb boot files
says 'no disks to boot from'
expect 1 vmb boot nobody
expect 10 "$vmbackup" -r "$tmp/none" --key-file "$keyfile" boot "$odd"
# Programs that are missing are named, before anything is mounted.
expect 0 vmb boot "$odd" --qemu no-such-qemu
cp "$tmp/out" "$tmp/script"
expect 1 sh "$tmp/script"
says 'no-such-qemu is not installed'
mkdir "$tmp/nothing"
expect 1 env PATH="$tmp/nothing" /bin/sh "$tmp/script"
says 'qemu-img is not installed .*qemu-utils'
note "text"

requires fuse

# nothing_left: no mount, no directory of ours.
nothing_left() {
	if grep -q " $tmp/t/" /proc/self/mountinfo; then
		fail "something is still mounted"
	fi
	[ -z "$(ls -A "$TMPDIR")" ] || fail "left behind: $(ls -R "$TMPDIR")"
}

# ran: the "machine" got what it should.
ran() {
	prints '^<-name>$'
	grep -Fqx "<guest=$(printf %s "$odd" | sed 's/,/,,/g')>" "$tmp/out" ||
		fail "another name: $(grep guest= "$tmp/out")"
	[ "$(grep -c '^backing file: /.*/disks/.*\.raw' "$tmp/out")" = 2 ] ||
		fail "no overlays: $(cat "$tmp/out")"
	grep -Fq "disks/odd '\$,disk.raw" "$tmp/out" || fail "a disk's name"
}

# ---- printed, then run; and run at once: the same ----

expect 0 vmb boot "$odd" --qemu "$tmp/bin/fake qemu" -- -x "$odd"
cp "$tmp/out" "$tmp/script"
(cd / && expect 5 sh "$tmp/script")
ran
grep -Fqx "<$odd>" "$tmp/out" || fail "an argument of qemu"
nothing_left
expect 5 vmb boot "$odd" --run --qemu "$tmp/bin/fake qemu" -- -x "$odd"
ran
grep -Fqx "<$odd>" "$tmp/out" || fail "an argument of qemu"
nothing_left
# What we are given to read, the machine reads.
echo "to the machine" | vmb boot "$odd" --run --qemu "$tmp/bin/fake qemu" \
	>"$tmp/out" 2>"$tmp/err" || true
prints '^input: to the machine$'
nothing_left
note "run"

# ---- the vault's key, from everywhere, with relative paths ----

echo "a password" >"$tmp/$odd/password"
chmod 600 "$tmp/$odd/password"
expect 0 vmb key add --new-password-file "$tmp/$odd/password" --kdf-cost 14
cp "$keyfile" "$tmp/$odd/key"
cd "$tmp/$odd"
PATH=$tmp/bin:$PATH
boots() {
	expect 5 "$vmbackup" -r vault --cache-dir "a cache" "$@" boot "$odd" \
		--run --qemu "fake qemu"
	ran
	nothing_left
}
boots --key-file key
boots --password-file password
boots --password-command 'cat password'
VMBACKUP_KEY_FILE=key boots
VMBACKUP_PASSWORD_FILE=password boots
VMBACKUP_PASSWORD_COMMAND='cat password' boots
VMBACKUP_PASSWORD='a password' boots
VMBACKUP_KEY_FILE=key boots --no-cache
echo vault >"$tmp/where"
expect 5 env VMBACKUP_KEY_FILE=key VMBACKUP_REPOSITORY_FILE="$tmp/where" \
	VMBACKUP_CACHE_DIR="a cache" \
	"$vmbackup" boot "$odd" --run --qemu "fake qemu"
ran
nothing_left
# Once each: a descriptor, standard input. What is left of it is qemu's.
"$vmbackup" -r vault --cache-dir "a cache" boot "$odd" --run \
	--qemu "fake qemu" >"$tmp/out" 2>"$tmp/err" 7<password \
	</dev/null && fail "without a key" || [ $? = 12 ] ||
	fail "no key: another exit code"
VMBACKUP_PASSWORD_FD=7 "$vmbackup" -r vault --cache-dir "a cache" boot "$odd" \
	--run --qemu "fake qemu" >"$tmp/out" 2>"$tmp/err" 7<password \
	</dev/null || true
ran
"$vmbackup" -r vault --cache-dir "a cache" --password-file - boot "$odd" \
	--run --qemu "fake qemu" >"$tmp/out" 2>"$tmp/err" <password || true
ran
# On a terminal it is asked for once.
python3 - "$vmbackup" -r vault --cache-dir "a cache" boot "$odd" --run \
	--qemu "fake qemu" >"$tmp/out" <<'PY' || fail "the prompt"
import os, pty, signal, sys
signal.alarm(60)
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
seen, told, ended = b"", False, False
try:
    while data := os.read(fd, 4096):
        seen += data
        if not told and b"password for the vault: " in seen:
            told = True
            os.write(fd, b"a password\n")
        if not ended and b"drive=disk1>" in seen:
            ended = True
            os.write(fd, b"\x04")  # the end of the machine's input
except OSError:
    pass
print(seen.replace(b"\r\n", b"\n").decode())
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
sys.exit(status != 5 or seen.count(b"password for the vault") != 1)
PY
ran
nothing_left
# The printed script knows where things are, from anywhere.
expect 0 "$vmbackup" -r vault --cache-dir "a cache" --password-file password \
	boot "$odd" --qemu "fake qemu"
cp "$tmp/out" "$tmp/script"
cd /
expect 5 sh "$tmp/script"
ran
nothing_left
note "keys and paths"

# ---- overlays that are kept; a mount that is there ----

cd "$tmp/$odd"
CDPATH=/tmp expect 5 vmb boot "$odd" --run --qemu "fake qemu" --overlay "-o,v"
ran
[ -s "./-o,v/disk0.qcow2" ] && [ -s "./-o,v/disk1.qcow2" ] ||
	fail "overlays are not kept"
[ "$(ls "./-o,v" | wc -l)" = 3 ] || fail "more is kept: $(ls "./-o,v")"
start_mount "$vault" "$tmp/mnt"
expect 5 vmb boot "$odd" --run --qemu "fake qemu" --overlay "-o,v" \
	--mountpoint ../mnt
ran
prints "^backing file: $tmp/mnt/vms/"
is_mounted "$tmp/mnt" || fail "a mount of somebody else is gone"
nothing_left
expect 1 vmb boot "$odd" --run --qemu "fake qemu" --mountpoint "$tmp/bin"
says 'is this vault mounted there'
nothing_left
stop_mount "$tmp/mnt"
echo 0123 >"./-o,v/point"
expect 1 vmb boot "$odd" --run --qemu "fake qemu" --overlay "-o,v"
says 'another point'
rm "./-o,v/point"
expect 1 vmb boot "$odd" --run --qemu "fake qemu" --overlay "-o,v"
says 'another point'
nothing_left
note "overlays"
