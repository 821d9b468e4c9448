#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/MODELS.md from what ran: every fixture folder with a golden.json goes through golden/checkpoints, each alone, and
through `ilk embed` at every precision; one with a family.json through golden/families, one with a towers.json through
golden/towers and its texts through `ilk embed`; the real all-MiniLM-L6-v2, where its folder is given, through
golden/checkpoints against the reference and through `ilk verify`.

    models_table.py PROGRAM --ilk ILK --families F --towers T [--real DIR]            prints the page
    models_table.py PROGRAM --ilk ILK --families F --towers T [--real DIR] --write    writes docs/MODELS.md
    models_table.py PROGRAM --ilk ILK --families F --towers T --check    fails where the page is behind; what needs real
                                                                         weights is taken from it
PROGRAM, F and T are the built golden/checkpoints, golden/families and golden/towers.
"""
import argparse
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "MODELS.md"
REAL = "verified on real weights (all-MiniLM-L6-v2)"
TINY = "verified on tiny checkpoints"
MEAN, LEAST = 0.999, 0.995  # cosines to f32 that a precision has to keep
# name in the table: model types, checkpoints known to have this layout
FAMILIES = [
    ("BERT", ["bert"], "all-MiniLM, bge (en, zh), e5, gte (small, base, large), mxbai, arctic (s, m, l), LaBSE, "
     "multilingual-e5-small, paraphrase-multilingual-MiniLM, ms-marco-MiniLM"),
    ("RoBERTa", ["roberta"], "all-distilroberta, all-roberta-large"),
    ("XLM-RoBERTa", ["xlm-roberta"], "multilingual-e5 (base, large), bge-m3 (dense), bge-reranker (base, large, v2-m3), "
     "arctic-l-v2"),
    ("CamemBERT", ["camembert"], "sentence-camembert"),
    ("DistilBERT", ["distilbert"], "msmarco-distilbert, multi-qa-distilbert"),
    ("MPNet", ["mpnet"], "all-mpnet-base-v2, multi-qa-mpnet"),
    ("ModernBERT", ["modernbert"], "gte-modernbert, gte-reranker-modernbert, modernbert-embed, granite-embedding-r2"),
    ("nomic-bert", ["nomic_bert"], "nomic-embed-text v1, v1.5"),
    ("GTE", ["new", "gte"], "gte-multilingual, gte-en-v1.5, arctic-m-v2"),
]
# of two towers; a layout without a config.json of transformers by the file it has instead
TWO_TOWERS = [
    ("CLIP, MetaCLIP, TinyCLIP, DFN", ["clip", "clip_text_model", "clip_vision_model"]),
    ("MetaCLIP 2", ["metaclip_2"]),
    ("SigLIP, SigLIP 2 of fixed resolution", ["siglip"]),
    ("Chinese-CLIP", ["chinese_clip"]),
    ("OpenCLIP, OpenAI's names", ["open_clip_config.json"]),
]
PRECISIONS = ["f32", "bf16", "int8", "int8w", "int4"]


def run_one(program, folder):
    with tempfile.TemporaryDirectory() as tmp:
        (pathlib.Path(tmp) / folder.name).symlink_to(folder)
        env = os.environ | {"ILK_TEST_FIXTURES": tmp}
        return subprocess.run([program], env=env, stdout=subprocess.DEVNULL, check=False).returncode == 0


def run_real(program, real):
    """None: it did not run."""
    if not real:
        return None
    command = [sys.executable, str(ROOT / "tools" / "make_goldens.py"), "--real", real, "--run", program]
    code = subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode
    if code == 77:
        sys.exit("models_table: --real: the reference is not installed (ILK_TEST_PYTHON names an interpreter that has it)")
    return code == 0


def embed(ilk, folder, texts, precision):
    """None: this model is not built at this precision. By the scalar kernels, so that the table is one on every machine."""
    lines = "\n".join(json.dumps({"id": i, "text": t}) for i, t in enumerate(texts))
    r = subprocess.run([ilk, "embed", "-m", str(folder), "--precision", precision, "--jsonl"], input=lines.encode(),
                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False, env=os.environ | {"ILK_CPU": "ref"})
    return [json.loads(s)["embedding"] for s in r.stdout.decode().splitlines()] if r.returncode == 0 else None


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b)) / math.sqrt(sum(x * x for x in a) * sum(x * x for x in b))


def run_precision(ilk, folder, texts, precision):
    """None: not built. Otherwise whether the vectors keep near to those of f32."""
    f32, got = embed(ilk, folder, texts, "f32"), embed(ilk, folder, texts, precision)
    if not f32 or not got:
        return None
    cosines = [cosine(a, b) for a, b in zip(f32, got)]
    return sum(cosines) / len(cosines) >= MEAN and min(cosines) >= LEAST


def run_verify(ilk, real):
    """The precisions at which the golden values of the real model hold; None: it did not run."""
    if not real:
        return None
    r = subprocess.run([ilk, "verify", real, "--known", "minilm", "--json"], stdout=subprocess.PIPE, check=False)
    return {p["precision"] for p in json.loads(r.stdout)["precisions"] if p["pass"]}


def precision_state(runs, real):
    """runs: (folder, None or whether it held)."""
    built = [(name, ok) for name, ok in runs if ok is not None]
    if not built:
        return "not built"
    if not all(ok for _, ok in built):
        return "**differs**: " + ", ".join(name for name, ok in built if not ok)
    return REAL if real else TINY


def old_precisions():
    """What the page says of BERT, for a check without the real weights."""
    rows = [s.split(" | ") for s in PAGE.read_text().splitlines() if s.startswith("| BERT |")] if PAGE.exists() else []
    return {p for p, state in zip(PRECISIONS, rows[0][2:]) if state == REAL} if rows else set()


def state_of(runs, is_real, old):
    if not all(ok for _, ok, _ in runs):
        return "**differs**: " + ", ".join(name for name, ok, _ in runs if not ok)
    if not runs:
        return "pending"
    if is_real is None:
        is_real = old
    return REAL if is_real else TINY


def end_to_end(program):
    """Model type: [(name, whether it held)], of the folders with a family.json."""
    runs = {}
    for said in sorted((ROOT / "tests" / "fixtures").glob("*/family.json")):
        config = json.loads((said.parent / "config.json").read_text())
        name = said.parent.name.removeprefix("e2e-")
        runs.setdefault(config["model_type"], []).append((name, run_one(program, said.parent)))
    return runs


def end_to_end_state(runs):
    bad = [name for name, ok in runs if not ok]
    return "**differs**: " + ", ".join(bad) if bad else ", ".join(name for name, _ in runs) or "pending"


def tower_type(folder):
    if (folder / "open_clip_config.json").exists() or (folder / "params.txt").exists():  # or a folder of its training
        return "open_clip_config.json"
    adapter, inner = folder / "adapter_config.json", folder / "0_CLIPModel"  # sentence-transformers' first module
    if adapter.exists():
        return tower_type(folder / json.loads(adapter.read_text())["base_model_name_or_path"])
    return json.loads(((inner if inner.exists() else folder) / "config.json").read_text())["model_type"]


def tower_lines(program, ilk):
    runs, kept = {}, {}
    for golden in sorted((ROOT / "tests" / "fixtures").glob("*/towers.json")):
        folder, said = golden.parent, json.loads(golden.read_text())
        kind, model = tower_type(folder), folder / said["weights"] if said.get("weights") else folder
        runs.setdefault(kind, []).append((folder.name, run_one(program, folder)))
        for p in PRECISIONS[1:]:
            held = run_precision(ilk, model, said["texts"], p) if said["texts"] else None
            kept.setdefault((kind, p), []).append((folder.name, held))
    unknown = set(runs) - {t for _, types in TWO_TOWERS for t in types}
    if unknown:
        sys.exit(f"models_table: no row of two towers for {', '.join(sorted(unknown))}")
    lines = ["", "## Two towers", "",
             "Texts and pictures in one space, stage by stage against transformers and open_clip (`golden/towers`); the other "
             "precisions", "by their texts' cosines to f32. What is read of each layout, and what is refused: "
             "`docs/PICTURES.md`.", "",
             "| family | `model_type` | " + " | ".join(PRECISIONS) + " | tiny checkpoints |",
             "|---|---|" + "---|" * (len(PRECISIONS) + 1)]
    for name, types in TWO_TOWERS:
        of = [r for t in types for r in runs.get(t, [])]
        bad = [n for n, ok in of if not ok]
        lines.append(f"| {name} | {', '.join(f'`{t}`' for t in types)} | " +
                     ("**differs**: " + ", ".join(bad) if bad else TINY if of else "pending") + " | " +
                     " | ".join(precision_state([r for t in types for r in kept.get((t, p), [])], False)
                                for p in PRECISIONS[1:]) + " | " + ", ".join(n for n, _ in of) + " |")
    return lines


def page(args):
    program, ilk, real = args.program, args.ilk, args.real
    runs, kept, whole = {}, {}, end_to_end(args.families)
    for golden in sorted((ROOT / "tests" / "fixtures").glob("*/golden.json")):
        config = json.loads((golden.parent / "config.json").read_text())
        said = json.loads(golden.read_text())
        pairs = "pairs" in said
        for p in PRECISIONS[1:]:
            held = run_precision(ilk, golden.parent, said["texts"], p) if said.get("texts") else None
            kept.setdefault((config["model_type"], p), []).append((golden.parent.name, held))
        runs.setdefault(config["model_type"], []).append((golden.parent.name, run_one(program, golden.parent), pairs))
    unknown = (set(runs) | set(whole)) - {t for _, types, _ in FAMILIES for t in types}
    if unknown:
        sys.exit(f"models_table: no row for model_type {', '.join(sorted(unknown))}")
    was_real = PAGE.exists() and REAL in PAGE.read_text()
    is_real = run_real(program, real)
    verified = run_verify(ilk, real)
    verified = old_precisions() if verified is None else verified
    versions = json.loads((ROOT / "tests" / "fixtures" / "bert-mean" / "golden.json").read_text())
    lines = ["<!-- made by tools/models_table.py from what ran; do not edit -->", "# Models", "",
             f"Text encoders, then models of two towers, and what was checked of each: against transformers {versions['transformers']} and "
             f"sentence-transformers {versions['sentence_transformers']}", "in float32, stage by stage (ids, hidden states "
             "of every layer, pooled, vector), entries of a unit vector within 5e-6, logits of", "the classification head "
             "within 1e-5. A tiny checkpoint has random weights in the published layout "
             "(`tools/make_goldens.py`).", "",
             f"Other precisions: cosines to the vectors of f32 over the same texts, {MEAN} on average and {LEAST} at worst, by the scalar kernels; on "
             "real weights also the published", "values that `ilk verify` holds a model to (`src/embed/known.def`).", "",
             "End to end: text in, vector or score out, with the family's own tokenizer, prompts, limit and modules, against "
             "sentence-transformers", "(`golden/families`), on a tiny checkpoint of each published layout that is named.", "",
             "| family | `model_type` | " + " | ".join(PRECISIONS) + " | classifier head | end to end | layout of |",
             "|---|---|" + "---|" * len(PRECISIONS) + "---|---|---|"]
    for name, types, known in FAMILIES:
        of = [r for t in types for r in runs.get(t, [])]
        real_here = is_real if name == "BERT" else False
        state = state_of(of, real_here, was_real if name == "BERT" else False)
        head = TINY if any(ok and pairs for _, ok, pairs in of) else "pending"
        lines.append(f"| {name} | {', '.join(f'`{t}`' for t in types)} | {state} | " +
                     " | ".join(precision_state([r for t in types for r in kept.get((t, p), [])], name == "BERT" and p in verified)
                                for p in PRECISIONS[1:]) +
                     f" | {head} | {end_to_end_state([r for t in types for r in whole.get(t, [])])} | {known} |")
    lines += ["", "Real weights: all-MiniLM-L6-v2, its vectors against sentence-transformers on the same texts "
              "(`golden/minilm-reference`) and `ilk verify`; quality: `docs/QUALITY.md`. The last column names", "checkpoints whose layout a family has; none of them "
              "but that one was run. A checkpoint also needs its tokenizer: `docs/TOUR.md`."]
    return "\n".join(lines + tower_lines(args.towers, ilk) + [""])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--ilk", required=True)
    parser.add_argument("--families", required=True)
    parser.add_argument("--towers", required=True)
    parser.add_argument("--real")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    text = page(args)
    if args.write:
        PAGE.write_text(text)
    elif args.check:
        if not PAGE.exists() or PAGE.read_text() != text:
            sys.exit("models_table: docs/MODELS.md is behind what ran; make it again with --write")
    else:
        print(text, end="")


main()
