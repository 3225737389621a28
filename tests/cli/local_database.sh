#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The local database is a copy on a disk that may fail: whatever it says that
# the vault does not, what is read is what was stored, and the database is made
# to say that again.
. "$(dirname "$0")/../lib.sh"
requires python3

new_vault
src=$tmp/src
mkdir "$src"
for i in 1 2; do
	for k in 1 2 3; do
		head -c 50000 /dev/urandom >"$src/$i-$k"
	done
	expect 0 vmb backup --vm v "$src" -q
done
# Several runs share a directory; each begins with a whole database.
db=$(echo "$cache"/*/catalog.db)
[ -f "$db" ] || fail "no database at $db"
cp "$db" "$tmp/whole.db"

# Who needs no chunk does not wait for the index to be read.
for it in points 'note v --text seen' 'rename v w' 'rename w v' \
	'forget --keep-last 2' 'undelete v/latest' 'key list'; do
	# shellcheck disable=SC2086
	expect 0 vmb --cache-dir "$tmp/other" $it
done
python3 - "$tmp/other" <<-'END' || fail "the index was read"
	import glob, sqlite3, sys
	db = sqlite3.connect(glob.glob(sys.argv[1] + "/*/catalog.db")[0])
	sys.exit(db.execute("SELECT count(*) FROM sources").fetchone()[0])
END

# tampered SQL: restores after the database was changed so.
tampered() {
	rm -f "$db-wal" "$db-shm"
	cp "$tmp/whole.db" "$db"
	python3 - "$db" "$1" <<-'END'
		import sqlite3, sys
		db = sqlite3.connect(sys.argv[1], isolation_level=None)
		before = list(db.iterdump())
		db.executescript("BEGIN;" + sys.argv[2] + ";COMMIT;")
		assert list(db.iterdump()) != before, sys.argv[2]
		db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
		db.close()
	END
	rm -rf "$tmp/t"
	expect 0 vmb restore "v:files$src" --target "$tmp/t"
	diff -r "$src" "$tmp/t" >&2 || fail "$1: other bytes"
	expect 0 vmb points
	[ "$(grep -c '^[0-9a-f]\{8\}' "$tmp/out")" = 2 ] || fail "$1: points"
}
# mended SQL: says so, and once.
mended() {
	tampered "$1"
	rm -rf "$tmp/t"
	expect 0 vmb restore "v:files$src" --target "$tmp/t" --verify
	[ ! -s "$tmp/err" ] || fail "$1: said again"
	expect 0 vmb check
}

flip="CAST(substr(data, 1, 40)||x'00'||substr(data, 42) AS BLOB)"
# byte TABLE COLUMN N VALUE: that byte, from 1 on, becomes another.
byte()
{
	echo "UPDATE $1 SET $2=CAST(substr($2, 1, $3-1)||x'$4'||" \
		"substr($2, $3+1) AS BLOB)"
}
# A line of a directory: type, 32 bytes of id, length, frame, offset.
for sql in "$(byte slices data 1 00)" \
	"$(byte slices data 2 00)" \
	"$(byte slices data 33 5a)" \
	"$(byte slices data 34 85)" \
	"$(byte slices data 34 05)" \
	"$(byte slices data 37 07)" \
	"$(byte slices data 38 01)" \
	'UPDATE slices SET data=substr(data, 2)' \
	"UPDATE slices SET data=x''" \
	'UPDATE slices SET pack=(SELECT max(no)+min(no) FROM packs)-pack' \
	'UPDATE slices SET pack=pack+1000' \
	'UPDATE slices SET no=no+1000' \
	'DELETE FROM slices' \
	"$(byte runs data 1 7f)" \
	"$(byte runs data 7 5a)" \
	"$(byte runs data 16 ff)" \
	'UPDATE runs SET data=substr(data, 5)' \
	'UPDATE runs SET first=first+4611686018427387904' \
	'UPDATE runs SET first=first-5' \
	"UPDATE runs SET data=x''" \
	'DELETE FROM runs' \
	'UPDATE packs SET first=first+1' \
	'UPDATE packs SET first=-5, slices=1000000000000' \
	'UPDATE packs SET slices=0' \
	"UPDATE packs SET head=CAST(x'00'||substr(head, 2) AS BLOB)" \
	"UPDATE packs SET salt=CAST(x'00'||substr(salt, 2) AS BLOB)" \
	"UPDATE packs SET mac=CAST(x'00'||substr(mac, 2) AS BLOB)" \
	'UPDATE packs SET size=size+1, kind=9-kind' \
	"UPDATE packs SET name='x'||substr(name, 2)" \
	'UPDATE packs SET no=no+1000' \
	'DELETE FROM packs' \
	"UPDATE sources SET name='index/x'||no" \
	'DELETE FROM sources; DELETE FROM source_packs' \
	"UPDATE objects SET data=$flip WHERE name LIKE 'point/%'" \
	"UPDATE objects SET data=$flip WHERE name LIKE 'commit/%'" \
	"UPDATE objects SET data=substr(data, 2)" \
	"UPDATE objects SET data=x''"; do
	mended "$sql"
done
note "what the database says is compared"

# One place for another: of two slices each is at the other's.
mended 'UPDATE slices SET no=no+1000;
	UPDATE slices SET no=(SELECT max(no)+min(no) FROM slices)-no-1000'
note "swapped places"

# A copy of the vault has the same id and may hold something else: it has a
# database of its own.
rm -f "$db-wal" "$db-shm"
cp "$tmp/whole.db" "$db"
cp -a "$vault" "$tmp/copy"
head -c 50000 /dev/urandom >"$src/2-1"
expect 0 vmb backup --vm v "$src" -q
vault=$tmp/copy expect 0 vmb points
[ "$(grep -c '^[0-9a-f]\{8\}' "$tmp/out")" = 2 ] || fail "the copy's points"
[ "$(ls "$cache" | wc -l)" = 2 ] || fail "no database of the copy's own"
expect 0 vmb cache info --json
python3 - "$tmp/out" <<-'END'
	import json, sys
	v = json.load(open(sys.argv[1]))["vaults"]
	assert len({x["vault_id"] for x in v}) == 1, v
	assert len({x["folder"] for x in v}) == 2, v
END
ln -s "$vault" "$tmp/link"
vault=$tmp/link expect 0 vmb points
[ "$(grep -c '^[0-9a-f]\{8\}' "$tmp/out")" = 3 ] || fail "the link's points"
[ "$(ls "$cache" | wc -l)" = 2 ] || fail "a link is not a copy"
note "a copy has its own"
