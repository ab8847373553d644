"""Keys and headers from the environment: how they are found, named and kept out of sight."""

from __future__ import annotations

import os

from ..config.tables import ModelTable
from ..errors import ModelError
from ..redaction import remember


def key_of(table: ModelTable) -> str | None:
    """The key in the environment variable that a table names, None if it names none.

    Raises:
        ModelError: the variable is not set.
    """
    return _variable(table.key_variable, table.model) if table.key_variable else None


def headers_of(table: ModelTable) -> dict[str, str]:
    """The headers of a table, with their values from the environment.

    Raises:
        ModelError: a variable is not set.
    """
    return {name: _variable(variable, table.model) for name, variable in table.headers.items()}


def _variable(name: str, model: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise ModelError(f"{model} needs the environment variable {name}, which is not set")
    remember(value)
    return value


def key_hints(*variables: str) -> dict[int, str]:
    """What to do where a server refuses the key (HTTP 401)."""
    return {401: f"set {' or '.join(variables)} to a key of this server"} if variables else {}
