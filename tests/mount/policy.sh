#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Who may read what of a mount: sets of options, filesystems of each format,
# and users. The mounter reads everything, and first, so that the kernel has
# all of it in its caches. What no Unix permissions are stored for is nobody
# else's, whatever the options say.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/guest/through.sh
. "$(dirname "$0")/../guest/through.sh"
# shellcheck source=tests/guest/formats.sh
. "$(dirname "$0")/../guest/formats.sh"
requires nobody debugfs setfacl getfacl

# ---- one point of a tree, a config file, and a disk of each format ----

tree=$tmp/tree
mkdir -p "$tree/many"
for name in open mine closed text.txt; do
	echo "$name" >"$tree/$name"
done
chmod 755 "$tmp" "$tree"
chmod 644 "$tree/open"
chmod 600 "$tree/mine" "$tree/closed"
chown 1000 "$tree/mine"
cp -a "$tree" "$tmp/files"
disks=()
for format in $formats; do
	small_image "$format" "$tmp/$format" "$tree"
	disks+=(--disk "$format=$tmp/$format")
done
expect 0 genisoimage -quiet -J -o "$tmp/joliet" "$tree"
disks+=(--disk "joliet=$tmp/joliet")

# Lists of the access to files that are not root's: one whose block is damaged,
# one that is malformed (it ends after its first entry), and a good one.
truncate -s 8M "$tmp/acl"
expect 0 mkfs.ext4 -q -F -I 128 -O metadata_csum "$tmp/acl"
loop_mount "$tmp/acl" "$tmp/inside"
mounts+=("$tmp/inside")
for name in damaged malformed good; do
	echo $name >"$tmp/inside/$name"
	chown 1000:1000 "$tmp/inside/$name"
	chmod 640 "$tmp/inside/$name"
done
setfacl -m u:2000:r "$tmp/inside/damaged"
setfacl -m u:65534:r "$tmp/inside/good"
await 10 umount "$tmp/inside" || fail "cannot unmount"
block=$(debugfs -R 'stat /damaged' "$tmp/acl" 2>/dev/null |
	sed -n 's/.*File ACL: *\([0-9]*\).*/\1/p')
[ "${block:-0}" != 0 ] || fail "the list is in no block of its own"
printf harm | dd of="$tmp/acl" bs=1 seek=$((block * $(debugfs -R stats \
	"$tmp/acl" 2>/dev/null | sed -n 's/^Block size: *//p') + 40)) \
	conv=notrunc status=none
printf '\1\0\0\0\1\0\6\0' >"$tmp/value"
expect 0 debugfs -w -R "ea_set -r -f $tmp/value /malformed \
system.posix_acl_access" "$tmp/acl"
disks+=(--disk "acl=$tmp/acl")

echo secret >"$tmp/domain.xml"
chmod 644 "$tmp/domain.xml"
new_vault
expect 0 vmb backup --vm web1 --config "$tmp/domain.xml" "${disks[@]}" \
	"$tmp/files"

# ---- the matrix ----

stored=("files$tmp/files")
private=(config/domain.xml point.json)
for format in $formats acl joliet; do
	private+=("disks/$format.raw" "volumes/$format.raw")
	case $format in
	ext4 | xfs | btrfs | iso) stored+=("volumes/$format") ;;
	acl) ;;
	*) private+=("volumes/$format/"{open,mine,closed}) ;;
	esac
done

# seen_by UID PATH...: those below the point that the user can read, who comes
# from outside of the mount.
seen_by() {
	setpriv --reuid="$1" --regid="$1" --clear-groups --inh-caps=-all \
		sh -c 'top=$1; shift; for path; do
			head -c 1 "$top/$path" >/dev/null 2>&1 && echo "$path"
		done; true' sh "$top" "${@:2}"
}

# may UID NAME...: of what is stored with owners, these can be read by him in
# each format, and no other; and nothing of the rest.
may() {
	local uid=$1 dir name got paths=()
	shift
	for dir in "${stored[@]}"; do
		for name in open mine closed; do
			paths+=("$dir/$name")
			case " $* " in
			*" $name "*) echo "$dir/$name" ;;
			esac
		done
	done >"$tmp/wanted"
	seen_by "$uid" "${paths[@]}" >"$tmp/got"
	diff "$tmp/wanted" "$tmp/got" >"$tmp/differences" || {
		cat "$tmp/differences" >&2
		fail "-o $options: not what user $uid may read"
	}
	got=$(seen_by "$uid" "${private[@]}")
	[ -z "$got" ] || fail "-o $options: user $uid reads" "$got"
}

# with OPTIONS: mount so; the mounter reads all there is.
with() {
	local got
	options=$1
	start_mount "$vault" "$tmp/mnt" "$options"
	top=$(echo "$tmp/mnt/vms/web1"/2*)
	[ "$(seen_by 0 "${private[@]}" | wc -l)" = ${#private[@]} ] ||
		fail "-o $options: root cannot read all"
	got=$(seen_by 0 "${stored[@]/%//closed}" "${stored[@]/%//mine}" | wc -l)
	[ "$got" = $((2 * ${#stored[@]})) ] ||
		fail "-o $options: root reads $got files"
}

with uid=65534
may 65534
may 1000
stop_mount "$tmp/mnt"

with allow_other
may 65534 open
may 1000 open mine
[ "$(stat -c %u:%a "$top"/volumes/{ntfs,fat,exfat,joliet} |
	sed 's/^0:[57]00$/private/' | sort -u)" = private ] ||
	fail "the top of a filesystem without owners is not private"
# Access control lists are enforced; what is wrong with one does not keep the
# file from root, nor give it to others.
[ "$(seen_by 0 volumes/acl/{damaged,malformed,good} | wc -l)" = 3 ] ||
	fail "root cannot read the files of volumes/acl"
[ "$(seen_by 65534 volumes/acl/{damaged,malformed,good})" = \
	volumes/acl/good ] || fail "a list of the access is not enforced"
for name in damaged malformed; do
	if getfacl -n "$top/volumes/acl/$name" >"$tmp/out" 2>/dev/null; then
		fail "$name: a list of the access is made up: $(cat "$tmp/out")"
	fi
done
stop_mount "$tmp/mnt"

with allow_other,uid=65534
may 65534 open mine closed
may 1000 open
stop_mount "$tmp/mnt"

with allow_other,idmap=u:0:0+u:1000:65534+g:0:0
may 65534 open mine
may 1000 open
stop_mount "$tmp/mnt"

# Root's own id is in no range.
with allow_other,idmap=u:1000:1000,umask=0,gid=65534
may 1000 open mine
may 65534 open
[ -z "$(seen_by 65534 volumes/acl/good)" ] ||
	fail "an entry of a list, of whom no range has, is taken for nobody's"
stop_mount "$tmp/mnt"

with allow_other,idmap=b:1000:1000
may 1000 open mine
may 65534 open
stop_mount "$tmp/mnt"

with allow_root
may 65534
may 1000
stop_mount "$tmp/mnt"

with allow_root,uid=65534,umask=0
may 65534
stop_mount "$tmp/mnt"

# Where the top is not of the view's making.
for part in volumes/ntfs "files$tmp/files"; do
	start_mount "$vault" "$tmp/mnt" \
		"allow_root,uid=65534,point=web1/latest:$part"
	[ "$(cat "$tmp/mnt/closed")" = closed ] || fail "root: $part"
	if as_nobody cat "$tmp/mnt/open" 2>/dev/null; then
		fail "allow_root: others get to $part"
	fi
	stop_mount "$tmp/mnt"
done
