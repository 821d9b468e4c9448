# SPDX-License-Identifier: Apache-2.0
"""The peers' graphs, built from a checkpoint's own weights, for peers.py.

ONNX Runtime gets its fused operators, which is what its optimiser makes of an export (attention, skip and layer norm, bias
and GELU); OpenVINO gets its own operations with scaled dot product attention. Texts end in mean pooling and unit length
inside the graph, pictures in the projection and unit length, so ids or pixels go in and unit vectors come out, as with ilk.
The int8 of each is its own: ONNX Runtime's dynamic quantisation (one scale a tensor, signed weights, the faster of its
kinds), nncf's full quantisation of OpenVINO's graph (transformer preset, which smooths outliers) by calibration inputs.

A file of a graph lies in `folder` and is made once; .new is renamed, so that half a graph is none."""
import json
import os


class Checkpoint:
    """config.json and the weights as numpy arrays."""

    def __init__(self, folder):
        import numpy as np
        with open(os.path.join(folder, "config.json"), encoding="utf-8") as f:
            c = json.load(f)
        self.pictures = "vision_config" in c
        xlm_r, c = c["model_type"] == "xlm-roberta", c.get("vision_config", c)
        self.dim, self.heads, self.layers = c["hidden_size"], c["num_attention_heads"], c["num_hidden_layers"]
        self.eps, self.vocab = c.get("layer_norm_eps", 1e-5), c.get("vocab_size", 0)
        self.patch, self.side = c.get("patch_size"), c.get("image_size")
        with open(os.path.join(folder, "model.safetensors"), "rb") as f:
            n = int.from_bytes(f.read(8), "little")
            header = json.loads(f.read(n))
        data = np.memmap(os.path.join(folder, "model.safetensors"), np.uint8, "r", 8 + n)
        self.w = {}
        for name, t in header.items():
            if name != "__metadata__" and t["dtype"] == "F32":
                begin, end = t["data_offsets"]
                name = name.removeprefix("bert.").removeprefix("roberta.").removeprefix("vision_model.")
                self.w[name] = data[begin:end].view(np.float32).reshape(t["shape"])
        if xlm_r:  # its first position is the one behind the pad's
            position = "embeddings.position_embeddings.weight"
            self.w[position] = self.w[position][c["pad_token_id"] + 1:]

    def pair(self, name):
        return self.w[name + ".weight"], self.w[name + ".bias"]


class Onnx:
    """Nodes and constants of a graph."""

    def __init__(self):
        self.nodes, self.inits = [], []

    def const(self, name, a):
        import numpy as np
        from onnx import numpy_helper
        self.inits.append(numpy_helper.from_array(np.array(a, order="C"), name))
        return name

    def node(self, op, ins, outs, ms=False, **attributes):
        from onnx import helper
        self.nodes.append(helper.make_node(op, ins, outs, domain="com.microsoft" if ms else "", **attributes))
        return outs[0]

    def attention(self, c, n, i, x, mask):
        """The fused attention of layer i with its output's product, whose bias comes later."""
        import numpy as np
        ws, bs = zip(*(c.pair(n[k]) for k in "qkv"))
        qkv = self.const(f"qkv{i}", np.concatenate([w.T for w in ws], 1))
        a = self.node("Attention", [x, qkv, self.const(f"qkvb{i}", np.concatenate(bs)), *mask], [f"a{i}"], True,
                      num_heads=c.heads)
        return self.node("MatMul", [a, self.const(f"o{i}", c.pair(n["o"])[0].T)], [f"ao{i}"])

    def skip_norm(self, c, y, x, norm, bias, outs):
        """outs[0] = norm(y + x + bias); a fourth output is the sum before the norm."""
        g, b = c.pair(norm)
        o = outs[0]
        return self.node("SkipLayerNormalization",
                         [y, x, self.const("g" + o, g), self.const("b" + o, b), self.const("c" + o, bias)], outs, True,
                         epsilon=c.eps)

    def save(self, inputs, out, dim, path):
        import onnx
        from onnx import TensorProto, helper
        vector = helper.make_tensor_value_info(out, TensorProto.FLOAT, ["batch", dim])
        graph = helper.make_graph(self.nodes, "encoder", inputs, [vector], self.inits)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)])
        model.ir_version = 8
        onnx.save(model, path + ".new")
        os.replace(path + ".new", path)


def layer_names(i):
    p = f"encoder.layer.{i}."
    return {"q": p + "attention.self.query", "k": p + "attention.self.key", "v": p + "attention.self.value",
            "o": p + "attention.output.dense", "n1": p + "attention.output.LayerNorm", "up": p + "intermediate.dense",
            "down": p + "output.dense", "n2": p + "output.LayerNorm"}


# ---------------------------------------------------------------- ONNX Runtime


def onnx_text(c, path):
    import numpy as np
    from onnx import TensorProto, helper
    g, emb = Onnx(), "embeddings."
    gain, shift = c.pair(emb + "LayerNorm")
    g.node("EmbedLayerNormalization",
           ["ids", "types", g.const("word", c.w[emb + "word_embeddings.weight"]),
            g.const("position", c.w[emb + "position_embeddings.weight"]),
            g.const("type", c.w[emb + "token_type_embeddings.weight"]), g.const("eg", gain), g.const("eb", shift), "mask"],
           ["x0", "mask_index"], True, epsilon=c.eps)
    x = "x0"
    for i in range(c.layers):
        n = layer_names(i)
        a = g.attention(c, n, i, x, ["mask_index"])
        x = g.skip_norm(c, a, x, n["n1"], c.pair(n["o"])[1], [f"h{i}"])
        w, bias = c.pair(n["up"])
        u = g.node("MatMul", [x, g.const(f"u{i}", w.T)], [f"um{i}"])
        u = g.node("BiasGelu", [u, g.const(f"ub{i}", bias)], [f"ug{i}"], True)
        w, bias = c.pair(n["down"])
        d = g.node("MatMul", [u, g.const(f"d{i}", w.T)], [f"dm{i}"])
        x = g.skip_norm(c, d, x, n["n2"], bias, [f"x{i + 1}"])
    one, two = g.const("one", np.array([1], np.int64)), g.const("two", np.array([2], np.int64))
    g.node("Cast", ["mask"], ["m"], to=TensorProto.FLOAT)
    g.node("Unsqueeze", ["m", two], ["m3"])
    g.node("Mul", [x, "m3"], ["xm"])
    g.node("ReduceSum", ["xm", one], ["sum"], keepdims=0)
    g.node("ReduceSum", ["m", one], ["count"], keepdims=1)
    g.node("Div", ["sum", "count"], ["mean"])
    g.node("LpNormalization", ["mean"], ["vector"], axis=-1, p=2)
    g.save([helper.make_tensor_value_info(k, TensorProto.INT32, ["batch", "tokens"]) for k in ("ids", "types", "mask")],
           "vector", c.dim, path)


def vit_names(i):
    p = f"encoder.layers.{i}."
    return {"q": p + "self_attn.q_proj", "k": p + "self_attn.k_proj", "v": p + "self_attn.v_proj",
            "o": p + "self_attn.out_proj", "n1": p + "layer_norm1", "up": p + "mlp.fc1", "down": p + "mlp.fc2",
            "n2": p + "layer_norm2"}


def onnx_picture(c, path):
    import numpy as np
    from onnx import TensorProto, helper
    g, p, emb = Onnx(), c.patch, "embeddings."
    one = g.const("one", np.array([1], np.int64))
    g.node("Conv", ["pixels", g.const("patches", c.w[emb + "patch_embedding.weight"])], ["grid"], kernel_shape=[p, p],
           strides=[p, p])
    g.node("Reshape", ["grid", g.const("flat", np.array([0, c.dim, -1], np.int64))], ["rows"])
    g.node("Transpose", ["rows"], ["patch_rows"], perm=[0, 2, 1])
    g.node("Shape", ["pixels"], ["batch"], start=0, end=1)
    g.node("Concat", ["batch", one, g.const("dim", np.array([c.dim], np.int64))], ["class_shape"], axis=0)
    g.node("Expand", [g.const("class", c.w[emb + "class_embedding"].reshape(1, 1, -1)), "class_shape"], ["class_row"])
    g.node("Concat", ["class_row", "patch_rows"], ["all_rows"], axis=1)
    g.node("Add", ["all_rows", g.const("position", c.w[emb + "position_embedding.weight"][None])], ["placed"])
    x = onnx_norm(g, c, "placed", "pre_layrnorm", "x0")
    y = onnx_norm(g, c, x, vit_names(0)["n1"], "y0")
    for i in range(c.layers):
        n = vit_names(i)
        a = g.attention(c, n, i, y, [])
        y = g.skip_norm(c, a, x, n["n2"], c.pair(n["o"])[1], [f"h{i}", "", "", f"s{i}"])
        w, bias = c.pair(n["up"])
        u = g.node("MatMul", [y, g.const(f"u{i}", w.T)], [f"um{i}"])
        u = g.node("Add", [u, g.const(f"ub{i}", bias)], [f"ua{i}"])
        u = g.node("QuickGelu", [u], [f"ug{i}"], True, alpha=1.702)
        w, bias = c.pair(n["down"])
        d = g.node("MatMul", [u, g.const(f"d{i}", w.T)], [f"dm{i}"])
        after = vit_names(i + 1)["n1"] if i + 1 < c.layers else "post_layernorm"
        y = g.skip_norm(c, d, f"s{i}", after, bias, [f"y{i + 1}", "", "", f"x{i + 1}"])
        x = f"x{i + 1}"
    g.node("Gather", [y, g.const("first", np.array(0, np.int64))], ["pooled"], axis=1)
    w = c.w["visual_projection.weight"]
    g.node("MatMul", ["pooled", g.const("projection", w.T)], ["projected"])
    g.node("LpNormalization", ["projected"], ["vector"], axis=-1, p=2)
    g.save([helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 3, c.side, c.side])], "vector", w.shape[0],
           path)


def onnx_norm(g, c, x, name, out):
    gain, shift = c.pair(name)
    return g.node("LayerNormalization", [x, g.const("g" + out, gain), g.const("b" + out, shift)], [out], axis=-1,
                  epsilon=c.eps)


def onnx_graph(folder, checkpoint, int8):
    """The path of the graph, made where there is none."""
    path = os.path.join(folder, "onnx.onnx")
    if not os.path.exists(path):
        c = Checkpoint(checkpoint)
        (onnx_picture if c.pictures else onnx_text)(c, path)
    if not int8:
        return path
    small = os.path.join(folder, "onnx-int8.onnx")
    if not os.path.exists(small):
        from onnx import TensorProto
        from onnxruntime.quantization import QuantType, quantize_dynamic
        quantize_dynamic(path, small + ".new", op_types_to_quantize=["MatMul", "Attention"], weight_type=QuantType.QInt8,
                         extra_options={"DefaultTensorType": TensorProto.FLOAT})
        os.replace(small + ".new", small)
    return small


# ---------------------------------------------------------------- OpenVINO

class Ov:
    """OpenVINO's operations over a checkpoint's weights."""

    def __init__(self, c):
        from openvino import opset13
        self.c, self.op = c, opset13

    def const(self, a):
        import numpy as np
        return self.op.constant(np.array(a, order="C"))

    def norm(self, x, name):
        g, b = self.c.pair(name)
        x = self.op.mvn(x, self.const([-1]), True, self.c.eps, "inside_sqrt")
        return self.op.add(self.op.multiply(x, self.const(g)), self.const(b))

    def linear(self, x, name):
        w, b = self.c.pair(name)
        return self.op.add(self.op.matmul(x, self.const(w), False, True), self.const(b))

    def attention(self, x, n, bias):
        op, split = self.op, self.const([0, 0, self.c.heads, self.c.dim // self.c.heads])
        order = self.const([0, 2, 1, 3])
        q, k, v = (op.transpose(op.reshape(self.linear(x, n[p]), split, True), order) for p in "qkv")
        a = op.scaled_dot_product_attention(q, k, v, *bias)
        return self.linear(op.reshape(op.transpose(a, order), self.const([0, 0, self.c.dim]), True), n["o"])


def openvino_text(c):
    import numpy as np
    import openvino as ov
    g = Ov(c)
    op, const, emb = g.op, g.const, "embeddings."
    ids, mask = (op.parameter([-1, -1], np.int32, name=n) for n in ("ids", "mask"))
    zero = const(0)
    n_tokens = op.gather(op.shape_of(ids), const(1), zero)
    x = op.gather(const(c.w[emb + "word_embeddings.weight"]), ids, zero)
    positions = op.range(zero, n_tokens, const(1), output_type="i64")
    x = op.add(x, op.gather(const(c.w[emb + "position_embeddings.weight"]), positions, zero))
    x = g.norm(op.add(x, const(c.w[emb + "token_type_embeddings.weight"][0])), emb + "LayerNorm")
    m = op.convert(mask, np.float32)
    bias = op.multiply(op.subtract(m, const(np.float32(1))), const(np.float32(1e30)))
    bias = op.unsqueeze(bias, const([1, 2]))
    for i in range(c.layers):
        n = layer_names(i)
        x = g.norm(op.add(g.attention(x, n, [bias]), x), n["n1"])
        u = op.gelu(g.linear(x, n["up"]), "erf")
        x = g.norm(op.add(g.linear(u, n["down"]), x), n["n2"])
    total = op.reduce_sum(op.multiply(x, op.unsqueeze(m, const([2]))), const([1]))
    mean = op.divide(total, op.reduce_sum(m, const([1]), True))
    return ov.Model([op.normalize_l2(mean, const([1]), 1e-12, "max")], [ids, mask], "text")


def openvino_picture(c):
    import numpy as np
    import openvino as ov
    g = Ov(c)
    op, const, emb = g.op, g.const, "embeddings."
    pixels = op.parameter([-1, 3, c.side, c.side], np.float32, name="pixels")
    x = op.convolution(pixels, const(c.w[emb + "patch_embedding.weight"]), [c.patch] * 2, [0, 0], [0, 0], [1, 1])
    x = op.transpose(op.reshape(x, const([0, c.dim, -1]), True), const([0, 2, 1]))
    batch = op.gather(op.shape_of(pixels), const([0]), const(0))
    row = op.broadcast(const(c.w[emb + "class_embedding"].reshape(1, 1, -1)),
                       op.concat([batch, const([1]), const([c.dim])], 0))
    x = op.add(op.concat([row, x], 1), const(c.w[emb + "position_embedding.weight"][None]))
    x = g.norm(x, "pre_layrnorm")
    for i in range(c.layers):
        n = vit_names(i)
        x = op.add(g.attention(g.norm(x, n["n1"]), n, []), x)
        u = g.linear(g.norm(x, n["n2"]), n["up"])
        u = op.multiply(u, op.sigmoid(op.multiply(u, const(np.float32(1.702)))))
        x = op.add(g.linear(u, n["down"]), x)
    x = g.norm(op.gather(x, const(0), const(1)), "post_layernorm")
    x = op.matmul(x, const(c.w["visual_projection.weight"]), False, True)
    return ov.Model([op.normalize_l2(x, const([1]), 1e-12, "max")], [pixels], "pictures")


def openvino_graph(folder, checkpoint, int8, calibration):
    """The path of the graph, made where there is none; calibration() gives nncf's inputs."""
    import openvino as ov
    path = os.path.join(folder, "openvino.xml")
    if not os.path.exists(path):
        c = Checkpoint(checkpoint)
        save_openvino((openvino_picture if c.pictures else openvino_text)(c), path)
    if not int8:
        return path
    small = os.path.join(folder, "openvino-int8.xml")
    if not os.path.exists(small):
        import nncf
        inputs = calibration()
        save_openvino(nncf.quantize(ov.Core().read_model(path), nncf.Dataset(inputs), subset_size=len(inputs),
                                    model_type=nncf.ModelType.TRANSFORMER), small)
    return small


def save_openvino(model, path):
    import openvino as ov
    stem = path.removesuffix(".xml")
    ov.save_model(model, stem + ".new.xml", compress_to_fp16=False)
    os.replace(stem + ".new.bin", stem + ".bin")
    os.replace(stem + ".new.xml", path)
