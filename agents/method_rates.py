"""Which method of making rows gets the next task: Thompson sampling by what each brought."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping

from ..records import Strategy, Tally

# A method of making rows: the strategy, and for a fusion the rule by which its parents are chosen.
Method = tuple[Strategy, str]

INSIDE: Method = ("fusion", "all inside")
ACROSS: Method = ("fusion", "one inside")
OUTSIDE: Method = ("fusion", "two outside")
OUTSIDE_THREE: Method = ("fusion", "three outside")
DEEPEN: Method = ("deepen", "")
ANSWER: Method = ("answer", "")

# What a method is believed to bring before anything is known: landing as benchmarks/landing.py
# --choosing measures it (in the radius), and half of the others (of a better answer, too).
_PRIOR = {INSIDE: 0.9, ACROSS: 0.7, OUTSIDE: 0.55, OUTSIDE_THREE: 0.65, DEEPEN: 0.5, ANSWER: 0.5}
_WEIGHT = 4.0  # tasks for which a belief counts


class MethodRates:
    """The share of tasks that brought what was wanted, by method, here and everywhere.

    The rate of a method everywhere is a Beta mean around its prior; the rate in one subspace is a
    Beta distribution around that, so that a subspace without tasks of its own learns from others.
    """

    def __init__(self, tallies: Mapping[tuple[str, str, str], Tally]) -> None:
        """Take what came of the tasks so far, by subspace, strategy and rule."""
        self._everywhere: dict[Method, Tally] = {}
        self._here: dict[tuple[str, Method], Tally] = {}
        for (subspace, strategy, rule), tally in tallies.items():
            method = next((a for a in _PRIOR if a in ((strategy, rule), (strategy, ""))), None)
            if method:
                self._everywhere[method] = self._everywhere.get(method, Tally()) + tally
                self._here[subspace, method] = self._here.get((subspace, method), Tally()) + tally

    def mean(self, method: Method) -> float:
        """The smoothed rate of a method over all subspaces, between 0 and 1.

        What is wanted of an answer is that it is accepted in its parent's place; of the others,
        that their rows land in their subspace and are accepted.
        """
        tally = self._everywhere.get(method, Tally())
        return (_successes(method, tally) + _WEIGHT * _PRIOR[method]) / (tally.tried + _WEIGHT)

    def draw(self, methods: Collection[Method], subspace: str, rng: random.Random) -> Method:
        """Choose the method of one task: the highest of a draw from each method's distribution."""
        drawn = []
        for method in sorted(methods):
            tally, mean = self._here.get((subspace, method), Tally()), self.mean(method)
            good = _successes(method, tally)
            drawn.append(
                rng.betavariate(
                    good + _WEIGHT * mean, tally.tried - good + _WEIGHT * (1 - mean) + 1e-9
                )
            )
        return sorted(methods)[max(range(len(drawn)), key=drawn.__getitem__)]


def _successes(method: Method, tally: Tally) -> int:
    return tally.accepted if method == ANSWER else tally.filled
