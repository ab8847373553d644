"""Nearest neighbours and cells beside faiss: processor time, memory, and whether they are equal.

The exact 64 nearest others of every row (`nearest_others` beside `IndexFlatIP`), and the cells of
a large set (`Cells.of` beside `Kmeans`, with as many centres, iterations and rows to learn from).
The rows are synthetic: unit vectors in clusters, of which one in twenty is an exact copy of
another. Every measurement runs in a process of its own, ours and faiss in turn; the figures are
ratios, so that another processor changes them little.

    .venv/bin/pip install -r benchmarks/requirements.txt
    .venv/bin/python benchmarks/neighbours.py
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from corpora import report

from lift_agent.geometry.neighbours import (
    Cells,
    Indices,
    Vectors,
    nearest_centre,
    nearest_others,
    unit,
    without_own,
)

WIDTH = 384
NEAREST = 64
SIZES = (5_000, 20_000, 30_000)
LARGE = 100_000
ITERATIONS, LEARNT_FROM = 6, 64  # of `Cells.of`: iterations, rows for each centre
FASTER = 1.3  # times less processor time, to be worth a dependency

Found = tuple[Vectors, Indices]


def clustered(rows: int) -> Vectors:
    """Unit vectors around √n centres; one in twenty is an exact copy of another."""
    rng = np.random.default_rng(rows)
    centres = unit(rng.normal(size=(round(np.sqrt(rows)), WIDTH)))
    label = rng.integers(len(centres), size=rows)
    noise = rng.standard_normal((rows, WIDTH), dtype=np.float32) / np.float32(np.sqrt(WIDTH))
    spread = rng.uniform(0.3, 1.2, size=(rows, 1)).astype(np.float32)
    made = unit(centres[label] + spread * noise)
    copies = rng.choice(rows, rows // 20, replace=False)
    made[copies] = made[rng.integers(rows, size=len(copies))]
    return made


def our_neighbours(vectors: Vectors) -> Found:
    """The product's."""
    return nearest_others(vectors, NEAREST)


def faiss_neighbours(vectors: Vectors) -> Found:
    """A flat index of all rows, asked for all rows; own rows are dropped as in the product."""
    import faiss

    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    cosines, ids = index.search(vectors, NEAREST + 1)
    return without_own(cosines, ids, np.arange(len(vectors)))


def our_cells(vectors: Vectors) -> Found:
    """The product's centres, and the cell of each row."""
    cells = Cells.of(vectors)
    cell = np.empty(len(vectors), dtype=np.int64)
    cell[cells.rows] = np.repeat(np.arange(len(cells)), np.diff(cells.starts))
    return cells.centres, cell


def faiss_cells(vectors: Vectors) -> Found:
    """Centres by faiss, and the cell of each row by its index."""
    import faiss

    count = round(np.sqrt(len(vectors)) / 2)
    options = {"niter": ITERATIONS, "max_points_per_centroid": LEARNT_FROM, "seed": 0}
    learnt = faiss.Kmeans(vectors.shape[1], count, spherical=True, **options)
    learnt.train(vectors)
    _, cell = learnt.index.search(vectors, 1)
    return np.asarray(learnt.centroids, dtype=np.float32), cell[:, 0]


WAYS = ("lift-agent", "faiss")
JOBS: dict[str, tuple[Callable[[Vectors], Found], Callable[[Vectors], Found]]] = {
    "neighbours": (our_neighbours, faiss_neighbours),
    "cells": (our_cells, faiss_cells),
}


def one(job: str, way: str, folder: Path) -> dict[str, float]:
    """Do a job in this process; keep what it found, and return its figures."""
    find = JOBS[job][WAYS.index(way)]
    vectors = np.load(folder / "vectors.npy")
    find(vectors[:1000])  # imports, and starts the threads
    wall, cpu = time.perf_counter(), time.process_time()
    values, ids = find(vectors)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    np.savez(folder / f"{way}.npz", values=values, ids=ids)
    return {"wall": wall, "cpu": cpu, "peak": peak_memory()}


def peak_memory() -> int:
    """The process's most resident memory in kB; `ru_maxrss` would count its parent's, too."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0])


def measured(job: str, way: str, folder: Path, threads: int = 0) -> tuple[dict[str, float], Found]:
    """The figures and the result of a job in a process of its own."""
    asked = ["--one", job, way, str(folder)]
    limit = {name: str(threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS") if threads}
    done = subprocess.run(
        [sys.executable, __file__, *asked],
        env={**os.environ, **limit},
        text=True,
        capture_output=True,
        check=True,
    )
    with np.load(folder / f"{way}.npz") as kept:
        return json.loads(done.stdout.splitlines()[-1]), (kept["values"], kept["ids"])


def agreement(job: str, vectors: Vectors, ours: Found, theirs: Found) -> str:
    """How the results compare: neighbours one by one, cells by what they are for."""
    if job == "neighbours":
        same = (ours[1] == theirs[1]).all(axis=1)
        others = zip(ours[1][~same], theirs[1][~same], strict=True)
        sets = [set(one) == set(other) for one, other in others]
        gap = float(np.abs(ours[0] - theirs[0]).max())
        return (
            f"{same.mean():.2%} of rows have the same in the same order, "
            f"{sum(sets) / len(vectors):.2%} in another order; cosines within {gap:.1g}"
        )
    cosines = [
        float(np.einsum("nd,nd->n", vectors, centres[nearest_centre(vectors, centres)]).mean())
        for centres, _ in (ours, theirs)
    ]
    return f"mean cosine to the centre {cosines[0]:.4f} and {cosines[1]:.4f}"


def steady(job: str, way: str, folder: Path) -> bool:
    """Whether one thread and two find the same bits."""
    (_, one_thread), (_, two) = (measured(job, way, folder, threads) for threads in (1, 2))
    return all(np.array_equal(a, b) for a, b in zip(one_thread, two, strict=True))


def main() -> None:
    """Measure both ways in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--one", nargs=3, metavar=("JOB", "WAY", "FOLDER"))
    args = parser.parse_args()
    if args.one:
        job, way, name = args.one
        print(json.dumps(one(job, way, Path(name))))
        return
    lines, worth = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for job, rows in (*(("neighbours", rows) for rows in SIZES), ("cells", LARGE)):
            vectors = clustered(rows)
            np.save(folder / "vectors.npy", vectors)
            figures: list[list[dict[str, float]]] = []
            found: list[Found] = []
            for _ in range(args.repeats):
                both = [measured(job, way, folder) for way in WAYS]
                figures.append([figure for figure, _ in both])
                found = [result for _, result in both]
            cpu = [ours["cpu"] / theirs["cpu"] for ours, theirs in figures]
            wall = [ours["wall"] / theirs["wall"] for ours, theirs in figures]
            peak = [ours["peak"] / theirs["peak"] for ours, theirs in figures]
            worth.append(statistics.median(cpu) > FASTER)
            same = [steady(job, way, folder) for way in WAYS]
            lines.append(
                (
                    *(job, f"{rows:,}"),
                    *(f"{statistics.median(ours['cpu'] for ours, _ in figures):.1f}",),
                    *(f"{statistics.median(ratios):.2f}" for ratios in (cpu, wall, peak)),
                    f"{min(cpu):.2f} to {max(cpu):.2f}",
                    " / ".join("yes" if bits else "no" for bits in same),
                    agreement(job, vectors, *found),
                )
            )
            print(" | ".join(lines[-1]), flush=True)
    report(
        "neighbours",
        f"Neighbours ({NEAREST} of each row) and cells beside faiss, {WIDTH} dimensions",
        (
            *("job", "rows", "our CPU s", "CPU, ours / faiss", "wall", "peak memory"),
            *("CPU, all runs", "same bits by 1 and 2 threads, ours / faiss", "agreement"),
        ),
        lines,
        data=("synthetic",),
        notes=[
            f"Ratios of {args.repeats} pairs of runs in turn, the median; above 1 faiss needs less."
            f" It is worth a dependency above {FASTER:g} in every line, with equal neighbours: "
            f"{'so it is' if all(worth) else 'so it is not'}.",
        ],
        peers=("faiss-cpu",),
    )


if __name__ == "__main__":
    main()
