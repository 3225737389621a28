#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The protocol of sessions and collections (vault.pml) keeps its promises: spin
# goes through every state of each part below, with two writers and two
# collectors where these matter. A search that was cut short is a failure. And
# with any one rule taken out a promise is broken.
# With SOAK=1 there are more parts, which take hours and some GB of memory.
. "$(dirname "$0")/../lib.sh"
requires spin gcc

model=$tests/model/vault.pml

# build DIR OPTIMISATION DEFINE...: DIR/pan explores the model.
build() {
	local dir=$1 optimisation=$2
	shift 2
	mkdir "$dir"
	(
		cd "$dir"
		spin -a "$@" "$model" >spin.out 2>&1 &&
			gcc -w "$optimisation" -DSAFETY -DNOFAIR -DNOREDUCE \
				${SOAK:+-DCOLLAPSE} -o pan pan.c >gcc.out 2>&1
	) || {
		cat "$dir"/*.out >&2
		fail "the model does not compile: $*"
	}
}

# cut_short OUTPUT: the search did not see every state.
cut_short() {
	grep -Eqi 'max search depth|out of memory|memlim|not completed' "$1"
}

# explore WHAT DEFINE...: every state, and no promise is broken.
explore() {
	local what=$1 dir=$tmp/explored
	shift
	build "$dir" -O1 "$@"
	(cd "$dir" && ./pan -m20000 >pan.out 2>&1) || true
	if [ -e "$dir"/vault.pml.trail ] ||
		! grep -q 'errors: 0$' "$dir/pan.out"; then
		head -n 20 "$dir/pan.out" >&2
		(cd "$dir" && ./pan -r 2>&1 | tail -n 200) >&2
		fail "$what: a promise is broken: $*"
	fi
	if cut_short "$dir/pan.out"; then
		head -n 20 "$dir/pan.out" >&2
		fail "$what: the search was cut short: $*"
	fi
	note "$what: $(sed -n 's/^ *\([0-9]*\) states, stored.*/\1/p' \
		"$dir/pan.out") states, all of them: $*"
	rm -r "$dir"
}

# needed RULE DEFINE...: without it an assertion fails.
needed() {
	local rule=$1 dir=$tmp/$1
	shift
	build "$dir" -O0 "-DNO_$rule" "$@"
	(cd "$dir" && ./pan -m20000 -w20 >pan.out 2>&1) || true
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
two="-DWRITERS=2 -DCOLLECTORS=2 -DOLD=1"
small="-DALL_C -DALL_D"

# shellcheck disable=SC2086 # lists of definitions
{
	# A search of 20 steps is known to be none.
	build "$tmp/short" -O0 $one
	(cd "$tmp/short" && ./pan -m20 -w20 >pan.out 2>&1) || true
	cut_short "$tmp/short/pan.out" || fail "a short search was not noticed"

	explore "parents, anything condemned" $two -DPARENT
	explore "tombs taken over" $two -DTAKEOVER $small
	explore "wishes" -DWRITERS=1 -DCOLLECTORS=2 -DOLD=1 -DPARENT -DUNDELETE
	explore "parents, listings that last" $two -DPARENT -DLISTS $small
	explore "copies" $two -DSTANDIN $small
	explore "index, two writers" -DWRITERS=2 -DCOLLECTORS=1 -DOLD=1 -DINDEX
	explore "index, two collectors" \
		-DWRITERS=1 -DCOLLECTORS=2 -DOLD=1 -DINDEX -DPARENT
	explore "more copies" -DWRITERS=1 -DCOLLECTORS=2 -DOLD=2 -DSTANDIN $small
	explore "copies of which one is damaged" \
		-DWRITERS=1 -DCOLLECTORS=2 -DOLD=2 -DSTANDIN -DBAD=1 $small
	explore "index and copies" \
		-DWRITERS=1 -DCOLLECTORS=1 -DOLD=2 -DINDEX -DSTANDIN
	explore "PUTs that land twice" -DWRITERS=2 -DCOLLECTORS=1 -DOLD=1 \
		-DTAKEOVER -DLATE_PUT $small
	explore "a reader" -DWRITERS=0 -DCOLLECTORS=2 -DOLD=1 -DREADER \
		-DREPACK -DINDEX -DLISTS -DSTANDIN $small

	if [ -n "${SOAK:-}" ]; then
		explore "three writers" -DWRITERS=3 -DCOLLECTORS=1 -DOLD=1 \
			-DPARENT
		explore "three collectors" -DWRITERS=1 -DCOLLECTORS=3 -DOLD=1 \
			-DPARENT -DTAKEOVER $small
		explore "parents, tombs taken over" $two -DPARENT -DTAKEOVER $small
		explore "wishes, two writers" $two -DPARENT -DUNDELETE $small
		explore "index, two of both" $two -DINDEX $small
		explore "PUTs that land twice, two collectors" $two -DTAKEOVER \
			-DLATE_PUT $small
		explore "index, parents, tombs taken over" $two -DINDEX -DPARENT \
			-DTAKEOVER $small
		explore "more copies, two writers" -DWRITERS=2 -DCOLLECTORS=2 \
			-DOLD=2 -DSTANDIN $small
		explore "repacking" $two -DREPACK -DSTANDIN $small
	fi

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
cat "$tests"/model/*.pml | grep -o 'NO_R[0-9][0-9]*[a-f]*' |
	sed 's/^NO_//' | sort -u >"$tmp/there"
sed -n 's/^ [*]   \(R[0-9]*[a-f]*\)  *[^ ].*/\1/p' "$model" |
	sort -u >"$tmp/explained"
sort -u "$tmp/tried" -o "$tmp/tried"
for list in tried explained; do
	diff "$tmp/there" "$tmp/$list" >&2 || fail "not all rules are $list"
done
