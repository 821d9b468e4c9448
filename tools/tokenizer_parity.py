#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares ilk's tokenizer with the reference, the pinned `tokenizers` package, on text in many languages.

  tokenizer_parity.py --driver build/dev/tokenize_lines     ids and byte spans of 20,000 lines or more
  tokenizer_parity.py --tables                              src/text/unicode_gen.c against every code point

The tokenizers are those of $ILK_TEST_DATA/tokenizers; without it, the one of $ILK_TEST_MINILM, a folder with
all-MiniLM-L6-v2, whose vocabulary is that of bert-uncased. The text is fetched when the test runs, by apt: translated
messages of apt, dpkg and iso-codes (.mo files) and manual pages. The package goes into a virtual environment under
.cache/. What cannot be had makes the test exit 77, with the reason; nothing fetched is kept in the tree.
"""
import argparse
import collections
import contextlib
import fcntl
import glob
import gzip
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGE = "tokenizers==0.23.3"
DEBS = ["apt", "dpkg", "iso-codes", "manpages-de", "manpages-fr", "manpages-ja", "manpages-ru", "manpages-zh", "manpages-pl"]
PER_LANGUAGE, WANT_LINES, WANT_LANGUAGES = 700, 20000, 30
SECONDS = 240


class Skip(Exception):
    pass


def run(command, **more):
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=SECONDS, **more)
    except (OSError, subprocess.SubprocessError) as e:
        said = (getattr(e, "stderr", None) or str(e)).strip().splitlines()
        raise Skip(f"{' '.join(map(str, command))}: {said[-1] if said else e}") from e


@contextlib.contextmanager
def locked(folder):
    """One test at a time fills a folder of the cache."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def version_in(python):
    said = subprocess.run([python, "-c", "import tokenizers; print(tokenizers.__version__)"], capture_output=True, text=True)
    return said.stdout.strip()


def ensure_package(cache):
    """Goes on in an interpreter that has the pinned package: this one, ILK_TEST_PYTHON or one made in the cache."""
    wanted = PACKAGE.split("==")[1]
    try:
        import tokenizers

        if tokenizers.__version__ == wanted:
            return
    except ImportError:
        pass
    if os.environ.get("ILK_PARITY_CHILD"):
        raise Skip(f"the virtual environment has no {PACKAGE}")
    other = os.environ.get("ILK_TEST_PYTHON")
    if other and version_in(other) == wanted:
        os.environ["ILK_PARITY_CHILD"] = "1"
        os.execv(other, [other, *sys.argv])
    venv = cache / "parity-venv"
    python = venv / "bin" / "python"
    with locked(venv):
        if not (venv / wanted).exists():
            run([sys.executable, "-m", "venv", str(venv)])
            try:
                run([str(python), "-m", "pip", "install", "--quiet", "--no-deps", PACKAGE])
            except Skip as e:
                raise Skip(f"no {PACKAGE}: ILK_TEST_PYTHON names no Python that has it, and {e}") from e
            (venv / wanted).touch()
    os.environ["ILK_PARITY_CHILD"] = "1"
    os.execv(python, [str(python), *sys.argv])


# ---------------------------------------------------------------- text

def messages(path):
    """Translations of a GNU .mo file."""
    data = path.read_bytes()
    order = "little" if data[:4] == b"\xde\x12\x04\x95" else "big"

    def number(at):
        return int.from_bytes(data[at:at + 4], order)

    count, table = number(8), number(16)
    for i in range(count):
        length, at = number(table + 8 * i), number(table + 8 * i + 4)
        yield from data[at:at + length].decode("utf-8", "replace").replace("\0", "\n").split("\n")


def manual_lines(path):
    with gzip.open(path) as f:
        for line in f.read().decode("utf-8", "replace").split("\n"):
            if line and not line.startswith('.\\"'):
                yield line


def fetch_text(cache):
    folder = cache / "parity-text"
    with locked(folder):
        if not (folder / "complete").exists():
            run(["apt-get", "download", *DEBS], cwd=folder)
            for deb in glob.glob(str(folder / "*.deb")):
                run(["dpkg-deb", "-x", deb, str(folder / "root")])
                os.unlink(deb)
            (folder / "complete").touch()
    lines = collections.defaultdict(dict)  # dicts keep the order and drop repetitions
    share = folder / "root" / "usr" / "share"
    for mo in sorted(share.glob("locale/*/LC_MESSAGES/*.mo")):
        for line in messages(mo):
            if len(line) > 1:
                lines[mo.parts[-3]][line] = None
    for page in sorted(share.glob("man/*/man*/*.gz")):
        if not page.is_symlink():
            for line in manual_lines(page):
                lines[page.parts[-3]][line] = None
    pick = random.Random(1)
    chosen = {}
    for language, found in sorted(lines.items()):
        found = list(found)
        chosen[language] = found if len(found) <= PER_LANGUAGE else pick.sample(found, PER_LANGUAGE)
    return chosen


# ---------------------------------------------------------------- tokenizers

def reference_of_vocab(path, lower):
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    t = Tokenizer(models.WordPiece.from_file(str(path), unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer(lowercase=lower)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.add_special_tokens(["[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"])
    t.post_processor = processors.BertProcessing(("[SEP]", t.token_to_id("[SEP]")), ("[CLS]", t.token_to_id("[CLS]")))
    return t


QWEN2 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|"
         r"\s+")
CLIP = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def reference_of_bpe(folder, **model):
    from tokenizers import Tokenizer, models

    vocab = json.loads((folder / "vocab.json").read_text())
    lines = (folder / "merges.txt").read_text().split("\n")
    merges = [tuple(line.split(" ")) for line in lines if line and not line.startswith("#version")]
    return Tokenizer(models.BPE(vocab=vocab, merges=merges, **model))


def around(t, cls, sep):
    from tokenizers import processors

    return processors.RobertaProcessing((sep, t.token_to_id(sep)), (cls, t.token_to_id(cls)), trim_offsets=False)


def byte_level_subjects(data, tmp):
    """What the classes of transformers make of vocab.json and merges.txt."""
    from tokenizers import Regex, Tokenizer, normalizers as n, pre_tokenizers as p

    def folder(name, **config):
        to = tmp / name
        to.mkdir()
        for f in (data / name).iterdir():
            if f.name in ("vocab.json", "merges.txt", "added_tokens.json"):
                os.symlink(f, to / f.name)
        (to / "tokenizer_config.json").write_text(json.dumps(config))
        return to

    t = reference_of_bpe(data / "gpt2")
    t.pre_tokenizer = p.ByteLevel(add_prefix_space=False)
    t.add_special_tokens(["<|endoftext|>"])
    yield "gpt2", t, folder("gpt2", tokenizer_class="GPT2Tokenizer"), []
    t = reference_of_bpe(data / "roberta")
    t.pre_tokenizer = p.ByteLevel(add_prefix_space=False)
    t.add_special_tokens(["<s>", "</s>", "<unk>", "<pad>", "<mask>"])
    t.post_processor = around(t, "<s>", "</s>")
    to = folder("roberta", tokenizer_class="RobertaTokenizerFast", trim_offsets=False)
    yield "roberta", t, to, []
    yield "roberta --max 24", t, to, ["--max", "24"]
    t = reference_of_bpe(data / "qwen2")
    t.normalizer = n.NFC()
    t.pre_tokenizer = p.Sequence([p.Split(Regex(QWEN2), "isolated"), p.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    yield "qwen2", t, folder("qwen2", tokenizer_class="Qwen2Tokenizer",
                             additional_special_tokens=["<|im_start|>", "<|im_end|>"]), []
    t = reference_of_bpe(data / "clip-bpe", unk_token="<|endoftext|>", end_of_word_suffix="</w>")
    t.normalizer = n.Sequence([n.NFC(), n.Replace(Regex(r"\s+"), " "), n.Lowercase()])
    t.pre_tokenizer = p.Sequence([p.Split(Regex(CLIP), "removed", invert=True), p.ByteLevel(add_prefix_space=False)])
    t.add_special_tokens(["<|startoftext|>", "<|endoftext|>"])
    t.post_processor = around(t, "<|startoftext|>", "<|endoftext|>")
    yield "clip", t, folder("clip-bpe", tokenizer_class="CLIPTokenizer"), []
    yield "clip --literal", Tokenizer.from_file(str(data / "clip-bpe" / "tokenizer.json")), data / "clip-bpe", ["--literal"]


def class_of_xlm_r(m, vocab):
    from tokenizers import Tokenizer, models, normalizers as n, pre_tokenizers as p, processors

    t = Tokenizer(models.Unigram(vocab, 3))
    t.normalizer = n.Precompiled(m["charsmap"])
    t.pre_tokenizer = p.Sequence([p.WhitespaceSplit(), p.Metaspace(prepend_scheme="always")])
    t.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    t.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    return t


def sentencepiece_subjects(data, tmp):
    """Unigram: what the class of transformers makes of the model, and the other pipeline that files hold."""
    from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers as n, pre_tokenizers as p

    import spm

    m = spm.read((data / "xlm-r" / "sentencepiece.rebuilt.model").read_bytes())
    vocab = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    vocab += [(t, s) for t, s, _ in m["pieces"][3:]] + [("<mask>", 0.0)]
    t = class_of_xlm_r(m, vocab)
    for options in ([], ["--max", "24"]):
        to = tmp / ("xlm-r" + "".join(options))
        to.mkdir()
        t.save(str(to / "tokenizer.json"))
        (to / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "XLMRobertaTokenizer"}))
        yield " ".join(["xlm-r", *options]), t, to, options
    t.normalizer = n.Sequence([n.Precompiled(m["charsmap"]), n.Replace(Regex(" {2,}"), " ")])
    t.pre_tokenizer = p.Metaspace(prepend_scheme="always")
    to = tmp / "xlm-r-literal"
    to.mkdir()
    t.save(str(to / "tokenizer.json"))
    yield "xlm-r --literal", t, to, ["--literal"]
    to = tmp / "xlm-r-model"
    to.mkdir()
    os.symlink(data / "xlm-r" / "sentencepiece.rebuilt.model", to / "tokenizer.model")
    (to / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "XLMRobertaTokenizer"}))
    yield "xlm-r model", class_of_xlm_r(m, vocab), to, []
    model = data / "gemma-siglip2" / "tokenizer.rebuilt.model"
    pieces = spm.read(model.read_bytes())["pieces"]
    ids = {t: i for i, (t, _, _) in enumerate(pieces)}
    merges = [(t[:k], t[k:]) for t, _, _ in pieces for k in range(1, len(t)) if t[:k] in ids and t[k:] in ids]
    t = Tokenizer(models.BPE(vocab=ids, merges=merges, fuse_unk=True, unk_token="<unk>", byte_fallback=True))
    t.normalizer = n.Replace(" ", "▁")
    t.pre_tokenizer = p.Split(" ", "merged_with_previous")
    t.add_special_tokens([AddedToken(x, normalized=False) for x, _, kind in pieces if kind == 3])
    t.add_special_tokens(["<unk>", "<mask>"])
    t.add_tokens([AddedToken(x, normalized=False) for x, _, kind in pieces if kind == 4])
    to = tmp / "gemma"
    to.mkdir()
    os.symlink(model, to / "tokenizer.model")
    (to / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "GemmaTokenizer"}))
    yield "gemma model", t, to, []


def subjects(data, minilm, tmp):
    """name, the reference, the folder and the options for the driver"""
    from tokenizers import Tokenizer

    uncased = data / "bert-uncased" if data else minilm
    for options in ([], ["--literal"], ["--max", "24"]):
        yield " ".join(["bert-uncased", *options]), Tokenizer.from_file(str(uncased / "tokenizer.json")), uncased, options
    if not data:
        return
    for name, lower in (("bert-multilingual-cased", False), ("chinese-clip-bert", True)):
        folder = tmp / name
        folder.mkdir()
        os.symlink(data / name / "vocab.txt", folder / "vocab.txt")
        (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": lower}))
        yield name, reference_of_vocab(data / name / "vocab.txt", lower), folder, []
    yield from byte_level_subjects(data, tmp)
    yield from sentencepiece_subjects(data, tmp)


def expected(tok, lines, options):
    tok.no_padding()
    tok.no_truncation()
    if options[:1] == ["--max"]:
        tok.enable_truncation(int(options[1]))
    for line, e in zip(lines, tok.encode_batch(lines)):
        at = [0]
        for c in line:
            at.append(at[-1] + len(c.encode()))
        yield " ".join(f"{i}:{at[a]}:{at[b]}" for i, (a, b) in zip(e.ids, e.offsets))


def compare(driver, name, tok, folder, options, lines):
    end = "\0" if "--null" in options else "\n"
    out = subprocess.run([driver, str(folder), *options], input=(end.join(lines) + end).encode(), capture_output=True,
                         timeout=SECONDS)
    if out.returncode:
        print(f"{name}: the driver failed: {out.stderr.decode()}")
        return False
    got = out.stdout.decode().split("\n")[:-1]
    want = list(expected(tok, lines, options))
    bad = [(i, g, w) for i, (g, w) in enumerate(zip(got, want)) if g != w]
    print(f"{name}: {len(lines)} lines, {sum(w.count(':') // 2 for w in want)} tokens, {len(bad)} lines differ")
    for i, g, w in bad[:5]:
        print(f"  {lines[i][:2000]!r}\n    want {w[:4000]}\n    got  {g[:4000]}")
    return not bad and len(got) == len(lines)


def long_words(documents):
    """Texts without a space, of one word or of many: the documents run together, and few characters in random order."""
    pick = random.Random(3)
    words = ["".join("".join(documents[i:i + 2]).split()) for i in range(0, len(documents), 16)]
    for some in ("a", "ab", "=-_", "the", "ion", "\u0e01\u0e32\u0e19", "\u6211\u4eec", "\u0434\u0430\u0442"):
        words.append("".join(pick.choice(some) for _ in range(60000)))
    return words + ["".join(pick.choice("etaoinshrdlu") for _ in range(200000)), "internationalisation" * 5000]


def parity(args):
    data, minilm = (pathlib.Path(p) if p else None for p in map(os.environ.get, ("ILK_TEST_DATA", "ILK_TEST_MINILM")))
    data = data / "tokenizers" if data else None
    if not any((folder / "tokenizer.json").exists() for folder in (data and data / "bert-uncased", minilm) if folder):
        raise Skip("ILK_TEST_DATA names no folder with tokenizers/bert-uncased, and ILK_TEST_MINILM none with tokenizer.json")
    ensure_package(args.cache)
    chosen = fetch_text(args.cache)
    lines = [line for found in chosen.values() for line in found]
    full = sum(len(found) >= 100 for found in chosen.values())
    print(f"{len(lines)} lines in {len(chosen)} languages, {full} of them with 100 lines or more")
    if len(lines) < WANT_LINES or full < WANT_LANGUAGES:
        print(f"expected {WANT_LINES} lines and {WANT_LANGUAGES} languages of 100 lines")
        return 1
    with tempfile.TemporaryDirectory() as tmp:
        documents = ["\n".join(lines[i:i + 150]).replace("\0", "") for i in range(0, len(lines), 900)]
        words = long_words(documents)
        found = (s for s in subjects(data, minilm, pathlib.Path(tmp)) if not args.only or args.only in s[0])
        good = []
        for name, tok, folder, options in found:
            some = lines if "bert" in name or len(lines) < 3 * WANT_LINES else lines[::3]
            good.append(compare(args.driver, name, tok, folder, options, some))
            if not options:  # long texts, which are encoded in blocks
                good.append(compare(args.driver, name + " documents", tok, folder, ["--null"], documents))
                for more in ([], ["--max", "700"]):  # words of many kilobytes, which go window by window
                    good.append(compare(args.driver, " ".join([name, "long words", *more]), tok, folder, [*more, "--null"], words))
    return 0 if all(good) else 1


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--driver", help="the program tokenize_lines of the build")
    args.add_argument("--tables", action="store_true", help="check the Unicode tables instead")
    args.add_argument("--only", help="only the tokenizers that have this in their name")
    args.add_argument("--cache", type=pathlib.Path, default=ROOT / ".cache")
    args = args.parse_args()
    try:
        if args.tables:
            ensure_package(args.cache)
            return subprocess.run([sys.executable, str(ROOT / "tools" / "gen_unicode.py"), "--check"]).returncode
        if not args.driver:
            print("--driver or --tables is needed")
            return 2
        return parity(args)
    except Skip as e:
        print(f"SKIPPED: {e}")
        return 77


if __name__ == "__main__":
    sys.exit(main())
