#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/fixtures/picture-files and tests/fuzz/corpus/pictures: small odd, broken and lying pictures, and expected.txt
with what Pillow's Image.open, ImageOps.exif_transpose and convert("RGB") make of each.

usage: make_picture_files.py [TREE [KIND ...]]      needs Pillow and numpy, pillow_heif for HEIC

A line of expected.txt: file, then `ok WIDTH HEIGHT SHA256-OF-THE-PIXELS`, or `bad`, or `limit`; or `near MOST WIDTH HEIGHT`
with the pixels in FILE.rgb: where another version of the decoder rounds another way. With kinds (heif, avif) the files of
these alone are made, and the other lines stay.
"""
import hashlib
import io
import os
import random
import struct
import sys
import warnings
import zlib

import numpy as np
from PIL import Image, ImageOps

TREE = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
OUT = os.path.join(TREE, "tests", "fixtures", "picture-files")
CORPUS = os.path.join(TREE, "tests", "fuzz", "corpus", "pictures")
W, H = 13, 9
rng = random.Random(6)
files = {}
# Where we refuse on purpose what Pillow takes, or for another reason than it gives.
OURS = {"png-bomb.png": "limit", "jpeg-bomb.jpg": "limit", "jpeg-scans.jpg": "limit", "gif-bomb.gif": "limit",
        "bmp-bomb.bmp": "limit", "tiff-bomb.tif": "limit", "pnm-bomb.pbm": "limit", "avif-bomb.avif": "limit", "heif-bomb.heic": "limit",
        "png-taller.png": "bad"}  # fewer rows than told are a truncated file, as in JPEG

# ---------------------------------------------------------------- PNG, written by hand: every type, depth and pass

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def chunk(name, data=b"", crc=0):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data) ^ crc)


def row_bytes(samples, depth):
    if depth == 16:
        return b"".join(struct.pack(">H", s) for s in samples)
    bits = "".join(format(s, "0%db" % depth) for s in samples)
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8))


def filtered(rows, bpp):
    out, above = b"", bytes(len(rows[0]))
    for i, row in enumerate(rows):
        kind, line = i % 5, bytearray([i % 5])
        for x, v in enumerate(row):
            a = row[x - bpp] if x >= bpp else 0
            b, c = above[x], above[x - bpp] if x >= bpp else 0
            p = a + b - c
            paeth = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            line.append((v - (0, a, b, (a + b) // 2, paeth)[kind]) & 255)
        out, above = out + bytes(line), row
    return out


def png(kind, depth, interlaced=False, before=b"", after=b"", end=chunk(b"IEND"), size=None, top=None, crc=0,
        n_palette=None, w=W, h=H, image=None):
    n = CHANNELS[kind]
    top = top or (1 << depth) - 1
    image = image or [[[rng.randint(0, top) for _ in range(n)] for _ in range(w)] for _ in range(h)]
    passes = ADAM7 if interlaced else [(0, 0, 1, 1)]
    data = b""
    for x0, y0, dx, dy in passes:
        rows = [row_bytes([s for px in line[x0::dx] for s in px], depth) for line in image[y0::dy]]
        if rows and rows[0]:
            data += filtered(rows, max(1, n * depth // 8))
    head = struct.pack(">IIBBBBB", *(size or (w, h)), depth, kind, 0, 0, int(interlaced))
    palette = b""
    if kind == 3:
        palette = chunk(b"PLTE", bytes(rng.randint(0, 255) for _ in range(3 * (n_palette or 1 << depth))))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + palette + before + chunk(b"IDAT", zlib.compress(data), crc) +
            after + end)


def exif(orientation, big=False, kind=3, count=1):
    e = ">" if big else "<"
    value = {1: "B3x", 3: "H2x", 4: "I"}[kind]
    return ((b"MM\0*" if big else b"II*\0") +
            struct.pack(e + "IH", 8, 2) + struct.pack(e + "HHIHH", 0x0100, 3, 1, 7, 0) +
            struct.pack(e + "HHI" + value, 0x0112, kind, count, orientation) + struct.pack(e + "I", 0))


def make_png():
    for kind, depths in {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}.items():
        for depth in depths:
            name = "png-%s%d" % ({0: "gray", 2: "rgb", 3: "palette", 4: "grayalpha", 6: "rgba"}[kind], depth)
            files[name + ".png"] = png(kind, depth)
            files[name + "-interlaced.png"] = png(kind, depth, True)
    files["png-gray16-small.png"] = png(0, 16, top=400)
    files["png-gray8-trns.png"] = png(0, 8, before=chunk(b"tRNS", b"\0\x10"))
    files["png-rgb8-trns.png"] = png(2, 8, before=chunk(b"tRNS", b"\0\x10\0\x20\0\x30"))
    files["png-palette8-trns.png"] = png(3, 8, before=chunk(b"tRNS", bytes(range(200))))
    files["png-palette4-short.png"] = png(3, 4, n_palette=9)
    files["png-gamma.png"] = png(2, 8, before=chunk(b"gAMA", struct.pack(">I", 100000)))
    files["png-one.png"] = png(2, 8, w=1, h=1)
    files["png-column-interlaced.png"] = png(2, 8, True, w=1, h=11)
    for o in range(1, 9):
        files["png-exif%d.png" % o] = png(2, 8, before=chunk(b"eXIf", exif(o, o % 2 == 1)), w=5, h=3)
    files["png-exif-behind.png"] = png(2, 8, after=chunk(b"eXIf", exif(6)), w=5, h=3)
    files["png-exif9.png"] = png(2, 8, before=chunk(b"eXIf", exif(9)), w=5, h=3)
    # tests/api/pictures.c has the same pixels
    files["png-pattern.png"] = png(2, 8, w=12, h=12, image=[[[(i * 7 + i // 36 * 5) % 256 for i in range(at, at + 3)]
                                                              for at in range(y * 36, y * 36 + 36, 3)]
                                                             for y in range(12)])
    whole = files["png-rgb8.png"]
    files["png-garbage-behind.png"] = whole + b"garbage"
    files["png-no-end.png"] = png(2, 8, end=b"")
    files["png-truncated.png"] = whole[:150]
    files["png-header-alone.png"] = whole[:33]
    files["png-half-header.png"] = whole[:20]
    files["png-no-data.png"] = whole[:33] + chunk(b"IEND")
    files["png-no-palette.png"] = png(3, 8)[:33] + png(2, 8)[33:]
    files["png-zero.png"] = png(2, 8, size=(0, 9))
    files["png-bomb.png"] = png(0, 1, size=(60000, 60000))
    files["png-taller.png"] = png(2, 8, size=(W, H + 5))
    files["png-depth3.png"] = whole[:24] + b"\3" + whole[25:29] + struct.pack(">I", zlib.crc32(
        whole[12:24] + b"\3" + whole[25:29])) + whole[33:]
    state = rng.getstate()  # so that the files behind stay what they are
    rng.seed(8)
    for name, kind, depth, top, key in (("bits", 0, 1, 1, b"\0\0"), ("bits-white", 0, 1, 1, b"\0\1"), ("gray2", 0, 2, 3, b"\0\0"),
                                        ("gray8", 0, 8, 5, b"\0\3"), ("gray8-far", 0, 8, 255, b"\1\3"), ("gray16", 0, 16, 9, b"\1\0"),
                                        ("rgb8", 2, 8, 1, b"\0\1\0\0\0\1"), ("rgb16", 2, 16, 300, b"\0\1\0\0\0\1"),
                                        ("palette", 3, 2, 3, b"\xff\0\xff"), ("palette-two", 3, 2, 3, b"\0\0\xff")):
        files["png-key-%s.png" % name] = png(kind, depth, top=top, before=chunk(b"tRNS", key))
    rng.setstate(state)


# ---------------------------------------------------------------- JPEG, by Pillow, then changed

def pixels(w, h, n=3):
    """Smooth with some noise, so that coefficients of every size occur."""
    y, x = np.mgrid[0:h, 0:w]
    planes = [127 + 100 * np.sin(x / (3.0 + c) + c) * np.cos(y / (4.0 + c)) for c in range(n)]
    noise = np.array([rng.randint(-20, 20) for _ in range(w * h * n)]).reshape(h, w, n)
    a = np.clip(np.stack(planes, -1) + noise, 0, 255).astype(np.uint8)
    return a[:, :, 0] if n == 1 else a


def jpeg(w=37, h=23, n=3, mode=None, **how):
    b = io.BytesIO()
    Image.fromarray(pixels(w, h, n), mode).save(b, "JPEG", **how)
    return b.getvalue()


def segments(data):
    """[(marker, begin, end)] up to the first scan."""
    at, out = 2, []
    while True:
        n = struct.unpack(">H", data[at + 2:at + 4])[0]
        out.append((data[at + 1], at, at + 2 + n))
        if data[at + 1] == 0xda:
            return out
        at += 2 + n


def without(data, marker):
    for m, a, b in segments(data):
        if m == marker:
            return data[:a] + data[b:]
    raise ValueError("no such marker")


def patched(data, marker, offset, to):
    for m, a, _ in segments(data):
        if m == marker:
            return data[:a + offset] + to + data[a + offset + len(to):]
    raise ValueError("no such marker")


def make_jpeg():
    files["jpeg-gray.jpg"] = jpeg(n=1)
    for i, name in enumerate(("444", "422", "420")):
        files["jpeg-%s.jpg" % name] = jpeg(subsampling=i, quality=85)
        files["jpeg-%s-progressive.jpg" % name] = jpeg(subsampling=i, progressive=True)
    files["jpeg-gray-progressive.jpg"] = jpeg(n=1, progressive=True)
    files["jpeg-restart.jpg"] = jpeg(restart_marker_blocks=2)
    files["jpeg-low.jpg"] = jpeg(quality=3)
    files["jpeg-one.jpg"] = jpeg(1, 1)
    cmyk = jpeg(n=4, mode="CMYK")
    files["jpeg-cmyk.jpg"] = cmyk
    files["jpeg-cmyk-progressive.jpg"] = jpeg(n=4, mode="CMYK", progressive=True)
    files["jpeg-ycck.jpg"] = patched(cmyk, 0xee, 4 + 11, b"\2")
    files["jpeg-cmyk-bare.jpg"] = without(cmyk, 0xee)
    bare = without(jpeg(), 0xe0)
    files["jpeg-bare.jpg"] = bare
    files["jpeg-adobe-rgb.jpg"] = bare[:2] + b"\xff\xee\0\x0eAdobe\0d\0\0\0\0\0" + bare[2:]
    for o in range(1, 9):
        files["jpeg-exif%d.jpg" % o] = jpeg(19, 11, exif=b"Exif\0\0" + exif(o, o % 2 == 0, (3, 4)[o % 3 == 0]))
    files["jpeg-exif-byte.jpg"] = jpeg(19, 11, exif=b"Exif\0\0" + exif(6, kind=1))
    files["jpeg-exif-cut.jpg"] = jpeg(19, 11, exif=b"Exif\0\0" + exif(6)[:20])
    whole, progressive = files["jpeg-420.jpg"], files["jpeg-420-progressive.jpg"]
    files["jpeg-no-end.jpg"] = whole[:-2]
    files["jpeg-progressive-no-end.jpg"] = progressive[:-2]
    files["jpeg-truncated.jpg"] = whole[:-200]
    files["jpeg-progressive-truncated.jpg"] = progressive[:-200]
    files["jpeg-header-alone.jpg"] = whole[:300]
    files["jpeg-magic-alone.jpg"] = whole[:3]
    files["jpeg-garbage-behind.jpg"] = whole + b"garbage"
    files["jpeg-damaged.jpg"] = whole[:-300] + b"\x12\x34\x56" + whole[-297:]
    files["jpeg-zero.jpg"] = patched(whole, 0xc0, 5, b"\0\0")
    files["jpeg-bomb.jpg"] = patched(whole, 0xc0, 5, b"\xff\0\xff\0")
    files["jpeg-taller.jpg"] = patched(whole, 0xc0, 5, b"\0\x80")
    files["jpeg-12bit.jpg"] = patched(whole, 0xc0, 4, b"\x0c")
    small = jpeg(8, 8, 1, progressive=True)
    last = small.rindex(b"\xff\xda")
    files["jpeg-scans.jpg"] = small[:last] + small[last:-2] * 520 + b"\xff\xd9"


# ---------------------------------------------------------------- the others

def saved(kind, image, **how):
    b = io.BytesIO()
    image.save(b, kind, **how)
    return b.getvalue()


def make_webp():
    rgb, rgba = Image.fromarray(pixels(37, 23)), Image.fromarray(pixels(37, 23, 4), "RGBA")
    files["webp-lossy.webp"] = saved("WEBP", rgb, quality=60)
    files["webp-lossless.webp"] = saved("WEBP", rgb, lossless=True)
    files["webp-lossy-alpha.webp"] = saved("WEBP", rgba, quality=60)
    files["webp-lossless-alpha.webp"] = saved("WEBP", rgba, lossless=True, exact=True)
    files["webp-moving.webp"] = saved("WEBP", rgba, save_all=True, append_images=[rgba.rotate(180)], lossless=True)
    for o in (3, 6):
        files["webp-exif%d.webp" % o] = saved("WEBP", rgb, lossless=True, exif=b"Exif\0\0" + exif(o))
    whole = files["webp-lossy.webp"]
    files["webp-truncated.webp"] = whole[:-100]
    files["webp-header-alone.webp"] = whole[:30]
    files["webp-half-header.webp"] = whole[:18]


def gif(screen, frame, indices, bits=3, colors=8, transparent=None, interlaced=False, local=False):
    """One frame, (left, top, width, height); codes are cleared so often that they never grow."""
    palette = bytes(rng.randint(0, 255) for _ in range(3 * colors))
    flags = 0x80 | (colors.bit_length() - 2)
    data = b"GIF89a" + struct.pack("<HHBBB", *screen, 0 if local else flags, 5, 0) + (b"" if local else palette)
    if transparent is not None:
        data += b"!\xf9\x04" + bytes([1, 0, 0, transparent]) + b"\0"
    data += b"!\xfe\x03abc\0," + struct.pack("<HHHHB", *frame, (flags if local else 0) | (0x40 if interlaced else 0))
    codes = []
    for at in range(0, len(indices), (1 << bits) - 2):
        codes += [1 << bits] + indices[at:at + (1 << bits) - 2]
    codes.append((1 << bits) + 1)
    stream = sum(c << (i * (bits + 1)) for i, c in enumerate(codes))
    stream = stream.to_bytes((len(codes) * (bits + 1) + 7) // 8, "little")
    blocks = b"".join(bytes([len(stream[i:i + 200])]) + stream[i:i + 200] for i in range(0, len(stream), 200))
    return data + (palette if local else b"") + bytes([bits]) + blocks + b"\0;"


def make_gif():
    def some(n, top=8):
        return [rng.randint(0, top - 1) for _ in range(n)]
    rgb = Image.fromarray(pixels(61, 53))
    files["gif-256.gif"] = saved("GIF", rgb.quantize(256, dither=Image.Dither.NONE))
    files["gif-16-interlaced.gif"] = saved("GIF", rgb.quantize(16), interlace=True)
    files["gif-gray.gif"] = saved("GIF", rgb.convert("L"))
    files["gif-flat.gif"] = saved("GIF", Image.new("P", (400, 300), 1), optimize=False)
    files["gif-moving.gif"] = saved("GIF", rgb.quantize(64), save_all=True, append_images=[rgb.rotate(180).quantize(64)])
    files["gif-hand.gif"] = gif((13, 9), (0, 0, 13, 9), some(117))
    files["gif-hand-interlaced.gif"] = gif((13, 9), (0, 0, 13, 9), some(117), interlaced=True)
    files["gif-local.gif"] = gif((13, 9), (0, 0, 13, 9), some(117), local=True)
    files["gif-smaller.gif"] = gif((13, 9), (2, 3, 5, 4), some(20))
    files["gif-smaller-transparent.gif"] = gif((13, 9), (2, 3, 5, 4), some(20), transparent=4)
    files["gif-larger.gif"] = gif((4, 4), (2, 3, 5, 4), some(20))
    files["gif-short-palette.gif"] = gif((13, 9), (0, 0, 13, 9), some(117), colors=4)
    files["gif-one.gif"] = gif((1, 1), (0, 0, 1, 1), [3])
    whole = files["gif-hand.gif"]
    files["gif-truncated.gif"] = whole[:-20]
    files["gif-header-alone.gif"] = whole[:13]
    files["gif-taller.gif"] = gif((13, 9), (0, 0, 13, 9), some(100))
    files["gif-bad-code.gif"] = gif((13, 9), (0, 0, 13, 9), some(50) + [14] + some(66))
    files["gif-bomb.gif"] = gif((65535, 65535), (0, 0, 13, 9), some(117))


def bmp(w, h, bits, rows, palette=b"", header=40, compression=0, colors=0, masks=b"", offset=None):
    info = struct.pack("<IiiHHIIiiII", 40, w, h, 1, bits, compression, len(rows), 0, 0, colors, 0)
    if header == 12:
        info = struct.pack("<IHHHH", 12, w, h, 1, bits)
    info = struct.pack("<I", header) + info[4:] + masks
    info += bytes(max(0, header - len(info)))
    at = 14 + len(info) + len(palette) if offset is None else offset
    return b"BM" + struct.pack("<IHHI", at + len(rows), 0, 0, at) + info + palette + rows


def make_bmp():
    def noise(n):
        return bytes(rng.randint(0, 255) for _ in range(n))
    for bits in (1, 4, 8, 16, 24, 32):
        stride = (13 * bits + 31) // 32 * 4
        palette = noise(4 << bits) if bits <= 8 else b""
        files["bmp-%d.bmp" % bits] = bmp(13, 9, bits, noise(9 * stride), palette)
        files["bmp-%d-down.bmp" % bits] = bmp(13, -9, bits, noise(9 * stride), palette)
    files["bmp-os2.bmp"] = bmp(13, 9, 4, noise(72), noise(48), header=12)
    files["bmp-gray.bmp"] = saved("BMP", Image.fromarray(pixels(13, 9, 1)))
    files["bmp-bilevel.bmp"] = saved("BMP", Image.fromarray(pixels(13, 9, 1)).convert("1"))
    files["bmp-few-colors.bmp"] = bmp(12, 9, 8, noise(108), noise(40), colors=10)
    for name, bits, m in (("565", 16, (0xf800, 0x7e0, 0x1f)), ("555", 16, (0x7c00, 0x3e0, 0x1f)),
                          ("rgba", 32, (0xff, 0xff00, 0xff0000)), ("xbgr", 32, (0xff000000, 0xff0000, 0xff00))):
        alpha = 0xff000000 if name == "rgba" else 0
        files["bmp-%s.bmp" % name] = bmp(12, 9, bits, noise(12 * 9 * bits // 8), header=108, compression=3,
                                         masks=struct.pack("<IIII", *m, alpha))
    files["bmp-565-behind.bmp"] = bmp(12, 9, 16, noise(216), compression=3,
                                      masks=struct.pack("<III", 0xf800, 0x7e0, 0x1f))
    runs = b"\5\1\0\5abcde\0\4\2\0\0" + b"\0\2\3\1\2\7\0\0" + b"\15\3\0\0" * 6
    files["bmp-rle8.bmp"] = bmp(13, 9, 8, runs, noise(1024), compression=1)
    files["bmp-rle4.bmp"] = bmp(13, 9, 4, b"\5\x12\0\5\x34\x56\x70\0\0\0" + b"\15\x9a\0\0" * 8, noise(64),
                                compression=2)
    files["bmp-rle8-short.bmp"] = bmp(13, 9, 8, b"\15\3\0\0" * 5 + b"\0\1", noise(1024), compression=1)
    whole = files["bmp-24.bmp"]
    files["bmp-truncated.bmp"] = whole[:-50]
    files["bmp-header-alone.bmp"] = whole[:40]
    files["bmp-no-palette.bmp"] = files["bmp-8.bmp"][:90]
    files["bmp-zero.bmp"] = bmp(0, 9, 24, b"")
    files["bmp-bomb.bmp"] = bmp(60000, 60000, 1, bytes(64), bytes(8))


def make_pnm():
    def text(n, top):
        return " ".join(str(rng.randint(0, top)) for _ in range(n)).encode()
    def noise(n):
        return bytes(rng.randint(0, 255) for _ in range(n))
    files["pnm-1.pbm"] = b"P1\n# a comment\n13 9\n" + b"".join(rng.choice((b"0", b"1 ", b"1\n")) for _ in range(117))
    files["pnm-2.pgm"] = b"P2 13 9 #c\n255\n" + text(117, 255) + b"\n"
    files["pnm-2-100.pgm"] = b"P2\n13 9\n100\n" + text(117, 100)
    files["pnm-2-1000.pgm"] = b"P2\n13 9\n1000\n" + text(117, 1000)
    files["pnm-3.ppm"] = b"P3\n13 9\n31\n" + text(351, 31)
    files["pnm-4.pbm"] = b"P4\n13 9\n" + noise(18)
    files["pnm-5.pgm"] = b"P5\n13 9\n255\n" + noise(117)
    files["pnm-5-100.pgm"] = b"P5\n13 9\n100\n" + bytes(rng.randint(0, 120) for _ in range(117))
    files["pnm-5-65535.pgm"] = b"P5\n13 9\n65535\n" + b"".join(bytes([0, rng.randint(0, 255)]) for _ in range(117))
    files["pnm-5-1000.pgm"] = b"P5\n13 9\n1000\n" + b"".join(bytes([0, rng.randint(0, 8)]) for _ in range(117))
    files["pnm-6.ppm"] = b"P6\n13 9\n255\n" + noise(351)
    files["pnm-6-1000.ppm"] = b"P6\n13 9\n1000\n" + b"".join(bytes([rng.randint(0, 3), rng.randint(0, 200)])
                                                              for _ in range(351))
    files["pnm-truncated.ppm"] = files["pnm-6.ppm"][:-20]
    files["pnm-plain-truncated.ppm"] = files["pnm-3.ppm"][:300]
    files["pnm-large-sample.pgm"] = b"P2\n3 1\n100\n50 101 7\n"
    files["pnm-letter.pgm"] = b"P2\n3 1\n100\n50 x 7\n"
    files["pnm-zero.pgm"] = b"P5\n0 9\n255\n"
    files["pnm-no-top.pgm"] = b"P5\n3 1\n0\nabc"
    files["pnm-bomb.pbm"] = b"P4\n60000 60000\n" + noise(100)


def tiff(w, h, bits, samples, photo, data, big=False, tile=None, extra=None, planes=False):
    """One strip, or one a plane, or tiles of 16 x 16 whose data stand one behind the other."""
    e = ">" if big else "<"
    tags = [(256, 4, w), (257, 4, h), (258, 3, [bits] * samples), (259, 3, 1), (262, 3, photo), (277, 3, samples)]
    if tile:
        n = len(data) // tile
        tags += [(322, 4, 16), (323, 4, 16), (324, 4, [8 + n * i for i in range(tile)]), (325, 4, [n] * tile)]
    elif planes:
        n = len(data) // samples
        tags += [(273, 4, [8 + n * i for i in range(samples)]), (278, 4, h), (279, 4, [n] * samples), (284, 3, 2)]
    else:
        tags += [(273, 4, 8), (278, 4, h), (279, 4, len(data))]
    if extra is not None:
        tags.append((338, 3, extra))
    at, entries, behind = 8 + len(data), b"", b""
    n_fixed = 2 + 12 * len(tags) + 4
    for tag, kind, value in sorted(tags):
        values = value if isinstance(value, list) else [value]
        packed = b"".join(struct.pack(e + {3: "H", 4: "I"}[kind], v) for v in values)
        entries += struct.pack(e + "HHI", tag, kind, len(values))
        if len(packed) > 4:
            entries += struct.pack(e + "I", at + n_fixed + len(behind))
            behind += packed
        else:
            entries += packed.ljust(4, b"\0")
    return ((b"MM\0*" if big else b"II*\0") + struct.pack(e + "I", at) + data + struct.pack(e + "H", len(tags)) + entries +
            bytes(4) + behind)


def make_tiff():
    def noise(n):
        return bytes(rng.randint(0, 255) for _ in range(n))
    for big in (False, True):
        order = "big" if big else "little"
        files["tiff-rgb16-%s.tif" % order] = tiff(7, 5, 16, 3, 2, noise(210), big)
        files["tiff-gray16-%s.tif" % order] = tiff(7, 5, 16, 1, 1, (b"\0\x70" if big else b"\x70\0") * 18 + noise(34), big)
    for bits in (1, 2, 4, 8):
        files["tiff-white%d.tif" % bits] = tiff(9, 5, bits, 1, 0, noise(5 * ((9 * bits + 7) // 8)))
        files["tiff-black%d.tif" % bits] = tiff(9, 5, bits, 1, 1, noise(5 * ((9 * bits + 7) // 8)))
    files["tiff-tiles.tif"] = tiff(20, 18, 8, 1, 1, noise(1024), tile=4)
    files["tiff-graya.tif"] = tiff(7, 5, 8, 2, 1, noise(70), extra=2)
    files["tiff-zero.tif"] = tiff(0, 5, 8, 1, 1, noise(70))
    files["tiff-bomb.tif"] = tiff(60000, 60000, 1, 1, 1, noise(70))
    files["tiff-taller.tif"] = tiff(7, 500, 8, 1, 1, noise(70))
    rgb, rgba, gray = Image.fromarray(pixels(37, 23)), Image.fromarray(pixels(37, 23, 4), "RGBA"), pixels(37, 23, 1)
    for how in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        files["tiff-rgb-%s.tif" % how] = saved("TIFF", rgb, compression=how)
    files["tiff-rgba.tif"] = saved("TIFF", rgba, compression="tiff_lzw")
    files["tiff-gray.tif"] = saved("TIFF", Image.fromarray(gray), compression="tiff_lzw")
    files["tiff-gray16.tif"] = saved("TIFF", Image.fromarray(gray.astype(np.uint16) * 3))
    files["tiff-bilevel.tif"] = saved("TIFF", Image.fromarray(gray).convert("1"), compression="group4")
    files["tiff-palette.tif"] = saved("TIFF", rgb.quantize(40), compression="tiff_lzw")
    for o in (3, 6):
        files["tiff-exif%d.tif" % o] = saved("TIFF", rgb, tiffinfo={274: o}, compression="tiff_lzw")
    whole = files["tiff-rgb-raw.tif"]
    files["tiff-truncated.tif"] = whole[:-500]
    files["tiff-header-alone.tif"] = whole[:8]
    files["tiff-half-directory.tif"] = whole[:40]
    more = random.Random(7)  # apart, so that the files before and behind stay what they are
    noise = more.randbytes
    files["tiff-cmyk.tif"] = saved("TIFF", Image.frombytes("CMYK", (37, 23), noise(3404)), compression="packbits")
    files["tiff-cmyk16.tif"] = tiff(7, 5, 16, 4, 5, noise(280))
    files["tiff-mixed.tif"] = tiff(7, 5, 8, 4, 2, noise(56) + bytes(8) + noise(76), extra=1)
    files["tiff-mixed16.tif"] = tiff(7, 5, 16, 4, 2, noise(280), extra=1)
    files["tiff-64bit.tif"] = saved("TIFF", Image.frombytes("RGB", (7, 5), noise(105)), compression="packbits", big_tiff=True)
    files["tiff-planes.tif"] = tiff(7, 5, 8, 3, 2, noise(105), planes=True)
    files["tiff-planes-rgba.tif"] = tiff(7, 5, 8, 4, 2, noise(140), extra=2, planes=True)
    files["tiff-planes-taller.tif"] = tiff(7, 500, 8, 3, 2, noise(105), planes=True)


def soft(w, h, c):
    """A smooth picture: what lossy codecs are for."""
    r = np.random.default_rng(w)
    return Image.fromarray(r.integers(0, 256, (5, 6, c), dtype=np.uint8).squeeze()).resize((w, h), Image.Resampling.BICUBIC)


def broken(name):
    kind, end = name.split("-")[0], name.rsplit(".", 1)[1]
    files["%s-truncated.%s" % (kind, end)] = files[name][:-300]
    files["%s-header-alone.%s" % (kind, end)] = files[name][:40]
    at = files[name].index(b"ispe") + 8
    files["%s-bomb.%s" % (kind, end)] = files[name][:at] + struct.pack(">II", 12000, 12000) + files[name][at + 8:]


def make_avif():
    rgb, rgba = soft(61, 47, 3), soft(40, 30, 4)
    for sub in ("4:2:0", "4:2:2", "4:4:4"):
        files["avif-%s.avif" % sub.replace(":", "")] = saved("AVIF", rgb, quality=80, subsampling=sub)
    files["avif-alpha.avif"] = saved("AVIF", rgba, quality=80)
    files["avif-gray.avif"] = saved("AVIF", soft(33, 20, 1), quality=80)
    files["avif-limited.avif"] = saved("AVIF", rgb, quality=80, range="limited")
    for o in range(1, 9):
        exif = Image.Exif()
        exif[0x112] = o
        files["avif-exif%d.avif" % o] = saved("AVIF", rgb, quality=60, exif=exif)
    broken("avif-444.avif")


def dicom(a, photo="MONOCHROME2", window=None, frames=1):
    """Written by hand, explicit little-endian, so that nothing of the day of its making is in it."""
    def element(group, tag, vr, value):
        value = value.encode() if isinstance(value, str) else value
        value += (b"\0" if vr in ("UI", "OW", "OB") else b" ") * (len(value) % 2)
        size = struct.pack("<HI", 0, len(value)) if vr in ("OW", "OB") else struct.pack("<H", len(value))
        return struct.pack("<HH", group, tag) + vr.encode() + size + value

    def short(v):
        return struct.pack("<H", v)
    bits = 12 if a.dtype == np.uint16 else 8
    meta = (element(2, 2, "UI", "1.2.840.10008.5.1.4.1.1.7") + element(2, 3, "UI", "1.2.3") +
            element(2, 0x10, "UI", "1.2.840.10008.1.2.1") + element(2, 0x12, "UI", "1.2.3.4"))
    h, w = a.shape[:2] if frames == 1 else a.shape[1:3]
    rows = [element(8, 0x16, "UI", "1.2.840.10008.5.1.4.1.1.7"), element(8, 0x18, "UI", "1.2.3"),
            element(8, 0x20, "DA", "20240305"), element(8, 0x60, "CS", "CT"), element(0x10, 0x10, "PN", "Doe^Jane"),
            element(0x10, 0x20, "LO", "secret"), element(0x18, 0x15, "CS", "CHEST"),
            element(0x28, 2, "US", short(3 if photo == "RGB" else 1)), element(0x28, 4, "CS", photo)]
    if photo == "RGB":
        rows.append(element(0x28, 6, "US", short(0)))
    if frames > 1:
        rows.append(element(0x28, 8, "IS", str(frames)))
    rows += [element(0x28, 0x10, "US", short(h)), element(0x28, 0x11, "US", short(w)),
             element(0x28, 0x100, "US", short(8 * a.itemsize)), element(0x28, 0x101, "US", short(bits)),
             element(0x28, 0x102, "US", short(bits - 1)), element(0x28, 0x103, "US", short(0))]
    if window:
        rows += [element(0x28, 0x1050, "DS", str(window[0])), element(0x28, 0x1051, "DS", str(window[1]))]
    rows.append(element(0x7fe0, 0x10, "OW", a.tobytes()))
    return bytes(128) + b"DICM" + element(2, 0, "UL", struct.pack("<I", len(meta))) + meta + b"".join(rows)


def make_dicom():
    a = (np.arange(12 * 9, dtype=np.uint16).reshape(9, 12) * 37) % 4096
    files["dicom-window.dcm"] = dicom(a, window=(1000, 800))
    files["dicom-inverse.dcm"] = dicom(a, "MONOCHROME1", window=(1000, 800))
    files["dicom-plain.dcm"] = dicom(a)
    files["dicom-frames.dcm"] = dicom(np.stack([a, a[::-1]]), window=(2000, 4000), frames=2)
    files["dicom-rgb.dcm"] = dicom(pixels(12, 9), "RGB")
    files["dicom-truncated.dcm"] = files["dicom-window.dcm"][:300]
    files["dicom-magic-alone.dcm"] = files["dicom-window.dcm"][:132]


def windowed(name):
    """What the standard's linear window makes of it (PS3.3 C.11.2.1.2), in dcmtk's rounding: down."""
    a = (np.arange(12 * 9, dtype=np.float64).reshape(9, 12) * 37) % 4096
    if name == "dicom-rgb.dcm":
        return files[name][-12 * 9 * 3:]
    c, w = {"dicom-frames.dcm": (2000, 4000), "dicom-plain.dcm": (a.min() + (a.max() - a.min()) / 2 + 0.5,
                                                                 a.max() - a.min() + 1)}.get(name, (1000, 800))
    v = np.clip(((a - (c - 0.5)) / (w - 1) + 0.5) * 255, 0, 255)
    if name == "dicom-inverse.dcm":
        v = 255 - v
    return np.repeat(v.astype(np.uint8).reshape(-1), 3).tobytes()


def make_heif():
    import pillow_heif
    pillow_heif.register_heif_opener()
    pillow_heif.options.SAVE_HDR_TO_12_BIT = False
    rgb, rgba = soft(61, 47, 3), soft(40, 30, 4)
    for chroma in ("420", "444"):
        files["heif-%s.heic" % chroma] = saved("HEIF", rgb, quality=80, chroma=chroma)
    files["heif-alpha.heic"] = saved("HEIF", rgba, quality=80)
    files["heif-gray.heic"] = saved("HEIF", soft(33, 20, 1), quality=80)
    exif = Image.Exif()
    exif[0x112] = 6  # ignored: the format's own rotation counts
    files["heif-exif6.heic"] = saved("HEIF", rgb, quality=80, exif=exif, chroma="444")
    deep = pillow_heif.from_bytes(mode="RGB;16", size=rgb.size, data=(np.asarray(rgb).astype("<u2") << 8).tobytes())
    many = pillow_heif.HeifFile()
    many.add_from_pillow(rgb)
    many.add_from_pillow(rgb.resize((30, 20)))
    for name, of, more in (("heif-10bit.heic", deep, {}), ("heif-many.heic", many, {"primary_index": 1})):
        out = io.BytesIO()
        of.save(out, quality=80, chroma="444", **more)
        files[name] = out.getvalue()
    broken("heif-444.heic")


# ---------------------------------------------------------------- what must come out

# Within so much of 255: the reference's own libheif is a newer one.
NEAR = {"heif-420.heic": 1, "heif-alpha.heic": 1, "heif-10bit.heic": 2}


def expected(name, data):
    if name in OURS:
        return OURS[name]
    if name.startswith("dicom"):
        if "-magic" in name or "-trunc" in name:
            return "bad"
        write(OUT, name + ".rgb", windowed(name))
        return "near 1 12 9"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            im = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return "bad"
    if name in NEAR:
        write(OUT, name + ".rgb", im.tobytes())
        return "near %d %d %d" % (NEAR[name], im.width, im.height)
    return "ok %d %d %s" % (im.width, im.height, hashlib.sha256(im.tobytes()).hexdigest())


def write(folder, name, data):
    with open(os.path.join(folder, name), "wb") as f:
        f.write(data)


def main():
    kinds = sys.argv[2:] or ["png", "jpeg", "webp", "gif", "bmp", "pnm", "tiff", "avif", "heif", "dicom"]
    for kind in kinds:
        globals()["make_" + kind]()
    os.makedirs(OUT, exist_ok=True)
    os.makedirs(CORPUS, exist_ok=True)
    lines = []
    if sys.argv[2:]:
        with open(os.path.join(OUT, "expected.txt")) as f:
            lines = [line for line in f if line.split("-")[0] not in kinds]
    for name in sorted(files):
        write(OUT, name, files[name])
        lines.append("%s %s\n" % (name, expected(name, files[name])))
        if len(files[name]) < 2000 and not name.startswith("dicom"):
            write(CORPUS, name.replace(".", "-"), b"\1" + files[name])
    write(OUT, "expected.txt", "".join(sorted(lines)).encode())


main()
