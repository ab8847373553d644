"""What a check of the models found, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from ..jobs.check import ROWS, CheckReport, EmbedderFindings, ModelFindings
from .estimate import in_one_line
from .format import inert, number


def print_check(check: CheckReport, console: Console) -> None:
    """Print each model with what works and what does not, and what the rows would take."""
    for model in check.models:
        _print(console, _title(model), model.failed, list(_facts(model)))
    if check.embedder:
        title = f"embedder {check.embedder.name}"
        _print(console, title, check.embedder.failed, list(_embedder_facts(check.embedder)))
    if check.estimate:
        console.print(
            Text(
                f"{number(ROWS)} rows (generated from {check.seeds}): {in_one_line(check.estimate)}"
            ),
            soft_wrap=True,
        )


def _print(console: Console, title: str, failed: str, facts: list[tuple[str, str]]) -> None:
    mark, style = ("✗", "bold red") if failed else ("✓", "bold green")
    console.print(Text.assemble((mark, style), " ", (inert(title), "bold")), soft_wrap=True)
    for name, value in facts:
        console.print(Text(f"  {name:<12}{inert(value)}"), soft_wrap=True)
    console.print()


def _title(model: ModelFindings) -> str:
    same = model.model in ("", model.name, model.name.removesuffix(":"))
    name = model.name if same else f"{model.name} ({model.model})"
    return f"{name}{f' at {model.address}' if model.address else ''}"


def _facts(model: ModelFindings) -> Iterator[tuple[str, str]]:
    yield "asked by", ", ".join(model.agents) or "nobody"
    if model.answered:
        yield "answers", f"yes, after {model.seconds:.1f}s"
    if model.structured:
        yield "objects", f"by {model.structured}"
    if model.failed:
        yield "problem", model.failed
    if not model.answered:
        return
    yield "context", f"{number(model.context)} tokens" if model.context else "unknown"
    yield "speed", f"{model.speed:.0f} tokens per second" if model.speed else "unknown"
    yield "price", _price(model)
    yield "prompts", "compact" if model.compact else "full"


def _price(model: ModelFindings) -> str:
    if model.prices is None:
        return "unknown (--prices gives it)"
    if not any(model.prices):
        return "free"
    return f"${model.prices[0]:g} and ${model.prices[1]:g} per million input and output tokens"


def _embedder_facts(embedder: EmbedderFindings) -> Iterator[tuple[str, str]]:
    if embedder.failed:
        yield "problem", embedder.failed
        return
    yield "vectors", f"{embedder.dimension} dimensions"
    yield "speed", f"{embedder.speed:.0f} texts per second"
