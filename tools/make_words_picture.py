#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/fixtures/ocr/sign.png: words as a screenshot has them, for tesseract to read.

  make_words_picture.py         needs Pillow
"""
import os

from PIL import Image, ImageDraw, ImageFont

OUT = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tests", "fixtures", "ocr")


def main():
    os.makedirs(OUT, exist_ok=True)
    im = Image.new("L", (640, 160), 255)
    draw, font = ImageDraw.Draw(im), ImageFont.load_default(36)
    draw.text((20, 20), "The red bicycle is lovely.", 0, font)
    draw.text((20, 90), "Seven dogs in the market", 0, font)
    im.quantize(16).save(os.path.join(OUT, "sign.png"), optimize=True)


if __name__ == "__main__":
    main()
