# SPDX-License-Identifier: Apache-2.0
"""embed, tokenize, similarity, show, doctor, bench on a tiny checkpoint."""
import array
import ast
import json
import math
import os
import shutil
import signal
import struct
import subprocess

import harness
from harness import Place, check, equal, lacks, matches, model


def records(result):
    return [json.loads(s) for s in result.out.split("\n") if s]


def read_npy(path):
    with open(path, "rb") as f:
        data = f.read()
    equal(data[:8], b"\x93NUMPY\x01\x00", "magic of npy")
    n = struct.unpack("<H", data[8:10])[0]
    equal((10 + n) % 64, 0, "alignment of npy")
    equal(data[9 + n:10 + n], b"\n", "end of the header of npy")
    header = ast.literal_eval(data[10:10 + n].decode())
    equal((header["descr"], header["fortran_order"]), ("<f4", False), "header of npy")
    values = array.array("f", data[10 + n:])
    rows, dim = header["shape"]
    equal(len(values), rows * dim, "size of npy")
    return [list(values[i * dim:(i + 1) * dim]) for i in range(rows)]


def as_float(v):
    return list(array.array("f", v))


def test_lines_to_records():
    with Place() as p:
        r = p.run("embed", "-m", model(), input="a red bicycle\n\nhello world")
        equal((r.status, r.err), (0, ""), "embed")
        got = records(r)
        equal([g["id"] for g in got], [1, 2, 3], "ids")
        for g in got:
            equal(sorted(g), ["embedding", "id"], "members")
            equal(len(g["embedding"]), 32, "dimension")
            check(abs(math.sqrt(sum(x * x for x in g["embedding"])) - 1) < 1e-5, "unit length")
        one = records(p.run("embed", "-m", model(), "-", input="hello world\r\n"))
        equal(one[0]["embedding"], got[2]["embedding"], "the same text in another batch, with CRLF")
        p.write("a.txt", "\ufeffhello world\n")
        p.write("b.txt", "a red bicycle\nhello world\n")
        several = records(p.run("embed", "-m", model(), "a.txt", "b.txt"))
        equal([g["id"] for g in several], ["a.txt:1", "b.txt:1", "b.txt:2"], "ids of several files")
        equal(several[0]["embedding"], several[2]["embedding"], "a byte-order mark is no text")
        whole = records(p.run("embed", "-m", model(), "--whole", "a.txt", "b.txt"))
        equal([g["id"] for g in whole], ["a.txt", "b.txt"], "ids of whole files")


def fixture(*path):
    return os.path.join(harness.FIXTURES, *path)


def test_documents_by_kind():
    with Place() as p:
        p.write("a.txt", "hello world\n")
        p.write("page.htm", "<p>hello world</p>\n")
        p.write("page", "\ufeff\n <!DOCTYPE html>\n<p>hello world</p>\n")
        p.write("guide.md", "hello <html>\n")
        p.write("paper", "%PDF-1.7\n")
        for how in ([], ["--whole"]):
            r = p.run("embed", "-m", model(), *how, "page.htm", "a.txt", "page", "guide.md")
            equal((r.status, r.err), (0, ""), "embed")
            got = records(r)
            equal([g["id"].split(":")[0] for g in got], ["page.htm#0", "a.txt", "page#0", "guide.md"], "ids")
            equal(got[0]["embedding"], got[1]["embedding"] if not how else got[2]["embedding"], "the words of a page")
        r = p.run("embed", "-m", model(), "paper", "a.txt")
        equal((r.status, len(records(r))), (0, 1), "a document that is broken")
        matches(r.err, "^ilk: paper: ")
        equal(p.run("embed", "-m", model(), "paper", "a.txt", "--strict").status, 2, "strict")
        equal(p.run("embed", "-m", model(), "paper").status, 2, "nothing to read")
        p.write("zip.bin", b"PK\3\4" + b"\0" * 40)
        matches(p.run("embed", "-m", model(), "zip.bin").err, "zip.bin: ")
        equal(len(records(p.run("embed", "-m", model(), input="<html>\n<p>\n"))), 2, "standard input is taken as it is")
        equal(len(records(p.run("embed", "-m", model(), "--jsonl", "a.txt"))), 0, "records are judged as records")
        docx = records(p.run("embed", "-m", model(), fixture("documents", "report.docx")))
        check(len(docx) > 1 and docx[1]["id"].endswith("report.docx#1"), "passages of a document")
        r = p.run("tokenize", "-m", model(), "page.htm")
        equal((r.status, r.out), (2, ""), "tokenize reads texts alone")
        matches(r.err, "page.htm: a file of kind html, expected text")
        shutil.copy(fixture("documents", "report.docx"), p.dir)
        equal(p.run("index", "-m", model(), ".").status, 0, "index")
        kept = [json.loads(s) for s in p.run("search", "-k", "50", "--jsonl", "x").out.split("\n") if s]
        equal(len(docx), len([h for h in kept if h["path"] == "report.docx"]), "as many as ilk index makes")


def test_pictures_by_kind():
    clip, jpeg, png = model("clip-quick"), fixture("picture-files", "jpeg-420.jpg"), fixture("picture-files", "png-rgb8.png")
    with Place() as p:
        p.write("a.txt", "a cat\n")
        r = p.run("embed", "-m", clip, jpeg, "a.txt", png)
        equal((r.status, r.err), (0, ""), "embed")
        got = records(r)
        equal([g["id"] for g in got], [jpeg, "a.txt:1", png], "ids")
        check(all("fused" not in g and abs(sum(x * x for x in g["embedding"]) - 1) < 1e-5 for g in got), "unit vectors")
        with open(png, "rb") as f:
            one = records(p.run("embed", "-m", clip, input=f.read()))
        equal((len(one), one[0]["embedding"]), (1, got[2]["embedding"]), "from standard input")
        r = p.run("embed", "-m", clip, "--jsonl", input="\n".join(json.dumps(x) for x in (
            {"id": "both", "text": "a cat", "image": png}, {"id": "parts", "parts": [{"image": png}, {"text": "a cat"}]},
            {"id": "two", "image": [png, jpeg]}, {"id": "one", "image": jpeg}, {"id": "t", "text": "a cat"},
            {"id": "x", "text": "a", "parts": []}, {"image": 3}, {"image": "absent.png"}, {"audio": "a.wav"},
            {"parts": [3]}, {"parts": {}}, {"id": "list", "text": ["a ", "cat"]})))
        records_of = {g["id"]: g for g in records(r)}
        equal(sorted(records_of), ["both", "list", "one", "parts", "t", "two"], "records: %s" % r.err)
        equal({k for k, g in records_of.items() if g.get("fused") == "sum"}, {"both", "parts", "two"}, "what is fused")
        equal(records_of["both"]["embedding"], records_of["parts"]["embedding"], "the same sum")
        equal(records_of["one"]["embedding"], got[0]["embedding"], "a picture by its name")
        equal(records_of["list"]["embedding"], records_of["t"]["embedding"], "several texts are one")
        a, b = got[1]["embedding"], got[2]["embedding"]
        total = [x + y for x, y in zip(a, b)]
        length = math.sqrt(sum(x * x for x in total))
        check(max(abs(x / length - y) for x, y in zip(total, records_of["both"]["embedding"])) < 1e-6, "the normalised sum")
        for line, what in ((6, 'either "parts" or'), (7, '"image" as the name'), (9, "not supported yet"),
                           (10, 'every element of "parts"'), (11, '"parts" as a list')):
            matches(r.err, "standard input:%d: .*%s" % (line, what))
        matches(r.err, "standard input:8: .*absent.png")
        only = records(p.run("embed", "-m", clip, "--jsonl", "--text-share", "1", input=json.dumps({"text": "a cat", "image": png})))
        check(max(abs(x - y) for x, y in zip(only[0]["embedding"], a)) < 1e-6, "--text-share")
        equal(p.run("embed", "-m", clip, "--text-share", "2", "a.txt").status, 2, "--text-share 2")
        turned, upright = fixture("picture-files", "jpeg-exif6.jpg"), fixture("picture-files", "jpeg-exif1.jpg")
        one = [records(p.run("embed", "-m", clip, *how, turned))[0]["embedding"] for how in ([], ["--no-exif"])]
        check(one[0] != one[1], "--no-exif")
        equal(one[1], records(p.run("embed", "-m", clip, "--no-exif", turned, upright))[0]["embedding"], "in any company")
        r = p.run("embed", "-m", model(), png)
        equal(r.status, 1, "a model of texts")
        matches(r.err, "png-rgb8.png: .*this model reads text")
        shutil.copy(fixture("picture-files", "png-truncated.png"), p.dir)
        r = p.run("embed", "-m", clip, "png-truncated.png", png)
        equal((r.status, len(records(r)) <= 2), (0, True), "a broken picture costs itself alone")
        score = float(p.run("similarity", "-m", clip, "a cat", "@" + png).out.split("\t")[0])
        check(abs(score - sum(x * y for x, y in zip(a, b))) < 1e-5, "similarity of a text and a picture")
        same = float(p.run("similarity", "-m", clip, "@" + png, "@" + png).out.split("\t")[0])
        check(abs(same - 1) < 1e-5, "similarity of a picture and itself")
        docx = fixture("documents", "report.docx")
        equal(float(p.run("similarity", "-m", clip, "@" + docx, "@" + docx).out.split("\t")[0]) > 0.999, True, "documents")


def test_records_to_records():
    with Place() as p:
        text = ('{"id": "x", "text": "hello world"}\n\n  \n{"id": 7, "text": ["hello", " world"]}\nno json\n'
                '{"text": 3}\n{"id": [], "text": "a"}\n{"text": "last"}')
        r = p.run("embed", "-m", model(), "--jsonl", input=text)
        equal(r.status, 0, "status")
        got = records(r)
        equal([g["id"] for g in got], ["x", 7, 8], "ids")
        equal(got[0]["embedding"], got[1]["embedding"], "parts in order are one text")
        matches(r.err, "standard input:5: byte 0: expected a value")
        matches(r.err, 'standard input:6: expected "text" as a string or a list')
        matches(r.err, 'standard input:7: expected "id"')
        matches(r.err, "3 of 6 inputs have no vector")
        equal(p.run("embed", "-m", model(), "--jsonl", "--strict", input=text).status, 2, "strict")
        equal(p.run("embed", "-m", model(), "--jsonl", input="nonsense").status, 1, "nothing came out")


def test_npy_and_f32():
    with Place() as p:
        text = "a red bicycle\nhello\n{bad\nworld\n"
        want = [as_float(g["embedding"]) for g in records(p.run("embed", "-m", model(), input=text))]
        r = p.run("embed", "-m", model(), "--format", "npy", "-o", "v.npy", input=text)
        equal((r.status, r.out, r.err), (0, "", ""), "npy")
        equal(read_npy(os.path.join(p.dir, "v.npy")), want, "npy")
        r = p.run("embed", "-m", model(), "--format=f32", input=text)
        equal(array.array("f", r.raw).tolist(), sum(want, []), "f32")
        equal(p.run("embed", "-m", model(), "--format", "npy", input=text).status, 2, "npy without -o")
        equal(p.terminal("embed", "-m", model(), "--format", "f32").status, 2, "f32 on a terminal")
        # a record that fails keeps its row
        r = p.run("embed", "-m", model(), "--jsonl", "--format", "npy", "-o", "w.npy",
                  input='{"text": "hello"}\noops\n{"text": "world"}\n')
        rows = read_npy(os.path.join(p.dir, "w.npy"))
        equal([rows[0], rows[1], rows[2]], [want[1], [0.0] * 32, want[3]], "rows of npy")
        r = p.run("embed", "-m", model(), "--format", "npy", "-o", "none.npy", input="")
        equal((r.status, read_npy(os.path.join(p.dir, "none.npy"))), (1, []), "npy of nothing")
        matches(p.run("embed", "-m", model(), "-o", "no/such/v", input="a").err, "no/such/v")
        equal(sorted(os.listdir(p.dir)), ["none.npy", "v.npy", "w.npy"], "no temporary file is left")


def test_a_file_appears_whole_or_not_at_all():
    with Place() as p:
        p.write("v.npy", "old")
        for sig, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            read, write = os.pipe()
            env = harness.environment(p.home)
            run = subprocess.Popen([harness.ILK, "embed", "-m", model(), "--format", "npy", "-o", "v.npy"], stdin=read,
                                   stderr=subprocess.PIPE, cwd=p.dir, env=env)
            os.close(read)
            os.write(write, b"hello\n" * 3)
            harness.wait_for(lambda: len(os.listdir(p.dir)) >= 2)
            run.send_signal(sig)
            run.communicate()
            os.close(write)
            equal(run.returncode, status, "status after %s" % sig)
            equal(os.listdir(p.dir), ["v.npy"], "what is left")
            with open(os.path.join(p.dir, "v.npy")) as f:
                equal(f.read(), "old", "the old file")


def test_a_line_is_answered_when_the_input_pauses():
    with Place() as p:
        run = subprocess.Popen([harness.ILK, "embed", "-m", model()], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               cwd=p.dir, env=harness.environment(p.home))
        for i in range(1, 4):
            run.stdin.write(b"hello\n")
            run.stdin.flush()
            equal(json.loads(run.stdout.readline())["id"], i, "an answer before the end of input")
        run.stdin.close()
        equal(run.wait(timeout=harness.PATIENCE), 0, "status")


def test_many_lines():
    with Place() as p:
        n = 9000
        p.write("many.txt", "".join("the cat %d\n" % (i % 50) for i in range(n)))
        got = records(p.run("embed", "-m", model(), "many.txt"))
        equal([g["id"] for g in got], list(range(1, n + 1)), "ids")
        check(all(got[i]["embedding"] == got[i % 50]["embedding"] for i in range(n)), "the same bits in every batch")


def test_odd_inputs():
    with Place() as p:
        r = p.run("embed", "-m", model(), input=b"\xff\xfe bad utf-8\n\x00nul\x00\n" + b"long " * 5000 + b"\n")
        equal((r.status, len(records(r))), (0, 3), "odd bytes")
        matches(r.err, "1 of 3 texts are longer than 24 tokens and were cut, the first in line 3")
        matches(p.run("embed", "-m", model(), "-v", input="long " * 5000).err, "standard input:1: longer than the model reads")
        huge = p.run("embed", "-m", model(), input=b"x" * (33 << 20) + b"\nshort\n")
        equal([g["id"] for g in records(huge)], [2], "a line without end")
        matches(huge.err, "standard input:1: longer than 32 MiB: passed over")
        r = p.run("embed", "-m", model(), "absent.txt", "-", input="a\n")
        equal((r.status, len(records(r))), (0, 1), "a file that is not there")
        matches(r.err, "absent.txt: No such file")
        equal(p.run("embed", "-m", model(), "--strict", "absent.txt", "-", input="a\n").status, 2, "strict")
        equal(p.run("embed", "-m", model(), "absent.txt").status, 2, "nothing could be read")
        equal(p.run("embed", "-m", model(), ".").status, 2, "a directory")


def test_prompts_and_dimensions():
    with Place() as p:
        plain = records(p.run("embed", "-m", model(), "--prompt", "the ", input="cat"))
        equal(plain[0]["embedding"], records(p.run("embed", "-m", model(), input="the cat"))[0]["embedding"], "prompt")
        short = records(p.run("embed", "-m", model(), "--dim", "8", input="cat"))[0]["embedding"]
        equal(len(short), 8, "--dim")
        check(abs(sum(x * x for x in short) - 1) < 1e-5, "unit length after --dim")
        raw = records(p.run("embed", "-m", model(), "--no-normalize", input="cat"))[0]["embedding"]
        check(abs(sum(x * x for x in raw) - 1) > 1e-3, "--no-normalize")
        matches(p.run("embed", "-m", model(), "--dim", "33", input="cat").err, "--dim: asked for 33 .* have 32")
        matches(p.run("embed", "-m", model(), "--prompt-name", "nope", input="cat").err, "no prompt .nope.")
        equal(p.run("embed", "-m", model(), "--as", "query", "--prompt", "x", input="cat").status, 2, "two prompts")


def test_a_reader_that_stops():
    with Place() as p:
        p.write("many.txt", "the cat\n" * 20000)
        code = '"$1" embed -m "$2" many.txt | head -n 1; echo "${PIPESTATUS[0]}"'
        r = subprocess.run(["bash", "-c", code, "bash", harness.ILK, model()], stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, cwd=p.dir, env=harness.environment(p.home), timeout=harness.PATIENCE)
        out = r.stdout.decode().split("\n")
        equal((json.loads(out[0])["id"], out[1], r.stderr), (1, "0", b""), "| head -n 1")


def test_tokenize():
    with Place() as p:
        got = records(p.run("tokenize", "-m", model(), input="hello world\n\n"))
        equal([g["id"] for g in got], [1, 2], "ids")
        equal((got[0]["ids"][0], got[0]["ids"][-1]), (2, 3), "special tokens")
        equal(got[1]["ids"], [2, 3], "an empty text")
        same = records(p.run("tokenize", "-m", model(), "--jsonl", input='{"id":"q","text":"hello world"}'))
        equal(same, [{"id": "q", "ids": got[0]["ids"]}], "a record")


def test_similarity():
    with Place() as p:
        r = p.run("similarity", "-m", model(), "a cat", "a dog", "hello")
        lines = [s.split("\t") for s in r.out.strip().split("\n")]
        equal([s[1:] for s in lines], [["a cat", "a dog"], ["a cat", "hello"], ["a dog", "hello"]], "pairs")
        doc = json.loads(p.run("similarity", "-m", model(), "--json", "a cat", "a dog", "hello").out)
        equal(doc["score_kind"], "cosine")
        check(abs(doc["scores"][0][1] - float(lines[0][0])) < 2e-6, "the same score")
        matrix = p.run("similarity", "-m", model(), "--matrix", "a cat", "a dog").out.split("\n")
        equal(len(matrix[0].split("\t")), 2, "matrix")
        p.write("cat.txt", "a cat")
        equal(p.run("similarity", "-m", model(), "@cat.txt", "a dog").out.split("\t")[0], lines[0][0], "@path")
        matches(p.run("similarity", "-m", model(), "@absent", "a dog").err, "absent")
        equal(records(p.run("similarity", "-m", model(), "--jsonl", "@@x", "@@x"))[0]["a"], "@@x")
        equal(p.run("similarity", "-m", model(), "@@x", "@@x").status, 0, "a text that begins with @")


def test_show():
    with Place() as p:
        doc = json.loads(p.run("show", model(), "--json", "--fingerprint").out)
        equal((doc["family"], doc["dim"], doc["pooling"], doc["normalized"], doc["max_tokens"]),
              ("bert", 32, "mean", True, 24), "show")
        matches(doc["fingerprint"], "^[0-9a-f]{64}$")
        matches(p.run("show", model()).out, "^dimension\t32$")
        matches(p.terminal("show", model(), "--color=never").out, "^dimension {7}32\r$")
        doc = json.loads(p.run("show", model("clip-quick"), "--json").out)
        equal((doc["family"], doc["modalities"], doc["pooling"], doc["max_tokens"], doc["compare"]["by"]),
              ("clip", ["text", "image"], "eos", 16, "softmax"), "two towers")
        equal(doc["image"], {"size": 12, "patch": 4, "layers": 2, "pooling": "cls", "processing":
                             "shorter side 12 bicubic, centre 12 x 12 (torchvision)"}, "the tower of pictures")
        matches(p.run("show", model("clip-quick")).out, "^pictures\t12 x 12 in patches of 4, 2 layers, pooling cls$")
        doc = json.loads(p.run("show", model("clip-vision"), "--json").out)
        equal((doc["modalities"], doc["max_tokens"], doc["compare"]), (["image"], 0, None), "one tower")
        r = p.run("show", "no/such-model")
        equal(r.status, 2, "no model")
        matches(r.err, "ilk pull no/such-model")


def test_doctor():
    with Place() as p:
        doc = json.loads(p.run("doctor", "--json").out)
        equal((doc["version"], doc["threads"], doc["models"], doc["store"]), ("0.1.0", 2, [], None), "doctor")
        matches(doc["kernels"], "ref")
        matches(p.run("doctor").out, "^kernels\t.*ref")
        equal(json.loads(p.run("doctor", "--json", "--cpu", "ref").out)["kernels"], "ref", "--cpu")
        equal(p.run("doctor", ILK_CPU="nonsense").status, 2, "ILK_CPU")


def test_bench():
    with Place() as p:
        doc = json.loads(p.run("bench", "-m", model(), "--json", "--threads", "1").out)
        check(doc["peak"]["gflops_f32"] > 0.01 and doc["peak"]["gops_i8"] > 0.01, "peak")
        equal(doc["precision"], "f32", "precision")
        equal(doc["shapes"][0]["tokens"], 16, "shape")
        check(doc["shapes"][0]["tokens_per_second"] > 0, "rate")
        lacks(p.run("bench", "--peak", "--threads", "1").out, "tokens")
