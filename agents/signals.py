"""Cheap signals of a row's quality: pure functions of its text, for when there is no judge."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping

from ..records import Row
from .texts import distinct_trigrams, normalised, overlap

_REFUSAL = re.compile(
    r"\b(as an ai( language)? model|i('m| am) sorry,? but|i (cannot|can't|am unable to) "
    r"(help(?! but\b)|assist|answer|provide|fulfil))",
    re.IGNORECASE,
)
_CODE = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)
_CLEAN_END = tuple(".!?:;)]}>\"'`”’»…。！？”」』）|*/=")


def is_refusal(text: str) -> bool:
    """Whether a response declines to answer."""
    return bool(_REFUSAL.search(text[:300]))


def ends_cleanly(text: str) -> bool:
    """Whether a response ends like a finished one: by punctuation, or short, or as code."""
    end = text.rstrip()
    if not end:
        return False
    last = end.splitlines()[-1]
    # A number, a name or a short list item needs no full stop; code ends as it likes.
    return end.endswith(_CLEAN_END) or len(last.split()) <= 6 or looks_like_code(text)


def looks_like_code(text: str) -> bool:
    """Whether a text is mostly program code."""
    lines = [line for line in text.splitlines() if line.strip()]
    marks = re.compile(
        r"[{};]\s*$|^\s*(def|class|import|from|return|for|if|while|print|#|//|<|\}|SELECT|"
        r"public|private|var|let|const|function)\b|^\s+\w+.*[=(]|^\w+ ?= ?"
    )
    return bool(lines) and sum(bool(marks.search(line)) for line in lines) >= 0.5 * len(lines)


def parses(text: str) -> bool:
    """Whether the fenced Python and JSON of a response parse; other text always does."""
    for language, code in _CODE.findall(text):
        try:
            if language.lower() in ("python", "py"):
                ast.parse(code)
            elif language.lower() == "json":
                json.loads(code)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
    return True


_DANGLING = re.compile(r"(,|\b(and|or|the|an?|of|to|with|because))\s*$", re.IGNORECASE)


def fault(row: Row) -> str:
    """Name a fault of the response for which no judge need be asked, "" if there is none."""
    if not row.output.strip():
        return "empty response"
    if is_refusal(row.output):
        return "refusal"
    if normalised(row.output) == normalised(row.instruction):
        return "echo of the instruction"
    if _DANGLING.search(row.output) or row.output.count("```") % 2:
        return "cut off"
    if len(row.output.split()) >= 30 and distinct_trigrams(row.output) < 0.2:
        return "repetition"
    return ""


FAULTS = {
    "ends cleanly": "is cut off",
    "not a refusal": "refuses",
    "parses": "has code that does not parse",
    "does not repeat itself": "repeats itself",
    "answers, not echoes": "echoes the instruction",
}
_FULL = dict(zip(FAULTS, (20, 20, 10, 30, 20), strict=True))


def points(row: Row) -> dict[str, int]:
    """Points by signal, 100 in all."""
    shares = (
        ends_cleanly(row.output),
        not is_refusal(row.output),
        parses(row.output),
        min(1.0, distinct_trigrams(row.output) / 0.8),
        1 - _echo(row),
    )
    return {
        name: round(full * share) for (name, full), share in zip(_FULL.items(), shares, strict=True)
    }


def reason(parts: Mapping[str, int]) -> str:
    """Say in a sentence which signals found a fault."""
    faults = [FAULTS[name] for name, full in _FULL.items() if parts[name] < 0.8 * full]
    return f"The response {' and '.join(faults)}." if faults else "No cheap signal finds a fault."


def _echo(row: Row) -> float:
    """How much of the response merely repeats the instruction, 0 to 1."""
    if normalised(row.output) == normalised(row.instruction):
        return 1.0
    same = overlap(row.instruction[:1000], row.output[:1000])
    return max(0.0, (same - 0.6) / 0.4)
