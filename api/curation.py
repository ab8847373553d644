"""The redundancy agent and the selector on rows that are in memory, without a run folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic

import numpy as np

from ..agents import scoring
from ..agents.corpus_statistics import CorpusStatistics
from ..agents.final_score import final_score, text_length
from ..agents.redundancy import RedundancyAgent
from ..agents.selector import Selector
from ..errors import UsageError
from ..geometry.variance import length_cap
from ..llms.loops import run_coroutine
from ..records import Row, Score
from .embedding import vectors_of
from .reading import Unusable, rows_of
from .records import Records, taken
from .settings import settings_of


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A record that repeats another.

    Attributes:
        index: of the record, from 0.
        repeats: index of the record that it repeats, which is kept.
        cosine: similarity of the two, -1 to 1.
        layer: the check that decided: exact, normalised, lexical, semantic.
        reason: what the two have in common, or how they differ.
    """

    index: int
    repeats: int
    cosine: float
    layer: str
    reason: str


@dataclass(frozen=True, slots=True)
class Deduplicated(Generic[Records]):
    """What is left of some records, and what was removed.

    Attributes:
        rows: the records that are kept, in the kind of container that was given.
        indices: their indices, from 0, in the order that was given.
        duplicates: the records that were removed, each with the one that it repeats.
        unusable: records that are no rows; they are neither kept nor duplicates.
    """

    rows: Records
    indices: list[int]
    duplicates: list[Duplicate]
    unusable: list[Unusable]


@dataclass(frozen=True, slots=True)
class Selected(Generic[Records]):
    """Records that were chosen.

    Attributes:
        rows: the chosen records in the order of choice, in the kind of container that was given.
        indices: their indices, from 0, in the order of choice.
        scores: by index, the quality of every usable record, 0 to 100.
        margins: by index, how much a chosen record led over the next best, or another lacked
            (below 0); one that was too close to a chosen record has none.
        unusable: records that are no rows.
    """

    rows: Records
    indices: list[int]
    scores: dict[int, float]
    margins: dict[int, float]
    unusable: list[Unusable]


def deduplicate(
    rows: Records,
    *,
    vectors: Any = None,
    map: Mapping[str, str] | None = None,
    **settings: Any,
) -> Deduplicated[Records]:
    """Remove the rows that set a task which another row sets already.

    Rows are compared by text, by words and by embedding; where these leave a doubt, the responses
    settle it. Of rows that repeat each other the best by cheap signals stays. No model but the
    embedder is asked.

    Args:
        rows: a list of dicts, a `datasets.Dataset` or a `pandas.DataFrame`, in any form that a
            file may have.
        vectors: (n, d) your own embeddings of the rows; None to make them.
        map: the columns of an own form, such as `{"instruction": "question", "output": "answer"}`.
        settings: of a run, by name: `candidate_cosine`, `borderline_cosine`, `embedder`,
            `embedder_base_url`, `embedder_prompt`; the defaults are those of the command line.

    Returns:
        What is left, in the kind of container that was given, and each duplicate with the row
        that it repeats.

    Raises:
        UsageError: a setting is wrong, the rows are of no known form, or the vectors do not fit.
        ModelError: the embedder cannot be used.
    """
    config = settings_of(_DEDUPLICATING, settings)
    held = rows_of(rows, map)
    if not held.rows:
        return Deduplicated(taken(rows, []), [], [], held.unusable)
    found = vectors_of(held.rows, held.numbers, vectors, config)
    agent = RedundancyAgent(None, config.candidate_cosine, config.borderline_cosine)
    verdicts, _ = run_coroutine(agent.find_duplicates(held.rows, found, [], found[:0]))
    number = {row.id: n for row, n in zip(held.rows, held.numbers, strict=True)}
    duplicates = [
        Duplicate(number[v.row], number[v.other], v.cosine, str(v.layer), v.reason)
        for v in verdicts
        if v.duplicate
    ]
    removed = {duplicate.index for duplicate in duplicates}
    kept = [n for n in held.numbers if n not in removed]
    return Deduplicated(taken(rows, kept), kept, duplicates, held.unusable)


def select(
    rows: Records,
    n: int,
    *,
    vectors: Any = None,
    scores: Sequence[float] | None = None,
    map: Mapping[str, str] | None = None,
    **settings: Any,
) -> Selected[Records]:
    """Choose n rows by quality and diversity together, as a run does.

    Args:
        rows: a list of dicts, a `datasets.Dataset` or a `pandas.DataFrame`, in any form that a
            file may have. Remove duplicates first: see `deduplicate`.
        n: rows wanted; all usable ones come back where there are fewer.
        vectors: (n, d) your own embeddings of the rows; None to make them.
        scores: the quality of each row, higher is better; None for cheap signals of its text.
        map: the columns of an own form, such as `{"instruction": "question", "output": "answer"}`.
        settings: of a run, by name: `quality_weight` (1 is quality alone, 0 diversity alone),
            `apart_cosine`, `embedder`, `embedder_base_url`, `embedder_prompt`; the defaults are
            those of the command line.

    Returns:
        The chosen rows, best choice first, in the kind of container that was given.

    Raises:
        UsageError: a setting is wrong, the rows are of no known form, or scores or vectors do not
            fit them.
        ModelError: the embedder cannot be used.
    """
    if n < 0:
        raise UsageError(f"n = {n}: should be 0 or more")
    config = settings_of(_SELECTING, settings)
    held = rows_of(rows, map)
    if not held.rows or not n:
        return Selected(taken(rows, []), [], {}, {}, held.unusable)
    found = vectors_of(held.rows, held.numbers, vectors, config)
    quality = _quality(held.rows, held.numbers, scores)
    selector = Selector(n, 1.0, config.quality_weight, min_separation=config.apart_cosine)
    chosen = selector.choose(held.rows, found, quality)
    number = {row.id: k for row, k in zip(held.rows, held.numbers, strict=True)}
    indices = [number[row.id] for row in chosen.rows]
    return Selected(
        taken(rows, indices),
        indices,
        {number[id]: score.final for id, score in quality.items()},
        {number[id]: margin for id, margin in chosen.margins.items()},
        held.unusable,
    )


_EMBEDDING = ("embedder", "embedder_base_url", "embedder_prompt")
_DEDUPLICATING = ("candidate_cosine", "borderline_cosine", *_EMBEDDING)
_SELECTING = ("quality_weight", "apart_cosine", *_EMBEDDING)


def _quality(
    rows: Sequence[Row], numbers: Sequence[int], scores: Sequence[float] | None
) -> dict[str, Score]:
    """The score of each row by its id: the caller's, or by cheap signals."""
    if scores is not None:
        given = np.asarray(scores, dtype=np.float64)
        if given.ndim != 1 or len(given) <= max(numbers):
            raise UsageError(f"scores must be one number for each record, not {given.shape}")
        if not np.isfinite(given).all():
            raise UsageError("scores must be finite numbers")
        return {
            row.id: Score(row.id, final=float(given[number]))
            for row, number in zip(rows, numbers, strict=True)
        }
    statistics = CorpusStatistics.of(rows)
    longest = length_cap(np.asarray([text_length(row) for row in rows]))
    found = {}
    for row in rows:
        parts = scoring.points(row, statistics)
        found[row.id] = final_score(row, sum(parts.values()), longest, scoring.reason(parts), parts)
    return found
