#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes checkpoints of well-known shapes with random weights, the same every time: make_shapes.py NAME OUT_DIR TOKENIZER_DIR

NAME is e5-small (BERT, 12 x 384), bge-base (BERT, 12 x 768), bge-m3 (XLM-R, 24 x 1024) or vit-b32 (CLIP, both towers).
Text models get all-MiniLM-L6-v2's tokenizer from TOKENIZER_DIR and its 30,522 words, bge-m3 too, whose own 250,002 would add
0.9 GB that no product reads; CLIP gets the small one of the fixtures, TOKENIZER_DIR, and 49,408 rows. All end in mean
pooling and unit length. Weights are normal with the variance of one over their inputs, so that every part counts; biases
and gains lie around 0 and 1. Speed is all that such a model shows: what precisions do to it says little of trained ones."""
import json
import pathlib
import shutil
import sys

import torch
import transformers

BERT = {"num_hidden_layers": 12, "max_position_embeddings": 512, "vocab_size": 30522}
SHAPES = {
    "e5-small": (transformers.BertConfig, BERT | {"hidden_size": 384, "num_attention_heads": 12,
                                                  "intermediate_size": 1536}),
    "bge-base": (transformers.BertConfig, BERT | {"hidden_size": 768, "num_attention_heads": 12,
                                                  "intermediate_size": 3072}),
    "bge-m3": (transformers.XLMRobertaConfig,
               BERT | {"num_hidden_layers": 24, "hidden_size": 1024, "num_attention_heads": 16, "intermediate_size": 4096,
                       "max_position_embeddings": 8194, "type_vocab_size": 1, "pad_token_id": 1, "bos_token_id": 0,
                       "eos_token_id": 2, "layer_norm_eps": 1e-5}),
}


def write_json(path, value):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def fill(model):
    g = torch.Generator().manual_seed(20)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            noise = torch.randn(p.shape, generator=g)
            if p.ndim >= 2:
                p.copy_(noise * (0.05 if "embed" in name else (p.shape[0] / p.numel()) ** 0.5))
            elif p.ndim == 1 and "norm" in name.lower() and name.endswith("weight"):
                p.copy_(1 + 0.1 * noise)
            elif p.ndim == 1:
                p.copy_(0.05 * noise)


def text(name, out, tokenizer):
    kind, config = SHAPES[name]
    config = kind(**config)
    model = transformers.AutoModel.from_config(config, add_pooling_layer=False)
    fill(model)
    model.save_pretrained(out)
    for file in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        if (tokenizer / file).exists():
            shutil.copy(tokenizer / file, out / file)
    write_json(out / "1_Pooling" / "config.json", {"word_embedding_dimension": config.hidden_size,
                                                   "pooling_mode_mean_tokens": True})
    kinds = [("0", "", "Transformer"), ("1", "1_Pooling", "Pooling"), ("2", "2_Normalize", "Normalize")]
    write_json(out / "modules.json", [{"idx": int(i), "name": i, "path": path, "type": "sentence_transformers.models." + t}
                                      for i, path, t in kinds])
    write_json(out / "sentence_bert_config.json", {"max_seq_length": 256, "do_lower_case": False})


def clip(out, tokenizer):
    vocab = json.loads((tokenizer / "vocab.json").read_text(encoding="utf-8"))
    order = sorted(vocab, key=lambda w: (w == "<|endoftext|>", w == "<|startoftext|>", vocab[w]))
    vocab = {w: i for i, w in enumerate(order)}
    config = transformers.CLIPConfig(
        text_config={"vocab_size": 49408, "bos_token_id": len(vocab) - 2, "eos_token_id": len(vocab) - 1,
                     "pad_token_id": len(vocab) - 1},
        vision_config={"patch_size": 32, "image_size": 224})
    model = transformers.CLIPModel(config)
    fill(model)
    model.save_pretrained(out)
    shutil.copy(tokenizer / "merges.txt", out / "merges.txt")
    (out / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False), encoding="utf-8")
    write_json(out / "tokenizer_config.json", {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77})
    write_json(out / "preprocessor_config.json",
               {"crop_size": 224, "do_center_crop": True, "do_normalize": True, "do_resize": True,
                "feature_extractor_type": "CLIPFeatureExtractor", "image_mean": [0.48145466, 0.4578275, 0.40821073],
                "image_std": [0.26862954, 0.26130258, 0.27577711], "resample": 3, "size": 224})


def main():
    name, out, tokenizer = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    new = out.with_name(out.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    if name == "vit-b32":
        clip(new, tokenizer)
    else:
        text(name, new, tokenizer)
    new.rename(out)


main()
