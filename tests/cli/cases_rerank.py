# SPDX-License-Identifier: Apache-2.0
"""rerank on tiny cross-encoders."""
import json
import math
import os

import harness
from harness import Place, check, equal, lacks, matches


def fixture(name):
    return os.path.join(harness.FIXTURES, name)


CROSS = "modernbert-rerank"
DOCS = ["the cat", "mars and venus", "", "deep learning", "what a night!"]


def records(result):
    return [json.loads(s) for s in result.out.split("\n") if s]


def test_lines_in_order_of_score():
    with Place() as p:
        r = p.run("rerank", "-m", fixture(CROSS), "what is deep", input="\n".join(DOCS))
        equal((r.status, r.err), (0, ""), "rerank")
        got = records(r)
        equal([g["rank"] for g in got], [1, 2, 3, 4, 5], "ranks")
        equal(sorted(g["id"] for g in got), [1, 2, 3, 4, 5], "ids are numbers of lines")
        scores = [g["score"] for g in got]
        equal(scores, sorted(scores, reverse=True), "order")
        equal({g["score_kind"] for g in got}, {"prob"}, "kind")
        for g in got:
            equal(g["text"], DOCS[g["id"] - 1], "text")
            equal(sorted(g), ["id", "rank", "score", "score_kind", "text"], "members")
        best = records(p.run("rerank", "-m", fixture(CROSS), "--top", "2", "what is deep", input="\n".join(DOCS)))
        equal(best, got[:2], "--top")
        raw = {g["id"]: g["score"] for g in records(
            p.run("rerank", "-m", fixture(CROSS), "--raw-scores", "what is deep", input="\n".join(DOCS)))}
        for g in got:
            check(abs(1 / (1 + math.exp(-raw[g["id"]])) - g["score"]) < 1e-6, "the sigmoid of the raw score")
        kinds = records(p.run("rerank", "-m", fixture("bert-rerank"), "what", input="a\nb\n"))
        equal({g["score_kind"] for g in kinds}, {"logit"}, "a checkpoint whose activation is the identity")
        p.write("a.txt", "the cat\n")
        p.write("b.txt", "mars and venus\ndeep learning\n")
        files = records(p.run("rerank", "-m", fixture(CROSS), "what is deep", "a.txt", "b.txt"))
        equal(sorted(g["id"] for g in files), ["a.txt:1", "b.txt:1", "b.txt:2"], "ids of several files")
        for g in files:
            same = [o["score"] for o in got if o["text"] == g["text"]]
            equal(g["score"], same[0], "a score is of its pair alone")
        whole = records(p.run("rerank", "-m", fixture(CROSS), "what is deep", "--whole", "a.txt", "b.txt"))
        equal(sorted(g["id"] for g in whole), ["a.txt", "b.txt"], "whole files")


def test_records_as_documents():
    with Place() as p:
        text = '{"id": "x", "text": ["the ", "cat"]}\nno json\n{"id": 7, "text": "deep learning"}\n'
        r = p.run("rerank", "-m", fixture(CROSS), "--records", "what is deep", input=text)
        equal(r.status, 0, "status")
        matches(r.err, "standard input:2: ")
        got = {g["id"]: g for g in records(r)}
        equal(sorted(got, key=str), [7, "x"], "ids")
        equal(got["x"]["text"], "the cat", "parts are one text")


def test_a_query_a_line():
    with Place() as p:
        line = {"query": "what is deep", "documents": ["the cat", ["mars", " and venus"], {"text": "deep learning"}]}
        bad = ["nope", json.dumps({"query": "a"}), json.dumps({"query": "a", "documents": [3]}),
               json.dumps({"query": "a", "documents": "b"})]
        r = p.run("rerank", "-m", fixture(CROSS), "--jsonl", input="\n".join([json.dumps(line)] + bad + [""]))
        equal(r.status, 0, "status")
        (got,) = records(r)
        equal(sorted(x["index"] for x in got["results"]), [0, 1, 2], "indices")
        scores = [x["score"] for x in got["results"]]
        equal(scores, sorted(scores, reverse=True), "order")
        lines = records(p.run("rerank", "-m", fixture(CROSS), "what is deep", input="the cat\nmars and venus\ndeep learning\n"))
        equal([(x["index"] + 1, x["score"]) for x in got["results"]], [(g["id"], g["score"]) for g in lines],
              "the same as from lines")
        for i in range(2, 6):
            matches(r.err, "standard input:%d: " % i)
        matches(r.err, "4 of 5 lines have no result")
        r = p.run("rerank", "-m", fixture(CROSS), "--jsonl", "--top=1", input=json.dumps(line) + "\n")
        equal(len(records(r)[0]["results"]), 1, "--top")
        equal(p.run("rerank", "-m", fixture(CROSS), "--jsonl", input="nope").status, 1, "nothing came out")
        equal(p.run("rerank", "-m", fixture(CROSS), "--jsonl", "--strict", input="nope").status, 2, "strict")
        none = p.run("rerank", "-m", fixture(CROSS), "--jsonl", input='{"query":"a","documents":[]}')
        equal((none.status, records(none)), (0, [{"results": []}]), "no documents")


def test_terminal():
    with Place() as p:
        p.write("d.txt", "the cat\ndeep \x1b[31mlearning\n")
        r = p.terminal("rerank", "-m", fixture(CROSS), "what is deep", "d.txt")
        equal(r.status, 0, "status")
        matches(r.out, r"0\.\d{4}  the cat")
        lacks(r.out, "\x1b\\[31m", "a document's own escapes")


def test_refusals():
    with Place() as p:
        equal(p.run("rerank", "-m", fixture(CROSS)).status, 2, "no query")
        equal(p.run("rerank", "-m", fixture(CROSS), "--jsonl", "--whole").status, 2, "two kinds of input")
        r = p.run("rerank", "-m", fixture("bert-mean"), "q", input="a\n")
        equal(r.status, 2, "no reranker")
        matches(r.err, "expected a reranker, found a model without a head for pairs")
        r = p.run("rerank", "-m", fixture("distilbert-labels"), "q", input="a\n")
        matches(r.err, "expected a reranker of one label, found 3 labels")
        equal(p.run("rerank", "-m", fixture(CROSS), "q", input="").status, 1, "no documents")
        equal(p.run("rerank", "-m", fixture(CROSS), "q", "absent.txt").status, 2, "nothing could be read")
        r = p.run("rerank", "-m", fixture(CROSS), "--strict", "q", input="deep learning " * 40 + "\n")
        equal(r.status, 2, "strict")
        matches(r.err, "document 0: input of .* the limit is 24")
