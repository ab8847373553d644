"""How long a run with many rows takes from its start to its first new call, when it is resumed.

    .venv/bin/python benchmarks/resume.py                # 100,000 rows

A run over so many rows is killed in the middle of judging them, and resumed. The time is
from the start of the process to the first request that the server sees.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from pathlib import Path

import harness

TARGET = 10.0


def main() -> int:
    """Begin, stop, resume; print the seconds to the first new call."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--judged", type=int, default=2000, help="rows judged before the stop")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        seeds = harness.seed_file(work / "seeds.jsonl", args.rows)
        embedder = harness.static_embedder(work / "embedder", dimension=384)
        with harness.MisbehavingServer(harness.answer, latency=(0.01, 0.02)) as server:
            flags = [
                *("run", seeds, "--recipe", "curate", "--llm", "none"),
                *("--judge-llm", "openai:bench", "--base-url", server.base_url),
                *("--embedder", embedder, "--no-cache", "--yes", "--concurrency", 16),
                *("--target-size", 1000, "--out", work / "run"),
            ]
            begun = time.monotonic()
            process = subprocess.Popen(
                harness.command(*flags),
                env=harness.environment(work / "cache"),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            while len(server.requests) < args.judged and process.poll() is None:
                time.sleep(0.05)
            print(f"first start to call {args.judged:,}: {time.monotonic() - begun:.1f} s")
            process.kill()
            process.communicate()
            before = len(server.requests)
            begun = time.monotonic()
            process = subprocess.Popen(
                harness.command("resume", work / "run"),
                env=harness.environment(work / "cache"),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            while len(server.requests) == before and process.poll() is None:
                time.sleep(0.005)
            seconds = time.monotonic() - begun
            process.kill()
            said = process.communicate()[0]
    if len(server.requests) == before:
        print(said)
        return 1
    print(f"{args.rows:,} rows: killed while they were judged, resumed")
    print(f"first new call after {seconds:.1f} s     (to reach: at most {TARGET:g} s)")
    return int(seconds > TARGET)


if __name__ == "__main__":
    raise SystemExit(main())
