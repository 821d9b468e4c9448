#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/fixtures/picture-files/open_clip.txt: what open_clip's transform makes of each picture there that expected.txt
calls ok. It resizes what the file holds (indices, ink, alpha, 16 bits) and converts to RGB behind. And what a processor of
transformers makes of what load_image leaves of the same, a key of transparency among it.

    make_stored_goldens.py tests/fixtures/picture-files     needs open_clip, transformers and Pillow (pillow_heif for HEIC)

First the specs, a line each: `spec N JSON`, as a checkpoint's preprocess_cfg or preprocessor_config; then a line for each of them and each file:
`FILE N HEIGHT WIDTH SHA256-OF-THE-BYTES`.
"""
import hashlib
import json
import pathlib
import sys
import warnings

import numpy
import open_clip
from PIL import Image, ImageOps
from transformers import CLIPImageProcessor

try:
    import pillow_heif
    pillow_heif.register_heif_opener()
except ImportError:
    pass

SPECS = [{"size": 6, "resize_mode": "shortest", "interpolation": "bicubic"},
         {"size": 9, "resize_mode": "shortest", "interpolation": "bilinear"},
         {"size": 15, "resize_mode": "squash", "interpolation": "bicubic"},
         {"size": 12, "resize_mode": "longest", "interpolation": "bicubic", "fill_color": 7}]
PROCESSOR = {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 6}, "resample": 3,
             "crop_size": {"height": 6, "width": 6}, "do_convert_rgb": True}


def prepared(cfg, path):
    cfg = open_clip.transform.PreprocessCfg(**cfg, mean=(0, 0, 0), std=(1, 1, 1))
    picture = ImageOps.exif_transpose(Image.open(path))
    if picture.mode == "I;16B":  # Pillow sums these with their bytes exchanged
        picture = picture.convert("I").convert("I;16")
    got = (open_clip.transform.image_transform_v2(cfg, is_train=False)(picture) * 255).round().byte()
    return numpy.ascontiguousarray(got.permute(1, 2, 0).numpy())


def processed(path):
    processor = CLIPImageProcessor.from_dict({**PROCESSOR, "do_rescale": False, "do_normalize": False})
    picture = ImageOps.exif_transpose(Image.open(path)).convert("RGB")  # as load_image
    got = processor(picture, return_tensors="pt")["pixel_values"][0].byte()
    return numpy.ascontiguousarray(got.permute(1, 2, 0).numpy())


def main():
    folder = pathlib.Path(sys.argv[1])
    warnings.filterwarnings("ignore")
    lines = [f"spec {n} {json.dumps({'preprocess_cfg': s})}" for n, s in enumerate(SPECS)]
    lines.append(f"spec {len(SPECS)} {json.dumps(PROCESSOR)}")
    for row in (folder / "expected.txt").read_text().splitlines():
        name, verdict, *sides = row.split()
        for n, spec in enumerate(SPECS + [PROCESSOR]):
            if verdict != "ok" or (n != 2 and min(map(int, sides[:2])) * 30 < max(map(int, sides[:2]))):
                continue  # thinner ones it cannot
            got = processed(folder / name) if spec is PROCESSOR else prepared(spec, folder / name)
            lines.append("%s %d %d %d %s" % (name, n, *got.shape[:2], hashlib.sha256(got.tobytes()).hexdigest()))
    (folder / "open_clip.txt").write_text("\n".join(lines) + "\n")
    print(len(lines) - len(SPECS) - 1, "pictures through", len(SPECS) + 1, "specs")


if __name__ == "__main__":
    main()
