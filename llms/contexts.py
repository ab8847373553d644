"""How many tokens a model's context holds: as its server says, or as LangChain's table has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin

from .backend import Backend

_SECONDS = 5.0


async def context_of(backend: Backend) -> int | None:
    """Tokens of a request with its answer, None if it is unknown."""
    if backend.context:
        return backend.context
    for ask in (_of_ollama, _of_llama_cpp, _of_models) if backend.chat else ():
        try:
            if found := await ask(backend, backend.chat):
                return int(found)
        except Exception:  # a server that does not say is no fault
            continue
    known: Any = getattr(backend.chat, "official", backend.chat)
    return (getattr(known, "profile", None) or {}).get("max_input_tokens")


async def _of_ollama(backend: Backend, chat: Any) -> Any:
    """Ollama's ``/api/show``: what it was told to keep, or what the model was made for."""
    if not backend.name.startswith("ollama:"):
        return None
    shown = await chat._async_client.show(chat.model)
    for line in (shown.parameters or "").splitlines():
        name, _, value = line.partition(" ")
        if name == "num_ctx":
            return value.strip()
    made_for = (v for k, v in (shown.modelinfo or {}).items() if k.endswith(".context_length"))
    return next(made_for, None)


async def _of_llama_cpp(backend: Backend, chat: Any) -> Any:
    """llama.cpp's ``/props``: the context of a slot."""
    if not backend.endpoint:
        return None
    return (await _got(chat, "/props"))["default_generation_settings"]["n_ctx"]


async def _of_models(backend: Backend, chat: Any) -> Any:
    """``/v1/models``: of vLLM, SGLang and llama.cpp, or of a router such as OpenRouter."""
    if not backend.endpoint:
        return None
    listed = (await _got(chat, "models"))["data"]
    model: Mapping[str, Any] = next(
        (m for m in listed if m["id"] == chat.model), listed[0] if len(listed) == 1 else {}
    )
    return model.get("max_model_len") or model.get("context_length")


async def _got(chat: Any, path: str) -> Any:
    """What a server says at a path below its address, or below its host."""
    from aiohttp import ClientTimeout

    session, url, headers = chat.opened()
    timeout = ClientTimeout(_SECONDS)
    async with session.get(urljoin(f"{url}/", path), headers=headers, timeout=timeout) as answer:
        return await answer.json(content_type=None)
