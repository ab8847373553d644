"""What the analyst plans: subspaces, the tasks that are to fill them, and what came of these."""

from __future__ import annotations

from dataclasses import dataclass

from .rows import Strategy


@dataclass(frozen=True, slots=True)
class Subspace:
    """A sparse region of the embedding space.

    `centre` is a unit vector and `radius` a cosine distance. `density` and `wanted_density` are
    mean cosines to the nearest rows of the data and of the reference, and `gap` is how far the
    data falls short. `members` are the ids of the rows inside the radius, nearest first, `wanted`
    those of the reference's prompts there, and `nearby` those of the dense neighbours. `given_up`
    says why no more tasks go there, "" while some may.
    """

    id: str
    round: int
    centre: tuple[float, ...]
    radius: float
    gap: float
    members: tuple[str, ...]
    nearby: tuple[str, ...]
    name: str = ""
    brief: str = ""
    quota: int = 0
    wanted: tuple[str, ...] = ()
    density: float = 0.0
    wanted_density: float = 0.0
    given_up: str = ""


@dataclass(frozen=True, slots=True)
class TrackRecord:
    """What came of the tasks of a subspace: how many were tried, how many became accepted rows,
    how many of those landed in it, and the tokens that all of them took.
    """

    tried: int = 0
    accepted: int = 0
    landed: int = 0
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class GenerationTask:
    """One planned generation: from these parents, by a strategy, into that subspace.

    `rule` is how the parents were chosen (fusion), by which means the task is made harder
    (deepen), or what is to be better (answer).
    """

    id: str
    position: int
    round: int
    strategy: Strategy
    parents: tuple[str, ...]
    subspace: str = ""
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Tally:
    """What came of tasks: how many were tried, and how many rows of them were written, landed in
    their subspace, were accepted, and both.

    Only what landed and was accepted fills a subspace's quota; all that was accepted counts
    towards the target.
    """

    tried: int = 0
    written: int = 0
    landed: int = 0
    accepted: int = 0
    filled: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.tried + other.tried,
            self.written + other.written,
            self.landed + other.landed,
            self.accepted + other.accepted,
            self.filled + other.filled,
        )
