"""How soon a run of 100,000 calls can be looked into: the first screen of each command.

    python benchmarks/trace.py [--calls 100000] [--folder DIR]

The ledger is made up, but written by its own methods: seeds that are judged, then rounds of tasks
into subspaces, with refused requests, failed calls, quarantined rows and answers from the cache.
Each command runs as a user runs it, in a process of its own, its output read up to a screen.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import numpy as np

from lift_agent.config import RunConfig
from lift_agent.records import Call, GenerationTask, Row, Score, Spending, Subspace, Verdict, row_id
from lift_agent.stores.layout import LEDGER
from lift_agent.stores.ledger import Ledger

SCREEN = 50  # lines
SYSTEM = "You grade one row of a training set by these anchors. " * 40
SCHEMA = {"name": "Rubric", "schema": {"type": "object", "required": ["reason", "clarity"]}}
ROUNDS, PLACES = 20, 16


def a_row(i: int, **origin: object) -> Row:
    instruction = f"Explain how machine {i} works, in {i % 7 + 2} steps, to a beginner."
    output = f"Machine {i} turns its wheel {i % 97} times. " * 6
    return Row(row_id(instruction, "", output), i, instruction, "", output, **origin)


def ask(ledger: Ledger, i: int, agent: str, subject: str, round: int, text: str) -> None:
    """Write a call as the gateway does: its attempts, then its answer or its fault."""
    key = f"{i:08x}{i * 2654435761 % 2**32:08x}" + "0" * 16
    started, seconds = 1.7e9 + i / 10, 0.5 + i * 7919 % 1000 / 250
    request = {"messages": [["system", SYSTEM], ["user", f"{text} ({i})"]], "max_tokens": 300}
    if agent == "judge":
        request["schema"] = SCHEMA
    failed, cached = i % 211 == 0, i % 13 == 0
    told = json.dumps({"reason": f"It says what number {i} does.", "clarity": i % 16})
    call = Call(
        *(key, agent, f"{agent}@1", subject, round, "openai:made-up", request),
        *("" if failed else told, "stop", "HTTP 500: overloaded" if failed else ""),
        *(700 + i % 300, 40 + i % 60, None if failed else 0.0 if cached else i % 100 * 1e-5),
        *(seconds, 0 if cached else 1 + i % 17 // 16, started, cached),
    )
    if cached:
        ledger.calls.add_call(call)
        return
    if call.attempts > 1:
        refused = ledger.calls.begin_attempt(key, started, Spending(1, 1000, 1e-3))
        ledger.calls.end_attempt(refused, 0.1, "HTTP 429: too many requests", Spending(1))
    attempt = ledger.calls.begin_attempt(key, started, Spending(1, 1000, 1e-3))
    ledger.calls.add_call(call, attempt, Spending(1, call.input_tokens + call.output_tokens, 1e-5))


def make(folder: Path, calls: int) -> None:
    """Write the ledger of a finished run of so many calls."""
    folder.mkdir(parents=True, exist_ok=True)
    seeds = calls * 4 // 10
    tasks = (calls - seeds) // 3 // ROUNDS  # a draft, an answer and a judgement each
    with closing(Ledger(folder / LEDGER)) as ledger:
        settings = json.loads(RunConfig().model_dump_json(exclude={"out"}))
        ledger.facts.update(settings=settings, run_id="made-up", target=seeds // 2)
        rows = [a_row(i, source="made-up.jsonl", line=i + 1) for i in range(seeds)]
        ledger.rows.add(rows)
        ledger.sources.add([("made-up.jsonl", "0", seeds, 0)])
        number = 0
        for row in rows:
            ask(ledger, number, "judge", row.id, 0, row.instruction)
            number += 1
        settle(ledger, rows, 0)
        for round in range(1, ROUNDS + 1):
            number = play(ledger, rows, round, tasks, number)
        ledger.dataset.choose(
            [row.id for row in rows[: seeds // 2]], {rows[0].id: 0.5, rows[-1].id: -0.5}
        )
        ledger.facts.update(stop="target")


def play(ledger: Ledger, seeds: list[Row], round: int, tasks: int, number: int) -> int:
    """Write a round; return the number of the next call."""
    places = [
        Subspace(f"s-{p:08x}", round, (1.0, 0.0), 0.2, 1.0, (), (), f"Place {p}", "A brief.", tasks)
        for p in range(PLACES)
    ]
    planned = []
    for i in range(tasks):
        parents = (seeds[i].id, seeds[-i - 1].id)
        place = places[i % PLACES].id
        at = len(seeds) + round * tasks + i
        planned.append(
            GenerationTask(f"r{round}-{i:05d}", at, round, "fusion", parents, place, "two")
        )
    ledger.rounds.plan(round, places, planned)
    made = []
    for task in planned:
        for prompt in ("draft", "answer"):
            ask(ledger, number, "generator", task.id, round, prompt)
            number += 1
        about = {"origin": "generated", "round": round, "strategy": "fusion"}
        row = a_row(task.position, parents=task.parents, subspace=task.subspace, **about)
        ledger.rounds.finish_task(task.id, "row", "", row.instruction, row)
        ask(ledger, number, "judge", row.id, round, row.instruction)
        number += 1
        made.append(row)
    ledger.rows.set_landing({row.id: (i % 2 == 0, 0.1 + i % 3 / 10) for i, row in enumerate(made)})
    settle(ledger, made, round)
    return number


def settle(ledger: Ledger, rows: list[Row], round: int) -> None:
    ledger.judgements.add_verdicts(Verdict(row.id, False, "none") for row in rows)
    failed = {row.id for i, row in enumerate(rows) if i % 500 == 7}
    ledger.judgements.add_scores(
        Score(row.id, failed="HTTP 500" if row.id in failed else "", judge=50, final=50)
        for row in rows
    )
    ledger.rows.set_statuses((row.id, "accepted", "") for row in rows if row.id not in failed)
    ledger.rounds.close(round, len(rows))


def first_screen(*args: str) -> tuple[float, float, int]:
    """Seconds until a screen of a command's output is there (or its end), CPU seconds until the
    command was gone, and lines read.
    """
    before = cpu_of_children()
    began = time.monotonic()
    command = [sys.executable, "-m", "lift_agent", *args]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        lines = 0
        while lines < SCREEN and process.stdout.readline():
            lines += 1
        seconds = time.monotonic() - began
        process.stdout.close()
        process.terminate()
    return seconds, cpu_of_children() - before, lines


def cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary) / "run"
        if not (folder / LEDGER).is_file():
            began = time.monotonic()
            make(folder, given.calls)
            size = (folder / LEDGER).stat().st_size / 1e6
            print(
                f"{given.calls:,} calls written in {time.monotonic() - began:.0f} s, {size:.0f} MB"
            )
        run = str(folder)
        with closing(Ledger(folder / LEDGER)) as ledger:
            call = ledger.calls.find(subjects=["r3-00001"])[0].key
            row = ledger.rows.find("accepted", round=3)[5].id
        print(f"{'command, best of 3':44} {'lines':>6} {'seconds':>8} {'CPU s':>6}")
        for args in (
            ("--help",),
            ("trace", run),
            ("trace", run, "--round", "7", "--agent", "judge"),
            ("trace", run, "--status", "failed"),
            ("trace", run, "--status", "quarantined"),
            ("trace", run, "--slowest"),
            ("trace", run, "--grep", "number 4242 does"),
            ("trace", run, "--row", row),
            ("trace", run, call),
            ("why", run, row),
            ("why", run, "machine 777 works"),
            ("subspaces", run),
        ):
            times = [first_screen(*args) for _ in range(3)]
            shown = " ".join(arg if arg != run else "DIR" for arg in args)
            seconds, cpu, lines = np.min(times, axis=0)
            print(f"{shown[:44]:44} {lines:>6.0f} {seconds:>8.2f} {cpu:>6.2f}", flush=True)


if __name__ == "__main__":
    main()
