"""What several test files need."""

import json
from pathlib import Path

TESTS = Path(__file__).parent
ROOT = TESTS.parent
SCRIPTED = f"scripted:{TESTS / 'scripted_model.py'}"
SHARED = ROOT.parent / "shared" / "data"


def read_dataset(folder):
    """The rows of a run's dataset."""
    text = (Path(folder) / "dataset.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]
