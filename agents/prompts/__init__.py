"""The agents' prompts: one file each, with a version that goes into every call's identity.

A file begins with ``version``, ``temperature``, ``max_tokens`` and perhaps ``stop_if_small`` (a
JSON list) between two lines of ``---``; then come chat turns under ``# system``, ``# user`` and
``# assistant``. Worked examples stand before the last turn, which has ``{{placeholders}}``.

Small models get a short form: the text under ``# compact`` in place of the system's, and only the
worked examples that ``examples`` lists by number. It has a version of its own, ``compact``.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

from ...llms.messages import Request

_TURN = re.compile(r"^# (system|compact|user|assistant)\n", re.MULTILINE)
_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt file, parsed; `short` is its form for small models, None if it has none."""

    name: str
    version: str
    temperature: float
    max_tokens: int
    turns: tuple[tuple[str, str], ...]
    stop_if_small: tuple[str, ...] = ()

    short: Prompt | None = None

    @property
    def own_text(self) -> str:
        """What the prompt itself says: the system's turn and the last turn's frame."""
        return f"{self.turns[0][1]} {_PLACEHOLDER.sub(' ', self.turns[-1][1])}"

    def ask(self, *, sample: int = 0, temperature: float | None = None, **values: str) -> Request:
        """Fill the placeholders of the last turn; a `temperature` replaces the prompt's own.

        Raises:
            KeyError: a placeholder has no value.
        """
        short = None
        if self.short:
            short = self.short.ask(sample=sample, temperature=temperature, **values)
        role, template = self.turns[-1]
        last = _PLACEHOLDER.sub(lambda match: values[match.group(1)], template)
        return Request(
            prompt=f"{self.name}@{self.version}",
            messages=(*self.turns[:-1], (role, last)),
            temperature=self.temperature if temperature is None else temperature,
            max_tokens=self.max_tokens,
            sample=sample,
            stop_if_small=self.stop_if_small,
            short=short,
        )


@cache
def load(name: str) -> Prompt:
    """Read the prompt called `name`."""
    _, head, body = (files(__name__) / f"{name}.md").read_text("utf-8").split("---\n", 2)
    settings = dict(line.split(": ", 1) for line in head.splitlines())
    parts = _TURN.split(body)[1:]
    turns = list(zip(parts[::2], map(str.strip, parts[1::2]), strict=True))
    compact = [("system", text) for role, text in turns if role == "compact"]
    turns = [turn for turn in turns if turn[0] != "compact"]
    prompt = Prompt(
        name=name,
        version=settings["version"],
        temperature=float(settings["temperature"]),
        max_tokens=int(settings["max_tokens"]),
        turns=tuple(turns),
        stop_if_small=tuple(json.loads(settings.get("stop_if_small", "[]"))),
    )
    if not compact:
        return prompt
    examples = _examples(turns, json.loads(settings["examples"]))
    short = replace(
        prompt,
        version=f"{prompt.version}-compact-{settings['compact']}",
        turns=(*compact, *examples, turns[-1]),
    )
    return replace(prompt, short=short)


def _examples(turns: list[tuple[str, str]], numbers: list[int]) -> list[tuple[str, str]]:
    """The worked examples with these numbers, the first being 1: a question and its answer each."""
    return [turn for number in numbers for turn in turns[2 * number - 1 : 2 * number + 1]]
