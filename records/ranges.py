"""Ranges: what something may come to, where nobody knows it yet."""

from __future__ import annotations

from typing import NamedTuple


class Range(NamedTuple):
    """The least and the most that something may come to."""

    low: float
    high: float

    def times(self, other: Range) -> Range:
        """The range of the product."""
        return Range(self.low * other.low, self.high * other.high)

    def plus(self, other: Range) -> Range:
        """The range of the sum."""
        return Range(self.low + other.low, self.high + other.high)
