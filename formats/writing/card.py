"""The dataset card: the README.md beside the dataset, with the hub's YAML header."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ... import __version__
from ...config import IN_FILES, MAY_CHANGE, RunConfig
from ...records import Scorer
from ...stores.files import replace_file
from ...stores.layout import CARD, DATASET
from ...stores.ledger import Ledger
from ...stores.queries.summary import PAIR, Summary, summarise
from .licenses import license_of, licenses_of
from .markdown import block, code, plain, table
from .sentences import judging_lines, screen_lines, stop_explained

_SIZES = (
    (1000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10**7, "1M<n<10M"),
)
_COLUMNS = {
    "alpaca": "`instruction`, `input`, `output`; `system` and `history` (the turns before) where "
    "there are any",
    "messages": "`messages`, each with `role` and `content`",
    "sharegpt": "`conversations`, each turn with `from` and `value`",
    "prompt-completion": "`prompt` and `completion`; `system` and `history` (the turns before) "
    "where there are any",
    "trl": "`id`, `prompt` and `completion` (lists of messages), as TRL reads them",
    "axolotl": "`id` and `messages`, as Axolotl reads them",
    "llama-factory": "`id` and `conversations`, as LLaMA-Factory reads them",
}
_TRAINERS = ("trl", "axolotl", "llama-factory")
_SCORERS: Mapping[str, str] = {
    Scorer.SIGNALS: "by cheap signals of its text",
    Scorer.PRECOMPUTED: "by precomputed scores",
}
_BASELINES = (
    ("seeds", "all seeds"),
    ("random", "random seeds, same size"),
    ("variance", "seeds by the paper's row variance, same size"),
    ("dataset", "this dataset"),
)


@dataclass(frozen=True, slots=True)
class Contents:
    """What the card describes: files and rows by split, the format, licences as they were given."""

    files: Mapping[str, str] = field(default_factory=lambda: {"train": DATASET})
    rows: Mapping[str, int] = field(default_factory=dict)
    format: str = "alpaca"
    licenses: tuple[str, ...] = ()


_SPOKEN = 0.02  # share of the rows from which a language is named


def write_card(ledger: Ledger, folder: Path, stop: str) -> Path:
    """Write the card of a run's dataset."""
    path = folder / CARD
    licenses = tuple(ledger.facts.read().setting("license", ()))
    replace_file(path, card(ledger, stop, Contents(licenses=licenses)))
    return path


def card(ledger: Ledger, stop: str, contents: Contents) -> str:
    """Return the card: where the rows came from, how they were chosen, how to reproduce it."""
    s = replace(summarise(ledger), stop=stop)
    settings = ledger.facts.read().settings or {}
    sections = (
        f"# {s.rows:,} instruction rows",
        _made(ledger, s, settings),
        _splits(contents),
        "## Where the rows come from",
        _sources(ledger, contents),
        _origins(ledger, s, settings),
        "## How they were chosen",
        _chosen(ledger, s, settings),
        _checks(s, settings),
        "## Columns",
        _columns(contents),
        "## Limits",
        _limits(contents),
        "## How to reproduce it",
        _again(ledger, settings),
    )
    header = _header(ledger, s, settings, contents)
    return f"---\n{header}---\n\n" + "\n\n".join(part for part in sections if part) + "\n"


def _header(ledger: Ledger, s: Summary, settings: Mapping[str, Any], contents: Contents) -> str:
    import yaml

    files: Any = [{"split": split, "path": path} for split, path in contents.files.items()]
    header: dict[str, Any] = {
        "configs": [{"config_name": "default", "data_files": files}],
        **licenses_of(contents.licenses),
        "size_categories": [next(label for limit, label in _SIZES if s.rows < limit)],
        "tags": ["instruction-tuning", "lift-agent"],
        "task_categories": ["text-generation"],
    }
    if s.generated_chosen:
        header["tags"].append("synthetic")
    if languages := _languages(s):
        header["language"] = languages
    return str(yaml.safe_dump(header, sort_keys=False, allow_unicode=True))


def _languages(s: Summary) -> list[str]:
    """The languages of the dataset, without those of a few rows, which may be told wrongly."""
    found = s.screen.get("chosen", {})
    return sorted(
        name for name, rows in found.items() if len(name) == 2 and rows >= _SPOKEN * s.rows
    )


def _made(ledger: Ledger, s: Summary, settings: Mapping[str, Any]) -> str:
    models = ", ".join(code(name) for name in ledger.calls.models()) or "none"
    return (
        f"Made by lift-agent {__version__} (recipe {code(settings.get('recipe', 'lift'))}, "
        f"models: {models}, embedder {code(settings.get('embedder', ''))}).\n"
        f"It stopped with {code(s.stop)}: {stop_explained(s.stop)} "
        f"({s.rows:,} of {s.target:,} rows)."
    )


def _splits(contents: Contents) -> str:
    if "test" not in contents.files:
        return ""
    sizes = " and ".join(f"{code(name)} {rows:,} rows" for name, rows in contents.rows.items())
    return f"{sizes}. No row of one has a near-duplicate in the other: similar rows stay together."


def _sources(ledger: Ledger, contents: Contents) -> str:
    rows = [
        (
            code(_short(path)),
            f"{usable:,}",
            f"{rejected:,}",
            plain(license_of(path, contents.licenses) or "not given"),
        )
        for path, _, usable, rejected in ledger.sources.all()
    ]
    return table(("source", "usable rows", "quarantined", "licence"), rows)


def _origins(ledger: Ledger, s: Summary, settings: Mapping[str, Any]) -> str:
    made = f"{s.generated_chosen:,} rows were generated"
    if settings.get("recipe") == "lift":
        made += ", each by fusing or deepening its parent rows, or by regenerating a response"
    return f"{s.seeds_chosen:,} rows are from these files, {made}."


def _chosen(ledger: Ledger, s: Summary, settings: Mapping[str, Any]) -> str:
    judge = ledger.facts.read().judge
    by = _SCORERS.get(
        judge, f"by {code(judge or 'no judge')} with the rubric of LIFT (arXiv 2312.11508)"
    )
    chosen = (
        "the highest scores were chosen among the rows of high variance"
        if settings.get("recipe") == "paper"
        else "the dataset was chosen by quality and diversity together"
    )
    judging = [*judging_lines(s.judging), *s.judging.get("notes", ())]
    parts = [
        f"Of {s.read:,} rows read, {s.seed_near_duplicates:,} near-duplicates were removed; "
        f"{s.tasks:,} tasks\nwere tried, {s.written:,} rows written, {s.generated_accepted:,} "
        f"accepted after the same checks.\n{_compared(s)}Every remaining row was scored {by}; "
        f"{chosen}.",
        "\n".join(f"- {plain(line[0].upper() + line[1:])}." for line in judging),
        _coverage(s),
    ]
    return "\n\n".join(part for part in parts if part)


def _short(source: str) -> str:
    """The name of a file without its folder; what is no file has one that says what it is."""
    return source if ":" in source else Path(source).name


def _compared(s: Summary) -> str:
    """What the rows were compared with to see what they lack."""
    if not s.subspaces:
        return ""
    if s.toward:
        return f"Gaps were found with {s.toward:,} prompts that are not in the dataset.\n"
    if s.plausible:
        return f"Gaps were found with {s.plausible:,} probes that the model wrote.\n"
    return "Gaps were found with the rows alone.\n"


def _coverage(s: Summary) -> str:
    rows = [
        (
            *(label, f"{m['rows']:,}", f"{m['distance']:.3f}", f"{m['cells']:.0%}"),
            *(f"{m['vendi']:.1f}", f"{m['novelsum']:.3f}", f"{m['pairs']:,}"),
        )
        for name, label in _BASELINES
        if (m := s.coverage.get(name))
    ]
    heads = ("rows", "number", "mean distance to nearest", "cells hit", "Vendi", "NovelSum")
    return table((*heads, f"pairs at cosine ≥ {PAIR}"), rows) if rows else ""


def _checks(s: Summary, settings: Mapping[str, Any]) -> str:
    """What every row had to pass. What leaked is not quoted: a card must not leak it again."""
    if not s.screen:
        return ""
    lines = screen_lines(s.screen, examples=0)
    if s.screen["benchmarks"]:
        cosine = settings["leak_cosine"]
        near = f", or an embedding at cosine {cosine:g} or above" if cosine < 1 else ""
        lines.append(f"a row leaks an item by {settings['ngram']} words in a row in common{near}")
    else:
        lines.append("benchmarks: none was compared")
    lines.append(f"personal data: --pii {settings['pii']}")
    told = (f"- {plain(line[0].upper() + line[1:])}." for line in lines)
    return "\n".join(("## What was checked", "", *told))


def _columns(contents: Contents) -> str:
    name = contents.format.partition(".")[0]
    columns = _COLUMNS.get(name, _COLUMNS["alpaca"])
    if name in _TRAINERS:
        return f"{columns}. `id` is the row's id in the run, which `lift-agent why` takes."
    return (
        f"{columns}; the other columns of the row's file as they were; and `lift`: its id (which "
        "`lift-agent why` takes), origin, round, strategy, parents, subspace, and scores with the "
        "judge's reason."
    )


def _limits(contents: Contents) -> str:
    licensed = "" if contents.licenses else " No licence was given for the sources."
    return (
        "Scores and generated rows are a model's: read some before you train on them. What holds "
        f"for the sources (their licences, their errors) holds for what is made of them.{licensed}"
    )


def _again(ledger: Ledger, settings: Mapping[str, Any]) -> str:
    """The command, without the settings that change no row, and the inputs' fingerprints."""
    prints = ledger.facts.read().fingerprints
    known = [f"{sha}  {_short(path)}" for path, sha in prints.items() if sha]
    return (
        f"With lift-agent {__version__} and these files (SHA-256):\n\n{block(known)}\n\n"
        f"{block([command(settings)])}\n\n{_tables(settings)}"
        "`run.toml` has every setting, `ledger.sqlite` every call, verdict and score: "
        "`lift-agent replay` rebuilds the dataset from it without a model, byte for byte."
    )


def _tables(settings: Mapping[str, Any]) -> str:
    """The tables of the models that have names of their own."""
    import tomlkit

    if not settings.get("llms"):
        return ""
    tables = tomlkit.dumps({"llm": settings["llms"]}).strip().splitlines()
    return f"With these tables in `lift.toml`:\n\n{block(tables)}\n\n"


def command(settings: Mapping[str, Any]) -> str:
    """The command line that makes a run with these settings: files by their names alone."""
    defaults = RunConfig().model_dump(mode="json")
    words = ["lift-agent", "run", *(_short(path) for path in settings.get("sources", ()))]
    for name, value in settings.items():
        asked = name in ("target_size", "rounds") or name not in (*MAY_CHANGE, "sources")
        if not asked or name in IN_FILES or value == defaults.get(name):
            continue
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        elif isinstance(value, dict):
            words += [f"--{flag}", ",".join(f"{key}={item}" for key, item in value.items())]
        else:
            for item in value if isinstance(value, list) else [value]:
                words += [f"--{flag}", _shown(name, item)]
    return shlex.join(words)


def _shown(name: str, value: Any) -> str:
    files = ("toward", "scores", "embeddings", "decontaminate")
    return _short(value) if name in files else str(value)
