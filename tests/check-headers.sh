#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Every header compiles alone, with the build's own flags (VMBACKUP_COMPILE
# is the command, from the Makefile), and has the guard of its path.
set -eu
cd "${srcdir:-.}"
: "${VMBACKUP_COMPILE:?the compiler and its flags, as make check sets it}"
: "${VMBACKUP_BUILD:?the build directory}"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# Compile the header FILE alone.
alone()
{
	printf '#include "config.h"\n#include "%s"\n' "$1" >"$tmp/alone.c"
	(cd "$VMBACKUP_BUILD" &&
	 $VMBACKUP_COMPILE -fsyntax-only "$tmp/alone.c") >"$tmp/out" 2>&1
}

# The check itself must notice a header that leans on another.
mkdir "$tmp/fs"
echo 'uint8_t leans_on_another(void);' >"$tmp/fs/leaning.h"
if VMBACKUP_COMPILE="$VMBACKUP_COMPILE -I$tmp" alone fs/leaning.h; then
	echo "self-test: a header that needs another one passed"
	exit 1
fi

bad=0
headers=0
: "${VMBACKUP_ROOMS:=store fs src}"
# shellcheck disable=SC2086 # a list
for file in $(find $VMBACKUP_ROOMS -name '*.h' | sort); do
	headers=$((headers + 1))
	if ! alone "$file"; then
		echo "$file: does not compile alone:"
		cat "$tmp/out"
		bad=1
	fi
	guard=$(echo "$file" | tr 'a-z/.' 'A-Z__')
	if ! grep -q "^#ifndef $guard\$" "$file"; then
		echo "$file: the guard is not $guard"
		bad=1
	fi
done
[ "$headers" -gt 0 ]
exit $bad
