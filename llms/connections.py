"""Connections to servers, and the errors that they answer with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx
import yarl


class RefusedError(Exception):
    """The server answered with an error: its status, what it said, and its headers.

    `param` is the parameter that it names, if it does.
    """

    def __init__(
        self, status_code: int, said: str, headers: Mapping[str, str], param: str = ""
    ) -> None:
        super().__init__(said)
        self.status_code = status_code
        self.headers = headers
        self.param = param


def session_for(url: str) -> aiohttp.ClientSession:
    """Connections to a server, as many as are asked for, through the proxy that is set for it."""
    address = yarl.URL(url)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=httpx.create_ssl_context()),
        timeout=aiohttp.ClientTimeout(None),  # the gateway's
        proxy=_proxy(address.scheme, address.host or ""),
    )


def _proxy(scheme: str, host: str) -> str | None:
    """The proxy that the environment names for a host; aiohttp would ask for every request."""
    return None if proxy_bypass(host) else getproxies().get(scheme)


def refusal(status: int, text: str, headers: Mapping[str, str]) -> RefusedError:
    """The error that a server's answer is: what it says, or its beginning."""
    try:
        error = json.loads(text)["error"]
        if isinstance(error, str):
            return RefusedError(status, error, headers)
        code = error.get("code") or ""
        said = f"{error['message']}{f' ({code})' if code else ''}"
        return RefusedError(status, said, headers, str(error.get("param") or ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        return RefusedError(status, " ".join(text.split())[:2000] or "no explanation", headers)
