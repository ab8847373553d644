"""What other packages plug in by entry points: chat models, embedders, readers and writers.

A package declares, for example, ``[project.entry-points."lift_agent.llms"]`` with
``name = "module:function"``. What the function takes and returns, by group:

llms       open(model: str) -> a LangChain chat model           ``--llm name:model``
embedders  open(model: str) -> an `embedders.Embedder`          ``--embedder name:model``
readers    read(source: str) -> an iterable of records (dict)   ``name:source`` as a SOURCE
writers    write(records: Iterable[dict], path: Path) -> None   ``export --format name``
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, get_args

from .errors import UsageError

Group = Literal["llms", "embedders", "readers", "writers"]
GROUPS: tuple[Group, ...] = get_args(Group)


def declared(group: Group) -> dict[str, EntryPoint]:
    """The plugins that installed packages declare in a group, by name; nothing is imported."""
    return {point.name: point for point in entry_points(group=f"lift_agent.{group}")}


def plugin(group: Group, name: str) -> Callable[..., Any] | None:
    """Import the plugin called `name`; None if no package declares one.

    Raises:
        UsageError: it is declared but broken; the message names its package and the cause.
    """
    point = declared(group).get(name)
    if point is None:
        return None
    try:
        loaded = point.load()
    except Exception as error:  # whatever the package does when it is imported
        cause = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UsageError(f"the plugin {name} of {package_of(point)} is broken ({cause})") from None
    if not callable(loaded):
        raise UsageError(
            f"the plugin {name} of {package_of(point)} is broken: {point.value} is not a function"
        )
    return loaded  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Found:
    """A plugin as it is listed: what it is, where it comes from, and why it is broken if it is."""

    group: Group
    name: str
    package: str
    place: str
    broken: str = ""


def found() -> list[Found]:
    """All plugins of installed packages, each tried."""
    return [
        Found(group, name, package_of(point), point.value, _broken(group, name))
        for group in GROUPS
        for name, point in sorted(declared(group).items())
    ]


def _broken(group: Group, name: str) -> str:
    try:
        plugin(group, name)
    except UsageError as error:
        return str(error)
    return ""


def package_of(point: EntryPoint) -> str:
    """The package that declares a plugin, with its version."""
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown package"
