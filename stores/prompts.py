"""Reading prompts that show what is wanted: any form of instruction data, or prompts alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from ..errors import SourceError
from ..records import Reference, Rejected, reference_id
from .forms import excerpt, prompts
from .json_records import records
from .readers import lines_of

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
    position = 0
    for path in paths:
        usable, first = False, None
        for line, raw, found in _found(path):
            if isinstance(found, str):
                rejected = Rejected(str(path), line, found, excerpt(raw))
                first = first or rejected
                yield rejected
            else:
                usable = True
                yield Reference(
                    reference_id(*found), position, "toward", *found, source=str(path), line=line
                )
            position += 1
        if not usable:
            why = f": on line {first.line}, {first.reason}" if first else ""
            raise SourceError(f"{path} has no usable prompt{why}.")


def _found(path: Path) -> Iterator[tuple[int, str, tuple[str, str] | str]]:
    """Line, text, and the prompt (instruction, input) or the reason for which there is none."""
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
                yield record.line, record.raw, prompt
        return
    for number, line in enumerate(whole, 1):
        if text := line.strip():
            try:
                text.encode()
            except UnicodeEncodeError:
                yield number, line, "invalid UTF-8"
            else:
                yield number, line, (text, "")
