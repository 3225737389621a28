#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""
peak.py FILE COMMAND...: run it; the most memory that it had, in KiB, goes to
FILE. Exits as it does.
"""
import resource
import subprocess
import sys

code = subprocess.run(sys.argv[2:]).returncode
with open(sys.argv[1], "w", encoding="ascii") as f:
    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=f)
sys.exit(code if code >= 0 else 128 - code)
