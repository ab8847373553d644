"""The one door to a chat model.

Every request goes through it in this order: the ledger's earlier answer, the budget's
reservation, a place among the requests in flight, the request with time-out and retries, the
commit to the ledger. Only then is the answer used.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import re
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from annotated_types import MaxLen
from pydantic import BaseModel, ValidationError

from ..errors import BudgetReached, Interrupted, ModelError, TooManyErrors
from ..records import Call
from .budget import Budget

if TYPE_CHECKING:
    from .backends import Backend

Answered = TypeVar("Answered", bound=BaseModel)

_ATTEMPTS = 6
_LONGEST_WAIT = 60.0
_WINDOW = 50  # calls over which the share of failures is taken
_WINDOW_MINIMUM = 20
_FATAL = {401: "refused the key", 403: "refused access", 404: "does not know the model or address"}
_TRANSIENT = {408, 409, 425, 429, 500, 502, 503, 504, 520, 529}


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a model: chat messages (role, content) and how to sample the answer.

    `prompt` is the name and version of the prompt, `sample` numbers repeated requests that want
    different answers, and at `stop_if_small` a small model's answer ends.
    """

    prompt: str
    messages: tuple[tuple[str, str], ...]
    temperature: float
    max_tokens: int
    sample: int = 0
    stop_if_small: tuple[str, ...] = ()


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


class CallLog(Protocol):
    """Where calls are kept; the ledger is one."""

    def call(self, key: str) -> Call | None:
        """The call with this key, if it was made."""

    def add_call(self, call: Call) -> None:
        """Commit a call."""


@dataclass(slots=True)
class Usage:
    """What a gateway has spent in this process; `cost` is in USD and None if unknown."""

    calls: int = 0
    failed: int = 0
    reused: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = 0.0

    def add(self, call: Call) -> None:
        """Count a call."""
        self.calls += 1
        self.failed += bool(call.error)
        self.input_tokens += call.input_tokens
        self.output_tokens += call.output_tokens
        self.cost = None if self.cost is None or call.cost is None else self.cost + call.cost


@dataclass(slots=True)
class Switch:
    """Turned off by Ctrl-C: no new call begins, those under way finish."""

    stopped: bool = False

    def check(self) -> None:
        """Raise Interrupted when it is off."""
        if self.stopped:
            raise Interrupted("stopped by the user")


class Gateway:
    """Asks one backend, never twice for the same thing."""

    def __init__(
        self,
        backend: Backend,
        calls: CallLog,
        budget: Budget,
        *,
        concurrency: int | None = None,
        timeout: float = 120.0,
        seed: int = 0,
        max_error_rate: float = 0.5,
        switch: Switch | None = None,
        usage: Usage | None = None,
    ) -> None:
        self.backend = backend
        self.usage = usage or Usage()
        self.concurrency = concurrency or backend.concurrency
        self._calls = calls
        self._budget = budget
        self._timeout = timeout
        self._seed = seed
        self._max_error_rate = max_error_rate
        self._switch = switch or Switch()
        self._places = asyncio.Semaphore(self.concurrency)
        self._in_flight: dict[str, asyncio.Task[Call]] = {}
        self._failures: deque[bool] = deque(maxlen=_WINDOW)

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
        call = await self._call(request, None, agent=agent, subject=subject, round=round)
        if call.error:
            return Answer(error=call.error)
        text = without_thinking(call.response).strip()
        return Answer(text, "" if text else "empty answer", call.finish_reason == "length")

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
        call = await self._call(request, schema, agent=agent, subject=subject, round=round)
        if call.error:
            return Parsed(None, call.error)
        value, error = parse(schema, call)
        if value is not None:
            return Parsed(value)
        repair = replace(
            request,
            messages=(
                *request.messages,
                ("assistant", call.response or "(nothing)"),
                ("user", f"That cannot be used: {error}. Answer again, with the JSON object only."),
            ),
        )
        call = await self._call(repair, schema, agent=agent, subject=subject, round=round)
        if call.error:
            return Parsed(None, call.error)
        return Parsed(*parse(schema, call))

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
        key = call_key(self.backend.name, self.backend.where, request.prompt, body)
        known = self._calls.call(key)
        if known and not known.error:
            self.usage.reused += 1
            return known
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
            # A task of its own: an asker that is cancelled takes no answer from the others.
            task = self._in_flight[key] = asyncio.create_task(self._send(blank))
            task.add_done_callback(lambda done: self._landed(key, done))
        return await asyncio.shield(task)

    def _landed(self, key: str, done: asyncio.Task[Call]) -> None:
        del self._in_flight[key]
        if not done.cancelled():
            done.exception()  # nobody may be waiting for it any more

    async def _send(self, blank: Call) -> Call:
        async with self._places:
            self._switch.check()
            self._check_failures()
            call = await self._attempt(blank)
            earlier = self._calls.call(blank.key)  # an attempt that failed before
            if earlier:
                call = replace(call, attempts=earlier.attempts + call.attempts)
            self._calls.add_call(call)
        self.usage.add(call)
        self._failures.append(bool(call.error))
        return call

    async def _attempt(self, blank: Call) -> Call:
        started = time.time()
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with self._budget.reserve(blank.request) as reservation:
                    reply = await asyncio.wait_for(self.backend.send(blank.request), self._timeout)
                    reservation.settle(reply.input_tokens + reply.output_tokens)
            except BudgetReached:
                raise
            except Exception as error:
                status, wait = _status(error), _retry_after(error)
                if status in _FATAL:
                    problem = f"{_FATAL[status]} (HTTP {status}): {self._problem(error)}"
                    raise ModelError(f"{self.backend.name} {problem}") from None
                if attempt < _ATTEMPTS and _is_transient(error, status):
                    backoff = min(_LONGEST_WAIT, 0.5 * 2**attempt) * random.uniform(0.5, 1)
                    await self._pause(max(wait * random.uniform(1, 1.1), backoff))
                    continue
                cause = f"HTTP {status}" if status else type(error).__name__
                return self._failed(blank, f"{cause}: {self._problem(error)}", attempt, started)
            return replace(
                blank,
                response=reply.text,
                finish_reason=reply.finish_reason,
                input_tokens=reply.input_tokens,
                output_tokens=reply.output_tokens,
                cost=self.backend.cost(reply.input_tokens, reply.output_tokens),
                seconds=time.time() - started,
                attempts=attempt,
                started=started,
            )
        raise AssertionError("unreachable")

    async def _pause(self, seconds: float) -> None:
        """Wait before trying again; Interrupted if the run is being stopped meanwhile."""
        until = time.monotonic() + seconds
        while (rest := until - time.monotonic()) > 0 and not self._switch.stopped:
            await asyncio.sleep(min(0.1, rest))
        self._switch.check()

    def _failed(self, blank: Call, error: str, attempts: int, started: float) -> Call:
        seconds = time.time() - started
        return replace(
            blank,
            error=error,
            cost=self.backend.cost(0, 0),
            seconds=seconds,
            attempts=attempts,
            started=started,
        )

    def _problem(self, error: Exception) -> str:
        line = _first_line(error)
        for secret in self.backend.secrets:
            line = line.replace(secret, "[key]")
        return line

    def _check_failures(self) -> None:
        seen, failed = len(self._failures), sum(self._failures)
        if seen >= _WINDOW_MINIMUM and failed > self._max_error_rate * seen:
            raise TooManyErrors(f"{failed} of the last {seen} calls to {self.backend.name} failed")


def call_key(model: str, endpoint: str, prompt: str, body: Mapping[str, Any]) -> str:
    """Return the content address of a call: equal for equal requests, whoever makes them."""
    content = json.dumps([model, endpoint, prompt, body], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:32]


_THINKING = re.compile(
    r"\A(?:\s*<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z))+", re.DOTALL | re.IGNORECASE
)
_OPENED = re.compile(r"\A(?:(?!<think).)*?</think(?:ing)?>", re.DOTALL | re.IGNORECASE)


def without_thinking(text: str) -> str:
    """Remove the thinking with which a reasoning model's answer begins.

    Its opening tag may have been the end of the prompt.
    """
    return _OPENED.sub("", _THINKING.sub("", text))


def parse(schema: type[Answered], call: Call) -> tuple[Answered | None, str]:
    """Validate a call's response by a schema; return the object, or None and the cause.

    Thinking, a code fence and prose around the JSON object are passed over.
    """
    cut = "the answer was cut by its length" if call.finish_reason == "length" else ""
    whole = call.response.strip()
    text = whole if whole.startswith("{") else without_thinking(whole)
    if not text:
        return None, cut or "the answer is empty"
    problem: ValidationError | None = None
    for candidate in _objects(text):
        try:
            return _validated(schema, candidate), ""
        except ValidationError as error:
            problem = problem or error
    if problem is None:
        start, end = text.find("{"), text.rfind("}")
        if start < 0 or end < start:
            return None, cut or "there is no JSON object in it"
        try:
            return schema.model_validate_json(text[start : end + 1]), ""
        except ValidationError as error:
            problem = error
    first = problem.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return None, cut or (f"{where}: {first['msg']}" if where else str(first["msg"]))


def _validated(schema: type[Answered], text: str) -> Answered:
    """Validate a JSON object; a string that is too long is cut, not refused: it was paid for."""
    value = json.loads(text, strict=False)
    for name, field in schema.model_fields.items():
        limits = [m.max_length for m in field.metadata if isinstance(m, MaxLen)]
        if limits and isinstance(value.get(name), str):
            value[name] = value[name][: limits[0]]
    return schema.model_validate(value)


def _objects(text: str) -> Iterator[str]:
    decoder, at = json.JSONDecoder(strict=False), text.find("{")
    while at >= 0:
        try:
            _, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            yield text[at:end]
        at = text.find("{", end)


def _status(error: Exception) -> int:
    status = getattr(error, "status_code", None)
    if status is None:
        status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else 0


def _retry_after(error: Exception) -> float:
    """Seconds that the server asks to wait, given as seconds or as a date."""
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    asked = headers.get("retry-after", "")
    try:
        seconds = float(asked)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(asked).timestamp() - time.time()
        except ValueError:
            seconds = 0.0
    return min(_LONGEST_WAIT, max(0.0, seconds))


def _is_transient(error: Exception, status: int) -> bool:
    if status and status != 200:  # 200 with a body that is no answer: a proxy's passing fault
        return status in _TRANSIENT
    names = " ".join(kind.__name__ for kind in type(error).__mro__)
    return "Timeout" in names or "Connect" in names or isinstance(error, OSError)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
