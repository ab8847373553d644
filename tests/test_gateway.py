from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from misbehaving_server import (
    ANSWERS,
    FATAL,
    HOLLOW,
    REFUSAL,
    REQUESTS,
    TOO_LONG,
    TRANSIENT,
    WRAPPED,
    Message,
    MisbehavingServer,
    closed_port,
)
from pydantic import BaseModel, Field

from lift_agent.errors import Interrupted, ModelError, TooManyErrors
from lift_agent.llms.budget import Budget, Caps, worst_case_tokens
from lift_agent.llms.calls import call_key
from lift_agent.llms.faults import fault_of
from lift_agent.llms.gateway import Gateway
from lift_agent.llms.messages import Answer, Request
from lift_agent.llms.providers import open_backend
from lift_agent.llms.stopping import StopSignal
from lift_agent.llms.throttle import Throttle
from lift_agent.llms.timing import Timing
from lift_agent.records import Attempt, Spending
from lift_agent.stores.ledger import Ledger

GOOD = '{"label": "good", "points": 3}'
KEY = "sk-test-SECRET"
MODEL = "openai:test-model"
SHORT = Timing(longest_wait=0.01, first_backoff=0.01, longest_backoff=0.05)

quick = settings(max_examples=50, deadline=None)
loop = asyncio.new_event_loop()  # one for all: a client cannot leave that of its first request
run = loop.run_until_complete


class Mark(BaseModel):
    label: Literal["good", "bad"]
    points: int = Field(ge=0, le=5)


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Give a key that must not get out."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("LIFT_AGENT_CACHE", str(tmp_path / "cache"))
    # No server here speaks TLS, and reading certificates takes longer than most of these tests.
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))


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
    return MisbehavingServer(answer, faults, **settings)


@contextmanager
def opened(
    folder: Path,
    server: MisbehavingServer | str,
    *,
    patience: float = 20.0,
    most: int = 32,
    caps: Caps | None = None,
    price: float | None = None,
    stop_signal: StopSignal | None = None,
    timing: Timing = SHORT,
    **settings: Any,
) -> Iterator[tuple[Gateway, Ledger]]:
    """Open a gateway to a server (or to an address), over the ledger in a folder."""
    base_url = server if isinstance(server, str) else server.base_url
    prices = None if price is None else {MODEL: (price, price)}
    backend = open_backend(MODEL, base_url, prices=prices)
    settings = {"timeout": patience, **settings}
    stop_signal = stop_signal or StopSignal()
    throttle = Throttle(backend.name, most, check=stop_signal.check, timing=timing)
    settings |= {"stop_signal": stop_signal, "timing": timing}
    with closing(Ledger(folder / "ledger.sqlite")) as ledger:
        budget = Budget(caps, ledger.calls.spent())
        yield Gateway(backend, ledger.calls, budget, throttle, **settings), ledger
        assert backend.close
        run(backend.close())


def request(text: object = "Judge this.", sample: int = 0, max_tokens: int = 64) -> Request:
    return Request("test@1", (("user", str(text)),), 0.7, max_tokens, sample)


def ask(gateway: Gateway, *requests: Request) -> list[Any]:
    """Ask for all at once; errors come back in the place of their answers."""

    return run(together(gateway.ask(r, agent="test") for r in requests))


def ask_for_mark(gateway: Gateway, wanted: Request) -> tuple[Mark | None, str]:
    parsed = run(gateway.ask_for(Mark, wanted, agent="test"))
    return parsed.value, parsed.error


def attempts(gateway: Gateway, ledger: Ledger, wanted: Request) -> list[Attempt]:
    backend = gateway.backend
    body = backend.body(wanted, None, 0)
    return ledger.calls.attempts(call_key(backend.name, backend.identity, wanted.prompt, body))


def worst_case(gateway: Gateway, wanted: Request) -> Spending:
    prompt, answer = worst_case_tokens(gateway.backend.body(wanted, None, 0))
    return Spending(1, prompt + answer, gateway.backend.cost(prompt, answer) or 0.0)


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

# What is on record of a request that met the fault, and whether the server said that it will not
# bill it: all others may have been billed.
OUTCOMES = {
    "http_429": ("HTTP 429", True),
    "http_500": ("HTTP 500", True),
    "http_502": ("HTTP 502", False),  # a proxy's: the server behind it may bill
    "http_503": ("HTTP 503", True),
    "http_529": ("HTTP 529", True),
    "reset": ("ClientOSError: [Errno 104] Connection reset by peer", False),
    "cut": ("ClientPayloadError: Response payload is not completed", False),
    "timeout": ("no answer within", False),
    "empty": ("NotAnAnswerError", False),
    "html": ("NotAnAnswerError", False),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", [*TRANSIENT, *HOLLOW])
def test_a_passing_fault_is_retried(tmp_path: Path, fault: str) -> None:
    patience = 0.6 if fault == "timeout" else 20
    with (
        serve(once(fault), late=3) as server,
        opened(tmp_path, server, patience=patience) as (gateway, ledger),
    ):
        assert ask(gateway, request()) == [Answer(GOOD)]
        assert [seen.fault for seen in server.requests] == [fault, ""]
        assert server.requests[0].body == server.requests[1].body
        failed, answered = attempts(gateway, ledger, request())
        outcome, refused = OUTCOMES[fault]
        assert failed.outcome.startswith(outcome)
        assert failed.spent == (Spending(1) if refused else worst_case(gateway, request()))
        assert answered.outcome == "answered"
        assert answered.spent == Spending(1, server.requests[1].tokens)
        assert ledger.calls.spent() == failed.spent + answered.spent
        assert [call.attempts for call in ledger.calls.find()] == [2]


@pytest.mark.slow
def test_the_gateways_own_timeout_is_retried(tmp_path: Path) -> None:
    with (
        serve(once("timeout"), late=3) as server,
        opened(tmp_path, server, timeout=0.6) as (gateway, ledger),
    ):
        assert ask(gateway, request()) == [Answer(GOOD)]
        assert [call.attempts for call in ledger.calls.find()] == [2]


PERSISTENT = [fault for fault in (*TRANSIENT, *HOLLOW) if fault != "http_429"]


@pytest.mark.slow
@pytest.mark.parametrize("fault", PERSISTENT)
def test_attempts_end_with_the_cause_on_record(tmp_path: Path, fault: str) -> None:
    patience = 0.1 if fault == "timeout" else 20
    with (
        serve(always(fault), late=3) as server,
        opened(tmp_path, server, patience=patience) as (gateway, ledger),
    ):
        (answer,) = ask(gateway, request())
        (call,) = ledger.calls.find()
        assert answer == Answer(error=call.error)
        assert call.error.startswith(OUTCOMES[fault][0])
        outcomes = [attempt.outcome for attempt in attempts(gateway, ledger, request())]
        assert outcomes == [call.error] * call.attempts
        assert call.attempts == 6
        run(until(lambda: len(server.requests) == 6))


def test_a_failed_call_is_asked_again(tmp_path: Path) -> None:
    with serve(lambda messages, times: "http_500" if times < 6 else "") as server:
        for error in (True, False):
            with opened(tmp_path, server) as (gateway, ledger):
                assert bool(ask(gateway, request())[0].error) == error
                assert [bool(call.error) for call in ledger.calls.find()] == [error]
                assert len(attempts(gateway, ledger, request())) == 7 - error


@pytest.mark.slow
def test_a_rate_limit_is_waited_out_for_as_long_as_it_takes(tmp_path: Path) -> None:
    def limited(messages: list[Message], times: int) -> str:
        return "http_429" if times < 15 else ""

    with (
        serve(limited, retry_after=None) as server,
        opened(tmp_path, server) as (gateway, ledger),
    ):
        assert ask(gateway, request()) == [Answer(GOOD)]
        assert [call.attempts for call in ledger.calls.find()] == [16]
        assert ledger.calls.spent() == Spending(16, server.tokens)


@pytest.mark.slow
def test_retry_after_is_obeyed(tmp_path: Path) -> None:
    with (
        serve(once("http_429"), retry_after=0.4) as server,
        opened(tmp_path, server) as (gateway, _),
    ):
        assert ask(gateway, request()) == [Answer(GOOD)]
    first, second = server.requests
    assert second.time - first.time >= 0.4  # the backoff alone is much shorter


class RefusedError(Exception):
    status_code = 429

    def __init__(self, retry_after: str) -> None:
        super().__init__("slow down")
        self.response = SimpleNamespace(headers={"retry-after": retry_after})


@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [
        ("7", 7, 7),
        ("0.5", 0.5, 0.5),
        ("-3", 0, 0),
        ("in an hour", 3500, 3600),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
    ],
)
def test_retry_after_is_seconds_or_a_date(asked: str, least: float, most: float) -> None:
    if asked == "in an hour":  # from now, however long the tests before took
        asked = format_datetime(datetime.now(timezone.utc) + timedelta(hours=1), usegmt=True)
    wait = fault_of(RefusedError(asked)).wait
    assert wait is not None
    assert least <= wait <= most


@quick
@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, \d+ [A-Z][a-z]{2} \d+ [\d:]+ .*"))
def test_any_retry_after_is_read_without_a_crash(asked: str) -> None:
    fault = fault_of(RefusedError(asked))
    assert fault.kind == "limited"
    assert fault.wait is None or fault.wait >= 0


def test_a_server_that_only_refuses_stops_all_that_wait(tmp_path: Path) -> None:
    timing = replace(SHORT, patience=0.3)
    with (
        serve(always("http_429")) as server,
        opened(tmp_path, server, timing=timing) as (gateway, _),
    ):
        results = ask(gateway, *map(request, range(5)))
    assert kinds(results) == {"TooManyErrors": 5}
    assert "HTTP 429" in str(results[0])


def test_a_server_that_asks_for_more_than_patience_stops_at_once(tmp_path: Path) -> None:
    with (
        serve(always("http_429"), retry_after=SHORT.patience + 1) as server,
        opened(tmp_path, server) as (gateway, _),
    ):
        assert kinds(ask(gateway, request())) == {"TooManyErrors": 1}
    assert len(server.requests) == 1


REFUSALS = {
    "http_401": "refused the key (HTTP 401)",
    "http_403": "refused access (HTTP 403)",
    "http_404": "does not know the model or address (HTTP 404)",
    "quota": "has no credit left (HTTP 429)",
}


@pytest.mark.parametrize("fault", FATAL)
def test_an_unusable_model_is_one_clear_sentence(tmp_path: Path, fault: str) -> None:
    timing = replace(SHORT, patience=0.3)
    with serve(always(fault)) as server, opened(tmp_path, server, timing=timing) as (gateway, _):
        (error,) = ask(gateway, request())
    assert isinstance(error, ModelError)
    assert str(error).startswith(f"{MODEL} {REFUSALS[fault]}")
    assert "\n" not in str(error)
    assert "{" not in str(error)
    assert len(server.requests) == 1


@pytest.mark.parametrize("fault", REQUESTS)
def test_a_request_that_cannot_succeed_is_not_tried_again(tmp_path: Path, fault: str) -> None:
    with serve(once(fault)) as server, opened(tmp_path, server) as (gateway, ledger):
        assert ask(gateway, request()) == [
            Answer(error=f"HTTP 400: {TOO_LONG} (context_length_exceeded)")
        ]
        assert [call.attempts for call in ledger.calls.find()] == [1]
        assert ledger.calls.spent() == Spending(1)
        assert ask(gateway, request()) == [Answer(GOOD)]
    assert len(server.requests) == 2


def test_a_server_that_is_not_there_is_said_to_be_so(tmp_path: Path) -> None:
    with opened(tmp_path, closed_port()) as (gateway, ledger):
        (error,) = ask(gateway, request())
        assert isinstance(error, ModelError)
        assert f"cannot be reached at {gateway.backend.endpoint}" in str(error)
        tried = attempts(gateway, ledger, request())
    assert [attempt.spent for attempt in tried] == [Spending(1)] * 3


def test_a_server_that_went_away_is_a_failed_call(tmp_path: Path) -> None:
    server = serve()
    with opened(tmp_path, server) as (gateway, ledger):
        with server:
            assert ask(gateway, request(1)) == [Answer(GOOD)]
        (answer,) = ask(gateway, request(2))
        assert answer.error
        assert [call.error for call in ledger.calls.find()] == ["", answer.error]


@pytest.mark.parametrize("fault", WRAPPED)
def test_a_wrapped_answer_is_found(tmp_path: Path, fault: str) -> None:
    with serve(always(fault)) as server, opened(tmp_path, server) as (gateway, _):
        assert ask_for_mark(gateway, request()) == (Mark(label="good", points=3), "")
    assert len(server.requests) == 1


def test_a_text_is_without_thinking(tmp_path: Path) -> None:
    with serve(always("think")) as server, opened(tmp_path, server) as (gateway, _):
        assert ask(gateway, request()) == [Answer(GOOD)]


CAUSES = {
    "empty_text": "the answer is empty",
    "truncated": "the answer was cut by its length",
    "half": "there is no JSON object in it",
    "bad_json": "there is no JSON object in it",
    "wrong_schema": "label: Field required",
    "refusal": "there is no JSON object in it",
    "refusal_field": "the model refused to answer",
    "content_filter": "the server's content filter stopped the answer",
    "tool_call": "the model called a tool in place of an answer",
}


@pytest.mark.parametrize("fault", ANSWERS)
def test_an_unusable_answer_is_repaired_by_its_error(tmp_path: Path, fault: str) -> None:
    with serve(once(fault)) as server, opened(tmp_path, server) as (gateway, ledger):
        assert ask_for_mark(gateway, request()) == (Mark(label="good", points=3), "")
        kept = [call.response for call in ledger.calls.find()]
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
        assert len(server.requests) == len(ledger.calls.find()) == 2


AS_TEXT = {
    "empty_text": Answer(error=CAUSES["empty_text"]),
    "truncated": Answer(GOOD[:15], truncated=True),
    "half": Answer(GOOD[:15]),
    "bad_json": Answer("Certainly, the label is good and the points are three."),
    "wrong_schema": Answer('{"unexpected": [true]}'),
    "refusal": Answer(REFUSAL),
    "refusal_field": Answer(error=CAUSES["refusal_field"]),
    "content_filter": Answer(error=CAUSES["content_filter"]),
    "tool_call": Answer(error=CAUSES["tool_call"]),
}


@pytest.mark.parametrize("fault", ANSWERS)
def test_an_answer_as_text_is_what_there_is_or_why_there_is_none(
    tmp_path: Path, fault: str
) -> None:
    with serve(always(fault)) as server, opened(tmp_path, server) as (gateway, _):
        assert ask(gateway, request()) == [AS_TEXT[fault]]
    assert len(server.requests) == 1


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
        assert len(ledger.calls.find()) == 1


@pytest.mark.slow
def test_all_faults_at_once(tmp_path: Path) -> None:
    patient = [fault for fault in TRANSIENT if fault != "timeout"]
    names = (*patient, *REQUESTS, *HOLLOW, *ANSWERS, *WRAPPED)
    outcomes = []
    for concurrency in (1, 16):
        folder = tmp_path / str(concurrency)
        folder.mkdir()
        with (
            serve(dict.fromkeys(names, 0.025), seed=7, latency=(0, 0.01)) as server,
            opened(folder, server, most=concurrency, max_error_rate=1.0) as (gateway, ledger),
        ):
            gateway.backend.capabilities.thinks()  # else the first thought changes what follows
            asked = (gateway.ask_for(Mark, request(n), agent="test") for n in range(30))
            parsed = run(together(asked))
            assert ledger.calls.spent().calls == len(server.requests)
            assert ledger.calls.spent().tokens >= server.tokens  # `cut` ones were billed
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
            (call,) = reader.calls.find(subjects=[f"row {number}"])
            assert call.response == answer.text
            assert call.input_tokens > 0
            assert call.output_tokens > 0 or not answer.text

        assert run(together(map(ask_and_look, range(40)))) == [None] * 40


def test_a_request_is_on_record_before_the_server_sees_it(tmp_path: Path) -> None:
    found = []

    def look(messages: list[Message]) -> str:
        with closing(Ledger(tmp_path / "ledger.sqlite")) as reader:
            found.append(reader.calls.spent())
        return GOOD

    with (
        serve(answer=look) as server,
        opened(tmp_path, server, price=1.0) as (gateway, ledger),
    ):
        worst = worst_case(gateway, request())
        ask(gateway, request())
        assert found == [worst]
        assert worst.usd > 0
        (kept,) = attempts(gateway, ledger, request())
        assert kept.spent == ledger.calls.spent() == Spending(1, server.tokens, server.tokens / 1e6)


def test_a_request_whose_process_ended_may_have_cost_its_worst_case(tmp_path: Path) -> None:
    with serve(latency=(5, 5)) as server, opened(tmp_path, server) as (gateway, ledger):

        async def leave() -> None:
            asked = asyncio.ensure_future(gateway.ask(request(), agent="test"))
            await until(lambda: bool(server.requests))
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            await together([asked])

        run(leave())
        worst = worst_case(gateway, request())
        (left,) = attempts(gateway, ledger, request())
        assert (left.seconds, left.outcome, left.spent) == (None, "", worst)
        ledger.calls.begin_attempt("another", time.time(), worst)  # which never ended
        assert ledger.calls.spent() == worst + worst
    with (
        serve() as server,
        opened(tmp_path, server, caps=Caps(tokens=3 * worst.tokens)) as (gateway, ledger),
    ):
        assert kinds(ask(gateway, request())) == {"Answer": 1}
        assert kinds(ask(gateway, request("of equal"))) == {"BudgetReached": 1}
        assert ledger.calls.spent() == worst + worst + Spending(1, server.tokens)


@pytest.mark.slow
def test_a_retried_request_has_its_own_time_on_record(tmp_path: Path) -> None:
    with (
        serve(once("http_429"), retry_after=0.4) as server,
        opened(tmp_path, server) as (gateway, ledger),
    ):
        ask(gateway, request())
        first, second = attempts(gateway, ledger, request())
    assert second.started - first.started >= 0.4
    assert first.seconds is not None
    assert second.seconds is not None
    assert second.started + second.seconds <= time.time()


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


@pytest.mark.slow
def test_a_cancelled_owner_leaves_its_followers_an_answer(tmp_path: Path) -> None:
    with serve(latency=(0.3, 0.3)) as server, opened(tmp_path, server) as (gateway, _):

        async def cancel_first() -> list[Any]:
            tasks = [asyncio.create_task(gateway.ask(request(), agent="test")) for _ in range(4)]
            await until(lambda: bool(server.requests))
            tasks[0].cancel()
            return await together(tasks)

        owner, *followers = run(cancel_first())
    assert isinstance(owner, asyncio.CancelledError)
    assert followers == [Answer(GOOD)] * 3


def test_a_process_can_run_twice_on_one_server(tmp_path: Path) -> None:
    async def ask_alone(server: MisbehavingServer, ledger: Ledger, number: int) -> Answer:
        backend = open_backend(MODEL, server.base_url)
        answer = await Gateway(backend, ledger.calls).ask(request(number), agent="test")
        assert backend.close
        await backend.close()
        return answer

    with serve() as server, closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        for number in range(2):
            assert asyncio.run(ask_alone(server, ledger, number)) == Answer(GOOD)


@pytest.mark.parametrize("fault", ["", "http_500", "http_429", "http_401", "quota"])
def test_no_key_gets_out(tmp_path: Path, fault: str) -> None:
    timing = replace(SHORT, patience=0.1)
    with serve(always(fault)) as server, opened(tmp_path, server, timing=timing) as (gateway, _):
        (answer,) = ask(gateway, request())
        kept = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    kept += b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"SQLite format 3" in kept
    assert KEY.encode() not in kept
    assert b"authorization" not in kept.lower()
    assert KEY not in str(answer)


# stops -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("failing", "stops"), [(0.4, False), (0.6, True)])
def test_a_window_of_failures_stops_the_run(tmp_path: Path, failing: float, stops: bool) -> None:
    def fail(messages: list[Message], times: int) -> str:
        return "bad_request" if int(messages[0]["content"]) % 10 < failing * 10 else ""

    with serve(fail) as server, opened(tmp_path, server) as (gateway, _):
        results = [ask(gateway, request(number))[0] for number in range(30)]
    ended = [isinstance(result, TooManyErrors) for result in results]
    assert ended == [False] * 20 + [stops] * 10


def test_unusable_answers_count_as_failures(tmp_path: Path) -> None:
    with serve(always("bad_json")) as server, opened(tmp_path, server) as (gateway, _):
        for number in range(20):
            assert ask_for_mark(gateway, request(number)) == (None, CAUSES["bad_json"])
        with pytest.raises(TooManyErrors, match="20 of the last 20"):
            ask_for_mark(gateway, request("once more"))


def test_a_repaired_answer_is_no_failure(tmp_path: Path) -> None:
    with serve(once("bad_json")) as server, opened(tmp_path, server) as (gateway, _):
        for number in range(25):
            assert ask_for_mark(gateway, request(number))[1] == ""


def test_unusable_answers_of_an_earlier_run_are_no_failures(tmp_path: Path) -> None:
    def fail(messages: list[Message], times: int) -> str:
        return "empty_text" if messages[0]["content"] != "new" else ""

    with serve(fail) as server:
        for rate, reused in ((1.0, 0), (0.5, 30)):
            with opened(tmp_path, server, max_error_rate=rate) as (gateway, _):
                answers = ask(gateway, *map(request, range(30)))
                assert answers == [Answer(error=CAUSES["empty_text"])] * 30
                assert gateway.usage.reused == reused
                assert not reused or ask(gateway, request("new")) == [Answer(GOOD)]


def test_the_stop_signal_lets_calls_under_way_finish(tmp_path: Path) -> None:
    signal = StopSignal()
    with (
        serve(latency=(0.2, 0.2)) as server,
        opened(tmp_path, server, most=4, stop_signal=signal) as (gateway, ledger),
    ):

        async def stop_early() -> list[Any]:
            tasks = [asyncio.create_task(gateway.ask(request(n), agent="test")) for n in range(12)]
            await until(lambda: len(server.requests) == 4)
            signal.stopped = True
            return await together(tasks)

        assert kinds(run(stop_early())) == {"Answer": 4, "Interrupted": 8}
        assert len(server.requests) == len(ledger.calls.find()) == 4
        assert isinstance(ask(gateway, request("another"))[0], Interrupted)


@pytest.mark.parametrize("fault", ["http_429", "http_500"])
def test_the_stop_signal_ends_the_wait_for_a_retry(tmp_path: Path, fault: str) -> None:
    timing = replace(SHORT, longest_wait=60.0)
    signal = StopSignal()
    with (
        serve(always(fault), retry_after=60) as server,
        opened(tmp_path, server, stop_signal=signal, timing=timing) as (gateway, _),
    ):

        async def stop_in_between() -> list[Any]:
            task = asyncio.create_task(gateway.ask(request(), agent="test"))
            await until(lambda: any(seen.status for seen in server.requests))
            await asyncio.sleep(0.05)
            signal.stopped = True
            return await together([task])

        assert kinds(run(stop_in_between())) == {"Interrupted": 1}
    assert len(server.requests) == 1


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


@pytest.mark.parametrize("fault", ["http_401", "http_403", "http_404"])
def test_nothing_more_is_sent_to_a_model_that_cannot_be_used(tmp_path: Path, fault: str) -> None:
    with serve(always(fault)) as server, opened(tmp_path, server, most=4) as (gateway, _):
        results = ask(gateway, *map(request, range(100)))
    assert kinds(results) == {"ModelError": 100}
    assert len(server.requests) <= 4


def test_a_user_and_password_in_the_address_are_sent_as_login(tmp_path: Path) -> None:
    with serve() as server:
        address = server.base_url.replace("http://", "http://anna:hunter2@")
        with opened(tmp_path, address) as (gateway, _):
            assert ask(gateway, request()) == [Answer(GOOD)]
