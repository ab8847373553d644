"""The settings of a run, as its folder keeps them; whether others may take their place."""

from __future__ import annotations

import json
import platform
import uuid
from collections.abc import Mapping
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from .. import __version__
from ..config import MAY_CHANGE, RunConfig, setting_shown
from ..config.tables import decisive
from ..errors import RunFolderError, UsageError
from ..formats.reading.readers import fingerprint
from ..formats.reading.sources import keep, place_of
from ..formats.writing.writers import write_settings
from ..records.events import Emit, SettingChanged
from ..redaction import redacted_value, without_credentials
from ..stores.folder import opened_ledger
from ..stores.ledger import Ledger
from ..stores.queries.summary import RESUMABLE
from .preflight import check_sources

_ADDRESSES = ("base_url", "embedder_base_url")
_VERSIONS = ("langgraph", "langchain-core", "chromadb", "sentence-transformers", "numpy")

Settings = dict[str, Any]


def settings_of(folder: Path) -> RunConfig:
    """The settings with which the run in a folder was last started.

    Raises:
        RunFolderError: there is no run in the folder.
    """
    with opened_ledger(folder) as ledger:
        settings = ledger.facts.read().settings
    if settings is None:
        raise RunFolderError(f"the run in {folder} never started: start it with run")
    try:
        return RunConfig(**settings, out=folder)
    except ValidationError:
        raise RunFolderError(
            f"the run in {folder} has settings of another version of lift-agent"
        ) from None


def settle_settings(config: RunConfig, ledger: Ledger, emit: Emit) -> None:
    """Record the settings of a new run; compare those of one that is continued.

    Raises:
        UsageError: the run in the folder is finished, or was begun otherwise.
    """
    settings, fingerprints = _recorded(config), _fingerprints(config, ledger)
    facts = ledger.facts.read()
    if facts.settings is not None:
        before = {**_defaults(), **facts.settings}
        _go_on(config, ledger, before, settings, fingerprints, emit)
    ledger.facts.update(
        run_id=facts.run_id or uuid.uuid4().hex,
        settings=settings,
        fingerprints=fingerprints,
        target=config.target_size,
    )
    versions = {name: version(name) for name in _VERSIONS}
    about = {"lift_agent": __version__, "python": platform.python_version(), **versions}
    write_settings(config.out, {"run": settings, "sha256": fingerprints, "versions": about})


def _recorded(config: RunConfig) -> Settings:
    """The settings as a run keeps them, with no secret in them."""
    settings: Settings = json.loads(config.model_dump_json(exclude={"out"}))
    for address in _ADDRESSES:
        if settings[address]:
            settings[address] = without_credentials(settings[address])
    settings["llms"] = _used_tables(config)
    redacted: Settings = redacted_value(settings)
    return redacted


def _used_tables(config: RunConfig) -> dict[str, Settings]:
    """The tables of the models that the run asks, with no secret in them."""
    used = {name: config.table(name) for name in config.models}
    written = {name: table.model_dump(mode="json") for name, table in used.items() if table}
    for table in written.values():
        if "base_url" in table:
            table["base_url"] = without_credentials(table["base_url"])
    return written


def _defaults() -> Settings:
    """The settings that may be newer than a run, as it would have had them."""
    defaults: Settings = json.loads(RunConfig().model_dump_json(exclude={"out"}))
    return defaults


def _fingerprints(config: RunConfig, ledger: Ledger) -> Mapping[str, str]:
    """The fingerprints of the sources as they are now; a new run keeps those that are no files."""
    facts = ledger.facts.read()
    known = facts.fingerprints
    if not ledger.sources.all():
        keep((*config.sources, *config.toward, *config.decontaminate), config.out)
        files = chain(*check_sources(config, config.out))
        return {file.name: fingerprint(file.path) for file in files}
    if facts.replay_of:
        return known
    places = {name: place_of(name, config.out) for name in known}
    return {
        name: fingerprint(path) if path.is_file() else known[name] for name, path in places.items()
    }


def _go_on(
    config: RunConfig,
    ledger: Ledger,
    before: Settings,
    settings: Settings,
    fingerprints: Mapping[str, str],
    emit: Emit,
) -> None:
    """Continue a run, or refuse to; say which settings have changed."""
    _compare(config, ledger, before, settings)
    facts, read = ledger.facts.read(), bool(ledger.sources.all())
    if read and facts.fingerprints != fingerprints:
        raise UsageError(
            f"a source of the run in {config.out} has changed since it was read: restore "
            "it, or use another folder with --out"
        )
    for name, value in settings.items():
        if before.get(name) != value:
            emit(SettingChanged(name, before.get(name), value))
    if read and config.target_size > before["target_size"]:
        ledger.facts.update(extended=facts.extended or before["target_size"])
    ledger.facts.update(stop=None)  # from now on it has not ended


def _compare(config: RunConfig, ledger: Ledger, before: Settings, settings: Settings) -> None:
    """Refuse to continue a run that is finished, or that was started with other settings."""
    facts = ledger.facts.read()
    if facts.replay_of:
        raise UsageError(f"{config.out} holds a replay: continue the run that it replays")
    rounds = len(ledger.rounds.all()) - 1
    if differing := _differing(config, rounds, before, settings):
        raise UsageError(
            f"{config.out} holds a run with other settings ({'; '.join(differing)}): use those, "
            "another folder with --out, or --force to restart from scratch"
        )
    stop = facts.stop
    more_rows = config.target_size > before["target_size"]
    more_rounds = stop == "rounds" and config.max_rounds > rounds
    if stop not in (None, *RESUMABLE) and not more_rows and not more_rounds:
        raise UsageError(
            f"{config.out} holds a finished run: give the new one another folder with --out, or "
            "--force to restart from scratch"
        )


def _differing(config: RunConfig, rounds: int, before: Settings, settings: Settings) -> list[str]:
    """What differs between a run's settings and others, and may not; `rounds` are those it had."""
    differing = [
        f"{name} was {setting_shown(before.get(name))}, now {setting_shown(value)}"
        for name, value in settings.items()
        if before.get(name) != value
        and (name != "llms" or decisive(before.get(name) or {}) != decisive(value))
        # Another address may be given, but not none: the rows would go to somebody else.
        and (name not in MAY_CHANGE or (name in _ADDRESSES and value is None))
    ]
    if config.target_size < before["target_size"]:
        differing.append(
            f"target_size was {before['target_size']}, now {config.target_size}: it can only grow"
        )
    if config.max_rounds < rounds:
        differing.append(f"rounds is now {config.max_rounds}, but more were already made")
    return differing
