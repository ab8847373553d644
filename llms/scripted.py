"""A chat model that answers from a file: for tests, demos and teaching.

``scripted:FILE.py`` loads the file and calls its ``answer(messages)``, where messages are
dictionaries with ``role`` and ``content``; what it returns is the answer, and what it raises
goes through the gateway like a server's error.

``scripted:FILE.json`` or ``FILE.jsonl`` holds answers: pairs of a regular expression and an
answer, of which the first that is found in the conversation answers, or a plain list, of which
the conversation's hash chooses one. The same conversation always gets the same answer. An answer
that is no string is written as JSON.
"""

from __future__ import annotations

import hashlib
import json
import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from ..errors import LiftAgentError, UsageError
from .backend import Backend, digest

Messages = list[dict[str, str]]

_ROLES = {"human": "user", "ai": "assistant"}


class NoAnswerError(LiftAgentError):
    """A script has no answer to what was asked."""


class ScriptedChat(BaseChatModel):
    """Calls `answer` with the messages; counts a token for each four characters."""

    answer: Callable[[Messages], str]

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        asked = [{"role": _ROLES.get(m.type, m.type), "content": str(m.content)} for m in messages]
        text = self.answer(asked)
        read, wrote = sum(len(m["content"]) for m in asked) // 4, len(text) // 4
        message = AIMessage(
            content=text,
            usage_metadata={
                "input_tokens": read,
                "output_tokens": wrote,
                "total_tokens": read + wrote,
            },
            response_metadata={"finish_reason": "stop"},
        )
        return ChatResult(generations=[ChatGeneration(message=message)])


def open_scripted(name: str, file: str) -> Backend:
    """Open the model that `file` scripts.

    Raises:
        UsageError: there is no such file, or nothing in it answers.
    """
    path = Path(file)
    if not path.is_file():
        raise UsageError(f"llm = {name}: there is no file {file}")
    return Backend(
        name=name,
        chat=ScriptedChat(answer=_function(path) if path.suffix == ".py" else _answers(path)),
        identity=digest(path.read_text(encoding="utf-8")),
        openai_compatible=False,
        prices=(0.0, 0.0),
    )


def _function(path: Path) -> Callable[[Messages], str]:
    try:
        answer = runpy.run_path(str(path)).get("answer")
    except Exception as error:  # whatever the script does
        raise UsageError(f"{path} cannot be run: {type(error).__name__}: {error}") from None
    if not callable(answer):
        raise UsageError(f"{path} defines no function answer(messages)")
    return answer  # type: ignore[no-any-return]


def _answers(path: Path) -> Callable[[Messages], str]:
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".jsonl":
            told = [json.loads(line) for line in text.splitlines() if line.strip()]
        else:
            told = json.loads(text)
        pairs = _pairs(told)
    except (ValueError, re.error) as error:
        raise UsageError(f"{path} holds no answers: {error}") from None
    if not told:
        raise UsageError(f"{path} holds no answers: it is empty")
    if pairs:
        return lambda messages: _matching(pairs, messages, path)
    return lambda messages: _text(told[_draw(messages) % len(told)])


def _pairs(told: Any) -> list[tuple[re.Pattern[str], str]]:
    """Patterns with their answers; none where a file holds answers only.

    Raises:
        ValueError: it is neither a list nor an object, or mixes the two.
    """
    if isinstance(told, dict):
        told = [{"pattern": pattern, "answer": answer} for pattern, answer in told.items()]
    if not isinstance(told, list):
        raise ValueError("write a list of answers, or an object of patterns with their answers")
    paired = [isinstance(item, dict) and set(item) == {"pattern", "answer"} for item in told]
    if any(paired) and not all(paired):
        raise ValueError("some items have a pattern and some do not")
    return [(re.compile(i["pattern"]), _text(i["answer"])) for i in told] if any(paired) else []


def _matching(pairs: list[tuple[re.Pattern[str], str]], messages: Messages, path: Path) -> str:
    asked = "\n\n".join(message["content"] for message in messages)
    for pattern, answer in pairs:
        if pattern.search(asked):
            return answer
    raise NoAnswerError(f"no pattern of {path} fits: {messages[-1]['content'][:80]}")


def _draw(messages: Messages) -> int:
    return int(hashlib.sha256(json.dumps(messages).encode()).hexdigest(), 16)


def _text(answer: Any) -> str:
    return answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
