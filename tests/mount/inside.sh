#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A vault that is mounted inside of what is backed up: its points are no files
# of the machine. What is named as a source is taken from there all the same.
. "$(dirname "$0")/../lib.sh"

mkdir -p "$tmp/source/dir"
echo hello >"$tmp/source/file"
new_vault
expect 0 vmb backup --vm web1 "$tmp/source"
expect 0 vmb ls -R web1/latest
cp "$tmp/out" "$tmp/before"
start_mount "$vault" "$tmp/source/dir"
expect 0 vmb backup --vm web1 "$tmp/source"
expect 0 vmb ls -R web1/latest
cmp "$tmp/before" "$tmp/out" || fail "the mounted points were backed up"
# What was not seen is not known to be gone.
mkdir "$tmp/target"
expect 0 vmb restore web1/latest:files"$tmp/source" --target "$tmp/target"
mkdir -p "$tmp/target/dir/mine"
expect 0 vmb restore web1/latest:files"$tmp/source" --target "$tmp/target" \
	--delete
[ -d "$tmp/target/dir/mine" ] || fail "what is below the mount is deleted"
inner=$tmp/source/dir/vms/web1/latest/files$tmp/source
expect 0 vmb backup --vm copy "$inner"
expect 0 vmb cat "copy/latest:files$inner/file"
prints '^hello$'
stop_mount "$tmp/source/dir"
