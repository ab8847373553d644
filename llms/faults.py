"""What went wrong with a request, named: what the caller should do about it."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from ..redaction import redacted

_FATAL = {
    401: "refused the key",
    402: "asks for payment",
    403: "refused access",
    404: "does not know the model or address",
}
_PASSING = {408, 409, 425, 500, 502, 503, 504, 520, 529}
_OVERLOADED = {503, 529}
_PERHAPS_BILLED = {408, 502, 504, 520}  # the server behind a proxy that timed out may have answered
_SAYS_NO = re.compile(
    r"unsupported|not support|unrecogni[sz]ed|unknown|unexpected|extra inputs|not permitted"
    r"|not allowed|deprecated|only the default",
    re.IGNORECASE,
)
# What an error speaks of that refuses an output mode.
_MODE_MARKS = {
    "json_schema": r"response_format|json.?schema|structured output|grammar|schema",
    "tool": r"\btools?\b|tool_|functions?\b",
    "json_object": r"response_format|json_object|json mode",
}
_UNREACHABLE = {"ConnectError", "ClientConnectorError", "ConnectionRefusedError"}


class NotAnAnswerError(ConnectionError):
    """The server sent something that is not a chat completion: a proxy's page, an empty body."""


class OtherwiseError(ConnectionError):
    """The server refuses a part of how it was asked; the same will be asked without it."""

    def __init__(self, said: str, status_code: int) -> None:
        super().__init__(said)
        self.status_code = status_code


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a request brought no answer.

    `kind` is fatal (no request to this model can succeed), limited (the server's rate limit:
    wait, then the same again), passing (worth trying again a few times), request (this
    request cannot succeed) or otherwise (the same again at once, which will be asked in another
    way). `wait` is the time in seconds that the server asks for, if it does;
    `refused` says that the server answered with an error, and so will not bill the request,
    `unreachable` that it was never sent.
    """

    kind: Literal["fatal", "limited", "passing", "request", "otherwise"]
    cause: str
    status: int = 0
    wait: float | None = None
    refused: bool = False
    unreachable: bool = False

    @property
    def slows(self) -> bool:
        """Whether the server has too much to do, so that less should be sent at once."""
        return self.kind == "limited" or self.status in _OVERLOADED


def fault_of(error: Exception) -> Fault:
    """Name the fault behind an exception of a provider's client; keys are cut out."""
    status = _status(error)
    said = redacted(str(error))
    said = (said.strip().splitlines() or [type(error).__name__])[0][:300]
    cause = f"{f'HTTP {status}' if status else type(error).__name__}: {said}"
    refused = status >= 400 and status not in _PERHAPS_BILLED
    wait = _retry_after(error)
    if isinstance(error, OtherwiseError):
        return Fault("otherwise", cause, status, refused=True)
    if status in _FATAL:
        return Fault("fatal", f"{_FATAL[status]} (HTTP {status}): {said}", status, refused=True)
    if status == 429 and "insufficient_quota" in f"{error} {getattr(error, 'code', '')}":
        return Fault("fatal", f"has no credit left (HTTP 429): {said}", status, refused=True)
    if status == 429:
        return Fault("limited", cause, status, wait, refused)
    if status in _PASSING or status == 200 or (not status and _is_transport(error)):
        # 200 with a body that is no answer is a proxy's passing fault.
        unreachable = not status and bool(_UNREACHABLE & set(_kinds(error)))
        return Fault("passing", cause, status, wait, refused, unreachable)
    return Fault("request", cause, status, refused=refused)


def refused_part(error: Exception, output_mode: str, parameters: Sequence[str]) -> str:
    """Name the part of a request that a server's error refuses: a parameter, or its
    output mode; "" if it is neither.
    """
    status, said = _status(error), str(error)
    if status not in (400, 404, 405, 415, 422, 500, 501) or "context" in said:
        return ""
    no = _SAYS_NO.search(said)
    param = str(getattr(error, "param", "") or "")
    for name in parameters:
        named = rf"['\"`]{name}['\"`]|argument[^.]*:.*\b{name}\b"
        if no and (param == name or re.search(named, said)):
            return name
    marks = _MODE_MARKS.get(output_mode)
    if not marks or (status not in (400, 422) and not re.search("support|tool", said)):
        return ""
    return output_mode if re.search(marks, f"{param} {said}", re.IGNORECASE) else ""


def _status(error: Exception) -> int:
    """The HTTP status that the error or one of its causes carries, 0 if none does."""
    found = [getattr(error, "code", None)]  # of Google's errors
    cause: BaseException | None = error
    while cause is not None:
        found += [getattr(owner, "status_code", None) for owner in (cause, _response(cause))]
        cause = cause.__cause__
    return next((status for status in found if isinstance(status, int) and status >= 100), 0)


def _response(error: BaseException) -> Any:
    return getattr(error, "response", None)


def _retry_after(error: Exception) -> float | None:
    """Seconds that the server asks to wait, given as seconds or as a date."""
    headers: Any = getattr(error, "headers", None)
    if headers is None:
        headers = getattr(getattr(error, "response", None), "headers", None) or {}
    asked = headers.get("retry-after") or headers.get("Retry-After") or ""
    try:
        return max(0.0, float(asked))
    except ValueError:
        try:
            return max(0.0, parsedate_to_datetime(asked).timestamp() - time.time())
        except ValueError:
            return None


def _is_transport(error: Exception) -> bool:
    kinds = " ".join(_kinds(error))
    marks = ("Timeout", "Connect", "Disconnect", "Payload")
    return isinstance(error, OSError) or any(mark in kinds for mark in marks)


def _kinds(error: Exception) -> list[str]:
    """Names of the classes of the error and of its causes, which clients wrap."""
    names: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        names.extend(kind.__name__ for kind in type(cause).__mro__)
        cause = cause.__cause__
    return names
