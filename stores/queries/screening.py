"""What the screen found, in numbers of rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence, Set
from pathlib import PurePath
from typing import Any, TypeVar

from ...records import BenchmarkItem, Reason, ScreeningResult

Name = TypeVar("Name", bound=Hashable)


def screened(
    checks: Mapping[str, ScreeningResult],
    items: Sequence[BenchmarkItem],
    *,
    masked: bool,
    chosen: Set[str] = frozenset(),
) -> dict[str, Any]:
    """Count what the screen found; empty where no row was screened.

    A language that a row does not tell counts as "".

    Args:
        checks: by row.
        items: of the benchmarks that the rows were compared with.
        masked: whether the personal data is masked.
        chosen: the rows of the dataset.
    """
    if not checks:
        return {}
    personal: Counter[str] = Counter()
    for check in checks.values():
        personal.update(check.personal)
    return {
        "reasons": _count(check.why for check in checks.values() if check.why),
        "languages": _count(check.language for check in checks.values()),
        "chosen": _count(checks[id].language for id in chosen & checks.keys()),
        "masked": masked,
        "personal": dict(personal.most_common()),
        "personal_rows": sum(bool(check.personal) for check in checks.values()),
        "personal_chosen": sum(bool(checks[id].personal) for id in chosen & checks.keys()),
        "benchmarks": _count(PurePath(item.source).name for item in items),
        "leaks": [check.evidence for check in checks.values() if check.reason == Reason.LEAK],
    }


def _count(names: Iterable[Name]) -> dict[Name, int]:
    return dict(Counter(names).most_common())
