"""The run folder: who works in it, what state it is in, how it is cleared."""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from ..errors import RunFolderError
from .layout import (
    CARD,
    DATASET,
    HOLDER,
    LEDGER,
    LOCK,
    QUARANTINE,
    REPORT,
    SETTINGS,
    SOURCES,
    VECTORS,
)
from .ledger import Ledger
from .queries.summary import RESUMABLE, Summary, summarise
from .vectors import remove_vectors

logger = logging.getLogger(__name__)

State = Literal["running", "finished", "stopped", "unfinished"]


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that works, or last worked, in a run folder."""

    pid: int
    host: str
    started: float

    def __str__(self) -> str:
        where = "" if self.host == socket.gethostname() else f" on {self.host}"
        return f"process {self.pid}{where}"


@dataclass(frozen=True, slots=True)
class RunEntry:
    """A run as it is listed: `state` is stopped for a run that can be resumed."""

    folder: Path
    state: State
    holder: Holder | None
    summary: Summary
    changed: float


@contextmanager
def held(folder: Path) -> Iterator[Holder | None]:
    """Make the run folder and hold its lock: one process a run.

    Yields the process that held it before and ended without letting go, if there is one: the
    lock itself ends with its process, so that a stale one never has to be removed.

    Raises:
        RunFolderError: another process holds it, or the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunFolderError(f"cannot make the run folder {folder}: {error.strerror}") from None
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise RunFolderError(
            f"{_holder(folder) or 'another process'} is working in {folder}: wait for it, or "
            "name another folder with --out"
        ) from None
    except OSError as error:
        raise RunFolderError(f"cannot write in {folder}: {error.strerror}") from None
    try:
        before = _holder(folder)
        me = Holder(os.getpid(), socket.gethostname(), time.time())
        try:
            (folder / HOLDER).write_text(json.dumps(asdict(me)), encoding="utf-8")
        except OSError as error:
            raise RunFolderError(f"cannot write in {folder}: {error.strerror}") from None
        try:
            yield before
        finally:
            with suppress(OSError):
                (folder / HOLDER).unlink()
    finally:
        lock.release()


def _holder(folder: Path) -> Holder | None:
    try:
        return Holder(**json.loads((folder / HOLDER).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def is_held(folder: Path) -> bool:
    """Whether a process works in the folder at this moment."""
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        with lock:
            return False
    except Timeout:
        return True
    except OSError:  # not ours to write in
        return False


def state_of(folder: Path, ledger: Ledger) -> State:
    """What a run is doing, or how it ended."""
    if is_held(folder):
        return "running"
    stop = ledger.facts.read().stop
    return "unfinished" if not stop else "stopped" if stop in RESUMABLE else "finished"


@contextmanager
def opened_ledger(folder: Path) -> Iterator[Ledger]:
    """Open the ledger of the run in a folder.

    Raises:
        RunFolderError: there is no run in it.
    """
    if not (folder / LEDGER).is_file():
        raise RunFolderError(f"{folder} is not the folder of a run: it has no {LEDGER}")
    with closing(Ledger(folder / LEDGER)) as ledger:
        yield ledger


def clear(folder: Path) -> None:
    """Remove a run's own files from its folder; without a run in it, nothing is its own."""
    if not (folder / LEDGER).is_file():
        return
    remove_vectors(folder / VECTORS)
    shutil.rmtree(folder / SOURCES, ignore_errors=True)
    files = (DATASET, QUARANTINE, CARD, SETTINGS, REPORT)
    for name in (LEDGER, f"{LEDGER}-wal", f"{LEDGER}-shm", *files):
        (folder / name).unlink(missing_ok=True)


def runs_under(folder: Path, depth: int = 3) -> Iterator[RunEntry]:
    """Find the runs in a folder and, to a depth, in those below it; unreadable ones are logged.

    Raises:
        RunFolderError: there is no such folder.
    """
    if not folder.is_dir():
        raise RunFolderError(f"{folder} is not a folder")
    if (folder / LEDGER).is_file():
        try:
            yield _entry(folder)
        except RunFolderError as error:
            logger.error(error)
    elif depth:
        with suppress(PermissionError):
            for child in sorted(folder.iterdir()):
                if child.is_dir() and not child.name.startswith(".") and not child.is_symlink():
                    yield from runs_under(child, depth - 1)


def _entry(folder: Path) -> RunEntry:
    with opened_ledger(folder) as ledger:
        summary = summarise(ledger)
        state = state_of(folder, ledger)
    files = [folder / LEDGER, folder / f"{LEDGER}-wal"]
    return RunEntry(
        folder,
        state,
        _holder(folder),
        summary,
        max(file.stat().st_mtime for file in files if file.exists()),
    )
