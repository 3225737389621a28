#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Many clients of one vault, simulated: whatever befalls them, nothing is lost, and
# nobody is told what is not so. The same seed is the same run. With SOAK=1 there
# are 100,000 runs, and each rule that can be left out is, which takes hours.
. "$(dirname "$0")/../lib.sh"

simulate=$(find_program tests/sim/simulate)
seeds=1-500
[ -z "${SOAK:-}" ] || seeds=1-100000

# A run does not hang on those before it.
for seed in 7 23; do
	"$simulate" --seed $seed --trace >"$tmp/one"
	"$simulate" --seed $seed --trace >"$tmp/two"
	diff "$tmp/one" "$tmp/two" | head >&2
	cmp "$tmp/one" "$tmp/two" || fail "seed $seed is two runs"
done

"$simulate" --seeds $seeds >"$tmp/out" || {
	cat "$tmp/out" >&2
	fail "a rule does not hold; see: simulate --seed N --trace"
}
note "$(cat "$tmp/out")"

# found RUNS PLANT...: with the rule left out something breaks within so many.
found() {
	local runs=$1 plant
	shift
	for plant; do
		"$simulate" --plant "$plant" --seeds "1-$runs" >"$tmp/out" ||
			fail "$plant is not noticed in $runs runs"
		note "$(cat "$tmp/out")"
	done
}

# With SOAK=1 each has to be noticed; here those that are soon.
if [ -n "${SOAK:-}" ]; then
	mapfile -t plants < <("$simulate" --plants | cut -d' ' -f1)
	found 50000 "${plants[@]}"
fi
found 500 COMMIT_READ_BACK COVER FENCE_READ_BACK INDEX_BEFORE_COMMIT \
	INDEX_NEW_FIRST INDEX_READ_ONLY INDEX_SWEPT_ONLY PACKS_UNSURE \
	PACK_BEFORE_INDEX PURGE_HONOURED PURGE_UNASKED READER_ERRORS \
	READER_PURGES REGISTER REMARK UNDELETE_REGISTER
found 1000 UNREAD_POINTS
