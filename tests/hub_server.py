"""A stub of the hub's HTTP interface: datasets are made, files committed, refusals acted out."""

import base64
import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "hf_" + "t" * 30


class Hub:
    """What the stub holds; `rights` are the owners to whose names the token may write."""

    def __init__(self):
        self.rights = {"me"}
        self.private = {}
        self.files = {}
        self.blobs = {}
        self.broken = False


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self, status, value=None, **headers):
        body = json.dumps(value if value is not None else {}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        self.end_headers()
        self.wfile.write(body)

    def _body(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def do_GET(self):
        name = self.path.removeprefix("/api/datasets/")
        if name in self.server.hub.private:
            self._answer(200, {"id": name, "sha": "0" * 40, "siblings": []})
        else:
            self._answer(404, {"error": "Not found"}, X_Error_Code="RepoNotFound")

    def do_POST(self):
        hub, body = self.server.hub, self._body()
        if hub.broken:
            self._answer(500, {"error": "Internal"})
        elif self.path == "/api/validate-yaml":
            self._answer(200, {"errors": [], "warnings": []})
        elif self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._answer(401, {"error": "Invalid username or password."})
        elif self.path == "/api/repos/create":
            self._create(json.loads(body))
        elif "/preupload/" in self.path:
            self._preupload(json.loads(body))
        elif self.path.endswith("/info/lfs/objects/batch"):
            self._batch(json.loads(body))
        elif "/commit/" in self.path:
            self._commit(body)
        else:
            self._answer(404)

    def _create(self, asked):
        hub, name = self.server.hub, f"{asked['organization']}/{asked['name']}"
        if asked["organization"] not in hub.rights:
            self._answer(403, {"error": "You don't have the rights to create a dataset here"})
        elif name in hub.private:
            url = f"{self.server.url}/datasets/{name}"
            self._answer(409, {"error": "You already created this dataset repo", "url": url})
        else:
            hub.private[name] = asked.get("visibility") == "private"
            hub.files[name] = {}
            self._answer(200, {"url": f"{self.server.url}/datasets/{name}", "name": name})

    def _preupload(self, asked):
        modes = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["path"].endswith(".parquet") else "regular",
                "shouldIgnore": False,
            }
            for file in asked["files"]
        ]
        self._answer(200, {"files": modes})

    def _batch(self, asked):
        def upload(item):
            action = {"href": f"{self.server.url}/blobs/{item['oid']}"}
            return {**item, "actions": {"upload": action}}

        objects = [upload(item) for item in asked["objects"]]
        self._answer(200, {"transfer": "basic", "objects": objects})

    def do_PUT(self):
        body = self._body()
        self.server.hub.blobs[hashlib.sha256(body).hexdigest()] = body
        self._answer(200)

    def _commit(self, body):
        hub = self.server.hub
        name = self.path.split("/api/datasets/")[1].split("/commit/")[0]
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                hub.files[name][value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                hub.files[name][value["path"]] = hub.blobs[value["oid"]]
        url = f"{self.server.url}/datasets/{name}/commit/1"
        self._answer(200, {"commitUrl": url, "commitOid": "1" * 40})

    def log_message(self, *_):
        pass


@contextmanager
def serving():
    """Yield the hub and its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.hub, server.url = Hub(), f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.hub, server.url
    finally:
        server.shutdown()
        server.server_close()
