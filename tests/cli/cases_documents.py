# SPDX-License-Identifier: Apache-2.0
"""index over documents of every kind: those of tests/fixtures/documents and the broken ones; what a build lacks."""
import json
import os
import re
import shutil

import harness
from harness import Place, Skip, check, equal, lacks, matches, model


def documents():
    return os.path.join(harness.FIXTURES, "documents")


def reads():
    """The kinds that this build reads, as doctor says."""
    with Place() as p:
        doc = json.loads(p.run("doctor", "--json").out)
    return doc["media_reads"].split(", ") if doc.get("media_helper") else []


def need_kinds(*kinds):
    missing = [k for k in kinds if k not in reads()]
    if missing:
        raise Skip("this build does not read %s: `ilk doctor` says what it lacks" % ", ".join(missing))


def hits(r):
    return [json.loads(s) for s in r.out.split("\n") if s]


def all_passages(p):
    return hits(p.run("search", "--jsonl", "-k", "200", "anything"))


def test_every_kind():
    need_kinds("html", "epub", "docx", "odt", "pdf")
    with Place() as p:
        for name in os.listdir(documents()):
            if os.path.isfile(os.path.join(documents(), name)) and not name.endswith(".expected"):
                shutil.copy(os.path.join(documents(), name), p.dir)
        r = p.run("index", "-m", model(), "--json")
        equal(r.status, 0, "index: %s" % r)
        counts = json.loads(r.out)
        equal((counts["skipped"], counts["failed"]), (0, 0), "skipped and failed: %s" % r.err)
        matches(r.err, r"records\.jsonl: line 3 passed over: ")
        matches(r.err, r"absent-chapter\.epub: 1 of 3 chapters")
        got = {}
        for h in all_passages(p):
            got.setdefault(h["path"], []).append(h)
        page = [h for h in got["paper.pdf"] if "snow" in h["text"]][0]
        equal(page["segment"].get("page"), 3, "page of a PDF")
        check("lines" not in page["segment"], "a page has no lines: %r" % page)
        chapter = [h for h in got["book.epub"] if "light" in h["text"]][0]
        equal(chapter["metadata"], {"kind": "epub", "context": "The beginning > Later"}, "heading path of a book")
        person = [h for h in got["people.csv"] if "Rome" in h["text"]][0]
        equal(person["segment"]["lines"], [3, 4], "lines of a row")
        para = [h for h in got["page.html"] if "A first paragraph" in h["text"]][0]
        equal((para["metadata"]["context"], para["segment"]["lines"]), ("Fish & chips", [7, 7]), "a page's paragraph")
        r = p.run("search", "-k", "200", "anything")
        matches(r.out, r"paper\.pdf")
        equal(json.loads(p.run("index", "--json").out)["unchanged"], counts["files"], "again: nothing to do")


def test_junk_costs_itself():
    need_kinds("html", "epub", "docx", "odt", "pdf")
    with Place() as p:
        junk = os.path.join(documents(), "junk")
        for name in os.listdir(junk):
            shutil.copy(os.path.join(junk, name), p.dir)
        good = os.path.join(documents(), "report.docx")
        with open(good, "rb") as f:
            report = f.read()
        p.write("good.docx", report)
        p.write("zero.pdf", b"")
        p.write("wrong.pdf", report)  # the bytes decide
        p.write("wrong.docx", "only plain text about lighthouses\n")
        p.write("zeros.html", b"\0" * 1000)
        r = p.run("index", "-m", model(), "-v", "--json")
        equal(r.status, 0, "index: %s" % r)
        counts = json.loads(r.out)
        bad = [n for n in os.listdir(junk) if n.startswith(("bad", "limit"))]
        equal(counts["failed"], len(bad), "failed: %s" % r.err)
        for name in bad:
            matches(r.err, "^ilk: %s: " % re.escape(name))
        for name in ("unsupported-locked.pdf", "unsupported-locked.odt", "unsupported-locked.epub"):
            matches(r.err, "%s: skipped: an encrypted" % re.escape(name))
        matches(r.err, r"unsupported-scanned\.pdf: skipped: no text on its 2 pages")
        matches(r.err, r"unsupported-other\.docx: skipped: .*not a Word document")
        matches(r.err, r"zero\.pdf: skipped: empty file")
        lacks(r.err, "crashed")
        paths = {h["path"] for h in all_passages(p)}
        equal(paths, {"good.docx", "wrong.pdf", "wrong.docx"}, "what is found")
        p.write("bad-truncated.docx", report)  # mended
        equal(json.loads(p.run("index", "--json").out)["indexed"], 1, "mended")
        equal(p.run("check").status, 0, "the store is sound")
        r = p.run("index", "--strict")
        equal(r.status, 2, "strict: %s" % r)


def test_without_helper():
    """The program alone, copied away from its helper: it reads what it can, says what it cannot, and reads the rest when
    the helper is there."""
    need_kinds("html")
    with Place() as p:
        lone = os.path.join(p.top, "lone")
        os.mkdir(lone)
        shutil.copy(harness.ILK, lone)
        ilk, harness.ILK = harness.ILK, os.path.join(lone, os.path.basename(harness.ILK))
        try:
            p.write("a.html", "<p>bright lamps</p>")
            p.write("b.txt", "dark cellars")
            r = p.run("index", "-m", model(), "--json")
            equal((r.status, json.loads(r.out)["skipped"]), (0, 1), "without: %s" % r)
            matches(r.err, r"1 skipped: not supported by this build: .*ilk-media .*\(a\.html\)")
            r = p.run("doctor")
            matches(r.out, r"media helper\s+none")
        finally:
            harness.ILK = ilk
        equal(json.loads(p.run("index", "--json").out)["indexed"], 1, "with it")
        equal({h["path"] for h in all_passages(p)}, {"a.html", "b.txt"}, "both are found")


def test_doctor_tells():
    with Place() as p:
        doc = json.loads(p.run("doctor", "--json").out)
        if not doc["media_helper"]:
            raise Skip("no helper: %s" % doc["media_error"])
        check(doc["media_sandbox"] == "seccomp" or doc["media_note"], "a sandbox or a reason: %r" % doc)
        matches(p.run("doctor").out, r"reads\s+\w+")


def helpers_of(pid):
    """Numbers of the helpers that a process has started."""
    found = []
    for d in os.listdir("/proc"):
        try:
            with open("/proc/%s/stat" % d) as f:
                state, parent = f.read().rsplit(")", 1)[1].split()[:2]
            with open("/proc/%s/cmdline" % d, "rb") as f:
                if int(parent) == pid and f.read().startswith(b"ilk-media\0"):
                    found.append(int(d))
        except (OSError, ValueError):
            pass
    return found


def is_alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_killed_with_helpers():
    """No helper outlives the program, not even one that is killed."""
    need_kinds("html")
    with Place() as p:
        for i in range(300):
            p.write("%03d.html" % i, "<p>%s</p>" % ("word %d " % i * 3000))
        child = p.start("index", "-m", model())
        check(harness.wait_for(lambda: helpers_of(child.pid) or child.poll() is not None), "a helper is started")
        helpers = helpers_of(child.pid)
        child.kill()
        child.communicate()
        check(helpers, "helpers were seen")
        check(harness.wait_for(lambda: not any(is_alive(h) for h in helpers)), "helpers outlive the program: %r" % helpers)
