"""Commands about models and settings: check, plugins, config, cache, graph."""

from __future__ import annotations

import sys
from typing import Annotated, Any, get_args

import typer

from ..config import SECTIONS, Recipe, RunConfig, resolve
from ..errors import LiftAgentError, UsageError
from .common import prepare_libraries
from .flags import ConfigFile, Json, SectionedCommand, Yes, with_settings

app = typer.Typer(rich_markup_mode=None)
cache_app = typer.Typer(
    name="cache",
    help="The call cache that all runs share: no answer is paid for twice.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(cache_app)

_CHECKED = (
    *("llm", "analyst_llm", "generator_llm", "redundancy_llm", "judge_llm", "base_url"),
    *("embedder", "embedder_base_url", "embedder_prompt", "prices", "prompt_style", "timeout"),
)


@app.command(cls=SectionedCommand)
@with_settings(_CHECKED)
def check(flags: dict[str, Any], config: ConfigFile = None, json: Json = False) -> None:
    """Try the models of a run with one small request of each kind that it makes.

    If no flag and no lift.toml names a model, it tries the embedded one. It tries the embedder only
    if you name it. Exit codes: 0 all can be used; 1 one cannot; 2 usage.
    """
    settings = resolve(flags, config)
    prepare_libraries()
    from rich.console import Console

    from ..jobs.check import check as check_models
    from ..views.check import print_check

    named = settings.model_fields_set & set(_CHECKED)
    chat = not named or any(name.endswith("llm") or name == "base_url" for name in named)
    embedder = any(name.startswith("embedder") for name in named)
    found = check_models(settings, models=chat or not embedder, embedder=embedder)
    if json:
        import json as writer

        typer.echo(writer.dumps(found.as_dict()))
    else:
        print_check(found, Console())
    if not found.usable:
        raise typer.Exit(LiftAgentError.exit_code)


@app.command()
def plugins() -> None:
    """List the plugins of installed packages: models, embedders, readers and writers."""
    prepare_libraries()
    from rich.console import Console

    from ..plugins import found
    from ..views.plugins import print_plugins

    print_plugins(found(), Console())


@app.command("config", cls=SectionedCommand)
@with_settings()
def show_config(flags: dict[str, Any], config: ConfigFile = None) -> None:
    """Print the settings that a run would use, each with its description, as lift.toml."""
    settings = resolve(flags, config)
    import json

    import tomlkit

    from ..formats.writing.writers import toml_value
    from ..redaction import redacted

    document = tomlkit.document()
    values = json.loads(settings.model_dump_json())
    tables = values.pop("llms")
    if tables:  # in one file llm cannot be a name as well
        named = tomlkit.table()
        named.add("use", values.pop("llm"))
        for name, table in tables.items():
            named.add(name, table)
    for name, value in values.items():
        if heading := SECTIONS.get(name):
            document.add(tomlkit.nl())
            document.add(tomlkit.comment(f"-- {heading} --"))
        document.add(tomlkit.comment(RunConfig.model_fields[name].description or ""))
        if value is None:
            document.add(tomlkit.comment(f"{name} = (not set)"))
        else:
            document.add(name, toml_value(value))
    if tables:
        document.add("llm", named)
    typer.echo(redacted(tomlkit.dumps(document).strip()))


@cache_app.command("stats")
def cache_stats() -> None:
    """Show what the cache holds, by model."""
    from rich.console import Console

    from ..stores.cache import cache_path, cached_models
    from ..views.cache import print_cache

    path = cache_path()
    print_cache(path, cached_models(path), Console())


@cache_app.command("clear")
def cache_clear(yes: Yes = False) -> None:
    """Delete all answers; runs keep their own."""
    from ..stores.cache import cache_path, cached_models, clear_cache

    path = cache_path()
    calls = sum(model.calls for model in cached_models(path))
    if calls and not yes and sys.stdin.isatty():
        typer.confirm(f"Delete {calls:,} answers in {path}?", abort=True, err=True)
    typer.echo(f"deleted {clear_cache(path):,} answers")


@app.command()
def graph(
    recipe: Annotated[str, typer.Option(help="lift, paper or curate.")] = "lift",
    mermaid: Annotated[
        bool, typer.Option("--mermaid", help="Print only the Mermaid source.")
    ] = False,
) -> None:
    """Show the state machine of a recipe."""
    if recipe not in get_args(Recipe):
        raise UsageError(f"recipe = {recipe}: should be {', '.join(get_args(Recipe))}")
    from ..graph.build import build_graph
    from ..views.graph import drawing

    machine = build_graph(recipe).get_graph()
    if not mermaid:
        typer.echo(drawing((edge.source, edge.target) for edge in machine.edges) + "\n")
    typer.echo(machine.draw_mermaid())
