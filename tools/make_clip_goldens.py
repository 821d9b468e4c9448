#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tiny checkpoints of two towers with random weights, in every layout that is read, and what the reference gives.

    make_clip_goldens.py [--only NAME] tests/fixtures

Each folder NAME holds a checkpoint as published and
  towers.json         versions of the reference, texts, number of pictures, how scores become probabilities
  towers.safetensors  per text N: ids.N I32 [n] (pads included where the model attends them), text.hidden.N F32
                      [layers + 1][n][dim] (the last behind the last norm), text.embedded.N F32 [embed]
                      per picture N: pixels.N U8 [h][w][3], values.N F32 [3][h][w] (what the processor makes of them),
                      vision.hidden.N F32 [layers + 1][n][dim] (the last behind the last norm where all rows have it),
                      vision.embedded.N F32 [embed]
                      of two towers: logits F32 [pictures][texts], probs F32 likewise
The reference runs in float32 on one thread with eager attention, one input at a time.
"""
import argparse
import json
import pathlib
import shutil
import sys

try:
    import numpy
    import PIL.Image
    import safetensors.torch
    import torch
    import transformers
except ImportError as e:
    print(f"SKIPPED: the reference is not installed ({e})")
    sys.exit(77)

TEXTS = ["a photo of a cat", "", "The RED bicycle!", "a photo of two dogs at the river, at night, under the stars " * 3, "un chat"]
N_PICTURES = 2
SIDE = 12
LIMIT = 16


def write_json(path, value):
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def random_weights(model, seed):
    """Weights of a size that makes every part count: norms and biases away from 1 and 0."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            noise = torch.randn(p.shape, generator=g)
            if name.endswith("logit_scale"):
                p.fill_(1.5)
            elif name.endswith("logit_bias"):
                p.fill_(-2.0)
            elif p.ndim >= 2:
                p.copy_(noise * 1.2 / (p.numel() / p.shape[0]) ** 0.5)
            elif "norm" in name.lower() or ".ln_" in name or name.startswith("ln_"):
                p.copy_(noise * 0.2 + (1.0 if name.endswith("weight") else 0.0))
            else:
                p.copy_(noise * 0.3)


def pictures():
    """Gradients and noise, every byte value among them."""
    g = numpy.random.default_rng(7)
    y, x = numpy.mgrid[0:SIDE, 0:SIDE]
    smooth = numpy.stack([x * 21, y * 21, (x + y) * 11], -1) % 256
    return [smooth.astype(numpy.uint8), g.integers(0, 256, (SIDE, SIDE, 3), dtype=numpy.uint8)][:N_PICTURES]


def stack(states, last):
    """Hidden states with the last one replaced where the model has a norm behind it."""
    states = [h[0] for h in states]
    if last is not None:
        states[-1] = last[0]
    return torch.stack(states).contiguous()


def vector(x):
    x = x.pooler_output if hasattr(x, "pooler_output") else x
    return x[0].clone()


def save(out, golden, about):
    for name, t in golden.items():
        assert not t.dtype.is_floating_point or torch.isfinite(t).all(), name
    safetensors.torch.save_file({n: t.contiguous() for n, t in golden.items()}, out / "towers.safetensors")
    write_json(out / "towers.json", {"made_by": "tools/make_clip_goldens.py", "torch": torch.__version__.split("+")[0],
                                     "transformers": transformers.__version__} | about)
    print(out.name, sum(f.stat().st_size for f in out.rglob("*") if f.is_file()), "bytes")


def compare(golden, n_texts, scale, bias, by):
    text = torch.stack([golden[f"text.embedded.{i}"] for i in range(n_texts)])
    image = torch.stack([golden[f"vision.embedded.{i}"] for i in range(N_PICTURES)])
    normal = torch.nn.functional.normalize
    logits = normal(image, dim=1) @ normal(text, dim=1).T * scale + bias
    golden["logits"] = logits
    golden["probs"] = logits.softmax(1) if by == "softmax" else logits.sigmoid()


# ---------------------------------------------------------------- tokenizers, which tests/fixtures has already

def clip_tokenizer(out, limit=LIMIT):
    source = out.parent / "tok-clip"
    shutil.copy(source / "merges.txt", out / "merges.txt")
    vocab = json.loads((source / "vocab.json").read_text())
    order = sorted(vocab, key=lambda w: (w == "<|endoftext|>", w == "<|startoftext|>", vocab[w]))  # theirs are the largest
    vocab = {w: i for i, w in enumerate(order)}
    (out / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False))
    write_json(out / "tokenizer_config.json", {"tokenizer_class": "CLIPTokenizer", "model_max_length": limit})
    return vocab


CLIP_PROCESSOR = {"crop_size": SIDE, "do_center_crop": True, "do_normalize": True, "do_resize": True,
                  "feature_extractor_type": "CLIPFeatureExtractor", "image_mean": [0.48145466, 0.4578275, 0.40821073],
                  "image_std": [0.26862954, 0.26130258, 0.27577711], "resample": 3, "size": SIDE}
TEXT = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
        "max_position_embeddings": LIMIT}
VISION = {"hidden_size": 18, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 40,
          "image_size": SIDE, "patch_size": 4}


# ---------------------------------------------------------------- transformers' CLIP

def text_goldens(golden, out, model, encode, embed, texts):
    tokenizer = transformers.AutoTokenizer.from_pretrained(out)
    for i, text in enumerate(texts):
        ids = torch.tensor([tokenizer(text, **encode)["input_ids"]])
        golden[f"ids.{i}"] = ids[0].int()
        got = model(input_ids=ids, output_hidden_states=True)
        golden[f"text.hidden.{i}"] = stack(got.hidden_states, got.last_hidden_state)
        golden[f"text.embedded.{i}"] = vector(embed(ids))


def vision_goldens(golden, out, model, embed, normed):
    processor = transformers.AutoImageProcessor.from_pretrained(out)
    for i, pixels in enumerate(pictures()):
        values = processor(images=[pixels], return_tensors="pt")["pixel_values"]
        assert values.shape == (1, 3, SIDE, SIDE)
        golden[f"pixels.{i}"] = torch.from_numpy(pixels)
        golden[f"values.{i}"] = values[0]
        got = model(pixel_values=values, output_hidden_states=True)
        golden[f"vision.hidden.{i}"] = stack(got.hidden_states, got.last_hidden_state if normed else None)
        golden[f"vision.embedded.{i}"] = vector(embed(values))
    return type(processor).__name__


def write_clip(out, seed, text=(), vision=(), dtype=None, config=None, processor=None):
    vocab = clip_tokenizer(out)
    text = TEXT | {"vocab_size": len(vocab), "eos_token_id": vocab["<|endoftext|>"]} | dict(text)
    full = transformers.CLIPModel(transformers.CLIPConfig(
        text_config=text, vision_config=VISION | dict(vision), projection_dim=20)).eval()
    full.set_attn_implementation("eager")
    random_weights(full, seed)
    if dtype:
        full = full.to(dtype).float()
    saved = full if not dtype else transformers.CLIPModel(full.config).to(dtype)
    saved.load_state_dict(full.state_dict())
    saved.save_pretrained(out)
    if config:
        write_json(out / "config.json", config(json.loads((out / "config.json").read_text())))
    write_json(out / "preprocessor_config.json", processor or CLIP_PROCESSOR)
    golden = {}
    with torch.no_grad():
        limit = {"truncation": True, "max_length": LIMIT}
        text_goldens(golden, out, full.text_model, limit, lambda x: full.get_text_features(input_ids=x), TEXTS)
        processor = vision_goldens(golden, out, full.vision_model, lambda x: full.get_image_features(pixel_values=x), False)
        compare(golden, len(TEXTS), full.logit_scale.exp(), 0, "softmax")
    save(out, golden, {"texts": TEXTS, "pictures": N_PICTURES, "compare_by": "softmax", "processor": processor})


def write_metaclip(out, seed):
    """The second MetaCLIP: XLM-R's tokenizer, whose end token is 2 indeed."""
    for name in "tokenizer.json", "tokenizer_config.json":
        if (out.parent / "tok-xlm-r" / name).exists():
            shutil.copy(out.parent / "tok-xlm-r" / name, out / name)
    size = len(transformers.AutoTokenizer.from_pretrained(out))
    full = transformers.MetaClip2Model(transformers.MetaClip2Config(
        text_config=TEXT | {"vocab_size": size, "eos_token_id": 2, "bos_token_id": 0, "hidden_act": "gelu"},
        vision_config=VISION | {"hidden_act": "gelu"}, projection_dim=20)).eval()
    full.set_attn_implementation("eager")
    random_weights(full, seed)
    full.save_pretrained(out)
    write_json(out / "preprocessor_config.json", CLIP_PROCESSOR)
    golden = {}
    with torch.no_grad():
        limit = {"truncation": True, "max_length": LIMIT}
        text_goldens(golden, out, full.text_model, limit, lambda x: full.get_text_features(input_ids=x), TEXTS)
        name = vision_goldens(golden, out, full.vision_model, lambda x: full.get_image_features(pixel_values=x), False)
        compare(golden, len(TEXTS), full.logit_scale.exp(), 0, "softmax")
    save(out, golden, {"texts": TEXTS, "pictures": N_PICTURES, "compare_by": "softmax", "processor": name})


def publish_old(config):
    """The file of 2021: members that have their defaults are not there, the end token's id is not the tokenizer's."""
    for section, keys in ("text_config", ("hidden_act", "layer_norm_eps")), ("vision_config", ("hidden_act", "num_channels")):
        for key in keys:
            config[section].pop(key, None)
    config["text_config"]["eos_token_id"] = 2
    config["text_config_dict"] = config["vision_config_dict"] = None
    return config


def write_alone(out, seed, cls, projection):
    """One tower saved by its own class."""
    is_text = "Text" in cls
    if is_text:
        vocab = clip_tokenizer(out)
        fields = TEXT | {"vocab_size": len(vocab), "eos_token_id": vocab["<|endoftext|>"]}
    else:
        fields = VISION
    cls = getattr(transformers, cls)
    model = cls(cls.config_class(**fields, projection_dim=20)).eval()
    model.set_attn_implementation("eager")
    random_weights(model, seed)
    model.save_pretrained(out)
    golden = {}
    with torch.no_grad():
        inner = model if not projection else model.text_model if is_text else model.vision_model
        if is_text:
            limit = {"truncation": True, "max_length": LIMIT}
            text_goldens(golden, out, inner, limit, lambda x: model(input_ids=x).text_embeds if projection
                         else model(input_ids=x), TEXTS)
        else:
            write_json(out / "preprocessor_config.json", CLIP_PROCESSOR)
            vision_goldens(golden, out, inner, lambda x: model(pixel_values=x).image_embeds if projection
                           else model(pixel_values=x), False)
    save(out, golden, {"texts": TEXTS if is_text else [], "pictures": 0 if is_text else N_PICTURES})


# ---------------------------------------------------------------- SigLIP, Chinese-CLIP

def siglip1_tokenizer(out):
    """The model of SentencePiece that tests/fixtures has of T5, which SigLIP's is a cousin of."""
    shutil.copy(out.parent / "tok-t5-model" / "tokenizer.model", out / "spiece.model")
    write_json(out / "tokenizer_config.json", {"tokenizer_class": "SiglipTokenizer", "model_max_length": LIMIT})
    return transformers.AutoTokenizer.from_pretrained(out).vocab_size


def siglip2_tokenizer(out, side):
    file = json.loads((out.parent / "tok-siglip2" / "tokenizer.json").read_text())
    file["post_processor"] = {  # as published: an end, no beginning
        "type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "<eos>", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<eos>": {"id": "<eos>", "ids": [file["model"]["vocab"]["<eos>"]], "tokens": ["<eos>"]}}}
    (out / "tokenizer.json").write_text(json.dumps(file, ensure_ascii=False))
    write_json(out / "tokenizer_config.json", {"tokenizer_class": "Siglip2Tokenizer", "model_max_length": LIMIT} | side)
    return 1 + max(file["model"]["vocab"].values())


def write_siglip(out, seed, resample, size, pad, texts=TEXTS, vision=()):
    """All positions count, pads too; every text is padded to their number."""
    full = transformers.SiglipModel(transformers.SiglipConfig(
        text_config=TEXT | {"hidden_size": 12, "vocab_size": size, "projection_size": 18, "pad_token_id": pad},
        vision_config=VISION | dict(vision))).eval()
    full.set_attn_implementation("eager")
    random_weights(full, seed)
    full.save_pretrained(out)
    write_json(out / "preprocessor_config.json", {
        "do_convert_rgb": None, "do_normalize": True, "do_rescale": True, "do_resize": True,
        "image_mean": [0.5, 0.5, 0.5], "image_processor_type": "SiglipImageProcessor", "image_std": [0.5, 0.5, 0.5],
        "processor_class": "SiglipProcessor", "resample": resample, "rescale_factor": 0.00392156862745098,
        "size": {"height": SIDE, "width": SIDE}})
    golden = {}
    with torch.no_grad():
        limit = {"truncation": True, "padding": "max_length", "max_length": LIMIT}
        text_goldens(golden, out, full.text_model, limit, lambda x: full.get_text_features(input_ids=x), texts)
        name = vision_goldens(golden, out, full.vision_model, lambda x: full.get_image_features(pixel_values=x), True)
        compare(golden, len(texts), full.logit_scale.exp(), full.logit_bias, "sigmoid")
    save(out, golden, {"texts": texts, "pictures": N_PICTURES, "compare_by": "sigmoid", "processor": name})


CHINESE = ["a photo of a cat", "\u6c34 water", "", "\u76ae\u5361\u4e18, the red bicycle " * 4]


def write_chinese(out, seed):
    shutil.copy(out.parent / "bert-mean" / "vocab.txt", out / "vocab.txt")
    write_json(out / "tokenizer_config.json", {"tokenizer_class": "BertTokenizer", "do_lower_case": True,
                                               "model_max_length": LIMIT})
    size = len((out / "vocab.txt").read_text().splitlines())
    full = transformers.ChineseCLIPModel(transformers.ChineseCLIPConfig(
        text_config=TEXT | {"vocab_size": size, "type_vocab_size": 2}, vision_config=VISION, projection_dim=20)).eval()
    full.set_attn_implementation("eager")
    random_weights(full, seed)
    full.save_pretrained(out)
    write_json(out / "preprocessor_config.json", {
        "crop_size": {"height": SIDE, "width": SIDE}, "do_center_crop": False, "do_normalize": True, "do_resize": True,
        "image_mean": CLIP_PROCESSOR["image_mean"], "image_std": CLIP_PROCESSOR["image_std"], "resample": 3,
        "image_processor_type": "ChineseCLIPImageProcessorPil", "size": {"height": SIDE, "width": SIDE}})
    golden = {}
    with torch.no_grad():
        text_goldens(golden, out, full.text_model, {"truncation": True, "max_length": LIMIT},
                     lambda x: full.get_text_features(input_ids=x), CHINESE)
        name = vision_goldens(golden, out, full.vision_model, lambda x: full.get_image_features(pixel_values=x), False)
        compare(golden, len(CHINESE), full.logit_scale.exp(), 0, "softmax")
    save(out, golden, {"texts": CHINESE, "pictures": N_PICTURES, "compare_by": "softmax", "processor": name})


# ---------------------------------------------------------------- open_clip's own layout

def tower_states(run, blocks, start):
    """What each layer gives, by hooks: what goes into the first, then the output of each."""
    states, hooks = [], []
    hooks.append(start.register_forward_pre_hook(lambda _, args: states.append(args[0])))
    hooks += [b.register_forward_hook(lambda _, __, got: states.append(got)) for b in blocks]
    result = run()
    for h in hooks:
        h.remove()
    return states, result


def write_config(config, preprocess, out):
    write_json(out / "open_clip_config.json", {"model_cfg": config, "preprocess_cfg": preprocess})
    return {"config": "open_clip_config.json"}


def write_params(config, preprocess, out):
    """What its training writes of its flags beside the checkpoints; sizes and the rest are told by nothing else."""
    flags = {"accum_freq": 1, "aug_cfg": {}, "batch_size": 64, "device": "cuda", "force_custom_text": False, "force_image_size": None,
             "force_quick_gelu": False, "image_interpolation": None, "image_mean": None, "image_resize_mode": None, "image_std": None,
             "logs": "./logs/", "lr": 0.0005, "model": "ViT-H-14-378-quickgelu", "name": "tiny", "precision": "amp",
             "pretrained": "dfn5b", "train_data": "model: none.csv"}
    (out / "params.txt").write_text("".join(f"{k}: {v}\n" for k, v in flags.items()))
    return {"public": True}


def write_openclip(out, seed, cls, text, vision, save_as, describe=write_config, half=False, **more):
    import open_clip
    vocab = clip_tokenizer(out)
    vision = {"image_size": SIDE, "patch_size": 4, "layers": 2, "width": 18, "head_width": 6, "mlp_ratio": 2.3} | vision
    text = {"context_length": LIMIT, "vocab_size": len(vocab), "width": 12, "heads": 2, "layers": 2, "mlp_ratio": 1.5} | text
    config = {"embed_dim": 20, "vision_cfg": vision, "text_cfg": text} | more
    if cls == "CustomTextCLIP":
        config["custom_text"] = True
    model = getattr(open_clip.model, cls)(**{k: v for k, v in config.items() if k != "custom_text"}).eval()
    random_weights(model, seed)
    if half:
        model = model.half().float()
    preprocess = {"mean": CLIP_PROCESSOR["image_mean"], "std": CLIP_PROCESSOR["image_std"], "interpolation": "bicubic",
                  "resize_mode": "shortest" if cls == "CLIP" and describe is write_config else "squash"}
    described = describe(config, preprocess, out)
    save_as({n: t.half() if half else t for n, t in model.state_dict().items()}, out)
    tokenizer = transformers.AutoTokenizer.from_pretrained(out)
    transform = open_clip.transform.image_transform_v2(open_clip.transform.PreprocessCfg(
        size=SIDE, mean=tuple(preprocess["mean"]), std=tuple(preprocess["std"]), resize_mode=preprocess["resize_mode"]),
        is_train=False)
    inner, full = model.text if cls == "CustomTextCLIP" else model, text.get("no_causal_mask", False)
    golden = {}
    with torch.no_grad():
        for i, s in enumerate(TEXTS):
            ids = tokenizer(s, truncation=True, max_length=LIMIT)["input_ids"]
            padded = torch.tensor([ids + [0] * (LIMIT - len(ids))])
            n = LIMIT if full else len(ids)  # under a causal mask pads are nobody's
            blocks = inner.transformer.resblocks
            states, got = tower_states(lambda: model.encode_text(padded), blocks, blocks[0])
            states[-1] = inner.ln_final(states[-1])
            golden[f"ids.{i}"] = padded[0, :n].int()
            golden[f"text.hidden.{i}"] = torch.stack([h[0, :n] for h in states])
            golden[f"text.embedded.{i}"] = got[0].clone()
        for i, pixels in enumerate(pictures()):
            values = transform(PIL.Image.fromarray(pixels))[None]
            golden[f"pixels.{i}"] = torch.from_numpy(pixels)
            golden[f"values.{i}"] = values[0]
            blocks = model.visual.transformer.resblocks
            states, got = tower_states(lambda: model.encode_image(values), blocks, blocks[0])
            golden[f"vision.hidden.{i}"] = torch.stack([h[0] for h in states])
            golden[f"vision.embedded.{i}"] = got[0].clone()
        bias = model.logit_bias if model.logit_bias is not None else 0
        compare(golden, len(TEXTS), model.logit_scale.exp(), bias, "softmax")
    weights = [f.name for f in out.iterdir() if f.suffix in (".pt", ".bin") or f.name.startswith("open_clip_model")]
    save(out, golden, {"open_clip": open_clip.__version__, "texts": TEXTS, "pictures": N_PICTURES,
                       "compare_by": "softmax"} | described | ({"weights": weights[0]} if weights else {}))


def save_native(state, out):
    safetensors.torch.save_file({n: t.contiguous() for n, t in state.items()}, out / "open_clip_model.safetensors")


def save_bin(state, out):
    torch.save(state, out / "open_clip_pytorch_model.bin")


def save_trainer(state, out):
    """What open_clip's training leaves: everything behind state_dict, each name behind module."""
    torch.save({"epoch": 3, "name": "tiny", "state_dict": {"module." + n: t for n, t in state.items()}}, out / "epoch_3.pt")


def save_epochs(state, out):
    """A folder of its training: the newest of several, an optimizer beside the weights."""
    (out / "checkpoints").mkdir()
    (out / "checkpoints" / "epoch_9.pt").write_text("older, and so not read\n")
    optimizer = {"state": {i: {"step": torch.tensor(3.0), "exp_avg": torch.zeros(2)} for i in range(2)}, "param_groups": [{"lr": 0.0}]}
    torch.save({"epoch": 10, "name": "tiny", "state_dict": {"module." + n: t for n, t in state.items()}, "optimizer": optimizer,
                "scaler": {"scale": 65536.0}}, out / "checkpoints" / "epoch_10.pt")


# ---------------------------------------------------------------- an adapter beside clip-quick

def write_peft(out, seed):
    import peft
    base = out.parent / "clip-quick"
    full = transformers.CLIPModel.from_pretrained(base, attn_implementation="eager").eval()
    config = peft.LoraConfig(r=3, lora_alpha=7, use_rslora=True, rank_pattern={"fc1": 2}, target_modules=[
        "q_proj", "v_proj", "fc1", "visual_projection"], base_model_name_or_path="../clip-quick")
    model = peft.get_peft_model(full, config).eval()
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            if "lora_" in name:
                p.copy_(torch.randn(p.shape, generator=g) * 0.2)
    model.save_pretrained(out)
    saved = json.loads((out / "adapter_config.json").read_text())
    write_json(out / "adapter_config.json", saved | {"base_model_name_or_path": "../clip-quick"})
    (out / "README.md").unlink(missing_ok=True)
    full, golden = model.base_model.model, {}
    with torch.no_grad():
        text_goldens(golden, base, full.text_model, {"truncation": True, "max_length": LIMIT},
                     lambda x: full.get_text_features(input_ids=x), TEXTS)
        vision_goldens(golden, base, full.vision_model, lambda x: full.get_image_features(pixel_values=x), False)
        compare(golden, len(TEXTS), full.logit_scale.exp(), 0, "softmax")
    save(out, golden, {"peft": peft.__version__, "texts": TEXTS, "pictures": N_PICTURES, "compare_by": "softmax",
                       "public": True})


# ---------------------------------------------------------------- sentence-transformers around clip-quick

def write_st(out, seed):
    """As clip-ViT-B-32 is published: the checkpoint in the folder of the first module, nothing behind it."""
    import sentence_transformers
    (out / "0_CLIPModel").symlink_to("../clip-quick")
    write_json(out / "modules.json", [{"idx": 0, "name": "0", "path": "0_CLIPModel",
                                       "type": "sentence_transformers.models.CLIPModel"}])
    model = sentence_transformers.SentenceTransformer(str(out), device="cpu")
    golden = {n: t for n, t in safetensors.torch.load_file(out.parent / "clip-quick" / "towers.safetensors").items()
              if n.split(".")[0] in ("ids", "pixels", "values", "logits", "probs")}
    for i, text in enumerate(TEXTS):
        golden[f"text.embedded.{i}"] = torch.from_numpy(model.encode(text))
    for i, pixels in enumerate(pictures()):
        golden[f"vision.embedded.{i}"] = torch.from_numpy(model.encode(PIL.Image.fromarray(pixels)))
    save(out, golden, {"sentence_transformers": sentence_transformers.__version__, "texts": TEXTS, "pictures": N_PICTURES,
                       "compare_by": "softmax", "public": True, "raw": True})


FIXTURES = {
    "clip-quick": lambda out: write_clip(out, 1, config=publish_old),
    "clip-gelu-f16": lambda out: write_clip(out, 2, text={"hidden_act": "gelu"}, vision={"hidden_act": "gelu"},
                                            dtype=torch.float16),
    "clip-text": lambda out: write_alone(out, 3, "CLIPTextModelWithProjection", True),
    "clip-vision": lambda out: write_alone(out, 4, "CLIPVisionModelWithProjection", True),
    "clip-vision-bare": lambda out: write_alone(out, 5, "CLIPVisionModel", False),
    "metaclip-2": lambda out: write_metaclip(out, 15),
    "siglip-bicubic": lambda out: write_siglip(out, 6, 3, siglip1_tokenizer(out), 1,
                                                 TEXTS[:3] + ["  A_cat -- 'Dog'  ", "Don't; (na\u00efve) \u00c9t\u00e9", "!?", "1,000.5%"]),
    "siglip-left": lambda out: write_siglip(out, 14, 2, siglip2_tokenizer(out, {}), 1),
    "siglip-bilinear": lambda out: write_siglip(out, 7, 2, siglip2_tokenizer(out, {"padding_side": "right"}), 0),
    # by its class pads are on the left; as 384 by 14: the last pixels are nobody's
    "siglip-gemma": lambda out: write_siglip(out, 17, 2, siglip2_tokenizer(out, {"tokenizer_class": "GemmaTokenizer"}), 0,
                                             vision={"patch_size": 5}),
    "chinese-clip": lambda out: write_chinese(out, 8),
    "openclip-quick": lambda out: write_openclip(out, 9, "CLIP", {}, {}, save_native, quick_gelu=True),
    "openclip-custom": lambda out: write_openclip(
        out, 10, "CustomTextCLIP", {"no_causal_mask": True, "pool_type": "last", "proj_bias": True, "norm_kwargs": {"eps": 1e-6},
                                    "act_kwargs": {"approximate": "tanh"}}, {}, save_bin, init_logit_bias=-2.0),
    "clip-st": lambda out: write_st(out, 13),
    "clip-lora": lambda out: write_peft(out, 12),
    "openclip-run": lambda out: write_openclip(
        out, 16, "CLIP", {"width": 64, "heads": 1, "layers": 1, "mlp_ratio": 0.5}, {"width": 80, "head_width": 80, "mlp_ratio": 0.6},
        save_epochs, write_params, True, quick_gelu=True),
    "openclip-pt": lambda out: write_openclip(out, 11, "CLIP", {}, {}, save_trainer),
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--only")
    args = parser.parse_args()
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    for name, write in FIXTURES.items():
        if args.only in (None, name):
            out = args.out / name
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir(parents=True)
            write(out)


main()
