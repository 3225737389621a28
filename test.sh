#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Install what is needed (Debian), build in ./build, run every test.
# The mount tests need root; without it they are skipped.
set -eu
cd "$(dirname "$0")"
# shellcheck source=dist/setup.sh
. dist/setup.sh

install_packages
build_tree build
trap 'give_back build' EXIT
make -C build --no-print-directory -j"$(nproc)" check
