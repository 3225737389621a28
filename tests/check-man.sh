#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The manual and the programs say the same: each verb of vmbackup --help has
# its subsection in vmbackup(1) and the other way round; each verb's options,
# the global ones, and those of the mount helper, likewise. And mandoc finds
# nothing to say against any page.
#
# In vmbackup(1) a verb is a subsection (.Ss backup ...) of COMMANDS, and the
# global options are those of the section OPTIONS. An option is a list item:
# .It Fl x , Fl -long Ar ARG. In mount.vmbackupfs(8) a mount option is an
# .It Cm name Ns = Ns Ar VALUE in MOUNT OPTIONS; the helper lists them below
# "Mount options:" of its --help. The helper's own options are those of the
# section DESCRIPTION.
set -eu
: "${VMBACKUP_BUILD:?the build directory}"
man=${srcdir:-.}/man
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# page_words FILE MACRO: "section word" for each word that MACRO marks in a
# list item; "section" is a subsection's first word, or the section's whole
# name with _ for spaces. With "Ss" the verbs themselves.
page_words()
{
	awk -v macro="$2" '
	function bare(s) { gsub(/"/, "", s); return s }
	/^\.S[hs] / {
		line = bare(substr($0, 5))
		if ($1 == ".Sh") {
			sh = line
			section = line
			gsub(/ /, "_", section)
		} else {
			n = split(line, w, " ")
			i = 1
			while (i < n && (w[i] ~ /^[A-Z][a-z]$/ ||
					 w[i] == "vmbackup"))
				i++
			section = w[i]
			if (macro == "Ss" && sh == "COMMANDS")
				print "COMMANDS", section
		}
	}
	/^\.It / {
		marked = 0
		for (i = 2; i <= NF; i++) {
			word = bare($i)
			if (word ~ /^[A-Z][a-z]$/) {
				marked = word == macro
			} else if (marked && word !~ /^[][,|()=]$/) {
				if (macro == "Fl")
					word = "-" word
				print section, word
			}
		}
	}' "$1" | sort -u
}

# help_options PREFIX: the options of a help text on stdin, from the line
# "Options:" on; those behind "Global options:" if PREFIX is OPTIONS.
help_options()
{
	awk -v prefix="$1" '
	/^[A-Z].*:$/ { which = $0 }
	/^ +-/ {
		if ((which == "Global options:") != (prefix == "OPTIONS"))
			next
		for (i = 1; i <= NF && $i ~ /^-/; i++) {
			word = $i
			more = sub(/,$/, "", word)
			print prefix, word
			if (!more)
				break
		}
	}'
}

# differ WHAT PROGRAM PAGE: say what one has and the other has not.
differ()
{
	comm -23 "$2" "$3" | sed "s/^/$1: not in the manual: /"
	comm -13 "$2" "$3" | sed "s/^/$1: in the manual only: /"
}

# judge PAGE: compare vmbackup(1) with what the program printed.
judge()
{
	page_words "$1" Ss >"$tmp/page-verbs"
	page_words "$1" Fl | grep -E '^[a-z]|^OPTIONS ' >"$tmp/page-options" ||
		true
	differ verb "$tmp/verbs" "$tmp/page-verbs"
	differ option "$tmp/options" "$tmp/page-options"
}

# judge_mount PAGE: the same of mount.vmbackupfs(8) and its -o options.
judge_mount()
{
	page_words "$1" Cm | sed -n 's/^MOUNT_OPTIONS //p' | sort -u \
		>"$tmp/page-mount"
	differ 'mount option' "$tmp/mount" "$tmp/page-mount"
	page_words "$1" Fl | grep '^DESCRIPTION ' >"$tmp/page-helper" || true
	differ 'option of the helper' "$tmp/helper" "$tmp/page-helper"
}

vmbackup=$VMBACKUP_BUILD/vmbackup
"$vmbackup" --help >"$tmp/help"
awk '/^[A-Z].*:$/ { verbs = $0 == "Verbs:" }
     verbs && /^  [a-z]/ { print "COMMANDS", $1 }' "$tmp/help" |
	sort -u >"$tmp/verbs"
test -s "$tmp/verbs"
{
	help_options OPTIONS <"$tmp/help"
	while read -r _ verb; do
		"$vmbackup" "$verb" --help | help_options "$verb"
	done <"$tmp/verbs"
} | sort -u >"$tmp/options"
"$VMBACKUP_BUILD/mount.vmbackupfs" --help >"$tmp/help-mount"
awk '/^[A-Z].*:$/ { which = $0 }
     which == "Mount options:" && /^  [a-z]/ { sub(/=.*/, "", $1); print $1 }' \
	"$tmp/help-mount" | sort -u >"$tmp/mount"
help_options DESCRIPTION <"$tmp/help-mount" | sort -u >"$tmp/helper"
test -s "$tmp/helper"
test -s "$tmp/mount"

# What is planted must be found.
sed '0,/^\.It Fl/s/^\.It Fl .*/.It Fl -planted/' "$man/vmbackup.1" \
	>"$tmp/planted.1"
judge "$tmp/planted.1" >"$tmp/found"
sed '0,/^\.It Fl/s/^\.It Fl .*/.It Fl -planted/
     0,/^\.It Cm/s/^\.It Cm .*/.It Cm planted/' \
	"$man/mount.vmbackupfs.8" >"$tmp/planted.8"
judge_mount "$tmp/planted.8" >"$tmp/found-mount"
if ! grep -q 'in the manual only: .*--planted' "$tmp/found" ||
   ! grep -q 'not in the manual' "$tmp/found"; then
	echo "self-test: an option planted in the manual was not found"
	exit 1
fi
if [ "$(grep -c 'in the manual only: .*planted' "$tmp/found-mount")" != 2 ] ||
   [ "$(grep -c 'not in the manual' "$tmp/found-mount")" -lt 2 ]; then
	echo "self-test: what was planted in the helper's manual was not found"
	exit 1
fi

{
	judge "$man/vmbackup.1"
	judge_mount "$man/mount.vmbackupfs.8"
	mandoc -Tlint -Wwarning "$man"/*.[1-8] || true
} >"$tmp/found"
if [ -s "$tmp/found" ]; then
	cat "$tmp/found"
	exit 1
fi
