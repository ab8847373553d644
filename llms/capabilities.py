"""What a model's server was found to take, remembered for its next request and the next run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

THINKING_TOKENS = 4096  # for a model that is known or was seen to reason
_MOST_THINKING_TOKENS = 32768
_UNREAD = 3  # answers in a row that hold no object, by an output mode that has brought none


class Memory(Protocol):
    """Where it is kept for the next run; the call cache is one."""

    def recall(self, name: str) -> Mapping[str, Any]:
        """What was learned under this name, {} if nothing was."""

    def remember(self, name: str, facts: Mapping[str, Any]) -> None:
        """Keep what was learned."""


@dataclass(slots=True)
class Capabilities:
    """How a model is asked for an object, what its server refuses, and how much it thinks.

    `output_mode` is how it is asked for an object now, "" before the first. `worked` holds the
    output modes by which an answer came ("text" is a plain one), `refused` the names of
    parameters that the server does not take, and `thinking_tokens` is the number of tokens that
    answers are given beyond their own length, to think in.
    """

    output_mode: str = ""
    worked: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    thinking_tokens: int = 0
    unread: int = 0
    keep: Callable[[Mapping[str, Any]], None] = lambda facts: None

    def open(self, memory: Memory, name: str) -> None:
        """Begin with what the memory holds under a name, and keep there what is found out."""
        facts = memory.recall(name)
        self.output_mode = facts.get("way", self.output_mode)
        self.worked |= set(facts.get("worked", ()))
        self.refused |= set(facts.get("refused", ()))
        self.thinking_tokens = max(self.thinking_tokens, facts.get("room", 0))
        self.keep = lambda found: memory.remember(name, found)

    def used(self, modes: Sequence[str]) -> str:
        """The one of these output modes that is in use."""
        return self.output_mode if self.output_mode in modes else modes[0]

    def answered(self, mode: str) -> None:
        """Note that an answer in this output mode could be used."""
        self.unread = 0
        if mode not in self.worked:
            self.worked.add(mode)
            self._changed()

    def unreadable(self, mode: str, modes: Sequence[str]) -> None:
        """Note that an answer held no object; a mode that never gives one is dropped."""
        if mode in self.worked or mode != self.used(modes):
            return
        self.unread += 1
        if self.unread >= _UNREAD:
            self.give_up(mode, modes)

    def give_up(self, mode: str, modes: Sequence[str]) -> None:
        """Go on to the mode after this one, if it is the one in use and not the last."""
        at = modes.index(mode)
        if mode == self.used(modes) and at + 1 < len(modes):
            self.output_mode, self.unread = modes[at + 1], 0
            self._changed()

    def drop(self, parameter: str) -> None:
        """Leave out a parameter from now on."""
        if parameter not in self.refused:
            self.refused.add(parameter)
            self._changed()

    def thinks(self) -> None:
        """Give tokens to think in to a model that was seen to reason."""
        self._widen(THINKING_TOKENS)

    def crowded(self, thinking_tokens: int) -> bool:
        """Note that thinking used up so many tokens; whether there will be more the next time."""
        self._widen(min(_MOST_THINKING_TOKENS, max(THINKING_TOKENS, 4 * thinking_tokens)))
        return self.thinking_tokens > thinking_tokens

    def _widen(self, thinking_tokens: int) -> None:
        if thinking_tokens > self.thinking_tokens:
            self.thinking_tokens = thinking_tokens
            self._changed()

    def _changed(self) -> None:
        """Keep it, by the names that caches of earlier versions have."""
        self.keep(
            {
                "way": self.output_mode,
                "worked": sorted(self.worked),
                "refused": sorted(self.refused),
                "room": self.thinking_tokens,
            }
        )
