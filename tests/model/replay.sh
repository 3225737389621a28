#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# What the real code asks of the store, as the simulation sees it, is what the model
# does: it accepts the traces of some runs, and rejects those of runs in which a rule
# was left out of the code. With SOAK=1 there are more of both.
. "$(dirname "$0")/../lib.sh"
requires python3

simulate=$(find_program tests/sim/simulate)
replay=$tests/model/replay.py
seeds=12
[ -z "${SOAK:-}" ] || seeds=1000

for ((seed = 1; seed <= seeds; seed++)); do
	"$simulate" --seed $seed --trace >"$tmp/trace.$seed" ||
		fail "seed $seed breaks a promise"
	python3 "$replay" "$tmp/trace.$seed" >"$tmp/out" || {
		cat "$tmp/out" >&2
		fail "the model does not do what seed $seed does"
	}
	tr ' ' '\n' <"$tmp/out" | cut -d: -f1 >>"$tmp/asked"
	rm "$tmp/trace.$seed"
done

# Nobody was asked for a rule that the model does not have, and for most of those
# that can be seen from outside.
for rule in $(sort -u "$tmp/asked"); do
	[ "$rule" = LIST ] || grep -q "^ [*]   $rule " "$tests/model/vault.pml" ||
		fail "the model has no rule $rule"
done
for rule in R1 R3a R3b R4c R5a R6a R6b R6c R6d R9 R10 R11a R12a R14a R14b R15; do
	grep -qx "$rule" "$tmp/asked" || fail "nothing was asked of $rule"
done
note "$seeds traces are accepted"

# rejected PLANT RULE...: by one of these rules, in one run of a few.
rejected() {
	local plant=$1 seed rule
	shift
	for ((seed = 1; seed <= 60; seed++)); do
		"$simulate" --plant "$plant" --seed $seed --trace >"$tmp/trace" ||
			true
		python3 "$replay" "$tmp/trace" >"$tmp/out" && continue
		for rule; do
			grep -q ": $rule: " "$tmp/out" || continue
			note "$plant is rejected by $rule in run $seed"
			return
		done
		cat "$tmp/out" >&2
		fail "$plant is rejected by another rule than $*"
	done
	fail "$plant is not rejected"
}
rejected SESSION_FIRST R1
rejected TOMBS_READ_FIRST LIST
rejected INDEX_BEFORE_COMMIT R6c
rejected PURGE_UNASKED R9
rejected SWEEP_FIRST R14a
rejected TOMB_LAST LIST R15
if [ -n "${SOAK:-}" ]; then
	rejected TOMBS_HONOURED LIST
	rejected REGISTER R6a
	rejected COMMIT_READ_BACK R6b
	rejected TOMB_UNSURE R10
fi
