"""How a round's tasks are shared among subspaces: Thompson sampling with a Beta posterior.

A task succeeds when it becomes an accepted row that landed in its subspace. With the prior
Beta(1, 1), w successes in t tasks give the posterior Beta(1 + w, 1 + t - w) (Thompson 1933;
Agrawal and Goyal, arXiv 1209.3353, prove its regret). A success is worth the subspace's gap, per
token that a task takes there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

PATIENCE = 24  # tasks without any success after which a subspace is dropped
DOUBT = 0.05  # chance of reaching half the common rate below which it is dropped


@dataclass(frozen=True, slots=True)
class SubspaceArm:
    """A subspace as the bandit sees it: what a success is worth, and what its tasks brought.

    `cost` is what one task takes, in any unit that is the same for all arms.
    """

    worth: float
    tried: int = 0
    won: int = 0
    cost: float = 1.0

    @property
    def rate(self) -> float:
        """The posterior mean of the success rate."""
        return (1 + self.won) / (2 + self.tried)


def quotas(size: int, arms: Sequence[SubspaceArm], seed: str) -> list[int]:
    """Share `size` tasks among arms: each goes where a draw of rate × worth / cost is largest.

    Within the round nobody sees an arm fill up, so what it is worth falls as 1 / (1 + tasks given
    to it / an equal share). The arm with the best posterior mean gets at least an equal share.

    Returns:
        The tasks of each arm, which sum to `size`; the same for the same `seed`.
    """
    if not arms:
        return []
    rng = np.random.default_rng(list(seed.encode()))
    value = np.asarray([arm.worth / arm.cost for arm in arms])
    won = np.asarray([arm.won for arm in arms])
    lost = np.asarray([arm.tried - arm.won for arm in arms])
    shares = np.zeros(len(arms), dtype=np.int64)
    shares[best_arm(arms)] = size // len(arms)
    for rates in rng.beta(1 + won, 1 + lost, (size - int(shares.sum()), len(arms))):
        shares[np.argmax(rates * value / (1 + shares * len(arms) / size))] += 1
    return [int(n) for n in shares]


def best_arm(arms: Sequence[SubspaceArm]) -> int:
    """The arm with the largest posterior mean of rate × worth / cost."""
    return max(range(len(arms)), key=lambda i: arms[i].rate * arms[i].worth / arms[i].cost)


def hopeless(arms: Sequence[SubspaceArm]) -> list[bool]:
    """Return which arms are dropped: no success in PATIENCE tasks, or hardly a chance of one.

    That is a chance under DOUBT that the arm's rate reaches half the rate of all arms together.
    The arm with the best posterior mean is never dropped.
    """
    if not arms:
        return []
    tried, won = sum(arm.tried for arm in arms), sum(arm.won for arm in arms)
    enough = won / tried / 2 if tried else 0.0
    best = best_arm(arms)
    return [
        i != best
        and (
            (arm.won == 0 and arm.tried >= PATIENCE)
            or chance_above(enough, arm.won, arm.tried) < DOUBT
        )
        for i, arm in enumerate(arms)
    ]


def chance_above(rate: float, won: int, tried: int) -> float:
    """P(θ > rate) for θ from Beta(1 + won, 1 + tried - won).

    With integer parameters this is P(Binomial(tried + 1, rate) ≤ won).
    """
    n = tried + 1
    return math.fsum(math.comb(n, j) * rate**j * (1 - rate) ** (n - j) for j in range(won + 1))
