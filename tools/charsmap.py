# SPDX-License-Identifier: Apache-2.0
"""SentencePiece's precompiled map of strings, built by hand: a double array over UTF-8 and the texts it leads to."""
import struct


def _trie(mapping):
    root = {}
    for key, value in mapping.items():
        node = root
        for b in key.encode():
            node = node.setdefault(b, {})
        node[None] = value
    return root


def build(mapping):
    """The bytes of a map {text: replacement}; no key is empty or holds U+0000."""
    texts, at = bytearray(), {}
    for value in mapping.values():
        if value not in at:
            at[value] = len(texts)
            texts += value.encode() + b"\0"
    units, used, low = {}, {0}, 1
    todo = [(0, 0, _trie(mapping))]  # place, label, node
    for place, label, node in todo:
        labels = [0 if b is None else b for b in node]
        while low in used:
            low += 1
        base = low
        while any((base ^ b) in used or (base ^ b) == 0 for b in [*labels, 0]):
            base += 1
        used.add(base)  # also where no text ends here: each node has a base of its own
        used.update(base ^ b for b in labels)
        assert place ^ base < 1 << 21
        units[place] = (place ^ base) << 10 | (None in node) << 8 | label
        for b, child in node.items():
            if b is None:
                units[base] = 1 << 31 | at[child]
            else:
                todo.append((base ^ b, b, child))
    size = (max(used) // 256 + 1) * 256
    return struct.pack(f"<I{size}I", size * 4, *(units.get(i, 0) for i in range(size))) + bytes(texts)
