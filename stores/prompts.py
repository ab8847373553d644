"""Reading prompts, wanted ones or a benchmark's: any form of instruction data, or prompts alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from ..errors import SourceError
from ..records import BenchmarkItem, Reference, Rejected, reference_id
from .forms import Example, examples, excerpt, prompts
from .json_records import records
from .readers import lines_of

_ANSWERS = ("canonical_solution", "solution", "answer", "target")
_JSON = re.compile(r'\s*(\{|"|\[\s*($|[{\["\]]))')


def read_prompts(paths: Sequence[Path]) -> Iterator[Reference | Rejected]:
    """Yield each prompt of the files in order, or a Rejected with file, line and reason.

    A file holds JSON records in a form that `read_rows` knows, whose outputs may be missing and
    are passed over; records with a prompt, question, query or text; JSON strings; or plain text
    with one prompt a line. Which one, is recognised by its content.

    Raises:
        UsageError: a file is not there.
        SourceError: a file is damaged, or has no usable prompt.
    """
    for position, (found, record) in enumerate(_records(paths)):
        if isinstance(found, Rejected):
            yield found
        else:
            id = reference_id(*found)
            source, line, _ = record
            yield Reference(id, position, "toward", *found, source=source, line=line)


def read_benchmarks(paths: Sequence[Path]) -> Iterator[BenchmarkItem | Rejected]:
    """Yield each item of benchmarks in order, or a Rejected with file, line and reason.

    The prompts are found as by `read_prompts`; the answer is the output of a row, or is called
    canonical_solution (HumanEval), solution, answer or target.

    Raises:
        UsageError: a file is not there.
        SourceError: a file is damaged, or has no usable prompt.
    """
    for found, (source, line, value) in _records(paths):
        if isinstance(found, Rejected):
            yield found
            continue
        instruction, input = found
        prompt = f"{instruction}\n{input}" if input else instruction
        yield BenchmarkItem(source, line, prompt, _answer(value, found))


def _answer(value: Any, prompt: tuple[str, str]) -> str:
    """The answer that a record holds for a prompt, "" if it has none in words."""
    for example in examples(value) if isinstance(value, dict) else ():
        if isinstance(example, Example) and (example.instruction, example.input) == prompt:
            return example.output
    answers = [value.get(key) for key in _ANSWERS] if isinstance(value, dict) else []
    return next((answer for answer in answers if isinstance(answer, str)), "")


Place = tuple[str, int, Any]  # file, line, and the record's JSON value (None of plain text)


def _records(paths: Sequence[Path]) -> Iterator[tuple[tuple[str, str] | Rejected, Place]]:
    """Each prompt of the files, or why there is none, with its place."""
    for path in paths:
        usable, first = False, None
        for line, raw, value, found in _found(path):
            if isinstance(found, str):
                rejected = Rejected(str(path), line, found, excerpt(raw))
                first = first or rejected
                yield rejected, (str(path), line, value)
            else:
                usable = True
                yield found, (str(path), line, value)
        if not usable:
            why = f": on line {first.line}, {first.reason}" if first else ""
            raise SourceError(f"{path} has no usable prompt{why}.")


def _found(path: Path) -> Iterator[tuple[int, str, Any, tuple[str, str] | str]]:
    """Line, text, value, and the prompt (instruction, input) or why there is none."""
    lines = lines_of(path)
    blank = []
    for line in lines:
        blank.append(line)
        if line.strip():
            break
    whole = chain(blank, lines)
    if blank and _JSON.match(blank[-1]):
        for record in records(whole):
            for prompt in [record.problem] if record.problem else prompts(record.value):
                yield record.line, record.raw, record.value, prompt
        return
    for number, line in enumerate(whole, 1):
        if text := line.strip():
            try:
                text.encode()
            except UnicodeEncodeError:
                yield number, line, None, "invalid UTF-8"
            else:
                yield number, line, None, (text, "")
