#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A resize alone on one thread, ours and the reference's in turns, the best of all rounds.

    resize_peers.py BUILD_DIR [ROUNDS]        needs Pillow, torchvision, numpy
"""
import re
import subprocess
import sys
import time

import numpy
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

CASES = [(500, 375, 299, 224), (375, 500, 224, 299), (1920, 1080, 398, 224), (4000, 3000, 299, 224), (3000, 4000, 224, 299),
         (500, 375, 384, 384), (224, 224, 384, 384)]
FILTERS = {2: InterpolationMode.BILINEAR, 3: InterpolationMode.BICUBIC}


def best_of(run, seconds):
    best, end = 1e9, time.perf_counter() + seconds
    while time.perf_counter() < end or best == 1e9:
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best * 1e6


def main():
    build, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3
    torch.set_num_threads(1)
    for w, h, to_w, to_h in CASES:
        pixels = numpy.random.default_rng(0).integers(0, 256, (h, w, 3), dtype=numpy.uint8)
        picture, tensor = Image.fromarray(pixels), torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
        for f in (3, 2):
            peers = {"pillow": lambda: picture.resize((to_w, to_h), f),
                     "torch": lambda: functional.resize(tensor, [to_h, to_w], interpolation=FILTERS[f], antialias=True)}
            for family, run in peers.items():
                ours = theirs = 1e12
                for _ in range(rounds):
                    said = subprocess.run([build + "/bench_resize", family, *map(str, (w, h, to_w, to_h, f, 0.2))],
                                          capture_output=True, text=True, check=True).stdout
                    ours = min(ours, float(re.match(r"[\d.]+", said)[0]))
                    theirs = min(theirs, best_of(run, 0.2))
                print(f"{family} {f} {w}x{h} to {to_w}x{to_h}: {ours:.0f} us, the reference {theirs:.0f} us: {theirs / ours:.2f}x",
                      flush=True)


if __name__ == "__main__":
    main()
