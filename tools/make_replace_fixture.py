#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/fixtures/replace/cases.json: what the reference's Replace makes of texts by regular expressions that are met in
checkpoints, or that are like them. Needs tokenizers 0.23.

Tokens are the bytes of the normalised text, with the byte as their id, so that text and places are seen whole; "<x>" is an
added token that parts a text in two. For each pattern:

  {"normalizer": JSON in a string, "cases": [[hex of the text, hex of the normalised one, [start, end, … in bytes]], …]}
"""
import json
import pathlib

from tokenizers import Tokenizer, __version__

OUT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "fixtures" / "replace" / "cases.json"

PATTERNS = [
    # white space
    (r"[ \t\u00a0\u3000]+", " "), (r"(?:\r\n|\r|\n)+", "\n"), (r"\A\s+|\s+\z", ""), (r"\s*\n\s*", "¶"), (r"(?<=\S)\s(?=\S)", "▁"),
    # quotes and dashes
    ("[\u2018\u2019\u201b`]", "'"), ("[“”„«»]|''|``", '"'), (r"-{2,}|[–—]", " - "),
    # addresses, names, marks of text
    (r"https?://[^\s<>]+|www\.\S+", "<url>"), (r"[\w.+-]+@[\w-]+\.[\w.-]+", "<email>"), (r"[@#](?<name>\w+)", ""),
    (r"(?i)<br\s*/?>|</?p>", "\n"), (r"(?i:été|naïve|kelvin)", "É"), (r"&(?:amp|lt|gt|#\d{1,5});", "&"),
    # classes
    (r"\p{M}+", ""), (r"\p{Cc}|\p{Cf}", ""), (r"[^\p{L}\p{N}\s]+", " "), (r"\p{Han}", " $0 "), (r"[[:punct:]]", "."), (r"\W", "_"),
    (r"[[:alpha:]]+", "a"), (r"[[:alnum:][:space:]]", ""), (r"[\w.]+", "w"), (r"\p{Greek}|\p{Cyrillic}|\p{Katakana}", "g"), (r"[^\S\n]", "_"),
    (r"\p{^L}|[\p{Lu}]", ""), (r"[]\d-]+", "9"),
    (r"\x{1F44D}[\x{1F3FB}-\x{1F3FF}]?|❤️?", ":)"),
    # before, behind, again
    (r"(?<!\d)0+(?=\d)", ""), (r"(?<=\d)(?=(?:\d{3})+(?!\d))", ","), (r"(?<=\p{Ll})(?=\p{Lu})", " "), (r"([!?.,])\1+", r"\1$1"),
    (r"(?<run>\p{L})\k<run>{2,}", "…"), (r"\d++(?!%)", "0"),
    # nothing at all
    (r"x*", "-"), (r"^", "> "), (r"$", "|"), (r"", "·"), (r"(?=<)", "é"), (r".+", "line"),
]
TEXTS = [
    "", " ", "plain", "  lead and  trail \t ", "a\u00a0b\u3000c \n\n d\r\n\r\ne\rf", "“It’s” «so» ``quoted'' `x`", "well--known – yes — no -",
    "see https://ex.org/a?b=c, www.ex.org. or http://x", "to me.you+z@ex-a.co.uk, not @home", "#tag @name_1 #É\u0301tat ##", "a<BR/>b<br />c</P>",
    "Été ÉTÉ naïve NAÏVE \u212aelvin", "x &amp; y &lt;b&gt; &#39; &nope;", "e\u0301a\u0301\u0323 \u0301", "so\u00adft\u200b \u0001\ufeffx", "山A上b 猫",
    "$5 + 10% = <tag>! …\u2e2e", "007 0 00 100 1000 1234567 12%", "camelCaseHTTPServer éÉ", "what?!!! no... ,,", "aaab ééé bbb\u0301 soooo", "👍👍🏽 ❤️ ❤",
    "xxaxbxx", "a\nb\n", "\n", "<x>", "a<x>xb <x>  <x> c", "  <x>x\n", "tab\tbed\u2028x\u0085y\u000bz", "١٢٣٤ १२३ ½²",
    "山。々 アーｱ ꙮ\u0483μ\u0342 Ⅷⓐ", "[x]-1 \u180e \u2003y",
]


def hex_of(s):
    return s.encode().hex()


def main():
    rest = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [
        {"id": 256, "content": "<x>", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}],
        "pre_tokenizer": None, "post_processor": None, "decoder": None,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
                  "fuse_unk": False, "byte_fallback": True, "vocab": {f"<0x{b:02X}>": b for b in range(256)}, "merges": []}}
    lines = []
    for regex, content in PATTERNS:
        normalizer = {"type": "Replace", "pattern": {"Regex": regex}, "content": content}
        tok = Tokenizer.from_str(json.dumps({**rest, "normalizer": normalizer}))
        cases, changed = [], 0
        for text in TEXTS:
            e = tok.encode(text, add_special_tokens=False)
            at = [len(text[:i].encode()) for i in range(len(text) + 1)]
            normal = b"".join(b"<x>" if i == 256 else bytes([i]) for i in e.ids)
            cases.append([hex_of(text), normal.hex(), [at[k] for span in e.offsets for k in span]])
            changed += normal != text.encode()
        assert changed, regex
        lines.append(json.dumps({"normalizer": json.dumps(normalizer), "cases": cases}, separators=(",", ":")))
    text = json.dumps({"reference": f"tokenizers {__version__}", "rest": json.dumps(rest)[1:]})[:-1]
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(text + ', "patterns": [\n' + ",\n".join(lines) + "\n]}\n")
    print(len(PATTERNS), "patterns,", len(PATTERNS) * len(TEXTS), "cases")


if __name__ == "__main__":
    main()
