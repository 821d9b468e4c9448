#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ilk beside its peers, in one run: compare.py --build DIR --model DIR --venv DIR --cache DIR [--quick] [--only a,b] [--publish]

Prints Markdown and writes it to DIR/bench.md. Systems take turns (A B A B), so that a slow spell of the machine meets all
of them, and the machine's own peak is taken beside every figure. Standard library only: the peers live in peers.py, under
the Python of the virtual environment."""
import argparse
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PEERS = ["openvino", "onnxruntime", "sentence-transformers"]
SHAPES = ["8x128", "32x32", "1x16"]


class Bench:
    def __init__(self, a):
        self.a, self.out, self.peaks = a, [], []
        self.python = os.path.join(a.venv, "bin", "python")
        self.env = dict(os.environ, ILK_BENCH_CACHE=a.cache, TOKENIZERS_PARALLELISM="true", HF_HUB_OFFLINE="1",
                        TRANSFORMERS_VERBOSITY="error", HF_HUB_DISABLE_PROGRESS_BARS="1",
                        OMP_NUM_THREADS=str(a.threads), OPENBLAS_NUM_THREADS=str(a.threads))
        self.versions = dict(line.split() for line in self.capture([self.python, self.script(), "versions"]).splitlines())
        self.peers = [p for p in PEERS if p in self.versions]

    def script(self):
        return os.path.join(HERE, "peers.py")

    def program(self, name):
        return os.path.join(self.a.build, name)

    def capture(self, cmd):
        r = subprocess.run(cmd, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           text=True)
        if r.returncode != 0:
            sys.exit(f"{' '.join(cmd)}: exit status {r.returncode}\n{r.stderr[-2000:]}")
        return r.stdout

    def peak(self, seconds=0.3):
        """GFLOP/s of f32 multiply-adds, now."""
        v = float(self.capture([self.program("bench_peak"), str(self.a.threads), str(seconds)]))
        self.peaks.append(v)
        return v

    def command(self, system, *more):
        if system == "ilk":
            return [self.program("bench_embed"), self.a.model, str(self.a.threads), *more]
        return [self.python, self.script(), system, self.a.model, str(self.a.threads), *more]

    def say(self, text=""):
        print(text, flush=True)
        self.out.append(text)

    def table(self, head, rows):
        self.say("| " + " | ".join(head) + " |")
        self.say("|" + "---|" * len(head))
        for row in rows:
            self.say("| " + " | ".join(str(c) for c in row) + " |")
        self.say()


class Worker:
    """A long-lived process that answers each command with a line of JSON."""

    def __init__(self, bench, system):
        self.name = system
        self.p = subprocess.Popen(bench.command(system), env=bench.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, text=True)

    def ask(self, command):
        self.p.stdin.write(command + "\n")
        self.p.stdin.flush()
        line = self.p.stdout.readline()
        answer = json.loads(line) if line else {"error": "it ended"}
        if "error" in answer:
            sys.exit(f"{self.name}: {command}: {answer['error']}")
        return answer

    def close(self):
        self.p.stdin.close()
        self.p.wait()


def timed(cmd, env):
    """Wall seconds and peak MB (VmHWM) of a whole process."""
    start = time.perf_counter()
    p = subprocess.Popen(cmd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    message = p.stderr.read()
    _, status, usage = os.wait4(p.pid, 0)
    p.returncode = os.waitstatus_to_exitcode(status)
    if p.returncode != 0:
        sys.exit(f"{' '.join(cmd)}: exit status {p.returncode}\n{message.decode(errors='replace')[-2000:]}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def ratio(x):
    return f"{x:.2f}"


def best_peer(figures):
    return min(v for k, v in figures.items() if k != "ilk")


# ---------------------------------------------------------------- throughput and latency, ids to vectors

def flops_per_token(model, length):
    """Dense layers and attention; a multiply and an add are two."""
    with open(os.path.join(model, "config.json"), encoding="utf-8") as f:
        c = json.load(f)
    h, ff, layers = c["hidden_size"], c["intermediate_size"], c["num_hidden_layers"]
    return layers * (2 * (4 * h * h + 2 * h * ff) + 4 * length * h)


def shapes(b):
    rounds, seconds = (2, 0.5) if b.a.quick else (8, 1.0)
    systems = ["ilk"] + [p for p in b.peers if not (b.a.quick and p == "sentence-transformers")]
    workers = [Worker(b, s) for s in systems]
    for w in workers:
        w.ask("shape 1x16 0.1")
    b.say("### Ids to vectors\n")
    for shape in SHAPES:
        n, length = map(int, shape.split("x"))
        best, medians, shares, memory = {}, {}, {}, {}
        before = b.peak()
        for _ in range(rounds):
            for w in workers:
                r = w.ask(f"shape {shape} {seconds}")
                after = b.peak()
                gflops = flops_per_token(b.a.model, length) * n * length / r["best_ms"] / 1e6
                best[w.name] = min(best.get(w.name, 1e30), r["best_ms"])
                medians.setdefault(w.name, []).append(r["median_ms"])
                shares[w.name] = max(shares.get(w.name, 0), gflops / max(before, after))
                memory[w.name] = r["peak_mb"]
                before = after
        middle = {k: statistics.median(v) for k, v in medians.items()}
        rows = []
        for s in systems:
            rate = n * length / best[s] * 1e3
            rows.append([s, f"{rate:,.0f}", f"{best[s]:.2f}", f"{middle[s]:.2f}", f"{100 * shares[s]:.0f} %",
                         f"{memory[s]:.0f}", ratio(best[s] / best["ilk"]), ratio(middle[s] / middle["ilk"])])
        b.say(f"{shape} tokens: ilk {ratio(best_peer(best) / best['ilk'])} times the fastest peer by best times, "
              f"{ratio(best_peer(middle) / middle['ilk'])} by medians.\n")
        b.table(["system, f32", "tokens/s", "best ms", "median ms", "of the peak beside it", "peak MB", "ilk is faster by",
                 "by medians"], rows)
    for w in workers:
        w.close()


# ---------------------------------------------------------------- process start to first vector

def start_up(b):
    text, n = "A red bicycle leans on the wall.", 2 if b.a.quick else 5
    peers = [p for p in b.peers if not (b.a.quick and p == "sentence-transformers")]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as f:
        f.write(text + "\n")
        f.flush()
        systems = {"ilk": [b.program("ilk"), "embed", "-m", b.a.model, "--precision", "f32", "--threads",
                           str(b.a.threads), f.name]}
        for p in peers:
            systems[p] = b.command(p, "once", text)
        seconds, memory = {}, {}
        for s, cmd in systems.items():
            timed(cmd, b.env)  # page cache warm, graphs made
        for _ in range(n):
            for s, cmd in systems.items():
                b.peak(0.1)
                for _ in range(5 if s == "ilk" else 1):
                    t, mb = timed(cmd, b.env)
                    seconds.setdefault(s, []).append(t)
                    memory[s] = max(memory.get(s, 0), mb)
    ilk = seconds["ilk"]
    b.say(f"### Process start to first vector, page cache warm\n\nilk: best {min(ilk) * 1e3:.0f} ms, "
          f"median {statistics.median(ilk) * 1e3:.0f} ms (goal: 40).\n")
    b.table(["system", "best ms", "median ms", "peak MB", "ilk is faster by", "by medians"],
            [[s, f"{min(t) * 1e3:.0f}", f"{statistics.median(t) * 1e3:.0f}", f"{memory[s]:.0f}",
              ratio(min(t) / min(ilk)), ratio(statistics.median(t) / statistics.median(ilk))]
             for s, t in seconds.items()])


# ---------------------------------------------------------------- a file of sentences to a file of vectors

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


def make_sentences(path, n):
    """Made-up sentences of 5 to 120 tokens, most of them short, the same every time."""
    r = random.Random(20)
    with open(path, "w", encoding="utf-8") as f:
        for _ in range(n):
            n_words = max(2, round((5 + 114 * r.random() ** 3 - 3) / 1.12))
            words = [r.choice(WORDS[:120]) if r.random() < 0.6 else r.choice(WORDS) for _ in range(n_words)]
            for i in range(9, n_words - 1, 10):
                words[i] += ","
            words[0] = words[0].capitalize()
            f.write(" ".join(words) + ".\n")


def sentences(b):
    n, rounds = (600, 1) if b.a.quick else (5000, 3)
    path = os.path.join(b.a.cache, f"sentences-{n}.txt")
    make_sentences(path, n)
    peers = [p for p in b.peers if not (b.a.quick and p == "sentence-transformers")]
    outs = {s: os.path.join(b.a.cache, f"vectors-{s}.npy") for s in ["ilk"] + peers}
    workers = {p: Worker(b, p) for p in peers}
    for p, w in workers.items():
        w.ask("shape 4x32 0.2")
    cmd = [b.program("ilk"), "embed", "-q", "-m", b.a.model, "--precision", "f32", "--threads", str(b.a.threads),
           "--format", "npy", "-o",
           outs["ilk"], path]
    timed(cmd, b.env)
    seconds, memory, n_tokens = {}, {}, 0
    for _ in range(rounds):
        for s in outs:
            b.peak()
            if s == "ilk":
                t, mb = timed(cmd, b.env)
            else:
                r = workers[s].ask(f"lines {path} {outs[s]}")
                t, mb = r["ms"] / 1e3, r["peak_mb"]
                n_tokens = max(n_tokens, r["tokens"])
            seconds.setdefault(s, []).append(t)
            memory[s] = max(memory.get(s, 0), mb)
    for w in workers.values():
        w.close()
    best = {s: min(t) for s, t in seconds.items()}
    middle = {s: statistics.median(t) for s, t in seconds.items()}
    b.say(f"### {n:,} sentences ({n_tokens:,} tokens) from a file to a file of vectors\n\n"
          f"ilk {ratio(best_peer(best) / best['ilk'])} times the fastest peer by best times, "
          f"{ratio(best_peer(middle) / middle['ilk'])} by medians (goal: 1.5). ilk's time is the whole process, its start "
          "included; a peer's begins when its model is loaded.\n")
    b.table(["system, f32", "sentences/s", "tokens/s", "best s", "median s", "peak MB", "ilk is faster by", "by medians"],
            [[s, f"{n / best[s]:,.0f}", f"{n_tokens / best[s]:,.0f}", f"{best[s]:.2f}", f"{middle[s]:.2f}",
              f"{memory[s]:.0f}", ratio(best[s] / best["ilk"]), ratio(middle[s] / middle["ilk"])] for s in outs])
    for p in peers:
        worst = largest_difference(outs["ilk"], outs[p])
        b.say(f"Largest difference of an entry, ilk and {p}: {worst:.1e}.\n")
        if worst > 5e-6:
            sys.exit(f"ilk and {p} disagree by {worst}: the times mean nothing")


def read_npy(path):
    import array
    with open(path, "rb") as f:
        head = f.read(10)
        f.read(int.from_bytes(head[8:10], "little"))
        a = array.array("f")
        a.frombytes(f.read())
    return a


def largest_difference(a, b):
    x, y = read_npy(a), read_npy(b)
    if len(x) != len(y):
        sys.exit(f"{a}: {len(x)} floats; {b}: {len(y)}")
    return max(abs(p - q) for p, q in zip(x, y))


# ---------------------------------------------------------------- store and search

def ingest(b):
    if not os.path.exists(b.program("bench_ingest")):
        return
    folder = tempfile.mkdtemp(dir=b.a.cache)
    try:
        text = b.capture([b.program("bench_ingest"), folder, *(["40"] if b.a.quick else ["400"])])
    finally:
        shutil.rmtree(folder)
    b.say("### Durable ingest beside a bare loop of write and fdatasync of the same bytes (goal: 0.75)\n\n```\n"
          + text.strip() + "\n```\n")


def search(b):
    folder = os.path.join(b.a.cache, "vectors")
    store = os.path.join(folder, "store")
    os.makedirs(folder, exist_ok=True)
    if not os.path.exists(os.path.join(folder, "exact.i32")):
        b.capture([b.python, b.script(), "vectors", folder])
    shutil.rmtree(store, ignore_errors=True)
    systems = {"ilk": [b.program("bench_search"), folder, "384", store, str(b.a.threads)],
               "numpy": [b.python, b.script(), "numpy", folder]}
    if "faiss-cpu" in b.versions:
        systems["faiss flat"] = [b.python, b.script(), "faiss", folder]
    best = {}
    for _ in range(1 if b.a.quick else 3):
        for s, cmd in systems.items():
            b.peak()
            r = json.loads(b.capture(cmd))
            old = best.setdefault(s, r)
            best[s] = {k: max(v, old[k]) for k, v in r.items()}
    ilk = best["ilk"]
    b.say("### Exact search, 100,000 x 384, ten nearest\n\n"
          f"ilk scans int8 codes and ranks the candidates by their f32 vectors: {100 * ilk['recall']:.2f} % of the true ten "
          "are found. Its figures are those of a whole store, which also reads each hit's record; filling it took "
          f"{ilk['fill_s']:.1f} s with one sync per thousand.\n")
    b.table(["system", "queries/s, one at a time", "256 at once", "ilk is faster by, one", "256"],
            [[s, f"{r['one']:,.0f}", f"{r['batch']:,.0f}", ratio(ilk["one"] / r["one"]), ratio(ilk["batch"] / r["batch"])]
             for s, r in best.items()])


def binary(b):
    path = os.path.join(b.a.cache, "ilk-stripped")
    shutil.copy(b.program("ilk"), path)
    subprocess.run(["strip", path], check=True)
    b.say(f"### Size\n\nThe program, stripped: {os.path.getsize(path) / 1e6:.2f} MB (goal: under 5).\n")


# ---------------------------------------------------------------- the whole

def machine():
    model = ""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as f:
            found = dict(line.split(":", 1) for line in f.read().split("\n\n")[0].splitlines() if ":" in line)
        keys = {k.strip(): v.strip() for k, v in found.items()}
        model = f"{keys.get('model name', '')} (family {keys.get('cpu family')}, model {keys.get('model')})"
    except OSError:
        pass
    return f"{model}, {len(os.sched_getaffinity(0))} CPUs, Linux {platform.release()}"


SECTIONS = {"shapes": shapes, "start": start_up, "sentences": sentences, "ingest": ingest, "search": search,
            "size": binary}


def main():
    p = argparse.ArgumentParser(description="ilk beside its peers")
    for name in ("build", "model", "venv", "cache"):
        p.add_argument("--" + name, required=True)
    p.add_argument("--threads", type=int, default=min(2, len(os.sched_getaffinity(0))))
    p.add_argument("--quick", action="store_true", help="about a minute, without sentence-transformers")
    p.add_argument("--publish", action="store_true", help="also put the run into docs/BENCHMARKS.md")
    p.add_argument("--only", help="sections, a comma between: " + ", ".join(SECTIONS))
    a = p.parse_args()
    a.build, a.cache = os.path.abspath(a.build), os.path.abspath(a.cache)
    os.makedirs(a.cache, exist_ok=True)
    b = Bench(a)
    begin = time.time()
    version = b.capture([b.program("ilk"), "version"]).split("\n")[0]
    b.say("## Figures of one run\n")
    b.say(f"{machine()}; {a.threads} threads for every system. {version}; "
          + ", ".join(f"{k} {v}" for k, v in b.versions.items())
          + f", Python {platform.python_version()}. `make bench`{' (quick)' if a.quick else ''}.\n")
    for name in (a.only.split(",") if a.only else SECTIONS):
        SECTIONS[name](b)
    if b.peaks:
        b.say(f"f32 peak beside the figures, GFLOP/s: best {max(b.peaks):.0f}, median {statistics.median(b.peaks):.0f}, "
              f"worst {min(b.peaks):.0f}. Where they lie far apart, something else ran on the machine. "
              f"{time.time() - begin:.0f} s in all.")
    text = "\n".join(b.out) + "\n"
    with open(os.path.join(a.build, "bench.md"), "w", encoding="utf-8") as f:
        f.write(text)
    if a.publish:
        publish(text)


def publish(text):
    """Puts the run into docs/BENCHMARKS.md, in place of the one that was there."""
    path = os.path.join(HERE, "..", "docs", "BENCHMARKS.md")
    with open(path, encoding="utf-8") as f:
        page = f.read()
    begin, end = "<!-- run -->\n", "<!-- end of run -->\n"
    head, rest = page.split(begin)
    with open(path, "w", encoding="utf-8") as f:
        f.write(head + begin + text + end + rest.split(end)[1])


main()
