#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`ilk eval` against the figures of sentence-transformers and pytrec_eval that tools/eval_reference.py wrote, to four digits.

    eval.py ILK [--real]
Without --real: the tiny checkpoint of tests/fixtures. With it: all-MiniLM-L6-v2 (ILK_TEST_MINILM) on the data of
ILK_TEST_DATA; exit 77 where one of them is not here. Judgements are also made binary, as the reference's evaluator has them.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "fixtures"
BOUND = 5e-5
failed = 0


def run(ilk, *args):
    r = subprocess.run([ilk, "eval", *map(str, args), "--json"], stdout=subprocess.PIPE, check=False)
    if r.returncode:
        sys.exit(f"FAILED: ilk eval {' '.join(map(str, args))}: exit {r.returncode}")
    return json.loads(r.stdout)


def compare(what, got, want):
    """Every figure within BOUND. Spearman's of the cosine is held to the reference in double, where pairs of one text twice are
    ties, as they are for ilk; the reference's f32 figure, which its own batch size moves in the fourth digit, to twice that."""
    global failed
    for key, value in want.items():
        name, bound = (key.removeprefix("exact_"), BOUND) if key != "spearman_cosine" else (key, 2 * BOUND)
        if name not in got or abs(got[name] - value) > bound:
            failed += 1
            print(f"FAILED: {what}: {key}: got {got.get(name)}, want {value}")
    print(f"{what}: {len(want)} figures, ndcg@10 or spearman {got.get('ndcg@10', got.get('spearman_cosine')):.4f}")


def binary_copy(folder, to):
    (to / "qrels").mkdir()
    for name in ("corpus.jsonl", "queries.jsonl"):
        shutil.copy(folder / name, to / name)
    head, *rows = (folder / "qrels" / "test.tsv").read_text().splitlines()
    rows = [r.split("\t") for r in rows]
    (to / "qrels" / "test.tsv").write_text("\n".join([head] + [f"{q}\t{d}\t{int(int(g) > 0)}" for q, d, g in rows]) + "\n")


def retrieval(ilk, model, folder, want):
    with tempfile.TemporaryDirectory() as tmp:
        tmp = pathlib.Path(tmp)
        got = run(ilk, "retrieval", "-m", model, folder, "--run", tmp / "a.run")
        compare("retrieval", got, want["pytrec_eval"] | {"queries": want["queries"], "documents": want["documents"]})
        copy = tmp / "binary"
        copy.mkdir()
        binary_copy(folder, copy)
        got = run(ilk, "retrieval", "--from-run", tmp / "a.run", copy)
        got["map@100"] = got["map"]  # no query of these has more than a hundred relevant documents
        compare("retrieval, binary judgements", got, want["binary"])


def main():
    ilk, real = sys.argv[1], "--real" in sys.argv[2:]
    want = json.loads((FIXTURES / "eval" / ("reference.json" if real else "tiny.json")).read_text())
    model, pairs, folder = FIXTURES / "bert-mean", FIXTURES / "eval" / "tiny", FIXTURES / "eval" / "tiny"
    if real:
        data, model = os.environ.get("ILK_TEST_DATA"), os.environ.get("ILK_TEST_MINILM")
        for name, value, what in (("ILK_TEST_DATA", data, "with data/stsb and data/cranfield"),
                                  ("ILK_TEST_MINILM", model, "of all-MiniLM-L6-v2 (tools/get_minilm.sh prints one)")):
            if not value or not os.path.isdir(value):
                print(f"SKIPPED: {name} names no folder {what}")
                sys.exit(77)
        pairs, folder = pathlib.Path(data) / "data" / "stsb", pathlib.Path(data) / "data" / "cranfield"
    for name, figures in want["sts"].items():
        compare(name, run(ilk, "sts", "-m", model, pairs / name), figures)
    retrieval(ilk, model, folder, want["retrieval"])
    sys.exit(1 if failed else 0)


main()
