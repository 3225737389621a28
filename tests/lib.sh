# SPDX-License-Identifier: GPL-3.0-or-later
# Sourced by the shell tests. They say what they need (requires), what is to
# be undone (cleanup_fn), and stop at the first failure.
#
# $tmp      a directory of the test's own, removed at the end
# $vault, $keyfile, $cache   what vmb and start_mount use; new_vault sets them
# VMBACKUP_BUILD   where the programs were built; default: the directory the
#                  test was started in, or the top of the source tree
#
# Nothing stays mounted, looped or running, whatever ends the test.

set -eu -o pipefail

# As root each test has a mount namespace of its own. A new namespace is a copy
# of the one that it is made in, and holds on to all that is mounted there: were
# tests to mount in a common one, a test that makes a namespace would keep the
# mounts of those that run beside it alive, and their daemons too.
if [ -z "${VMBACKUP_TEST_NS:-}" ] && [ "$(id -u)" = 0 ] &&
	unshare -m true 2>/dev/null; then
	VMBACKUP_TEST_NS=1 exec unshare -m --propagation private "$0" "$@"
fi
# A test that starts another one gives it a namespace, too.
own_namespace=${VMBACKUP_TEST_NS:-}
unset VMBACKUP_TEST_NS

export LC_ALL=C.UTF-8 TZ=UTC
unset VMBACKUP_LUKS_KEY_FILE VMBACKUP_REPOSITORY \
	VMBACKUP_PASSWORD VMBACKUP_PASSWORD_FILE \
	VMBACKUP_KEY_FILE VMBACKUP_CACHE_DIR VMBACKUP_CONFIG || true
# What malloc returns is not zero, and freed memory is not what it was.
export MALLOC_PERTURB_="${MALLOC_PERTURB_:-165}"

testname=$(basename "$0" .sh)
tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
origin=$(pwd)

skip() {
	printf '%s: skipped: %s\n' "$testname" "$*" >&2
	exit 77
}

fail() {
	printf '%s: FAILED: %s\n' "$testname" "$*" >&2
	if [ -s "${tmp:-/nonexistent}/err" ]; then
		printf 'last messages:\n' >&2
		tail -n 20 "$tmp/err" >&2
	fi
	exit 1
}

note() {
	printf '%s: %s\n' "$testname" "$*" >&2
}

find_program() {
	local dir
	for dir in ${VMBACKUP_BUILD:+"$VMBACKUP_BUILD"} "$origin" \
		"$tests/.."; do
		if [ -x "$dir/$1" ] && [ -f "$dir/$1" ]; then
			(cd "$dir" && printf '%s/%s\n' "$(pwd)" "$1")
			return
		elif [ -x "$dir/src/$1" ] && [ -f "$dir/src/$1" ]; then
			(cd "$dir/src" && printf '%s/%s\n' "$(pwd)" "$1")
			return
		fi
	done
}

vmbackup=$(find_program vmbackup)
mounter=$(find_program mount.vmbackupfs)
[ -n "$vmbackup" ] && [ -n "$mounter" ] || {
	echo "$testname: no programs: set VMBACKUP_BUILD to where they were" \
		"built" >&2
	exit 99
}

# ---- what a test needs ----

# requires NAME...: fuse, root, nobody, loop, namespaces, fanotify, or a program.
requires() {
	local name
	for name; do
		case $name in
		fuse)
			if ! (: <>/dev/fuse) 2>/dev/null; then
				skip "/dev/fuse cannot be opened"
			fi
			command -v fusermount3 >/dev/null ||
				skip "fusermount3 is not installed" ;;
		root)
			[ "$(id -u)" = 0 ] || skip "only root can do this" ;;
		nobody)
			[ "$(id -u)" = 0 ] ||
				skip "only root can become nobody"
			command -v setpriv >/dev/null ||
				skip "setpriv is not installed" ;;
		loop)
			if ! losetup -f >/dev/null 2>&1; then
				skip "there are no loop devices"
			fi ;;
		fanotify)
			"$tests/opens.py" --probe 2>/dev/null ||
				skip "nobody may watch files being opened" ;;
		namespaces)
			[ -n "$own_namespace" ] ||
				skip "no mount namespace may be made" ;;
		*)
			command -v "$name" >/dev/null ||
				skip "$name is not installed" ;;
		esac
	done
}

# ---- undoing ----

cleanups=()
mounts=()
daemons=()
loops=()

# cleanup_fn COMMAND ARG...: run it at the end; the last one first.
cleanup_fn() {
	cleanups+=("$(printf '%q ' "$@")")
}

# Called before anything is unmounted; a test may say what to do.
before_cleanup() {
	:
}

cleanup() {
	local status=$? i dir pid
	trap - EXIT
	trap '' INT TERM
	set +eu
	cd /
	before_cleanup
	# Those in use go when they are let go.
	for dir in "${loops[@]}"; do
		losetup -d "$dir"
	done
	for ((i = ${#mounts[@]} - 1; i >= 0; i--)); do
		dir=${mounts[i]}
		if is_mounted "$dir"; then
			umount_any "$dir" || umount_any "$dir" -l
		fi
	done
	for pid in "${daemons[@]}"; do
		if ! await_end "$pid" 20; then
			note "daemon $pid did not end by itself"
			[ $status -ne 0 ] || status=1
			kill -KILL "$pid" 2>/dev/null
		fi
	done
	for ((i = ${#cleanups[@]} - 1; i >= 0; i--)); do
		eval "${cleanups[i]}"
	done
	if ls "$tmp"/sanitizer.* >/dev/null 2>&1; then
		note "a sanitizer reports:"
		head -n 100 "$tmp"/sanitizer.* >&2
		[ $status -ne 0 ] || status=1
	fi
	if [ -n "${VMBACKUP_TEST_KEEP:-}" ]; then
		note "kept $tmp"
	else
		chmod -R u+rwx "$tmp" 2>/dev/null
		rm -rf --one-file-system "$tmp"
	fi
	exit $status
}

outer_tmpdir=${TMPDIR:-/tmp}
tmp=$(mktemp -d "$outer_tmpdir/vmbackup-$testname-XXXXXX")
tmp=$(cd "$tmp" && pwd -P)
export XDG_CACHE_HOME=$tmp/xdg-cache VMBACKUP_STATE_DIR=$tmp/state
# Who is killed leaves its private directories there.
mkdir -m 1777 "$tmp/private"
export TMPDIR=$tmp/private
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
# Daemons have nowhere to print to.
for name in ASAN UBSAN TSAN LSAN; do
	export "${name}_OPTIONS=$(eval "echo \${${name}_OPTIONS:-}"):log_path=$tmp/sanitizer"
done

# ---- running ----

# expect CODE COMMAND ARG...: its output in $tmp/out and $tmp/err.
expect() {
	local want=$1 got=0
	shift
	"$@" >"$tmp/out" 2>"$tmp/err" </dev/null || got=$?
	[ "$got" = "$want" ] ||
		fail "exit code $got, not $want: $(printf '%q ' "$@")"
}

# flip FILE OFFSET: one bit of it.
flip() {
	local byte
	byte=$(od -An -tu1 -j "$2" -N 1 "$1")
	# shellcheck disable=SC2059
	printf "\\x$(printf %x $((byte ^ 1)))" |
		dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# says PATTERN: the last command said so (extended regular expression).
says() {
	grep -Eiq -- "$1" "$tmp/err" ||
		fail "nothing said about '$1'"
}

# The same of its standard output.
prints() {
	grep -Eq -- "$1" "$tmp/out" ||
		fail "not printed: '$1'; but: $(head -c 600 "$tmp/out")"
}

keyfile=$tmp/key
cache=$tmp/cache
vault=$tmp/vault

vmb() {
	"$vmbackup" -r "$vault" --key-file "$keyfile" --cache-dir "$cache" "$@"
}

# new_vault [NAME]: a vault with a key file of its own.
new_vault() {
	vault=$tmp/${1:-vault}
	[ -s "$keyfile" ] ||
		(umask 077; head -c 64 /dev/urandom >"$keyfile")
	expect 0 vmb init
}

# fixture DIR: the tree of every oddity. Where root can, on a filesystem
# that takes attributes of 60 KiB.
fixture() {
	mkdir -p "$1"
	if [ "$(id -u)" = 0 ] && losetup -f >/dev/null 2>&1 &&
		command -v mkfs.ext4 >/dev/null; then
		big_filesystem "$1" 600M
		rmdir "$1/lost+found"
	fi
	"$tests/fixture.py" make "$1" 2>"$tmp/left-out" ||
		{ cat "$tmp/left-out" >&2; fail "fixture.py"; }
	[ ! -s "$tmp/left-out" ] || sed "s/^/$testname: /" "$tmp/left-out" >&2
}

# big_filesystem DIR SIZE: mount a new ext4 with large attributes there.
big_filesystem() {
	local image
	image=$(mktemp "$tmp/image-XXXXXX")
	truncate -s "$2" "$image"
	mkfs.ext4 -q -F -b 4096 -I 256 -N 20000 -O ea_inode -E \
		lazy_itable_init=1,lazy_journal_init=1 "$image"
	mount -o loop "$image" "$1"
	cleanup_fn umount "$1"
}

# as_nobody COMMAND...: without root's rights, with a home of its own.
as_nobody() {
	setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all \
		env HOME="$tmp/home" XDG_CACHE_HOME= USER=nobody "$@"
}

# open_programs: copy the programs to $tmp/bin, where everybody can run them.
# The place where they were built may be closed to all but its owner.
open_programs() {
	mkdir -p "$tmp/bin"
	cp "$vmbackup" "$mounter" "$tmp/bin"
	chmod 755 "$tmp" "$tmp/bin" "$tmp/bin"/*
}

# ---- mounts ----

is_mounted() {
	# findmnt would stat a dead mount; the kernel's table does not.
	local path
	path=$(printf '%s' "$1" | sed 's/ /\\040/g')
	awk -v p="$path" '$5 == p { found = 1 } END { exit !found }' \
		/proc/self/mountinfo
}

umount_any() {
	local dir=$1
	shift
	if [ "$(id -u)" = 0 ]; then
		umount "$@" "$dir" 2>/dev/null
	else
		fusermount3 -u ${1:+-z} "$dir" 2>/dev/null
	fi
}

# mount_pid DIR: the process that serves it: its arguments name DIR. (Its exe
# cannot be looked at: it holds keys.)
mount_pid() {
	local p arg name
	for p in /proc/[0-9]*; do
		read -r name 2>/dev/null <"$p/comm" || continue
		[ "$name" = mount.vmbackupf ] || continue
		while IFS= read -r -d '' arg; do
			if [ "$arg" = "$1" ]; then
				echo "${p#/proc/}"
				return
			fi
		done <"$p/cmdline" 2>/dev/null
	done
	return 1
}

# await_end PID SECONDS: true once it is gone.
await_end() {
	timeout "$2" tail --pid="$1" -s 0.05 -f /dev/null
}

# end_process PID: for cleanup_fn; it may be gone.
end_process() {
	kill "$1" 2>/dev/null || true
}

# await SECONDS COMMAND...: true once the command is.
await() {
	local end=$(($(date +%s) + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$(date +%s)" -lt "$end" ] || return 1
		sleep 0.05
	done
}

# loop_mount IMAGE DIR [OPTION,...]: of a loop device. That of the image's last
# mount may still be going.
loop_mount() {
	await 20 mount -o "loop${3:+,$3}" "$1" "$2" ||
		mount -o "loop${3:+,$3}" "$1" "$2" || fail "cannot mount $1"
}

# loop_attach ARG... FILE: $loop is a loop device of it until loop_detach, or the
# end. What was detached may be another test's by then: only once.
loop_attach() {
	loop=$(losetup -f --show "$@") || fail "no loop device for ${*: -1}"
	loops+=("$loop")
}

loop_detach() {
	local i
	for i in "${!loops[@]}"; do
		[ "${loops[i]}" != "$1" ] || unset "loops[i]"
	done
	losetup -d "$1"
}

# start_mount VAULT DIR [OPTION,...]: in the background, as mount(8) would.
start_mount() {
	local dir=$2 pid
	# On a dead mount mkdir would fail: it asks what there is.
	is_mounted "$dir" || mkdir -p "$dir"
	mounts+=("$dir")
	expect 0 "$mounter" "$1" "$dir" -o \
		"keyfile=$keyfile,cachedir=$cache${3:+,$3}"
	is_mounted "$dir" || fail "$dir is not mounted"
	if [ -n "$own_namespace" ] &&
		grep -qF " $dir " "/proc/$PPID/mountinfo"; then
		fail "the mount is seen outside of this test's namespace"
	fi
	pid=$(mount_pid "$dir") || fail "no process serves $dir"
	daemons+=("$pid")
}

# stop_mount DIR: unmount, and the process ends.
stop_mount() {
	local dir=$1 pid
	pid=$(mount_pid "$dir") || pid=
	await 10 umount_any "$dir" || fail "$dir cannot be unmounted"
	if is_mounted "$dir"; then
		fail "$dir is still mounted"
	fi
	if [ -n "$pid" ] && ! await_end "$pid" 30; then
		fail "process $pid outlives its mount at $dir"
	fi
}

# peak_kib PID: the most memory it has had.
peak_kib() {
	awk '/^VmHWM/ { print $2 }' "/proc/$1/status"
}

# True where a sanitizer is built in: limits of memory and time are not ours.
sanitized() {
	grep -aq -e __asan_init -e __tsan_init "$mounter"
}

# same A B [OPTION...]: equal trees, or fail.
same() {
	local r=0
	"$tests/compare.py" "$@" >"$tmp/differences" || r=$?
	if [ $r -ne 0 ]; then
		cat "$tmp/differences" >&2
		fail "trees differ: $*"
	fi
}

# stat_of DIR NAME: a counter of the mount's .vmbackupfs/stats: "backend reads",
# "frames", "tree nodes". Reading it reads nothing of the vault.
stat_of() {
	sed -n "s/^$2 *\([0-9]*\).*/\1/p" "$1/.vmbackupfs/stats"
}

# watch_opens DIR [EVENT NAME ACTION [ARG]]...: DIR is a mount; what is opened
# there is in $tmp/opened, and actions are taken; see opens.py. In $watcher.
watch_opens() {
	rm -f "$tmp/opened"
	"$tests/opens.py" "$1" "$tmp/opened" "${@:2}" 2>"$tmp/watcher" &
	watcher=$!
	cleanup_fn end_process "$watcher"
	await 20 opened ready || fail "opens.py: $(cat "$tmp/watcher")"
}

# opened LINE: that has happened.
opened() {
	grep -qxF "$1" "$tmp/opened"
}

# end_watch: what it holds up goes on.
end_watch() {
	kill "$watcher" || fail "opens.py: $(cat "$tmp/watcher")"
	await_end "$watcher" 10
	wait "$watcher" 2>/dev/null || true
}

# tmpfs_at DIR [OPTION,...]: a new one; where only root can, and else nothing.
tmpfs_at() {
	mkdir -p "$1"
	[ "$(id -u)" = 0 ] || return 0
	mount -t tmpfs ${2:+-o "$2"} tmpfs "$1"
	# The kernel forgets who watched it a little later.
	cleanup_fn await 20 umount "$1"
}
