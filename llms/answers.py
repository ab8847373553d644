"""Reads what a model said: past its thinking, code fences and prose, to the text or object."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, TypeVar

from annotated_types import MaxLen
from pydantic import BaseModel, ValidationError

from ..records import Call

Answered = TypeVar("Answered", bound=BaseModel)

# By finish reason: why an answer is not whole, or not there.
_CAUSES = {
    "length": "the answer was cut by its length",
    "content_filter": "the server's content filter stopped the answer",
    "refusal": "the model refused to answer",
    "tool_calls": "the model called a tool in place of an answer",
}

_THINKING = re.compile(
    r"\A(?:\s*<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z))+", re.DOTALL | re.IGNORECASE
)
_OPENED = re.compile(r"\A(?:(?!<think).)*?</think(?:ing)?>", re.DOTALL | re.IGNORECASE)


_TRAILING = re.compile(r'("(?:\\.|[^"\\])*")|,(?=\s*[}\]])', re.DOTALL)
_MARKS = re.compile(r'\\.|["{}]', re.DOTALL)


def without_thinking(text: str) -> str:
    """Remove the thinking with which a reasoning model's answer begins.

    Its opening tag may have been the end of the prompt.
    """
    return _OPENED.sub("", _THINKING.sub("", text))


def plain(call: Call) -> tuple[str, str]:
    """Return a call's answer as text, and the cause if there is none that can be used."""
    text = without_thinking(call.response).strip()
    if call.finish_reason in ("refusal", "content_filter"):  # what there is, is no answer
        return "", _CAUSES[call.finish_reason]
    return text, "" if text else _cause(call) or "the answer is empty"


def parse(schema: type[Answered], call: Call) -> tuple[Answered | None, str]:
    """Validate a call's response by a schema; return the object, or None and the cause.

    Thinking, a code fence and prose around the JSON object are passed over, and small faults of
    the JSON are mended where it is whole: half an answer never becomes an object.
    """
    cause = _cause(call)
    whole = call.response.strip()
    text = whole if whole.startswith("{") else without_thinking(whole)
    if not text:
        return None, cause or "the answer is empty"
    problem: ValidationError | None = None
    for candidate in _objects(text):
        try:
            return _validated(schema, json.loads(candidate, strict=False)), ""
        except ValidationError as error:
            problem = problem or error
    if not cause and (mended := _mended(schema, text)):
        return mended, ""
    if problem is None:
        start, end = text.find("{"), text.rfind("}")
        if start < 0 or end < start:
            return None, cause or "there is no JSON object in it"
        try:
            return schema.model_validate_json(text[start : end + 1]), ""
        except ValidationError as error:
            problem = error
    first = problem.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return None, cause or (f"{where}: {first['msg']}" if where else str(first["msg"]))


def explained(cause: str, call: Call) -> str:
    """The cause as people are told it: with what went into thinking, which is in no prompt."""
    if cause and call.finish_reason == "length" and call.reasoning_tokens:
        return f"{cause}: {call.reasoning_tokens} of its tokens went into thinking"
    return cause


def _cause(call: Call) -> str:
    """Why an answer is not whole, by its finish reason; "" if it is."""
    return _CAUSES.get(call.finish_reason, "")


def _mended(schema: type[Answered], text: str) -> Answered | None:
    """An object of which the JSON has small faults: a comma too many, single quotes."""
    from json_repair import repair_json

    for span in _spans(text):
        try:  # the commonest fault; a string may look like one to the library
            value = json.loads(_TRAILING.sub(lambda m: m[1] or "", span), strict=False)
        except (ValueError, RecursionError):
            value = repair_json(span, return_objects=True, skip_json_loads=True)
        if isinstance(value, dict):
            try:
                return _validated(schema, value)
            except ValidationError:
                continue
    return None


def _spans(text: str) -> Iterator[str]:
    """What stands between braces that belong together; nothing from one on that never closes."""
    depth, start, quoted = 0, 0, False
    for mark in _MARKS.finditer(text):
        sign = mark.group()
        if sign == '"':
            quoted = not quoted and depth > 0
        elif sign == "{" and not quoted:
            start = start if depth else mark.start()
            depth += 1
        elif sign == "}" and not quoted and depth:
            depth -= 1
            if not depth:
                yield text[start : mark.end()]


def _validated(schema: type[Answered], value: dict[str, Any]) -> Answered:
    """Validate an object; a string that is too long is cut, not refused: it was paid for."""
    for name, said in value.items():
        if isinstance(said, str):  # half a character may be written as an escape
            value[name] = said.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    for name, field in schema.model_fields.items():
        limits = [m.max_length for m in field.metadata if isinstance(m, MaxLen)]
        if limits and isinstance(value.get(name), str):
            value[name] = value[name][: limits[0]]
    return schema.model_validate(value)


def _objects(text: str) -> Iterator[str]:
    decoder, at = json.JSONDecoder(strict=False), text.find("{")
    while at >= 0:
        try:
            _, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            yield text[at:end]
        at = text.find("{", end)
