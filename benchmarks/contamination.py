"""Leaks found among rows that copy, change or reword benchmark items, and among unrelated rows.

The items are real rows; what leaks them are the changes of `pairs.py` that leave a task the same,
with the whole row or only its task. Rows that ask something else in the same words (other numbers,
names, inputs) are no leak by the policy there, but share the words: what is found of them is shown
apart. Unrelated rows are others of the same files. The threshold of the cosine was chosen on the
items of even index; those of odd index are reported.

    .venv/bin/python benchmarks/contamination.py
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from corpora import CODE, embedded, parser, report, rows_of
from pairs import Pair, labelled_pairs

from lift_agent.agents.contamination import Benchmarks, nearest_items
from lift_agent.config import RunConfig
from lift_agent.geometry.neighbours import Vectors
from lift_agent.records import BenchmarkItem, Row

A_KIND = 14  # pairs of a kind and half
UNRELATED = 220  # rows of each of three files
COSINES = (0.8, 0.85, 0.875, 0.9, 0.925, 0.95)
LIMIT = RunConfig.model_fields["leak_cosine"].default
OTHERS = (CODE, "gsm8k_train.json", "gpteacher_toolformer.json")
GROUPS = {
    "copies": ("copy", "surface", "real: same task"),
    "light edits": (
        *("typos", "contractions", "politeness at the end", "emphasis marks", "abbreviations"),
        *("context sentence in front", "filling words", "sentences split or merged"),
    ),
    "rewordings": ("reworded", "reworded, output too"),
    "no leak: other numbers": ("other numbers", "other quantity word"),
    "no leak: other names, inputs, demands": (
        *("other entities", "other input", "flipped meaning", "negated requirement"),
        *("roles swapped", "added constraint", "other unit", "other time or place"),
        *("other form of result", "other programming language", "real: other language"),
    ),
}


def unrelated(folder: Path, pairs: Sequence[Pair]) -> list[Row]:
    """Rows of the same files that are no pair's."""
    rng, used = random.Random(0), {pair.first.id for pair in pairs}
    return [
        row
        for name in OTHERS
        for row in rng.sample([r for r in rows_of(folder, name) if r.id not in used], UNRELATED)
    ]


def found_by_words(rows: Sequence[Row], exam: Benchmarks) -> np.ndarray:
    """Which rows share a run of words with an item, (n,)."""
    return np.array([bool(exam.leaks(row)) for row in rows])


def found_by_cosine(
    vectors: Vectors, of_items: Vectors, places: list[int], limit: float
) -> np.ndarray:
    """Which rows come near an item, (n,)."""
    return np.array([near is not None for near in nearest_items(vectors, of_items, places, limit)])


def main() -> None:
    """Measure recall by kind of change, false alarms, and the rate."""
    args = parser(__doc__).parse_args()
    pairs = labelled_pairs(args.data, A_KIND)
    firsts = [pair.first for pair in pairs]
    items = [
        BenchmarkItem("items", i, f"{row.instruction}\n{row.input}".strip(), row.output)
        for i, row in enumerate(firsts)
    ]
    exam = Benchmarks(items)
    of_items = np.concatenate(
        [
            embedded([text.text for item in items for text in item.as_rows()[:1]]),
            embedded([text.text for item in items for text in item.as_rows()[1:]]),
        ]
    )
    places = [*range(len(pairs)), *range(len(pairs))]
    seconds = [pair.second for pair in pairs]
    others = unrelated(args.data, pairs)
    begun = time.process_time()
    words = found_by_words(seconds, exam)
    rate = len(seconds) / (time.process_time() - begun)
    chance = found_by_words(others, exam)
    near, far = embedded([row.text for row in seconds]), embedded([row.text for row in others])
    reported = np.array([pair.reported for pair in pairs])
    lines = []
    for half in (False, True):
        for group, kinds in GROUPS.items():
            chosen = np.array([pair.kind in kinds for pair in pairs]) & (reported == half)
            by = [found_by_cosine(near[chosen], of_items, places, limit) for limit in COSINES]
            shares = [words[chosen].mean(), *((words[chosen] | hit).mean() for hit in by)]
            label = f"{'reported' if half else 'chosen on'}: {group}"
            lines.append([label, int(chosen.sum()), *(f"{share:.2f}" for share in shares)])
    for start, name in zip(range(0, len(others), UNRELATED), OTHERS, strict=True):
        part = slice(start, start + UNRELATED)
        by = [found_by_cosine(far[part], of_items, places, limit) for limit in COSINES]
        shares = [chance[part].mean(), *((chance[part] | hit).mean() for hit in by)]
        lines.append([f"unrelated: {name}", UNRELATED, *(f"{share:.3f}" for share in shares)])
    begun = time.process_time()
    rows = rows_of(args.data, "gsm8k_train.json")
    read = time.process_time() - begun
    begun = time.process_time()
    found_by_words(rows, exam)
    checked = time.process_time() - begun
    notes = [
        "Share of rows that are found: by 13 words in a row alone, and with a cosine from which "
        f"a row counts as a rewording ({LIMIT:g} is the default).",
        f"Words alone: {rate:,.0f} of these rows a CPU second; {len(rows):,} school maths rows in "
        f"{checked:.1f} s, after {read:.1f} s for reading them.",
    ]
    heads = ("rows", "number", "words", *(f"or cosine {limit:g}" for limit in COSINES))
    report("contamination", "Leaked benchmark items found", heads, lines, notes=notes)


if __name__ == "__main__":
    main()
