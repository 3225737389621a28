#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# No verb that writes a file writes it over or into the vault, the cache, or the
# files with keys and passwords, by whatever path they are reached.
. "$(dirname "$0")/../lib.sh"
requires truncate

new_vault
head -c 300000 /dev/urandom >"$tmp/disk"
truncate -s 1M "$tmp/disk"
echo '<domain/>' >"$tmp/config"
printf 'secret\n' >"$tmp/password"
printf '%s\n' "$vault" >"$tmp/where"
cp "$keyfile" "$tmp/luks"
chmod 600 "$tmp/password" "$tmp/luks"
expect 0 vmb backup --vm web1 --disk vda=raw:"$tmp/disk" \
	--config "$tmp/config"
VMBACKUP_NEW_PASSWORD=secret expect 0 vmb key add --kdf-cost 14
expect 0 vmb points
place=web1/latest:disks/vda.raw
catalog=$(find "$cache" -name catalog.db)
[ -f "$catalog" ] || fail "the cache has no catalog.db"

# Everything that is to stay as it is.
state() {
	find "$vault" "$keyfile" "$tmp/password" "$tmp/where" "$tmp/luks" \
		-type f -exec sha256sum {} + | sort
	find "$vault" "$cache" | sort
}
state >"$tmp/want"
untouched() {
	state | diff "$tmp/want" - >&2 || fail "not left alone: $*"
}
# refused WHAT ARG...: the verb is refused because of that.
refused() {
	local what=$1
	shift
	expect 1 vmb "$@"
	says "lies in.* $what"
	untouched "$@"
}

mkdir "$tmp/ways" "$tmp/out.d"
ln -s "$vault" "$tmp/ways/vault"
ln -s "$keyfile" "$tmp/ways/key"
ln -s "$vault/config" "$tmp/ways/config"
ln "$vault/config" "$tmp/ways/hard"
pack=$(find "$vault/pack" -type f | head -n 1)

# ---- a disk ----

KEY='file with a key'
for more in '' --delta '--format qcow2' '--format vhd --delta'; do
	for to in "$vault/config" "$tmp/ways/vault/config" \
		"$tmp/ways/config" "$tmp/ways/hard" "$vault/new.raw" \
		"$vault/pack/new" "$pack"; do
		refused 'the vault' restore "$place" --to "$to" \
			--overwrite always $more
	done
	refused 'the cache' restore "$place" --to "$catalog" \
		--overwrite always $more
	refused "$KEY" restore "$place" --to "$keyfile" --overwrite always $more
	refused "$KEY" restore "$place" --to "$tmp/ways/key" \
		--overwrite always $more
done
refused "$KEY" --luks-key-file "$tmp/luks" restore "$place" \
	--to "$tmp/luks" --overwrite always
export VMBACKUP_PASSWORD_FILE=$tmp/password VMBACKUP_REPOSITORY_FILE=$tmp/where
refused "$KEY" restore "$place" --to "$tmp/password" --overwrite always
refused 'where the vault is' restore "$place" --to "$tmp/where" \
	--overwrite always
unset VMBACKUP_PASSWORD_FILE VMBACKUP_REPOSITORY_FILE
# The name until the disk is whole is the key's.
cp -p "$keyfile" "$tmp/k.vmbackup-partial"
expect 1 "$vmbackup" -r "$vault" --key-file "$tmp/k.vmbackup-partial" \
	--cache-dir "$cache" restore "$place" --to "$tmp/k"
says "$KEY"
cmp "$keyfile" "$tmp/k.vmbackup-partial" || fail "the key was written over"
# A vault that is named by its scheme is the same one.
for path in "$vault/config" "$vault/new.raw"; do
	expect 1 "$vmbackup" -r "file:$vault" --key-file "$keyfile" \
		--cache-dir "$cache" restore "$place" --to "$path" \
		--overwrite always
	untouched "file:$path"
done
expect 1 "$vmbackup" -r "file:$vault" --key-file "$keyfile" \
	--cache-dir "$cache" restore web1/latest:config --target "$vault/pack"
untouched "files into file:$vault"
note "a disk"

# ---- all disks and config files ----

for dir in "$vault" "$vault/pack" "$vault/new" "$tmp/ways/vault" "$cache"; do
	refused 'the (vault|cache)' restore web1/latest --disks-to "$dir"
done
# A config file does not write through what has its name.
ln "$vault/config" "$tmp/out.d/config"
for more in '' '--overwrite always' --delta; do
	expect 1 vmb restore web1/latest --disks-to "$tmp/out.d" $more
	untouched "a config file by a hard link, $more"
done
rm "$tmp/out.d/config"
echo mine >"$tmp/mine"
chmod 666 "$tmp/mine"
ln "$tmp/mine" "$tmp/out.d/config"
expect 1 vmb restore web1/latest --disks-to "$tmp/out.d"
says 'say --overwrite=always'
expect 0 vmb restore web1/latest --disks-to "$tmp/out.d" --overwrite always
cmp "$tmp/out.d/config" "$tmp/config" || fail "the config file"
[ "$(stat -c %a "$tmp/out.d/config")" = 600 ] || fail "its mode"
[ "$(cat "$tmp/mine")" = mine ] || fail "written through a hard link"
! compgen -G "$tmp/out.d/*partial*" >/dev/null || fail "something is left"
note "all disks and config files"

# ---- the other verbs ----

for dir in "$vault" "$tmp/ways/vault/key" "$cache"; do
	refused 'the (vault|cache)' key export "$dir/copy"
	refused 'the (vault|cache)' key add --new-key-file "$dir/k2"
	refused 'the (vault|cache)' key passwd --new-key-file "$dir/k2"
	refused 'the (vault|cache)' nbd web1 --disk vda --socket "$dir/s"
	refused 'the (vault|cache)' boot web1 --overlay "$dir/overlay"
done
mkdir "$tmp/overlay" "$tmp/empty"
ln -s "$vault/config" "$tmp/overlay/point"
refused 'the vault' boot web1 --overlay "$tmp/overlay"
rm "$tmp/overlay/point"
ln "$vault/config" "$tmp/overlay/disk0.qcow2"
refused 'the vault' boot web1 --overlay "$tmp/overlay"
expect 1 "$vmbackup" -r "$tmp/empty" --no-cache init --new-key-file \
	"$tmp/empty/k"
says 'lies in.* the vault'
[ -z "$(ls "$tmp/empty")" ] || fail "a key beside its vault"
for url in "$vault" "file:$vault"; do
	expect 2 "$vmbackup" -r "$url" --key-file "$keyfile" mount "$vault/pack"
	says 'inside the vault'
done
untouched mount

# What is elsewhere is written.
expect 0 vmb key export "$tmp/copy"
expect 0 vmb boot web1 --overlay "$tmp/elsewhere"
expect 0 vmb restore "$place" --to "$tmp/ways/new" --overwrite always
cmp "$tmp/ways/new" "$tmp/disk"
note "the other verbs"

# ---- bind mounts ----

[ "$(id -u)" = 0 ] || exit 0
requires namespaces
touch "$tmp/bound"
mkdir "$tmp/bound.d"
mount --bind "$vault/config" "$tmp/bound"
cleanup_fn umount "$tmp/bound"
mount --bind "$vault/pack" "$tmp/bound.d"
cleanup_fn umount "$tmp/bound.d"
for more in '' --delta; do
	refused 'the vault' restore "$place" --to "$tmp/bound" \
		--overwrite always $more
	refused 'the vault' restore "$place" --to "$tmp/bound.d/x" \
		--overwrite always $more
done
refused 'the vault' key export "$tmp/bound.d/x"
note "bind mounts"
