#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds and runs the tests: test.sh test|soak|asan|tsan. The last lines are CTest's own summary; before it stands what was
# skipped, and what it wants.
set -eu
cd "$(dirname "$0")/.."
jobs=$(nproc 2>/dev/null || echo 2)
ILK_TEST_MINILM=${ILK_TEST_MINILM:-$(tools/get_minilm.sh || true)}
export ILK_TEST_MINILM

# run FOLDER [CTEST-FLAGS...]
run() {
    folder=$1
    shift
    {
        status=0
        ctest --test-dir "$folder" -j "$jobs" --output-on-failure --no-tests=error "$@" || status=$?
        echo "status $status"
    } | awk -v log_file="$folder/Testing/Temporary/LastTest.log" '
        BEGIN { status = 1 }
        /^status [0-9]+$/ { status = $2; next }
        /^[0-9]+% tests passed/ { summary = "\n" }
        summary { summary = summary $0 "\n"; next }
        { print; fflush() }
        END {
            while ((getline line < log_file) > 0)
                if (line ~ /^([a-z_]+: )?SKIPPED: / && !seen[line]++)
                    print line
            printf "%s", summary
            exit status
        }'
}

case ${1:-test} in
test)
    cmake --preset test -B build/test >/dev/null
    cmake --build build/test
    run build/test -LE soak
    ;;
soak)
    # what takes longer: everything under the thread sanitizer, then all tests and the long ones
    "$0" tsan
    cmake --preset test -B build/test >/dev/null
    cmake --build build/test
    run build/test
    ;;
asan | tsan)
    cmake --preset "$1" -B "build/$1" >/dev/null
    cmake --build "build/$1"
    run "build/$1" -LE soak
    ;;
*)
    echo "test.sh: unknown suite '$1': test, soak, asan or tsan" >&2
    exit 2
    ;;
esac
