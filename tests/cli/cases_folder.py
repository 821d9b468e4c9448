# SPDX-License-Identifier: Apache-2.0
"""index, search, similar: a folder through its life, what is shown, interruption."""
import base64
import json
import os
import re
import resource
import shutil
import signal

import harness
from harness import Place, check, equal, lacks, matches, model

RUST = "Iron rusts where water and air meet it. Paint keeps the water away from the iron."
CAKE = "Beat the eggs with sugar. Add flour, and bake the cake for an hour."


def fill(p):
    p.write("rust.txt", RUST + "\n")
    p.write("sub/cake.md", "# Baking\n\n## A cake\n\n" + CAKE + "\n")
    p.write("sub/code.py", "def add(a, b):\n    return a + b\n\n\ndef sub(a, b):\n    return a - b\n")


def indexed(p, *args, **env):
    fill(p)
    r = p.run("index", "-m", model(), *args, **env)
    equal(r.status, 0, "index: %s" % r)
    return r


def hits(r):
    return [json.loads(s) for s in r.out.split("\n") if s]


def test_index_again_only_what_changed():
    with Place() as p:
        r = indexed(p)
        equal(r.out, "", "nothing on standard output")
        matches(r.err, r"\Ailk: auto: f32 for \S+: [^\n]+\nilk: 3 files, 3 indexed; \d+ passages, \d+ tokens; [\d.]+ s, \d+ tokens/s\n\Z")
        equal(os.stat(os.path.join(p.dir, ".ilk")).st_mode & 0o777, 0o700, "mode of the store")
        matches(p.run("index").err, "3 files, 3 unchanged;")
        p.write("rust.txt", CAKE)
        os.rename(os.path.join(p.dir, "sub/cake.md"), os.path.join(p.dir, "pie.md"))
        os.unlink(os.path.join(p.dir, "sub/code.py"))
        doc = json.loads(p.run("index", "--json").out)
        equal((doc["files"], doc["indexed"], doc["moved"], doc["removed"]), (2, 1, 1, 1), "changed, moved, removed")
        r = p.run("index", "-v")
        lacks(r.err, "rust.txt")


def lines_of(r):
    return sorted(tuple(s.split("\t")) for s in r.out.split("\n") if s)


def test_index_dry_run():
    with Place() as p:
        fill(p)
        p.write("sub/junk.bin", "\0\1\2" * 100)
        r = p.run("index", "--dry-run", "-m", "no/such-model")  # without a store no model is asked for
        equal(r.status, 0, "no store: %s" % r)
        equal(lines_of(r), [("index", "rust.txt"), ("index", "sub/cake.md"), ("index", "sub/code.py"),
                            ("skip", "sub/junk.bin", "not text that is read: it seems to be a binary file")], "all would be read")
        matches(r.err, r"would be: 4 files, 3 indexed, 1 skipped")
        check(not os.path.exists(os.path.join(p.dir, ".ilk")), "nothing was made")
        indexed(p)
        before = {f: os.stat(os.path.join(p.dir, ".ilk", f)).st_mtime_ns for f in ("manifest", "log/00000001.log")}
        equal(lines_of(p.run("index", "-n")), [("skip", "sub/junk.bin", "not text that is read: it seems to be a binary file")], "nothing to do")
        p.write("rust.txt", CAKE)
        os.rename(os.path.join(p.dir, "sub/cake.md"), os.path.join(p.dir, "pie.md"))
        os.unlink(os.path.join(p.dir, "sub/code.py"))
        os.unlink(os.path.join(p.dir, "sub/junk.bin"))
        r = p.run("index", "-n", "--json")
        doc = json.loads(r.out)
        equal(sorted((w["do"], w["path"]) for w in doc["would"]),
              [("index", "rust.txt"), ("move", "pie.md"), ("remove", "sub/code.py"), ("remove", "sub/junk.bin")], "what would be done")
        equal((doc["dry_run"], doc["indexed"], doc["moved"], doc["removed"]), (True, 1, 1, 2), "counts")
        check(doc["passages"] >= 1, "passages are counted where there is a model")
        equal({f: os.stat(os.path.join(p.dir, ".ilk", f)).st_mtime_ns for f in before}, before, "nothing was written")
        equal(lines_of(p.run("index", "-n", "--chunk-tokens", "20"))[:2], [("index", "pie.md"), ("index", "rust.txt")],
              "other settings, other passages")
        done = json.loads(p.run("index", "--json").out)
        equal([done[k] for k in ("indexed", "moved", "removed", "passages")],
              [doc[k] for k in ("indexed", "moved", "removed", "passages")], "what was said was done")


def test_search():
    with Place() as p:
        indexed(p)
        for two in (("--json", "-l"), ("--jsonl", "-0"), ("--json", "--jsonl")):
            r = p.run("search", *two, "rust")
            equal((r.status, r.out), (2, ""), "two forms at once: %s %s" % two)
            matches(r.err, "exclude each other")
        r = p.run("search", "--jsonl", "-k", "2", "rust", "on iron")
        equal(r.status, 0, "search: %s" % r)
        got = hits(r)
        equal([h["rank"] for h in got], [1, 2], "ranks")
        check(got[0]["score"] >= got[1]["score"], "in order")
        for h in got:
            check(set(h) <= {"rank", "id", "path", "modality", "score", "score_kind", "segment", "parent", "text", "metadata",
                             "model", "collection"}, "members: %s" % sorted(h))
            equal(h["score_kind"], "cosine")
            equal(len(h["segment"]["lines"]), 2, "lines")
            with open(os.path.join(p.dir, h["path"])) as f:
                check(h["text"].split("\n")[0].strip() in f.read(), "the passage is in the file")
        doc = json.loads(p.run("search", "--json", "-k", "2", "rust on iron").out)
        equal((doc["query"], doc["results"]), ("rust on iron", got), "one document")
        lines = [s.split("\t") for s in p.run("search", "-k", "2", "rust on iron").out.split("\n") if s]
        equal([s[2] for s in lines], [h["path"] for h in got], "lines through a pipe")
        check(all(len(s) == 6 for s in lines), "six fields: %s" % lines)
        equal(p.run("search", "-k2", "-", input="rust on iron\n").out, "\n".join("\t".join(s) for s in lines) + "\n", "-")
        r = p.run("search", "--min-score", "0.99999", "zebra")
        equal((r.status, r.out), (1, ""), "nothing found")
        equal(json.loads(p.run("search", "--min-score", "0.99999", "--json", "zebra").out)["results"], [], "an empty list")
        equal(p.run("search", "").status, 2, "an empty query")


def test_paths():
    with Place() as p:
        indexed(p)
        all_files = {"rust.txt", "sub/cake.md", "sub/code.py"}
        out = p.run("search", "-l", "-k", "50", "cake").out
        equal((set(out.split()), len(out.split())), (all_files, 3), "each path once")
        raw = p.run("search", "-0", "-k", "50", "cake").raw
        equal(set(raw[:-1].split(b"\0")), {f.encode() for f in all_files}, "NUL")
        equal(raw[-1:], b"\0", "NUL at the end")
        sub = os.path.join(p.dir, "sub")
        out = p.run("search", "-l", "-k", "50", "cake", cwd=sub).out
        equal(set(out.split()), {"../rust.txt", "cake.md", "code.py"}, "paths that can be opened from here")
        far = p.run("search", "-l", "-k", "50", "--store", p.dir, "cake", cwd=p.home).out
        equal(set(far.split()), {"../work/" + f for f in all_files}, "from elsewhere, with --store FOLDER")
        equal(p.run("search", "-l", "-k", "50", "cake", cwd=p.home, ILK_STORE=os.path.join(p.dir, ".ilk")).out, far,
              "ILK_STORE")


def test_similar():
    with Place() as p:
        indexed(p)
        r = p.run("similar", "--jsonl", "rust.txt")
        equal(r.status, 0, "similar: %s" % r)
        check(len(hits(r)) >= 2 and all(h["path"] != "rust.txt" for h in hits(r)), "not itself")
        equal(p.run("similar", "--jsonl", "../rust.txt", cwd=os.path.join(p.dir, "sub")).out.replace('"../', '"').replace(
            '"path":"cake', '"path":"sub/cake').replace('"path":"code', '"path":"sub/code').replace('"sub/sub', '"sub'), r.out,
            "from below")
        equal(p.run("similar", "--jsonl", hits(r)[0]["parent"]).status, 0, "by id")
        r = p.run("similar", "absent.txt")
        equal(r.status, 2, "absent")
        matches(r.err, "absent.txt: neither an indexed file")


def test_on_a_terminal():
    with Place() as p:
        indexed(p)
        p.write("long.md", "# Title\n\n" + " ".join("The cat number %d is red." % i for i in range(40)))
        p.write("zh.txt", "\u4f60\u597d\u4e16\u754c\u3002" * 60)
        p.write("evil.txt", "a cat \033[2J\u202e steers \x07 the terminal")
        p.run("index")
        for columns in (80, 33):
            out = p.terminal("search", "-k", "100", "cat", "--color=never", columns=columns).out.replace("\r\n", "\n")
            lacks(out, "[\033\x07\u202e]")
            matches(out, r"^ 1  \d\.\d{3}  \S+:\d+")
            for line in out.split("\n"):
                width = sum(2 if ord(ch) > 0x2e80 else 1 for ch in line)
                check(width <= columns or re.match(r" ?\d+  \d", line), "a line of %d cells at %d: %s" % (width, columns, line))
            check(out.count("\n") <= 100 * 4, "three lines of a passage at most")
        matches(p.terminal("search", "cat").out, "\033\\[35m")
        matches(out, r"a cat \\x1b\[2J\\u202e")


def test_offer_to_index():
    with Place() as p:
        fill(p)
        r = p.run("search", "cake")
        equal((r.status, r.out), (2, ""), "no store, no terminal")
        matches(r.err, "to make one: ilk index " + re.escape(p.dir))
        equal(os.path.exists(os.path.join(p.dir, ".ilk")), False, "nothing was made")
        t = p.terminal("search", "cake", "-m", model(), answer=b"n\r")
        equal(t.status, 2, "no")
        t = p.terminal("search", "cake", "-m", model(), answer=b"y\r")
        equal(t.status, 0, "yes: %s" % t)
        matches(t.out, "Index this folder now.*3 files, 3 indexed.* 1  \\S*0\\.")
        equal(p.run("search", "cake").status, 0, "and now it is there")


def test_junk():
    with Place() as p:
        fill(p)
        p.write("empty.txt", "")
        p.write("zeros.txt", b"\0" * 5000)
        p.write("noise.bin", bytes(range(256)) * 40)
        p.write("not-really.gz", b"\x1f\x8b\x08 no")
        p.write(".hidden.txt", "hidden words")
        p.write(".gitignore", "ignored.txt\n")
        p.write("ignored.txt", "ignored words")
        p.write("latin-\u00e9.txt", "caf\u00e9".encode("latin-1"))
        os.mkfifo(os.path.join(p.dir, "pipe.txt"))
        os.symlink(".", os.path.join(p.dir, "loop"))
        os.symlink("nowhere", os.path.join(p.dir, "dangling"))
        r = p.run("index", "-m", model())
        equal(r.status, 0, "index: %s" % r)
        matches(r.err, r"skipped: empty file \(empty.txt\)")
        matches(r.err, r"skipped: .*binary")
        lacks(r.err, "hidden|ignored")
        r = p.run("index", "-v", "--hidden", "--no-ignore", "--exclude", "*.py", "--exclude", "sub/*.md")
        matches(r.err, "ignored.txt: indexed")
        matches(r.err, ".hidden.txt: indexed")
        matches(r.err, "sub/code.py: removed")
        empty = os.path.join(p.top, "empty")
        os.mkdir(empty)
        r = p.run("index", "-m", model(), empty)
        equal(r.status, 1, "an empty folder: %s" % r)


def test_unreadable_files_are_named():
    with Place() as p:
        fill(p)
        become = harness.as_nobody(p)
        os.chmod(p.dir, 0o777)
        os.chmod(os.path.join(p.dir, "rust.txt"), 0)
        r = p.run("index", "-m", model(), preexec=become)
        equal(r.status, 0, "index: %s" % r)
        matches(r.err, "rust.txt: .*Permission denied")
        equal(p.run("index", "--strict", preexec=become).status, 2, "strict")
        matches(p.run("status", "-v", preexec=become).err, "rust.txt: failed: .*Permission denied")


def test_names_that_are_not_utf8():
    with Place() as p:
        p.write(b"caf\xe9\n\t.txt", RUST)
        equal(p.run("index", "-m", model()).status, 0, "index")
        h = hits(p.run("search", "--jsonl", "iron"))[0]
        equal(base64.b64decode(h["path_bytes"]), b"caf\xe9\n\t.txt", "path_bytes")
        equal(h["path"], "caf\ufffd\n\t.txt", "path")
        equal(p.run("search", "-0", "iron").raw, b"caf\xe9\n\t.txt\0", "-0")
        matches(p.terminal("search", "-l", "iron").out, re.escape(r"caf\xe9\x0a\x09.txt"))
        equal(p.run("search", "iron").raw.split(b"\t")[2], b"caf\xe9\\n\\t.txt", "a field of a line")
        equal(p.run("similar", b"caf\xe9\n\t.txt").status, 1, "nothing else is like it")


def test_settings_of_chunks():
    with Place() as p:
        p.write("long.txt", " ".join("the cat number %d is red." % i for i in range(60)))
        p.run("index", "-m", model(), "--chunk-tokens", "20", "--overlap", "0")
        many = json.loads(p.run("status", "--json").out)["vectors"]
        with open(os.path.join(p.dir, ".ilk/config"), "w") as f:
            f.write("chunk-tokens = 10\noverlap = 0\nexclude = *.log\n")
        p.write("a.log", "a cat")
        p.run("index")
        doc = json.loads(p.run("status", "--json").out)
        check(doc["vectors"] > many, "smaller passages: %d, then %d" % (many, doc["vectors"]))
        equal(doc["indexed"], 1, "the folder's exclude")


def test_several_folders():
    with Place() as p:
        fill(p)
        other = os.path.join(p.top, "other")
        os.mkdir(other)
        with open(os.path.join(other, "x.txt"), "w") as f:
            f.write(CAKE)
        r = p.run("index", "-m", model(), "sub", other)
        equal(r.status, 2, "where?")
        matches(r.err, "--store")
        store = os.path.join(p.top, "all")
        r = p.run("index", "-m", model(), "sub", other, "--store", store)
        equal(r.status, 0, "index: %s" % r)
        out = p.run("search", "--store", store, "-l", "-k", "50", "cake").out.split()
        equal(set(out), {"sub/cake.md", "sub/code.py", "../other/x.txt"}, "paths")
        # one folder alone does not remove what came from the other
        p.run("index", "sub", "--store", store)
        equal(json.loads(p.run("status", "--json", "--store", store).out)["indexed"], 3, "files")
        equal(p.run("index", "nowhere").status, 2, "no such folder")


def test_only_a_part_of_the_folder():
    with Place() as p:
        indexed(p)
        p.write("sub/new.txt", "a red cat")
        p.write("new.txt", "a red dog")
        doc = json.loads(p.run("index", "--json", "sub").out)
        equal((doc["indexed"], doc["removed"]), (1, 0), "the part alone")
        equal(json.loads(p.run("index", "--json", cwd=os.path.join(p.dir, "sub")).out)["indexed"], 1, "all, from below")


def make_large(p, n=1200):
    words = "red cat hello dog bicycle world the of iron water".split()
    for i in range(n):
        p.write("f%04d.txt" % i, "\n".join(" ".join(words[(i * 7 + j * k + k) % 10] for k in range(12)) + "." for j in range(30)))


def test_interrupt_and_go_on():
    with Place() as p:
        make_large(p)
        t = p.terminal("index", "-m", model(), interrupt=rb"/\d+ files", ILK_THREADS="1")
        if t.status == 0:
            raise harness.Skip("it was done within a second")
        equal(t.status, 130, "Ctrl-C: %s" % t)
        matches(t.out, r"interrupted: \d+ files are in the store; the same command goes on from there")
        done = int(re.search(r"interrupted: (\d+)", t.out).group(1))
        r = p.run("check")
        equal(r.status, 0, "the store is sound: %s" % r)
        doc = json.loads(p.run("index", "--json").out)
        equal((doc["unchanged"] >= done, doc["unchanged"] + doc["indexed"]), (True, 1200), "and goes on")


def test_a_full_disk():
    def small_files():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (6000000, resource.RLIM_INFINITY))
    with Place() as p:
        make_large(p, 700)
        r = p.run("index", "-m", model(), preexec=small_files)
        equal(r.status, 2, "no room: %s" % r)
        matches(r.err, r": File too large$")
        told = re.search(r"^ilk: (\d+) files are in the store; the same command goes on from there$", r.err, re.M)
        if check(told, "what is kept: %s" % r):
            equal(json.loads(p.run("status", "--json").out)["indexed"], int(told.group(1)), "and so it is")
        equal(p.run("check").status, 0, "sound")
        equal(p.run("index", "-m", model()).status, 0, "with room again")
        equal(json.loads(p.run("status", "--json").out)["indexed"], 700, "all of them")


def test_terminate_twice():
    with Place() as p:
        make_large(p, 600)
        run = p.start("index", "-m", model(), ILK_THREADS="1")
        harness.wait_for(lambda: os.path.exists(os.path.join(p.dir, ".ilk/log")))
        run.send_signal(signal.SIGTERM)
        run.send_signal(signal.SIGTERM)
        run.communicate(timeout=harness.PATIENCE)
        equal(run.returncode, 143, "status")
        equal(p.run("index", "-m", model()).status, 0, "and goes on")


def test_progress():
    with Place() as p:
        make_large(p)
        t = p.terminal("index", "-m", model(), ILK_THREADS="1")
        equal(t.status, 0, "index")
        if not re.search(r"\d+/1200 files", t.out):
            raise harness.Skip("it was done within a second")
        matches(t.out, r"\r\S+ \d+/1200 files")
        check("\r\033[K" in t.out[:t.out.rindex("ilk:")], "the line is wiped before the summary")
        shutil.rmtree(os.path.join(p.dir, ".ilk"))
        r = p.run("index", "-m", model(), ILK_THREADS="1")
        equal(r.err.count("\n"), 1, "no progress through a pipe: %s" % r)
