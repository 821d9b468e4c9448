#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ilk's tokenizers beside the reference's, one thread each: tokenize_peers.py --build DIR [--cache DIR] [--only NAME] [--rounds N]

Needs $ILK_TEST_DATA (the real files), the package `tokenizers` and apt (the text, as in tools/tokenizer_parity.py). The two
take turns, text by text, and their CPU time counts, so that a busy machine meets both; the best of the rounds is printed.
The reference runs without its thread pool, in the faster of its two ways (`encode_batch`, and `encode_batch_fast`, which
gives no places in the text; ilk gives them always). Prints Markdown."""
import argparse
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tools"))
import tokenizer_parity as parity  # noqa: E402

BYTES = 1 << 18  # of each text
WORD = "internationalisation"
SPACELESS = {"letters": WORD, "ideographs": "我们在山上看见一只小鸟", "digits": "31415926535", "signs": "=-=#", "one letter": "a"}
MB = 10


class Ilk:
    def __init__(self, program, folder):
        self.p = subprocess.Popen([program, "--serve", str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, text=True)

    def seconds(self, path, end=10, most=0):
        self.p.stdin.write(f"{end} {most} {path}\n")
        self.p.stdin.flush()
        ns, tokens = self.p.stdout.readline().split()
        return int(ns) / 1e9, int(tokens)

    def close(self):
        self.p.stdin.close()
        self.p.wait()


def texts(cache):
    """name, list of texts"""
    chosen = parity.fetch_text(cache)
    pick = random.Random(2)
    lines = [line for found in chosen.values() for line in found]
    pick.shuffle(lines)
    european = [line for name, found in sorted(chosen.items()) if name in ("de", "fr", "pl", "es", "it", "en_GB") for line in found]
    pick.shuffle(european)

    def upto(found):
        out, size = [], 0
        while size < BYTES:
            for line in found:
                out.append(line)
                size += len(line.encode()) + 1
                if size >= BYTES:
                    break
        return out

    many = upto(lines)
    yield "a hundred languages, lines", many
    yield "European languages, lines", upto(european)
    english = words()
    yield "English sentences", [" ".join(pick.choice(english) for _ in range(pick.randint(5, 20))) + "." for _ in range(2500)]
    yield "a hundred languages, documents", ["\n".join(many[i:i + 150]) for i in range(0, len(many), 150)]


def words():
    """Words of English texts of this machine, in their proportions."""
    found = []
    for path in sorted(pathlib.Path("/usr/share/doc").glob("*/copyright"))[:80]:
        found += [w for w in path.read_text(errors="replace").split() if w.isascii()]
    return found


def reference_seconds(tok, some):
    best = []
    for call in (tok.encode_batch, tok.encode_batch_fast):
        tokens, start = 0, time.process_time()
        for i in range(0, len(some), 256):
            tokens += sum(len(e.ids) for e in call(some[i:i + 256]))
        best.append((time.process_time() - start, tokens))
    return min(best)


def compare(name, tok, ilk, named, rounds, tmp):
    row = [name]
    for i, (_, some) in enumerate(named):
        path = tmp / f"text-{i}"
        if not path.exists():
            path.write_bytes("\0".join(some).encode() + b"\0")
        ours, theirs = [], []
        for _ in range(rounds):
            ours.append(ilk.seconds(path, 0))
            theirs.append(reference_seconds(tok, some))
        (a, n), (b, m) = min(ours), min(theirs)
        if n != m:
            print(f"{name}: {n} tokens, the reference has {m}")
        size = sum(len(s.encode()) for s in some) / 1e6
        row.append(f"{size / a:.1f} / {size / b:.1f} = {b / a:.1f}")
    return row


def long_words(name, ilk, tmp):
    row, row_limit = [name], [name]
    for kind, unit in SPACELESS.items():
        path, small = (tmp / f"{size}-{kind.replace(' ', '-')}" for size in ("long", "short"))
        if not path.exists():
            path.write_text(unit * (MB * 1000000 // len(unit.encode())))
            small.write_text(unit * (100000 // len(unit.encode())))
        few = min(ilk.seconds(small)[0] for _ in range(3))
        many = min(ilk.seconds(path)[0] for _ in range(2))
        cut = min(ilk.seconds(path, 10, 512)[0] for _ in range(2))
        row.append(f"{many:.2f} ({many / few / 100:.1f})")
        row_limit.append(f"{cut * 1e3:.2f}")
    return row, row_limit


def table(head, rows):
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print(flush=True)


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--build", type=pathlib.Path, required=True)
    args.add_argument("--cache", type=pathlib.Path, default=HERE.parent / ".cache")
    args.add_argument("--only", default="")
    args.add_argument("--rounds", type=int, default=7)
    args.add_argument("--no-long", action="store_true", help="without the long words")
    args = args.parse_args()
    data = os.environ.get("ILK_TEST_DATA")
    if not data:
        sys.exit("tokenize.py: ILK_TEST_DATA names no folder with tokenizers/")
    named = list(texts(args.cache))
    speed, long, limit = [], [], []
    with tempfile.TemporaryDirectory() as tmp:
        tmp = pathlib.Path(tmp)
        for name, tok, folder, options in parity.subjects(pathlib.Path(data) / "tokenizers", None, tmp):
            if options or args.only not in name or name == "xlm-r model":
                continue
            tok.no_padding()
            tok.no_truncation()
            ilk = Ilk(args.build / "bench_tokenize", folder)
            speed.append(compare(name, tok, ilk, named, args.rounds, tmp))
            if not args.no_long:
                a, b = long_words(name, ilk, tmp)
                long.append(a)
                limit.append(b)
            print(f"{name} done", file=sys.stderr)
            ilk.close()
    table(["MB/s, ilk / reference", *(n for n, _ in named)], speed)
    if long:
        table([f"{MB} MB without a space, s (per byte against 100 kB)", *SPACELESS], long)
        table(["the same to 512 tokens, ms", *SPACELESS], limit)
    return 0


if __name__ == "__main__":
    sys.exit(main())
