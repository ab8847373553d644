"""What was found of a row: by the screen, the redundancy agent, and the judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .codes import Why


@dataclass(frozen=True, slots=True)
class ScreeningResult:
    """What the screen found of a row before any model compared or judged it.

    `parts` holds the points of the cheap signals by group (100 in all), `personal` the number of
    finds of personal data by kind. `reason` is the `Reason` for which the row is rejected, "" if
    it passed, `evidence` what shows it, and `detail` the name of the benchmark that it leaks.
    """

    row: str
    language: str = ""
    parts: Mapping[str, float] = field(default_factory=dict)
    personal: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""
    evidence: str = ""
    detail: str = ""

    @property
    def why(self) -> Why:
        """The reason with its detail."""
        return Why(self.reason, self.detail)

    @property
    def points(self) -> float:
        """Points of all groups of signals, of 100."""
        return sum(self.parts.values())


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the redundancy agent decided about a row, and on what evidence.

    `layer` is the `Layer` that decided, `other` the row that is repeated (or the nearest one),
    `cosine` their similarity, and `reason` what differs between the two.
    """

    row: str
    duplicate: bool
    layer: str
    other: str = ""
    cosine: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Score:
    """The judge's rubric score of a row (0 to 100), the length score, and the two combined.

    `parts` holds the points by criterion; `reason` is the judge's own sentence. A judgement that
    failed has `failed` set to its cause and no score at all. Where a row was judged several times
    `judgements` holds each total, and `judge` and `parts` are their means. `concatenation` says
    that a fused row is two tasks joined, for which it is rejected whatever its score. `panel`
    holds the points that each of several judges gave, none where it failed.
    """

    row: str
    judge: float = 0.0
    length: float = 0.0
    final: float = 0.0
    parts: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""
    failed: str = ""
    judgements: tuple[float, ...] = ()
    concatenation: bool = False
    panel: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PairwiseComparison:
    """Two rows compared by the judge in both orders, to break a near-tie of their scores.

    `forward` is the id that it preferred when `first` was shown first and `backward` when it was
    shown second, "" where it called them equal. A comparison that failed has `failed` set to its
    cause.
    """

    first: str
    second: str
    forward: str = ""
    backward: str = ""
    reason: str = ""
    failed: str = ""

    @property
    def consistent(self) -> bool:
        """Whether both orders brought the same verdict."""
        return not self.failed and self.forward == self.backward

    @property
    def winner(self) -> str:
        """The id that was preferred in both orders, "" if none was: position bias cancels."""
        return self.forward if self.consistent else ""

    @property
    def loser(self) -> str:
        """The other id of a duel that has a winner, "" else."""
        return {self.first: self.second, self.second: self.first}.get(self.winner, "")
