"""What can be known to be wrong with a run before anything is opened."""

from __future__ import annotations

from pathlib import Path

from ..agents.language import known_languages
from ..config import RunConfig
from ..errors import UsageError
from ..formats.reading.precomputed import load_embeddings, load_scores
from ..formats.reading.sources import File, check_distinct, files_of
from ..llms.names import check_name


def check_settings(config: RunConfig) -> None:
    """Refuse settings with which no run can be made.

    Raises:
        UsageError: no source, an unknown model or language, or a precomputed file that cannot be
            used.
    """
    if not config.sources:
        raise UsageError("name at least one file of instruction data")
    for name in config.models:
        check_name(name, config.llms)
    if unknown := config.languages.keys() - (known_languages() if config.languages else ()):
        raise UsageError(f"languages: {', '.join(sorted(unknown))} cannot be detected")
    if config.scores:
        load_scores(config.scores)
    if config.embeddings:
        load_embeddings(config.embeddings)


def check_sources(config: RunConfig, run: Path | None = None) -> tuple[list[File], ...]:
    """Refuse sources that are not there, or are named twice; `run` is the folder that keeps some.

    A benchmark may be both what to go toward and what no row may leak, but never a source.

    Returns the files to read, those of `toward` and those of `decontaminate`.
    """
    named = (config.sources, config.toward, config.decontaminate)
    found = tuple(files_of(sources, run) for sources in named)
    for others in found[1:]:
        check_distinct([*found[0], *others])
    return found
