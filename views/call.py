"""One call in full: what was asked, what came back, how it was read, and what it cost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from ..jobs.call_reading import parsed_answer
from ..records import Attempt, Call
from ..stores.ledger import Ledger
from ..stores.queries.calls import About, abouts, answer_of
from .abouts import about_outcome, about_record, about_title
from .format import inert, money, number


@dataclass(frozen=True, slots=True)
class CallStory:
    """A call with what it was about, each request that was sent for it, and its parsed result.

    `problem` says why there is no result; both are empty where plain text was asked for.
    """

    call: Call
    about: About
    attempts: tuple[Attempt, ...]
    result: Mapping[str, Any] | None = None
    problem: str = ""

    @property
    def schema(self) -> Mapping[str, Any] | None:
        """The JSON schema that the answer should have followed, None for plain text."""
        found: Mapping[str, Any] | None = self.call.request.get("schema")
        return found

    def as_dict(self) -> dict[str, Any]:
        """Everything, for ``--json`` and the page; of vectors, how many they are."""
        told = asdict(self)
        told["about"] = about_record(self.about)
        told["call"]["response"] = answer_of(self.call.agent, self.call.response)
        return told


def story_of(ledger: Ledger, key: str) -> CallStory:
    """Read the call with this key from the ledger."""
    call = ledger.calls.call(key)
    assert call is not None
    about = abouts(ledger, [call.subject], call.round)[call.subject]
    attempts = tuple(ledger.calls.attempts(key))
    if "schema" not in call.request or call.error:
        return CallStory(call, about, attempts)
    return CallStory(call, about, attempts, *parsed_answer(call))


def _tokens(call: Call) -> str:
    """What a call read and wrote, and how much of it was cached or thought."""
    cached = f" ({number(call.cached_tokens)} of them cached)" if call.cached_tokens else ""
    thought = f" ({number(call.reasoning_tokens)} of them thought)" if call.reasoning_tokens else ""
    return f"{number(call.input_tokens)} in{cached}, {number(call.output_tokens)} out{thought}"


def print_call(story: CallStory, console: Console) -> None:
    """Print a call."""
    call = story.call
    facts = Table.grid(padding=(0, 2))
    for name, value in _facts(story):
        facts.add_row(Text(name, style="dim"), Text(inert(value)))
    console.print(facts)
    for role, content in call.request.get("messages", ()):
        _section(console, str(role), str(content), "cyan")
    if story.schema:
        schema = json.dumps(story.schema.get("schema", {}), indent=1, ensure_ascii=False)
        _section(console, f"schema {story.schema.get('name', '')}", schema, "cyan")
    _section(console, "answer", answer_of(call.agent, call.response) or "(none)", "green")
    if story.result is not None:
        read = json.dumps(story.result, indent=2, ensure_ascii=False)
        _section(console, "parsed result", read, "green")
    elif story.schema:
        _section(console, "parsed result", f"(none: {story.problem or call.error})", "red")


def _facts(story: CallStory) -> list[tuple[str, str]]:
    call, about = story.call, story.about
    title = " ".join(f"{about.kind} {about.subject}  {about_title(about)[:100]}".split())
    facts = [
        ("call", call.key),
        ("agent", f"{call.agent}, {f'round {call.round}' if call.round else 'seeds'}"),
        ("about", title + (f" → {outcome}" if (outcome := about_outcome(about)) else "")),
        ("prompt", call.prompt),
        ("model", call.model),
        ("status", f"failed: {call.error}" if call.error else call.finish_reason or "ok"),
        ("cache", "answered from the call cache: paid for earlier" if call.reused else "not hit"),
        *((("asked by", call.way.replace("_", " ")),) if call.way else ()),
        ("tokens", _tokens(call)),
        ("money", money(call.cost)),
        ("time", f"{call.seconds:.2f}s"),
    ]
    for count, attempt in enumerate(story.attempts, 1):
        facts.append((f"request {count}", _sent(attempt)))
    parameters = {k: v for k, v in call.request.items() if k not in ("messages", "schema")}
    return [*facts, ("parameters", ", ".join(f"{k} {v}" for k, v in parameters.items()))]


def _sent(attempt: Attempt) -> str:
    """How one request of a call ended."""
    if attempt.seconds is None:
        return "the process ended while it was in flight"
    return f"{attempt.outcome} after {attempt.seconds:.2f}s"


def _section(console: Console, title: str, text: str, style: str) -> None:
    console.print(Rule(Text(inert(title), style=style), align="left"))
    console.print(Text(inert(text)), soft_wrap=True)
