"""The coverage analyst: finds the subspaces that the data lacks and has each named and briefed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..geometry.density import (
    SparseSubspace,
    sparse_subspaces,
    subspace_count,
    underrepresented_subspaces,
)
from ..geometry.neighbours import Vectors
from ..geometry.subspaces import match_centres, merge_subspaces
from ..llms.gateway import Gateway
from ..records import Row, Subspace, TrackRecord
from .bandit import SubspaceArm, hopeless, quotas
from .subspace_naming import SubspaceNamer
from .target_prompts import TargetPrompts

_DENSITY_NEIGHBOURS = {"toward": 10, "probe": 5}  # a theme has few probes


class CoverageAnalyst:
    """Finds sparse subspaces, has each named, and shares a round's work among them."""

    def __init__(self, gateway: Gateway, seed: int) -> None:
        self._namer = SubspaceNamer(gateway)
        self._seed = seed

    async def find(
        self,
        rows: Sequence[Row],
        vectors: Vectors,
        targets: TargetPrompts | None,
        *,
        round: int,
        size: int,
        known: Sequence[Subspace],
        record: Mapping[str, TrackRecord],
    ) -> list[Subspace]:
        """Find the subspaces that the data lacks and give each its quota of `size` tasks.

        Those that are given up in this round come back with the reason and no quota; those of
        earlier rounds do not come back.

        Args:
            rows: the rows whose coverage counts, in order.
            vectors: their (n, d) unit vectors.
            targets: the prompts that the rows are compared with; without any, the data's own
                sparse regions are found.
            round: number of the round.
            size: tasks to share out.
            known: subspaces of earlier rounds, in order; one that is found again keeps id, name
                and brief.
            record: what came of the tasks so far, by subspace id.
        """
        latest = {subspace.id: subspace for subspace in known}
        given_up = {id for id, subspace in latest.items() if subspace.given_up}
        largest = max(len(rows), len(targets.prompts) if targets else 0)
        count = min(subspace_count(largest), size)
        subspace_reports = _regions(vectors, targets, count + len(given_up))
        subspaces = _as_subspaces(subspace_reports, rows, targets, round, latest)
        live = [s for s in subspaces if s.id not in given_up][:count]
        named = await self._namer.name(live, rows, targets, latest)
        return self._shared(named, record, round, size)

    def _shared(
        self,
        subspaces: Sequence[Subspace],
        record: Mapping[str, TrackRecord],
        round: int,
        size: int,
    ) -> list[Subspace]:
        """Give the subspaces their quotas, or up."""
        arms = _arms(subspaces, record)
        hopes = [not lost for lost in hopeless(arms)]
        live = [arm for arm, hope in zip(arms, hopes, strict=True) if hope]
        shares = iter(quotas(size, live, f"{self._seed} {round}"))
        return [
            replace(s, quota=next(shares))
            if hope
            else replace(
                s, given_up=f"{arm.won} of {arm.tried} tasks became accepted rows that landed there"
            )
            for s, arm, hope in zip(subspaces, arms, hopes, strict=True)
        ]


def _regions(vectors: Vectors, targets: TargetPrompts | None, count: int) -> list[SparseSubspace]:
    if targets is None:
        return merge_subspaces(sparse_subspaces(vectors, count))
    k = _DENSITY_NEIGHBOURS[targets.prompts[0].kind]
    lacking = underrepresented_subspaces(targets.vectors, vectors, count, k)
    # Where the data lacks nothing that the prompts ask for, it can still be broadened.
    return merge_subspaces(lacking or sparse_subspaces(vectors, count))


def _as_subspaces(
    subspace_reports: Sequence[SparseSubspace],
    rows: Sequence[Row],
    targets: TargetPrompts | None,
    round: int,
    latest: Mapping[str, Subspace],
) -> list[Subspace]:
    """The regions as subspaces; one that was found before keeps its id, name and brief."""
    earlier = list(latest.values())
    centres = np.asarray([region.centre for region in subspace_reports], dtype=np.float32)
    known = np.asarray([subspace.centre for subspace in earlier], dtype=np.float32)
    subspaces = []
    for region, before in zip(subspace_reports, match_centres(centres, known), strict=True):
        prompts = targets.prompts if targets else ()
        subspace = Subspace(
            id="",
            round=round,
            centre=tuple(region.centre.tolist()),
            radius=region.radius,
            gap=region.gap,
            members=tuple(rows[i].id for i in region.members),
            nearby=tuple(rows[i].id for i in region.nearby),
            wanted=tuple(prompts[i].id for i in region.wanted),
            density=region.density,
            wanted_density=region.wanted_density,
        )
        if before is None:
            subspace = replace(subspace, id=_new_id(subspace))
        else:
            same = earlier[before]
            subspace = replace(subspace, id=same.id, name=same.name, brief=same.brief)
        subspaces.append(subspace)
    return subspaces


def _new_id(subspace: Subspace) -> str:
    """An id from what the subspace was first found by, and when."""
    first = (*subspace.wanted[:1], *subspace.members[:1], *subspace.nearby[:1])
    found_by = (*first, subspace.round)
    return f"s-{hashlib.sha256(repr(found_by).encode()).hexdigest()[:8]}"


def _arms(subspaces: Sequence[Subspace], record: Mapping[str, TrackRecord]) -> list[SubspaceArm]:
    """The subspaces for the bandit; where little was tried, a task costs what it does elsewhere."""
    tried = sum(r.tried for r in record.values())
    usual = max(1.0, sum(r.tokens for r in record.values()) / max(1, tried))
    arms = []
    for subspace in subspaces:
        done = record.get(subspace.id, TrackRecord())
        cost = (done.tokens + usual) / (done.tried + 1)
        arms.append(SubspaceArm(max(subspace.gap, 1e-6), done.tried, done.landed, cost / usual))
    return arms
