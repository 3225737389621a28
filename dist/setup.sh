# SPDX-License-Identifier: GPL-3.0-or-later
# Sourced by try.sh, test.sh and .ci/run from the top of the tree.
# install_packages: what dist/packages lists, and its arguments, where missing.
# build_dir: the folder to build in. It is ./build, or the tree itself where
# somebody has run ./configure there: configure refuses any other folder then.
# build_tree DIR [CONFIGURE-ARGUMENT]...: configure and make in DIR.

as_root()
{
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}

# Under sudo the tree is still its owner's: build as him.
as_owner()
{
	if [ "$(id -u)" -eq 0 ] && [ -n "${SUDO_USER:-}" ] &&
	   [ "$SUDO_USER" != root ] &&
	   runuser -u "$SUDO_USER" -- test -w . ; then
		runuser -u "$SUDO_USER" -- "$@"
	else
		"$@"
	fi
}

# What root wrote below DIR goes back to the owner of the tree.
give_back()
{
	if [ "$(id -u)" -eq 0 ] && [ -e "$1" ]; then
		chown -R --reference=. "$1"
	fi
}

is_installed()
{
	dpkg-query -W -f='${Status}\n' "$1" 2>/dev/null |
		grep -q '^install ok installed$'
}

install_packages()
{
	local missing='' package

	if ! command -v dpkg-query >/dev/null; then
		echo "This is not Debian: install what dist/packages lists." >&2
		return 0
	fi
	for package in $(grep -v '^#' dist/packages) "$@"; do
		is_installed "$package" || missing="$missing $package"
	done
	[ -n "$missing" ] || return 0
	echo "installing:$missing"
	as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
	# shellcheck disable=SC2086 # a list of names
	as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends $missing
}

build_dir()
{
	if [ -e config.status ]; then
		echo .
	else
		echo build
	fi
}

build_tree()
{
	local dir=$1

	shift
	if [ ! -x configure ] || [ configure.ac -nt configure ]; then
		as_owner autoreconf -i
	fi
	as_owner mkdir -p "$dir"
	if [ ! -e "$dir/Makefile" ]; then
		# shellcheck disable=SC2016 # expanded by the inner shell
		as_owner sh -c 'top=$PWD; cd "$0" && "$top/configure" "$@"' \
			"$dir" --quiet "$@"
	fi
	as_owner make -C "$dir" --quiet -j"$(nproc)"
}
