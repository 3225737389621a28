#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The shells accept the completions that vmbackup prints, and bash's completes
# verbs, options, and the words that an option takes. zsh and fish are asked
# where they are installed.
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
