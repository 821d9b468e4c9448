#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pictures of the peers' side: what Pillow and two worker processes do, and the files that are measured.

    peer_pictures.py make DIR SOURCE|-      500x375 and 4000x3000 JPEGs of SOURCE's photographs, else of noise
    peer_pictures.py resize W H TO_W TO_H SECONDS
                                            noise by Pillow's bicubic, on one thread"""
import json
import os
import sys
import time

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
SIDE, BATCH, WORKERS = 224, 8, 2


def target(width, height):
    """As CLIP's processors: the shorter side to 224, the other cut to whole pixels."""
    short = min(width, height)
    return (SIDE * width // short, SIDE) if height == short else (SIDE, SIDE * height // short)


def pixels(path):
    import numpy as np
    from PIL import Image
    image = Image.open(path).convert("RGB")
    image = image.resize(target(*image.size), Image.Resampling.BICUBIC)
    left, top = (image.width - SIDE) // 2, (image.height - SIDE) // 2
    return np.asarray(image.crop((left, top, left + SIDE, top + SIDE)))


def values(pictures):
    import numpy as np
    x = np.stack(pictures).astype(np.float32) / 255
    x = (x - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2))


POOL = []  # of worker processes, kept between calls


def files(system, listing, out):
    import multiprocessing
    import numpy as np
    with open(listing, encoding="utf-8") as f:
        paths = f.read().splitlines()
    if not POOL:
        POOL.append(multiprocessing.get_context("spawn").Pool(WORKERS))
        POOL[0].map(pixels, paths[:2 * WORKERS], 1)  # imports
    start, batch, vectors = time.perf_counter(), [], []
    for picture in POOL[0].imap(pixels, paths, 1 if len(paths) < 200 else 4):
        batch.append(picture)
        if len(batch) == BATCH:
            vectors.append(np.array(system.see(values(batch))))
            batch = []
    if batch:
        vectors.append(np.array(system.see(values(batch))))
    np.save(out, np.concatenate(vectors))
    return {"ms": (time.perf_counter() - start) * 1e3, "files": len(paths)}


def make(folder, source, n_small=400, n_large=24):
    import numpy as np
    from PIL import Image
    photographs = sorted(os.path.join(source, f) for f in os.listdir(source) if f.endswith(".jpg")) if source != "-" else []
    r = np.random.default_rng(11)
    for name, size, n in (("small", (500, 375), n_small), ("large", (4000, 3000), n_large)):
        os.makedirs(os.path.join(folder, name), exist_ok=True)
        for i in range(n):
            if photographs:
                image = Image.open(photographs[i % len(photographs)]).convert("RGB")
            else:
                image = Image.fromarray(r.integers(0, 256, (24, 32, 3), dtype=np.uint8))
            image = image.resize(size, Image.Resampling.BICUBIC)
            image.save(os.path.join(folder, name, f"{i:04}.jpg"), quality=90)


def resize(width, height, to_width, to_height, seconds):
    import numpy as np
    from PIL import Image
    image = Image.fromarray(np.random.default_rng(5).integers(0, 256, (int(height), int(width), 3), dtype=np.uint8))
    to, ms, begin = (int(to_width), int(to_height)), [], time.perf_counter()
    while not ms or time.perf_counter() - begin < float(seconds):
        start = time.perf_counter()
        image.resize(to, Image.Resampling.BICUBIC)
        ms.append((time.perf_counter() - start) * 1e3)
    print(json.dumps({"best_ms": min(ms)}), flush=True)


if __name__ == "__main__":
    {"make": make, "resize": resize}[sys.argv[1]](*sys.argv[2:])
