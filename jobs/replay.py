"""Runs a run again from its ledger: no model, no network, the same dataset byte for byte."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from ..errors import (
    BudgetReached,
    ModelError,
    RunFolderError,
    TooManyErrors,
    UsageError,
)
from ..graph.progress import Progress
from ..records import Call
from ..stores.folder import is_held, opened_ledger
from ..stores.layout import DATASET, VECTORS
from ..stores.ledger import Ledger
from ..stores.queries.summary import Summary
from .opening import Recording
from .run import run, settings_of

_STOPS = {"budget": BudgetReached, "errors": TooManyErrors}


@dataclass(frozen=True, slots=True)
class RecordedCalls:
    """The calls of a run by key; where it asked no further, so does its replay."""

    ledger: Ledger

    def get(self, key: str) -> Call:
        """The call with this key, failed ones included.

        Raises:
            RunStopped: the recorded run stopped before this call, for the same reason.
            ModelError: it did not stop early, and yet made no such call.
        """
        call = self.ledger.calls.call(key)
        if call is not None:
            return call
        if stopped := _STOPS.get(self.ledger.facts.read().stop or ""):
            raise stopped("the recorded run stopped here")
        raise ModelError(
            f"the ledger {self.ledger.path} has no call {key}: it was made by another version of "
            "lift-agent, or changed since"
        )

    def put(self, call: Call) -> None:
        """Nothing is answered anew in a replay."""
        raise NotImplementedError


def replay(folder: Path, out: Path, progress: Progress) -> Summary:
    """Run what is recorded in `folder` again, in `out`.

    Raises:
        RunFolderError: `folder` holds no run that can be replayed, or `out` holds something.
        ModelError: an answer is missing.
    """
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
        return run(config, progress, recorded=(ledger, recording))


def first_difference(one: Path, other: Path) -> str:
    """Compare the datasets of two runs byte for byte; "" if they are equal, else where not."""
    files = [folder / DATASET for folder in (one, other)]
    with files[0].open("rb") as first, files[1].open("rb") as second:
        for number, (a, b) in enumerate(zip_longest(first, second), 1):
            if a != b:
                return f"{files[0]} and {files[1]} differ from line {number} on"
    return ""
