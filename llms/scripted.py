"""A chat model that answers by a Python function: for tests, demos and teaching.

``scripted:FILE.py`` loads the file and calls its ``answer(messages)``, where messages are
dictionaries with ``role`` and ``content``; what it returns is the answer, and what it raises
goes through the gateway like a server's error.
"""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from ..errors import UsageError
from .backend import Backend, digest

_ROLES = {"human": "user", "ai": "assistant"}


class ScriptedChat(BaseChatModel):
    """Calls `answer` with the messages; counts a token for each four characters."""

    answer: Callable[[list[dict[str, str]]], str]

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
    """Open the model that `file` scripts."""
    path = Path(file)
    if not path.is_file():
        raise UsageError(f"llm = {name}: there is no file {file}")
    answer = runpy.run_path(str(path)).get("answer")
    if not callable(answer):
        raise UsageError(f"llm = {name}: {file} defines no function answer(messages)")
    return Backend(
        name=name,
        chat=ScriptedChat(answer=answer),
        identity=digest(path.read_text(encoding="utf-8")),
        openai_compatible=False,
        prices=(0.0, 0.0),
    )
