"""How much slower a run sends its requests than a bare HTTP client, and how well it fills a limit.

    .venv/bin/python benchmarks/throughput.py            # 5,000 requests, 300 ms, 64 at once
    .venv/bin/python benchmarks/throughput.py --rpm 600  # under an enforced limit

The run is `lift-agent run` with a judge on a server that answers after 300 ms: one request a row.
The same requests are then sent by bare httpx clients at the same concurrency. Both times are from
the first request that the server sees to its last answer; what a run does before and after
(imports, reading, embedding, writing) is printed beside it. Under a limit, the bare minimum is
what the limit allows: (requests - burst) / rate.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import harness

LATENCY = 0.3
TARGET = 1.10

RAW = """
import asyncio, json, sys, httpx
bodies = [json.loads(line) for line in open(sys.argv[2])]
async def main():
    queue = iter(bodies)
    async def worker():  # a client each: one pool of 64 connections is slower
        async with httpx.AsyncClient(timeout=60) as client:
            for body in queue:
                (await client.post(sys.argv[1] + "/chat/completions", json=body)).raise_for_status()
    await asyncio.gather(*(worker() for _ in range(int(sys.argv[3]))))
asyncio.run(main())
"""


def span(requests: list[Any]) -> float:
    """Seconds from the first request to the last answer."""
    return max(r.finished for r in requests) - min(r.time for r in requests)


def main() -> int:
    """Send the requests both ways and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=0, help="default: 5,000, or 1,500 limited")
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--rpm", type=float, default=0, help="limit that the server enforces")
    parser.add_argument("--told", action="store_true", help="tell the run the limit (--rpm)")
    args = parser.parse_args()
    count = args.requests or (1500 if args.rpm else 5000)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        seeds = harness.seed_file(work / "seeds.jsonl", count)
        embedder = harness.static_embedder(work / "embedder")
        with harness.MisbehavingServer(
            harness.answer, latency=(LATENCY, LATENCY), rate_limit=args.rpm or None
        ) as server:
            begun = time.monotonic()
            flags = ["--concurrency", args.concurrency] if not args.rpm else []
            if args.told:
                flags += ["--rpm", args.rpm]
            done = harness.run(
                [
                    *("run", seeds, "--recipe", "curate", "--llm", "none"),
                    *("--judge-llm", "openai:bench", "--base-url", server.base_url),
                    *("--target-size", count, "--embedder", embedder, "--no-cache"),
                    *("--candidate-cosine", 1, "--borderline-cosine", 1),
                    *("--out", work / "run", "--quiet", "--yes", *flags),
                ],
                work / "cache",
            )
            whole = time.monotonic() - begun
            if done.returncode:
                print(done.stdout, done.stderr)
                return 1
            sent = list(server.requests)
        answered = [seen for seen in sent if seen.status == 200]
        run_time = span(answered)
        if args.rpm:
            # The limit lets a second's worth through at once, then its rate.
            least = (len(answered) - args.rpm / 60) * 60 / args.rpm
            refused = sum(seen.status == 429 for seen in sent)
            print(f"{len(answered):,} answers under {args.rpm:g} requests a minute")
            print(
                f"run      {run_time:7.1f} s   (whole command {whole:.1f} s, {refused:,} refused)"
            )
            print(f"minimum  {least:7.1f} s")
            ratio = run_time / least
        else:
            bodies = work / "bodies.jsonl"
            bodies.write_text("".join(json.dumps(seen.body) + "\n" for seen in answered))
            with harness.MisbehavingServer(harness.answer, latency=(LATENCY, LATENCY)) as server:
                script = [sys.executable, "-c", RAW, server.base_url, str(bodies)]
                subprocess.run(
                    [*script, str(args.concurrency)],
                    check=True,
                    env=harness.environment(work / "cache"),
                )
                raw_time = span([s for s in server.requests if s.finished])
            ideal = len(answered) * LATENCY / args.concurrency
            print(f"{len(answered):,} requests of {LATENCY} s, {args.concurrency} at once")
            print(f"run   {run_time:7.1f} s   (whole command {whole:.1f} s)")
            print(f"bare  {raw_time:7.1f} s   (at best {ideal:.1f} s)")
            ratio = run_time / raw_time
        print(f"ratio {ratio:7.2f}     (to reach: at most {TARGET})")
        return int(ratio > TARGET)


if __name__ == "__main__":
    raise SystemExit(main())
