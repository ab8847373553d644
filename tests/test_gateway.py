from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from misbehaving_server import (
    ANSWERS,
    FATAL,
    HOLLOW,
    TRANSIENT,
    WRAPPED,
    Message,
    MisbehavingServer,
)
from pydantic import BaseModel, Field

from lift_agent.errors import BudgetReached, Interrupted, ModelError, TooManyErrors
from lift_agent.llms import gateway as gateways
from lift_agent.llms.backends import open_backend
from lift_agent.llms.budget import Budget, worst_case_tokens
from lift_agent.llms.gateway import (
    Answer,
    Gateway,
    Request,
    Switch,
    call_key,
    parse,
    without_thinking,
)
from lift_agent.records import Call
from lift_agent.stores.ledger import Ledger

GOOD = '{"label": "good", "points": 3}'
KEY = "sk-test-SECRET"


quick = settings(max_examples=50, deadline=None)


class Mark(BaseModel):
    label: Literal["good", "bad"]
    points: int = Field(ge=0, le=5)


class Remark(BaseModel):
    text: str


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a key that must not get out; shorten what the gateway waits between attempts."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(gateways, "_LONGEST_WAIT", 0.05)


def good(messages: list[Message]) -> str:
    return GOOD


def echo(messages: list[Message]) -> str:
    return f"You said: {messages[-1]['content']}"


def once(fault: str) -> Callable[[list[Message], int], str]:
    """Let every conversation meet a fault at its first attempt, repairs not."""
    return lambda messages, times: fault if times == 0 and len(messages) == 1 else ""


def always(fault: str) -> Callable[[list[Message], int], str]:
    return lambda messages, times: fault


def serve(
    faults: Any = None, answer: Callable[[list[Message]], str] = good, **settings: Any
) -> MisbehavingServer:
    # A connection outlives its event loop in langchain-openai's cached client; tests share it.
    return MisbehavingServer(answer, faults, **{"keep_alive": False, **settings})


@contextmanager
def opened(
    folder: Path, server: MisbehavingServer, *, patience: float = 20.0, **settings: Any
) -> Iterator[tuple[Gateway, Ledger]]:
    backend = open_backend("openai:test-model", server.base_url, timeout=patience)
    settings = {"budget": Budget(), **settings}
    with closing(Ledger(folder / "ledger.sqlite")) as ledger:
        yield Gateway(backend, ledger, **settings), ledger


def request(text: object = "Judge this.", sample: int = 0, max_tokens: int = 64) -> Request:
    return Request("test@1", (("user", str(text)),), 0.7, max_tokens, sample)


def ask(gateway: Gateway, *requests: Request) -> list[Any]:
    """Ask for all at once; errors come back in the place of their answers."""

    async def ask_all() -> list[Any]:
        return await together(gateway.ask(r, agent="test") for r in requests)

    return asyncio.run(ask_all())


def ask_for_mark(gateway: Gateway, wanted: Request) -> tuple[Mark | None, str]:
    parsed = asyncio.run(gateway.ask_for(Mark, wanted, agent="test"))
    return parsed.value, parsed.error


async def together(awaitables: Iterable[Awaitable[Any]]) -> list[Any]:
    return await asyncio.wait_for(asyncio.gather(*awaitables, return_exceptions=True), 30)


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def kinds(results: list[Any]) -> Counter[str]:
    return Counter(type(result).__name__ for result in results)


# faults -----------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", TRANSIENT)
def test_a_transient_fault_is_retried(tmp_path: Path, fault: str) -> None:
    patience = 0.8 if fault == "timeout" else 20
    with (
        serve(once(fault), late=3) as server,
        opened(tmp_path, server, patience=patience) as (gateway, _),
    ):
        assert ask(gateway, request()) == [Answer(GOOD)]
        assert [seen.fault for seen in server.requests] == [fault, ""]
    assert server.requests[0].body == server.requests[1].body


def test_the_gateways_own_timeout_is_retried(tmp_path: Path) -> None:
    with (
        serve(once("timeout"), late=3) as server,
        opened(tmp_path, server, timeout=0.8) as (gateway, ledger),
    ):
        assert ask(gateway, request()) == [Answer(GOOD)]
        assert [call.attempts for call in ledger.calls()] == [2]


def test_retry_after_is_obeyed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateways, "_LONGEST_WAIT", 60.0)
    with (
        serve(once("http_429"), retry_after=1.2) as server,
        opened(tmp_path, server) as (gateway, _),
    ):
        assert ask(gateway, request()) == [Answer(GOOD)]
    first, second = server.requests
    assert second.time - first.time >= 1.2  # the backoff alone is a second at most


def test_attempts_end_with_the_cause_on_record(tmp_path: Path) -> None:
    with serve(always("http_503")) as server, opened(tmp_path, server) as (gateway, ledger):
        (answer,) = ask(gateway, request())
        (call,) = ledger.calls()
        assert answer.error.startswith("HTTP 503")
        assert call.error == answer.error
        assert call.attempts == len(server.requests) > 1
        before = len(server.requests)
        ask(gateway, request())  # a failure is no answer: it is asked again
        assert len(server.requests) > before


@pytest.mark.parametrize("fault", HOLLOW)
def test_a_response_without_completion_is_an_error_on_record(tmp_path: Path, fault: str) -> None:
    with serve(always(fault)) as server, opened(tmp_path, server) as (gateway, ledger):
        (answer,) = ask(gateway, request())
        assert answer.error
        assert not answer.text
        assert [call.error for call in ledger.calls()] == [answer.error]


@pytest.mark.parametrize("fault", FATAL)
def test_an_unusable_model_is_one_clear_sentence(tmp_path: Path, fault: str) -> None:
    with serve(always(fault)) as server, opened(tmp_path, server) as (gateway, _):
        (error,) = ask(gateway, request())
    assert isinstance(error, ModelError)
    assert str(error).startswith("openai:test-model ")
    assert f"HTTP {fault[5:]}" in str(error)
    assert "\n" not in str(error)
    assert "{" not in str(error)
    assert len(server.requests) == 1


@pytest.mark.parametrize("fault", WRAPPED)
def test_a_wrapped_answer_is_found(tmp_path: Path, fault: str) -> None:
    with serve(always(fault)) as server, opened(tmp_path, server) as (gateway, _):
        assert ask_for_mark(gateway, request()) == (Mark(label="good", points=3), "")
    assert len(server.requests) == 1


CAUSES = {
    "empty_text": "the answer is empty",
    "truncated": "the answer was cut by its length",
    "bad_json": "there is no JSON object in it",
    "wrong_schema": "label: Field required",
    "refusal": "there is no JSON object in it",
    "tool_call": "the answer is empty",
}


@pytest.mark.parametrize("fault", ANSWERS)
def test_an_unusable_answer_is_repaired_by_its_error(tmp_path: Path, fault: str) -> None:
    with serve(once(fault)) as server, opened(tmp_path, server) as (gateway, ledger):
        assert ask_for_mark(gateway, request()) == (Mark(label="good", points=3), "")
        kept = [call.response for call in ledger.calls()]
    first, repair = (seen.body["messages"] for seen in server.requests)
    assert repair[0] == first[0]
    assert [message["role"] for message in repair] == ["user", "assistant", "user"]
    assert repair[1]["content"] == (kept[0] or "(nothing)")
    assert CAUSES[fault] in repair[2]["content"]
    assert kept[1] == GOOD


@pytest.mark.parametrize("fault", ANSWERS)
def test_an_answer_unusable_twice_is_its_cause(tmp_path: Path, fault: str) -> None:
    with serve(always(fault)) as server, opened(tmp_path, server) as (gateway, ledger):
        assert ask_for_mark(gateway, request()) == (None, CAUSES[fault])
        assert len(server.requests) == len(ledger.calls()) == 2


@pytest.mark.parametrize("fault", ["empty_text", "tool_call"])
def test_an_empty_text_is_an_error(tmp_path: Path, fault: str) -> None:
    with serve(always(fault)) as server, opened(tmp_path, server) as (gateway, _):
        assert ask(gateway, request()) == [Answer(error="empty answer")]


def test_a_cut_text_is_known_as_such(tmp_path: Path) -> None:
    with (
        serve(answer=lambda messages: "word " * 50) as server,
        opened(tmp_path, server) as (gateway, _),
    ):
        cut, whole = ask(gateway, request(max_tokens=5), request(max_tokens=500))
    assert cut.truncated
    assert cut.text == ("word " * 4).strip()
    assert not whole.truncated


def test_half_a_character_loses_no_answer(tmp_path: Path) -> None:
    with (
        serve(answer=lambda messages: "a \ud83d b") as server,
        opened(tmp_path, server) as (gateway, ledger),
    ):
        (answer,) = ask(gateway, request())
        assert isinstance(answer, Answer)
        assert len(ledger.calls()) == 1


def test_all_faults_at_once(tmp_path: Path) -> None:
    names = (*TRANSIENT[:-1], *HOLLOW, *ANSWERS, *WRAPPED)
    outcomes = []
    for concurrency in (1, 16):
        folder = tmp_path / str(concurrency)
        folder.mkdir()
        with (
            serve(dict.fromkeys(names, 0.03), seed=7, latency=(0, 0.01)) as server,
            opened(folder, server, concurrency=concurrency, max_error_rate=1.0) as (gateway, _),
        ):

            async def ask_all(gateway: Gateway = gateway) -> list[Any]:
                asked = (gateway.ask_for(Mark, request(n), agent="test") for n in range(30))
                return await together(asked)

            parsed = asyncio.run(ask_all())
        seen = Counter((json.dumps(r.body, sort_keys=True), r.fault) for r in server.requests)
        assert len({fault for _, fault in seen}) > 8
        assert all((p.value is None) == bool(p.error) for p in parsed)
        assert sum(p.value is not None for p in parsed) > 10
        outcomes.append((parsed, seen))
    assert outcomes[0] == outcomes[1]


# the ledger -------------------------------------------------------------------------------


def test_a_call_is_committed_before_its_answer_is_used(tmp_path: Path) -> None:
    with (
        serve({"http_500": 0.2, "empty_text": 0.1}, echo, latency=(0, 0.05)) as server,
        opened(tmp_path, server, max_error_rate=1.0) as (gateway, _),
        closing(Ledger(tmp_path / "ledger.sqlite")) as reader,
    ):

        async def ask_and_look(number: int) -> None:
            answer = await gateway.ask(request(number), agent="test", subject=f"row {number}")
            (call,) = reader.calls(subjects=[f"row {number}"])
            assert call.response == answer.text
            assert call.input_tokens > 0
            assert call.output_tokens > 0 or not answer.text

        async def ask_all() -> list[Any]:
            return await together(ask_and_look(number) for number in range(40))

        assert asyncio.run(ask_all()) == [None] * 40


def test_equal_requests_in_flight_are_one(tmp_path: Path) -> None:
    with serve(latency=(0.1, 0.1)) as server, opened(tmp_path, server) as (gateway, _):
        assert ask(gateway, *[request()] * 20) == [Answer(GOOD)] * 20
        assert ask(gateway, request()) == [Answer(GOOD)]
    assert len(server.requests) == 1


def test_an_answer_outlives_its_run(tmp_path: Path) -> None:
    with serve() as server:
        for _ in range(2):
            with opened(tmp_path, server) as (gateway, _):
                assert ask(gateway, request(1), request(2)) == [Answer(GOOD)] * 2
    assert len(server.requests) == 2
    assert gateway.usage.reused == 2


def test_samples_are_requests_of_their_own(tmp_path: Path) -> None:
    with serve() as server, opened(tmp_path, server) as (gateway, _):
        ask(gateway, request(sample=0), request(sample=1))
    assert len({seen.body["seed"] for seen in server.requests}) == len(server.requests) == 2


def test_a_cancelled_owner_leaves_its_followers_an_answer(tmp_path: Path) -> None:
    with serve(latency=(0.3, 0.3)) as server, opened(tmp_path, server) as (gateway, _):

        async def cancel_first() -> list[Any]:
            tasks = [asyncio.create_task(gateway.ask(request(), agent="test")) for _ in range(4)]
            await until(lambda: bool(server.requests))
            tasks[0].cancel()
            return await together(tasks)

        owner, *followers = asyncio.run(cancel_first())
    assert isinstance(owner, asyncio.CancelledError)
    assert followers == [Answer(GOOD)] * 3


def test_a_process_can_run_twice_on_one_server(tmp_path: Path) -> None:
    with serve(keep_alive=True) as server:
        for number in range(2):
            with opened(tmp_path, server) as (gateway, _):
                assert ask(gateway, request(number)) == [Answer(GOOD)]


@pytest.mark.parametrize("fault", ["", "http_500", "http_401"])
def test_no_key_gets_out(tmp_path: Path, fault: str) -> None:
    with serve(always(fault)) as server, opened(tmp_path, server) as (gateway, _):
        (answer,) = ask(gateway, request())
        kept = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    kept += b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"SQLite format 3" in kept
    assert KEY.encode() not in kept
    assert b"authorization" not in kept.lower()
    assert KEY not in str(answer)


# limits -----------------------------------------------------------------------------------


@pytest.mark.parametrize("concurrency", [1, 3, 8])
def test_no_more_in_flight_than_allowed(tmp_path: Path, concurrency: int) -> None:
    with (
        serve({"http_500": 0.1}, latency=(0.05, 0.1)) as server,
        opened(tmp_path, server, concurrency=concurrency) as (gateway, _),
    ):
        results = ask(gateway, *map(request, range(4 * concurrency)))
    assert kinds(results) == {"Answer": 4 * concurrency}
    assert min(concurrency, 2) <= server.peak <= concurrency


def test_a_rate_limit_is_waited_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateways, "_LONGEST_WAIT", 0.5)
    with (
        serve(rate_limit=1200) as server,
        opened(tmp_path, server, concurrency=6) as (gateway, _),
    ):
        assert ask(gateway, *map(request, range(30))) == [Answer(GOOD)] * 30
    assert server.count("rate_limit") > 0


@pytest.mark.parametrize("faults", [{}, {"http_500": 0.3}], ids=["well", "with retries"])
def test_max_calls_is_never_crossed(tmp_path: Path, faults: dict[str, float]) -> None:
    with (
        serve(faults, latency=(0, 0.02)) as server,
        opened(tmp_path, server, budget=Budget(max_calls=40), concurrency=32) as (gateway, _),
    ):
        results = ask(gateway, *map(request, range(100)))
    assert kinds(results).keys() == {"Answer", "BudgetReached"}
    assert len(server.requests) <= 40
    assert faults or len(server.requests) == 40


@pytest.mark.parametrize("fault", ["", "timeout"])
def test_max_tokens_is_never_crossed(tmp_path: Path, fault: str) -> None:
    # An answer that came too late for the client was paid for all the same.
    patience = 0.8 if fault else 20
    with (
        serve(once(fault), lambda messages: "w" * 4000, late=1.2) as server,
        opened(
            tmp_path, server, patience=patience, budget=Budget(max_tokens=1000), concurrency=32
        ) as (gateway, _),
    ):
        results = ask(gateway, *map(request, range(60)))
        asyncio.run(until(lambda: all(seen.status for seen in server.requests)))
    assert kinds(results)["BudgetReached"] > 0
    assert 0 < server.tokens <= 1000


@pytest.mark.parametrize(("failing", "stops"), [(0.4, False), (0.6, True)])
def test_a_window_of_failures_stops_the_run(tmp_path: Path, failing: float, stops: bool) -> None:
    def fail(messages: list[Message], times: int) -> str:
        return "html" if int(messages[0]["content"]) % 10 < failing * 10 else ""

    with (
        serve(fail) as server,
        opened(tmp_path, server, concurrency=1) as (gateway, _),
    ):
        results = ask(gateway, *map(request, range(30)))
    assert ("TooManyErrors" in kinds(results)) == stops
    if stops:
        assert [isinstance(r, TooManyErrors) for r in results] == [False] * 20 + [True] * 10


def test_the_switch_lets_calls_under_way_finish(tmp_path: Path) -> None:
    switch = Switch()
    with (
        serve(latency=(0.3, 0.3)) as server,
        opened(tmp_path, server, concurrency=4, switch=switch) as (gateway, ledger),
    ):

        async def stop_early() -> list[Any]:
            tasks = [asyncio.create_task(gateway.ask(request(n), agent="test")) for n in range(12)]
            await until(lambda: len(server.requests) == 4)
            switch.stopped = True
            return await together(tasks)

        assert kinds(asyncio.run(stop_early())) == {"Answer": 4, "Interrupted": 8}
        assert len(server.requests) == len(ledger.calls()) == 4
        assert isinstance(ask(gateway, request("another"))[0], Interrupted)


def test_the_switch_ends_the_wait_for_a_retry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateways, "_LONGEST_WAIT", 1.0)
    switch = Switch()
    with (
        serve(always("http_429"), retry_after=0.8) as server,
        opened(tmp_path, server, switch=switch) as (gateway, _),
    ):

        async def stop_in_between() -> list[Any]:
            task = asyncio.create_task(gateway.ask(request(), agent="test"))
            await until(lambda: any(seen.status for seen in server.requests))
            await asyncio.sleep(0.1)
            switch.stopped = True
            return await together([task])

        asyncio.run(stop_in_between())
    assert len(server.requests) == 1


# the budget -------------------------------------------------------------------------------


def body(text: str = "abcd", max_tokens: int = 10) -> dict[str, Any]:
    return {"messages": [["user", text]], "max_tokens": max_tokens}


WORST = worst_case_tokens(body())


def test_a_call_may_fill_the_budget_and_no_more() -> None:
    budget = Budget(max_calls=3, max_tokens=WORST * 3, calls=1, tokens=WORST)
    with (
        budget.reserve(body()),
        budget.reserve(body()),
        pytest.raises(BudgetReached, match="max_calls"),
        budget.reserve(body()),
    ):
        pass


def test_a_refused_reservation_holds_nothing() -> None:
    budget = Budget(max_tokens=WORST)
    with pytest.raises(BudgetReached, match="max_tokens"), budget.reserve(body("abcde")):
        pass
    with budget.reserve(body()):
        pass


def test_settling_frees_what_was_not_used() -> None:
    budget = Budget(max_tokens=WORST + 5)
    with budget.reserve(body()) as reservation:
        reservation.settle(5)
    with budget.reserve(body()) as reservation:
        reservation.settle(6)
    with pytest.raises(BudgetReached), budget.reserve(body()):
        pass


def test_a_call_that_raises_counts_as_a_call() -> None:
    budget = Budget(max_calls=1)
    with pytest.raises(ZeroDivisionError), budget.reserve(body()):
        raise ZeroDivisionError
    with pytest.raises(BudgetReached, match="max_calls"), budget.reserve(body()):
        pass


@quick
@given(text=st.text(), max_tokens=st.integers(1, 10_000))
def test_the_worst_case_is_a_token_a_byte(text: str, max_tokens: int) -> None:
    assert worst_case_tokens(body(text, max_tokens)) >= len(text.encode()) + max_tokens


def test_the_worst_case_counts_the_schema() -> None:
    backend = open_backend("openai:test-model", "http://127.0.0.1:9/v1")
    bare, whole = (backend.body(request(), schema, 0) for schema in (None, Mark))
    schema = json.dumps(whole["schema"]["schema"])
    assert worst_case_tokens(whole) >= worst_case_tokens(bare) + len(schema)


# keys -------------------------------------------------------------------------------------

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
bodies = st.dictionaries(st.text(max_size=8), values, max_size=5)
parts = st.tuples(st.text(), st.text(), st.text(), bodies)


def reversed_order(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: reversed_order(inner) for key, inner in reversed(value.items())}
    return [reversed_order(inner) for inner in value] if isinstance(value, list) else value


@quick
@given(parts)
def test_equal_calls_have_one_key(call: tuple[str, str, str, dict[str, Any]]) -> None:
    assert call_key(*call) == call_key(*call[:3], reversed_order(call[3]))


@quick
@given(parts, parts, st.integers(0, 3))
def test_a_call_that_differs_in_a_part_has_another_key(
    call: tuple[str, str, str, dict[str, Any]],
    other: tuple[str, str, str, dict[str, Any]],
    place: int,
) -> None:
    assume(call[place] != other[place])
    mixed: Any = (*call[:place], other[place], *call[place + 1 :])
    assert call_key(*call) != call_key(*mixed)


@quick
@given(bodies, st.data())
def test_a_body_that_differs_in_a_value_has_another_key(
    content: dict[str, Any], data: st.DataObject
) -> None:
    assume(content)
    name = data.draw(st.sampled_from(sorted(content)))
    value = data.draw(values)
    assume(value != content[name])
    assert call_key("", "", "", content) != call_key("", "", "", {**content, name: value})


# answers ----------------------------------------------------------------------------------


def read(text: str, finish: str = "stop", schema: Any = Mark) -> tuple[Any, str]:
    return parse(schema, Call("", "", "", "", 0, "", {}, response=text, finish_reason=finish))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(GOOD, id="bare"),
        pytest.param(f"\n\t {GOOD} \n", id="white space"),
        pytest.param(f"My verdict: {GOOD} I hope that it helps.", id="prose around"),
        pytest.param(f"{GOOD}\nI used the keys {{label}} and {{points}}.", id="braces after"),
        pytest.param(f"The keys {{label}} and {{points}}: {GOOD}", id="braces before"),
        pytest.param(f"```json\n{GOOD}\n```", id="fence"),
        pytest.param(f"```\n{GOOD}\n```", id="fence without language"),
        pytest.param(f"```JSON\n{GOOD}\n```", id="fence in capitals"),
        pytest.param(f"```json\n{GOOD}", id="fence left open"),
        pytest.param(f"```python\nx = 1\n```\n\n```json\n{GOOD}\n```", id="second fence"),
        pytest.param(f"<think>a {{b}} c</think>{GOOD}", id="thinking"),
        pytest.param(f"<THINKING>\na\n</THINKING>\n{GOOD}", id="thinking in capitals"),
        pytest.param(f"<think>a</think> <think>b</think>{GOOD}", id="thinking twice"),
        pytest.param(f"<think>```json\n{{}}\n```</think>{GOOD}", id="fence in thinking"),
        pytest.param(f"Is it {{this}}? No.\n</think>\n{GOOD}", id="thinking opened by the prompt"),
    ],
)
def test_an_answer_is_found(text: str) -> None:
    assert read(text) == (Mark(label="good", points=3), "")


@pytest.mark.parametrize(
    "text",
    [
        "a {b {c} d} e}",
        'quoted "braces }{" and \\ backslash',
        "héllo 世界 🎉 \u2028",
        "```python\nprint({})\n```",
        "the tag <think> begins a thought",
        "<think>all of it</think>",
    ],
)
@pytest.mark.parametrize("frame", ["{}", "```json\n{}\n```"], ids=["bare", "fence"])
def test_a_text_inside_an_answer_stays_as_it_is(text: str, frame: str) -> None:
    answer = frame.replace("{}", json.dumps({"text": text}))
    assert read(answer, schema=Remark) == (Remark(text=text), "")


@pytest.mark.parametrize(
    ("text", "finish", "cause"),
    [
        ("", "stop", "the answer is empty"),
        (" \n", "stop", "the answer is empty"),
        ("<think>all thought</think>", "stop", "the answer is empty"),
        (f"<think>never ends {GOOD}", "stop", "the answer is empty"),
        (f"<think>never ends {GOOD}", "length", "the answer was cut by its length"),
        ("}{", "stop", "there is no JSON object in it"),
        ("Sorry.", "stop", "there is no JSON object in it"),
        (GOOD[:20], "length", "the answer was cut by its length"),
        ('{"label": "good", "points": {"a": 1}', "length", "the answer was cut by its length"),
        ('{"label": "fair", "points": 3}', "stop", "label: Input should be 'good' or 'bad'"),
        ('{"label": "good", "points": 9}', "stop", "points: Input should be less than or equal"),
        ('{"label": "good", "points": }', "stop", "Invalid JSON"),
    ],
)
def test_an_unusable_answer_has_its_cause(text: str, finish: str, cause: str) -> None:
    value, error = read(text, finish)
    assert value is None
    assert error.startswith(cause)


def test_a_whole_answer_may_end_at_the_limit() -> None:
    assert read(GOOD, "length") == (Mark(label="good", points=3), "")


@given(st.text())
@quick
def test_any_text_is_read_without_a_crash(text: str) -> None:
    assert read(text)[0] is None
    assert read(f"{text}{GOOD[:-1]}", "length")[0] is None


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("<think>a</think>b", "b"),
        ("<thinking>a\n</thinking>\nb", "b"),
        ("<think>never ends", ""),
        ("Models open a thought with <think>. It ends later.", None),
        ("Write `<think>x</think>` around it.", None),
    ],
)
def test_only_a_models_own_thinking_is_removed(text: str, rest: str | None) -> None:
    assert without_thinking(text).strip() == (text if rest is None else rest)
