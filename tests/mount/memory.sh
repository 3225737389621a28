#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The short form of make bench-memory: what a session remembers of its chunks does
# not grow with their number, and nothing takes more than the manual says.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
requires fuse python3
sanitized && skip "a sanitizer's memory is not the program's"
build=$(cd "$(dirname "$vmbackup")" && pwd)

# bounded DIVIDE KINDS
bounded() {
	expect 0 "$tests/bench/memory.py" --build "$build" --work "$tmp" \
		--divide "$1" --only "$2"
	note "$(cat "$tmp/out")"
}

bounded 25 session
bounded 200 index,links,directory
