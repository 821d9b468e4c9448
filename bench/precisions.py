#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What each precision makes of a model's vectors, beside f32.

usage: precisions.py ILK MODEL SENTENCES [--precisions bf16,int8,int8w] [--most 2000] [--cpu LIST] [--also NAME=FILE.npy]
       precisions.py --list SENTENCES

SENTENCES: a CSV file of STS-B (first two columns), or one text a line. Prints a row of a table per precision: mean, 5th
percentile and least cosine to f32, and the share of each text's ten nearest that stay its ten nearest. --also, which may be
repeated: another system's vectors of the same texts.
"""
import argparse
import csv
import subprocess
import sys
import tempfile

import numpy as np


def sentences(path, most):
    if path.endswith(".csv"):
        with open(path, newline="", encoding="utf-8") as f:
            texts = [t for row in csv.reader(f) for t in row[:2]]
    else:
        with open(path, encoding="utf-8") as f:
            texts = [line.rstrip("\n") for line in f]
    texts = list(dict.fromkeys(t.replace("\n", " ") for t in texts if t.strip()))
    return texts[:most]


def embed(ilk, model, precision, texts, cpu):
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as f, \
            tempfile.NamedTemporaryFile(suffix=".npy") as out:
        f.write("\n".join(texts) + "\n")
        f.flush()
        command = [ilk, "embed", "-q", "-m", model, "--precision", precision, "--format", "npy", "-o", out.name,
                   f.name]
        subprocess.run(command + (["--cpu", cpu] if cpu else []), check=True)
        v = np.load(out.name).astype(np.float64)
    if len(v) != len(texts):
        sys.exit("%s: expected %d vectors, found %d" % (precision, len(texts), len(v)))
    return v / np.linalg.norm(v, axis=1, keepdims=True)


def nearest(v):
    s = v @ v.T
    np.fill_diagonal(s, -2)
    return np.argpartition(-s, 10, axis=1)[:, :10]


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "--list":
        print("\n".join(sentences(sys.argv[2], None)))
        return
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("ilk")
    p.add_argument("model")
    p.add_argument("sentences")
    p.add_argument("--precisions", default="bf16,int8,int8w")
    p.add_argument("--most", type=int, default=2000)
    p.add_argument("--cpu")
    p.add_argument("--also", action="append", default=[])
    a = p.parse_args()
    texts = sentences(a.sentences, a.most)
    truth = embed(a.ilk, a.model, "f32", texts, a.cpu)
    near = nearest(truth)
    print("| precision | mean cosine | 5th percentile | least | ten nearest kept |")
    print("|---|---|---|---|---|")
    for precision in a.precisions.split(","):
        row(precision, truth, near, embed(a.ilk, a.model, precision, texts, a.cpu))
    for name, path in (x.split("=", 1) for x in a.also):
        v = np.load(path).astype(np.float64)
        row(name, truth, near, v / np.linalg.norm(v, axis=1, keepdims=True))


def row(name, truth, near, v):
    broken = ~np.isfinite(v).all(axis=1)
    if broken.any():  # whose neighbours are no neighbours
        print("| %s | %d of %d vectors are not finite |" % (name, broken.sum(), len(v)), flush=True)
        return
    cosine = np.sort((truth * v).sum(axis=1))
    kept = sum(len(set(x) & set(y)) for x, y in zip(near, nearest(v))) / near.size
    print("| %s | %.5f | %.5f | %.5f | %.4f |" % (name, cosine.mean(), cosine[len(cosine) // 20], cosine[0], kept), flush=True)


if __name__ == "__main__":
    main()
