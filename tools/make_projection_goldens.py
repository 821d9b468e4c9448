#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes projections behind tiny checkpoints, and the vectors that sentence-transformers' own module gives behind them.

    make_projection_goldens.py tests/fixtures

Writes tests/fixtures/projection:
  dense/              clip-quick's 20 entries to bert-mean's 32, as sentence-transformers saves a Dense module
  tanh/               bert-mean's 32 to 20, with another activation and without a bias
  plain.safetensors   linear.weight and linear.bias of dense/, alone
  expected.json       vectors of texts and of a picture: unit length, the module, unit length
"""
import json
import pathlib
import sys

try:
    import sentence_transformers
    import torch
    import transformers
    from PIL import Image
    from safetensors.torch import save_file
    from sentence_transformers.base.modules import Dense
except ImportError as e:
    print(f"SKIPPED: the reference is not installed ({e})")
    sys.exit(77)

TEXTS = ["a photo of a cat", "the red planet is mars"]
PICTURE = "picture-eval/classes/bare_wall/0.png"


def unit(x):
    return x / x.norm(dim=-1, keepdim=True)


def behind(module, x):
    return unit(module({"sentence_embedding": unit(x)})["sentence_embedding"])


def make_dense(out, n_in, n_out, seed, **more):
    torch.manual_seed(seed)
    module = Dense(n_in, n_out, **more)
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn(p.shape) * 0.4)
    out.mkdir(exist_ok=True)
    module.save(str(out))
    return Dense.load(str(out)).eval()


@torch.no_grad()
def main():
    torch.set_num_threads(1)
    fixtures = pathlib.Path(sys.argv[1]).resolve()
    out = fixtures / "projection"
    out.mkdir(exist_ok=True)
    dense = make_dense(out / "dense", 20, 32, 5, activation_function=torch.nn.Identity())
    tanh = make_dense(out / "tanh", 32, 20, 6, bias=False)
    save_file({k: v.contiguous() for k, v in dense.state_dict().items()}, out / "plain.safetensors")
    clip = transformers.AutoModel.from_pretrained(fixtures / "clip-quick", attn_implementation="eager").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(fixtures / "clip-quick")
    processor = transformers.AutoImageProcessor.from_pretrained(fixtures / "clip-quick")
    pick = lambda x: x.pooler_output if hasattr(x, "pooler_output") else x
    texts = torch.cat([pick(clip.get_text_features(input_ids=torch.tensor([tokenizer(t, truncation=True, max_length=16)["input_ids"]])))
                       for t in TEXTS])
    picture = pick(clip.get_image_features(**processor(images=[Image.open(fixtures / PICTURE).convert("RGB")], return_tensors="pt")))
    bert = sentence_transformers.SentenceTransformer(str(fixtures / "bert-mean"), device="cpu")
    expected = {"made_by": "tools/make_projection_goldens.py", "sentence_transformers": sentence_transformers.__version__,
                "texts": TEXTS, "picture": PICTURE, "clip_texts": behind(dense, texts).tolist(), "clip_picture": behind(dense, picture).tolist(),
                "bert_texts": behind(tanh, bert.encode(TEXTS, convert_to_tensor=True)).tolist()}
    (out / "expected.json").write_text(json.dumps(expected) + "\n")


main()
