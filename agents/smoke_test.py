"""Two small requests, one of each kind that a run makes, which show whether a model can be used."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ..llms.gateway import Gateway
from .prompts import load

AGENT = "check"
_THING = "A birch tree"


class Sorted(BaseModel):
    """What a model says of a thing."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(max_length=200)
    kind: Literal["living", "lifeless"]


async def ask_for_text(gateway: Gateway) -> str:
    """Ask for a plain text; return what went wrong, "" if nothing did.

    Raises:
        ModelError: no request can succeed: a wrong key, an unknown model, no server.
    """
    request = load("check_text").ask(thing=_THING)
    answer = await gateway.ask(request, agent=AGENT)
    # A text that was cut is an answer, too.
    return "" if answer.text else answer.error


async def ask_for_object(gateway: Gateway) -> str:
    """Ask for an object; return why there is none that is valid, "" if there is one.

    Raises:
        ModelError: no request can succeed.
    """
    request = load("check_object").ask(thing=_THING)
    answer = await gateway.ask_for(Sorted, request, agent=AGENT)
    return answer.error if answer.value is None else ""
