"""Conversations: OpenAI's messages, ShareGPT's turns, TRL's lists of messages.

What a model and its tools say between two turns of the user is one turn of the model, in the
notation that chat templates share: <tool_call> and <tool_response>.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from ...stores.exact_json import dumps
from .texts import UnusableError, checked, excerpt, typed

CONVERSATIONS = ("messages", "conversations", "conversation")

ROLES = dict.fromkeys(("system", "developer"), "system")
ROLES |= dict.fromkeys(("user", "human"), "user")
ROLES |= dict.fromkeys(("assistant", "gpt", "chatgpt", "bard", "bing", "model"), "assistant")
ROLES |= dict.fromkeys(("function_call", "tool_call"), "call")
ROLES |= dict.fromkeys(
    ("tool", "function", "observation", "tool_response", "function_response"), "result"
)


class Turn(NamedTuple):
    """One message: its place in its list, who speaks (a role of `ROLES`), and the text."""

    number: int
    role: str
    text: str

    @property
    def side(self) -> str:
        """Whose turn it is: the calls and results of tools are the model's."""
        return "assistant" if self.role in ("call", "result") else self.role

    @property
    def written(self) -> str:
        """The text as it stands in the turn of the model."""
        tag = {"call": "tool_call", "result": "tool_response"}.get(self.role)
        return f"<{tag}>\n{self.text}\n</{tag}>" if tag else self.text


class Conversation(NamedTuple):
    """A conversation as a row has it."""

    system: str
    history: tuple[tuple[str, str], ...]
    instruction: str
    output: str


def conversation(messages: Any, column: str, system: Any = None) -> Conversation:
    """Read a list of messages; `system` is used where they have no system message.

    Raises:
        UnusableError: it has no complete turn, or one that cannot be used.
    """
    turns = turns_of(messages, column)
    led = bool(turns) and turns[0].role == "system"
    if led:
        system = turns.pop(0).text
    texts = _alternating(turns, column)
    if len(texts) % 2 and len(texts) > 1:
        texts.pop()
    if len(texts) < 2:
        missing = "output" if texts else "instruction"
        raise UnusableError(f"missing {missing}: {column} has no complete turn", column)
    for index, text in enumerate(texts):
        if not text.strip():
            name = ("instruction", "output")[index % 2]
            raise UnusableError(f"empty {name} in turn {index // 2 + 1}", column)
    *history, (instruction, output) = zip(texts[::2], texts[1::2], strict=True)
    return Conversation(
        system if isinstance(system, str) else "", tuple(history), instruction, output
    )


def turns_of(messages: Any, column: str) -> list[Turn]:
    """The turns of a list of messages, a message with tool calls giving one for each.

    Raises:
        UnusableError: a message cannot be used.
    """
    return [
        turn
        for index, message in enumerate(typed(messages, list, column))
        for turn in _turns(message, index, f"{column}[{index}]", column)
    ]


def _alternating(turns: Sequence[Turn], column: str) -> list[str]:
    """The texts of the user and of the model in turn."""
    texts: list[str] = []
    for side, group in groupby(turns, key=lambda turn: turn.side):
        first, *more = group
        expected = ("user", "assistant")[len(texts) % 2]
        wrong = first if side != expected or first.role == "result" else None
        if side == "user" and more:
            wrong, expected = more[0], "assistant"
        if wrong:
            role = "tool" if wrong.role == "result" else wrong.role
            raise UnusableError(
                f"turns do not alternate: {column}[{wrong.number}] is {role}, not {expected}",
                column,
            )
        texts.append("\n".join(turn.written for turn in (first, *more)))
    return texts


def _turns(message: Any, index: int, where: str, column: str) -> list[Turn]:
    typed(message, dict, where, column)
    role_key = "role" if "role" in message else "from"
    text_key = "content" if "content" in message else "value"
    role = typed(message.get(role_key), str, f"{where}.{role_key}", column)
    if role not in ROLES:
        known = ", ".join(ROLES)
        raise UnusableError(f"{where} has the role {excerpt(role)!r}, not one of {known}", column)
    calls = _calls(message, index)
    content = message.get(text_key)
    if calls and content in (None, ""):
        return calls
    text = _content(content, f"{where}.{text_key}", column)
    return [Turn(index, ROLES[role], text), *calls]


def _calls(message: Mapping[str, Any], index: int) -> list[Turn]:
    """The calls of tools in a message, each as the JSON of its function."""
    calls = message.get("tool_calls")
    if calls is None and isinstance(message.get("function_call"), dict):
        calls = [message["function_call"]]
    if not isinstance(calls, list):
        return []
    named = (call.get("function", call) if isinstance(call, dict) else call for call in calls)
    return [Turn(index, "call", dumps(call)) for call in named]


def _content(content: Any, where: str, column: str) -> str:
    if not isinstance(content, list):
        return checked(content, where, key=column)
    for index, part in enumerate(content):
        if not isinstance(part, dict) or part.get("type") != "text":
            raise UnusableError(f"wrong type: {where}[{index}] is not a text part", column)
        checked(part.get("text"), f"{where}[{index}].text", key=column)
    return "".join(part["text"] for part in content)
