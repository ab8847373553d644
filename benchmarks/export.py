"""Memory and rate of an export by the number of rows: each in a process of its own.

Usage: python benchmarks/export.py [--rows 20000 100000]
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FORMATS = {"messages": "x.jsonl", "trl": "folder", "csv": "x.csv.gz", "parquet": "x.parquet"}


def make(folder, count):
    """A finished run of so many rows, of which every one was chosen."""
    from lift_agent.records import Row, Score
    from lift_agent.stores.ledger import Ledger

    def row(i):
        text = f"Explain step {i} of {i % 977} in so many words. " * 8
        return Row(f"{i:016x}", i, text, "", text * 2, extra={"topic": i % 7}, source="x", line=i)

    ledger = Ledger(folder / "ledger.sqlite")
    ledger.facts.update(settings={"sources": ["x"], "target_size": count}, stop="target")
    ledger.rows.add(row(i) for i in range(count))
    ledger.judgements.add_scores(
        Score(f"{i:016x}", i % 100, parts={"clarity": i % 15}) for i in range(count)
    )
    ledger.dataset.choose([f"{i:016x}" for i in range(count)], {})
    ledger.close()


def measure(folder, name):
    from lift_agent.jobs.export import Options, export

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    export(Path(folder), name, Path(folder) / name / FORMATS[name], Options())
    seconds = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{name:10} {seconds:6.1f} CPU s, {(peak - before) / 1024:6.0f} MB above the start")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[20_000, 100_000])
    parser.add_argument("--measure", nargs=2, metavar=("FOLDER", "FORMAT"))
    args = parser.parse_args()
    if args.measure:
        measure(*args.measure)
        return
    for count in args.rows:
        with tempfile.TemporaryDirectory() as folder:
            make(Path(folder), count)
            print(f"{count:,} rows", flush=True)
            for name in FORMATS:
                command = [sys.executable, __file__, "--measure", folder, name]
                subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
