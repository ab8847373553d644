"""What the screen found, in numbers of rows and in sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import PurePath
from typing import Any

from ...records import LEAKS, BenchmarkItem, Check

EXAMPLES = 3  # leaks that are told one by one


def screened(
    checks: Mapping[str, Check],
    items: Sequence[BenchmarkItem],
    *,
    masked: bool,
    chosen: Set[str] = frozenset(),
) -> dict[str, Any]:
    """Count what the screen found; empty where no row was screened.

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
        "reasons": _count(check.reason for check in checks.values() if check.reason),
        "languages": _count(check.language or "not told" for check in checks.values()),
        "chosen": _count(checks[id].language or "not told" for id in chosen & checks.keys()),
        "masked": masked,
        "personal": dict(personal.most_common()),
        "personal_rows": sum(bool(check.personal) for check in checks.values()),
        "personal_chosen": sum(bool(checks[id].personal) for id in chosen & checks.keys()),
        "benchmarks": _count(PurePath(item.source).name for item in items),
        "leaks": [check.evidence for check in checks.values() if check.reason.startswith(LEAKS)],
    }


def screen_lines(found: Mapping[str, Any], *, examples: int = EXAMPLES) -> list[str]:
    """What the screen found, in sentences: languages, personal data, benchmarks, some leaks."""
    if not found:
        return []
    lines = [f"languages: {counted(found['languages'])}"]
    if found["chosen"] and len(found["languages"]) > 1:
        lines[0] += f"; of the dataset: {counted(found['chosen'])}"
    if found["personal"]:
        within = f", {found['personal_chosen']:,} of them in the dataset" if found["chosen"] else ""
        kinds = counted(found["personal"])
        how = "masked personal data" if found["masked"] else "personal data"
        lines.append(f"{how}: in {found['personal_rows']:,} rows ({kinds}){within}")
    if found["benchmarks"]:
        rows, names = len(found["leaks"]), ", ".join(found["benchmarks"])
        lines.append(
            f"benchmarks: {rows:,} of {sum(found['languages'].values()):,} rows leak one of the "
            f"{sum(found['benchmarks'].values()):,} items of {names}"
        )
    lines += [f"leaked: {evidence}" for evidence in found["leaks"][:examples]]
    return lines


def counted(counts: Mapping[str, int]) -> str:
    """Counts by name on one line."""
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())


def _count(names: Iterable[str]) -> dict[str, int]:
    return dict(Counter(names).most_common())
