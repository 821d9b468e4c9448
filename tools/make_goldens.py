#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tiny checkpoints of random weights in the layout of sentence-transformers, and what the reference gives for them.

    make_goldens.py [--only NAME] tests/fixtures
    make_goldens.py --real DIR --run PROGRAM    goldens of the checkpoint in DIR in a temporary folder, on which PROGRAM
                                                (golden/checkpoints) is run; 77 where DIR or the reference is not there

Each folder NAME holds a checkpoint as published (config.json, modules.json, weights, tokenizer) and
  golden.json          versions of the reference, poolings, the texts
  golden.safetensors   per text N: ids.N I32 [n], hidden.N F32 [layers + 1][n][dim], pooled.N F32 [dim of pooling],
                       vector.N F32 [dim] (behind all modules), pooler.N F32 [dim] where the checkpoint has a pooler
The reference runs in float32 on one thread with eager attention, one text at a time.
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

try:
    import safetensors.torch
    import sentence_transformers
    import tokenizers
    import torch
    import transformers
except ImportError as e:
    other = os.environ.get("ILK_TEST_PYTHON")
    if other and os.path.realpath(sys.prefix) != os.path.realpath(os.path.dirname(os.path.dirname(other))):
        os.execv(other, [other] + sys.argv)
    print(f"SKIPPED: the reference is not installed ({e}); ILK_TEST_PYTHON names an interpreter that has it")
    sys.exit(77)

WORDS = ("the a of and to in is it red blue green bicycle planet mars venus cat dog love market crash what deep learning "
         "water river stone light night music paper number seven un ##able ##ing ##ed ##s ##er ##ly").split()
VOCAB = (["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + [chr(c) for c in range(33, 127) if not chr(c).isupper()] +
         ["##" + c for c in "abcdefghijklmnopqrstuvwxyz0123456789"] + WORDS)
LIMIT = 24  # tokens, specials included
TEXTS = ["The red bicycle is lovely.", "", "cat", "Mars and Venus: what a night!", "Caf\u00e9 M\u00dcNCHEN, \u6c34 water",
         "unlockable numbers, seven dogs crashed in the market", "deep learning " * 30, "a"]

REAL_TEXTS = ["Which planet is known as the Red Planet?", "What is Deep Learning?", "one two three four five " * 80,
              "Der schnelle braune Fuchs springt \u00fcber den faulen Hund. " * 7]

# name: config changes, pooling modes, options
VARIANTS = {
    "bert-mean": ({}, ["mean"], {"normalize": True}),
    "bert-cls": ({"num_hidden_layers": 3, "hidden_act": "relu", "num_attention_heads": 2, "hidden_size": 24}, ["cls"], {"layout": "new"}),
    "bert-maxmean": ({"hidden_act": "silu", "layer_norm_eps": 1e-5}, ["max", "mean"], {"pooler": False}),
    "bert-dense": ({"hidden_size": 24, "num_attention_heads": 3}, ["mean"], {"dense": 20, "normalize": True,
                                                                               "layout": "new"}),
    "bert-gelunew": ({"hidden_act": "gelu_new"}, ["mean_sqrt_len"], {"normalize": True}),
    "bert-old": ({}, ["mean"], {"normalize": True, "gamma": True, "prefix": "bert.", "heads": True}),
    "bert-f16": ({}, ["cls"], {"normalize": True, "dtype": torch.float16}),
    "bert-weighted": ({}, ["weightedmean", "lasttoken"], {"prefix": "model.", "pooler": False}),
}
OLD_NAMES = {"cls": "cls_token", "mean": "mean_tokens", "max": "max_tokens", "mean_sqrt_len": "mean_sqrt_len_tokens",
             "weightedmean": "weightedmean_tokens", "lasttoken": "lasttoken"}


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1, ensure_ascii=True) + "\n")


def random_weights(model, seed):
    """Wide enough that attention is not uniform and every activation meets both of its sides."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            scale = 1.0 if "embeddings" in name else 1.5 / p.shape[-1] ** 0.5 if p.dim() == 2 else 0.2
            p.copy_(torch.randn(p.shape, generator=g) * scale)
            if "LayerNorm.weight" in name:
                p.add_(1)


def write_tokenizer(out):
    (out / "vocab.txt").write_text("\n".join(VOCAB) + "\n")
    t = transformers.BertTokenizerFast(vocab=str(out / "vocab.txt"), do_lower_case=True, model_max_length=LIMIT)
    t.save_pretrained(out)


def write_weights(out, model, opt):
    dtype = opt.get("dtype", torch.float32)
    tensors = {}
    for name, p in model.state_dict().items():
        if opt.get("gamma"):
            name = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        tensors[opt.get("prefix", "") + name] = p.to(dtype).contiguous()
    if opt.get("heads"):  # what checkpoints of pre-training carry besides
        tensors["bert.embeddings.position_ids"] = torch.arange(LIMIT)[None]
        tensors["cls.predictions.bias"] = torch.zeros(4)
    safetensors.torch.save_file(tensors, out / "model.safetensors", {"format": "pt"})


def write_modules(out, modes, dim, opt):
    new = opt.get("layout") == "new"
    base = "sentence_transformers."
    types = {"Transformer": "base.modules.transformer.Transformer", "Dense": "base.modules.dense.Dense",
             "Pooling": "sentence_transformer.modules.pooling.Pooling",
             "Normalize": "sentence_transformer.modules.normalize.Normalize"}
    modules = []

    def add(kind):
        path = "" if kind == "Transformer" else f"{len(modules)}_{kind}"
        modules.append({"idx": len(modules), "name": str(len(modules)), "path": path,
                        "type": base + (types[kind] if new else "models." + kind)})
        if path:
            (out / path).mkdir()
        return out / path

    add("Transformer")
    write_json(out / "sentence_bert_config.json", {"max_seq_length": LIMIT, "do_lower_case": False})
    pooling = add("Pooling")
    if new:
        write_json(pooling / "config.json", {"embedding_dimension": dim, "pooling_mode": modes if len(modes) > 1 else
                                             modes[0], "include_prompt": True})
    else:
        write_json(pooling / "config.json", {"word_embedding_dimension": dim} |
                   {"pooling_mode_" + old: mode in modes for mode, old in OLD_NAMES.items()})
    dim *= len(modes)
    if "dense" in opt:
        dense, n = add("Dense"), opt["dense"]
        g = torch.Generator().manual_seed(99)
        write_json(dense / "config.json", {"in_features": dim, "out_features": n, "bias": True,
                                           "activation_function": "torch.nn.modules.activation.Tanh"})
        safetensors.torch.save_file({"linear.weight": torch.randn(n, dim, generator=g) / dim ** 0.5,
                                     "linear.bias": torch.randn(n, generator=g) * 0.2}, dense / "model.safetensors")
    if opt.get("normalize"):
        add("Normalize")
        (out / modules[-1]["path"] / ".gitkeep").touch()
    write_json(out / "modules.json", modules)


def write_checkpoint(out, name, seed):
    changes, modes, opt = VARIANTS[name]
    config = transformers.BertConfig(**{
        "vocab_size": len(VOCAB), "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
        "intermediate_size": 64, "max_position_embeddings": LIMIT, "type_vocab_size": 2, **changes})
    model = transformers.BertModel(config, add_pooling_layer=opt.get("pooler", True))
    random_weights(model, seed)
    write_tokenizer(out)
    write_weights(out, model, opt)
    write_modules(out, modes, config.hidden_size, opt)
    fields = ["vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act",
              "max_position_embeddings", "type_vocab_size", "layer_norm_eps", "pad_token_id"]
    write_json(out / "config.json", {"architectures": ["BertModel"], "model_type": "bert",
                                     "position_embedding_type": "absolute"} | {f: getattr(config, f) for f in fields})


def write_goldens(out, pooling, texts):
    # the class BertModel strips "bert." itself; a "model." prefix is ours, so the reference gets the plain names
    ref = pathlib.Path(str(out) + ".reference")
    shutil.rmtree(ref, ignore_errors=True)
    shutil.copytree(out, ref)
    tensors = safetensors.torch.load_file(ref / "model.safetensors")
    plain = {n.removeprefix("bert.").removeprefix("model.").replace(".gamma", ".weight").replace(".beta", ".bias"): t.float()
             for n, t in tensors.items() if not n.startswith("cls.") and "position_ids" not in n and
             t.dtype.is_floating_point}
    safetensors.torch.save_file(plain, ref / "model.safetensors", {"format": "pt"})
    st = sentence_transformers.SentenceTransformer(
        str(ref), device="cpu", model_kwargs={"attn_implementation": "eager", "dtype": torch.float32})
    model = st[0].auto_model if hasattr(st[0], "auto_model") else st[0].model
    assert set(n for n in plain if not n.startswith("pooler.")) <= set(model.state_dict())
    golden = {}
    with torch.no_grad():
        for i, text in enumerate(texts):
            ids = st.tokenizer(text, truncation=True, max_length=st.max_seq_length)["input_ids"]
            x = torch.tensor([ids])
            got = model(input_ids=x, attention_mask=torch.ones_like(x), output_hidden_states=True)
            golden[f"ids.{i}"] = x[0].int()
            golden[f"hidden.{i}"] = torch.stack([h[0] for h in got.hidden_states]).contiguous()
            if "pooler.dense.weight" in plain:
                w, b = plain["pooler.dense.weight"], plain["pooler.dense.bias"]
                golden[f"pooler.{i}"] = torch.tanh(got.last_hidden_state[0, 0] @ w.T + b)
            features = {"token_embeddings": got.last_hidden_state, "attention_mask": torch.ones_like(x)}
            golden[f"pooled.{i}"] = st[1](features)["sentence_embedding"][0].clone()
            golden[f"vector.{i}"] = st.encode([text], convert_to_tensor=True)[0]
            assert torch.isfinite(golden[f"vector.{i}"]).all()
    shutil.rmtree(ref)
    safetensors.torch.save_file(golden, out / "golden.safetensors")
    write_json(out / "golden.json", {
        "made_by": "tools/make_goldens.py", "torch": torch.__version__.split("+")[0],
        "transformers": transformers.__version__, "sentence_transformers": sentence_transformers.__version__,
        "tokenizers": tokenizers.__version__, "pooling": pooling, "texts": texts})


def run_real(real, program):
    if not real or not pathlib.Path(real).is_dir():
        print("SKIPPED: no folder of a real checkpoint given (ILK_TEST_MINILM)")
        return 77
    with tempfile.TemporaryDirectory() as tmp:
        out = pathlib.Path(tmp) / "real"
        out.mkdir()
        for f in pathlib.Path(real).resolve().iterdir():
            (out / f.name).symlink_to(f.resolve())
        write_goldens(out, ["mean"], TEXTS + REAL_TEXTS)
        return subprocess.run([program], env=os.environ | {"ILK_TEST_FIXTURES": tmp}, check=False).returncode


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=pathlib.Path, nargs="?")
    parser.add_argument("--only")
    parser.add_argument("--real")
    parser.add_argument("--run")
    args = parser.parse_args()
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    if args.run:
        sys.exit(run_real(args.real or os.environ.get("ILK_TEST_MINILM"), args.run))
    for seed, name in enumerate(VARIANTS):
        if args.only in (None, name):
            out = args.out / name
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir(parents=True)
            write_checkpoint(out, name, seed + 1)
            write_goldens(out, VARIANTS[name][1], TEXTS)
            print(name, sum(f.stat().st_size for f in out.rglob("*") if f.is_file()), "bytes")


main()
