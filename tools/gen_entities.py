#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes src/text/entities_gen.c, the names of HTML's characters as Python's html.unescape knows them, and
tests/fixtures/clean/cases.json, what open_clip's cleaning makes of texts (its ftfy apart, which is not done).

    gen_entities.py [TREE]
"""
import html
import html.entities
import json
import os
import random
import string
import sys

TREE = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")


def unescaped(text):
    return html.unescape(html.unescape(text)).strip()


def whitespace(text):
    return " ".join(unescaped(text).split()).strip()


def canonicalize(text):
    text = unescaped(text).replace("_", " ").translate(str.maketrans("", "", string.punctuation)).lower()
    return " ".join(text.split()).strip()


def table():
    pool, at = b"", []
    for name, text in sorted((n.encode(), t.encode()) for n, t in html.entities.html5.items()):
        at.append(len(pool))
        pool += name + b"\0" + text + b"\0"
    assert len(pool) < 1 << 16
    lines = ["    " + ", ".join(map(str, pool[i:i + 24])) + "," for i in range(0, len(pool), 24)]
    rows = ["    " + ", ".join(map(str, at[i:i + 16])) + "," for i in range(0, len(at), 16)]
    return ("/* SPDX-License-Identifier: Apache-2.0\n * Written by tools/gen_entities.py: names in the order of their bytes, each "
            "followed by its UTF-8; where each begins. */\n#include \"text/clean.h\"\n\n/* clang-format off */\n"
            "const uint8_t ilki_text_entities[] = {\n" + "\n".join(lines) + "\n};\n"
            "const uint16_t ilki_text_entity_at[] = {\n" + "\n".join(rows) + "\n};\n"
            "const size_t ilki_text_n_entities = %d;\n/* clang-format on */\n" % len(at))


def cases():
    rng = random.Random(6)
    names = sorted(html.entities.html5)
    texts = ["", " ", "plain", "a  b\t\nc", "&amp;", "&amp;amp;", "&amp;lt;b&amp;gt;", "&lt", "&ltx", "&notit;", "&notin;",
             "&", "&;", "&#;", "&#x;", "&#65", "&#x41;b", "&#0;", "&#13;x", "&#128;", "&#x9f;", "&#xd800;", "&#x110000;",
             "&#99999999999999999999;", "&#11;x", "&#xfdd0;x", "&#x1fffe;", "AT&T", "a&b;c", "&CounterClockwiseContourIntegral;",
             "&CounterClockwiseContourIntegralx", "x&nbsp;y", "\u00a0x\u3000y\u2028", "\x1cq\x85", "caf&eacute;", "&Eacutefoo",
             "snake_case, no? yes!", "A_B", "\u0130stanbul \u00c9T\u00c9", "&fjlig;", "&bne;", "&amp#38;amp;", "&am&amp;p;",
             "&hearts;&hearts", "r\u00e9sum\u00e9 &mdash; 5&ndash;6", "&#x1F600;", "&\u00e9;", "&longname-that-is-no-name-at-all-and-more;"]
    for _ in range(200):
        parts = []
        for _ in range(rng.randint(1, 6)):
            name = rng.choice(names)
            parts.append(rng.choice(["&" + name, "&" + name[:rng.randint(1, len(name))], "&amp;" + name, "&#%d;" % rng.randint(0, 300),
                                     "&#x%x" % rng.randint(0, 0x11000), " ", "x", "&", ";", "_", "\u00e9", "Z"]))
        texts.append("".join(parts))
    return [[t, whitespace(t), canonicalize(t)] for t in texts]


def main():
    with open(os.path.join(TREE, "src", "text", "entities_gen.c"), "w") as f:
        f.write(table())
    folder = os.path.join(TREE, "tests", "fixtures", "clean")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "cases.json"), "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(c) for c in cases()) + "\n]\n")


if __name__ == "__main__":
    main()
