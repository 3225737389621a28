# SPDX-License-Identifier: GPL-3.0-or-later
# Sourced after lib.sh by tests that make images of LUKS and LVM2. All is done
# by their own tools, without the kernel's device-mapper.

# luks_encrypt IMAGE KEYFILE SECTOR [KDF-OPTION...]: what the image holds, in
# place: LUKS2. Its last 16 MiB go, and 8 MiB of them stay behind the data.
luks_encrypt() {
	cryptsetup reencrypt -q --encrypt --type luks2 --sector-size "$3" \
		--reduce-device-size 16M --force-offline-reencrypt \
		--disable-locks --key-file "$2" "${@:4}" "$1" \
		>"$tmp/out" 2>"$tmp/err" ||
		skip "cryptsetup cannot encrypt a file here"
}

# To LUKS1; of sectors of 512 bytes, and --pbkdf pbkdf2.
luks_to_luks1() {
	cryptsetup convert -q --type luks1 --disable-locks "$1" \
		>"$tmp/out" 2>"$tmp/err" || fail "cryptsetup convert $1"
}

# lv VERB ARG...: an LVM command that sees nothing but the devices in $pvs.
pvs=()
lv() {
	lvm "$1" --driverloaded n --config "devices { use_devicesfile=0
		filter=[ $(printf '"a|^%s$|", ' "${pvs[@]}")\"r|.*|\" ] }
		backup { backup=0 archive=0 }" "${@:2}" 2>"$tmp/err"
}
