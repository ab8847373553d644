"""The coverage analyst: finds where the data is thin, names the place and says what is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ..geometry.density import Region, region_count, sparse_regions
from ..geometry.neighbours import Vectors
from ..llms.gateway import Gateway
from ..records import Row, Subspace
from .prompts import load
from .texts import clip, first_words, whole_sentences, word_runs

SHOWN = 4  # example instructions of each side in the prompt


class Brief(BaseModel):
    """What the model says of a subspace."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    name: str = Field(min_length=2, max_length=48)
    brief: str = Field(min_length=2, max_length=240)


class CoverageAnalyst:
    """Finds sparse subspaces, has each named, and shares a round's work among them."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def find(
        self,
        rows: Sequence[Row],
        vectors: Vectors,
        *,
        round: int,
        size: int,
        known: Mapping[str, Subspace],
        record: Mapping[str, tuple[int, int]],
    ) -> list[Subspace]:
        """Find the sparse subspaces of the data and give each its quota of `size` tasks.

        Args:
            rows: the rows whose coverage counts, in order.
            vectors: their (n, d) unit vectors.
            round: number of the round.
            size: tasks to share out.
            known: subspaces of earlier rounds by id; one that is found again keeps its name.
            record: tasks tried and rows accepted so far, by subspace id.
        """
        regions = sparse_regions(vectors, min(region_count(len(rows)), size))
        found = await asyncio.gather(
            *(self._describe(region, rows, round, known) for region in regions),
            return_exceptions=True,
        )
        subspaces: list[Subspace] = []
        for result in found:
            if isinstance(result, BaseException):
                raise result
            subspaces.append(result)
        quotas = share(size, [_promise(s, record) for s in subspaces])
        return [
            replace(subspace, quota=quota)
            for subspace, quota in zip(_distinct(subspaces, known), quotas, strict=True)
        ]

    async def _describe(
        self, region: Region, rows: Sequence[Row], round: int, known: Mapping[str, Subspace]
    ) -> Subspace:
        members = [rows[i] for i in region.members]
        nearby = [rows[i] for i in region.nearby]
        id = f"s-{rows[region.anchor].id[:8]}"
        if id in known:
            name, brief = known[id].name, known[id].brief
        else:
            request = load("name_subspace").ask(
                inside=_listed(members[:SHOWN]), nearby=_listed(nearby[: SHOWN - 1])
            )
            answer = await self._gateway.ask_for(
                Brief, request, agent="analyst", subject=id, round=round
            )
            # Without a usable answer the region is still worth filling; its rows name it.
            said = answer.value
            usable = said is not None and not _is_example_name(said.name)
            name = said.name if said and usable else first_words(members[0].instruction, 5)
            brief = _own_sentences(said.brief) if said else ""
        return Subspace(
            id=id,
            round=round,
            centre=tuple(region.centre.tolist()),
            radius=region.radius,
            sparsity=region.gap,
            members=tuple(row.id for row in members),
            nearby=tuple(row.id for row in nearby),
            name=name,
            brief=brief,
        )


def share(size: int, weights: Sequence[float]) -> list[int]:
    """Share `size` among weights in proportion, by largest remainder; ties go to the first."""
    if not weights:
        return []
    exact = size * np.asarray(weights, dtype=np.float64) / sum(weights)
    whole = np.floor(exact).astype(int)
    for i in np.argsort(-(exact - whole), kind="stable")[: size - whole.sum()]:
        whole[i] += 1
    return [int(n) for n in whole]


def _examples() -> str:
    return " ".join(text for _, text in load("name_subspace").turns[:-1])


def _is_example_name(name: str) -> bool:
    """Whether the model gave a worked example's name instead of one of its own."""
    return f'"{name.casefold()}"' in _examples().casefold()


def _own_sentences(brief: str) -> str:
    """The brief without a cut last sentence; nothing if it repeats a worked example."""
    return "" if word_runs(brief) & word_runs(_examples()) else whole_sentences(brief)


def _promise(subspace: Subspace, record: Mapping[str, tuple[int, int]]) -> float:
    """Sparser places, and places where rows were accepted before, get more of the work."""
    tried, accepted = record.get(subspace.id, (0, 0))
    return subspace.sparsity * (accepted + 1) / (tried + 2)


def _distinct(subspaces: Sequence[Subspace], known: Mapping[str, Subspace]) -> list[Subspace]:
    """Number the names that the model gave more than once."""
    used = {subspace.name.casefold() for subspace in known.values()}
    named = []
    for subspace in subspaces:
        name, number = subspace.name, 1
        while subspace.id not in known and name.casefold() in used:
            number += 1
            name = f"{subspace.name} {number}"
        used.add(name.casefold())
        named.append(replace(subspace, name=name))
    return named


def _listed(rows: Sequence[Row]) -> str:
    return "\n".join(f"- {clip(' '.join(row.instruction.split()), 200)}" for row in rows)
