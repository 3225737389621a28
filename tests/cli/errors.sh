#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# What goes wrong around a vault: each a clear sentence and its exit code.
. "$(dirname "$0")/../lib.sh"

mkdir "$tmp/source"
echo content >"$tmp/source/file"
new_vault
expect 0 vmb backup --vm web1 "$tmp/source"

# The wrong key file, the wrong password.
head -c 64 /dev/urandom >"$tmp/otherkey"
expect 12 "$vmbackup" -r "$vault" --key-file "$tmp/otherkey" \
	--cache-dir "$cache" points
says 'key|password'
expect 12 env VMBACKUP_PASSWORD=wrong "$vmbackup" -r "$vault" \
	--cache-dir "$cache" points
says 'key|password'
expect 0 env VMBACKUP_PASSWORD=right "$vmbackup" -r "$tmp/withpass" init
expect 0 env VMBACKUP_PASSWORD=right "$vmbackup" -r "$tmp/withpass" points
expect 12 env VMBACKUP_PASSWORD=Right "$vmbackup" -r "$tmp/withpass" points
says 'password'
expect 12 env VMBACKUP_PASSWORD= VMBACKUP_PASSWORD_FILE=/dev/null \
	"$vmbackup" -r "$tmp/withpass" points

# A vault that is not there; a place that is no vault.
expect 10 "$vmbackup" -r "$tmp/nowhere" --key-file "$keyfile" points
says "$tmp/nowhere"
mkdir "$tmp/empty"
expect 10 "$vmbackup" -r "$tmp/empty" --key-file "$keyfile" points
says "$tmp/empty"
expect 10 "$vmbackup" -r "$tmp/source" --key-file "$keyfile" backup /etc/passwd
says "$tmp/source"
[ "$(ls "$tmp/source")" = file ] || fail "something was put into no vault"
# init where there is one, and where something else is.
expect 1 vmb init
says 'already|exists|not empty'
expect 1 "$vmbackup" -r "$tmp/source" --key-file "$keyfile" init
says 'not empty|exists|already'
[ "$(ls "$tmp/source")" = file ] || fail "init wrote to a place in use"

# A newer format.
cp -a "$vault" "$tmp/newer"
for name in config config.copy; do
	chmod u+w "$tmp/newer/$name"
	printf '\002' |
		dd of="$tmp/newer/$name" bs=1 seek=8 conv=notrunc status=none
done
expect 16 "$vmbackup" -r "$tmp/newer" --key-file "$keyfile" points
says 'newer|format|version'

# The latest that can be read is not told for the latest.
cp -a "$vault" "$tmp/lost"
# lost ARG...: of the copy, which is another history.
lost() {
	VMBACKUP_STATE_DIR=$tmp/lost-state "$vmbackup" -r "$tmp/lost" \
		--key-file "$keyfile" --no-cache "$@"
}
expect 0 lost backup --vm late "$tmp/source" --json
chmod -R u+w "$tmp/lost"
flip "$tmp/lost/point/$("$tests/json_field.py" point_id <"$tmp/out")" 150
for point in latest web1 web1/latest; do
	expect 13 lost ls "$point:"
	says '1 point of the vault cannot, and may be later'
done
expect 13 lost restore latest --target "$tmp/of-lost" --quiet
says 'may be later'
expect 0 vmb points
point=$(awk '/web1/ { print $2 }' "$tmp/out")
expect 0 lost ls "$point:"
expect 13 lost note latest --text x

# Damage.
cp -a "$vault" "$tmp/damaged"
for object in "$tmp/damaged/point"/*; do
	chmod u+w "$object"
	flip "$object" 150
done
expect 13 "$vmbackup" -r "$tmp/damaged" --key-file "$keyfile" \
	--cache-dir "$tmp/cache2" check
says 'point/'

# Misuse.
expect 2 vmb no-such-verb
expect 2 vmb points --no-such-option
says 'no-such-option'
expect 2 vmb backup
expect 2 "$vmbackup" --key-file "$keyfile" points
says 'vault|repo'
expect 1 vmb ls nosuch/latest
says 'nosuch'
# A source that is not there: nothing is backed up.
expect 1 vmb backup "$tmp/not-there"
says 'not-there'
expect 0 vmb points
prints '^1 point$'
expect 0 vmb version
expect 0 vmb --help
for verb in init backup points ls cat find diff versions restore check stats \
	key cache mount umount completion version; do
	expect 0 "$vmbackup" $verb --help
done

if [ "$(id -u)" = 0 ]; then
	# A full disk.
	mkdir "$tmp/small"
	mount -t tmpfs -o size=2m small "$tmp/small"
	cleanup_fn umount "$tmp/small"
	expect 0 "$vmbackup" -r "$tmp/small/vault" --key-file "$keyfile" init
	expect 0 "$vmbackup" -r "$tmp/small/vault" --key-file "$keyfile" \
		--cache-dir "$cache" backup --vm web1 "$tmp/source"
	head -c 5000000 /dev/urandom >"$tmp/source/big"
	expect 15 "$vmbackup" -r "$tmp/small/vault" --key-file "$keyfile" \
		--cache-dir "$cache" backup --vm web1 "$tmp/source"
	says 'space'
	expect 0 "$vmbackup" -r "$tmp/small/vault" --key-file "$keyfile" \
		--cache-dir "$cache" check --read-data
	expect 0 "$vmbackup" -r "$tmp/small/vault" --key-file "$keyfile" \
		--cache-dir "$cache" cat web1/latest:files"$tmp/source/file"
	prints '^content$'
	rm "$tmp/source/big"

	# A vault that root cannot write: reading works, writing is refused.
	mkdir "$tmp/ro"
	mount --bind "$vault" "$tmp/ro"
	cleanup_fn umount "$tmp/ro"
	mount -o remount,bind,ro "$tmp/ro"
	expect 0 "$vmbackup" -r "$tmp/ro" --key-file "$keyfile" \
		--cache-dir "$cache" cat web1/latest:files"$tmp/source/file"
	prints '^content$'
	expect 0 "$vmbackup" -r "$tmp/ro" --key-file "$keyfile" \
		--cache-dir "$cache" check
	expect 1 "$vmbackup" -r "$tmp/ro" --key-file "$keyfile" \
		--cache-dir "$cache" backup "$tmp/source"
	says 'read-only'
	if (: <>/dev/fuse) 2>/dev/null; then
		start_mount "$tmp/ro" "$tmp/mnt"
		[ "$(cat "$tmp/mnt/vms/web1/latest/files$tmp/source/file")" = \
			content ] || fail "a read-only vault, mounted"
		# A filesystem whose server has died: such a place is away, and
		# nothing is said of what it holds.
		pid=$(mount_pid "$tmp/mnt")
		kill -KILL "$pid"
		await_end "$pid" 30 || fail "the mount cannot be killed"
		for verb in points check "backup $tmp/source"; do
			# shellcheck disable=SC2086
			expect 14 "$vmbackup" -r "$tmp/mnt" --key-file \
				"$keyfile" --cache-dir "$cache" $verb
			says "$tmp/mnt"
			says 'still mounted'
		done
		stop_mount "$tmp/mnt"
	fi

	# Somebody else's vault.
	open_programs
	mkdir "$tmp/home"
	cp "$keyfile" "$tmp/home/key"
	chown -R 65534:65534 "$tmp/home"
	chmod 700 "$vault"
	elsewhere() { (cd / && as_nobody "$@"); }
	expect 1 elsewhere "$tmp/bin/vmbackup" -r "$vault" --key-file \
		"$tmp/home/key" points
	says 'permission|denied'
	says "$vault"
else
	note "full disk, read-only and foreign vault left out: not root"
fi

# A mountpoint in the vault, the vault, and above the vault.
if (: <>/dev/fuse) 2>/dev/null; then
	mkdir "$vault/inside"
	for dir in "$vault/inside" "$vault" "$tmp"; do
		r=0
		"$mounter" "$vault" "$dir" -o "keyfile=$keyfile,cachedir=$cache" \
			>"$tmp/out" 2>"$tmp/err" || r=$?
		if is_mounted "$dir"; then
			umount_any "$dir" -l
			fail "mounted over its own vault: $dir"
		fi
		[ $r = 1 ] || fail "mountpoint $dir: exit $r, not 1"
		says 'vault'
	done
	rmdir "$vault/inside"
	expect 32 "$mounter" "$vault" "$tmp/no-such-dir" -o \
		"keyfile=$keyfile,cachedir=$cache"
	says 'no-such-dir'
	# What is wrong is said once.
	mkdir "$tmp/once"
	head -c 64 /dev/urandom >"$tmp/other-key"
	expect 12 "$vmbackup" -r "$vault" --key-file "$tmp/other-key" \
		mount "$tmp/once"
	says 'wrong password or key'
	! grep -i '^vmbackup: [a-z ]*$' "$tmp/err" >&2 || fail "said twice"
fi
