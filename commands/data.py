"""Commands on data alone: look at what would be read, audit it, hand a dataset over."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..config import NO_FILE, resolve
from ..errors import UsageError
from .common import quieten_libraries
from .flags import Json, RunFolder, SectionedCommand, with_settings

app = typer.Typer(rich_markup_mode=None)

LEAKS_FOUND = 3


@app.command(cls=SectionedCommand)
@with_settings(("sources", "map"))
def peek(flags: dict[str, Any], json: Json = False) -> None:
    """Show what a run would read from SOURCE: rows, figures, unusable records."""
    settings = resolve({"llm": "none", "recipe": "curate", **flags}, NO_FILE)
    from ..jobs.peek import peek as peek_at
    from ..jobs.preflight import check_sources

    if not settings.sources:
        raise UsageError("name at least one SOURCE to look at")
    found = peek_at(check_sources(settings)[0], settings.map)
    if json:
        from ..stores.exact_json import dumps

        typer.echo(dumps(found.as_dict()))
        return
    from rich.console import Console

    from ..views.peek import print_peek

    print_peek(found, Console())


@app.command(cls=SectionedCommand)
@with_settings(
    (
        *("sources", "map", "ngram", "leak_cosine"),
        *("embedder", "embedder_base_url", "embedder_prompt"),
    )
)
def audit(
    flags: dict[str, Any],
    against: Annotated[
        list[str], typer.Option(metavar="SOURCE", help="Benchmark, as published; repeatable.")
    ],
    semantic: Annotated[
        bool,
        typer.Option(
            "--semantic/--no-semantic", help="Also look for rewordings; embeds every row."
        ),
    ] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write all leaks to this file, as JSONL.")
    ] = None,
    examples: Annotated[int, typer.Option(min=0, help="Maximum rows shown.")] = 5,
    json: Json = False,
) -> None:
    """Show which rows of SOURCE files leak a benchmark, with the words in common.

    Exit codes: 0 none leaks; 1 error; 2 usage; 3 some leak.
    """
    settings = resolve(flags, NO_FILE)
    quieten_libraries()
    from ..embedders import LazyEmbedder
    from ..formats.writing.outputs import CONTAINERS, ending_of, write_records
    from ..jobs.audit import audit as find
    from ..jobs.preflight import check_settings, check_sources

    if out and not ending_of(out)[0]:
        raise UsageError(f"--out {out}: its name should end with {', '.join(CONTAINERS)}")
    settings = settings.model_copy(update={"decontaminate": tuple(against)})
    check_settings(settings)
    sources, _, benchmarks = check_sources(settings)
    found = find(
        sources,
        benchmarks,
        columns=settings.map,
        ngram=settings.ngram,
        leak_cosine=settings.leak_cosine,
        embedder=LazyEmbedder(settings.embedder, **settings.embedding) if semantic else None,
    )
    if out:
        write_records([record for row in found.leaking for record in row.records()], out)
    if json:
        import json as writer

        typer.echo(writer.dumps(found.as_dict(), ensure_ascii=False))
    else:
        from rich.console import Console

        from ..views.audit import print_audit

        print_audit(found, Console(), examples=examples, semantic=semantic)
    if found.leaking:
        raise typer.Exit(LEAKS_FOUND)


@app.command()
def export(
    folder: RunFolder,
    format: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="NAME",
            help="alpaca, messages, sharegpt or prompt-completion; jsonl, json, csv, tsv, parquet "
            "or arrow; both, as messages.parquet; trl, axolotl or llama-factory; or a plugin.",
        ),
    ] = "alpaca",
    to: Annotated[
        Path | None,
        typer.Option(
            "--to",
            metavar="PATH",
            help="A file (x.jsonl, x.csv.gz, x.parquet), or a folder for data, card and "
            "configuration.",
        ),
    ] = None,
    test_share: Annotated[
        float,
        typer.Option(
            "--test-share", help="Share of rows to hold out, with no near-duplicate in the rest."
        ),
    ] = 0.0,
    license: Annotated[
        list[str] | None,
        typer.Option(
            "--license",
            metavar="NAME",
            help="Licence of the sources, or FILE=NAME for one file; repeatable. Default: "
            "the run's.",
        ),
    ] = None,
    defuse: Annotated[
        bool,
        typer.Option(
            "--defuse/--no-defuse",
            help="CSV: put an apostrophe before cells that a spreadsheet would execute.",
        ),
    ] = True,
    push: Annotated[
        str,
        typer.Option("--push", metavar="hf:OWNER/NAME", help="Upload it to the hub, private."),
    ] = "",
    public: Annotated[
        bool, typer.Option("--public", help="With --push: make a new dataset public.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="With --push: write to an existing dataset.")
    ] = False,
) -> None:
    """Write the dataset of the run in DIR in another form, such as a trainer's."""
    quieten_libraries()
    from rich.console import Console

    from ..jobs.export import Options
    from ..jobs.export import export as export_run
    from ..views.exported import print_exported

    options = Options(test_share, tuple(license or ()), defuse, push, public, force)
    print_exported(export_run(folder, format, to, options), Console())
