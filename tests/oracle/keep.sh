#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The retention policy does what the manual says, over years that are made up:
# see keep.py. With SOAK=1 it is asked for an hour of other years.
. "$(dirname "$0")/../lib.sh"

requires python3
run=$(find_program tests/oracle/keep_run)
python3 "$tests/oracle/keep.py" "$run" 1 300
if [ -n "${SOAK:-}" ]; then
	python3 "$tests/oracle/keep.py" "$run" "$(date +%s)" 100000
fi
