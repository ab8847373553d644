"""The share of the tokens sent for judging that a llama.cpp server took from its prefix cache.

    .venv/bin/python benchmarks/prefix_cache.py --rows 1000 --folder runs/prefix_cache

The judge's own prompt is asked about the example seeds, each with its own response and with
others'; the server reports what it took from its cache. Answers end after a few tokens, for only
what is read counts here. What is answered is kept in the folder: with --seconds the rest is left
for the next time.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from structured import rows

from lift_agent.agents.prompts import load
from lift_agent.agents.texts import clip
from lift_agent.graph.pool import for_each
from lift_agent.llms.gateway import Gateway
from lift_agent.llms.providers import open_backend
from lift_agent.records import Row
from lift_agent.stores.ledger import Ledger

TARGET = 0.6
ANSWER = 4  # tokens


async def main() -> int:
    """Ask, and print the tokens sent and the share that came from the cache."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--llm", default="local:")
    parser.add_argument("--base-url")
    parser.add_argument("--folder", type=Path, default=Path("runs/prefix_cache"))
    parser.add_argument("--seconds", type=float, default=1e9)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    backend = open_backend(args.llm, args.base_url)
    source, until = rows(), time.monotonic() + args.seconds
    with closing(Ledger(args.folder / "ledger.sqlite")) as ledger:
        gateway = Gateway(backend, ledger.calls, max_error_rate=1.0, timeout=600)
        size = gateway.room(3)

        async def judge(row: Row) -> None:
            if time.monotonic() < until:
                request = load("judge").ask(
                    instruction=clip(row.instruction, size),
                    input=clip(row.input, size),
                    response=clip(row.output, size),
                )
                await gateway.ask(replace(request, max_tokens=ANSWER), agent="judge")

        await for_each((next(source) for _ in range(args.rows)), judge, gateway.concurrency)
        calls = ledger.calls.find()
    if backend.close:
        await backend.close()
    sent = sum(call.input_tokens for call in calls)
    cached = sum(call.cached_tokens for call in calls)
    print(f"{len(calls):,} calls sent {sent:,} tokens; from the cache: {cached / sent:.3f}")
    print(f"(to reach: at least {TARGET:g}, for {args.rows:,} rows)")
    return int(cached / sent < TARGET)


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
