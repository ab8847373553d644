"""The rows of a run, the records that are none, and the prompts that rows are held against."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from json.encoder import encode_basestring
from typing import Any, Literal

from .codes import Status, Why

Origin = Literal["seed", "generated"]
Strategy = Literal["", "fusion", "deepen", "answer"]
PromptKind = Literal["toward", "probe"]
Mapped = Literal["instruction", "input", "output", "system"]
Point = tuple[float, float]


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
class RowOutcome:
    """What became of a row: its status with the reason and its detail, its rank in the dataset
    (None if it is not there), whether it landed in its subspace, and where it lies on the map.
    """

    id: str
    origin: Origin
    round: int
    status: Status
    reason: str
    detail: str
    rank: int | None
    landed: bool | None
    distance: float | None
    x: float | None
    y: float | None

    @property
    def why(self) -> Why:
        """The reason for the status, with its detail."""
        return Why(self.reason, self.detail)


@dataclass(frozen=True, slots=True)
class UnusableRecord:
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
class TargetPrompt:
    """A prompt that shows what the dataset is wanted for; never a row of it.

    `kind` tells the user's own prompts (toward) from those that the model wrote in `round` on a
    `theme` (probe). One with a `fault`, a `DraftFault`, is kept but not used.
    """

    id: str
    position: int
    kind: PromptKind
    instruction: str
    input: str = ""
    source: str = ""
    line: int = 0
    round: int = 0
    theme: str = ""
    fault: str = ""
    detail: str = ""

    @property
    def task(self) -> str:
        """The instruction with its input."""
        return f"{self.instruction}\nInput: {self.input}" if self.input else self.instruction

    @property
    def as_row(self) -> Row:
        """The prompt as the row, not answered yet, whose text is embedded."""
        return Row(self.id, self.position, self.instruction, self.input, "")


def target_prompt_id(instruction: str, input: str = "") -> str:
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
