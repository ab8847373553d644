"""Flags of the command line: those of the settings, made from their model, and common ones."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from pydantic_core import PydanticUndefined
from typer.core import TyperCommand

from ..config import IN_FILES, SECTIONS, RunConfig

RunFolder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the run.")]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="Settings file. [default: ./lift.toml]")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress; one line at the end.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]

Otel = Annotated[
    bool | None,
    typer.Option(
        "--otel/--no-otel",
        help="Export the calls as OpenTelemetry spans. [default: if OTEL_EXPORTER_OTLP_ENDPOINT "
        "is set]",
    ),
]
OtelContent = Annotated[
    bool, typer.Option("--otel-content", help="Export prompts and answers with the spans.")
]


class SectionedCommand(TyperCommand):
    """A command whose help lists the flags of the settings by section."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """List the arguments and flags under their headings."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            heading = getattr(param, "rich_help_panel", None) or f"{param.param_type_name}s".title()
            if record := param.get_help_record(ctx):
                sections.setdefault(heading, []).append(record)
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)


def _setting(name: str) -> inspect.Parameter:
    """The flag of a setting (for sources: the arguments), with the setting's own description.

    Flags are passed on as text, so that one place, the settings' model, checks every value.
    """
    field = RunConfig.model_fields[name]
    kind: Any
    if name == "sources":
        kind = Annotated[
            list[str] | None, typer.Argument(metavar="SOURCE...", help=field.description)
        ]
    else:
        flag = f"--{name.replace('_', '-')}"
        choices = _choices(field.annotation)
        if field.annotation is bool:
            option = typer.Option(
                f"{flag}/--no-{flag[2:]}", help=field.description, rich_help_panel=_HEADINGS[name]
            )
            kind = Annotated[bool | None, option]
        else:
            shown = field.default not in (None, (), PydanticUndefined)
            default = f" [default: {field.default}]" if shown else ""
            option = typer.Option(
                flag,
                help=f"{field.description}{default}",
                metavar="|".join(choices) or _METAVARS.get(name) or _metavar(field.annotation),
                autocompletion=(lambda: list(choices)) if choices else None,
                rich_help_panel=_HEADINGS[name],
            )
            several = get_origin(field.annotation) is tuple
            kind = Annotated[list[str] | None if several else str | None, option]
    either = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return inspect.Parameter(name, either, default=None, annotation=kind)


def _sections() -> dict[str, str]:
    """The heading of each setting."""
    headings, heading = dict[str, str](), ""
    for name in RunConfig.model_fields:
        heading = headings[name] = SECTIONS.get(name, heading)
    return headings


_HEADINGS = _sections()
_METAVARS = {
    "base_url": "URL",
    "embedder_base_url": "URL",
    "batch_poll": "TIME",
    "decontaminate": "FILE",
    "languages": "LANG,...",
    "prices": "NAME=IN,OUT",
    "map": "TEXT=COLUMN,...",
    "max_time": "TIME",
    "toward": "SOURCE",
}


_FLAGS = tuple(name for name in RunConfig.model_fields if name not in IN_FILES)


def _choices(annotation: Any) -> tuple[str, ...]:
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def _metavar(annotation: Any) -> str:
    kinds = [kind for kind in get_args(annotation) or (annotation,) if kind is not type(None)]
    names = {int: "INT", float: "NUMBER", Path: "PATH"}
    return names.get(kinds[0], "NAME")


def with_settings(
    names: Iterable[str] = _FLAGS,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command a flag for each setting; it gets those that were used as `flags`."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = [
            parameter
            for parameter in inspect.signature(command, eval_str=True).parameters.values()
            if parameter.name != "flags"
        ]
        first = [p for p in own if p.default is inspect.Parameter.empty]
        ordered = sorted(names, key=list(RunConfig.model_fields).index)
        parameters = [*first, *map(_setting, ordered), *(p for p in own if p not in first)]

        @functools.wraps(command)
        def run(**values: Any) -> None:
            flags = {name: values.pop(name) for name in names}
            command(flags=flags, **values)

        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        return run

    return decorate
