# SPDX-License-Identifier: Apache-2.0
"""search and similar with pictures, weights, minus signs and several kinds, on a tiny model of two towers."""
import base64
import html.parser
import json
import os
import shutil
import urllib.parse

import harness
from harness import Place, check, equal, lacks, matches, model

TEXTS = {"a.txt": "a red bicycle", "b.txt": "the dogs at the river"}
PICTURES = ("jpeg-420.jpg", "png-rgb8.png", "gif-one.gif")


def picture(name):
    return os.path.join(harness.FIXTURES, "picture-files", name)


def filled(p):
    for name, text in TEXTS.items():
        p.write(name, text)
    for name in PICTURES:
        shutil.copy(picture(name), p.dir)
    r = p.run("index", "-m", model("clip-quick"))
    equal(r.status, 0, "index: %s" % r)


def hits(r):
    return [json.loads(s) for s in r.out.split("\n") if s]


def paths(r):
    return r.out.split("\n")[:-1]


def test_words_find_both_kinds():
    with Place() as p:
        filled(p)
        r = p.run("search", "--jsonl", "a red bicycle")
        equal(r.status, 0, "search: %s" % r)
        got = hits(r)
        equal(len(got), 5, "all there is")
        equal([h["score_kind"] for h in got], ["rrf"] * 5, "merged by rank")
        equal([h["modality"] for h in got], ["text", "image", "text", "image", "image"], "kinds in turn")
        equal(got[0]["path"], "a.txt", "the same words")
        equal([round(1 / h["score"]) for h in got], [61, 61, 62, 62, 63], "1 / (60 + rank)")
        png = [h for h in got if h["path"] == "png-rgb8.png"][0]
        equal((png["metadata"]["width"], png["metadata"]["height"], png["metadata"]["kind"]), (13, 9, "png"), "metadata")
        check("text" not in png and "segment" not in png, "a picture has no passage")
        only = hits(p.run("search", "--jsonl", "--modality", "image", "a red bicycle"))
        equal(sorted(h["path"] for h in only), sorted(PICTURES), "pictures alone")
        equal({h["score_kind"] for h in only}, {"cosine"}, "with their own scores")
        equal([h["path"] for h in only], [h["path"] for h in got if h["modality"] == "image"], "in the same order")
        texts = hits(p.run("search", "--jsonl", "--modality", "text", "a red bicycle"))
        check(texts[0]["path"] == "a.txt" and abs(texts[0]["score"] - 1) < 1e-5, "texts alone")
        lines = [s.split("\t") for s in paths(p.run("search", "a red bicycle"))]
        equal([s for s in lines if s[2] == "png-rgb8.png"][0][3:], ["", "", "13 x 9, 428 bytes"], "a line of a picture")
        equal(sorted(paths(p.run("search", "-l", "cat"))), sorted([*TEXTS, *PICTURES]), "-l")
        raw = p.run("search", "-0", "--modality", "image", "cat").raw
        equal(sorted(raw.split(b"\0")[:-1]), sorted(n.encode() for n in PICTURES), "-0")
        shown = p.terminal("search", "a red bicycle", "--color=never").out.replace("\r\n", "\n")
        matches(shown, r"^ 1  0\.0164  a\.txt:1\n    a red bicycle$")
        matches(shown, r"^ \d  0\.01\d\d  png-rgb8\.png\n    13 x 9, 428 bytes$")


def test_a_picture_asks():
    with Place() as p:
        filled(p)
        got = hits(p.run("search", "--jsonl", "--image", "png-rgb8.png"))
        equal((got[0]["path"], got[1]["modality"]), ("png-rgb8.png", "text"), "itself first")
        with open(picture("png-rgb8.png"), "rb") as f:
            r = p.run("search", "--jsonl", "--image", "-", input=f.read())
        equal(hits(r), got, "from standard input: %s" % r)
        one = hits(p.run("search", "--jsonl", "--modality", "image", "--image", "png-rgb8.png"))
        check(abs(one[0]["score"] - 1) < 1e-5 and one[0]["score_kind"] == "cosine", "its own vector")
        r = p.run("search", "--image", "absent.png")
        equal(r.status, 2, "a file that is not there")
        matches(r.err, "absent.png")
        r = p.run("search", "--image", "a.txt")
        equal(r.status, 2, "no picture")
        matches(r.err, r"--image a\.txt: expected a picture, found text \(text\); --plus @a\.txt asks")
        r = p.run("search", "--image", "-", input="a red bicycle")
        equal(r.status, 2, "no picture there")
        matches(r.err, "--image -: expected a picture, found text")
        p.write("odd.png", b"\x89PNG\r\n\x1a\n and no more")
        r = p.run("search", "--image", "odd.png")
        equal(r.status, 2, "a broken picture")
        matches(r.err, "the query: odd.png: ")


def test_terms_with_weights():
    with Place() as p:
        filled(p)
        ask = ("search", "--modality", "text", "--json")
        doc = json.loads(p.run(*ask, "beach", "--image", "0.5:png-rgb8.png", "--minus", "0.25:people", "--plus", "@a.txt",
                               "--plus", "2:@jpeg-420.jpg").out)
        equal(doc["query"], "beach", "the words")
        equal(doc["terms"], [{"text": "beach", "weight": 1}, {"image": "png-rgb8.png", "weight": 0.5},
                             {"text": "people", "weight": -0.25}, {"file": "a.txt", "weight": 1},
                             {"image": "jpeg-420.jpg", "weight": 2}], "terms in order")
        equal({h["score_kind"] for h in doc["results"]}, {"weighted"}, "kind of score")
        equal(json.loads(p.run(*ask, "beach").out).get("terms"), None, "plain words have no terms")
        # what is a weight and what is text
        for given, text, weight in (("10:30 train", "10:30 train", 1), ("16:9", "16:9", 1), ("2: 3 dogs", "3 dogs", 2),
                                    (":2:dogs", "2:dogs", 1), (".5:x", "x", 0.5), ("2.:x", "x", 2), ("1.5:a:b", "a:b", 1.5),
                                    ("a:b", "a:b", 1), ("3:", "3:", 1), ("@@home", "@home", 1), ("0.5:@@home", "@home", 0.5),
                                    (".:x", ".:x", 1), ("-1:x", "-1:x", 1), ("1e3:x", "1e3:x", 1)):
            doc = json.loads(p.run(*ask, "beach", "--plus=" + given).out)
            equal(doc["terms"][1], {"text": text, "weight": weight}, "--plus %s" % given)
        for bad in ("0:x", "1001:x", "0.0:x", "", ":", "0.00000000000000000000000000000000000000000000000001:x"):
            equal(p.run(*ask, "beach", "--plus=" + bad).status, 2, "--plus '%s'" % bad)
        # arithmetic: a and a weigh as a; a - a is nothing; - a is its opposite
        score = {h["path"]: h["score"] for h in json.loads(p.run(*ask, "a red bicycle").out)["results"]}
        twice = json.loads(p.run(*ask, "a red bicycle", "--plus", "3:a red bicycle").out)["results"]
        minus = json.loads(p.run(*ask, "--minus", "a red bicycle").out)["results"]
        for h in twice:
            check(abs(h["score"] - score[h["path"]]) < 1e-5, "twice: %s" % h["path"])
        for h in minus:
            check(abs(h["score"] + score[h["path"]]) < 1e-5, "minus: %s" % h["path"])
        r = p.run("search", "cat", "--minus", "cat")
        equal(r.status, 2, "nothing is left")
        matches(r.err, "2 terms cancel each other out")
        r = p.run("search")
        equal(r.status, 2, "nothing is asked for")
        matches(r.err, "expected a text or a picture")
        matches(p.run("search", "-", "--image", "-", input="x").err, "standard input is named twice")
        r = p.run("search", "--plus", "@png-rgb8.png", "-", input="a red bicycle\n")
        equal(r.status, 0, "words from standard input: %s" % r)


def test_what_no_model_reads():
    with Place() as p:
        p.write("a.txt", "a red bicycle")
        equal(p.run("index", "-m", model()).status, 0, "index")
        r = p.run("search", "--image", picture("png-rgb8.png"))
        equal(r.status, 2, "a picture and a model of texts")
        matches(r.err, "made of pictures, and .*bert-mean reads texts; `ilk index -m MODEL` with a model that reads them")
        matches(p.run("search", "--space", "nothing", "x").err, 'has no space "nothing"; it has "text"$')
        equal(p.run("search", "--space", "text", "red").status, 0, "a space by its name")
        # what the message advises
        shutil.copy(picture("png-rgb8.png"), p.dir)
        equal(p.run("index", "-m", model("clip-quick")).status, 0, "a model that sees")
        equal(paths(p.run("search", "-l", "--modality", "image", "--image", "png-rgb8.png")), ["png-rgb8.png"], "and it does")


def test_odd_questions():
    with Place() as p:
        filled(p)
        for blank in ("", " ", "\t\n "):
            r = p.run("search", blank)
            equal((r.status, r.out), (2, ""), "a blank query: %r" % blank)
            matches(r.err, "the query is empty")
        matches(p.run("search", "-", input=" \n\n").err, "the query is empty")
        r = p.run("search", "-l", "dogs " * 4000)
        equal(r.status, 0, "longer than the model reads")
        matches(r.err, r"^ilk: the query is longer than [^ ]*clip-quick reads: its first \d+ tokens ask$")
        r = p.run("search", "-l", "cat", "--minus", "dogs " * 4000)
        matches(r.err, r"^ilk: the query \(term 2\) is longer than ")
        lacks(p.run("search", "-l", "cat").err, "longer", "what fits")
        for n in ("0", "-1", "100001", "1e3", "99999999999999999999"):
            matches(p.run("search", "-k", n, "cat").err, "--top: expected a whole number from 1 to 100000, found")
        equal(sorted(paths(p.run("search", "-l", "-k", "100000", "cat"))), sorted([*TEXTS, *PICTURES]), "all, each once")
        check(p.run("search", "-k", "3", "\udcff\udcfe cat").status == 0, "bytes that are no UTF-8")


def test_a_least_score():
    with Place() as p:
        filled(p)
        r = p.run("search", "--min-score", "0.4", "a red bicycle")
        equal((r.status, r.out), (1, ""), "ranks make small scores")
        matches(r.err, r"^ilk: no hit has a score of 0\.4: 2 lists are merged by rank, and the best has 0\.0164; one modality, ")
        r = p.run("search", "--min-score", "0.4", "--modality", "text", "a red bicycle")
        equal((r.status, r.err), (0, ""), "one list: %s" % r)
        r = p.run("search", "--min-score", "2", "--modality", "text", "a red bicycle")
        equal((r.status, r.err), (1, ""), "none is so near: %s" % r)


def test_nothing_in_the_store_yet():
    with Place() as p:
        equal(p.run("index", "-m", model("clip-quick")).status, 1, "an empty folder")
        r = p.run("search", "cat")
        equal((r.status, r.out), (1, ""), "nothing is found: %s" % r)
        matches(r.err, r"^ilk: [^ ]*/\.ilk: nothing is in this store yet; ilk index fills it$")
        equal(json.loads(p.run("search", "--json", "cat").out)["results"], [], "a document all the same")
        r = p.run("similar", picture("png-rgb8.png"))
        equal(r.status, 1, "similar: %s" % r)
        matches(r.err, "nothing is in this store yet")
        matches(p.run("search", "-m", model(), "cat").err, "no space of [^ ]* was made by a model")


def test_several_models_in_one_store():
    with Place() as p:
        for name, text in TEXTS.items():
            p.write(name, text)
        shutil.copy(picture("png-rgb8.png"), p.dir)
        r = p.run("index", "-m", model("clip-quick"), "-m", model())
        equal(r.status, 0, "index: %s" % r)
        got = hits(p.run("search", "--jsonl", "a red bicycle"))
        equal([h["path"] for h in got][0], "a.txt", "first in two lists")
        equal({h["score_kind"] for h in got}, {"rrf"}, "merged")
        check(abs(got[0]["score"] - 2 / 61) < 1e-6, "an item of both spaces counts twice")
        spaces = [s["name"] for s in json.loads(p.run("status", "--json").out)["spaces"]]
        equal(len(spaces), 2, "two spaces")
        models = set()
        for name in spaces:
            one = hits(p.run("search", "--jsonl", "--modality", "text", "--space", name, "a red bicycle"))
            equal((one[0]["path"], {h["score_kind"] for h in one}), ("a.txt", {"cosine"}), "one space: %s" % name)
            models |= {os.path.basename(h["model"]) for h in one}
        equal(models, {"clip-quick", "bert-mean"}, "each by its own model")
        seen = hits(p.run("search", "--jsonl", "--image", "png-rgb8.png"))
        equal({os.path.basename(h["model"]) for h in seen}, {"clip-quick"}, "a picture asks where it is seen")
        one = hits(p.run("search", "--jsonl", "-m", model(), "a red bicycle"))
        equal({os.path.basename(h["model"]) for h in one}, {"bert-mean"}, "-m")
        # a model that has gone costs its space alone
        moved = os.path.join(p.top, "clip")
        shutil.copytree(model("clip-quick"), moved)
        os.mkdir(os.path.join(p.dir, "sub"))
        p.write("sub/a.txt", "a red bicycle")
        equal(p.run("index", "-m", moved, "-m", model(), "sub", "--store", "sub/.ilk").status, 0, "index with a copy")
        shutil.rmtree(moved)
        r = p.run("search", "--jsonl", "--store", "sub/.ilk", "a red bicycle")
        equal((r.status, [os.path.basename(h["model"]) for h in hits(r)]), (0, ["bert-mean"]), "the other answers: %s" % r)
        matches(r.err, r'clip: no such file or directory.*\nilk: its space "[^"]*" is not asked; if the model has moved, give its place with -m')
        r = p.run("search", "--store", "sub/.ilk", "--image", "png-rgb8.png")
        equal(r.status, 2, "and says what it cannot")
        # what the messages advise: its new place alone is enough, and a link at the old one is for good
        p.write("sub/b.txt", "the dogs at the river")
        r = p.run("index", "sub", "--store", "sub/.ilk")
        equal(r.status, 2, "a model is missing")
        matches(r.err, "if that model has moved, give its place with -m, or, for good, put a link to it where it was")
        r = p.run("index", "sub", "--store", "sub/.ilk", "-m", model("clip-quick"))
        equal(r.status, 0, "the other comes by itself: %s" % r)
        equal(json.loads(p.run("status", "--store", "sub/.ilk", "--json").out)["vectors"], 4, "both gave their vectors")
        got = hits(p.run("search", "--jsonl", "--store", "sub/.ilk", "-m", model("clip-quick"), "dogs"))
        equal({os.path.basename(h["model"]) for h in got}, {"clip"}, "that space alone")
        os.symlink(model("clip-quick"), moved)
        r = p.run("search", "--jsonl", "--store", "sub/.ilk", "dogs")
        equal((r.status, r.err, {h["score_kind"] for h in hits(r)}), (0, "", {"rrf"}), "all of them again")


def test_similar():
    with Place() as p:
        filled(p)
        got = hits(p.run("similar", "--jsonl", "png-rgb8.png"))
        equal(len(got), 4, "not itself")
        equal({h["score_kind"] for h in got}, {"cosine"}, "by its own vector")
        equal([h["modality"] for h in got if h["score"] > 0.3], ["image", "image"], "pictures are nearest")
        seen = hits(p.run("search", "--jsonl", "--modality", "image", "--image", "png-rgb8.png"))[1:]
        for a, b in zip(got, seen):
            check(a["path"] == b["path"] and abs(a["score"] - b["score"]) < 1e-5, "as --image: %s" % a["path"])


def test_similar_to_a_file_that_is_not_stored():
    with Place() as p, Place() as other:
        filled(p)
        want = hits(p.run("search", "--jsonl", "--modality", "image", "--image", picture("png-gray8.png")))
        r = p.run("similar", "--jsonl", picture("png-gray8.png"))
        equal(r.status, 0, "similar: %s" % r)
        got = hits(r)
        equal(len(got), 5, "everything, in one list")
        equal([h["path"] for h in got if h["modality"] == "image"], [h["path"] for h in want], "as --image")
        equal({h["score_kind"] for h in got}, {"cosine"}, "scores of one space")
        inside = shutil.copy(picture("png-rgb8.png"), os.path.join(p.dir, "copy.png"))
        check(abs(hits(p.run("similar", "--jsonl", inside))[0]["score"] - 1) < 1e-5, "a copy")
        text = other.write("words.txt", "a red bicycle\n")
        r = p.run("similar", "--jsonl", text)
        equal(hits(r)[0]["path"], "a.txt", "a text: %s" % r)
        odd = other.write("odd.bin", b"\0\1\2\3")
        r = p.run("similar", odd)
        equal(r.status, 2, "neither")
        matches(r.err, "odd.bin: .*a binary file")
        r = p.run("similar", "--space", "nope", "a.txt")
        equal(r.status, 2, "no such space")
        matches(r.err, 'has no space "nope"; it has "image"$')
        r = p.run("similar", "no-such-thing")
        equal(r.status, 2, "neither file nor id")
        matches(r.err, "neither an indexed file nor an item")
    with Place() as p:
        p.write("a.txt", "a red bicycle")
        equal(p.run("index", "-m", model()).status, 0, "index")
        r = p.run("similar", picture("png-rgb8.png"))
        equal(r.status, 2, "a picture and a model of texts")
        matches(r.err, "a model that reads pictures; `ilk index -m MODEL`")


class Sheet(html.parser.HTMLParser):
    """Tags, attributes and text of a contact sheet."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.pictures, self.text, self.attributes = [], [], [], "", set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append(tag)
        self.attributes |= set(attrs)
        if tag == "a":
            self.links.append(attrs["href"])
        if tag == "img":
            self.pictures.append(attrs)

    def handle_data(self, data):
        self.text += data


HOSTILE = '"><img src=x onerror=alert(1)>\u202e&#34;\n.jpg'


def hostile(p):
    filled(p)
    p.write("evil.txt", "<b>x</b>&lt;")
    p.write("evil2.txt", "a\x1b[31m \u202e b")
    shutil.copy(picture("jpeg-420.jpg"), os.path.join(p.dir, HOSTILE))
    shutil.copy(picture("jpeg-422.jpg"), os.path.join(p.dir, "gone.jpg"))
    equal(p.run("index", "-m", model("clip-quick")).status, 0, "index")
    os.unlink(os.path.join(p.dir, "gone.jpg"))


def test_contact_sheet_of_long_things():
    with Place() as p:
        filled(p)
        shutil.copy(picture("jpeg-422.jpg"), os.path.join(p.dir, "x" * 250 + ".jpg"))
        shutil.copy(picture("jpeg-420.jpg"), os.path.join(p.dir, "two\nlines.jpg"))
        shutil.copy(picture("jpeg-422.jpg"), os.path.join(p.dir, "gone.jpg"))
        equal(p.run("index", "-m", model("clip-quick")).status, 0, "index")
        os.unlink(os.path.join(p.dir, "gone.jpg"))
        os.unlink(os.path.join(p.dir, "x" * 250 + ".jpg"))
        with open(os.path.join(p.dir, "two\nlines.jpg"), "wb") as f:
            f.write(b"not a picture any more")
        text = p.run("search", "a long\nquestion " * 50, "-k", "50", "--html", "-").out
        sheet = Sheet(text)
        title = text.split("<title>")[1].split("</title>")[0]
        check(len(title) <= 203 and title.endswith(("question\u2026", "long\u2026", "a\u2026")), "the heading is cut at a word: %r" % title)
        check("two\\x0alines.jpg" in sheet.text, "a name is one line")
        equal(sheet.text.count("no picture: the file is gone"), 2, "what became of a file")
        lacks(sheet.text, "no picture: open", "no path in a small box")
        r = p.run("search", "cat", "-k", "1", "--html", "one.html")
        matches(r.err, r"^ilk: one\.html: 1 hit$")


def test_contact_sheet():
    with Place() as p:
        hostile(p)
        r = p.run("search", "a <b>red</b> bicycle", "--minus", "0.5:@png-rgb8.png", "-k", "50", "--html", "sheet.html")
        equal((r.status, r.out), (0, ""), "search: %s" % r)
        matches(r.err, "^ilk: sheet.html: 9 hits$")
        with open(os.path.join(p.dir, "sheet.html"), encoding="utf-8") as f:
            text = f.read()
        sheet = Sheet(text)
        equal(sorted(set(sheet.tags)), sorted({"html", "head", "meta", "title", "style", "body", "header", "h1", "bdi", "p",
                                               "main", "ol", "li", "div", "span", "a", "img", "blockquote"}), "tags")
        equal(sheet.attributes & {"onerror", "onclick", "style", "srcset"}, set(), "attributes")
        equal(sheet.tags.count("li"), 9, "cards")
        equal(sheet.tags.count("blockquote"), 4, "texts")
        matches(text, "Content-Security-Policy\" content=\"default-src 'none'; img-src data:")
        matches(text, "prefers-color-scheme:dark")
        for what in ("a <b>red</b> bicycle - 0.5 x png-rgb8.png", "<b>x</b>&lt;", "13 x 9, 428 bytes", "rrf"):
            check(what in sheet.text, "shown: %s" % what)
        check("\u202e" not in text and "\x1b" not in text, "nothing steers the page or a terminal")
        equal({urllib.parse.unquote(s) for s in sheet.links},
              {"file://" + os.path.join(os.path.realpath(p.dir), n)
               for n in [*TEXTS, *PICTURES, "evil.txt", "evil2.txt", HOSTILE, "gone.jpg"]}, "links lead to the files")
        equal(len(sheet.pictures), sheet.tags.count("img"), "pictures")
        check(4 <= len(sheet.pictures) <= 5, "every file that is there has one, and a cached one may")
        for img in sheet.pictures:
            head, data = img["src"].split(",")
            equal((head, base64.b64decode(data)[:3]), ("data:image/jpeg;base64", b"\xff\xd8\xff"), "a JPEG in the page")
            check(img["alt"].startswith("Picture ") and int(img["width"]) > 0 and int(img["height"]) > 0, "alt and size")
        if len(sheet.pictures) == 4:
            matches(sheet.text, "no picture: ")
        r = p.run("similar", "png-rgb8.png", "--html", "-")
        equal(r.status, 0, "similar")
        check("like png-rgb8.png" in Sheet(r.out).text, "what it is about")
        equal(p.run("search", "cat", "--html", "x.html", "--json").status, 2, "two forms")
        r = p.run("search", "cat", "--html", "no/such/x.html")
        equal(r.status, 2, "a folder that is not there")
        matches(r.err, "no/such/x.html")
        equal(p.run("search", "cat", "--min-score", "2", "--html", "none.html").status, 1, "a sheet of nothing")
        check(os.path.exists(os.path.join(p.dir, "none.html")), "is there, too")
