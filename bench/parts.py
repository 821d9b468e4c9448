# SPDX-License-Identifier: Apache-2.0
"""Sections of compare.py about what a pass is made of: products beside oneDNN, the stages of a pass and their peaks."""
import json
import os
import statistics
import subprocess
import time

import kit


def products(b, threads, seconds):
    """(m, k, n): the rates of ilk and of oneDNN, three pairs. OpenMP, oneDNN's, gets its threads from the environment."""
    r = subprocess.run([b.program("bench_onednn"), str(threads), str(seconds)], env=dict(b.env, OMP_NUM_THREADS=str(threads)),
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if r.returncode != 0:
        raise kit.Failed(r.stderr)
    found = {}
    for line in r.stdout.splitlines():
        m, k, n, *rates = line.split()
        found[int(m), int(k), int(n)] = list(map(float, rates))
    return found


def gemm(b, seconds):
    begin = time.monotonic()
    b.say("### Products alone beside oneDNN (goal: 0.9 of it at 16 and 512 rows)\n")
    if not os.path.exists(b.program("bench_onednn")):
        raise kit.Failed("oneDNN (libdnnl-dev) was not found when the benchmarks were built")
    best, n_threads = {}, sorted({1, b.a.threads})
    for _ in b.rounds(begin, seconds):
        for threads in n_threads:
            b.peak()
            for key, rates in products(b, threads, 0.02 if b.a.quick else 0.15).items():
                old = best.setdefault((threads, *key), rates)
                best[threads, *key] = [max(x, y) for x, y in zip(rates, old)]
    b.say("Billions of operations a second (a multiply-add is two), ilk / oneDNN = ratio. ilk's 8 bits give f32 with scales "
          "and zeros per row, scales per column, four exact channels and bias. Beside them stand oneDNN's bare sums, u8 by s8 "
          "into s32 and no more, and its layer: one zero for all rows, scales per column, bias, f32 out.\n")
    kinds = ("f32", "int8, bare sums", "int8, layer")
    for used in n_threads:
        rows, ratios = [], []
        for (t, m, k, n), rates in sorted(best.items(), key=lambda x: (x[0][2] * x[0][3], x[0][2], x[0][1])):
            if t != used:
                continue
            pairs = list(zip(rates[::2], rates[1::2]))
            rows.append([f"{k} to {n}", m] + [f"{ours:,.0f} / {its:,.0f} = {ours / its:.2f}" for ours, its in pairs])
            ratios.append([ours / its for ours, its in pairs])
        b.table([f"{used} thread{'s' if used > 1 else ''}", "rows", *kinds], rows)
        b.say("Ratios, least / median: " + ", ".join(
            f"{name} {min(r):.2f} / {statistics.median(r):.2f}" for name, r in zip(kinds, zip(*ratios))) + ".\n")


SHAPES = {"minilm": ["8x128", "32x32", "1x16"], "e5-small": ["8x128"], "bge-base": ["8x128"], "bge-m3": ["8x128"]}


def stages(b, seconds):
    """A table per model, shape and precision: every stage of at least one percent."""
    b.say("### Where a pass spends its time\n\nOf all threads' time in the fastest of many passes (`bench_stages`, which wraps "
          "every entry of the table of arithmetic); in brackets which part of the peak of its kind of instruction a stage "
          "reaches: AMX's where the machine has it. Stages under 1 % are left out.\n")
    jobs = [(name, p) for name in SHAPES for p in ("f32", "int8")]
    each = seconds / (len(jobs) + 2 * 2)
    rows = []
    for name, precision in jobs:
        b.peak(0.05)
        cmd = [b.program("bench_stages"), precision, b.model(name), str(b.a.threads), f"{each * 0.5:.2f}", *SHAPES[name]]
        for line in b.capture(cmd).splitlines():
            r = json.loads(line)
            parts = sorted(r["stages"], key=lambda s: -s["share"])
            told = [f"{s['name']} {100 * s['share']:.0f} %" + (f" ({100 * s['of_peak']:.0f} %)" if s["of_peak"] else "")
                    for s in parts if s["share"] >= 0.01]
            rows.append([name, precision, r["shape"], f"{r['ms']:.2f}", "; ".join(told)])
    b.table(["model", "precision", "tokens", "ms", "share of time (part of the peak)"], rows)
