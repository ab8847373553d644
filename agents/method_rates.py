"""Which way of making rows gets the next task: Thompson sampling over what each brought so far."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping

from ..records import Strategy, Tally

# A way of making rows: the strategy, and for a fusion the rule by which its parents are chosen.
Arm = tuple[Strategy, str]

INSIDE: Arm = ("fusion", "all inside")
ACROSS: Arm = ("fusion", "one inside")
OUTSIDE: Arm = ("fusion", "two outside")
OUTSIDE_THREE: Arm = ("fusion", "three outside")
DEEPEN: Arm = ("deepen", "")
ANSWER: Arm = ("answer", "")

# What an arm is believed to bring before anything is known: landing as benchmarks/landing.py
# --choosing measures it (in the radius), and half of the others (of a better answer, too).
_PRIOR = {INSIDE: 0.9, ACROSS: 0.7, OUTSIDE: 0.55, OUTSIDE_THREE: 0.65, DEEPEN: 0.5, ANSWER: 0.5}
_WEIGHT = 4.0  # tasks for which a belief counts


class Rates:
    """The share of tasks that brought what was wanted, by arm, here and everywhere.

    The rate of an arm everywhere is a Beta mean around its prior; the rate in one subspace is a
    Beta distribution around that, so that a subspace without tasks of its own learns from others.
    """

    def __init__(self, tallies: Mapping[tuple[str, str, str], Tally]) -> None:
        """Take what came of the tasks so far, by subspace, strategy and rule."""
        self._everywhere: dict[Arm, Tally] = {}
        self._here: dict[tuple[str, Arm], Tally] = {}
        for (subspace, strategy, rule), tally in tallies.items():
            arm = next((a for a in _PRIOR if a in ((strategy, rule), (strategy, ""))), None)
            if arm:
                self._everywhere[arm] = self._everywhere.get(arm, Tally()) + tally
                self._here[subspace, arm] = self._here.get((subspace, arm), Tally()) + tally

    def mean(self, arm: Arm) -> float:
        """The smoothed rate of an arm over all subspaces, between 0 and 1.

        What is wanted of an answer is that it is accepted in its parent's place; of the others,
        that their rows land in their subspace and are accepted.
        """
        tally = self._everywhere.get(arm, Tally())
        return (_wanted(arm, tally) + _WEIGHT * _PRIOR[arm]) / (tally.tried + _WEIGHT)

    def draw(self, arms: Collection[Arm], subspace: str, dice: random.Random) -> Arm:
        """Choose the arm of one task: the highest of a draw from each arm's distribution."""
        drawn = []
        for arm in sorted(arms):
            tally, mean = self._here.get((subspace, arm), Tally()), self.mean(arm)
            good = _wanted(arm, tally)
            drawn.append(
                dice.betavariate(
                    good + _WEIGHT * mean, tally.tried - good + _WEIGHT * (1 - mean) + 1e-9
                )
            )
        return sorted(arms)[max(range(len(drawn)), key=drawn.__getitem__)]


def _wanted(arm: Arm, tally: Tally) -> int:
    return tally.accepted if arm == ANSWER else tally.filled
