"""What the benchmarks share: seeds, a server that misbehaves, and the command as users run it."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from browser import installed, serving  # noqa: E402
from misbehaving_server import MisbehavingServer  # noqa: E402
from scripted_model import answer  # noqa: E402
from support import static_embedder  # noqa: E402

__all__ = [
    "MisbehavingServer",
    "answer",
    "command",
    "environment",
    "installed",
    "seed_file",
    "serving",
    "static_embedder",
]

_VERBS = ("Explain", "Describe", "Summarise", "Compare", "Design", "Write", "Plan", "Review")
_WORDS = Path(ROOT / "examples" / "seeds")


def seed_file(path: Path, rows: int, *, seed: int = 0) -> Path:
    """Write a file of so many instruction rows, no two of which are near-duplicates."""
    rng = random.Random(seed)
    words = sorted(
        {
            word.lower()
            for file in sorted(_WORDS.glob("*.jsonl"))
            for word in file.read_text(encoding="utf-8").split()
            if word.isalpha() and len(word) > 4
        }
    )
    with path.open("w", encoding="utf-8") as file:
        for _ in range(rows):
            asked, said = (" ".join(rng.sample(words, n)) for n in (8, 16))
            row = {"instruction": f"{rng.choice(_VERBS)} {asked}.", "input": "", "output": said}
            file.write(json.dumps(row) + "\n")
    return path


def environment(cache: Path) -> dict[str, str]:
    """The environment of a command: a cache of its own, a key, no proxy."""
    return {
        **os.environ,
        "LIFT_AGENT_CACHE": str(cache),
        "OPENAI_API_KEY": "sk-benchmark",
        "NO_PROXY": "127.0.0.1",
        "COLUMNS": "120",
    }


def command(*args: object) -> list[str]:
    """The command line of lift-agent with these arguments."""
    return [sys.executable, "-m", "lift_agent", *map(str, args)]


def run(args: Sequence[object], cache: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run lift-agent to its end."""
    return subprocess.run(
        command(*args),
        env=environment(cache),
        text=True,
        capture_output=True,
        check=False,
        **options,
    )
