#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tiny checkpoints of random weights in the layout of sentence-transformers, and what the reference gives for them.

    make_goldens.py [--only NAME] tests/fixtures
    make_goldens.py --real DIR --run PROGRAM    goldens of the checkpoint in DIR in a temporary folder, on which PROGRAM
                                                (golden/checkpoints) is run; 77 where DIR or the reference is not there

Each folder NAME holds a checkpoint as published (config.json, modules.json, weights, tokenizer) and
  golden.json          versions of the reference, poolings, the texts
  golden.safetensors   per text N: ids.N I32 [n], hidden.N F32 [layers + 1][n][dim], pooled.N F32 [dim of pooling],
                       vector.N F32 [dim] (behind all modules), pooler.N F32 [dim] where the checkpoint has a pooler;
                       per pair N of a checkpoint of sequence classification: pair.N and types.N I32 [n], logits.N F32,
                       score.N F32 [1] (CrossEncoder's) where there is one label
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
# The other families, all over the same WordPiece vocabulary, whose [UNK] is 1: where that is pad_token_id, a text with an
# unknown word shows what the reference does with a pad token in the text.
# name: class, config changes, pooling modes, options
IDENTITY = "torch.nn.modules.linear.Identity"
SMALL = {"vocab_size": len(VOCAB), "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3,
         "intermediate_size": 40}
TINY = SMALL | {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
ABSOLUTE = {"max_position_embeddings": LIMIT + 2, "pad_token_id": 1}
MODERN = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3}
FAMILIES = {
    "bert-rerank": ("BertForSequenceClassification", SMALL | {"max_position_embeddings": LIMIT, "num_labels": 1},
                    ["mean"], {"config": {"sentence_transformers": {"activation_fn": IDENTITY}}}),
    "roberta-mean": ("RobertaModel", SMALL | ABSOLUTE | {"type_vocab_size": 1, "layer_norm_eps": 1e-5}, ["mean"],
                     {"normalize": True}),
    "xlmr-rerank": ("XLMRobertaForSequenceClassification",
                    SMALL | ABSOLUTE | {"type_vocab_size": 1, "layer_norm_eps": 1e-5, "num_labels": 1}, ["cls"],
                    {"normalize": True, "layout": "new",
                     "config": {"sbert_ce_default_activation_function": IDENTITY}}),
    "camembert-labels": ("CamembertForSequenceClassification",
                         TINY | ABSOLUTE | {"hidden_act": "gelu_new", "num_labels": 3}, ["mean"], {}),
    "distilbert-labels": ("DistilBertForSequenceClassification",
                          {"vocab_size": len(VOCAB), "dim": 24, "n_layers": 2, "n_heads": 3, "hidden_dim": 40,
                           "max_position_embeddings": LIMIT, "num_labels": 3}, ["mean"], {"normalize": True}),
    "mpnet-mean": ("MPNetModel", TINY | {"max_position_embeddings": 162}, ["mean"], {"normalize": True, "limit": 160}),
    "mpnet-rerank": ("MPNetForSequenceClassification",
                     TINY | {"max_position_embeddings": LIMIT + 2, "layer_norm_eps": 1e-5, "num_labels": 1}, ["mean"],
                     {"layout": "cross"}),
    "modernbert-rerank": ("ModernBertForSequenceClassification",
                          TINY | MODERN | {"num_hidden_layers": 4, "local_attention": 8, "max_position_embeddings": 64,
                                            "classifier_pooling": "mean", "num_labels": 1}, ["cls"],
                          {"normalize": True, "old_rope": True, "gain": 0.8}),
    "modernbert-biases": ("ModernBertForSequenceClassification",
                          TINY | MODERN | {"num_hidden_layers": 3, "local_attention": 6, "max_position_embeddings": 64,
                                           "norm_bias": True, "attention_bias": True, "mlp_bias": True,
                                           "classifier_bias": True, "hidden_activation": "silu",
                                           "classifier_activation": "relu", "num_labels": 2,
                                           "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
                                           "rope_parameters": {
                                               "full_attention": {"rope_theta": 5000.0, "rope_type": "default"},
                                               "sliding_attention": {"rope_theta": 300.0, "rope_type": "default"}}},
                          ["mean"], {"gain": 0.8}),
    "nomic-mean": ("NomicBertModel", SMALL | {"max_position_embeddings": 64}, ["mean"], {"published": "nomic"}),
    "nomic-labels": ("NomicBertForSequenceClassification",
                     TINY | {"max_position_embeddings": 64, "num_labels": 2, "layer_norm_eps": 1e-5,
                             "rope_parameters": {"rope_theta": 77.0, "rope_type": "default"}}, ["mean"],
                     {"native": True, "normalize": True}),
    "gte-rerank": ("GteForSequenceClassification",
                   SMALL | {"max_position_embeddings": 64, "pad_token_id": 1, "num_labels": 1, "type_vocab_size": 1},
                   ["cls"], {"published": "gte", "normalize": True, "zero_types": True}),
    "gte-native": ("GteModel", TINY | {"max_position_embeddings": 64, "type_vocab_size": 0, "pad_token_id": 0},
                   ["cls"], {"native": True}),
}
LONG = "the red mars and a blue venus , in the market of love " * 16  # distances past every bucket of MPNet
PAIRS = [("What is love?", "the cat and the dog in the market"), ("deep learning", "deep learning " * 20),
         ("a", ""), ("mars " * 30, "venus, the blue planet")]
OLD_NAMES = {"cls": "cls_token", "mean": "mean_tokens", "max": "max_tokens", "mean_sqrt_len": "mean_sqrt_len_tokens",
             "weightedmean": "weightedmean_tokens", "lasttoken": "lasttoken"}


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1, ensure_ascii=True) + "\n")


def random_weights(model, seed, gain=1.5):
    """Wide enough that attention is not uniform and every activation meets both of its sides; less gain where no norm
    bounds the stream, so that rounding stays that of numbers of the order of one."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            scale = 1.0 if "embeddings" in name else gain / p.shape[-1] ** 0.5 if p.dim() == 2 else 0.2
            p.copy_(torch.randn(p.shape, generator=g) * scale)
            if p.dim() == 1 and "norm" in name.lower() and name.endswith("weight"):
                p.add_(1)


def write_tokenizer(out, limit=LIMIT, **more):
    (out / "vocab.txt").write_text("\n".join(VOCAB) + "\n")
    t = transformers.BertTokenizerFast(vocab=str(out / "vocab.txt"), do_lower_case=True, model_max_length=limit,
                                       **more)
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
    new = opt.get("layout") in ("new", "cross")
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
    write_json(out / "sentence_bert_config.json", {"max_seq_length": opt.get("limit", LIMIT), "do_lower_case": False})
    if opt.get("layout") == "cross":  # what CrossEncoder saves: no pooling, the activation in a file of its own
        write_json(out / "config_sentence_transformers.json", {
            "activation_fn": "torch.nn.modules.activation.Sigmoid", "default_prompt_name": None,
            "model_type": "CrossEncoder", "prompts": {}})
        write_json(out / "sentence_bert_config.json", {
            "transformer_task": "sequence-classification", "module_output_name": "scores",
            "modality_config": {"text": {"method": "forward", "method_output_name": "logits"}}})
        write_json(out / "modules.json", modules)
        return
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


def publish_nomic(out, config):
    """The published layout's words; save_pretrained writes its names of tensors by itself."""
    write_json(out / "config.json", {
        "architectures": ["NomicBertModel"], "model_type": "nomic_bert", "vocab_size": config.vocab_size,
        "n_embd": config.hidden_size, "n_layer": config.num_hidden_layers, "n_head": config.num_attention_heads,
        "n_inner": config.intermediate_size, "n_positions": config.max_position_embeddings,
        "type_vocab_size": config.type_vocab_size, "activation_function": "swiglu",
        "layer_norm_epsilon": config.layer_norm_eps, "rotary_emb_base": 1000, "rotary_emb_fraction": 1.0,
        "rotary_emb_interleaved": False, "rotary_emb_scale_base": None, "rotary_scaling_factor": None,
        "qkv_proj_bias": False, "mlp_fc1_bias": False, "mlp_fc2_bias": False, "prenorm": False, "causal": False,
        "parallel_block": False, "use_rms_norm": False, "max_trained_positions": 2048})


def publish_gte(out, config):
    """The published layout with the scaling of gte-multilingual-base; see scale_gte."""
    fields = ["vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act",
              "max_position_embeddings", "type_vocab_size", "layer_norm_eps", "pad_token_id"]
    write_json(out / "config.json", {
        "architectures": ["NewForSequenceClassification"], "model_type": "new", "id2label": {"0": "LABEL_0"},
        "layer_norm_type": "layer_norm", "logn_attention_scale": False, "position_embedding_type": "rope",
        "pack_qkv": True, "rope_theta": 20000, "rope_scaling": {"factor": 8.0, "type": "ntk"}} |
        {f: getattr(config, f) for f in fields})
    tensors = safetensors.torch.load_file(out / "model.safetensors")
    tensors = {("new." + n.removeprefix("gte.") if "classifier" not in n else n): t for n, t in tensors.items()}
    safetensors.torch.save_file(tensors, out / "model.safetensors", {"format": "pt"})


def scale_gte(model):
    """What the published class makes of rope_scaling ntk (vLLM's NTKScalingRotaryEmbedding has the same)."""
    rotary, dim = model.rotary_emb, model.config.hidden_size // model.config.num_attention_heads
    freq = 1.0 / ((20000 * 8.0) ** (torch.arange(0, dim, 2).float() / dim)) / 8.0 ** (2 / dim)
    rotary.inv_freq.copy_(freq)
    rotary.original_inv_freq.copy_(freq)


def write_family(out, name, seed):
    """A checkpoint of FAMILIES and its goldens: the class itself gives them, not what reads the checkpoint back."""
    cls, changes, modes, opt = FAMILIES[name]
    cls = getattr(transformers, cls)
    labels = changes.get("num_labels", 0)
    config = cls.config_class(**changes)
    config._attn_implementation = "eager"
    full = cls(config).eval()
    random_weights(full, seed, opt.get("gain", 1.5))
    model = getattr(full, full.base_model_prefix) if labels else full
    # the tokenizers of these give no types; ilk's gets them from the template and its networks pass them over
    plain = "Bert" not in cls.__name__ or "ModernBert" in cls.__name__ or "Roberta" in cls.__name__
    write_tokenizer(out, opt.get("limit", LIMIT),
                    **({"model_input_names": ["input_ids", "attention_mask"]} if plain else {}))
    tokenizer = transformers.AutoTokenizer.from_pretrained(out)
    full.save_pretrained(out)
    if opt.get("native"):
        safetensors.torch.save_file({n: p.contiguous() for n, p in full.state_dict().items()}, out / "model.safetensors",
                                    {"format": "pt"})
    if opt.get("published") == "nomic":
        publish_nomic(out, config)
    if opt.get("published") == "gte":
        publish_gte(out, config)
        scale_gte(model)
    if opt.get("old_rope"):  # the words of 2024
        saved = json.loads((out / "config.json").read_text())
        for key in "layer_types", "rope_parameters":
            del saved[key]
        write_json(out / "config.json", saved | {"global_attn_every_n_layers": 3, "global_rope_theta": 160000.0,
                                                 "local_rope_theta": 10000.0, "position_embedding_type": "absolute"})
    if "config" in opt:
        write_json(out / "config.json", json.loads((out / "config.json").read_text()) | opt["config"])
    write_modules(out, modes, config.hidden_size, opt)
    texts = TEXTS + ([LONG] if opt.get("limit") else [])
    golden = {}
    with torch.no_grad():
        for i, text in enumerate(texts):
            ids = tokenizer(text, truncation=True, max_length=opt.get("limit", LIMIT))["input_ids"]
            x = torch.tensor([ids])
            ones = torch.ones_like(x)
            got = model(input_ids=x, attention_mask=ones, output_hidden_states=True)
            golden[f"ids.{i}"] = x[0].int()
            golden[f"hidden.{i}"] = torch.stack([h[0] for h in got.hidden_states]).contiguous()
            last = got.last_hidden_state[0]
            pooled = {"mean": last.mean(0), "cls": last[0]}[modes[0]]
            golden[f"pooled.{i}"] = pooled.clone()
            golden[f"vector.{i}"] = torch.nn.functional.normalize(pooled, dim=0) if opt.get("normalize") else pooled.clone()
            if getattr(got, "pooler_output", None) is not None:
                golden[f"pooler.{i}"] = got.pooler_output[0].clone()
        for i, pair in enumerate(PAIRS if labels else []):
            x = tokenizer([pair[0]], [pair[1]], truncation="longest_first", max_length=LIMIT, return_tensors="pt",
                          return_token_type_ids=True)
            types = x["token_type_ids"]
            inputs = {"input_ids": x["input_ids"], "attention_mask": torch.ones_like(types)}
            if takes_types(model, config):
                inputs["token_type_ids"] = types
            golden[f"pair.{i}"] = x["input_ids"][0].int()
            golden[f"types.{i}"] = types[0].int()
            golden[f"logits.{i}"] = full(**inputs).logits[0].clone()
    if labels == 1:
        scores = torch.stack([golden[f"logits.{i}"] for i in range(len(PAIRS))])
        if "published" in opt:
            scores = torch.sigmoid(scores)
        else:
            cross = sentence_transformers.CrossEncoder(
                str(out), device="cpu", model_kwargs={"attn_implementation": "eager", "dtype": torch.float32})
            scores = torch.tensor([float(cross.predict([pair])[0]) for pair in PAIRS])[:, None]
        for i, score in enumerate(scores):
            golden[f"score.{i}"] = score.clone()
    if "published" not in opt and opt.get("layout") != "cross":  # the whole of sentence-transformers agrees
        st = sentence_transformers.SentenceTransformer(
            str(out), device="cpu", model_kwargs={"attn_implementation": "eager", "dtype": torch.float32})
        got = st.encode(texts, batch_size=1, convert_to_tensor=True)
        worst = max(float((golden[f"vector.{i}"] - v).abs().max()) for i, v in enumerate(got))
        assert worst < 2e-6, (name, worst)
    for t in golden.values():
        assert not t.dtype.is_floating_point or torch.isfinite(t).all()
    safetensors.torch.save_file(golden, out / "golden.safetensors")
    write_versions(out, modes, texts, PAIRS if labels else [])


def takes_types(model, config):
    """RoBERTa's tokenizers give no types, so the reference's calls never pass any; one row of types serves zeros alone."""
    roberta = isinstance(model, (transformers.RobertaModel, transformers.XLMRobertaModel, transformers.CamembertModel))
    return not roberta and getattr(config, "type_vocab_size", 0) > 1


def write_versions(out, pooling, texts, pairs=()):
    write_json(out / "golden.json", {
        "made_by": "tools/make_goldens.py", "torch": torch.__version__.split("+")[0],
        "transformers": transformers.__version__, "sentence_transformers": sentence_transformers.__version__,
        "tokenizers": tokenizers.__version__, "pooling": pooling, "texts": texts} | ({"pairs": pairs} if pairs else {}))


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
    write_versions(out, pooling, texts)


def run_real(real, program):
    if not real or not pathlib.Path(real).is_dir():
        print("SKIPPED: ILK_TEST_MINILM names no folder of all-MiniLM-L6-v2 (tools/get_minilm.sh prints one)")
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
    for seed, name in enumerate(FAMILIES):
        if args.only in (None, name, "families"):
            out = args.out / name
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir(parents=True)
            write_family(out, name, seed + 101)
            print(name, sum(f.stat().st_size for f in out.rglob("*") if f.is_file()), "bytes")


if __name__ == "__main__":
    main()
