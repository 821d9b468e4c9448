# SPDX-License-Identifier: Apache-2.0
"""status, prune, check; folders that cannot be written."""
import json
import os
import re
import resource
import shutil
import signal

import harness
from harness import Place, as_nobody, check, equal, lacks, matches, model


def filled(p):
    p.write("a.txt", "a red cat")
    p.write("b.txt", "hello world")
    p.write("empty.txt", "")
    equal(p.run("index", "-m", model()).status, 0, "index")


def test_status():
    with Place() as p:
        r = p.run("status")
        equal(r.status, 2, "no store")
        filled(p)
        doc = json.loads(p.run("status", "--json").out)
        equal((doc["indexed"], doc["skipped"], doc["failed"], doc["changed"], doc["gone"]), (2, 1, 0, 0, 0), "status")
        equal((doc["spaces"][0]["dim"], doc["spaces"][0]["model"]), (32, model()), "space")
        matches(doc["updated"], r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$")
        matches(doc["spaces"][0]["fingerprint"], "^[0-9a-f]{64}$")
        p.write("a.txt", "a red dog and more")
        os.unlink(os.path.join(p.dir, "b.txt"))
        r = p.run("status", "-v")
        matches(r.out, "^stale\t1 changed, 1 gone")
        matches(r.err, "^ilk: a.txt: changed$")
        matches(r.err, "^ilk: b.txt: gone$")
        matches(r.err, "^ilk: empty.txt: skipped: empty file$")
        equal(json.loads(p.run("doctor", "--json").out)["store_items"], doc["items"], "doctor")
        matches(p.run("status", p.dir, cwd=p.home).out, "^files\t2 indexed$")


def test_tables_that_were_never_filled():
    """What is left where an end comes between the making of the file and that of its tables."""
    def small_files():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))
    with Place() as p:
        p.write("a.txt", "a red cat")
        equal(p.run("index", "-m", model(), preexec=small_files).status, 2, "no room")
        path = os.path.join(p.dir, ".ilk/derived/meta.db")
        equal(os.path.getsize(path), 4096, "a file")
        with open(path, "rb") as f:
            equal(f.read()[60:64], b"\0\0\0\0", "without tables")
        r = p.run("check")
        equal((r.status, r.out, r.err), (0, "", "ilk: sound\n"), "nothing is lost: %s" % r)
        equal(p.run("search", "cat").status, 1, "nothing is found")
        equal(p.run("index", "-m", model()).status, 0, "it is filled later")
        equal(p.run("search", "-l", "cat").out, "a.txt\n", "and answers")
        data = bytearray(open(path, "rb").read())
        data[60:64] = b"\0\0\0\x63"
        with open(path, "wb") as f:
            f.write(data)
        equal(p.run("check").status, 2, "tables of another kind are wrong")


def test_prune():
    with Place() as p:
        filled(p)
        os.unlink(os.path.join(p.dir, "b.txt"))
        r = p.run("prune", "--dry-run")
        equal((r.status, r.out), (0, "b.txt\n"), "dry run")
        equal(json.loads(p.run("status", "--json").out)["gone"], 1, "still there")
        equal(p.run("prune").out, "b.txt\n", "prune")
        equal(json.loads(p.run("status", "--json").out)["indexed"], 1, "gone")
        equal(p.run("prune").out, "", "again")


def test_check_and_repair():
    with Place() as p:
        filled(p)
        r = p.run("check")
        equal((r.status, r.out), (0, ""), "sound")
        matches(r.err, "sound")
        equal(json.loads(p.run("check", "--json").out), {"findings": [], "sound": True}, "as a document")
        derived = os.path.join(p.dir, ".ilk/derived")
        names = [n for n in os.listdir(derived) if not re.search("-(wal|shm)$", n)]
        equal((len(names), "meta.db" in names), (2, True), "tables and codes")
        for name in names:
            with open(os.path.join(derived, name), "r+b") as f:
                f.seek(20)
                f.write(b"\xff" * 50)
            r = p.run("check")
            equal(r.status, 2, "%s is damaged: %s" % (name, r))
            matches(r.out, "wrong\t" + ("derived/meta.db" if name == "meta.db" else "codes of space"))
            equal(p.run("check", "--repair").status, 0, "repair of " + name)
            equal(p.run("check").status, 0, "repaired")
        log = os.path.join(p.dir, ".ilk/log", sorted(os.listdir(os.path.join(p.dir, ".ilk/log")))[0])
        with open(log, "r+b") as f:
            f.seek(200)
            f.write(b"\xff" * 8)
        r = p.run("check")
        equal(r.status, 2, "damage in the log: %s" % r)
        matches(r.err + r.out, "log file 1 is damaged")


def test_a_store_that_is_not_there():
    with Place() as p:
        r = p.run("search", "--store", "nowhere", "cat")
        equal(r.status, 2, "no such directory")
        matches(r.err, "there is no store at .*nowhere")
        filled(p)
        os.unlink(os.path.join(p.dir, ".ilk/manifest"))
        r = p.run("search", "cat", "-m", model())
        equal(r.status, 2, "no manifest")
        matches(r.err, r"\.ilk: expected a store, found none: its manifest is missing")
        r = p.run("check", "--repair")
        equal(r.status, 0, "repaired: %s" % r)
        matches(r.err, r"manifest: made again from 1 log files")
        equal(p.run("search", "cat", "-m", model()).status, 0, "and found again")


def test_another_model_than_the_store_s():
    with Place() as p:
        filled(p)
        r = p.run("search", "-m", model("bert-cls"), "cat")
        equal(r.status, 2, "status")
        matches(r.err, "were made by .*bert-mean.* ask with the store's own model")
        equal(p.run("search", "cat", ILK_MODEL=model("bert-cls")).status, 0, "the store's model wins over the environment")


def test_a_precision_for_life():
    with Place() as p:
        p.write("a.txt", "a red cat")
        equal(p.run("index", "-m", model(), "--precision", "int8").status, 0, "index")
        equal(json.loads(p.run("status", "--json").out)["spaces"][0]["precision"], "int8", "status")
        equal(p.run("search", "cat").status, 0, "the store's own precision without a flag")
        p.write("b.txt", "a blue dog")
        equal(p.run("index").status, 0, "and for more")
        for command in (("search", "--precision", "f32", "cat"), ("index", "--precision", "int8w")):
            p.write("c.txt", "another")
            r = p.run(*command)
            equal(r.status, 2, " ".join(command))
            matches(r.err, "precision")
        r = p.run("search", "--precision", "int9", "cat")
        equal(r.status, 2, "no precision")
        matches(r.err, "auto.*f32.*int8")


def test_a_model_that_has_moved():
    with Place() as p:
        place = os.path.join(p.top, "m")
        shutil.copytree(model(), place)
        p.write("a.txt", "a red cat")
        equal(p.run("index", "-m", "../m").status, 0, "index with a relative path")
        equal(p.run("search", "cat", cwd=p.dir).status, 0, "search")
        os.mkdir(os.path.join(p.dir, "below"))
        equal(p.run("search", "cat", cwd=os.path.join(p.dir, "below")).status, 0, "from another folder")
        os.rename(place, place + "2")
        r = p.run("search", "cat")
        equal(r.status, 2, "moved")
        matches(r.err, "give its place with -m")
        equal(p.run("search", "-m", place + "2", "cat").status, 0, "the same files elsewhere")


def test_a_folder_that_cannot_be_written():
    with Place() as p:
        become = as_nobody(p)
        p.write("a.txt", "a red cat")
        p.write("sub/b.txt", "hello world")
        os.chmod(p.dir, 0o555)
        r = p.run("index", "-m", model(), preexec=become)
        equal(r.status, 0, "index: %s" % r)
        equal(os.path.exists(os.path.join(p.dir, ".ilk")), False, "nothing in the folder")
        stores = os.path.join(p.home, ".local/share/ilk/stores")
        equal(len(os.listdir(stores)), 1, "a store below the data directory")
        equal(set(p.run("search", "-l", "cat", preexec=become).out.split()), {"a.txt", "sub/b.txt"}, "search")
        sub = os.path.join(p.dir, "sub")
        equal(set(p.run("search", "-l", "cat", cwd=sub, preexec=become).out.split()), {"../a.txt", "b.txt"}, "from below")
        equal(p.run("similar", "-l", "a.txt", preexec=become).out, "sub/b.txt\n", "similar")
        matches(p.run("index", preexec=become).err, "2 unchanged")
        os.chmod(p.dir, 0o755)


def test_one_writer_many_readers():
    with Place() as p:
        filled(p)
        lock = os.path.join(p.dir, ".ilk/lock")
        import fcntl
        import struct
        with open(lock, "r+b") as f:
            # an open file description lock, as the store takes: F_OFD_SETLK
            fcntl.fcntl(f, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
            r = p.run("index")
            equal(r.status, 2, "a second writer: %s" % r)
            matches(r.err, "(?i)lock|another|busy|in use")
            equal(p.run("search", "cat").status, 0, "a reader")
