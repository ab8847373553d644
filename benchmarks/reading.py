"""Reading and checking rows, beside `datasets`, and the memory that it takes.

The same synthetic files are read by lift-agent (each row recognised, checked, given its id) and
loaded by `load_dataset` with a cold cache; that only brings them into its own format, so it is
measured again with each row then taken as Python values. Memory is the peak of a fresh process.
Each measurement is a process of its own.

    .venv/bin/python benchmarks/reading.py
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "reading.md"
WORDS = [
    "list",
    "sort",
    "number",
    "write",
    "explain",
    "river",
    "model",
    "water",
    "string",
    "data",
    "each",
    "city",
    "value",
    "code",
]
SIZES = (100_000, 1_000_000, 5_000_000)
COMPARED = 50_000
BATCH = 10_000
POOL = 997  # texts from which the rows are made
LOADERS = {"jsonl": "json", "csv": "csv", "parquet": "parquet"}


def rows(count: int) -> Iterator[dict[str, Any]]:
    """Rows of about 250 characters, none like another."""
    rng = random.Random(0)
    asked, said = ([" ".join(rng.choices(WORDS, k=k)) for _ in range(POOL)] for k in (10, 20))
    for number in range(count):
        yield {
            "id": number,
            "instruction": f"Task {number}: {asked[number % POOL]}",
            "input": "",
            "output": said[number * 7 % POOL],
            "source": "synthetic",
        }


def write(path: Path, count: int) -> Path:
    """Write so many rows in the format that the name ends with, a batch at a time."""
    made = rows(count)
    if path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.Table.from_pylist(list(rows(1)))
        with pq.ParquetWriter(path, table.schema) as writer:
            while batch := list(islice(made, BATCH)):
                writer.write_table(pa.Table.from_pylist(batch))
        return path
    with path.open("w", encoding="utf-8", newline="") as file:
        if path.suffix == ".csv":
            table_writer = csv.DictWriter(file, next(rows(1)).keys())
            table_writer.writeheader()
            table_writer.writerows(made)
        else:
            file.writelines(json.dumps(row) + "\n" for row in made)
    return path


def lift_agent(path: Path, cache: Path) -> int:
    """Read and check every row."""
    from lift_agent.formats.reading.readers import read_rows

    return sum(1 for _ in read_rows([path]))


def load(path: Path, cache: Path) -> int:
    """Load the file with `datasets`."""
    return len(_loaded(path, cache))


def load_and_iterate(path: Path, cache: Path) -> int:
    """Load the file with `datasets`, and take each row."""
    return sum(1 for _ in _loaded(path, cache))


def _loaded(path: Path, cache: Path) -> Any:
    import datasets

    datasets.disable_progress_bars()
    kind = LOADERS[path.suffix[1:]]
    files = str(path)
    return datasets.load_dataset(kind, data_files=files, split="train", cache_dir=str(cache))


JOBS = {job.__name__: job for job in (lift_agent, load, load_and_iterate)}


def measure(job: str, path: Path) -> dict[str, float]:
    """Run a job in a process of its own, with an empty cache."""
    with tempfile.TemporaryDirectory() as cache:
        done = subprocess.run(
            [sys.executable, __file__, "--one", job, str(path), cache],
            text=True,
            capture_output=True,
            check=True,
        )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def one(job: str, path: Path, cache: Path) -> dict[str, float]:
    """Run a job here and measure it."""
    if job != "lift_agent":
        import datasets  # noqa: F401
    wall, cpu = time.perf_counter(), time.process_time()
    count = JOBS[job](path, cache)
    return {
        "rows": count,
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def compared(folder: Path, count: int) -> list[str]:
    """A line of the table for each format."""
    lines = []
    for suffix in LOADERS:
        path = write(folder / f"rows.{suffix}", count)
        ours, loaded, taken = (measure(job, path) for job in JOBS)
        rates = [f"{count / m['cpu']:,.0f}" for m in (ours, loaded, taken)]
        ratios = [f"{m['cpu'] / ours['cpu']:.2f}" for m in (loaded, taken)]
        wall = [f"{m['wall'] / ours['wall']:.2f}" for m in (loaded, taken)]
        lines.append(" | ".join((suffix, *rates, *ratios, *wall)))
        print(lines[-1], flush=True)
        path.unlink()
    return lines


def memory(folder: Path, sizes: tuple[int, ...]) -> list[str]:
    """A line of the table for each size."""
    lines = []
    for size in sizes:
        path = write(folder / "rows.jsonl", size)
        m = measure("lift_agent", path)
        rate, bytes_ = f"{size / m['cpu']:,.0f}", f"{path.stat().st_size / 1e6:,.0f}"
        lines.append(" | ".join((f"{size:,}", bytes_, f"{m['peak']:.0f}", f"{m['cpu']:.0f}", rate)))
        print(lines[-1], flush=True)
        path.unlink()
    return lines


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=COMPARED, help="Rows that are compared.")
    parser.add_argument("--largest", type=int, default=SIZES[-1], help="Most rows for memory.")
    parser.add_argument("--one", nargs=3, metavar=("JOB", "FILE", "CACHE"))
    args = parser.parse_args()
    if args.one:
        job, path, cache = args.one
        print(json.dumps(one(job, Path(path), Path(cache))))
        return
    with tempfile.TemporaryDirectory() as name:
        rates = compared(Path(name), args.rows)
        peaks = memory(Path(name), tuple(size for size in SIZES if size <= args.largest))
    text = f"""# Reading and checking

`{" ".join([".venv/bin/python benchmarks/reading.py", *sys.argv[1:]])}`, beside datasets
{version("datasets")} and pyarrow {version("pyarrow")}. Rows of about 250 characters;
CPU seconds, as the wall clock of a shared machine tells little.

{args.rows:,} rows, rows a CPU second, and how many times the CPU (and the wall clock) `datasets`
takes:

| file | lift-agent | load | load, take rows | CPU, load | CPU, taken | wall, load | wall, taken |
|---|---|---|---|---|---|---|---|
{chr(10).join(f"| {line} |" for line in rates)}

Peak memory of reading JSONL, the process and its imports included:

| rows | file, MB | peak, MB | CPU s | rows a CPU s |
|---|---|---|---|---|
{chr(10).join(f"| {line} |" for line in peaks)}
"""
    RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
