"""A chat model of OpenAI's protocol, with a connection of its own.

OpenAI's own client walks through every message of a request by its type hints, which takes more
CPU time than all the rest of a call, and hides what went wrong with a connection behind one name.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import aiohttp
import yarl
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, convert_to_messages
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import Field, PrivateAttr, SecretStr

from .completion_reading import message_of
from .connections import refusal, session_for

if TYPE_CHECKING:
    from langchain_openai import ChatOpenAI

_OPENAI = "https://api.openai.com/v1"
_ROLES = {"human": "user", "ai": "assistant", "system": "system"}
_REASONING = re.compile(r"o\d")  # models whose system turn is called the developer's
# Names of OpenAI's models of which LangChain knows whether they take responses only.
_PERHAPS_RESPONSES = re.compile(r"gpt-[5-9]|o\d|.*codex")
_TOOLS_BY_RESPONSES = re.compile(r"gpt-6", re.IGNORECASE)


class ChatCompletions(BaseChatModel):
    """Posts chat completions; what OpenAI takes as responses only goes through LangChain's client.

    `base_url` is the server's address, None for OpenAI's own; its user and password, if it has
    them, are sent as login.
    """

    model: str
    api_key: SecretStr
    base_url: str | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    timeout: float = 120.0

    _session: aiohttp.ClientSession | None = PrivateAttr(None)

    @property
    def _llm_type(self) -> str:
        return "openai-chat"

    @cached_property
    def official(self) -> ChatOpenAI:
        """LangChain's own model of this name, which knows what OpenAI's models take."""
        from langchain_openai import ChatOpenAI

        return ChatOpenAI(
            model=self.model,
            base_url=self.base_url,
            api_key=self.api_key,
            default_headers=self.headers or None,
            max_retries=0,  # the gateway retries, and counts it
            timeout=self.timeout,
            http_socket_options=(),  # otherwise LangChain warns of proxies
        )

    @cached_property
    def responds(self) -> bool:
        """Whether the model takes requests of OpenAI's responses only."""
        return bool(_PERHAPS_RESPONSES.match(self.model) and self.official.use_responses_api)

    def bind_tools(
        self, tools: Sequence[Any], *, tool_choice: str | None = None, **options: Any
    ) -> Runnable[Any, AIMessage]:
        """Offer tools with each request, of which the one called `tool_choice` is to be called."""
        if tool_choice:
            options["tool_choice"] = {"type": "function", "function": {"name": tool_choice}}
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **options)

    def payload(self, messages: Sequence[Any], **options: Any) -> dict[str, Any]:
        """The body of the request with these messages and options; None takes an option out."""
        body: dict[str, Any] = {"model": self.model, "stream": False}
        if self.model.lower().startswith("o1"):
            body["temperature"] = 1  # the only one that it takes
        body |= options
        turns = convert_to_messages(messages)
        body["messages"] = [{"content": turn.content, "role": self._role(turn)} for turn in turns]
        if "max_tokens" in body:  # OpenAI's older name
            body["max_completion_tokens"] = body.pop("max_tokens")
        body |= body.pop("extra_body", None) or {}
        return {name: value for name, value in body.items() if value is not None}

    def _role(self, turn: BaseMessage) -> str:
        role = _ROLES[turn.type]
        return "developer" if role == "system" and _REASONING.match(self.model) else role

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        raise NotImplementedError("it is asked in an event loop: ainvoke")

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        options = kwargs if stop is None else {**kwargs, "stop": stop}
        if self.responds or (_TOOLS_BY_RESPONSES.match(self.model) and kwargs.get("tools")):
            answer = await self.official.ainvoke(messages, **as_responses(options))
            message = with_finish_reason(answer)
        else:
            message = message_of(await self._post(self.payload(messages, **options)))
        return ChatResult(generations=[ChatGeneration(message=message)])

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
            self._session = session_for(self.base_url or _OPENAI)
        return self._session, self._address, self._sent_headers

    @cached_property
    def _address(self) -> str:
        return str(yarl.URL(self.base_url or _OPENAI).with_user(None)).rstrip("/")

    @cached_property
    def _sent_headers(self) -> dict[str, str]:
        """Those of every request: the key, or the address's login, and what the user gave."""
        address = yarl.URL(self.base_url or _OPENAI)
        login = f"Bearer {self.api_key.get_secret_value()}"
        if address.user:
            login = aiohttp.BasicAuth(address.user, address.password or "").encode()
        account = {
            "OpenAI-Organization": _variable("OPENAI_ORG_ID", "OPENAI_ORGANIZATION"),
            "OpenAI-Project": _variable("OPENAI_PROJECT_ID"),
        }
        return {
            "Accept": "application/json",
            "Content-Type": "application/json",
            "User-Agent": "lift-agent",
            "Authorization": login,
            **{name: value for name, value in account.items() if value},
            **self.headers,
        }

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def as_responses(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a chat completion as OpenAI's responses take them, which know no seed."""
    body = dict(options.get("extra_body") or {})
    for name in ("max_tokens", "max_completion_tokens"):  # LangChain renames the option itself
        body.pop(name, None)
    if form := body.pop("response_format", None):
        body["text"] = {"format": {"type": form["type"], **form.get("json_schema", {})}}
    kept = {k: v for k, v in options.items() if k not in ("extra_body", "seed")}
    return {**kept, **({"extra_body": body} if body else {})}


def with_finish_reason(message: AIMessage) -> AIMessage:
    """A response with what ended it where chat completions have it."""
    told = message.response_metadata
    why = (told.get("incomplete_details") or {}).get("reason")
    told["finish_reason"] = {None: "stop", "max_output_tokens": "length"}.get(why, why)
    return message


def _variable(*names: str) -> str:
    return next((os.environ[name] for name in names if os.environ.get(name)), "")
