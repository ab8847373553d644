"""A server of ``/v1/embeddings`` that can be told to misbehave, over real HTTP."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

DIMENSION = 48


def vector(text):
    """What the server answers for a text: the mean of a random vector for each word."""
    seeds = [int(hashlib.md5(w.encode()).hexdigest()[:8], 16) for w in text.split()] or [0]
    return np.mean([np.random.default_rng(s).standard_normal(DIMENSION) for s in seeds], axis=0)


class EmbeddingsServer:
    """Answers every request, after the faults that `faults` lists, the first first.

    A fault is a status, or a function that changes the answer's body. `most` is the length of the
    longest text in characters that is not refused; `seen` keeps the texts of each request.
    """

    def __init__(self, *, most=10**9):
        self.faults, self.most, self.seen, self.keys = [], most, [], set()
        self._lock = threading.Lock()
        self.at_once = self._now = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.base_url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def answer(self, texts):
        items = [
            {"object": "embedding", "index": i, "embedding": vector(text).tolist()}
            for i, text in enumerate(texts)
        ]
        used = sum(len(text.split()) for text in texts)
        return {"object": "list", "data": items, "usage": {"prompt_tokens": used}}

    def _handler(server):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                texts = asked["input"]
                with server._lock:
                    server._now += 1
                    server.at_once = max(server.at_once, server._now)
                    server.keys.add(self.headers.get("Authorization"))
                    server.seen.append(texts)
                    fault = server.faults.pop(0) if server.faults else None
                threading.Event().wait(0.01)
                if fault is None and max(map(len, texts)) > server.most:
                    fault = 400
                if isinstance(fault, int):
                    self.reply(fault, {"error": {"message": "this input is too long or so"}})
                else:
                    body = server.answer(texts)
                    self.reply(200, fault(body) if fault else body)
                with server._lock:
                    server._now -= 1

            def reply(self, status, body):
                data = json.dumps(body).encode()
                self.send_response(status)
                if status == 429:
                    self.send_header("Retry-After", "0.05")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args):
                pass

        return Handler
