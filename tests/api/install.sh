#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs into a fresh prefix, moves it, and builds and runs the example from there alone, as C11 and as C++17, against
# the shared and the static library: install.sh CMAKE BUILD_DIR EXAMPLE CC CXX VERSION
set -eu
cmake=$1 build=$2 example=$3 cc=$4 cxx=$5 version=$6
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "FAILED: $1"
    exit 1
}

"$cmake" --install "$build" --prefix "$work/installed" >"$work/log" || fail "$(cat "$work/log")"
mv "$work/installed" "$work/prefix" # nothing may remember where it was put first
pc=$(find "$work/prefix" -name ilk.pc)
[ -n "$pc" ] || fail "no ilk.pc was installed"
PKG_CONFIG_PATH=$(dirname "$pc")
export PKG_CONFIG_PATH
got=$(pkg-config --modversion ilk)
[ "$got" = "$version" ] || fail "pkg-config says version $got, want $version"
[ "$(find "$work/prefix" -name '*.h' | wc -l)" = 1 ] || fail "headers: expected ilk.h alone, found $(find "$work/prefix" -name '*.h')"
lib=$(dirname "$(dirname "$pc")")
[ "$(readlink "$lib/libilk.so")" = "libilk.so.${version%%.*}" ] || fail "libilk.so does not lead to its soname"
helper=$work/prefix/libexec/ilk/ilk-media
if [ -x "$helper" ]; then
    HOME=$work "$work/prefix/bin/ilk" doctor --json | grep -q -F "\"$helper\"" || fail "the program does not find $helper"
else
    fail "no ilk-media was installed"
fi
grep -r -l -F "$build" "$work/prefix" --include='*.pc' --include='*.h' && fail "an installed file names the build directory"

cp "$example" "$work/first.c"
cd "$work"
strict="-Wall -Wextra -Wpedantic -Wshadow -Werror"
# flags are lists of words
# shellcheck disable=SC2046,SC2086
{
    $cc -std=c11 $strict first.c -o first_c $(pkg-config --cflags --libs ilk)
    $cc -std=c11 $strict first.c -o first_static $(pkg-config --cflags ilk) "$lib/libilk.a" \
        $(pkg-config --static --libs-only-l ilk | sed 's/-lilk//')
    if [ -n "$cxx" ]; then
        $cxx -x c++ -std=c++17 $strict first.c -o first_cxx $(pkg-config --cflags --libs ilk)
    fi
}
[ "$(readelf -d first_static | grep -c 'NEEDED.*libilk')" = 0 ] || fail "the static program needs the shared library"
LD_LIBRARY_PATH=$lib
export LD_LIBRARY_PATH
for program in first_c first_static first_cxx; do
    [ -x "$program" ] || continue
    ./$program "$work/store_$program" >"$program.out" || fail "$program: exit $?"
    echo "$program:"
    cat "$program.out"
    cmp first_c.out "$program.out" || fail "$program prints something else than first_c"
done
[ "$(cut -d' ' -f1,2 first_c.out | tr '\n' ' ')" = "1. brick 2. rose " ] || fail "the example found something else"
./first_c "$work/store_first_cxx" >again.out || fail "the store of another program does not open"
cmp first_c.out again.out || fail "the store of another program answers otherwise"
[ -n "$cxx" ] || echo "no C++ compiler: C++17 was not tried"
