"""The story of one row, kept or dropped, on a screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from ..records import Call
from ..stores.folder import is_held
from ..stores.layout import VECTORS
from ..stores.ledger import Ledger
from ..stores.vectors import VectorStore
from .format import beginning, duration, in_one_line, inert, money, number
from .story import NEIGHBOURS, Hit, Kind, Neighbours, Step, Story, find, story_of
from .trace import SHORT

_TITLES: dict[Kind, str] = {
    "origin": "where it came from",
    "landing": "where it landed",
    "screen": "what the screen found",
    "neighbour": "its nearest neighbours",
    "verdict": "what was decided",
}


def print_story(
    ledger: Ledger,
    console: Console,
    wanted: str,
    neighbours: Callable[[str], Neighbours | str] = lambda row: (),
) -> None:
    """Print the story of the row with this id, or beginning, or text; of several, a list.

    Raises:
        UsageError: there is no such row.
    """
    hits = find(ledger, wanted)
    if len(hits) == 1:
        print_steps(story_of(ledger, hits[0].row, neighbours), console)
    else:
        print_hits(hits, console)


def nearest_in(folder: Path) -> Callable[[str], Neighbours | str]:
    """What finds a row's neighbours in a run's vector store, which it leaves as it is."""

    def nearest(row: str) -> Neighbours | str:
        if is_held(folder):
            return "a process is working on this run and holds its vectors: ask again when it ends"
        if not (folder / VECTORS).is_dir():
            return "the run has no vectors"
        try:
            with closing(VectorStore(folder / VECTORS)) as vectors:
                return vectors.nearest(row, NEIGHBOURS)
        except KeyError:
            return "the row has no vector"
        except Exception as error:  # Chroma's own errors have no common base
            return f"the vectors cannot be read ({type(error).__name__})"

    return nearest


def print_hits(hits: Sequence[Hit], console: Console) -> None:
    """Print the rows that a text was found in."""
    console.print(Text(f"{len(hits)} rows, in the order of arrival:", style="bold"))
    for hit in hits:
        line = (
            f"{hit.row.id}  {hit.row.origin:9}  {hit.status:11}  {in_one_line(hit.row.task, 160)}"
        )
        _say(console, line)
    _say(console, "The story of one: lift-agent why DIR ID", "dim")


def print_steps(story: Story, console: Console) -> None:
    """Print a story."""
    row = story.row
    _rule(console, f"row {row.id}")
    for ask, answer in row.history:
        _say(console, beginning(ask))
        _say(console, beginning(answer), "dim")
    _say(console, beginning(row.task))
    _say(console, beginning(row.output), "dim")
    calls = {call.key: call for call in story.calls}
    for step in story.steps:
        if step.kind in _TITLES and _first(step, story.steps):
            _rule(console, _TITLES[step.kind])
        if step.call:
            _exchange(calls[step.call], console)
        else:
            parted = f"{step.row}  " if step.kind == "parent" else ""
            indent = "  " if step.kind in ("parent", "neighbour") else ""
            _say(console, f"{indent}{parted}{in_one_line(step.said, 400)}")
    _rule(console, "what it cost")
    count = len(story.calls)
    _say(
        console,
        f"{count} call{'s' * (count != 1)}, {number(story.tokens)} tokens, {money(story.cost)}, "
        f"{duration(story.seconds)}",
    )


def _first(step: Step, steps: Sequence[Step]) -> bool:
    return next(other for other in steps if other.kind == step.kind) is step


def _exchange(call: Call, console: Console) -> None:
    """What was asked last in a call, and the answer."""
    status = "failed" if call.error else "cached" if call.reused else call.finish_reason or "ok"
    tokens = number(call.input_tokens + call.output_tokens)
    head = f"{call.key[:SHORT]}  {call.agent}  {call.prompt}  {status}  {tokens} tokens  "
    _say(console, f"{head}{money(call.cost)}  {call.seconds:.1f}s", "yellow")
    for role, content in call.request.get("messages", ())[-1:]:
        _quote(console, role, beginning(content, 8, 800))
    _quote(console, "answer", beginning(call.error or call.response or "(none)", 8, 800))


def _quote(console: Console, who: str, text: str) -> None:
    for place, line in enumerate(text.splitlines()):
        _say(console, f"  {inert(who) if place == 0 else '':9} {line}", "dim")


def _rule(console: Console, title: str) -> None:
    console.print(Rule(Text(inert(title), style="cyan"), align="left"))


def _say(console: Console, text: str, style: str = "") -> None:
    console.print(Text(inert(text), style=style), soft_wrap=True)
