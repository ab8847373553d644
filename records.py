"""The records of a run: what the agents decide about and the stores keep."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Origin = Literal["seed", "generated"]
Strategy = Literal["", "fusion", "deepen", "answer"]
Status = Literal["new", "unique", "duplicate", "rejected", "quarantined", "accepted"]
StopReason = Literal["target", "budget", "rounds", "saturated", "errors", "interrupted"]


@dataclass(frozen=True, slots=True)
class Row:
    """One instruction-tuning example.

    `position` is the order of arrival, by which ties are broken; `extra` holds the columns of
    the file that lift-agent does not interpret, and comes back untouched. A multi-turn
    conversation has its earlier turns in `history` and its last turn in `instruction` and
    `output`.
    """

    id: str
    position: int
    instruction: str
    input: str
    output: str
    system: str = ""
    history: tuple[tuple[str, str], ...] = ()
    origin: Origin = "seed"
    source: str = ""
    line: int = 0
    extra: Mapping[str, Any] = field(default_factory=dict)
    round: int = 0
    strategy: Strategy = ""
    parents: tuple[str, ...] = ()
    subspace: str = ""

    @property
    def text(self) -> str:
        """The text that is embedded, in the form of the LIFT paper (arXiv 2312.11508)."""
        earlier = "".join(f"<INST> {ask} </INST> {answer}\n" for ask, answer in self.history)
        return f"{earlier}<INST> {self.instruction} Input: {self.input} </INST> {self.output}"

    @property
    def task(self) -> str:
        """The instruction with its input, as a model or a person is shown it."""
        return f"{self.instruction}\nInput: {self.input}" if self.input else self.instruction


def row_id(
    instruction: str,
    input: str,
    output: str,
    system: str = "",
    history: tuple[tuple[str, str], ...] = (),
    occurrence: int = 0,
) -> str:
    """Return the deterministic id of a row: a hash of its text, NFC, white space folded.

    `occurrence` counts the earlier rows with the same text, so that copies keep ids of their own.
    """
    parts = [instruction, input, output, system, *(turn for pair in history for turn in pair)]
    folded = [" ".join(unicodedata.normalize("NFC", part).split()) for part in parts]
    if occurrence:
        folded.append(f"copy {occurrence}")
    text = json.dumps(folded, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record of a source file that cannot be used."""

    source: str
    line: int
    reason: str
    excerpt: str


@dataclass(frozen=True, slots=True)
class Subspace:
    """A sparse region of the embedding space.

    `centre` is a unit vector; `radius` and `sparsity` are cosine distances; `members` are the
    ids of the rows inside the radius, nearest first, and `nearby` those of the dense neighbours.
    """

    id: str
    round: int
    centre: tuple[float, ...]
    radius: float
    sparsity: float
    members: tuple[str, ...]
    nearby: tuple[str, ...]
    name: str = ""
    brief: str = ""
    quota: int = 0


@dataclass(frozen=True, slots=True)
class Task:
    """One planned generation: from these parents, by a strategy, into that subspace.

    `rule` is how the parents were chosen (fusion), by which means the task is made harder
    (deepen), or what is to be better (answer).
    """

    id: str
    position: int
    round: int
    strategy: Strategy
    parents: tuple[str, ...]
    subspace: str = ""
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Tally:
    """What came of tasks: how many were tried, and how many rows of them were written, landed in
    their subspace, were accepted, and both.

    Only what landed and was accepted fills a subspace's quota; all that was accepted counts
    towards the target.
    """

    tried: int = 0
    written: int = 0
    landed: int = 0
    accepted: int = 0
    filled: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.tried + other.tried,
            self.written + other.written,
            self.landed + other.landed,
            self.accepted + other.accepted,
            self.filled + other.filled,
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the redundancy agent decided about a row, and on what evidence.

    `layer` names the check that decided (exact, normalised, semantic, model, none), `other` the
    row that is repeated (or the nearest one), and `cosine` their similarity.
    """

    row: str
    duplicate: bool
    layer: str
    other: str = ""
    cosine: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Score:
    """The judge's rubric score of a row (0 to 100), the length score, and the two combined.

    `parts` holds the points by criterion; `reason` is the judge's own sentence. A judgement that
    failed has `failed` set to its cause and no score at all.
    """

    row: str
    judge: float = 0.0
    length: float = 0.0
    final: float = 0.0
    parts: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""
    failed: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a model as it is kept in the ledger; `cost` is in USD, None if unknown.

    `reused` says that its answer was paid for earlier.
    """

    key: str
    agent: str
    prompt: str
    subject: str
    round: int
    model: str
    request: Mapping[str, Any]
    response: str = ""
    finish_reason: str = ""
    error: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None
    seconds: float = 0.0
    attempts: int = 1
    started: float = 0.0
    reused: bool = False


@dataclass(frozen=True, slots=True)
class Spending:
    """Requests, tokens (prompts and answers together) and US dollars."""

    calls: int = 0
    tokens: int = 0
    usd: float = 0.0

    def __add__(self, other: Spending) -> Spending:
        return Spending(self.calls + other.calls, self.tokens + other.tokens, self.usd + other.usd)

    def __sub__(self, other: Spending) -> Spending:
        return Spending(self.calls - other.calls, self.tokens - other.tokens, self.usd - other.usd)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request as it was sent for a call.

    `outcome` is answered, the fault, or "" where the process ended before either; `spent` is
    what it cost, or may have cost where no answer came.
    """

    started: float
    seconds: float | None
    outcome: str
    spent: Spending
