#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# ilk beside its peers on this machine: bench.sh [--prepare] [--quick] [--only SECTION,...] [--publish]. Builds, fetches the
# model, sets the peers up in a virtual environment of their own, then runs bench/compare.py; figures end in build/bench.md.
#   ILK_BENCH_VENV=DIR    an environment that is there already; nothing is installed, what it lacks is not measured
#   ILK_BENCH_CACHE=DIR   what is made once and kept (default: .cache/bench)
set -eu
cd "$(dirname "$0")/.."
venv=${ILK_BENCH_VENV:-$PWD/.cache/bench-venv}
cache=${ILK_BENCH_CACHE:-$PWD/.cache/bench}
llama=0.3.36
peers="numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 openvino==2026.4.1 nncf==3.4.0 tokenizers==0.23.3 faiss-cpu==1.15.1
    torch==2.15.0 transformers==5.24.0 sentence-transformers==6.2.0 pillow==13.0.0"

cmake --preset release -DILK_BENCH=ON >/dev/null
cmake --build build
model=${ILK_TEST_MINILM:-$(tools/get_minilm.sh)}

if [ -z "${ILK_BENCH_VENV:-}" ] && [ "$(cat "$venv/installed" 2>/dev/null)" != "$peers" ]; then
    echo "Setting the peers up in .cache/bench-venv …" >&2
    python3 -m venv "$venv"
    # shellcheck disable=SC2086
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check $peers >&2
    echo "$peers" >"$venv/installed"
fi

# llama.cpp as its Python package vendors it: the converter needs the source, which is made once and kept; the library is
# compiled for this machine into the environment, and anew where that was made anew. Where either fails, its rows are missing
# and the rest goes on.
pip="$venv/bin/python -m pip --disable-pip-version-check --quiet"
if [ ! -e "$cache/llama.cpp" ] && [ ! -e "$cache/llama-failed" ]; then
    echo "Unpacking llama.cpp (llama-cpp-python $llama) …" >&2
    mkdir -p "$cache"
    source=$(mktemp -d "$cache/llama-XXXXXX")
    if $pip download --no-deps --no-binary llama-cpp-python -d "$source" "llama-cpp-python==$llama" >&2 &&
        tar xzf "$source"/llama_cpp_python-*.tar.gz -C "$source"; then
        mv "$source"/llama_cpp_python-*/vendor/llama.cpp "$cache/llama.cpp"
    else
        echo "llama.cpp cannot be fetched here and is left out; remove $cache/llama-failed to try again." >&2
        : >"$cache/llama-failed"
    fi
    rm -rf "$source"
fi
if [ -z "${ILK_BENCH_VENV:-}" ] && [ -e "$cache/llama.cpp" ]; then
    case $(cat "$venv/llama" 2>/dev/null) in
    "$llama" | "$llama failed") ;;
    *)
        echo "Building llama.cpp (llama-cpp-python $llama) …" >&2
        if CMAKE_ARGS="-DGGML_NATIVE=ON -DLLAVA_BUILD=OFF" $pip install --no-binary llama-cpp-python \
            "llama-cpp-python==$llama" >&2; then
            echo "$llama" >"$venv/llama"
        else
            echo "llama.cpp cannot be built here and is left out; remove $venv/llama to try again." >&2
            echo "$llama failed" >"$venv/llama"
        fi
        ;;
    esac
fi
exec python3 bench/compare.py --build build --model "$model" --venv "$venv" --cache "$cache" "$@"
