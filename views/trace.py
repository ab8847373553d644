"""The calls of a run: a list by agent, or one call whole."""

from __future__ import annotations

from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from ..errors import UsageError
from ..llms.answers import parse, without_thinking
from ..records import Attempt, Call
from ..stores.ledger import Ledger
from .format import duration, inert, money, number

SHORT = 10  # characters of a call's key that are shown; any unique beginning finds it


def print_calls(ledger: Ledger, console: Console, *, agent: str = "", last: int = 40) -> None:
    """Print what each agent spent, and its last calls."""
    usage = ledger.usage()
    if agent and agent not in usage:
        raise UsageError(f"no calls by {agent}; there are calls by {', '.join(usage) or 'nobody'}")
    totals = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("agent", "calls", "failed", "tokens in", "tokens out", "money", "time"):
        totals.add_column(name, justify="left" if name == "agent" else "right")
    for who, used in usage.items():
        counted = ("calls", "failed", "input_tokens", "output_tokens")
        totals.add_row(
            who,
            *(number(used[name] or 0) for name in counted),
            money(used["cost"]),
            duration(used["seconds"] or 0),
        )
    console.print(totals)
    for who in usage:
        if agent and who != agent:
            continue
        calls = ledger.calls(agent=who)
        console.print()
        skipped = len(calls) - last
        title = f"{who}: {number(len(calls))} calls"
        console.print(
            Rule(Text(title + (f", the last {last}" if skipped > 0 else "")), align="left")
        )
        console.print(_listed(calls[-last:]))
    console.print()
    console.print(Text("One call whole: lift-agent trace DIR CALL", style="dim"))


def _listed(calls: list[Call]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", expand=True)
    for name in ("call", "prompt", "about", "status", "tokens", "time"):
        table.add_column(
            name, no_wrap=True, justify="right" if name in ("tokens", "time") else "left"
        )
    table.add_column("answer", no_wrap=True, ratio=1, overflow="ellipsis")
    for call in calls:
        table.add_row(
            call.key[:SHORT],
            call.prompt,
            call.subject[:12],
            Text("failed", style="red") if call.error else Text(call.finish_reason or "ok"),
            number(call.input_tokens + call.output_tokens),
            f"{call.seconds:.1f}s",
            Text(inert(" ".join((call.error or without_thinking(call.response)).split()))),
        )
    return table


def print_call(ledger: Ledger, console: Console, key: str) -> None:
    """Print one call: what was asked, what came back, and what it cost.

    Raises:
        UsageError: no call, or more than one, has a key that begins so.
    """
    found = ledger.calls(key=key)
    if len(found) != 1:
        raise UsageError(
            f"no call begins with {key}"
            if not found
            else f"{len(found)} calls begin with {key}: give more of the key"
        )
    call = found[0]
    facts = Table.grid(padding=(0, 2))
    for name, value in (
        ("call", call.key),
        ("agent", f"{call.agent}, round {call.round}, about {call.subject}"),
        ("prompt", call.prompt),
        ("model", call.model),
        ("status", f"failed: {call.error}" if call.error else call.finish_reason or "ok"),
        *((("asked by", call.way),) if call.way else ()),
        ("tokens", _tokens(call)),
        ("money", money(call.cost)),
        ("time", f"{call.seconds:.2f}s" + (", reused from the call cache" if call.reused else "")),
    ):
        facts.add_row(Text(name, style="dim"), Text(inert(value)))
    for count, attempt in enumerate(ledger.attempts(call.key), 1):
        facts.add_row(Text(f"request {count}", style="dim"), Text(inert(_sent(attempt))))
    console.print(facts)
    parameters = {k: v for k, v in call.request.items() if k not in ("messages", "schema")}
    console.print(Text(f"parameters {inert(str(parameters))}", style="dim"), soft_wrap=True)
    for role, content in call.request["messages"]:
        console.print(Rule(Text(role, style="cyan"), align="left"))
        console.print(Text(inert(content)), soft_wrap=True)
    console.print(Rule(Text("answer", style="green"), align="left"))
    console.print(Text(inert(call.response or "(none)")), soft_wrap=True)
    if "schema" in call.request:
        console.print(Rule(Text("parsed result", style="green"), align="left"))
        console.print(Text(inert(_parsed(call))), soft_wrap=True)


def _tokens(call: Call) -> str:
    """What a call read and wrote, and how much of it was cached or thought."""
    cached = f" ({number(call.cached_tokens)} of them cached)" if call.cached_tokens else ""
    thought = f" ({number(call.reasoning_tokens)} of them thought)" if call.reasoning_tokens else ""
    return f"{number(call.input_tokens)} in{cached}, {number(call.output_tokens)} out{thought}"


def _sent(attempt: Attempt) -> str:
    """How one request of a call ended."""
    if attempt.seconds is None:
        return "the process ended while it was under way"
    return f"{attempt.outcome} after {attempt.seconds:.2f}s"


def _parsed(call: Call) -> str:
    """The answer as its agent's schema reads it."""
    from ..agents import analyst, judge, probes, redundancy

    asked = (analyst.Brief, probes.Neighbours, probes.Plausible)
    schemas = {s.__name__: s for s in (*asked, judge.Rubric, redundancy.SameTask)}
    value, error = parse(schemas[call.request["schema"]["name"]], call)
    return value.model_dump_json(indent=2) if value is not None else f"(none: {error})"
