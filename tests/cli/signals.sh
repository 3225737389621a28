#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Signals to a backup that runs: SIGUSR1 prints one line; SIGINT and SIGTERM
# end it with 130 and no point. What it reads is held up by another process, so
# that they come while it runs.
. "$(dirname "$0")/../lib.sh"
requires root python3 fanotify

s=$tmp/source
tmpfs_at "$s"
mkdir "$s/dir"
for i in 1 2 3 4 5; do
	echo "$i" >"$s/file-$i"
	echo "$i" >"$s/dir/in-$i"
done
mkfifo "$tmp/go"
new_vault

# The shell would have it ignore SIGINT: env would not.
start_backup() {
	env --default-signal "$vmbackup" -r "$vault" --key-file "$keyfile" \
		--cache-dir "$cache" backup --vm web1 "$@" "$s" \
		>"$tmp/out" 2>"$tmp/err" </dev/null &
	backup=$!
	cleanup_fn end_process "$backup"
}
# ends_with CODE SECONDS: the backup does.
ends_with() {
	local r=0
	await_end "$backup" "$2" || fail "it goes on after $2 seconds"
	wait "$backup" || r=$?
	[ "$r" = "$1" ] || fail "exit code $r, not $1"
}
points() {
	vmb points --json | python3 -c 'import json, sys
print(len(json.load(sys.stdin)))'
}

# One line for each SIGUSR1, and nothing else: there is no terminal.
status_lines() {
	[ "$(grep -c '^\[' "$tmp/err")" = "$1" ]
}
watch_opens "$s" open file-2 hold "$tmp/go"
start_backup
await 20 opened 'open file-2' || fail "it does not open file-2"
for i in 1 2; do
	kill -USR1 "$backup"
	await 10 status_lines $i || fail "no line for signal $i"
done
: >"$tmp/go"
ends_with 0 20
end_watch
status_lines 2 || fail "more lines than signals"
[ "$(wc -l <"$tmp/err")" = 2 ] || fail "other words than two lines"
grep -Eq '^\[[0-9:]+\] .*[0-9]+ files' "$tmp/err" || fail "not a status"
[ "$(points)" = 1 ] || fail "no point after SIGUSR1"

# While directories are listed. (A second signal would end it at once.)
for signal in INT TERM HUP; do
	watch_opens "$s" open dir/ hold "$tmp/go"
	start_backup --force
	await 20 opened 'open dir/' || fail "it does not open dir"
	kill -$signal "$backup"
	: >"$tmp/go"
	ends_with 130 10
	end_watch
	[ "$(points)" = 1 ] || fail "a point after SIG$signal"
done

# Twice: at once, whatever it waits for.
watch_opens "$s" open dir/ hold "$tmp/go"
start_backup --force
await 20 opened 'open dir/' || fail "it does not open dir"
kill -INT "$backup"
kill -TERM "$backup"
ends_with 130 10
end_watch
[ "$(points)" = 1 ] || fail "a point after two signals"
expect 0 vmb check --read-data
expect 0 vmb backup --vm web1 "$s"
[ "$(points)" = 2 ] || fail "no point afterwards"

# While one large file is read, slowly: it would take twenty seconds.
head -c 80000000 /dev/urandom >"$s/large"
for signal in INT TERM; do
	watch_opens "$s" read large slow 1
	start_backup
	await 20 opened 'read large' || fail "it does not read the large file"
	kill -$signal "$backup"
	ends_with 130 5
	end_watch
	[ "$(points)" = 2 ] || fail "a point after SIG$signal while reading"
done
