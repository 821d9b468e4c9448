# SPDX-License-Identifier: Apache-2.0
"""train projection on tiny checkpoints: pictures of one colour, whose captions say how much of each, are joined; captions that
mean nothing are not; a store of pictures then answers the other model."""
import json
import os
import random

import harness
from harness import Place, check, equal, lacks, matches, model

CLIP, BERT = "clip-quick", "bert-mean"


def colours(p, name="photos", shuffled=None):
    rows = []
    for i in range(5):
        for j in range(5):
            for k in range(5):
                p.write("%s/%d%d%d.ppm" % (name, i, j, k), b"P6 8 8 255\n" + bytes([i * 60, j * 60, k * 60]) * 64)
                rows.append(["%d%d%d.ppm" % (i, j, k), " ".join(["red"] * i + ["mars"] * j + ["cat"] * k + ["the"])])
    said = [r[1] for r in rows]
    if shuffled is not None:
        random.Random(shuffled).shuffle(said)
    p.write("%s/captions.jsonl" % name, "".join(json.dumps({"image": r[0], "caption": s}) + "\n" for r, s in zip(rows, said)))
    return rows


def train(p, *args, pairs="photos", source=CLIP, into=BERT, out="p", **env):
    return p.run("train", "projection", pairs, "--from", model(source), "--into", model(into), "-o", out, *args, **env)


def files(p, name):
    path = os.path.join(p.dir, name)
    return {f: open(os.path.join(path, f), "rb").read() for f in sorted(os.listdir(path))}


def test_kept():
    with Place() as p:
        rows = colours(p)
        r = train(p)
        equal((r.status, r.err), (0, ""), "kept")
        fields = dict(s.split("\t") for s in r.out.splitlines())
        equal((fields["pairs"], fields["held_out"], fields["kept"]), ("125 in 125 groups", "25 pictures, 25 captions", "p"), "fields")
        j = json.loads(train(p, "--json", out="q", ILK_THREADS="1").out)
        equal(j["kept"], True, "JSON")
        check(j["fit"]["text_to_image_r@5"] > max(j["none"]["text_to_image_r@5"], j["shuffled"]["text_to_image_r@5"]) + j["margin"], "figures")
        equal("%.4f captions to pictures, %.4f back" % (j["fit"]["text_to_image_r@5"], j["fit"]["image_to_text_r@5"]),
              fields["recall@5_fit"], "the same figures on one thread")
        a, b = files(p, "p"), files(p, "q")
        equal(sorted(a), ["config.json", "ilk.json", "model.safetensors"], "files")
        equal(a, b, "the same bits on one thread")
        about = json.loads(a["ilk.json"])
        equal((about["side"], os.path.basename(about["source"]["model"]), os.path.basename(about["target"]["model"])), ("pictures", CLIP, BERT), "about")
        config = json.loads(a["config.json"])
        equal((config["in_features"], config["out_features"], config["activation_function"]), (20, 32, "torch.nn.modules.linear.Identity"), "config")
        for how in ("ridge", "procrustes"):
            j = json.loads(train(p, "--json", "--method", how, out="m-" + how).out)
            equal((j["method"], (j["lambda"] > 0) == (how == "ridge")), (how, True), "method")

        # and the store answers
        os.unlink(os.path.join(p.dir, "photos", "captions.jsonl"))
        r = p.run("index", "photos", "-m", model(CLIP), "--projection", "p", "--store", "s")
        equal(r.status, 0, "index: " + r.err)
        hits = 0
        for path, said in rows[::5]:
            r = p.run("search", "--store", "s", "-m", model(BERT), "-k", "5", "-l", said)
            equal(r.status, 0, "search: " + r.err)
            hits += path in r.out
        check(hits >= 8, "%d of 25 captions find their picture among 125" % hits)
        r = p.run("index", "photos", "--store", "s")
        equal(r.status, 0, "the store opens its model with the projection: " + r.err)
        matches(r.err, "125 unchanged")
        r = p.run("search", "--store", "s", "-m", model(CLIP), "the cat")
        equal(r.status, 2, "the model without its projection")
        r = p.run("show", model(CLIP) + "#projection=p")
        matches(r.out, "^note\tprojection .*/p: 20 to 32 entries, into the space of .*bert-mean$")


def test_other_side():
    with Place() as p:
        rows = colours(p)
        j = json.loads(train(p, "--json", source=BERT, into=CLIP).out)
        equal((j["kept"], json.loads(files(p, "p")["ilk.json"])["side"]), (True, "captions"), "captions into the space of pictures")
        os.unlink(os.path.join(p.dir, "photos", "captions.jsonl"))
        equal(p.run("index", "photos", "-m", model(CLIP), "--store", "s").status, 0, "index")
        r = p.run("search", "--store", "s", "-m", model(BERT), "--projection", "p", "-k", "5", "-l", rows[7][1])
        equal((r.status, len(r.out.splitlines())), (0, 5), "search with the projection: " + r.err)
        equal(p.run("search", "--store", "s", "-m", model(BERT), "mars").status, 2, "without it")
        r = p.run("search", "--store", "s", "--projection", "p", "mars")
        equal(r.status, 2, "behind no model")
        matches(r.err, "give that with -m")


def test_nothing_kept():
    with Place() as p:
        for seed in range(6):
            colours(p, "r%d" % seed, shuffled=seed)
            r = train(p, "--seed", str(seed), pairs="r%d" % seed)
            equal(r.status, 1, "captions of other pictures: " + r.out)
            matches(r.out, "^recall@5_fit\t.*^recall@5_none\t.*^recall@5_shuffled\t.*^kept\tnothing$")
            matches(r.err, "nothing kept: ")
            check(not os.path.exists(os.path.join(p.dir, "p")), "no folder")


def test_refusals():
    with Place() as p:
        colours(p)
        lines = open(os.path.join(p.dir, "photos", "captions.jsonl"), encoding="utf-8").read().splitlines()
        p.write("photos/few.jsonl", "\n".join(lines[:49]))
        r = train(p, pairs="photos/few.jsonl")
        equal(r.status, 2, "49 pairs")
        matches(r.err, "expected 50 groups of pictures and captions .* found 49")
        p.write("photos/one.jsonl", "".join(json.dumps({"image": json.loads(s)["image"], "caption": "the same"}) + "\n" for s in lines))
        r = train(p, pairs="photos/one.jsonl")
        equal(r.status, 2, "one caption for all is one group")
        matches(r.err, "found 1 of 125 pictures and 1 captions")
        p.write("full/x", "")
        r = train(p, out="full")
        equal(r.status, 2, "a folder with something in it")
        matches(r.err, "full: expected a folder that is new or empty")
        r = train(p, source=BERT, into=BERT)
        equal(r.status, 2, "no model sees")
        matches(r.err, "bert-mean: expected a model that reads pictures")
        r = train(p, "--side", "pictures", source=BERT, into=CLIP)
        equal(r.status, 2, "the other side")
        r = p.run("train", "projection", "photos", "--from", model(CLIP), "--into", model(BERT))
        equal(r.status, 2, "no output")
        matches(r.err, "--output is needed")
        equal(p.run("train", "adapter", "photos").status, 2, "no such training")
        # junk costs itself
        with open(os.path.join(p.dir, "photos", "captions.jsonl"), "a", encoding="utf-8") as f:
            f.write('no json\n{"image": "none.ppm", "caption": "nowhere"}\n')
        p.write("photos/000.ppm", "not a picture")
        r = train(p, "--json")
        equal((r.status, json.loads(r.out)["passed_over"]), (0, 3), "junk: " + r.err)
        matches(r.err, "captions.jsonl:126: ")
        matches(r.err, "none.ppm: ")
        matches(r.err, "000.ppm: ")
        equal(train(p, "--strict", out="t").status, 2, "strict")
        lacks(" ".join(os.listdir(p.dir)), "^t$")


def test_cancel():
    with Place() as p:
        colours(p)
        lines = [json.loads(s) for s in open(os.path.join(p.dir, "photos", "captions.jsonl"), encoding="utf-8")]
        source = os.path.join(p.dir, "photos", "123.ppm")
        with open(os.path.join(p.dir, "photos", "captions.jsonl"), "w", encoding="utf-8") as f:
            for i in range(20000):
                name = "x%d.ppm" % i
                os.link(source, os.path.join(p.dir, "photos", name))
                f.write(json.dumps({"image": name, "caption": "%s %d" % (lines[i % 125]["caption"], i)}) + "\n")
        running = p.start("train", "projection", "photos", "--from", model(CLIP), "--into", model(BERT), "-o", "p")
        harness.interrupted(running)
        check(not os.path.exists(os.path.join(p.dir, "p")), "no folder")
