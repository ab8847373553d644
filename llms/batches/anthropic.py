"""Anthropic's message batches."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timezone
from typing import Any

import aiohttp

from ...records import Batch
from ..backend import Backend
from ..connections import refusal, session_for
from ..faults import Fault
from ..replies import Reply, reply_of
from .service import Standing, refused

_PAGE = 100
_SKEW = 600  # seconds by which two clocks may differ


class AnthropicBatches:
    """Posts requests as one batch and reads its results.

    A batch carries no mark of ours. One that may have been made before a crash is looked for by
    its time and its number of requests, and known by the keys in its results.
    """

    most_requests = 100_000
    most_bytes = 256_000_000

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._chat: Any = backend.chat
        self._session: aiohttp.ClientSession | None = None

    def line(self, key: str, body: dict[str, Any], thinking_tokens: int) -> bytes:
        """One request of the list."""
        messages, options = self._backend.request(body, thinking_tokens)
        params = self._chat._get_request_payload(list(messages), **options)
        params = {k: v for k, v in params.items() if v is not None and k != "stream"}
        return json.dumps({"custom_id": key, "params": params}).encode()

    async def create(self, intent: str, lines: Sequence[bytes]) -> str:
        """Post the batch."""
        content = b'{"requests": [' + b",".join(lines) + b"]}"
        return str((await self._json("POST", "", data=content))["id"])

    async def find(self, batch: Batch, others: set[str]) -> str | None:
        """Look among the batches since then for one of as many requests."""
        after: dict[str, str] = {}
        while True:
            page = await self._json("GET", "", params={"limit": str(_PAGE), **after})
            for one in page["data"]:
                late = _seconds(one["created_at"]) >= batch.created - _SKEW
                alike = sum(one["request_counts"].values()) == batch.calls
                if late and alike and one["id"] not in others:
                    return str(one["id"])
            if not page.get("has_more") or not late:
                return None
            after = {"after_id": str(page["last_id"])}

    async def standing(self, id: str) -> Standing:
        """Ask for the batch."""
        batch = await self._json("GET", f"/{id}")
        counts = batch["request_counts"]
        total = sum(counts.values())
        return Standing(
            batch["processing_status"] == "ended",
            total - counts["processing"],
            total,
            bool(batch.get("cancel_initiated_at")),
        )

    async def results(self, id: str) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Read the results, line by line."""
        session, url, headers = self._opened()
        where = f"{url}/{id}/results"
        async with session.get(where, headers=headers, read_bufsize=1 << 24) as response:
            if response.status >= 400:
                raise refusal(response.status, await response.text(), response.headers)
            async for line in response.content:
                if line.strip():
                    found = json.loads(line)
                    yield str(found["custom_id"]), found["result"]

    def outcome(self, result: dict[str, Any], output_mode: str) -> Reply | Fault | None:
        """Read a result."""
        if result["type"] == "errored":
            said = result["error"]
            error = said.get("error") or said
            status = _STATUSES.get(error.get("type"), 500)
            return refused(
                self._backend, refusal(status, json.dumps({"error": error}), {}), output_mode
            )
        if result["type"] != "succeeded":  # expired or canceled
            return None
        from anthropic.types import Message

        message = Message.model_validate(result["message"])
        return reply_of(self._chat._format_output(message).generations[0].message, output_mode)

    async def cancel(self, id: str) -> None:
        """Cancel the batch; what is done by then is paid."""
        await self._json("POST", f"/{id}/cancel")

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _opened(self) -> tuple[aiohttp.ClientSession, str, dict[str, str]]:
        client = self._chat._async_client  # which knows the address, the key and the version
        base = str(client.base_url).rstrip("/")
        if self._session is None:
            self._session = session_for(base)
        headers = {**client.default_headers, **client.auth_headers}
        headers = {k: v for k, v in headers.items() if isinstance(v, str)}
        return self._session, f"{base}/v1/messages/batches", headers

    async def _json(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        session, url, headers = self._opened()
        async with session.request(method, url + path, headers=headers, **options) as response:
            text = await response.text(errors="replace")
            if response.status >= 400:
                raise refusal(response.status, text, response.headers)
        answer: dict[str, Any] = json.loads(text)
        return answer


# Anthropic's names of errors, as the status that a single request would have met.
_STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "overloaded_error": 529,
}


def _seconds(time: str) -> float:
    """An RFC 3339 time in seconds since 1970."""
    told = datetime.fromisoformat(time.replace("Z", "+00:00"))
    return (told if told.tzinfo else told.replace(tzinfo=timezone.utc)).timestamp()
