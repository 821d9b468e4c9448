#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Vectors to search, and those who search them beside ilk: peer_search.py vectors DIR | numpy DIR | faiss DIR"""
import json
import os
import sys
import time

import numpy as np

DIM = 384


def make_vectors(folder, n=100000, n_queries=256):
    """A mixture of 200 centres in a 64-dimensional subspace and noise, unit length; queries from the same mixture."""
    r = np.random.default_rng(7)
    centres, basis = r.standard_normal((200, 64)), r.standard_normal((64, DIM)) / 8
    x = centres[r.integers(0, 200, n + n_queries)] + 0.7 * r.standard_normal((n + n_queries, 64))
    x = (x @ basis + 0.5 * r.standard_normal((n + n_queries, DIM))).astype(np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    x[:n].tofile(os.path.join(folder, "base.f32"))
    x[n:].tofile(os.path.join(folder, "queries.f32"))
    np.argpartition(-(x[n:] @ x[:n].T), 10, 1)[:, :10].astype(np.int32).tofile(os.path.join(folder, "exact.i32"))


def load_vectors(folder):
    return (np.fromfile(os.path.join(folder, f), np.float32).reshape(-1, DIM) for f in ("base.f32", "queries.f32"))


def best_qps(search, queries, batch, seconds=2.0):
    best, begin = 0.0, time.perf_counter()
    while time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        for at in range(0, len(queries), batch):
            search(queries[at:at + batch])
            if batch == 1 and at >= 31:
                break
        done = min(len(queries), at + batch)
        best = max(best, done / (time.perf_counter() - start))
    return best


def search_numpy(folder):
    base, queries = load_vectors(folder)

    def search(q):
        scores = q @ base.T
        top = np.argpartition(-scores, 10, 1)[:, :10]
        return np.take_along_axis(top, np.argsort(-np.take_along_axis(scores, top, 1), 1), 1)

    print(json.dumps({"one": best_qps(search, queries, 1), "batch": best_qps(search, queries, 256)}), flush=True)


def search_faiss(folder):
    import faiss
    base, queries = load_vectors(folder)
    index = faiss.IndexFlatIP(DIM)
    index.add(base)
    print(json.dumps({"one": best_qps(lambda q: index.search(q, 10), queries, 1),
                      "batch": best_qps(lambda q: index.search(q, 10), queries, 256)}), flush=True)


if __name__ == "__main__":
    {"vectors": make_vectors, "numpy": search_numpy, "faiss": search_faiss}[sys.argv[1]](sys.argv[2])
