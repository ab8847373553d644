"""From records to examples: the forms in which people publish instruction data.

A record that fits several forms takes the first of these: the columns that the user mapped;
Alpaca; a conversation; TRL's conversational prompt and completion; Self-Instruct; a pair of
columns such as question and answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ...records import Mapped
from .conversations import CONVERSATIONS, conversation, turns_of
from .texts import UnusableError, checked, excerpt, input_of, text_of, type_name, typed

Columns = Mapping[Mapped, str]

_OUTPUTS = ("output", "response", "completion")
_ASKED = ("prompt", "question", "query")
_ANSWERED = ("completion", "answer", "response", "output")
PROMPTS = ("instruction", *_ASKED, "text")
_FORMS = (
    "Alpaca (instruction, output), Self-Instruct (instruction, instances), OpenAI (messages), "
    "ShareGPT (conversations) and pairs (prompt, completion; question, answer); "
    "--map instruction=COLUMN,output=COLUMN names others"
)


class Example(NamedTuple):
    """What a record holds for a row, before the row has its place and id."""

    form: str
    instruction: str
    input: str
    output: str
    extra: Mapping[str, Any]
    system: str = ""
    history: tuple[tuple[str, str], ...] = ()


class Problem(NamedTuple):
    """Why a record cannot be used, and the column at fault, if it is one."""

    reason: str
    key: str = ""


def form_of(record: Any, columns: Columns | None = None) -> str:
    """Name the form of a record, or nothing if it has none."""
    if not isinstance(record, dict):
        return ""
    if columns and _at(record, columns["instruction"]) is not None:
        return "mapped"
    get = record.get
    instructed = get("instruction") is not None
    if instructed and any(get(key) is not None for key in _OUTPUTS):
        return "alpaca"
    for column in CONVERSATIONS:
        if get(column) is not None:
            return column
    if isinstance(get("prompt"), list) and isinstance(get("completion"), list):
        return "prompt messages"
    if instructed:
        return "instances" if get("instances") is not None else "alpaca"
    return "pair" if _pair(record) else ""


def examples(value: Any, columns: Columns | None = None) -> list[Example | Problem]:
    """Return the examples of a record, each replaced by the problem if it cannot be used.

    `columns` says where the user's own columns are: instruction, output, input, system to a name,
    or to a path of names with dots.
    """
    form = form_of(value, columns)
    if form == "instances" and isinstance(value["instances"], list) and value["instances"]:
        return [_attempt(_instance, value, index) for index in range(len(value["instances"]))]
    if form == "mapped":
        return [_attempt(_mapped, value, columns)]
    return [_attempt(_SINGLE.get(form, _conversation), value, form)]


def prompts(value: Any, columns: Columns | None = None) -> list[tuple[str, str] | Problem]:
    """Return the prompts of a record, (instruction, input), or the reason if there is none.

    A record with no answer is enough, and so is a string; of a conversation it is the last turn
    of the user.
    """
    if isinstance(value, str):
        return [(value, "") if value.strip() else Problem("empty prompt")]
    if isinstance(value, list):
        return [prompt for item in value for prompt in prompts(item, columns)]
    return [
        (example.instruction, example.input)
        if isinstance(example, Example)
        else _prompt(value, example, columns)
        for example in examples(value, columns)
    ]


def _prompt(value: Any, problem: Problem, columns: Columns | None) -> tuple[str, str] | Problem:
    """The prompt of a record that is no example, for the reason given."""
    if not isinstance(value, dict):
        return problem
    try:
        if columns and isinstance(asked := _at(value, columns["instruction"]), str):
            return text_of({columns["instruction"]: asked}, columns["instruction"]), ""
        for column in (*CONVERSATIONS, "prompt"):
            if isinstance(value.get(column), list):
                turns = turns_of(value[column], column)
                said = [t.text for t in turns if t.role == "user" and t.text.strip()]
                return (said[-1], "") if said else Problem(f"{column} has no turn of the user")
        for key in PROMPTS:
            if value.get(key) is not None:
                return text_of(value, key), input_of(value)
    except UnusableError as error:
        return Problem(str(error), error.key)
    keys = excerpt(", ".join(value)) or "none"
    return Problem(f"no prompt: the keys are {keys}, none of them {', '.join(PROMPTS)}")


def _attempt(read: Callable[..., Example], *args: Any) -> Example | Problem:
    try:
        return read(*args)
    except UnusableError as error:
        return Problem(str(error), error.key)


def _unknown(value: Any, _: str) -> Example:
    if not isinstance(value, dict):
        raise UnusableError(f"not an object but {type_name(value)}")
    answered = not value.keys().isdisjoint((*_OUTPUTS, "instances"))
    keys = excerpt(", ".join(value)) or "none"
    problem = "missing instruction" if answered else "unknown form"
    raise UnusableError(f"{problem}: the keys are {keys}; the known forms are {_FORMS}")


def _alpaca(record: Mapping[str, Any], form: str) -> Example:
    instruction = text_of(record, "instruction")
    key = _output_key(record)
    output = text_of(record, key, _called(key))
    before = _before(record)
    extra = _without(record, ("instruction", "input", key, *before))
    return Example(form, instruction, input_of(record), output, extra, **before)


def _before(record: Mapping[str, Any]) -> dict[str, Any]:
    """The system prompt and the earlier turns that stand beside a single turn, if they do."""
    found: dict[str, Any] = {}
    if isinstance(told := record.get("system"), str) and told:
        found["system"] = checked(told, "system", key="system")
    if record.get("history") and _is_history(record["history"]):
        found["history"] = tuple((ask, answer) for ask, answer in record["history"])
    return found


def _is_history(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(turn, list) and len(turn) == 2 and all(isinstance(text, str) for text in turn)
        for turn in value
    )


def _instance(record: Mapping[str, Any], index: int) -> Example:
    instruction = text_of(record, "instruction")
    where = f"instances[{index}]"
    instance = typed(record["instances"][index], dict, where, "instances")
    key = _output_key(instance, f" of {where}")
    output = text_of(instance, key, _called(key), f" of {where}")
    text = input_of(instance, f" of {where}")
    columns = _without(record, ("instruction", "instances"))
    extra = columns | _without(instance, ("input", key)) | columns  # the columns first, and last
    return Example("instances", instruction, text, output, extra)


def _no_instance(record: Mapping[str, Any], _: str) -> Example:
    typed(record["instances"], list, "instances")
    raise UnusableError("missing output: instances is empty", "instances")


def _conversation(record: Mapping[str, Any], column: str) -> Example:
    talk = conversation(record[column], column, record.get("system"))
    return Example(
        column, talk.instruction, "", talk.output, dict(record), talk.system, talk.history
    )


def _prompt_messages(record: Mapping[str, Any], form: str) -> Example:
    talk = conversation(record["prompt"] + record["completion"], "prompt + completion")
    return Example(form, talk.instruction, "", talk.output, dict(record), talk.system, talk.history)


def _paired(record: Mapping[str, Any], form: str) -> Example:
    pair = _pair(record)
    assert pair is not None
    asked, answered = pair
    instruction = text_of(record, asked, f"instruction ({asked})")
    output = text_of(record, answered, f"output ({answered})")
    before = _before(record)
    extra = _without(record, (asked, answered, "input", *before))
    form = f"{asked}, {answered}"
    return Example(form, instruction, input_of(record), output, extra, **before)


def _mapped(record: Mapping[str, Any], columns: Columns) -> Example:
    found = {name: _at(record, path) for name, path in columns.items()}
    texts = {
        name: ""
        if value is None
        else checked(value, f"{name} ({columns[name]})", key=columns[name])
        for name, value in found.items()
    }
    for name in ("instruction", "output"):
        if found[name] is None or not texts[name].strip():
            missing = "missing" if found[name] is None else "empty"
            raise UnusableError(f"{missing} {name} ({columns[name]})", columns[name])
    extra = _without(record, list(columns.values()))
    return Example(
        "mapped",
        texts["instruction"],
        texts.get("input", ""),
        texts["output"],
        extra,
        texts.get("system", ""),
    )


_SINGLE: dict[str, Callable[[Any, str], Example]] = {
    "": _unknown,
    "alpaca": _alpaca,
    "instances": _no_instance,
    "prompt messages": _prompt_messages,
    "pair": _paired,
}


def _pair(record: Mapping[str, Any]) -> tuple[str, str] | None:
    """The columns of a pair, what is asked and what is answered, if the record is one."""
    for asked in _ASKED:
        if record.get(asked) is not None:
            for answered in _ANSWERED:
                if record.get(answered) is not None:
                    return asked, answered
    return None


def _at(record: Mapping[str, Any], path: str) -> Any:
    """The value of a column, or at a path of names with dots; None if there is none."""
    if path in record:
        return record[path]
    value: Any = record
    for name in path.split("."):
        if isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        elif isinstance(value, dict):
            value = value.get(name)
        else:
            return None
    return value


def _output_key(record: Mapping[str, Any], where: str = "") -> str:
    for key in _OUTPUTS:
        if record.get(key) is not None:
            return key
    raise UnusableError(f"missing output{where}: none of {', '.join(_OUTPUTS)}")


def _called(key: str) -> str:
    return "output" if key == "output" else f"output ({key})"


def _without(record: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key not in keys}
