#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tests/fixtures/npy and the fuzz corpus of the same: files that numpy writes. Needs numpy."""
import pathlib
import shutil

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / "tests" / "fixtures" / "npy"


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    x = (np.arange(15) / 4 - 2).reshape(3, 5)
    np.save(OUT / "f32.npy", x.astype("<f4"))
    np.save(OUT / "f16.npy", x.astype("<f2"))
    np.save(OUT / "f64.npy", x.astype("<f8"))
    for version in (2, 3):
        with open(OUT / f"version{version}.npy", "wb") as f:
            np.lib.format.write_array(f, x.astype("<f4"), version=(version, 0))
    np.save(OUT / "one.npy", x.reshape(-1)[:7].astype("<f4"))
    np.save(OUT / "three.npy", x.reshape(-1)[:8].reshape(2, 2, 2).astype("<f4"))
    np.save(OUT / "empty.npy", x[:0].astype("<f4"))
    np.save(OUT / "scalar.npy", np.array(-2.0))
    np.save(OUT / "fortran.npy", np.asfortranarray(x.astype("<f4")))
    np.save(OUT / "big_endian.npy", x.astype(">f4"))
    np.save(OUT / "int64.npy", x.astype("<i8"))
    np.save(OUT / "object.npy", np.array(["a", None], dtype=object), allow_pickle=True)
    np.save(OUT / "record.npy", np.zeros(2, dtype=[("a", "<f4"), ("b", "<i4")]))
    corpus = ROOT / "tests" / "fuzz" / "corpus" / "npy"
    corpus.mkdir(parents=True, exist_ok=True)
    for name in ("f32", "f16", "version2", "three", "record"):
        shutil.copy(OUT / f"{name}.npy", corpus / name)


main()
