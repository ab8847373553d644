"""How many answers of a model end as a valid object: judgements and fused tasks.

    .venv/bin/python benchmarks/structured.py --calls 500 --folder runs/structured

The rows are the example seeds, each with its own response and with another one's, asked with the
agents' own prompts; a fused task is asked for as an object, too, which is harder for a small model
than the plain text that the generator takes. What is answered is kept in the folder: with
--seconds the rest is left for the next time. An answer that is no object after its repair turn
is quarantined with its cause, which is printed.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, Field

from lift_agent.agents.judge import Rubric
from lift_agent.agents.prompts import load
from lift_agent.agents.texts import clip
from lift_agent.formats.reading.readers import read_rows
from lift_agent.graph.pool import for_each
from lift_agent.llms.gateway import Gateway
from lift_agent.llms.messages import Parsed
from lift_agent.llms.providers import open_backend
from lift_agent.records import Row
from lift_agent.stores.ledger import Ledger

SEEDS = Path(__file__).resolve().parent.parent / "examples" / "seeds"
TARGET = 0.98
KINDS = ("judge", "fusion")


class Fused(BaseModel):
    """A fused task as an object."""

    instruction: str = Field(min_length=8, max_length=200)
    input: str = Field(max_length=80)


def rows() -> Iterator[Row]:
    """The seeds, then each with a response of another, and so on without an end."""
    seeds = [row for row in read_rows(sorted(SEEDS.glob("*.jsonl"))) if isinstance(row, Row)]
    rng = random.Random(0)
    yield from seeds
    while True:
        for row in seeds:
            yield replace(row, output=rng.choice(seeds).output)


def judgement(gateway: Gateway, row: Row) -> Awaitable[Parsed[Rubric]]:
    """Ask for a judgement."""
    size = gateway.room(3)
    request = load("judge").ask(
        instruction=clip(row.instruction, size),
        input=clip(row.input, size),
        response=clip(row.output, size),
    )
    return gateway.ask_for(Rubric, request, agent="judge")


def fusion(gateway: Gateway, first: Row, second: Row) -> Awaitable[Parsed[Fused]]:
    """Ask for a task fused of two."""
    size = gateway.room(3)
    request = load("fuse").ask(
        count="two",
        tasks=f"Task A: {clip(first.task, size)}\n\nTask B: {clip(second.task, size)}",
        subspace="everyday tasks",
        brief="",
        room="",
    )
    return gateway.ask_for(Fused, request, agent="generator")


async def main() -> int:
    """Ask, and print the share of valid objects with the causes of the others."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=500, help="of each kind")
    parser.add_argument("--kind", choices=KINDS, help="only this one")
    parser.add_argument("--llm", default="local:")
    parser.add_argument("--base-url")
    parser.add_argument("--folder", type=Path, default=Path("runs/structured"))
    parser.add_argument("--seconds", type=float, default=1e9)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    backend = open_backend(args.llm, args.base_url)
    until = time.monotonic() + args.seconds
    source = rows()
    shown = [next(source) for _ in range(args.calls)]
    partners = random.Random(1).sample(shown, len(shown))
    kinds = (args.kind,) if args.kind else KINDS
    found: dict[str, list[Parsed]] = {kind: [] for kind in kinds}
    with closing(Ledger(args.folder / "ledger.sqlite")) as ledger:
        gateway = Gateway(backend, ledger.calls, max_error_rate=1.0, timeout=600)

        async def judge(row: Row) -> None:
            if time.monotonic() < until:
                found["judge"].append(await judgement(gateway, row))

        async def fuse(pair: tuple[Row, Row]) -> None:
            if time.monotonic() < until:
                found["fusion"].append(await fusion(gateway, *pair))

        # One kind after the other: a slot's prefix cache holds one prompt.
        if "judge" in kinds:
            await for_each(shown, judge, gateway.concurrency)
        if "fusion" in kinds:
            await for_each(zip(shown, partners, strict=True), fuse, gateway.concurrency)
    good = True
    for kind, answers in found.items():
        valid = sum(parsed.value is not None for parsed in answers)
        share = valid / max(1, len(answers))
        print(f"{kind:7} {len(answers)} of {args.calls} asked; a valid object: {share:.4f}")
        causes = Counter(parsed.error for parsed in answers if parsed.value is None)
        for cause, count in causes.most_common():
            print(f"        {count} quarantined: {cause}")
        good = good and share >= TARGET
    if backend.close:
        await backend.close()
    print(f"(to reach: at least {TARGET:g} of each)")
    return int(not good)


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
