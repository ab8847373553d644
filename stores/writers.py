"""The files of a run folder, each written beside its place and moved there when complete."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import tomlkit

from ..records import Row, Score
from .ledger import Ledger

DATASET = "dataset.jsonl"
QUARANTINE = "quarantine.jsonl"
SETTINGS = "run.toml"
CARD = "README.md"


def replace_file(path: Path, text: str) -> None:
    """Write a file so that it is either the old one or the whole new one, never a part."""
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def write_dataset(ledger: Ledger, folder: Path) -> Path:
    """Write the selected rows as JSONL, seeds first, in the order of arrival."""
    scores = ledger.scores()
    subspaces = {(s.round, s.id): s.name for s in ledger.subspaces()}
    lines = [
        json.dumps(
            record(row, scores[row.id], subspaces.get((row.round, row.subspace), "")),
            ensure_ascii=False,
        )
        for row in ledger.selected()
    ]
    path = folder / DATASET
    replace_file(path, "".join(f"{line}\n" for line in lines))
    return path


def write_quarantine(ledger: Ledger, folder: Path) -> Path | None:
    """Write the records that could not be used, with file, line and reason; None if all could."""
    rejects = ledger.rejects()
    if not rejects:
        return None
    return write_records(folder / QUARANTINE, map(asdict, rejects))


def write_records(path: Path, records: Iterable[Mapping[str, Any]]) -> Path:
    """Write records as JSONL."""
    lines = (json.dumps(record, ensure_ascii=False) for record in records)
    replace_file(path, "".join(f"{line}\n" for line in lines))
    return path


def record(row: Row, score: Score, subspace: str) -> dict[str, Any]:
    """A row as it is written: its texts, its file's other columns, and its story in `lift`."""
    out: dict[str, Any] = {
        "instruction": row.instruction,
        "input": row.input,
        "output": row.output,
    }
    if row.system:
        out["system"] = row.system
    if row.history:
        out["history"] = [list(turn) for turn in row.history]
    out.update((name, value) for name, value in row.extra.items() if name not in out)
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
    if "lift" in row.extra:
        story["previous"] = row.extra["lift"]
    out["lift"] = story
    return out


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
