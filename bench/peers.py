#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The peers that ilk is measured against: one process each, the same commands and answers as bench_embed.

    peers.py SYSTEM MODEL GRAPHS THREADS              reads commands from stdin, a line of JSON for each:
        shape 8x128 SECONDS | lines FILE OUT          ids of one length; a file of texts to a .npy
        pixels N SECONDS | files LIST OUT             values of N pictures; a list of picture files to a .npy
    peers.py SYSTEM MODEL GRAPHS THREADS once TEXT    process start to one vector
    peers.py prepare SYSTEM MODEL GRAPHS              makes the system's graph in folder GRAPHS
    peers.py versions

SYSTEM is a row of SYSTEMS at the end of this file, told to use THREADS. What an import costs is paid when it is needed."""
import json
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))


def peak_mb():
    """VmHWM; getrusage would count the process that this one was forked from."""
    with open("/proc/self/status", encoding="ascii") as f:
        return int(next(line for line in f if line.startswith("VmHWM")).split()[1]) / 1024


class OnnxRuntime:
    def __init__(self, folder, graphs, threads, int8=False):
        import peer_graphs
        import onnxruntime as ort
        o = ort.SessionOptions()
        o.intra_op_num_threads = threads
        o.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        o.log_severity_level = 3
        path = peer_graphs.onnx_graph(graphs, folder, int8)
        self.session = ort.InferenceSession(path, o, providers=["CPUExecutionProvider"])

    def run(self, ids, mask):
        return self.session.run(None, {"ids": ids, "types": ids * 0, "mask": mask})[0]

    def see(self, values):
        return self.session.run(None, {"pixels": values})[0]


class OnnxRuntime8(OnnxRuntime):
    def __init__(self, folder, graphs, threads):
        super().__init__(folder, graphs, threads, True)


class OpenVino:
    def __init__(self, folder, graphs, threads, int8=False):
        import peer_graphs
        import openvino as ov
        core = ov.Core()
        path = peer_graphs.openvino_graph(graphs, folder, int8, lambda: calibration(folder))
        self.compiled = core.compile_model(core.read_model(path), "CPU", {
            "INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY"})
        self.request = self.compiled.create_infer_request()

    def run(self, ids, mask):
        return self.request.infer([ids, mask], share_inputs=True, share_outputs=True)[0]

    def see(self, values):
        return self.request.infer([values], share_inputs=True, share_outputs=True)[0]


class OpenVino8(OpenVino):
    def __init__(self, folder, graphs, threads):
        super().__init__(folder, graphs, threads, True)


class SentenceTransformers:
    def __init__(self, folder, _graphs, threads):
        import torch
        from sentence_transformers import SentenceTransformer
        torch.set_num_threads(threads)
        self.torch, self.model = torch, SentenceTransformer(folder, device="cpu")

    def run(self, ids, mask):
        t = self.torch
        with t.inference_mode():
            out = self.model({"input_ids": t.from_numpy(ids).long(), "attention_mask": t.from_numpy(mask).long()})
            return out["sentence_embedding"].numpy()

    def encode(self, texts):
        return self.model.encode(texts, batch_size=32, show_progress_bar=False, normalize_embeddings=True)


class Torch:
    """transformers as its users have it: pictures alone."""

    def __init__(self, folder, _graphs, threads):
        import torch
        import transformers
        torch.set_num_threads(threads)
        self.torch, self.model = torch, transformers.CLIPVisionModelWithProjection.from_pretrained(folder)

    def see(self, values):
        t = self.torch
        with t.inference_mode():
            v = self.model(pixel_values=t.from_numpy(values)).image_embeds
            return t.nn.functional.normalize(v, dim=1).numpy()


class Llama:
    """llama.cpp by its C interface: ids in, means of unit length out. Its file comes from its own converter."""

    def __init__(self, folder, graphs, threads, kind="f32"):
        import llama_cpp
        self.c, path = llama_cpp, llama_file(folder, graphs, kind)
        llama_cpp.llama_log_set(QUIET(llama_cpp), None)
        llama_cpp.llama_backend_init()
        self.model = llama_cpp.llama_model_load_from_file(path.encode(), llama_cpp.llama_model_default_params())
        p = llama_cpp.llama_context_default_params()
        p.n_ctx = p.n_batch = p.n_ubatch = 8192
        p.n_seq_max, p.n_threads, p.n_threads_batch, p.embeddings = 32, threads, threads, True
        p.pooling_type = llama_cpp.LLAMA_POOLING_TYPE_MEAN
        self.context = llama_cpp.llama_init_from_model(self.model, p)
        self.batch = llama_cpp.llama_batch_init(8192, 0, 1)
        self.dim = llama_cpp.llama_model_n_embd(self.model)

    def run(self, ids, mask):
        import numpy as np
        c, b, n = self.c, self.batch, 0
        lengths = mask.sum(1)
        for s, row in enumerate(ids):
            for at in range(lengths[s]):
                b.token[n], b.pos[n], b.n_seq_id[n], b.logits[n] = int(row[at]), at, 1, 1
                b.seq_id[n][0] = s
                n += 1
        b.n_tokens = n
        if c.llama_encode(self.context, b) != 0:
            raise RuntimeError("llama_encode failed")
        v = np.stack([np.ctypeslib.as_array(c.llama_get_embeddings_seq(self.context, s), (self.dim,))
                      for s in range(len(ids))]).astype(np.float32)
        return v / np.linalg.norm(v, axis=1, keepdims=True)


class Llama8(Llama):
    def __init__(self, folder, graphs, threads):
        super().__init__(folder, graphs, threads, "q8_0")


def QUIET(llama_cpp):
    global quiet  # the library keeps a pointer to it
    quiet = llama_cpp.llama_log_callback(lambda *_: None)
    return quiet


def llama_file(folder, graphs, kind):
    """The checkpoint as GGUF, made by llama.cpp's own converter from the source that tools/bench.sh unpacked."""
    import subprocess
    path = os.path.join(graphs, f"llama-{kind}.gguf")
    if not os.path.exists(path):
        script = os.path.join(os.environ["ILK_BENCH_LLAMA"], "convert_hf_to_gguf.py")
        subprocess.run([sys.executable, script, folder, "--outfile", path + ".new", "--outtype", kind], check=True,
                       stdout=subprocess.DEVNULL)
        os.replace(path + ".new", path)
    return path


# ---------------------------------------------------------------- what is measured

class Tokenizer:
    def __init__(self, folder):
        from tokenizers import Tokenizer as Rust
        self.t = Rust.from_file(os.path.join(folder, "tokenizer.json"))
        self.t.no_padding()
        limit = 256
        path = os.path.join(folder, "sentence_bert_config.json")
        if os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                limit = json.load(f)["max_seq_length"]
        self.t.enable_truncation(limit)

    def encode(self, texts):
        return [e.ids for e in self.t.encode_batch(texts)]


def padded(ids):
    import numpy as np
    x = np.zeros((len(ids), max(map(len, ids))), np.int32)
    mask = np.zeros_like(x)
    for row, i in enumerate(ids):
        x[row, :len(i)] = i
        mask[row, :len(i)] = 1
    return x, mask


def calibration(folder):
    """nncf's inputs: 24 batches of 4 sentences or of 4 pictures, by files that compare.py has written."""
    if not os.path.exists(os.path.join(folder, "tokenizer.json")):
        import peer_pictures
        with open(os.environ["ILK_BENCH_CALIBRATION"] + ".pictures", encoding="utf-8") as f:
            files = f.read().splitlines()[:96]
        return [[peer_pictures.values([peer_pictures.pixels(x) for x in files[at:at + 4]])] for at in range(0, len(files), 4)]
    with open(os.environ["ILK_BENCH_CALIBRATION"], encoding="utf-8") as f:
        ids = Tokenizer(folder).encode(f.read().splitlines()[:96])
    return [list(padded(ids[at:at + 4])) for at in range(0, len(ids), 4)]


def repeated(call, seconds):
    ms, begin = [], time.perf_counter()
    call()
    while not ms or time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        call()
        ms.append((time.perf_counter() - start) * 1e3)
    ms.sort()
    return {"best_ms": ms[0], "median_ms": ms[len(ms) // 2], "runs": len(ms), "peak_mb": peak_mb()}


def run_shape(system, folder, shape, seconds):
    import numpy as np
    n, length = map(int, shape.split("x"))
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as f:
        vocab = json.load(f)["vocab_size"]
    ids = ((np.arange(n * length, dtype=np.int64) * 7919 + 1000) % vocab).astype(np.int32).reshape(n, length)
    mask = np.ones_like(ids)
    return repeated(lambda: system.run(ids, mask), float(seconds))


def run_lines(system, folder, path, out):
    """From the file's lines to the .npy: batches of 32 texts of about one length, as sentence-transformers does too."""
    import numpy as np
    start = time.perf_counter()
    with open(path, encoding="utf-8") as f:
        texts = f.read().splitlines()
    if hasattr(system, "encode"):
        n_tokens, vectors = 0, system.encode(texts)
    else:
        if not hasattr(system, "tokenizer"):
            system.tokenizer = Tokenizer(folder)
            start = time.perf_counter()
        ids = system.tokenizer.encode(texts)
        n_tokens, vectors = sum(map(len, ids)), None
        order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
        for at in range(0, len(order), 32):
            batch = order[at:at + 32]
            v = system.run(*padded([ids[i] for i in batch]))
            if vectors is None:
                vectors = np.empty((len(ids), v.shape[1]), np.float32)
            vectors[batch] = v
    np.save(out, vectors)
    return {"ms": (time.perf_counter() - start) * 1e3, "lines": len(texts), "tokens": n_tokens, "peak_mb": peak_mb()}


def run_pixels(system, n, seconds):
    import numpy as np
    x = np.random.default_rng(3).standard_normal((int(n), 3, 224, 224)).astype(np.float32)
    return repeated(lambda: system.see(x), float(seconds))


def run_files(system, listing, out):
    """Two processes decode and resize with Pillow, this one makes batches of 8 and vectors."""
    import peer_pictures
    return {**peer_pictures.files(system, listing, out), "peak_mb": peak_mb()}


def answer(system, folder, line):
    word, *rest = line.split()
    if word == "shape":
        return run_shape(system, folder, *rest)
    if word == "lines":
        return run_lines(system, folder, *rest)
    return (run_pixels if word == "pixels" else run_files)(system, *rest)


def serve(system, folder, once):
    if once is not None:
        import numpy as np
        if hasattr(system, "encode"):
            v = system.encode([once])[0]
        else:
            ids = np.array([Tokenizer(folder).encode([once])[0]], np.int32)
            v = system.run(ids, np.ones_like(ids))[0]
        print(json.dumps({"first": float(v[0]), "peak_mb": peak_mb()}), flush=True)
        os._exit(0)  # a peer is not charged for taking itself apart
    for line in sys.stdin:
        try:
            said = answer(system, folder, line)
        except Exception as e:  # compare.py says it in the table
            said = {"error": f"{type(e).__name__}: {e}"[:300]}
        print(json.dumps(said), flush=True)


def versions():
    from importlib import metadata
    for name in ("onnxruntime", "openvino", "nncf", "tokenizers", "numpy", "torch", "transformers", "sentence-transformers",
                 "llama_cpp_python", "pillow", "faiss-cpu"):
        try:
            print(name, metadata.version(name))
        except metadata.PackageNotFoundError:
            pass


SYSTEMS = {"onnxruntime": OnnxRuntime, "onnxruntime int8": OnnxRuntime8, "openvino": OpenVino, "openvino int8": OpenVino8,
           "sentence-transformers": SentenceTransformers, "torch": Torch, "llama.cpp": Llama, "llama.cpp q8_0": Llama8}


def main():
    sys.path.insert(0, HERE)
    a = sys.argv[1:]
    if a[0] == "versions":
        versions()
    elif a[0] == "prepare":
        SYSTEMS[a[1]](a[2], a[3], 2)
    else:
        serve(SYSTEMS[a[0]](a[1], a[2], int(a[3])), a[1], a[5] if len(a) > 5 and a[4] == "once" else None)


if __name__ == "__main__":
    main()
