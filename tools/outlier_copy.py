#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Copies a BERT, XLM-R or CLIP checkpoint and gives it outlier channels, as large models have them by themselves.

usage: outlier_copy.py MODEL_DIR OUT_DIR [--share 0.005] [--low 20] [--high 60] [--seed 7]

A share of the channels of the residual stream (at least one) is made 20 to 60 times as large: the gains and biases of
every LayerNorm but the last are multiplied in these channels, the columns of the linears that read the norms divided.
Since the stream itself feeds the next norms, the copy is another network than the original: it is to be compared with
itself in f32. The last norm, which the vectors come from, stays as it is.

CLIP's towers normalise before a layer: there the rows that write to the stream (embeddings, the first norm, outputs of
attention and of the second linear) are multiplied, the columns that read a norm and the gain of the last norm divided.
"""
import argparse
import json
import os
import random
import shutil
import struct
import sys

import numpy as np


def read_safetensors(path):
    with open(path, "rb") as f:
        n = struct.unpack("<Q", f.read(8))[0]
        header = json.loads(f.read(n))
        data = f.read()
    tensors = {}
    for name, t in header.items():
        if name == "__metadata__":
            continue
        if t["dtype"] not in ("F32", "F16", "I64"):
            sys.exit("%s: %s: expected F32, F16 or I64, found %s" % (path, name, t["dtype"]))
        kind = {"F32": "<f4", "F16": "<f2", "I64": "<i8"}[t["dtype"]]
        first, end = t["data_offsets"]
        tensors[name] = np.frombuffer(data[first:end], kind).reshape(t["shape"]).copy()
    return tensors


def write_safetensors(path, tensors):
    header, at, parts = {}, 0, []
    for name in sorted(tensors):
        a = np.ascontiguousarray(tensors[name])
        kind = {"<f4": "F32", "<f2": "F16", "<i8": "I64"}[a.dtype.str]
        header[name] = {"dtype": kind, "shape": list(a.shape), "data_offsets": [at, at + a.nbytes]}
        parts.append(a.tobytes())
        at += a.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(parts))


def scale_bert(tensors, layers, channels, by):
    prefix = next((p for p in ("", "bert.", "roberta.") if p + "embeddings.LayerNorm.weight" in tensors), "")
    norms = ["embeddings.LayerNorm"]
    for i in range(layers):
        layer = "encoder.layer.%d." % i
        norms += [layer + "attention.output.LayerNorm", layer + "output.LayerNorm"]
        for name in ("attention.self.query", "attention.self.key", "attention.self.value", "intermediate.dense"):
            tensors[prefix + layer + name + ".weight"][:, channels] /= by
    for norm in norms[:-1]:
        for part in ("weight", "bias"):
            tensors[prefix + norm + "." + part][channels] *= by


def scale_clip(tensors, tower, layers, channels, by):
    def scale(name, by):
        if tower + name in tensors:
            tensors[tower + name][..., channels] *= by

    scale("embeddings.token_embedding.weight", by)
    scale("embeddings.position_embedding.weight", by if tower == "text_model." else 1)
    scale("pre_layrnorm.weight", by)
    scale("pre_layrnorm.bias", by)
    for i in range(layers):
        layer = tower + "encoder.layers.%d." % i
        for name in ("self_attn.out_proj", "mlp.fc2"):
            tensors[layer + name + ".bias"][channels] *= by
            tensors[layer + name + ".weight"][channels] *= by[:, None]
        for name in ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "mlp.fc1"):
            tensors[layer + name + ".weight"][:, channels] /= by
    for last in ("final_layer_norm", "post_layernorm"):
        scale(last + ".weight", 1 / by)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model_dir")
    p.add_argument("out_dir")
    p.add_argument("--share", type=float, default=0.005)
    p.add_argument("--low", type=float, default=20)
    p.add_argument("--high", type=float, default=60)
    p.add_argument("--seed", type=int, default=7)
    a = p.parse_args()
    with open(os.path.join(a.model_dir, "config.json")) as f:
        config = json.load(f)
    kind = config.get("model_type")
    if kind not in ("bert", "xlm-roberta", "clip"):
        sys.exit("%s: expected model_type bert, xlm-roberta or clip, found %s" % (a.model_dir, kind))
    tensors = read_safetensors(os.path.join(a.model_dir, "model.safetensors"))
    rng = random.Random(a.seed)

    def draw(dim):
        channels = sorted(rng.sample(range(dim), max(1, round(a.share * dim))))
        by = np.array([rng.uniform(a.low, a.high) for _ in channels], dtype=np.float32)
        print("channels " + ", ".join("%d by %.1f" % pair for pair in zip(channels, by)))
        return channels, by

    if kind == "clip":
        for tower, part in (("text_model.", config["text_config"]), ("vision_model.", config["vision_config"])):
            scale_clip(tensors, tower, part.get("num_hidden_layers", 12), *draw(part.get("hidden_size", 512)))
    else:
        scale_bert(tensors, config["num_hidden_layers"], *draw(config["hidden_size"]))
    if os.path.exists(a.out_dir):
        sys.exit("%s: is there already" % a.out_dir)
    shutil.copytree(a.model_dir, a.out_dir)
    write_safetensors(os.path.join(a.out_dir, "model.safetensors"), tensors)


if __name__ == "__main__":
    main()
