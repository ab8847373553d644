"""Output modes: how a model is asked for an object of a schema, and how it is found in the answer.

They are tried in this order: the server keeps to a JSON schema, the model calls a tool whose
parameters are the schema, the server keeps to JSON, the schema stands in the prompt. What a
call is by its key does not depend on the mode.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage
    from pydantic import BaseModel

JSON_SCHEMA, TOOL, JSON_OBJECT, PROMPT = "json_schema", "tool", "json_object", "prompt"

Messages = list[tuple[str, Any]]
Schema = Mapping[str, Any]  # name, and schema: the JSON schema itself


def output_modes(chat: BaseChatModel | None, openai_compatible: bool) -> tuple[str, ...]:
    """The output modes that may work with a chat model, the best first."""
    if openai_compatible:
        return (JSON_SCHEMA, TOOL, JSON_OBJECT, PROMPT)
    return (TOOL, PROMPT) if _takes_tools(chat) else (PROMPT,)


def asked_for(
    mode: str, messages: Messages, schema: Schema, chat: BaseChatModel | None, *, small: bool
) -> tuple[Messages, dict[str, Any]]:
    """Ask for an object in an output mode: the messages, and options of the request."""
    if mode == JSON_SCHEMA:
        # Through extra_body the raw text, usage and finish reason always come back; LangChain's
        # own structured output loses them when the JSON is bad.
        sent = {"strict": True, **(schema if small else _without_bounds(schema))}
        return messages, _response_format({"type": "json_schema", "json_schema": sent})
    if mode == TOOL:
        return messages, _tool(schema, chat)
    told = [(messages[0][0], _with_schema(messages[0][1], schema["schema"])), *messages[1:]]
    return told, _response_format({"type": "json_object"}) if mode == JSON_OBJECT else {}


def called_with(message: AIMessage) -> str:
    """What the model called a tool with, as it came, "" if it called none."""
    for broken in message.invalid_tool_calls:
        return broken["args"] or ""
    for call in message.tool_calls:
        return json.dumps(call["args"], ensure_ascii=False)
    return ""


@cache
def strict_schema(schema: type[BaseModel]) -> dict[str, Any]:
    """Return a model's JSON schema without titles and defaults, closed to other keys."""
    whole = schema.model_json_schema()
    properties = {
        name: {k: v for k, v in spec.items() if k != "title"}
        for name, spec in whole["properties"].items()
    }
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _takes_tools(chat: BaseChatModel | None) -> bool:
    from langchain_core.language_models import BaseChatModel

    return chat is not None and type(chat).bind_tools is not BaseChatModel.bind_tools


def _response_format(format: Mapping[str, Any]) -> dict[str, Any]:
    return {"extra_body": {"response_format": dict(format)}}


def _without_bounds(schema: Schema) -> dict[str, Any]:
    """The schema without the bounds of strings, which OpenAI's strict mode does not know.

    A small model keeps them: a grammar keeps it from running on.
    """
    properties = {
        name: {k: v for k, v in spec.items() if k not in ("minLength", "maxLength")}
        for name, spec in schema["schema"]["properties"].items()
    }
    return {**schema, "schema": {**schema["schema"], "properties": properties}}


def _tool(schema: Schema, chat: BaseChatModel | None) -> dict[str, Any]:
    """Options that make the model call a tool; each provider has a form of its own."""
    name = schema["name"]
    function = {"name": name, "description": "Give the answer.", "parameters": schema["schema"]}
    bound: Any = chat.bind_tools(  # type: ignore[union-attr]
        [{"type": "function", "function": function}], tool_choice=name
    )
    return dict(bound.kwargs)


def _with_schema(content: str, schema: Mapping[str, Any]) -> str:
    """The first turn with the schema below it: where nothing varies, so that caches keep it."""
    return f"{content}\n\nAnswer with one JSON object of this schema only:\n{json.dumps(schema)}"


def merged(options: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Options with more of them; what both put into the request's body goes together."""
    body = {**options.get("extra_body", {}), **more.get("extra_body", {})}
    return {**options, **more, **({"extra_body": body} if body else {})}


def marked(messages: Sequence[tuple[str, Any]]) -> Messages:
    """Messages in which Anthropic's cache is told where the unchanging part ends."""
    if len(messages) < 2:
        return list(messages)
    role, content = messages[-2]
    block = {"type": "text", "text": content, "cache_control": {"type": "ephemeral"}}
    return [*messages[:-2], (role, [block]), messages[-1]]
