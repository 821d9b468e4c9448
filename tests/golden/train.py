#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `ilk train projection` writes, loaded by sentence-transformers: its Dense module behind the model's own vectors gives
what ilk gives with --projection, and a SentenceTransformer with it at its end encodes so.

    train.py ILK
Run by ILK_TEST_PYTHON where this Python has no sentence-transformers; exit 77 where that has none either.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

try:
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense
except ImportError as e:
    other = os.environ.get("ILK_TEST_PYTHON")
    if other and os.path.realpath(sys.prefix) != os.path.realpath(os.path.dirname(os.path.dirname(other))):
        os.execv(other, [other] + sys.argv)
    print(f"SKIPPED: {sys.executable} has no sentence-transformers ({e}); ILK_TEST_PYTHON names a Python that has it")
    sys.exit(77)

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "fixtures"
TEXTS = ["the red planet", "mars and a cat", "the cat the cat"]


def run(*args, **more):
    return subprocess.run([str(a) for a in args], check=True, stdout=subprocess.PIPE, text=True, **more).stdout


def vectors(ilk, *args):
    lines = "".join(json.dumps({"id": str(i), "text": t}) + "\n" for i, t in enumerate(TEXTS))
    return torch.tensor([json.loads(s)["embedding"] for s in run(ilk, "embed", "--jsonl", *args, input=lines).splitlines()])


def unit(x):
    return x / x.norm(dim=-1, keepdim=True)


def main():
    ilk = sys.argv[1]
    with tempfile.TemporaryDirectory() as tmp:
        tmp = pathlib.Path(tmp)
        rows = []
        for n in range(125):
            i, j, k = n // 25, n // 5 % 5, n % 5
            (tmp / f"{n}.ppm").write_bytes(b"P6 8 8 255\n" + bytes([i * 60, j * 60, k * 60]) * 64)
            rows.append({"image": f"{n}.ppm", "caption": " ".join(["red"] * i + ["mars"] * j + ["cat"] * k + ["the"])})
        (tmp / "captions.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
        out = tmp / "out"
        run(ilk, "train", "projection", tmp / "captions.jsonl", "--from", FIXTURES / "bert-mean", "--into", FIXTURES / "clip-quick", "-o", out)
        dense = Dense.load(str(out)).eval()
        plain, joined = vectors(ilk, "-m", FIXTURES / "bert-mean"), vectors(ilk, "-m", FIXTURES / "bert-mean", "--projection", out)
        with torch.no_grad():
            want = unit(dense({"sentence_embedding": unit(plain)})["sentence_embedding"])
            model = SentenceTransformer(str(FIXTURES / "bert-mean"), device="cpu")
            model.append(dense)
            whole = unit(model.encode(TEXTS, convert_to_tensor=True))
    off = max((joined - want).abs().max().item(), (joined - whole).abs().max().item())
    print(f"{len(TEXTS)} vectors of {joined.shape[1]} entries: off by {off:.1e} at most")
    sys.exit(joined.shape[1] != 20 or not off < 5e-6)


main()
