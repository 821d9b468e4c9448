# SPDX-License-Identifier: Apache-2.0
"""ilk pull and ilk models against a server on this machine that plays the hub, and plays it badly."""
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time

import harness
from fake_hub import (COMMIT, TOKEN, Hub, Model, damaged, folder, git_name, hang_up, of_blob, redirect, sha256, status)
from harness import Place, Skip, check, equal, lacks, matches, model, need

ID = "org/model"
REPO = ".cache/huggingface/hub/models--org--model"


def checkpoint(name="bert-mean"):
    """A fixture as published, with files beside it that ilk has no use for."""
    files = {k: v for k, v in folder(model(name)).items() if not k.startswith("golden")}
    files.update({"README.md": b"# card", ".gitattributes": b"*", "onnx/model.onnx": b"o" * 1000, "model-Q4.gguf": b"g",
                  "pytorch_model.bin": b"p" * 1000, "openvino/openvino_model.bin": b"v", "tf_model.h5": b"t",
                  "1_Pooling/README.md": b"r"})
    return files


def large(n=3 << 20, seed=1):
    """Not a model, but files that take their time."""
    return {"config.json": b'{"model_type":"bert"}', "tokenizer.json": b"{}", "merges.txt": b"",
            "model.safetensors": random.Random(seed).randbytes(n)}


def tree(p, *parts):
    top = os.path.join(p.home, REPO, *parts)
    return sorted(os.path.relpath(os.path.join(b, f), top) for b, _, names in os.walk(top) for f in names)


def shown(p):
    return os.path.exists(os.path.join(p.home, REPO, "snapshots", COMMIT)) or bool(tree(p, "refs"))


def whole(p, files, names):
    """Every file of the snapshot is there with its bytes, and nothing else."""
    ok = equal(tree(p, "snapshots", COMMIT), sorted(names), "files of the snapshot")
    for name in names if ok else ():
        with open(os.path.join(p.home, REPO, "snapshots", COMMIT, name), "rb") as f:
            ok &= check(f.read() == files[name], "bytes of " + name)
    check(not [f for f in tree(p, "blobs") if "incomplete" in f], "nothing incomplete is left")
    return ok


def test_pull_and_use():
    files = checkpoint()
    with Place() as p, Hub({ID: Model(files)}) as hub:
        r = p.run("pull", ID, "-v", **hub.env(HF_TOKEN=TOKEN))
        equal(r.status, 0, r.err)
        snapshot = os.path.join(p.home, REPO, "snapshots", COMMIT)
        equal(r.out, snapshot + "\n", "standard output is where it is")
        matches(r.err, "org/model .main, commit c0ffee00c0ff.*licence: apache-2.0; languages: en, de")
        matches(r.err, "to be fetched from " + hub.url)
        lacks(r.err + r.out, TOKEN + "|signature", "secrets")
        wanted = ["1_Pooling/config.json", "config.json", "model.safetensors", "modules.json", "sentence_bert_config.json",
                  "tokenizer.json", "tokenizer_config.json", "vocab.txt"]
        whole(p, files, wanted)
        equal(tree(p, "refs"), ["main"], "refs")
        with open(os.path.join(p.home, REPO, "refs", "main")) as f:
            equal(f.read(), COMMIT, "the ref, as the hub's tools write it")
        equal(os.readlink(os.path.join(snapshot, "1_Pooling/config.json")),
              "../../../blobs/" + git_name(files["1_Pooling/config.json"]), "a link is relative")
        equal(os.readlink(os.path.join(snapshot, "model.safetensors")), "../../blobs/" + sha256(files["model.safetensors"]))
        for path, headers in hub.asked("hub"):
            equal(headers.get("Authorization"), "Bearer " + TOKEN, "the token goes to the hub: " + path)
        equal(len(hub.asked("cdn")), 1, "the weights come from the CDN")
        equal([h for _, h in hub.asked("cdn") if "Authorization" in h], [], "and it does not get the token")
        equal(p.run("embed", "-m", ID, input="a").status, 0, "it can be used")
        line = json.loads(p.run("models").out)
        equal((line["id"], line["revision"], line["family"], line["dim"], line["kind"], line["path"]),
              (ID, COMMIT, "bert", 32, "text", snapshot), "models")
        matches(p.terminal("models", "--color=never").out, "org/model +c0ffee00c0ff +text +bert +dim 32")
        hub.forget()
        r = p.run("pull", ID, **hub.env())
        matches(r.err, "all of it is in the cache")
        lacks(str(hub.requests), "cdn|model.safetensors", "nothing is fetched twice")


def test_folders_shards_and_old_weights():
    files = checkpoint("bert-dense")
    with Place() as p, Hub({ID: Model(files)}) as hub:
        equal(p.run("pull", ID, **hub.env()).status, 0, "dense")
        check("2_Dense/model.safetensors" in tree(p, "snapshots", COMMIT) or "2_Dense/pytorch_model.bin" in
              tree(p, "snapshots", COMMIT), "the module's weights")
        equal(p.run("embed", "-m", ID, input="a").status, 0, "it can be used")
    files = large(1000)
    shards = ["model-0000%d-of-00002.safetensors" % i for i in (1, 2)]
    files[shards[0]] = files.pop("model.safetensors")
    files[shards[1]] = b"second"
    files["model-00001-of-00099.safetensors"] = b"of nothing"
    files["model.safetensors.index.json"] = json.dumps({"weight_map": {"a": shards[0], "b": shards[1], "c": shards[0]}}).encode()
    with Place() as p, Hub({ID: Model(files)}) as hub:
        equal(p.run("pull", ID, **hub.env()).status, 0, "shards")
        whole(p, files, ["config.json", "tokenizer.json", "merges.txt", "model.safetensors.index.json"] + shards)
    for name, says in (("gone.safetensors", "which the model does not have"), ("../../x", "which the model does not have")):
        files["model.safetensors.index.json"] = json.dumps({"weight_map": {"a": name}}).encode()
        with Place() as p, Hub({ID: Model(files)}) as hub:
            r = p.run("pull", ID, **hub.env())
            equal(r.status, 2, "a shard that is not there")
            matches(r.err, says)
    with Place() as p, Hub({ID: Model({"config.json": b"{}", "pytorch_model.bin": b"b" * 5000})}) as hub:
        equal(p.run("pull", ID, **hub.env()).status, 0, "torch's format, where there is no other")
        check("pytorch_model.bin" in tree(p, "snapshots", COMMIT), "it was fetched")
    with Place() as p, Hub({ID: Model({"config.json": b"{}", "model.gguf": b"g"})}) as hub:
        r = p.run("pull", ID, **hub.env())
        equal(r.status, 2, "nothing to read")
        matches(r.err, "expected model.safetensors.*found none among 2 files")
    files = checkpoint()
    files["modules.json"] = json.dumps([{"idx": 0, "path": "../../up", "type": "x.Pooling"}]).encode()
    with Place() as p, Hub({ID: Model(files)}) as hub:
        r = p.run("pull", ID, **hub.env())
        equal(r.status, 2, "a module outside")
        matches(r.err, "leads out of the model")


def test_dry_run_and_json():
    files = large(100000)
    with Place() as p, Hub({ID: Model(files)}) as hub:
        r = p.run("pull", "--dry-run", ID, **hub.env())
        equal(r.status, 0, r.err)
        equal(r.out.splitlines(), ["0\tto fetch\tmerges.txt", "2\tto fetch\ttokenizer.json", "21\tto fetch\tconfig.json",
                                   "100000\tto fetch\tmodel.safetensors"], "small ones first")
        check(not os.path.exists(os.path.join(p.home, ".cache")), "nothing is written")
        (doc,) = json.loads(p.run("pull", "-n", "--json", ID, **hub.env()).out)
        equal((doc["id"], doc["commit"], doc["bytes"], doc["present_bytes"], doc["licence"], doc["languages"], doc["gated"]),
              (ID, COMMIT, 100023, 0, "apache-2.0", "en, de", False), "--json")
        equal(len(hub.asked("cdn")), 0, "no weights are fetched")
        (doc,) = json.loads(p.run("pull", "--json", ID, **hub.env()).out)
        equal([f["present_bytes"] - f["bytes"] for f in doc["files"]], [0] * 4, "all is there")
        for card, says in (({}, "licence: not stated; languages: not stated"), ({"license": "other", "license_name": "gemma",
                           "language": "zh"}, "licence: gemma; languages: zh"),
                           ({"license": ["mit", "bsd"], "language": 7}, "licence: mit, bsd; languages: not stated"),
                           ({"license": "\x1b[31mred"}, "licence: .x1b.31mred")):
            hub.models[ID].card = card
            matches(p.terminal("pull", "-n", ID, **hub.env()).out, says)


def test_it_asks_on_a_terminal():
    with Place() as p, Hub({ID: Model(large(200000))}) as hub:
        r = p.terminal("pull", ID, answer=b"n\n", **hub.env())
        equal(r.status, 1, r.out)
        matches(r.out, "apache-2.0.*Fetch 0.2 MB. .Y/n.")
        check(not shown(p), "no means no")
        equal(p.terminal("pull", ID, answer=b"\n", **hub.env()).status, 0, "an empty answer is yes")
        check(shown(p), "it was fetched")
    with Place() as p, Hub({ID: Model(large(200000))}) as hub:
        r = p.terminal("pull", "-y", ID, **hub.env())
        equal(r.status, 0, "-y")
        lacks(r.out, "Y/n")
    with Place() as p, Hub({ID: Model(large())}) as hub:
        hub.fault("cdn", "", of_blob(pause=0.05))
        r = p.terminal("pull", "-y", ID, **hub.env())
        matches(r.out, r"fetching [0-9.]+/3.1 MB .*MB/s.*left", "progress after a second")


def test_revisions_and_short_names():
    files = large(1000)
    with Place() as p, Hub({ID: Model(files), "sentence-transformers/all-MiniLM-L6-v2": Model(files)}) as hub:
        for revision in ("v1", "refs/pr/1"):
            equal(p.run("pull", ID, "--revision", revision, **hub.env()).status, 0, revision)
            with open(os.path.join(p.home, REPO, "refs", revision)) as f:
                equal(f.read(), COMMIT, revision)
        check(hub.asked("hub", "revision/refs%2Fpr%2F1"), "a slash is quoted")
        equal(p.run("pull", ID + "@" + COMMIT, **hub.env()).status, 0, "a commit")
        equal(tree(p, "refs"), ["refs/pr/1", "v1"], "a commit needs no ref")
        r = p.run("pull", ID + "@v2", **hub.env())
        equal(r.status, 2, "no such revision")
        matches(r.err, "has no revision v2")
        for revision in ("../../x", "/x", "a//b"):
            equal(p.run("pull", ID, "--revision", revision, **hub.env()).status, 2, revision)
        matches(p.run("pull", ID + "@v1", "--revision", "main", **hub.env()).err, "so does the option")
        r = p.run("pull", "minilm", **hub.env())
        equal(r.status, 0, r.err)
        matches(r.err, "sentence-transformers/all-MiniLM-L6-v2 .main")
        matches(r.out, "models--sentence-transformers--all-MiniLM-L6-v2/snapshots/" + COMMIT)
        hub.models["sentence-transformers/all-MiniLM-L6-v2"].card = {}
        matches(p.run("pull", "-n", "minilm", **hub.env()).err, "licence: apache-2.0; languages: English", "ilk's own row")
        r = p.run("pull", "minilmm", **hub.env())
        equal(r.status, 2, "a short name with a slip")
        matches(r.err, "did you mean minilm.$")
        matches(p.run("show", "nomik").err, "did you mean nomic.$")
        r = p.run("pull", "..", "a/b/c", "not a model", "no/such", **hub.env())
        equal((r.status, r.err.count("\n")), (2, 4), "each is told")


def test_a_connection_that_breaks():
    files = large()
    with Place() as p, Hub({ID: Model(files)}) as hub:
        hub.fault("cdn", "", of_blob(upto=1 << 20))
        hub.fault("cdn", "", of_blob(upto=1 << 20))
        hub.fault("hub", "resolve.*config", hang_up)
        r = p.run("pull", ID, "-v", **hub.env())
        equal(r.status, 0, r.err)
        matches(r.err, "trying again in")
        lacks(r.err, "signature", "secrets of addresses")
        whole(p, files, files)
        ranges = [h.get("Range") for _, h in hub.asked("cdn")]
        equal((len(ranges), ranges[0]), (3, None), "two more tries")
        check(all(int(a[6:-1]) <= int(b[6:-1]) for a, b in zip(ranges[1:], ranges[2:])), "it goes on: %r" % ranges)
        check(int(ranges[2][6:-1]) > 1 << 20, "behind what came: %r" % ranges)


def test_a_server_that_cannot_resume():
    files = large()
    with Place() as p, Hub({ID: Model(files)}) as hub:
        hub.fault("cdn", "", of_blob(upto=1 << 20))
        hub.fault("cdn", "", of_blob(ranges=False))
        equal(p.run("pull", ID, **hub.env()).status, 0, "from the beginning")
        whole(p, files, files)
        equal(len(hub.asked("cdn")), 2, "at once")


def test_headers_that_lie():
    files = large(300000)
    blob = sha256(files["model.safetensors"])

    def answer(code, *headers):
        def reply(h):
            h.send_response(code)
            for name, value in headers:
                h.send_header(name, value)
            h.end_headers()
            h.wfile.write(h.server.hub.blobs[blob][:1000])
            h.close_connection = True
        return reply
    lies = [(206, [("Content-Range", "bytes 7-299999/300000")], "asked for the bytes from 100000, got those from 7"),
            (206, [("Content-Range", "bytes 100000-/99999999999999999999999")], "trying again|bytes"),
            (206, [("Content-Range", "bytes x-y/z")], "asked for the bytes from 100000"),
            (206, [], "asked for the bytes from 100000"),
            (206, [("Content-Range", "bytes 100000-299999/300001")], "300001 bytes"),
            (302, [], "HTTP 302 without an address"), (302, [("Location", "http://")], "redirect|address"),
            (200, [("Content-Length", "-5")], "."), (204, [], "ended after")]
    for code, headers, says in lies:
        with Place() as p, Hub({ID: Model(files)}) as hub:
            os.makedirs(os.path.join(p.home, REPO, "blobs"))
            with open(os.path.join(p.home, REPO, "blobs", blob + ".incomplete"), "wb") as f:
                f.write(files["model.safetensors"][:100000])
            hub.fault("cdn", "", answer(code, *headers))
            r = p.run("pull", ID, "-v", **hub.env())
            matches(r.err, says, "HTTP %d %r" % (code, headers))
            check(r.status in (0, 2), "it ends: %r" % r)
            equal(r.status == 0, shown(p), "and shows what is whole")
            hub.faults.clear()
            equal(p.run("pull", ID, **hub.env()).status, 0, "the next one goes on")
            whole(p, files, files)


def begin(p, hub, upto=1 << 20):
    """Starts a fetch that is slow, and returns when a part of the weights is there."""
    hub.fault("cdn", "", of_blob(pause=0.05))
    child = p.start("pull", ID, **hub.env())
    part = os.path.join(p.home, REPO, "blobs", sha256(hub.models[ID].files["model.safetensors"]) + ".incomplete")
    harness.wait_for(lambda: child.poll() is not None or os.path.exists(part) and os.path.getsize(part) >= upto)
    return child, part


def test_killed_and_gone_on():
    files = large()
    with Place() as p, Hub({ID: Model(files)}) as hub:
        child, part = begin(p, hub)
        child.kill()
        child.communicate()
        check(not shown(p), "a model is not visible before it is whole")
        matches(p.run("show", ID).err, "revision main is not in the cache.*ilk pull org/model")
        size = os.path.getsize(part)
        check(size >= 1 << 20, "a part is there")
        hub.forget()
        (doc,) = json.loads(p.run("pull", "-n", "--json", ID, **hub.env()).out)
        check(doc["present_bytes"] >= size, "and is told")
        equal(p.run("pull", ID, **hub.env()).status, 0, "again")
        equal([h["Range"] for _, h in hub.asked("cdn")], ["bytes=%d-" % size], "from where it ended")
        whole(p, files, files)


def test_killed_at_any_moment():
    files = large(2 << 20)
    r = random.Random(5)
    with Place() as p, Hub({ID: Model(files)}) as hub:
        hub.fault("cdn", "", of_blob(pause=0.01), times=999)
        for n in range(60):
            child = p.start("pull", ID, **hub.env())
            time.sleep(r.uniform(0.005, 0.25) * (1 + n / 10))  # longer: a busy machine is slow to begin
            child.kill()
            child.communicate()
            if child.returncode == 0 or shown(p):
                whole(p, files, files)
                break
        equal(p.run("pull", ID, **hub.env()).status, 0, "after %d kills" % n)
        whole(p, files, files)
        check(n > 1, "some of them before the end: %d" % n)
        sent = [int(h.get("Range", "bytes=0-")[6:-1]) for _, h in hub.asked("cdn")]
        check(sent == sorted(sent) and sent[-1] > 0, "each goes on where the last ended: %r" % sent)


def test_ctrl_c_and_gone_on():
    files = large()
    with Place() as p, Hub({ID: Model(files)}) as hub:
        child, part = begin(p, hub)
        code = harness.interrupt(child, after=0)[0]
        equal(code, 130, "the signal's status")
        check(not shown(p) and os.path.getsize(part) > 0, "nothing is visible")
        equal(p.run("pull", ID, **hub.env()).status, 0, "again")
        whole(p, files, files)
    with Place() as p, Hub({ID: Model(files)}) as hub:  # a server that says nothing at all
        silent = socket.create_server(("127.0.0.1", 0))
        child = p.start("pull", ID, HF_ENDPOINT="http://127.0.0.1:%d" % silent.getsockname()[1])
        code, _, waited, _ = harness.interrupt(child, after=0.3)
        check(code == 130 and waited < 20, "it stops while it waits: %d after %.1f s" % (code, waited))
        silent.close()


def test_a_wrong_beginning():
    files = large()
    with Place() as p, Hub({ID: Model(files)}) as hub:
        for beginning in (b"x" * 100000, files["model.safetensors"] + b"more", b"x" * len(files["model.safetensors"])):
            blobs = os.path.join(p.home, REPO, "blobs")
            os.makedirs(blobs, exist_ok=True)
            with open(os.path.join(blobs, sha256(files["model.safetensors"]) + ".incomplete"), "wb") as f:
                f.write(beginning)
            r = p.run("pull", ID, **hub.env())
            equal(r.status, 0, r.err)
            whole(p, files, files)
            os.unlink(os.path.join(blobs, sha256(files["model.safetensors"])))


def test_damage_on_the_way():
    files = large()
    with Place() as p, Hub({ID: Model(files)}) as hub:
        hub.fault("cdn", "", damaged)
        r = p.run("pull", ID, **hub.env())
        equal(r.status, 2, "a wrong checksum")
        matches(r.err, "model.safetensors: what came has the checksum [0-9a-f]{64}, expected " + sha256(files["model.safetensors"]))
        check(not shown(p), "and nothing to see")
        hub.fault("hub", "resolve.*tokenizer.json", lambda h: h.send_file(b"[]", {}))
        r = p.run("pull", ID, **hub.env())
        equal(r.status, 0, "a file that is there already is not asked for")
        whole(p, files, files)
    with Place() as p, Hub({ID: Model(files)}) as hub:
        hub.fault("hub", "resolve.*tokenizer.json", lambda h: h.send_file(b"[]", {}))
        r = p.run("pull", ID, **hub.env())
        equal(r.status, 2, "a small file, by git's name")
        matches(r.err, "tokenizer.json: what came has the checksum [0-9a-f]{40}, expected " + git_name(b"{}"))
        for how, says in ((of_blob(length=1000), "lists 3145728 bytes, and the server has 1000"),
                          (of_blob(length=1 << 40), "model.safetensors|bytes")):
            hub.fault("cdn", "", how, times=99)
            r = p.run("pull", ID, **hub.env())
            equal(r.status, 2, "a length that is not the hub's")
            matches(r.err, says)
            hub.faults.clear()
        check(not shown(p), "nothing to see")


def together(*functions):
    """At once, since what is tested is that the program waits."""
    threads = [threading.Thread(target=f) for f in functions]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


def test_refusals():
    files = large(1000)
    models = {ID: Model(files, gated=True), "org/private": Model(files, private=True)}
    with Place() as p, Hub(models) as hub:
        cases = [((ID,), {}, "org/model is gated: accept its conditions at %s/org/model, then give a token" % hub.url),
                 (("org/private",), {}, "no such model at %s, or a private one, and no token was given" % hub.url),
                 (("org/none",), {}, "no such model at"),
                 (("org/none",), {"HF_TOKEN": TOKEN}, "no such model at .* that your token may not see"),
                 ((ID,), {"HF_TOKEN": "hf_other"}, "is gated, and the account of your token has no access"),
                 ((ID,), {"HF_TOKEN": "two words"}, "HF_TOKEN: expected one token"),
                 ((ID,), {"HF_TOKEN": "new\x01line"}, "HF_TOKEN: expected a token of visible ASCII"),
                 ((ID,), {"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set: nothing is fetched"),
                 ((ID,), {"HF_ENDPOINT": "ftp://127.0.0.1/"}, "HF_ENDPOINT: expected http")]
        for args, env, says in cases:
            r = p.run("pull", *args, **hub.env(**env) if "HF_ENDPOINT" not in env else env)
            equal(r.status, 2, says)
            matches(r.err, says)
            lacks(r.err, "hf_", "secrets")
        check(not os.path.exists(os.path.join(p.home, REPO, "snapshots", COMMIT)), "nothing to see")
        os.makedirs(os.path.join(p.home, ".cache/huggingface"), exist_ok=True)
        with open(os.path.join(p.home, ".cache/huggingface/token"), "w") as f:
            f.write(TOKEN + "\n")
        equal(p.run("pull", ID, **hub.env()).status, 0, "the token of the hub's tools")
        equal(p.run("pull", "org/private", **hub.env()).status, 0, "a private one")
        r = p.run("pull", "org/private", **hub.env(HF_HUB_DISABLE_IMPLICIT_TOKEN="1"))
        equal(r.status, 2, "a token that is not to be used")


def test_a_hub_that_is_ill():
    files = large(1000)

    def recovers():
        with Place() as p, Hub({ID: Model(files)}) as hub:
            hub.fault("hub", "api", status(503))
            hub.fault("hub", "api", status(429, Retry_After="1"))
            hub.fault("cdn", "", status(500))
            t = time.monotonic()
            equal(p.run("pull", ID, **hub.env()).status, 0, "it gets well")
            check(time.monotonic() - t >= 1.5, "pauses are kept")

    def stays(code, says, tries):
        with Place() as p, Hub({ID: Model(files)}) as hub:
            hub.fault("hub", "api", status(code), times=99)
            r = p.run("pull", ID, **hub.env())
            equal(r.status, 2, "HTTP %d" % code)
            matches(r.err, says)
            equal(len(hub.asked("hub", "api")), tries, "tries of HTTP %d" % code)

    def refused():
        with Place() as p:
            r = p.run("pull", ID, HF_ENDPOINT="http://user:word@127.0.0.1:1")
            equal(r.status, 2, "nobody listens")
            matches(r.err, "http://127.0.0.1:1/api/models/org/model/revision/main: .*onnect")
            lacks(r.err, "word|user", "secrets")

    def silent():
        with Place() as p, socket.create_server(("127.0.0.1", 0)) as s:
            r = p.run("pull", ID, HF_ENDPOINT="http://127.0.0.1:%d" % s.getsockname()[1], HF_HUB_DOWNLOAD_TIMEOUT="1")
            equal(r.status, 2, "a server that says nothing")
            matches(r.err, "no byte for 1 s")

    together(recovers, refused, silent, lambda: stays(500, "answers with HTTP 500", 5),
             lambda: stays(429, "asks for fewer requests", 5), lambda: stays(403, "denies access", 1),
             lambda: stays(404, "no such model", 1))


def test_redirects():
    files = large(1000)
    with Place() as p, Hub({ID: Model(files)}) as hub:
        hub.fault("hub", "api", redirect("/api/models/org/model/revision/main?blobs=true"))
        equal(p.run("pull", ID, "-n", **hub.env(HF_TOKEN=TOKEN)).status, 0, "a model that has moved")
        equal([h.get("Authorization") for _, h in hub.asked("hub", "api")], ["Bearer " + TOKEN] * 2, "same host: same token")
        for to, says in (("ftp://127.0.0.1/x", "a redirect to ftp"), ("file:///etc/passwd", "a redirect to file"),
                         ("/api/models/org/model/revision/main?again", "more than 8 redirects")):
            hub.faults.clear()
            hub.fault("hub", "api", redirect(to), times=99)
            r = p.run("pull", ID, **hub.env())
            equal(r.status, 2, to)
            matches(r.err, says)
        hub.faults.clear()
        hub.fault("hub", "api", redirect(hub.cdn_url + "/elsewhere"))
        hub.fault("cdn", "elsewhere", status(404))
        p.run("pull", ID, **hub.env(HF_TOKEN=TOKEN))
        equal([h.get("Authorization") for _, h in hub.asked("cdn", "elsewhere")], [None], "another port is another host")


def test_answers_that_are_none():
    def entry(name, **more):
        return {"rfilename": name, "size": 1, "blobId": "0" * 40, **more}
    good = json.loads(Model(large(1000)).info(ID))
    answers = [("", "expected a value|end|byte 0"), ("<html>", "byte"), ("[]", "no commit"), ("{}", "no commit"),
               ("[" * 100000, "deep|depth"), (json.dumps({**good, "sha": "../../x"}), "no commit"),
               (json.dumps({**good, "sha": "A" * 40}), "no commit"), (json.dumps({**good, "siblings": {}}), "list of files"),
               (json.dumps({**good, "siblings": [7]}), "no name"),
               (json.dumps({**good, "siblings": [entry("x")] * 100001}), "100001 files, at most 100000"),
               (json.dumps({**good, "siblings": [entry("x"), entry("x")]}), "has x twice"),
               (json.dumps({**good, "siblings": [entry("config.json", blobId="../x")]}), "not 40 hex"),
               (json.dumps({**good, "siblings": [entry("config.json", size=-1)]}), "no number of bytes"),
               (json.dumps({**good, "siblings": [entry("config.json", lfs={"sha256": "ab", "size": 1})]}), "not 64 hex"),
               (json.dumps({**good, "siblings": [{"rfilename": "model.safetensors"}]}), "tells no size and checksum"),
               (b" " * (33 << 20), "more than|at most")]
    for name in ("../x", "/etc/passwd", "a/../../b", "a//b", "./a", "a/.", "", "a\\b", "a\x00b", "a\nb", "x" * 2000, "a/" + "y" * 300):
        answers.append((json.dumps({**good, "siblings": good["siblings"] + [entry(name)]}), "expected a path below"))
    with Place() as p, Hub({ID: Model(large(1000))}) as hub:
        for text, says in answers:
            hub.models[ID].answer = text
            r = p.run("pull", ID, **hub.env())
            equal(r.status, 2, "%.60r: %s" % (text, r.err))
            matches(r.err, says, "%.60r" % text)
        check(not os.path.exists(os.path.join(p.home, ".cache")), "nothing is written")


def test_several_at_once():
    files = large()
    with Place() as p, Hub({ID: Model(files)}) as hub:
        hub.fault("cdn", "", of_blob(pause=0.01), times=9)
        children = [p.start("pull", ID, **hub.env()) for _ in range(4)]
        for c in children:
            c.communicate(timeout=harness.PATIENCE)
        equal([c.returncode for c in children], [0] * 4, "all of them")
        equal(len(hub.asked("cdn")), 1, "the weights are fetched once")
        whole(p, files, files)


def test_what_other_tools_have_left():
    files = large()
    with Place() as p, Hub({ID: Model(files)}) as hub:
        blobs, snapshot = (os.path.join(p.home, REPO, d) for d in ("blobs", "snapshots/" + COMMIT))
        os.makedirs(blobs)
        os.makedirs(snapshot)
        with open(os.path.join(blobs, sha256(files["model.safetensors"])), "wb") as f:
            f.write(files["model.safetensors"])
        os.symlink("../../blobs/" + git_name(files["config.json"]), os.path.join(snapshot, "config.json"))
        with open(os.path.join(snapshot, "tokenizer.json"), "w") as f:  # some systems have no links
            f.write("{}")
        equal(p.run("pull", ID, **hub.env()).status, 0, "a snapshot that was begun")
        equal(len(hub.asked("cdn")), 0, "what is there is not fetched")
        whole(p, files, files)


HUGGINGFACE = r"""
import json, os, sys
try:
    import huggingface_hub as h
except ImportError:
    sys.exit(77)
if sys.argv[1] == "find":
    path = h.snapshot_download("org/model", local_files_only=True)
    scan = h.scan_cache_dir()
    (repo,) = scan.repos
    (rev,) = repo.revisions
    print(json.dumps({"path": path, "id": repo.repo_id, "commit": rev.commit_hash, "refs": sorted(rev.refs),
                      "files": len(rev.files), "size": repo.size_on_disk, "warnings": [str(w) for w in scan.warnings],
                      "one": h.hf_hub_download("org/model", "config.json", local_files_only=True)}))
else:
    print(h.snapshot_download("org/model"))
"""


def huggingface(p, verb, **env):
    """Through the Python that has huggingface_hub: ILK_TEST_PYTHON, or the one that runs the tests."""
    python = os.environ.get("ILK_TEST_PYTHON", sys.executable)
    r = subprocess.run([python, "-c", HUGGINGFACE, verb], capture_output=True, timeout=120, text=True,
                       env=harness.environment(p.home, HF_HUB_DISABLE_TELEMETRY="1", **env))
    if r.returncode == 77:
        raise Skip("%s has no huggingface_hub; ILK_TEST_PYTHON names a Python that has it" % python)
    return r


def test_huggingface_hub_finds_it():
    files = checkpoint()
    with Place() as p, Hub({ID: Model(files)}) as hub:
        equal(p.run("pull", ID, **hub.env()).status, 0, "pull")
        r = huggingface(p, "find", HF_ENDPOINT=hub.url)
        if equal(r.returncode, 0, r.stderr):
            doc = json.loads(r.stdout)
            snapshot = os.path.join(p.home, REPO, "snapshots", COMMIT)
            equal((doc["path"], doc["id"], doc["commit"], doc["refs"], doc["warnings"]), (snapshot, ID, COMMIT, ["main"], []))
            equal((doc["files"], doc["one"]), (8, snapshot + "/config.json"), "its files")


def test_huggingface_hub_fetched_it():
    files = checkpoint()
    with Place() as p, Hub({ID: Model(files)}) as hub:
        r = huggingface(p, "fetch", HF_ENDPOINT=hub.url)
        equal(r.returncode, 0, r.stderr)
        hub.forget()
        r = p.run("pull", ID, **hub.env())
        equal(r.status, 0, r.err)
        matches(r.err, "all of it is in the cache")
        equal([path for path, _ in hub.asked("hub", "resolve") if "modules.json" not in path], [], "nothing is fetched again")
        equal(p.run("embed", "-m", ID, input="a").status, 0, "and it can be used")


def test_certificates():
    openssl = need("openssl")
    with Place() as p:
        key, cert = os.path.join(p.top, "key.pem"), os.path.join(p.top, "cert.pem")
        subprocess.run([openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2",
                        "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        with Hub({ID: Model(large(1000))}, (cert, key)) as hub:
            r = p.run("pull", "-n", ID, **hub.env())
            equal(r.status, 2, "a certificate that nobody knows")
            matches(r.err, "certificate|CA cert|SSL peer")
            equal(p.run("pull", "-n", ID, **hub.env(SSL_CERT_FILE=cert)).status, 0, "one that is known")
            r = p.run("pull", "-n", ID, **hub.env(SSL_CERT_FILE="/nonexistent"))
            equal(r.status, 2, "no certificates at all")
            matches(r.err, "package ca-certificates")
            hub.fault("hub", "api", redirect(hub.cdn_url + "/plain"))
            r = p.run("pull", "-n", ID, **hub.env(SSL_CERT_FILE=cert))
            matches(r.err, "from https to http is not followed")
            r = p.run("pull", "-n", ID, SSL_CERT_FILE=cert, HF_ENDPOINT=hub.url.replace("127.0.0.1", "localhost"))
            equal(r.status, 2, "the certificate of another name")


def through_proxy(endpoint, answer, **env):
    """What a proxy is sent."""
    seen = []
    with Place() as p, socket.create_server(("127.0.0.1", 0)) as proxy:
        def serve():
            while True:
                try:
                    connection, _ = proxy.accept()
                except OSError:
                    return
                seen.append(connection.recv(65536).decode())
                connection.sendall(answer)
                connection.close()
        threading.Thread(target=serve, daemon=True).start()
        url = "http://127.0.0.1:%d" % proxy.getsockname()[1]
        equal(p.run("pull", ID, HF_ENDPOINT=endpoint, HF_TOKEN=TOKEN, http_proxy=url, https_proxy=url, **env).status, 2, "no hub")
        proxy.shutdown(socket.SHUT_RDWR)
    return "".join(seen)


def test_proxy():
    missing = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nX-Error-Code: RepoNotFound\r\n\r\n"
    matches(through_proxy("http://hub.invalid", missing), "^GET http://hub.invalid/api/models/org/model/revision/main")
    told = through_proxy("https://hub.invalid", b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
    matches(told, "^CONNECT hub.invalid:443")
    lacks(told, "hf_|Authorization", "the proxy of a tunnel is not told the token")
    equal(through_proxy("http://hub.invalid", missing, no_proxy="hub.invalid"), "", "no_proxy")


def test_without_libcurl():
    with Place() as p, Hub({ID: Model(large(1000))}) as hub:
        for name in ("libcurl.so.4", "libcurl-gnutls.so.4"):
            p.write("none/" + name, "no library")
        none = os.path.join(p.dir, "none")
        r = p.run("pull", ID, **hub.env(LD_LIBRARY_PATH=none))
        equal(r.status, 2, "no libcurl")
        matches(r.err, "apt install libcurl4")
        doc = json.loads(p.run("doctor", "--json", LD_LIBRARY_PATH=none).out)
        equal(doc["libcurl"], None, "doctor")
        matches(doc["libcurl_error"], "libcurl4")
        matches(p.run("doctor").out, r"^network\tlibcurl [0-9.]+")
        equal(p.run("embed", "-m", model(), input="a", LD_LIBRARY_PATH=none).status, 0, "the rest goes on")


def test_models():
    with Place() as p:
        r = p.run("models")
        equal((r.status, r.out), (1, ""), "an empty cache")
        matches(r.err, "ilk models --known")
        known = [json.loads(s) for s in p.run("models", "--known").out.splitlines()]
        check(len(known) >= 12, "a dozen")
        equal(len({k["name"] for k in known} | {k["id"] for k in known}), 2 * len(known), "each name once")
        check(all(k["licence"] and k["languages"] and k["weights_bytes"] and k["source"] for k in known), "whole rows")
        shown = p.terminal("models", "--known", "--color=never", columns=160).out
        matches(shown, "^minilm +91 MB +dim 384 +256 tokens +apache-2.0 +English +sentence-transformers/all-MiniLM-L6-v2")
        equal(len(shown.splitlines()), len(known), "a row each")
        equal(len(p.terminal("models", "--known", "--jsonl").out.splitlines()), len(known), "--jsonl")
