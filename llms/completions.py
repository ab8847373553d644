"""LangChain's chat model of OpenAI's protocol, with a connection of its own.

OpenAI's own client walks through every message of a request by its type hints, which takes more
CPU time than all the rest of a call, and hides what went wrong with a connection behind one name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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

from .replies import thinking_share


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
        return self.result(await self._post(whole(payload)))

    def payload(self, messages: Sequence[tuple[str, Any]], **options: Any) -> dict[str, Any]:
        """The body of the request with these messages and options."""
        return whole(self._get_request_payload(list(messages), **options))

    def result(self, completion: dict[str, Any]) -> ChatResult:
        """Read a chat completion as it came."""
        return self._create_chat_result(_with_usage(_with_refusal(completion)))

    async def _post(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Post a chat completion.

        Raises:
            RefusedError: the server answered with an error.
            ValueError: its answer is not JSON.
            aiohttp.ClientError: there is no answer, or no whole one.
        """
        content = json.dumps(payload).encode()
        session, url, headers = self.opened()
        async with session.post(
            f"{url}/chat/completions", data=content, headers=headers
        ) as response:
            text = await response.text(errors="replace")
            if response.status >= 400:
                raise refusal(response.status, text, response.headers)
        completion: dict[str, Any] = json.loads(text)
        return completion

    def opened(self) -> tuple[aiohttp.ClientSession, str, dict[str, str]]:
        """The connections, the server's address, and the headers of a request."""
        if self._session is None:  # in the event loop that uses it
            server = self.root_async_client
            address = yarl.URL(str(server.base_url))
            self._url = str(address.with_user(None)).rstrip("/")
            headers = {**server.default_headers, **server.auth_headers}
            if address.user:
                login = aiohttp.BasicAuth(address.user, address.password or "")
                headers["Authorization"] = login.encode()
            self._headers = {k: v for k, v in headers.items() if isinstance(v, str)}
            self._session = session_for(str(server.base_url))
        return self._session, self._url, self._headers

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


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


def whole(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a request with what is to be added to it; None takes a parameter out."""
    together = {**payload, **(payload.get("extra_body") or {})}
    return {k: v for k, v in together.items() if k != "extra_body" and v is not None}


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
