"""LangChain's chat model of OpenAI's protocol, with a connection of its own.

OpenAI's own client walks through every message of a request by its type hints, which takes more
CPU time than all the rest of a call, and hides what went wrong with a connection behind one name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx
import yarl
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatResult
from langchain_openai import ChatOpenAI
from pydantic import PrivateAttr


class RefusedError(Exception):
    """The server answered with an error: its status, what it said, and its headers."""

    def __init__(self, status_code: int, said: str, headers: Mapping[str, str]) -> None:
        super().__init__(said)
        self.status_code = status_code
        self.headers = headers


class ChatCompletions(ChatOpenAI):
    """Posts chat completions by aiohttp; models of OpenAI's responses go the usual way."""

    _session: aiohttp.ClientSession | None = PrivateAttr(None)
    _url: str = PrivateAttr("")
    _headers: dict[str, str] = PrivateAttr(default_factory=dict)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        payload = self._get_request_payload(messages, stop=stop, **kwargs)
        if self._use_responses_api(payload):
            return await super()._agenerate(messages, stop, run_manager, **kwargs)
        return self._create_chat_result(await self._post(payload))

    async def _post(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Post a chat completion.

        Raises:
            RefusedError: the server answered with an error.
            ValueError: its answer is not JSON.
            aiohttp.ClientError: there is no answer, or no whole one.
        """
        extra = payload.pop("extra_body", {})
        content = json.dumps({**payload, **extra}).encode()
        session = self._opened()
        async with session.post(self._url, data=content, headers=self._headers) as response:
            text = await response.text(errors="replace")
            if response.status >= 400:
                raise RefusedError(response.status, _said(text), response.headers)
        return _with_refusal(json.loads(text))

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:  # in the event loop that uses it
            server = self.root_async_client
            address = yarl.URL(str(server.base_url))
            self._url = str(address.with_user(None) / "chat/completions")
            headers = {**server.default_headers, **server.auth_headers}
            if address.user:
                login = aiohttp.BasicAuth(address.user, address.password or "")
                headers["Authorization"] = login.encode()
            self._headers = {k: v for k, v in headers.items() if isinstance(v, str)}
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ssl=httpx.create_ssl_context()),
                timeout=aiohttp.ClientTimeout(None),  # the gateway's
                proxy=_proxy(server.base_url.scheme, server.base_url.host),
            )
        return self._session

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def _proxy(scheme: str, host: str) -> str | None:
    """The proxy that the environment names for a host; aiohttp would ask for every request."""
    return None if proxy_bypass(host) else getproxies().get(scheme)


def _with_refusal(completion: dict[str, Any]) -> dict[str, Any]:
    """The completion; a refusal, which has a field of its own, becomes its text and its end."""
    for choice in completion.get("choices") or ():
        if refusal := choice["message"].get("refusal"):
            choice["message"]["content"] = refusal
            choice["finish_reason"] = "refusal"
    return completion


def _said(text: str) -> str:
    """What an error's body says: its message and its code, or its beginning."""
    try:
        error = json.loads(text)["error"]
        if isinstance(error, str):
            return error
        code = error.get("code") or ""
        return f"{error['message']}{f' ({code})' if code else ''}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return " ".join(text.split())[:2000] or "no explanation"
