#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/fixtures/twotower: a two-layer, two-tower transformer of random weights that uses every member of the
forward contract (src/models/model.h, src/nn/nn.h), with what torch makes of some inputs, computed in float64 by plain
operations, one sequence and one head at a time. The network is described at the head of tests/twotower.h.

    tools/make_twotower.py [--out DIR]

config.json          sizes, descriptors of attention and rope per layer
model.safetensors    weights
golden.safetensors   inputs and outputs: vision/..., text/..., auto/... (positions from grids), grad/... (autograd)
"""
import argparse
import json
import math
import pathlib

import torch
from safetensors.torch import save_file

OUT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "fixtures" / "twotower"
NONE = 4294967295
TEXT, IMAGE, VIDEO = 1, 2, 4


def attn(**members):
    base = dict(scale=1.0, softcap=0.0, n_heads=1, n_kv_heads=1, d_qk=1, d_v=1, mask="full", window_left=NONE,
                window_right=NONE, bias_span=0, n_extra=0)
    return base | members


def rope(**members):
    base = dict(theta=10000.0, dim=2, freq_dim=0, pairing="half", n_axes=1, section0=0, section1=0, section2=0,
                sections="contiguous")
    return base | members


CONFIG = {
    "model_type": "twotower",
    "text": dict(dim=32, row_dim=0, vocab=40, n_types=3, n_modalities=8, ffn=40, eps=1e-5, word_scale=1.5, rms=True),
    "vision": dict(dim=32, row_dim=10, vocab=0, n_types=0, n_modalities=0, ffn=40, eps=1e-3, word_scale=1.0, rms=False),
    "text.0": {
        "attn": attn(scale=0.3, softcap=2.0, n_heads=4, n_kv_heads=2, d_qk=12, d_v=6, mask="prefix"),
        "rope": rope(theta=100.0, dim=10, freq_dim=12, n_axes=3, section0=3, section1=1, section2=1, sections="strided"),
    },
    "text.1": {
        "attn": attn(scale=0.4, n_heads=4, n_kv_heads=2, d_qk=12, d_v=6, mask="causal", window_left=30, bias_span=6,
                     n_extra=2),
        "rope": rope(theta=1000.0, dim=12, n_axes=3, section0=1, section1=2, section2=3),
    },
    "vision.0": {
        "attn": attn(scale=0.35, softcap=3.0, n_heads=4, n_kv_heads=4, d_qk=8, d_v=8, mask="group", bias_span=3, n_extra=1),
        "rope": rope(theta=50.0, dim=8, pairing="interleaved", n_axes=2, section0=1, section1=3),
    },
    "vision.1": {
        "attn": attn(scale=0.35, n_heads=2, n_kv_heads=1, d_qk=8, d_v=8, window_left=4, window_right=2),
        "rope": rope(theta=20.0, dim=4),
    },
}
DELTA = dict(rank=3, scale=0.5)  # of text.layers.0.attn.o


# ---- weights

def make_weights(gen):
    w = {}

    def add(name, *shape, size=None, base=0.0):
        size = 1 / math.sqrt(shape[-1]) if size is None else size
        w[name] = (base + size * torch.randn(*shape, generator=gen, dtype=torch.float64)).float()

    for tower in ("text", "vision"):
        c = CONFIG[tower]
        dim = c["dim"]
        if tower == "text":
            add("text.word", c["vocab"], dim, size=1.0)
            add("text.type", c["n_types"], dim, size=0.5)
            add("text.position", 64, dim, size=0.3)
            add("text.modality", c["n_modalities"], dim, size=0.5)
            add("text.lm.weight", c["vocab"], dim)
            add("text.classifier.weight", 5, dim)
            add("text.classifier.bias", 5, size=0.5)
        else:
            add("vision.patch.weight", dim, c["row_dim"])
            add("vision.patch.bias", dim, size=0.3)
        for layer in range(2):
            a = CONFIG[f"{tower}.{layer}"]["attn"]
            p = f"{tower}.layers.{layer}."
            widths = dict(q=a["n_heads"] * a["d_qk"], k=a["n_kv_heads"] * a["d_qk"], v=a["n_kv_heads"] * a["d_v"])
            for part, width in widths.items():
                add(f"{p}attn.{part}.weight", width, dim)
                if part != "k":
                    add(f"{p}attn.{part}.bias", width, size=0.3)
            add(f"{p}attn.o.weight", dim, a["n_heads"] * a["d_v"])
            add(f"{p}attn.o.bias", dim, size=0.3)
            if a["bias_span"]:
                add(f"{p}attn.bias", a["n_heads"], 2 * a["bias_span"] + 1, size=0.7)
            if a["n_extra"]:
                add(f"{p}attn.extra_k", a["n_extra"], widths["k"], size=0.7)
                add(f"{p}attn.extra_v", a["n_extra"], widths["v"], size=0.7)
            if tower == "text":
                add(f"{p}attn.q_norm", a["d_qk"], size=0.3)
                add(f"{p}attn.k_norm", a["d_qk"], size=0.3)
                add(f"{p}mlp.gate.weight", c["ffn"], dim)
                add(f"{p}mlp.up.weight", c["ffn"], dim)
                add(f"{p}mlp.down.weight", dim, c["ffn"])
            else:
                add(f"{p}mlp.up.weight", c["ffn"], dim)
                add(f"{p}mlp.up.bias", c["ffn"], size=0.3)
                add(f"{p}mlp.down.weight", dim, c["ffn"])
                add(f"{p}mlp.down.bias", dim, size=0.3)
            for norm in ("norm1", "norm2"):
                add_norm(add, p + norm, dim, c["rms"])
        add_norm(add, f"{tower}.norm", dim, c["rms"])
    o = w["text.layers.0.attn.o.weight"]
    add("text.layers.0.attn.o.lora_a", DELTA["rank"], o.shape[1])
    add("text.layers.0.attn.o.lora_b", o.shape[0], DELTA["rank"])
    return w


def add_norm(add, name, dim, rms):
    add(name + ".weight", dim, size=0.2, base=0.0 if rms else 1.0)  # RMS: the weight is 1 + w
    if not rms:
        add(name + ".bias", dim, size=0.2)


# ---- layers, in float64

def norm(x, w, name, eps):
    weight = w[name + ".weight"] if name + ".weight" in w else w[name]
    if name + ".bias" in w:
        x = x - x.mean(-1, keepdim=True)
        return x / torch.sqrt((x * x).mean(-1, keepdim=True) + eps) * weight + w[name + ".bias"]
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + eps) * (weight + 1)


def linear(x, w, name):
    y = x @ w[name + ".weight"].T
    if name + ".lora_a" in w:
        y = y + DELTA["scale"] * (x @ w[name + ".lora_a"].T) @ w[name + ".lora_b"].T
    return y + w[name + ".bias"] if name + ".bias" in w else y


def axis_of(r, f):
    if r["n_axes"] == 1:
        return 0
    sections = [r["section0"], r["section1"], r["section2"]][: r["n_axes"]]
    if r["sections"] == "contiguous":
        return [axis for axis, n in enumerate(sections) for _ in range(n)][f]
    owner = [0] * (r["dim"] // 2)
    for axis in range(1, r["n_axes"]):
        for place in range(axis, sections[axis] * r["n_axes"], r["n_axes"]):  # as Qwen3-VL writes its slices
            owner[place] = axis
    return owner[f]


def rotate(x, positions, r):
    """x [n][heads][d], positions [axes][n]; angles rounded to f32 like the models that are deployed"""
    out = x.clone()
    half = r["dim"] // 2
    for f in range(half):
        freq = torch.tensor(r["theta"] ** (-2.0 * f / (r["freq_dim"] or r["dim"]))).float()
        angle = (positions[axis_of(r, f)].float() * freq).double()
        cos, sin = angle.cos()[:, None], angle.sin()[:, None]
        i, j = (2 * f, 2 * f + 1) if r["pairing"] == "interleaved" else (f, f + half)
        out[..., i] = x[..., i] * cos - x[..., j] * sin
        out[..., j] = x[..., j] * cos + x[..., i] * sin
    return out


def sees(a, i, j, prefix_len, groups):
    ok = {"full": True, "causal": j <= i, "prefix": j <= i or (i < prefix_len and j < prefix_len),
          "group": a["mask"] == "group" and groups[i] == groups[j]}[a["mask"]]
    return ok and i - a["window_left"] <= j <= i + a["window_right"]


def attend(q, k, v, a, w, prefix, prefix_len, groups):
    """one sequence: q [n][heads][d], k and v [n][kv heads][d]"""
    n = q.shape[0]
    mask = torch.tensor([[sees(a, i, j, prefix_len, groups) for j in range(n)] for i in range(n)])
    distance = (torch.arange(n)[None, :] - torch.arange(n)[:, None]).clamp(-a["bias_span"], a["bias_span"])
    heads = []
    for h in range(a["n_heads"]):
        kv = h // (a["n_heads"] // a["n_kv_heads"])
        keys, values = k[:, kv], v[:, kv]
        if a["n_extra"]:
            keys = torch.cat([keys, w[prefix + "extra_k"].view(a["n_extra"], a["n_kv_heads"], -1)[:, kv]])
            values = torch.cat([values, w[prefix + "extra_v"].view(a["n_extra"], a["n_kv_heads"], -1)[:, kv]])
        s = q[:, h] @ keys.T * a["scale"]
        if a["softcap"]:
            s = a["softcap"] * torch.tanh(s / a["softcap"])
        add = torch.zeros(n, n, dtype=torch.float64).masked_fill(~mask, -math.inf)
        if a["bias_span"]:
            add = add + w[prefix + "bias"][h][distance + a["bias_span"]]
        s = s + torch.cat([add, torch.zeros(n, a["n_extra"], dtype=torch.float64)], 1)
        heads.append(torch.softmax(s, -1) @ values)
    return torch.stack(heads, 1).reshape(n, -1)


def layer(x, w, tower, i, batch):
    c, a, r = CONFIG[tower], CONFIG[f"{tower}.{i}"]["attn"], CONFIG[f"{tower}.{i}"]["rope"]
    p = f"{tower}.layers.{i}."
    h = norm(x, w, p + "norm1", c["eps"])
    q = linear(h, w, p + "attn.q").view(-1, a["n_heads"], a["d_qk"])
    k = linear(h, w, p + "attn.k").view(-1, a["n_kv_heads"], a["d_qk"])
    v = linear(h, w, p + "attn.v").view(-1, a["n_kv_heads"], a["d_v"])
    if tower == "text":
        q, k = norm(q, w, p + "attn.q_norm", c["eps"]), norm(k, w, p + "attn.k_norm", c["eps"])
    q, k = rotate(q, batch["positions"], r), rotate(k, batch["positions"], r)
    parts = []
    for s in range(len(batch["offsets"]) - 1):
        at = slice(batch["offsets"][s], batch["offsets"][s + 1])
        groups = batch["groups"][at] if "groups" in batch else None
        prefix_len = batch["prefix_len"][s] if "prefix_len" in batch else 0
        parts.append(attend(q[at], k[at], v[at], a, w, p + "attn.", prefix_len, groups))
    x = x + linear(torch.cat(parts), w, p + "attn.o")
    h = norm(x, w, p + "norm2", c["eps"])
    if tower == "text":
        h = torch.nn.functional.silu(linear(h, w, p + "mlp.gate")) * linear(h, w, p + "mlp.up")
    else:
        h = torch.nn.functional.gelu(linear(h, w, p + "mlp.up"))
    x = x + linear(h, w, p + "mlp.down")
    return x, k.flatten(1), v.flatten(1)


def stack(x, w, tower, batch):
    states, kv = [x], []
    for i in range(2):
        x, k, v = layer(x, w, tower, i, batch)
        for at, rows in batch.get("layer_rows", {}).get(i, []):
            x = x.index_add(0, at, rows)
        states.append(x)
        kv.append((k, v))
    return norm(x, w, f"{tower}.norm", CONFIG[tower]["eps"]), states, kv


# ---- inputs

def text_embeddings(w, batch):
    x = w["text.word"][batch["ids"]] * CONFIG["text"]["word_scale"] + w["text.type"][batch["types"]]
    x = x + w["text.position"][batch["positions"][0] % 64]
    for s in batch["spans"]:
        at = slice(s["first"], s["first"] + s["n"])
        if s["rows"] is not None:
            x[at] = s["rows"]
        x[at] += w["text.modality"][s["modality"]]
    return x


def grid_positions(offsets, spans):
    """text advances all axes by one; a span of t x h x w counts its grid from where it begins, and what follows goes on
    behind its largest extent"""
    axes = [[], [], []]
    for s in range(len(offsets) - 1):
        at, position = offsets[s], 0
        while at < offsets[s + 1]:
            span = next((x for x in spans if x["first"] == at and x["t"]), None)
            if span is None:
                for axis in axes:
                    axis.append(position)
                at, position = at + 1, position + 1
                continue
            for t in range(span["t"]):
                for y in range(span["h"]):
                    for x in range(span["w"]):
                        for axis, step in zip(axes, (t, y, x)):
                            axis.append(position + step)
            at, position = at + span["n"], position + max(span["t"], span["h"], span["w"])
    return torch.tensor(axes)


def pool(x, offsets, skip):
    rows = []
    for s in range(len(offsets) - 1):
        whole = x[offsets[s]:offsets[s + 1]]
        part = whole[skip[s]:]
        weights = torch.arange(skip[s] + 1, len(whole) + 1, dtype=torch.float64)[:, None]
        rows.append(torch.cat([whole[0], part.max(0).values, part.mean(0), part.sum(0) / math.sqrt(len(part)),
                               (part * weights).sum(0) / weights.sum(), part[-1]]))
    return torch.stack(rows)


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    args.add_argument("--out", type=pathlib.Path, default=OUT)
    out = args.parse_args().out
    gen = torch.Generator().manual_seed(7)
    w32 = make_weights(gen)
    w = {name: t.double().requires_grad_(name.startswith("vision.")) for name, t in w32.items()}
    golden = {}

    def ints(high, *shape):
        return torch.randint(high, shape, generator=gen)

    # vision: two pictures of 3 x 4 and 2 x 3 patches
    rows = torch.randn(18, 10, generator=gen)
    vision = dict(offsets=[0, 12, 18], positions=ints(12, 2, 18), groups=ints(3, 18))
    x = rows.double().requires_grad_()
    tokens, states, _ = stack(linear(x, w, "vision.patch"), w, "vision", vision)
    dy = torch.randn(18, 32, generator=gen)
    (tokens * dy.double()).sum().backward()
    golden |= {"vision/rows": rows, "vision/offsets": torch.tensor(vision["offsets"]), "vision/groups": vision["groups"],
               "vision/positions": vision["positions"], "vision/tokens": tokens, "vision/layer1": states[1],
               "vision/dy": dy, "grad/rows": x.grad}
    for name, t in w.items():
        if t.grad is not None and name.split(".")[-1] not in ("extra_k", "extra_v") and not name.endswith("attn.bias"):
            golden["grad/" + name] = t.grad
    w = {name: t.detach() for name, t in w.items()}
    tokens, states = tokens.detach().float().double(), [s.detach().float().double() for s in states]

    # text: a picture in the first sequence; a video that is not replaced and the other picture in the third
    spans = [dict(first=4, n=12, modality=IMAGE, t=1, h=3, w=4, rows=tokens[:12]),
             dict(first=39, n=8, modality=VIDEO, t=2, h=2, w=2, rows=None),
             dict(first=89, n=6, modality=IMAGE, t=1, h=2, w=3, rows=tokens[12:]),
             dict(first=97, n=2, modality=3, t=0, h=0, w=0, rows=None)]
    at = torch.tensor(list(range(4, 16)) + list(range(89, 95)))
    text = dict(offsets=[0, 20, 29, 100], ids=ints(40, 100), types=ints(3, 100), positions=ints(100, 3, 100),
                prefix_len=[6, 0, 12], spans=spans, layer_rows={0: [(at, states[1])], 1: [(at[:3], states[1][3:6])]})
    hidden, states, kv = stack(text_embeddings(w, text), w, "text", text)
    last = hidden[[19, 28, 99]]
    skip = [2, 0, 30]
    classes = torch.tensor([7, 0, 39, 7])
    golden |= {"text/ids": text["ids"], "text/types": text["types"], "text/positions": text["positions"],
               "text/offsets": torch.tensor(text["offsets"]), "text/prefix_len": torch.tensor(text["prefix_len"]),
               "text/skip": torch.tensor(skip), "text/row_at": at, "text/classes": classes,
               "text/tokens": hidden, "text/layer0": states[0], "text/layer1": states[1],
               "text/pooled": pool(hidden, text["offsets"], skip), "text/lm": linear(last, w, "text.lm")[:, classes],
               "text/classifier": linear(last, w, "text.classifier")}
    for i, (k, v) in enumerate(kv):
        golden |= {f"text/k{i}": k, f"text/v{i}": v}
    auto = text | dict(positions=grid_positions(text["offsets"], spans))
    hidden, _, _ = stack(text_embeddings(w, auto), w, "text", auto)
    golden |= {"auto/tokens": hidden, "auto/positions": auto["positions"]}

    out.mkdir(parents=True, exist_ok=True)
    (out / "config.json").write_text(json.dumps(CONFIG, indent=1) + "\n")
    save_file(w32, out / "model.safetensors")
    golden = {k: t.detach().to(torch.int32 if not t.is_floating_point() else torch.float32).contiguous()
              for k, t in golden.items()}
    save_file(golden, out / "golden.safetensors")
    for file in out.iterdir():
        file.chmod(0o644)
    print(sum(f.stat().st_size for f in out.iterdir()), "bytes in", out)


if __name__ == "__main__":
    main()
