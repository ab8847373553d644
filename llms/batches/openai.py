"""OpenAI's batches, and those of servers that speak its protocol."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import aiohttp

from ...records import Batch
from ..backend import Backend
from ..completion_reading import message_of
from ..completions import ChatCompletions
from ..connections import refusal
from ..faults import Fault
from ..replies import Reply, reply_of
from .service import BatchRefusedError, Standing, refused

_MARK = "lift_agent"  # the metadata field that holds a batch's intent
_ENDED = ("completed", "expired", "cancelled")
_PAGE = 100
_SKEW = 600  # seconds by which two clocks may differ


class OpenAIBatches:
    """Uploads requests as a file, makes a batch of it, and reads its output and error files."""

    most_requests = 50_000
    most_bytes = 200_000_000

    def __init__(self, backend: Backend) -> None:
        assert isinstance(backend.chat, ChatCompletions)
        self._backend = backend
        self._chat = backend.chat

    def line(self, key: str, body: dict[str, Any], thinking_tokens: int) -> bytes:
        """One line of the file."""
        messages, options = self._backend.request(body, thinking_tokens)
        asked = {
            "custom_id": key,
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": self._chat.payload(messages, **options),
        }
        return json.dumps(asked).encode()

    async def create(self, intent: str, lines: Sequence[bytes]) -> str:
        """Upload the file, then make the batch; a file without a batch costs nothing."""
        form = aiohttp.FormData()
        form.add_field("purpose", "batch")
        form.add_field(
            "file",
            b"\n".join(lines) + b"\n",
            filename=f"{intent}.jsonl",
            content_type="application/jsonl",
        )
        file = await self._json("POST", "files", data=form)
        batch = await self._json(
            "POST",
            "batches",
            json={
                "input_file_id": file["id"],
                "endpoint": "/v1/chat/completions",
                "completion_window": "24h",
                "metadata": {_MARK: intent},
            },
        )
        return str(batch["id"])

    async def find(self, batch: Batch, others: set[str]) -> str | None:
        """Look for the batch that carries the intent, from the latest one back."""
        after: dict[str, str] = {}
        while True:
            page = await self._json("GET", "batches", params={"limit": str(_PAGE), **after})
            found = page["data"]
            for one in found:
                if (one.get("metadata") or {}).get(_MARK) == batch.intent:
                    return str(one["id"])
            if not page.get("has_more") or found[-1]["created_at"] < batch.created - _SKEW:
                return None
            after = {"after": str(found[-1]["id"])}

    async def standing(self, id: str) -> Standing:
        """Ask for the batch."""
        batch = await self._json("GET", f"batches/{id}")
        if batch["status"] == "failed":
            said = [str(e.get("message")) for e in (batch.get("errors") or {}).get("data") or ()]
            raise BatchRefusedError("; ".join(said[:3]) or "no explanation")
        counts = batch.get("request_counts") or {}
        done = counts.get("completed", 0) + counts.get("failed", 0)
        cancelled = batch["status"] == "cancelled"
        return Standing(batch["status"] in _ENDED, done, counts.get("total", 0), cancelled)

    async def results(self, id: str) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Read the output file and the error file, line by line."""
        batch = await self._json("GET", f"batches/{id}")
        for file in (batch.get("output_file_id"), batch.get("error_file_id")):
            if file:
                async for line in self._lines(f"files/{file}/content"):
                    yield str(line["custom_id"]), line

    def outcome(self, result: dict[str, Any], output_mode: str) -> Reply | Fault | None:
        """Read a line of the output file or the error file."""
        response = result.get("response")
        if not response:  # it expired, or was cancelled
            return None
        status, body = response["status_code"], response["body"]
        if status >= 400:
            return refused(self._backend, refusal(status, json.dumps(body), {}), output_mode)
        try:
            return reply_of(message_of(body), output_mode)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            return Fault("otherwise", f"not a chat completion ({type(error).__name__})")

    async def cancel(self, id: str) -> None:
        """Cancel the batch; what is done by then is paid."""
        await self._json("POST", f"batches/{id}/cancel")

    async def close(self) -> None:
        """The connections are the chat model's, which closes them."""

    async def _json(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        session, url, headers = self._chat.opened()
        if "data" in options:  # a form brings its own
            headers = {k: v for k, v in headers.items() if k.lower() != "content-type"}
        async with session.request(method, f"{url}/{path}", headers=headers, **options) as response:
            text = await response.text(errors="replace")
            if response.status >= 400:
                raise refusal(response.status, text, response.headers)
        answer: dict[str, Any] = json.loads(text)
        return answer

    async def _lines(self, path: str) -> AsyncIterator[dict[str, Any]]:
        session, url, headers = self._chat.opened()
        async with session.get(f"{url}/{path}", headers=headers, read_bufsize=1 << 24) as response:
            if response.status >= 400:
                raise refusal(response.status, await response.text(), response.headers)
            async for line in response.content:
                if line.strip():
                    yield json.loads(line)
