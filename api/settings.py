"""Settings that are given by name, checked as a run checks them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ..config import NO_FILE, RunConfig, resolve
from ..errors import UsageError


def settings_of(known: Collection[str], given: Mapping[str, Any]) -> RunConfig:
    """The settings, of which only the `known` ones may be given; no file is read.

    Raises:
        UsageError: one is unknown here, or wrong.
    """
    if unknown := [name for name in given if name not in known]:
        raise UsageError(f"unknown setting {unknown[0]}: {', '.join(known)} are known here")
    return resolve({"recipe": "curate", "llm": "none", **given}, NO_FILE)
