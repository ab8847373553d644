"""How well the embedded model judges, beside the cheap signals, on the example seeds.

Good rows are the seeds without a note; damaged ones are the same rows with the response of
another row, cut in half, or repeated. Prints the area under the ROC curve of each score.

    .venv/bin/python benchmarks/small_judge.py --rows 30
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from sklearn.metrics import roc_auc_score

from lift_agent.agents import scoring
from lift_agent.agents.judge import Judge
from lift_agent.formats.reading.readers import read_rows
from lift_agent.llms.budget import Budget
from lift_agent.llms.gateway import Gateway
from lift_agent.llms.providers import open_backend
from lift_agent.records import Row
from lift_agent.stores.ledger import Ledger

SEEDS = Path(__file__).resolve().parent.parent / "examples" / "seeds"


def damaged(row: Row, other: Row, kind: str) -> Row:
    """Return the row with a response that no judge should like."""
    outputs = {
        "another row's response": other.output,
        "cut in half": row.output[: len(row.output) // 2],
        "repeated": " ".join([row.output[:60]] * 8),
    }
    return replace(row, id=f"{row.id}-{kind}", output=outputs[kind])


async def main() -> None:
    """Score good and damaged rows both ways and print what tells them apart."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=30, help="good rows, and as many damaged")
    parser.add_argument("--llm", default="local:")
    args = parser.parse_args()
    rng = random.Random(0)
    seeds = [row for row in read_rows(sorted(SEEDS.glob("*.jsonl"))) if isinstance(row, Row)]
    good = rng.sample([row for row in seeds if "note" not in row.extra], args.rows)
    kinds = ("another row's response", "cut in half", "repeated")
    bad = [damaged(row, rng.choice(seeds), kinds[i % len(kinds)]) for i, row in enumerate(good)]
    rows, labels = [*good, *bad], [1] * len(good) + [0] * len(bad)

    cheap = [sum(scoring.points(row).values()) for row in rows]
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder) / "ledger.sqlite")
        backend = open_backend(args.llm)
        judge = Judge(Gateway(backend, ledger.calls, Budget()), length_cap=1000)
        begun = time.monotonic()
        scores = await asyncio.gather(*(judge.score(row) for row in rows))
        seconds = time.monotonic() - begun
        if backend.close:
            await backend.close()
        ledger.close()
    judged = [score.judge for score in scores]
    failed = sum(bool(score.failed) for score in scores)
    print(f"{len(good)} good rows, {len(bad)} damaged; {failed} judgements failed")
    print(
        f"{args.llm:16} AUC {roc_auc_score(labels, judged):.2f}  {seconds / len(rows):.2f} s a row"
    )
    print(f"{'cheap signals':16} AUC {roc_auc_score(labels, cheap):.2f}")
    print("scores of the model:", Counter(judged).most_common(5))


if __name__ == "__main__":
    asyncio.run(main())
