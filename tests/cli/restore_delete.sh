#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# vmbackup restore --delete: it removes what the point has seen to be absent,
# and nothing else: not what lies beside the way to a source, not what the
# backup left out, not what is mounted, no vault, key or cache.
. "$(dirname "$0")/../lib.sh"

names() {
	(cd "$1" && find . -mindepth 1 | sort | xargs)
}
# both WANT ARG...: a dry run says line for line what the real one then does.
both() {
	local want=$1
	shift
	expect "$want" vmb restore -v "$@" --dry-run
	sed '/^Would restore/d' "$tmp/out" | sort >"$tmp/dry"
	expect "$want" vmb restore -v "$@"
	sed '/^Restored/d' "$tmp/out" | sort | diff "$tmp/dry" - >&2 ||
		fail "the dry run differs from the real one"
}
fresh() {
	rm -rf "${1:?}"
	mkdir -p "$1"
}

# ---- beside the way to a source ----

src=$tmp/src
mkdir -p "$src/srv/data/sub" "$src/etc" "$src/srv/other"
echo page >"$src/srv/data/index"
echo host >"$src/etc/hosts"
new_vault
expect 0 vmb backup --vm way "$src/srv/data"
fresh "$tmp/t"
cp -a "$src/." "$tmp/t"
touch "$tmp/t/srv/data/extra" "$tmp/t/srv/beside"
chmod 700 "$tmp/t/srv"
both 0 "way/latest:files$src" --target "$tmp/t" --delete
[ "$(names "$tmp/t")" = "./etc ./etc/hosts ./srv ./srv/beside ./srv/data \
./srv/data/index ./srv/data/sub ./srv/other" ] || fail "way: $(names "$tmp/t")"
[ "$(stat -c %a "$tmp/t/srv")" = 700 ] ||
	fail "a directory on the way got another mode"
# A link on the way is how the machine is laid out now.
fresh "$tmp/t"
mkdir "$tmp/t/disk"
ln -s disk "$tmp/t/srv"
both 3 "way/latest:files$src" --target "$tmp/t"
says 'srv: not restored.*no directory stands there'
[ "$(names "$tmp/t")" = './disk ./srv' ] && [ -L "$tmp/t/srv" ] ||
	fail "a link on the way was replaced"
# So is one that the backup took a directory through, or that is there now.
fresh "$tmp/t"
mkdir "$tmp/t/real"
echo db >"$tmp/t/real/table"
ln -s real "$tmp/t/db"
expect 0 vmb backup --vm db "$tmp/t/db/" "$tmp/t/real/table"
for to in real gone; do
	ln -sfn "$to" "$tmp/t/db"
	both 3 "db/latest:files$tmp/t" --target "$tmp/t" --delete
	says '/db: not restored.*a symbolic link stands there'
	[ "$(readlink "$tmp/t/db")" = "$to" ] || fail "$to: a link was replaced"
done
ln -sfn real "$tmp/t/db"
echo new >"$tmp/t/real/table"
expect 0 vmb restore "db/latest:files$tmp/t/db" --target "$tmp/t/db" --delete
[ -L "$tmp/t/db" ] && [ "$(cat "$tmp/t/real/table")" = db ] ||
	fail "not restored to where a link leads"
# Below a source a directory takes a link's place, and that is told.
expect 0 vmb backup --vm way "$src/srv"
fresh "$tmp/t"
ln -s gone "$tmp/t/data"
both 0 "way/latest:files$src/srv" --target "$tmp/t"
grep -q "^updated *$src/srv/data$" "$tmp/out" || fail "replaced, but not told"
[ -d "$tmp/t/data/sub" ] && [ ! -L "$tmp/t/data" ] || fail "$(names "$tmp/t")"
note "beside the way"

# ---- a target that is another directory's ----

# What is in data goes into the target itself. Nothing of these is an extra of
# it, nor may it get its attributes.
from=way/latest:files$src/srv/data
expect 0 vmb backup --vm way "$src/srv/data"
refused() {
	(cd "$tmp" && find src t -printf '%p %m %T@\n' | sort) >"$tmp/want"
	expect 2 vmb restore "$from" --target "$1" --delete --dry-run
	says "$2"
	expect 2 vmb restore "$from" --target "$1" --delete
	says "$2"
	(cd "$tmp" && find src t -printf '%p %m %T@\n' | sort) |
		diff "$tmp/want" - >&2 || fail "something changed in $1"
}
expect 2 vmb restore "$from" --target / --delete --dry-run
says 'target /: it lies above'
refused "$src" "it lies above .*/data"
refused "$src/srv" "it lies above .*say --target $src/srv/data"
fresh "$tmp/t"
mkdir -p "$tmp/t/srv/data"
touch "$tmp/t/srv/data/index" "$tmp/t/index"
refused "$tmp/t" "it has a directory srv/data.*say --target $tmp/t/srv/data"
refused "$tmp/t/srv" "it has a directory data"
refused "$tmp/t/../t/srv/" "it has a directory data"
fresh "$tmp/t"
touch "$tmp/t/precious"
refused "$tmp/t" "it has nothing in common"
# By its name it is known, whatever it holds; and what is there is told so.
fresh "$tmp/t"
mkdir -p "$tmp/t$src/srv/data/old"
both 0 "$from" --target "$tmp/t$src/srv/data" --delete
[ "$(names "$tmp/t$src/srv/data")" = './index ./sub' ] ||
	fail "by its name: $(names "$tmp/t")"
grep -q "^deleted *$tmp/t$src/srv/data/old$" "$tmp/out" ||
	fail "deleted, but not told where"
# A new filesystem, and what patterns spare, belong to nobody.
fresh "$tmp/t"
mkdir "$tmp/t/lost+found" "$tmp/t/mine"
both 0 "$from" --target "$tmp/t" --delete --exclude mine
[ "$(names "$tmp/t")" = './index ./mine ./sub' ] || fail "$(names "$tmp/t")"
note "a target that is another directory's"

# ---- what the backup left out ----

fresh "$src"
mkdir -p "$src/a/cache" "$src/a/tmp"
echo keep >"$src/a/keep"
echo 'Signature: 8a477f597d28d172789f06886806bc55' >"$src/a/cache/CACHEDIR.TAG"
touch "$src/a/cache/x" "$src/a/tmp/y" "$src/a/o.log" "$src/a/UP.Bak"
expect 0 vmb backup --vm left --exclude '*.log' --exclude tmp/ \
	--iexclude '*.bak' --exclude-caches "$src"
mkdir -p "$src/new/deep" "$src/new/tmp" "$src/plain/cache2"
cp "$src/a/cache/CACHEDIR.TAG" "$src/plain/cache2"
touch "$src/new/deep/o.log" "$src/new/tmp/z" "$src/new/gone" \
	"$src/a/gone" "$src/a/cache/more" "$src/a/mine.keep" "$src/plain/gone"
both 0 "left/latest:files$src" --target "$src" --delete --exclude '*.keep'
[ "$(names "$src")" = "./a ./a/UP.Bak ./a/cache ./a/cache/CACHEDIR.TAG \
./a/cache/more ./a/cache/x ./a/keep ./a/mine.keep ./a/o.log ./a/tmp ./a/tmp/y \
./new ./new/deep ./new/deep/o.log ./new/tmp ./new/tmp/z ./plain \
./plain/cache2 ./plain/cache2/CACHEDIR.TAG" ] || fail "left: $(names "$src")"
# In the way of a file stands a directory that may not go.
mv "$src/new" "$src/a/keep.d"
rm "$src/a/keep"
mv "$src/a/keep.d" "$src/a/keep"
both 3 "left/latest:files$src" --target "$src" --delete --exclude '*.keep'
says 'keep: not restored: a directory that is not empty'
[ -e "$src/a/keep/deep/o.log" ] || fail "what was left out is gone"
note "what the backup left out"

# ---- the vault, keys, the cache ----

fresh "$src"
mkdir "$src/www" "$src/one"
echo page | tee "$src/one/page" >"$src/www/index"
cp "$keyfile" "$src/key"
vault=$src/vault cache=$src/cache
keyfile=$src/key
mkdir "$cache"
expect 0 vmb init
expect 0 vmb backup --vm own "$src"
# Where the key slot is that this key opens is noted once there is a cache.
expect 0 vmb points
whole() {
	find "$vault" "$cache" -type f -o -type d | sort
}
touch "$src/extra" "$vault/stray"
whole >"$tmp/want"
expect 0 vmb restore "own/latest:files$src" --target "$src" --delete
whole | diff "$tmp/want" - >&2 || fail "the vault or the cache changed"
[ ! -e "$src/extra" ] || fail "nothing was deleted"
[ -e "$keyfile" ] || fail "the key is gone"
# A key that changed since is not set back.
touch -r "$keyfile" "$tmp/time"
touch -d 2001-01-01 "$keyfile"
expect 3 vmb restore "own/latest:files$src" --target "$src" --delete
says 'key: not restored: .*a key'
[ "$(stat -c %Y "$keyfile")" = 978307200 ] || fail "the key was written over"
touch -r "$tmp/time" "$keyfile"
# Neither below it nor by another name is a vault a target.
ln -s vault/pack "$src/link"
for target in "$vault" "$vault/pack" "$vault/new/deep" "$src/link" "$cache"; do
	expect 1 vmb restore "own/latest:files$src" --target "$target" --delete
	says 'it lies in the (vault|cache)'
	[ ! -e "$vault/new" ] || fail "a directory was made in the vault"
done
whole | diff "$tmp/want" - >&2 || fail "something was written into the vault"
# Another vault is nobody's leftover.
rm "$src/link"
cp -a "$vault" "$src/other"
both 3 "own/latest:files$src" --target "$src" --delete
says '/other: not deleted: a vault is there'
[ -e "$src/other/config" ] || fail "another vault was deleted"
# Nor is one that has lost parts, whatever is left of it.
for left in config pack key point 'pack point' 'index key session'; do
	fresh "$src/other"
	for part in $left; do
		cp -a "$vault/$part" "$src/other"
	done
	(cd "$src/other" && find . -type f) >"$tmp/left"
	[ -s "$tmp/left" ] || fail "a vault has no $left"
	expect 3 vmb restore "own/latest:files$src" --target "$src" --delete
	says 'other(/.*)?: not deleted: a (part of a )?vault is there'
	(cd "$src/other" && find . -type f) | diff "$tmp/left" - >&2 ||
		fail "of a vault only $left was left, and that was deleted"
done
# Nor is anything deleted where the target lies in it.
rm -r "$src/other"
cp -a "$vault" "$src/other"
find "$src/other" -type f | sort >"$tmp/left"
in_other() {
	expect 0 vmb restore "own/latest:files$src/one" --target "$1" --delete
	says "$2: nothing is deleted in it"
	find "$src/other" -type f ! -name page | sort |
		diff "$tmp/left" - >&2 || fail "deleted in another vault: $1"
}
in_other "$src/other/pack" 'it lies in a vault'
in_other "$src/other" 'a vault stands there'
mv "$src/other/pack" "$src/moved"
in=$(dirname "$(find "$src/moved" -mindepth 2 -type f -print -quit)")
find "$src/other" "$in" -type f ! -name page | sort >"$tmp/left"
expect 0 vmb restore "own/latest:files$src/one" --target "$in" --delete
says 'a part of a vault is there: nothing is deleted in it'
find "$src/other" "$in" -type f ! -name page | sort |
	diff "$tmp/left" - >&2 || fail "deleted in a part of a vault"
rm -r "$src/other" "$src/moved"
# What leads to the vault, the key and the cache is needed as they are.
mkdir "$src/way"
ln -s way/there "$src/to_vault"
ln -s ../vault "$src/way/there"
ln -s key "$src/to_key"
ln -s cache "$src/to_cache"
expect 0 vmb backup --vm linked "$src"
ln -sfn "$src/way/there" "$src/to_vault"
through() {
	vault=$src/to_vault keyfile=$src/to_key cache=$src/to_cache vmb "$@"
}
expect 3 through restore "linked/latest:files$src" --target "$src" --delete
says 'to_vault: not restored: .*the vault'
! grep -q 'to_key\|to_cache\|way/there' "$tmp/err" ||
	fail "links that did not change were not left as they are"
expect 3 through restore "own/latest:files$src" --target "$src" --delete
for name in to_vault way/there to_key to_cache; do
	says "/$name: not deleted: (the vault|the cache|a file with a key)"
	[ -L "$src/$name" ] || fail "$name is gone"
done
rm -r "$src"/to_* "$src/way"
note "the vault, keys, the cache"

# ---- one file ----

mkdir "$tmp/one"
expect 0 vmb restore "own/latest:files$src/www/index" --target "$tmp/one" \
	--include '*.conf'
[ "$(names "$tmp/one")" = '' ] || fail "--include: a file that it leaves out"
expect 0 vmb restore "own/latest:files$src/www/index" --target "$tmp/one" \
	--include 'ind*'
[ "$(names "$tmp/one")" = './index' ] || fail "--include: $(names "$tmp/one")"

# ---- mount points ----

[ "$(id -u)" = 0 ] || exit 0
requires namespaces
# mounted SCRIPT ARG...: in a mount namespace of its own.
mounted() {
	unshare -m --propagation private bash -euc "$@"
}
export vmbackup VMBACKUP_REPOSITORY=$vault VMBACKUP_KEY_FILE=$keyfile \
	VMBACKUP_CACHE_DIR=$cache
rm -rf "$src/other"
mkdir -p "$tmp/sys/home" "$tmp/sys/etc" "$tmp/shown"
echo e >"$tmp/sys/etc/file"
mounted '
	mount -t tmpfs none "$1/home"
	echo precious >"$1/home/letter"
	"$vmbackup" backup -q -x --vm sys "$1"
	"$vmbackup" restore -q "sys/latest:files$1" --target "$1" --delete
	[ -e "$1/home/letter" ]' sh "$tmp/sys" ||
	fail "what is mounted was emptied"
# Not where it was a mount point, though now it is none.
echo letter >"$tmp/sys/home/letter"
expect 0 vmb restore "sys/latest:files$tmp/sys" --target "$tmp/sys" --delete
[ -e "$tmp/sys/home/letter" ] || fail "below what was a mount point"
# Nor where now is a mount point that was none: of the same filesystem, too.
expect 0 vmb backup --vm sys "$tmp/sys"
touch "$tmp/shown/seen" "$tmp/single"
expect 3 mounted '
	mkdir "$1/more" "$1/more/in"
	touch "$1/more/gone" "$1/more/file" "$1/etc/gone"
	mount --bind "$2" "$1/home"
	mount --bind "$2" "$1/more/in"
	mount --bind "$3" "$1/more/file"
	"$vmbackup" restore "sys/latest:files$1" --target "$1" --delete' \
	sh "$tmp/sys" "$tmp/shown" "$tmp/single"
says '/home/: the target has a mount point there: nothing is deleted in it'
says '/more/in: not deleted: a mount point'
says '/more/file: not deleted: a mount point'
[ "$(names "$tmp/shown")" = './letter ./seen' ] || fail "below a bind mount"
[ "$(names "$tmp/sys/more")" = './file ./in' ] || fail "$(names "$tmp/sys/more")"
[ ! -e "$tmp/sys/etc/gone" ] || fail "nothing was deleted"
# The vault by yet another name.
expect 1 mounted '
	mount --bind "$VMBACKUP_REPOSITORY/pack" "$2"
	"$vmbackup" restore "sys/latest:files$1" --target "$2" --delete' \
	sh "$tmp/sys" "$tmp/shown"
says 'it lies in the vault'
note "mount points"

# ---- without /proc ----

# As root, and as one who may not name a file by its descriptor.
ln -s file "$tmp/sys/etc/link"
mkfifo -m 640 "$tmp/sys/etc/fifo"
expect 0 vmb backup --vm sys "$tmp/sys"
for how in '' 'setpriv --bounding-set=-dac_read_search --inh-caps=-all'; do
	rm -rf "$tmp/bare"
	expect 0 unshare -m --propagation private $how bash -euc '
		mount -t tmpfs none /proc
		"$vmbackup" restore "sys/latest:files$1" --target "$2" \
			--threads 1' sh "$tmp/sys" "$tmp/bare"
	diff -r --no-dereference --exclude=fifo "$tmp/sys" "$tmp/bare" >&2 ||
		fail "without /proc"
	[ "$(stat -c %a "$tmp/bare/etc/fifo")" = 640 ] || fail "a fifo's mode"
done
note "without /proc"
