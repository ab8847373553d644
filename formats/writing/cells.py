"""Values as the cells of a CSV file, which a spreadsheet will not take for formulas.

A text that begins with =, +, -, @, a tab or a carriage return would be run. It is given an
apostrophe in front, and so is a text that looks like one that was given it already: taking one
apostrophe away, from cells that begin with apostrophes and such a character, brings every text
back.
"""

from __future__ import annotations

import re
from typing import Any

from ...stores.exact_json import dumps

_FORMULA = re.compile(r"'*[=+\-@\t\r]")


def cell(value: Any, *, defuse: bool) -> str:
    """A value as a cell: a text as it is (or defused), nothing for None, else its JSON."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return dumps(value)
    return defused(value) if defuse else value


def defused(text: str) -> str:
    """The text of a cell that no spreadsheet runs."""
    return f"'{text}" if _FORMULA.match(text) else text


def restored(text: str) -> str:
    """The text that `defused` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text
