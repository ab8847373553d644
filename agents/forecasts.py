"""What an agent will ask before a run begins: calls and tokens, as ranges."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..llms.backend import SMALL_MAX_TOKENS
from ..records.ranges import Range
from .prompts import load

REPAIRS = 1.1  # calls for an object that comes valid
TASK_BYTES = 120  # of a task that is shown among others
_BYTES_A_TOKEN = (5.0, 3.0)
_ANSWERS = (0.15, 0.7)  # of the most tokens that a prompt allows


@dataclass(frozen=True, slots=True)
class Forecast:
    """How often an agent sends a prompt, with how many bytes of rows or tasks in it.

    `small_prompt` is what a small model is sent instead; `in_words` tells a text from an object,
    which is not cut short for a small model.
    """

    agent: str
    prompt: str
    calls: Range
    text_bytes: float
    small_prompt: str = ""
    in_words: bool = False

    def tokens(self, *, small: bool, compact: bool, max_tokens: float) -> tuple[Range, Range]:
        """Tokens that one call reads, and that it writes.

        Args:
            small: whether the model is a small one.
            compact: whether it gets the prompts' short forms.
            max_tokens: most that the model writes.
        """
        prompt = load((small and self.small_prompt) or self.prompt)
        prompt = (compact and prompt.short) or prompt
        size = sum(len(text.encode()) for _, text in prompt.turns) + self.text_bytes
        cut = SMALL_MAX_TOKENS if small and self.in_words else math.inf
        most = min(prompt.max_tokens, max_tokens, cut)
        return tokens_in(size), Range(most * _ANSWERS[0], most * _ANSWERS[1])


def tokens_in(size: float) -> Range:
    """Tokens in a text of so many bytes."""
    return Range(size / _BYTES_A_TOKEN[0], size / _BYTES_A_TOKEN[1])
