"""A chat server that misbehaves on purpose: the OpenAI protocol on loopback, faults by seed.

    with MisbehavingServer(lambda messages: "yes", {"http_500": 0.2, "reset": 0.1}) as server:
        backend = open_backend("openai:test-model", server.base_url)

What a request meets depends on the seed, its body and how often that body came before, never on
time or order; only the rate limit is a matter of time. Refusals quote the caller's key, as some
proxies do.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

Message = dict[str, Any]
Faults = Mapping[str, float] | Callable[[list[Message], int], str]

TRANSIENT = ("http_429", "http_500", "http_502", "http_503", "http_529", "reset", "timeout")
FATAL = ("http_401", "http_404")
HOLLOW = ("empty", "html")  # status 200 without a chat completion
ANSWERS = ("empty_text", "truncated", "bad_json", "wrong_schema", "refusal", "tool_call")
WRAPPED = ("think", "fence")  # the right answer, dressed up
FAULTS = (*TRANSIENT, *FATAL, *HOLLOW, *ANSWERS, *WRAPPED)

REFUSAL = "I'm sorry, but I can't help with that."
PAGE = "<!doctype html><html><body><h1>Welcome to the guest network</h1></body></html>"


@dataclass(slots=True)
class Seen:
    """A request in the log. `tokens` are those that a provider would bill."""

    body: dict[str, Any]
    fault: str
    time: float
    status: int = 0
    tokens: int = 0


class MisbehavingServer:
    """Serves ``POST /v1/chat/completions``; the text of a right answer is `answer(messages)`.

    `faults` gives the share of requests that each fault meets, or is a function of the messages
    and of how often this body came before that names the fault ("" for none). `latency` bounds
    the seconds before an answer; the fault ``timeout`` answers after `late` seconds;
    ``http_429`` says `retry_after`. `rate_limit` is in requests a minute, with bursts of a
    second's worth; what crosses it is logged as ``rate_limit`` and does not count as seen.
    Without `keep_alive` each response closes its connection.
    """

    def __init__(
        self,
        answer: Callable[[list[Message]], str],
        faults: Faults | None = None,
        *,
        seed: int = 0,
        latency: tuple[float, float] = (0.0, 0.0),
        rate_limit: float | None = None,
        retry_after: float = 0.05,
        late: float = 1.0,
        keep_alive: bool = True,
    ) -> None:
        self.requests: list[Seen] = []
        self.peak = 0  # most requests that were under way at once
        self.keep_alive = keep_alive
        self._answer = answer
        self._faults = faults if callable(faults) else dict(faults or {})
        if not callable(self._faults) and (unknown := set(self._faults) - set(FAULTS)):
            raise ValueError(f"no such fault: {', '.join(sorted(unknown))}")
        self._seed = seed
        self._latency = latency
        self._retry_after = retry_after
        self._late = late
        self._rate = rate_limit / 60 if rate_limit else 0.0
        self._burst = max(1.0, self._rate)
        self._allowance, self._refilled = self._burst, time.monotonic()
        self._times_seen: Counter[str] = Counter()
        self._active = 0
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._http = _Server(self)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))
        self.base_url = f"http://127.0.0.1:{self._http.server_port}/v1"

    def __enter__(self) -> MisbehavingServer:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closing.set()
        self._http.shutdown()
        self._http.hang_up()
        self._http.server_close()
        self._thread.join()

    @property
    def tokens(self) -> int:
        """Tokens that a provider would bill so far."""
        return sum(seen.tokens for seen in self.requests)

    def count(self, fault: str) -> int:
        """How many requests met a fault ("" for none)."""
        return sum(seen.fault == fault for seen in self.requests)

    def serve(self, body: dict[str, Any], key: str) -> Response | None:
        """Return the response to a request, None to hang up."""
        with self._lock:
            wait = self._wait_for_a_place()
            fault, delay = ("rate_limit", 0.0) if wait else self._fate(body)
            seen = Seen(body, fault, time.time())
            self.requests.append(seen)
            self._active += 1
            self.peak = max(self.peak, self._active)
        try:
            self._closing.wait(self._late if fault == "timeout" else delay)
            response = self._respond(body, fault, key, wait)
        finally:
            with self._lock:
                self._active -= 1
        if response:
            seen.status, seen.tokens = response.status, response.tokens
        return response

    def _wait_for_a_place(self) -> float:
        if not self._rate:
            return 0.0
        now = time.monotonic()
        earned = (now - self._refilled) * self._rate
        self._allowance, self._refilled = min(self._burst, self._allowance + earned), now
        if self._allowance < 1:
            return (1 - self._allowance) / self._rate
        self._allowance -= 1
        return 0.0

    def _fate(self, body: dict[str, Any]) -> tuple[str, float]:
        digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        times = self._times_seen[digest]
        self._times_seen[digest] += 1
        draw = random.Random(f"{self._seed} {digest} {times}")
        delay, point = draw.uniform(*self._latency), draw.random()
        if callable(self._faults):
            return self._faults(body["messages"], times), delay
        for fault, share in self._faults.items():
            if point < share:
                return fault, delay
            point -= share
        return "", delay

    def _respond(self, body: dict[str, Any], fault: str, key: str, wait: float) -> Response | None:
        if fault == "reset":
            return None
        if fault == "rate_limit":
            return problem(429, key, wait)
        if fault.startswith("http_"):
            return problem(int(fault[5:]), key, self._retry_after)
        if fault == "empty":
            return Response(200, b"")
        if fault == "html":
            return Response(200, PAGE.encode(), kind="text/html")
        return completion(body, fault, self._answer(body["messages"]))


@dataclass(frozen=True, slots=True)
class Response:
    """What goes back; `tokens` is what it costs."""

    status: int
    content: bytes
    kind: str = "application/json"
    retry_after: float = 0.0
    tokens: int = 0


def problem(status: int, key: str = "", retry_after: float = 0.0) -> Response:
    """Refuse a request."""
    error = {"message": f"This server says no to {key}.", "type": "test", "code": str(status)}
    content = json.dumps({"error": error}).encode()
    return Response(status, content, retry_after=retry_after if status == 429 else 0.0)


def completion(body: Mapping[str, Any], fault: str, text: str) -> Response:
    """Answer a request with `text`, or with what the fault makes of it."""
    finish = "stop"
    if fault in ANSWERS or fault in WRAPPED:
        text = {
            "empty_text": "",
            "tool_call": "",
            "truncated": text[: len(text) // 2],
            "bad_json": "Certainly, the label is good and the points are three.",
            "wrong_schema": '{"unexpected": [true]}',
            "refusal": REFUSAL,
            "think": f"<think>\nPerhaps {{this}}? No, rather that.\n</think>\n\n{text}",
            "fence": f"Here it is:\n\n```json\n{text}\n```\n",
        }[fault]
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    if limit and tokens(text) > limit:
        text, finish = text[: limit * 4], "length"
    message: Message = {"role": "assistant", "content": text}
    if fault == "truncated":
        finish = "length"
    if fault == "tool_call":
        called = {"name": "look_up", "arguments": "{}"}
        message["content"] = None
        message["tool_calls"] = [{"id": "call_1", "type": "function", "function": called}]
        finish = "tool_calls"
    read = sum(tokens(str(message["content"])) for message in body["messages"])
    wrote = tokens(text)
    whole = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {"prompt_tokens": read, "completion_tokens": wrote, "total_tokens": read + wrote},
    }
    return Response(200, json.dumps(whole).encode(), tokens=read + wrote)


def tokens(text: str) -> int:
    """Count a token for each four characters."""
    return (len(text) + 3) // 4


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet
    server: _Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/v1/chat/completions":
            response = self.server.owner.serve(body, self.headers.get("Authorization", ""))
        else:
            response = problem(404)
        if response is None:
            self.close_connection = True
            # Lingering for no time sends RST at close.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return
        self.send_response(response.status)
        self.send_header("Content-Type", response.kind)
        self.send_header("Content-Length", str(len(response.content)))
        if response.retry_after:
            self.send_header("Retry-After", f"{response.retry_after:.3g}")
        if not self.server.owner.keep_alive:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(response.content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that closing waits for them
    request_queue_size = 128

    def __init__(self, owner: MisbehavingServer) -> None:
        self.owner = owner
        self.open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.open.discard(request)
        self.close_request(request)  # without the FIN that would go before a reset

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that went away is part of the game."""

    def hang_up(self) -> None:
        """Close every connection that a client keeps open."""
        for connection in list(self.open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
