#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Install what is needed (Debian), build in ./build, run every test. Where
# ./configure was run in the tree itself, that build is used.
# The mount tests need root; without it they are skipped.
set -eu
cd "$(dirname "$0")"
# shellcheck source=dist/setup.sh
. dist/setup.sh

install_packages
dir=$(build_dir)
build_tree "$dir"
trap 'give_back "$dir"' EXIT
# Tests wait for disks and for others about as long as they compute.
make -C "$dir" --no-print-directory -j"$(($(nproc) * 2))" check
