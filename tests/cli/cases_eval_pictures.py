# SPDX-License-Identifier: Apache-2.0
"""eval of pictures on tiny checkpoints: layouts, junk, usage. The figures themselves: golden/picture-evals."""
import json
import os
import shutil

import harness
from harness import Place, check, equal, lacks, matches, model

CLIP = "clip-quick"


def data(p, name="data"):
    to = os.path.join(p.dir, name)
    shutil.copytree(os.path.join(harness.FIXTURES, "picture-eval"), to)
    return to


def test_zeroshot_in_every_form():
    with Place() as p:
        data(p)
        r = p.run("eval", "zeroshot", "data/classes", "-m", model(CLIP), "--per-class")
        equal((r.status, r.err), (0, ""), "zeroshot")
        lines = [s.split("\t") for s in r.out.splitlines()]
        fields = dict(x for x in lines if len(x) == 2)
        equal((fields["pictures"], fields["classes"], fields["prompts"], fields["passed_over"]), ("25", "7", "80", "0"), "counts")
        equal([x[1] for x in lines if x[0] == "class"],
              ["bare_wall", "blue_sky", "red-brick", "sand", "snow", "tree", "wet_street"], "classes in order")
        j = json.loads(p.run("eval", "zeroshot", "data/classes", "-m", model(CLIP), "--per-class", "--json", ILK_THREADS="1").out)
        equal("%.4f" % j["top1"], fields["top1"], "one thread, JSON")
        equal(sum(c["top1"] for c in j["per_class"]) / 25, j["top1"], "classes add up")
        equal([c["name"] for c in j["per_class"]][:2], ["bare wall", "blue sky"], "names in prompts")
        p.write("names.txt", "\n".join("abcdefg") + "\n")
        j = json.loads(p.run("eval", "zeroshot", "data/classes", "-m", model(CLIP), "--classnames", "names.txt", "--per-class",
                             "--json", "--prompts", "1").out)
        equal(([c["name"] for c in j["per_class"]], j["prompts"]), (list("abcdefg"), 1), "names in order")
        # a folder that has labels.csv: the table counts, not the folders
        equal(json.loads(p.run("eval", "zeroshot", "data", "-m", model(CLIP), "--json").out)["top1"],
              float(json.loads(p.run("eval", "zeroshot", "data/labels.csv", "-m", model(CLIP), "--json").out)["top1"]), "labels.csv")


def test_zeroshot_junk():
    with Place() as p:
        folder = data(p)
        want = json.loads(p.run("eval", "zeroshot", "data/classes", "-m", model(CLIP), "--json").out)
        p.write("data/classes/notes.txt", "not a class")
        p.write("data/classes/sand/readme.txt", "not a picture")
        p.write("data/classes/sand/broken.png", b"\x89PNG\r\n\x1a\nxx")
        p.write("data/classes/sand/.hidden", "is not looked at")
        os.mkdir(os.path.join(folder, "classes", "zebra"))
        r = p.run("eval", "zeroshot", "data/classes", "-m", model(CLIP), "--json")
        got = json.loads(r.out)
        equal((r.status, got["passed_over"], got["pictures"], got["classes"]), (0, 3, 25, 8), "junk")
        for what in ("classes/notes.txt: expected a folder for each class", "sand/readme.txt: ", "sand/broken.png: ",
                     "zebra: no pictures"):
            matches(r.err, what)
        lacks(r.err, "hidden")
        check(got["top5"] <= want["top5"], "an empty class can be taken for the right one")
        r = p.run("eval", "zeroshot", "data/classes", "-m", model(CLIP), "--strict")
        equal((r.status, r.out), (2, ""), "strict")
        p.write("t.txt", "no place\n")
        r = p.run("eval", "zeroshot", "data/classes", "-m", model(CLIP), "--templates", "t.txt")
        equal(r.status, 2, "no prompt")
        matches(r.err, "t.txt:1: expected a prompt with {}.*expected prompts with {} in them")
        p.write("n.txt", "a\nb\n")
        r = p.run("eval", "zeroshot", "data/classes", "-m", model(CLIP), "--classnames", "n.txt")
        equal(r.status, 2, "too few names")
        matches(r.err, "expected a name for each of 8 classes.*found 2 lines")
        p.write("n.txt", "sand\tthe beach\nmars\tno class\n")
        r = p.run("eval", "zeroshot", "data/classes", "-m", model(CLIP), "--classnames", "n.txt")
        equal(r.status, 0, "a name of no class")
        matches(r.err, "n.txt:2: expected a class of data/classes, a tab and its name")
        p.write("l.csv", "image,label\ndata/classes/sand/0.png,sand\ndata/classes/sand/0.png,snow\ndata/no.png,snow\n")
        r = p.run("eval", "zeroshot", "l.csv", "-m", model(CLIP), "--json")
        got = json.loads(r.out)
        equal((got["pictures"], got["passed_over"]), (1, 2), "two labels, and no file")
        matches(r.err, "it has a label already")
        for place, what in (("nowhere", "nowhere"), ("data/classes/sand", "expected"), ("t.txt", "expected names of columns|expected")):
            r = p.run("eval", "zeroshot", place, "-m", model(CLIP))
            equal(r.status, 2, place)
            matches(r.err, what)
        r = p.run("eval", "zeroshot", "data/classes", "-m", model())
        equal(r.status, 2, "a model of texts")
        matches(r.err, "expected a model that reads pictures, found one that reads texts alone")


def test_captions():
    with Place() as p:
        folder = data(p)
        r = p.run("eval", "retrieval", "data", "-m", model(CLIP), "--by", "language")
        equal((r.status, r.err), (0, ""), "captions")
        lines = [s.split("\t") for s in r.out.splitlines()]
        fields = dict(x for x in lines if len(x) == 2)
        equal((fields["pictures"], fields["texts"], fields["passed_over"]), ("25", "53", "0"), "counts")
        equal([x[1] for x in lines if x[0] == "language"], ["en", "de"], "languages as they come")
        j = json.loads(p.run("eval", "retrieval", "data/captions.jsonl", "-m", model(CLIP), "--json", ILK_THREADS="1").out)
        for key in ("text_to_image_r@1", "text_to_image_r@10", "image_to_text_r@5"):
            equal("%.4f" % j[key], fields[key], key)
        lacks(json.dumps(j), "by_language")
        # the same as notes beside the pictures
        for row in map(json.loads, open(os.path.join(folder, "captions.jsonl"), encoding="utf-8")):
            said = row["caption"] if isinstance(row["caption"], list) else [row["caption"]]
            mark = "" if row["language"] == "en" else row["language"] + ".utf8="
            with open(os.path.join(folder, row["image"].replace(".png", ".txt")), "a", encoding="utf-8") as f:
                f.write("".join(mark + s + "\n" for s in said))
        notes = json.loads(p.run("eval", "retrieval", "data/classes", "-m", model(CLIP), "--json", "--by", "language").out)
        for key in j:
            if "_r@" in key:
                equal(notes[key], j[key], "notes: " + key)
        equal([x["language"] for x in notes["by_language"]], ["default", "de"], "languages of notes")
        # junk: a picture that is none takes its captions with it
        with open(os.path.join(folder, "captions.jsonl"), "a", encoding="utf-8") as f:
            f.write('no json\n{"image": "no.png", "caption": "nowhere"}\n')
        r = p.run("eval", "retrieval", "data", "-m", model(CLIP), "--json")
        got = json.loads(r.out)
        equal((got["pictures"], got["texts"], got["passed_over"]), (25, 53, 2), "junk")
        matches(r.err, "captions.jsonl:51: .*no.png: ")
        equal(got["text_to_image_r@5"], j["text_to_image_r@5"], "the rest is as it was")
        equal(p.run("eval", "retrieval", "data", "-m", model(CLIP), "--strict").status, 2, "strict")
        p.write("one.csv", "image,caption\nnone.png,a\n")
        r = p.run("eval", "retrieval", "one.csv", "-m", model(CLIP))
        equal(r.status, 2, "nothing can be read")
        matches(r.err, "none of 1 pictures can be read")


def test_ties():
    """What is equal stands in the order of the classes, of the file: known answers without a reference."""
    with Place() as p:
        folder = data(p)
        sizes = [len(os.listdir(os.path.join(folder, "classes", c))) for c in sorted(os.listdir(os.path.join(folder, "classes")))]
        p.write("same.txt", "one name\n" * 7)
        got = json.loads(p.run("eval", "zeroshot", "data/classes", "-m", model(CLIP), "--classnames", "same.txt", "--json",
                               "--per-class").out)
        equal((got["top1"], got["top5"]), (sizes[0] / 25, sum(sizes[:5]) / 25), "classes of one name")
        equal([c["top1"] > 0 for c in got["per_class"]], [True] + [False] * 6, "the first takes all")
        equal(got["mean_per_class"], 1 / 7, "mean of the classes")
        picture = open(os.path.join(folder, "classes", "sand", "0.png"), "rb").read()
        for i in range(12):
            p.write("twins/%d.png" % i, picture)
        p.write("twins/captions.csv", "image,caption\n" + "".join("%d.png,caption %s\n" % (i, "abcdefghijkl"[i]) for i in range(12)))
        got = json.loads(p.run("eval", "retrieval", "twins", "-m", model(CLIP), "--json").out)
        equal([got["text_to_image_r@%d" % k] for k in (1, 5, 10)], [1 / 12, 5 / 12, 10 / 12], "one picture twelve times")
        p.write("twins/captions.csv", "image,caption\n" + "".join("%d.png,the same\n" % i for i in range(12)))
        got = json.loads(p.run("eval", "retrieval", "twins", "-m", model(CLIP), "--json").out)
        equal((got["texts"], got["text_to_image_r@1"], got["image_to_text_r@1"]), (1, 1, 1), "one caption of them all is one text")


def test_usage():
    with Place() as p:
        data(p)
        for args, what in ((("zeroshot", "x", "-k", "3"), '-k|--k is of "ilk eval retrieval"'),
                           (("zeroshot", "x", "--prompts", "7"), "prompts"),
                           (("zeroshot", "x", "--prompts", "1", "--templates", "t"), "exclude"),
                           (("zeroshot", "x", "--by", "language"), '--by is of "ilk eval retrieval"'),
                           (("sts", "x", "--templates", "t"), '--templates is of "ilk eval zeroshot"'),
                           (("retrieval", "data", "--split", "dev"), "over a folder of the BEIR layout"),
                           (("retrieval", "nowhere", "--by", "language"), "over pictures with captions")):
            r = p.run("eval", *args, "-m", model(CLIP))
            equal(r.status, 2, " ".join(args))
            matches(r.err, what)


def test_cancel():
    with Place() as p:
        folder = data(p)
        source = os.path.join(folder, "classes", "sand", "0.png")
        for i in range(20000):
            os.link(source, os.path.join(folder, "classes", "sand", "x%d.png" % i))
        running = p.start("eval", "zeroshot", "data/classes", "-m", model(CLIP))
        harness.interrupted(running)
