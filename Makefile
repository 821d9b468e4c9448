# SPDX-License-Identifier: Apache-2.0
# A thin front of CMake. `make demo` and `make test` do all their set-up, from a bare Debian on.
.PHONY: all demo test soak bench install clean format asan

all:
	@tools/setup.sh build
	cmake --preset release >/dev/null
	cmake --build build

demo: all
	tools/demo.sh

test:
	@tools/setup.sh build test
	tools/test.sh test

soak:
	@tools/setup.sh build test
	tools/test.sh soak

asan:
	@tools/setup.sh build test
	tools/test.sh asan

bench:
	@tools/setup.sh build bench
	tools/bench.sh $(ARGS)

install: all
	cmake --install build

format:
	@tools/setup.sh format
	git ls-files "*.c" "*.h" "*.inc" | grep -v '_gen\.' | xargs clang-format -i

clean:
	rm -rf build
