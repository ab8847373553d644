"""What calls were about, in words."""

from __future__ import annotations

from typing import Any

from ..stores.queries.calls import About
from .wording import with_detail, worded


def about_title(about: About) -> str:
    """What the call was about: the start of a row, a subspace's name, or a task."""
    if about.kind != "task":
        return about.text
    place = f" for {about.text}" if about.text else ""
    return with_detail(about.strategy, about.rule) + place


def about_outcome(about: About) -> str:
    """What became of it, "" for what has no end of its own."""
    if about.row:
        return f"row {about.row}"
    if about.kind == "task" and not about.outcome:
        return "open"
    return with_detail(about.outcome, worded(about.why))


def about_record(about: About) -> dict[str, Any]:
    """What ``--json`` and the page show."""
    return {
        "subject": about.subject,
        "kind": about.kind,
        "title": about_title(about),
        "outcome": about_outcome(about),
    }
