"""The batch endpoint of a model's provider."""

from __future__ import annotations

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
    if type(backend.chat).__name__ == "ChatCompletions" and not backend.name.startswith("local:"):
        from .openai import OpenAIBatches

        return OpenAIBatches(backend)
    return None
