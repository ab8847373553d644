"""Whether a cap is ever crossed: random runs at concurrency 64, counted by the server.

    .venv/bin/python benchmarks/budgets.py               # 200 runs

Each run has random caps on calls, tokens and money, random faults and delays, and is sometimes
stopped and resumed. What was spent is what the server's log says: every request that it saw, and
the tokens of every answer that it sent off, also of those that came too late or were cut.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import time
from collections import Counter
from pathlib import Path

import harness
from misbehaving_server import ANSWERS, HOLLOW, TRANSIENT

from lift_agent.config import resolve
from lift_agent.jobs.run import run

USD_A_MILLION = 2.0


def main() -> int:
    """Run, count, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    os.environ |= {"OPENAI_API_KEY": "sk-benchmark", "NO_PROXY": "127.0.0.1"}
    rng = random.Random(args.seed)
    crossed, stops, filled = 0, Counter[str](), []
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        embedder = harness.static_embedder(work / "embedder")
        seeds = harness.seed_file(work / "seeds.jsonl", 40)
        for number in range(args.runs):
            caps = {
                "max_calls": rng.choice([None, rng.randint(1, 200)]),
                "max_tokens": rng.choice([None, rng.randint(1000, 120_000)]),
                "budget_usd": rng.choice([None, rng.uniform(0.002, 0.2)]),
            }
            kinds = rng.sample((*TRANSIENT, *HOLLOW, *ANSWERS), rng.randint(0, 3))
            faults = {kind: rng.uniform(0, 0.1) for kind in kinds}
            with harness.MisbehavingServer(
                harness.answer, faults, seed=number, latency=(0, 0.05), late=1.5
            ) as server:
                settings = {
                    "sources": (seeds,),
                    "out": work / f"run{number}",
                    "llm": "openai:bench",
                    "base_url": server.base_url,
                    "prices": f"openai:bench={USD_A_MILLION},{USD_A_MILLION}",
                    "embedder": embedder,
                    "target_size": 60,
                    "round_size": 64,
                    "rounds": 2,
                    "concurrency": 64,
                    "timeout": 1.0,
                    "max_error_rate": 1.0,
                    "cache": False,
                    **caps,
                }
                summary = run(resolve(settings))
                if summary.stop == "budget" and rng.random() < 0.3:
                    summary = run(resolve(settings))  # it must not spend any more
                time.sleep(1.6 if "timeout" in faults else 0.1)  # late answers come, and are paid
                spent = {
                    "max_calls": len(server.requests),
                    "max_tokens": server.tokens,
                    "budget_usd": server.tokens * USD_A_MILLION / 1e6,
                }
            stops[summary.stop] += 1
            for name, cap in caps.items():
                if cap is not None and spent[name] > cap * (1 + 1e-12):
                    crossed += 1
                    print(f"run {number}: {name} = {cap} crossed: {spent[name]}")
            if summary.stop == "budget":
                filled.append(max(spent[n] / cap for n, cap in caps.items() if cap is not None))
    ended = ", ".join(f"{stop} {count}" for stop, count in stops.most_common())
    print(f"{args.runs} runs in {time.monotonic() - begun:.0f} s; stop reasons: {ended}")
    print(f"of the cap that stopped it a run used {sum(filled) / max(1, len(filled)):.0%} (mean)")
    print(f"caps crossed: {crossed}     (to reach: never)")
    return int(crossed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
