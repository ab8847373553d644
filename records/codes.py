"""Codes of what became of a row; what they are called where people read them is in `views`."""

from __future__ import annotations

from enum import Enum


class Reason(str, Enum):
    """Why a row is not in the pool."""

    CONCATENATION = "concatenation"
    COPY_OF_PARENT = "a copy of a parent"
    LOW_SCORE = "score below min_score"
    LOW_VARIANCE = "row variance too low"
    NOT_JUDGED = "left out before the judge, by cheap signals"
    NO_BETTER = "no better than the response it was to replace"
    REPLACED = "replaced by a better response"

    def __str__(self) -> str:
        return self.value
