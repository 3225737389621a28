#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Images made to do harm, of each format, as disks of one point: names with
# slashes, directories that are their own parents, sizes and metadata that make
# no sense. Each is an error on that entry; the walk ends, the mount lives, and
# the whole volumes beside them are read as ever.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/guest/through.sh
. "$(dirname "$0")/../guest/through.sh"
# shellcheck source=tests/guest/formats.sh
. "$(dirname "$0")/../guest/formats.sh"
requires debugfs
hostile=$tests/guest/hostile.py
seeds='1 2'
[ -z "${SOAK:-}" ] || seeds=$(seq 40)

small_tree "$tmp/tree"
disks=() bad=()

# harm NAME FORMAT: a copy to be harmed, $tmp/NAME, another disk.
harm() {
	cp --sparse=always "$tmp/$2" "$tmp/$1"
	disks+=(--disk "$1=$tmp/$1")
	bad+=("$1")
}

for format in $formats; do
	small_image "$format" "$tmp/$format" "$tmp/tree"
	disks+=(--disk "$format=$tmp/$format")
	harm "$format-names" "$format"
	for seed in $seeds; do
		harm "$format-flip$seed" "$format"
		"$hostile" flip "$seed" "$tmp/$format-flip$seed"
	done
done

# Without checksums the names themselves are what is wrong.
tune2fs -O ^metadata_csum "$tmp/ext4-names" >"$tmp/out" 2>"$tmp/err" ||
	fail "tune2fs"
for format in $formats; do
	"$hostile" names "$tmp/$format-names"
done

harm ext4-loop ext4
debugfs -w -f - "$tmp/ext4-loop" >"$tmp/out" 2>"$tmp/err" <<-'END'
	ln <2> /level0/level1/top
	ln /level0 /level0/level1/level2/above
	set_inode_field /sizes/size-4097 size 0x7fffffffffffffff
	set_inode_field /many/entry-0003 size 0x3fffffffffff
	set_inode_field /many/entry-0004 links_count 0
END
# A top that is a link to the host's /etc, a file, and a fifo.
tops='120777 100644 10644'
for mode in $tops; do
	cp --sparse=always "$tmp/ext4" "$tmp/top$mode"
	disks+=(--disk "top$mode=$tmp/top$mode")
	debugfs -w -f - "$tmp/top$mode" >"$tmp/out" 2>"$tmp/err" <<-END
		set_inode_field <2> mode 0$mode
		set_inode_field <2> flags 0
		set_inode_field <2> size 4
		set_inode_field <2> blocks 0
		set_inode_field <2> block[0] 0x6374652f
	END
done
for format in fat iso; do
	harm $format-loop $format
	"$hostile" loop $format "$tmp/$format-loop"
done

# ---- all of them are looked at ----

new_vault
expect 0 vmb backup --vm all "${disks[@]}"
start_mount "$vault" "$tmp/mnt"
pid=$(mount_pid "$tmp/mnt")
top=$(cd "$tmp/mnt/vms/all/latest/volumes" && pwd -P)
for mode in $tops; do
	if [ -e "$top/top$mode" ] || [ -L "$top/top$mode" ]; then
		fail "a top of mode $mode is shown"
	fi
	grep -q 'top .* is not a directory' "$top/top$mode.unreadable" ||
		fail "top$mode: no reason"
	for verb in "ls" "cat" "restore --target $tmp/restored"; do
		# shellcheck disable=SC2086 # words
		if vmb $verb "all/latest:volumes/top$mode" >"$tmp/out" 2>&1; then
			fail "$verb of a top of mode $mode"
		fi
	done
	[ ! -e "$tmp/restored" ] || fail "a top of mode $mode is restored"
done
open=()
for name in "${bad[@]}"; do
	# One that nothing can be made of says why.
	if [ -d "$top/$name" ]; then
		open+=("$top/$name")
	elif [ ! -s "$top/$name.unreadable" ]; then
		fail "$name: neither a directory nor a reason"
	fi
done
note "${#open[@]} of ${#bad[@]} harmed volumes open"
for name in "${open[@]}"; do
	r=0
	timeout 60 find "$name" -printf '%i %s %n %l\n' >"$tmp/out" \
		2>"$tmp/err" || r=$?
	[ $r -le 1 ] || fail "find ${name##*/} ends with $r"
done
expect 0 timeout 300 "$hostile" walk "${open[@]}"
cp "$tmp/out" "$tmp/walked"
for name in "${bad[@]}"; do
	[ -d "$top/$name" ] || echo "$name 0 1" >>"$tmp/walked"
done
[ "$(mount_pid "$tmp/mnt")" = "$pid" ] || fail "the mount does not live"

# seen NAME ENTRIES ERRORS: so many at least.
seen() {
	awk -v name="$1" -v entries="$2" -v errors="$3" '
		$1 == name { ok = $2 >= entries && $3 >= errors }
		END { exit !ok }' "$tmp/walked" ||
		fail "$1: not as expected: $(grep "^$1 " "$tmp/walked")"
}
# The entries beside those with bad names are all there.
seen ext4-names 185 0
for format in fat iso ntfs; do
	seen $format-names 180 0
done
for format in ext4 fat iso; do
	seen $format-loop 150 1
done
# Something is wrong, or left out, in each format.
for format in $formats; do
	whole=$(wc -l <"$tmp/$format.listing")
	awk -v f="$format-" -v whole="$whole" '
		index($1, f) == 1 && ($3 > 0 || $2 < whole) { n++ }
		END { exit !n }' "$tmp/walked" ||
		fail "$format: no harm was met"
done
note "$(awk '{ n += $2; e += $3 } END {
	print n " entries, " e " errors" }' "$tmp/walked")"

for format in $formats; do
	small_same "$format" "$top/$format" "$tmp/$format.listing"
done
stop_mount "$tmp/mnt"
