"""Writes the dataset of a run in the form that somebody else reads, and hands it over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ..config import RunConfig
from ..embedders import LazyEmbedder
from ..errors import RunFolderError, UsageError
from ..formats.writing.card import Contents, card
from ..formats.writing.formats import Format, format_called
from ..formats.writing.outputs import ending_of, write_records
from ..formats.writing.push import push, repository
from ..formats.writing.shapes import Record, whole
from ..formats.writing.trainers import Data, Trainer, record_for, uses_tools
from ..formats.writing.writers import stories
from ..geometry.splits import held_out, near_groups
from ..records import Row, Score
from ..stores.files import replace_file
from ..stores.folder import is_held, opened_ledger
from ..stores.layout import CARD, VECTORS
from ..stores.ledger import Ledger
from ..stores.vectors import VectorStore
from .settings import settings_of

TRAIN, TEST = "train", "test"


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked of an export beside its format and place."""

    test_share: float = 0.0
    licenses: tuple[str, ...] = ()
    defuse: bool = True
    push: str = ""
    public: bool = False
    force: bool = False


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written: the data files with their rows, the other files, the hub's address.

    `name` is what the trainer's configuration calls the dataset.
    """

    rows: dict[Path, int]
    others: tuple[Path, ...] = ()
    url: str = ""
    trainer: str = ""
    name: str = ""


class _Records:
    """The records of the dataset's rows, or of some, read from the ledger with each iteration."""

    def __init__(
        self, ledger: Ledger, make: Callable[[Row, Score], Record], only: frozenset[str] | None
    ) -> None:
        self._ledger, self._make, self._only = ledger, make, only

    def __iter__(self) -> Iterator[Record]:
        for row, score in self._ledger.dataset.scored_rows():
            if self._only is None or row.id in self._only:
                yield self._make(row, score)


def export(folder: Path, format: str, to: Path | None, options: Options) -> Exported:
    """Write the dataset of the run in `folder` to `to`, and push it if that is asked for.

    A place whose name ends like a container is one file; any other is a folder, which gets the
    data, the dataset card, and the configuration of the trainer.

    Raises:
        UsageError: the format, the place and the options do not go together.
        RunFolderError: there is no dataset in the folder.
        HubError: the hub refused it.
    """
    wanted = format_called(format)
    repo = repository(options.push) if options.push else ""
    _check(wanted, to, options)
    if is_held(folder):
        raise RunFolderError(f"a process is working in {folder}: wait until it has ended")
    with opened_ledger(folder) as ledger, _place(to) as place:
        if not ledger.dataset.ids():
            raise RunFolderError(f"the run in {folder} has no dataset yet: resume it first")
        if wanted.write or ending_of(place)[0]:
            return _write_one(ledger, wanted, place, options)
        written = _write_folder(ledger, folder, wanted, place, options)
        if not repo:
            return written
        files = [*written.rows, *written.others]
        url = push(files, repo, private=not options.public, replace=options.force)
        if to:
            return replace(written, url=url)
        return Exported({Path(file.name): n for file, n in written.rows.items()}, url=url)


def _check(format: Format, to: Path | None, options: Options) -> None:
    """Refuse what cannot go together before anything is opened."""
    one_file = to is not None and (format.write or ending_of(to)[0])
    if to is None and (format.write or not options.push):
        raise UsageError("say where to write the dataset with --to")
    if one_file and options.test_share:
        raise UsageError(f"{to} is one file, but a split makes two: name a folder with --to")
    if one_file and options.push:
        raise UsageError(f"{to} is one file, but a dataset is pushed with its card: name a folder")
    if one_file and format.trainer:
        raise UsageError(
            f"{to} is one file, but {format.name} needs its configuration beside the data: "
            "name a folder with --to"
        )
    if one_file and to and not _agree(ending_of(to), ending_of(Path(f"x{format.ending}"))):
        raise UsageError(f"the format {format.name} and the name {to} do not go together")
    if not 0 <= options.test_share < 1:
        raise UsageError(f"test_share = {options.test_share}: should be from 0 to less than 1")


def _agree(named: tuple[str, str], asked: tuple[str, str]) -> bool:
    """Whether a file's container and compression are those of the format, as far as it says."""
    return all(said in ("", found) for found, said in zip(named, asked, strict=True))


@contextmanager
def _place(to: Path | None) -> Iterator[Path]:
    if to is not None:
        yield to
        return
    with TemporaryDirectory() as folder:
        yield Path(folder)


def _write_one(ledger: Ledger, format: Format, path: Path, options: Options) -> Exported:
    path.parent.mkdir(parents=True, exist_ok=True)
    records = _Records(ledger, _maker(ledger, format), None)
    if format.write:
        format.write(records, path)
    else:
        write_records(records, path, defuse=options.defuse)
    return Exported({path: len(ledger.dataset.ids())})


def _write_folder(
    ledger: Ledger, folder: Path, format: Format, place: Path, options: Options
) -> Exported:
    settings, trainer = settings_of(folder), format.trainer
    splits = _splits(ledger, folder, settings, options.test_share)
    tools = bool(trainer) and any(uses_tools(row) for row, _ in ledger.dataset.scored_rows())
    make = _for_trainer(trainer, tools) if trainer else _maker(ledger, format)
    every = _Records(ledger, make, None)
    ending = format.ending or (".jsonl" if _uniform(every) and not tools else ".parquet")
    names = {split: f"{split}{ending}" for split in splits}
    place.mkdir(parents=True, exist_ok=True)
    for split, ids in splits.items():
        records = _Records(ledger, make, ids)
        write_records(records, place / names[split], like=every, defuse=options.defuse)
    sizes = {
        split: len(ledger.dataset.ids() if ids is None else ids) for split, ids in splits.items()
    }
    others, name = [], _dataset_name(folder, place)
    if trainer:
        data = Data(name, names, ending_of(Path(names[TRAIN]))[0], tools)
        others.append(place / trainer.file)
        replace_file(others[-1], trainer.configuration(data))
    others.append(place / CARD)
    contents = Contents(names, sizes, format.name, options.licenses or settings.license)
    replace_file(others[-1], card(ledger, ledger.facts.read().stop or "", contents))
    rows = {place / names[split]: size for split, size in sizes.items()}
    return Exported(rows, tuple(others), trainer=trainer.name if trainer else "", name=name)


def _uniform(records: Iterable[Record]) -> bool:
    """Whether all have the same columns: loaders take those of JSON Lines from the first rows."""
    return len({frozenset(record) for record in records}) <= 1


def _maker(ledger: Ledger, format: Format) -> Callable[[Row, Score], Record]:
    story = stories(ledger)
    return lambda row, score: whole(row, format.shape, story(row, score))


def _for_trainer(trainer: Trainer, tools: bool) -> Callable[[Row, Score], Record]:
    return lambda row, score: record_for(trainer, row, tools=tools)


def _dataset_name(folder: Path, place: Path) -> str:
    """A name for the dataset that every trainer's configuration takes."""
    name = place.resolve().name if place.name else folder.resolve().name
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in name)


def _splits(
    ledger: Ledger, folder: Path, settings: RunConfig, share: float
) -> Mapping[str, frozenset[str] | None]:
    """The ids of the rows of each split; None stands for all rows."""
    if not share:
        return {TRAIN: None}
    ids = ledger.dataset.ids()
    vectors = _vectors(ledger, folder, settings, ids)
    size = max(1, round(share * len(ids)))
    out = held_out(near_groups(vectors, settings.candidate_cosine), size, settings.seed)
    if not 0 < out.sum() < len(ids):
        raise UsageError(
            f"no {size} of the {len(ids)} rows can be held out: too many are similar "
            f"(cosine {settings.candidate_cosine:g} or above), and those stay together"
        )
    return {
        TRAIN: frozenset(id for id, test in zip(ids, out, strict=True) if not test),
        TEST: frozenset(id for id, test in zip(ids, out, strict=True) if test),
    }


def _vectors(ledger: Ledger, folder: Path, settings: RunConfig, ids: Sequence[str]) -> np.ndarray:
    """The vectors of rows, made again where the run's store has lost them."""
    try:
        store = VectorStore(folder / VECTORS)
        lost = store.missing(ids)
    except Exception as error:  # Chroma's own errors have no common base
        raise RunFolderError(
            f"the vectors in {folder / VECTORS} cannot be read ({type(error).__name__}): remove "
            "that folder, and they are rebuilt"
        ) from None
    with closing(store):
        if lost:
            rows = ledger.rows.by_id(lost)
            embedder = LazyEmbedder(settings.embedder, **settings.embedding)
            store.put(lost, embedder.embed([rows[id].text for id in lost]))
        return store.get(ids)
