#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The units in dist/systemd: systemd finds nothing to say about them, where it is
# installed; and the options that they give are options.
set -eu
: "${VMBACKUP_BUILD:?the build directory}"
: "${srcdir:=.}"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
units=$srcdir/dist/systemd

if command -v systemd-analyze >/dev/null; then
	cp "$units"/* "$tmp"
	# It wants the programs to be there, and may not find itself running.
	sed -i "s,^ExecStart=vmbackup ,ExecStart=$VMBACKUP_BUILD/vmbackup ," \
		"$tmp"/*.service
	for unit in "$tmp"/*.*; do
		if ! systemd-analyze verify --man=no "$unit" >"$tmp/out" 2>&1 ||
		   [ -s "$tmp/out" ]; then
			echo "systemd-analyze verify ${unit##*/}:"
			cat "$tmp/out"
			exit 1
		fi
	done
else
	echo "systemd-analyze is not installed: the units are not verified"
fi

"$VMBACKUP_BUILD/vmbackup" backup --help >"$tmp/help"
options=$(sed -n 's/^ExecStart=vmbackup backup //p' "$units"/*.service |
	grep -oE -- '--[a-z-]+')
[ -n "$options" ]
for option in $options; do
	grep -q -- "$option" "$tmp/help" ||
		{ echo "vmbackup backup has no $option"; exit 1; }
done

# 1 would be an unknown option, 32 is a vault that is not there.
options=$(sed -n 's/^Options=//p' "$units"/*.mount)
[ -n "$options" ]
r=0
mkdir "$tmp/mnt"
"$VMBACKUP_BUILD/mount.vmbackupfs" "$tmp/no-vault" "$tmp/mnt" -o "$options" \
	2>"$tmp/out" || r=$?
[ $r = 32 ] || { cat "$tmp/out"; echo "exit code $r of the mount"; exit 1; }
