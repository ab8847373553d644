"""The only way to a chat model: asks for texts and for objects, and reads what came back."""

from __future__ import annotations

from dataclasses import replace

from pydantic import BaseModel

from ..records import Call
from .answers import Answered, explained, parse, plain, without_thinking
from .backend import Backend
from .calls import CallGateway
from .messages import Answer, Parsed, Request


class Gateway(CallGateway[Backend]):
    """Asks one chat model, never twice for the same thing."""

    def room(self, texts: int) -> int | None:
        """UTF-8 bytes that each of `texts` texts may fill in a prompt; None is no limit."""
        if self.backend.context is None:
            return None
        # Of the context, a third is left for the prompt's own text and the answer; a token is
        # at least a byte, and more than two on average in any language.
        return self.backend.context * 4 // 3 // texts

    async def ask(
        self, request: Request, *, agent: str, subject: str = "", round: int = 0
    ) -> Answer:
        """Return the model's answer as plain text, without any thinking that precedes it."""
        call = await self._called(self._form(request), None, agent, subject, round)
        if call.error:
            return Answer(error=call.error)
        text, cause = plain(call)
        self.count(call, unusable=bool(cause))
        return Answer(text, explained(cause, call), call.finish_reason == "length")

    async def ask_for(
        self,
        schema: type[Answered],
        request: Request,
        *,
        agent: str,
        subject: str = "",
        round: int = 0,
    ) -> Parsed[Answered]:
        """Return the model's answer as an object of `schema`.

        An answer that is not valid is repaired once, by showing the model the parser's error;
        after that the cause is returned.
        """
        request = self._form(request)
        call = await self._called(request, schema, agent, subject, round)
        if call.error:
            return Parsed(None, call.error)
        value, error = self._read(schema, call)
        if value is None:
            repair = replace(
                request,
                messages=(
                    *request.messages,
                    ("assistant", without_thinking(call.response).strip() or "(nothing)"),
                    (
                        "user",
                        f"That cannot be used: {error}. Answer again, with the JSON object only.",
                    ),
                ),
            )
            call = await self._called(repair, schema, agent, subject, round)
            if call.error:
                return Parsed(None, call.error)
            value, error = self._read(schema, call)
        self.count(call, unusable=value is None)
        return Parsed(value, explained(error, call))

    def _form(self, request: Request) -> Request:
        return (self.backend.compact and request.short) or request

    async def _called(
        self,
        request: Request,
        schema: type[BaseModel] | None,
        agent: str,
        subject: str,
        round: int,
    ) -> Call:
        body = self.backend.body(request, schema, self.seed)
        return await self.call(body, request.prompt, agent=agent, subject=subject, round=round)

    def _read(self, schema: type[Answered], call: Call) -> tuple[Answered | None, str]:
        """Parse an answer; a new one tells whether its output mode works."""
        value, error = parse(schema, call)
        if call.way and not call.reused:
            found = self.backend.capabilities
            if value is not None:
                found.answered(call.way)
            elif call.finish_reason in ("stop", ""):
                found.unreadable(call.way, self.backend.output_modes)
        return value, error
