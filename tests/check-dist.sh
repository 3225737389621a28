#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# check-dist.sh TARBALL: the release holds what git holds, and nothing that
# git does not know but the files that autotools add. `make check-dist`.
set -eu
tarball=${1:?the tarball}
cd "${srcdir:-.}"
# Whoever owns the checkout: it is only read.
git()
{
	command git -c safe.directory='*' "$@"
}

if ! git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
	echo "not a git checkout: nothing to compare with"
	exit 77
fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# In git only: what serves the development, not the user.
git ls-files | grep -vE '^(\.ci/|\.gitignore$)' | LC_ALL=C sort >"$tmp/git"
# In the tarball only: what autoreconf makes.
tar tf "$tarball" | sed -n 's,^[^/]*/,,; /[^/]$/p' |
grep -vE '^(aclocal\.m4|configure|config\.h\.in|Makefile\.in|build-aux/.*)$' |
LC_ALL=C sort >"$tmp/tarball"

if ! diff -u "$tmp/git" "$tmp/tarball"; then
	echo "-: missing in the tarball (EXTRA_DIST?)  +: not in git"
	exit 1
fi
