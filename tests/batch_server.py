"""A server with the batch endpoints of OpenAI and of Anthropic, beside their single ones.

    with BatchServer(answer) as server:
        backend = open_backend("openai:test-model", f"{server.address}/v1")

Batches are worked on when they are looked at, `pace` requests a look, so that nothing depends on
time. What becomes of a request is up to `fate`: "" is an answer. What it holds is lost with it,
unless another takes its `state` over: a restart.
"""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import time
from types import TracebackType
from typing import Any

from misbehaving_server import tokens

FATES = ("", "expired", "overloaded", "bad_request", "lost")

Message = dict[str, Any]


@dataclass
class Made:
    """A batch: its requests by custom_id, in order, and the results so far."""

    id: str
    requests: dict[str, dict[str, Any]]
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    status: str = "in_progress"
    metadata: dict[str, str] = field(default_factory=dict)
    created: float = field(default_factory=time)
    cancelled: bool = False


@dataclass
class State:
    """What a provider keeps: files, batches, and how often each request was worked on."""

    files: dict[str, bytes] = field(default_factory=dict)
    batches: dict[str, Made] = field(default_factory=dict)
    paid: Counter[str] = field(default_factory=Counter)  # answers given, by the whole request
    single: Counter[str] = field(default_factory=Counter)  # those among them outside of batches
    looks: int = 0

    @property
    def singles(self) -> int:
        """Answers outside of batches."""
        return self.single.total()


class BatchServer:
    """Serves both providers on one port, OpenAI's below ``/v1``.

    `fate` names what becomes of a request in a batch by its last turn; `pace` is the number of
    requests done at each look, `broken` answers so many calls to a verb with a reset connection
    after it was carried out, and `refuses` names parameters that single and batched requests
    must not have. A single request is answered unless its fate says bad_request.
    """

    def __init__(
        self,
        answer: Callable[[list[Message]], str],
        *,
        fate: Callable[[str], str] = lambda said: "",
        pace: int = 10**9,
        broken: Mapping[str, int] | None = None,
        refuses: tuple[str, ...] = (),
        state: State | None = None,
        port: int = 0,
    ) -> None:
        self.state = state or State()
        self.answer = answer
        self.fate = fate
        self.pace = pace
        self.broken = Counter(broken or {})
        self.refuses = refuses
        self.lock = threading.RLock()
        self._http = _Server(self, port)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))
        self.port = self._http.server_port
        self.address = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> BatchServer:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._http.shutdown()
        self._http.hang_up()
        self._http.server_close()
        self._thread.join()

    # what both providers do -------------------------------------------------------------------

    def make(self, requests: dict[str, dict[str, Any]], metadata: dict[str, str]) -> Made:
        """Begin a batch."""
        made = Made(f"batch_{len(self.state.batches) + 1}", requests, metadata=metadata)
        self.state.batches[made.id] = made
        return made

    def look(self, made: Made, work: Callable[[Message, str], dict[str, Any] | None]) -> Made:
        """Work on some requests of a batch, and end it when all are done."""
        self.state.looks += 1
        if made.status == "in_progress":
            waiting = [id for id in made.requests if id not in made.results]
            for id in waiting[: self.pace]:
                body = made.requests[id]
                made.results[id] = work(body, self.fate(said(body))) or {"lost": True}
            if len(made.results) == len(made.requests):
                made.status = "ended"
        return made

    def completion(self, body: Message) -> dict[str, Any]:
        """OpenAI's answer; it is paid for."""
        self.state.paid[json.dumps(body, sort_keys=True)] += 1
        text, message = self.answer(body["messages"]), {"role": "assistant"}
        if "tools" in body:
            called = {"name": body["tools"][0]["function"]["name"], "arguments": text}
            message |= {
                "content": None,
                "tool_calls": [{"id": "c1", "type": "function", "function": called}],
            }
        else:
            message["content"] = text
        read, wrote = sum(tokens(str(m["content"])) for m in body["messages"]), tokens(text)
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {
                "prompt_tokens": read,
                "completion_tokens": wrote,
                "total_tokens": read + wrote,
            },
        }

    def message(self, body: Message) -> dict[str, Any]:
        """Anthropic's answer; it is paid for."""
        self.state.paid[json.dumps(body, sort_keys=True)] += 1
        text = self.answer(body["messages"])
        content: dict[str, Any] = {"type": "text", "text": text}
        if "tools" in body:
            name = body["tools"][0]["name"]
            content = {"type": "tool_use", "id": "t1", "name": name, "input": json.loads(text)}
        cached = 8 if "cache_control" in json.dumps(body["messages"]) else 0
        return {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": [content],
            "stop_reason": "tool_use" if "tools" in body else "end_turn",
            "stop_sequence": None,
            "usage": {
                "input_tokens": sum(tokens(json.dumps(m["content"])) for m in body["messages"]),
                "cache_read_input_tokens": cached,
                "cache_creation_input_tokens": 0,
                "output_tokens": tokens(text),
            },
        }

    def unwanted(self, body: Message) -> str:
        """The first parameter that is refused, "" if none is."""
        return next((name for name in self.refuses if name in body), "")


def said(body: Message) -> str:
    """The last turn's text."""
    content = body["messages"][-1]["content"]
    return content if isinstance(content, str) else "".join(b["text"] for b in content)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        self._serve("GET", b"")

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        content = self.rfile.read(length)
        if len(content) < length:  # the client ended in the middle of it
            self.close_connection = True
            return
        self._serve("POST", content)

    def _serve(self, method: str, content: bytes) -> None:
        owner = self.server.owner
        path, _, query = self.path.partition("?")
        asked = dict(pair.split("=") for pair in query.split("&") if pair)
        verb = f"{method} {_plain(path)}"
        with owner.lock:
            if path.startswith("/v1/messages"):
                status, answer = self._anthropic(verb, path, content, asked)
            else:
                status, answer = self._openai(verb, path, content, asked)
            if owner.broken[verb] > 0:
                owner.broken[verb] -= 1
                self.close_connection = True
                return
        self._send(status, answer)

    def _openai(
        self, verb: str, path: str, content: bytes, asked: dict[str, str]
    ) -> tuple[int, Any]:
        owner, state = self.server.owner, self.server.owner.state
        id = path.split("/")[3] if path.count("/") > 2 else ""
        if verb == "POST /v1/chat/completions":
            body = json.loads(content)
            if name := owner.unwanted(body):
                return 400, _unsupported(name)
            if owner.fate(said(body)) == "bad_request":
                return 400, _error("Your request was flagged.", "invalid_prompt")
            state.single[json.dumps(body, sort_keys=True)] += 1
            return 200, owner.completion(body)
        if verb == "POST /v1/files":
            head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
            parts = {
                part.get_param("name", header="content-disposition"): part.get_payload(decode=True)
                for part in message_from_bytes(head + content).get_payload()
            }
            assert parts["purpose"] == b"batch"
            name = f"file-{len(state.files) + 1}"
            state.files[name] = parts["file"]
            return 200, {"id": name, "object": "file", "purpose": "batch"}
        if verb == "POST /v1/batches":
            body = json.loads(content)
            lines = [json.loads(x) for x in state.files[body["input_file_id"]].splitlines()]
            assert all(line["url"] == body["endpoint"] for line in lines)
            requests = {line["custom_id"]: line["body"] for line in lines}
            assert len(requests) == len(lines)
            return 200, self._openai_batch(owner.make(requests, body["metadata"]))
        if verb == "GET /v1/batches":
            return 200, _page(state, asked.get("after"), asked, self._openai_batch)
        if verb == "GET /v1/batches/ID":
            if id not in state.batches:
                return 404, _error("No such batch.", "not_found")
            return 200, self._openai_batch(owner.look(state.batches[id], self._openai_work))
        if verb == "POST /v1/batches/ID/cancel":
            made = state.batches[id]
            made.status, made.cancelled = "ended", True
            return 200, self._openai_batch(made)
        if verb == "GET /v1/files/ID/content":
            kind, _, batch = id.partition("-")
            results = state.batches[batch].results
            return 200, [
                {"id": f"r-{key}", "custom_id": key, **result}
                for key, result in results.items()
                if not result.get("lost") and bool(_failed(result)) == (kind == "errors")
            ]
        return 404, _error(f"Nothing at {path}.", "not_found")

    def _openai_work(self, body: Message, fate: str) -> dict[str, Any] | None:
        owner = self.server.owner
        if fate == "lost":
            return None
        if fate == "expired":
            message = "This request could not be executed before the completion window expired."
            return {"response": None, "error": {"code": "batch_expired", "message": message}}
        status = 200
        if name := owner.unwanted(body):
            status, answer = 400, _unsupported(name)
        elif fate == "bad_request":
            status, answer = 400, _error("Your request was flagged.", "invalid_prompt")
        elif fate == "overloaded":
            status, answer = 500, _error("The server had an error.", "server_error")
        else:
            answer = owner.completion(body)
        return {
            "response": {"status_code": status, "request_id": "q", "body": answer},
            "error": None,
        }

    def _openai_batch(self, made: Made) -> dict[str, Any]:
        failed = sum(bool(_failed(r)) for r in made.results.values())
        status = {"ended": "cancelled" if made.cancelled else "completed"}.get(made.status)
        ended = made.status == "ended"
        return {
            "id": made.id,
            "object": "batch",
            "endpoint": "/v1/chat/completions",
            "status": status or made.status,
            "errors": {"data": [{"code": "x", "message": "no"}]} if status == "failed" else None,
            "created_at": int(made.created),
            "metadata": made.metadata,
            "output_file_id": f"output-{made.id}" if ended else None,
            "error_file_id": f"errors-{made.id}" if ended and failed else None,
            "request_counts": {
                "total": len(made.requests),
                "completed": len(made.results) - failed,
                "failed": failed,
            },
        }

    def _anthropic(
        self, verb: str, path: str, content: bytes, asked: dict[str, str]
    ) -> tuple[int, Any]:
        owner, state = self.server.owner, self.server.owner.state
        assert self.headers["anthropic-version"]
        assert self.headers["x-api-key"] or self.headers["authorization"]
        id = path.split("/")[4] if path.count("/") > 3 else ""
        if verb == "POST /v1/messages":
            body = json.loads(content)
            if name := owner.unwanted(body):
                told = f"`{name}` is deprecated for this model."
                return 400, _anthropic_error("invalid_request_error", told)
            state.single[json.dumps(body, sort_keys=True)] += 1
            return 200, owner.message(body)
        if verb == "POST /v1/messages/batches":
            asked_for = json.loads(content)["requests"]
            requests = {one["custom_id"]: one["params"] for one in asked_for}
            assert len(requests) == len(asked_for)
            return 200, self._anthropic_batch(owner.make(requests, {}))
        if verb == "GET /v1/messages/batches":
            page = _page(state, asked.get("after_id"), asked, self._anthropic_batch)
            return 200, {**page, "last_id": page["data"][-1]["id"] if page["data"] else None}
        if verb == "GET /v1/messages/batches/ID":
            if id not in state.batches:
                return 404, _anthropic_error("not_found_error", "No such batch.")
            return 200, self._anthropic_batch(owner.look(state.batches[id], self._anthropic_work))
        if verb == "POST /v1/messages/batches/ID/cancel":
            made = state.batches[id]
            made.status, made.cancelled = "ended", True
            return 200, self._anthropic_batch(made)
        if verb == "GET /v1/messages/batches/ID/results":
            made = state.batches[id]
            return 200, [
                {"custom_id": key, "result": made.results.get(key, {"type": "canceled"})}
                for key in made.requests
                if not made.results.get(key, {}).get("lost")
            ]
        return 404, _anthropic_error("not_found_error", f"Nothing at {path}.")

    def _anthropic_work(self, body: Message, fate: str) -> dict[str, Any] | None:
        if fate == "lost":
            return None
        if fate == "expired":
            return {"type": "expired"}
        if fate == "bad_request" or self.server.owner.unwanted(body):
            error = _anthropic_error("invalid_request_error", "messages: flagged")
            return {"type": "errored", "error": error}
        if fate == "overloaded":
            return {"type": "errored", "error": _anthropic_error("overloaded_error", "Overloaded")}
        return {"type": "succeeded", "message": self.server.owner.message(body)}

    def _anthropic_batch(self, made: Made) -> dict[str, Any]:
        kinds = Counter(r.get("type", "expired") for r in made.results.values())
        ended = made.status == "ended"
        rest = len(made.requests) - len(made.results)
        when = datetime.fromtimestamp(made.created, timezone.utc).isoformat()
        # The counts move on only once the whole batch has ended.
        return {
            "id": made.id,
            "type": "message_batch",
            "processing_status": "ended" if ended else "in_progress",
            "created_at": when.replace("+00:00", "Z"),
            "cancel_initiated_at": when if made.cancelled else None,
            "request_counts": {
                "processing": 0 if ended else len(made.requests),
                "succeeded": kinds["succeeded"] if ended else 0,
                "errored": kinds["errored"] if ended else 0,
                "canceled": rest if ended else 0,
                "expired": kinds["expired"] if ended else 0,
            },
        }

    def _send(self, status: int, answer: Any) -> None:
        if isinstance(answer, list):  # JSON lines
            content = "".join(json.dumps(line) + "\n" for line in answer).encode()
        else:
            content = json.dumps(answer).encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _plain(path: str) -> str:
    """A path with ID in place of what names a thing."""
    parts = path.split("/")
    named = ("batch_", "file-", "output-", "errors-")
    return "/".join("ID" if part.startswith(named) else part for part in parts)


def _page(
    state: State, after: str | None, asked: dict[str, str], shown: Callable[[Made], dict[str, Any]]
) -> dict[str, Any]:
    """Batches from the latest on, as many as were asked for."""
    latest = list(reversed(state.batches.values()))
    names = [made.id for made in latest]
    start = names.index(after) + 1 if after else 0
    end = start + int(asked["limit"])
    data = [shown(made) for made in latest[start:end]]
    return {"object": "list", "data": data, "has_more": end < len(latest)}


def _failed(result: dict[str, Any]) -> bool:
    return not result.get("lost") and (
        result["response"] is None or result["response"]["status_code"] >= 400
    )


def _error(message: str, code: str, param: str = "") -> dict[str, Any]:
    error = {"message": message, "type": "invalid_request_error", "code": code, "param": param}
    return {"error": error}


def _unsupported(name: str) -> dict[str, Any]:
    message = f"Unsupported parameter: '{name}' is not supported with this model."
    return _error(message, "unsupported_parameter", name)


def _anthropic_error(kind: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 1024

    def __init__(self, owner: BatchServer, port: int) -> None:
        self.owner = owner
        self.open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that went away, which is part of the game."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def hang_up(self) -> None:
        """Close every connection that a client keeps open."""
        for connection in list(self.open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
