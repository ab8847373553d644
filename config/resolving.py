"""Settings from where they are given: flags over ``lift.toml`` over the defaults."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..errors import UsageError
from .paths import DEFAULT_FILE
from .settings import RunConfig
from .tables import HIDDEN, ModelTable

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # the same library, before Python 3.11


def resolve(flags: Mapping[str, Any], file: Path | None = None) -> RunConfig:
    """Merge flags (those that are not None) over a ``lift.toml`` over the defaults.

    Without `file`, ``lift.toml`` in the current folder is read if it is there.

    Raises:
        UsageError: a setting is unknown or wrong; the message names it, its value and what is
            allowed.
    """
    path = file or (DEFAULT_FILE if DEFAULT_FILE.is_file() else None)
    settings = _named_tables(_read_toml(path), path) if path else {}
    origin = dict.fromkeys(settings, str(path))
    for name, value in flags.items():
        if value is not None and value != ():
            settings[name] = value
            origin[name] = ""
    try:
        return RunConfig(**settings)
    except ValidationError as error:
        raise UsageError(_explain(error, origin)) from None


def _named_tables(settings: dict[str, Any], path: Path) -> dict[str, Any]:
    """Read ``[llm.NAME]`` as tables, and ``use`` in ``[llm]`` as the model of all agents."""
    tables = settings.get("llm")
    if "llms" in settings:
        raise UsageError(f"{path}: write [llm.NAME], not llms")
    if not isinstance(tables, dict):
        return settings
    named = {name: table for name, table in tables.items() if isinstance(table, dict)}
    alone = {name: value for name, value in tables.items() if name not in named}
    settings = {**settings, "llms": named, "llm": alone.pop("use", None)}
    if alone:
        raise UsageError(
            f"{path}: [llm] has a key {next(iter(alone))}: there is only use, the model of all "
            "agents; a model's own keys are in [llm.NAME]"
        )
    if settings["llm"] is None:
        del settings["llm"]
    return settings


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        settings: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        return settings
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from None


def _explain(error: ValidationError, origin: Mapping[str, str]) -> str:
    """One line for the first thing that is wrong: the setting, its value, what is allowed."""
    first = error.errors()[0]
    if not first["loc"]:
        return str(first["msg"]).removeprefix("Value error, ")
    name = str(first["loc"][0])
    if name == "llms" and len(first["loc"]) > 1:
        return _explain_table(first, origin.get(name, ""))
    where = f"{origin[name]}: " if origin.get(name) else ""
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(name, RunConfig.model_fields, n=1)
        hint = f" (did you mean {near[0]}?)" if near else " (lift-agent config lists them)"
        return f"{where}unknown setting {name}{hint}"
    allowed = str(first["msg"]).removeprefix("Input ").replace("'", "")
    return f"{where}{name} = {first['input']}: {allowed}"


def _explain_table(first: Any, where: str) -> str:
    """What is wrong with a ``[llm.NAME]`` table: where, its key, what is allowed."""
    _, name, *keys = map(str, first["loc"])
    place, key = f"{f'{where}: ' if where else ''}[llm.{name}]", ".".join(keys)
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(key, ModelTable.model_fields, n=1)
        known = ", ".join(ModelTable.model_fields)
        hint = f"did you mean {near[0]}?" if near else f"known are {known}"
        return f"{place}: unknown key {key} ({hint})"
    if first["type"] == "missing":
        return f'{place}: {key} is missing, for example {key} = "openai:gpt-4o-mini"'
    allowed = str(first["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    given = "" if not keys or keys[0] in HIDDEN else f" = {first['input']}"
    return f"{place}: {key}{given}: {allowed.replace(chr(39), '')}"
