#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Somebody looks into volumes/ while the vault's packs are away for a moment:
# nothing of what that showed stays, neither in the daemon nor in the kernel.
. "$(dirname "$0")/../lib.sh"
requires fuse root python3 sfdisk mke2fs

truncate -s 20M "$tmp/vda"
sfdisk -q "$tmp/vda" <<-EOF
	label: gpt
	start=1MiB, size=8MiB
	start=10MiB, size=8MiB
EOF
mkdir "$tmp/in"
echo hello >"$tmp/in/file"
for at in 1 10; do
	mke2fs -q -d "$tmp/in" -E offset=$((at << 20)) "$tmp/vda" 8M
done
new_vault
expect 0 vmb backup --vm web1 --disk "vda=$tmp/vda"

listed() {
	[ "$(ls "$volumes" | tr '\n' ' ')" = "$1 " ]
}

# shows WANT: ls shows this in volumes/, now or some seconds later.
shows() {
	await 20 listed "$1" || {
		ls -l "$volumes" >&2
		fail "volumes/ does not show '$1'"
	}
}

all='vda1 vda1.raw vda2 vda2.raw'

# ---- the partition table cannot be read ----

start_mount "$vault" "$tmp/mnt"
volumes=$tmp/mnt/vms/web1/latest/volumes
mv "$vault/pack" "$tmp/away"
shows 'vda.raw vda.unreadable'
cat "$volumes/vda.unreadable" >"$tmp/why"
[ -s "$tmp/why" ] || fail "no reason is given"
cat "$volumes/vda1/file" 2>/dev/null && fail "read what is away"
mv "$tmp/away" "$vault/pack"
shows "$all"
[ "$(cat "$volumes/vda1/file" "$volumes/vda2/file")" = "hello
hello" ] || fail "the files have other content"
[ ! -e "$volumes/vda.unreadable" ] || fail "vda.unreadable is still there"

note "a failing vault leaves nothing behind in volumes/"
