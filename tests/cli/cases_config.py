# SPDX-License-Identifier: Apache-2.0
"""Which model, which settings: flag, environment, folder, user; the cache of Hugging Face."""
import json
import os
import shutil

from harness import Place, check, equal, lacks, matches, model


def install(p, name, source="bert-mean", ref="main"):
    """A model in the cache, as the hub's tools lay it out."""
    repo = os.path.join(p.home, ".cache/huggingface/hub", "models--" + name.replace("/", "--"))
    commit = "0123456789abcdef0123456789abcdef01234567"
    os.makedirs(os.path.join(repo, "refs"))
    with open(os.path.join(repo, "refs", ref), "w") as f:
        f.write(commit)
    shutil.copytree(model(source), os.path.join(repo, "snapshots", commit))
    return os.path.join(repo, "snapshots", commit)


def configure(p, text, where=None):
    path = where or os.path.join(p.home, ".config/ilk/config")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)


def test_no_model():
    with Place() as p:
        r = p.run("embed", input="a")
        equal(r.status, 2, "status")
        equal(r.err.count("ilk pull"), 3, "three good ones")
        os.makedirs(os.path.join(p.dir, "models/mine"))
        r = p.run("embed", "-m", "models/mine", input="a")
        equal((r.status, r.err.count("ilk pull")), (2, 0), "a folder that lacks something is not to be pulled")
        matches(p.run("embed", "-m", "models/other", input="a").err, "ilk pull models/other")


def test_the_only_model_of_the_cache():
    with Place() as p:
        install(p, "org/one")
        broken = install(p, "org/broken")
        os.truncate(os.path.join(broken, "model.safetensors"), 100)
        r = p.run("embed", "-v", input="a")
        equal(r.status, 0, "one fits")
        matches(r.err, "model: org/one")
        models = json.loads(p.run("doctor", "--json").out)["models"]
        equal([(m["id"], m["error"] is None) for m in models], [("org/broken", False), ("org/one", True)], "doctor")
        kept = json.loads(p.run("doctor", "--json").out)
        check(kept["packed_folder"].endswith("/ilk/packed") and kept["packed_files"] == 0 == kept["packed_bytes"],
              "packed weights: those of a tiny model are not worth a file")
        equal(json.loads(p.run("doctor", "--json", ILK_PACKED_CACHE="off").out)["packed_folder"], None, "switched off")
        install(p, "org/two-three")
        r = p.run("embed", input="a")
        equal(r.status, 2, "two fit")
        matches(r.err, "which model.*-m org/one")
        equal(p.run("embed", "-m", "org/one@main", input="a").status, 0, "a revision")
        matches(p.run("embed", "-m", "org/one@nope", input="a").err, "nope")


def test_short_names():
    with Place() as p:
        def shown(*args):
            r = p.run("show", "--json", *args)
            return json.loads(r.out) if r.status == 0 else r.err
        matches(shown("minilm"), "^ilk: minilm .sentence-transformers/all-MiniLM-L6-v2.: not in the Hugging Face cache")
        install(p, "sentence-transformers/all-MiniLM-L6-v2")
        doc = shown("minilm")
        equal(doc["id"], "sentence-transformers/all-MiniLM-L6-v2", "a short name stands for its id")
        equal((doc["known"]["name"], doc["known"]["licence"]), ("minilm", "apache-2.0"), "the row")
        check(doc["known"]["source"], "its source")
        equal(shown("minilm@main")["id"], "sentence-transformers/all-MiniLM-L6-v2@main", "with a revision")
        equal(shown("minilm@main")["known"]["name"], "minilm", "with a revision")
        matches(shown("minilm@nope"), "nope")
        install(p, "minilm", "bert-cls")
        doc = shown("minilm")
        equal((doc["id"], doc["known"], doc["pooling"]), ("minilm", None, "cls"), "an id of the cache wins")
        shutil.copytree(model("bert-dense"), os.path.join(p.dir, "minilm"))
        matches(shown("minilm")["path"], "/work/minilm$", "a directory wins over both")
        matches(p.run("show", "-q", "sentence-transformers/all-MiniLM-L6-v2").out,
                "^known as\tminilm: English, licence apache-2.0 .*mteb")


def test_flag_wins_over_environment_over_configuration():
    with Place() as p:
        def shown(*args, **env):
            r = p.run("show", "--json", *args, **env)
            return os.path.basename(json.loads(r.out)["path"]) if r.status == 0 else r.err
        configure(p, "# a comment\n\nmodel = %s\n" % model("bert-cls"))
        equal(shown(), "bert-cls", "configuration")
        equal(shown(ILK_MODEL=model("bert-dense")), "bert-dense", "environment")
        equal(shown(model(), ILK_MODEL=model("bert-dense")), "bert-mean", "operand")
        r = p.run("embed", "-m", model(), "--json", input="a")
        equal(r.status, 2, "embed has no --json")
        other = os.path.join(p.top, "xdg")
        configure(p, 'model = "%s"\n' % model("bert-mean"), os.path.join(other, "ilk/config"))
        equal(shown(XDG_CONFIG_HOME=other), "bert-mean", "XDG_CONFIG_HOME, a quoted value")
        matches(shown(ILK_MODEL="/no/such"), "comes from ILK_MODEL")


def test_threads():
    with Place() as p:
        def threads(*args, **env):
            return json.loads(p.run("doctor", "--json", *args, **env).out)["threads"]
        configure(p, "threads = 3\n")
        equal(threads(ILK_THREADS=""), 3, "configuration")
        equal(threads(ILK_THREADS="4"), 4, "environment")
        equal(threads("--threads", "5", ILK_THREADS="4"), 5, "flag")
        matches(p.run("doctor", ILK_THREADS="many").err, 'ILK_THREADS: threads: expected a whole number .* "many"')


def test_what_a_file_says_wrong_is_named():
    with Place() as p:
        configure(p, "model = x/y\nmodle = z\njust words\ncolor = never\n")
        r = p.run("doctor")
        equal(r.status, 0, "status")
        matches(r.err, r'config:2: unknown key "modle": did you mean model')
        matches(r.err, r'config:3: expected "key = value", found "just words"')
        lacks(r.err, "config:1|config:4")
        lacks(p.terminal("doctor").out, "\033\\[1m")
        configure(p, "color = pink\n")
        matches(p.run("doctor").err, 'color: expected auto, always or never, found "pink"')


def test_a_folder_may_not_point_anywhere():
    with Place() as p:
        text = "store = /tmp/x\nthreads = 1\nmodel = /etc\nmodel = ../up/x\nmodel = here/too\nchunk-tokens = 20\nmodel = org/one\n"
        os.makedirs(os.path.join(p.dir, "here/too"))
        configure(p, text, os.path.join(p.dir, ".ilk/config"))
        r = p.run("doctor")
        for line, key in ((1, '"store" may not'), (2, '"threads" may not'), (3, "id .* only"), (4, "id .* only"), (5, "id .* only")):
            matches(r.err, "config:%d: .*%s" % (line, key))
        lacks(r.err, "config:6|config:7")
        install(p, "org/one", "bert-cls")
        install(p, "org/two")
        p.write("a.txt", "hello world")
        r = p.run("index", "-q")
        equal(r.status, 0, "index with the folder's model: %s" % r)
        matches(p.run("status", "-q").out, "org/one")
