"""Whether a row is lost when a fifth of all answers is faulty: each fault in turn, then all.

    .venv/bin/python benchmarks/faults.py

A row is lost if it is in none of these states: accepted, rejected or a duplicate with its reason,
quarantined with its cause. The same holds for each planned task.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from contextlib import closing
from pathlib import Path

import harness
from misbehaving_server import ANSWERS, HOLLOW, REQUESTS, TRANSIENT, WRAPPED

from lift_agent.config import resolve
from lift_agent.jobs.run import run
from lift_agent.records import Why
from lift_agent.stores.ledger import Ledger

SHARE = 0.2
SEEDS = 60


def lost_rows(folder: Path) -> tuple[int, dict[str, int]]:
    """Rows and tasks without an end and a reason for it; and how many ended how."""
    lost, ends = 0, dict.fromkeys(("accepted", "duplicate", "rejected", "quarantined"), 0)
    with closing(Ledger(folder / "ledger.sqlite")) as ledger:
        counts = ledger.rows.counts()
        lost += SEEDS - sum(n for (origin, _, _), n in counts.items() if origin == "seed")
        for (_, status, reason), n in counts.items():
            if status == "accepted" or (status in ends and reason):
                ends[status] += n
            else:
                lost += n
        planned = sum(round["planned"] for round in ledger.rounds.all())
        outcomes = ledger.rounds.task_outcomes()
        written = sum(n for (origin, _, _), n in counts.items() if origin == "generated")
        lost += planned - sum(outcomes.values())
        lost += abs(written - outcomes.get(("row", Why()), 0))
        for (outcome, reason), n in outcomes.items():
            if outcome in ("rejected", "quarantined") and reason:
                ends[outcome] += n
            elif outcome != "row":
                lost += n
    return lost, ends


def main() -> int:
    """Run with each fault; print what became of the rows."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    os.environ |= {"OPENAI_API_KEY": "sk-benchmark", "NO_PROXY": "127.0.0.1"}
    kinds = (*TRANSIENT, *HOLLOW, *REQUESTS, *ANSWERS, *WRAPPED)
    cases = {kind: {kind: SHARE} for kind in kinds}
    cases["all together"] = dict.fromkeys(kinds, SHARE / len(kinds))
    lost_in_all = 0
    print(f"{'fault':16} {'met':>5} {'lost':>5}  accepted  duplicate  rejected  quarantined  stop")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        embedder = harness.static_embedder(work / "embedder")
        seeds = harness.seed_file(work / "seeds.jsonl", SEEDS)
        for name, faults in cases.items():
            begun = time.monotonic()
            with harness.MisbehavingServer(
                harness.answer, faults, seed=1, latency=(0, 0.05), late=1.5
            ) as server:
                settings = {
                    "sources": (seeds,),
                    "out": work / name.replace(" ", "-"),
                    "llm": "openai:bench",
                    "base_url": server.base_url,
                    "embedder": embedder,
                    "target_size": 80,
                    "round_size": 32,
                    "concurrency": 32,
                    "timeout": 1.0,
                    "cache": False,
                }
                summary = run(resolve(settings))
                met = len(server.requests) - server.count("")
            lost, ends = lost_rows(settings["out"])
            lost_in_all += lost
            figures = "  ".join(f"{ends[end]:>{len(end)}}" for end in ends)
            print(
                f"{name:16} {met:5} {lost:5}  {figures}  {summary.stop}"
                f" ({summary.rows} rows, {time.monotonic() - begun:.0f} s)",
                flush=True,
            )
    print(f"rows lost: {lost_in_all}     (to reach: 0)")
    return int(lost_in_all > 0)


if __name__ == "__main__":
    raise SystemExit(main())
