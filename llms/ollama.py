"""LangChain's chat model of Ollama, taking parameters with each request as others do."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import BaseMessage
from langchain_ollama import ChatOllama

# Parameters of a request as Ollama calls them among its options.
_OPTIONS = {
    "max_tokens": "num_predict",
    "seed": "seed",
    "temperature": "temperature",
    "top_p": "top_p",
}


class OllamaChat(ChatOllama):
    """Puts what is given with a request among Ollama's options, where LangChain's refuses it."""

    def _chat_params(
        self, messages: list[BaseMessage], stop: list[str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        options = {_OPTIONS[name]: kwargs.pop(name) for name in _OPTIONS if name in kwargs}
        options.update(kwargs.pop("extra_body", {}))
        if stop:
            options["stop"] = stop
        if "reasoning_effort" in kwargs:
            kwargs["reasoning"] = kwargs.pop("reasoning_effort")
        return super()._chat_params(messages, None, options=options, **kwargs)
