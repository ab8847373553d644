"""The figures of a run, read from its ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...records import Reason, Why
from ..ledger import Ledger
from .screening import screened

PAIR = 0.95  # cosine from which two rows count as a pair where coverage is shown

# Stop reasons after which the same command continues the run.
RESUMABLE = ("interrupted", "budget", "errors")

_BELOW = (Reason.LOW_SCORE, Reason.LOW_VARIANCE)  # such a row is whole, but others are better


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run read, removed, made, accepted and spent, and why it stopped.

    `requests` are those that were sent, refused and repeated ones included. The data was compared
    with `toward` prompts of the user's, or with `probes` that the model wrote, of which some are
    `plausible`; `given_up` subspaces got no more tasks.
    """

    target: int
    rows: int
    stop: str
    read: int
    unusable: int
    seeds_accepted: int
    seeds_chosen: int
    generated_chosen: int
    near_duplicates: int
    seed_near_duplicates: int
    low_scores: int
    rejected: Mapping[Why, int]
    judge_quarantined: int
    not_judged: int
    tasks: int
    written: int
    landed: int
    generated_accepted: int
    faults: Mapping[Why, int]
    rounds: int
    coverage: Mapping[str, Mapping[str, Any]]
    judge: str
    judging: Mapping[str, Any]
    usage: dict[str, dict[str, float | None]]
    subspaces: int
    requests: int
    seconds: float
    estimate: Mapping[str, Any]
    toward: int = 0
    probes: int = 0
    plausible: int = 0
    given_up: int = 0
    screen: dict[str, Any] = field(default_factory=dict)

    @property
    def calls(self) -> int:
        """Calls of all agents that this run paid for."""
        return int(sum(used["calls"] or 0 for used in self.usage.values()))

    @property
    def reused(self) -> int:
        """Answers that an earlier run had paid for."""
        return int(sum(used["reused"] or 0 for used in self.usage.values()))

    @property
    def tokens(self) -> int:
        """Tokens used by all agents."""
        return int(
            sum((u["input_tokens"] or 0) + (u["output_tokens"] or 0) for u in self.usage.values())
        )

    @property
    def cost(self) -> float | None:
        """USD spent by all agents, None if a price is unknown."""
        total = 0.0
        for used in self.usage.values():
            if used["cost"] is None:
                return None
            total += used["cost"]
        return total

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do: the same command would change nothing."""
        return bool(self.stop) and self.stop not in RESUMABLE


def summarise(ledger: Ledger) -> Summary:
    """Read the figures of a run from its ledger."""
    counts, facts = ledger.rows.counts(), ledger.facts.read()
    sources, rounds = ledger.sources.all(), ledger.rounds.all()
    chosen = ledger.dataset.counts()
    outcomes = ledger.rounds.task_outcomes()
    probes, subspaces = ledger.sources.target_prompts("probe"), ledger.rounds.subspaces()

    def count(status: str, origin: str = "") -> int:
        return sum(
            n for (o, s, _), n in counts.items() if s == status and (not origin or o == origin)
        )

    rejected = Counter[Why]()
    for (_, status, why), n in counts.items():
        if status == "rejected":
            rejected[why] += n

    return Summary(
        target=facts.target,
        rows=sum(chosen.values()),
        stop=facts.stop or "",
        read=sum(source[2] for source in sources),
        unusable=len(ledger.sources.unusable()),
        seeds_accepted=count("accepted", "seed"),
        seeds_chosen=chosen.get("seed", 0),
        generated_chosen=chosen.get("generated", 0),
        near_duplicates=count("duplicate"),
        seed_near_duplicates=count("duplicate", "seed"),
        low_scores=sum(rejected.pop(Why(code), 0) for code in _BELOW),
        rejected=dict(rejected),
        judge_quarantined=count("quarantined"),
        not_judged=count("unique") + count("new"),
        tasks=sum(outcomes.values()),
        written=outcomes.get(("row", Why()), 0),
        landed=sum(r["landed"] for r in rounds),
        generated_accepted=count("accepted", "generated"),
        faults={why: n for (kind, why), n in outcomes.items() if kind != "row"},
        rounds=sum(r["round"] > 0 for r in rounds),
        coverage=facts.coverage,
        judge=facts.judge,
        judging=facts.judging,
        usage=ledger.calls.usage(),
        subspaces=len({subspace.id for subspace in subspaces}),
        requests=ledger.calls.spent().calls,
        seconds=facts.seconds,
        estimate=facts.estimate,
        toward=len(ledger.sources.target_prompts("toward")),
        probes=len(probes),
        plausible=sum(not probe.fault for probe in probes),
        given_up=sum(bool(subspace.given_up) for subspace in subspaces),
        screen=screened(
            ledger.judgements.screening(),
            ledger.sources.benchmarks(),
            masked=facts.setting("pii") == "mask",
            chosen=set(ledger.dataset.ids()),
        ),
    )
