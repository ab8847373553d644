"""The chat models that the settings of a run name, and what the run must know of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..config import EMBEDDED, RunConfig
from ..errors import RunFolderError, UsageError
from ..llms.backend import Backend
from ..llms.ports import ModelBackend
from ..llms.providers import open_backend


def open_named(name: str, config: RunConfig) -> Backend:
    """Open the chat model that the settings call `name`.

    Raises:
        UsageError, ModelError: it cannot be opened.
    """
    backend = open_backend(
        name,
        config.base_url,
        timeout=config.timeout,
        prices=config.prices,
        tables=config.llms,
    )
    backend.compact = config.compact(backend.small)
    return backend


def is_embedded(backend: ModelBackend) -> bool:
    """Whether the model runs inside of this process, or is a script: opening it is trying it."""
    return backend.name.partition(":")[0] in EMBEDDED


def check_price(backend: ModelBackend, config: RunConfig) -> None:
    """Refuse a cap on money where the price of a model is unknown.

    Raises:
        UsageError: it is.
    """
    if config.budget_usd is not None and not backend.priced:
        raise UsageError(
            f"budget_usd needs the price of {backend.name}, which is unknown: give it as --prices "
            f'"{backend.name}=INPUT,OUTPUT", in USD per million tokens (0,0 if it costs nothing)'
        )


def keep_identity(backend: ModelBackend, before: Mapping[str, Any] | None) -> None:
    """Let a model keep the identity that it had in this run: its address may have changed.

    Raises:
        RunFolderError: it is another model, by its weights or its script.
    """
    if before and before["identity"] != backend.identity:
        if is_embedded(backend):
            raise RunFolderError(
                f"{backend.name} is not the model that this run began with (its file has "
                "changed): restore it, or use another folder with --out"
            )
        backend.identity = before["identity"]
