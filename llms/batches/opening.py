"""The batch endpoint of a model's provider."""

from __future__ import annotations

from typing import Any

from ..backend import Backend
from ..ports import ModelBackend
from .service import BatchService


def service_of(backend: ModelBackend) -> BatchService | None:
    """The batch endpoint of a model's provider, None if there is none that is known."""
    if not isinstance(backend, Backend):
        return None
    if backend.anthropic:
        from .anthropic import AnthropicBatches

        return AnthropicBatches(backend)
    chat: Any = backend.chat
    if type(chat).__name__ != "ChatCompletions" or backend.name.startswith("local:"):
        return None
    if chat.responds:  # a batch of ours holds chat completions
        return None
    from .openai import OpenAIBatches

    return OpenAIBatches(backend)
