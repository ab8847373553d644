"""Keeps what the reference says out of what the run writes: it may be a benchmark."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from ..records.codes import DraftFault
from .texts import UNSPACED, normalised, script, word_ngrams, words

BRIEF_RUN = 5  # words in a row that a name or brief may not share with the reference
ROW_RUN = 8  # words in a row that a generated row may not share with it
_SHORT = range(3, BRIEF_RUN + 1)  # a prompt of fewer words is a phrase that anybody may use
_SENTENCE = re.compile(r"(?<=[.!?。！？])\s*")

Runs = set[tuple[str, ...]]


class ReferenceTexts:
    """What must not be repeated: the reference's prompts as runs of words."""

    def __init__(self, prompts: Iterable[str]) -> None:
        """Take the prompts' texts, each an instruction with its input."""
        prompts = list(prompts)
        self._whole = {normalised(prompt) for prompt in prompts}
        self._long = {run for prompt in prompts for run in _runs(prompt, ROW_RUN)}
        self._short = {run for prompt in prompts for run in _runs(prompt, BRIEF_RUN)}
        self._short |= {tuple(w) for w in map(words, prompts) if len(w) in _SHORT}

    def fault(self, task: str, answer: str, parents: Sequence[str]) -> DraftFault | Literal[""]:
        """Name what is wrong with a generated row that repeats a prompt, "" if it does not.

        What stands in the row's parents is the data's own and may be repeated.
        """
        repeated = (_runs(task, ROW_RUN) | _runs(answer, ROW_RUN)) & self._long
        own: Runs = set().union(*(_runs(parent, ROW_RUN) for parent in parents if repeated))
        if normalised(task) in self._whole or repeated - own:
            return DraftFault.REPEATS_TARGET
        return ""

    def shown_in(self, text: str) -> bool:
        """Whether a name or brief has a run of words of a prompt in it, or a short one whole."""
        found = _runs(text, BRIEF_RUN).union(*(word_ngrams(text, length) for length in _SHORT))
        return bool(found & self._short)

    def trimmed(self, brief: str) -> str:
        """The brief without the sentences in which a prompt is shown."""
        return " ".join(s for s in _SENTENCE.split(brief) if s and not self.shown_in(s))


def _runs(text: str, length: int) -> Runs:
    """Runs of words; twice as long where each character of an unspaced script counts as one."""
    return word_ngrams(text, 2 * length if script(text) in UNSPACED else length)
