"""How many damaged rows the cheap signals catch when 5% of the good rows are lost.

Good rows are real ones of three files; damaged ones are the same rows with a response that went
wrong in one of the ways of `damage.py`, of which half were never looked at while signals and
weights were chosen. Rows with an even index choose the threshold; those with an odd one are
reported. The background of a run is gathered from its good rows with one damaged row of any kind
among them for every five.

    .venv/bin/python benchmarks/signals.py [--vectors]
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from corpora import CODE, embedded, parser, report, rows_of
from damage import DEVELOPED, UNSEEN, Neighbours, wrong_number
from sklearn.feature_extraction.text import TfidfVectorizer

from lift_agent.agents import signals
from lift_agent.agents.background import Background
from lift_agent.geometry.neighbours import Floats
from lift_agent.records import Row

GOOD = (CODE, "gsm8k_train.json", "seed_tasks.jsonl")
OTHERS = ("gpteacher_toolformer.json", "zh_seed_tasks.json", "sharegpt_conversations.json")
ROWS = 300  # of a file and half
EMBEDDED = 20  # damaged rows of a kind that are embedded, and eight times as many good ones
LOST = 0.05
DISTINCT = 0.9  # the nearest row lends its response: nearest by tf-idf, below this cosine
NUMBER = "another last number"
Limit = tuple[float, float]
KINDS = {**DEVELOPED, **UNSEEN, NUMBER: wrong_number}


class Half:
    """The rows of one half: good ones, and damaged ones by kind."""

    def __init__(self, folder: Path, parity: int) -> None:
        dice = random.Random(parity)
        self.good: list[Row] = []
        self.bad: dict[str, list[Row]] = {kind: [] for kind in KINDS}
        for name in GOOD:
            rows = rows_of(folder, name)
            rows = rows[parity::2]
            tasks = TfidfVectorizer().fit_transform([row.task for row in rows])
            for i in dice.sample(range(len(rows)), min(ROWS, len(rows))):
                row, cosines = rows[i], (tasks @ tasks[i].T).toarray().ravel()
                nearest = rows[int(np.argmax(np.where(cosines < DISTINCT, cosines, -1)))]
                lent = Neighbours(dice.choice(rows[:i] + rows[i + 1 :]), nearest)
                self.good.append(row)
                for kind, damage in KINDS.items():
                    output = damage(row, lent, dice)
                    # Some kinds do not apply to some rows: code to prose, a sentence to shuffle.
                    if output and output.split() != row.output.split():
                        self.bad[kind].append(replace(row, output=output))
        mixed = [row for kind, rows in self.bad.items() if kind != NUMBER for row in rows]
        self.run = [*self.good, *dice.sample(mixed, len(self.good) // 5)]


def caught(good: Floats, bad: Mapping[str, Floats], limit: Limit) -> dict[str, float]:
    """Share of rows that a limit takes: of good ones ("") and of the damaged ones by kind."""
    return {
        kind: float((found < limit[0]).mean() + limit[1] * (found == limit[0]).mean())
        for kind, found in {"": good, **bad}.items()
    }


def threshold(good: Floats) -> Limit:
    """The score below which rows are taken, and the share taken of rows at it: 5% of good ones.

    Points are whole numbers and many damaged rows lose one group exactly, so a limit that takes
    all or none of a tie would move the figures by tens of per cent.
    """
    limit = float(np.quantile(good, LOST, method="lower"))
    below, at = float((good < limit).mean()), float((good == limit).mean())
    return limit, (LOST - below) / at


def score(rows: Sequence[Row], background: Background | None) -> Floats:
    """Points of rows by their text."""
    return np.array([sum(signals.points(row, background).values()) for row in rows], dtype=float)


def cosines(groups: Mapping[str, Sequence[Row]]) -> dict[str, Floats]:
    """Cosine of each row's task and response; all texts are embedded together."""
    rows = [row for group in groups.values() for row in group]
    vectors = embedded([row.task for row in rows] + [row.output for row in rows])
    found = np.einsum("nd,nd->n", vectors[: len(rows)], vectors[len(rows) :]).astype(float)
    ends = np.cumsum([len(group) for group in groups.values()])[:-1]
    return dict(zip(groups, np.split(found, ends), strict=True))


def semantic(rows: Sequence[Row], background: Background, fit: Floats, usual: Floats) -> Floats:
    """Points where the fit to the instruction is the worse of the text's and of the cosine's."""
    tails = (np.searchsorted(np.sort(usual), fit) + 1) / (len(usual) + 1)
    parts = [signals.points(row, background) for row in rows]
    fits = [20 * signals.share_left(tail) for tail in tails]
    name = "fits the instruction"
    return np.array(
        [sum(p.values()) - max(0, p[name] - f) for p, f in zip(parts, fits, strict=True)]
    )


def main() -> None:
    """Score both halves, without and with the run's background, and print what is caught."""
    known = parser(__doc__)
    known.add_argument("--vectors", action="store_true", help="also with the cosine, small samples")
    args = known.parse_args()
    even, odd = Half(args.data, 0), Half(args.data, 1)
    begun = time.process_time()
    backgrounds = [Background.of(half.run) for half in (even, odd)]
    gathered = (time.process_time() - begun) / (len(even.run) + len(odd.run)) * 1000
    columns, seconds = [], []
    for made in ([None, None], backgrounds):
        limit = threshold(score(even.good, made[0]))
        begun = time.process_time()
        good = score(odd.good, made[1])
        seconds.append((time.process_time() - begun) / len(odd.good) * 1000)
        bad = {kind: score(rows, made[1]) for kind, rows in odd.bad.items()}
        columns.append(caught(good, bad, limit))
    steps = []
    good, bad = odd.good, odd.bad
    exact = threshold(score(good, backgrounds[1]))  # just 5% of the rows that are reported
    for limit in ((80.0, 0.0), (81.0, 0.0), exact):
        taken = caught(
            score(good, backgrounds[1]),
            {kind: score(bad[kind], backgrounds[1]) for kind in UNSEEN},
            limit,
        )
        mean = np.mean([taken[kind] for kind in UNSEEN])
        steps.append(
            f"limit {limit[0]:.0f}: {taken['']:.3f} of good rows, {mean:.3f} of unseen kinds"
        )
    heads = ["a row alone", "with the run's background"]
    if args.vectors:
        dice = random.Random(2)
        good = [dice.sample(half.good, 8 * EMBEDDED) for half in (even, odd)]
        bad = {kind: dice.sample(rows, EMBEDDED) for kind, rows in odd.bad.items()}
        fit = cosines({"even": good[0], "odd": good[1], **bad})
        texts = score(good[0], backgrounds[0]), score(good[1], backgrounds[1])
        limit = threshold(texts[0])
        sampled = {kind: score(rows, backgrounds[1]) for kind, rows in bad.items()}
        columns.append(caught(texts[1], sampled, limit))
        fits = semantic(good[0], backgrounds[0], fit["even"], fit["even"])
        scored = {k: semantic(b, backgrounds[1], fit[k], fit["odd"]) for k, b in bad.items()}
        kept = semantic(good[1], backgrounds[1], fit["odd"], fit["odd"])
        columns.append(caught(kept, scored, threshold(fits)))
        note = "The last two columns lose unequal shares of good rows: no verdict."
        heads += ["background, on the embedded sample", "and the cosine of task and response"]
    lines = [["good rows lost", *(f"{column['']:.3f}" for column in columns)]]
    for title, kinds in (("developed", DEVELOPED), ("unseen", UNSEEN)):
        lines += [[f"{title}: {kind}", *(f"{c[kind]:.2f}" for c in columns)] for kind in kinds]
        means = [float(np.mean([column[kind] for kind in kinds])) for column in columns]
        lines.append([f"**mean of {title} kinds**", *(f"**{mean:.3f}**" for mean in means)])
    lines.append([f"apart: {NUMBER}", *(f"{column[NUMBER]:.2f}" for column in columns)])
    notes = [
        *([note] if args.vectors else []),
        f"{len(odd.good)} good rows; the threshold is that of 5% of {len(even.good)} other rows.",
        f"CPU seconds for 1,000 rows: {seconds[0]:.2f} alone, {seconds[1]:.2f} with a background, "
        f"{gathered:.2f} to gather it.",
        "Many rows tie at 80 points; of a tie a share is taken. With a background the limit "
        f"matters much: {'; '.join(steps)}.",
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
    report("signals", title, ["kind", *heads], lines, notes=notes, peers=["scikit-learn"])


if __name__ == "__main__":
    main()
