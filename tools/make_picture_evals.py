#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes a tiny data set of pictures with classes and captions, and what the references make of it with tiny checkpoints.

    make_picture_evals.py tests/fixtures

Writes tests/fixtures/picture-eval:
  classes/CLASS/N.png  pictures; captions.jsonl what is said of them, in two languages, some of it of several pictures
  labels.csv           the same classes as a table; templates.txt, names.tsv prompts and names of one's own
  expected.json        per checkpoint of MODELS
    zeroshot   pictures, top-1 and top-5 of each class by transformers' vectors and open_clip's build_zero_shot_classifier,
               with 1 prompt, the 80, and one's own
    captions   R@1, R@5, R@10 both ways by numpy, over all and by language
    golden     a picture's vector, its scores against two texts, and the shares: what ilk verify compares
The pictures are chosen so that no right answer is within 2e-6 of another place, which rounding may not decide.
"""
import json
import pathlib
import sys

try:
    import numpy as np
    import open_clip
    import torch
    import transformers
    from PIL import Image
except ImportError as e:
    print(f"SKIPPED: the reference is not installed ({e})")
    sys.exit(77)

MODELS = ["clip-quick", "siglip-bilinear", "chinese-clip"]
CLASSES = ["bare_wall", "blue_sky", "red-brick", "sand", "snow", "tree", "wet_street"]
TEMPLATES = ["the {} at night", "a {c}", "{}"]
NAMES = {"snow": "much snow", "tree": "an old tree"}
LABELS = ["a photo of a cat", "a photo of two dogs at the river"]
GAP = 2e-6
CUTS = (1, 5, 10)


def picture(rng, kind):
    h, w = rng.integers(12, 34, 2)
    y, x = np.mgrid[0:h, 0:w] / 10.0
    base = rng.integers(0, 256, 3)
    wave = np.sin(x * (kind + 1) + y * (3 - kind))[..., None] * rng.integers(-80, 80, 3)
    return Image.fromarray(np.clip(base + wave + rng.integers(-6, 7, (h, w, 3)), 0, 255).astype(np.uint8))


def make_data(out, seed):
    rng = np.random.default_rng(seed)
    rows, paths = [], []
    for k, name in enumerate(CLASSES):
        (out / "classes" / name).mkdir(parents=True, exist_ok=True)
        for i in range(3 if k % 2 else 4):
            path = f"classes/{name}/{i}.png"
            picture(rng, k).save(out / path, optimize=True)
            paths.append(path)
            said = [f"a {name.replace('_', ' ')} at noon {i}", f"{name[:4]} number {i * k}"] if i else [f"only {name}"]
            rows.append({"image": path, "caption": said if len(said) > 1 else said[0], "language": "en"})
            rows.append({"image": path, "caption": f"eine Sache {k % 3}, {i}", "language": "de"})
    (out / "captions.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    (out / "labels.csv").write_text("image,label\n" + "".join(f"{p},{p.split('/')[1]}\n" for p in paths))
    (out / "templates.txt").write_text("\n".join(TEMPLATES) + "\n")
    (out / "names.tsv").write_text("".join(f"{k}\t{v}\n" for k, v in NAMES.items()))
    return rows, paths


class Model:
    """A checkpoint behind the interface that open_clip's function wants."""

    def __init__(self, folder):
        self.model = transformers.AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self.processor = transformers.AutoImageProcessor.from_pretrained(folder)
        self.limit = json.loads((folder / "tokenizer_config.json").read_text())["model_max_length"]
        self.pad = "max_length" if self.model.config.model_type.startswith("siglip") else False

    def vector(self, x):
        x = x.pooler_output if hasattr(x, "pooler_output") else x
        return x[0] / x[0].norm()

    @torch.no_grad()
    def texts(self, texts):
        return torch.stack([self.vector(self.model.get_text_features(input_ids=torch.tensor([self.tokenizer(
            t, truncation=True, max_length=self.limit, padding=self.pad)["input_ids"]]))) for t in texts])

    @torch.no_grad()
    def pictures(self, paths):
        return torch.stack([self.vector(self.model.get_image_features(**self.processor(
            images=[Image.open(p).convert("RGB")], return_tensors="pt"))) for p in paths])

    # what open_clip calls
    def __call__(self, texts):
        return Strings(texts)

    def encode_text(self, texts, normalize):
        assert normalize
        return self.texts(texts)


class Strings(list):
    def to(self, device):
        return self


def place(scores, right, gaps):
    best = max(right, key=lambda r: (scores[r], -r))
    gaps.extend(abs(scores[best] - s) for i, s in enumerate(scores) if i not in right)
    return int(sum(s > scores[best] or (i < best and s == scores[best]) for i, s in enumerate(scores)))


def zeroshot(model, out, paths, vectors, templates, names, gaps):
    functions = [lambda c, t=t: t.replace("{}", c).replace("{c}", c) for t in templates] if isinstance(templates[0], str) else templates
    weights = open_clip.build_zero_shot_classifier(model, model, names, functions)
    per = {c: [0, 0, 0] for c in CLASSES}
    for path, row in zip(paths, (vectors @ weights).double().numpy()):
        name = path.split("/")[1]
        at = place(row, [CLASSES.index(name)], gaps)
        per[name] = [per[name][0] + 1, per[name][1] + (at == 0), per[name][2] + (at < 5)]
    n = sum(v[0] for v in per.values())
    return {"classes": per, "prompts": len(functions), "top1": sum(v[1] for v in per.values()) / n, "top5": sum(v[2] for v in per.values()) / n,
            "mean_per_class": float(np.mean([v[1] / v[0] for v in per.values()]))}


def pairs_of(rows):
    for r in rows:
        for said in r["caption"] if isinstance(r["caption"], list) else [r["caption"]]:
            yield r["image"], said, r["language"]


def recall(model, out, pairs, gaps):
    images, texts = list(dict.fromkeys(p for p, _, _ in pairs)), list(dict.fromkeys(s for _, s, _ in pairs))
    a, b = model.pictures([out / p for p in images]).double().numpy(), model.texts(texts).double().numpy()
    truth = {(images.index(p), texts.index(s)) for p, s, _ in pairs}
    found = {"pictures": len(images), "texts": len(texts)}
    for way, scores, right in (("image_to_text", a @ b.T, truth), ("text_to_image", b @ a.T, {(t, p) for p, t in truth})):
        places = np.array([place(row, [j for i2, j in right if i2 == i], gaps) for i, row in enumerate(scores)])
        found |= {f"{way}_r@{k}": float(np.mean(places < k)) for k in CUTS}
    return found


def golden(model, path):
    picture, texts = model.pictures([path])[0].double(), model.texts(LABELS).double()
    scale = model.model.logit_scale.exp().item()
    bias = model.model.logit_bias.item() if hasattr(model.model, "logit_bias") else 0
    logits = scale * (texts @ picture) + bias
    probs = logits.sigmoid() if hasattr(model.model, "logit_bias") else logits.softmax(0)
    return {"picture": path.name, "texts": LABELS, "entries": picture[:5].tolist(), "logits": logits.tolist(), "probs": probs.tolist()}


def make(out, models, seed):
    gaps = []
    rows, paths = make_data(out, seed)
    pairs, expected = list(pairs_of(rows)), {}
    names = [c.replace("_", " ") for c in CLASSES]
    for name, model in models.items():
        vectors = model.pictures([out / p for p in paths])
        sets = {"1": (["a photo of a {}."], names), "80": (list(open_clip.OPENAI_IMAGENET_TEMPLATES), names),
                "own": (TEMPLATES, [NAMES.get(c, n) for c, n in zip(CLASSES, names)])}
        expected[name] = {
            "zeroshot": {k: zeroshot(model, out, paths, vectors, t, n, gaps) for k, (t, n) in sets.items()},
            "captions": {"all": recall(model, out, pairs, gaps)} | {
                x: recall(model, out, [p for p in pairs if p[2] == x], gaps) for x in ("en", "de")},
            "golden": golden(model, out / paths[0])}
    return expected, min(g for g in gaps if g > 0)


def main():
    torch.set_num_threads(1)
    fixtures = pathlib.Path(sys.argv[1]).resolve()
    out = fixtures / "picture-eval"
    models = {m: Model(fixtures / m) for m in MODELS}
    for seed in range(100):
        expected, gap = make(out, models, seed)
        print(f"seed {seed}: least gap {gap:.2e}")
        if gap > GAP:
            break
    about = {"made_by": "tools/make_picture_evals.py", "transformers": transformers.__version__, "open_clip": open_clip.__version__,
             "torch": torch.__version__.split("+")[0]}
    (out / "expected.json").write_text(json.dumps(about | expected, indent=1) + "\n")


main()
