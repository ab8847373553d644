"""The calls of a run: a tree of rounds, agents, tasks and calls, a list, or one call whole."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.text import Text

from ..errors import UsageError
from ..stores.ledger import Ledger
from ..stores.queries.calls import (
    About,
    CallFilter,
    CallLine,
    Group,
    Order,
    abouts,
    by_subject,
    groups,
    listed,
    newest,
    since,
)
from .abouts import about_outcome, about_record, about_title
from .format import duration, in_one_line, inert, money, number
from .paging import print_line

SHORT = 10  # characters of a call's key that are shown; any unique beginning finds it
_SAID = 160  # characters of an answer on one line
_STYLES = {"failed": "red", "cached": "cyan", "ok": "green"}
_LOOK = 0.5  # seconds between two looks at a run under way


def print_tree(ledger: Ledger, console: Console, wanted: CallFilter, state: str) -> None:
    """Print the run as a tree: round, agent, what was asked about, call."""
    found = groups(ledger, wanted)
    print_line(console, _head(ledger, found, state))
    round = None
    for group in found:
        if group.round != round:
            round = group.round
            alike = [g for g in found if g.round == round]
            print_line(console, Text.assemble("\n", (when(round), "bold"), "  ", counts(alike)))
        clock = time.strftime("%H:%M:%S", time.localtime(group.began))
        agent = inert(group.agent)
        print_line(
            console,
            Text.assemble("  ", (agent, "bold cyan"), "  ", counts([group]), f" from {clock}"),
        )
        for about, calls in by_subject(ledger, group, wanted):
            print_line(console, about_line(about, calls))
            for call in calls:
                print_line(console, call_line(call, indent=6))
    if found:
        print_line(console, Text("\nOne call whole: lift-agent trace DIR CALL", style="dim"))


def print_list(
    ledger: Ledger, console: Console, wanted: CallFilter, order: Order, limit: int = 20
) -> None:
    """Print the first calls in an order, with what they were about."""
    calls = listed(ledger, wanted, order, limit)
    for call, about in told(ledger, calls):
        print_line(console, call_line(call, about))
    if not calls:
        print_line(console, Text("no such call", style="dim"))


def follow(
    ledger: Ledger, wanted: CallFilter, running: Callable[[], bool], limit: int = 10
) -> Iterator[tuple[CallLine, About]]:
    """The last calls of a run, and those that come in as long as it is `running`."""
    last = newest(ledger)
    yield from told(ledger, listed(ledger, wanted, "newest", limit))
    while True:
        still = running()
        if calls := since(ledger, wanted, last):
            last = calls[-1].number
            yield from told(ledger, calls)
        elif still:
            time.sleep(_LOOK)
        else:
            return


def print_tail(console: Console, followed: Iterable[tuple[CallLine, About]]) -> None:
    """Print calls as they come in."""
    for call, about in followed:
        print_line(console, call_line(call, about))
        console.file.flush()


def call_records(
    ledger: Ledger, wanted: CallFilter, order: Order | None, limit: int, state: str
) -> Iterator[dict[str, Any]]:
    """What ``--json`` prints, one object a line: the run, each agent in a round, each call.

    In an order of its own, the calls alone.
    """
    if order:
        for call, about in told(ledger, listed(ledger, wanted, order, limit)):
            yield as_record(call, about)
        return
    found, facts = groups(ledger, wanted), ledger.facts.read()
    yield {
        "kind": "run",
        "state": state,
        "stop": facts.stop,
        "target": facts.target or None,
        "calls": sum(group.calls for group in found),
    }
    for group in found:
        yield {"kind": "agent", **asdict(group)}
        for about, calls in by_subject(ledger, group, wanted):
            for call in calls:
                yield as_record(call, about)


def as_record(call: CallLine, about: About) -> dict[str, Any]:
    """A call of a list for ``--json``."""
    values = asdict(call)
    del values["number"], values["subject"]
    return {"kind": "call", **values, "status": call.status, "about": about_record(about)}


def find_call(ledger: Ledger, key: str) -> str:
    """The key of the call that begins so.

    Raises:
        UsageError: none does, or more than one.
    """
    found = ledger.read(
        "SELECT key FROM calls WHERE key >= ? AND key < ? ORDER BY key LIMIT 3", (key, f"{key}~")
    )
    keys = [name for (name,) in found]
    if len(keys) == 1:
        return str(keys[0])
    raise UsageError(
        f"several calls begin with {key}: give more of the key"
        if keys
        else f"no call begins with {key}: lift-agent trace DIR lists them"
    )


def told(ledger: Ledger, calls: Sequence[CallLine]) -> Iterator[tuple[CallLine, About]]:
    """Calls with what they were about, read for all of a round at once."""
    rounds = {call.round for call in calls}
    about = {
        round: abouts(ledger, [c.subject for c in calls if c.round == round], round)
        for round in rounds
    }
    for call in calls:
        yield call, about[call.round][call.subject]


def when(round: int) -> str:
    """The name of a round."""
    return f"round {round}" if round else "seeds"


def _head(ledger: Ledger, found: Sequence[Group], state: str) -> Text:
    stop = ledger.facts.read().stop
    ended = f"{state}: {stop}" if stop else state
    if not found:
        return Text.assemble((inert(ended), "bold"), "  no call")
    began = time.localtime(min(group.began for group in found))
    day = time.strftime("%Y-%m-%d %H:%M", began)
    return Text.assemble((inert(ended), "bold"), f"  {day}  ", counts(found))


def counts(found: Sequence[Group]) -> str:
    """What groups took together, in words."""
    calls, failed = sum(g.calls for g in found), sum(g.failed for g in found)
    cached, tokens = sum(g.cached for g in found), sum(_tokens(g) for g in found)
    usd = None if None in (g.cost for g in found) else sum(g.cost or 0.0 for g in found)
    parts = [f"{number(calls)} call{'s' * (calls != 1)}"]
    parts += [f"{number(failed)} failed"] * bool(failed)
    parts += [f"{number(cached)} cached"] * bool(cached)
    parts += [f"{number(tokens)} tokens", money(usd), duration(sum(g.seconds for g in found))]
    return " · ".join(parts)


def _tokens(group: Group) -> int:
    return group.input_tokens + group.output_tokens


def about_line(about: About, calls: Sequence[CallLine]) -> Text:
    """What calls were about, on one line."""
    line = Text("    ")
    line.append(inert(about.kind if about.kind != "round" else "for"), style="dim")
    line.append(f" {inert(about.subject)}  {in_one_line(about_title(about), 70)}")
    if outcome := about_outcome(about):
        line.append(f"  → {in_one_line(outcome, 80)}", style="dim")
    if len(calls) > 1:
        seconds = sum(call.seconds for call in calls if not call.cached)
        line.append(f"  {len(calls)} calls {seconds:.1f}s", style="dim")
    return line


def call_line(call: CallLine, about: About | None = None, indent: int = 0) -> Text:
    """One call on one line."""
    cost = "" if call.cost is None else money(call.cost)
    tries = f" {call.attempts} tries" if call.attempts > 1 else ""
    line = Text(" " * indent)
    line.append(call.key[:SHORT], style="yellow")
    if about:
        line.append(f"  {when(call.round):8} {inert(call.agent):10}", style="dim")
    line.append(f"  {inert(call.prompt):18} ")
    line.append(f"{inert(call.status):8}", style=_STYLES.get(call.status, "magenta"))
    line.append(
        f"{number(call.input_tokens + call.output_tokens):>6} tok {cost:>8} {call.seconds:6.1f}s"
    )
    line.append(tries, style="red")
    if about:
        line.append(
            f"  {about.kind} {in_one_line(about_title(about) or about.subject, 40)}", style="dim"
        )
    line.append(f"  {result(call.said)}")
    return line


def result(said: str) -> str:
    """What a call brought, on one line: the fields of a JSON object, or the text."""
    from ..llms.answers import without_thinking

    text = without_thinking(said).strip()
    try:
        fields = json.loads(text) if text.startswith("{") else None
    except ValueError:
        fields = None
    if isinstance(fields, dict) and fields:
        text = ", ".join(f"{name} {value}" for name, value in fields.items())
    return in_one_line(text, _SAID)
