#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds and runs the tests: test.sh test|soak|asan|tsan. The last lines are CTest's own summary.
set -eu
cd "$(dirname "$0")/.."
jobs=$(nproc 2>/dev/null || echo 2)
ILK_TEST_MINILM=${ILK_TEST_MINILM:-$(tools/get_minilm.sh || true)}
export ILK_TEST_MINILM

case ${1:-test} in
test)
    cmake --preset test -B build/test >/dev/null
    cmake --build build/test
    exec ctest --test-dir build/test -j "$jobs" --output-on-failure --no-tests=error -LE soak
    ;;
soak)
    # what takes longer: everything under the thread sanitizer, then all tests and the long ones
    "$0" tsan
    cmake --preset test -B build/test >/dev/null
    cmake --build build/test
    exec ctest --test-dir build/test -j "$jobs" --output-on-failure --no-tests=error
    ;;
asan | tsan)
    cmake --preset "$1" -B "build/$1" >/dev/null
    cmake --build "build/$1"
    exec ctest --test-dir "build/$1" -j "$jobs" --output-on-failure --no-tests=error -LE soak
    ;;
*)
    echo "test.sh: unknown suite '$1': test, soak, asan or tsan" >&2
    exit 2
    ;;
esac
