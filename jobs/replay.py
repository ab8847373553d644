"""Runs a run again from its ledger: no model, no network, the same dataset byte for byte."""

from __future__ import annotations

import shutil
from itertools import zip_longest
from pathlib import Path

from ..errors import RunFolderError, UsageError
from ..llms.loops import outside_loop
from ..records.events import Emit, unheard
from ..stores.folder import is_held, opened_ledger
from ..stores.layout import DATASET, VECTORS
from ..stores.queries.summary import Summary
from .recording import RecordedCalls, Recording
from .run import run
from .settings import settings_of


def replay(folder: Path, out: Path, emit: Emit = unheard) -> Summary:
    """Run what is recorded in `folder` again, in `out`; `emit` gets what happens.

    Raises:
        RunFolderError: `folder` holds no run that can be replayed, or `out` holds something.
        ModelError: an answer is missing.
    """
    return outside_loop(lambda: _replay(folder, out, emit))


def _replay(folder: Path, out: Path, emit: Emit) -> Summary:
    settings = settings_of(folder)
    if is_held(folder):
        raise RunFolderError(f"a process is working in {folder}: wait until it has ended")
    if out.exists() and any(out.iterdir()):
        raise UsageError(f"{out} is not empty: give the replay a folder of its own with --out")
    config = settings.model_copy(
        update={
            "out": out,
            "cache": False,
            **dict.fromkeys(("budget_usd", "max_calls", "max_tokens", "max_time", "rpm", "tpm")),
        }
    )
    with opened_ledger(folder) as ledger:
        facts = ledger.facts.read()
        if facts.stop in (None, "interrupted"):
            raise RunFolderError(f"the run in {folder} has not ended: resume it first")
        if before := facts.extended:
            raise RunFolderError(
                f"the run in {folder} was extended from {before} rows to "
                f"{settings.target_size}: what it did before depends on the earlier target, so "
                "it cannot be replayed as one run"
            )
        out.mkdir(parents=True, exist_ok=True)
        if (folder / VECTORS).is_dir():
            shutil.copytree(folder / VECTORS, out / VECTORS)
        recording = Recording(facts.backends, RecordedCalls(ledger))
        return run(config, emit, recorded=(ledger, recording))


def first_difference(one: Path, other: Path) -> str:
    """Compare the datasets of two runs byte for byte; "" if they are equal, else where not."""
    files = [folder / DATASET for folder in (one, other)]
    with files[0].open("rb") as first, files[1].open("rb") as second:
        for number, (a, b) in enumerate(zip_longest(first, second), 1):
            if a != b:
                return f"{files[0]} and {files[1]} differ from line {number} on"
    return ""
