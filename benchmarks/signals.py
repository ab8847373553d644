"""How many damaged rows the cheap signals catch when 5% of the good rows are lost.

Good rows are real ones of three files; damaged ones are the same rows with a response that went
wrong in one of the ways of `damage.py`, of which some were never looked at while signals and
weights were chosen. Signals and weights were chosen on rows with an even index; those with an odd
one are reported, where exactly 5% of the good ones are lost. The background of a run is gathered
from its good rows with one damaged row of any kind among them for every five.

    .venv/bin/python benchmarks/signals.py
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from corpora import CODE, parser, report, rows_of
from damage import DEVELOPED, UNSEEN, Neighbours, wrong_number
from sklearn.feature_extraction.text import TfidfVectorizer

from lift_agent.agents import scoring, signals
from lift_agent.agents.corpus_statistics import CorpusStatistics
from lift_agent.geometry.neighbours import Floats
from lift_agent.records import Row

GOOD = (CODE, "gsm8k_train.json", "seed_tasks.jsonl")
OTHERS = ("gpteacher_toolformer.json", "zh_seed_tasks.json", "sharegpt_conversations.json")
ROWS = 300  # of a file and half
LOST = 0.05
DISTINCT = 0.9  # the nearest row lends its response: nearest by tf-idf, below this cosine
NUMBER = "another last number"
KINDS = {**DEVELOPED, **UNSEEN, NUMBER: wrong_number}


class Half:
    """The rows of one half: good ones, and damaged ones by kind."""

    def __init__(self, folder: Path, parity: int) -> None:
        rng = random.Random(parity)
        self.good: list[Row] = []
        self.bad: dict[str, list[Row]] = {kind: [] for kind in KINDS}
        for name in GOOD:
            rows = rows_of(folder, name)
            rows = rows[parity::2]
            tasks = TfidfVectorizer().fit_transform([row.task for row in rows])
            for i in rng.sample(range(len(rows)), min(ROWS, len(rows))):
                row, cosines = rows[i], (tasks @ tasks[i].T).toarray().ravel()
                nearest = rows[int(np.argmax(np.where(cosines < DISTINCT, cosines, -1)))]
                lent = Neighbours(rng.choice(rows[:i] + rows[i + 1 :]), nearest)
                self.good.append(row)
                for kind, damage in KINDS.items():
                    output = damage(row, lent, rng)
                    # Some kinds do not apply to some rows: code to prose, a sentence to shuffle.
                    if output and output.split() != row.output.split():
                        self.bad[kind].append(replace(row, output=output))
        mixed = [row for kind, rows in self.bad.items() if kind != NUMBER for row in rows]
        self.run = [*self.good, *rng.sample(mixed, len(self.good) // 5)]


def caught(good: Floats, bad: Floats) -> float:
    """Share of damaged rows that is lost with the worst 5% of the good ones.

    Of rows that tie at the limit the same share is taken on both sides: a limit that takes all or
    none of them would move the figures by tens of per cent.
    """
    limit = float(np.quantile(good, LOST, method="lower"))
    share = (LOST - float((good < limit).mean())) / float((good == limit).mean())
    return float((bad < limit).mean() + share * (bad == limit).mean())


def score(rows: Sequence[Row], background: CorpusStatistics | None) -> Floats:
    """Points of rows by their text."""
    return np.array([sum(scoring.points(row, background).values()) for row in rows], dtype=float)


def main() -> None:
    """Score the reported half, without and with a background, and print what is caught."""
    args = parser(__doc__).parse_args()
    half, apart = Half(args.data, 1), Half(args.data, 0)
    begun = time.process_time()
    own = CorpusStatistics.of(half.run)
    gathered = (time.process_time() - begun) / len(half.run) * 1000
    heads = ("a row alone", "with the run's background", "with that of other rows")
    columns, seconds = [], []
    for background in (None, own, CorpusStatistics.of(apart.run)):
        begun = time.process_time()
        good = score(half.good, background)
        seconds.append((time.process_time() - begun) / len(half.good) * 1000)
        bad = {kind: caught(good, score(rows, background)) for kind, rows in half.bad.items()}
        columns.append(bad)
    lines = []
    for title, kinds in (("developed", DEVELOPED), ("unseen", UNSEEN)):
        lines += [[f"{title}: {kind}", *(f"{c[kind]:.2f}" for c in columns)] for kind in kinds]
        means = [float(np.mean([column[kind] for kind in kinds])) for column in columns]
        lines.append([f"**mean of {title} kinds**", *(f"**{mean:.3f}**" for mean in means)])
    lines.append([f"apart: {NUMBER}", *(f"{column[NUMBER]:.2f}" for column in columns)])
    notes = [
        f"{len(half.good)} good rows, of which exactly {LOST:.0%} are lost; ties are shared out.",
        f"CPU seconds for 1,000 rows, faults included: {seconds[0]:.2f} alone, {seconds[1]:.2f} "
        f"with a background, {gathered:.2f} to gather it.",
        "In the run's own background a damaged row stands in its good row's place; in that of "
        "other rows, as when new rows are held against the sources, none of these is counted.",
        "No signal here can know that a number is wrong: that is the judge's work.",
    ]
    for name in (*GOOD, *OTHERS):
        faults = [signals.fault(row) for row in rows_of(args.data, name)[1::2]]
        named = Counter(filter(None, faults))
        kinds = ", ".join(f"{fault} {count}" for fault, count in named.most_common())
        notes.append(
            f"Fatal in {name}: {named.total()} of {len(faults)}. {kinds}".rstrip(". ") + "."
        )
    title = "Damaged responses caught by cheap signals where 5% of good rows are lost"
    data, peers = (*GOOD, *OTHERS), ["scikit-learn"]
    report("signals", title, ["kind", *heads], lines, data=data, notes=notes, peers=peers)


if __name__ == "__main__":
    main()
