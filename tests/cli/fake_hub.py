# SPDX-License-Identifier: Apache-2.0
"""A hub of models on this machine, and the CDN its large files come from (another port): what `ilk pull` talks to, well-
behaved or not. Standard library only."""
import hashlib
import http.server
import json
import os
import re
import ssl
import sys
import threading
import time
import urllib.parse

COMMIT = "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00"
TOKEN = "hf_a-secret-token"


def git_name(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def folder(path):
    """A checkpoint's files as {name: bytes}."""
    found = {}
    for base, _, names in os.walk(path):
        for name in names:
            full = os.path.join(base, name)
            with open(full, "rb") as f:
                found[os.path.relpath(full, path)] = f.read()
    return found


class Model:
    def __init__(self, files, commit=COMMIT, card=None, gated=False, private=False):
        self.files, self.commit, self.gated, self.private = dict(files), commit, gated, private
        self.card = {"license": "apache-2.0", "language": ["en", "de"]} if card is None else card
        self.answer = None    # text instead of the list of files
        self.siblings = []    # entries on top of it

    @staticmethod
    def is_large(name):
        return name.endswith((".safetensors", ".bin", ".onnx", ".gguf", ".pt"))

    def blob(self, name):
        data = self.files[name]
        return sha256(data) if self.is_large(name) else git_name(data)

    def info(self, name):
        siblings = []
        for path, data in self.files.items():
            entry = {"rfilename": path, "size": len(data), "blobId": git_name(data)}
            if self.is_large(path):
                entry["blobId"] = git_name(b"pointer of " + path.encode())
                entry["lfs"] = {"sha256": sha256(data), "size": len(data), "pointerSize": 130}
            siblings.append(entry)
        return json.dumps({"id": name, "sha": self.commit, "gated": "manual" if self.gated else False,
                           "cardData": self.card, "siblings": siblings + self.siblings})


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def send(self, status, body=b"", **headers):
        self.send_response(status)
        for k, v in headers.items():
            self.send_header(k.replace("_", "-"), v)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        hub = self.server.hub
        with hub.lock:
            hub.requests.append((self.server.role, self.path, dict(self.headers)))
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        fault = hub.next_fault(self.server.role, path)
        try:
            if fault is not None and fault(self) is not False:
                return
            if self.server.role == "cdn":
                self.send_file(hub.blobs[path.rsplit("/", 1)[1]], {})
            else:
                self.answer(hub, path)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def answer(self, hub, path):
        info = re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path)
        tree = re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/([^/]+)", path)
        resolve = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        found = tree or info or resolve
        model = hub.models.get(found.group(1)) if found else None
        known = self.headers.get("Authorization") == "Bearer " + TOKEN
        if model is None or (model.private and not known):
            return self.send(404 if known else 401, b"Repository not found", X_Error_Code="RepoNotFound")
        if model.gated and not known and not info:
            return self.send(401, b"", X_Error_Code="GatedRepo", X_Error_Message="Access is restricted")
        revision = found.group(2) or "main"
        if revision not in ("main", "v1", "refs/pr/1", model.commit):
            return self.send(404, b"", X_Error_Code="RevisionNotFound")
        if tree:
            entries = [{"type": "file", "path": e["rfilename"], "size": e["size"], "oid": e["blobId"],
                        **({"lfs": {"oid": e["lfs"]["sha256"], "size": e["lfs"]["size"], "pointerSize": 1}} if "lfs" in e else {})}
                       for e in json.loads(model.info(tree.group(1)))["siblings"]]
            return self.send(200, json.dumps(entries).encode(), Content_Type="application/json")
        if info:
            text = model.answer if model.answer is not None else model.info(info.group(1))
            return self.send(200, text if isinstance(text, bytes) else text.encode(), Content_Type="application/json")
        name = resolve.group(3)
        if name not in model.files:
            return self.send(404, b"", X_Error_Code="EntryNotFound")
        data, blob = model.files[name], model.blob(name)
        headers = {"X-Repo-Commit": model.commit, "ETag": '"%s"' % blob}
        if not model.is_large(name):
            return self.send_file(data, headers)
        hub.blobs[blob] = data
        self.send(302, b"", Location="%s/files/%s?signature=of-the-cdn" % (hub.cdn_url, blob), X_Linked_Size=str(len(data)),
                  X_Linked_ETag='"%s"' % blob, X_Repo_Commit=model.commit, ETag='"%s"' % blob)

    def send_file(self, data, headers, ranges=True, upto=None, pause=0, length=None):
        """`upto`: the connection is cut behind so many bytes; `pause`: seconds between pieces of 64 KiB."""
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")) if ranges else None
        start = int(asked.group(1)) if asked else 0
        if asked and start >= len(data):
            return self.send(416, b"", Content_Range="bytes */%d" % len(data))
        self.send_response(206 if asked else 200)
        for k, v in headers.items():
            self.send_header(k, v)
        if asked:
            self.send_header("Content-Range", "bytes %d-%d/%d" % (start, len(data) - 1, len(data)))
        self.send_header("Content-Length", str(length if length is not None else len(data) - start))
        self.end_headers()
        if self.command == "HEAD":
            return
        end = len(data) if upto is None else min(len(data), start + upto)
        for at in range(start, end, 65536):
            self.wfile.write(data[at:min(at + 65536, end)])
            if pause:
                self.wfile.flush()
                time.sleep(pause)
        if upto is not None or length is not None:
            self.close_connection = True


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, address):
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a program that was killed is no error of the server
            super().handle_error(request, address)


class Hub:
    """with Hub(models) as hub: …; hub.env() is the environment for the program."""

    def __init__(self, models, certificate=None):
        self.models, self.blobs, self.requests = models, {}, []
        self.faults = []  # [role, pattern, how often, function(handler)]
        self.lock = threading.Lock()
        self.certificate = certificate
        self.servers = []

    def start(self, role):
        server = Server(("127.0.0.1", 0), Handler)
        server.role, server.hub = role, self
        scheme = "http"
        if self.certificate and role == "hub":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
            scheme = "https"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        self.servers.append((server, thread))
        return "%s://127.0.0.1:%d" % (scheme, server.server_port)

    def __enter__(self):
        self.url, self.cdn_url = self.start("hub"), self.start("cdn")
        return self

    def __exit__(self, *exc):
        for server, thread in self.servers:
            server.shutdown()
            server.server_close()
            thread.join()

    def env(self, **more):
        return {"HF_ENDPOINT": self.url, **more}

    def fault(self, role, pattern, function, times=1):
        self.faults.append([role, re.compile(pattern), times, function])

    def next_fault(self, role, path):
        with self.lock:
            for fault in self.faults:
                if fault[0] == role and fault[2] > 0 and fault[1].search(path):
                    fault[2] -= 1
                    return fault[3]
        return None

    def asked(self, role, pattern=""):
        with self.lock:
            return [(path, headers) for r, path, headers in self.requests if r == role and re.search(pattern, path)]

    def forget(self):
        with self.lock:
            self.requests.clear()


# ---- faults: what a server does instead of its job

def status(code, body=b"trouble", **headers):
    return lambda h: h.send(code, body, **headers)


def of_blob(**how):
    """The CDN's file, sent in another way."""
    return lambda h: h.send_file(h.server.hub.blobs[h.path.split("?")[0].rsplit("/", 1)[1]], {}, **how)


def damaged(h):
    data = bytearray(h.server.hub.blobs[h.path.split("?")[0].rsplit("/", 1)[1]])
    data[len(data) // 2] ^= 1
    h.send_file(bytes(data), {})


def redirect(to):
    return lambda h: h.send(302, b"", Location=to)


def hang_up(h):
    h.close_connection = True
    h.connection.close()
