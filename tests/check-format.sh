#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Every source file is as .clang-format has it. Versions of clang-format differ
# in details, so only the one of Debian 12 judges. Before the tree is judged, a
# planted line must be found.
set -eu
cd "${srcdir:-.}"

if ! clang-format --version 2>/dev/null | grep -q 'version 14\.'; then
	echo "clang-format 14 is not installed"
	exit 77
fi

# Print the files among those on standard input that are formatted otherwise.
judge()
{
	xargs -r clang-format --dry-run --style=file:.clang-format 2>&1 |
	sed -nE 's/^([^:]+):([0-9]+):.*Wclang-format-violations.*/\1:\2/p' | sort -u
}

bad=$(mktemp --suffix=.c)
trap 'rm -f "$bad"' EXIT
printf 'int  f( int a ){return a;}\n' >"$bad"
if [ -z "$(echo "$bad" | judge)" ]; then
	echo "self-test: a line in another form was not found"
	exit 1
fi

found=$(find src fs store tests -name '*.[ch]' | sort | judge)
if [ -n "$found" ]; then
	echo "formatted otherwise than .clang-format says; clang-format -i FILE:"
	printf '%s\n' "$found"
	exit 1
fi
