"""The shapes in which rows are written: under which names their texts stand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...records import Row
from .turns import conversations, messages, original, prompt_of

Record = dict[str, Any]
Shape = Callable[[Row], Record]


def alpaca(row: Row) -> Record:
    """`instruction`, `input` and `output`; `system` and `history` where there are any."""
    texts = {"instruction": row.instruction, "input": row.input, "output": row.output}
    return texts | _before(row)


def prompt_completion(row: Row) -> Record:
    """`prompt` and `completion`; `system` and `history` where there are any."""
    return {"prompt": prompt_of(row), "completion": row.output} | _before(row)


def openai(row: Row) -> Record:
    """`messages` with `role` and `content`."""
    return {"messages": messages(row)}


def sharegpt(row: Row) -> Record:
    """`conversations` with `from` and `value`."""
    return {"conversations": conversations(row)}


SHAPES: dict[str, Shape] = {
    "alpaca": alpaca,
    "messages": openai,
    "sharegpt": sharegpt,
    "prompt-completion": prompt_completion,
}


def whole(row: Row, shape: Shape, story: Mapping[str, Any]) -> Record:
    """A row in a shape, with its file's other columns, and its story in `lift`.

    The row's own texts win over a column of the same name. A conversation is written once: one
    that is converted leaves its file's own form behind.
    """
    record = shape(row)
    found = original(row) if shape in (openai, sharegpt) else None
    taken = {*record, "lift", *(found[:1] if found else ())}
    record |= {name: value for name, value in row.extra.items() if name not in taken}
    record["lift"] = dict(story)
    return record


def _before(row: Row) -> Record:
    before: Record = {"system": row.system} if row.system else {}
    if row.history:
        before["history"] = [list(turn) for turn in row.history]
    return before
