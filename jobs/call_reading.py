"""How the agents read a call's answer, for whoever looks at it later."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from ..agents import judge, probes, redundancy, subspace_naming
from ..llms.answers import explained, parse, without_thinking
from ..records import Call

_MODULES = (judge, probes, redundancy, subspace_naming)  # that ask for objects


class _AnyObject(BaseModel):
    """Stands in for a schema whose class is not known any more."""

    model_config = ConfigDict(extra="allow")


def parsed_answer(call: Call) -> tuple[dict[str, Any] | None, str]:
    """The object that a call asked for as its agent's schema reads it, or why there is none."""
    schemas = {
        name: kind
        for module in _MODULES
        for name, kind in vars(module).items()
        if isinstance(kind, type) and issubclass(kind, BaseModel)
    }
    value, error = parse(schemas.get(call.request["schema"]["name"], _AnyObject), call)
    return (value.model_dump() if value is not None else None), explained(error, call)


def answer_text(response: str) -> str:
    """What a model said, without what it thought before."""
    return without_thinking(response).strip()
