"""The one door to a chat model.

Every request goes through it in this order: the ledger's earlier answer, the call cache, the
budget's reservation, a place among the requests in flight, the request with time-out and
retries, the commit to the ledger, the settlement of the budget. Only then is the answer used.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, Protocol

from pydantic import BaseModel

from ..errors import Interrupted, LiftAgentError, ModelError, TooManyErrors
from ..records import Call, Spending
from ..redaction import without_own_keys
from .answers import Answered, parse, plain
from .budget import Budget, worst_case_tokens
from .faults import Fault, fault_of
from .throttle import Throttle

if TYPE_CHECKING:
    from .backend import Backend, Reply

_ATTEMPTS = 6  # for faults that pass; a rate limit is waited out
_FIRST_TRIES = 3  # where no server was ever reached
_LONGEST_WAIT = 60.0
_WINDOW = 50  # answers over which the share of failures is taken
_WINDOW_MINIMUM = 20


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


class CallLog(Protocol):
    """Where calls are kept; the ledger is one."""

    def call(self, key: str) -> Call | None:
        """The call with this key, if it was made."""

    def begin_attempt(self, key: str, started: float, worst: Spending) -> int:
        """Commit, before it is sent, that a request may spend so much; return its number."""

    def end_attempt(self, attempt: int, seconds: float, outcome: str, spent: Spending) -> None:
        """Commit how a request without an answer ended, and what it may have spent."""

    def add_call(
        self, call: Call, attempt: int | None = None, spent: Spending | None = None
    ) -> None:
        """Commit a call, and with it the attempt that brought its answer and what it spent."""


class CallCache(Protocol):
    """Answers of other runs, by the same keys."""

    def get(self, key: str) -> Call | None:
        """The call with this key as it ended there, if it was made."""

    def put(self, call: Call) -> None:
        """Keep an answered call."""


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
        log: CallLog,
        budget: Budget | None = None,
        throttle: Throttle | None = None,
        *,
        cache: CallCache | None = None,
        timeout: float = 120.0,
        seed: int = 0,
        max_error_rate: float = 0.5,
        switch: Switch | None = None,
        usage: Usage | None = None,
    ) -> None:
        self.backend = backend
        self.usage = usage or Usage()
        self._switch = switch or Switch()
        self._log = log
        self._cache = cache
        self._budget = budget or Budget()
        self._throttle = throttle or Throttle(
            backend.name, backend.concurrency, check=self._switch.check
        )
        self._timeout = timeout
        self._seed = seed
        self._max_error_rate = max_error_rate
        self._in_flight: dict[str, asyncio.Task[Call]] = {}
        self._failures: deque[bool] = deque(maxlen=_WINDOW)
        self._over: LiftAgentError | None = None  # why nothing more is sent
        self._reached = False  # whether the server was ever there

    @property
    def concurrency(self) -> int:
        """Most requests in flight at once."""
        return self._throttle.most

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
        call = await self._call(
            self._form(request), None, agent=agent, subject=subject, round=round
        )
        if call.error:
            return Answer(error=call.error)
        text, cause = plain(call)
        self._note(call, bool(cause))
        return Answer(text, cause, call.finish_reason == "length")

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
        value, error = parse(schema, call)
        if value is None:
            repair = replace(
                request,
                messages=(
                    *request.messages,
                    ("assistant", call.response or "(nothing)"),
                    (
                        "user",
                        f"That cannot be used: {error}. Answer again, with the JSON object only.",
                    ),
                ),
            )
            call = await self._call(repair, schema, agent=agent, subject=subject, round=round)
            if call.error:
                return Parsed(None, call.error)
            value, error = parse(schema, call)
        self._note(call, value is None)
        return Parsed(value, error)

    def _form(self, request: Request) -> Request:
        return (self.backend.compact and request.short) or request

    def _note(self, call: Call, unusable: bool) -> None:
        """Count a new answer among those of which a share may be faulty."""
        if not call.reused:
            self._failures.append(unusable)

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
            task = self._in_flight[key] = asyncio.create_task(self._send(blank))
            task.add_done_callback(lambda done: self._landed(key, done))
        return await asyncio.shield(task)

    def _cached(self, blank: Call) -> Call | None:
        """The answer that another run paid for, committed to this run's ledger."""
        found = self._cache.get(blank.key) if self._cache else None
        if found is None:
            return None
        call = replace(
            blank,
            response=found.response,
            finish_reason=found.finish_reason,
            error=found.error,
            input_tokens=found.input_tokens,
            output_tokens=found.output_tokens,
            cost=0.0,
            seconds=found.seconds,
            attempts=0,
            started=time.time(),
            reused=True,
        )
        self._log.add_call(call)
        self.usage.reused += 1
        return call

    def _landed(self, key: str, done: asyncio.Task[Call]) -> None:
        del self._in_flight[key]
        if not done.cancelled():
            done.exception()  # nobody may be waiting for it any more

    async def _send(self, blank: Call) -> Call:
        """Try until there is an answer, or a fault that trying again does not mend."""
        started, passing, attempts = time.time(), 0, 0
        while True:
            attempts += 1
            outcome = await self._attempt(replace(blank, attempts=attempts, started=started))
            if isinstance(outcome, Call):
                self._reached = True
                break
            if outcome.kind == "fatal":
                hint = self.backend.hints.get(outcome.status, "")
                told = f"{outcome.cause}{f': {hint}' if hint else ''}"
                self._over = ModelError(f"{self.backend.name} {told}")
                raise self._over
            self._reached = self._reached or not outcome.unreachable
            if outcome.kind == "limited":
                continue  # the throttle waits
            passing += 1
            most = _ATTEMPTS if self._reached else _FIRST_TRIES
            if outcome.kind == "passing" and passing < most:
                backoff = min(_LONGEST_WAIT, 0.5 * 2**passing) * random.uniform(0.5, 1)
                await self._pause(max(min(outcome.wait or 0.0, _LONGEST_WAIT), backoff))
                continue
            if not self._reached:
                where = f" at {self.backend.address}" if self.backend.address else ""
                self._over = ModelError(
                    f"{self.backend.name} cannot be reached{where} ({outcome.cause}): is the "
                    "server running, and the address right?"
                )
                raise self._over
            outcome = replace(
                blank,
                error=outcome.cause,
                cost=self.backend.cost(0, 0),
                seconds=time.time() - started,
                attempts=attempts,
                started=started,
            )
            self._failures.append(True)
            self._log.add_call(outcome)
            break
        self.usage.add(outcome)
        return outcome

    async def _attempt(self, blank: Call) -> Call | Fault:
        """Send one request; its answer is committed when this returns."""
        prompt, answer = worst_case_tokens(blank.request)
        worst = Spending(1, prompt + answer, self.backend.cost(prompt, answer) or 0.0)
        likely = prompt // 4 + answer
        self._check()
        await self._budget.reserve(worst)
        spent = Spending()
        try:
            async with self._throttle.place(likely):
                self._check()
                began, clock = time.time(), time.monotonic()
                attempt = self._log.begin_attempt(blank.key, began, worst)
                spent = worst  # until the server says otherwise, it may bill all of it
                try:
                    reply = await asyncio.wait_for(self.backend.send(blank.request), self._timeout)
                except Exception as error:
                    fault = fault_of(error)
                    if isinstance(error, asyncio.TimeoutError):
                        fault = replace(fault, cause=f"no answer within {self._timeout:g} seconds")
                    if fault.refused or fault.unreachable:
                        spent = Spending(1)
                    seconds = time.monotonic() - clock
                    self._log.end_attempt(attempt, seconds, fault.cause, spent)
                    if fault.slows:
                        try:
                            self._throttle.refused(fault, clock)
                        except TooManyErrors as over:
                            self._over = over
                            raise
                    return fault
                call = self._answered(blank, reply, time.monotonic() - clock)
                if reply.counted:
                    used = reply.input_tokens + reply.output_tokens
                    spent = Spending(1, used, call.cost or 0.0)
                self._log.add_call(call, attempt, spent)
                self._throttle.answered(spent.tokens - likely)
        finally:
            self._budget.settle(worst, spent)
        if self._cache:
            self._cache.put(call)
        return call

    def _answered(self, blank: Call, reply: Reply, seconds: float) -> Call:
        cost = self.backend.cost(reply.input_tokens, reply.output_tokens)
        return replace(
            blank,
            response=without_own_keys(reply.text),
            finish_reason=reply.finish_reason,
            input_tokens=reply.input_tokens,
            output_tokens=reply.output_tokens,
            cost=cost if reply.counted or cost == 0 else None,
            seconds=seconds,
        )

    async def _pause(self, seconds: float) -> None:
        """Wait before trying again; Interrupted if the run is being stopped meanwhile."""
        until = time.monotonic() + seconds
        while (rest := until - time.monotonic()) > 0 and not self._switch.stopped:
            await asyncio.sleep(min(0.1, rest))
        self._switch.check()
        self._budget.check_time()

    def _check(self) -> None:
        """Raise if nothing more may be sent."""
        self._switch.check()
        self._budget.check_time()
        if self._over:
            raise self._over
        self._check_failures()

    def _check_failures(self) -> None:
        seen, failed = len(self._failures), sum(self._failures)
        if seen >= _WINDOW_MINIMUM and failed > self._max_error_rate * seen:
            raise TooManyErrors(
                f"{failed} of the last {seen} answers of {self.backend.name} were faults"
            )


def call_key(model: str, identity: str, prompt: str, body: Mapping[str, Any]) -> str:
    """Return the content address of a call: equal for equal requests, whoever makes them."""
    content = json.dumps([model, identity, prompt, body], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:32]
