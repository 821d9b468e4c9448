# SPDX-License-Identifier: Apache-2.0
"""Section of compare.py: what each precision makes of vectors, on real sentences where ILK_TEST_DATA has them (data/stsb,
data/cranfield), of all-MiniLM-L6-v2, of shapes with random weights, and of the outlier copies of all. One run makes the
whole table; a row that cannot be made says why."""
import json
import os

import kit
import texts

PRECISIONS = ("f32", "bf16", "int8", "int8w")
PEERS = ("openvino int8", "onnxruntime int8")
MODELS = tuple(m + copy for m in ("minilm", "e5-small", "bge-base", "bge-m3") for copy in ("", "-outliers"))
SENTENCES = 2000
FEWER = {"bge-base": 500, "bge-m3": 150}  # which take as long as 2,000 of the others
FIGURES = 4  # of a row of precisions.py


def evaluated(b, model, precision, *what):
    return json.loads(b.capture([b.program("ilk"), "eval", *what, "-m", model, "--precision", precision, "--threads",
                                 str(b.a.threads), "--json", "-q"]))


def peer_vectors(b, system, name, path):
    """Path of the system's vectors of the file's lines. Failed: it makes none."""
    if not b.has(system):
        raise kit.Failed("not installed")
    out = os.path.join(b.a.cache, f"quality-{system.replace(' ', '-')}.npy")
    worker = kit.Worker(b, system, name)
    try:
        worker.ask(f"lines {path} {out}")
    finally:
        worker.close()
    return out


def count_of(b, name):
    return 100 if b.a.quick else FEWER.get(name.removesuffix("-outliers"), SENTENCES)


def rows_of(b, name, lines):
    """{system: [mean, 5th percentile, least, ten nearest kept]}; of one that fails the list is its reason."""
    path, most = os.path.join(b.a.cache, "quality.txt"), count_of(b, name)
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join(lines[:most]) + "\n")
    cmd, failed = [b.python, b.script("precisions.py"), b.program("ilk"), b.model(name), path, "--most", str(most)], {}
    for system in PEERS:
        try:
            cmd += ["--also", f"{system}={peer_vectors(b, system, name, path)}"]
        except kit.Failed as e:
            failed[system] = [str(e)]
    rows = [[x.strip() for x in line.strip("|\n ").split("|")] for line in b.capture(cmd).splitlines()[2:]]
    found = {row[0]: row[1:] for row in rows}
    return {system: found.get(system, failed.get(system)) for system in (*PRECISIONS, *PEERS)}


def precisions(b, seconds):
    del seconds  # it takes what it takes: a table of part of the rows is none
    data = os.path.join(os.environ.get("ILK_TEST_DATA", ""), "data")
    sts, cranfield = os.path.join(data, "stsb", "stsb-en-test.csv"), os.path.join(data, "cranfield")
    real = "ILK_TEST_DATA" in os.environ and os.path.exists(sts)
    source = sts if real else texts.make_sentences(b, SENTENCES)
    lines = b.capture([b.python, b.script("precisions.py"), "--list", source]).splitlines()
    kind = "sentences of STS-B" if real else "made-up sentences"
    b.say(f"Cosines to ilk's f32 of the same checkpoint over {count_of(b, ''):,} {kind}, of bge-base's and bge-m3's shapes over "
          f"the first {' and '.join(f'{count_of(b, m):,}' for m in FEWER)}; the share of each one's ten nearest that stay; Spearman's correlation on STS-B (English test "
          "split) and nDCG@10 on Cranfield. An outlier copy has 0.5 % of the residual channels 20 to 60 times as large (`tools/outlier_copy.py`); it "
          "is another network than its original, its scores are to be compared among each other. Shapes have random weights: "
          "of them only the cosines say something. The peers' 8 bits are set up as for `docs/BENCHMARKS.md`. ilk's precisions "
          f"under f32 attend as their names alone mean here: in {attention(b, lines)}.\n")
    rows = list(measured(b, lines, sts if real else None, cranfield))
    b.table(["model", "system", "mean cosine", "5th percentile", "least", "ten nearest kept", "STS-B Spearman",
             "Cranfield nDCG@10"], rows)
    b.say(summary(rows) + "\n")


def attention(b, lines):
    path = os.path.join(b.a.cache, "quality.txt")
    with open(path, "w", encoding="utf-8") as f:
        f.write(lines[0] + "\n")
    worker = kit.Worker(b, "ilk int8", "minilm")
    try:
        return worker.ask(f"lines {path}")["attention"]
    finally:
        worker.close()


def measured(b, lines, sts, cranfield):
    """Rows of the table."""
    for name in MODELS:
        for system, figures in rows_of(b, name, lines).items():
            ours = system in PRECISIONS
            row = [name, ("ilk " if ours else "") + system, *(["1"] * FIGURES if system == "f32" else figures)]
            if name.startswith("minilm") and ours and sts:
                row.append(f"{evaluated(b, b.model(name), system, 'sts', sts)['spearman_cosine']:.4f}")
                if os.path.isdir(cranfield):
                    row.append(f"{evaluated(b, b.model(name), system, 'retrieval', cranfield)['ndcg@10']:.4f}")
            yield row + [""] * (8 - len(row))


def is_number(cell):
    return cell.replace(".", "", 1).lstrip("-").isdigit()


def summary(rows):
    """What the table says of each model, from its figures."""
    lines = []
    for name in MODELS:
        mine = {row[1]: row for row in rows if row[0] == name and is_number(row[2])}
        ours = [row for system, row in mine.items() if system.startswith("ilk ") and system != "ilk f32"]
        peers = [row for system, row in mine.items() if not system.startswith("ilk ")]
        if not ours:
            continue
        mean, least, kept = (min(ours, key=lambda r, c=c: float(r[c])) for c in (2, 4, 5))
        line = (f"- {name}: ilk's lowest mean cosine is {mean[2]} ({mean[1][4:]}), its least single cosine {least[4]} "
                f"({least[1][4:]}), its smallest share of the ten nearest {kept[5]} ({kept[1][4:]})")
        if peers:
            best = max(peers, key=lambda r: float(r[2]))
            line += f"; of the peers {best[1]} keeps best, {best[2]}, {best[4]} and {best[5]}"
        lines.append(line + ".")
    return "\n".join(lines)
