"""The coverage analyst: finds the subspaces that the data lacks and has each named and briefed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ..geometry.density import Region, region_count, regions_toward, sparse_regions
from ..geometry.neighbours import Vectors
from ..geometry.places import found_again, merged
from ..llms.gateway import Gateway
from ..records import Reference, Row, Subspace, TrackRecord
from .asking import bullet_list, gather_all
from .bandit import SubspaceArm, hopeless, quotas
from .forecasts import TASK_BYTES, Forecast, Span
from .prompts import load
from .reference import ReferenceTexts
from .texts import first_words, whole_sentences, word_ngrams

SHOWN = 4  # example instructions of each side in the prompt
_EXAMPLES = 12  # of all sides together, as a forecast counts them
_TRIES = 2  # times that a name is asked for, when what comes shows the reference
_TAKEN = 32  # names of other subspaces in the prompt
_DENSITY_NEIGHBOURS = {"toward": 10, "probe": 5}  # a theme has few probes


class Brief(BaseModel):
    """What the model says of a subspace."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    name: str = Field(min_length=2, max_length=48)
    brief: str = Field(min_length=2, max_length=240)


@dataclass(frozen=True, slots=True)
class TargetPrompts:
    """The prompts that show what the dataset should cover, with their (m, d) unit vectors."""

    prompts: Sequence[Reference]
    vectors: Vectors


class CoverageAnalyst:
    """Finds sparse subspaces, has each named, and shares a round's work among them."""

    def __init__(self, gateway: Gateway, seed: int) -> None:
        self._gateway = gateway
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
        count = min(region_count(largest), size)
        regions = _regions(vectors, targets, count + len(given_up))
        subspaces = _as_subspaces(regions, rows, targets, round, latest)
        live = [s for s in subspaces if s.id not in given_up][:count]
        named = await self._names(live, rows, targets, latest)
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

    async def _names(
        self,
        subspaces: Sequence[Subspace],
        rows: Sequence[Row],
        targets: TargetPrompts | None,
        latest: Mapping[str, Subspace],
    ) -> list[Subspace]:
        """Have the new subspaces named, each apart from all others.

        Where two are given one name, the later is asked for another; then it is numbered.
        """
        texts = ReferenceTexts(prompt.task for prompt in (targets.prompts if targets else ()))
        shown = _Shown(rows, targets)
        known = [subspace.name for subspace in latest.values()]
        new = [subspace for subspace in subspaces if subspace.id not in latest]
        first = await gather_all(self._named(s, shown, texts, known) for s in new)
        named: dict[str, Subspace] = {}
        for subspace in first:
            names = [*known, *(other.name for other in named.values())]
            if subspace.name.casefold() in map(str.casefold, names):
                subspace = await self._named(subspace, shown, texts, names)  # noqa: PLW2901
            named[subspace.id] = replace(subspace, name=_numbered(subspace.name, names))
        return [named.get(subspace.id, subspace) for subspace in subspaces]

    async def _named(
        self, subspace: Subspace, shown: _Shown, texts: ReferenceTexts, taken: Sequence[str]
    ) -> Subspace:
        """Have a subspace named and briefed from contrasting examples.

        The name and the brief go to the generator: what shows a prompt of the reference is asked
        for once more, then left out.
        """
        members, nearby, targets = shown.around(subspace)
        said = None
        for sample in range(_TRIES):
            request = load("name_subspace").ask(
                inside=bullet_list(members),
                nearby=bullet_list(nearby),
                wanted=bullet_list(targets),
                taken="; ".join(taken[-_TAKEN:]) or "none",
                sample=sample,
            )
            answer = await self._gateway.ask_for(
                Brief, request, agent="analyst", subject=subspace.id, round=subspace.round
            )
            said = answer.value
            if said is None or not texts.shown_in(f"{said.name}\n{said.brief}"):
                break
        # Without a usable answer the subspace is still worth filling; its rows name it.
        name = said.name if said else ""
        if not name or _is_example_name(name) or texts.shown_in(name):
            texts_there = members or shown.themes(subspace) or nearby or [subspace.id]
            name = first_words(texts_there[0], 5)
        brief = texts.trimmed(_own_sentences(said.brief)) if said else ""
        return replace(subspace, name=name, brief=brief)


class _Shown:
    """The texts of rows and prompts, of which some are shown to the model that names a subspace."""

    def __init__(self, rows: Sequence[Row], targets: TargetPrompts | None) -> None:
        self._rows = {row.id: row.task for row in rows}
        self._prompts = {p.id: p for p in targets.prompts} if targets else {}

    def around(self, subspace: Subspace) -> tuple[list[str], list[str], list[str]]:
        """Tasks inside the subspace, tasks around it, and target prompts in it."""
        inside = [self._rows[id] for id in subspace.members[:SHOWN]]
        around = [self._rows[id] for id in subspace.nearby[: SHOWN - 1]]
        return inside, around, [self._prompts[id].task for id in subspace.wanted[:SHOWN]]

    def themes(self, subspace: Subspace) -> list[str]:
        """The themes of the probes in the subspace."""
        prompts = (self._prompts[id] for id in subspace.wanted)
        return [prompt.theme for prompt in prompts if prompt.theme]


def _regions(vectors: Vectors, targets: TargetPrompts | None, count: int) -> list[Region]:
    if targets is None:
        return merged(sparse_regions(vectors, count))
    k = _DENSITY_NEIGHBOURS[targets.prompts[0].kind]
    lacking = regions_toward(targets.vectors, vectors, count, k)
    # Where the data lacks nothing that the prompts ask for, it can still be broadened.
    return merged(lacking or sparse_regions(vectors, count))


def _as_subspaces(
    regions: Sequence[Region],
    rows: Sequence[Row],
    targets: TargetPrompts | None,
    round: int,
    latest: Mapping[str, Subspace],
) -> list[Subspace]:
    """The regions as subspaces; one that was found before keeps its id, name and brief."""
    earlier = list(latest.values())
    centres = np.asarray([region.centre for region in regions], dtype=np.float32)
    known = np.asarray([subspace.centre for subspace in earlier], dtype=np.float32)
    subspaces = []
    for region, before in zip(regions, found_again(centres, known), strict=True):
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


def _examples() -> str:
    return " ".join(text for _, text in load("name_subspace").turns[:-1])


def _is_example_name(name: str) -> bool:
    """Whether the model gave a worked example's name instead of one of its own."""
    return f'"{name.casefold()}"' in _examples().casefold()


def _own_sentences(brief: str) -> str:
    """The brief without a cut last sentence; nothing if it repeats a worked example."""
    return "" if word_ngrams(brief) & word_ngrams(_examples()) else whole_sentences(brief)


def _numbered(name: str, taken: Sequence[str]) -> str:
    """The name, with a number if it is taken."""
    used, number, made = {other.casefold() for other in taken}, 1, name
    while made.casefold() in used:
        number += 1
        made = f"{name} {number}"
    return made


def forecast(subspaces: int, rounds: int) -> list[Forecast]:
    """What it takes to name so many subspaces a round: from one call to two for each."""
    calls = Span(1, 2 * subspaces * rounds)
    return [Forecast("analyst", "name_subspace", calls, _EXAMPLES * TASK_BYTES)]
