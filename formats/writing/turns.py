"""A row as the turns of a conversation, in the manner of OpenAI and of ShareGPT."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ...records import Row
from ..reading.conversations import CONVERSATIONS, ROLES
from ..reading.forms import Example, examples, form_of

Turn = dict[str, Any]

# What ShareGPT calls a role, and what OpenAI does. A call of a function is a turn of its own there.
SHAREGPT = {
    "system": "system",
    "user": "human",
    "assistant": "gpt",
    "tool": "observation",
    "call": "function_call",
}
# As the reader calls roles, and as OpenAI does where that is another name.
_ROLES = {name: "tool" if role == "result" else role for name, role in ROLES.items()}


def prompt_of(row: Row) -> str:
    """The instruction, and after a blank line the input if there is one."""
    return f"{row.instruction}\n\n{row.input}" if row.input else row.instruction


def original(row: Row) -> tuple[str, list[Turn]] | None:
    """The column and the turns of the conversation that a row was read from, tools included.

    None if it was read from something else, or if the turns are no longer what the row says.
    """
    column = form_of(row.extra)
    if column not in CONVERSATIONS:
        return None
    example = examples(row.extra)[0]
    said = (row.instruction, row.input, row.output, row.system, row.history)
    if not isinstance(example, Example) or said != (
        *(example.instruction, example.input, example.output),
        *(example.system, example.history),
    ):
        return None
    return column, row.extra[column]


def messages(row: Row) -> list[Turn]:
    """The turns of a row in the manner of OpenAI, those of its file untouched if they are so."""
    found = original(row)
    if found is None:
        return plain_messages(row)
    column, turns = found
    return turns if column == "messages" else [_message(turn) for turn in turns]


def plain_messages(row: Row) -> list[Turn]:
    """The turns of a row by its own fields: those of a system, users and assistants only."""
    said = [("system", row.system)] if row.system else []
    for ask, answer in (*row.history, (prompt_of(row), row.output)):
        said += [("user", ask), ("assistant", answer)]
    return [{"role": role, "content": text} for role, text in said]


def conversations(row: Row) -> list[Turn]:
    """The turns of a row in the manner of ShareGPT, those of its file untouched if they are so."""
    found = original(row)
    if found and found[0] == "conversations":
        return found[1]
    return [turn for message in messages(row) for turn in sharegpt(message)]


def sharegpt(message: Mapping[str, Any]) -> list[Turn]:
    """A message as turns of ShareGPT: what is said, and the functions that are called."""
    role, text = _role(message), content(message)
    calls = _calls(message)
    turns = []
    if text or not calls:
        turns.append({"from": SHAREGPT.get(role, role), "value": text})
    if calls:
        value = json.dumps(calls[0] if len(calls) == 1 else calls, ensure_ascii=False)
        turns.append({"from": SHAREGPT["call"], "value": value})
    return turns


def content(turn: Mapping[str, Any]) -> str:
    """What is said in a turn, its text parts joined."""
    said = turn.get("content", turn.get("value"))
    if isinstance(said, list):
        return "".join(str(part.get("text", "")) for part in said if isinstance(part, dict))
    return said if isinstance(said, str) else ""


def _role(turn: Mapping[str, Any]) -> str:
    said = str(turn.get("role", turn.get("from", "")))
    return _ROLES.get(said, said)


def _message(turn: Mapping[str, Any]) -> Turn:
    """A turn of ShareGPT as a message of OpenAI."""
    role, text = _role(turn), content(turn)
    if role != "call":
        return {"role": role, "content": text}
    try:
        called = json.loads(text)
    except ValueError:
        return {"role": "assistant", "content": text}
    calls = called if isinstance(called, list) else [called]
    if not all(isinstance(call, dict) and "name" in call for call in calls):
        return {"role": "assistant", "content": text}
    functions = [
        {"name": call["name"], "arguments": _json_text(call.get("arguments", {}))} for call in calls
    ]
    said = [{"type": "function", "function": function} for function in functions]
    return {"role": "assistant", "content": "", "tool_calls": said}


def trained(row: Row) -> list[Turn]:
    """The messages that a trainer reads: texts only, one type a key, up to the last answer."""
    turns = [_lean(turn) for turn in messages(row)]
    if row.system and turns[0]["role"] != "system":  # it stood in a column of its own
        turns.insert(0, {"role": "system", "content": row.system})
    answers = [i for i, turn in enumerate(turns) if turn["role"] == "assistant"]
    return turns[: answers[-1] + 1]


def _lean(message: Mapping[str, Any]) -> Turn:
    turn: Turn = {"role": _role(message), "content": content(message)}
    if calls := _calls(message):
        functions = [{**call, "arguments": _json_text(call["arguments"])} for call in calls]
        turn["tool_calls"] = [{"type": "function", "function": f} for f in functions]
    turn |= {k: str(message[k]) for k in ("tool_call_id", "name") if message.get(k)}
    return turn


def _calls(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The functions that a message calls, in today's notation or the one before it."""
    calls = message.get("tool_calls") or [message.get("function_call")]
    return [_call(call) for call in calls if isinstance(call, dict)]


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    """The name and the arguments of a call, as values."""
    function = call.get("function", call)
    arguments = function.get("arguments", {})
    if isinstance(arguments, str):
        with suppress(ValueError):
            arguments = json.loads(arguments)
    return {"name": str(function.get("name", "")), "arguments": arguments}


def _json_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
