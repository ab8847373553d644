"""The prompts that show what the dataset should cover."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..geometry.neighbours import Vectors
from ..records import TargetPrompt


@dataclass(frozen=True, slots=True)
class TargetPrompts:
    """The prompts that show what the dataset should cover, with their (m, d) unit vectors."""

    prompts: Sequence[TargetPrompt]
    vectors: Vectors
