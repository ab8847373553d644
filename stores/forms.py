"""From JSON values to examples: the forms in which people publish instruction data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

_PROMPTS = ("instruction", "prompt", "question", "query", "text")
_OUTPUTS = ("output", "response", "completion")
CONVERSATIONS = ("messages", "conversations")
_FORMS = (
    "Alpaca (instruction, output), Self-Instruct (instruction, instances), "
    "OpenAI (messages) and ShareGPT (conversations)"
)
_ROLES = {"system": "system"}
_ROLES |= dict.fromkeys(("user", "human"), "user")
_ROLES |= dict.fromkeys(("assistant", "gpt", "chatgpt", "bard", "bing", "model"), "assistant")
_TYPES = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list"}
_TYPES |= {dict: "an object", type(None): "null"}


EXCERPT = 120  # characters of a record that are shown
LOOK = 4 * EXCERPT


class _UnusableError(Exception):
    """A record that cannot be used; its message is the reason."""


class Example(NamedTuple):
    """What a record holds for a row, before the row has its place and id."""

    instruction: str
    input: str
    output: str
    extra: Mapping[str, Any]
    system: str = ""
    history: tuple[tuple[str, str], ...] = ()


def form_of(record: Any) -> str:
    """Name the form of a record: `alpaca`, or the column that holds its texts, or nothing."""
    if not isinstance(record, dict):
        return ""
    filled = {key for key, value in record.items() if value is not None}
    instructed = "instruction" in filled
    if instructed and not filled.isdisjoint(_OUTPUTS):
        return "alpaca"
    for column in CONVERSATIONS:
        if column in filled:
            return column
    if instructed:
        return "instances" if "instances" in filled else "alpaca"
    return ""


def examples(value: Any) -> list[Example | str]:
    """Return the examples of a record, each replaced by the reason if it cannot be used."""
    form = form_of(value)
    if form == "instances" and isinstance(value["instances"], list) and value["instances"]:
        return [_attempt(_instance, value, index) for index in range(len(value["instances"]))]
    return [_attempt(_single, value, form)]


def prompts(value: Any) -> list[tuple[str, str] | str]:
    """Return the prompts of a record, (instruction, input), or the reason if there is none.

    A record with no answer is enough, and so is a string; of a conversation it is the last turn
    of the user.
    """
    if isinstance(value, str):
        return [(value, "") if value.strip() else "empty prompt"]
    if isinstance(value, list):
        return [prompt for item in value for prompt in prompts(item)]
    found: list[tuple[str, str] | str] = []
    for example in examples(value):
        if isinstance(example, Example):
            found.append((example.instruction, example.input))
        else:
            found.append(_prompt(value, example))
    return found


def _prompt(value: Any, reason: str) -> tuple[str, str] | str:
    """The prompt of a record that is no example, for the reason given."""
    if not isinstance(value, dict):
        return reason
    try:
        for column in CONVERSATIONS:
            if isinstance(value.get(column), list):
                turns = [_turn(turn, f"{column}[{i}]") for i, turn in enumerate(value[column])]
                asked = [text for role, text in turns if role == "user" and text.strip()]
                return (asked[-1], "") if asked else f"{column} has no turn of the user"
        for key in _PROMPTS:
            if value.get(key) is not None:
                return _text(value[key], key), _input(value)
    except _UnusableError as error:
        return str(error)
    keys = excerpt(", ".join(value)) or "none"
    return f"no prompt: the keys are {keys}, none of them {', '.join(_PROMPTS)}"


def _attempt(read: Callable[..., Example], *args: Any) -> Example | str:
    try:
        return read(*args)
    except _UnusableError as error:
        return str(error)


def _single(value: Any, form: str) -> Example:
    if not isinstance(value, dict):
        raise _UnusableError(f"not an object but {_TYPES[type(value)]}")
    if form == "alpaca":
        return _alpaca(value)
    if form in CONVERSATIONS:
        return _conversation(value, form)
    if form == "instances":
        _typed(value["instances"], list, "instances")
        raise _UnusableError("missing output: instances is empty")
    answered = not value.keys().isdisjoint((*_OUTPUTS, "instances"))
    keys = excerpt(", ".join(value)) or "none"
    problem = "missing instruction" if answered else "unknown form"
    raise _UnusableError(f"{problem}: the keys are {keys}; the known forms are {_FORMS}")


def _alpaca(record: Mapping[str, Any]) -> Example:
    instruction = _text(record.get("instruction"), "instruction")
    output, key = _output(record)
    used = ("instruction", "input", key)
    return Example(instruction, _input(record), output, _without(record, used))


def _instance(record: Mapping[str, Any], index: int) -> Example:
    instruction = _text(record.get("instruction"), "instruction")
    where = f"instances[{index}]"
    instance = _typed(record["instances"][index], dict, where)
    output, key = _output(instance, f" of {where}")
    text = _input(instance, f" of {where}")
    columns = _without(record, ("instruction", "instances"))
    extra = columns | _without(instance, ("input", key)) | columns  # the columns first, and last
    return Example(instruction, text, output, extra)


def _conversation(record: Mapping[str, Any], column: str) -> Example:
    turns = [
        _turn(turn, f"{column}[{index}]")
        for index, turn in enumerate(_typed(record[column], list, column))
    ]
    led = bool(turns) and turns[0][0] == "system"
    system = turns.pop(0)[1] if led else ""
    for index, (role, _) in enumerate(turns):
        expected = ("user", "assistant")[index % 2]
        if role != expected:
            where = f"{column}[{index + led}]"
            raise _UnusableError(f"turns do not alternate: {where} is {role}, not {expected}")
    if len(turns) % 2 and len(turns) > 1:
        turns.pop()
    if len(turns) < 2:
        missing = "output" if turns else "instruction"
        raise _UnusableError(f"missing {missing}: {column} has no complete turn")
    texts = [
        _text(text, "instruction" if role == "user" else "output", f" in turn {index // 2 + 1}")
        for index, (role, text) in enumerate(turns)
    ]
    *history, (instruction, output) = zip(texts[::2], texts[1::2], strict=True)
    return Example(instruction, "", output, dict(record), system, tuple(history))


def _turn(turn: Any, where: str) -> tuple[str, str]:
    _typed(turn, dict, where)
    role_key = "role" if "role" in turn else "from"
    text_key = "content" if "content" in turn else "value"
    role = _typed(turn.get(role_key), str, f"{where}.{role_key}")
    if role not in _ROLES:
        raise _UnusableError(
            f"{where} has the role {excerpt(role)!r}, not one of {', '.join(_ROLES)}"
        )
    return _ROLES[role], _content(turn.get(text_key), f"{where}.{text_key}")


def _content(content: Any, where: str) -> str:
    if not isinstance(content, list):
        return str(_typed(content, str, where))
    for index, part in enumerate(content):
        if not isinstance(part, dict) or part.get("type") != "text":
            raise _UnusableError(f"wrong type: {where}[{index}] is not a text part")
        _typed(part.get("text"), str, f"{where}[{index}].text")
    return "".join(part["text"] for part in content)


def _output(record: Mapping[str, Any], where: str = "") -> tuple[str, str]:
    """Return the output and the key under which it was found."""
    for key in _OUTPUTS:
        if record.get(key) is not None:
            name = "output" if key == "output" else f"output ({key})"
            return _text(record[key], name, where), key
    raise _UnusableError(f"missing output{where}: none of {', '.join(_OUTPUTS)}")


def _input(record: Mapping[str, Any], where: str = "") -> str:
    value = record.get("input")
    return "" if value is None else str(_typed(value, str, f"input{where}"))


def _text(value: Any, name: str, where: str = "") -> str:
    text = str(_typed(value, str, f"{name}{where}"))
    if not text.strip():
        raise _UnusableError(f"empty {name}{where}")
    return text


def _typed(value: Any, kind: type, name: str) -> Any:
    if not isinstance(value, kind):
        raise _UnusableError(f"wrong type: {name} is {_TYPES[type(value)]}, not {_TYPES[kind]}")
    return value


def _without(record: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key not in keys}


def excerpt(raw: str) -> str:
    """Return the beginning of a text on one line, whatever its bytes."""
    readable = raw[:LOOK].encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return " ".join(readable.split())[:EXCERPT]
