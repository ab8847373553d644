"""Takes keys out of what is written down or shown: errors, traces, settings, calls.

A key is known by its form, by the place where it stands (a header, an address), or because it is
a secret of this process: a value of the environment that is named as one, or one that was used
to open a model. Rows of the user's data are not looked at for forms: there a key is data.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit, urlunsplit

from .secret_patterns import KEY_PIECE, PRIVATE_KEY

MARK = "[redacted]"

_SECRET_NAME = re.compile(
    r"(?:^|_)(?:API_?KEY|KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASS|CREDENTIALS?|PAT|HEADERS)S?(?:_|$)",
    re.IGNORECASE,
)
_SHORTEST = 6  # characters of a secret: fewer stand in other words, too
_CERTAIN = 16  # characters from which on a value with letters and digits can only be a key

_HEADER = re.compile(
    r"""(\b(?:proxy-)?authorization|\bx-(?:goog-)?api-key|\bapi[-_]?key|\bset-cookie|\bcookie
        |\baws_secret_access_key)
        (["']?\s*[:=]\s*(?:b?["'])?)(?!(?:\w+\s+)?\[redacted\])
        ((?:Bearer|Basic|Token|Digest)\s+)?([^\s"',;&}\])]+)""",
    re.VERBOSE | re.IGNORECASE,
)
_SCHEME = re.compile(r"\b(Bearer|Basic)(\s+)(?=[^\s\"',]*[\d=._-])[\w.~+/=-]{8,}", re.IGNORECASE)
_LOGIN = re.compile(r"(?<=://)[^/\s@\"'<>]+@")
_PARAMETER = re.compile(
    r"([?&](?:[\w.-]*(?:key|token|secret|password|passwd|signature|credential)|sig|auth|pwd|pass)=)"
    r"(?!\[redacted\])[^&\s#\"'<>)\]]+",
    re.IGNORECASE,
)


class Secrets:
    """The secrets that a process used: they are cut out of texts, whatever they look like."""

    def __init__(self) -> None:
        self._values: set[str] = set()

    def remember(self, *secrets: str) -> None:
        """Know these as secrets from now on."""
        self._values.update(secret for secret in secrets if len(secret) >= _SHORTEST)

    def remember_address(self, url: str) -> None:
        """Know the password and the keys in an address as secrets."""
        parts = urlsplit(url)
        values = [v for name, v in parse_qsl(parts.query) if _PARAMETER.match(f"?{name}={v}")]
        if parts.password:
            password = unquote(parts.password)
            login = f"{unquote(parts.username or '')}:{password}"
            values += [password, base64.b64encode(login.encode()).decode()]
        self.remember(*values, *map(quote, values))

    def forget(self) -> None:
        """Know none any more."""
        self._values.clear()

    def ordered(self, shortest: int = _SHORTEST) -> list[str]:
        """These and the environment's secrets of so many characters, longest first."""
        values = self._values.union(_of_environment(shortest))
        return sorted(values, key=lambda secret: (-len(secret), secret))


OWN = Secrets()  # of this process
remember, remember_address = OWN.remember, OWN.remember_address


def without_credentials(url: str) -> str:
    """An address without a user, a password, or parameters, where keys may stand."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def redacted(text: str, secrets: Secrets = OWN) -> str:
    """Text without anything that is, or looks like, a key: for errors, settings and logs."""
    for secret in secrets.ordered():
        text = text.replace(secret, MARK)
    text = _LOGIN.sub(f"{MARK}@", text)
    text = _PARAMETER.sub(rf"\1{MARK}", text)
    text = KEY_PIECE.sub(MARK, PRIVATE_KEY.sub(MARK, text))
    text = _HEADER.sub(lambda m: f"{m[1]}{m[2]}{m[3] or ''}{MARK}", text)
    return _SCHEME.sub(rf"\1\2{MARK}", text)


def without_own_keys(text: str, secrets: Secrets = OWN) -> str:
    """Text of a request or an answer without this process's own keys.

    Only what can be nothing else is cut out: such texts become rows, which stay as they are.
    """
    for secret in filter(_certain, secrets.ordered(_CERTAIN)):
        text = text.replace(secret, MARK)
    return text


def redacted_value(value: Any) -> Any:
    """A JSON value with every string in it redacted."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, dict):
        return {redacted(str(key)): redacted_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redacted_value(item) for item in value]
    return value


def _certain(secret: str) -> bool:
    mixed = any(c.isdigit() for c in secret) and any(c.isalpha() for c in secret)
    return len(secret) >= _CERTAIN and mixed and not any(c.isspace() for c in secret)


def _of_environment(shortest: int) -> Iterator[str]:
    """Values of the environment's variables that are named as secrets."""
    for name, value in os.environ.items():
        if _SECRET_NAME.search(name):
            values = [value]
            if name.upper().endswith("HEADERS"):  # name=value,name=value
                values = [pair.partition("=")[2] for pair in value.split(",")]
            yield from (v for v in values if len(v) >= shortest and not v.startswith(("/", "./")))
