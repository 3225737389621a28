#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Help texts, usage errors, and what the shells complete from the same tables.
. "$(dirname "$0")/../lib.sh"

verbs="init backup points ls cat find diff versions stats mount umount restore
	note rename check repair rewrite key cache completion version help"

# What speaks to NBD servers stands on twenty libraries: who needs it loads it.
for program in "$vmbackup" "$mounter"; do
	! ldd "$program" | grep -q 'libnbd\|libxml2' ||
		fail "$program: libnbd is loaded whenever it starts"
done

expect 0 "$vmbackup" --help
prints 'Verbs:'
for verb in $verbs; do
	prints "^  $verb "
done
for verb in $verbs; do
	expect 0 "$vmbackup" "$verb" --help
	prints "^Usage: vmbackup $verb "
	prints 'Global options:'
	if grep -nE '^.{81}' "$tmp/out"; then
		fail "the help of $verb is wider than 80 columns"
	fi
	cp "$tmp/out" "$tmp/help"
	expect 0 "$vmbackup" help "$verb"
	cmp "$tmp/out" "$tmp/help" || fail "help $verb is not $verb --help"
	# Also where other things are wrong, and never with a vault.
	expect 0 "$vmbackup" -r /nonexistent "$verb" --help
done
expect 2 "$vmbackup" help frobnicate
says 'no verb "frobnicate"; "vmbackup help" lists'
for alias in snapshots:points list:points dump:cat; do
	expect 0 "$vmbackup" help "${alias%:*}"
	prints "^Usage: vmbackup ${alias#*:} "
done

# Misuse: exit 2, and a sentence that says what is wrong.
expect 2 "$vmbackup"
expect 2 "$vmbackup" nosuch
says 'nosuch'
expect 2 "$vmbackup" help nosuch
expect 2 "$vmbackup" --nosuch points
says '\-\-nosuch'
expect 2 "$vmbackup" points --latest
says '\-\-latest needs N'
expect 2 "$vmbackup" points --latest x
expect 2 "$vmbackup" points extra
expect 2 "$vmbackup" -r v points --repository-file f
expect 2 "$vmbackup" -r v cat
expect 2 "$vmbackup" -r v diff one
expect 2 "$vmbackup" -r v versions
expect 2 "$vmbackup" -r v find --type z
expect 2 "$vmbackup" -r v find --newer sometime
expect 2 "$vmbackup" -r v find --size big
expect 2 "$vmbackup" -r v backup --compression 20 /
expect 2 "$vmbackup" -r v backup --tag a/b /
expect 2 "$vmbackup" -r v backup --vm .. /
expect 2 "$vmbackup" -r v backup --time never /
expect 2 "$vmbackup" -r v key
expect 2 "$vmbackup" -r v key nosuch
expect 2 "$vmbackup" -r v key remove
expect 2 "$vmbackup" cache nosuch
expect 2 "$vmbackup" completion tcsh
expect 2 "$vmbackup" -r v check --read-data-subset 4/3
expect 2 "$vmbackup" -r v check --read-data-subset 101%
expect 2 "$vmbackup" points
says 'which vault'
expect 2 env VMBACKUP_PROGRESS_FPS=often "$vmbackup" -r v points
says 'VMBACKUP_PROGRESS_FPS'
expect 2 env VMBACKUP_UNITS=miles "$vmbackup" -r v points
expect 2 "$vmbackup" --repository-file "$tmp/nosuch" points
says 'nosuch'

# A reader that goes away, a full disk.
mkdir "$tmp/source"
for i in $(seq 3000); do
	: >"$tmp/source/a-file-with-a-long-name-so-that-pipes-fill-$i"
done
head -c 3000000 /dev/zero >"$tmp/source/large"
echo small >"$tmp/source/small"
new_vault
expect 0 vmb backup --vm web1 "$tmp/source"
r=0
vmb ls -R web1 2>"$tmp/err" | head -n 1 >"$tmp/out" || r=$?
[ $r = 0 ] || [ $r = 141 ] || fail "ls into a closed pipe: exit $r"
[ ! -s "$tmp/err" ] || fail "ls into a closed pipe is not quiet"
if [ -c /dev/full ]; then
	r=0
	vmb ls -R web1 >/dev/full 2>"$tmp/err" || r=$?
	[ $r = 15 ] || fail "ls to a full disk: exit $r"
	says 'standard output: no space left'
	# More than the buffer of the stream, and less.
	for name in large small; do
		r=0
		vmb cat "web1/latest:files$tmp/source/$name" >/dev/full \
			2>"$tmp/err" || r=$?
		[ $r = 15 ] || fail "cat to a full disk: exit $r"
		says 'standard output: no space left'
		[ "$(wc -l <"$tmp/err")" = 1 ] || fail "cat says it twice"
	done
fi

# Completion.
for shell in bash zsh fish; do
	expect 0 "$vmbackup" completion $shell
	prints 'skip-if-unchanged'
	cp "$tmp/out" "$tmp/completion.$shell"
	if command -v $shell >/dev/null; then
		$shell -n "$tmp/completion.$shell" ||
			fail "$shell does not take its completion"
	fi
done
complete_bash() {
	bash -c '. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _vmbackup
		printf "%s\n" "${COMPREPLY[@]}"' "$tmp/completion.bash" "$@" \
		2>/dev/null >"$tmp/out"
}
complete_bash vmbackup -r v ver
prints '^versions$'
prints '^version$'
complete_bash vmbackup backup --skip
prints '^--skip-if-unchanged$'
complete_bash vmbackup backup --compression f
prints '^fast$'
complete_bash vmbackup key re
prints '^remove$'
complete_bash vmbackup -r v check --read-data-
prints '^--read-data-subset$'

# The mount helper's, from its own tables; what it refuses leads there.
expect 0 "$mounter" --help
prints '^  io_timeout=TIME  '
prints '^  -f, --foreground  '
cp "$tmp/out" "$tmp/help"
expect 0 "$mounter" -h
cmp "$tmp/out" "$tmp/help" || fail "mount.vmbackupfs -h is not --help"
expect 0 "$mounter" --version
prints '^vmbackupfs [0-9]'
cp "$tmp/out" "$tmp/help"
expect 0 "$mounter" -V
cmp "$tmp/out" "$tmp/help" || fail "mount.vmbackupfs -V is not --version"
expect 1 "$mounter" --no-such
says 'no-such'
expect 1 "$mounter" /nowhere "$tmp" -o remount,allow_other
says 'mount it anew'
expect 1 "$mounter" /nowhere "$tmp" -w
says 'read-only'
expect 1 "$mounter" /nowhere
says 'a vault and a directory'
