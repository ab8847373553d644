"""A panel: several judges whose mean is the score of a row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean

from ..records import PairwiseComparison, Row, Score
from .asking import gather_all
from .final_score import final_score
from .judge import Judge


class Panel:
    """Asks each of its judges; one that fails leaves the others."""

    def __init__(self, judges: Mapping[str, Judge], length_cap: float) -> None:
        """Take the judges by name, and the length at which the length score reaches 100."""
        self._judges = judges
        self._length_cap = length_cap

    async def score(self, row: Row, *, round: int = 0, samples: int = 1) -> Score:
        """Score one row by the mean of the judges, criterion by criterion.

        Its reason is that of the judge nearest to the mean. It is two tasks joined if more than
        half of the judges say so, and `failed` if all of them fail.
        """
        asked = (judge.score(row, round=round, samples=samples) for judge in self._judges.values())
        scores = dict(zip(self._judges, await gather_all(asked), strict=True))
        judged = [score for score in scores.values() if not score.failed]
        if not judged:
            causes = (f"{name}: {score.failed}" for name, score in scores.items())
            return Score(row.id, failed="; ".join(causes))
        mean = fmean(score.judge for score in judged)
        return final_score(
            row,
            mean,
            self._length_cap,
            min(judged, key=lambda score: abs(score.judge - mean)).reason,
            _means([score.parts for score in judged]),
            judgements=_repeats([score.judgements for score in judged]),
            concatenation=sum(score.concatenation for score in judged) > len(judged) / 2,
            panel={name: dict(score.parts) for name, score in scores.items()},
        )

    async def compare(self, first: Row, second: Row, *, round: int = 0) -> PairwiseComparison:
        """Have each judge compare two rows in both orders; in each order the majority counts."""
        asked = (judge.compare(first, second, round=round) for judge in self._judges.values())
        comparisons = await gather_all(asked)
        answered = [pair for pair in comparisons if not pair.failed]
        if not answered:
            return comparisons[0]
        forward = _majority([pair.forward for pair in answered])
        backward = _majority([pair.backward for pair in answered])
        return PairwiseComparison(first.id, second.id, forward, backward, answered[0].reason)


def _means(parts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: round(fmean(part[name] for part in parts), 2) for name in parts[0]}


def _repeats(judgements: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """The panel's repeated judgements: the means of the first, of the second, and so on."""
    return tuple(fmean(each) for each in zip(*judgements, strict=False))


def _majority(preferred: Sequence[str]) -> str:
    """The id that most judges prefer, "" where none leads."""
    (best, votes), *others = Counter(preferred).most_common()
    return best if not others or votes > others[0][1] else ""
