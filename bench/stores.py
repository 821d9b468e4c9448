# SPDX-License-Identifier: Apache-2.0
"""Sections of compare.py: the store, exact search, the size of the program."""
import json
import os
import shutil
import subprocess
import tempfile
import time

import kit


def ingest(b, seconds):
    del seconds
    folder = tempfile.mkdtemp(dir=b.a.cache)
    try:
        text = b.capture([b.program("bench_ingest"), folder, *(["40"] if b.a.quick else ["400"])])
    finally:
        shutil.rmtree(folder)
    b.say("### Durable ingest beside a bare loop of write and fdatasync of the same bytes (goal: 0.75)\n\n```\n"
          + text.strip() + "\n```\n")


def search(b, seconds):
    begin = time.monotonic()
    folder = os.path.join(b.a.cache, "vectors")
    store = os.path.join(folder, "store")
    os.makedirs(folder, exist_ok=True)
    if not os.path.exists(os.path.join(folder, "exact.i32")):
        b.capture([b.python, b.script("peer_search.py"), "vectors", folder])
    shutil.rmtree(store, ignore_errors=True)
    systems = {"ilk": [b.program("bench_search"), folder, "384", store, str(b.a.threads)],
               "numpy": [b.python, b.script("peer_search.py"), "numpy", folder]}
    if "faiss-cpu" in b.versions:
        systems["faiss flat"] = [b.python, b.script("peer_search.py"), "faiss", folder]
    best = {}
    for _ in b.rounds(begin, seconds, least=1):
        for s, cmd in systems.items():
            b.peak()
            r = json.loads(b.capture(cmd))
            old = best.setdefault(s, r)
            best[s] = {k: max(v, old[k]) for k, v in r.items()}
    ilk = best["ilk"]
    b.say("### Exact search, 100,000 x 384, ten nearest\n\n"
          f"ilk scans int8 codes and ranks the candidates by their f32 vectors: {100 * ilk['recall']:.2f} % of the true ten "
          "are found. Its figures are those of a whole store, which also reads each hit's record; filling it took "
          f"{ilk['fill_s']:.1f} s with one sync per thousand.\n")
    b.table(["system", "queries/s, one at a time", "256 at once", "ilk is faster by, one", "256"],
            [[s, f"{r['one']:,.0f}", f"{r['batch']:,.0f}", kit.ratio(ilk["one"] / r["one"]),
              kit.ratio(ilk["batch"] / r["batch"])] for s, r in best.items()])


def size(b, seconds):
    del seconds
    path = os.path.join(b.a.cache, "ilk-stripped")
    shutil.copy(b.program("ilk"), path)
    subprocess.run(["strip", path], check=True)
    b.say(f"### Size\n\nThe program, stripped: {os.path.getsize(path) / 1e6:.2f} MB (goal: under 5).\n")
