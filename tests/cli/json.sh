#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# With --json every verb prints JSON on stdout and nothing else, and its errors
# are JSON on stderr.
. "$(dirname "$0")/../lib.sh"
requires python3

valid() {
	python3 - "$1" <<'END' || fail "not JSON: $(head -c 300 "$1")"
import json, sys
with open(sys.argv[1], encoding="utf-8") as f:
    for line in f:
        json.loads(line)
END
}

# json CODE ARG...: stdout and stderr are lines of JSON.
json() {
	local code=$1
	shift
	expect "$code" vmb --json "$@"
	valid "$tmp/out"
	valid "$tmp/err"
}

# holds EXPRESSION: true of the list d of the last command's documents.
holds() {
	python3 - "$tmp/out" "$1" <<'END' || fail "does not hold: $1"
import json, sys
with open(sys.argv[1], encoding="utf-8") as f:
    d = [json.loads(line) for line in f]
sys.exit(not eval(sys.argv[2]))
END
}

source=$tmp/source
mkdir -p "$source/dir"
echo one >"$source/file"
echo two >"$source/dir/two"
ln -s file "$source/link"
mkfifo "$source/fifo"
printf 'x' >"$source/$(printf 'bad\377name')"
printf 'x' >"$source/$(printf 'line\nbreak')"

(umask 077; head -c 32 /dev/urandom >"$keyfile")
json 0 init
holds 'd[0]["message_type"] == "initialized" and len(d[0]["id"]) == 32'
json 0 backup --vm web1 --tag a,b "$source"
holds 'd[-1]["message_type"] == "summary"'
holds 'd[-1]["files_new"] == 4 and d[-1]["error_count"] == 0'
holds 'len(d[-1]["snapshot_id"]) == 32 and d[-1]["point"].startswith("web1/")'
echo three >"$source/file"
rm "$source/dir/two"
json 0 backup --vm web1 --time 2030-01-01 "$source"
json 0 backup --vm web1 --dry-run "$source"
holds 'd[-1]["dry_run"] and "snapshot_id" not in d[-1]'
holds 'd[-1]["skipped"] is False'

json 0 points
holds 'len(d[0]) == 2 and d[0][0]["tags"] == ["a", "b"]'
holds 'd[0][1]["time"] == "2030-01-01T00:00:00Z" and d[0][1]["vm"] == "web1"'
json 0 points --latest 1
holds 'len(d[0]) == 1 and d[0][0]["point"] == "web1/2030-01-01T000000Z"'
json 0 points --tag b
holds 'len(d[0]) == 1'
json 0 points --tag a,c
holds 'd[0] == []'
json 0 snapshots --vm nosuch
holds 'd[0] == []'
json 0 ls -R web1
holds 'sum(n["type"] == "symlink" and n["linktarget"] == "file" for n in d) == 1'
holds 'sum(n.get("name_b64") == "YmFk/25hbWU=" for n in d) == 1'
holds 'any(n["name"] == "line\nbreak" for n in d)'
holds "any(n['path'] == 'files$source/file' and n['size'] == 6 for n in d)"
json 0 ls "web1:files$source/file"
holds "len(d) == 1 and d[0]['path'] == 'files$source/file'"
json 0 find file
holds 'sum(m["message_type"] == "match" for m in d) == 2'
holds 'd[-1]["message_type"] == "summary" and d[-1]["matches"] == 2'
json 0 diff web1/latest~1 web1/latest
holds '[(c["modifier"], c["path"].split("/")[-1]) for c in d[:-1]] == [("M", "file"), ("-", "two")]'
holds 'd[-1]["message_type"] == "statistics" and d[-1]["changed_files"] == 1'
json 0 versions "web1:$source/file"
holds '[v["size"] for v in d[0]] == [6, 4]'
truncate -s 1M "$tmp/disk"
json 0 backup --vm machine --disk "vda=raw:$tmp/disk"
json 0 boot machine
holds 'len(d) == 1 and d[0]["message_type"] == "script"'
holds 'd[0]["script"].startswith("#!/bin/sh\n") and "qemu" in d[0]["script"]'
json 0 stats
holds 'd[0]["points_count"] == 3 and d[0]["total_size"] == 18'
json 0 stats --by machine
holds 'd[0]["by"] == "machine" and d[0]["dead_size"] == 0'
holds 'sum(g["points_count"] for g in d[0]["groups"]) == 3'
json 0 stats --history month
holds 'sum(p["points_count"] for p in d[0]["periods"]) == 3'
holds 'd[0]["periods"][-1]["total_packed"] > 0'
json 0 check
holds 'd[-1]["message_type"] == "summary" and d[-1]["num_errors"] == 0'
json 0 check --read-data
holds 'd[-1]["packs_read"] == d[-1]["packs"] > 0'
json 0 check --scrub
json 0 key list
holds 'len(d[0]) == 1 and d[0][0]["current"] and d[0][0]["kind"] == "keyfile"'
json 0 key add --new-key-file "$tmp/key2"
holds 'd[0]["action"] == "added"'
json 0 cache info
holds 'len(d[0]["vaults"]) == 1 and d[0]["size"] > 0'
json 0 cache clear
json 0 version
holds 'd[0]["message_type"] == "version"'

# Errors: the last line is the exit_error with the code.
for case in "1 ls nosuch/latest" "2 points --nosuch" "2 nosuch" \
	"1 cat web1:files$source/none" "2 diff one"; do
	# shellcheck disable=SC2086
	json $case
	cp "$tmp/err" "$tmp/out"
	holds "d[-1]['message_type'] == 'exit_error' and d[-1]['code'] == ${case%% *} and d[-1]['message']"
done
vault=$tmp/none json 10 points
