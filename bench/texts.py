# SPDX-License-Identifier: Apache-2.0
"""Sections of compare.py: models of texts beside their peers. Ids to vectors, start, a file to a file."""
import json
import os
import random
import statistics
import tempfile
import time

import kit

SHAPES = ["8x128", "32x32", "1x16"]
PEERS = ["openvino", "onnxruntime", "openvino int8", "onnxruntime int8"]
MINILM_PEERS = ["openvino", "onnxruntime", "sentence-transformers", "llama.cpp", "openvino int8", "onnxruntime int8",
                "llama.cpp q8_0"]
GOALS = {"minilm": {"f32": 1.3, "int8": 1.4}, "e5-small": {"f32": 1.2, "int8": 1.4}, "bge-base": {"f32": 1.1, "int8": 1.4},
         "bge-m3": {"f32": 1.0, "int8": 1.4}}
TITLE = {"minilm": "all-MiniLM-L6-v2 (6 x 384)", "e5-small": "e5-small's shape (12 x 384), random weights",
         "bge-base": "bge-base's shape (12 x 768), random weights",
         "bge-m3": "bge-m3's backbone (24 x 1024), random weights, 30,522 words"}
WORDS = """the of and to in a is that for it as was with be by on not he his but at are this have from or had an they which
one you were all her she there would their we him been has when who will no more if out so what up said its about than into
them can only other time new some could these two may first then do any like my now over such our man me even most made after
also did many off before must well back through years where much your way down should because long each just state people
those too mister good little very still world men see work life house under hand high year last water great place against
school system program number public area group problem fact money service question power study business case family point
week company interest government market information river mountain bridge window garden kitchen engine paper letter island
memory library vector search engineering measurement temperature quietly suddenly carefully reading writing walking climbing
yellow purple silver wooden narrow ancient distant broken gentle electric chemical musical federal coastal northern winter
autumn harvest orchard bicycle railway harbour lighthouse cathedral laboratory photograph newspaper keyboard thermometer
parliament committee investigation unfortunately nevertheless internationalisation magnetometer hydrology sedimentation""".split()


def make_sentences(b, n):
    """Made-up sentences of 5 to 120 tokens, most of them short, the same every time; the path of their file."""
    r = random.Random(20)
    path = os.path.join(b.a.cache, f"sentences-{n}.txt")
    with open(path, "w", encoding="utf-8") as f:
        for _ in range(n):
            n_words = max(2, round((5 + 114 * r.random() ** 3 - 3) / 1.12))
            words = [r.choice(WORDS[:120]) if r.random() < 0.6 else r.choice(WORDS) for _ in range(n_words)]
            for i in range(9, n_words - 1, 10):
                words[i] += ","
            words[0] = words[0].capitalize()
            f.write(" ".join(words) + ".\n")
    return path


def ilk_systems(b, name):
    """f32, int8, and what auto is here where it is neither."""
    chosen = b.auto(name)
    return ["ilk f32", "ilk int8"] + ([f"ilk {chosen}"] if chosen not in (None, "f32", "int8") else [])


def ops_per_token(model, length):
    """Dense layers and attention; a multiply and an add are two."""
    with open(os.path.join(model, "config.json"), encoding="utf-8") as f:
        c = json.load(f)
    h, ff, layers = c["hidden_size"], c["intermediate_size"], c["num_hidden_layers"]
    return layers * (2 * (4 * h * h + 2 * h * ff) + 4 * length * h)


def vectors_beside(b, name, workers, n):
    """Each system's vectors of n sentences against ilk's in f32; ends the run where an f32 peer's are others."""
    path, found = make_sentences(b, n), {}
    truth = os.path.join(b.a.cache, "vectors-ilk-f32.npy")
    for w in workers:
        out = truth if w.name == "ilk f32" else os.path.join(b.a.cache, "vectors.npy")
        w.ask(f"lines {path} {out}")
        found[w.name] = kit.compare(truth, out)
        kit.check_same(name, w.name, found[w.name])
    return found


def measure(b, workers, name, begin, seconds):
    """Turns by shape. Time is shared out so that a shape of long calls has no more rounds than one of short ones."""
    turns = {shape: kit.Turns() for shape in SHAPES}
    before = b.peak()
    for _ in b.rounds(begin, seconds):
        for shape in SHAPES:
            n, length = map(int, shape.split("x"))
            ops = ops_per_token(b.model(name), length) * n * length
            for w in workers:
                r = w.ask(f"shape {shape} {0.15 if b.a.quick else 0.3}")
                after = b.peak()
                kind = kit.KIND[kit.precision_of(w.name)]
                most = max(before.get(kind, 0), after.get(kind, 0))
                turns[shape].add(w.name, r["best_ms"], r["median_ms"], ops / r["best_ms"] / 1e6 / most if most else 0,
                                 r["peak_mb"])
                before = after
    return turns


def cell(turns, system, shape):
    n, length = map(int, shape.split("x"))
    best, middle = turns[shape].best(system), turns[shape].middle(system)
    if n == 1:
        return f"{best:.2f} ({middle:.2f})"
    return f"{n * length / best * 1e3:,.0f} ({n * length / middle * 1e3:,.0f})"


def shapes(b, name, seconds):
    begin = time.monotonic()
    b.say(f"### Ids to vectors: {TITLE[name]}\n")
    systems = ilk_systems(b, name) + (MINILM_PEERS if name == "minilm" else PEERS)
    workers = b.workers(name, systems, "shape 1x16 0.1")
    found = vectors_beside(b, name, workers, 32 if b.a.quick else 48 if name == "bge-m3" else 128)
    turns = measure(b, workers, name, begin, seconds)
    for w in workers:
        w.close()
    rows = []
    for w in workers:
        s, c = w.name, found[w.name]
        rows.append([s] + [x for shape in SHAPES
                           for x in (cell(turns, s, shape), f"{100 * turns[shape].share[s]:.0f} %")]
                    + [f"{max(turns[x].memory[s] for x in SHAPES):.0f}", f"{c['mean']:.5f} / {c['least']:.4f}"])
    b.table(["system", "8x128, tokens/s", "of peak", "32x32, tokens/s", "of peak", "1x16, ms", "of peak", "peak MB",
             "cosine to f32, mean / least"], rows)
    verdicts(b, name, turns)
    b.say(f"auto is {b.auto(name) or 'not decided'} here. Best (median) of {len(turns['1x16'].ms['ilk f32'])} turns.\n")
    b.figures[name] = {shape: {s: turns[shape].best(s) for s in turns[shape].ms} for shape in SHAPES}


def verdicts(b, name, turns):
    rows = []
    for precision in ("f32", "int8"):
        for shape in SHAPES:
            peer, t = turns[shape].fastest_peer(precision), turns[shape]
            ours = f"ilk {precision}"
            if peer and ours in t.ms:
                goal = "" if shape == "1x16" else f"{GOALS[name][precision]:.1f}"
                rows.append([precision, shape, peer, kit.ratio(t.best(peer) / t.best(ours)),
                             kit.ratio(t.middle(peer) / t.middle(ours)), goal])
    b.table(["precision", "tokens", "fastest peer", "ilk is faster by", "by medians", "goal"], rows)


# ---------------------------------------------------------------- process start to first vector

def start_up(b, seconds):
    begin, text = time.monotonic(), "A red bicycle leans on the wall."
    peers = [p for p in ("openvino", "onnxruntime", "openvino int8", "onnxruntime int8", "llama.cpp",
                         "sentence-transformers") if b.has(p) and not (b.a.quick and p == "sentence-transformers")]
    took, memory = {}, {}
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as f:
        f.write(text + "\n")
        f.flush()
        systems = {f"ilk {p}": [b.program("ilk"), "embed", "-m", b.a.model, "--precision", p, "--threads", str(b.a.threads),
                                f.name] for p in ("f32", "int8")}
        systems |= {p: b.command(p, "minilm", "once", text) for p in peers}
        for s, cmd in list(systems.items()):
            try:
                kit.timed(cmd, b.env)  # page cache warm, graphs made
            except kit.Failed as e:
                b.say(f"{s} is left out: {str(e)[:200]}\n")
                del systems[s]
        for _ in b.rounds(begin, seconds):
            for s, cmd in systems.items():
                for _ in range(5 if s.startswith("ilk") else 1):
                    t, mb = kit.timed(cmd, b.env)
                    took.setdefault(s, []).append(t * 1e3)
                    memory[s] = max(memory.get(s, 0), mb)
    b.say("### Process start to first vector, all-MiniLM-L6-v2, page cache warm (goal: 40 ms)\n")
    b.table(["system", "best ms", "median ms", "peak MB", "ilk f32 is faster by", "by medians"],
            [[s, f"{min(t):.0f}", f"{statistics.median(t):.0f}", f"{memory[s]:.0f}", kit.ratio(min(t) / min(took["ilk f32"])),
              kit.ratio(statistics.median(t) / statistics.median(took["ilk f32"]))] for s, t in took.items()])


# ---------------------------------------------------------------- a file of sentences to a file of vectors

def sentences(b, seconds):
    begin, n = time.monotonic(), 600 if b.a.quick else 5000
    path = make_sentences(b, n)
    systems = ilk_systems(b, "minilm") + [p for p in MINILM_PEERS if not p.startswith("llama")]
    outs = {s: os.path.join(b.a.cache, f"vectors-{s.replace(' ', '-')}.npy") for s in systems}
    workers = {w.name: w for w in b.workers("minilm", systems[:], "shape 4x32 0.1")}
    turns, n_tokens = kit.Turns(), 0
    for s in [s for s in outs if s.startswith("ilk")]:
        workers.pop(s).close()  # ilk is a whole process each time
    for turn in b.rounds(begin, seconds, least=1):
        for s in [s for s in systems if s.startswith("ilk") or s in workers]:
            if turn and s == "sentence-transformers":
                continue  # by far the slowest, and never the fastest peer: once will do
            b.peak()
            if s in workers:
                r = workers[s].ask(f"lines {path} {outs[s]}")
                turns.add(s, r["ms"], r["ms"], memory=r["peak_mb"])
                n_tokens = max(n_tokens, r["tokens"])
                continue
            cmd = [b.program("ilk"), "embed", "-q", "-m", b.a.model, "--precision", s.split()[1], "--threads",
                   str(b.a.threads), "--format", "npy", "-o", outs[s], path]
            for _ in range(1 if s == "ilk f32" else 3):
                t, mb = kit.timed(cmd, b.env)
                turns.add(s, t * 1e3, t * 1e3, memory=mb)
    for w in workers.values():
        w.close()
    rows = []
    for s in turns.ms:
        c = kit.compare(outs["ilk f32"], outs[s])
        kit.check_same("minilm", s, c)
        rows.append([s, f"{n / turns.best(s) * 1e3:,.0f}", f"{n / turns.middle(s) * 1e3:,.0f}",
                     f"{n_tokens / turns.best(s) * 1e3:,.0f}", f"{turns.best(s) / 1e3:.2f}", f"{turns.memory[s]:.0f}",
                     f"{c['mean']:.5f} / {c['least']:.4f}", f"{c['worst']:.1e}"])
    b.say(f"### {n:,} sentences ({n_tokens:,} tokens) from a file to a file of vectors, all-MiniLM-L6-v2\n\n"
          "Goals: f32 1.5 times the fastest f32 peer; int8 1,000 sentences a second where the fastest peer does 477; int8 "
          "under 60 MB. ilk's time is the whole process, its start included; a peer's begins when its model is loaded.\n")
    b.table(["system", "sentences/s", "by medians", "tokens/s", "best s", "VmHWM, MB", "cosine to ilk f32, mean / least",
             "largest difference"], rows)
    b.table(["precision", "fastest peer", "ilk is faster by", "by medians"],
            [[p, peer, kit.ratio(turns.best(peer) / turns.best(f"ilk {p}")),
              kit.ratio(turns.middle(peer) / turns.middle(f"ilk {p}"))]
             for p in ("f32", "int8") for peer in [turns.fastest_peer(p)] if peer])
    b.figures["sentences"] = {s: n / turns.best(s) * 1e3 for s in turns.ms}
