# SPDX-License-Identifier: Apache-2.0
"""Sections of compare.py: pictures. Pixels to vectors, files to vectors, decoding and resizing, words to hits, memory."""
import json
import os
import re
import shutil
import time

import kit

PEERS = ["openvino", "onnxruntime", "torch", "openvino int8", "onnxruntime int8"]
MODEL = "vit-b32"


def ilk_systems(b):
    chosen = b.auto(MODEL)
    return ["ilk f32", "ilk int8"] + ([f"ilk {chosen}"] if chosen not in (None, "f32", "int8") else [])


def listing(b, kind, n):
    """The path of a list of the first n pictures of a kind."""
    folder = os.path.join(b.a.cache, "pictures", kind)
    path = os.path.join(b.a.cache, f"pictures-{kind}-{n}.txt")
    with open(path, "w", encoding="utf-8") as f:
        f.write("".join(os.path.join(folder, x) + "\n" for x in sorted(os.listdir(folder))[:n]))
    return path


def ops_of_picture(model):
    """Dense layers and attention of the picture's tower, its patches and its projection; a multiply and an add are two."""
    with open(os.path.join(model, "config.json"), encoding="utf-8") as f:
        c = json.load(f)
    v = c["vision_config"]
    h, ff, n = v["hidden_size"], v["intermediate_size"], (v["image_size"] // v["patch_size"]) ** 2
    layer = 2 * (4 * h * h + 2 * h * ff) + 4 * (n + 1) * h
    return v["num_hidden_layers"] * layer * (n + 1) + 2 * 3 * v["patch_size"] ** 2 * h * n


def cosines(b, name, systems, n):
    """Of 8 bits and the like against the same system's f32, over n pictures."""
    path, truth, found = listing(b, "small", n), {}, {}
    for w in b.workers(name, systems, "pixels 1 0.1"):
        out = os.path.join(b.a.cache, "vectors-pictures-" + w.name.replace(" ", "-") + ".npy")
        w.ask(f"files {path} {out}")
        w.close()
        family = w.name.split()[0]
        truth.setdefault(family, out)  # f32 comes first
        found[w.name] = kit.compare(truth[family], out)
    return found


def pixels(b, seconds):
    begin = time.monotonic()
    b.say("### Pixels to vectors: ViT-B/32's shape, random weights\n")
    systems = ilk_systems(b) + PEERS
    few = [s for s in systems if s != "torch"]
    n = 8 if b.a.quick else 32
    plain, outliers = cosines(b, MODEL, few, n), cosines(b, MODEL + "-outliers", few, n)
    workers = b.workers(MODEL, systems, "pixels 1 0.1")
    turns = {n: kit.Turns() for n in (8, 1)}
    ops, before = ops_of_picture(b.model(MODEL)), b.peak()
    for _ in b.rounds(begin, seconds):
        for n in turns:
            for w in workers:
                r = w.ask(f"pixels {n} 0.4")
                after = b.peak()
                kind = kit.KIND[kit.precision_of(w.name)]
                most = max(before.get(kind, 0), after.get(kind, 0))
                turns[n].add(w.name, r["best_ms"], r["median_ms"], ops * n / r["best_ms"] / 1e6 / most if most else 0,
                             r["peak_mb"])
                before = after
    for w in workers:
        w.close()
    rows = []
    for s in turns[8].ms:
        rows.append([s] + [x for n in turns for x in (f"{n / turns[n].best(s) * 1e3:.1f} ({n / turns[n].middle(s) * 1e3:.1f})",
                                                      f"{100 * turns[n].share[s]:.0f} %")]
                    + [f"{turns[8].memory[s]:.0f}"]
                    + [f"{f[s]['mean']:.5f} / {f[s]['least']:.4f}" if s in f else "" for f in (plain, outliers)])
    b.table(["system", "8 at once, pictures/s", "of peak", "1 at once", "of peak", "peak MB", "cosine to its f32, mean / least",
             "the same of the outlier copy"], rows)
    t = turns[8]
    b.table(["precision", "fastest peer, 8 at once", "ilk is faster by", "by medians", "goal"],
            [[p, peer, kit.ratio(t.best(peer) / t.best(f"ilk {p}")), kit.ratio(t.middle(peer) / t.middle(f"ilk {p}")), goal]
             for p, goal in (("f32", "1.05"), ("int8", "1.2 at 0.999 on the outlier copy"))
             for peer in [t.fastest_peer(p)] if peer and f"ilk {p}" in t.ms])
    b.say(f"auto is {b.auto(MODEL) or 'f32, as nothing is decided'} here. Best (median).\n")
    b.figures["pictures"] = {"8 at once": {s: 8 / turns[8].best(s) * 1e3 for s in turns[8].ms}}


# ---------------------------------------------------------------- files

SIZES = {"small": ("500x375", 120, 1.25), "large": ("4000x3000", 24, 1.35)}


def files(b, seconds):
    begin = time.monotonic()
    resizing(b, 4 if b.a.quick else 10)
    b.say("### JPEG files to vectors: ViT-B/32's shape\n\nA peer has two worker processes that decode and resize with Pillow, "
          "beside the process that makes vectors of 8 pictures at a time.\n")
    systems = ["ilk f32", "openvino", "onnxruntime", "ilk int8", "openvino int8", "onnxruntime int8"]
    few = listing(b, "small", 8)
    workers = b.workers(MODEL, systems, f"files {few} {os.path.join(b.a.cache, 'vectors.npy')}")
    turns = {k: kit.Turns() for k in SIZES}
    for _ in b.rounds(begin, seconds, least=1):
        for kind, (_, n, _) in SIZES.items():
            n = 16 if b.a.quick else n
            path = listing(b, kind, n)
            for w in workers:
                b.peak()
                r = w.ask(f"files {path} {os.path.join(b.a.cache, 'vectors.npy')}")
                turns[kind].add(w.name, r["ms"] / n, r["ms"] / n, memory=r["peak_mb"])
    for w in workers:
        w.close()
    b.table(["system"] + [f"{SIZES[k][0]}, pictures/s" for k in SIZES] + ["peak MB"],
            [[s] + [f"{1e3 / turns[k].best(s):.1f} ({1e3 / turns[k].middle(s):.1f})" for k in SIZES]
             + [f"{max(turns[k].memory[s] for k in SIZES):.0f}"] for s in turns["small"].ms])
    b.table(["pictures", "precision", "fastest peer", "ilk is faster by", "by medians", "goal"],
            [[SIZES[k][0], p, peer, kit.ratio(turns[k].best(peer) / turns[k].best(f"ilk {p}")),
              kit.ratio(turns[k].middle(peer) / turns[k].middle(f"ilk {p}")), SIZES[k][2]]
             for k in SIZES for p in ("f32", "int8") for peer in [turns[k].fastest_peer(p)]
             if peer and f"ilk {p}" in turns[k].ms])
    b.figures["files"] = {SIZES[k][0]: {s: 1e3 / turns[k].best(s) for s in turns[k].ms} for k in SIZES}


def resizing(b, seconds):
    """Resizing as bench_resize does it, beside Pillow; decoding as bench_decode does it, one thread and all."""
    sizes, rows = [(500, 375, 298, 224), (4000, 3000, 298, 224)], []
    for size in sizes:
        ours, theirs, words = [], [], list(map(str, size))
        for _ in range(2):
            b.peak()
            ours.append(float(b.capture([b.program("bench_resize"), "pillow", *words, "3", str(seconds / 16)]).split()[0]) / 1e3)
            theirs.append(json.loads(b.capture([b.python, b.script("peer_pictures.py"), "resize", *words,
                                                str(seconds / 16)]))["best_ms"])
        rows.append([f"{size[0]}x{size[1]} to {size[2]}x{size[3]}", f"{min(ours):.2f}", f"{min(theirs):.2f}",
                     kit.ratio(min(theirs) / min(ours))])
    b.say("### Resizing and decoding alone\n\nBicubic on one thread, Pillow's and ilk's that gives the same bytes (goal: 4 times "
          "as fast; `golden/pictures` holds it to every bit).\n")
    b.table(["picture", "ilk, ms", "Pillow, ms", "ilk is faster by"], rows)
    rows = []
    for kind, (size, _, _) in SIZES.items():
        with open(listing(b, kind, 12), encoding="utf-8") as f:
            paths = f.read().splitlines()
        for threads in sorted({1, b.a.threads}):
            b.peak()
            said = b.capture([b.program("bench_decode"), b.program("ilk-media"), str(threads), str(seconds / 8), *paths])
            here, helper = re.search(r"here ([\d.]+) files/s, by helpers ([\d.]+)", said).groups()
            rows.append([size, threads, here, helper, f"{100 * (float(here) / float(helper) - 1):.1f} %"])
    b.say("JPEGs decoded by the helpers in their sandbox, and by the same decoders without (goal: 5 % at most).\n")
    b.table(["pictures", "threads", "direct, files/s", "in the sandbox", "the sandbox costs"], rows)


# ---------------------------------------------------------------- words to hits; memory

def words(b, seconds):
    n = 2000 if b.a.quick else 100000
    store = os.path.join(b.a.cache, f"words-{n}")
    shutil.rmtree(store, ignore_errors=True)
    rows = []
    for p in ("f32", "int8"):
        b.peak()
        r = json.loads(b.capture([b.program("bench_words"), p, b.model(MODEL), store, str(n), str(b.a.threads),
                                  str(min(5, seconds / 5))]))
        rows.append([p, f"{r['p50']:.2f}", f"{r['p95']:.2f}", f"{r['tower_p50']:.2f}", r["queries"]])
    b.say(f"### Words to hits over {n:,} pictures, the text tower warm (goal: p50 15 ms)\n\nCLIP's text tower (12 x 512), then "
          "exact search of 512 dimensions and ten records read, one query at a time.\n")
    b.table(["precision", "p50, ms", "p95, ms", "of it the tower, p50", "queries"], rows)


def many_files(b, n):
    """n JPEGs of different bytes: pictures of the cache with a number behind their end, which decoders pass over."""
    folder = os.path.join(b.a.cache, f"many-{n}")
    if not os.path.exists(folder):
        shutil.rmtree(folder + ".new", ignore_errors=True)
        os.makedirs(folder + ".new")
        with open(listing(b, "small", 400), encoding="utf-8") as f:
            sources = f.read().splitlines()
        for i in range(n):
            with open(sources[i % len(sources)], "rb") as f, \
                    open(os.path.join(folder + ".new", f"{i:05}.jpg"), "wb") as g:
                g.write(f.read() + b"%8d" % i)
        os.rename(folder + ".new", folder)
    return folder


TINY = os.path.join(kit.HERE, "..", "tests", "fixtures", "clip-quick")


def memory_of(b, what, model):
    """Rows: VmHWM of `ilk index` over a thousand files and over ten thousand."""
    rows, high = [], {}
    for n in (20, 40) if b.a.quick else (1000, 10000):
        folder = many_files(b, n)
        shutil.rmtree(os.path.join(folder, ".ilk"), ignore_errors=True)
        took, high[n] = kit.timed([b.program("ilk"), "index", "-q", folder, "-m", *model, "--threads", str(b.a.threads)], b.env)
        shutil.rmtree(os.path.join(folder, ".ilk"), ignore_errors=True)
        rows.append([what, f"{n:,}", f"{high[n]:.1f}", f"{took:.0f}", f"{n / took:.0f}"])
    small, large = high.values()
    return rows, f"{what}: {100 * (large / small - 1):+.1f} %, {large - small:+.1f} MB. "


def memory_tables(b, models):
    rows, verdict = [], ""
    for what, model in models:
        more, words_of_it = memory_of(b, what, model)
        rows, verdict = rows + more, verdict + words_of_it
    b.say("### Memory of `ilk index` over pictures (goal: 10,000 within 5 % of 1,000)\n\nJPEGs of 500x375. The larger folder "
          f"takes: {verdict}A tiny network shows what the files cost without the weights of one.\n")
    b.table(["model", "files", "VmHWM, MB", "seconds", "files/s"], rows)


def memory(b, seconds):
    del seconds
    memory_tables(b, [("a tiny CLIP", [TINY, "--precision", "f32"])])


def memory_large(b, seconds):
    del seconds
    memory_tables(b, [("a tiny CLIP", [TINY, "--precision", "f32"]),
                      ("ViT-B/32's shape, int8", [b.model(MODEL), "--precision", "int8"])])
