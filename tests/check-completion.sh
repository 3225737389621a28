#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The shells accept the completions that vmbackup prints, and bash's completes
# verbs, options, and the words that an option takes; so do zsh's and fish's,
# where those are installed.
set -eu
: "${VMBACKUP_BUILD:?the build directory}"
vmbackup=$VMBACKUP_BUILD/vmbackup
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

for shell in bash zsh fish; do
	"$vmbackup" completion $shell >"$tmp/$shell"
	test -s "$tmp/$shell"
	if command -v $shell >/dev/null; then
		$shell -n "$tmp/$shell"
	fi
done

# shellcheck source=/dev/null
. "$tmp/bash"

# completes EXPECTED WORD...: the last word is completed to EXPECTED, among
# others.
completes()
{
	local expected=$1
	shift
	COMP_WORDS=(vmbackup "$@")
	COMP_CWORD=$#
	COMPREPLY=()
	# compopt only works below the line editor.
	_vmbackup 2>/dev/null || true
	if [[ " ${COMPREPLY[*]} " != *" $expected "* ]]; then
		echo "vmbackup $*: no $expected, but ${COMPREPLY[*]}"
		exit 1
	fi
}

verbs=0
for verb in $("$vmbackup" --help | awk '/^[A-Z].*:$/ { on = $0 == "Verbs:" }
				       on && /^  [a-z]/ { print $1 }'); do
	completes "$verb" "${verb:0:2}"
	completes --help "$verb" --he
	verbs=$((verbs + 1))
done
[ "$verbs" -ge 5 ]
completes --exclude-caches backup --exclude-c
completes --repo --re
completes points -r /somewhere poi

# Before anything is typed there are verbs, and words where an operand is one of
# few, not the files that happen to lie about.
cd "$tmp"
: >some-file
offers()
{
	completes "$@"
	if [[ " ${COMPREPLY[*]} " == *" some-file "* ]]; then
		echo "vmbackup $*: files are offered"
		exit 1
	fi
}
offers restore ''
offers restore -r /somewhere ''
offers export key ''
offers clear cache --json ''
offers fish completion ''
offers restore help re
offers restore help ''
completes some-file ls ''
completes some-file key import some
completes some-file nbd --socket x some

# The same of the other shells: LINE|COMPLETED, each the only one there is.
cat >"$tmp/lines" <<'END'
poi|points
backup --exclude-ca|--exclude-caches
points --lat|--latest
-r /somewhere poi|points
--json poi|points
-r /somewhere ls --rec|--recursive
completion fi|fish
backup --compression aut|auto
END

if command -v fish >/dev/null; then
	while IFS='|' read -r line completed; do
		# shellcheck disable=SC2016 # expanded by fish
		got=$(HOME=$tmp fish --no-config -c 'source $argv[1]
			complete -C "vmbackup $argv[2]"' "$tmp/fish" "$line" |
			cut -f 1)
		[ "$got" = "$completed" ] ||
			{ echo "fish: $line: '$got', not $completed"; exit 1; }
	done <"$tmp/lines"
else
	echo "fish is not installed: not tried"
fi

# zsh completes below its line editor only: a terminal is made for it. ^X prints
# the line that it has come to.
if command -v zsh >/dev/null; then
	mkdir "$tmp/functions"
	cp "$tmp/zsh" "$tmp/functions/_vmbackup"
	cat >"$tmp/type.zsh" <<'END'
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z "PS1=; fpath=($1/functions \$fpath); autoload -Uz compinit; compinit -u -D
show() { BUFFER=\"echo '<'\$BUFFER'>'\"; zle accept-line; }; zle -N show
bindkey '^X' show; echo set up"
zpty -r z out $'*\nset up*'
while IFS='|' read -r line completed; do
	zpty -w -n z "vmbackup $line"$'\t\x18'
	zpty -r z out $'*\n<*>*\n'
	got=${${out##*$'\n'<}%%>*}
	[[ $got = *" $completed " ]] ||
		{ print -r "zsh: $line: '$got', not $completed"; exit 1 }
done <$1/lines
END
	HOME=$tmp TERM=dumb timeout 60 zsh -f "$tmp/type.zsh" "$tmp"
else
	echo "zsh is not installed: not tried"
fi
