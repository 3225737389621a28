#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# What the other tests rely on: the comparison of trees notices each kind of
# difference, and nothing where there is none.
. "$(dirname "$0")/../lib.sh"
requires python3 fallocate
"$tests/compare.py" --self-test || fail "a difference was not noticed"
"$tests/fixture.py" make "$tmp/a" --small 2>"$tmp/left-out"
same "$tmp/a" "$tmp/a"
[ "$(id -u)" != 0 ] || ! grep -v 61440 "$tmp/left-out" ||
	fail "root's fixture lacks something"
