#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ilk beside its peers: compare.py --build DIR --model DIR --venv DIR --cache DIR [--prepare] [--only a,b] [--quick] [--publish]

Prints Markdown and writes it to DIR/bench.md. Systems take turns (A B A B), so that a slow spell of the machine meets all
of them, and the machine's own peaks are taken beside every figure. A section has a time of its own and fills it with
rounds; what is slow to make (random checkpoints, the peers' graphs, pictures, what auto is) is made before the first
section and kept in the cache. Standard library only: the peers live in peers.py, under the Python of the virtual
environment. --publish puts each section that ran in place of the same one on docs/BENCHMARKS.md."""
import argparse
import json
import os
import platform
import re
import statistics
import sys
import time

import kit
import parts
import pictures
import plots
import prepare
import quality
import stores
import texts


def shapes_of(name):
    return lambda b, seconds: texts.shapes(b, name, seconds)


# name: what runs, its seconds on two cores, whether it is run without --only, what has to be there before
SECTIONS = {
    "minilm": (shapes_of("minilm"), 130, True, ["minilm"]),
    "e5-small": (shapes_of("e5-small"), 75, True, ["e5-small"]),
    "bge-base": (shapes_of("bge-base"), 75, True, ["bge-base"]),
    "bge-m3": (shapes_of("bge-m3"), 110, True, ["bge-m3"]),
    "start": (texts.start_up, 35, True, ["minilm"]),
    "sentences": (texts.sentences, 165, True, ["minilm"]),
    "gemm": (parts.gemm, 40, True, []),
    "stages": (parts.stages, 40, True, ["minilm", "e5-small", "bge-base", "bge-m3"]),
    "pictures": (pictures.pixels, 100, True, ["vit-b32", "vit-b32-outliers"]),
    "files": (pictures.files, 90, True, ["vit-b32", "pictures"]),
    "words": (pictures.words, 25, True, ["vit-b32"]),
    "memory": (pictures.memory, 40, True, ["many"]),
    "ingest": (stores.ingest, 20, True, []),
    "search": (stores.search, 40, True, []),
    "size": (stores.size, 1, True, []),
    "quality": (quality.precisions, 600, False, list(quality.MODELS)),
    "memory-vit": (pictures.memory_large, 300, False, ["vit-b32", "many"]),
}


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


def peaks_line(peaks):
    return "; ".join(f"{kind} {max(v):,.0f} best, {statistics.median(v):,.0f} median, {min(v):,.0f} worst"
                     for kind, v in peaks.items())


def run_section(b, name, run, seconds):
    """The Markdown of a section, which ends with the peaks beside it; a failure is its text, and the next one goes on."""
    b.out, b.peaks, begin = [], {}, time.time()
    try:
        run(b, 1 if b.a.quick else seconds)
    except kit.Failed as e:
        b.say(f"### {name}\n\nThis section ended early: {e}\n")
        b.failed.append(name)
    if name in b.figures:
        b.say(f"![{name} beside its peers](plots/{name}.svg)\n")
    if b.peaks:
        b.say(f"Peak beside the figures, billions of operations a second: {peaks_line(b.peaks)}. "
              f"{time.time() - begin:.0f} s.\n")
    return "\n".join(b.out)


def arguments():
    usual = sum(s for _, s, default, _ in SECTIONS.values() if default)
    listing = ", ".join(f"{n} ({s} s{'' if d else ', only when named'})" for n, (_, s, d, _) in SECTIONS.items())
    p = argparse.ArgumentParser(description=f"ilk beside its peers, about {usual // 60 + 1} minutes",
                                epilog="sections: " + listing)
    for name in ("build", "model", "venv", "cache"):
        p.add_argument("--" + name, required=True)
    p.add_argument("--threads", type=int, default=min(2, len(os.sched_getaffinity(0))))
    p.add_argument("--quick", action="store_true", help="one short round each")
    p.add_argument("--publish", action="store_true", help="also put the sections into docs/BENCHMARKS.md and draw its plots")
    p.add_argument("--prepare", action="store_true", help="only make what the sections need")
    p.add_argument("--only", help="sections, a comma between")
    p.add_argument("--minutes", type=float, help="the time of all sections together instead of what each is used to")
    a = p.parse_args()
    a.build, a.cache, a.model, a.venv = map(os.path.abspath, (a.build, a.cache, a.model, a.venv))
    a.only = a.only.split(",") if a.only else [n for n, s in SECTIONS.items() if s[2]]
    for name in a.only:
        if name not in SECTIONS:
            p.error(f"--only: expected {', '.join(SECTIONS)}; found {name}")
    a.scale = a.minutes * 60 / sum(SECTIONS[n][1] for n in a.only) if a.minutes else 1
    return a


def main():
    a = arguments()
    os.makedirs(a.cache, exist_ok=True)
    b = kit.Bench(a)
    b.failed = []
    prepare.everything(b, sorted({need for n in a.only for need in SECTIONS[n][3]}))
    if a.prepare:
        return
    version = b.capture([b.program("ilk"), "version"]).split("\n")[0]
    head = (f"{machine()}; {a.threads} threads for every system. {version}; "
            + ", ".join(f"{k} {v}" for k, v in b.versions.items()) + f", Python {platform.python_version()}.\n")
    print(head)
    done = [head]
    for name in a.only:
        run, seconds, _, _ = SECTIONS[name]
        done.append(run_section(b, name, run, seconds * a.scale))
        with open(os.path.join(a.build, "bench.md"), "w", encoding="utf-8") as f:
            f.write("\n".join(done) + "\n")
        with open(os.path.join(a.build, "bench.json"), "w", encoding="utf-8") as f:
            json.dump(b.figures, f, indent=1)
        if a.publish and name not in b.failed:  # at once: a run that is cut off has published what it measured
            publish({"machine": head, name: done[-1]})
            plots.draw(b.figures)
    if b.failed:
        sys.exit("ended early: " + ", ".join(b.failed))


def publish(done):
    """Puts each section into docs/BENCHMARKS.md or docs/QUALITY.md, in place of the one of its name, and what it ran on where
    that page says it: a run for one page tells nothing of the other."""
    for page in ("BENCHMARKS.md", "QUALITY.md"):
        path = os.path.join(kit.HERE, "..", "docs", page)
        with open(path, encoding="utf-8") as f:
            text = f.read()
        if not any(f"<!-- run {name} -->" in text for name in done if name != "machine"):
            continue
        for name, body in done.items():
            place = re.compile(f"(<!-- run {name} -->\n).*?(<!-- end {name} -->\n)", re.S)
            text = place.sub(lambda m, body=body: m.group(1) + body.rstrip() + "\n" + m.group(2), text)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)


main()
