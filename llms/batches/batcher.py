"""Gathers calls that are made at the same time into batches, and collects their results.

A batch is committed to the ledger with its calls before it is submitted, and looked for at the
provider when it is not known whether it arrived: over any crash each call is in one batch.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from ...errors import ModelError
from ...records import Batch, BatchItem, Call, Spending
from ..backend import Backend
from ..budget import Budget
from ..faults import Fault, fault_of
from ..ports import BatchLog, CallCache
from ..replies import Reply
from ..settlement import answered, spent_on
from ..stopping import StopSignal
from ..timing import Timing
from .service import BATCH_SHARE, BatchRefusedError, BatchService, Standing

logger = logging.getLogger(__name__)

_FIRST_LOOK = 5.0  # seconds until a batch is looked at again for the first time
_SLOWER = 1.5  # each wait over the last
_NOTICE = 60.0
_AROUND = 64  # bytes around all requests of a batch
_UNSENT = Fault("otherwise", "the batch was never submitted", unreachable=True)

Result = TypeVar("Result")


class _StrangerError(Exception):
    """A batch that was found at the provider is not the one that was looked for."""


class Batcher:
    """Submits calls in batches; an asker waits for the result of its call."""

    def __init__(
        self,
        service: BatchService,
        backend: Backend,
        log: BatchLog,
        budget: Budget,
        stop_signal: StopSignal,
        *,
        cache: CallCache | None = None,
        submits: bool = True,
        poll: float = 60.0,
        gather: float = 1.0,
        timing: Timing | None = None,
    ) -> None:
        """Take the provider's endpoint, and where calls are kept.

        Without `submits` it only waits for batches that are already running. `poll` is the longest
        time between two looks at a batch, `gather` the time without a new call after which those
        that wait are submitted, both in seconds.
        """
        self.submits = submits
        self._service = service
        self._backend = backend
        self._log = log
        self._budget = budget
        self._stop_signal = stop_signal
        self._cache = cache
        self._poll = poll
        self._gather = gather
        self._timing = timing or Timing()
        self._waiting: list[tuple[BatchItem, bytes]] = []
        self._answers: dict[str, asyncio.Future[Call | Fault]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._told = False  # that batches keep running without us

    def start(self) -> None:
        """Resume the batches that an earlier process left running."""
        for batch in self._log.open_batches():
            if batch.model == self._backend.name:
                self._pick_up(batch)

    def _pick_up(self, batch: Batch) -> None:
        for item in batch.items:
            known = self._log.call(item.call.key)
            if known is None or known.error:
                self._budget.hold(item.worst)
                self._answers[item.call.key] = asyncio.get_running_loop().create_future()
        logger.info("resuming %s", _named(batch))
        self._spawn(self._bring_back(batch), batch.items)

    def holds(self, key: str) -> bool:
        """Whether a call is in a batch, or waits for one."""
        return key in self._answers

    def unproven(self, body: Mapping[str, Any]) -> str:
        """The output mode of a request if no answer came by it yet, "" if one did."""
        mode = self._backend.output_mode(body) or "text"
        return "" if mode in self._backend.capabilities.worked else mode

    async def answer(self, key: str) -> Call | Fault:
        """Wait for what becomes of a call that is held."""
        return await asyncio.shield(self._answers[key])

    async def ask(self, call: Call, worst: Spending, thinking_tokens: int) -> Call | Fault:
        """Put a call, for which its worst case is reserved, into the next batch."""
        loop = asyncio.get_running_loop()
        asked = replace(call, way=self._backend.output_mode(call.request))
        item = BatchItem(asked, worst, thinking_tokens)
        line = self._service.line(call.key, dict(call.request), thinking_tokens)
        self._answers[call.key] = loop.create_future()
        self._waiting.append((item, line))
        if self._timer:
            self._timer.cancel()
        self._timer = loop.call_later(self._gather, self._hand_over)
        return await self.answer(call.key)

    async def close(self) -> None:
        """Stop waiting; submitted batches keep running at the provider."""
        if self._timer:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._service.close()

    def _hand_over(self) -> None:
        waiting, self._waiting = self._waiting, []
        for part in parts(waiting, self._service.most_requests, self._service.most_bytes):
            items = tuple(item for item, _ in part)
            self._spawn(self._submit(items, [line for _, line in part]), items)

    def _spawn(self, work: Coroutine[Any, Any, None], items: Iterable[BatchItem]) -> None:
        """Do it in the background; what it raises goes to those who wait for these calls."""

        async def done() -> None:
            try:
                await work
            except Exception as error:
                for item in items:
                    if future := self._answers.pop(item.call.key, None):
                        future.set_exception(error)
                        future.exception()  # nobody may be waiting for it

        task = asyncio.create_task(done())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _submit(self, items: tuple[BatchItem, ...], lines: list[bytes]) -> None:
        if self._stop_signal.stopped:
            for item in items:
                self._budget.settle(item.worst, Spending())
            self._stop_signal.check()
        batch = self._log.begin_batch(
            Batch(uuid.uuid4().hex, self._backend.name, time.time(), len(items), items)
        )
        try:
            id, state = await self._made(batch, lines)
        except BatchRefusedError as error:
            self._give_back(
                batch, "refused", _again(f"the provider does not accept this batch: {error}")
            )
            return
        batch = self._name(batch, id, state)
        logger.info("submitted %s", _named(batch))
        await self._bring_back(batch)

    async def _made(self, batch: Batch, lines: list[bytes]) -> tuple[str, str]:
        """Submit a batch once, although the connection may fail: its name, and sent or found."""
        wait = self._timing.batch_retry
        while True:
            try:
                return await self._service.create(batch.intent, lines), "sent"
            except Exception as error:
                fault = self._passing(error, "has no batch endpoint: leave out --batch")
            arrived = not (fault.refused or fault.unreachable)  # perhaps
            if arrived and (id := await self._found(batch, set())):
                return id, "found"
            await self._rest(max(wait, fault.wait or 0.0))
            wait = min(self._poll, wait * 2)

    async def _bring_back(self, batch: Batch) -> None:
        """Wait for a batch, and commit what became of its calls."""
        others: set[str] = set()
        while True:
            if not batch.id:
                id = await self._found(batch, others)
                if id is None:
                    self._give_back(batch, "unsent", _UNSENT)
                    return
                batch = self._name(batch, id, "found")
            try:
                standing = await self._ended(batch)
                await self._patiently(self._take, batch)
            except BatchRefusedError as error:
                self._give_back(batch, "refused", _again(f"the batch failed: {error}"))
                return
            except _StrangerError:
                others.add(batch.id)
                batch = self._name(batch, "", "intended")
                continue
            break
        if standing.cancelled:
            cause = f"had {_named(batch)} cancelled at the provider: resume sends the rest again"
            self._give_back(batch, "cancelled", Fault("fatal", cause, refused=True))
        else:
            self._give_back(batch, "done", _again("the provider did not get to it in time"))
            logger.info("%s is done", _named(batch))

    async def _found(self, batch: Batch, others: set[str]) -> str | None:
        """Look for a batch at the provider, until it would be listed if it had arrived."""
        while True:
            sure = {b["id"] for b in self._log.batches() if b["state"] != "found"}
            avoid = others | (sure - {batch.id})
            id = await self._patiently(self._service.find, batch, avoid)
            if id or time.time() > batch.created + self._timing.batch_listed:
                return id
            await self._rest(1.0)

    async def _ended(self, batch: Batch) -> Standing:
        wait, said = min(_FIRST_LOOK, self._poll), time.monotonic()
        while True:
            standing = await self._patiently(self._service.standing, batch.id)
            if standing.ended:
                return standing
            if time.monotonic() - said > _NOTICE:
                said = time.monotonic()
                progress = f"{standing.done:,} of {standing.total:,} done"
                logger.info("%s: %s", _named(batch), progress)
            await self._rest(wait)
            wait = min(self._poll, wait * _SLOWER)

    async def _take(self, batch: Batch) -> None:
        """Commit the results, each once, also when the connection breaks between two of them."""
        items = {item.call.key: item for item in batch.items}
        async for key, result in self._service.results(batch.id):
            if key not in items:
                raise _StrangerError
            if key in self._answers:
                outcome = self._service.outcome(result, items[key].call.way)
                if isinstance(outcome, Reply):
                    self._commit(batch, items[key], outcome)
                elif outcome:
                    self._end(batch, items[key], outcome)

    def _commit(self, batch: Batch, item: BatchItem, reply: Reply) -> None:
        seconds = time.time() - batch.created
        call = answered(self._backend, item.call, reply, seconds, BATCH_SHARE)
        spent = spent_on(call, reply, item.worst)
        if fault := self._backend.crowded_out(reply, item.room):
            self._end(batch, item, fault, spent)
            return
        self._log.add_call(call, item.attempt, spent)
        self._budget.settle(item.worst, spent)
        if self._cache:
            self._cache.put(replace(call, seconds=0.0))  # which says nothing of the model's pace
        self._answers.pop(call.key).set_result(call)

    def _end(
        self, batch: Batch, item: BatchItem, fault: Fault, spent: Spending | None = None
    ) -> None:
        """Commit that a call got no answer in its batch, and let its asker continue from there."""
        spent = spent or Spending(0 if fault.unreachable else 1)
        self._log.end_attempt(item.attempt, time.time() - batch.created, fault.cause, spent)
        self._budget.settle(item.worst, spent)
        self._answers.pop(item.call.key).set_result(fault)

    def _give_back(self, batch: Batch, state: str, fault: Fault) -> None:
        """End a batch; the calls that it has not answered end with a fault."""
        rest = [item for item in batch.items if item.call.key in self._answers]
        for item in rest:
            self._end(batch, item, fault)
        self._log.end_batch(batch.intent, state)
        if rest:
            counts = f"{len(rest):,} of {batch.calls:,}"
            logger.info("%s calls in a batch: %s", counts, fault.cause)

    def _name(self, batch: Batch, id: str, state: str) -> Batch:
        self._log.name_batch(batch.intent, id, state)
        return replace(batch, id=id)

    async def _patiently(self, work: Callable[..., Awaitable[Result]], *args: Any) -> Result:
        """Do it until it succeeds: what passes is waited out, however long it takes."""
        wait = self._timing.batch_retry
        while True:
            try:
                return await work(*args)
            except (BatchRefusedError, _StrangerError):
                raise
            except Exception as error:
                fault = self._passing(error)
            await self._rest(max(wait, fault.wait or 0.0))
            wait = min(max(self._poll, self._timing.batch_retry), wait * 2)

    def _passing(self, error: Exception, unknown: str = "") -> Fault:
        """The fault behind an error, if it may pass.

        Raises:
            ModelError: the key is refused, or (`unknown` says so) there is no such endpoint.
            BatchRefusedError: the provider will not do this, or no longer has the batch.
        """
        fault = fault_of(error)
        if fault.status in (404, 405, 501):
            if unknown:
                raise ModelError(f"{self._backend.name} {unknown} ({fault.cause})") from None
            raise BatchRefusedError(fault.cause) from None
        if fault.kind == "fatal":
            raise self._backend.unusable(fault) from None
        if fault.kind == "request" and fault.status:
            raise BatchRefusedError(fault.cause) from None
        return fault

    async def _rest(self, seconds: float) -> None:
        """Wait; where the run is being stopped meanwhile, leave the batches to the provider."""
        until = time.monotonic() + seconds
        while (rest := until - time.monotonic()) > 0 and not self._stop_signal.stopped:
            await asyncio.sleep(min(0.1, rest))
        if self._stop_signal.stopped and not self._told:
            self._told = True
            logger.info("batches keep running at the provider: resume collects their answers")
        self._stop_signal.check()


def parts(
    waiting: Sequence[tuple[BatchItem, bytes]], most: int, size: int
) -> Iterator[list[tuple[BatchItem, bytes]]]:
    """Split what waits so that no part has more requests or more bytes than a provider takes."""
    part: list[tuple[BatchItem, bytes]] = []
    filled = 0
    for item, line in waiting:
        if part and (len(part) == most or filled + len(line) + _AROUND > size):
            yield part
            part, filled = [], 0
        part.append((item, line))
        filled += len(line) + 1
    if part:
        yield part


def _again(cause: str) -> Fault:
    """The fault of a call that is to be asked by itself."""
    return Fault("otherwise", cause, refused=True)


def _named(batch: Batch) -> str:
    return f"batch {batch.id or batch.intent} of {batch.calls:,} calls to {batch.model}"
