"""Has a model name subspaces and say what is missing there, without showing the reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pydantic import BaseModel, ConfigDict, Field

from ..llms.gateway import Gateway
from ..records import Row, Subspace
from ..records.ranges import Range
from .asking import bullet_list, gather_all
from .forecasts import TASK_BYTES, Forecast
from .prompts import load
from .reference import ReferenceTexts
from .target_prompts import TargetPrompts
from .texts import first_words, whole_sentences, word_ngrams

SHOWN = 4  # example instructions of each side in the prompt
_EXAMPLES = 12  # of all sides together, as a forecast counts them
_TRIES = 2  # times that a name is asked for, when what comes shows the reference
_TAKEN = 32  # names of other subspaces in the prompt


class Brief(BaseModel):
    """What the model says of a subspace."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    name: str = Field(min_length=2, max_length=48)
    brief: str = Field(min_length=2, max_length=240)


class SubspaceNamer:
    """Names new subspaces, each apart from all others."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def name(
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


def forecast(subspaces: int, rounds: int) -> list[Forecast]:
    """What it takes to name so many subspaces a round: from one call to two for each."""
    calls = Range(1, 2 * subspaces * rounds)
    return [Forecast("analyst", "name_subspace", calls, _EXAMPLES * TASK_BYTES)]


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
