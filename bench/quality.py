# SPDX-License-Identifier: Apache-2.0
"""Section of compare.py: what each precision makes of vectors, on real sentences where ILK_TEST_DATA has them (data/stsb,
data/cranfield), of all-MiniLM-L6-v2, of shapes with random weights, and of the outlier copies of all."""
import json
import os

import kit
import texts

PRECISIONS = ("f32", "bf16", "int8", "int8w")
PEERS = ("openvino int8", "onnxruntime int8")


def evaluated(b, model, precision, *what):
    return json.loads(b.capture([b.program("ilk"), "eval", *what, "-m", model, "--precision", precision, "--threads",
                                 str(b.a.threads), "--json", "-q"]))


def peers_vectors(b, name, path):
    """[(system, path of its vectors)]"""
    found = []
    for w in b.workers(name, PEERS, "shape 1x16 0.1"):
        out = os.path.join(b.a.cache, "quality-" + w.name.replace(" ", "-") + ".npy")
        w.ask(f"lines {path} {out}")
        w.close()
        found.append((w.name, out))
    return found


def cosines(b, name, path, most):
    """Rows of precisions.py: [system, mean, 5th percentile, least, ten nearest kept]."""
    cmd = [b.python, b.script("precisions.py"), b.program("ilk"), b.model(name), path, "--most", str(most)]
    for system, vectors in peers_vectors(b, name, path):
        cmd += ["--also", f"{system}={vectors}"]
    rows = [[x.strip() for x in line.strip("|\n ").split("|")] for line in b.capture(cmd).splitlines()[2:]]
    return {row[0]: row[1:] for row in rows}


def precisions(b, seconds):
    del seconds
    data, most = os.path.join(os.environ.get("ILK_TEST_DATA", ""), "data"), 100 if b.a.quick else 2000
    sts, cranfield = os.path.join(data, "stsb", "stsb-en-test.csv"), os.path.join(data, "cranfield")
    real = "ILK_TEST_DATA" in os.environ and os.path.exists(sts)
    path = texts.make_sentences(b, most)
    if real:
        lines = b.capture([b.python, b.script("precisions.py"), "--list", sts]).splitlines()[:most]
        path = os.path.join(b.a.cache, "quality.txt")
        with open(path, "w", encoding="utf-8") as f:
            f.write("\n".join(lines) + "\n")
    b.say(f"Cosines to ilk's f32 of the same checkpoint over {most:,} {'sentences of STS-B' if real else 'made-up sentences'}, the "
          "share of each one's ten nearest that stay, Spearman's correlation on STS-B (English test split) and nDCG@10 on "
          "Cranfield. An outlier copy has 0.5 % of the residual channels 20 to 60 times as large (`tools/outlier_copy.py`); it "
          "is another network than its original, its scores are to be compared among each other. Shapes have random weights: "
          "of them only the cosines say something. The peers' 8 bits: `docs/BENCHMARKS.md`.\n")
    b.table(["model", "system", "mean cosine", "5th percentile", "least", "ten nearest kept", "STS-B Spearman",
             "Cranfield nDCG@10"], measured(b, path, most, sts if real else None, cranfield))


def measured(b, path, most, sts, cranfield):
    """Rows as they are found."""
    for name in ("minilm", "minilm-outliers", "e5-small", "e5-small-outliers", "bge-base", "bge-base-outliers"):
        found = cosines(b, name, path, most)
        for system in ["f32", *found]:
            row = [name, ("ilk " if system in PRECISIONS else "") + system, *found.get(system, ["1", "1", "1", "1"])]
            if name.startswith("minilm") and system in PRECISIONS and sts:
                row.append(f"{evaluated(b, b.model(name), system, 'sts', sts)['spearman_cosine']:.4f}")
                if os.path.isdir(cranfield):
                    row.append(f"{evaluated(b, b.model(name), system, 'retrieval', cranfield)['ndcg@10']:.4f}")
            yield row + [""] * (8 - len(row))
