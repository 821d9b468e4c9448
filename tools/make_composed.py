#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes what questions of several terms are as one vector, from the reference's vectors of the terms.

    make_composed.py tests/fixtures

Reads text.embedded.N and vision.embedded.N of the folders that make_clip_goldens.py made (transformers' figures) and writes
composed/composed.json: for each question its folder, its terms (N of text or picture, with a weight) and NumPy's normalised
weighted sum of the terms' unit vectors, in float64.
"""
import json
import pathlib
import sys

try:
    import numpy
    import safetensors.numpy
except ImportError as e:
    print(f"SKIPPED: the reference is not installed ({e})")
    sys.exit(77)

FOLDERS = ["clip-quick", "siglip-left", "chinese-clip", "openclip-quick"]
QUESTIONS = [
    [("text", 0, 1)],
    [("image", 1, 1)],
    [("text", 0, 1), ("image", 0, 1)],
    [("text", 0, 1), ("image", 1, 0.25), ("text", 3, -0.5)],
    [("image", 0, 2), ("image", 1, -1)],
    [("text", 3, -1)],
]


def unit(x):
    return x / numpy.linalg.norm(x)


def main():
    fixtures = pathlib.Path(sys.argv[1])
    out = []
    for folder in FOLDERS:
        golden = safetensors.numpy.load_file(fixtures / folder / "towers.safetensors")
        for terms in QUESTIONS:
            total = 0
            for kind, n, weight in terms:
                name = ("text" if kind == "text" else "vision") + f".embedded.{n}"
                total = total + weight * unit(golden[name].astype(numpy.float64))
            out.append({"folder": folder, "terms": [{kind: n, "weight": w} for kind, n, w in terms],
                        "vector": [float(f"{x:.9g}") for x in unit(total)]})
    path = fixtures / "composed" / "composed.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text("[\n" + ",\n".join(json.dumps(q) for q in out) + "\n]\n")


if __name__ == "__main__":
    main()
