#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""json_field.py NAME: of the last document with that member on stdin."""
import json
import sys

found = None
for line in sys.stdin:
    line = line.strip()
    if line.startswith("{"):
        document = json.loads(line)
        if document.get(sys.argv[1]) is not None:
            found = document[sys.argv[1]]
if found is None:
    sys.exit("no member " + sys.argv[1])
print(found if isinstance(found, str) else json.dumps(found))
