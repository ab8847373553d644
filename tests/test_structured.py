"""Output modes, thinking, and what a server is found to take."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from misbehaving_server import MisbehavingServer
from pydantic import BaseModel

from lift_agent.jobs.recording import RecordedCalls
from lift_agent.llms.answers import parse
from lift_agent.llms.backend import Backend
from lift_agent.llms.capabilities import THINKING_TOKENS
from lift_agent.llms.connections import RefusedError
from lift_agent.llms.faults import refused_part
from lift_agent.llms.gateway import Gateway
from lift_agent.llms.messages import Request
from lift_agent.llms.providers import open_backend
from lift_agent.llms.replies import Reply
from lift_agent.records import Call
from lift_agent.stores.cache import SharedCache
from lift_agent.stores.ledger import Ledger

GOOD = '{"label": "good", "points": 3}'
MODEL = "openai:test-model"
MODES = ("json_schema", "tool", "json_object", "prompt")
REFUSED = {"json_schema": "json_schema", "tool": "tools", "json_object": "json_object"}

run = asyncio.new_event_loop().run_until_complete


class Mark(BaseModel):
    label: str
    points: int


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))


@contextmanager
def opened(
    folder: Path, server: MisbehavingServer, prices: Any = (1.0, 1.0), name: str = MODEL
) -> Iterator[tuple[Gateway, Ledger]]:
    backend = open_backend(name, server.base_url, prices={name: prices})
    with (
        closing(Ledger(folder / "ledger.sqlite")) as ledger,
        closing(SharedCache(folder / "calls.sqlite")) as memory,
    ):
        backend.capabilities.open(memory, backend.name)
        yield Gateway(backend, ledger.calls), ledger
        assert backend.close
        run(backend.close())


def request(text: str = "Judge this.", max_tokens: int = 64) -> Request:
    return Request("test@1", (("system", "You judge."), ("user", text)), 0.7, max_tokens)


def judge(gateway: Gateway, text: str = "Judge this.") -> tuple[Mark | None, str]:
    parsed = run(gateway.ask_for(Mark, request(text), agent="test"))
    return parsed.value, parsed.error


def good(messages: Any) -> str:
    return GOOD


def mode_of(body: dict[str, Any]) -> str:
    if "tools" in body:
        return "tool"
    return body.get("response_format", {}).get("type", "prompt")


# output modes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_a_refused_way_is_followed_by_the_next_and_what_worked_is_remembered(
    tmp_path: Path, mode: str
) -> None:
    before = MODES[: MODES.index(mode)]
    with MisbehavingServer(good, refuses=[REFUSED[earlier] for earlier in before]) as server:
        with opened(tmp_path, server) as (gateway, ledger):
            assert judge(gateway) == (Mark(label="good", points=3), "")
            assert [mode_of(seen.body) for seen in server.requests] == [*before, mode]
            assert judge(gateway, "Judge that.")[0]
            assert {call.way for call in ledger.calls.find()} == {mode}
        with opened(tmp_path, server) as (gateway, _):  # the next run
            assert judge(gateway, "Judge more.")[0]
    assert [mode_of(seen.body) for seen in server.requests] == [*before, mode, mode, mode]


def test_a_calls_key_does_not_depend_on_the_way(tmp_path: Path) -> None:
    keys = []
    for refuses in ([], list(REFUSED.values())):
        folder = tmp_path / str(len(refuses))
        folder.mkdir()
        with (
            MisbehavingServer(good, refuses=refuses) as server,
            opened(folder, server) as (gateway, ledger),
        ):
            gateway.backend.identity = "the same"
            judge(gateway)
            keys.append([call.key for call in ledger.calls.find()])
    assert keys[0] == keys[1]


def test_a_way_that_brings_no_object_is_given_up_for_one_that_does(tmp_path: Path) -> None:
    """A server that takes response_format and passes it over."""
    with MisbehavingServer(lambda messages: "I like it.") as server:
        real = server._respond

        def deaf(body: dict[str, Any], *rest: Any) -> Any:
            server._answer = good if "tools" in body else lambda messages: "I like it."
            return real(body, *rest)

        server._respond = deaf  # type: ignore[method-assign]
        with opened(tmp_path, server) as (gateway, _):
            assert [bool(judge(gateway, f"Judge {n}.")[0]) for n in range(3)] == [False, True, True]
            assert gateway.backend.capabilities.output_mode == "tool"


def test_the_schema_stands_in_the_turn_that_does_not_vary(tmp_path: Path) -> None:
    with (
        MisbehavingServer(good, refuses=list(REFUSED.values())) as server,
        opened(tmp_path, server) as (gateway, _),
    ):
        judge(gateway)
        system, user = server.requests[-1].body["messages"]
    assert "points" in system["content"]
    assert user["content"] == "Judge this."


@pytest.mark.parametrize(
    ("status", "said", "param", "part"),
    [
        (400, "Unsupported value: 'temperature' does not support 0.3 with this model. Only the "
         "default (1) value is supported.", "temperature", "temperature"),
        (400, "Unrecognized request argument supplied: seed", "", "seed"),
        (422, '{"detail":[{"type":"extra_forbidden","loc":["body","seed"],"msg":"Extra inputs '
         'are not permitted"}]}', "", "seed"),
        (400, "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
         "'max_completion_tokens' instead.", "max_tokens", "max_tokens"),
        (400, "`temperature` is deprecated for this model.", "", "temperature"),
        (400, "'response_format.type' must be 'json_object' or 'text'", "", "json_schema"),
        (404, "No endpoints found that support the requested response_format.", "", "json_schema"),
        (400, "This model's maximum context length is 4096 tokens, 90 in the functions.", "", ""),
        (400, "max_tokens is too large: 9000. This model supports at most 4096.", "max_tokens", ""),
        (400, "Invalid prompt: your prompt was flagged.", "", ""),
        (404, "The model `nothing` does not exist", "", ""),
        (503, "response_format is busy", "", ""),
    ],
)  # fmt: skip
def test_a_refusal_is_known_by_what_the_server_says(
    status: int, said: str, param: str, part: str
) -> None:
    names = ("temperature", "seed", "stop", "max_tokens", "max_completion_tokens")
    assert refused_part(RefusedError(status, said, {}, param), "json_schema", names) == part


def test_a_parameter_that_is_refused_is_left_out_and_never_sent_again(tmp_path: Path) -> None:
    with MisbehavingServer(good, refuses=["temperature", "max_tokens"]) as server:
        with opened(tmp_path, server) as (gateway, ledger):
            assert judge(gateway)[0]
            assert len(server.requests) == 3
            [call] = ledger.calls.find()
            assert [a.outcome[:4] for a in ledger.calls.attempts(call.key)] == [
                "HTTP",
                "HTTP",
                "answ",
            ]
        with opened(tmp_path, server) as (gateway, _):
            assert judge(gateway, "Judge that.")[0]
        last = server.requests[-1].body
    assert len(server.requests) == 4
    assert "temperature" not in last
    assert last["max_completion_tokens"] == 64


def test_a_server_that_refuses_what_it_is_not_sent_is_not_asked_for_ever(tmp_path: Path) -> None:
    with MisbehavingServer(good, refuses=["model"]) as server:
        real = server._respond

        def renamed(*args: Any) -> Any:
            response = real(*args)
            told = response.content.replace(b"'model'", b"'temperature'")
            return type(response)(response.status, told)

        server._respond = renamed  # type: ignore[method-assign]
        with opened(tmp_path, server) as (gateway, _):
            assert "HTTP 400" in judge(gateway)[1]
    assert len(server.requests) == 2


# thinking ---------------------------------------------------------------------------------


def test_an_answer_cut_while_thinking_is_asked_once_more_with_tokens_for_it(tmp_path: Path) -> None:
    with MisbehavingServer(good, thinking=500) as server:
        with opened(tmp_path, server) as (gateway, ledger):
            assert judge(gateway)[0]
            [call] = ledger.calls.find()
            assert [seen.body["max_tokens"] for seen in server.requests] == [
                64,
                64 + THINKING_TOKENS,
            ]
            assert ledger.calls.spent().tokens == server.tokens
            outcomes = [attempt.outcome for attempt in ledger.calls.attempts(call.key)]
            assert outcomes == ["the answer was cut while the model was thinking", "answered"]
            assert call.reasoning_tokens == 500
            assert call.cost == pytest.approx((call.input_tokens + call.output_tokens) / 1e6)
        with opened(tmp_path, server) as (gateway, _):
            assert judge(gateway, "Judge that.")[0]
    assert len(server.requests) == 3


def test_thinking_without_an_end_is_a_cause_by_name(tmp_path: Path) -> None:
    with (
        MisbehavingServer(good, thinking=10**6) as server,
        opened(tmp_path, server) as (gateway, _),
    ):
        value, error = judge(gateway)
        assert value is None
        assert error.startswith("the answer was cut by its length: ")
        assert error.endswith("of its tokens went into thinking")
        assert len(server.requests) < 8


@dataclass(slots=True)
class Thinking(Backend):
    """Its first answer is cut while it is written, after more thinking each time."""

    sent: int = 0

    async def send(self, body: Mapping[str, Any], thinking_tokens: int = 0) -> Reply:
        self.sent += 1
        thought = 300 + self.sent
        if len(body["messages"]) == 2:
            return Reply(GOOD[:9], "length", 10, 400, reasoning_tokens=thought, cached_tokens=5)
        return Reply(GOOD, "stop", 10, 400, reasoning_tokens=thought, output_mode="json_schema")


@pytest.mark.parametrize("replayed", [False, True])
def test_a_repair_after_thinking_is_known_to_the_cache_and_the_replay(
    tmp_path: Path, replayed: bool
) -> None:
    backend = Thinking("openai:o3", None)
    with (
        closing(Ledger(tmp_path / "first.sqlite")) as first,
        closing(Ledger(tmp_path / "second.sqlite")) as second,
        closing(SharedCache(tmp_path / "calls.sqlite")) as shared,
    ):
        assert judge(Gateway(backend, first.calls, cache=shared))[0]
        found = RecordedCalls(first) if replayed else shared
        assert judge(Gateway(backend, second.calls, cache=found))[0]
        calls = [
            [(c.key, c.reasoning_tokens, c.cached_tokens, c.way) for c in ledger.calls.find()]
            for ledger in (first, second)
        ]
        repair = str([call.request["messages"] for call in first.calls.find()])
    assert backend.sent == 2
    assert calls[0] == calls[1]
    assert "the answer was cut by its length" in repair
    assert "301" not in repair


@pytest.mark.slow
def test_a_model_known_to_reason_has_tokens_for_it_from_the_first(tmp_path: Path) -> None:
    with (
        MisbehavingServer(good, thinking=500) as server,
        opened(tmp_path, server, name="openai:o4-mini") as (gateway, _),
    ):
        assert judge(gateway)[0]
    assert len(server.requests) == 1


def test_thinking_in_a_field_of_its_own_is_counted_and_in_no_answer(tmp_path: Path) -> None:
    with (
        MisbehavingServer(good, lambda messages, times: "reasoning_field") as server,
        opened(tmp_path, server) as (gateway, ledger),
    ):
        answer = run(gateway.ask(request(), agent="test"))
        [call] = ledger.calls.find()
    assert answer.text == call.response == GOOD
    assert call.reasoning_tokens == call.output_tokens / 2 > 0


# prices -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens_details": {"cached_tokens": 80}},
        {"prompt_cache_hit_tokens": 80, "prompt_cache_miss_tokens": 20},
    ],
)
def test_cached_tokens_are_counted_at_their_price(tmp_path: Path, usage: dict[str, Any]) -> None:
    with MisbehavingServer(good) as server:
        real = server._respond

        def cached(*args: Any) -> Any:
            response = real(*args)
            whole = json.loads(response.content)
            whole["usage"] = {"prompt_tokens": 100, "completion_tokens": 10, **usage}
            return type(response)(200, json.dumps(whole).encode())

        server._respond = cached  # type: ignore[method-assign]
        with opened(tmp_path, server, prices=(2.0, 8.0, 0.5)) as (gateway, ledger):
            judge(gateway)
            [call] = ledger.calls.find()
    assert call.cached_tokens == 80
    assert call.cost == pytest.approx((20 * 2 + 80 * 0.5 + 10 * 8) / 1e6)


# answers ----------------------------------------------------------------------------------


class Rated(BaseModel):
    reason: str
    clarity: int
    same: bool


def read(text: str, finish: str = "stop") -> Rated | None:
    call = Call("", "", "", "", 0, "", {}, response=text, finish_reason=finish)
    return parse(Rated, call)[0]


@settings(max_examples=200, deadline=None)
@given(
    st.builds(
        Rated,
        reason=st.text(max_size=40) | st.text("{}\"\\,:' clarity9", max_size=40),
        clarity=st.integers(0, 99),
        same=st.booleans(),
    ),
    st.sampled_from([",}", "}"]),
    st.sampled_from(["", "Here: ", "```json\n"]),
    st.booleans(),
    st.data(),
)
def test_half_an_answer_never_becomes_an_object(
    rated: Rated, end: str, before: str, quoted: bool, data: st.DataObject
) -> None:
    whole = json.dumps(rated.model_dump(), ensure_ascii=quoted)[:-1] + end
    found = read(before + whole)
    assert found
    assert (found.clarity, found.same) == (rated.clarity, rated.same)
    cut = data.draw(st.integers(0, len(whole) - 1))
    assert read(before + whole[:cut]) is None


@pytest.mark.parametrize(
    "text",
    [
        "{'reason': 'It\\'s fine.', 'clarity': 12, 'same': false}",
        '{"reason": "Fine.", "clarity": 12, "same": False}',
        '{reason: "Fine.", clarity: 12, same: false}',
        'So:\n{"reason": "Fine.", "clarity": 12, "same": false,}\nThat is {all}.',
        '{"reason": "Fine.", // a remark\n"clarity": 12, "same": false}',
    ],
)
def test_small_faults_of_json_are_mended(text: str) -> None:
    found = read(text)
    assert found
    assert (found.clarity, found.same) == (12, False)
    assert read(text, "length") is None
