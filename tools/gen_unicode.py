#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes src/text/unicode_gen.c: the Unicode tables of the reference tokenizer, read out of the reference itself.

The `tokenizers` package mixes several Unicode versions (its categories are frozen at about Unicode 8, its normal forms
at about 9, its lower case and \\w are those of the day it was built). So nothing is taken from a Unicode data file: every
code point is put through the package's own normalizers and pre-tokenizers, and the answers are the tables.

  gen_unicode.py              probe and write the file (half a minute)
  gen_unicode.py --check      probe and compare with the file; exit 1 on a difference, 77 without the package
"""
import argparse
import pathlib
import sys

import charsmap

PINNED = "0.23."
OUT = pathlib.Path(__file__).resolve().parent.parent / "src" / "text" / "unicode_gen.c"
LAST = 0x110000
OTHER, SPACE, PUNCT, MN, MARK, WORD, LOWER, NORM, LETTER, NUMBER, NUMERIC, M = (1 << i for i in range(12))
CONTROL, JOIN, PREPEND, PICT = 1, 2, 3, 4  # of a grapheme cluster
HANGUL = range(0xAC00, 0xAC00 + 11172)
CHAR_BITS, BLOCK_BITS = 5, 6  # characters of a block, blocks of a super-block: ilki_text_class_get has them too


def code_points():
    return (c for c in range(LAST) if not 0xD800 <= c < 0xE000)


def first_chars(text):
    return [ord(c) for c in text]


class Probe:
    """What the reference says of every code point."""

    def __init__(self):
        from tokenizers import Regex, normalizers as n, pre_tokenizers as p

        def bert(**on):
            flags = dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False)
            return n.BertNormalizer(**{**flags, **on}).normalize_str

        self.nfd, self.nfkd = n.NFD().normalize_str, n.NFKD().normalize_str
        self.nfc, self.nfkc = n.NFC().normalize_str, n.NFKC().normalize_str
        self.clean, self.strip = bert(clean_text=True), bert(strip_accents=True)
        self.chinese, self.lower = bert(handle_chinese_chars=True), bert(lowercase=True)
        self.marks = n.StripAccents().normalize_str
        self.split, self.white = p.WhitespaceSplit().pre_tokenize_str, p.Whitespace().pre_tokenize_str
        self.punct = p.BertPreTokenizer().pre_tokenize_str

        def matches(regex):
            split = p.Split(Regex(regex), "removed").pre_tokenize_str
            return lambda ch: not split(ch)

        self.letter, self.number, self.mark, self.space = map(matches, (r"\p{L}", r"\p{N}", r"\p{M}", r"\s"))
        self.digits = p.Digits(individual_digits=True).pre_tokenize_str
        self.flags = [0] * LAST
        self.ccc, self.grapheme = bytearray(LAST), bytearray(LAST)
        self.canonical, self.compat, self.lowered, self.composed = {}, {}, {}, {}

    def classes(self):
        for c in code_points():
            ch, f = chr(c), 0
            cleaned = self.clean(ch)
            if cleaned == "":
                f |= OTHER
            space = not self.split(ch)
            if space:
                f |= SPACE
            assert f & OTHER or cleaned == (" " if space else ch), hex(c)
            if len(self.punct("a" + ch + "a")) == 3:
                f |= PUNCT
            if self.marks(ch) == "":
                f |= MARK
            words = self.white("a" + ch)
            if len(words) == 1 and len(words[0][0]) == 2:
                f |= WORD
            assert (self.white(ch) == []) == space, hex(c)
            assert self.space(ch) == space, hex(c)
            f |= LETTER * self.letter(ch) | NUMBER * self.number(ch) | M * self.mark(ch)
            f |= NUMERIC * (len(self.digits("a" + ch)) == 2)
            low = self.lower(ch)
            if low != ch:
                f |= LOWER
                self.lowered[c] = first_chars(low)
            han = self.chinese(ch)
            assert (han == f" {ch} ") == is_chinese(c) and han in (ch, f" {ch} "), hex(c)
            if c in HANGUL:
                self.check_hangul(c)
                f |= NORM
            else:
                d, k = self.nfd(ch), self.nfkd(ch)
                if d == ch and self.strip(ch) == "":
                    f |= MN
                if d != ch:
                    self.canonical[c] = first_chars(d)
                if k != d:
                    self.compat[c] = first_chars(k)
                if k != ch:
                    f |= NORM
            self.flags[c] = f

    def check_hangul(self, c):
        s = c - 0xAC00
        parts = [0x1100 + s // 588, 0x1161 + s % 588 // 28] + ([0x11A7 + s % 28] if s % 28 else [])
        assert first_chars(self.nfd(chr(c))) == parts and self.nfc("".join(map(chr, parts))) == chr(c), hex(c)

    def combining(self):
        """The class of each mark, from the order that NFD gives to pairs; python's own table only names candidates for
        the values, every value is then confirmed against a mark of each class."""
        import unicodedata

        moved = set()
        for c in code_points():
            if c in self.canonical or c in HANGUL:
                continue
            ch = chr(c)
            if self.nfd("\u0345" + ch) != "\u0345" + ch or self.nfd(ch + "\u0334") != ch + "\u0334":
                moved.add(c)
        moved |= {0x0334, 0x0345}
        one_of = {}
        for c in sorted(moved):
            one_of.setdefault(unicodedata.combining(chr(c)), c)
        assert 0 not in one_of
        for c in moved:
            value = unicodedata.combining(chr(c))
            for other, mark in one_of.items():
                pair = chr(mark) + chr(c)
                assert (self.nfd(pair) != pair) == (value < other), (hex(c), hex(mark))
            self.ccc[c] = value
            self.flags[c] |= NORM
        # classes of what only has class 1 on both sides would have shown up in neither test
        for c in code_points():
            if unicodedata.combining(chr(c)) == 1 and c not in moved:
                assert self.nfd("\u0345" + chr(c)) == "\u0345" + chr(c), hex(c)

    def compositions(self):
        for c, parts in self.canonical.items():
            if self.nfc(chr(c)) != chr(c) or len(parts) < 2:
                continue
            head = self.nfc("".join(map(chr, parts[:-1])))
            assert len(head) == 1 and self.nfc(head + chr(parts[-1])) == chr(c), hex(c)
            self.composed[ord(head), parts[-1]] = c
            self.flags[parts[-1]] |= NORM
        for c in list(range(0x1161, 0x1176)) + list(range(0x11A8, 0x11C3)):
            self.flags[c] |= NORM

    def graphemes(self):
        """What a cluster is made of, from what Precompiled makes of one: of a cluster below six bytes that begins with a
        mapped character nothing else is left, any other keeps what is not mapped. Classes that no cluster of that size
        tells apart (Hangul, regional indicators, conjuncts) are not sought; Hangul is arithmetic."""
        from tokenizers import normalizers as n

        a, sign = (n.Precompiled(charsmap.build({c: "X"})).normalize_str for c in "a\u00a9")
        for c in code_points():
            ch = chr(c)
            if a("a" + ch) == "X":
                self.grapheme[c] = JOIN
            elif a(ch + "a\u0301").endswith("\u0301"):
                self.grapheme[c] = PREPEND
            elif sign("\u00a9\u200d" + ch).startswith("X\u200d"):
                self.grapheme[c] = PICT
        rest = [c for c in code_points()
                if 0 < c < 0x10000 and not self.grapheme[c] and not self.flags[c] & (LETTER | NUMBER | M)]
        each = n.Precompiled(charsmap.build({chr(c): "X" for c in rest})).normalize_str
        for c in rest:
            if each(chr(c) + "\u0301") != "X":
                self.grapheme[c] = CONTROL
        self.grapheme[0] = CONTROL

    def run(self):
        self.classes()
        self.combining()
        self.compositions()
        self.graphemes()
        return self


def is_chinese(c):
    ranges = ((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F),
              (0x2B920, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F))
    return any(a <= c <= b for a, b in ranges)


def array(kind, name, values):
    lines, line = [], ""
    for v in values:
        item = f"{v},"
        if len(line) + len(item) > 118:
            lines.append(line)
            line = ""
        line += item
    lines.append(line)
    return f"const {kind} {name}[{len(values)}] = {{\n" + "\n".join(lines) + "\n};\n"


def stage(values, bits):
    """Equal blocks of values stored once: the number of each block, and the blocks."""
    blocks, stage1, stage2 = {}, [], []
    for at in range(0, len(values), 1 << bits):
        block = tuple(values[at:at + (1 << bits)])
        if block not in blocks:
            blocks[block] = len(blocks)
            stage2.extend(block)
        stage1.append(blocks[block])
    return stage1, stage2


def mapping(name, table):
    """Sorted keys, the place of each value in a pool, the pool."""
    keys, at, pool = sorted(table), [0], []
    for k in keys:
        pool.extend(table[k])
        at.append(len(pool))
    assert len(pool) < 65536
    return (array("uint32_t", f"ilki_text_{name}_key", keys) + array("uint16_t", f"ilki_text_{name}_at", at)
            + array("uint32_t", f"ilki_text_{name}_pool", pool)
            + f"const size_t ilki_text_n_{name} = {len(keys)};\n")


def render(probe, version):
    records = {}
    index = bytearray(LAST)
    for c in range(LAST):
        record = (probe.flags[c], probe.ccc[c], probe.grapheme[c])
        index[c] = records.setdefault(record, len(records))
    assert len(records) <= 256
    blocks, of = stage(index, CHAR_BITS)
    supers, blocks = stage(blocks, BLOCK_BITS)
    pairs = sorted(probe.composed.items())
    text = ["/* SPDX-License-Identifier: Apache-2.0\n"
            f" * Unicode as tokenizers {version} has it; written by tools/gen_unicode.py, not by hand. */\n"
            '#include "text/unicode.h"\n\n/* clang-format off */\n']
    text.append(array("uint8_t", "ilki_text_class_super", supers))
    text.append(array("uint16_t", "ilki_text_class_block", blocks))
    text.append(array("uint8_t", "ilki_text_class_of", of))
    text.append(f"const ilki_text_class ilki_text_classes[{len(records)}] = {{\n"
                + "".join(f"{{{f},{k},{g}}}," + ("\n" if i % 10 == 9 else "") for i, (f, k, g) in enumerate(records))
                + "\n};\n")
    text.append(mapping("lower", probe.lowered))
    text.append(mapping("nfd", probe.canonical))
    text.append(mapping("nfkd", probe.compat))
    text.append(array("uint32_t", "ilki_text_compose_first", [a for (a, _), _ in pairs]))
    text.append(array("uint32_t", "ilki_text_compose_second", [b for (_, b), _ in pairs]))
    text.append(array("uint32_t", "ilki_text_compose_to", [c for _, c in pairs]))
    text.append(f"const size_t ilki_text_n_compose = {len(pairs)};\n")
    return "".join(text)


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--check", action="store_true", help="compare with the file instead of writing it")
    args.add_argument("-o", type=pathlib.Path, default=OUT, metavar="FILE")
    args = args.parse_args()
    try:
        import tokenizers
    except ImportError:
        print("skipped: no python package tokenizers")
        return 77
    if not tokenizers.__version__.startswith(PINNED):
        print(f"skipped: tokenizers {tokenizers.__version__}, the tables are those of {PINNED}*")
        return 77
    text = render(Probe().run(), PINNED + "x")
    if not args.check:
        args.o.write_text(text)
        return 0
    if args.o.read_text() == text:
        return 0
    print(f"{args.o} differs from what tokenizers {tokenizers.__version__} answers")
    return 1


if __name__ == "__main__":
    sys.exit(main())
