#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the files of tests/fixtures/torchzip: what torch.save writes, and the same tensors as safetensors.

    make_torchzip.py tests/fixtures/torchzip [tests/fuzz/corpus/torchzip]
    make_torchzip.py --checkpoint tests/fixtures/bert-dense tests/fixtures/bert-bin
                                      a copy with half of the texts and pytorch_model.bin for every model.safetensors

  X.pt + X.safetensors    must read the same (names of dicts in dicts joined with dots)
  refused-X.pt            must be refused
With a second folder: seeds of the fuzzer, a byte 0 before a file or a byte 1 before a bare pickle.
"""
import collections
import json
import pathlib
import shutil
import sys
import zipfile

import safetensors.torch
import torch


class Tied(torch.nn.Module):
    """Two names for one parameter, a buffer, and the _metadata that state_dict() carries."""

    def __init__(self):
        super().__init__()
        self.embed = torch.nn.Embedding(5, 3)
        self.norm = torch.nn.BatchNorm1d(3)
        self.out = torch.nn.Linear(3, 5, bias=False)
        self.out.weight = self.embed.weight


def every_dtype():
    base = torch.arange(24.0).reshape(4, 6) / 7 - 1
    tensors = collections.OrderedDict(base=base, rows=base[1:3], row=base[2], flat=base.view(-1)[5:9], one=base[3:4, 5:],
                                      scalar=torch.tensor(2.5), empty=torch.zeros(0, 4), empty_t=torch.zeros(3, 0).t(),
                                      rank5=torch.ones(1, 2, 1, 2, 1), p=torch.nn.Parameter(torch.full((2,), 0.5)))
    tensors["expanded1"] = torch.tensor([7.0]).expand(1, 1)  # strides of dimensions of one mean nothing
    for dtype in ("float16", "bfloat16", "float64", "int64", "int32", "int16", "int8", "uint8", "bool"):
        tensors["of." + dtype] = torch.tensor([0, 1, 2, -3], dtype=torch.int32).abs().to(getattr(torch, dtype))
    tensors["z\u00e9ro"] = torch.tensor(-1)
    return tensors


def flatten(value, prefix=""):
    for key, v in value.items():
        if isinstance(v, torch.Tensor):
            yield prefix + str(key), v.detach().clone().contiguous()
        elif isinstance(v, dict):
            yield from flatten(v, prefix + str(key) + ".")


def copy_checkpoint(source, out):
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(source, out)
    for old in list(out.rglob("model.safetensors")):
        tensors = collections.OrderedDict(safetensors.torch.load_file(old))
        if old.parent == out:
            tensors["embeddings.position_ids"] = torch.arange(24).expand(1, -1)  # as transformers before 4.31 saved it
        torch.save(tensors, old.with_name("pytorch_model.bin"))
        old.unlink()
    golden, info = safetensors.torch.load_file(out / "golden.safetensors"), json.loads((out / "golden.json").read_text())
    keep = {old: new for new, old in enumerate(range(0, len(info["texts"]), 2))}
    named = {n: n.split(".") for n in golden}
    safetensors.torch.save_file({f"{kind}.{keep[int(i)]}": golden[n] for n, (kind, i) in named.items() if int(i) in keep},
                                out / "golden.safetensors")
    info["texts"] = [info["texts"][i] for i in keep]
    (out / "golden.json").write_text(json.dumps(info, indent=1) + "\n")
    for f in out.rglob("*"):
        f.chmod(0o755 if f.is_dir() else 0o644)
    print(sum(f.stat().st_size for f in out.rglob("*") if f.is_file()), "bytes")


def main():
    if sys.argv[1] == "--checkpoint":
        return copy_checkpoint(pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]))
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    tied = Tied()
    nested = {"epoch": 3, "lr": 0.1, "best": None, "big": 1 << 70, "neg": -5, "long": 1 << 40,
              "args": {"layers": [1, 2, (3, "x")], "on": True, "empty": [], "lists": [torch.ones(1)]},
              "state_dict": {"module." + k: v for k, v in tied.state_dict().items()},
              "optimizer": {"state": {0: {"step": torch.tensor(4.0)}}, "param_groups": [{"params": [0]}]}}
    files = {"dtypes": (every_dtype(), {}), "module": (tied.state_dict(), {}), "nested": (nested, {}),
             "protocol4": (tied.state_dict(), {"pickle_protocol": 4}),
             "protocol5": ({"a": torch.arange(3), "b": b"bytes", "c": bytearray(b"array")}, {"pickle_protocol": 5}),
             "many": ({f"layer.{i}": torch.tensor([i], dtype=torch.uint8) for i in range(30)}, {})}
    for name, (value, options) in files.items():
        torch.save(value, out / f"{name}.pt", **options)
        safetensors.torch.save_file(dict(flatten(value)), out / f"{name}.safetensors")
    torch.serialization.set_crc32_options(False)
    torch.save({"a": torch.arange(3)}, out / "nocrc.pt")
    torch.serialization.set_crc32_options(True)
    safetensors.torch.save_file({"a": torch.arange(3)}, out / "nocrc.safetensors")
    refused = {"strided": {"ok": torch.ones(2), "w": torch.ones(2, 3).t()}, "uint16": {"u": torch.ones(2).to(torch.uint16)},
               "complex": {"c": torch.ones(2, dtype=torch.complex64)}, "tensor": torch.ones(2), "bytes2": {"b": b"x"},
               "module": tied, "device": {"d": torch.device("cpu")}}
    for name, value in refused.items():
        torch.save(value, out / f"refused-{name}.pt")
    torch.save({"a": torch.ones(2)}, out / "refused-legacy.pt", _use_new_zipfile_serialization=False)
    with zipfile.ZipFile(out / "nocrc.pt") as old, zipfile.ZipFile(out / "refused-deflated.pt", "w",
                                                                   zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            data = (out / "nocrc.pt").read_bytes()
            at = info.header_offset
            at += 30 + int.from_bytes(data[at + 26:at + 28], "little") + int.from_bytes(data[at + 28:at + 30], "little")
            new.writestr(zipfile.ZipInfo(info.filename), data[at:at + info.file_size], zipfile.ZIP_DEFLATED)
    if len(sys.argv) > 2:
        corpus = pathlib.Path(sys.argv[2])
        corpus.mkdir(parents=True, exist_ok=True)
        for name in ("protocol5", "nocrc"):
            (corpus / ("zip-" + name)).write_bytes(b"\0" + (out / f"{name}.pt").read_bytes())
        for name in ("dtypes", "nested", "protocol4", "protocol5", "refused-uint16"):
            with zipfile.ZipFile(out / f"{name}.pt") as z:
                (corpus / ("pickle-" + name)).write_bytes(b"\1" + z.read(f"{name}/data.pkl"))
    for f in out.iterdir():
        f.chmod(0o644)
    print(sum(f.stat().st_size for f in out.iterdir()), "bytes")


main()
