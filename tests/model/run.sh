#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The protocol of sessions and collections (vault.pml) keeps its promises: spin
# goes through every state of each part below, with two writers and two
# collectors where these matter. A search that was cut short is a failure. And
# with any one rule taken out a promise is broken.
# With SOAK=1 the parts are larger and go together: some GB of memory, hours.
. "$(dirname "$0")/../lib.sh"
requires spin gcc

model=$tests/model/vault.pml

# build DIR FLAGS OPTIMISATION DEFINE...: DIR/pan explores the model.
build() {
	local dir=$1 flags=$2
	shift 2
	mkdir "$dir"
	(
		cd "$dir"
		spin -a "$@" "$model" >spin.out 2>&1 &&
			# shellcheck disable=SC2086
			gcc -w $flags -DSAFETY -DNOFAIR -DNOREDUCE \
				-o pan pan.c >gcc.out 2>&1
	) || {
		cat "$dir"/*.out >&2
		fail "the model does not compile: $*"
	}
}

# explore NAME DEPTH DEFINE...: every state, and no promise is broken.
explore() {
	local name=$1 depth=$2 dir=$tmp/$1
	shift 2
	build "$dir" -O2 "$@"
	(cd "$dir" && ./pan -m"$depth" >pan.out 2>&1) || true
	if [ -e "$dir"/vault.pml.trail ] ||
		! grep -q 'errors: 0$' "$dir/pan.out"; then
		head -n 20 "$dir/pan.out" >&2
		(cd "$dir" && ./pan -r 2>&1 | tail -n 200) >&2
		fail "$name: a promise is broken: $*"
	fi
	if grep -Eqi 'max search depth|out of memory|memlim|not completed' \
		"$dir/pan.out"; then
		head -n 20 "$dir/pan.out" >&2
		fail "$name: the search was cut short: $*"
	fi
	note "$name: $(sed -n 's/^ *\([0-9]*\) states, stored.*/\1/p' \
		"$dir/pan.out") states, all of them: $*"
	rm -r "$dir"
}

# needed RULE DEFINE...: without it an assertion fails.
needed() {
	local rule=$1 dir=$tmp/$1
	shift
	build "$dir" -O0 "-DNO_$rule" "$@"
	(cd "$dir" && ./pan -m20000 >pan.out 2>&1) || true
	if ! grep -q '^pan:1: assertion violated' "$dir/pan.out"; then
		head -n 20 "$dir/pan.out" >&2
		fail "nothing breaks without $rule: $*"
	fi
	echo "$rule" >>"$tmp/tried"
	note "$rule is needed: $(sed -n \
		's/^State-vector.*depth reached \([0-9]*\),.*/\1/p' \
		"$dir/pan.out") steps deep, $(sed -n \
		's/^ *\([0-9]*\) states, stored.*/\1/p' "$dir/pan.out") states"
	rm -r "$dir"
}

one="-DWRITERS=1 -DCOLLECTORS=1 -DOLD=1"
small="-DALL_C -DALL_D"

two="-DWRITERS=2 -DCOLLECTORS=2 -DOLD=1"

# shellcheck disable=SC2086 # lists of definitions
{
	explore parents 10000 $two -DPARENT
	explore wishes 10000 $one -DPARENT -DUNDELETE
	explore copies 10000 -DWRITERS=1 -DCOLLECTORS=2 -DOLD=2 -DSTANDIN $small
	explore damage 10000 -DWRITERS=1 -DCOLLECTORS=2 -DOLD=2 -DSTANDIN \
		-DBAD=1 $small
	explore index 10000 -DWRITERS=1 -DCOLLECTORS=1 -DOLD=2 -DINDEX -DSTANDIN
	explore takeover 10000 -DWRITERS=1 -DCOLLECTORS=2 -DOLD=1 -DTAKEOVER \
		$small
	explore late_put 10000 -DWRITERS=2 -DCOLLECTORS=1 -DOLD=1 -DTAKEOVER \
		-DLATE_PUT $small
	explore reader 10000 -DWRITERS=0 -DCOLLECTORS=2 -DOLD=1 -DREADER \
		-DREPACK -DINDEX -DLISTS -DSTANDIN $small

	needed R1 $one
	needed R2 $one
	needed R3a $one
	needed R3b $one
	needed R4a $one
	needed R4b -DWRITERS=2 -DCOLLECTORS=1 -DOLD=1 -DTAKEOVER -DLATE_PUT $small
	needed R4c -DWRITERS=2 -DCOLLECTORS=1 -DOLD=1 -DTAKEOVER -DLATE_PUT $small
	needed R4d -DWRITERS=1 -DCOLLECTORS=1 -DOLD=2 -DSTANDIN -DBAD=1
	needed R5a $one -DPARENT
	needed R5b $one -DPARENT
	needed R6a $one
	needed R6b $one
	needed R6c $one -DINDEX
	needed R6d $one
	needed R6e $one
	needed R6f $one
	needed R7 $one -DUNDELETE
	needed R8a $one -DUNDELETE
	needed R8b $one
	needed R9 $one -DUNDELETE
	needed R10 $one
	needed R11a $one
	needed R11b $one
	needed R12a $one
	needed R12b $one -DPARENT
	needed R13a $one
	for rule in R13b R13c R13d; do
		needed $rule -DWRITERS=1 -DCOLLECTORS=2 -DOLD=2 -DSTANDIN $small
	done
	needed R13e -DWRITERS=1 -DCOLLECTORS=2 -DOLD=2 -DSTANDIN -DBAD=1 $small
	for rule in R14a R14b R14c R14d; do
		needed $rule -DWRITERS=1 -DCOLLECTORS=2 -DOLD=1 -DTAKEOVER $small
	done
	needed R15 $one
	for rule in R16a R16b R16c R16d; do
		needed $rule -DWRITERS=1 -DCOLLECTORS=1 -DOLD=2 -DINDEX -DSTANDIN
	done
	for rule in R17a R17b; do
		needed $rule -DWRITERS=0 -DCOLLECTORS=2 -DOLD=1 -DREADER \
			-DREPACK -DINDEX -DLISTS -DSTANDIN $small
	done
}

# Each rule that the model can do without was tried, and explained.
grep -o 'NO_R[0-9]*[a-f]*' "$model" | sed 's/^NO_//' | sort -u >"$tmp/there"
sed -n 's/^ [*]   \(R[0-9]*[a-f]*\)  *[^ ].*/\1/p' "$model" |
	sort -u >"$tmp/explained"
sort -u "$tmp/tried" -o "$tmp/tried"
for list in tried explained; do
	diff "$tmp/there" "$tmp/$list" >&2 || fail "not all rules are $list"
done
