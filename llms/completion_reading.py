"""Reads chat completions of OpenAI's protocol, as servers of many makes write them."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import AIMessage
from langchain_core.output_parsers.openai_tools import make_invalid_tool_call, parse_tool_call

from .replies import thinking_share


def message_of(completion: dict[str, Any]) -> AIMessage:
    """The message of a chat completion, with what ended it and its usage.

    Raises:
        LookupError, TypeError, ValueError, AttributeError: it is no chat completion.
    """
    completion = _with_usage(_with_refusal(completion))
    if completion.get("error"):
        raise ValueError(completion["error"])
    choice = completion["choices"][0]
    said = choice["message"]
    if said.get("role") != "assistant":
        raise ValueError(f"the message is of {said.get('role')}, not of the assistant")
    called: list[Any] = []
    broken: list[Any] = []
    for call in said.get("tool_calls") or ():
        try:
            called.append(parse_tool_call(call, return_id=True))
        except Exception as error:  # whatever is wrong with what the model wrote
            broken.append(make_invalid_tool_call(call, str(error)))
    return AIMessage(
        content=said.get("content") or "",
        tool_calls=called,
        invalid_tool_calls=broken,
        response_metadata={"finish_reason": choice.get("finish_reason")},
        usage_metadata=_usage(completion["usage"]) if completion.get("usage") else None,
    )


def _usage(usage: dict[str, Any]) -> Any:
    """What LangChain calls the tokens that were used."""
    read, wrote = usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
    thought = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens")
    return {
        "input_tokens": read,
        "output_tokens": wrote,
        "total_tokens": usage.get("total_tokens") or read + wrote,
        "input_token_details": {} if cached is None else {"cache_read": cached},
        "output_token_details": {} if thought is None else {"reasoning": thought},
    }


def _with_refusal(completion: dict[str, Any]) -> dict[str, Any]:
    """The completion; a refusal, which has a field of its own, becomes its text and its end."""
    for choice in completion.get("choices") or ():
        if refusal := choice["message"].get("refusal"):
            choice["message"]["content"] = refusal
            choice["finish_reason"] = "refusal"
    return completion


def _with_usage(completion: dict[str, Any]) -> dict[str, Any]:
    """The completion with its cached and its thought tokens where OpenAI has them.

    DeepSeek and llama.cpp call cached tokens by other names; of servers that show the thinking
    beside the answer many do not count it.
    """
    usage = completion.get("usage")
    if not usage:
        return completion
    read = usage.get("prompt_tokens_details") or {}
    if read.get("cached_tokens") is None:
        timings = completion.get("timings") or {}
        found = (usage.get("prompt_cache_hit_tokens"), timings.get("cache_n"))
        cached = next((n for n in found if n is not None), completion.get("tokens_cached"))
        usage["prompt_tokens_details"] = {**read, "cached_tokens": cached}
    wrote = usage.get("completion_tokens_details") or {}
    if wrote.get("reasoning_tokens") is None:
        for choice in completion.get("choices") or ():
            said = choice["message"]
            thinking = said.get("reasoning_content") or said.get("reasoning") or ""
            if isinstance(thinking, str) and thinking:
                tokens = usage.get("completion_tokens") or 0
                share = thinking_share(tokens, thinking, str(said.get("content") or ""))
                usage["completion_tokens_details"] = {**wrote, "reasoning_tokens": share}
    return completion
