#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What Pillow and torchvision make of pictures of many sizes, and what the processors of tests/fixtures do.

    make_resize_goldens.py tests/fixtures
    make_resize_goldens.py --random SEED OUT tests/fixtures      (other sizes, for a run beside the reference)

Writes pictures/pictures.json (or OUT/...): versions; "cases", each {by: pillow | torch, filter: Pillow's number, in: [h, w,
channels], out: [h, w]}; "modes", each {mode: Pillow's, filter, in, out: [h, w]}, whose mode.N is converted to RGB; "specs",
each {processor: its file's text, in, out: [h, w] behind resize and crop}; "processors", each {open: a checkpoint, in: [h, w]}. pictures.safetensors has case.N U8 [h][w][channels],
prepared.N U8 [h][w][3] and values.N F32 [3][side][side]. The pictures themselves are noise that noise() below and the test compute alike.
"""
import argparse
import json
import pathlib
import sys
import warnings

try:
    import numpy
    import PIL.Image
    import safetensors.torch
    import torch
    import torchvision
    import transformers
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.v2 import functional
except ImportError as e:
    print(f"SKIPPED: the reference is not installed ({e})")
    sys.exit(77)

NEAREST, LANCZOS, BILINEAR, BICUBIC, BOX, HAMMING = range(6)
FILTERS = {"pillow": [NEAREST, LANCZOS, BILINEAR, BICUBIC, BOX, HAMMING], "torch": [NEAREST, LANCZOS, BILINEAR, BICUBIC]}
TORCH = {NEAREST: InterpolationMode.NEAREST_EXACT, LANCZOS: InterpolationMode.LANCZOS,
         BILINEAR: InterpolationMode.BILINEAR, BICUBIC: InterpolationMode.BICUBIC}
# in, out: up, down, one way each, sides of one pixel, odd ratios, one side unchanged, tall, where Pillow goes down first
SIZES = [((9, 7), (20, 17)), ((31, 23), (10, 9)), ((8, 30), (17, 11)), ((1, 1), (5, 3)), ((1, 13), (4, 5)),
         ((40, 1), (7, 1)), ((17, 17), (16, 17)), ((17, 19), (17, 8)), ((6, 5), (6, 5)), ((97, 89), (3, 2)),
         ((303, 3), (13, 7)), ((303, 3), (310, 2)), ((375, 500), (11, 15)), ((2, 700), (3, 5)), ((64, 48), (32, 24)), ((60, 30), (11, 29)),
         ((60, 30), (2, 1)), ((59, 30), (2, 1)), ((30, 60), (29, 70))]
PICTURES = [(13, 12), (17, 23), (9, 11), (1, 3), (63, 200), (200, 63), (24, 25)]
# crops that lie between pixels, larger than the picture, of one side; every resize
SPECS = [
    {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 12}, "crop_size": {"height": 15, "width": 9}},
    {"image_processor_type": "CLIPImageProcessor", "size": 10, "crop_size": 14, "resample": 2},
    {"image_processor_type": "CLIPImageProcessor", "do_resize": False, "crop_size": {"height": 8, "width": 9}},
    {"image_processor_type": "CLIPImageProcessor", "size": {"height": 7, "width": 20}, "do_center_crop": False, "resample": 0},
    {"image_processor_type": "ChineseCLIPImageProcessor", "size": {"shortest_edge": 8}, "do_center_crop": False},
    {"image_processor_type": "SiglipImageProcessor", "size": {"height": 13, "width": 6}, "resample": 1, "do_convert_rgb": True},
    {"preprocess_cfg": {"size": 12, "resize_mode": "shortest", "interpolation": "bicubic"}},
    {"preprocess_cfg": {"size": 13, "resize_mode": "squash", "interpolation": "bilinear"}},
    {"preprocess_cfg": {"size": 14, "resize_mode": "longest", "interpolation": "bicubic", "fill_color": 7}},
]


def noise(h, w, channels):
    x = numpy.arange(1, h * w * channels + 1, dtype=numpy.uint64) * 0x9E3779B1 & 0xFFFFFFFF
    x ^= x >> 15
    x = x * 0x85EBCA6B & 0xFFFFFFFF
    return (x >> 24).astype(numpy.uint8).reshape(h, w, channels)


def resized_mode(case):
    (h, w), (to_h, to_w) = case["in"], case["out"]
    if case["mode"] in ("RGBA", "CMYK"):
        picture = PIL.Image.frombytes(case["mode"], (w, h), noise(h, w, 4).tobytes())
    else:
        deep = noise(h, w, 2).reshape(h, w * 2).view("<u2") & 0x1FF  # most of them bytes, so that not all is cut off
        deep = deep if case["mode"] == "I;16" else deep.astype("<i4")
        picture = PIL.Image.frombytes(case["mode"], (w, h), deep.tobytes())
    return numpy.asarray(picture.resize((to_w, to_h), case["filter"]).convert("RGB"))


def resized(case):
    pixels, (h, w) = noise(*case["in"]), case["out"]
    if case["by"] == "pillow":
        picture = PIL.Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[:, :, 0])
        return numpy.asarray(picture.resize((w, h), case["filter"])).reshape(h, w, -1)
    tensor = torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
    got = functional.resize(tensor, [h, w], interpolation=TORCH[case["filter"]], antialias=True)
    return got.permute(1, 2, 0).contiguous().numpy()


def processor(folder):
    if not (folder / "open_clip_config.json").exists():
        run = transformers.AutoImageProcessor.from_pretrained(folder)
        return lambda pixels: run(images=[pixels], return_tensors="pt", input_data_format="channels_last")["pixel_values"][0]
    import open_clip
    config = json.loads((folder / "open_clip_config.json").read_text())
    cfg = dict(config["preprocess_cfg"])
    cfg["size"] = cfg.get("size", config["model_cfg"]["vision_cfg"]["image_size"])
    run = open_clip.transform.image_transform_v2(open_clip.transform.PreprocessCfg(**cfg), is_train=False)
    return lambda pixels: run(PIL.Image.fromarray(pixels))


def prepared(spec, pixels):
    """The bytes behind resize and crop alone."""
    if "preprocess_cfg" in spec:
        import open_clip
        cfg = open_clip.transform.PreprocessCfg(**spec["preprocess_cfg"], mean=(0, 0, 0), std=(1, 1, 1))
        picture = PIL.Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[:, :, 0])
        got = (open_clip.transform.image_transform_v2(cfg, is_train=False)(picture) * 255).round().byte()
    else:
        run = getattr(transformers, spec["image_processor_type"])(**spec, do_rescale=False, do_normalize=False)
        if pixels.shape[2] == 1:
            pixels = pixels.repeat(3, 2)  # as its conversion to RGB does; one channel alone would be taken for rows
        got = run(images=[pixels], return_tensors="pt", input_data_format="channels_last")["pixel_values"][0]
        assert got.dtype == torch.uint8
    return got.permute(1, 2, 0).contiguous()


def folders(fixtures):
    for f in sorted(fixtures.iterdir()):
        for name in ("open_clip_config.json", "preprocessor_config.json"):
            if (f / "towers.json").exists() and (f / name).exists():
                yield f
                break


def make(out, fixtures, sizes, pictures, versions):
    cases = [{"by": by, "filter": f, "in": [*i, 1 if n % 5 == 4 else 3], "out": list(o)}
             for by in FILTERS for f in FILTERS[by] for n, (i, o) in enumerate(sizes)]
    arrays = {f"case.{n}": torch.from_numpy(resized(c).copy()) for n, c in enumerate(cases)}
    modes = [{"mode": m, "filter": f, "in": list(i), "out": list(o)} for m in ("RGBA", "CMYK", "I;16", "I")
             for f in FILTERS["pillow"] for i, o in sizes[f % 2::2] if f != NEAREST or m in ("RGBA", "CMYK")]
    arrays.update({f"mode.{n}": torch.from_numpy(resized_mode(c).copy()) for n, c in enumerate(modes)})
    specs = []
    for spec in SPECS:
        for h, w in pictures:
            got = prepared(spec, noise(h, w, 1 if (h, w) == pictures[-1] else 3))
            arrays[f"prepared.{len(specs)}"] = got
            specs.append({"processor": json.dumps(spec), "in": [h, w, 1 if (h, w) == pictures[-1] else 3],
                          "out": list(got.shape[:2])})
    runs = []
    for folder in folders(fixtures):
        run = processor(folder)
        for h, w in pictures:
            arrays[f"values.{len(runs)}"] = run(noise(h, w, 3)).contiguous()
            runs.append({"open": "/".join([folder.name] + [f.name for f in folder.glob("*.pt")]), "in": [h, w]})
    out.mkdir(exist_ok=True)
    safetensors.torch.save_file(arrays, out / "pictures.safetensors")
    lines = {"cases": cases, "modes": modes, "specs": specs, "processors": runs}
    text = ",\n".join(f' "{k}": [\n  ' + ",\n  ".join(json.dumps(row) for row in v) + "\n ]" for k, v in lines.items())
    (out / "pictures.json").write_text(f'{{\n "versions": {json.dumps(versions)},\n{text}\n}}\n')
    print(f"{out.name}: {len(cases)} cases, {len(specs)} prepared, {len(runs)} pictures through processors")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--random", nargs=2, metavar=("SEED", "OUT"))
    p.add_argument("fixtures", type=pathlib.Path)
    a = p.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    sizes, pictures, out = SIZES, PICTURES, a.fixtures / "pictures"
    if a.random:
        g = numpy.random.default_rng(int(a.random[0]))
        side = lambda: int(g.integers(1, g.choice([4, 40, 400, 1500])))
        sizes = [((side(), side()), (int(g.integers(1, 90)), int(g.integers(1, 90)))) for _ in range(20)]
        pictures = [(int(g.integers(15, 300)), int(g.integers(15, 300))) for _ in range(10)]  # thinner ones open_clip cannot
        out = pathlib.Path(a.random[1])
    versions = {"Pillow": PIL.__version__, "torch": torch.__version__.split("+")[0],
                "torchvision": torchvision.__version__.split("+")[0], "transformers": transformers.__version__}
    make(out, a.fixtures, sizes, pictures, versions)


if __name__ == "__main__":
    main()
