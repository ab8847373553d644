"""The analyst's own reference: what a user of such a model would also ask for, as probes."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ..geometry.clusters import cluster_rows
from ..geometry.neighbours import Vectors
from ..llms.gateway import Gateway
from ..records import Row, TargetPrompt, target_prompt_id
from ..records.codes import DraftFault
from ..records.ranges import Range
from .asking import bullet_list, gather_all
from .draft_faults import COPY_ROUGE_L, task_fault
from .forecasts import REPAIRS, TASK_BYTES, Forecast
from .prompts import load
from .texts import normalised, rouge_l

PROBES = 6  # requests that are asked for on a theme
FEWEST_THEMES, MOST_THEMES = 4, 24
TASKS_A_THEME = 4  # a theme is drawn for so many tasks of a round
FEWEST = 12  # plausible probes below which they are no reference
REDRAWN_EVERY = 3  # rounds after which a quarter as many new themes are drawn
_SHOWN = 6  # tasks of a cluster in a prompt
_THEMES_A_CLUSTER = 3
_BULLET = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+")


class Neighbours(BaseModel):
    """What the model says of a cluster: its name, and three themes near it."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    group: str = Field(max_length=80)
    skill: str = Field(min_length=3, max_length=80)
    topic: str = Field(min_length=3, max_length=80)
    level: str = Field(min_length=3, max_length=80)


class Plausible(BaseModel):
    """Which of the probes on a theme a person could have sent, in their order."""

    model_config = ConfigDict(extra="forbid")

    verdicts: list[Literal["yes", "no"]]


@dataclass(frozen=True, slots=True)
class Theme:
    """A theme with tasks of the cluster that it lies near."""

    name: str
    tasks: tuple[str, ...]


def theme_count(tasks: int) -> int:
    """Themes that a round of so many tasks is worth."""
    return min(MOST_THEMES, max(FEWEST_THEMES, math.ceil(tasks / TASKS_A_THEME)))


def drawn_in(round: int, themes: int) -> int:
    """New themes that are drawn in a round, of those that a round is worth."""
    if round == 1:
        return themes
    return math.ceil(themes / 4) if round % REDRAWN_EVERY == 1 else 0


def cluster_count(themes: int) -> int:
    """Clusters whose neighbours are asked for, to come to so many themes."""
    return math.ceil(themes / _THEMES_A_CLUSTER)


class ProbeWriter:
    """Has the model say what lies near the data, and write requests for it."""

    def __init__(self, gateway: Gateway, seed: int) -> None:
        self._gateway = gateway
        self._seed = seed

    async def draw(
        self,
        rows: Sequence[Row],
        vectors: Vectors,
        before: Sequence[TargetPrompt],
        *,
        round: int,
        themes: int,
    ) -> list[TargetPrompt]:
        """Write probes on so many new themes near the data.

        Args:
            rows: the rows of the data.
            vectors: their (n, d) unit vectors.
            before: the probes so far, whose themes are not drawn again.
            round: number of the round.
            themes: themes wanted; fewer come back where the model names fewer.

        Returns:
            The probes in order; one that is no use has a `fault`.
        """
        groups = cluster_rows(vectors, cluster_count(themes), self._seed + round)
        covered = list(dict.fromkeys(probe.theme for probe in before))
        named = await gather_all(
            self._neighbours([rows[i] for i in group], covered, round) for group in groups
        )
        # One of each cluster first: the themes are spread over the data.
        new = _distinct([t for turn in zip(*named, strict=True) for t in turn], covered)
        written = await gather_all(self._write(theme, round) for theme in new[:themes])
        position = len(before)
        probes: list[TargetPrompt] = []
        known = {probe.id for probe in before}
        texts = [probe.instruction for probe in before]
        for text, theme, fault in (probe for one in written for probe in one):
            id = target_prompt_id(text)
            if id in known:
                continue
            copied = any(rouge_l(text, other) >= COPY_ROUGE_L for other in texts)
            fault = fault or (DraftFault.COPY_OF_PROBE if copied else "")  # noqa: PLW2901
            known.add(id)
            texts.append(text)
            probes.append(
                TargetPrompt(
                    id,
                    position + len(probes),
                    "probe",
                    text,
                    round=round,
                    theme=theme,
                    fault=fault,
                )
            )
        return probes

    async def _neighbours(
        self, group: Sequence[Row], covered: Sequence[str], round: int
    ) -> list[Theme | None]:
        """Three themes near a cluster, each None where the model named none."""
        step = max(1, len(group) // _SHOWN)
        shown = [row for row in group[::step] if not row.history][:_SHOWN]
        tasks = tuple(row.task for row in shown)
        request = load("neighbours").ask(
            tasks=bullet_list(tasks), covered="; ".join(covered[-MOST_THEMES:]) or "nothing"
        )
        answer = await self._gateway.ask_for(
            Neighbours, request, agent="analyst", subject=f"round {round}", round=round
        )
        if answer.value is None or not tasks:
            return [None] * _THEMES_A_CLUSTER
        said = answer.value
        return [Theme(name, tasks) for name in (said.skill, said.topic, said.level)]

    async def _write(
        self, theme: Theme, round: int
    ) -> list[tuple[str, str, DraftFault | Literal[""]]]:
        """Probes on a theme: text, theme, and what is wrong with it, if anything."""
        prompt = load("probes")
        answer = await self._gateway.ask(
            prompt.ask(theme=theme.name, tasks=bullet_list(theme.tasks)),
            agent="analyst",
            subject=f"round {round}",
            round=round,
        )
        texts = _lines(answer.text, truncated=answer.truncated)
        faults = [
            task_fault(text, "", theme.tasks, prompt=prompt.own_text, truncated=False)
            for text in texts
        ]
        faults = [
            DraftFault.COPY_OF_ROW if fault == DraftFault.COPY_OF_PARENT else fault
            for fault in faults
        ]
        good = [text for text, fault in zip(texts, faults, strict=True) if not fault]
        refused = await self._refused(theme, good, round)
        return [
            (text, theme.name, fault or (DraftFault.IMPLAUSIBLE if text in refused else ""))
            for text, fault in zip(texts, faults, strict=True)
        ]

    async def _refused(self, theme: Theme, texts: Sequence[str], round: int) -> Collection[str]:
        """The probes that the model holds for implausible.

        A small model cannot judge: for it, and where no verdict comes, the checks decide alone.
        """
        if not texts or self._gateway.backend.small:
            return ()
        numbered = "\n".join(f"{i}. {text}" for i, text in enumerate(texts, 1))
        answer = await self._gateway.ask_for(
            Plausible,
            load("plausible").ask(theme=theme.name, requests=numbered),
            agent="analyst",
            subject=f"round {round}",
            round=round,
        )
        verdicts = answer.value.verdicts if answer.value else []
        if len(verdicts) != len(texts):
            return ()
        return [text for text, said in zip(texts, verdicts, strict=True) if said == "no"]


def _distinct(themes: Sequence[Theme | None], covered: Sequence[str]) -> list[Theme]:
    """The themes, each once, and none that is covered or a worked example's."""
    used = {normalised(name) for name in covered}
    examples = normalised(" ".join(text for _, text in load("neighbours").turns[:-1]))
    found = []
    for theme in themes:
        if theme and (name := normalised(theme.name)) not in used and name not in examples:
            used.add(name)
            found.append(theme)
    return found


def _lines(text: str, *, truncated: bool) -> list[str]:
    """The requests in an answer, one a line, without bullets; not one that was cut off."""
    lines = [_BULLET.sub("", line).strip().strip('"') for line in text.splitlines()]
    whole = lines[:-1] if truncated else lines
    return list(dict.fromkeys(line for line in whole if line))[:PROBES]


def forecast(themes: Range, rounds: int) -> list[Forecast]:
    """What the probes of a run take.

    Args:
        themes: themes that a round is worth: in the smallest round, and in the largest.
        rounds: rounds at most.
    """
    least = drawn_in(1, round(themes.low))
    drawn = [drawn_in(number, round(themes.high)) for number in range(1, rounds + 1)]
    groups = [cluster_count(count) for count in drawn]
    text = _SHOWN * TASK_BYTES
    return [
        Forecast("analyst", "neighbours", Range(cluster_count(least), sum(groups) * REPAIRS), text),
        Forecast("analyst", "probes", Range(0, sum(drawn)), text, in_words=True),
        Forecast("analyst", "plausible", Range(0, sum(drawn) * REPAIRS), text),
    ]
