#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# repair stores anew what is damaged and deletes nothing; rewrite leaves out what
# should never have been stored.
. "$(dirname "$0")/../lib.sh"

s=$tmp/source
mkdir -p "$s/keep" "$s/secret/deep"
head -c 1500000 /dev/urandom >"$s/keep/random"
head -c 1500000 /dev/urandom >"$s/secret/deep/random"
echo small >"$s/keep/small"
echo key >"$s/keep/a.key"
new_vault
expect 0 vmb backup --vm web1 --tag nice --time 2030-01-01 "$s"
expect 0 vmb note --text 'a word' web1/latest
cp -a "$vault" "$tmp/copy"

# What is in the vault, by name and size; its packs of data, the largest first.
objects() {
	(cd "$vault" && find . -type f -printf '%P %s\n' | sort)
}
biggest() {
	find "$vault/pack" -type f -printf '%s %p\n' | sort -rn | head -n 1 |
		cut -d ' ' -f 2
}

# The ids of points.
ids() {
	vmb points --json "$@" | python3 -c '
import json, sys
print(*[p["id"] for p in json.load(sys.stdin)], sep="\n")'
}

# Nothing is wrong.
for what in index packs points keys; do
	expect 0 vmb repair $what
	prints '^nothing to repair$'
done
expect 2 vmb repair
expect 2 vmb repair nosuch
expect 2 vmb repair index --apply -n
expect 2 vmb repair index --from "$tmp/copy"

# A bit in the midst of a large file: that file is lost, and all else is not.
flip "$(biggest)" 700000
expect 13 vmb check --read-data
objects >"$tmp/before"
expect 13 vmb repair packs
prints '^would repair: pack/.* can be stored anew'
prints '^left: pack/.*: 1 chunks are lost'
expect 13 vmb repair points
prints '^noted: point/.*: lost: files.*random$'
objects >"$tmp/after"
cmp "$tmp/before" "$tmp/after" || fail "a dry run changed something"
expect 13 vmb repair packs --apply
expect 0 vmb repair points --apply
prints '^repaired: point/'
objects >"$tmp/after"
[ -z "$(comm -23 "$tmp/before" "$tmp/after")" ] || fail "something is gone"
expect 0 vmb repair points
prints '^nothing to repair$'
repaired=$(ids --tag repaired)
expect 0 vmb points --tag repaired,nice
prints incomplete
expect 0 vmb note "$repaired"
prints 'repaired from'
prints 'a word'
expect 0 vmb restore "$repaired" --target "$tmp/left"
cmp "$s/keep/small" "$tmp/left$s/keep/small" || fail "not what it was"
[ "$(find "$tmp/left" -name random | wc -l)" = 1 ] || fail "not one is lost"
# The copy has what is lost: then the old point is whole again.
expect 13 vmb repair packs --from "$tmp/copy" --from-key-file "$keyfile"
expect 0 vmb repair packs --apply --from "$tmp/copy" --from-key-file "$keyfile"
prints 'of them from the other vault 1$'
expect 0 vmb repair packs
old=$(ids | grep -v "$repaired")
expect 0 vmb restore "$old" --target "$tmp/all"
diff -r "$s" "$tmp/all$s" || fail "not what was backed up"

# The object of a point and its register, damaged and gone, come from the copy, too,
# also where this machine knows that a register is missing.
point=$vault/point/$old
commit=$(ls -S "$tmp/copy"/commit/*)
commit=$vault/commit/$(basename "$commit")
flip "$point" 130
flip "$commit" 130
expect 13 vmb check
says '^vmbackup:  *next: vmbackup repair points --from COPY --apply$'
expect 13 vmb repair points --from "$tmp/copy" --from-key-file "$keyfile"
prints "^would repair: point/$old: was damaged"
expect 0 vmb repair points --apply --from "$tmp/copy" \
	--from-key-file "$keyfile"
prints "^repaired: point/$old: was damaged"
prints "^repaired: commit/.*: was damaged"
cmp "$point" "$tmp/copy/point/$old" || fail "another point was put back"
rm "$commit"
expect 17 vmb check
expect 0 vmb repair points --apply --from "$tmp/copy" \
	--from-key-file "$keyfile"
prints "^repaired: commit/.*: was gone"
expect 0 vmb check

# What should never have been stored.
expect 2 vmb rewrite "$old"
expect 0 vmb rewrite -n --exclude secret --exclude '*.key' "$old"
prints '4 entries .* would be left out'
expect 0 vmb rewrite --exclude secret --exclude '*.key' "$old"
prints '4 entries .* are left out in'
expect 0 vmb rewrite --exclude secret --exclude '*.key' "$old"
prints 'were left out before, in'
rewritten=$(ids --tag rewrite)
expect 0 vmb restore "$rewritten" --target "$tmp/rest"
[ "$(cd "$tmp/rest$s" && find . -type f | sort | tr '\n' ' ')" = \
	'./keep/random ./keep/small ' ] || fail "not what is to be left"
expect 0 vmb protect "$old"
expect 1 vmb rewrite --forget --exclude nosuch "$old"
expect 0 vmb unprotect "$old"
expect 0 vmb rewrite --forget --exclude small "$old"
expect 0 vmb points
! grep -q "^${old:0:8}" "$tmp/out" || fail "the old point was not forgotten"
expect 0 vmb undelete "$old"
