"""Reading prompts, wanted ones or a benchmark's: any form of instruction data, or prompts alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ...errors import SourceError
from ...records import BenchmarkItem, TargetPrompt, UnusableRecord, target_prompt_id
from .containers import Stream, container_of, decoded, head_lines, lines
from .forms import Columns, Example, Problem, examples, prompts
from .json_values import is_object
from .readers import records_of, rejected
from .record import BAD_BYTE, Place, Record, invalid_utf8
from .sources import File
from .tables import table_of

_ANSWERS = ("canonical_solution", "solution", "answer", "target")
_JSON = re.compile(r'\s*(\{|"|\[\s*($|[{\["\]]))')


def read_prompts(
    files: Sequence[File | Path], columns: Columns | None = None
) -> Iterator[TargetPrompt | UnusableRecord]:
    """Yield each prompt of the files in order, or an UnusableRecord with its place and reason.

    A file holds records in a form that `read_rows` knows, whose outputs may be missing and are
    passed over; records with a prompt, question, query or text; JSON strings; or plain text with
    one prompt a line. Which one, is recognised by its content.

    Raises:
        UsageError: a file is not there.
        SourceError: a file has no usable prompt.
    """
    for position, (file, record, found) in enumerate(_prompts(files, columns)):
        if isinstance(found, UnusableRecord):
            yield found
        else:
            id = target_prompt_id(*found)
            yield TargetPrompt(id, position, "toward", *found, source=file.name, line=record.line)


def read_benchmarks(
    files: Sequence[File | Path], columns: Columns | None = None
) -> Iterator[BenchmarkItem | UnusableRecord]:
    """Yield each item of benchmarks in order, or an UnusableRecord with its place and reason.

    The prompts are found as by `read_prompts`; the answer is the output of a row, or is called
    canonical_solution (HumanEval), solution, answer or target.

    Raises:
        UsageError: a file is not there.
        SourceError: a file has no usable prompt.
    """
    for file, record, found in _prompts(files, columns):
        if isinstance(found, UnusableRecord):
            yield found
            continue
        instruction, input = found
        prompt = f"{instruction}\n{input}" if input else instruction
        yield BenchmarkItem(file.name, record.line, prompt, _answer(record.value, found, columns))


def _answer(value: Any, prompt: tuple[str, str], columns: Columns | None) -> str:
    """The answer that a record holds for a prompt, "" if it has none in words."""
    for example in examples(value, columns) if isinstance(value, dict) else ():
        if isinstance(example, Example) and (example.instruction, example.input) == prompt:
            return example.output
    answers = [value.get(key) for key in _ANSWERS] if isinstance(value, dict) else []
    return next((answer for answer in answers if isinstance(answer, str)), "")


def _prompts(
    files: Sequence[File | Path], columns: Columns | None
) -> Iterator[tuple[File, Record, tuple[str, str] | UnusableRecord]]:
    """Each prompt of the files, or why there is none, with its record."""
    for file in map(File.of, files):
        usable, first = False, None
        for record, found in _found(file, columns):
            if isinstance(found, Problem):
                unusable = rejected(file, record, *found)
                first = first or unusable
                yield file, record, unusable
            else:
                usable = True
                yield file, record, found
        if not usable:
            why = f": on line {first.line}, {first.reason}" if first else ""
            raise SourceError(f"{file.name} has no usable prompt{why}.")


def _found(
    file: File, columns: Columns | None
) -> Iterator[tuple[Record, tuple[str, str] | Problem]]:
    """Each record, and the prompt in it (instruction, input) or what is wrong with it."""
    with Stream(file.path) as stream:
        plain = _is_plain_text(stream, columns)
        found = _lines(stream) if plain else records_of(stream, columns, prompts=True)
        for record in found:
            if record.problem:
                yield record, Problem(record.problem)
                continue
            for prompt in prompts(record.value, columns):
                yield record, prompt


def _is_plain_text(stream: Stream, columns: Columns | None) -> bool:
    if container_of(stream) != "text" or table_of(stream, columns, prompts=True):
        return False
    head = head_lines(stream)[:20]
    return bool(head) and not _JSON.match(head[0]) and not any(map(is_object, head))


def _lines(stream: Stream) -> Iterator[Record]:
    for number, raw in enumerate(lines(stream), 1):
        text = decoded(raw).strip()
        if bad := BAD_BYTE.search(text):
            spot = Place(number).after(decoded(raw).partition(bad[0])[0])
            yield Record(number, raw, problem=invalid_utf8(bad[0], spot), fault=spot[:2])
        elif text:
            yield Record(number, raw, text)
