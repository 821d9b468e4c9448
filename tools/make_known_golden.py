#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Rows ILKI_KNOWN_GOLDEN of src/embed/known.def for a model whose files are here, by sentence-transformers in float32.

    make_known_golden.py ORG/NAME MODEL_DIR
Prints rows of three kinds: similarities over the planets, the cosine and the first entries over the two texts of learning.
"""
import sys

import sentence_transformers
import torch
from sentence_transformers import SentenceTransformer

PLANETS = ["Which planet is known as the Red Planet?",
           "Venus is often called Earth's twin because of its similar size and proximity.",
           "Mars, known for its reddish appearance, is often referred to as the Red Planet.",
           "Jupiter, the largest planet in our solar system, has a prominent red spot.",
           "Saturn, famous for its rings, is sometimes mistaken for the Red Planet."]
LEARNING = ["What is Deep Learning?", "Deep Learning is..."]


def row(name, group, kind, values):
    text = ", ".join("%.7f" % v for v in values)
    source = f"sentence-transformers {sentence_transformers.__version__}, torch {torch.__version__.split('+')[0]}, float32"
    print(f'ILKI_KNOWN_GOLDEN("{name}", {group}, {kind}, 5e-6, "{source}", {text})')


def main():
    name, folder = sys.argv[1:]
    model = SentenceTransformer(folder, device="cpu")
    query = model.encode_query(PLANETS[:1])
    row(name, "PLANETS", "SIMILARITY", model.similarity(query, model.encode_document(PLANETS[1:]))[0].tolist())
    a, b = (model.encode(t, prompt="", convert_to_tensor=True).double() for t in LEARNING)
    row(name, "LEARNING", "COSINE", [torch.nn.functional.cosine_similarity(a, b, dim=0).item()])
    row(name, "LEARNING", "ENTRIES", (a / a.norm())[:8].tolist())


main()
