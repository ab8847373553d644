"""The means by which a row is made harder: one is named to the model for each task."""

from __future__ import annotations

from ..records import Row
from .code import is_code

_MEANS = {
    "constraint": "Add one constraint.",
    "rarer case": "Ask for a rarer case.",
    "precise notion": "Replace a general notion by a precise one.",
    "more steps": "Require one more step of reasoning.",
}
_CODE_MEANS = {
    "constraint": "Add one constraint.",
    "rarer requirement": "Replace a common requirement by a rarer one.",
    "more steps": "Require one more step.",
    "misleading code": "Give a short piece of wrong code as a misleading hint.",
    "complexity bound": "Set a limit on time or memory.",
}


def means_of(row: Row, turn: int) -> str:
    """The means by which a row is deepened: those of its family, in rotation."""
    means = list(_CODE_MEANS if is_code(row) else _MEANS)
    return means[turn % len(means)]


def means_text(row: Row, means: str) -> str:
    """What the prompt says of the means, in the words for the row's family."""
    return (_CODE_MEANS if is_code(row) else _MEANS)[means]
