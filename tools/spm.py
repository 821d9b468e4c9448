# SPDX-License-Identifier: Apache-2.0
"""Models of SentencePiece, as far as tests need them: protobuf read and written by hand."""
import struct


def _varint(data, at):
    value = shift = 0
    while True:
        b = data[at]
        at += 1
        value |= (b & 127) << shift
        shift += 7
        if b < 128:
            return value, at


def _fields(data):
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(data, at)
        else:
            n = {1: 8, 5: 4}.get(kind)
            if n is None:
                n, at = _varint(data, at)
            value, at = data[at:at + n], at + n
        yield key >> 3, value


def read(data):
    """{"pieces": [(text, score, type)], "charsmap": bytes, "model_type", "unk_id", "byte_fallback", …}"""
    m = {"pieces": [], "charsmap": b"", "model_type": 1, "unk_id": 0, "byte_fallback": False, "add_dummy_prefix": True}
    for field, value in _fields(data):
        if field == 1:
            f = dict(_fields(value))
            m["pieces"].append((f.get(1, b"").decode(), struct.unpack("<f", f.get(2, b"\0" * 4))[0], f.get(3, 1)))
        elif field == 2:
            f = dict(_fields(value))
            m |= {"model_type": f.get(3, 1), "unk_id": f.get(40, 0), "byte_fallback": bool(f.get(35, 0))}
        elif field == 3:
            f = dict(_fields(value))
            m |= {"charsmap": f.get(2, b""), "add_dummy_prefix": bool(f.get(3, 1))}
    return m


def _put(field, value):
    def varint(v):
        out = bytearray()
        while v > 127:
            out.append(v & 127 | 128)
            v >>= 7
        return bytes([*out, v])

    if isinstance(value, int):
        return varint(field << 3) + varint(value)
    if isinstance(value, float):
        return varint(field << 3 | 5) + struct.pack("<f", value)
    return varint(field << 3 | 2) + varint(len(value)) + value


def write(pieces, charsmap=b"", model_type=1, unk_id=0, byte_fallback=False):
    out = b"".join(_put(1, _put(1, t.encode()) + _put(2, float(s)) + (_put(3, k) if k != 1 else b"")) for t, s, k in pieces)
    return (out + _put(2, _put(3, model_type) + _put(35, int(byte_fallback)) + _put(40, unk_id))
            + _put(3, _put(1, b"own") + (_put(2, charsmap) if charsmap else b"")))
