from __future__ import annotations

import asyncio
import json
import time
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from misbehaving_server import MisbehavingServer
from test_gateway import (
    Mark,
    ask,
    kinds,
    once,
    opened,
    request,
    run,
    serve,
    surroundings,  # noqa: F401  (each test uses it)
    together,
    until,
    worst_case,
)

from lift_agent.errors import BudgetReached, Interrupted, TooManyErrors
from lift_agent.llms.budget import Budget, Caps, worst_case_tokens
from lift_agent.llms.faults import Fault
from lift_agent.llms.providers import open_backend
from lift_agent.llms.throttle import Throttle
from lift_agent.llms.timing import Timing
from lift_agent.records import Spending

quick = settings(max_examples=100, deadline=None)

Call = tuple[Spending, Spending, int]  # at most, in truth, and how long it takes


# the budget -------------------------------------------------------------------------------

WORST = Spending(1, 100, 0.25)


def reserve(budget: Budget, *worst: Spending) -> None:
    for one in worst:
        run(asyncio.wait_for(budget.reserve(one), 1))


def test_the_calls_may_fill_the_caps_and_no_more() -> None:
    budget = Budget(Caps(calls=3, tokens=300, usd=0.75), WORST)
    reserve(budget, WORST, WORST)
    for _ in range(2):
        budget.settle(WORST, WORST)
    assert budget.spent == Spending(3, 300, 0.75)
    with pytest.raises(BudgetReached, match="max_calls = 3"):
        reserve(budget, Spending(1))


@pytest.mark.parametrize(
    ("caps", "name"),
    [
        (Caps(calls=0), "max_calls = 0"),
        (Caps(tokens=99), "max_tokens = 99"),
        (Caps(usd=0.2), "budget_usd = 0.2"),
        (Caps(calls=5, tokens=99, usd=5.0), "max_tokens = 99"),
    ],
)
def test_a_call_that_can_never_fit_is_refused_by_the_caps_name(caps: Caps, name: str) -> None:
    budget = Budget(caps)
    with pytest.raises(BudgetReached, match=name):
        reserve(budget, WORST)


def test_what_is_refused_holds_nothing() -> None:
    budget = Budget(Caps(tokens=100))
    with pytest.raises(BudgetReached):
        reserve(budget, Spending(1, 101))
    reserve(budget, WORST)


def test_no_cap_is_no_limit() -> None:
    reserve(Budget(), *[Spending(10**6, 10**9, 1e6)] * 100)


def test_a_call_waits_for_what_others_hold() -> None:
    async def wait() -> None:
        budget = Budget(Caps(tokens=250))
        await budget.reserve(WORST)
        await budget.reserve(WORST)
        third, fourth = (asyncio.ensure_future(budget.reserve(WORST)) for _ in range(2))
        await asyncio.sleep(0.01)
        assert not third.done()
        budget.settle(WORST, Spending(1, 20))
        await asyncio.wait_for(third, 5)
        await asyncio.sleep(0.01)
        assert not fourth.done()
        budget.settle(WORST, Spending(1, 90))
        budget.settle(WORST, Spending(1, 90))  # 200 are spent: it can never fit
        with pytest.raises(BudgetReached, match="200 tokens"):
            await asyncio.wait_for(fourth, 5)

    run(wait())


def test_one_who_stops_waiting_holds_nothing() -> None:
    async def leave() -> None:
        budget = Budget(Caps(calls=1))
        await budget.reserve(WORST)
        waits = asyncio.ensure_future(budget.reserve(WORST))
        await asyncio.sleep(0.01)
        waits.cancel()
        await together([waits])
        budget.settle(WORST, Spending())
        await asyncio.wait_for(budget.reserve(WORST), 5)

    run(leave())


def test_sums_of_money_leave_no_rest_that_is_held() -> None:
    budget = Budget(Caps(usd=0.15))
    first, second = Spending(1, 0, 0.01), Spending(1, 0, 0.12)  # 0.01 + 0.12 - 0.01 - 0.12 > 0
    reserve(budget, first, second)
    budget.settle(first, Spending(1))
    budget.settle(second, Spending(1))
    reserve(budget, Spending(1, 0, 0.15))


def test_time_that_is_up_ends_the_run() -> None:
    budget = Budget(Caps(seconds=60), seconds=59)
    reserve(budget, WORST)
    assert 59 <= budget.seconds < 60
    budget = Budget(Caps(seconds=60), seconds=60)
    with pytest.raises(BudgetReached, match="max_time = 60 seconds"):
        reserve(budget, WORST)


def test_time_runs_while_nothing_is_asked() -> None:
    budget = Budget(Caps(seconds=0.05))
    budget.check_time()
    time.sleep(0.06)
    with pytest.raises(BudgetReached, match="max_time"):
        budget.check_time()


shares = st.integers(0, 8)


@st.composite
def simulated_calls(draw: st.DrawFn) -> Call:
    tokens, money = draw(st.integers(0, 60)), draw(st.integers(0, 60))
    spent = Spending(1, tokens * draw(shares) // 8, money * draw(shares) / 8 / 64)
    worst = Spending(1, tokens, money / 64)
    return worst, draw(st.sampled_from([spent, worst, Spending(1), Spending()])), draw(shares)


@quick
@given(
    calls=st.lists(simulated_calls(), max_size=30),
    caps=st.builds(
        Caps,
        calls=st.none() | st.integers(0, 20),
        tokens=st.none() | st.integers(0, 400),
        usd=st.none() | st.integers(0, 400).map(lambda money: money / 64),
    ),
    before=st.builds(Spending, st.integers(0, 3), st.integers(0, 40), st.just(0.125)),
)
def test_no_cap_is_ever_crossed(calls: list[Call], caps: Caps, before: Spending) -> None:
    def fits(spending: Spending) -> bool:
        pairs = zip(
            (spending.calls, spending.tokens, spending.usd),
            (caps.calls, caps.tokens, caps.usd),
            strict=True,
        )
        return all(cap is None or spent <= cap for spent, cap in pairs)

    async def simulate() -> None:
        budget = Budget(caps, before)
        sent = before  # what the server will have billed for all that it was ever sent

        async def one(worst: Spending, spent: Spending, steps: int) -> None:
            nonlocal sent
            try:
                await budget.reserve(worst)
            except BudgetReached:
                assert not fits(budget.spent + worst)
                return
            sent += spent
            assert fits(sent)
            for _ in range(steps):
                await asyncio.sleep(0)
            budget.settle(worst, spent)

        for result in await together(one(*call) for call in calls):
            if result is not None:
                raise result
        assert budget.spent == sent
        if fits(sent):  # then all that is left can be had: nothing is held for ever
            whole = Spending(caps.calls or 0, caps.tokens or 0, caps.usd or 0.0)
            await asyncio.wait_for(budget.reserve(whole - sent), 1)

    run(simulate())


def body(text: str = "abcd", max_tokens: int = 10) -> dict[str, Any]:
    return {"messages": [["user", text]], "max_tokens": max_tokens}


@quick
@given(text=st.text(), max_tokens=st.integers(1, 10_000))
def test_the_worst_case_is_a_token_a_byte(text: str, max_tokens: int) -> None:
    prompt, answer = worst_case_tokens(body(text, max_tokens))
    assert prompt >= len(text.encode())
    assert answer == max_tokens


def test_the_worst_case_counts_every_message_and_the_schema() -> None:
    two = {**body(), "messages": [["system", "abcd"], ["user", "abcd"]]}
    assert worst_case_tokens(two)[0] >= worst_case_tokens(body())[0] + len("systemabcd")
    backend = open_backend("openai:test-model", "http://127.0.0.1:9/v1")
    bare, whole = (backend.body(request(), schema, 0) for schema in (None, Mark))
    schema = json.dumps(whole["schema"]["schema"])
    assert worst_case_tokens(whole)[0] >= worst_case_tokens(bare)[0] + len(schema)


# the throttle -----------------------------------------------------------------------------


def limited(wait: float | None = 0.0) -> Fault:
    return Fault("limited", "HTTP 429: too much", 429, wait, refused=True)


def refuse(throttle: Throttle, fault: Fault | None = None) -> None:
    throttle.refused(fault or limited(), time.monotonic())


def width(throttle: Throttle) -> int:
    """How many places can be held at once."""

    async def count() -> int:
        entered, leave = 0, asyncio.Event()

        async def hold() -> None:
            nonlocal entered
            async with throttle.place(0):
                entered += 1
                await leave.wait()

        holders = [asyncio.ensure_future(hold()) for _ in range(throttle.most + 2)]
        await asyncio.sleep(0.01)
        found = entered
        leave.set()
        assert await together(holders) == [None] * len(holders)
        assert entered == len(holders)
        return found

    return run(count())


def take(throttle: Throttle, requests: int, tokens: int = 0) -> list[float]:
    """When each of so many requests began, all asked for at once; nobody refuses them."""

    async def one() -> float:
        async with throttle.place(tokens):
            return time.monotonic()

    return sorted(run(together(one() for _ in range(requests))))


@pytest.mark.parametrize("most", [1, 3, 8])
def test_no_more_in_flight_than_allowed(most: int) -> None:
    throttle, fates = Throttle("m", most), cycle(["", "", "429", "", "end"])
    in_flight = peak = 0

    async def one(fate: str) -> None:
        nonlocal in_flight, peak
        sent = time.monotonic()
        async with throttle.place(1):
            in_flight += 1
            peak = max(peak, in_flight)
            for _ in range(3):
                await asyncio.sleep(0)
            in_flight -= 1
            if fate == "end":
                raise ZeroDivisionError
            throttle.refused(limited(), sent) if fate else throttle.answered()

    results = run(together(one(next(fates)) for _ in range(100)))
    assert kinds(results) == {"NoneType": 80, "ZeroDivisionError": 20}
    assert peak == most


def test_refusals_cut_the_width_and_answers_give_it_back() -> None:
    throttle = Throttle("m", 10)
    widths = [width(throttle)]
    for _ in range(5):
        refuse(throttle)
        widths.append(width(throttle))
    assert widths[0] == 10
    assert all(later < earlier or later == 1 for earlier, later in pairwise(widths))
    assert widths[-1] == 1
    for _ in range(200):
        throttle.answered()
    assert width(throttle) == 10


def test_an_overloaded_server_is_sent_less_too() -> None:
    throttle = Throttle("m", 10)
    refuse(throttle, Fault("passing", "HTTP 503: busy", 503, 0.0, refused=True))
    assert width(throttle) < 10


def test_refusals_of_one_round_trip_cut_the_width_once() -> None:
    once_refused, throttle = Throttle("m", 10), Throttle("m", 10)
    refuse(once_refused)
    sent = time.monotonic()
    for _ in range(10):
        throttle.refused(limited(), sent)
    assert width(throttle) == width(once_refused) > 1


def test_a_start_grows_by_one_an_answer_until_the_first_refusal() -> None:
    throttle = Throttle("m", 20, start=4)
    assert width(throttle) == 4
    for _ in range(6):
        throttle.answered()
    assert width(throttle) == 10
    refuse(throttle)
    cut = width(throttle)
    assert 1 < cut < 10
    throttle.answered()
    assert width(throttle) <= cut + 1
    for _ in range(3):
        throttle.answered()
    assert width(throttle) < cut + 3
    for _ in range(300):
        throttle.answered()
    assert width(throttle) == 20


def test_nobody_starts_before_the_time_that_the_server_asks_for() -> None:
    throttle, asked = Throttle("m", 4), time.monotonic()

    async def one(first: bool) -> float:
        async with throttle.place(1):
            if first:
                refuse(throttle, limited(0.2))
            return time.monotonic() - asked

    began = run(together(one(number == 0) for number in range(8)))
    assert min(began[1:]) >= 0.2
    assert len(began) == 8


def test_the_longest_wait_that_was_asked_for_counts() -> None:
    throttle, asked = Throttle("m", 4), time.monotonic()
    refuse(throttle, limited(0.2))
    refuse(throttle, limited(0.0))
    assert min(take(throttle, 2)) - asked >= 0.2


def test_without_a_time_to_wait_the_wait_grows() -> None:
    throttle = Throttle("m", 4, timing=Timing(first_backoff=0.05, longest_backoff=0.4))
    for _ in range(4):
        refuse(throttle, limited(None))
    asked = time.monotonic()
    assert min(take(throttle, 2)) - asked >= 0.15  # at least half of the longest


def test_a_rate_of_requests_is_kept() -> None:
    throttle = Throttle("m", 50, rpm=1500)  # one in 0.04 seconds
    asked = time.monotonic()
    assert take(throttle, 15)[-1] - asked >= 14 * 0.04 - 0.25


@pytest.mark.slow
def test_a_rate_of_tokens_is_kept() -> None:
    throttle = Throttle("m", 50, tpm=60_000)  # 1000 a second
    asked = time.monotonic()
    assert take(throttle, 10, tokens=80)[-1] - asked >= 9 * 0.08 - 0.25


@pytest.mark.slow
def test_tokens_that_were_not_foreseen_are_waited_for() -> None:
    throttle = Throttle("m", 50, tpm=60_000)
    take(throttle, 1, tokens=10)
    asked = time.monotonic()
    throttle.answered(700)
    assert take(throttle, 1)[0] - asked >= 0.7 - 0.3


@pytest.mark.slow
def test_a_rate_does_not_add_up_while_nothing_is_asked() -> None:
    throttle = Throttle("m", 50, rpm=1500)
    take(throttle, 1)
    time.sleep(0.4)
    asked = time.monotonic()
    assert take(throttle, 12)[-1] - asked >= 11 * 0.04 - 0.25


def test_the_user_is_told_once_in_a_while(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "lift_agent")
    throttle = Throttle("openai:m", 10, timing=Timing(notice=0.3))
    for _ in range(5):
        refuse(throttle)
    (line,) = caplog.messages
    assert line.startswith("openai:m is at its limit (HTTP 429: too much)")
    assert "6 requests" in line
    time.sleep(0.3)
    refuse(throttle)
    assert len(caplog.messages) == 2


@pytest.mark.slow
def test_those_who_wait_are_asked_whether_to_go_on() -> None:
    stopped = False

    def check() -> None:
        if stopped:
            raise Interrupted

    async def stop() -> list[Any]:
        nonlocal stopped
        refuse(throttle, limited(60))
        tasks = [asyncio.ensure_future(throttle.place(1).__aenter__()) for _ in range(5)]
        await asyncio.sleep(0.01)
        stopped = True
        return await together(tasks)

    throttle = Throttle("m", 3, check=check)
    assert kinds(run(stop())) == {"Interrupted": 5}


def test_one_who_leaves_the_queue_leaves_its_turn_to_the_next() -> None:
    async def leave() -> None:
        throttle = Throttle("m", 1)

        async def one() -> None:
            async with throttle.place(1):
                pass

        async with throttle.place(1):
            first, second = (asyncio.ensure_future(one()) for _ in range(2))
            await asyncio.sleep(0.01)
        first.cancel()  # it was just given the place
        await asyncio.wait_for(second, 1)

    run(leave())


def test_patience_ends_with_a_server_that_answers_nothing() -> None:
    throttle = Throttle("openai:m", 4, timing=Timing(patience=0.1))
    refuse(throttle)
    time.sleep(0.15)
    with pytest.raises(TooManyErrors, match=r"openai:m has not answered .* HTTP 429"):
        refuse(throttle)
    throttle.answered()
    refuse(throttle)


def test_time_in_which_nothing_was_asked_does_not_try_patience() -> None:
    throttle = Throttle("m", 4, timing=Timing(patience=0.1))
    time.sleep(0.15)  # a run embeds for longer than that
    refuse(throttle)
    throttle.answered()
    time.sleep(0.15)
    refuse(throttle)


@pytest.mark.parametrize("status", [429, 503, 529])
def test_a_server_that_asks_for_more_than_patience_ends_the_run(status: int) -> None:
    throttle = Throttle("m", 4)
    kind: Any = "limited" if status == 429 else "passing"
    with pytest.raises(TooManyErrors, match="asks to wait"):
        refuse(throttle, Fault(kind, "closed", status, Timing().patience + 60, refused=True))


# gateway and server -----------------------------------------------------------------------

FAULTS = {"http_500": 0.1, "http_429": 0.1, "http_503": 0.03, "reset": 0.1, "cut": 0.05}
ASKED = 100


def stress(faults: dict[str, float], **settings: Any) -> MisbehavingServer:
    return serve(faults, lambda messages: "w" * 200, latency=(0, 0.02), **settings)


@pytest.mark.parametrize("most", [1, 3, 8])
def test_no_more_requests_at_the_server_than_allowed(tmp_path: Path, most: int) -> None:
    with (
        serve({"http_500": 0.1}, latency=(0.02, 0.05)) as server,
        opened(tmp_path, server, most=most) as (gateway, _),
    ):
        results = ask(gateway, *map(request, range(4 * most)))
    assert kinds(results) == {"Answer": 4 * most}
    assert min(most, 2) <= server.peak <= most


@pytest.mark.slow
def test_a_rate_limit_is_waited_out(tmp_path: Path) -> None:
    with (
        serve(rate_limit=1200) as server,
        opened(tmp_path, server, most=6) as (gateway, _),
    ):
        assert kinds(ask(gateway, *map(request, range(40)))) == {"Answer": 40}
    assert server.count("rate_limit") > 0


@pytest.mark.slow
@pytest.mark.parametrize("faults", [{}, FAULTS], ids=["well", "with faults"])
def test_max_calls_is_never_crossed(tmp_path: Path, faults: dict[str, float]) -> None:
    with (
        stress(faults) as server,
        opened(tmp_path, server, most=64, caps=Caps(calls=70)) as (gateway, ledger),
    ):
        results = ask(gateway, *map(request, range(ASKED)))
        assert ledger.calls.spent().calls == len(server.requests) == 70
    assert kinds(results).keys() == {"Answer", "BudgetReached"}
    assert "max_calls = 70" in str(results[-1])


@pytest.mark.slow
@pytest.mark.parametrize("faults", [{}, FAULTS], ids=["well", "with faults"])
@pytest.mark.parametrize(
    "caps", [Caps(tokens=4000), Caps(usd=0.008)], ids=["max_tokens", "budget_usd"]
)
def test_neither_tokens_nor_money_are_ever_crossed(
    tmp_path: Path, faults: dict[str, float], caps: Caps
) -> None:
    with (
        stress(faults) as server,
        opened(tmp_path, server, most=64, caps=caps, price=2.0) as (gateway, ledger),
    ):
        results = ask(gateway, *map(request, range(ASKED)))
        worst, spent = worst_case(gateway, request(ASKED - 1)), ledger.calls.spent()
    assert kinds(results).keys() == {"Answer", "BudgetReached"}
    assert server.tokens <= spent.tokens <= 4000
    assert server.tokens * 2 / 1e6 - 1e-9 <= spent.usd <= 0.008 + 1e-9
    assert spent.tokens + worst.tokens > 4000  # and it is made use of to the end
    assert faults or spent.tokens == server.tokens


@pytest.mark.slow
def test_an_answer_that_came_too_late_was_paid_for(tmp_path: Path) -> None:
    with (
        serve(once("timeout"), lambda messages: "w" * 4000, late=1.0) as server,
        opened(tmp_path, server, patience=0.6, caps=Caps(tokens=1000)) as (gateway, ledger),
    ):
        results = ask(gateway, *map(request, range(60)))
        run(until(lambda: all(seen.status for seen in server.requests)))
        assert 0 < server.tokens <= ledger.calls.spent().tokens <= 1000
    assert kinds(results)["BudgetReached"] > 0


def test_the_caps_are_those_of_all_processes_of_a_run(tmp_path: Path) -> None:
    for number, caps in enumerate([Caps(calls=30), Caps(calls=30), Caps(calls=50)]):
        with (
            stress(FAULTS) as server,
            opened(tmp_path, server, most=64, caps=caps) as (gateway, ledger),
        ):
            ask(gateway, *map(request, range(ASKED)))
            assert len(server.requests) == (30, 0, 20)[number]
            assert ledger.calls.spent().calls == caps.calls


def test_time_that_is_up_sends_nothing(tmp_path: Path) -> None:
    with serve() as server, opened(tmp_path, server, caps=Caps(seconds=0.0)) as (gateway, _):
        results = ask(gateway, request(1), request(2))
    assert kinds(results) == {"BudgetReached": 2}
    assert not server.requests


def test_a_request_that_is_not_sent_holds_nothing(tmp_path: Path) -> None:
    with (
        serve({"empty_text": 1.0}) as server,
        opened(tmp_path, server, caps=Caps(calls=21)) as (gateway, ledger),
    ):
        ask(gateway, *map(request, range(20)))
        results = ask(gateway, *map(request, range(20, 30)))
        assert kinds(results) == {"TooManyErrors": 10}  # one after the other had the last call
        assert ledger.calls.spent().calls == len(server.requests) == 20
