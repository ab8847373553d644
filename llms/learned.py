"""What a model's server was found to take, remembered for its next request and the next run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

ROOM = 4096  # tokens to think in, for a model that is known or was seen to reason
_MOST_ROOM = 32768
_UNREAD = 3  # answers in a row that hold no object, by a way that has brought none


class Memory(Protocol):
    """Where it is kept for the next run; the call cache is one."""

    def recall(self, name: str) -> Mapping[str, Any]:
        """What was learned under this name, {} if nothing was."""

    def remember(self, name: str, facts: Mapping[str, Any]) -> None:
        """Keep what was learned."""


@dataclass(slots=True)
class Learned:
    """How a model is asked for an object, what it refuses, and how much it thinks.

    `way` is the way of asking for an object that is used now, "" before the first. `worked`
    holds the ways by which an answer came ("text" is a plain one), `refused` the names of
    parameters that the server does not take, and `room` is the number of tokens that answers
    are given beyond their own length, to think in.
    """

    way: str = ""
    worked: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    room: int = 0
    unread: int = 0
    keep: Callable[[Mapping[str, Any]], None] = lambda facts: None

    def open(self, memory: Memory, name: str) -> None:
        """Begin with what the memory holds under a name, and keep there what is learned."""
        facts = memory.recall(name)
        self.way = facts.get("way", self.way)
        self.worked |= set(facts.get("worked", ()))
        self.refused |= set(facts.get("refused", ()))
        self.room = max(self.room, facts.get("room", 0))
        self.keep = lambda learned: memory.remember(name, learned)

    def used(self, ways: Sequence[str]) -> str:
        """The one of these ways that is in use."""
        return self.way if self.way in ways else ways[0]

    def answered(self, way: str) -> None:
        """Note that an answer asked for by this way could be used."""
        self.unread = 0
        if way not in self.worked:
            self.worked.add(way)
            self._changed()

    def unreadable(self, way: str, ways: Sequence[str]) -> None:
        """Note that an answer held no object; a way that only brings such is given up."""
        if way in self.worked or way != self.used(ways):
            return
        self.unread += 1
        if self.unread >= _UNREAD:
            self.give_up(way, ways)

    def give_up(self, way: str, ways: Sequence[str]) -> None:
        """Go on to the way after this one, if it is the one in use and not the last."""
        at = ways.index(way)
        if way == self.used(ways) and at + 1 < len(ways):
            self.way, self.unread = ways[at + 1], 0
            self._changed()

    def drop(self, parameter: str) -> None:
        """Leave out a parameter from now on."""
        if parameter not in self.refused:
            self.refused.add(parameter)
            self._changed()

    def thinks(self) -> None:
        """Give room to a model that was seen to reason."""
        self._widen(ROOM)

    def crowded(self, room: int) -> bool:
        """Note that thinking used up so much room; whether there will be more the next time."""
        self._widen(min(_MOST_ROOM, max(ROOM, 4 * room)))
        return self.room > room

    def _widen(self, room: int) -> None:
        if room > self.room:
            self.room = room
            self._changed()

    def _changed(self) -> None:
        self.keep(
            {
                "way": self.way,
                "worked": sorted(self.worked),
                "refused": sorted(self.refused),
                "room": self.room,
            }
        )
