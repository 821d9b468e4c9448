# SPDX-License-Identifier: Apache-2.0
"""What sections of compare.py need and keep in the cache: checkpoints of random weights, their outlier copies, the peers'
graphs, pictures, and which precision auto is. Made once; a thing that cannot be made is said, and its section does without."""
import os
import re
import shutil
import sys

import kit
import pictures
import texts

DOCS = ("BENCHMARKS.md", "QUALITY.md", "TOUR.md", "PICTURES.md", "MODELS.md", "ADDING.md", "DEPENDENCIES.md")


def note(text):
    print(text, file=sys.stderr, flush=True)


def everything(b, needs):
    calibration(b)
    for need in needs:
        if need in ("pictures", "many"):
            make_pictures(b)
            for n in (1000, 10000) if need == "many" and not b.a.quick else ():
                pictures.many_files(b, n)
        else:
            checkpoint(b, need)
            graphs(b, need)
            decide(b, need)


def attempt(b, what, cmd):
    note(what)
    try:
        return b.capture(cmd)
    except kit.Failed as e:
        note(f"{what}: {e}")
        return None


def calibration(b):
    """96 sentences and as many pictures for nncf: of STS-B behind the 2,000 that quality is measured on, else of docs/."""
    path = b.env["ILK_BENCH_CALIBRATION"]
    if not os.path.exists(path):
        found, data = [], os.environ.get("ILK_TEST_DATA")
        if data and os.path.exists(os.path.join(data, "data", "stsb")):
            out = b.capture([b.python, b.script("precisions.py"), "--list", os.path.join(data, "data", "stsb", "stsb-en-test.csv")])
            found = out.splitlines()[2000:]
        for page in DOCS if len(found) < 96 else []:
            with open(os.path.join(kit.HERE, "..", "docs", page), encoding="utf-8") as f:
                plain = re.sub(r"[|`*#]", " ", re.sub(r"```.*?```", "", f.read(), flags=re.S))
            found += [" ".join(s.split()) for s in re.split(r"(?<=[.:;])\s", plain) if 40 < len(s) < 300]
        step = max(1, len(found) // 96)
        with open(path, "w", encoding="utf-8") as f:
            f.write("\n".join(found[::step][:96]) + "\n")


def checkpoint(b, name):
    path = b.model(name)
    if name == "minilm" or os.path.exists(path):
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if name.endswith("-outliers"):
        checkpoint(b, name.removesuffix("-outliers"))
        shutil.rmtree(path + ".new", ignore_errors=True)
        if attempt(b, f"making {name}", [b.python, os.path.join(kit.HERE, "..", "tools", "outlier_copy.py"),
                                         b.model(name.removesuffix("-outliers")), path + ".new"]) is not None:
            os.rename(path + ".new", path)
        return
    tokenizer = os.path.join(kit.HERE, "..", "tests", "fixtures", "tok-clip") if name == "vit-b32" else b.a.model
    attempt(b, f"making {name}", [b.python, b.script("make_shapes.py"), name, path, tokenizer])


def graphs(b, name):
    """An empty file `ready-…` says that a peer was tried."""
    folder = b.graphs(name)
    os.makedirs(folder, exist_ok=True)
    sees = name.startswith("vit")
    if sees:
        make_pictures(b)
    peers = texts.PEERS if sees or not name.startswith("minilm") else texts.MINILM_PEERS
    for system in peers:
        ready = os.path.join(folder, "ready-" + system.replace(" ", "-"))
        if system != "sentence-transformers" and b.has(system) and not os.path.exists(ready):
            attempt(b, f"{system}'s graph of {name}", [b.python, b.script("peers.py"), "prepare", system, b.model(name), folder])
            open(ready, "w", encoding="utf-8").close()


def decide(b, name):
    if b.auto(name) is None and not name.endswith("-outliers"):
        note(f"what auto is for {name}")
        try:
            b.capture([b.program("ilk"), "verify", b.model(name)])
        except kit.Failed as e:  # also where no values of the model are known; the decision is made then, too
            if b.auto(name) is None:
                note(f"not decided: {str(e).splitlines()[-1]}")


def make_pictures(b):
    folder, data = os.path.join(b.a.cache, "pictures"), os.environ.get("ILK_TEST_DATA", "")
    source = os.path.join(data, "data", "imagenet-sample")
    if not os.path.exists(os.path.join(folder, "large")):
        shutil.rmtree(folder, ignore_errors=True)
        attempt(b, "making pictures", [b.python, b.script("peer_pictures.py"), "make", folder + ".new",
                                       source if data and os.path.isdir(source) else "-"])
        os.rename(folder + ".new", folder)
    with open(b.env["ILK_BENCH_CALIBRATION"] + ".pictures", "w", encoding="utf-8") as f:
        small = sorted(os.listdir(os.path.join(folder, "small")))
        f.write("\n".join(os.path.join(folder, "small", x) for x in small[-96:]) + "\n")
