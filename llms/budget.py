"""The caps of a run: the worst case of a call is reserved before it is sent."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ..errors import BudgetReached


@dataclass(slots=True)
class Reservation:
    """What is held for one request; its worst case, until it is settled."""

    tokens: int
    used: int | None = None

    def settle(self, tokens: int) -> None:
        """Replace the worst case by what the call used."""
        self.used = tokens


class Budget:
    """Counts calls and tokens against the caps, with what calls under way may still use."""

    def __init__(
        self,
        max_calls: int | None = None,
        max_tokens: int | None = None,
        *,
        calls: int = 0,
        tokens: int = 0,
    ) -> None:
        self._max_calls = max_calls
        self._max_tokens = max_tokens
        self._calls = calls
        self._tokens = tokens

    @contextmanager
    def reserve(self, request: Mapping[str, Any]) -> Iterator[Reservation]:
        """Hold a request and its worst case of tokens while it is under way.

        A request that the server refused used nothing; one whose answer never came may have
        been billed all the same, so its worst case stays counted.

        Raises:
            BudgetReached: the request could cross a cap; nothing is held.
        """
        held = Reservation(worst_case_tokens(request))
        if self._max_calls is not None and self._calls + 1 > self._max_calls:
            raise BudgetReached(f"max_calls = {self._max_calls} is used up")
        if self._max_tokens is not None and self._tokens + held.tokens > self._max_tokens:
            raise BudgetReached(
                f"the next call could use {held.tokens} tokens and cross "
                f"max_tokens = {self._max_tokens} ({self._tokens} used or held)"
            )
        self._calls += 1
        self._tokens += held.tokens
        try:
            yield held
        except Exception as error:
            if getattr(error, "status_code", None):
                held.used = 0
            raise
        finally:
            if held.used is not None:
                self._tokens += held.used - held.tokens


def worst_case_tokens(request: Mapping[str, Any]) -> int:
    """Most tokens that a request can use: a token a UTF-8 byte of the prompt, and max_tokens."""
    prompt = sum(len(content.encode()) + 8 for _, content in request["messages"])
    schema = json.dumps(request["schema"]["schema"]) if "schema" in request else ""
    return prompt + len(schema) + int(request["max_tokens"])
