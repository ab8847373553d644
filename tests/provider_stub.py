"""Stand-ins for the servers of Ollama and Anthropic, over real HTTP on loopback."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ERRORS = {
    401: ("authentication_error", "invalid x-api-key"),
    404: ("not_found_error", "model: no-such-model"),
    429: ("rate_limit_error", "too many requests"),
    529: ("overloaded_error", "Overloaded"),
}


@contextmanager
def serving(reply):
    """Serve what `reply(method, path, body, headers)` returns: status, headers, a JSON value.

    Yields the address, and the list of the requests: method, path, body, headers.
    """
    seen = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self):
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or "{}")
            asked = (self.command, self.path, body, dict(self.headers))
            seen.append(asked)
            status, headers, value = reply(*asked)
            content = value if isinstance(value, bytes) else json.dumps(value).encode() + b"\n"
            self.send_response(status)
            for name, text in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, text)
            if "Content-Length" not in headers:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_POST = do_HEAD = handle_any

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def ollama(answer, context=2048):
    """What Ollama says, for a model called ``tiny``."""

    def reply(method, path, body, headers):
        if path == "/api/tags":
            return 200, {}, {"models": [{"name": "tiny", "model": "tiny"}]}
        if body.get("model") != "tiny":
            return 404, {}, {"error": f"model '{body.get('model')}' not found"}
        if path == "/api/show":
            return 200, {}, {"parameters": "", "model_info": {"llama.context_length": context}}
        text = answer(body["messages"])
        said = {
            "model": "tiny",
            "created_at": "2026-01-01T00:00:00Z",
            "message": {"role": "assistant", "content": text},
            "done": True,
            "done_reason": "stop",
            "prompt_eval_count": 20,
            "eval_count": max(1, len(text) // 4),
        }
        return 200, {"Content-Type": "application/x-ndjson"}, said

    return reply


def anthropic(answer, statuses=()):
    """What Anthropic says to the key ``sk-right``; the first requests meet `statuses`."""
    left = list(statuses)

    def reply(method, path, body, headers):
        keys = {name.lower(): value for name, value in headers.items()}
        status = left.pop(0) if left else 200
        key = keys.get("x-api-key") or keys.get("authorization", "").removeprefix("Bearer ")
        if key != "sk-right":
            status = 401
        elif body["model"] == "no-such-model":
            status = 404
        if status != 200:
            kind, message = ERRORS[status]
            error = {"type": "error", "error": {"type": kind, "message": message}}
            return status, {"retry-after": "0"} if status == 429 else {}, error
        system = body.get("system", "")
        if not isinstance(system, str):
            system = "".join(block["text"] for block in system)
        turns = [{"role": "system", "content": system}]
        for message in body["messages"]:
            content = message["content"]
            if not isinstance(content, str):
                content = "".join(block.get("text", "") for block in content)
            turns.append({"role": message["role"], "content": content})
        text = answer(turns)
        return (
            200,
            {},
            {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "model": body["model"],
                "content": [{"type": "text", "text": text}],
                "stop_reason": "end_turn",
                "stop_sequence": None,
                "usage": {"input_tokens": 20, "output_tokens": max(1, len(text) // 4)},
            },
        )

    return reply
