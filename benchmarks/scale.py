"""Time and memory of analysis, de-duplication and selection on large sets of embeddings.

100,000 rows: sparse regions, near-duplicates and 10,000 rows, beside SemHash (self_deduplicate and
self_find_representative) and DEITA's filter on the same vectors. 1,000,000 rows: 5,000 chosen,
density included. The vectors are real rows with noise; each measurement runs in a process of its
own, so that its peak of memory is its own.

    .venv/bin/python benchmarks/scale.py
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from functools import partial

import corpora
import numpy as np
import peers

from lift_agent.geometry.density import sparse_subspaces
from lift_agent.geometry.duplicates import graph_candidates
from lift_agent.geometry.neighbours import Vectors, nearest_others, unit
from lift_agent.geometry.selection import select

THRESHOLD = 0.95
NOISE = 0.3  # length of the noise beside the row's 1


def noisy(data: object, rows: int) -> Vectors:
    """So many unit vectors: real rows in turn, each with noise of its own, some hardly any."""
    _, real = corpora.embedded_rows(data, corpora.CODE)  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    made = np.empty((rows, real.shape[1]), dtype=np.float32)
    for start in range(0, rows, len(real)):
        part = made[start : start + len(real)]
        noise = rng.normal(size=part.shape).astype(np.float32)
        noise *= rng.uniform(0.05, NOISE, size=(len(part), 1)) / np.linalg.norm(
            noise, axis=1, keepdims=True
        )
        part[:] = unit(real[: len(part)] + noise)
    return made


def selected(vectors: Vectors, count: int) -> int:
    """Select without a judge."""
    n = len(vectors)
    none = np.zeros(n, dtype=bool)
    return len(select(vectors, np.zeros(n), count, 0.0, capped=none, cap=0).order)


def everything(vectors: Vectors, count: int) -> int:
    """Analyze, de-duplicate and select, as a run does."""
    sparse_subspaces(vectors, 32)
    graph = nearest_others(vectors, 40)
    stays = np.ones(len(vectors), dtype=bool)
    for row in range(len(vectors)):
        [(repeated, _)] = graph_candidates(graph, [row], stays, THRESHOLD)
        stays[row] = len(repeated) == 0
    return selected(vectors[stays], count)


JOBS = {
    "lift-agent: analyze, de-duplicate, select": everything,
    "lift-agent: select": selected,
    "SemHash: self-deduplicate, representatives": partial(peers.semhash, threshold=THRESHOLD),
    "DEITA's filter": partial(peers.deita, threshold=THRESHOLD),
    "DEITA's filter, as published": partial(peers.deita_as_published, threshold=THRESHOLD),
}
RUNS = (
    ("lift-agent: analyze, de-duplicate, select", 100_000, 10_000),
    ("SemHash: self-deduplicate, representatives", 100_000, 10_000),
    ("DEITA's filter", 100_000, 10_000),
    ("lift-agent: select", 100_000, 5_000),
    ("lift-agent: select", 1_000_000, 5_000),
    ("DEITA's filter, as published", 100_000, 10_000),
)


def one(job: str, vectors: Vectors, count: int) -> dict[str, float]:
    """Run a job here and measure it."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = JOBS[job](vectors, count)
    return {
        "rows": found if isinstance(found, int) else len(found),
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def main() -> None:
    """Run each job in a process of its own."""
    parser = corpora.parser(__doc__)
    parser.add_argument("--one", nargs=3, metavar=("JOB", "ROWS", "COUNT"))
    args = parser.parse_args()
    if args.one:
        job, rows, count = args.one
        print(json.dumps(one(job, noisy(args.data, int(rows)), int(count))))
        return
    noisy(args.data, 10)  # embeds the rows, should that not have been done
    lines, cpu = [], {}
    for job, rows, count in RUNS:
        asked = ["--one", job, str(rows), str(count), "--data", str(args.data)]
        done = subprocess.run(
            [sys.executable, __file__, *asked], text=True, capture_output=True, check=True
        )
        m = json.loads(done.stdout)
        cpu[job, rows] = m["cpu"]
        lines.append(
            (
                *(f"{rows:,}", job, f"{count:,}", f"{m['rows']:,}"),
                *(f"{m['wall']:.1f}", f"{m['cpu']:.1f}", f"{m['peak']:.2f}"),
            )
        )
        print(" | ".join(lines[-1]), flush=True)
    growth = np.log10(cpu["lift-agent: select", 1_000_000] / cpu["lift-agent: select", 100_000])
    corpora.report(
        "scale",
        "Large sets of embeddings",
        ("rows", "job", "wanted", "chosen", "wall s", "CPU s", "peak GB"),
        lines,
        notes=[
            f"Exponent of growth of select from 100,000 to 1,000,000 rows: {growth:.2f}.",
            "SemHash chose 10,000 representatives; counted are those that its de-duplication kept.",
        ],
        peers=["semhash"],
    )


if __name__ == "__main__":
    main()
