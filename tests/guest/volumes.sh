#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The volumes that are found in disks which sfdisk, the LVM tools and cryptsetup
# made: names, types, reasons, and the bytes of each.
. "$(dirname "$0")/../lib.sh"
. "$tests/guest/images.sh"
requires python3 sfdisk mke2fs cryptsetup

volumes=$(find_program tests/guest/volumes)
[ -n "$volumes" ] || fail "tests/guest/volumes is not built"
cd "$tmp"

# expect_volumes TEXT ARG...: name, size, type, label of what is found.
expect_volumes() {
	local want=$1
	shift
	"$volumes" "$@" >found 2>err || fail "volumes $*"
	[ "$(cut -f 1-4 found | tr '\t' ' ' | sed 's/ *$//')" = "$want" ] || {
		cat found >&2
		fail "volumes $*: not as expected"
	}
}

# reason VOLUME WORDS: its reason has these words.
reason() {
	awk -F '\t' -v n="$1" '$1 == n { print $5 }' found | grep -qF -e "$2" || {
		cat found >&2
		fail "$1: its reason does not say '$2'"
	}
}

# ---- GPT: whole, its begin damaged, its end too, of 4 KiB sectors ----

truncate -s 100M gpt
sfdisk -q gpt <<-END
	label: gpt
	start=2048, size=40960
	size=20480, type=0657FD6D-A4AB-43C4-84E5-0933C84B4F4F
	size=20480
END
mke2fs -q -E offset=$((2048 * 512)) -L hello gpt 20M
truncate -s 10M swap
chmod 600 swap
mkswap swap >/dev/null 2>&1
dd if=swap of=gpt bs=512 seek=43008 conv=notrunc status=none
list='vda1 20971520 ext2 hello
vda2 10485760 swap
vda3 10485760'
expect_volumes "$list" vda=gpt
reason vda2 "swap space"
reason vda3 "no filesystem that is known"
dd if=/dev/zero of=gpt bs=512 seek=1 count=1 conv=notrunc status=none
expect_volumes "$list" vda=gpt
grep -q "the copy at its end is used" err || fail "the damage is not told"
dd if=/dev/zero of=gpt bs=512 seek=204799 count=1 conv=notrunc status=none
expect_volumes "vda 104857600" vda=gpt
reason vda "GUID partition table is damaged"

# ---- MBR, with logical partitions; a disk whose name ends in a digit ----

truncate -s 100M mbr
sfdisk -q mbr <<-END
	label: dos
	start=2048, size=20480, type=83
	size=20480, type=82
	size=100000, type=5
	size=20480, type=83
	size=20481, type=83
	size=2000, type=83
END
# What is where, as sfdisk tells it: number and sectors.
sfdisk -d mbr | awk -F '[ =,:]+' '/start=/ && !/type=5/ {
	sub("mbr", "nvme0n1p", $1); print $1, $5 * 512 }' >want
"$volumes" nvme0n1=mbr | cut -f 1,2 | tr '\t' ' ' >got
diff <(sort want) <(sort got) || fail "MBR: other partitions"
[ "$(wc -l <got)" = 5 ] || fail "MBR: five partitions were made"

# ---- a whole disk, and one with nothing ----

truncate -s 20M whole
mke2fs -q -t ext4 -L root whole
expect_volumes 'vda 20971520 ext4 root' vda=whole
truncate -s 5M nothing
expect_volumes $'vda 20971520 ext4 root\nvda-2 5242880' vda=whole vda=nothing

# ---- LUKS: encrypted in user space, so that the plain bytes are known ----

printf 'the right one' >key
printf 'a wrong one' >wrong
for sector in 512 4096; do
	rm -f luks2
	truncate -s 40M luks2
	mke2fs -q -b 4096 -L inner luks2 20M
	cp luks2 plain
	luks_encrypt luks2 key "$sector" --pbkdf-memory 32 \
		--pbkdf-parallel 1 --pbkdf-force-iterations 4
	expect_volumes 'vda 41943040 crypto_LUKS
vda_crypt 33554432 ext2 inner' --key wrong --key key vda=luks2
	reason vda "unlocked"
	"$volumes" --key key --raw vda_crypt vda=luks2 >raw
	cmp -n $((20 << 20)) raw plain || fail "LUKS2: other bytes"
	expect_volumes 'vda 41943040 crypto_LUKS' --key wrong vda=luks2
	reason vda "none of the keys"
	expect_volumes 'vda 41943040 crypto_LUKS' vda=luks2
	reason vda "--luks-key-file"
done
truncate -s 20M luks1
cryptsetup luksFormat -q --type luks1 --pbkdf-force-iterations 1000 \
	--disable-locks --key-file key luks1
"$volumes" --key key vda=luks1 >found
grep -q '^vda_crypt' found || fail "LUKS1 is not unlocked"
truncate -s 20M essiv
cryptsetup luksFormat -q --type luks1 --pbkdf-force-iterations 1000 \
	--cipher aes-cbc-essiv:sha256 --key-size 256 --disable-locks \
	--key-file key essiv
expect_volumes 'vda 20971520 crypto_LUKS' --key key vda=essiv
reason vda "aes-cbc-essiv:sha256"

# ---- LVM: linear of three segments over two disks, striped, a name with '-' ----

requires root loop lvm
for i in 1 2; do
	head -c 64M /dev/urandom >pv$i
	dd if=/dev/zero of=pv$i bs=1M count=1 conv=notrunc status=none
done
loop1=$(losetup -f --show pv1)
cleanup_fn losetup -d "$loop1"
loop2=$(losetup -f --show pv2)
cleanup_fn losetup -d "$loop2"
pvs=("$loop1" "$loop2")
lv pvcreate -qq "$loop1" "$loop2"
lv vgcreate -qq -s 1M vg-0 "$loop1" "$loop2"
lv lvcreate -qq -an -Zn -Wn -l 10 -n root vg-0 "$loop1"
lv lvcreate -qq -an -Zn -Wn -l 20 -i 2 -I 64k -n striped vg-0
lv lvcreate -qq -an -Zn -Wn -l 5 -n a-tail vg-0 "$loop1"
lv lvextend -qq -l +9 vg-0/root "$loop2"
lv lvextend -qq -l +7 vg-0/root "$loop1"
sync "$loop1" "$loop2"
expect_volumes 'vda 67108864 LVM2_member
vdb 67108864 LVM2_member
vg--0-root 27262976
vg--0-striped 20971520
vg--0-a--tail 5242880' vda=pv1 vdb=pv2
reason vda "group vg-0"
# The bytes, by what the tools say of the segments; data begins at 1 MiB.
lv lvs --noheadings --separator , -o \
	lv_name,seg_start_pe,seg_size_pe,stripes,seg_pe_ranges vg-0 >segments
python3 - "$loop1" "$loop2" <<-'END'
	import sys
	pvs = {sys.argv[1]: open("pv1", "rb").read(),
	       sys.argv[2]: open("pv2", "rb").read()}
	MIB = 1 << 20
	out = {}
	for line in sorted(open("segments"), key=lambda l: int(l.split(",")[1])):
	    name, _, _, stripes, ranges = line.strip().split(",")
	    parts = []
	    for r in ranges.split():
	        pv, pes = r.rsplit(":", 1)
	        first, last = map(int, pes.split("-"))
	        parts.append(pvs[pv][MIB + first * MIB:MIB + (last + 1) * MIB])
	    if len(parts) == 1:
	        data = parts[0]
	    else:
	        data = b"".join(p[i:i + 65536] for i in range(
	            0, len(parts[0]), 65536) for p in parts)
	    out[name] = out.get(name, b"") + data
	for name, data in out.items():
	    open("want-" + name, "wb").write(data)
	END
for name in root striped a-tail; do
	"$volumes" --raw "vg--0-${name/-/--}" vda=pv1 vdb=pv2 >raw
	cmp raw "want-$name" || fail "LVM: $name has other bytes"
done
"$volumes" vdb=pv2 >found
reason vg--0-root "on none of the disks"
note "GPT, MBR, LUKS and LVM: as expected"
