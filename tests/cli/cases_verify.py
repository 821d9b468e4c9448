# SPDX-License-Identifier: Apache-2.0
"""verify on tiny checkpoints: golden values that cannot hold, and vectors of one's own with every cause of a difference."""
import json
import os
import shutil
import struct

from harness import Place, Skip, check, equal, lacks, matches, model

TEXTS = ["the red planet", "mars and venus", "a cat", "What is Deep Learning?", "deep learning", "what a night of saturn in the red",
         "venus", "the cat and the planet", "night", "in a planet of red and saturn what is the learning of a cat"]


def write_npy(p, name, rows, descr="<f4", dim=None):
    dim = dim or len(rows[0])
    head = "{'descr': '%s', 'fortran_order': False, 'shape': (%d, %d), }" % (descr, len(rows), dim)
    head += " " * (-(len(head) + 11) % 64) + "\n"
    form = {"<f4": "f", "<f2": "e", "<f8": "d"}[descr]
    data = b"".join(struct.pack("<%d%s" % (dim, form), *r) for r in rows)
    p.write(name, b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + data)


def embed(p, *args, texts=TEXTS, name="bert-mean"):
    r = p.run("embed", "-m", model(name), "--jsonl", *args, "--records",
              input="\n".join(json.dumps({"id": i, "text": t}) for i, t in enumerate(texts)))
    if r.status:
        r = p.run("embed", "-m", model(name), "--jsonl", *args, input="\n".join(json.dumps({"id": i, "text": t})
                                                                              for i, t in enumerate(texts)))
    equal(r.status, 0, "embed " + " ".join(args))
    return [json.loads(s)["embedding"] for s in r.out.splitlines()]


def against(p, rows, *args, name="bert-mean", descr="<f4", texts=TEXTS, status=1):
    write_npy(p, "v.npy", rows, descr)
    p.write("texts.txt", "\n".join(texts) + "\n")
    r = p.run("verify", model(name), "--texts", "texts.txt", "--against", "v.npy", "--json", *args)
    equal(r.status, status, "status (%s)" % r.err)
    return json.loads(r.out)


def unit(v):
    n = sum(x * x for x in v) ** 0.5
    return [x / n for x in v]


def test_vectors_that_agree():
    with Place() as p:
        rows = embed(p)
        for descr in ("<f4", "<f2", "<f8"):
            got = against(p, rows, descr=descr, status=0)
            check(got["agree"] and got["bad"] == 0 and got["first_bad"] is None, descr)
            check(got["least_cosine"] > 0.999999, descr)
            equal((got["texts"], got["rows"], got["cause"]), (10, 10, "none"), descr)
        p.write("v.jsonl", "\n".join(json.dumps({"id": i, "embedding": v}) for i, v in enumerate(rows)))
        p.write("t.jsonl", "\n".join(json.dumps({"text": t}) for t in TEXTS))
        r = p.run("verify", model(), "--texts", "t.jsonl", "--against", "v.jsonl")
        equal(r.status, 0, "JSON lines")
        matches(r.out, "result\tpass")
        p.write("v.jsonl", "\n".join(json.dumps(v) for v in rows))
        equal(p.run("verify", model(), "--texts", "t.jsonl", "--against", "v.jsonl").status, 0, "bare arrays")


def test_likely_causes():
    with Place() as p:
        rows = embed(p)
        got = against(p, [[3 * x for x in v] for v in rows])
        equal((got["cause"], got["explains"]), ("norm", True), "a factor")
        matches(got["explanation"], "mean length of 3, the model's vectors of 1")
        got = against(p, embed(p, "--no-normalize"))
        equal((got["cause"], got["explains"]), ("norm", True), "before Normalize")
        matches(got["explanation"], "before its module Normalize")
        got = against(p, rows[1:] + rows[:1])
        equal(got["cause"], "order", "rolled")
        matches(got["explanation"], "row i \\+ -1 belongs to text i|another order")
        got = against(p, [rows[i] for i in (3, 0, 7, 1, 9, 2, 8, 4, 6, 5)])
        equal((got["cause"], got["explains"]), ("order", True), "shuffled")
        matches(got["explanation"], "the vector of text 0 is row 1")
        got = against(p, rows[:4] + rows[5:])
        equal((got["cause"], got["first_bad"]), ("count", 4), "a row that is missing")
        matches(got["explanation"], "1 text from line 5 on has no row")
        got = against(p, rows[:2] + [rows[9]] + rows[2:])
        equal((got["cause"], got["first_bad"]), ("count", 2), "a row too many")
        got = against(p, rows[:7])
        equal((got["cause"], got["bad"]), ("count", 0), "the end is missing")
        got = against(p, [v[:16] for v in rows])
        equal((got["cause"], got["dim"], got["model_dim"]), ("dimension", 16, len(rows[0])), "a cut")
        matches(got["explanation"], "not brought to unit length")
        got = against(p, [unit(v[:16]) for v in rows])
        matches(got["explanation"], "entries, brought to unit length again")
        got = against(p, embed(p, "--prompt", "query: "))
        equal((got["cause"], got["explains"]), ("prompt", True), "a prompt")
        matches(got["explanation"], 'with the prompt "query: " before each text')
        check(got["cause_least"] > 0.99999 > got["least_cosine"], "with it they agree")
        got = against(p, embed(p), "--prompt", "search_query: ")
        equal(got["cause"], "prompt", "no prompt")
        matches(got["explanation"], "without a prompt")
        got = against(p, embed(p, "--max-tokens", "8", texts=TEXTS[:9] + [TEXTS[9] * 60]), texts=TEXTS[:9] + [TEXTS[9] * 60])
        equal(got["bad"] > 0, True, "another length")
        got = against(p, [[((i * 7919 + k * 104729) % 1000) / 500 - 1 for k in range(len(rows[0]))] for i in range(10)])
        equal((got["cause"], got["explains"]), ("unknown", False), "noise")


def test_pooling_and_length():
    with Place() as p:
        rows = embed(p)
        os.mkdir(os.path.join(p.dir, "cls"))
        shutil.copytree(model(), os.path.join(p.dir, "cls"), dirs_exist_ok=True)
        path = os.path.join(p.dir, "cls", "1_Pooling", "config.json")
        config = json.load(open(path, encoding="utf-8"))
        config = {k: v for k, v in config.items() if not k.startswith("pooling_mode")}
        config["pooling_mode"] = "cls"
        json.dump(config, open(path, "w", encoding="utf-8"))
        write_npy(p, "v.npy", rows)
        p.write("texts.txt", "\n".join(TEXTS) + "\n")
        r = p.run("verify", os.path.join(p.dir, "cls"), "--texts", "texts.txt", "--against", "v.npy")
        equal(r.status, 1, "other pooling")
        matches(r.out, "likely cause\tpooling: the rows are the model's vectors pooled by the mean of all tokens")
        matches(r.out, "first bad\trow 0 of")
        long = ["the red planet is mars and venus is a cat of saturn " * 40]
        limit = json.loads(p.run("show", model(), "--json").out)["max_tokens"]
        texts = TEXTS[:5] + long
        rows = embed(p, texts=texts)
        r = p.run("verify", model(), "--texts", "texts.txt", "--against", "v.npy", "--max-tokens", str(limit))
        write_npy(p, "v.npy", rows)
        p.write("texts.txt", "\n".join(texts) + "\n")
        r = p.run("verify", model(), "--texts", "texts.txt", "--against", "v.npy", "--max-tokens", "16", "--json")
        got = json.loads(r.out)
        equal((r.status, got["first_bad"], got["bad"]), (1, 5, 1), "only the long text differs")
        if limit in (64, 128, 256, 512):
            equal(got["cause"], "length", "length")
            matches(got["explanation"], "with texts cut at [0-9]+ tokens")


def test_files_that_are_not():
    with Place() as p:
        p.write("t.txt", "the\n")
        for name, data, what in (
                ("a.npy", b"\x93NUMPY\x01\x00", "a file cut short|expected a header|expected"),
                ("b.npy", b"", "expected a weight file"),
                ("c.npy", b"\x93NUMPY\x01\x00\x10\x00{'descr': '|O'}", "found .O|header"),
                ("d.jsonl", b"[1, 2]\n[1]\n", "d.jsonl:2: expected 2 numbers as before, found 1"),
                ("e.jsonl", b'{"x": 1}\n', "e.jsonl:1: expected an array of numbers"),
                ("f.jsonl", b"[1, null]\n", "f.jsonl:1: number 1: expected a finite number"),
                ("g.jsonl", b"nope\n", "line 1: "),
                ("h.jsonl", b"", "expected vectors, found none")):
            p.write(name, data)
            r = p.run("verify", model(), "--texts", "t.txt", "--against", name)
            equal(r.status, 2, name)
            matches(r.err, what, name)
            lacks(r.out, "result")
        write_npy(p, "nan.npy", [[float("nan")] * 4])
        r = p.run("verify", model(), "--texts", "t.txt", "--against", "nan.npy")
        equal(r.status, 2, "a NaN")
        matches(r.err, "element 0: expected a finite number")
        p.write("none.txt", "")
        write_npy(p, "v.npy", [[1.0, 0.0]])
        r = p.run("verify", model(), "--texts", "none.txt", "--against", "v.npy")
        equal(r.status, 2, "no texts")


def test_known_models():
    with Place() as p:
        r = p.run("verify", model())
        equal((r.status, r.out), (2, ""), "not known")
        matches(r.err, "no golden values are known of")
        matches(r.err, "--texts FILE --against")
        r = p.run("verify", model(), "--known", "minilm")
        equal(r.status, 1, "a tiny checkpoint is not MiniLM")
        matches(r.out, "^f32\tFAIL\tsimilarity to document 1\t.*, want 0.46")
        matches(r.out, "^f32\tFAIL\t[0-9]+ of 22 golden values of sentence-transformers/all-MiniLM-L6-v2$")
        j = json.loads(p.run("verify", model(), "--known", "minilm", "--json").out)
        equal((j["pass"], j["precisions"][0]["precision"], len(j["precisions"][0]["checks"])), (False, "f32", 22), "JSON")
        for c in j["precisions"][0]["checks"]:
            equal(c["pass"], abs(c["got"] - c["want"]) <= c["tolerance"], c["check"])
        r = p.run("verify", model("bert-rerank"), "--known", "cross-encoder/ms-marco-MiniLM-L6-v2")
        equal(r.status, 1, "a tiny reranker")
        matches(r.out, "FAIL\tscore of document 1\t.*, want -6.53")
        r = p.run("verify", model(), "--known", "cross-encoder/ms-marco-MiniLM-L6-v2")
        equal(r.status, 1, "nothing could be run")
        matches(r.out, "skipped\tscores: the model is no reranker")
        r = p.run("verify", model(), "--known", "OFA-Sys/chinese-clip-vit-base-patch16")
        equal(r.status, 1, "nothing could be compared")
        matches(r.out, "skipped\t4 values of pokemon.jpeg: the model sees no pictures|does not compare")
        clip = model("chinese-clip")
        r = p.run("verify", clip, "--known", "OFA-Sys/chinese-clip-vit-base-patch16")
        equal(r.status, 1, "no pass without the picture")
        matches(r.out, "skipped\t4 values of pokemon.jpeg: it needs OFA-Sys/Chinese-CLIP: examples/pokemon.jpeg, which does not travel")
        matches(r.out, "^f32\tnothing was compared\t0 of 0 golden values of .*, 1 skipped$")
        matches(r.err, "--pictures DIR")
        j = json.loads(p.run("verify", clip, "--known", "OFA-Sys/chinese-clip-vit-base-patch16", "--json", "--pictures", ".").out)
        equal((j["pass"], j["precisions"][0]["skipped"]), (False, 1), "JSON")
        matches(j["precisions"][0]["checks"][0]["skipped"], "no file of . is OFA-Sys/Chinese-CLIP: examples/pokemon.jpeg .SHA-256 0ad09b84")
        r = p.run("verify", model("clip-quick"), "--known", "openai/clip-vit-base-patch32")
        equal(r.status, 1, "a tiny CLIP is not CLIP B/32")
        matches(r.out, "skipped\t5 values of 000000039769.jpg.*skipped\t2 values of 000000039769.jpg.*FAIL\t[0-9]+ of 5 golden values")
        r = p.run("verify", clip, "--known", "OFA-Sys/chinese-clip-vit-base-patch16", "--pictures", "nowhere")
        equal(r.status, 2, "no such folder")
        matches(r.err, "nowhere: expected a folder of pictures")
        r = p.run("verify", model(), "--known", "nobody/knows")
        equal(r.status, 2, "a name without values")
        # by the folder of the cache
        cache = os.path.join(p.home, "hub", "models--sentence-transformers--all-MiniLM-L6-v2")
        os.makedirs(os.path.join(cache, "snapshots"))
        shutil.copytree(model(), os.path.join(cache, "snapshots", "a" * 40))
        os.makedirs(os.path.join(cache, "refs"))
        with open(os.path.join(cache, "refs", "main"), "w", encoding="utf-8") as f:
            f.write("a" * 40)
        for name in ("sentence-transformers/all-MiniLM-L6-v2", os.path.join(cache, "snapshots", "a" * 40)):
            r = p.run("verify", name, HF_HUB_CACHE=os.path.join(p.home, "hub"))
            equal(r.status, 1, name)
            matches(r.out, "golden values of sentence-transformers/all-MiniLM-L6-v2")


def test_usage():
    with Place() as p:
        for args, what in ((("verify",), "MODEL"), (("verify", "m", "--texts", "t"), "belong together"),
                           (("verify", "m", "--as", "query"), "--as needs --texts and --against"),
                           (("verify", "m", "--texts", "t", "--against", "v", "--known", "x"), "--known"),
                           (("verify", model(), "--texts", "t", "--against", "v", "--as", "query", "--prompt", "x"), "exclude")):
            r = p.run(*args)
            equal(r.status, 2, " ".join(args))
            matches(r.err, what)


def decisions(p):
    top = os.path.join(p.home, ".cache", "ilk", "auto")
    return [os.path.join(top, f) for f in sorted(os.listdir(top))] if os.path.isdir(top) else []


def show(p, **env):
    return json.loads(p.run("show", "--json", model(), **env).out)


def test_auto():
    with Place() as p:
        embed(p)
        equal(decisions(p), [], "embed decides nothing")
        equal(show(p)["auto"], None, "nothing is measured")
        matches(p.run("show", model()).out, "^auto\tnot decided")
        r = p.run("verify", model())
        matches(r.err, "auto: f32 for .*bert-mean: with less than a million parameters")
        equal(len(decisions(p)), 1, "one file")
        equal(os.stat(decisions(p)[0]).st_mode & 0o777, 0o600, "its mode")
        got = show(p)["auto"]
        equal((got["chosen"], sorted(got["precisions"])), ("f32", ["bf16", "f32", "int8", "int8w"]), "what was measured")
        equal(got["precisions"]["f32"]["cosine_least"], 1, "f32 to itself")
        check(all(k["tokens_per_second"] > 0 and k["cosine_mean"] > 0.99 for k in got["precisions"].values()), "figures")
        matches(p.run("show", model()).out, "^auto\tf32: .*^int8\t\d+ tokens/s, cosine to f32")
        lacks(p.run("verify", model()).err, "auto:", "it is decided once")

        # what the file says holds from then on, whoever opens the model
        text = open(decisions(p)[0]).read()
        p_int8, p_f32 = embed(p, "--precision", "int8"), embed(p, "--precision", "f32")
        check(p_int8 != p_f32, "int8 is something else")
        with open(decisions(p)[0], "w") as f:
            f.write(text.replace('"chosen":"f32"', '"chosen":"int8"'))
        equal(show(p)["precision"], "int8", "chosen")
        check(embed(p) == p_int8, "the bits of the precision by name")
        check(embed(p, "--precision", "f32") == p_f32, "a precision by name wins")
        equal(show(p, ILK_CPU="ref")["precision"], "f32", "other kernels, no decision")

        # a store keeps its own
        p.write("docs/a.txt", "The red planet is called mars.\n")
        r = p.run("index", "docs", "-m", model())
        equal((r.status, "auto:" in r.err), (0, False), "decided before")
        with open(decisions(p)[0], "w") as f:
            f.write(text)
        for args in (("index", "docs"), ("search", "mars", "--store", "docs/.ilk")):
            equal(p.run(*args).status, 0, "the store's precision: " + args[0])
        matches(p.run("status", "--json", "docs").out, "int8")

        if json.loads(text)["attention"] == "bf16":
            decided_against_bf16(p, text)

        # damaged: as if it were not there, and made again
        with open(decisions(p)[0], "w") as f:
            f.write(text[:-20])
        equal(show(p)["auto"], None, "a part of a file")
        matches(p.run("verify", model()).err, "auto: f32")
        equal(show(p)["auto"]["chosen"], "f32", "made again")
        r = p.run("verify", model("bert-rerank"), "--verbose")
        matches(r.err, "auto: not decided: .*a reranker is not calibrated")


def decided_against_bf16(p, text):
    """Kernels with two forms of attention: a decision names one, and a store keeps it."""
    decision = json.loads(text)
    equal(decision["precisions"]["int8"]["attention"] in ("bf16", "f32"), True, "the form of the figures")
    decision["chosen"], decision["precisions"]["int8"]["attention"] = "int8", "f32"
    with open(decisions(p)[0], "w") as f:
        json.dump(decision, f)
    got = show(p)
    equal((got["precision"], got["attention"], got["auto"]["attention"]), ("int8", "f32", "f32"), "as decided")
    matches(p.run("show", model()).out, "^precision\tint8\\+attention-f32\nattention\tf32")
    vectors = embed(p)
    check(vectors != embed(p, "--precision", "int8"), "the precision by name attends in bf16")
    p.write("more/a.txt", "The red planet is called mars.\n")
    equal(p.run("index", "more", "-m", model()).status, 0, "a store of it")
    with open(decisions(p)[0], "w") as f:
        f.write(text)
    for args in (("index", "more"), ("search", "mars", "--store", "more/.ilk")):
        equal(p.run(*args).status, 0, "the store's attention: " + args[0])
    matches(p.run("status", "--json", "more").out, "int8\\+attention-f32")
    equal(p.run("search", "mars", "--store", "more/.ilk", "--precision", "int8").status, 2, "another precision")


def test_real_minilm():
    real = os.environ.get("ILK_TEST_MINILM")
    if not real or not os.path.isdir(real):
        raise Skip("ILK_TEST_MINILM names no folder of all-MiniLM-L6-v2 (tools/get_minilm.sh prints one)")
    with Place() as p:
        r = p.run("verify", real, "--known", "minilm")
        equal(r.status, 0, "the real one: " + r.out)
        matches(r.out, "^f32\tpass\t22 of 22")
