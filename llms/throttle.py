"""How many requests are sent at once, and how fast.

The number in flight grows by one a round trip and is cut when the server says that it is too
much (additive increase, multiplicative decrease: Chiu and Jain, 1989). After a rate limit
nobody sends before the time that the server asked for, and from then on no faster than the
server was found to answer; that pace grows slowly until the next refusal. Once it is found, a rate
limit changes it and no longer the number in flight.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from ..errors import TooManyErrors
from .faults import Fault
from .timing import Timing

logger = logging.getLogger(__name__)

_CUT = 0.6
_PACE_ANSWERS = 12  # the last answers, by which the server's pace is found
_SLOWER, _FASTER = 0.97, 1.002  # the pace at a refusal, and after each answer
_CREDIT = 0.25  # seconds of a rate that may be made up for


class Throttle:
    """Hands out places for requests in flight."""

    def __init__(
        self,
        name: str,
        most: int,
        *,
        start: int | None = None,
        rpm: float | None = None,
        tpm: float | None = None,
        check: Callable[[], None] = lambda: None,
        timing: Timing | None = None,
    ) -> None:
        """Take the model's name, the most requests at once, and how many to begin with.

        `rpm` and `tpm` are the requests and the tokens per minute, if they are known; `check` is
        called while somebody waits and may raise.
        """
        self.most = most
        self._name = name
        self._width = float(start or most)
        self._searching = start is not None  # until the first refusal, it grows fast
        self._pace = _Pace(rpm)
        self._token_pace = _Pace(tpm)
        self._found_pace = _Pace(None, credit=0.0)
        self._answers: deque[float] = deque(maxlen=_PACE_ANSWERS)  # when they came
        self._check = check
        self._timing = timing or Timing()
        self._in_flight = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._opens = 0.0
        self._cut_at = 0.0
        self._refusals = 0  # since the last answer
        self._silent_since: float | None = None  # the first refusal since the last answer
        self._noticed_at = float("-inf")

    @asynccontextmanager
    async def place(self, tokens: int) -> AsyncIterator[None]:
        """Wait for a place, and for the time at which `tokens` may be sent."""
        await self._enter()
        try:
            while True:
                now = time.monotonic()
                paces = (self._pace, self._token_pace, self._found_pace)
                start = max(self._opens, *(pace.next for pace in paces))
                if start <= now:
                    break
                await asyncio.sleep(min(0.1, start - now))
                self._check()
            self._pace.took(1)
            self._found_pace.took(1)
            self._token_pace.took(tokens)
            yield
        finally:
            self._leave()

    async def _enter(self) -> None:
        if self._in_flight < int(self._width) and not self._waiting:
            self._in_flight += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # the place had been given already
                self._leave()
            raise

    def _leave(self) -> None:
        self._in_flight -= 1
        if not self._in_flight and not self._waiting:
            self._answers.clear()  # what comes after a rest says nothing about the server's pace
        self._wake()

    def answered(self, tokens_over: int = 0) -> None:
        """Note an answer, which used so many tokens more than was thought when it was sent."""
        self._refusals = 0
        self._silent_since = None
        self._answers.append(time.monotonic())
        self._found_pace.change(_FASTER)
        self._token_pace.took(tokens_over)
        if self._width < self.most:
            self._width = min(self.most, self._width + (1 if self._searching else 1 / self._width))
            self._wake()

    def refused(self, fault: Fault, sent: float) -> None:
        """Note that the server had too much to do for a request sent at `sent` (monotonic).

        Raises:
            TooManyErrors: it has given no answer for too long, or asks to wait for longer.
        """
        now = time.monotonic()
        if sent >= self._cut_at:  # those sent before the last cut say nothing about it
            self._searching = False
            self._refusals += 1
            self._cut_at = now
            if not (fault.kind == "limited" and self._found(now)):
                self._width = max(1.0, self._width * _CUT)
            if now - self._noticed_at > self._timing.notice:
                self._noticed_at = now
                cause, speed = fault.cause[:80], self._speed()
                logger.info("%s is at its limit (%s): %s", self._name, cause, speed)
        first, longest = self._timing.first_backoff, self._timing.longest_backoff
        backoff = min(longest, first * 2 ** min(self._refusals, 10)) * random.uniform(0.5, 1)
        wait = backoff if fault.wait is None else fault.wait * random.uniform(1, 1.05)
        self._silent_since = self._silent_since or sent
        if now + wait - self._silent_since > self._timing.patience:
            raise TooManyErrors(
                f"{self._name} has not answered for {now - self._silent_since:.0f} seconds and "
                f"asks to wait {wait:.0f} more: {fault.cause}"
            )
        self._opens = max(self._opens, now + wait)

    def _found(self, now: float) -> bool:
        """Take the pace at which answers came as the server's, if there are enough of them."""
        if self._refusals > 1:  # since then nothing was answered that could tell more
            return self._found_pace.rate > 0
        if len(self._answers) < _PACE_ANSWERS:
            return False
        rate = 60 * (_PACE_ANSWERS - 1) / max(1e-3, now - self._answers[0])
        self._found_pace = _Pace(rate * _SLOWER, credit=0.0)
        return True

    def _speed(self) -> str:
        if rate := self._found_pace.rate:
            return f"continuing with about {rate:.0f} requests per minute"
        return f"continuing with {int(self._width)} requests at a time"

    def _wake(self) -> None:
        """Give the free places to those who wait longest."""
        while self._in_flight < int(self._width) and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                self._in_flight += 1
                turn.set_result(None)


class _Pace:
    """A rate per minute, if there is one, as the time at which the next may begin."""

    def __init__(self, rate: float | None, credit: float = _CREDIT) -> None:
        self.next = float("-inf")
        self._seconds = 60 / rate if rate else 0.0
        self._credit = credit

    @property
    def rate(self) -> float:
        """The rate per minute, 0 if there is none."""
        return 60 / self._seconds if self._seconds else 0.0

    def change(self, factor: float) -> None:
        """Make the rate so many times what it is."""
        self._seconds /= factor

    def took(self, amount: float) -> None:
        if self._seconds:
            start = max(self.next, time.monotonic() - self._credit)
            self.next = start + amount * self._seconds
