#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Mount options that change what is seen, or how it is read: each has the
# effect that the manual says.
. "$(dirname "$0")/../lib.sh"
requires fuse root

s=$tmp/source
mkdir -p "$s/dir"
chmod 755 "$s" "$s/dir"
echo one >"$s/one"
echo two >"$s/two"
ln -s one "$s/link"
head -c 5000000 /dev/urandom >"$s/large"
chown 1000:2000 "$s/one"
chown 1005:2000 "$s/two"
chown 70000:70001 "$s/large"
chmod 4755 "$s/one"
chmod 666 "$s/two"
chmod 640 "$s/large"
new_vault
expect 0 vmb backup --vm web1 "$s"
shown=$tmp/mnt/vms/web1/latest/files$s

# shows NAME FORMAT WANTED: what stat(1) prints of it.
shows() {
	local got
	got=$(stat -c "$2" "$shown/$1")
	[ "$got" = "$3" ] || fail "$1: $2 is $got, not $3"
}
content() {
	cmp "$shown/large" "$s/large" || fail "wrong bytes"
	[ "$(cat "$shown/two")" = two ] || fail "two"
}

read_ahead() {
	local got
	got=$(cat "/sys/class/bdi/$(mountpoint -d "$tmp/mnt")/read_ahead_kb")
	[ "$got" = "$1" ] || fail "the kernel reads ahead $got KiB, not $1"
}

# Without options: as stored.
start_mount "$vault" "$tmp/mnt"
shows one %u:%g:%a 1000:2000:4755
shows two %u:%g:%a 1005:2000:666
shows large %u:%g:%a 70000:70001:640
read_ahead 1024
content
stop_mount "$tmp/mnt"

start_mount "$vault" "$tmp/mnt" "uid=$(id -un 65534),readahead=4M"
for name in one two large dir link; do
	shows $name %u 65534
done
shows one %g:%a 2000:4755
read_ahead 4096
content
stop_mount "$tmp/mnt"

start_mount "$vault" "$tmp/mnt" gid=4321,umask=027,fsname=remark,vm=web1
shown=$tmp/mnt/latest/files$s
shows one %u:%g:%a 1000:4321:4750
shows two %u:%g:%a 1005:4321:640
shows large %u:%g:%a 70000:4321:640
shows dir %g:%a 4321:750
[ "$(awk -v p="$tmp/mnt" '$2 == p { print $1 }' /proc/mounts)" = remark ] ||
	fail "fsname="
content
stop_mount "$tmp/mnt"

# Each chunk is compared with its name as well. Ranges for both, for users, for
# groups; what is in none is nobody's.
start_mount "$vault" "$tmp/mnt" \
	noverify,readahead=131072,idmap=1000:5000:10+u:70000:7,point=web1/latest
shown=$tmp/mnt/files$s
shows one %u:%g 5000:65534
shows two %u:%g 5005:65534
shows large %u:%g 7:65534
shows dir %u:%g 65534:65534
read_ahead 128
content
stop_mount "$tmp/mnt"

# Permissions count as they are shown.
if as_nobody true; then
	chmod 755 "$tmp"
	expect 0 vmb backup --vm web1 "$s"
	shown=$tmp/mnt/vms/web1/latest/files$s
	start_mount "$vault" "$tmp/mnt" \
		"allow_other,idmap=u:70000:65534,idmap=b:0:0,idmap=g:2000:6000"
	shows one %u:%g 65534:6000
	shows dir %u:%g 0:0
	shows large %u:%g 65534:65534
	as_nobody cat "$shown/large" | cmp - "$s/large" ||
		fail "the user that an id was mapped to cannot read"
	stop_mount "$tmp/mnt"
	start_mount "$vault" "$tmp/mnt" allow_other,umask=04,uid=0,gid=0
	expect 1 as_nobody cat "$shown/two"
	says 'permission denied'
	stop_mount "$tmp/mnt"
fi
