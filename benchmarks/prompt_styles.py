"""Full and compact prompts beside each other on a small model: tokens read, share of use.

Usable is a fusion without a fault, a valid object of name, verdict and rubric. The same pairs
and rows of the example seeds are asked for in both styles, without the repair turn.

    .venv/bin/python benchmarks/prompt_styles.py --rows 30
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel

from lift_agent.agents.asking import bullet_list
from lift_agent.agents.draft_faults import task_fault
from lift_agent.agents.judge import Rubric
from lift_agent.agents.prompts import load
from lift_agent.agents.redundancy import SameTask
from lift_agent.agents.subspace_naming import Brief
from lift_agent.agents.written_task import WrittenTask
from lift_agent.config.tables import ModelTable
from lift_agent.formats.reading.readers import read_rows
from lift_agent.llms.answers import parse, plain
from lift_agent.llms.gateway import Gateway
from lift_agent.llms.messages import Request
from lift_agent.llms.providers import open_backend
from lift_agent.records import Call, Row
from lift_agent.stores.ledger import Ledger

SEEDS = Path(__file__).resolve().parent.parent / "examples" / "seeds"
STYLES = ("full", "compact")
Usable = Callable[[Call], bool]


def asked(rows: list[Row]) -> list[tuple[str, Request, type[BaseModel] | None, Usable]]:
    """What is asked of each row and the next two: prompt, request, schema, what is usable."""

    def valid(schema: type[BaseModel]) -> Usable:
        return lambda call: parse(schema, call)[0] is not None

    work: list[tuple[str, Request, type[BaseModel] | None, Usable]] = []
    for i, row in enumerate(rows):
        pair = [row, rows[(i + 1) % len(rows)]]
        own = load("fuse").own_text

        def fused(call: Call, pair: list[Row] = pair, own: str = own) -> bool:
            text, cause = plain(call)
            written = WrittenTask.read(text)
            tasks = [parent.task for parent in pair]
            fault = task_fault(
                written.instruction, written.input, tasks, prompt=own, truncated=False
            )
            return not cause and not fault

        tasks = "\n\n".join(f"Task {n}: {p.task}" for n, p in zip("AB", pair, strict=True))
        texts = {"instruction": row.task, "input": "", "response": row.output}
        near = bullet_list([p.task for p in pair])
        pool = {"count": "two", "tasks": tasks, "subspace": "Everyday tasks"}
        work += [
            ("fuse", load("fuse").ask(**pool, brief="", room=""), None, fused),
            (
                "name_subspace",
                load("name_subspace").ask(inside=near, nearby=near, wanted="(none)", taken="none"),
                Brief,
                valid(Brief),
            ),
            (
                "same_task",
                load("same_task").ask(first=pair[0].task, second=pair[1].task),
                SameTask,
                valid(SameTask),
            ),
            ("judge", load("judge").ask(**texts), Rubric, valid(Rubric)),
        ]
    return work


async def main() -> None:
    """Ask in both styles and print what each took and brought."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=30, help="requests of each prompt and style")
    parser.add_argument("--llm", default="local:")
    parser.add_argument("--threads", type=int, help="threads of an embedded model")
    args = parser.parse_args()
    seeds = [row for row in read_rows(sorted(SEEDS.glob("*.jsonl"))) if isinstance(row, Row)]
    short = [row for row in seeds if len(row.text) < 1500]
    work = asked(random.Random(0).sample(short, args.rows))
    table = ModelTable(model=args.llm, threads=args.threads)
    backend = open_backend("mine", tables={"mine": table})
    print(f"{backend.name}, {args.rows} requests each")
    print(f"{'prompt':14}{'style':9}{'tokens read':>12}{'usable':>8}")
    with tempfile.TemporaryDirectory() as folder:
        for style in STYLES:
            backend.compact = style == "compact"
            ledger = Ledger(Path(folder) / f"{style}.sqlite")
            gateway = Gateway(backend, ledger.calls, max_error_rate=1.0)
            usable: dict[str, list[bool]] = {}
            tokens: dict[str, list[int]] = {}
            for prompt, request, schema, fit in work:
                form = (backend.compact and request.short) or request
                body = backend.body(form, schema, gateway.seed)
                call = await gateway.call(body, form.prompt, agent="benchmark")
                usable.setdefault(prompt, []).append(fit(call))
                tokens.setdefault(prompt, []).append(call.input_tokens)
            for prompt, fits in usable.items():
                read = sum(tokens[prompt]) / len(fits)
                print(f"{prompt:14}{style:9}{read:12.0f}{sum(fits) / len(fits):8.2f}")
            every = [fit for fits in usable.values() for fit in fits]
            read = sum(sum(counts) for counts in tokens.values()) / len(every)
            print(f"{'all':14}{style:9}{read:12.0f}{sum(every) / len(every):8.2f}", flush=True)
            ledger.close()
    if backend.close:
        await backend.close()


if __name__ == "__main__":
    asyncio.run(main())
