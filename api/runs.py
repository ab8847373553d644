"""Runs from Python: the loop with its settings by name, and what a run folder holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

from ..config import NO_FILE, RunConfig, resolve
from ..config.libraries import quieten_libraries
from ..errors import UsageError
from ..formats.reading.sources import spool_records
from ..jobs.preflight import check_settings
from ..jobs.run import arun as arun_job
from ..jobs.run import run as run_job
from ..records.events import Emit, Event
from ..stores.folder import opened_ledger
from ..stores.layout import DATASET
from ..stores.queries.calls import CallFilter, CallLine, listed
from ..stores.queries.summary import Summary, summarise
from .records import records_of

Progress = bool | Callable[[Event], None]


class Run:
    """A run folder: the dataset, its figures, and the story of each row.

    Attributes:
        folder: of the run; `lift-agent resume` and the other commands take it, too.
    """

    def __init__(self, folder: str | Path) -> None:
        """Open the run in a folder.

        Raises:
            RunFolderError: there is no run in it.
        """
        self.folder = Path(folder)
        with opened_ledger(self.folder):
            pass

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """The rows of the dataset as dicts, as they stand in `dataset.jsonl`; `lift` says where
        each comes from and what it scored.
        """
        path = self.folder / DATASET
        if not path.is_file():
            return []
        with path.open(encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]

    @cached_property
    def summary(self) -> Summary:
        """The run's figures: rows read, removed, written and accepted, coverage, costs, and the
        reason for which it stopped.
        """
        with opened_ledger(self.folder) as ledger:
            return summarise(ledger)

    def why(self, row: str | Mapping[str, Any]) -> Story:
        """The story of a row, kept or dropped: where it comes from, what was asked and found, and
        why it is in the dataset or not. Printed, it is what `lift-agent why` shows.

        Args:
            row: one of `rows`, an id or its beginning, or a text that only this row holds.

        Raises:
            UsageError: there is no such row, or there are several.
        """
        from ..views.story import find_one, story_of
        from ..views.why import nearest_in

        wanted = row if isinstance(row, str) else _id_of(row)
        with opened_ledger(self.folder) as ledger:
            return Story(story_of(ledger, find_one(ledger, wanted), nearest_in(self.folder)))

    def trace(
        self,
        *,
        agent: str = "",
        round: int | None = None,
        status: str = "",
        text: str = "",
        limit: int | None = None,
    ) -> list[CallLine]:
        """The calls to models in the order in which they were answered.

        Args:
            agent: only those of `analyst`, `generator`, `redundancy`, `judge` or `embedder`.
            round: only those of this round; 0 is that of the seeds.
            status: only those that `failed`, were `cached`, or are about a `quarantined` row.
            text: only those with this text in what was asked or answered.
            limit: only the last so many.

        Raises:
            UsageError: there is no such status.
        """
        if status not in ("", *STATUSES):
            raise UsageError(f"status = {status}: should be {', '.join(STATUSES)}")
        wanted = CallFilter(agent, round, status, (), text)  # type: ignore[arg-type]
        with opened_ledger(self.folder) as ledger:
            return listed(ledger, wanted, "newest", -1 if limit is None else limit)

    def to_pandas(self) -> Any:
        """The dataset as a `pandas.DataFrame`; what `lift` holds is in columns `lift.…`.

        Raises:
            UsageError: pandas is not installed.
        """
        pandas = _package("pandas")
        return pandas.json_normalize(self.rows, max_level=1)

    def to_dataset(self) -> Any:
        """The dataset as a `datasets.Dataset`.

        Raises:
            UsageError: datasets is not installed.
        """
        return _package("datasets").Dataset.from_list(self.rows)

    def __len__(self) -> int:
        """Number of rows in the dataset."""
        return len(self.rows)

    def __repr__(self) -> str:
        s = self.summary
        return (
            f"Run({str(self.folder)!r}: {s.rows:,} of {s.target:,} rows, {s.stop or 'not ended'})"
        )

    def __str__(self) -> str:
        """The summary, as the command line prints it."""
        from ..views.summary import print_summary
        from ..views.text import printed

        return printed(
            lambda console: print_summary(self.summary, self.folder, self.summary.seconds, console)
        )


class Story:
    """The story of one row. `steps` are in the order in which they happened, `calls` are those to
    models; printed, it is a text.
    """

    def __init__(self, told: Any) -> None:
        self.row = told.row
        self.status = told.status
        self.steps = told.steps
        self.calls = told.calls
        self.tokens = told.tokens
        self.cost = told.cost
        self._told = told

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain values, for JSON."""
        told: dict[str, Any] = self._told.as_dict()
        return told

    def __str__(self) -> str:
        from ..views.text import printed
        from ..views.why import print_steps

        return printed(lambda console: print_steps(self._told, console))

    __repr__ = __str__


STATUSES = ("failed", "quarantined", "cached")


def run(
    sources: Any,
    *,
    target_size: int,
    out: str | Path = "lift-run",
    progress: Progress = True,
    force: bool = False,
    **settings: Any,
) -> Run:
    """Make a dataset of exactly `target_size` rows, or stop for a stated reason.

    Everything is kept in the folder `out`. If that holds an unfinished run with the same settings,
    it goes on where it stopped. It works in a notebook as well, whose event loop waits meanwhile;
    `arun` does not make it wait.

    Args:
        sources: a file, folder, glob or `hf:owner/name`, or several in a list; or rows in memory,
            as a list of dicts, a `datasets.Dataset` or a `pandas.DataFrame`.
        target_size: rows wanted.
        out: folder of the run.
        progress: True shows it (a live panel in a terminal and in a notebook), False does not; a
            function is called with each event of `lift_agent.records.events` instead, in the
            thread of the run.
        force: start again where the folder holds a run.
        settings: any other setting by its name, such as `llm`, `recipe`, `budget_usd`, `rounds`,
            `embedder` (`lift-agent config` lists them). No `lift.toml` is read; `config=PATH`
            names one.

    Returns:
        The run. `run.summary.stop` says why it stopped, `run.summary.rows` how many rows it has.

    Raises:
        UsageError: a setting or a source is wrong.
        SourceError: a source has no usable row.
        ModelError: a model cannot be used.
        RunFolderError: the folder is in use, cannot be written, or holds another run.
    """
    config = _resolved(sources, target_size, out, settings)
    with _shown(progress) as emit:
        run_job(config, emit, force=force)
    return _reported(config)


async def arun(
    sources: Any,
    *,
    target_size: int,
    out: str | Path = "lift-run",
    progress: Progress = True,
    force: bool = False,
    **settings: Any,
) -> Run:
    """Do what `run` does, in the event loop that is running: `await lift_agent.arun(...)`.

    The run shares the loop: other tasks get their turn while it waits for models. Cancel its task
    to stop it; everything that was answered is saved.

    Args:
        sources: see `run`.
        target_size: see `run`.
        out: see `run`.
        progress: see `run`.
        force: see `run`.
        settings: see `run`.

    Returns:
        The run.

    Raises:
        UsageError, SourceError, ModelError, RunFolderError: see `run`.
    """
    config = _resolved(sources, target_size, out, settings)
    with _shown(progress) as emit:
        await arun_job(config, emit, force=force)
    return _reported(config)


def _resolved(
    sources: Any, target_size: int, out: str | Path, settings: Mapping[str, Any]
) -> RunConfig:
    """The settings of a run; rows in memory become a source that its folder keeps."""
    quieten_libraries()
    given = dict(settings)
    file = given.pop("config", None)
    flags = {
        **given,
        "sources": tuple(_named(sources)),
        "target_size": target_size,
        "out": Path(out),
    }
    config = resolve(flags, NO_FILE if file is None else Path(file))
    check_settings(config)
    return config


def _named(sources: Any) -> Iterable[str]:
    if isinstance(sources, str | Path):
        return [str(sources)]
    if isinstance(sources, list | tuple) and all(isinstance(s, str | Path) for s in sources):
        return map(str, sources)
    return [spool_records(records_of(sources))]


def _shown(progress: Progress) -> AbstractContextManager[Emit]:
    if callable(progress):
        return nullcontext(progress)
    from rich.console import Console

    from ..views.progress import shown

    return shown(Console(stderr=True), quiet=not progress)


def _reported(config: RunConfig) -> Run:
    """The run, with its report written."""
    from ..views.report import write_report

    with opened_ledger(config.out) as ledger:
        write_report(ledger, config.out)
    return Run(config.out)


def _id_of(row: Mapping[str, Any]) -> str:
    story = row.get("lift")
    id = story.get("id") if isinstance(story, Mapping) else row.get("lift.id")
    if not isinstance(id, str):
        raise UsageError("the row has no id under lift: take it from run.rows, or name its id")
    return id


def _package(name: str) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError:
        raise UsageError(f"{name} is not installed: pip install {name}") from None
