"""The figures of a run, read from its ledger: the end of the screen, the card, ``--json``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ...records.codes import Reason
from ..ledger import Ledger
from .screening import screened

EXPLANATIONS = {
    "target": "the target was reached",
    "budget": "the next call could have crossed a cap",
    "rounds": "the rounds of generation were used up",
    "saturated": "the last rounds brought almost no new rows: the subspaces are full",
    "errors": "too many calls to the model failed",
    "interrupted": "you stopped it",
}


# The sets of rows whose coverage is measured, as they are called where the figures are shown.
SETS = {
    "seeds": "before: all seeds",
    "random": "random seeds, as many",
    "variance": "by row variance, as many",
    "dataset": "after: the dataset",
}

PAIR = 0.95  # cosine from which two rows count as a pair where coverage is shown

# Why a row is rejected that is whole: the other reasons name a fault.

# Stop reasons after which the same command continues the run.
RESUMABLE = ("interrupted", "budget", "errors")


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
    rejected: dict[str, int]
    judge_quarantined: int
    not_judged: int
    tasks: int
    written: int
    landed: int
    generated_accepted: int
    faults: dict[str, int]
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

    @property
    def why(self) -> str:
        """The stop reason as a sentence."""
        return EXPLANATIONS.get(self.stop, "the run has not finished")

    def as_dict(self) -> dict[str, Any]:
        """Everything, for ``--json``."""
        return asdict(self) | {
            "calls": self.calls,
            "reused": self.reused,
            "tokens": self.tokens,
            "cost": self.cost,
        }


def summarise(ledger: Ledger) -> Summary:
    """Read the figures of a run from its ledger."""
    counts, facts = ledger.rows.counts(), ledger.facts.read()
    sources, rounds = ledger.sources.all(), ledger.rounds.all()
    chosen = ledger.dataset.counts()
    outcomes = ledger.rounds.task_outcomes()
    probes, subspaces = ledger.sources.references("probe"), ledger.rounds.subspaces()

    def count(status: str, origin: str = "") -> int:
        return sum(
            n for (o, s, _), n in counts.items() if s == status and (not origin or o == origin)
        )

    rejected: Counter[str] = Counter()
    for (_, status, why), n in counts.items():
        if status == "rejected":
            rejected[why] += n

    return Summary(
        target=facts.target,
        rows=sum(chosen.values()),
        stop=facts.stop or "",
        read=sum(source[2] for source in sources),
        unusable=len(ledger.sources.rejects()),
        seeds_accepted=count("accepted", "seed"),
        seeds_chosen=chosen.get("seed", 0),
        generated_chosen=chosen.get("generated", 0),
        near_duplicates=count("duplicate"),
        seed_near_duplicates=count("duplicate", "seed"),
        low_scores=sum(rejected.pop(why, 0) for why in (Reason.LOW_SCORE, Reason.LOW_VARIANCE)),
        rejected=dict(rejected),
        judge_quarantined=count("quarantined"),
        not_judged=count("unique") + count("new"),
        tasks=sum(outcomes.values()),
        written=outcomes.get(("row", ""), 0),
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
        toward=len(ledger.sources.references("toward")),
        probes=len(probes),
        plausible=sum(not probe.fault for probe in probes),
        given_up=sum(bool(subspace.given_up) for subspace in subspaces),
        screen=screened(
            ledger.judgements.checks(),
            ledger.sources.benchmarks(),
            masked=facts.setting("pii") == "mask",
            chosen=set(ledger.dataset.ids()),
        ),
    )


_BARS = "▁▂▃▄▅▆▇█"


def judging_lines(judging: Mapping[str, Any]) -> list[str]:
    """What a run's judge did, in sentences: its scores, how it repeats itself, the near-ties."""
    if not judging:
        return []
    lowest, first, middle, third, highest = judging["quartiles"]
    most = max(judging["histogram"])
    bars = "".join(_BARS[-(-n * 7 // most)] for n in judging["histogram"])
    lines = [
        f"scored {judging['rows']:,} rows from {lowest:g} to {highest:g}, half of them between "
        f"{first:g} and {third:g}, median {middle:g} (0 {bars} 100); correlation with length "
        f"{judging['length_correlation']:.2f}"
    ]
    if panel := judging.get("panel"):
        lines.append(_panel_line(panel))
    if repeats := judging["repeats"]:
        near = repeats.get("undecided")
        lines.append(
            f"judged {repeats['rows']} rows {repeats['samples']} times: a score varies by "
            f"±{repeats['deviation']:.1f} points (ICC {repeats['icc']:.2f}), so scores less than "
            f"{repeats['reach']:.1f} apart are not told apart"
            + (f": {near:,} rows lie that close to the last place" if near is not None else "")
        )
    if ties := judging["ties"]:
        lines.append(
            f"compared {ties['pairs']:,} pairs about the last place in both orders: "
            + (
                f"the same verdict in {ties['consistency']:.0%}, {ties['decided']:,} decided"
                if ties["consistency"] is not None
                else "no verdict"
            )
        )
    return lines


def _panel_line(panel: Mapping[str, Any]) -> str:
    """How far the judges of a panel agree, in a sentence."""
    means = ", ".join(f"{name} {mean:.1f}" for name, mean in panel["means"].items())
    line = f"a panel with the means {means}"
    if panel["deviation"] is not None:
        line += f"; on a row its judges differ by ±{panel['deviation']:.1f} points"
    if panel["correlation"] is not None:
        line += f" (rank correlation {panel['correlation']:.2f})"
    if panel["failed"]:
        line += f"; {panel['failed']:,} judgements failed, where the others decide"
    return line
