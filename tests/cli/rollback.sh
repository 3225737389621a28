#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A vault that goes back to an older state, loses a point or goes its own way is
# noticed by all who open it, and written to by nobody until that is accepted.
. "$(dirname "$0")/../lib.sh"

new_vault
mkdir "$tmp/source"
echo one >"$tmp/source/file"
expect 0 vmb backup --vm web1 "$tmp/source"
cp -a "$vault" "$tmp/yesterday"
# Nothing but the state says so: the cache may be gone.
echo two >>"$tmp/source/file"
expect 0 vmb backup --vm web1 --time 2026-11-02T03:04:05Z "$tmp/source"
cp -a "$vault" "$tmp/today"
[ "$(stat -c %a "$tmp/state")" = 700 ] || fail "the state is open to others"
rm -rf "$vault" "$cache"
mv "$tmp/yesterday" "$vault"

gone='gone: the point web1/2026-11-02T030405Z'
for verb in "points" "ls web1/latest:" "stats" "key list" \
	"cat web1/latest:files$tmp/source/file" "find file" \
	"versions $tmp/source/file" \
	"restore web1/latest --target $tmp/restored"; do
	# shellcheck disable=SC2086
	expect 0 vmb $verb
	says "$gone.* seen at $vault"
	says 'next: .*check --accept-rollback'
done
expect 17 vmb check
says "$gone"
for verb in "backup --vm web1 $tmp/source" "note web1/latest --text x" \
	"rename web1 web2" "key passwd --new-key-file $tmp/key2"; do
	sum=$(cd "$vault" && find . -type f | sort | sha256sum)
	# shellcheck disable=SC2086
	expect 17 vmb $verb
	says "$gone"
	says 'nothing is written'
	[ "$(cd "$vault" && find . -type f | sort | sha256sum)" = "$sum" ] ||
		fail "$verb wrote"
done
if [ -e /dev/fuse ] && [ "$(id -u)" = 0 ]; then
	start_mount "$vault" "$tmp/mnt"
	says "$gone"
	[ "$(stat_of "$tmp/mnt" "records gone")" = 1 ] ||
		fail "the mount does not say so"
	stop_mount "$tmp/mnt"
fi
# Without a home nothing is remembered, and nothing is noticed.
expect 0 env -u VMBACKUP_STATE_DIR VMBACKUP_STATE_DIR="$tmp/other" \
	"$vmbackup" -r "$vault" --key-file "$keyfile" --no-cache points
! grep -q gone "$tmp/err" || fail "who never saw it misses it"

# It is accepted, and that is all.
expect 2 vmb check --scrub --accept-rollback
expect 0 vmb check --accept-rollback
says "$gone"
says 'not missed any more'
expect 0 vmb check
! grep -q gone "$tmp/err" || fail "it is missed still"
expect 0 vmb backup --vm web1 --time 2026-11-03T00:00:00Z "$tmp/source"

# A copy that went another way: each lacks what the other has.
expect 0 "$vmbackup" -r "$tmp/today" --key-file "$keyfile" --no-cache points
says "gone: the point web1/2026-11-03T000000Z .*seen at $vault"
expect 17 "$vmbackup" -r "$tmp/today" --key-file "$keyfile" --no-cache \
	backup "$tmp/source"
expect 0 vmb points
says "$gone.* seen at $tmp/today"
expect 0 vmb check --accept-rollback

# A file of the state that is torn, damaged or gone is told, or begun anew.
file=$(echo "$tmp/state"/*.seen)
printf x >>"$file"
expect 0 vmb backup --vm web1 "$tmp/source"
! grep -qx x "$file" || fail "the torn line is still there"
sed -i '2s/$/x/' "$file"
expect 0 vmb points
says 'damaged: 1 lines'
rm "$file"
expect 0 vmb points
[ -s "$file" ] || fail "nothing is remembered"

# One register that goes, whatever else is there.
# On a machine that never saw it, too, others tell of it: see chain.sh.
register=$(find "$vault/commit" -type f | head -n 1)
mv "$register" "$tmp/register"
expect 0 vmb points
says '1 of the records'
expect 0 vmb points --quiet
says '1 of the records'
expect 0 vmb check --accept-rollback
! grep -q 'do not fit' "$tmp/err" || fail "it is missed twice"
mv "$tmp/register" "$register"
expect 0 vmb points

# Garbage under the name of a register is damage while it is there, and nobody
# misses it when it was taken away.
chmod -R u+w "$vault"
echo x >"$vault/commit/00000000000000000000000000000000"
expect 13 vmb points
rm "$vault/commit/00000000000000000000000000000000"
expect 0 vmb backup --vm web1 "$tmp/source"

# Who may not write the state reads all the same.
if [ "$(id -u)" = 0 ]; then
	open_programs
	chmod -R a+rX "$vault" "$keyfile"
	mkdir -m 755 "$tmp/home"
	expect 0 as_nobody env -u VMBACKUP_STATE_DIR XDG_STATE_HOME= \
		"$tmp/bin/vmbackup" -r "$vault" --key-file "$keyfile" \
		--no-cache points
	says "$tmp/home/.local/state/vmbackupfs/.*cannot be written"
fi

# A folder that is missing is no empty one: whoever reads is told, nobody writes,
# and a check makes it again where that is wanted.
expect 0 vmb note web1/latest --protect
for folder in note machine tomb quarantine heartbeat commit; do
	mv "$vault/$folder" "$tmp/taken"
	case $folder in
	commit) code=13 ;;
	*) code=0 ;;
	esac
	VMBACKUP_STATE_DIR="$tmp/fresh" expect $code vmb points -q
	says "the folder $folder is missing"
	VMBACKUP_STATE_DIR="$tmp/fresh" expect 17 vmb backup --vm web1 "$tmp/source"
	says "lacks the folder $folder"
	[ ! -e "$vault/$folder" ] || fail "a backup made $folder"
	VMBACKUP_STATE_DIR="$tmp/fresh" expect 13 vmb check
	says "vmbackup: $folder/: the folder is missing"
	VMBACKUP_STATE_DIR="$tmp/fresh" expect 13 vmb check --json
	prints "\"object\":\"$folder/\""
	mv "$tmp/taken" "$vault/$folder"
	VMBACKUP_STATE_DIR="$tmp/fresh" expect 0 vmb check
done
mv "$vault/pack" "$tmp/taken"
expect 13 vmb check --scrub
says 'pack/: the folder is missing'
mv "$tmp/taken" "$vault/pack"
rm -r "$vault/note" "$vault/sweep"
expect 0 vmb check --accept-rollback
says '2 folders that are gone were made again'
expect 0 vmb note web1/latest --protect

# A copy without its empty folders is one command away from the vault.
rm -rf "$tmp/copy"
cp -a "$vault" "$tmp/copy"
find "$tmp/copy" -mindepth 1 -type d -empty -delete
vault=$tmp/copy
expect 17 vmb backup --vm web1 "$tmp/source"
says 'check --make-folders'
expect 2 vmb check --make-folders --scrub
note_of=$(find "$vault/note" -type f | head -n 1)
mv "$note_of" "$tmp/note"
expect 17 vmb check --make-folders
says 'more is gone than empty folders'
mv "$tmp/note" "$note_of"
mv "$vault/session" "$tmp/session"
expect 17 vmb check --make-folders
says 'the folder session is missing, which is never empty'
mv "$tmp/session" "$vault/session"
[ ! -e "$vault/tomb" ] || fail "it was made"
expect 0 vmb check --make-folders
says 'folders that are gone were made again'
expect 0 vmb backup --vm web1 "$tmp/source"
expect 0 vmb check
