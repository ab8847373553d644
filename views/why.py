"""The story of one row, kept or dropped."""

from __future__ import annotations

from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from ..errors import UsageError
from ..records import LEAKS, Check, Duel, Row, Subspace
from ..stores.checks import counted
from ..stores.ledger import Ledger
from .format import duration, inert, money, number
from .trace import SHORT


def print_story(ledger: Ledger, console: Console, wanted: str) -> None:
    """Print where a row came from, what was decided about it and why, and what it cost.

    Raises:
        UsageError: no row, or more than one, has an id that begins so.
    """
    row = _find(ledger, wanted)
    _rule(console, f"row {row.id}")
    _say(console, row.task)
    _say(console, row.output, style="dim")

    _rule(console, "where it came from")
    if row.origin == "seed":
        _say(console, f"a seed row: {row.source}, line {row.line}")
    else:
        _origin(ledger, console, row)

    _rule(console, "what was decided")
    _decisions(ledger, console, row)
    _rule(console, "what it cost")
    task = ledger.task_of(row.id)
    calls = ledger.calls(subjects=[row.id, *([task.id] if task else [])])
    for call in calls:
        status = f"failed: {call.error}" if call.error else call.finish_reason or "ok"
        tokens = number(call.input_tokens + call.output_tokens)
        _say(
            console,
            f"{call.key[:SHORT]}  {call.agent}  {call.prompt}  {status}  {tokens} tokens  "
            f"{money(call.cost)}  {call.seconds:.1f}s",
        )
    costs = [call.cost for call in calls]
    cost = None if None in costs else sum(c for c in costs if c is not None)
    _say(
        console,
        f"{len(calls)} calls, {money(cost)}, {duration(sum(call.seconds for call in calls))}",
    )


def _find(ledger: Ledger, wanted: str) -> Row:
    found = ledger.find_rows(wanted)
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{len(found)} rows begin with {wanted}: give more of the id")
    raise UsageError(f"no row begins with {wanted}: ids are under lift.id in dataset.jsonl")


def _origin(ledger: Ledger, console: Console, row: Row) -> None:
    task = ledger.task_of(row.id)
    rule = f" ({task.rule})" if task and task.rule else ""
    _say(console, f"generated in round {row.round} by {row.strategy}{rule}, from")
    for parent in ledger.rows_by_id(row.parents).values():
        where = f"{parent.source}, line {parent.line}" if parent.origin == "seed" else "generated"
        _say(console, f"  {parent.id}  {' '.join(parent.task.split())[:160]}  ({where})")
    subspace = next((s for s in ledger.subspaces(row.round) if s.id == row.subspace), None)
    if subspace:
        _say(console, f"for the subspace “{subspace.name}” ({subspace.id}): {subspace.brief}")
        _say(console, _lacking(subspace))
        landing = ledger.landing(row.id)
        if landing:
            landed, distance = landing
            verdict = "it landed there" if landed else "it missed it"
            _say(
                console,
                f"{verdict}: {distance:.3f} from the centre, radius {subspace.radius:.3f}",
            )


def _lacking(subspace: Subspace) -> str:
    """Why the subspace was chosen: what is wanted there, beside what there is."""
    there = f"{len(subspace.members)} rows there"
    if not subspace.wanted:
        return f"  {there}, {1 - subspace.gap:.2f} the mean cosine to the nearest"
    return (
        f"  {len(subspace.wanted)} prompts of the reference lie there, and {there}: "
        f"{subspace.wanted_density:.1%} of what is wanted, {subspace.density:.1%} of the data "
        f"(a gap of {subspace.gap:.1f} standard deviations)"
    )


def _decisions(ledger: Ledger, console: Console, row: Row) -> None:
    if check := ledger.checks(row.id).get(row.id):
        _say(console, _screened(check))
    verdict = ledger.verdict(row.id)
    if verdict:
        kind = "a duplicate" if verdict.duplicate else "not a duplicate"
        by = "" if verdict.layer == "none" else f", by the {verdict.layer} layer"
        near = ""
        if verdict.other:
            other = ledger.rows_by_id([verdict.other])[verdict.other]
            near = (
                f"; nearest {verdict.other} at cosine {verdict.cosine:.3f}: "
                f"{' '.join(other.instruction.split())[:120]}"
            )
        why = f" ({verdict.reason})" if verdict.reason else ""
        _say(console, f"redundancy: {kind}{by}{why}{near}")
    score = ledger.scores().get(row.id)
    if score and score.failed:
        _say(console, f"judge: failed, {score.failed}")
    elif score:
        parts = ", ".join(f"{name} {points:g}" for name, points in score.parts.items())
        _say(
            console,
            f"judge: {score.judge:g} of 100{f' ({parts})' if parts else ''}, length "
            f"{score.length:.1f}, final {score.final:.1f}: {score.reason}",
        )
        if score.judgements:
            each = ", ".join(f"{total:g}" for total in score.judgements)
            _say(console, f"judge: the mean of {len(score.judgements)} judgements: {each}")
        if score.concatenation:
            _say(console, "judge: two tasks joined, each of which could be done without the other")
    for duel in ledger.duels(row.id):
        opponent = duel.second if duel.first == row.id else duel.first
        _say(console, f"tie-break against {opponent}: {_outcome(duel, row.id)}")
    status, reason = ledger.status(row.id)
    _say(console, f"status: {status}{f' ({reason})' if reason else ''}")
    rank = ledger.rank(row.id)
    if rank:
        _say(console, f"selector: in the dataset, chosen as number {rank}")
    elif status == "accepted":
        _say(console, "selector: in the pool, but not among the rows chosen")


def _screened(check: Check) -> str:
    """What the screen found before any model saw the row."""
    said = [f"language {check.language or 'not told'}", f"cheap signals {check.points:g} of 100"]
    said += [f"{name} {points:g}" for name, points in check.parts.items() if points < 20]
    if check.personal:
        said.append(f"personal data: {counted(check.personal)}")
    why = f"{check.reason}: {check.evidence}" if check.evidence else check.reason
    if check.reason.startswith(LEAKS):
        why = LEAKS + check.evidence
    return f"screen: {f'rejected, {why}' if why else 'passed'}; {', '.join(said)}"


def _outcome(duel: Duel, row: str) -> str:
    if duel.failed:
        return f"failed, {duel.failed}"
    if not duel.consistent:
        return "undecided, because the verdict changed with the order"
    if not duel.winner:
        return f"equal in both orders: {duel.reason}"
    return f"{'better' if duel.winner == row else 'worse'} in both orders: {duel.reason}"


def _rule(console: Console, title: str) -> None:
    console.print(Rule(Text(title, style="cyan"), align="left"))


def _say(console: Console, text: str, style: str = "") -> None:
    console.print(Text(inert(text), style=style), soft_wrap=True)
