#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What libilk shows to the linker: symbols.sh LIBILK_SO LIBILK_A ILK_H SONAME
#  - the shared library defines what ilk.h declares with ILK_API and nothing else;
#  - it carries a versioned soname and needs libc, libm, SQLite, PCRE2 and zlib at most;
#  - every external of the static library begins with ilk_ or ilki_.
set -eu
so=$1 archive=$2 header=$3 soname=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

tell() {
    echo "FAILED: $1"
    failed=1
}

nm -D --defined-only "$so" | awk '{ sub(/@.*/, "", $3); print $3 }' | sort -u >"$work/exported"
# a declaration may go over several lines: join them, then take the name before the parenthesis
sed -e 's|/\*.*\*/||' "$header" | tr '\n' ' ' | grep -o 'ILK_API [^;(]*(' |
    sed -e 's/($//' -e 's/.*[ *]//' | grep '^ilk_' | sort -u >"$work/declared"
[ "$(wc -l <"$work/declared")" -gt 50 ] || tell "read only $(wc -l <"$work/declared") declarations in $header"

for name in $(comm -23 "$work/exported" "$work/declared"); do
    tell "exported, but not declared in ilk.h: $name"
done
for name in $(comm -13 "$work/exported" "$work/declared"); do
    tell "declared in ilk.h, but not exported: $name"
done

for name in $(nm -D --undefined-only "$so" | awk '$2 ~ /^ilki?_/ { print $2 }'); do
    tell "used, but not defined: $name"
done

readelf -d "$so" >"$work/dynamic"
got=$(sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p' "$work/dynamic")
[ "$got" = "$soname" ] || tell "soname: got '$got', want '$soname'"
for lib in $(sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' "$work/dynamic"); do
    case $lib in
    libc.so.*|libm.so.*|libpthread.so.*|libsqlite3.so.*|libz.so.*|libpcre2-8.so.*|ld-linux*.so.*) ;;
    *) tell "needs $lib" ;;
    esac
done

nm -g --defined-only "$archive" 2>/dev/null | awk 'NF == 3 { print $3 }' | sort -u >"$work/externals"
[ "$(wc -l <"$work/externals")" -gt 100 ] || tell "only $(wc -l <"$work/externals") externals in $archive"
for name in $(grep -v -E '^ilki?_' "$work/externals" || true); do
    tell "external of libilk.a without the prefix: $name"
done
echo "$(wc -l <"$work/exported") exported, $(wc -l <"$work/externals") externals"
exit $failed
