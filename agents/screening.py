"""The screen: what is checked of every row, seed or generated, before any model sees it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Literal, NamedTuple, TypeVar

from ..records import Row, ScreeningResult, TargetPrompt, UnusableRecord, row_id, target_prompt_id
from ..records.codes import Reason
from . import privacy, scoring
from .code import prose
from .contamination import Benchmarks
from .corpus_statistics import CorpusStatistics
from .language import language_of, other_language
from .signals import fault

_CERTAIN = 0.9  # probability of both languages from which a response is broken for its own

Record = TypeVar("Record", bound="Row | TargetPrompt | UnusableRecord")


class Objection(NamedTuple):
    """Why a row is rejected, "" if it passes; `detail` is the benchmark that it leaks."""

    reason: Reason | Literal[""] = ""
    evidence: str = ""
    detail: str = ""


class Screen:
    """Screens rows one by one: contamination, fatal faults, personal data, language."""

    def __init__(
        self,
        benchmarks: Benchmarks | None,
        statistics: CorpusStatistics,
        *,
        faults: bool,
        pii: str,
        languages: Collection[str],
    ) -> None:
        """Take what no row may leak, and what the cheap signals compare rows with.

        Args:
            benchmarks: None where nothing is to be compared.
            statistics: of the run's seeds.
            faults: whether a fatal fault rejects a row.
            pii: off, report, mask or drop.
            languages: those that are wanted; empty for all.
        """
        self._benchmarks = benchmarks
        self._statistics = statistics
        self._faults = faults
        self._pii = pii
        self._languages = languages

    def screen(self, row: Row, near: tuple[int, float] | None = None) -> ScreeningResult:
        """Screen a row, which may come `near` an item of a benchmark: its index, the cosine."""
        language = language_of(row)
        personal = self._personal(row)
        objection = self._objection(row, near, language, personal)
        parts = scoring.points(row, self._statistics)
        return ScreeningResult(row.id, language, parts, personal, *objection)

    def _objection(
        self,
        row: Row,
        near: tuple[int, float] | None,
        language: str,
        personal: Mapping[str, int],
    ) -> Objection:
        if self._benchmarks and (leaks := self._benchmarks.leaks(row, near)):
            return Objection(Reason.LEAK, leaks[0].evidence, leaks[0].name)
        if self._faults and (found := fault(row)):
            return Objection(found)
        if self._faults and other_language(prose(row.output), row.task, _CERTAIN):
            return Objection(Reason.OTHER_LANGUAGE)
        if self._pii == "drop" and personal:
            counts = ", ".join(f"{kind} {n}" for kind, n in sorted(personal.items()))
            return Objection(Reason.PERSONAL_DATA, evidence=counts)
        if self._languages and language not in self._languages:
            return Objection(Reason.LANGUAGE_NOT_WANTED, evidence=language or "it does not tell")
        return Objection()

    def _personal(self, row: Row) -> Mapping[str, int]:
        if self._pii == "off":
            return {}
        return privacy.masks(row) if self._pii == "mask" else privacy.personal(row)


def masked_records(records: Iterable[Record]) -> Iterator[Record]:
    """Mask the personal data of records as they are read; their ids become those of the new texts.

    Rows that are equal once they are masked keep ids of their own.
    """
    copies: Counter[str] = Counter()
    for record in records:
        made: Row | TargetPrompt | UnusableRecord = record
        if isinstance(record, Row):
            made = masked_row(record, copies)
        elif isinstance(record, TargetPrompt):
            texts = privacy.masked(record.instruction), privacy.masked(record.input)
            id = target_prompt_id(*texts)
            made = replace(record, id=id, instruction=texts[0], input=texts[1])
        elif isinstance(record, UnusableRecord):
            made = replace(record, excerpt=privacy.masked(record.excerpt))
        yield made  # type: ignore[misc]


def masked_row(row: Row, copies: Counter[str] | None = None) -> Row:
    """Mask the personal data of a row and give it the id of its new text.

    `copies` counts the rows that were masked before, by the id of their text.
    """
    made = privacy.masked_row(row)
    texts = (made.instruction, made.input, made.output, made.system, made.history)
    id = row_id(*texts)
    if copies is None:
        return replace(made, id=id)
    copies[id] += 1
    return replace(made, id=row_id(*texts, copies[id] - 1))
