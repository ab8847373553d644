"""Kills a run over and over with SIGKILL, resumes it each time, and compares what comes out.

    .venv/bin/python benchmarks/kills.py                 # 600 generated rows, 50 kills or more

The server logs every request, and the ledger every attempt before it is sent: one that follows an
answered attempt of the same call was paid for twice. Requests under way at a kill may be sent
again.
The dataset must be that of a run which was never killed.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sqlite3
import subprocess
import tempfile
import time
from pathlib import Path

import harness

CONCURRENCY = 16
EARLY = 0.2


def main() -> int:
    """Kill, resume, compare; print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=600, help="rows to generate")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        seeds = harness.seed_file(work / "seeds.jsonl", args.rows // 3)
        embedder = harness.static_embedder(work / "embedder")
        fixed = [
            *("run", seeds, "--llm", "openai:bench", "--embedder", embedder, "--yes", "--quiet"),
            *("--target-size", args.rows, "--max-seed-share", 0, "--round-size", 100),
            *("--concurrency", CONCURRENCY, "--timeout", 30, "--no-cache"),
        ]
        # Two copies of the run on one server: what they ask is the same.
        with harness.MisbehavingServer(harness.answer, latency=(0.05, 0.4)) as server:
            flags = [*fixed, "--base-url", server.base_url]
            whole = harness.run([*flags, "--out", work / "whole"], work / "cache")
            if whole.returncode:
                print(whole.stdout, whole.stderr)
                return 1
            undisturbed = len(server.requests)
            server.requests.clear()
            print(f"undisturbed: {undisturbed:,} requests, {whole.stdout.strip()}", flush=True)

            kills, early = 0, 0
            while True:
                process = subprocess.Popen(
                    harness.command(*flags, "--out", work / "killed"),
                    env=harness.environment(work / "cache"),
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
                if kills < args.kills:
                    before = len(server.requests)
                    left = max(1, undisturbed - before) / (args.kills - kills + 2)
                    goal = before + rng.uniform(0.2, 1.5) * left
                    # A fifth of the kills fall by the clock: while it starts, reads or embeds.
                    patience = rng.uniform(1, 8) if rng.random() < EARLY else 120
                    until = time.monotonic() + patience
                    while len(server.requests) < goal and time.monotonic() < until:
                        if process.poll() is not None:
                            break
                        time.sleep(0.005)
                    time.sleep(rng.uniform(0, 0.05))
                    process.kill()
                out, err = process.communicate()
                if process.returncode >= 0:
                    break
                kills += 1
                early += len(server.requests) == before
                time.sleep(0.5)  # what was under way comes to its end on the server
            if process.returncode:
                print(out, err)
                return 1
            sent = list(server.requests)
        same = _digest(work / "whole") == _digest(work / "killed")
        committed = _repeats_of_committed(work / "killed")
    again = len(sent) - len({seen.digest for seen in sent})
    answered, lost = set[str](), 0
    for seen in sent:
        lost += seen.digest in answered
        if seen.finished:
            answered.add(seen.digest)
    print(f"{kills} kills, {early} of them before a new request was sent")
    print(f"{len(sent):,} requests sent, {again} of them again: under way at a kill")
    print(f"   that is {again / max(1, kills):.1f} a kill, of {CONCURRENCY} at once")
    print(f"answered requests that were sent again: {committed}   (to reach: 0)")
    print(f"   answers that the server had sent off and the killed process not yet kept: {lost}")
    print(f"dataset identical to that of the undisturbed run: {same}")
    few = kills < args.kills
    if few:
        print(f"the run ended before {args.kills} kills: give more --rows")
    return int(few or not same or committed > 0 or again > kills * CONCURRENCY)


def _repeats_of_committed(folder: Path) -> int:
    """Requests that were sent although their answer was in the ledger."""
    db = sqlite3.connect(folder / "ledger.sqlite")
    sql = (
        "SELECT COUNT(*) FROM attempts a JOIN attempts b ON a.key = b.key AND a.id < b.id"
        " WHERE a.outcome = 'answered'"
    )
    (count,) = db.execute(sql).fetchone()
    db.close()
    return int(count)


def _digest(folder: Path) -> str:
    return hashlib.sha256((folder / "dataset.jsonl").read_bytes()).hexdigest()


if __name__ == "__main__":
    raise SystemExit(main())
