# SPDX-License-Identifier: Apache-2.0
"""index over a folder of pictures: beside texts, with junk, by several models; what is told, kept and shown."""
import json
import os
import shutil

import harness
from harness import Place, check, equal, lacks, matches, model


def picture(name):
    for folder in ("picture-files", "exif", "ocr"):
        path = os.path.join(harness.FIXTURES, folder, name)
        if os.path.exists(path):
            return path
    raise FileNotFoundError(name)


def put(p, name, to):
    os.makedirs(os.path.dirname(os.path.join(p.dir, to)) or p.dir, exist_ok=True)
    shutil.copy(picture(name), os.path.join(p.dir, to))


def album(p):
    put(p, "jpeg-camera.jpg", "2024/IMG_1.JPG")
    put(p, "png-rgb8.png", "2024/screen.png")
    put(p, "webp-lossy.webp", "holiday.webp")
    p.write("notes.txt", "a red bicycle\n")


def junk(p):
    for name in ("IMG_2.CR2", "IMG_3.cr2"):
        with open(os.path.join(p.dir, name), "wb") as f:
            f.write(b"II*\0\x10\0\0\0CR\2\0" + bytes(100))
    with open(os.path.join(p.dir, "clip.mp4"), "wb") as f:
        f.write(b"\0\0\0\x18ftypisom\0\0\2\0isommp42" + bytes(100))
    p.write("logo.svg", "<svg xmlns='http://www.w3.org/2000/svg'/>\n")
    put(p, "jpeg-truncated.jpg", "half.jpg")
    put(p, "png-bomb.png", "bomb.png")


def many(p, n):
    """Files that differ behind the picture's end, so that each is another one."""
    for i in range(n):
        put(p, "jpeg-420.jpg", "%d.jpg" % i)
        with open(os.path.join(p.dir, "%d.jpg" % i), "ab") as f:
            f.write(b"%d" % i)


def hits(r):
    return [json.loads(s) for s in r.out.split("\n") if s]


def test_a_picture_that_fails_is_named_once():
    with Place() as p:
        put(p, "jpeg-truncated.jpg", "half.jpg")
        put(p, "png-rgb8.png", "whole.png")
        r = p.run("embed", "-m", model("clip-quick"), "half.jpg", "whole.png")
        matches(r.err, r"ilk: half\.jpg: jpeg: truncated[^\n]*\nilk: 1 of 2 inputs")


def test_a_folder_with_junk():
    with Place() as p:
        album(p)
        junk(p)
        r = p.run("index", "-m", model("clip-quick"))
        equal(r.status, 0, "the rest goes on: %s" % r)
        matches(r.err, r"ilk: half\.jpg: [^\n]*truncated")
        matches(r.err, r"ilk: bomb\.png: [^\n]*expected at most 89478485 pixels")
        matches(r.err, r"10 files, 4 indexed, 4 skipped, 2 failed; 1 passage, \d+ tokens, 3 pictures; ")
        matches(r.err, r"\n  2 RAW photos \(IMG_2\.CR2, \.\.\.\), 1 video \(clip\.mp4\), 1 SVG drawing \(logo\.svg\): not supported yet\n")
        r = p.run("index", "-m", model("clip-quick"))
        matches(r.err, r"10 files, 4 unchanged, 4 skipped, 2 failed;")
        matches(p.run("status").err + p.run("status").out, r"files\s+4 indexed, 3 of them pictures")
        doc = json.loads(p.run("status", "--json").out)
        equal((doc["pictures"], doc["spaces"][0]["name"]), (3, "image"), "status")
        matches(p.run("status", "-v").err, r"IMG_2\.CR2: skipped: not supported yet: a RAW photo")
        equal(p.run("index", "--strict").status, 2, "--strict")


def test_metadata():
    with Place() as p:
        album(p)
        equal(p.run("index", "-m", model("clip-quick")).status, 0, "index")
        got = {h["path"]: h for h in hits(p.run("search", "--jsonl", "--modality", "image", "-k", "9", "cat"))}
        about = got["2024/IMG_1.JPG"]["metadata"]
        equal((about["width"], about["height"], about["kind"], about["camera_make"], about["camera_model"], about["lens"]),
              (11, 19, "jpeg", "Canon", "Canon EOS R5", "RF24-70mm F2.8 L IS USM"), "metadata")
        check(abs(about["latitude"] + 33.8567844) < 1e-6 and abs(about["longitude"] - 151.2152967) < 1e-6, "place")
        check("2024-05-01T08:20:30" in str(about["taken"]), "when: %s" % about["taken"])
        check("taken" not in got["2024/screen.png"]["metadata"], "a screenshot has no camera")
        r = p.run("index", "--no-exif")
        matches(r.err, r"3 indexed, 1 unchanged")
        got = {h["path"]: h for h in hits(p.run("search", "--jsonl", "--modality", "image", "-k", "9", "cat"))}
        about = got["2024/IMG_1.JPG"]["metadata"]
        equal((about["width"], about["height"]), (19, 11), "not turned")
        check(not {"taken", "latitude", "camera_make", "lens"} & set(about), "nothing of EXIF is kept")
        equal(about["exif"], False, "which is told")
        put(p, "jpeg-camera.jpg", "2024/later.jpg")
        matches(p.run("index").err, r"5 files, 1 indexed, 4 unchanged;")
        for h in hits(p.run("search", "--jsonl", "--modality", "image", "-k", "9", "cat")):
            check(not {"taken", "latitude"} & set(h["metadata"]), "nor of a file that comes later: %s" % h)
        equal(p.run("index", "--exif", "--no-exif").status, 2, "both")
        matches(p.run("index", "--exif").err, r"4 indexed, 1 unchanged;")
        matches(p.run("index").err, r"5 files, 5 unchanged;")
        check(any("latitude" in h["metadata"] for h in hits(p.run("search", "--jsonl", "--modality", "image", "cat"))), "again")


def test_a_model_of_texts_alone():
    with Place() as p:
        album(p)
        r = p.run("index", "-m", model())
        equal(r.status, 0, "no error")
        matches(r.err, r"4 files, 1 indexed, 3 skipped;")
        matches(r.err, r"\n  3 skipped: a picture: no model here sees \([^)]*, \.\.\.\)\n  for the pictures, add a model that sees: ilk index -m ")
        # one that sees comes in beside it, by its name alone
        r = p.run("index", "-m", model("clip-quick"))
        matches(r.err, r"4 files, 4 indexed; 1 passage, \d+ tokens, 3 pictures;")
        spaces = {s["name"]: s for s in json.loads(p.run("status", "--json").out)["spaces"]}
        equal(sorted(spaces), ["image", "text"], "a space of each")
        matches(p.run("index").err, r"4 files, 4 unchanged;")
        put(p, "gif-256.gif", "new.gif")
        p.write("notes.txt", "the dogs at the river\n")
        matches(p.run("index").err, r"5 files, 2 indexed, 3 unchanged;")
        doc = json.loads(p.run("status", "--json").out)
        equal(doc["vectors"], 4 + 2, "a picture has one vector, a text two")
        r = p.run("index", "-m", model("bert-cls"))  # adds no sense: rather a mistake
        equal(r.status, 2, "another model of texts: %s" % r)
        matches(r.err, r"index with the store.s own model, with both")
        r = p.run("index", "-m", model("bert-cls"), "-m", model(), "-m", model("clip-quick"))
        equal(r.status, 0, "unless all are named: %s" % r)
        equal(len(json.loads(p.run("status", "--json").out)["spaces"]), 3, "spaces")


def test_several_models_at_once():
    with Place() as p:
        album(p)
        r = p.run("index", "-m", model(), "-m", model("clip-quick"))
        equal(r.status, 0, "index: %s" % r)
        matches(r.err, r"4 files, 4 indexed; 1 passage, \d+ tokens, 3 pictures;")
        equal(json.loads(p.run("status", "--json").out)["vectors"], 5, "three pictures, a text twice")
        r = p.run("index", "-m", model("clip-quick"), "-m", model("clip-quick"))
        equal(r.status, 2, "one model twice")
        matches(r.err, r"one checkpoint")


def test_dry_run_and_limits():
    with Place() as p:
        album(p)
        junk(p)
        r = p.run("index", "-n")
        lines = dict(reversed(s.split("\t")[:2]) for s in r.out.split("\n") if s)
        equal(lines["2024/IMG_1.JPG"], "index", "a picture")
        equal((lines["clip.mp4"], lines["half.jpg"]), ("skip", "fail"), "junk")
        check(not os.path.exists(os.path.join(p.dir, ".ilk")), "nothing was made")


def test_cancel_goes_on_later():
    with Place() as p:
        many(p, 60)
        proc = p.start("index", "-m", model("clip-quick"))
        status = harness.interrupt(proc, after=0.2)[0]
        check(status in (0, 130), "interrupted, or done by then: %d" % status)
        r = p.run("index", "-m", model("clip-quick"))
        equal(r.status, 0, "again: %s" % r)
        equal(json.loads(p.run("status", "--json").out)["pictures"], 60, "all of them")


def test_a_store_removed_while_it_is_written():
    with Place() as p:
        many(p, 600)
        store = os.path.join(p.dir, ".ilk")
        proc = p.start("index", "-m", model("clip-quick"))
        harness.wait_for(lambda: os.path.exists(os.path.join(store, "manifest")), pause=0.001)
        shutil.rmtree(store, ignore_errors=True)
        _, err = proc.communicate(timeout=harness.PATIENCE)
        equal(proc.returncode, 2, "it does not say that all is well: %s" % err)


def test_words_in_pictures():
    with Place() as p:
        put(p, "sign.png", "sign.png")
        put(p, "jpeg-420.jpg", "noise.jpg")
        r = p.run("index", "--ocr", "-m", model("clip-quick"), PATH="/nowhere")
        equal(r.status, 2, "without tesseract")
        matches(r.err, r"ocr: [^\n]*tesseract, which is not installed \(Debian's package tesseract-ocr")
        equal(p.run("index", "--ocr-languages", "../x", "-m", model()).status, 2, "no language")
        harness.need("tesseract")
        r = p.run("index", "--ocr", "-m", model(), "-m", model("clip-quick"))
        matches(r.err, r"2 files, 2 indexed; 2 pictures;")
        equal(json.loads(p.run("status", "--json").out)["vectors"], 3, "the words have one of their own")
        found = hits(p.run("search", "--jsonl", "--space", "text", "The red bicycle is lovely. Seven dogs in the market"))
        equal([h["path"] for h in found], ["sign.png"], "found by its words")
        check(found[0]["score"] > 0.9 and found[0]["modality"] == "image", "score: %s" % found[0])
        equal(found[0]["text"].split(), "The red bicycle is lovely. Seven dogs in the market".split(), "the text is kept")
        matches(p.run("index", "--ocr").err, r"2 files, 2 unchanged;")
        equal(found[0]["metadata"]["ocr"], "eng", "in which languages")
        matches(p.run("index").err, r"2 files, 2 unchanged;")
        r = p.run("index", "--ocr-languages", "xyz")
        equal(r.status, 2, "tesseract lacks it")
        matches(r.err, r'ocr: expected languages that tesseract has, found "xyz": tesseract: ')
        equal(json.loads(p.run("status", "--json").out)["vectors"], 3, "the words stay")
        r = p.run("index", PATH="/nowhere")
        equal(r.status, 2, "words that cannot be read any more")
        matches(r.err, "the store's pictures were read so, and --no-ocr forgets their words")
        put(p, "sign.png", "another.png")
        matches(p.run("index").err, r"3 files, 1 indexed, 2 unchanged; 1 picture;")
        equal(json.loads(p.run("status", "--json").out)["vectors"], 5, "a new picture is read like the others")
        equal(p.run("index", "--ocr", "--no-ocr").status, 2, "both")
        matches(p.run("index", "--no-ocr").err, r"3 files, 3 indexed; 3 pictures;")
        equal(json.loads(p.run("status", "--json").out)["vectors"], 3, "no words any more")
        matches(p.run("index").err, r"3 files, 3 unchanged;")


def test_words_alone():
    """Scans, and a model that reads and does not see."""
    harness.need("tesseract")
    with Place() as p:
        put(p, "sign.png", "sign.png")
        put(p, "jpeg-420.jpg", "noise.jpg")
        matches(p.run("index", "-m", model()).err, r"2 files, 2 skipped;\D.*a picture: no model here sees")
        r = p.run("index", "-m", model(), "--ocr")
        matches(r.err, r"2 files, 1 indexed, 1 skipped; 1 picture;.*\n  1 skipped: a picture without words: no model here sees \(noise\.jpg\)\n")
        found = hits(p.run("search", "--jsonl", "seven dogs in the market"))
        equal([(h["path"], h["modality"]) for h in found], [("sign.png", "image")], "found by its words")
        matches(p.run("index").err, r"2 files, 1 unchanged, 1 skipped;")
        matches(p.run("index", "-m", model("clip-quick")).err, r"2 files, 2 indexed; 2 pictures;")
        equal(json.loads(p.run("status", "--json").out)["vectors"], 3, "and by their looks")
