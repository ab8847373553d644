"""A run as spans: run, round, agent, call; the same for the live export and for the file.

Names follow OpenTelemetry's conventions for generative AI, and OpenInference's where those
differ. What was asked and answered is left out unless it is asked for, as both ask of an exporter.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..records import Attempt, Call
from ..stores.ledger import Ledger
from ..stores.queries.calls import EMBEDDER, PAGE, CallFilter, Group, answer_of, groups, since

# Providers whose name in the conventions is not LangChain's.
_PROVIDERS = {
    "azure_openai": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "google_genai": "gcp.gemini",
    "google_vertexai": "gcp.vertex_ai",
    "mistralai": "mistral_ai",
    "xai": "x_ai",
}
_IN_PROCESS = ("local", "scripted")
_REQUEST = {"temperature": float, "max_tokens": int, "seed": int, "top_p": float}


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened within a span, at a time."""

    name: str
    time: float
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Span:
    """One span: ids are the same each time that a run is exported. `error` is "" if all went well,
    `outgoing` tells a request to a server.
    """

    id: int
    parent: int | None
    name: str
    start: float
    end: float
    attributes: Mapping[str, Any]
    events: Sequence[Event] = ()
    error: str = ""
    outgoing: bool = False


def trace_id(ledger: Ledger) -> int:
    """The id of the trace of a run."""
    return _number(ledger.facts.read().run_id, 16)


def call_spans(ledger: Ledger, after: int, *, content: bool) -> tuple[list[Span], int]:
    """The spans of the next calls after the one with a number, and the number of the last."""
    lines = since(ledger, CallFilter(), after, PAGE)
    spans, run = [], ledger.facts.read().run_id
    for line in lines:
        if call := ledger.calls.call(line.key):
            spans.append(_of_call(ledger, run, call, content))
    return spans, lines[-1].number if lines else after


def outer_spans(ledger: Ledger) -> Iterator[Span]:
    """The spans around those of the calls: the run, its rounds, and the agents in them."""
    found = groups(ledger)
    if not found:
        return
    facts = ledger.facts.read()
    run = facts.run_id
    about = {
        "openinference.span.kind": "CHAIN",
        "gen_ai.conversation.id": run,
        "session.id": run,
        "lift_agent.stop": facts.stop or "",
        "lift_agent.target_size": facts.target,
    }
    yield _around(run, ("run",), "lift-agent run", found, about)
    for round in sorted({group.round for group in found}):
        own = [group for group in found if group.round == round]
        name = f"round {round}" if round else "seeds"
        kind = {"openinference.span.kind": "CHAIN", "lift_agent.round": round}
        yield _around(run, ("run", round), name, own, kind)
        for group in own:
            named = {
                "gen_ai.operation.name": "invoke_agent",
                "gen_ai.agent.name": group.agent,
                "openinference.span.kind": "AGENT",
                "lift_agent.round": round,
                "lift_agent.calls": group.calls,
                "lift_agent.calls.failed": group.failed,
                "lift_agent.calls.cached": group.cached,
            }
            path = ("run", round, group.agent)
            yield _around(run, path, f"invoke_agent {group.agent}", [group], named)


def _around(
    run: str, path: tuple[Any, ...], name: str, found: Sequence[Group], about: Mapping[str, Any]
) -> Span:
    start, end = min(group.began for group in found), max(group.ended for group in found)
    parent = _id(run, path[:-1]) if len(path) > 1 else None
    return Span(_id(run, path), parent, name, start, end, about)


def _of_call(ledger: Ledger, run: str, call: Call, content: bool) -> Span:
    provider, _, model = call.model.partition(":")
    known = _PROVIDERS.get(provider, provider)
    operation = "embeddings" if call.agent == EMBEDDER else "chat"
    about: dict[str, Any] = {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": known,
        "gen_ai.system": known,
        "gen_ai.request.model": model,
        "gen_ai.conversation.id": run,
        "session.id": run,
        "lift_agent.call": call.key,
        "lift_agent.prompt": call.prompt,
        "lift_agent.subject": call.subject,
        "lift_agent.round": call.round,
        "lift_agent.cached": call.reused,
        **(_chat(call) if operation == "chat" else _embeddings(model)),
    }
    if call.finish_reason:
        about["gen_ai.response.finish_reasons"] = [call.finish_reason]
    if call.error:
        about["error.type"] = call.error.partition(":")[0][:80]
    elif not call.reused:  # what was paid for earlier is not counted again
        about |= _usage(call)
    if content:
        about |= _contents(call) if operation == "chat" else _embedded(call)
    return Span(
        _id(run, ("call", call.key)),
        _id(run, ("run", call.round, call.agent)),
        f"{operation} {model}",
        call.started,
        call.started + (0.0 if call.reused else call.seconds),
        about,
        [_sent(attempt) for attempt in ledger.calls.attempts(call.key)],
        call.error,
        provider not in _IN_PROCESS,
    )


def _chat(call: Call) -> dict[str, Any]:
    provider, _, model = call.model.partition(":")
    asked = {name: kind(call.request[name]) for name, kind in _REQUEST.items()
             if call.request.get(name) is not None}  # fmt: skip
    return {
        **{f"gen_ai.request.{name}": value for name, value in asked.items()},
        "gen_ai.output.type": "json" if "schema" in call.request else "text",
        "openinference.span.kind": "LLM",
        "llm.model_name": model,
        "llm.provider": provider,
        "llm.invocation_parameters": json.dumps(asked),
    }


def _embeddings(model: str) -> dict[str, Any]:
    return {"openinference.span.kind": "EMBEDDING", "embedding.model_name": model}


def _usage(call: Call) -> dict[str, Any]:
    usage: dict[str, Any] = {
        "gen_ai.usage.input_tokens": call.input_tokens,
        "gen_ai.usage.output_tokens": call.output_tokens,
        "llm.token_count.prompt": call.input_tokens,
        "llm.token_count.completion": call.output_tokens,
        "llm.token_count.total": call.input_tokens + call.output_tokens,
    }
    return usage if call.cost is None else {**usage, "llm.cost.total": call.cost}


def _contents(call: Call) -> dict[str, Any]:
    messages = [(str(role), str(text)) for role, text in call.request.get("messages", ())]
    answer = {**_message("assistant", call.response), "finish_reason": call.finish_reason}
    told = {
        "gen_ai.input.messages": _json([_message(role, text) for role, text in messages]),
        "gen_ai.output.messages": _json([answer]),
        "input.value": _json([{"role": role, "content": text} for role, text in messages]),
        "input.mime_type": "application/json",
        "output.value": call.response,
        "output.mime_type": "text/plain",
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.content": call.response,
    }
    for i, (role, text) in enumerate(messages):
        told[f"llm.input_messages.{i}.message.role"] = role
        told[f"llm.input_messages.{i}.message.content"] = text
    return told


def _embedded(call: Call) -> dict[str, Any]:
    texts = [str(text) for _, text in call.request.get("messages", ())]
    told = {f"embedding.embeddings.{i}.embedding.text": text for i, text in enumerate(texts)}
    return told | {
        "input.value": _json(texts),
        "input.mime_type": "application/json",
        "output.value": answer_of(call.agent, call.response),
        "output.mime_type": "text/plain",
    }


def _message(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"type": "text", "content": text}]}


def _sent(attempt: Attempt) -> Event:
    facts = {
        "lift_agent.outcome": attempt.outcome or "unknown: the process ended",
        "lift_agent.seconds": attempt.seconds or 0.0,
        "lift_agent.tokens": attempt.spent.tokens,
    }
    return Event("lift_agent.request", attempt.started + (attempt.seconds or 0.0), facts)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _id(run: str, path: tuple[Any, ...]) -> int:
    return _number(json.dumps([run, *path]), 8)


def _number(text: str, size: int) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:size], "big")
