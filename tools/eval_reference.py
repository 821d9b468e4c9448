#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What sentence-transformers and pytrec_eval say of a model on pairs and on a folder of the BEIR layout, which
tests/golden/eval.py holds ilk to.

    eval_reference.py --real MODEL_DIR --data DIR    all-MiniLM-L6-v2 on the data of ILK_TEST_DATA: reference.json
    eval_reference.py --tiny                         tests/fixtures/bert-mean on texts made here: tiny.json, tiny/
Both lie in tests/fixtures/eval. Needs sentence-transformers and pytrec_eval (pip install sentence-transformers pytrec-eval-terrier).

STS: EmbeddingSimilarityEvaluator on stsb-*-test.csv, and Spearman's figure of the cosine by the same model in double,
rounded to ten digits ("exact_spearman_cosine"): pairs of one text twice (a tokenizer that knows few of the words) have one
cosine then, which in f32 noise orders. Cranfield: every query against every document by cosine, the first
hundred of each as a run through pytrec_eval; and InformationRetrievalEvaluator, whose relevance is a set, so that its
figures are of judgements with every grade above 0 made 1 ("binary").
"""
import argparse
import copy
import csv
import json
import pathlib
import random

import numpy as np
import pytrec_eval
import sentence_transformers
import torch
from scipy.stats import spearmanr
from sentence_transformers import SentenceTransformer, util
from sentence_transformers.sentence_transformer.evaluation import EmbeddingSimilarityEvaluator, InformationRetrievalEvaluator

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / "tests" / "fixtures" / "eval"
LANGUAGES = ["en", "de", "es", "zh"]
DEPTH = 100


def sts(model, files):
    out = {}
    for path in files:
        with open(path, encoding="utf-8", newline="") as f:
            rows = list(csv.reader(f))
        evaluator = EmbeddingSimilarityEvaluator([r[0] for r in rows], [r[1] for r in rows], [float(r[2]) for r in rows],
                                                 similarity_fn_names=["cosine", "dot", "euclidean", "manhattan"])
        got = evaluator(model)
        out[path.name] = {k: float(v) for k, v in got.items() if k.split("_")[0] in ("pearson", "spearman") and "max" not in k}
        out[path.name]["pairs"] = len(rows)
    double = copy.deepcopy(model).double()
    for path in files:
        with open(path, encoding="utf-8", newline="") as f:
            rows = list(csv.reader(f))
        a, b = (double.encode([r[i] for r in rows], batch_size=8) for i in (0, 1))
        assert a.dtype == np.float64
        cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
        out[path.name]["exact_spearman_cosine"] = float(spearmanr(np.round(cosine, 10), [float(r[2]) for r in rows]).statistic)
    return out


def jsonl(path):
    with open(path, encoding="utf-8") as f:
        return [json.loads(line) for line in f if line.strip()]


def retrieval(model, folder):
    corpus = {d["_id"]: (d.get("title", "") + " " + d["text"]).strip() for d in jsonl(folder / "corpus.jsonl")}
    queries = {q["_id"]: q["text"] for q in jsonl(folder / "queries.jsonl")}
    qrels = {}
    with open(folder / "qrels" / "test.tsv", encoding="utf-8") as f:
        for row in list(csv.reader(f, delimiter="\t"))[1:]:
            qrels.setdefault(row[0], {})[row[1]] = int(row[2])
    ids, texts = list(corpus), list(corpus.values())
    documents = model.encode_document(texts, convert_to_tensor=True)
    asked = model.encode_query([queries[q] for q in qrels], convert_to_tensor=True)
    run = {}
    for query, hits in zip(qrels, util.semantic_search(asked, documents, top_k=DEPTH)):
        run[query] = {ids[h["corpus_id"]]: float(h["score"]) for h in hits}
    measures = {"ndcg_cut.1,5,10,100", "recall.1,5,10,100", "recip_rank", "map"}
    per_query = pytrec_eval.RelevanceEvaluator(qrels, measures).evaluate(run)
    names = {"recip_rank": "mrr", "map": "map"}
    names |= {f"ndcg_cut_{k}": f"ndcg@{k}" for k in (1, 5, 10, 100)} | {f"recall_{k}": f"recall@{k}" for k in (1, 5, 10, 100)}
    trec = {mine: sum(q[theirs] for q in per_query.values()) / len(per_query) for theirs, mine in names.items()}
    relevant = {q: {d for d, grade in of.items() if grade > 0} for q, of in qrels.items()}
    evaluator = InformationRetrievalEvaluator(queries, corpus, relevant, mrr_at_k=[10], ndcg_at_k=[10], map_at_k=[100],
                                              accuracy_at_k=[1], precision_recall_at_k=[1, 5, 10, 100],
                                              score_functions={"cosine": util.cos_sim})
    got = evaluator(model)
    binary = {k.removeprefix("cosine_"): float(v) for k, v in got.items()}
    binary = {k: v for k, v in binary.items() if k.split("@")[0] in ("ndcg", "mrr", "map", "recall")}
    return {"queries": len(per_query), "documents": len(corpus), "pytrec_eval": trec, "binary": binary}


def make_tiny(folder):
    """Texts of the words that the tiny checkpoint knows; no text twice, so that no score is a tie."""
    rng = random.Random(4)
    words = "the red planet is what mars venus cat and night deep learning saturn a in of".split()
    text = lambda low, high: " ".join(rng.choice(words) for _ in range(rng.randint(low, high)))
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    with open(folder / "corpus.jsonl", "w", encoding="utf-8") as f:
        for i in range(60):
            doc = {"_id": f"d{i}", "title": text(1, 3) if i % 3 else "", "text": text(4, 20)}
            f.write(json.dumps(doc) + "\n")
    with open(folder / "queries.jsonl", "w", encoding="utf-8") as f:
        for i in range(12):
            f.write(json.dumps({"_id": f"q{i}", "text": text(2, 6)}) + "\n")
    with open(folder / "qrels" / "test.tsv", "w", encoding="utf-8") as f:
        f.write("query-id\tcorpus-id\tscore\n")
        for i in range(10):
            for d in rng.sample(range(60), 8):
                f.write(f"q{i}\td{d}\t{rng.choice([0, 1, 1, 2, 3])}\n")
    with open(folder / "pairs.csv", "w", encoding="utf-8", newline="") as f:
        csv.writer(f).writerows([text(2, 9), text(2, 9), round(rng.uniform(0, 5), 1)] for _ in range(50))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--real")
    parser.add_argument("--data", type=pathlib.Path)
    parser.add_argument("--tiny", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    result = {"sentence_transformers": sentence_transformers.__version__, "torch": torch.__version__}
    if args.tiny:
        make_tiny(OUT / "tiny")
        files, folder, to = [OUT / "tiny" / "pairs.csv"], OUT / "tiny", OUT / "tiny.json"
        result["model"] = "bert-mean"
    else:
        files = [args.data / "data" / "stsb" / f"stsb-{language}-test.csv" for language in LANGUAGES]
        folder, to = args.data / "data" / "cranfield", OUT / "reference.json"
        result["model"] = "all-MiniLM-L6-v2"
    model = SentenceTransformer(str(ROOT / "tests" / "fixtures" / "bert-mean") if args.tiny else args.real, device="cpu")
    result |= {"sts": sts(model, files), "retrieval": retrieval(model, folder)}
    to.write_text(json.dumps(result, indent=1, sort_keys=True) + "\n")


main()
