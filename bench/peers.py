#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The peers that ilk is measured against: one process each, the same commands and answers as bench_embed.

    peers.py SYSTEM MODEL THREADS               reads "shape 8x128 SECONDS" and "lines FILE OUT" from stdin
    peers.py SYSTEM MODEL THREADS once TEXT     process start to one vector
    peers.py versions | vectors DIR | numpy DIR | faiss DIR

SYSTEM is onnxruntime, openvino or sentence-transformers, each f32 and told to use THREADS. Graphs are built here from
the checkpoint's own weights: ONNX Runtime gets its fused operators, which is what its optimiser makes of an export
(attention, skip and layer norm, bias and GELU), OpenVINO gets its own operations with scaled dot product attention. All
end in mean pooling and unit length inside the graph, so ids go in and unit vectors come out, as with ilk."""
import json
import os
import resource
import sys
import time


def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Checkpoint:
    """config.json and the weights as numpy arrays."""

    def __init__(self, folder):
        import numpy as np
        with open(os.path.join(folder, "config.json"), encoding="utf-8") as f:
            c = json.load(f)
        self.dim, self.heads, self.layers = c["hidden_size"], c["num_attention_heads"], c["num_hidden_layers"]
        self.eps, self.vocab = c["layer_norm_eps"], c["vocab_size"]
        with open(os.path.join(folder, "model.safetensors"), "rb") as f:
            n = int.from_bytes(f.read(8), "little")
            header = json.loads(f.read(n))
        data = np.memmap(os.path.join(folder, "model.safetensors"), np.uint8, "r", 8 + n)
        self.w = {}
        for name, t in header.items():
            if name != "__metadata__" and t["dtype"] == "F32":
                begin, end = t["data_offsets"]
                self.w[name.removeprefix("bert.")] = data[begin:end].view(np.float32).reshape(t["shape"])

    def linear(self, name):
        return self.w[name + ".weight"], self.w[name + ".bias"]

    def norm(self, name):
        return self.w[name + ".weight"], self.w[name + ".bias"]


def layer_names(i):
    p = f"encoder.layer.{i}."
    return {"q": p + "attention.self.query", "k": p + "attention.self.key", "v": p + "attention.self.value",
            "o": p + "attention.output.dense", "n1": p + "attention.output.LayerNorm", "up": p + "intermediate.dense",
            "down": p + "output.dense", "n2": p + "output.LayerNorm"}


# ---------------------------------------------------------------- ONNX Runtime

def build_onnx(folder, path):
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    c = Checkpoint(folder)
    nodes, inits = [], []
    ms = {"domain": "com.microsoft"}

    def const(name, a):
        inits.append(numpy_helper.from_array(np.ascontiguousarray(a), name))
        return name

    def node(op, ins, outs, **attributes):
        nodes.append(helper.make_node(op, ins, outs, **attributes))
        return outs[0]

    emb = "embeddings."
    g, b = c.norm(emb + "LayerNorm")
    node("EmbedLayerNormalization",
         ["ids", "types", const("word", c.w[emb + "word_embeddings.weight"]),
          const("position", c.w[emb + "position_embeddings.weight"]),
          const("type", c.w[emb + "token_type_embeddings.weight"]), const("eg", g), const("eb", b), "mask"],
         ["x0", "mask_index"], epsilon=c.eps, **ms)
    x = "x0"
    for i in range(c.layers):
        n = layer_names(i)
        ws, bs = zip(*(c.linear(n[k]) for k in "qkv"))
        qkv = const(f"qkv{i}", np.concatenate([w.T for w in ws], 1))
        a = node("Attention", [x, qkv, const(f"qkvb{i}", np.concatenate(bs)), "mask_index"], [f"a{i}"],
                 num_heads=c.heads, **ms)
        w, bias = c.linear(n["o"])
        a = node("MatMul", [a, const(f"o{i}", w.T)], [f"ao{i}"])
        g, b = c.norm(n["n1"])
        x = node("SkipLayerNormalization", [a, x, const(f"g1{i}", g), const(f"b1{i}", b), const(f"ob{i}", bias)],
                 [f"h{i}"], epsilon=c.eps, **ms)
        w, bias = c.linear(n["up"])
        u = node("MatMul", [x, const(f"u{i}", w.T)], [f"um{i}"])
        u = node("BiasGelu", [u, const(f"ub{i}", bias)], [f"ug{i}"], **ms)
        w, bias = c.linear(n["down"])
        d = node("MatMul", [u, const(f"d{i}", w.T)], [f"dm{i}"])
        g, b = c.norm(n["n2"])
        x = node("SkipLayerNormalization", [d, x, const(f"g2{i}", g), const(f"b2{i}", b), const(f"db{i}", bias)],
                 [f"x{i + 1}"], epsilon=c.eps, **ms)
    one, two = const("one", np.array([1], np.int64)), const("two", np.array([2], np.int64))
    node("Cast", ["mask"], ["m"], to=TensorProto.FLOAT)
    node("Unsqueeze", ["m", two], ["m3"])
    node("Mul", [x, "m3"], ["xm"])
    node("ReduceSum", ["xm", one], ["sum"], keepdims=0)
    node("ReduceSum", ["m", one], ["count"], keepdims=1)
    node("Div", ["sum", "count"], ["mean"])
    node("LpNormalization", ["mean"], ["vector"], axis=-1, p=2)
    ids = [helper.make_tensor_value_info(k, TensorProto.INT32, ["batch", "tokens"]) for k in ("ids", "types", "mask")]
    graph = helper.make_graph(nodes, "bert", ids,
                              [helper.make_tensor_value_info("vector", TensorProto.FLOAT, ["batch", c.dim])], inits)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid(ms["domain"], 1)])
    model.ir_version = 8
    onnx.save(model, path)


class OnnxRuntime:
    def __init__(self, folder, threads, cache):
        path = os.path.join(cache, "fused.onnx")
        if not os.path.exists(path):
            build_onnx(folder, path + ".new")
            os.replace(path + ".new", path)
        import onnxruntime as ort
        o = ort.SessionOptions()
        o.intra_op_num_threads = threads
        o.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        self.session = ort.InferenceSession(path, o, providers=["CPUExecutionProvider"])

    def run(self, ids, mask):
        return self.session.run(None, {"ids": ids, "types": ids * 0, "mask": mask})[0]


# ---------------------------------------------------------------- OpenVINO

def build_openvino(folder, path):
    import numpy as np
    import openvino as ov
    from openvino import opset13 as op
    c = Checkpoint(folder)

    def const(a):
        return op.constant(np.array(a, order="C"))

    def norm(x, name):
        g, b = c.norm(name)
        x = op.mvn(x, const(np.array([-1])), True, c.eps, "inside_sqrt")
        return op.add(op.multiply(x, const(g)), const(b))

    def linear(x, name):
        w, b = c.linear(name)
        return op.add(op.matmul(x, const(w), False, True), const(b))

    ids, mask = (op.parameter([-1, -1], np.int32, name=n) for n in ("ids", "mask"))
    zero = const(np.array(0))
    n_tokens = op.gather(op.shape_of(ids), const(np.array(1)), zero)
    emb = "embeddings."
    x = op.gather(const(c.w[emb + "word_embeddings.weight"]), ids, zero)
    positions = op.range(zero, n_tokens, const(np.array(1)), output_type="i64")
    x = op.add(x, op.gather(const(c.w[emb + "position_embeddings.weight"]), positions, zero))
    x = norm(op.add(x, const(c.w[emb + "token_type_embeddings.weight"][0])), emb + "LayerNorm")
    m = op.convert(mask, np.float32)
    bias = op.multiply(op.subtract(m, const(np.float32(1))), const(np.float32(1e30)))
    bias = op.unsqueeze(bias, const(np.array([1, 2])))
    split, order = const(np.array([0, 0, c.heads, c.dim // c.heads])), const(np.array([0, 2, 1, 3]))
    for i in range(c.layers):
        n = layer_names(i)
        q, k, v = (op.transpose(op.reshape(linear(x, n[p]), split, True), order) for p in "qkv")
        a = op.scaled_dot_product_attention(q, k, v, bias)
        a = op.reshape(op.transpose(a, order), const(np.array([0, 0, c.dim])), True)
        x = norm(op.add(linear(a, n["o"]), x), n["n1"])
        u = op.gelu(linear(x, n["up"]), "erf")
        x = norm(op.add(linear(u, n["down"]), x), n["n2"])
    total = op.reduce_sum(op.multiply(x, op.unsqueeze(m, const(np.array(2)))), const(np.array(1)))
    mean = op.divide(total, op.reduce_sum(m, const(np.array(1)), True))
    ov.save_model(ov.Model([op.normalize_l2(mean, const(np.array([1])), 1e-12, "max")], [ids, mask], "bert"), path,
                  compress_to_fp16=False)


class OpenVino:
    def __init__(self, folder, threads, cache):
        path = os.path.join(cache, "model.xml")
        if not os.path.exists(path):
            build_openvino(folder, path)
        import openvino as ov
        core = ov.Core()
        self.compiled = core.compile_model(core.read_model(path), "CPU", {
            "INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY"})
        self.request = self.compiled.create_infer_request()

    def run(self, ids, mask):
        return self.request.infer([ids, mask], share_inputs=True, share_outputs=True)[0]


# ---------------------------------------------------------------- sentence-transformers

class SentenceTransformers:
    def __init__(self, folder, threads, cache):
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


SYSTEMS = {"onnxruntime": OnnxRuntime, "openvino": OpenVino, "sentence-transformers": SentenceTransformers}


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


def run_shape(system, vocab, n, length, seconds):
    import numpy as np
    ids = ((np.arange(n * length, dtype=np.int64) * 7919 + 1000) % vocab).astype(np.int32).reshape(n, length)
    mask, ms, begin = np.ones_like(ids), [], time.perf_counter()
    system.run(ids, mask)
    while not ms or time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        system.run(ids, mask)
        ms.append((time.perf_counter() - start) * 1e3)
    ms.sort()
    return {"best_ms": ms[0], "median_ms": ms[len(ms) // 2], "runs": len(ms), "peak_mb": peak_mb()}


def run_lines(system, tokenizer, path, out):
    """From the file's lines to the .npy: batches of 32 texts of about one length, as sentence-transformers does too."""
    import numpy as np
    start = time.perf_counter()
    with open(path, encoding="utf-8") as f:
        texts = f.read().splitlines()
    if hasattr(system, "encode"):
        n_tokens, vectors = 0, system.encode(texts)
    else:
        ids = tokenizer.encode(texts)
        n_tokens, vectors = sum(map(len, ids)), None
        order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
        for at in range(0, len(order), 32):
            batch = order[at:at + 32]
            x = np.zeros((len(batch), len(ids[batch[0]])), np.int32)
            mask = np.zeros_like(x)
            for row, i in enumerate(batch):
                x[row, :len(ids[i])] = ids[i]
                mask[row, :len(ids[i])] = 1
            v = system.run(x, mask)
            if vectors is None:
                vectors = np.empty((len(ids), v.shape[1]), np.float32)
            vectors[batch] = v
    np.save(out, vectors)
    return {"ms": (time.perf_counter() - start) * 1e3, "lines": len(texts), "tokens": n_tokens, "peak_mb": peak_mb()}


def answer(system, folder, line, state):
    words = line.split()
    if words[0] == "shape":
        n, length = map(int, words[1].split("x"))
        if "vocab" not in state:
            with open(os.path.join(folder, "config.json"), encoding="utf-8") as f:
                state["vocab"] = json.load(f)["vocab_size"]
        return run_shape(system, state["vocab"], n, length, float(words[2]))
    if "tokenizer" not in state and not hasattr(system, "encode"):
        state["tokenizer"] = Tokenizer(folder)
    return run_lines(system, state.get("tokenizer"), words[1], words[2])


def serve(name, folder, threads, once):
    cache = os.path.join(os.environ["ILK_BENCH_CACHE"], "graphs")
    os.makedirs(cache, exist_ok=True)
    system = SYSTEMS[name](folder, threads, cache)
    if once is not None:
        import numpy as np
        if hasattr(system, "encode"):
            v = system.encode([once])[0]
        else:
            ids = np.array([Tokenizer(folder).encode([once])[0]], np.int32)
            v = system.run(ids, np.ones_like(ids))[0]
        print(json.dumps({"first": float(v[0]), "peak_mb": peak_mb()}), flush=True)
        os._exit(0)  # a peer is not charged for taking itself apart
    state = {}
    for line in sys.stdin:
        print(json.dumps(answer(system, folder, line, state)), flush=True)


# ---------------------------------------------------------------- versions, vectors to search, their peers

def versions():
    from importlib import metadata
    for name in ("onnxruntime", "openvino", "tokenizers", "numpy", "torch", "transformers", "sentence-transformers",
                 "faiss-cpu"):
        try:
            print(name, metadata.version(name))
        except metadata.PackageNotFoundError:
            pass


def make_vectors(folder, n=100000, n_queries=256, dim=384):
    """A mixture of 200 centres in a 64-dimensional subspace and noise, unit length; queries from the same mixture."""
    import numpy as np
    r = np.random.default_rng(7)
    centres, basis = r.standard_normal((200, 64)), r.standard_normal((64, dim)) / 8
    x = centres[r.integers(0, 200, n + n_queries)] + 0.7 * r.standard_normal((n + n_queries, 64))
    x = (x @ basis + 0.5 * r.standard_normal((n + n_queries, dim))).astype(np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    x[:n].tofile(os.path.join(folder, "base.f32"))
    x[n:].tofile(os.path.join(folder, "queries.f32"))
    np.argpartition(-(x[n:] @ x[:n].T), 10, 1)[:, :10].astype(np.int32).tofile(os.path.join(folder, "exact.i32"))


def load_vectors(folder):
    import numpy as np
    return (np.fromfile(os.path.join(folder, f), np.float32).reshape(-1, 384) for f in ("base.f32", "queries.f32"))


def best_qps(search, queries, batch, seconds=2.0):
    best, begin = 0.0, time.perf_counter()
    while time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        for at in range(0, len(queries), batch):
            search(queries[at:at + batch])
            if batch == 1 and at >= 31:
                break
        done = min(len(queries), at + batch)
        best = max(best, done / (time.perf_counter() - start))
    return best


def search_numpy(folder):
    import numpy as np
    base, queries = load_vectors(folder)

    def search(q):
        scores = q @ base.T
        top = np.argpartition(-scores, 10, 1)[:, :10]
        return np.take_along_axis(top, np.argsort(-np.take_along_axis(scores, top, 1), 1), 1)

    print(json.dumps({"one": best_qps(search, queries, 1), "batch": best_qps(search, queries, 256)}), flush=True)


def search_faiss(folder):
    import faiss
    base, queries = load_vectors(folder)
    index = faiss.IndexFlatIP(384)
    index.add(base)
    print(json.dumps({"one": best_qps(lambda q: index.search(q, 10), queries, 1),
                      "batch": best_qps(lambda q: index.search(q, 10), queries, 256)}), flush=True)


def main():
    a = sys.argv[1:]
    if a[0] == "versions":
        versions()
    elif a[0] == "vectors":
        make_vectors(a[1])
    elif a[0] == "numpy":
        search_numpy(a[1])
    elif a[0] == "faiss":
        search_faiss(a[1])
    else:
        serve(a[0], a[1], int(a[2]), a[4] if len(a) > 4 and a[3] == "once" else None)


main()
