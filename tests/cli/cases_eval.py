# SPDX-License-Identifier: Apache-2.0
"""eval on tiny checkpoints: figures in every form, files that are broken. The figures themselves: golden/eval."""
import json
import os
import shutil

import harness
from harness import Place, check, equal, lacks, matches, model

TINY = os.path.join("eval", "tiny")


def tiny(p, name="tiny"):
    """A copy of the tiny folder, to be broken."""
    to = os.path.join(p.dir, name)
    shutil.copytree(os.path.join(harness.FIXTURES, TINY), to)
    return to


def append(path, text):
    with open(path, "a", encoding="utf-8") as f:
        f.write(text)


def test_retrieval_in_every_form():
    with Place() as p:
        tiny(p)
        r = p.run("eval", "retrieval", "-m", model(), "tiny", "--run", "a.run")
        equal((r.status, r.err), (0, ""), "eval retrieval")
        fields = dict(line.split("\t") for line in r.out.splitlines())
        equal((fields["queries"], fields["documents"], fields["missing"], fields["passed_over"]), ("10", "60", "0", "0"), "counts")
        j = json.loads(p.run("eval", "retrieval", "-m", model(), "tiny", "--json").out)
        for key in ("ndcg@10", "recall@1", "recall@100", "mrr", "mrr@10", "map"):
            equal("%.4f" % j[key], fields[key], key)
        lines = [s.split(" ") for s in open(os.path.join(p.dir, "a.run"), encoding="utf-8").read().splitlines()]
        equal(len(lines), 600, "lines of the run")
        equal({len(x) for x in lines}, {6}, "fields of the run")
        equal([int(x[3]) for x in lines[:60]], list(range(1, 61)), "ranks")
        scores = [float(x[4]) for x in lines[:60]]
        equal(scores, sorted(scores, reverse=True), "order")
        again = json.loads(p.run("eval", "retrieval", "--from-run", "a.run", "tiny", "--json").out)
        lacks(json.dumps(again), '"model"')
        for key in ("ndcg@10", "recall@20", "mrr", "map", "queries"):
            equal(again[key], j[key], "from its run: " + key)
        from_file = json.loads(p.run("eval", "retrieval", "--from-run", "a.run", "tiny/qrels/test.tsv", "--json").out)
        equal(from_file["map"], j["map"], "judgements alone")
        few = json.loads(p.run("eval", "retrieval", "-m", model(), "tiny", "-k", "7", "--json").out)
        equal(sorted(x for x in few if x.startswith("ndcg")), ["ndcg@1", "ndcg@10", "ndcg@5", "ndcg@7"], "cuts of -k 7")
        equal(few["ndcg@5"], j["ndcg@5"], "the first five")
        check(few["recall@10"] == few["recall@7"] <= j["recall@10"], "nothing behind the seventh")
        one = p.run("eval", "retrieval", "-m", model(), "tiny", "--per-query", ILK_THREADS="1")
        per = [s.split("\t") for s in one.out.splitlines() if s.startswith("query\t")]
        equal(len(per), 10, "queries")
        check(abs(sum(float(x[7]) for x in per) / 10 - j["map"]) < 1e-6, "the mean of the queries is the mean")
        equal(dict(s.split("\t") for s in one.out.splitlines() if not s.startswith("query\t"))["map"], fields["map"],
              "one thread")
        listed = json.loads(p.run("eval", "retrieval", "-m", model(), "tiny", "--per-query", "--json").out)
        equal(len(listed["per_query"]), 10, "queries of the document")


def test_reranker():
    with Place() as p:
        tiny(p)
        cross = model("bert-rerank")
        args = ("eval", "retrieval", "-m", model(), "tiny", "--rerank", cross, "--top", "5")
        r = p.run(*args, "--run", "b.run")
        equal((r.status, r.err), (0, ""), "rerank")
        lines = [s.split(" ") for s in open(os.path.join(p.dir, "b.run"), encoding="utf-8").read().splitlines()]
        equal(len(lines), 50, "the five best of ten queries")
        p.run("eval", "retrieval", "-m", model(), "tiny", "-k", "5", "--run", "a.run")
        first = [s.split(" ") for s in open(os.path.join(p.dir, "a.run"), encoding="utf-8").read().splitlines()]
        equal(sorted((x[0], x[2]) for x in lines), sorted((x[0], x[2]) for x in first), "the same documents")
        docs = {d["_id"]: (d["title"] + " " + d["text"]).strip()
                for d in map(json.loads, open(os.path.join(p.dir, "tiny", "corpus.jsonl"), encoding="utf-8"))}
        query = json.loads(open(os.path.join(p.dir, "tiny", "queries.jsonl"), encoding="utf-8").readline())
        mine = [x for x in lines if x[0] == query["_id"]]
        got = p.run("rerank", "-m", cross, "--raw-scores", query["text"], input="\n".join(docs[x[2]] for x in mine))
        scores = {g["id"]: g["score"] for g in map(json.loads, got.out.splitlines())}
        for i, x in enumerate(mine):
            equal(float(x[4]), scores[i + 1], "the score that ilk rerank gives")
        r = p.run("eval", "retrieval", "-m", model(), "tiny", "--rerank", model())
        equal(r.status, 2, "an encoder as a reranker")
        matches(r.err, "expected a reranker")


def test_junk_lines_are_named():
    with Place() as p:
        folder = tiny(p)
        want = json.loads(p.run("eval", "retrieval", "-m", model(), "tiny", "--json").out)
        append(os.path.join(folder, "corpus.jsonl"),
               'no json\n{"_id": 3}\n{"text": "x"}\n["a"]\n{"_id": "d1", "text": "twice"}\n{"_id": "x", "text": "' +
               "a" * (33 << 20) + '"}\n')
        append(os.path.join(folder, "queries.jsonl"), '{"_id": "q1", "text": "twice"}\n{"_id"\n')
        append(os.path.join(folder, "qrels", "test.tsv"), "q1\td1\tfour\nq77\td1\t1\nq1\tnowhere\t0\n")
        r = p.run("eval", "retrieval", "-m", model(), "tiny", "--json")
        equal(r.status, 0, "status")
        for what in ("corpus.jsonl:61: expected a JSON object", 'corpus.jsonl:62: expected a string "text"',
                     'corpus.jsonl:63: expected a string "_id" of 1 to 4096 bytes', "corpus.jsonl:65: document d1 is there already",
                     "corpus.jsonl:66: a line of more than 32 MiB", "queries.jsonl:13: query q1 is there already",
                     "queries.jsonl:14: expected a JSON object", 'test.tsv:82: expected a whole number as the grade, found "four"',
                     "queries.jsonl: 1 of 11 judged queries are not there",
                     "1 judged documents are not in the corpus, nowhere among them"):
            matches(r.err, what)
        got = json.loads(r.out)
        equal(got["passed_over"], 9, "junk")
        equal(got["missing"], 1, "q77")
        equal(got["map"], want["map"], "the rest is measured as before")
        complete = json.loads(p.run("eval", "retrieval", "-m", model(), "tiny", "--json", "--complete").out)
        check(abs(complete["map"] - want["map"] * 10 / 11) < 1e-9, "--complete")
        r = p.run("eval", "retrieval", "-m", model(), "tiny", "--strict")
        equal(r.status, 2, "--strict")
        matches(r.err, "test.tsv:82: ")


def test_folders_that_are_not():
    with Place() as p:
        os.mkdir(os.path.join(p.dir, "empty"))
        r = p.run("eval", "retrieval", "-m", model(), "empty")
        equal(r.status, 2, "an empty folder")
        matches(r.err, 'qrels/test.tsv: expected judgements of split "test", found none at all')
        folder = tiny(p)
        r = p.run("eval", "retrieval", "-m", model(), "tiny", "--split", "dev")
        equal(r.status, 2, "a split that is not there")
        matches(r.err, 'expected judgements of split "dev", found test')
        shutil.copy(os.path.join(folder, "qrels", "test.tsv"), os.path.join(folder, "qrels", "dev.tsv"))
        equal(p.run("eval", "retrieval", "-m", model(), "tiny", "--split", "dev").status, 0, "now it is")
        for name in ("corpus.jsonl", "queries.jsonl"):
            with open(os.path.join(folder, name), "r+b") as f:
                f.truncate(0)
            r = p.run("eval", "retrieval", "-m", model(), "tiny")
            equal(r.status, 2, name + " of no bytes")
            matches(r.err, name + ": expected")
            shutil.copy(os.path.join(harness.FIXTURES, TINY, name), folder)
        with open(os.path.join(folder, "corpus.jsonl"), "r+b") as f:
            f.truncate(1000)
        r = p.run("eval", "retrieval", "-m", model(), "tiny")
        equal(r.status, 0, "a corpus that was cut short")
        matches(r.err, "corpus.jsonl:[0-9]+: expected a JSON object")
        os.unlink(os.path.join(folder, "corpus.jsonl"))
        r = p.run("eval", "retrieval", "-m", model(), "tiny")
        equal(r.status, 2, "no corpus")
        r = p.run("eval", "retrieval", "-m", model(), "nowhere")
        equal(r.status, 2, "no folder")
        p.write("bad.run", "q1 Q0 d1 1 nan t\n")
        r = p.run("eval", "retrieval", "--from-run", "bad.run", "tiny")
        equal(r.status, 2, "a run of nothing")
        matches(r.err, r'bad.run:1: expected a finite number as the score, found "nan"')
        p.write("other.run", "x Q0 d1 1 0.5 t\n")
        r = p.run("eval", "retrieval", "--from-run", "other.run", "tiny")
        equal(r.status, 2, "a run of other queries")
        matches(r.err, "expected judged queries in the run")
        append(os.path.join(folder, "qrels", "test.tsv"), "a b\td1\t1\n")
        append(os.path.join(folder, "queries.jsonl"), '{"_id": "a b", "text": "mars"}\n')
        shutil.copy(os.path.join(harness.FIXTURES, TINY, "corpus.jsonl"), folder)
        r = p.run("eval", "retrieval", "-m", model(), "tiny", "--run", "c.run")
        equal(r.status, 2, "an id that a run cannot hold")
        matches(r.err, 'query id "a b": expected no white space')
        check(not os.path.exists(os.path.join(p.dir, "c.run")), "no half of a run")


def test_sts():
    with Place() as p:
        folder = tiny(p)
        r = p.run("eval", "sts", "-m", model(), "tiny/pairs.csv")
        equal((r.status, r.err), (0, ""), "sts")
        fields = dict(line.split("\t") for line in r.out.splitlines())
        equal(fields["pairs"], "50", "pairs")
        j = json.loads(p.run("eval", "sts", "-m", model(), "tiny/pairs.csv", "--json").out)
        for kind in ("cosine", "dot", "euclidean", "manhattan"):
            for how in ("spearman", "pearson"):
                key = "%s_%s" % (how, kind)
                equal("%.4f" % j[key], fields[key], key)
        other = json.loads(p.run("eval", "sts", "-m", model(), "tiny/pairs.csv", "--json", "--prompt", "the red planet").out)
        check(other["pearson_cosine"] != j["pearson_cosine"], "a prompt makes other vectors")
        short = json.loads(p.run("eval", "sts", "-m", model(), "tiny/pairs.csv", "--json", "--dim", "8").out)
        check(short["pearson_cosine"] != j["pearson_cosine"], "so does a cut")
        append(os.path.join(folder, "pairs.csv"), "a,b\nc,d,x\n")
        r = p.run("eval", "sts", "-m", model(), "tiny/pairs.csv", "--json")
        matches(r.err, "pairs.csv:51: expected 3 fields, found 2")
        equal(json.loads(r.out)["passed_over"], 2, "junk")
        p.write("same.tsv", "a\tb\t1\nc\td\t1\n")
        got = json.loads(p.run("eval", "sts", "-m", model(), "same.tsv", "--json").out)
        equal(got["pearson_cosine"], None, "no correlation with what is constant")
        p.write("one.tsv", "a\tb\t1\n")
        equal(p.run("eval", "sts", "-m", model(), "one.tsv").status, 2, "one pair")
        equal(p.run("eval", "sts", "-m", model(), "nowhere.csv").status, 2, "no file")


def test_usage():
    with Place() as p:
        for args, what in ((("eval", "mine", "x"), 'found "mine"'), (("eval", "sts"), "operand|expected"),
                           (("eval", "sts", "a.csv", "-k", "3"), 'of "ilk eval retrieval"'),
                           (("eval", "retrieval", "d", "--prompt", "x"), "--query-prompt"),
                           (("eval", "retrieval", "d", "--from-run", "r", "--rerank", "m"), "do not go with it"),
                           (("eval", "retrieval", "d", "--top", "3"), "--top needs --rerank")):
            r = p.run(*args)
            equal(r.status, 2, " ".join(args))
            matches(r.err, what)


def test_cancel():
    with Place() as p:
        folder = tiny(p)
        with open(os.path.join(folder, "corpus.jsonl"), "w", encoding="utf-8") as f:
            for i in range(400000):
                f.write(json.dumps({"_id": str(i), "text": "the red planet is mars and venus " * 8}) + "\n")
        running = p.start("eval", "retrieval", "-m", model(), "tiny", "--run", "a.run")
        harness.interrupted(running)
        check(not os.path.exists(os.path.join(p.dir, "a.run")), "no run")
