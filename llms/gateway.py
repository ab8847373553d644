"""The one door to a chat model.

Every request goes through it in this order: the ledger's earlier answer, the call cache, the
budget's reservation, a place among the requests in flight or in a batch, the request with
time-out and retries, the commit to the ledger, the settlement of the budget. Only then is the
answer used.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic

from pydantic import BaseModel

from ..records import Call
from .answers import Answered, explained, parse, plain, without_thinking
from .budget import Budget
from .sender import CallCache, CallLog, Sender, Switch
from .throttle import Throttle

if TYPE_CHECKING:
    from .backend import Backend
    from .batches.batcher import Batcher

__all__ = [
    "Answer",
    "CallCache",
    "CallLog",
    "Gateway",
    "Parsed",
    "Request",
    "Switch",
    "Usage",
    "call_key",
]


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a model: chat messages (role, content) and how to sample the answer.

    `prompt` is the name and version of the prompt, `sample` numbers repeated requests that want
    different answers, and at `stop_if_small` a small model's answer ends. `short` is what is asked
    instead of a model that gets short prompts, None if it is the same.
    """

    prompt: str
    messages: tuple[tuple[str, str], ...]
    temperature: float
    max_tokens: int
    sample: int = 0
    stop_if_small: tuple[str, ...] = ()
    short: Request | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A model's answer as text. `error` names the cause if there is none to use."""

    text: str = ""
    error: str = ""
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Parsed(Generic[Answered]):
    """An answer validated by its schema, or the cause for which there is none."""

    value: Answered | None
    error: str = ""


@dataclass(slots=True)
class Usage:
    """What this process has spent; `usd` is None if a price is unknown."""

    calls: int = 0
    failed: int = 0
    reused: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float | None = 0.0

    def add(self, call: Call) -> None:
        """Count a call."""
        self.calls += 1
        self.failed += bool(call.error)
        self.input_tokens += call.input_tokens
        self.output_tokens += call.output_tokens
        self.usd = None if self.usd is None or call.cost is None else self.usd + call.cost


class Gateway:
    """Asks one backend, never twice for the same thing."""

    def __init__(
        self,
        backend: Backend,
        log: CallLog,
        budget: Budget | None = None,
        throttle: Throttle | None = None,
        *,
        cache: CallCache | None = None,
        batcher: Batcher | None = None,
        timeout: float = 120.0,
        seed: int = 0,
        max_error_rate: float = 0.5,
        switch: Switch | None = None,
        usage: Usage | None = None,
    ) -> None:
        self.backend = backend
        self.usage = usage or Usage()
        self._log = log
        self._cache = cache
        self._seed = seed
        self._in_flight: dict[str, asyncio.Task[Call]] = {}
        switch = switch or Switch()
        self._sender = Sender(
            backend,
            log,
            budget or Budget(),
            throttle or Throttle(backend.name, backend.concurrency, check=switch.check),
            switch,
            cache=cache,
            batcher=batcher,
            timeout=timeout,
            max_error_rate=max_error_rate,
        )

    @property
    def concurrency(self) -> int:
        """Most requests in flight at once."""
        return self._sender.concurrency

    def room(self, texts: int) -> int | None:
        """UTF-8 bytes that each of `texts` texts may fill in a prompt; None is no limit."""
        if self.backend.context is None:
            return None
        # Of the context, a third is left for the prompt's own text and the answer; a token is
        # at least a byte, and more than two on average in any language.
        return self.backend.context * 4 // 3 // texts

    async def ask(
        self, request: Request, *, agent: str, subject: str = "", round: int = 0
    ) -> Answer:
        """Return the model's answer as plain text, without any thinking that precedes it."""
        form = self._form(request)
        call = await self._call(form, None, agent=agent, subject=subject, round=round)
        if call.error:
            return Answer(error=call.error)
        text, cause = plain(call)
        self._note(call, bool(cause))
        return Answer(text, explained(cause, call), call.finish_reason == "length")

    async def ask_for(
        self,
        schema: type[Answered],
        request: Request,
        *,
        agent: str,
        subject: str = "",
        round: int = 0,
    ) -> Parsed[Answered]:
        """Return the model's answer as an object of `schema`.

        An answer that is not valid is repaired once, by showing the model the parser's error;
        after that the cause is returned.
        """
        request = self._form(request)
        call = await self._call(request, schema, agent=agent, subject=subject, round=round)
        if call.error:
            return Parsed(None, call.error)
        value, error = self._read(schema, call)
        if value is None:
            repair = replace(
                request,
                messages=(
                    *request.messages,
                    ("assistant", without_thinking(call.response).strip() or "(nothing)"),
                    (
                        "user",
                        f"That cannot be used: {error}. Answer again, with the JSON object only.",
                    ),
                ),
            )
            call = await self._call(repair, schema, agent=agent, subject=subject, round=round)
            if call.error:
                return Parsed(None, call.error)
            value, error = self._read(schema, call)
        self._note(call, value is None)
        return Parsed(value, explained(error, call))

    def _form(self, request: Request) -> Request:
        return (self.backend.compact and request.short) or request

    def _read(self, schema: type[Answered], call: Call) -> tuple[Answered | None, str]:
        """Parse an answer; a new one tells whether the way in which it was asked for works."""
        value, error = parse(schema, call)
        if call.way and not call.reused:
            if value is not None:
                self.backend.learned.answered(call.way)
            elif call.finish_reason in ("stop", ""):
                self.backend.learned.unreadable(call.way, self.backend.ways)
        return value, error

    def _note(self, call: Call, unusable: bool) -> None:
        """Count a new answer among those of which a share may be faulty."""
        if not call.reused:
            self._sender.failures.append(unusable)

    async def _call(
        self,
        request: Request,
        schema: type[BaseModel] | None,
        *,
        agent: str,
        subject: str,
        round: int,
    ) -> Call:
        body = self.backend.body(request, schema, self._seed)
        key = call_key(self.backend.name, self.backend.identity, request.prompt, body)
        known = self._log.call(key)
        if known and not known.error:
            self.usage.reused += 1
            return replace(known, reused=True)
        task = self._in_flight.get(key)
        if task is None:
            blank = Call(
                key=key,
                agent=agent,
                prompt=request.prompt,
                subject=subject,
                round=round,
                model=self.backend.name,
                request=body,
            )
            if (found := self._cached(blank)) is not None:
                return found
            # A task of its own: an asker that is cancelled takes no answer from the others.
            task = self._in_flight[key] = asyncio.create_task(self._sent(blank))
            task.add_done_callback(lambda done: self._landed(key, done))
        return await asyncio.shield(task)

    def _cached(self, blank: Call) -> Call | None:
        """The answer that another run paid for, committed to this run's ledger."""
        found = self._cache.get(blank.key) if self._cache else None
        if found is None:
            return None
        call = replace(
            found,
            agent=blank.agent,
            prompt=blank.prompt,
            subject=blank.subject,
            round=blank.round,
            model=blank.model,
            request=blank.request,
            cost=0.0,
            attempts=0,
            started=time.time(),
            reused=True,
        )
        self._log.add_call(call)
        self.usage.reused += 1
        return call

    async def _sent(self, blank: Call) -> Call:
        call = await self._sender.send(blank)
        self.usage.add(call)
        return call

    def _landed(self, key: str, done: asyncio.Task[Call]) -> None:
        del self._in_flight[key]
        if not done.cancelled():
            done.exception()  # nobody may be waiting for it any more


def call_key(model: str, identity: str, prompt: str, body: Mapping[str, Any]) -> str:
    """Return the content address of a call: equal for equal requests, whoever makes them."""
    content = json.dumps([model, identity, prompt, body], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:32]
