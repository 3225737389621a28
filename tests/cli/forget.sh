#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Points are forgotten by rules or by name, are found with --forgotten, and come
# back. Which ones a policy keeps is the business of tests/oracle.
. "$(dirname "$0")/../lib.sh"
requires python3

mkdir "$tmp/source"
echo hello >"$tmp/source/file"
new_vault
# back_up VM DAY [OPTION...]: and let the vault have received it on that day.
back_up() {
	local vm=$1 time="2026-10-$2T02:00:00Z" newest
	shift 2
	expect 0 vmb backup -q --vm "$vm" --time "$time" "$tmp/source" "$@"
	newest=$(ls -t "$vault/commit" | head -n 1)
	touch -d "${time%:00Z}:30Z" "$vault/commit/$newest"
}
for day in 01 02 03 04 05 06 07 08; do
	echo "$day" >"$tmp/source/day"
	back_up web "$day"
done
back_up db 08

# json EXPRESSION: of what was printed last, as o.
json() {
	python3 -c 'import json, sys
o = json.load(open(sys.argv[1]))
print(eval(sys.argv[2]))' "$tmp/out" "$1"
}
# days: the days of web's points, as they are listed.
days() {
	expect 0 vmb points --vm web "$@" --json
	json '" ".join(p["time"][8:10] for p in o)'
}
ids() {
	expect 0 vmb points "$@" --json
	json '" ".join(p["id"] for p in o)'
}
objects() {
	ls "$vault/forget" 2>/dev/null | wc -l
}

# ---- a policy ----

expect 2 vmb forget
says 'say what to keep'
expect 2 vmb forget --unsafe-allow-remove-all
expect 2 vmb forget --keep-daily 2 web
expect 2 vmb forget --keep 2d
expect 2 vmb forget --keep-within 6m
says '"6m" is not a time'
expect 2 vmb forget --keep-last -2
expect 2 vmb forget --keep-last 2 --group-by day
for words in '' , a, ,a a,,b; do
	expect 2 vmb forget --keep-tag "$words"
	says "keep-tag \"$words\": a tag has a name"
	expect 2 vmb forget --keep-last 2 --tag a,b --tag "$words"
done
for text in $'two\nlines' "$(printf '%5000s' x)"; do
	expect 2 vmb forget --keep-last 2 --reason "$text"
	says 'reason is a text of one line'
	expect 2 vmb forget --dry-run web/2026-10-01T020000Z --reason "$text"
done
expect 2 vmb forget --keep 3d --reason audit web/2026-10-01T020000Z
says 'it takes no --reason'
for it in '--keep 3d' ''; do
	expect 2 vmb forget $it --group-by '' web/2026-10-01T020000Z
	says 'group-by is for a policy'
done
expect 2 vmb forget --keep-last 2 --undelete-window 13d
expect 2 vmb forget --keep-last 2 --undelete-window 181d
for it in '' '--undelete-window 13d' '--undelete-window 20h' \
	'--undelete-window 30d --keep-last 2' '--undelete-window 30d --vm web'; do
	expect 2 vmb forget --always $it
	says '^vmbackup: --always'
done
[ "$(objects)" = 0 ] || fail "something was forgotten"

# A dry run says the same as the real one, and does nothing.
policy=(--keep-daily 3 --keep-weekly unlimited)
for vms in wbe "db --vm wbe"; do
	expect 1 vmb forget --keep-last 1 --vm $vms
	says 'no machine called "wbe"'
done
# What cannot be told does not go.
if [ -e /dev/full ]; then
	for it in '' --json; do
		got=0
		vmb forget "${policy[@]}" $it >/dev/full 2>"$tmp/err" || got=$?
		[ "$got" = 15 ] || fail "exit code $got"
		[ "$(objects)" = 0 ] || fail "it went without a word"
	done
fi
expect 0 vmb forget "${policy[@]}" --dry-run
prints 'keep 5 points'
prints 'web/2026-10-04T020000Z .* weekly'
prints '^3 points would be forgotten'
grep -v 'would be\|^until' "$tmp/out" >"$tmp/dry"
expect 0 vmb forget "${policy[@]}" --dry-run --json
json '[p["time"][8:10] for g in o for p in g["remove"]]' >"$tmp/dry.json"
# A group tells what all its points have, and of nothing else.
# common GROUPS: what the first group of web's says that its points have.
common() {
	expect 0 vmb forget "${policy[@]}" -n --json --vm web --group-by "$1"
	json '[o[0][m] for m in ("vm", "host", "tags", "paths")]'
}
[ "$(common machine,paths)" = "['web', None, None, ['$tmp/source']]" ] ||
	fail "$(common machine,paths)"
[ "$(common tags)" = "[None, None, [], None]" ] || fail "$(common tags)"
[ "$(common '')" = "[None, None, None, None]" ] || fail "$(common '')"
[ "$(objects)" = 0 ] || fail "a dry run forgot something"
# What would be freed is what the points have alone.
# exclusive BY EXPRESSION: of the groups that stats shows, as g.
exclusive() {
	expect 0 vmb stats --by "$1" --json
	json "[g['exclusive_size'] for g in o['groups'] if $2][0]"
}
# freed WHAT...: by a dry run.
freed() {
	expect 0 vmb forget -n --json "$@"
	tail -n 1 "$tmp/out" | sed -E 's/.*"freed": *[{]([^}]*)[}].*/\1/;
		s/.*"size": *([0-9]+).*/\1/'
}
one=$(exclusive point 'g["time"][8:10] == "01"')
[ "$one" -gt 0 ] && [ "$(freed web/2026-10-01T020000Z)" = "$one" ] ||
	fail "a dry run frees something else than $one"
all=$(exclusive machine 'g["machine"] == "web"')
[ "$all" -gt "$one" ] &&
	[ "$(freed --vm web --unsafe-allow-remove-all)" = "$all" ] ||
	fail "a dry run of all frees something else than $all"
[ "$(exclusive tag 'g["tag"] is None')" -gt "$all" ] || fail "all have less"
expect 0 vmb forget -n --vm web --unsafe-allow-remove-all
prints 'would be freed in time; [0-9]* packs of'
expect 0 vmb stats --by machine
prints '^web  *8 .* B'
expect 0 vmb stats --history day
prints '^2026-10-08  *2 '
expect 2 vmb stats --by host
expect 2 vmb stats --history week
expect 2 vmb stats --by tag --history day
[ "$(cat "$tmp/dry.json")" = "['02', '03', '05']" ] ||
	fail "$(cat "$tmp/dry.json")"
expect 0 vmb forget "${policy[@]}" --reason 'too many'
grep -v 'forgotten$\|^until' "$tmp/out" | diff - "$tmp/dry" ||
	fail "a dry run says something else"
prints '^3 points forgotten'
[ "$(objects)" = 3 ] || fail "not three wishes"
[ "$(days)" = "01 04 06 07 08" ] || fail "$(days)"
[ "$(days --forgotten)" = "01 02 03 04 05 06 07 08" ] || fail "$(days)"
json 'o[1]["forgotten"], o[1]["forget_reason"], o[1]["undelete_until"]'  \
	>"$tmp/two"
grep -q "True, 'too many', '20" "$tmp/two" || fail "$(cat "$tmp/two")"
expect 0 vmb points --forgotten
prints 'web/2026-10-02T020000Z [(]forgotten, until 20'
# What they have alone is theirs until they are deleted.
expect 0 vmb stats --by point
prints '^[(]forgotten[)]  *3 '
[ "$(exclusive point 'g["forgotten"]')" -gt "$one" ] || fail "they have less"
# Once more forgets nothing more.
expect 0 vmb forget "${policy[@]}"
prints '^0 points forgotten'
# Another client sees the same.
expect 0 vmb --no-cache points --vm web
prints '^5 points'
note policy

# ---- what is forgotten is there still ----

second=$(ids --vm web --forgotten | cut -d ' ' -f 2)
expect 1 vmb ls "$second:files"
says "$second was forgotten: it is found with --forgotten"
expect 0 vmb --forgotten restore "$second" --target "$tmp/got"
[ "$(cat "$tmp/got$tmp/source/day")" = 02 ] || fail "restored something else"
expect 0 vmb ls --forgotten web/2026-10-02T020000Z:files
# Its time is said to be of one that was forgotten, however it is written.
for time in 2026-10-02T020000Z 2026-10-02T02:00:00Z; do
	expect 1 vmb restore "web/$time" --target "$tmp/got2"
	says 'was forgotten: it is found with --forgotten'
done
expect 1 vmb ls web/2026-10-03T020000Z:files/nosuch
expect 1 vmb ls web/2026-11-02T020000Z:files
says 'no such point'
expect 0 vmb check
prints '^points 9,'
# Nor is it anybody's latest, wherever points are named, shown or not.
expect 0 vmb forget -q web/2026-10-08T020000Z
for name in web web/latest; do
	expect 0 vmb --forgotten cat "$name:files$tmp/source/day"
	prints '^07$'
	expect 0 vmb --forgotten restore "$name:files$tmp/source/day" -t "$tmp/o"
	[ "$(cat "$tmp/o/day")" = 07 ] || fail "restored $(cat "$tmp/o/day")"
	rm -r "$tmp/o"
done
expect 0 vmb --forgotten cat "web/latest~1:files$tmp/source/day"
prints '^06$'
expect 0 vmb --forgotten cat "latest~1:files$tmp/source/day"
prints '^07$'
expect 1 vmb --forgotten cat "web/latest~5:files$tmp/source/day"
says 'the machine has only 4 points that nobody forgot'
expect 0 vmb --forgotten diff web/latest~1 web/latest
[ "$(days --forgotten --latest 1)" = 07 ] ||
	fail "the latest: $(days --forgotten --latest 1)"
expect 0 vmb --forgotten protect -q web/latest
expect 0 vmb --forgotten unprotect -q web/2026-10-07T020000Z
expect 0 vmb undelete web/latest
prints 'was not forgotten'
expect 0 vmb undelete -q web/2026-10-08T020000Z
# What a point that is about to go has is no reason to make none.
expect 0 vmb forget -q web/2026-10-08T020000Z
back_up web 09 --skip-if-unchanged
[ "$(days)" = "01 04 06 07 09" ] || fail "$(days)"
# Nor is it where it is forgotten while the backup is at work, here while it waits
# for a map.
truncate -s 1M "$tmp/disk"
mkfifo "$tmp/map"
disk=(--vm disk --disk "vda=$tmp/disk" --skip-if-unchanged)
expect 0 vmb backup -q "${disk[@]}"
echo '0 1048576 same' >"$tmp/same"
expect 0 vmb backup "${disk[@]}" --map "$tmp/same"
prints 'nothing changed'
for it in kept gone; do
	vmb backup "${disk[@]}" --map "$tmp/map" >"$tmp/disk.$it" &
	job=$!
	exec 7>"$tmp/map"
	[ $it = kept ] ||
		expect 0 vmb forget -q --unsafe-allow-remove-all disk
	cat "$tmp/same" >&7
	exec 7>&-
	wait $job || fail "exit code $?"
done
grep -q 'nothing changed' "$tmp/disk.kept" || fail "$(cat "$tmp/disk.kept")"
grep -q '^point .* made' "$tmp/disk.gone" || fail "$(cat "$tmp/disk.gone")"
expect 0 vmb forget -q --vm disk --unsafe-allow-remove-all
expect 2 vmb --forgotten backup "$tmp/source"
expect 2 vmb --forgotten forget --keep-last 1
note "still there"

# ---- back ----

expect 0 vmb undelete "$second" web/2026-10-08T020000Z --json
prints '"was_forgotten": *true'
[ "$(days)" = "01 02 04 06 07 08 09" ] || fail "$(days)"
expect 0 vmb --no-cache points --vm web
prints '^7 points'
expect 0 vmb undelete "$second"
prints 'was not forgotten'
# A later wish counts again, and is answered by itself.
expect 0 vmb forget "$second" --json
prints '"message_type": *"forgotten"'
[ "$(days)" = "01 04 06 07 08 09" ] || fail "$(days)"
expect 0 vmb undelete "$second"
[ -e "$vault/forget/$second-1" ] && [ -e "$vault/purge/$second-1" ] ||
	fail "the second wish"
[ "$(days)" = "01 02 04 06 07 08 09" ] || fail "$(days)"
expect 0 vmb check
note undelete

# ---- what stays ----

expect 0 vmb protect "$second" --text 'before the upgrade'
expect 1 vmb forget "$second"
says 'is protected'
expect 1 vmb forget --dry-run "$second"
expect 0 vmb note web/2026-10-04T020000Z --verified
expect 0 vmb note web/2026-10-09T020000Z --suspicious
expect 1 vmb tag --add gold --remove none web/2026-10-01T020000Z
says 'no tag "none"'
expect 0 vmb tag --add gold web/2026-10-01T020000Z
expect 0 vmb forget web/2026-10-06T020000Z --keep 30d
prints 'kept until 20..-..-..T..:..:..Z'
expect 0 vmb forget --vm web --keep-last 1 --keep-tag gold
prints '01T020000Z .* gold .* tag'
prints '02T020000Z .* protected'
prints '04T020000Z .* last verified one of its machine'
prints '06T020000Z .* kept until its time'
prints '08T020000Z .* last good one of its machine'
prints '09T020000Z [(]suspicious[)] .* last'
[ "$(days)" = "01 02 04 06 08 09" ] || fail "$(days)"
expect 0 vmb forget web/2026-10-06T020000Z --keep 0h
prints '1 point is kept no longer'
expect 0 vmb note web/2026-10-09T020000Z --trusted
expect 0 vmb unprotect "$second"
expect 0 vmb forget --vm web --keep-last 1
[ "$(days)" = "04 09" ] || fail "$(days)"
expect 1 vmb forget db
says 'db would have no point left'
expect 0 vmb forget --vm db --unsafe-allow-remove-all
expect 0 vmb points --vm db
prints '^0 points'
for name in db db/latest db/2026-10-08T020000Z; do
	expect 1 vmb ls "$name:files"
	says 'forgotten'
done
for name in db db/latest; do
	expect 1 vmb --forgotten ls "$name:files"
	says 'db: all its points were forgotten'
done
expect 0 vmb --forgotten ls db/2026-10-08T020000Z:files
# It has its name still, and a backup under it goes on with its history.
expect 1 vmb rename web db
says 'a machine is called so of which no point is listed'
back_up db 09
expect 0 vmb --forgotten points --vm db
prints '^2 points'
expect 0 vmb forget --vm db --unsafe-allow-remove-all
expect 0 vmb undelete db/2026-10-08T020000Z
note "what stays"

# ---- a clock that is behind ----

newest=$(ls -t "$vault/commit" | head -n 1)
was=$(stat -c %y "$vault/commit/$newest")
touch -d '+3 days +1 hour' "$vault/commit/$newest"
expect 1 vmb forget --keep-last 1 --dry-run
says 'the clock of this machine is 3 days behind'
expect 1 vmb forget --keep-last 1
expect 0 vmb forget --dry-run web/2026-10-04T020000Z
prints "until $(date -u -d '+17 days +1 hour' +%Y-%m-%d)"
touch -d "$was" "$vault/commit/$newest"
note clock

# ---- damage hides nothing ----

expect 0 vmb forget -q web/2026-10-04T020000Z
[ "$(days)" = 09 ] || fail "$(days)"
wish=$(ls "$vault"/forget/"$(ids --forgotten --vm web |
	cut -d ' ' -f 4)"-0)
chmod u+w "$wish"
flip "$wish" 120
expect 0 vmb --no-cache points --vm web
prints '^2 points'
expect 13 vmb check
says 'is not forgotten by it'
rm "$wish"
expect 0 vmb forget -q web/2026-10-04T020000Z
expect 0 vmb undelete -q web/2026-10-04T020000Z
[ "$(days)" = "04 09" ] || fail "$(days)"
# A point that cannot be read is none that could go, and that is said.
back_up db 10
last=$(ids --vm db | cut -d ' ' -f 2)
mv "$vault/point/$last" "$tmp/point"
expect 13 vmb --no-cache forget -q --vm web --keep-last 9
says '1 point cannot be read, and stays'
mv "$tmp/point" "$vault/point/$last"
# What may have been removed is not forgotten, nor does it stand for others.
eighth=$(ids --vm web --forgotten | cut -d ' ' -f 8)
expect 0 vmb undelete -q "$eighth"
echo garbage >"$vault/purge/$eighth-9"
before=$(objects)
for it in "$eighth" "--vm=web --keep-last=1 --unsafe-allow-remove-all"; do
	expect 13 vmb --no-cache forget $it
	says "whether point $eighth was removed cannot be read"
done
prints '^1 point forgotten'
expect 13 vmb --no-cache undelete "$eighth"
expect 1 vmb --no-cache forget web/2026-10-09T020000Z
says 'web would have no point left'
[ "$(objects)" = $((before + 1)) ] || fail "a wish that says nothing"
rm "$vault/purge/$eighth-9"
expect 0 vmb --no-cache undelete -q web/2026-10-04T020000Z
expect 0 vmb --no-cache forget -q "$eighth"
[ "$(days)" = "04 09" ] || fail "$(days)"
note damage

# ---- a vault that is not written to ----

mv "$vault/note" "$tmp/note"
for it in '--keep-last 1 --json' '--keep-last 100' web/2026-10-04T020000Z \
	'--keep 1d web/2026-10-04T020000Z'; do
	for dry in '' --dry-run; do
		expect 17 vmb forget $it $dry
		says 'lacks the folder note'
		[ ! -s "$tmp/out" ] || fail "$it $dry: $(cat "$tmp/out")"
	done
done
mv "$tmp/note" "$vault/note"
note "not written to"

# ---- in the mount ----

leads_to() {
	[ "$(readlink "$1")" = "$2" ]
}

expect 0 vmb forget -q web/2026-10-04T020000Z
start_mount "$vault" "$tmp/mnt"
[ ! -e "$tmp/mnt/vms/web/2026-10-04T020000Z" ] || fail "it is in the mount"
expect 0 vmb undelete -q web/2026-10-04T020000Z
await 20 test -e "$tmp/mnt/vms/web/2026-10-04T020000Z/files" ||
	fail "it does not come back"
expect 0 vmb forget -q web/2026-10-04T020000Z
await 20 test ! -e "$tmp/mnt/vms/web/2026-10-04T020000Z" ||
	fail "it does not go"
# Whatever its machine is called now, a point is found by its id.
link=$(find "$tmp/mnt/ids" -lname '../vms/web/*' | sort | head -n 1)
[ -e "$link/files$tmp/source/day" ] || fail "ids/ leads nowhere"
expect 0 vmb rename web shop
await 20 test -d "$tmp/mnt/vms/shop" || fail "the mount knows no new name"
[ -e "$link/files$tmp/source/day" ] || fail "ids/ leads to the old name"
expect 0 vmb rename shop web
stop_mount "$tmp/mnt"
start_mount "$vault" "$tmp/mnt" forgotten
[ "$(cat "$tmp/mnt/vms/web/2026-10-04T020000Z/files$tmp/source/day")" = 04 ] ||
	fail "-o forgotten"
# It is marked, and nobody's latest, also where there is no other.
getfattr -n user.vmbackupfs.forgotten --only-values --absolute-names \
	"$tmp/mnt/vms/web/2026-10-04T020000Z/files" | grep -q '^20.*Z$' ||
	fail "it is not marked"
getfattr -n user.vmbackupfs.forgotten "$tmp/mnt/vms/web/latest/files" \
	2>/dev/null && fail "one that was not forgotten is marked"
newest=$(readlink "$tmp/mnt/vms/web/latest")
expect 0 vmb undelete -q web/2026-10-04T020000Z
expect 0 vmb forget -q "web/$newest"
await 20 leads_to "$tmp/mnt/vms/web/latest" 2026-10-04T020000Z ||
	fail "what was forgotten stays the latest"
expect 0 vmb undelete -q "web/$newest"
expect 0 vmb forget -q web/2026-10-04T020000Z
expect 0 vmb forget -q --vm db --unsafe-allow-remove-all
await 20 test ! -L "$tmp/mnt/vms/db/latest" || fail "db has a latest point"
ls "$tmp/mnt/vms/db" | grep -q '^2026' || fail "db has no points"
[ ! -e "$tmp/mnt/vms/db/latest" ] || fail "latest leads somewhere"
stop_mount "$tmp/mnt"
note mount

# ---- for ever ----

expect 0 vmb undelete -q web/2026-10-04T020000Z

expect 0 vmb forget --always --undelete-window 30d -n
prints 'undelete would work for 30 days in this vault, which were 14'
[ ! -e "$vault/window" ] || fail "a dry run wrote"
expect 0 vmb forget --always --undelete-window 30d
prints 'undelete works for 30 days in this vault, which were 14'
for days in 20 30; do
	expect 0 vmb forget --always --undelete-window "${days}d"
	prints 'undelete works for 30 days in this vault already'
done
[ "$(ls "$vault/window")" = 30 ] || fail "$(ls "$vault/window")"
until=$(date -u -d '30 days' +%Y-%m-%d)
expect 0 vmb forget --undelete-window 20d "web/$newest"
prints "until ($until|$(date -u -d '30 days' +%Y-%m-%d)) .* \"vmbackup undelete\""
expect 0 vmb undelete -q "web/$newest"
# Its name counts, whatever is in it.
echo >"$vault/window/60"
expect 0 vmb forget -q "web/$newest"
expect 0 vmb points --forgotten --json
python3 - "$tmp/out" "web/$newest" <<'END' || fail "$(cat "$tmp/out")"
import datetime, json, sys
for p in json.load(open(sys.argv[1])):
    if p["point"] == sys.argv[2]:
        when = [datetime.datetime.fromisoformat(p[k].rstrip("Z")[:19])
                for k in ("forgotten_time", "undelete_until")]
        sys.exit((when[1] - when[0]).days != 60)
sys.exit(1)
END
rm "$vault/window/60"
expect 0 vmb undelete -q "web/$newest"
expect 0 vmb check
note always
