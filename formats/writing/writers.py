"""The files of a run folder, each written beside its place and moved there when complete."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tomlkit

from ...records import Row, Score
from ...stores.exact_json import dumps
from ...stores.files import replace_file
from ...stores.layout import DATASET, QUARANTINE, SETTINGS
from ...stores.ledger import Ledger
from .outputs import write_records
from .shapes import alpaca, whole

_PLACED = ("source", "line", "column", "reason", "excerpt")


def write_dataset(ledger: Ledger, folder: Path) -> Path:
    """Write the selected rows as JSONL, seeds first, in the order of arrival."""
    path, story = folder / DATASET, stories(ledger)
    records = (whole(row, alpaca, story(row, score)) for row, score in ledger.dataset.scored_rows())
    write_records(records, path)
    return path


def write_quarantine(ledger: Ledger, folder: Path) -> Path | None:
    """Write the records that could not be used, each with its place; None if all could."""
    lines = [
        dumps({name: getattr(reject, name) for name in _PLACED})
        for reject in ledger.sources.unusable()
    ]
    if not lines:
        return None
    path = folder / QUARANTINE
    replace_file(path, "".join(f"{line}\n" for line in lines))
    return path


def stories(ledger: Ledger) -> Callable[[Row, Score], dict[str, Any]]:
    """What tells the story of a row of this run, as `lift` in what is written."""
    names = {(s.round, s.id): s.name for s in ledger.rounds.subspaces()}
    return lambda row, score: story(row, score, names.get((row.round, row.subspace), ""))


def story(row: Row, score: Score, subspace: str) -> dict[str, Any]:
    """Where a row comes from and why it was chosen."""
    story: dict[str, Any] = {"id": row.id, "origin": row.origin}
    if row.origin == "seed":
        story |= {"source": row.source, "line": row.line}
    else:
        story |= {
            "round": row.round,
            "strategy": row.strategy,
            "parents": list(row.parents),
            "subspace": {"id": row.subspace, "name": subspace} if row.subspace else None,
        }
    story["scores"] = {
        "final": round(score.final, 2),
        "judge": score.judge,
        "length": round(score.length, 2),
        "rubric": dict(score.parts),
        "reason": score.reason,
    }
    if score.judgements:
        story["scores"]["judgements"] = list(score.judgements)
    if score.panel:
        totals = {name: sum(points.values()) for name, points in score.panel.items() if points}
        story["scores"]["panel"] = totals
    if "lift" in row.extra:
        story["previous"] = row.extra["lift"]
    return story


def toml_value(value: Any) -> Any:
    """A value as it stands on one line of TOML."""
    if not isinstance(value, dict):
        return value
    table = tomlkit.inline_table()
    table.update(value)
    return table


def write_settings(folder: Path, tables: Mapping[str, Mapping[str, Any]]) -> None:
    """Write run.toml: the resolved settings, the sources' fingerprints, the versions used."""
    document = tomlkit.document()
    document.add(tomlkit.comment("How this run was made. Secrets are never written here."))
    for name, value in tables.items():
        table = tomlkit.table()
        for key, item in value.items():
            if item is not None:
                table.add(key, toml_value(item))
        document.add(name, table)
    replace_file(folder / SETTINGS, tomlkit.dumps(document))
