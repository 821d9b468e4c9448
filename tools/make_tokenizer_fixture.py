#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/fixtures/tok-*: small tokenizers of our own and what the reference makes of nasty strings with them.

Needs transformers 5.2x, tokenizers 0.23 and, for tokenizer.model, sentencepiece and protobuf. The vocabularies are counted, not trained, so that a second run writes the
same files. Each folder holds tokenizer.json and/or vocab.txt, tokenizer_config.json and cases.json:

  {"mode": "default" or "literal", "reference": "…", "cases": [{"hex": bytes of the text, "pair": bytes or null,
   "max": limit or 0, "truncate": "longest_first"…, "specials": bool, "no_special": bool,
   "ids": […], "types": […], "from": [0, 1 or 255…], "spans": [start, end, …] in bytes, "dropped": n}]}
"""
import argparse
import base64
import collections
import json
import os
import pathlib
import shutil
import sys
import tempfile

import charsmap
import spm

os.environ["HF_HUB_OFFLINE"] = "1"
ROOT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "fixtures"
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]

SENTENCES = [
    "A red bicycle leans against the garden wall.", "The quick reader finds what the slow writer hides.",
    "Searching, searched and searches are forms of search.", "Tokenizers split unhappiness into happy little pieces.",
    "Numbers 0 1 2 3 4 5 6 7 8 9 42 1984 and 3.14159", "prices: $5, 10%, #7 & co. <tag> (x+y)^2 = `code` ~ | _ @",
    "Un café très réservé où l'été s'achève à Noël", "Der Bär läuft übers Straßenpflaster, schöne Grüße",
    "Ein Mädchen isst süße Äpfel und Öl", "İstanbul ve ışık, ıhlamur şöyle böyle", "Łódź, žluťoučký kůň, ďábelské ódy",
    "Ένα μικρό σπίτι στη θάλασσα, ΟΔΟΣ οδός", "Маленький ёжик и чайка летят домой", "Їжак їсть ґанок",
    "שלום לכל העולם הגדול", "مرحبا بالعالم الكبير وسلام", "नमस्ते दुनिया, पढ़ना और लिखना", "สวัสดีชาวโลก ภาษาไทย",
    "小さな猫が窓の外を見ている", "カタカナとひらがな", "我们在山上看见一只小鸟", "繁體中文的句子", "작은 고양이가 창밖을 본다",
    "Xin chào thế giới, tiếng Việt rất đẹp", "ﬁne ﬂow ﬀ", "Ｆｕｌｌ ｗｉｄｔｈ １２３", "naive naïve café resume résumé",
]

NASTY = [
    "", " ", "   ", "\t", "\n", "\r\n", "a  b", " lead", "trail ", "tab\tbed", "line\nbreak", "crlf\r\nend", "a\u00a0b",
    "a\u3000b", "a\u2028b\u2029c", "a\u0085b", "a\u000bb\u000cc", "a\u0000b", "\u0001a\u001fb\u007fc", "a\ufffdb", "\ufeffbom",
    "so\u00adft hy\u00adphen", "zero\u200bwidth\u200cjoin\u200der", "left\u200eright\u200f", "e\u0301 cafe\u0301", "\u0301", "\u0301\u0301a",
    "a\u0301\u0323b a\u0323\u0301b", "q\u0345\u0301\u0334x", "\u0344", "a\u035c\u0315\u0300\u05ae\u0062", "!\u0301 ?\u0308a", " \u0301a",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7", "\u2764\ufe0f red", "ok\U0001f44d\U0001f3fdok",
    "한국어 고양이가", "\u1100\u1161\u11a8 \u1100\u1161", "각각", "カタカナ ｶﾞ ガ か\u3099", "小さな猫 看见鸟", "山A上b", "山\u0301上",
    "\U00020000\U0002a6d6 \U0002b820 \U0002b920 \U0002ceaf \U0002f800", "a\U0002b820b a\U0002b81fb a\U0002b920b", "\uf900 \ufa0e", "ภาษาไทย ที่นี่", "العـــربية مرحبا", "שָׁלוֹם", "नमस्ते पढ़ना",
    "ﬁne ﬂow", "Ｆｕｌｌ ｗｉｄｔｈ", "İstanbul I\u0307 ı", "ſearch ſ", "ΟΔΟΣ ΣΑΣ", "ẞ ß STRASSE", "ǅ ǆ Ǆ", "\u212b \u2126 \u1e9b\u0323", "①②③ ½ ²",
    "a" * 100, "a" * 101, "é" * 100, "é" * 101, "x" + "a\u0301" * 60, "search" * 16 + "sear", "b" * 300 + " tail", "z" * 1000,
    "\u0378 \u0530 \U0001f9ff \U000e0001 \U0010fffd", "\ue000 \uf8ff", "##search ##", "# # #", "un##happy", "a-b_c.d,e;f:g", "don't can't",
    "[CLS] a [SEP] b [MASK][PAD] [UNK]", "[cls] [Sep]", "[SEP][SEP]", "x[SEP]y", "[ SEP ]", "[SEP", "[[SEP]]", "\u0301[SEP]\u0301",
    "…—–‘’“”«»¡¿", "\u2e43 \u2e52 \U00010100 \U0001e95e", "$+<=>^`|~", "\u00a7\u00b6\u00b7\u00a9", "A\u030aB C\u0327", "searching searched!searches?",
    "ᾳ ᾼ ᾈ", "ᏸ Ᏸ ꭰ", "Ა ა", "Ⴀ ⴀ", "\U00010400\U00010428", "Ꞌ ꞌ Ɬ", "\u0345\u0345a", "\u3099か", "ཀ\u0f71\u0f72\u0f74 \u0f73", "ក្ក ្",
]

BROKEN = ["61ff62", "c3", "c328", "e28228 61", "e2 82", "f0 9f 98", "f0 28 8c bc", "ed a0 80 61", "c0 80 61", "f4 90 80 80",
          "80 61 80", "61 e4 b8 62", "5b 53 45 50 ff 5d", "ff 5b 53 45 50 5d fe", "e5 b1", "61 20 e5 b1 20 62"]


class Text:
    """Bytes, what python's errors=replace makes of them, and the byte span of each of its characters."""

    def __init__(self, data):
        self.data, self.chars, self.at = data, [], [0]
        i = 0
        while i < len(data):
            for n in (1, 2, 3, 4):
                try:
                    c = data[i:i + n].decode()
                    break
                except UnicodeDecodeError as e:
                    c, n = "\ufffd", e.end - e.start
                    if i + n < len(data) + 1 and e.reason == "unexpected end of data" and len(data) > i + n:
                        c = None
                        continue
                    break
            self.chars.append(c)
            i += n
            self.at.append(i)
        self.text = "".join(self.chars)
        assert self.text == data.decode(errors="replace"), (data, self.text)


def count_vocabulary(lower, n):
    """Specials, all characters, then the commonest beginnings and continuations of words."""
    from tokenizers import normalizers, pre_tokenizers

    norm = normalizers.BertNormalizer(lowercase=lower)
    first, rest, chars = collections.Counter(), collections.Counter(), set()
    for s in SENTENCES:
        for word, _ in pre_tokenizers.BertPreTokenizer().pre_tokenize_str(norm.normalize_str(s)):
            chars.update(word)
            for i in range(len(word)):
                for j in range(i + 2, min(len(word), i + 12) + 1):
                    if i == 0:
                        first[word[:j]] += j
                    else:
                        rest["##" + word[i:j]] += j - i
    vocab = SPECIALS + sorted(chars) + sorted("##" + c for c in chars)
    for counter in (first, rest):
        vocab += [t for t, _ in sorted(counter.items(), key=lambda x: (-x[1], x[0]))[:n]]
    return vocab


def tokenizer_json(vocab, normalizer, splitter, post=None, added=(), **model):
    specials = [{"id": i, "content": t, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
                 "special": True} for i, t in enumerate(SPECIALS)]
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": specials + list(added),
            "normalizer": normalizer, "pre_tokenizer": splitter, "post_processor": post, "decoder": None,
            "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                      "max_input_chars_per_word": 100, **model, "vocab": {t: i for i, t in enumerate(vocab)}}}


def bert_normalizer(**over):
    return {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None,
            "lowercase": True, **over}


def template(vocab):
    def token(t, kind):
        return {"SpecialToken": {"id": t, "type_id": kind}}

    def seq(s, kind):
        return {"Sequence": {"id": s, "type_id": kind}}

    return {"type": "TemplateProcessing",
            "single": [token("[CLS]", 0), seq("A", 0), token("two", 1)],
            "pair": [token("[CLS]", 0), seq("A", 0), token("[SEP]", 2), seq("B", 3), token("two", 3)],
            "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]},
                               "[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]},
                               "two": {"id": "two", "ids": [3, 5], "tokens": ["[SEP]", vocab[5]]}}}


def added_token(i, content, **over):
    return {"id": i, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": True,
            "special": False, **over}


def folders():
    """name, {file: content}, extra texts"""
    lower, cased = count_vocabulary(True, 220), count_vocabulary(False, 220)
    bert, split = bert_normalizer(), {"type": "BertPreTokenizer"}
    cls = {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}

    def config(**over):
        return {"tokenizer_class": "BertTokenizer", "model_max_length": 64, **over}

    yield "tok-bert-uncased", "default", {
        "tokenizer.json": tokenizer_json(lower, bert, split, cls), "vocab.txt": lower,
        "tokenizer_config.json": config(do_lower_case=True)}, []
    yield "tok-bert-cased", "default", {
        "tokenizer.json": tokenizer_json(cased, bert_normalizer(lowercase=False), split, cls),
        "tokenizer_config.json": config(do_lower_case=False)}, []
    yield "tok-bert-accents", "default", {
        "vocab.txt": lower, "tokenizer_config.json": config(strip_accents=False)}, []
    yield "tok-bert-no-chinese", "default", {
        "vocab.txt": lower, "tokenizer_config.json": config(tokenize_chinese_chars=False, tokenizer_class="BertTokenizerFast",
                                                            truncation_side="left")}, []
    yield "tok-bert-strip-cased", "default", {
        "vocab.txt": cased, "tokenizer_config.json": config(strip_accents=True, do_lower_case=False,
                                                            tokenizer_class="DistilBertTokenizer")}, []
    # transformers rebuilds what this file says, and adds what the configuration names
    n = len(lower)
    texts = ["a<ent>b <ENT> <Ent>", "Search  <m>  search", "yes yesterday YES", "[NEW] [new] new", "<q>x <q>", "é<é> e<e>É<É>"]
    yield "tok-bert-added", "default", {
        "tokenizer.json": tokenizer_json(lower, {"type": "Lowercase"}, {"type": "Whitespace"}, None,
                                         [added_token(n + 5, "<ent>"), added_token(n + 3, "yes", single_word=True),
                                          added_token(n, "[NEW]", normalized=False), added_token(n + 9, "<é>")],
                                         max_input_chars_per_word=7),
        "special_tokens_map.json": {"mask_token": {"content": "<m>", "lstrip": True, "rstrip": True, "normalized": False,
                                                   "single_word": False}, "additional_special_tokens": ["<q>"]},
        "tokenizer_config.json": config()}, texts
    yield "tok-bert-decoder", "default", {
        "tokenizer.json": tokenizer_json(lower, bert, split),
        "tokenizer_config.json": config(
            added_tokens_decoder={
                "1": {"content": "[UNK]", "lstrip": False, "normalized": False, "rstrip": False, "single_word": False,
                      "special": True},
                "7777": {"content": "<ent>", "lstrip": False, "normalized": True, "rstrip": True, "single_word": False,
                         "special": False},
                "777": {"content": "yes", "lstrip": True, "normalized": False, "rstrip": False, "single_word": True,
                        "special": False}},
            cls_token="search", pad_token=None, mask_token="yes", extra_special_tokens=["<q>"], image_token="[NEW]")}, texts
    parts = [
        ("nfc", {"type": "NFC"}, {"type": "Whitespace"}), ("nfd", {"type": "NFD"}, {"type": "WhitespaceSplit"}),
        ("nfkc", {"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "Lowercase"}]}, {"type": "Whitespace"}),
        ("nfkd", {"type": "Sequence", "normalizers": [
            {"type": "NFKD"}, {"type": "StripAccents"}, {"type": "Sequence", "normalizers": [{"type": "Lowercase"}]}]},
         {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, {"type": "Punctuation"}]}),
        ("replace", {"type": "Sequence", "normalizers": [
            {"type": "Strip", "strip_left": True, "strip_right": True},
            {"type": "Replace", "pattern": {"String": "ea"}, "content": "É xx"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "_"},
            {"type": "Strip", "strip_left": False, "strip_right": True}]},
         {"type": "Punctuation", "behavior": "MergedWithNext"}),
        ("plain", None, {"type": "Punctuation", "behavior": "Contiguous"}),
        ("none", None, None),
        ("previous", {"type": "StripAccents"}, {"type": "Punctuation", "behavior": "MergedWithPrevious"}),
        ("removed", bert_normalizer(clean_text=False), {"type": "Punctuation", "behavior": "Removed"})]
    extra = texts + ["search[S] [S]ing [s]", "a <r>  b", "b  <l> c", "ea  sea!?.", "--a--b--", "_ea_ ", "x<é>y <É> <e\u0301>"]
    for name, normalizer, splitter in parts:
        yield f"tok-parts-{name}", "literal", {
            "tokenizer.json": tokenizer_json(cased, normalizer, splitter, template(cased) if name != "none" else None, [
                added_token(900, "[S]", single_word=True), added_token(901, "<r>", rstrip=True),
                added_token(902, "<l>", lstrip=True, special=True), added_token(903, "<é>"),
                added_token(904, "b  ", normalized=False)])}, extra


# ---------------------------------------------------------------- byte-level and SentencePiece BPE

def byte_chars():
    """The character that ByteLevel writes for each byte."""
    own = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table = {b: chr(b) for b in own}
    for i, b in enumerate(b for b in range(256) if b not in table):
        table[b] = chr(256 + i)
    return table


def count_merges(words, n):
    """The commonest pair of neighbours, n times over; ties go to the pair that sorts first."""
    merges = []
    while len(merges) < n:
        pairs = collections.Counter()
        for word, times in words.items():
            for pair in zip(word, word[1:]):
                pairs[pair] += times
        if not pairs:
            break
        best = min(pairs, key=lambda p: (-pairs[p], p))
        merges.append(best)
        after = collections.Counter()
        for word, times in words.items():
            out, i = [], 0
            while i < len(word):
                both = word[i:i + 2] == best
                out.append(word[i] + word[i + 1] if both else word[i])
                i += 1 + both
            after[tuple(out)] += times
        words = after
    return merges


def byte_level_bpe(specials, n=260, suffix="", lower=False):
    """vocab, merges"""
    table, words = byte_chars(), collections.Counter()
    for s in SENTENCES:
        for i, word in enumerate((s.lower() if lower else s).split(" ")):
            chars = [table[b] for b in (word if suffix or i == 0 else " " + word).encode()]
            if chars:
                words[tuple(chars[:-1] + [chars[-1] + suffix])] += 1
    merges = count_merges(words, n)
    vocab = list(table.values()) + ([c + suffix for c in table.values()] if suffix else [])
    vocab += sorted({a + b for a, b in merges}, key=[a + b for a, b in merges].index)
    return {t: i for i, t in enumerate([*specials, *vocab])}, merges


def bpe_json(vocab, merges, normalizer, splitter, post, added=(), **model):
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": list(added), "normalizer": normalizer,
            "pre_tokenizer": splitter, "post_processor": post, "decoder": None,
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                      "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, **model, "vocab": vocab,
                      "merges": merges}}


def special(i, content, **over):
    return added_token(i, content, normalized=False, special=True, **over)


def lines_of(merges):
    return ["#version: 0.2", *map(" ".join, merges)]


BPE_TEXTS = ["don't DON'T we'll WE'LL I'd it's IT'ſ they've 'tis 're'", "1234567 12 3 ½²Ⅳ٣", "a  b   c    d", "x\n\ny \n z\r\n\r\n  w",
             "  \n  lead", "tail  ", "tail \n", "!?... (a) [b] {c}", "!\n\n?", "-word _word .word\tword", "<|endoftext|>x<|im_start|> <mask>  y",
             "a<mask> <s></s>", "search " * 12, "fox" * 80, "नमस्ते दुनिया", "a\u0301\u0301b \u0301x", "\u00a0a \u00a0 b\u3000c", "<ent> x<ent>"]
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
          r"\s+(?!\S)|\s+")
QWEN3_5 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|"
           r"\s+(?!\S)|\s+")


def bpe_folders():
    end = "<|endoftext|>"
    vocab, merges = byte_level_bpe([end])
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    pairs = [list(m) for m in merges]
    yield "tok-gpt2", "default", {
        "tokenizer.json": bpe_json(vocab, [" ".join(m) for m in merges], None, byte_level, byte_level, [special(0, end)]),
        "tokenizer_config.json": {"tokenizer_class": "GPT2Tokenizer", "model_max_length": 64}}, BPE_TEXTS
    names = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    vocab, merges = byte_level_bpe(names)
    yield "tok-roberta", "default", {
        "vocab.json": vocab, "merges.txt": lines_of(merges),
        "tokenizer_config.json": {"tokenizer_class": "RobertaTokenizer", "add_prefix_space": True}}, BPE_TEXTS
    yield "tok-roberta-json", "default", {  # a class of its own: what the file says of parts does not count
        "tokenizer.json": bpe_json(vocab, pairs, {"type": "Lowercase"}, {"type": "Whitespace"}, None,
                                   [special(i, t) for i, t in enumerate(names[:4])] + [special(4, "<mask>", lstrip=True)]),
        "tokenizer_config.json": {"tokenizer_class": "RobertaTokenizerFast", "truncation_side": "left"}}, BPE_TEXTS
    vocab, merges = byte_level_bpe([])
    n = len(vocab)
    yield "tok-qwen2", "default", {
        "vocab.json": vocab, "merges.txt": lines_of(merges), "added_tokens.json": {end: n, "<|im_start|>": n + 1, "<ent>": n + 2},
        "tokenizer_config.json": {"tokenizer_class": "Qwen2Tokenizer", "additional_special_tokens": ["<|im_start|>"]}}, BPE_TEXTS
    template = {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}},
                                                         {"SpecialToken": {"id": end, "type_id": 0}}],
                "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}},
                         {"SpecialToken": {"id": end, "type_id": 1}}],
                "special_tokens": {end: {"id": end, "ids": [n], "tokens": [end]}}}
    plain = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    vocab_n = {**vocab, "search": n + 1, "\u0120searching": n + 2}
    for name, regex, more in (("llama3", LLAMA3, {"ignore_merges": True}), ("qwen3-5", QWEN3_5, {})):
        yield f"tok-bpe-{name}", "literal", {
            "tokenizer.json": bpe_json(vocab_n, pairs, None, {"type": "Sequence", "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False}, plain]},
                {"type": "Sequence", "processors": [{**plain, "trim_offsets": True}, template]}, [special(n, end)], **more)}, BPE_TEXTS
    vocab, merges = byte_level_bpe(["<|startoftext|>", end], suffix="</w>", lower=True)
    yield "tok-clip", "default", {
        "vocab.json": vocab, "merges.txt": lines_of(merges), "tokenizer_config.json": {"tokenizer_class": "CLIPTokenizer"}}, BPE_TEXTS
    lower = count_vocabulary(True, 160)
    mpnet = ["<s>", "<pad>", "</s>", "<unk>", "[UNK]", "<mask>", *lower[5:]]
    yield "tok-mpnet", "default", {
        "vocab.txt": mpnet, "tokenizer_config.json": {"tokenizer_class": "MPNetTokenizer", "do_lower_case": True}}, BPE_TEXTS
    # parts of the general kind over a vocabulary with holes, so that characters are dropped, unknown or fall into bytes
    letters = [c for c in map(chr, range(33, 127))] + ["▁", "é", "猫", "e\u0301"[1]]
    holes = {t: i for i, t in enumerate(["<unk>", *letters, *(f"<0x{b:02X}>" for b in range(0x80, 0xE4)), "##a", "##r", "ar", "se", "sea"])}
    few = [["s", "e"], ["se", "a"]]

    def cut(behavior, pattern, invert=False):
        return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}

    words, eas = {"Regex": "\\s+"}, {"String": "ea"}
    for name, splitter, normalizer, model in (
            ("removed", cut("Removed", words), None, {"unk_token": "<unk>"}),
            ("previous", cut("MergedWithPrevious", eas), {"type": "Prepend", "prepend": "▁"}, {"unk_token": "<unk>", "fuse_unk": True}),
            ("next", cut("MergedWithNext", words), None, {"byte_fallback": True}),
            ("contiguous", cut("Contiguous", words, True), {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "▁"},
             {"byte_fallback": True, "unk_token": "<unk>"}),
            ("digits", {"type": "Digits", "individual_digits": True}, {"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": " "}, {}),
            ("bytes", {"type": "Digits", "individual_digits": False}, {"type": "ByteLevel"}, {"unk_token": "<unk>"}),
            ("prefix", {"type": "WhitespaceSplit"}, None, {"unk_token": "<unk>", "continuing_subword_prefix": "##"})):
        own = [["a", "##r"]] if name == "prefix" else few
        yield f"tok-bpe-{name}", "literal", {
            "tokenizer.json": bpe_json(holes, own, normalizer, splitter, None, [added_token(len(holes), "<ent>"),
                                       added_token(len(holes) + 1, "b  ", rstrip=True, normalized=False)], **model)}, BPE_TEXTS


# ---------------------------------------------------------------- Unigram

CHARSMAP = {"\t": " ", "\n": " ", "\r": " ", "\r\n": " ", "\u00a0": " ", "\u3000": " ", "\u200b": " ", "\u00ad": "", "\ufeff": "",
            "\u200e": "", "\ufb01": "fi", "\ufb00": "ff", "e\u0301": "é", "a\u0301": "á", "\u0301": "\u0301", "½": "1\u20442", "①": "1",
            "Ａ": "A", "Ｆ": "F", "ｕ": "u", "ｌ": "l", "\u1100\u1161": "가", "ﷺ": "صلى الله", "©": "(c)", "İ": "i\u0307", "ｶ": "カ",
            "ﾞ": "\u3099", "\u0600": "#", "\U0001f44d": "+", "\u0345": "", "!": "!!", "㎏": "kg"}
UNIGRAM_TEXTS = ["a b  c   d", " lead", "trail ", "tab\tbed\nline\r\nend", "x\ufeffy\u00adz \u00ad\u00adq", "\u00ad", "\u00adab", "½\u00ada",
                 "e\u0301a\u0301 a\u0301\u0323 t\u0301", "\n\u0301a", "\u00a0\u0301", "\u0600a \u0600\u0600é", "©\u200d©\u200dA a\u200dA ©\u200d",
                 "\u1100\u1161\u11a8 가\u0301 \u1161\u0301", "ｶﾞ ﷺ ㎏", "<unk> <s></s>", "<mask>  x <extra_id_0>y", "zzq qq zz", "search " * 9,
                 "fox" * 60, "▁a ▁▁ b▁", "a\u200b b", "!\u0301 !!", "\U0001f44d\U0001f3fd\U0001f44d", "ab\u0345\u0345 \u0345"]


def unigram_vocab(specials, n=330, holes="zq"):
    """Pieces counted, with scores that make ties and near-ties."""
    pieces, chars = collections.Counter(), set()
    for s in SENTENCES:
        for word in s.split(" "):
            word = "▁" + word
            chars.update(word)
            for i in range(len(word)):
                for j in range(i + 2, min(len(word), i + 9) + 1):
                    pieces[word[i:j]] += j - i
    chars |= set("()#+1!kgAFfiulábé\u0301가") - set(holes)
    best = sorted(pieces.items(), key=lambda x: (-x[1], x[0]))[:n]
    out = [(t, 0.0) for t in specials] + [(c, -9.25) for c in sorted(chars - set(holes))]
    return out + [(t, -12.0 + round(0.25 * (k % 40), 2)) for t, k in best]


def unigram_json(vocab, normalizer, splitter, post, added=(), unk=3, **model):
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": list(added), "normalizer": normalizer,
            "pre_tokenizer": splitter, "post_processor": post, "decoder": None,
            "model": {"type": "Unigram", "unk_id": unk, "vocab": [list(v) for v in vocab], "byte_fallback": False, **model}}


def unigram_folders():
    precompiled = {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(charsmap.build(CHARSMAP)).decode()}
    names = ["<s>", "<pad>", "</s>", "<unk>"]
    vocab = unigram_vocab(names) + [("<mask>", 0.0)]
    n = len(vocab)
    added = [special(i, t) for i, t in enumerate(names)] + [special(n - 1, "<mask>", lstrip=True)]
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    spaces = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}
    file = unigram_json(vocab, {"type": "Sequence", "normalizers": [precompiled, spaces]}, metaspace, None, added)
    yield "tok-xlm-r", "default", {"tokenizer.json": file, "tokenizer_config.json": {
        "tokenizer_class": "XLMRobertaTokenizer", "model_max_length": 64}}, UNIGRAM_TEXTS
    yield "tok-xlm-r-literal", "literal", {"tokenizer.json": file}, UNIGRAM_TEXTS
    t5 = unigram_vocab(["<pad>", "</s>", "<unk>"]) + [(f"<extra_id_{i}>", 0.0) for i in range(3, -1, -1)]
    yield "tok-t5", "default", {
        "tokenizer.json": unigram_json(t5, precompiled, {"type": "WhitespaceSplit"}, None, [special(1, "</s>")], unk=2),
        "tokenizer_config.json": {"tokenizer_class": "T5TokenizerFast", "extra_ids": 4}}, UNIGRAM_TEXTS
    twice = vocab + [("search", -2.0), ("▁", -1.0)] + [(f"<0x{b:02X}>", -30.0) for b in range(256)]
    yield "tok-unigram-bytes", "literal", {
        "tokenizer.json": unigram_json(twice, None, {**metaspace, "prepend_scheme": "first", "split": False}, None, [
            added_token(n, "<m>", normalized=True)], byte_fallback=True)}, UNIGRAM_TEXTS


def class_folders():
    """Classes that rebuild their file: what it says of parts is not what they do."""
    precompiled = {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(charsmap.build(CHARSMAP)).decode()}
    texts = [*UNIGRAM_TEXTS[:14], "``quoted'' `a' ''", "search``", "Été ÉTÉ ΟΔΟΣ Łódź", "a\n\nb \t c\r\nd  e\n", "x [MASK] y[MASK]",
             "a <mask>  b", "<sep>x<cls> <eop> [SEP]", "!? (a)-b", "zq zqz", "\u00a0a\u3000 b \u2003c", "tail \n ", "  "]
    lossy = {"type": "Sequence", "normalizers": [{"type": "Lowercase"}, precompiled]}

    def unigram(names, config, unk=1, mask="[MASK]", drop_map=False):
        vocab = unigram_vocab(names, n=250)
        added = [special(i, t, lstrip=t == mask) for i, t in enumerate(names)]
        return {"tokenizer.json": unigram_json(vocab, {"type": "Lowercase"} if drop_map else lossy, {"type": "Whitespace"}, None,
                                               added, unk=unk), "tokenizer_config.json": config}

    albert = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]
    yield "tok-albert", "default", unigram(albert, {"tokenizer_class": "AlbertTokenizer"}), texts
    yield "tok-albert-accents", "default", unigram(albert, {"tokenizer_class": "AlbertTokenizerFast", "keep_accents": True,
                                                            "do_lower_case": False}, drop_map=True), texts
    yield "tok-xlnet", "default", unigram(["<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>", "<eod>", "<eop>"], {
        "tokenizer_class": "XLNetTokenizer"}, unk=0, mask="<mask>"), texts
    yield "tok-camembert", "default", unigram(["<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED", "<s>", "</s>", "<mask>"], {
        "tokenizer_class": "CamembertTokenizer"}, unk=3, mask="<mask>"), texts
    yield "tok-bigbird", "default", unigram(["<pad>", "</s>", "<s>", "<unk>", "[CLS]", "[SEP]", "[MASK]"], {
        "tokenizer_class": "BigBirdTokenizer"}, unk=3), texts
    deberta = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"]
    yield "tok-deberta-v2", "default", unigram(deberta, {"tokenizer_class": "DebertaV2Tokenizer"}, unk=3), texts
    yield "tok-deberta-v2-punct", "default", unigram(deberta, {
        "tokenizer_class": "DebertaV2TokenizerFast", "do_lower_case": True, "split_by_punct": True}, unk=3), texts
    end = "<|endoftext|>"
    vocab, merges = byte_level_bpe([end, "<|padding|>"])
    yield "tok-gptneox", "default", {
        "tokenizer.json": bpe_json(vocab, [list(m) for m in merges], {"type": "Lowercase"}, {"type": "Whitespace"}, None, [special(0, end)]),
        "tokenizer_config.json": {"tokenizer_class": "GPTNeoXTokenizer"}}, BPE_TEXTS
    vocab, merges = byte_level_bpe(["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"])
    yield "tok-deberta", "default", {
        "vocab.json": vocab, "merges.txt": lines_of(merges), "tokenizer_config.json": {"tokenizer_class": "DebertaTokenizer"}}, BPE_TEXTS


# A pattern that no checkpoint known to us has: numbers with their points, camel case, runs of one sign, the rest.
UNKNOWN = r"(?i:no\.)|\d+(?:[.,]\d+)*|\p{Lu}?[\p{Ll}\p{M}]+|\p{Lu}+(?=\p{Lu}|[^\p{L}]|$)|(?<=\s)[-+]\d|([!?.])\1*|\w+|[^\w\s]|\s+(?!\S)|\s+"
REGEX_TEXTS = ["No. 1,234.5 and 6.", "camelCaseHTTPServer XMLHttp", "what?!!! ...", "a\u0301b_c \u0301x", "-1 -2 x-3\n-4\n", "  \n\n a\n",
               "ABC", "ABCd É É\u0301", "१२३ ٣٤", "", "x" * 300 + " " + "9." * 200, " tail \n "]


def part_folders():
    vocab, merges = byte_level_bpe([], n=120)
    plain = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    for name, behavior, invert in (("", "Isolated", False), ("-removed", "Removed", True), ("-previous", "MergedWithPrevious", False)):
        yield f"tok-regex{name}", "literal", {
            "tokenizer.json": bpe_json(vocab, [list(m) for m in merges], None, {"type": "Sequence", "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": UNKNOWN}, "behavior": behavior, "invert": invert}, plain]}, None)}, REGEX_TEXTS
    words = sorted({w for s in SENTENCES for w in s.replace(",", " ,").replace(".", " .").split()})
    yield "tok-wordlevel", "literal", {
        "tokenizer.json": {"version": "1.0", "added_tokens": [], "normalizer": {"type": "Nmt"},
                           "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "CharDelimiterSplit", "delimiter": " "},
                                                                                   {"type": "Punctuation", "behavior": "Isolated"}]},
                           "post_processor": None, "model": {"type": "WordLevel", "unk_token": "[UNK]", "vocab": {
                               t: i for i, t in enumerate(["[UNK]", *words, "\u008f", "a"])}}}}, [
        "A red  bicycle , leans.", "".join(map(chr, range(1, 0xA1))), "a\u1680b\u200bc\u200fd\u2010e\u2028f\u2029g\u2581h\ufeffi\ufffdj",
        "a\u0001b a\u000ba", "a a"]


# ---------------------------------------------------------------- models of SentencePiece

GEMMA_TEXTS = ["a b  c   d", " lead", "trail ", "tab\tbed\nline\r\n\r\nend", "<bos>x<eos> <start_of_turn>user\n", "[@x] y[@x]", "zzq qq zz é猫q",
               "search " * 14, "fox" * 60, "▁a ▁▁ b▁", "a.▁b. c", "x:  y: z", "\U0001f44d\U0001f3fdq", "in the in the  in", "a\u00a0b\u3000c"]


def sentencepiece_bpe(n=330):
    """Pieces in the order of a model of Gemma's kind: names, bytes, user-defined ones, merged ones, characters."""
    words = collections.Counter()
    for s in SENTENCES:
        for i, word in enumerate(s.split(" ")):
            words[tuple(word if i == 0 else "▁" + word)] += 1
    merged = [a + b for a, b in count_merges(words, n)]
    pieces = [("<pad>", 0, 3), ("<eos>", 0, 3), ("<bos>", 0, 3), ("<unk>", 0, 2), ("<mask>", 0, 4), ("<start_of_turn>", 0, 3),
              ("[@x]", 0, 4), ("▁▁", 0, 1), ("▁▁▁", 0, 1), (":▁", 0, 1)] + [(f"<0x{b:02X}>", 0, 6) for b in range(256)]
    chars = sorted({c for w in words for c in w} - {"猫", "q"})
    return pieces + [(t, -float(i), 1) for i, t in enumerate(dict.fromkeys(merged))] + [(c, -1000.0, 1) for c in chars]


def generated_merges(pieces):
    ids = {t: i for i, (t, _, _) in enumerate(pieces)}
    return [[t[:k], t[k:]] for t, _, _ in pieces for k in range(1, len(t)) if t[:k] in ids and t[k:] in ids]


def sentencepiece_folders():
    own = charsmap.build(CHARSMAP)
    unigram = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("</s>", 0.0, 3), ("[@x]", 0.0, 4)] + [(t, s, 1) for t, s in unigram_vocab([])]
    yield "tok-xlm-r-model", "default", {"tokenizer.model": spm.write(unigram, own), "tokenizer_config.json": {
        "tokenizer_class": "XLMRobertaTokenizer"}}, UNIGRAM_TEXTS
    t5 = [("<pad>", 0.0, 3), ("</s>", 0.0, 3), ("<unk>", 0.0, 2)] + unigram[4:]
    yield "tok-t5-model", "default", {"tokenizer.model": spm.write(t5, own, unk_id=2), "tokenizer_config.json": {
        "tokenizer_class": "T5Tokenizer", "extra_ids": 3}}, UNIGRAM_TEXTS
    bpe = sentencepiece_bpe()
    yield "tok-gemma-model", "default", {
        "tokenizer.model": spm.write(bpe, model_type=2, unk_id=3, byte_fallback=True),
        "tokenizer_config.json": {"tokenizer_class": "GemmaTokenizer", "add_bos_token": True, "add_eos_token": True}}, GEMMA_TEXTS
    vocab, merges = {t: i for i, (t, _, _) in enumerate(bpe)}, generated_merges(bpe)
    added = [special(i, t) for i, (t, _, k) in enumerate(bpe) if k in (2, 3)]
    for name, config in (("gemma", {"tokenizer_class": "GemmaTokenizerFast"}), ("siglip2", {"tokenizer_class": "Siglip2Tokenizer"}),
                         ("llama", {"tokenizer_class": "LlamaTokenizer", "bos_token": "<bos>", "eos_token": "<eos>"}),
                         ("llama-legacy", {"tokenizer_class": "LlamaTokenizerFast", "bos_token": "<bos>", "eos_token": None, "legacy": True})):
        yield f"tok-{name}", "default", {
            "tokenizer.json": bpe_json(vocab, merges, {"type": "NFC"}, None, None, added, byte_fallback=True),
            "tokenizer_config.json": config}, GEMMA_TEXTS
    yield "tok-llama-literal", "literal", {
        "tokenizer.json": bpe_json(vocab, merges, {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}, None, None,
            added + [added_token(len(bpe), "c d")], byte_fallback=True, unk_token="<unk>", fuse_unk=True)}, GEMMA_TEXTS


def open_reference(folder, mode):
    from tokenizers import Tokenizer

    if mode == "literal":
        return Tokenizer.from_file(str(folder / "tokenizer.json")), "right"
    from transformers import AutoTokenizer

    with tempfile.TemporaryDirectory() as tmp:
        for f in folder.iterdir():
            shutil.copy(f, tmp)
            if f.name == "tokenizer.model":  # each class has a name of its own for it
                shutil.copy(f, pathlib.Path(tmp) / "sentencepiece.bpe.model")
                shutil.copy(f, pathlib.Path(tmp) / "spiece.model")
        (pathlib.Path(tmp) / "config.json").write_text('{"model_type": "bert"}')
        t = AutoTokenizer.from_pretrained(tmp)
        return t.backend_tokenizer, t.truncation_side


def make_case(tok, side, text, pair=None, limit=0, strategy="longest_first", specials=True, no_special=False):
    tok.no_padding()
    tok.no_truncation()
    tok.encode_special_tokens = no_special
    whole = tok.encode(text.text, pair.text if pair else None, add_special_tokens=specials)
    if limit:
        tok.enable_truncation(limit, strategy=strategy, direction=side)
    e = tok.encode(text.text, pair.text if pair else None, add_special_tokens=specials)
    spans = []
    for which, (a, b) in zip(e.sequence_ids, e.offsets):
        source = pair if which == 1 else text
        spans += [0, 0] if which is None else [source.at[a], source.at[b]]
    return {"hex": text.data.hex(), "pair": pair.data.hex() if pair else None, "max": limit, "truncate": strategy,
            "specials": specials, "no_special": no_special, "ids": e.ids, "types": e.type_ids,
            "from": [255 if s is None else s for s in e.sequence_ids], "spans": spans,
            "dropped": len(whole.ids) - len(e.ids)}


def make_cases(tok, side, extra, few):
    """`few`: a folder stays below 60 KB"""
    some = NASTY[:90:4] + NASTY[1:60:7] + SENTENCES[1::6] if few else NASTY + SENTENCES
    if extra is UNIGRAM_TEXTS or extra is GEMMA_TEXTS:
        some = NASTY[:90:6] + SENTENCES[1::9]
    texts = [Text(s.encode()) for s in some + extra] + [Text(bytes.fromhex(h)) for h in (BROKEN[::4] if few else BROKEN)]
    cases = [make_case(tok, side, t) for t in texts]
    special = [t for t in texts if b"[" in t.data or b"<" in t.data or b"yes" in t.data]
    cases += [make_case(tok, side, t, no_special=True) for t in special]
    long = [Text(" ".join(SENTENCES[i:i + 4]).encode()) for i in (0, 5, 17)]
    if few:
        a, b = Text(SENTENCES[1].encode()), Text(b"search  ")
        pairs = [(a, b, {}), (b, a, {}), (a, b, {"specials": False}), (a, b, {"limit": 14}), (b, a, {"limit": 9})]
        return cases + [make_case(tok, side, x, y, **more) for x, y, more in pairs] + [
            make_case(tok, side, a, limit=n) for n in (3, 8)]
    for i, t in enumerate(long):
        other = long[(i + 1) % 3]
        cases.append(make_case(tok, side, t, other))
        cases.append(make_case(tok, side, t, other, specials=False))
        cases += [make_case(tok, side, t, limit=n) for n in (4, 5, 7, 16)]
        cases += [make_case(tok, side, t, specials=False, limit=n) for n in (1, 9)]
        cases += [make_case(tok, side, t, other, limit=n) for n in (6, 7, 8, 20, 21, 90)]
        cases.append(make_case(tok, side, t, Text(b"search"), limit=12))
        cases.append(make_case(tok, side, Text(b"search"), t, limit=12))
        cases.append(make_case(tok, side, t, Text(b"search"), limit=12, strategy="only_first"))
        cases.append(make_case(tok, side, Text(b""), t, limit=13, strategy="only_second"))
    return cases


def write(folder, files):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, content in files.items():
        if isinstance(content, bytes):
            (folder / name).write_bytes(content)
        elif name in ("vocab.txt", "merges.txt"):
            (folder / name).write_text("\n".join(content) + "\n")
        else:
            (folder / name).write_text(json.dumps(content, ensure_ascii=False, indent=None) + "\n")


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--out", type=pathlib.Path, default=ROOT)
    args.add_argument("--only", default="", help="folders whose names hold this")
    args = args.parse_args()
    import tokenizers
    import transformers

    for few, (name, mode, files, extra) in [*((False, f) for f in folders()), *((True, f) for f in bpe_folders()),
                                          *((True, f) for f in unigram_folders()),
                                          *((True, f) for f in class_folders()), *((True, f) for f in part_folders()),
                                          *((True, f) for f in sentencepiece_folders())]:
        if args.only not in name:
            continue
        write(args.out / name, files)
        tok, side = open_reference(args.out / name, mode)
        cases = make_cases(tok, side, extra, few)
        head = {"mode": mode, "reference": f"tokenizers {tokenizers.__version__}, transformers {transformers.__version__}"}
        lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
        (args.out / name / "cases.json").write_text(json.dumps(head)[:-1] + ', "cases": [\n' + lines + "\n]}\n")
        print(name, len(cases), "cases")
    return 0


if __name__ == "__main__":
    sys.exit(main())
