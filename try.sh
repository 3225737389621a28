#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# try.sh [DIR]: the whole story in a minute, on real files: make a vault, back
# up DIR (/usr/include), mount the vault, look around, copy a file out of it.
# Installs what is needed (Debian), builds in ./build, prints each command
# before it runs it, and leaves nothing mounted and nothing in /tmp.
set -eu
what=$(realpath "${1:-/usr/include}")
cd "$(dirname "$0")"
# shellcheck source=dist/setup.sh
. dist/setup.sh

if [ "$(id -u)" -ne 0 ]; then
	echo "try.sh: needs root, to install and to mount: sudo ./try.sh" >&2
	exit 1
fi
if [ ! -d "$what" ]; then
	echo "try.sh: $what is not a directory" >&2
	exit 1
fi
install_packages
dir=$(build_dir)
echo "building in $dir ..."
build_tree "$dir"
export PATH=$PWD/$dir:$PATH

tmp=$(mktemp -d)
cleanup()
{
	cd /
	if mountpoint -q "$tmp/mnt"; then
		umount "$tmp/mnt" || umount -l "$tmp/mnt"
	fi
	rm -rf --one-file-system "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
export VMBACKUP_CACHE_DIR=$tmp/cache VMBACKUP_STATE_DIR=$tmp/state

# Print a command line, then run it.
run()
{
	printf '\n# %s\n' "$1"
	eval "$1"
}

cd "$tmp"
mkdir mnt
run "head -c 32 /dev/urandom | base64 >password"
run "chmod 600 password"
export VMBACKUP_REPOSITORY=$tmp/vault VMBACKUP_PASSWORD_FILE=$tmp/password
echo "(from here on VMBACKUP_REPOSITORY=$tmp/vault and \
VMBACKUP_PASSWORD_FILE=$tmp/password)"

run "vmbackup init"
run "vmbackup backup --vm try $(printf %q "$what")"
run "vmbackup backup --vm try $(printf %q "$what")   # again: nothing changed"
run "vmbackup points"
run "du -sh --apparent-size $(printf %q "$what") vault"

run "mount.vmbackupfs vault mnt -o passwordfile=password,cachedir=cache"
files=mnt/vms/try/latest/files$what
run "ls mnt mnt/vms/try"
run "ls $(printf %q "$files") | head"
run "find $(printf %q "$files") | wc -l"
file=$(find "$files" -type f -size +0 -print -quit)
if [ -n "$file" ]; then
	original=${file#mnt/vms/try/latest/files}
	run "cp -a $(printf %q "$file") restored"
	run "cmp restored $(printf %q "$original") && echo the same"
fi
run "diff -r --no-dereference $(printf '%q %q' "$what" "$files") \
&& echo the whole tree is the same"
run "umount mnt"
run "vmbackup check"
printf '\nDone; nothing is left behind but the build.\n'
