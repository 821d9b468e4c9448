#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`ilk eval zeroshot` and `ilk eval retrieval` of pictures against what tools/make_picture_evals.py wrote, to the last digit.

    picture_evals.py ILK
"""
import json
import pathlib
import subprocess
import sys

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "fixtures"
DATA = FIXTURES / "picture-eval"
failed = n_checks = 0


def run(ilk, *args):
    r = subprocess.run([ilk, "eval", *map(str, args), "--json"], stdout=subprocess.PIPE, check=False)
    if r.returncode:
        sys.exit(f"FAILED: ilk eval {' '.join(map(str, args))}: exit {r.returncode}")
    return json.loads(r.stdout)


def same(what, got, want):
    global failed, n_checks
    n_checks += 1
    if got != want and not (isinstance(want, float) and abs(got - want) < 1e-12):
        failed += 1
        print(f"FAILED: {what}: got {got}, want {want}")


def zeroshot(ilk, model, want):
    sets = {"1": ["--prompts", "1"], "80": [], "own": ["--templates", DATA / "templates.txt", "--classnames", DATA / "names.tsv"]}
    for name, args in sets.items():
        for place in ("classes", "labels.csv"):
            got = run(ilk, "zeroshot", DATA / place, "-m", FIXTURES / model, "--per-class", *args)
            what = f"{model}: zeroshot {place} {name}"
            for key in ("top1", "top5", "mean_per_class", "prompts"):
                same(f"{what}: {key}", got[key], want[name][key])
            same(f"{what}: classes", {c["class"]: [c["pictures"], c["top1"], c["top5"]] for c in got["per_class"]}, want[name]["classes"])
            same(f"{what}: junk", got["passed_over"], 0)


def captions(ilk, model, want):
    for place in (DATA, DATA / "captions.jsonl"):
        got = run(ilk, "retrieval", place, "-m", FIXTURES / model, "--by", "language")
        parts = {"all": got} | {x["language"]: x for x in got["by_language"]}
        same(f"{model}: languages", sorted(parts), sorted(want))
        for part, figures in want.items():
            for key, value in figures.items():
                same(f"{model}: captions {part}: {key}", parts[part][key], value)


def main():
    expected = json.loads((DATA / "expected.json").read_text())
    for model, want in expected.items():
        if isinstance(want, dict):
            zeroshot(sys.argv[1], model, want["zeroshot"])
            captions(sys.argv[1], model, want["captions"])
    print(f"{n_checks} figures, {failed} failed")
    sys.exit(failed > 0 or n_checks < 200)


main()
