#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs what a task needs from Debian's packages, after saying so: setup.sh build|demo|test|bench|format ...
# Nothing is done where everything is there already. On other systems it names what is missing and stops.
set -eu

packages=""
for task in "$@"; do
    case $task in
    build) packages="$packages gcc libc6-dev cmake ninja-build libsqlite3-dev zlib1g-dev libpcre2-dev
        libcurl4-openssl-dev libxml2-dev libarchive-dev poppler-utils tesseract-ocr libjpeg-dev
        libpng-dev libwebp-dev libtiff-dev libheif-dev libavif-dev dcmtk" ;;
    demo) packages="$packages python3 python3-pip ca-certificates" ;;
    test) packages="$packages g++ git pkg-config python3 python3-pip python3-venv ca-certificates qemu-user
        gcc-aarch64-linux-gnu libc6-dev-arm64-cross" ;;
    bench) packages="$packages python3 python3-venv g++ libdnnl-dev ca-certificates" ;;
    format) packages="$packages clang-format git" ;;
    *) echo "setup.sh: unknown task '$task'" >&2; exit 2 ;;
    esac
done

missing=""
if command -v dpkg-query >/dev/null 2>&1; then
    for p in $packages; do
        dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $p"
    done
else
    for tool in cc cmake ninja; do
        command -v $tool >/dev/null 2>&1 || missing="$missing $tool"
    done
    if [ -n "$missing" ]; then
        echo "Needed and not found:$missing (and the headers of SQLite 3, zlib, PCRE2 and libcurl). Please install them." >&2
        exit 1
    fi
fi
[ -n "$missing" ] || exit 0

sudo=""
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null 2>&1 || { echo "Needed:$missing. Install them as root, then run this again." >&2; exit 1; }
    sudo=sudo
fi
echo "Installing from Debian's packages:$missing" >&2
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086
if ! $sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null 2>&1; then
    $sudo apt-get update -qq
    $sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi
