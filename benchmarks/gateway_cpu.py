"""The gateway's own CPU time a call: keys, look-ups, reservation, ledger, cache, settlement.

    .venv/bin/python benchmarks/gateway_cpu.py           # 100,000 calls

The backend answers at once, so that nothing but the gateway is measured; judging prompts with an
answer schema are asked, 64 at a time, first 100,000 new ones, then the same again (all known).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lift_agent.agents.judge import Rubric
from lift_agent.agents.prompts import load
from lift_agent.graph.pool import for_each
from lift_agent.llms.backend import Backend
from lift_agent.llms.budget import Budget, Caps
from lift_agent.llms.gateway import Gateway
from lift_agent.llms.replies import Reply
from lift_agent.llms.throttle import Throttle
from lift_agent.stores.cache import SharedCache
from lift_agent.stores.ledger import Ledger

TARGET = 1.0  # ms
FLAT = 1.5  # the last tenth over the first
CONCURRENCY = 64

ANSWER = json.dumps(
    {"reason": "Fine.", "clarity": 9, "difficulty": 9, "explanations": 9, "accuracy": 9}
)


class InstantBackend(Backend):
    """Answers at once."""

    async def send(self, body: Mapping[str, Any], thinking_tokens: int = 0) -> Reply:
        """The same answer to everything."""
        return Reply(ANSWER, "stop", 400, 30)


async def ask(gateway: Gateway, numbers: range) -> float:
    """Ask for so many judgements; return CPU milliseconds a call."""

    async def judge(number: int) -> None:
        request = load("judge").ask(
            instruction=f"Explain the {number}th of many things, with an example. " * 3,
            input="",
            response=f"The {number}th thing is explained like so. " * 12,
        )
        body = gateway.backend.body(request, Rubric, gateway.seed)
        await gateway.call(body, request.prompt, agent="judge", subject=str(number))

    begun = time.process_time()
    await for_each(numbers, judge, CONCURRENCY)
    return (time.process_time() - begun) / len(numbers) * 1000


def main() -> int:
    """Measure and print milliseconds a call, tenth by tenth."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=100_000)
    args = parser.parse_args()
    tenth = args.calls // 10
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder) / "ledger.sqlite")
        cache = SharedCache(Path(folder) / "calls.sqlite")
        gateway = Gateway(
            InstantBackend("bench", None, prices=(1.0, 1.0)),
            ledger.calls,
            Budget(Caps(10**9, 10**12, 1e9, 1e9)),
            Throttle("bench", CONCURRENCY, rpm=10**9, tpm=10**12),
            cache=cache,
        )
        new, known = [], []
        for times in (new, known):
            for start in range(0, args.calls, tenth):
                numbers = range(start, start + tenth)
                times.append(asyncio.run(ask(gateway, numbers)))
        ledger.close()
        cache.close()
    for name, times in (("new calls", new), ("known calls", known)):
        tenths = " ".join(f"{ms:.2f}" for ms in times)
        print(f"{name:12} {sum(times) / len(times):.2f} ms CPU a call; by tenths: {tenths}")
    mean, growth = sum(new) / len(new), new[-1] / new[0]
    print(f"at {args.calls:,} calls {new[-1]:.2f} ms     (to reach: at most {TARGET:g})")
    print(f"last tenth over first: {growth:.2f}   (flat: at most {FLAT:g})")
    return int(max(mean, new[-1]) > TARGET or growth > FLAT)


if __name__ == "__main__":
    raise SystemExit(main())
