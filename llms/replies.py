"""What comes back from a model: its text, and the tokens that it read, thought and wrote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .answers import without_thinking
from .structured import TOOL, called_with

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage

# Other providers' names of OpenAI's finish reasons.
_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
}
_WRITTEN = ("cache_creation", "ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")


@dataclass(frozen=True, slots=True)
class Reply:
    """A model's answer as it came, with its usage; `counted` is False if it came without.

    Of the input, `cached_tokens` were read from the provider's cache and `written_tokens` put
    into it; of the output, `reasoning_tokens` were thought. `output_mode` is
    how an object was asked for.
    """

    text: str
    finish_reason: str
    input_tokens: int
    output_tokens: int
    counted: bool = True
    reasoning_tokens: int = 0
    cached_tokens: int = 0
    written_tokens: int = 0
    output_mode: str = ""

    def crowded(self, thinking_tokens: int) -> bool:
        """Whether thinking, for which there were so many tokens, left too few for the answer."""
        if self.finish_reason != "length":
            return False
        return self.reasoning_tokens > thinking_tokens or not without_thinking(self.text).strip()


def reply_of(message: AIMessage, output_mode: str = "") -> Reply:
    """Read a message; an object that a tool was called with is its text."""
    usage: Mapping[str, Any] = message.usage_metadata or {}
    told = message.response_metadata
    ends = ("finish_reason", "stop_reason", "done_reason")  # the last is Ollama's
    finish = str(next((told[end] for end in ends if told.get(end)), ""))
    finish = _FINISH.get(finish, finish)
    text = str(message.text if isinstance(message.text, str) else message.text())
    if output_mode == TOOL and (called := called_with(message)):
        text, finish = called, "stop" if finish == "tool_calls" else finish
    read = usage.get("input_token_details") or {}
    wrote = usage.get("output_tokens", 0)
    thought = (usage.get("output_token_details") or {}).get("reasoning")
    if thought is None:
        thought = thinking_share(wrote, _thinking(message, text), without_thinking(text))
    return Reply(
        text=text.encode("utf-8", "replace").decode(),
        finish_reason=finish,
        input_tokens=usage.get("input_tokens", 0),
        output_tokens=wrote,
        counted=bool(usage),
        reasoning_tokens=thought,
        cached_tokens=read.get("cache_read") or 0,
        written_tokens=sum(read.get(name) or 0 for name in _WRITTEN),
        output_mode=output_mode,
    )


def thinking_share(tokens: int, thinking: str, answer: str) -> int:
    """Tokens that went into thinking, by its share of the characters."""
    whole = len(thinking) + len(answer)
    return round(tokens * len(thinking) / whole) if thinking else 0


def _thinking(message: AIMessage, text: str) -> str:
    """The thinking in the text, or beside it in blocks of its own."""
    parts = [text[: len(text) - len(without_thinking(text))]]
    if isinstance(message.content, list):
        for block in message.content:
            if isinstance(block, dict):
                parts.append(str(block.get("thinking") or block.get("reasoning") or ""))
    parts.append(str(message.additional_kwargs.get("reasoning_content") or ""))
    return "".join(parts)
