"""What an answer makes of the call that asked for it, and what it spent."""

from __future__ import annotations

from dataclasses import replace

from ..records import Call, Spending
from ..redaction import without_own_keys
from .ports import ModelBackend
from .replies import Reply


def answered(
    backend: ModelBackend, blank: Call, reply: Reply, seconds: float, share: float = 1.0
) -> Call:
    """A call with its answer; it cost this share of the price."""
    cost = backend.cost_of(reply)
    return replace(
        blank,
        response=without_own_keys(reply.text),
        finish_reason=reply.finish_reason,
        input_tokens=reply.input_tokens,
        output_tokens=reply.output_tokens,
        reasoning_tokens=reply.reasoning_tokens,
        cached_tokens=reply.cached_tokens,
        way=reply.output_mode,
        cost=None if cost is None else cost * share,
        seconds=seconds,
    )


def spent_on(call: Call, reply: Reply, worst: Spending) -> Spending:
    """What an answer spent; the worst case, if it came without its usage."""
    if not reply.counted:
        return worst
    return Spending(1, reply.input_tokens + reply.output_tokens, call.cost or 0.0)
