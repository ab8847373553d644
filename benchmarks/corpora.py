"""Real rows and their embeddings for the benchmarks of the agents, and the tables they write.

The datasets are public files that are not part of this repository; `--data` names their folder.
Embeddings are computed once and kept in `benchmarks/.cache`.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from lift_agent.formats.reading.readers import read_rows
from lift_agent.geometry.neighbours import Vectors
from lift_agent.records import Row

HERE = Path(__file__).resolve().parent
DATA = HERE.parent.parent / "shared" / "data"
CODE = "code_alpaca_new.json"
MIXTURE = (CODE, "gsm8k_train.json", "gpteacher_toolformer.json", "seed_tasks.jsonl")
EMBEDDER = "all-MiniLM-L6-v2"
PART = 4096  # texts that are embedded before they are kept


def parser(description: str | None) -> argparse.ArgumentParser:
    """A parser that knows where the data is."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--data", type=Path, default=DATA, help="folder of the public datasets")
    return made


def rows_of(folder: Path, *names: str) -> list[Row]:
    """The rows of datasets, in order."""
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        sys.exit(f"{folder} has no {', '.join(missing)}: name the folder with --data")
    read = read_rows([folder / name for name in names])
    return [row for row in read if isinstance(row, Row)]


def embedded(texts: Sequence[str]) -> Vectors:
    """Unit vectors of texts, (n, d), by the default embedder; each text is embedded once."""
    keys = [hashlib.sha256(f"{EMBEDDER}\0{text}".encode()).hexdigest()[:32] for text in texts]
    kept: dict[str, np.ndarray] = {}
    for file in (HERE / ".cache").glob("*.npz"):
        with np.load(file) as part:
            kept |= dict(zip(part["keys"].tolist(), part["vectors"], strict=True))
    new = {key: text for key, text in zip(keys, texts, strict=True) if key not in kept}
    ordered = sorted(new, key=lambda key: -len(new[key]))
    for start in range(0, len(ordered), PART):
        part_keys = ordered[start : start + PART]
        kept |= dict(zip(part_keys, _embed(part_keys, new), strict=True))
    return np.asarray([kept[key] for key in keys], dtype=np.float32)


def _embed(keys: Sequence[str], texts: Mapping[str, str]) -> Vectors:
    """Embed some of the texts, and keep what came."""
    from lift_agent.embedders import LazyEmbedder

    print(f"embedding {len(keys):,} texts, once …", file=sys.stderr)
    vectors = LazyEmbedder(EMBEDDER).embed([texts[key] for key in keys])
    file = HERE / ".cache" / f"{keys[0]}.npz"
    file.parent.mkdir(exist_ok=True)
    partial = file.with_suffix(".part")
    with partial.open("wb") as out:
        np.savez(out, keys=np.asarray(keys), vectors=vectors)
    partial.replace(file)
    return vectors


def embedded_rows(folder: Path, *names: str) -> tuple[list[Row], Vectors]:
    """Rows of datasets and the vectors of their texts, a file at a time."""
    rows: list[Row] = []
    vectors = []
    for name in names:
        part = rows_of(folder, name)
        rows.extend(part)
        vectors.append(embedded([row.text for row in part]))
    return rows, np.concatenate(vectors)


def cleared(vectors: Vectors, threshold: float = 0.90) -> np.ndarray:
    """Indices of the rows that greedy removal at a cosine leaves, in order: no two are nearer."""
    kept: list[int] = []
    for start in range(0, len(vectors), 512):
        block = vectors[start : start + 512]
        near = (block @ vectors[kept].T >= threshold).any(axis=1)
        within = block @ block.T >= threshold
        survivors: list[int] = []
        for i in np.flatnonzero(~near):
            if not within[i, survivors].any():
                survivors.append(int(i))
        kept.extend(start + i for i in survivors)
    return np.asarray(kept)


def report(
    name: str,
    title: str,
    columns: Sequence[str],
    lines: Iterable[Sequence[object]],
    *,
    data: Sequence[str] = (CODE,),
    notes: Sequence[str] = (),
    peers: Sequence[str] = (),
    script: str = "",
) -> None:
    """Print a table and write it to `results/NAME.md`, with its data, command and versions.

    `script` is the benchmark's name where it is not that of the table.
    """
    lines = [[str(cell) for cell in line] for line in lines]
    table = Table(*columns, title=title, title_justify="left")
    for line in lines:
        table.add_row(*line)
    # Wide tables stay readable in a file or a pipe.
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    versions = ", ".join(f"{peer} {version(peer)}" for peer in ("numpy", *peers))
    said = [
        *notes,
        f"Data: {', '.join(data)}.",
        f"Command: `.venv/bin/python benchmarks/{script or name}.py`. Versions: {versions}.",
    ]
    for note in said:
        print(note)
    head = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    body = ["| " + " | ".join(line) + " |" for line in lines]
    file = HERE / "results" / f"{name}.md"
    file.parent.mkdir(exist_ok=True)
    with file.open("w", encoding="utf-8") as out:
        out.write("\n".join([f"# {title}", "", *head, *body, "", *said, ""]))
