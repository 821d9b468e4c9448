# SPDX-License-Identifier: Apache-2.0
"""What the sections of compare.py share: processes in turns, peaks, tables. Standard library only."""
import array
import json
import os
import statistics
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SAME = {"llama.cpp": 1e-3}  # its GELU goes by a table of f16; others' entries are within 1e-4
KIND = {"f32": "f32", "bf16": "bf16", "int8": "i8", "int8w": "f32", "q8_0": "i8"}


class Failed(Exception):
    """A system that cannot do what is asked; the section says so and goes on."""


class Bench:
    def __init__(self, a):
        self.a, self.out, self.peaks, self.figures = a, [], {}, {}
        self.python = os.path.join(a.venv, "bin", "python")
        self.env = dict(os.environ, TOKENIZERS_PARALLELISM="true", HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error",
                        HF_HUB_DISABLE_PROGRESS_BARS="1", XDG_CACHE_HOME=os.path.join(a.cache, "xdg"),
                        OMP_NUM_THREADS=str(a.threads), OPENBLAS_NUM_THREADS=str(a.threads),
                        ILK_BENCH_CALIBRATION=os.path.join(a.cache, "calibration"))
        self.env.setdefault("ILK_BENCH_LLAMA", os.path.join(a.cache, "llama.cpp"))
        lines = self.capture([self.python, self.script("peers.py"), "versions"]).splitlines()
        self.versions = dict(line.split() for line in lines)

    def script(self, name):
        return os.path.join(HERE, name)

    def program(self, name):
        return os.path.join(self.a.build, name)

    def has(self, system):
        need = {"torch": "torch", "sentence-transformers": "sentence-transformers", "llama.cpp": "llama_cpp_python"}
        word = system.split()[0]
        return need.get(word, word) in self.versions and (system != "openvino int8" or "nncf" in self.versions)

    def capture(self, cmd):
        r = subprocess.run(cmd, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           text=True)
        if r.returncode != 0:
            raise Failed(f"{' '.join(cmd)}: exit status {r.returncode}\n{r.stderr[-2000:]}")
        return r.stdout

    def peak(self, seconds=0.12, kinds=("f32", "i8")):
        """Billions of operations a second of multiply-adds, by kind, now."""
        found = {}
        text = self.capture([self.program("bench_peak"), str(self.a.threads), str(seconds), *kinds])
        for line in text.splitlines():
            kind, rate = line.split()
            found[kind] = float(rate)
            self.peaks.setdefault(kind, []).append(found[kind])
        return found

    def model(self, name):
        return self.a.model if name == "minilm" else os.path.join(self.a.cache, "models", name)

    def graphs(self, name):
        return os.path.join(self.a.cache, "graphs", name)

    def auto(self, name):
        """Which precision auto is for a model here, as `ilk verify` decided; None where it did not."""
        shown = json.loads(self.capture([self.program("ilk"), "show", "--json", self.model(name)]))
        return shown["precision"] if shown.get("auto") else None

    def command(self, system, name, *more):
        """system is "ilk PRECISION" or a row of peers.py."""
        if system.startswith("ilk "):
            return [self.program("bench_embed"), system.split()[1], self.model(name), str(self.a.threads), *more]
        return [self.python, self.script("peers.py"), system, self.model(name), self.graphs(name), str(self.a.threads), *more]

    def workers(self, name, systems, first):
        """Those that start and answer `first`, a short command that warms them up; others are named in the report."""
        alive = []
        for s in systems:
            if not s.startswith("ilk") and not self.has(s):
                self.say(f"{s} is not installed and is left out.\n")
                continue
            w = Worker(self, s, name)
            try:
                w.ask(first)
                alive.append(w)
            except Failed as e:
                self.say(f"{s} is left out: {e}.\n")
                w.close()
        return alive

    def say(self, text=""):
        print(text, flush=True)
        self.out.append(text)

    def row(self, cells):
        self.say("| " + " | ".join(str(c) for c in cells) + " |")

    def table(self, head, rows):
        """rows may be a generator: a slow table then grows as it is measured."""
        self.row(head)
        self.say("|" + "---|" * len(head))
        for row in rows:
            self.row(row)
        self.say()

    def rounds(self, begin, seconds, least=2, most=40):
        """Counts rounds while there is time: the time of the longest so far has to fit."""
        longest, n = 0.0, 0
        while n < most and (n < least or time.monotonic() + longest < begin + seconds):
            if self.a.quick and n:
                return
            start = time.monotonic()
            yield n
            longest, n = max(longest, time.monotonic() - start), n + 1


class Worker:
    """A long-lived process that answers each command with a line of JSON."""

    def __init__(self, bench, system, name):
        self.name = system
        self.p = subprocess.Popen(bench.command(system, name), env=bench.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, text=True)

    def ask(self, command):
        try:
            self.p.stdin.write(command + "\n")
            self.p.stdin.flush()
            line = self.p.stdout.readline()
        except BrokenPipeError:
            line = ""
        answer = json.loads(line) if line else {"error": "it ended"}
        if "error" in answer:
            raise Failed(f"{command.split()[0]}: {answer['error']}")
        return answer

    def close(self):
        try:
            self.p.stdin.close()
        except BrokenPipeError:
            pass
        self.p.wait()


def precision_of(system):
    words = system.split()
    return words[1] if len(words) > 1 else "f32"


def timed(cmd, env):
    """Wall seconds and VmHWM in MB of a whole process. The latter is read ten times a second while it runs: what getrusage
    tells of a child includes the process that forked it."""
    start = time.perf_counter()
    p = subprocess.Popen(cmd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    high, done = [0.0], threading.Event()

    def watch():
        while True:
            try:
                with open(f"/proc/{p.pid}/status", encoding="ascii") as f:
                    high[0] = max([high[0]] + [int(x.split()[1]) / 1024 for x in f if x.startswith("VmHWM")])
            except OSError:
                return
            if done.wait(0.02 if time.perf_counter() - start < 1 else 0.1):
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    message = p.stderr.read()
    p.wait()
    seconds = time.perf_counter() - start
    done.set()
    watcher.join()
    if p.returncode != 0:
        raise Failed(f"{' '.join(cmd)}: exit status {p.returncode}\n{message.decode(errors='replace')[-2000:]}")
    return seconds, high[0]


class Turns:
    """The figures of systems that took turns: best and median times, shares of the peak beside them, memory."""

    def __init__(self):
        self.ms, self.share, self.memory = {}, {}, {}

    def add(self, system, best_ms, median_ms, share=0.0, memory=0.0):
        self.ms.setdefault(system, []).append((best_ms, median_ms))
        self.share[system] = max(self.share.get(system, 0.0), share)
        self.memory[system] = max(self.memory.get(system, 0.0), memory)

    def best(self, system):
        return min(b for b, _ in self.ms[system])

    def middle(self, system):
        return statistics.median(m for _, m in self.ms[system])

    def fastest_peer(self, precision):
        """Of the peers with 8-bit (or f32) arithmetic, the one with the best time."""
        peers = [s for s in self.ms if not s.startswith("ilk") and (precision_of(s) == "f32") == (precision == "f32")]
        return min(peers, key=self.best) if peers else None


def ratio(x):
    return f"{x:.2f}"


def check_same(name, system, found):
    """Ends a section whose f32 peer gives other vectors."""
    if precision_of(system) == "f32" and found["worst"] > SAME.get(system, 1e-4):
        raise Failed(f"{name}: {system} and ilk f32 differ by {found['worst']:.1e}: the times mean nothing")


def read_npy(path):
    """Rows of an array of f32."""
    with open(path, "rb") as f:
        head = f.read(10)
        shape = f.read(int.from_bytes(head[8:10], "little")).decode().split("(")[1].split(")")[0]
        a = array.array("f")
        a.frombytes(f.read())
    dim = int(shape.split(",")[1])
    return [a[i:i + dim] for i in range(0, len(a), dim)]


def compare(a, b):
    """Mean, 5th percentile and least cosine, and the largest difference of an entry, of two files of unit vectors."""
    x, y = read_npy(a), read_npy(b)
    if len(x) != len(y):
        sys.exit(f"{a}: {len(x)} vectors; {b}: {len(y)}")
    cosines = sorted(sum(map(float.__mul__, map(float, p), map(float, q))) for p, q in zip(x, y))
    worst = max(max(abs(s - t) for s, t in zip(p, q)) for p, q in zip(x, y))
    return {"mean": statistics.fmean(cosines), "p5": cosines[len(cosines) // 20], "least": cosines[0], "worst": worst}
