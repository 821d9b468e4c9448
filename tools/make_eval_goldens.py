#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tests/fixtures/eval/{qrels.tsv,random.run,measures.json}: random runs and what pytrec_eval makes of them, random
pairs of numbers and what scipy makes of them. tests/unit/trec.c and tests/unit/correlate.c compare.

    make_eval_goldens.py
Needs pytrec_eval and scipy (pip install pytrec-eval-terrier scipy).

Among the queries: ties of many kinds (equal scores, scores equal only as f32, ids that are prefixes of each other), grades
0 to 3 and below 0, no relevant document, nothing judged that was found, a run of one document, a run longer than every cut,
judged and not in the run, in the run and not judged.
"""
import json
import pathlib
import random

import pytrec_eval
from scipy import stats

OUT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "fixtures" / "eval"
CUTS = [1, 5, 10, 20, 50, 100]


def number(value):
    return repr(value)


def make_run(rng):
    qrels, run = {}, {}
    for q in range(40):
        query = f"q{q}"
        docs = [f"d{i}" for i in range(rng.choice([1, 3, 12, 40, 150]))]
        if q % 5 == 0:
            docs += ["d", "d1x", "D1", "d-1", "é1", "d01"]
        grades = {0: [0, 1], 1: [-2, -1, 0, 1, 2, 3], 2: [0], 3: [-1, 0], 4: [0, 0, 0, 0, 2, 1]}[q % 5]
        judged = rng.sample(docs, max(1, len(docs) // rng.choice([1, 2, 4])))
        qrels[query] = {d: rng.choice(grades) for d in judged} | {f"gone{i}": rng.choice(grades) for i in range(q % 3)}
        scores = {}
        for d in docs:
            kind = rng.random()
            if kind < 0.4:
                scores[d] = float(rng.randrange(4))
            elif kind < 0.7:
                scores[d] = 0.5 + rng.randrange(3) * 1e-9  # equal as f32, not as f64
            else:
                scores[d] = rng.uniform(-2, 2)
        run[query] = scores
    run["q7"] = {"nobody-judged": 1.0, "neither": 2.0}
    del run["q11"]  # judged, not in the run
    run["unjudged"] = {"d1": 1.0}
    return qrels, run


def main():
    rng = random.Random(20260)
    qrels, run = make_run(rng)
    OUT.mkdir(parents=True, exist_ok=True)
    with open(OUT / "qrels.tsv", "w", encoding="utf-8") as f:
        f.write("query-id\tcorpus-id\tscore\n")
        f.writelines(f"{q}\t{d}\t{g}\n" for q, of in qrels.items() for d, g in of.items())
    lines = [(q, d, s) for q, of in run.items() for d, s in of.items()]
    rng.shuffle(lines)
    with open(OUT / "random.run", "w", encoding="utf-8") as f:
        f.writelines(f"{q} Q0 {d} 0 {number(s)} tag\n" for q, d, s in lines)
    cuts = ",".join(map(str, CUTS))
    measures = {f"ndcg_cut.{cuts}", f"recall.{cuts}", "recip_rank", "map"}
    got = pytrec_eval.RelevanceEvaluator(qrels, measures).evaluate(run)
    x = [rng.choice([0.0, 0.5, 1.0, rng.uniform(-1, 1)]) for _ in range(60)]
    y = [round(v + rng.gauss(0, 0.5), 1) for v in x]
    golden = {"cuts": CUTS, "queries": got,
              "correlate": {"x": x, "y": y, "pearson": float(stats.pearsonr(x, y)[0]),
                            "spearman": float(stats.spearmanr(x, y)[0])}}
    (OUT / "measures.json").write_text(json.dumps(golden, indent=0, sort_keys=True) + "\n")


main()
