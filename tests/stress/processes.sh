#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Many real processes at one vault, of which one is killed every second: what
# exited 0 can be restored, and nothing is accused that is whole. With SOAK for 30
# minutes; STRESS_SECONDS and STRESS_SEED choose otherwise.
. "$(dirname "$0")/../lib.sh"
requires root namespaces fuse python3 setpriv
python3 -c 'import cryptography' 2>/dev/null ||
	skip "python3-cryptography is not installed"

seconds=20
[ -z "${SOAK:-}" ] || seconds=1800
seconds=${STRESS_SECONDS:-$seconds}
mkdir "$tmp/stress"
mounts+=("$tmp/stress/mnt0" "$tmp/stress/mnt1")
python3 "$tests/stress/processes.py" --vmbackup "$vmbackup" \
	--mounter "$mounter" --forge "$tests/reader/forge.py" --dir "$tmp/stress" --seconds "$seconds" \
	--seed "${STRESS_SEED:-1}" ${STRESS_WITHOUT:+--without "$STRESS_WITHOUT"} &
driver=$!
cleanup_fn end_process "$driver"
if ! wait "$driver"; then
	tail -n 60 "$tmp/stress/events" >&2
	fail "STRESS_SEED=${STRESS_SEED:-1}; events are above"
fi
