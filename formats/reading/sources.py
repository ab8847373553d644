"""What a SOURCE names: files, the files of a folder or a glob, and what is no file.

Standard input (`-`), datasets of the Hugging Face hub (`hf:`), what a reader plugin gives
(`NAME:rest`) and rows in memory (`memory:`) are first written to a file, so that a run can be
resumed and compared: in the run's folder, or until the process ends where there is no run.
"""

from __future__ import annotations

import atexit
import glob
import hashlib
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import SourceError, UsageError
from ...plugins import declared, plugin
from ...stores.exact_json import dumps
from ...stores.layout import LEDGER, SOURCES
from .columnar import plain
from .containers import Stream, container_of
from .hub import hub_records
from .tables import table_of

STDIN = "-"
_MEMORY = "memory"  # the prefix of rows that a caller has in memory
_DATASET = "dataset.jsonl"
_SUFFIXES = frozenset(
    [".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet", ".arrow", ".feather", ".ipc"]
)
_PACKED = (".gz", ".zst", ".xz")
_ABOUT = {"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"}
_PREFIX = re.compile(r"([A-Za-z][\w-]+):(.*)", re.DOTALL)  # one letter is a drive of Windows


class File(NamedTuple):
    """Something to read: the name under which rows remember it, and where its bytes are."""

    name: str
    path: Path

    @classmethod
    def of(cls, file: File | Path) -> File:
        """A file that is named by its path."""
        return file if isinstance(file, File) else cls(str(file), file)


def files_of(sources: Iterable[str], run: Path | None = None) -> list[File]:
    """Resolve sources into what is to be read, in order; `run` is the folder of the run.

    Raises:
        UsageError: one names nothing that can be read.
        SourceError: a hub or a plugin failed.
    """
    return [file for source in sources for file in _files(source, run)]


def check_distinct(files: Iterable[File]) -> None:
    """Refuse to read something twice.

    Raises:
        UsageError: it is named twice, perhaps also by its folder.
    """
    seen: set[Path] = set()
    for file in files:
        if (path := file.path.resolve()) in seen:
            raise UsageError(f"the same source is named twice: {file.name}")
        seen.add(path)


def place_of(name: str, run: Path) -> Path:
    """Where the bytes of a file of this name are, in a run that has read it."""
    kept = _kept(name, run)
    return kept if kept.is_file() else Path(name)


def keep(sources: Iterable[str], run: Path) -> None:
    """Put what is no file into the folder of the run, unless it is there.

    Raises:
        UsageError, SourceError: a source cannot be read.
    """
    for source in sources:
        kept = _kept(source, run)
        if _is_kept(source) and not kept.is_file():
            spooled = _spooled(source)
            kept.parent.mkdir(exist_ok=True)
            partial = kept.with_suffix(".partial")
            shutil.copyfile(spooled, partial)
            partial.replace(kept)


def spool_records(records: Iterable[Any]) -> str:
    """Make a source of records in memory, for as long as the process lives; return its name.

    A run keeps it in its folder. The name tells the content, so that a run continues only with the
    same records.
    """
    lines = [f"{dumps(plain(record))}\n".encode("utf-8", "surrogatepass") for record in records]
    name = f"{_MEMORY}:{hashlib.sha256(b''.join(lines)).hexdigest()[:16]}"
    path = _kept(name, _spools())
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"".join(lines))
    return name


def _files(source: str, run: Path | None) -> Iterator[File]:
    if _is_kept(source):
        kept = _kept(source, run) if run else None
        yield File(source, kept if kept and kept.is_file() else _spooled(source))
        return
    path = Path(source)
    if path.is_dir():
        found = _in_folder(path)
        if not found:
            raise UsageError(f"{source} is a folder without data files: name the files to read")
    elif path.exists():
        found = [path]
    elif any(mark in source for mark in "*?["):
        found = sorted(Path(name) for name in glob.glob(source, recursive=True))  # noqa: PTH207
        found = [file for file in found if file.is_file()]
        if not found:
            raise UsageError(f"there is no file {source}: nothing matches it")
    else:
        prefix = _PREFIX.fullmatch(source)
        or_plugin = f", and no reader plugin {prefix[1]}" if prefix else ""
        raise UsageError(f"there is no file {source}{or_plugin}")
    for file in found:
        yield File(str(file), file)


def _in_folder(folder: Path) -> list[Path]:
    """The data files in a folder and below it, sorted; of a run's folder its dataset."""
    if (folder / LEDGER).is_file():
        return [folder / _DATASET] if (folder / _DATASET).is_file() else []
    found: list[Path] = []
    for child in sorted(folder.iterdir()):
        if child.name.startswith((".", "_")) or child.name in _ABOUT:
            continue
        if child.is_dir() and not child.is_symlink():  # a link may lead back
            found += [] if (child / LEDGER).is_file() else _in_folder(child)
        elif child.is_file() and _holds_data(child):
            found.append(child)
    return found


def _holds_data(path: Path) -> bool:
    name = path.name.lower()
    for packed in _PACKED:
        name = name.removesuffix(packed)
    if Path(name).suffix in _SUFFIXES:
        return True
    with closing(Stream(path)) as stream:
        if container_of(stream) != "text":
            return True
        return stream.peek(1) in (b"{", b"[") or table_of(stream) is not None


def _is_kept(source: str) -> bool:
    """Whether a source is no file, and so is kept as one."""
    if source == STDIN:
        return True
    match = _PREFIX.fullmatch(source)
    return match is not None and (match[1] in ("hf", _MEMORY) or match[1] in declared("readers"))


def _kept(source: str, run: Path) -> Path:
    readable = re.sub(r"[^\w.-]+", "-", source).strip("-") or "stdin"
    digest = hashlib.sha256(source.encode()).hexdigest()[:8]
    return run / SOURCES / f"{readable[:64]}-{digest}.data"


@cache
def _spools() -> Path:
    """A folder for what is no file, for as long as the process lives."""
    folder = Path(tempfile.mkdtemp(prefix="lift-agent-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def _spooled(source: str) -> Path:
    path = _kept(source, _spools())
    if source.startswith(f"{_MEMORY}:"):
        if not path.is_file():
            raise UsageError(
                f"{source} are rows that another process had in memory: pass them again"
            )
        return path
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as file:
        if source == STDIN:
            if sys.stdin is None or sys.stdin.isatty():
                raise UsageError("- reads standard input, but nothing is piped into it")
            shutil.copyfileobj(sys.stdin.buffer, file)
        else:
            for record in _records(source):
                file.write(f"{dumps(plain(record))}\n".encode("utf-8", "surrogatepass"))
    return path


def _records(source: str) -> Iterator[Any]:
    """The records of the hub or of a plugin.

    Raises:
        UsageError, SourceError: they cannot be read.
    """
    name, _, rest = source.partition(":")
    read = plugin("readers", name) or hub_records
    try:
        yield from read(rest)
    except (UsageError, SourceError):
        raise
    except Exception as error:  # whatever the plugin or the hub's library does
        cause = (str(error) or type(error).__name__).splitlines()[0]
        raise SourceError(f"{source} cannot be read ({type(error).__name__}: {cause})") from None
