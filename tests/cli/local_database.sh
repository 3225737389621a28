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
for sql in 'UPDATE chunks SET off=off+1 WHERE len=50000' \
	'UPDATE chunks SET off=off/2' \
	'UPDATE chunks SET len=len-1' \
	'UPDATE chunks SET len=60000' \
	'UPDATE chunks SET frame=frame+1' \
	'UPDATE chunks SET frame=1000000' \
	'UPDATE chunks SET type=3-type WHERE type<3' \
	'UPDATE chunks SET type=0' \
	'UPDATE chunks SET pack=(SELECT max(no)+min(no) FROM packs)-pack' \
	'UPDATE chunks SET pack=pack+1000' \
	"UPDATE chunks SET id=CAST(x'00'||substr(id, 2) AS BLOB)" \
	'DELETE FROM chunks' \
	"UPDATE packs SET dir=CAST(x'00'||substr(dir, 2) AS BLOB)" \
	"UPDATE packs SET dir=CAST(substr(dir, 1, length(dir)-1)||x'7f' AS BLOB)" \
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

# One place for another: of two chunks each is at the other's.
mended 'CREATE TABLE t AS SELECT * FROM chunks WHERE len=50000;
	UPDATE chunks SET (frame, off) = (SELECT b.frame, b.off FROM t a, t b
		WHERE a.id=chunks.id AND b.pack=a.pack AND b.id<>a.id)
		WHERE len=50000;
	DROP TABLE t'
note "two swapped places"
