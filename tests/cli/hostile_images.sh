#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# What a guest writes never chooses which file of the host is opened: images of
# every format that name one, said and unsaid, as root and as a user, while a
# watcher looks at every open of what they name. And what images may refer to.
. "$(dirname "$0")/../lib.sh"
requires python3 qemu-img qemu-nbd qemu-io truncate

new_vault
in=$tmp/in
out=$tmp/outside
mkdir "$in"
watched=
if [ "$(id -u)" = 0 ] && "$tests/opens.py" --probe 2>/dev/null; then
	watched=yes
	tmpfs_at "$out"
else
	mkdir "$out"
fi
head -c 1M /dev/urandom >"$out/canary"
# The reader of a disk: small, and each byte is in the point.
holds() {
	vmb cat "$1:disks/a.raw" | cmp - "$2" || fail "$1: other bytes"
}

"$tests/hostile_images.py" "$in" "$out/canary" >"$tmp/list"
chmod 755 "$tmp"
chmod -R a+rX "$in" "$out"
if [ -n "$watched" ]; then
	watch_opens "$out"
	# The watcher sees it, and these images do lead there.
	qemu-img info -f qcow2 "$in/backing-absolute.qcow2" >/dev/null
	qemu-io -r -f vmdk -c 'read 0 512' "$in/flat.vmdk" >/dev/null
	opened 'open canary' || fail "what qemu opens is not seen"
	end_watch
	watch_opens "$out"
fi

# untouched: the canary was not opened by what was tried last.
untouched() {
	[ -z "$watched" ] || ! opened 'open canary' ||
		fail "the canary was opened: $*"
}

# Which are sound, without whatever else they name: read, with their word.
sound="fixed.vhd plain.vdi plain.parallels"

while read -r file; do
	word=${file##*.}
	expect 1 vmb backup -n --vm a --disk a="$in/$file"
	untouched "$file"
	says "looks like .* say --disk a=$word:.*--disk a=raw:"
	want=1
	case " $sound " in *" $file "*) want=0 ;; esac
	got=0
	vmb backup -n --vm a --disk a="$word:$in/$file" >"$tmp/out" \
		2>"$tmp/err" </dev/null || got=$?
	untouched "$word:$file"
	# Some formats are not compiled into every qemu, and of some it takes
	# what is damaged for empty: what counts is that nothing was opened.
	[ $want = 1 ] || [ $got = 0 ] || fail "$word:$file cannot be read"
	case $file in backing* | data* | second* | itself* | flat* | sparse* | \
		vmfs* | nbd* | hidden* | inner* | descriptor* | differencing* | \
		parent.vhdx)
		[ $got = 1 ] || fail "$word:$file: exit code $got" ;;
	esac
done <"$tmp/list"
note "$(wc -l <"$tmp/list") images as they are, and with their words"

# Said to be raw, they are.
for file in backing-absolute.qcow2 flat.vmdk fixed.vhd plain.vdi plain.dmg; do
	expect 0 vmb backup --vm "raw-$file" --disk a="raw:$in/$file"
	holds "raw-$file/latest" "$in/$file"
done
untouched raw:
if [ -n "$watched" ] && command -v setpriv >/dev/null; then
	open_programs
	mkdir -m 777 "$tmp/user"
	cp "$keyfile" "$tmp/user/key"
	chown 65534 "$tmp/user/key"
	nobodys() {
		as_nobody "$tmp/bin/vmbackup" -r "$tmp/user/vault" \
			--key-file "$tmp/user/key" --cache-dir "$tmp/user/cache" \
			"$@"
	}
	expect 0 nobodys init
	while read -r file; do
		nobodys backup -n --vm a --disk a="${file##*.}:$in/$file" \
			>"$tmp/out" 2>"$tmp/err" </dev/null || true
		untouched "as a user: $file"
	done <"$tmp/list"
	expect 0 nobodys backup --vm a --disk a="vdi:$in/plain.vdi"
	note "the same as a user"
fi

# A block device is raw, whatever its bytes say.
if [ "$(id -u)" = 0 ] && losetup -f >/dev/null 2>&1; then
	loop_attach -r "$in/descriptor.vmdk"
	expect 0 vmb backup --vm device --disk a="$loop"
	holds device/latest "$loop"
	loop_detach "$loop"
	untouched "a device"
fi

# Nor is one opened by restoring onto an image that names it.
expect 0 vmb backup --vm m --disk a="raw:$in/backing-absolute.qcow2" -q
cp "$in/backing-absolute.qcow2" "$in/target"
expect 1 vmb restore m/latest:disks/a.raw --to "$in/target" --format qcow2 \
	--delta
says 'lies elsewhere: say --allow-backing'
cmp "$in/target" "$in/backing-absolute.qcow2" || fail "it was written to"
untouched restore
[ -z "$watched" ] || end_watch
note "devices and targets"

# ---- a raw disk with the header of an image that needs no other file ----

# Without a word no guest has its first backup read what it wrote: what counts
# is the file's name.
qemu-img create -q -f qcow2 "$tmp/nested" 1M
for name in guest guest.raw guest.img guest-flat.vmdk; do
	truncate -s 2M "$tmp/$name"
	dd if="$tmp/nested" of="$tmp/$name" conv=notrunc status=none
	expect 1 vmb backup --vm first --disk a="$tmp/$name"
	says "looks like a qcow2 image.* --disk a=qcow2:.*/$name,.* a=raw:.*/$name"
	expect 0 vmb backup --vm first --disk a="raw:$tmp/$name"
	holds first/latest "$tmp/$name"
done
for name in disk.qcow2 disk.QCOW2 disk.qcow; do
	cp "$tmp/nested" "$tmp/$name"
	expect 0 vmb backup --vm "$name" --disk a="$tmp/$name" --json
	[ "$("$tests/json_field.py" disks <"$tmp/out" |
		grep -c '"format": "qcow2", "size": 1048576')" = 1 ] ||
		fail "$name is not read as qcow2"
done
# The same of what another image refers to and does not say the format of, as
# the images of older versions of qemu.
for name in guest.img disk.qcow2; do
	qemu-img create -q -f qcow2 -F raw -u -b "$name" "$tmp/over-$name" 1M
	python3 -c 'import sys
with open(sys.argv[1], "r+b") as f:
    head = f.read(4096).replace(b"\xe2\x79\x2a\xca", b"none")
    f.seek(0)
    f.write(head)' "$tmp/over-$name"
done
expect 1 vmb backup --vm first --disk a="qcow2:$tmp/over-guest.img"
says 'does not say what .*guest.img is, which looks like a qcow2 image'
expect 0 vmb backup --vm first --disk a="qcow2:$tmp/over-disk.qcow2"
note "guests that make images of their disks"

# ---- as what a disk was read before ----

guest=$tmp/turns.qcow2
truncate -s 2M "$guest"
expect 0 vmb backup --vm turn --disk a="$guest"
dd if="$tmp/nested" of="$guest" conv=notrunc status=none
expect 1 vmb backup --vm turn --disk a="$guest"
says 'was read as raw .* looks like qcow2.* --disk a=raw:.* or --disk a=qcow2:'
expect 0 vmb backup --vm turn --disk a="raw:$guest"
holds turn/latest "$guest"
expect 1 vmb backup --vm turn --disk a="$guest"
expect 0 vmb backup --vm turn --disk a="qcow2:$guest"
expect 0 vmb backup --vm turn --disk a="$guest"
dd if=/dev/zero of="$guest" bs=512 count=1 conv=notrunc status=none
expect 1 vmb backup --vm turn --disk a="$guest"
says 'was read as qcow2'
# Whatever was backed up in between, however the file is called, and for whom it is
# read: it was a raw disk.
mkdir "$tmp/g"
truncate -s 2M "$tmp/g/web.qcow2" "$tmp/g/other"
expect 0 vmb backup --vm G --disk vda="$tmp/g/web.qcow2"
expect 0 vmb backup --vm G --disk vdb="$tmp/g/other"
expect 0 vmb backup --vm E --disk vda="$tmp/g/other"
dd if="$tmp/nested" of="$tmp/g/web.qcow2" conv=notrunc status=none
ln -s web.qcow2 "$tmp/g/link.qcow2"
ln "$tmp/g/web.qcow2" "$tmp/g/hard.qcow2"
cp "$tmp/g/web.qcow2" "$tmp/g/copy.qcow2"
asked() {
	expect 1 vmb backup "$@"
	says 'was read as raw .* looks like qcow2'
}
for path in "$tmp/g/web.qcow2" "$tmp/g/../g/web.qcow2" "$tmp/g//web.qcow2" "$tmp/g/link.qcow2" \
	"$tmp/g/hard.qcow2"; do
	asked --vm G --disk vda="$path"
	asked --vm G --disk sda="$path"
	asked --vm F --disk vda="$path"
	asked --vm G --disk vda="$path" --parent E
done
(cd "$tmp/g" && asked --vm G --disk vda=web.qcow2) || exit 1
mv "$tmp/g/web.qcow2" "$tmp/g/moved.qcow2"
rm "$tmp/g/link.qcow2" "$tmp/g/hard.qcow2"
asked --vm G --disk vda="$tmp/g/moved.qcow2"
asked --vm G --disk vda="$tmp/g/copy.qcow2"
# What is another thing is not asked about, nor what was said once.
expect 0 vmb backup --vm G --disk vdc="$tmp/g/copy.qcow2"
expect 0 vmb backup --vm H --disk vda="$tmp/g/copy.qcow2"
expect 0 vmb backup --vm G --disk vda="qcow2:$tmp/g/moved.qcow2"
expect 0 vmb backup --vm G --disk vda="$tmp/g/moved.qcow2"
expect 0 vmb backup --vm G --disk vda="$tmp/g/copy.qcow2"
note "changes of format"

# ---- what images may refer to ----

base=$out/base.raw
head -c 1M /dev/urandom >"$base"
qemu-img create -q -f qcow2 -F raw -b "$base" "$in/over.qcow2"
expect 1 vmb backup --vm over --disk a="qcow2:$in/over.qcow2"
says "lies elsewhere: say --allow-backing $base"
for allowed in "$base" "$out" "$in/../outside"; do
	expect 0 vmb backup --vm over --disk a="qcow2:$in/over.qcow2" \
		--allow-backing "$allowed"
	holds over/latest "$base"
done
expect 1 vmb backup --vm over --disk a="qcow2:$in/over.qcow2" \
	--allow-backing "$out/ba"
# A chain of three, named relatively, and written over.
cp "$base" "$in/one.raw"
(cd "$in" && qemu-img create -q -f qcow2 -F raw -b one.raw two.qcow2 &&
	qemu-img create -q -f qcow2 -F qcow2 -b two.qcow2 three.qcow2 &&
	qemu-io -f qcow2 -c 'write -P 7 4096 4096' three.qcow2 >/dev/null)
qemu-img convert -O raw "$in/three.qcow2" "$tmp/three.raw"
expect 0 vmb backup --vm three --disk a="qcow2:$in/three.qcow2"
holds three/latest "$tmp/three.raw"
# By a link: beside the link, as qemu has it, not beside what it leads to.
mkdir "$tmp/links"
ln -s "$in/two.qcow2" "$tmp/links/two.qcow2"
head -c 1M /dev/urandom >"$tmp/links/one.raw"
expect 0 vmb backup --vm link --disk a="qcow2:$tmp/links/two.qcow2"
holds link/latest "$tmp/links/one.raw"
rm "$tmp/links/one.raw"
expect 1 vmb backup --vm link --disk a="qcow2:$tmp/links/two.qcow2"
says 'links/one.raw'
# A link beside the image that leads elsewhere.
ln -s "$base" "$tmp/links/one.raw"
expect 1 vmb backup --vm link --disk a="qcow2:$tmp/links/two.qcow2"
says "links/one.raw, which lies elsewhere: say --allow-backing"
expect 0 vmb backup --vm link --disk a="qcow2:$tmp/links/two.qcow2" \
	--allow-backing "$tmp/links/one.raw"
holds link/latest "$base"
# Several files, which qemu opens by their names.
(cd "$in" && qemu-img convert -O vmdk -o subformat=monolithicFlat one.raw \
	split.vmdk)
expect 0 vmb backup --vm split --disk a="vmdk:$in/split.vmdk"
holds split/latest "$base"
qemu-img create -q -f qcow2 -o data_file="$in/data.bin",data_file_raw=on \
	"$in/ext.qcow2" 1M
qemu-io -f qcow2 -c 'write -P 9 0 1M' "$in/ext.qcow2" >/dev/null
expect 0 vmb backup --vm ext --disk a="qcow2:$in/ext.qcow2"
holds ext/latest "$in/data.bin"
note "chains, links, pieces"

# Encrypted, with a key in a file.
printf secret >"$tmp/image.key"
qemu-img create -q -f qcow2 --object secret,id=s,file="$tmp/image.key" \
	-o encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10 \
	"$in/secret.qcow2" 1M
qemu-io -c 'write -P 5 0 1M' --object secret,id=s,file="$tmp/image.key" \
	--image-opts "driver=qcow2,encrypt.key-secret=s,file.filename=$in/secret.qcow2" \
	>/dev/null
head -c 1M /dev/zero | tr '\0' '\5' >"$tmp/five"
expect 1 vmb backup --vm secret --disk a="$in/secret.qcow2"
says 'encrypted: say --image-key'
expect 0 vmb backup --vm secret --disk a="$in/secret.qcow2" \
	--image-key "$tmp/image.key"
holds secret/latest "$tmp/five"
printf wrong >"$tmp/wrong.key"
expect 1 vmb backup --vm secret --disk a="$in/secret.qcow2" \
	--image-key a="$tmp/wrong.key"
# A signal ends the wait for a key that nobody gives.
mkfifo "$tmp/pipe.key"
env --default-signal "$vmbackup" -r "$vault" --key-file "$keyfile" \
	--cache-dir "$cache" backup --vm secret --disk a="$in/secret.qcow2" \
	--image-key "$tmp/pipe.key" >"$tmp/out" 2>"$tmp/err" &
pid=$!
cleanup_fn end_process "$pid"
timeout 100 sh -c 'exec 9>"$1"; kill "$2"; exec tail -f /dev/null' - \
	"$tmp/pipe.key" "$pid" &
holder=$!
cleanup_fn end_process "$holder"
code=0
await_end "$pid" 60 || fail "the key is not given up"
wait "$pid" || code=$?
[ "$code" = 130 ] || fail "exit code $code after a signal, not 130"
kill "$holder"
note "an encrypted image"

# Without Landlock: a warning, and no image whose files qemu would look for.
unconfined() {
	"$tests/no_landlock.py" "$vmbackup" -r "$vault" --key-file "$keyfile" \
		--cache-dir "$cache" "$@"
}
expect 0 unconfined backup --vm three --disk a="qcow2:$in/three.qcow2"
says 'has no Landlock: qemu-nbd is not kept'
holds three/latest "$tmp/three.raw"
expect 1 unconfined backup --vm split --disk a="vmdk:$in/split.vmdk"
says 'no Landlock'
expect 1 unconfined backup --vm split --disk a="vmdk:$in/hidden.vmdk"
says 'no Landlock'
note "without Landlock"
