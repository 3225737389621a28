#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The ISO 9660 reader against the tree that genisoimage and xorriso were given:
# Rock Ridge with all kinds of inodes and relocated directories, Joliet, plain
# names. Needs genisoimage and xorriso; devices only where root makes them.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/guest/through.sh
. "$(dirname "$0")/through.sh"
requires fuse genisoimage xorriso python3

dump=$(find_program tests/guest/dump)
[ -n "$dump" ] || fail "tests/guest/dump is not built"
tree=$tests/guest/plain_tree.py
image=$tmp/image
through="rock-ridge joliet plain"

# compare NAME DIR OPTION...
compare() {
	local name=$1 dir=$2
	shift 2
	"$tests/reader/manifest.py" "$dir" >"$tmp/want"
	expect 0 "$dump" iso9660 "$image"
	mv "$tmp/out" "$tmp/got"
	expect 0 "$tests/guest/plain_same.py" "$tmp/want" "$tmp/got" "$@"
	note "$name: $(head -n 1 "$tmp/out")"
	keep "$name" "$image" "$tmp/want" plain_same "$@"
}

many=400 depth=20 upper=40
[ -z "${SOAK:-}" ] || many=12000 depth=40 upper=6000
expect 0 "$tree" make "$tmp/plain" 2048 --many $many --depth $depth
cp -a "$tmp/plain" "$tmp/kinds"
mkdir "$tmp/kinds/kinds"
cd "$tmp/kinds/kinds"
ln -s ../names up
ln -s /etc/passwd absolute
ln -s / root
ln -s . dot
ln -s a/./b/../c//d mixed
ln -s "$(printf 'component-%d/' {1..15})end" long
echo linked >one
ln one two
ln one ../names/three
chmod 4755 one
mkfifo fifo
if [ "$(id -u)" = 0 ]; then
	mknod null c 1 3
	mknod big b 259 70000
	chown 1000:70000 one
fi
touch -h -d @1600000000 -- * ../names .
# xorriso can name more than genisoimage, which writes components over 248
# bytes and targets of some hundred bytes wrongly.
cd "$tmp"

expect 0 genisoimage -quiet -R -o "$image" kinds
# Where the deep ones lie is a directory of the image's own.
compare rock-ridge "$tmp/kinds" --modes --skip ./rr_moved
rm "$image"
ln -s "$(printf 'x%.0s' {1..250})/$(printf 'y%.0s' {1..255})" kinds/kinds/wide
ln -s "$(printf 'component-%d/' {1..70})end" kinds/kinds/longer
touch -h -d @1600000000 kinds/kinds/wide kinds/kinds/longer kinds/kinds
expect 0 xorriso -as mkisofs -quiet -R -o "$image" kinds
compare rock-ridge-2 "$tmp/kinds" --modes
rm "$image"
expect 0 xorriso -as mkisofs -quiet -J -joliet-long -o "$image" plain
compare joliet "$tmp/plain"
rm "$image"

mkdir -p "$tmp/upper/SUB/A.B"
for ((i = 1; i <= upper; i++)); do
	echo "$i" >"$tmp/upper/SUB/FILE$i.TXT"
	echo "$i" >"$tmp/upper/SUB/A.B/NOEXT$i"
done
find "$tmp/upper" -exec touch -d @1600000000 {} +
expect 0 genisoimage -quiet -relaxed-filenames -o "$image" upper
compare plain "$tmp/upper" --skip ./SUB/A.B --skip ./SUB/A_B
rm "$image"

# A file of several extents, as one over 4 GiB is: three records that follow
# each other get one name, and all but the last say that there are more.
mkdir "$tmp/parts"
for i in 1 2 3; do
	head -c $((4096 * i + i / 3)) /dev/urandom >"$tmp/parts/PART$i.BIN"
done
head -c 5000 /dev/urandom >"$tmp/parts/OTHER.BIN"
expect 0 genisoimage -quiet -o "$image" parts
python3 - "$image" <<-'END'
	import sys
	with open(sys.argv[1], "r+b") as f:
	    data = f.read()
	    for i in b"123":
	        at = data.index(b"PART%c.BIN;1" % i)
	        assert data[at - 1] == 11
	        f.seek(at)
	        f.write(b"PARTS")
	        f.seek(at - 33 + 25)
	        f.write(bytes([0x80 if i < ord("3") else 0]))
END
cd "$tmp/parts"
cat PART[123].BIN >PARTS.BIN
rm PART[123].BIN
expect 0 "$dump" iso9660 "$image"
for i in PARTS OTHER; do
	prints "^'./$i.BIN' .* size=$(stat -c %s $i.BIN) sha256=$(sha256sum \
		<$i.BIN | cut -d ' ' -f 1) "
done
[ "$(wc -l <"$tmp/out")" = 3 ] || fail "several extents: not one file"

through_mount
