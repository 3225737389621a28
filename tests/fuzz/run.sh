#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# run.sh SECONDS TARGET...: fuzz each target (a libFuzzer program below the
# current directory) that long, as many at once as there are cores.
# `make fuzz` calls it. Fails when a target found something.
set -eu
seconds=$1
shift
srcdir=${srcdir:-.}
work=tests/fuzz/work
mkdir -p "$work"

fuzz_one()
{
	target=$1
	name=${target##*/fuzz_}
	mkdir -p "$work/$name"
	if "./$target" -max_total_time="$seconds" -timeout=20 \
		-rss_limit_mb=2048 -print_final_stats=1 \
		-artifact_prefix="$work/$name." \
		"$work/$name" "$srcdir/tests/fuzz/corpus/$name" \
		>"$work/$name.log" 2>&1; then
		runs=$(sed -n 's/^stat::number_of_executed_units: *//p' \
			"$work/$name.log")
		echo "fuzz_$name: nothing found in $runs runs"
	else
		echo "fuzz_$name: FOUND something, see $work/$name.log:"
		tail -n 25 "$work/$name.log"
		return 1
	fi
}

if [ "${FUZZ_ONE:-}" ]; then
	fuzz_one "$1"
	exit
fi
export FUZZ_ONE=1 srcdir
printf '%s\n' "$@" | xargs -P "$(nproc)" -n 1 "$0" "$seconds"
