"""The records of a run: what the agents decide about and the stores keep."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from json.encoder import encode_basestring
from typing import Any, Literal

Origin = Literal["seed", "generated"]
Strategy = Literal["", "fusion", "deepen", "answer"]
ReferenceKind = Literal["toward", "probe"]
Mapped = Literal["instruction", "input", "output", "system"]
Status = Literal["new", "unique", "duplicate", "rejected", "quarantined", "accepted"]
Point = tuple[float, float]
LEAKS = "leaks "  # how the reason of a leaking row begins; the benchmark's name follows
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
    folded = [_folded(part) for part in parts]
    if occurrence:
        folded.append(f"copy {occurrence}")
    text = f"[{', '.join(map(encode_basestring, folded))}]"  # as json.dumps writes it
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _folded(text: str) -> str:
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    elif text.isprintable() and "  " not in text and text[:1] != " " != text[-1:]:
        return text  # as most are
    return " ".join(text.split())


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a row: its status with the reason, its rank in the dataset (None if it is
    not there), whether it landed in its subspace, and where it lies on the map.
    """

    id: str
    origin: Origin
    round: int
    status: Status
    reason: str
    rank: int | None
    landed: bool | None
    distance: float | None
    x: float | None
    y: float | None


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record of a source file that cannot be used, and the place of what is wrong with it.

    `column` is the character in the line, from 1; in Parquet and Arrow `line` is the number of the
    record and `column` that of its column.
    """

    source: str
    line: int
    reason: str
    excerpt: str
    column: int = 1


@dataclass(frozen=True, slots=True)
class Reference:
    """A prompt that shows what the dataset is wanted for; never a row of it.

    `kind` tells the user's own prompts (toward) from those that the model wrote in `round` on a
    `theme` (probe). One with a `fault` is kept but not used.
    """

    id: str
    position: int
    kind: ReferenceKind
    instruction: str
    input: str = ""
    source: str = ""
    line: int = 0
    round: int = 0
    theme: str = ""
    fault: str = ""

    @property
    def task(self) -> str:
        """The instruction with its input."""
        return f"{self.instruction}\nInput: {self.input}" if self.input else self.instruction

    @property
    def as_row(self) -> Row:
        """The prompt as the row, not answered yet, whose text is embedded."""
        return Row(self.id, self.position, self.instruction, self.input, "")


def reference_id(instruction: str, input: str = "") -> str:
    """Return the id of a prompt of the reference: the same prompt counts once."""
    return f"p-{row_id(instruction, input, '')[:14]}"


@dataclass(frozen=True, slots=True)
class BenchmarkItem:
    """An item of a benchmark that no row may leak: its prompt, and its answers, "" if it has none.

    It never enters the dataset and is never shown to a model.
    """

    source: str
    line: int
    prompt: str
    answer: str = ""

    def as_rows(self) -> list[Row]:
        """The rows whose vectors a rewording comes near: the prompt alone, and with its answer."""
        answers = ["", self.answer] if self.answer else [""]
        return [Row(row_id(self.prompt, "", a), 0, self.prompt, "", a) for a in answers]


@dataclass(frozen=True, slots=True)
class Check:
    """What the screen found of a row before any model compared or judged it.

    `parts` holds the points of the cheap signals by group (100 in all), `personal` the number of
    finds of personal data by kind. `reason` is why the row is rejected, "" if it passed, and
    `evidence` what shows it.
    """

    row: str
    language: str = ""
    parts: Mapping[str, float] = field(default_factory=dict)
    personal: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""
    evidence: str = ""

    @property
    def points(self) -> float:
        """Points of all groups of signals, of 100."""
        return sum(self.parts.values())


@dataclass(frozen=True, slots=True)
class Subspace:
    """A sparse region of the embedding space.

    `centre` is a unit vector and `radius` a cosine distance. `density` and `wanted_density` are
    mean cosines to the nearest rows of the data and of the reference, and `gap` is how far the
    data falls short. `members` are the ids of the rows inside the radius, nearest first, `wanted`
    those of the reference's prompts there, and `nearby` those of the dense neighbours. `given_up`
    says why no more tasks go there, "" while some may.
    """

    id: str
    round: int
    centre: tuple[float, ...]
    radius: float
    gap: float
    members: tuple[str, ...]
    nearby: tuple[str, ...]
    name: str = ""
    brief: str = ""
    quota: int = 0
    wanted: tuple[str, ...] = ()
    density: float = 0.0
    wanted_density: float = 0.0
    given_up: str = ""


@dataclass(frozen=True, slots=True)
class TrackRecord:
    """What came of the tasks of a subspace: how many were tried, how many became accepted rows,
    how many of those landed in it, and the tokens that all of them took.
    """

    tried: int = 0
    accepted: int = 0
    landed: int = 0
    tokens: int = 0


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

    `layer` names the check that decided (exact, normalised, lexical, semantic, model, none),
    `other` the row that is repeated (or the nearest one), `cosine` their similarity, and `reason`
    what differs between the two.
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
    failed has `failed` set to its cause and no score at all. Where a row was judged several times
    `judgements` holds each total, and `judge` and `parts` are their means. `concatenation` says
    that a fused row is two tasks joined, for which it is rejected whatever its score. `panel`
    holds the points that each of several judges gave, none where it failed.
    """

    row: str
    judge: float = 0.0
    length: float = 0.0
    final: float = 0.0
    parts: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""
    failed: str = ""
    judgements: tuple[float, ...] = ()
    concatenation: bool = False
    panel: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Duel:
    """Two rows compared by the judge in both orders, to break a near-tie of their scores.

    `forward` is the id that it preferred when `first` was shown first and `backward` when it was
    shown second, "" where it called them equal. A comparison that failed has `failed` set to its
    cause.
    """

    first: str
    second: str
    forward: str = ""
    backward: str = ""
    reason: str = ""
    failed: str = ""

    @property
    def consistent(self) -> bool:
        """Whether both orders brought the same verdict."""
        return not self.failed and self.forward == self.backward

    @property
    def winner(self) -> str:
        """The id that was preferred in both orders, "" if none was: position bias cancels."""
        return self.forward if self.consistent else ""

    @property
    def loser(self) -> str:
        """The other id of a duel that has a winner, "" else."""
        return {self.first: self.second, self.second: self.first}.get(self.winner, "")


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a model as it is kept in the ledger; `cost` is in USD, None if unknown.

    `reused` says that its answer was paid for earlier. Of its output, `reasoning_tokens` were
    thought, and of its input, `cached_tokens` came from the provider's cache; `way` is how an
    object was asked for.
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
    reasoning_tokens: int = 0
    cached_tokens: int = 0
    way: str = ""


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
class BatchItem:
    """A call in a batch, without its answer: what was reserved for it, its room to think, and
    the number of its attempt.
    """

    call: Call
    worst: Spending
    room: int = 0
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """So many calls that are handed to a provider together.

    `intent` names it before the provider does; `created` is when it was about to be sent; `id` is
    the provider's name, "" as long as it is not known to have arrived.
    """

    intent: str
    model: str
    created: float
    calls: int
    items: tuple[BatchItem, ...]
    id: str = ""


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
