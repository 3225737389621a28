# SPDX-License-Identifier: GPL-3.0-or-later
# Sourced by the tests of readers, after lib.sh. The images that they made are
# the disks of one point, and are compared once more as volumes of a mount:
# through the vault, the grid of a disk, the view and FUSE.
#
# $through   the images that are kept; with SOAK all of them are

through=
kept=() kept_checks=()

# keep NAME IMAGE LISTING [COMMAND...]: hold on to the image, which must not
# change any more, and to what is in it. COMMAND (listed_same) gets NAME, the
# mounted directory and the listing as further arguments.
keep() {
	local name=$1 image=$2 listing=$3
	[ -n "${SOAK:-}" ] || [[ " $through " = *" $name "* ]] || return 0
	shift 3
	[ $# -gt 0 ] || set -- listed_same
	mkdir -p "$tmp/kept"
	ln "$image" "$tmp/kept/$name"
	cp "$listing" "$tmp/kept/$name.listing"
	kept+=("$name")
	kept_checks+=("$(printf '%q ' "$@")")
}

# private_modes: from a listing of NTFS where all is open to everybody, as its
# readers have it, to one where it is its user's alone, as the mount has it.
private_modes() {
	sed "s/^\('.*' \(0[1246]\|1[04]\)0\)777 /\1700 /"
}

# listed_same NAME DIR LISTING
listed_same() {
	"$tests/guest/listing.py" --all "$2" >"$tmp/shown" ||
		fail "$1: cannot be listed in the mount"
	shown_same "$1" "$3"
}

# shown_same NAME LISTING: $tmp/shown is the same.
shown_same() {
	if ! diff "$2" "$tmp/shown" >"$tmp/differences"; then
		head -n 20 "$tmp/differences" | cut -c 1-400 >&2
		fail "$1: differs in the mount"
	fi
}

# plain_same OPTION... NAME DIR MANIFEST: of formats without owners and modes.
plain_same() {
	local flags=("${@:1:$#-3}")
	shift $(($# - 3))
	"$tests/reader/manifest.py" "$2" >"$tmp/shown" ||
		fail "$1: cannot be listed in the mount"
	"$tests/guest/plain_same.py" "$3" "$tmp/shown" "${flags[@]}" \
		>"$tmp/out" || { cat "$tmp/out" >&2; fail "$1: differs in the mount"; }
}

# through_mount: all that was kept.
through_mount() {
	local i name disks=() top
	[ ${#kept[@]} -gt 0 ] || fail "no image was kept for the mount"
	for name in "${kept[@]}"; do
		disks+=(--disk "$name=$tmp/kept/$name")
	done
	new_vault vault-of-images
	expect 0 vmb backup --vm zoo "${disks[@]}"
	start_mount "$vault" "$tmp/through"
	top=$(cd "$tmp/through/vms/zoo/latest/volumes" && pwd -P)
	for i in "${!kept[@]}"; do
		name=${kept[i]}
		[ -d "$top/$name" ] || fail "$name is no volume:" \
			"$(cat "$top/$name.unreadable" 2>/dev/null)"
		eval "${kept_checks[i]} $name $top/$name" \
			"$tmp/kept/$name.listing"
		note "$name: $(wc -l <"$tmp/kept/$name.listing") entries," \
			"the same in the mount"
	done
	stop_mount "$tmp/through"
	rm -rf "$tmp/kept" "$vault"
	kept=() kept_checks=()
}
