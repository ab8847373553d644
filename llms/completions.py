"""OpenAI's chat completions without what costs the client most: walking through every message.

The SDK rebuilds each request by its type hints and each response as objects, which takes more
CPU time than everything else together; LangChain wants plain dictionaries on both sides.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openai import AsyncOpenAI


@dataclass(frozen=True, slots=True)
class PlainResponse:
    """A response as LangChain reads it."""

    content: Any
    headers: dict[str, str] = field(default_factory=dict)

    def parse(self) -> Any:
        """The response's JSON, or its text if it is none."""
        return self.content


class PlainCompletions:
    """Stands in for `AsyncOpenAI.chat.completions`; address, key and errors stay the SDK's."""

    def __init__(self, client: AsyncOpenAI) -> None:
        self._client = client

    @property
    def with_raw_response(self) -> PlainCompletions:
        """Itself: it gives no other responses."""
        return self

    async def create(self, *, extra_body: Any = None, **payload: Any) -> PlainResponse:
        """Post a chat completion; the parameters are sent as they are."""
        body = {**payload, **(extra_body or {})}
        return PlainResponse(
            await self._client.post("/chat/completions", cast_to=object, body=body)
        )
