#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# ilk beside its peers on this machine: bench.sh [--quick] [--only SECTION,...] [--publish]. Builds, fetches the model, sets the peers
# up in a virtual environment of their own, then runs bench/compare.py; the figures end in build/bench.md.
#   ILK_BENCH_VENV=DIR   an environment that is there already (with torch in it, sentence-transformers is measured too)
#   ILK_BENCH_TORCH=1    also install sentence-transformers (some gigabytes)
set -eu
cd "$(dirname "$0")/.."
venv=${ILK_BENCH_VENV:-$PWD/.cache/bench-venv}
peers="numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 openvino==2026.4.1 tokenizers==0.23.3 faiss-cpu==1.15.1"
torch="torch==2.15.0 transformers==5.24.0 sentence-transformers==6.2.0"

cmake --preset release -DILK_BENCH=ON >/dev/null
cmake --build build
model=${ILK_TEST_MINILM:-$(tools/get_minilm.sh)}

if [ -z "${ILK_BENCH_VENV:-}" ]; then
    [ -z "${ILK_BENCH_TORCH:-}" ] || peers="$peers $torch"
    if [ "$(cat "$venv/installed" 2>/dev/null)" != "$peers" ]; then
        echo "Setting the peers up in .cache/bench-venv …" >&2
        python3 -m venv "$venv"
        # shellcheck disable=SC2086
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check $peers >&2
        echo "$peers" >"$venv/installed"
    fi
fi
exec python3 bench/compare.py --build build --model "$model" --venv "$venv" --cache .cache/bench "$@"
