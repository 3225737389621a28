#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# vmbackup boot, with a real machine: a small Linux in a qcow2 disk is backed
# up, its disk is lost, and it starts from the point, its disk there untouched.
#
# The kernel is this machine's if its modules are there, else Debian's: the
# package is downloaded and unpacked, not installed. VMBACKUP_TEST_KERNEL names
# a directory with boot/vmlinuz-* and lib/modules/* instead.
. "$(dirname "$0")/../lib.sh"
requires fuse qemu-system-x86_64 qemu-img busybox cpio mke2fs python3

[ "$(uname -m)" = x86_64 ] || skip "the test's machine is an x86_64"
! ldd "$(command -v busybox)" >/dev/null 2>&1 ||
	skip "busybox is not static (Debian: package busybox-static)"
export TMPDIR=$tmp

# ---- a machine ----

# kernel_in DIR: a kernel there, with modules that fit; in $vmlinuz, $modules.
kernel_in() {
	local version
	for vmlinuz in "$1"/boot/vmlinuz-*; do
		version=${vmlinuz##*/vmlinuz-}
		modules=$1/lib/modules/$version
		if [ -r "$vmlinuz" ] && [ -d "$modules/kernel" ]; then
			return
		fi
	done
	return 1
}

download_kernel() {
	local package
	command -v apt-get >/dev/null || return 1
	package=$(apt-cache depends linux-image-amd64 |
		sed -n '/Depends: linux-image/{s/.*: //p;q}')
	mkdir "$tmp/kernel"
	[ -n "$package" ] && (cd "$tmp" &&
		timeout 120 apt-get download "$package" >"$tmp/out" 2>&1 &&
		dpkg-deb --fsys-tarfile linux-image-*.deb |
		tar -x -C "$tmp/kernel" --wildcards './boot/vmlinuz-*' \
			'./lib/modules/*/kernel/arch/x86/crypto/*' \
			'./lib/modules/*/kernel/crypto/*' \
			'./lib/modules/*/kernel/drivers/block/*' \
			'./lib/modules/*/kernel/drivers/virtio/*' \
			'./lib/modules/*/kernel/fs/*' \
			'./lib/modules/*/kernel/lib/*' &&
		rm linux-image-*.deb)
}

if [ -n "${VMBACKUP_TEST_KERNEL:-}" ]; then
	kernel_in "$VMBACKUP_TEST_KERNEL" ||
		fail "VMBACKUP_TEST_KERNEL: no kernel with modules in it"
elif ! kernel_in /; then
	download_kernel && kernel_in "$tmp/kernel" ||
		skip "no kernel: linux-image-amd64 is not installed and" \
			"cannot be downloaded; see VMBACKUP_TEST_KERNEL"
fi

mkdir "$tmp/initramfs" "$tmp/root"
"$tests/vm/initramfs.py" "$tmp/initramfs" "$modules" "$(command -v busybox)"
(cd "$tmp/initramfs" && find . | cpio -o -H newc --quiet) >"$tmp/initrd"

marker=marker-$(head -c 12 /dev/urandom | od -An -tx1 | tr -d ' \n')
mkdir "$tmp/root/bin" "$tmp/root/sbin" "$tmp/root/etc" "$tmp/root/dev" \
	"$tmp/root/proc"
cp "$(command -v busybox)" "$tmp/root/bin/busybox"
echo "$marker" >"$tmp/root/etc/marker"
cat >"$tmp/root/sbin/init" <<'EOT'
#!/bin/busybox sh
/bin/busybox mount -t devtmpfs none /dev
/bin/busybox mount -t proc none /proc
exec >/dev/console 2>&1
echo "the marker: $(/bin/busybox cat /etc/marker)"
[ ! -e /written ] || echo "written before: $(/bin/busybox cat /written)"
echo "of this run: $(/bin/busybox cat /proc/uptime /etc/marker)" >/written
/bin/busybox dd if=/dev/urandom of=/noise bs=64k count=64 2>/dev/null
/bin/busybox sync
/bin/busybox mount -o remount,ro / && echo "it was written"
/bin/busybox poweroff -f
EOT
chmod +x "$tmp/root/sbin/init"
mke2fs -q -t ext4 -d "$tmp/root" "$tmp/root.raw" 64M >"$tmp/out"
qemu-img convert -f raw -O qcow2 "$tmp/root.raw" "$tmp/vm disk.qcow2"
rm "$tmp/root.raw"

# KVM that opens may be of no use: a machine in a machine may never start.
options=()
if (: <>/dev/kvm) 2>/dev/null; then
	timeout --kill-after=5 12 qemu-system-x86_64 -machine q35 -accel kvm \
		-cpu max,-arch-capabilities -m 256 -nographic -nic none \
		-no-reboot -kernel "$vmlinuz" -initrd "$tmp/initrd" \
		-append "console=ttyS0 panic=-1" </dev/null >"$tmp/console" \
		2>&1 || true
	grep -aq "no root filesystem" "$tmp/console" || options=(--no-kvm)
fi
note "with ${options[*]:-KVM where it opens}"

# ---- saved, and lost ----

new_vault
expect 0 vmb backup --vm 'web 1' --disk "vda=$tmp/vm disk.qcow2"
rm "$tmp/vm disk.qcow2"

# digest: of the disk in the vault, read through a mount.
digest() {
	start_mount "$vault" "$tmp/mnt"
	sha256sum <"$tmp/mnt/vms/web 1/latest/disks/vda.raw"
	stop_mount "$tmp/mnt"
}
digest >"$tmp/before"

# starts DIR OPTION...: the machine, until it powers itself off.
starts() {
	local dir=$1
	shift
	(cd "$dir" && timeout --kill-after=10 90 "$vmbackup" \
		-r "$vault" --key-file "$keyfile" --cache-dir "$cache" \
		boot 'web 1/latest' --run --memory 256 --cpus 1 \
		"${options[@]}" "$@" -- \
		-nographic -no-reboot -kernel "$vmlinuz" -initrd "$tmp/initrd" \
		-append "console=ttyS0 panic=-1 quiet") \
		</dev/null >"$tmp/console" 2>"$tmp/err" || {
		tail -n 30 "$tmp/console" >&2
		fail "vmbackup boot ended with an error"
	}
	on_console "the marker: $marker"
	on_console "it was written"
}

on_console() {
	grep -aq -- "$1" "$tmp/console" || {
		tail -n 30 "$tmp/console" >&2
		fail "the machine does not say: $1"
	}
}

# Nothing is mounted below here, and nothing is left but what is asked for.
nothing_left() {
	if grep -q " $tmp/" /proc/self/mountinfo; then
		fail "something is still mounted"
	fi
	if compgen -G "$tmp/vmbackup-boot.*" >/dev/null; then
		fail "a directory is left behind"
	fi
	if pgrep -f "$tmp/.*disk0.qcow2" >"$tmp/out"; then
		fail "qemu is left behind: $(cat "$tmp/out")"
	fi
}

# ---- started: what is written is thrown away ----

start=$SECONDS
starts /
nothing_left
! grep -aq "written before" "$tmp/console" || fail "it is not as it was"
note "booted in $((SECONDS - start)) s"
digest >"$tmp/after"
cmp "$tmp/before" "$tmp/after" || fail "the disk of the point changed"

# ---- and kept, and gone on with ----

mkdir "$tmp/here" "$tmp/other"
starts "$tmp" --overlay 'here/it, and here'
nothing_left
[ -s "$tmp/here/it, and here/disk0.qcow2" ] || fail "no overlay was kept"
! grep -aq "written before" "$tmp/console" || fail "it is not as it was"
# The directory may move; the vault may be mounted already.
mv "$tmp/here/it, and here" "$tmp/other/it"
start_mount "$vault" "$tmp/mnt"
starts "$tmp/other" --overlay it --mountpoint ../mnt --bus virtio
on_console "written before: of this run: .*"
stop_mount "$tmp/mnt"
nothing_left
note "went on with an overlay"

# Not with that of another point.
qemu-img create -q -f qcow2 "$tmp/small.qcow2" 1M
expect 0 vmb backup --vm 'web 1' --disk "vda=$tmp/small.qcow2"
expect 1 vmb boot 'web 1/latest' --run --overlay "$tmp/other/it"
says 'another point'
nothing_left

# ---- ended from outside: by a signal to the shell that runs it ----

(exec "$vmbackup" -r "$vault" --key-file "$keyfile" --cache-dir "$cache" \
	boot 'web 1/latest~1' --run --memory 256 --cpus 1 --no-kvm -- -nographic \
	-pidfile "$tmp/pid" -S) </dev/null >"$tmp/console" 2>"$tmp/err" &
shell=$!
cleanup_fn end_process "$shell"
await 60 test -s "$tmp/pid" || fail "qemu does not start"
read -r pid <"$tmp/pid"
compgen -G "$tmp/vmbackup-boot.*/disk0.qcow2" >/dev/null || fail "no overlay"
kill -TERM "$shell"
got=0
wait "$shell" || got=$?
[ "$got" = 130 ] || fail "exit code $got, not 130, after SIGTERM"
await_end "$pid" 20 || fail "qemu outlives the script"
nothing_left
note "ended by SIGTERM"

digest_of_first() {
	start_mount "$vault" "$tmp/mnt"
	expect 0 vmb ls 'web 1/latest~1:disks'
	"$vmbackup" -r "$vault" --key-file "$keyfile" --cache-dir "$cache" \
		cat 'web 1/latest~1:disks/vda.raw' | sha256sum
	stop_mount "$tmp/mnt"
}
digest_of_first >"$tmp/after"
cmp "$tmp/before" "$tmp/after" || fail "the disk of the point changed"
