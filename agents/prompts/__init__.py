"""The agents' prompts: one file each, with a version that goes into every call's identity.

A file begins with ``version``, ``temperature``, ``max_tokens`` and perhaps ``stop_if_small`` (a
JSON list) between two lines of ``---``; then come chat turns under ``# system``, ``# user`` and
``# assistant``. Worked examples stand before the last turn, which has ``{{placeholders}}``.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from ...llms.gateway import Request

_TURN = re.compile(r"^# (system|user|assistant)\n", re.MULTILINE)
_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt file, parsed."""

    name: str
    version: str
    temperature: float
    max_tokens: int
    turns: tuple[tuple[str, str], ...]
    stop_if_small: tuple[str, ...] = ()

    @property
    def own_text(self) -> str:
        """What the prompt itself says: the system's turn and the last turn's frame."""
        return f"{self.turns[0][1]} {_PLACEHOLDER.sub(' ', self.turns[-1][1])}"

    def ask(self, *, sample: int = 0, temperature: float | None = None, **values: str) -> Request:
        """Fill the placeholders of the last turn; a `temperature` replaces the prompt's own.

        Raises:
            KeyError: a placeholder has no value.
        """
        role, template = self.turns[-1]
        last = _PLACEHOLDER.sub(lambda match: values[match.group(1)], template)
        return Request(
            prompt=f"{self.name}@{self.version}",
            messages=(*self.turns[:-1], (role, last)),
            temperature=self.temperature if temperature is None else temperature,
            max_tokens=self.max_tokens,
            sample=sample,
            stop_if_small=self.stop_if_small,
        )


@cache
def load(name: str) -> Prompt:
    """Read the prompt called `name`."""
    _, head, body = (files(__name__) / f"{name}.md").read_text("utf-8").split("---\n", 2)
    settings = dict(line.split(": ", 1) for line in head.splitlines())
    parts = _TURN.split(body)[1:]
    return Prompt(
        name=name,
        version=settings["version"],
        temperature=float(settings["temperature"]),
        max_tokens=int(settings["max_tokens"]),
        turns=tuple(zip(parts[::2], map(str.strip, parts[1::2]), strict=True)),
        stop_if_small=tuple(json.loads(settings.get("stop_if_small", "[]"))),
    )
