#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/fixtures/e2e-*: tiny random checkpoints of the layouts people download, each with a tokenizer of its own
kind, and what sentence-transformers makes of texts with them: text in, vector or score out.

    make_families.py [--only NAME] tests/fixtures

Each folder is a checkpoint as published and family.json:
  {"cases": [{"text", "as": "" | "query" | "document", "prompt_name": name or null, "dim": 0 or n, "vector": […]}],
   "pairs": [{"query", "document", "score", "raw"}], "max_tokens": n, versions}
The reference runs in float32 on one thread with eager attention, one text at a time.
"""
import argparse
import json
import os
import pathlib
import shutil
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import make_tokenizer_fixture as tok  # noqa: E402
from make_goldens import random_weights  # noqa: E402
import sentence_transformers  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402

TEXTS = ["A red bicycle leans against the garden wall.", "", "Un café très réservé", "  Tokenizers  split\nunhappiness ",
         "小さな猫が窓の外を見ている", "Маленький ёжик и чайка", "numbers 42 and 3.14159!", "search " * 60]
PAIRS = [("what is a bicycle?", "A red bicycle leans against the wall."), ("猫", "小さな猫が窓の外"), ("a", ""),
         ("search " * 30, "the quick reader " * 30)]
TINY = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
BGE = "Represent this sentence for searching relevant passages: "
IDENTITY, SIGMOID = "torch.nn.modules.linear.Identity", "torch.nn.modules.activation.Sigmoid"


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1, ensure_ascii=True) + "\n")


# ---------------------------------------------------------------- tokenizers: files, size of the vocabulary

def byte_bpe(out, **config):
    vocab, merges = tok.byte_level_bpe(["<s>", "<pad>", "</s>", "<unk>", "<mask>"], n=90)
    tok.write(out, {"vocab.json": vocab, "merges.txt": tok.lines_of(merges),
                    "tokenizer_config.json": {"tokenizer_class": "RobertaTokenizer", **config}})
    return len(vocab)


def modern_bpe(out, **config):
    vocab, merges = tok.byte_level_bpe(["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"], n=90)

    def token(t):
        return {"SpecialToken": {"id": t, "type_id": 0}}

    def text(s):
        return {"Sequence": {"id": s, "type_id": 0}}

    post = {"type": "TemplateProcessing", "single": [token("[CLS]"), text("A"), token("[SEP]")],
            "pair": [token("[CLS]"), text("A"), token("[SEP]"), text("B"), token("[SEP]")],
            "special_tokens": {t: {"id": t, "ids": [vocab[t]], "tokens": [t]} for t in ("[CLS]", "[SEP]")}}
    split = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    added = [tok.special(i, t) for i, t in enumerate(["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"])]
    tok.write(out, {"tokenizer.json": tok.bpe_json(vocab, [list(m) for m in merges], {"type": "NFC"}, split, post, added),
                    "tokenizer_config.json": {
                        "tokenizer_class": "PreTrainedTokenizerFast", "cls_token": "[CLS]", "sep_token": "[SEP]",
                        "pad_token": "[PAD]", "unk_token": "[UNK]", "mask_token": "[MASK]",
                        "model_input_names": ["input_ids", "attention_mask"], **config}})
    return len(vocab)


def unigram(out, cls="XLMRobertaTokenizer", **config):
    names = ["<s>", "<pad>", "</s>", "<unk>"]
    if cls == "CamembertTokenizer":
        names = ["<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED", "<s>", "</s>"]
    vocab = tok.unigram_vocab(names, n=120) + [("<mask>", 0.0)]
    own = tok.base64.b64encode(tok.charsmap.build(tok.CHARSMAP)).decode()
    added = [tok.special(i, t) for i, t in enumerate(names)] + [tok.special(len(vocab) - 1, "<mask>", lstrip=True)]
    tok.write(out, {"tokenizer.json": tok.unigram_json(
        vocab, {"type": "Precompiled", "precompiled_charsmap": own},
        {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}, None, added),
        "tokenizer_config.json": {"tokenizer_class": cls, **config}})
    return len(vocab)


def wordpiece(out, lower=True, cls="BertTokenizer", **config):
    vocab = tok.count_vocabulary(lower, 60)
    if cls == "MPNetTokenizer":
        vocab = ["<s>", "<pad>", "</s>", "<unk>", "[UNK]", "<mask>", *vocab[5:]]
    tok.write(out, {"vocab.txt": vocab, "tokenizer_config.json": {"tokenizer_class": cls, "do_lower_case": lower, **config}})
    return len(vocab)


# ---------------------------------------------------------------- families
# name: class, its config, tokenizer, modules; modules: pooling, normalize, dense, prompts, limit, cross

ABSOLUTE = {"max_position_embeddings": 34, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "type_vocab_size": 1}
MODERN = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2,
          "local_attention": 8, "num_hidden_layers": 4}
FAMILIES = {
    "roberta": ("RobertaModel", ABSOLUTE, byte_bpe, {"pool": "mean", "normalize": True, "limit": 20}),
    "me5": ("XLMRobertaModel", ABSOLUTE | {"layer_norm_eps": 1e-5}, lambda o: unigram(o, model_max_length=22),
            {"pool": "mean", "normalize": True, "prompts": {"query": "query: ", "passage": "passage: "}}),
    "arctic2": ("XLMRobertaModel", ABSOLUTE, unigram,
                {"pool": "cls", "normalize": True, "prompts": {"query": "query: ", "document": ""}, "limit": 30, "dim": 8}),
    "mpnet": ("MPNetModel", {"max_position_embeddings": 34}, lambda o: wordpiece(o, cls="MPNetTokenizer"),
              {"pool": "mean", "normalize": True, "limit": 24}),
    "distilbert": ("DistilBertModel", {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24,
                                       "max_position_embeddings": 40},
                   lambda o: wordpiece(o, cls="DistilBertTokenizer", model_max_length=512), {"pool": "mean"}),
    "modernbert": ("ModernBertModel", MODERN | {"max_position_embeddings": 48}, modern_bpe,
                   {"pool": "mean", "normalize": True, "dim": 8, "gain": 0.8,
                    "prompts": {"query": "search_query: ", "document": "search_document: "}}),
    "nomic": ("NomicBertModel", {"max_position_embeddings": 64}, lambda o: wordpiece(o, model_max_length=40),
              {"pool": "mean", "dim": 8, "prompts": {"query": "search_query: ", "document": "search_document: ",
                                                     "clustering": "clustering: "}}),
    "gte": ("GteModel", {"max_position_embeddings": 64, "type_vocab_size": 1, "pad_token_id": 1},
            lambda o: unigram(o, model_max_length=32), {"pool": "cls", "normalize": True}),
    "camembert": ("CamembertModel", ABSOLUTE | {"bos_token_id": 5, "eos_token_id": 6},
                  lambda o: unigram(o, "CamembertTokenizer"), {"pool": "mean", "limit": 30}),
    "labse": ("BertModel", {"max_position_embeddings": 40}, lambda o: wordpiece(o, lower=False),
              {"pool": "cls", "normalize": True, "dense": True, "limit": 26}),
    "bge": ("BertModel", {"max_position_embeddings": 40}, wordpiece,
            {"pool": "cls", "normalize": True, "prompts": {"query": BGE}, "default": "query"}),
    "paraphrase": ("BertModel", {"max_position_embeddings": 40, "type_vocab_size": 2}, unigram,
                   {"pool": "mean", "limit": 28}),
    "ce-minilm": ("BertForSequenceClassification", {"max_position_embeddings": 40, "num_labels": 1}, wordpiece,
                  {"cross": {"sbert_ce_default_activation_function": IDENTITY}}),
    "ce-bge": ("XLMRobertaForSequenceClassification", ABSOLUTE | {"num_labels": 1},
               lambda o: unigram(o, model_max_length=30), {"cross": {}}),
    "ce-modernbert": ("ModernBertForSequenceClassification",
                      MODERN | {"max_position_embeddings": 64, "num_labels": 1, "classifier_pooling": "mean"},
                      lambda o: modern_bpe(o, model_max_length=48),
                      {"cross": {"sentence_transformers": {"activation_fn": SIGMOID}}, "gain": 0.8}),
}


def write_modules(out, dim, opt):
    modules = []

    def add(kind, config=None):
        path = "" if kind == "Transformer" else f"{len(modules)}_{kind}"
        modules.append({"idx": len(modules), "name": str(len(modules)), "path": path,
                        "type": "sentence_transformers.models." + kind})
        if config is not None:
            write_json(out / path / "config.json", config)
        return out / path

    add("Transformer")
    write_json(out / "sentence_bert_config.json", {"do_lower_case": False} |
               ({"max_seq_length": opt["limit"]} if "limit" in opt else {}))
    add("Pooling", {"word_embedding_dimension": dim} | {
        f"pooling_mode_{m}": m.startswith(opt["pool"]) for m in ("cls_token", "mean_tokens", "max_tokens")})
    if opt.get("dense"):
        dense = add("Dense", {"in_features": dim, "out_features": dim, "bias": True,
                              "activation_function": "torch.nn.modules.activation.Tanh"})
        g = torch.Generator().manual_seed(99)
        tensors = {"linear.weight": torch.randn(dim, dim, generator=g) / dim ** 0.5,
                   "linear.bias": torch.randn(dim, generator=g) * 0.2}
        torch.save(tensors, dense / "pytorch_model.bin")
    if opt.get("normalize"):
        (add("Normalize") / ".gitkeep").parent.mkdir(exist_ok=True)
        (out / modules[-1]["path"] / ".gitkeep").touch()
    write_json(out / "modules.json", modules)
    if "prompts" in opt:
        write_json(out / "config_sentence_transformers.json", {
            "prompts": opt["prompts"], "default_prompt_name": opt.get("default"), "similarity_fn_name": None})


def write_checkpoint(out, name, seed):
    cls, changes, tokenizer, opt = FAMILIES[name]
    cls = getattr(transformers, cls)
    size = tokenizer(out)
    own = {} if "dim" in changes else TINY
    config = cls.config_class(**{"vocab_size": size, **own, **changes})
    model = cls(config).eval()
    random_weights(model, seed, opt.get("gain", 1.5))
    model.save_pretrained(out)
    if "cross" in opt:
        write_json(out / "config.json", json.loads((out / "config.json").read_text()) | opt["cross"])
    else:
        write_modules(out, config.hidden_size, opt)
    return opt


def run_embedder(out, opt):
    st = sentence_transformers.SentenceTransformer(
        str(out), device="cpu", model_kwargs={"attn_implementation": "eager", "dtype": torch.float32})
    cases = []

    def put(text, encode, role="", prompt=None, dim=0):
        more = {"truncate_dim": dim, "normalize_embeddings": True} if dim else {}
        vector = encode([text], batch_size=1, convert_to_tensor=True, **({"prompt_name": prompt} if prompt else {}), **more)[0]
        assert torch.isfinite(vector).all()
        cases.append({"text": text, "as": role, "prompt_name": prompt, "dim": dim, "vector": [float(f"{float(x):.9g}") for x in vector]})

    for i, text in enumerate(TEXTS):
        put(text, st.encode)
        if "prompts" in opt:
            put(text, st.encode_query, "query")
            put(text, st.encode_document, "document")
        if "dim" in opt and i < 3:
            put(text, st.encode, dim=opt["dim"])
    for prompt in opt.get("prompts", {}):
        put(TEXTS[0], st.encode, prompt=prompt)
    return {"cases": cases, "max_tokens": st.max_seq_length}


def run_cross(out):
    cross = sentence_transformers.CrossEncoder(
        str(out), device="cpu", model_kwargs={"attn_implementation": "eager", "dtype": torch.float32})
    pairs = []
    for pair in PAIRS:
        score, raw = (float(cross.predict([pair], **more)[0]) for more in ({}, {"activation_fn": torch.nn.Identity()}))
        pairs.append({"query": pair[0], "document": pair[1], "score": score, "raw": raw})
    return {"pairs": pairs, "max_tokens": cross.max_length}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--only")
    args = parser.parse_args()
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    for seed, name in enumerate(FAMILIES):
        if args.only not in (None, name):
            continue
        out = args.out / f"e2e-{name}"
        shutil.rmtree(out, ignore_errors=True)
        opt = write_checkpoint(out, name, seed + 301)
        golden = run_cross(out) if "cross" in opt else run_embedder(out, opt)
        golden |= {"made_by": "tools/make_families.py", "torch": torch.__version__.split("+")[0],
                   "transformers": transformers.__version__, "sentence_transformers": sentence_transformers.__version__}
        (out / "family.json").write_text(json.dumps(golden, separators=(",", ":")).replace("},{", "},\n{") + "\n")
        print(name, sum(f.stat().st_size for f in out.rglob("*") if f.is_file()), "bytes, max", golden["max_tokens"])


main()
