"""A chat server that misbehaves on purpose: the OpenAI protocol on loopback, faults by seed.

    with MisbehavingServer(lambda messages: "yes", {"http_500": 0.2, "reset": 0.1}) as server:
        backend = open_backend("openai:test-model", server.base_url)

What a request meets depends on the seed, its body and how often that body came before, never on
time or order; only the rate limit is a matter of time. Most refusals quote the caller's key, as
some proxies do.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

Message = dict[str, Any]
Faults = Mapping[str, float] | Callable[[list[Message], int], str]
Latency = tuple[float, float] | Callable[[random.Random], float]

TRANSIENT = (
    *("http_429", "http_500", "http_502", "http_503", "http_529"),
    *("reset", "cut", "timeout"),  # `cut` ends the connection in the middle of a right answer
)
FATAL = ("http_401", "http_403", "http_404", "quota")
REQUESTS = ("bad_request",)  # the model is well, the request is not
HOLLOW = ("empty", "html")  # status 200 without a chat completion
ANSWERS = (
    *("empty_text", "truncated", "half", "bad_json", "wrong_schema", "tool_call"),
    *("refusal", "refusal_field", "content_filter"),
)
WRAPPED = (  # the right answer, dressed up
    *("think", "fence", "prose", "reasoning_field"),
    *("trailing_comma", "single_quotes"),
)
FAULTS = (*TRANSIENT, *FATAL, *REQUESTS, *HOLLOW, *ANSWERS, *WRAPPED)

# What it takes, as strictly as OpenAI.
_PARAMETERS = (
    "model messages temperature max_tokens max_completion_tokens seed response_format stop stream"
    " tools tool_choice"
)
PARAMETERS = frozenset(_PARAMETERS.split())

REFUSAL = "I'm sorry, but I can't help with that."
TOO_LONG = "This model's maximum context length is 4096 tokens"
PAGE = "<!doctype html><html><body><h1>Welcome to the guest network</h1></body></html>"


@dataclass(slots=True)
class Seen:
    """A request in the log. `tokens` are those that a provider would bill.

    `digest` is the SHA-256 of the body as JSON with sorted keys; `finished` is when the whole
    response had been handed to the socket, 0.0 if it never was.
    """

    body: dict[str, Any]
    fault: str
    time: float
    status: int = 0
    tokens: int = 0
    digest: str = ""
    finished: float = 0.0


class MisbehavingServer:
    """Serves ``POST /v1/chat/completions``; the text of a right answer is `answer(messages)`.

    `faults` gives the share of requests that each fault meets, or is a function of the messages
    and of how often this body came before that names the fault ("" for none). `latency` bounds
    the seconds before an answer, or draws them; the fault ``timeout`` answers after `late`
    seconds. `rate_limit` is in requests a minute, with bursts of a second's worth; what crosses
    it is logged as ``rate_limit`` and does not count as seen. Retry-After is `retry_after` for
    ``http_429`` and the time to the next place for ``rate_limit``, with `retry_after_whole` in
    whole seconds as most servers say it; None keeps it out of both. Without `keep_alive` each
    response closes its connection. `refuses` names parameters, or types of response_format, that
    it does not take; before each answer it thinks for `thinking` tokens, of the same limit.
    """

    def __init__(
        self,
        answer: Callable[[list[Message]], str],
        faults: Faults | None = None,
        *,
        seed: int = 0,
        latency: Latency = (0.0, 0.0),
        rate_limit: float | None = None,
        retry_after: float | None = 0.05,
        retry_after_whole: bool = False,
        late: float = 1.0,
        keep_alive: bool = True,
        refuses: Sequence[str] = (),
        thinking: int = 0,
    ) -> None:
        self.refuses, self.thinking = refuses, thinking
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
        self._retry_after_whole = retry_after_whole
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

    def serve(self, body: dict[str, Any], key: str) -> tuple[Seen, Response | None]:
        """Return a request's place in the log and its response, None to hang up."""
        digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        with self._lock:
            wait = self._wait_for_a_place()
            fault, delay = ("rate_limit", 0.0) if wait else self._fate(body, digest)
            seen = Seen(body, fault, time.time(), digest=digest)
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
        return seen, response

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

    def _fate(self, body: dict[str, Any], digest: str) -> tuple[str, float]:
        times = self._times_seen[digest]
        self._times_seen[digest] += 1
        draw = random.Random(f"{self._seed} {digest} {times}")
        point = draw.random()
        delay = self._latency(draw) if callable(self._latency) else draw.uniform(*self._latency)
        if callable(self._faults):
            return self._faults(body["messages"], times), delay
        for fault, share in self._faults.items():
            if point < share:
                return fault, delay
            point -= share
        return "", delay

    def _respond(self, body: dict[str, Any], fault: str, key: str, wait: float) -> Response | None:
        if unknown := set(body) - PARAMETERS:
            return problem(400, f"Unrecognized request argument supplied: {', '.join(unknown)}")
        asked = {*body, body.get("response_format", {}).get("type", "")}
        if unwanted := [name for name in self.refuses if name in asked]:
            return problem(
                400,
                f"Unsupported parameter: '{unwanted[0]}' is not supported with this model.",
                "unsupported_parameter",
                "invalid_request_error",
            )
        no = f"This server says no to {key}."
        if fault == "reset":
            return None
        if fault == "rate_limit":
            return problem(429, no, retry_after=self._in_words(wait))
        if fault == "http_429":
            return problem(429, no, retry_after=self._in_words(self._retry_after))
        if fault == "http_404":
            return problem(404, no, "model_not_found")
        if fault == "quota":
            return problem(429, no, "insufficient_quota", "insufficient_quota")
        if fault == "bad_request":
            return problem(400, TOO_LONG, "context_length_exceeded", "invalid_request_error")
        if fault.startswith("http_"):
            return problem(int(fault[5:]), no)
        if fault == "empty":
            return Response(200, b"")
        if fault == "html":
            return Response(200, PAGE.encode(), kind="text/html")
        return completion(body, fault, self._answer(body["messages"]), self.thinking)

    def _in_words(self, seconds: float | None) -> str:
        if seconds is None or self._retry_after is None:
            return ""
        return str(math.ceil(seconds)) if self._retry_after_whole else f"{seconds:g}"


@dataclass(frozen=True, slots=True)
class Response:
    """What goes back; `tokens` is what it costs, `retry_after` is a header's value."""

    status: int
    content: bytes
    kind: str = "application/json"
    retry_after: str = ""
    tokens: int = 0


def problem(
    status: int, message: str, code: str = "", kind: str = "test", *, retry_after: str = ""
) -> Response:
    """Refuse a request."""
    error = {"message": message, "type": kind, "code": code or str(status)}
    return Response(status, json.dumps({"error": error}).encode(), retry_after=retry_after)


def completion(body: Mapping[str, Any], fault: str, text: str, thinking: int = 0) -> Response:
    """Answer a request with `text` after some thinking, or with what the fault makes of it."""
    finish = "stop"
    if fault in ANSWERS or fault in WRAPPED:
        text = {
            "empty_text": "",
            "tool_call": "",
            "content_filter": "",
            "truncated": text[: len(text) // 2],
            "half": text[: len(text) // 2],
            "bad_json": "Certainly, the label is good and the points are three.",
            "wrong_schema": '{"unexpected": [true]}',
            "refusal": REFUSAL,
            "refusal_field": REFUSAL,
            "think": f"<think>\nPerhaps {{this}}? No, rather that.\n</think>\n\n{text}",
            "fence": f"Here it is:\n\n```json\n{text}\n```\n",
            "prose": f"My verdict is this: {text} I hope that it {{helps}}.",
            "reasoning_field": text,
            "trailing_comma": text.replace("}", ",}"),
            "single_quotes": text.replace('"', "'"),
        }[fault]
    limit = body.get("max_completion_tokens") or body.get("max_tokens") or 10**9
    thought = min(thinking, limit)
    if tokens(text) > limit - thought:
        text, finish = text[: (limit - thought) * 4], "length"
    message: Message = {"role": "assistant", "content": text}
    if "tools" in body and text:
        called = {"name": body["tools"][0]["function"]["name"], "arguments": text}
        message["content"] = None
        message["tool_calls"] = [{"id": "call_1", "type": "function", "function": called}]
    if fault == "reasoning_field":
        message["reasoning_content"] = text
    if fault == "truncated":
        finish = "length"
    if fault == "content_filter":
        finish = "content_filter"
    if fault == "refusal_field":
        message["content"], message["refusal"] = None, text
    if fault == "tool_call":
        called = {"name": "look_up", "arguments": "{}"}
        message["content"] = None
        message["tool_calls"] = [{"id": "call_1", "type": "function", "function": called}]
        finish = "tool_calls"
    read = sum(tokens(str(message["content"])) for message in body["messages"])
    wrote = tokens(text) * (2 if fault == "reasoning_field" else 1) + thought
    usage: dict[str, Any] = {"prompt_tokens": read, "completion_tokens": wrote}
    if thinking:
        usage["completion_tokens_details"] = {"reasoning_tokens": thought}
    whole = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {**usage, "total_tokens": read + wrote},
    }
    return Response(200, json.dumps(whole).encode(), tokens=read + wrote)


def tokens(text: str) -> int:
    """Count a token for each four characters."""
    return (len(text) + 3) // 4


def closed_port() -> str:
    """Return a base URL at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet
    disable_nagle_algorithm = True  # what exceeds the buffer would wait for the client's ACK
    server: _Server

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path != "/v1/chat/completions":
            self._send(problem(404, f"There is nothing at {self.path}."))
            return
        body = json.loads(content)
        seen, response = self.server.owner.serve(body, self.headers.get("Authorization", ""))
        if response is None:
            self.close_connection = True
            # Lingering for no time sends RST at close.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif seen.fault == "cut":
            self._send(response, len(response.content) // 2)
            self.close_connection = True
        elif not self._client_is_gone():
            self._send(response)
            seen.finished = time.time()

    def _send(self, response: Response, size: int | None = None) -> None:
        self.send_response_only(response.status)
        self.send_header("Content-Type", response.kind)
        self.send_header("Content-Length", str(len(response.content)))
        if response.retry_after:
            self.send_header("Retry-After", response.retry_after)
        if not self.server.owner.keep_alive:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(response.content[:size])
        self.wfile.flush()

    def _client_is_gone(self) -> bool:
        """Look for the client's FIN: the kernel would still take a response after it."""
        try:
            return not self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that closing waits for them
    request_queue_size = 1024  # connections that may wait to be accepted

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
