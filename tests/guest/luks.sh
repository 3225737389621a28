#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# LUKS headers that ask for more work or memory than an honest one are refused
# at once, with what is too much; what else a header may be, opens.
. "$(dirname "$0")/../lib.sh"
requires python3 cryptsetup

volumes=$(find_program tests/guest/volumes)
[ -n "$volumes" ] || fail "tests/guest/volumes is not built"
cd "$tmp"
printf 'the right one' >key
printf 'the other one' >key2
printf 'a wrong one' >wrong

# format NAME SIZE OPTION...: a header of the tool's.
format() {
	truncate -s "$2" "$1"
	cryptsetup luksFormat -q --disable-locks --key-file key "${@:3}" "$1" \
		2>err || fail "cryptsetup luksFormat $*"
}

# look NAME PLACE=VALUE...: the reason of what is changed so, in seconds.
look() {
	cp --sparse=always "$1" changed
	[ $# = 1 ] || "$tests/guest/luks_header.py" changed "${@:2}"
	timeout 30 "$volumes" --key wrong --key key vda=changed >found 2>err ||
		fail "$*: no answer in 30 s"
}

opens() {
	look "$@"
	grep -q '^vda_crypt' found || {
		cat found >&2
		fail "not opened: $*"
	}
}

# refused WORDS NAME PLACE=VALUE...
refused() {
	look "${@:2}"
	if grep -q '^vda_crypt' found || ! grep -qF -e "$1" found; then
		cat found >&2
		fail "${*:2}: not '$1'"
	fi
}

slow=(--pbkdf pbkdf2 --pbkdf-force-iterations 1000)
format one 20M --type luks1 --pbkdf-force-iterations 1000
format two 20M --type luks2 "${slow[@]}"
format argon 20M --type luks2 --pbkdf argon2id --pbkdf-memory 32 \
	--pbkdf-parallel 1 --pbkdf-force-iterations 4
kdf=keyslots.0.kdf

# ---- too much ----

much="iterations of PBKDF2 with sha256 are too much work"
opens one
refused "key slot 0: 4294967295 $much" one 0=4294967295
refused "digest of the key: 4294967295 iterations" one digest=4294967295
opens two
refused "key slot 0: 2147483647 $much" two $kdf.iterations=4294967295
refused "key slot 0: 40000000 $much" two $kdf.iterations=40000000
refused "digest of the key: 4294967295" two digests.0.iterations=4294967295
refused "digest of the key: 4294967295" two \
	digests.0.iterations='"4294967295"'
refused "key of 2000000000 bytes is too long" two \
	keyslots.0.area.key_size=2000000000
opens argon
refused "2147483647 passes over 32 KiB is too much work" argon \
	$kdf.time=4294967295
refused "1000 passes over 1048576 KiB is too much" argon $kdf.time=1000 \
	$kdf.memory=1048576
refused "Argon2 in 4194304 KiB is too much memory" argon $kdf.memory=4194304
refused "100000 threads is too many" argon $kdf.cpus=100000

# A slot that is refused does not keep another from opening, nor from being
# named beside it.
cryptsetup luksAddKey -q --disable-locks "${slow[@]}" --key-file key \
	two key2 2>err || fail "cryptsetup luksAddKey"
cp two both
"$tests/guest/luks_header.py" both $kdf.iterations=40000000
"$volumes" --key key2 vda=both >found
grep -q '^vda_crypt' found || fail "its second slot does not open it"
"$volumes" --key key vda=both >found
grep -qF "none of the keys given opens it, and its key slot 0: 40000000" \
	found || { cat found >&2; fail "the slot that was passed over"; }

# ---- too many ----

# Each try is within bounds, all together are not. (Of a kind that no library
# has, so that each fails at once.)
sets=()
for i in 0 1; do
	sets+=("keyslots.$i.kdf.type=\"x\"" "keyslots.$i.kdf.time=7"
		"keyslots.$i.kdf.memory=2097152" "keyslots.$i.kdf.cpus=4")
done
refused "key slot 1: with the tries before, that would be too much work" \
	two "${sets[@]}"

# ---- where slots lie ----

format far 100M --type luks2 --luks2-keyslots-size 64M "${slow[@]}"
opens far
opens far keyslots.0.area.offset='"62914560"'

# ---- what would be read wrong ----

truncate -s 24M anew
cryptsetup reencrypt -q --encrypt --init-only --type luks2 "${slow[@]}" \
	--reduce-device-size 16M --disable-locks --key-file key anew \
	>out 2>err || fail "cryptsetup reencrypt --init-only"
refused "it was being encrypted anew" anew
refused "a feature that is not known" two \
	config.requirements='{"mandatory":["something-new"]}'
refused "checksums among its data (hmac(sha256))" two segments.0.integrity='{
	"type":"hmac(sha256)","journal_encryption":"none",
	"journal_integrity":"none"}'
note "what is too much is refused, the rest opens"
