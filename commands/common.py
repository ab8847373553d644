"""What commands share."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from ..config.libraries import quieten_libraries


def prepare_libraries() -> None:
    """Keep libraries from printing over the screen, warnings included, and from calling home."""
    warnings.filterwarnings("ignore")
    quieten_libraries()


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
