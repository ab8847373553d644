"""What commands share."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import typer


def quieten_libraries() -> None:
    """Keep libraries from printing over the display, and from calling home."""
    import warnings

    warnings.filterwarnings("ignore")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ["ANONYMIZED_TELEMETRY"] = "False"


@contextmanager
def errors_shown() -> Iterator[None]:
    """Show the errors that the package logs while the body runs, as those that end a command."""
    logger, handler = logging.getLogger(__package__.partition(".")[0]), _ErrorLines()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _ErrorLines(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)

    def emit(self, record: logging.LogRecord) -> None:
        typer.echo(f"error: {record.getMessage()}", err=True)
