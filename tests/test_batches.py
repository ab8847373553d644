from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import astuple
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
from batch_server import BatchServer, State
from hypothesis import given, settings
from hypothesis import strategies as st
from misbehaving_server import MisbehavingServer
from pydantic import BaseModel

from lift_agent.errors import Interrupted, ModelError
from lift_agent.llms.batches.batcher import Batcher, parts
from lift_agent.llms.batches.opening import service_of
from lift_agent.llms.budget import Budget, Caps
from lift_agent.llms.gateway import Gateway
from lift_agent.llms.messages import Request
from lift_agent.llms.providers import open_backend
from lift_agent.llms.stopping import StopSignal
from lift_agent.llms.timing import Timing
from lift_agent.records import Batch, BatchItem, Call, Spending
from lift_agent.stores.ledger import Ledger

GOOD = '{"label": "good", "points": 3}'
MODELS = {"openai": "openai:test-model", "anthropic": "anthropic:claude-test"}
PRICE = (1.0, 1.0)
SHORT = Timing(batch_listed=0.2, batch_retry=0.02)


class Mark(BaseModel):
    label: str
    points: int


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-test")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))


@pytest.fixture(params=sorted(MODELS))
def provider(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Run:
    """A process of a run: a gateway with batches over the ledger in a folder."""

    def __init__(
        self, folder: Path, server: BatchServer, provider: str, caps: Caps | None, known: bool
    ) -> None:
        self.ledger = Ledger(folder / "ledger.sqlite")
        name = MODELS[provider]
        url = f"{server.address}/v1" if provider == "openai" else None
        self.backend = open_backend(name, url, prices={name: PRICE})
        if known:
            self.backend.capabilities.worked |= {"text", *self.backend.output_modes}
        self.stop_signal = StopSignal()
        self.budget = Budget(caps, self.ledger.calls.spent())
        service = service_of(self.backend)
        assert service
        self.service = service
        self.batcher = Batcher(
            *(service, self.backend, self.ledger.batches, self.budget, self.stop_signal),
            poll=0.02,
            gather=0.05,
            timing=SHORT,
        )
        self.gateway = Gateway(
            *(self.backend, self.ledger.calls, self.budget),
            stop_signal=self.stop_signal,
            batcher=self.batcher,
        )

    def spending_adds_up(self) -> bool:
        kept, held = self.ledger.calls.spent(), self.budget.spent
        return (kept.calls, kept.tokens, pytest.approx(kept.usd)) == astuple(held)

    async def ask(self, count: int, first: int = 0) -> list[Any]:
        asked = (
            self.gateway.ask(request(f"question {n}"), agent="test")
            for n in range(first, first + count)
        )
        return await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 60)


def request(text: str) -> Request:
    return Request("test@1", (("system", "Be brief."), ("user", text)), 0.7, 64)


@pytest.fixture
def process(tmp_path: Path, provider: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    @asynccontextmanager
    async def opened(
        server: BatchServer, caps: Caps | None = None, known: bool = True
    ) -> AsyncIterator[Run]:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.address)
        run = Run(tmp_path, server, provider, caps, known)
        run.batcher.start()
        try:
            yield run
        finally:
            await run.batcher.close()
            if run.backend.close:
                await run.backend.close()
            run.ledger.close()

    return opened


def echo(messages: list[dict[str, Any]]) -> str:
    return "An answer."


def scripted(messages: list[dict[str, Any]]) -> str:
    from scripted_model import answer

    return str(answer(messages))


def asyncly(test: Callable[..., Any]) -> Any:
    asyncio.run(test())


def test_what_is_asked_together_goes_in_one_batch_at_half_the_price(process: Any) -> None:
    with BatchServer(echo) as server:

        async def test() -> None:
            async with process(server) as run:
                answers = await run.ask(20)
                assert {a.text for a in answers} == {"An answer."}
                calls = run.ledger.calls.find()
                tokens = sum(c.input_tokens + c.output_tokens for c in calls)
                assert sum(c.cost for c in calls) == pytest.approx(tokens / 1e6 / 2)
                assert run.ledger.calls.spent().usd == pytest.approx(tokens / 1e6 / 2)
                assert run.spending_adds_up()
                [batch] = run.ledger.batches.batches()
                assert (batch["calls"], batch["state"]) == (20, "done")

        asyncly(test)
        assert len(server.state.batches) == 1
        assert server.state.singles == 0


def test_objects_come_back_by_the_way_in_which_they_were_asked_for(process: Any) -> None:
    with BatchServer(lambda messages: GOOD) as server:

        async def test() -> None:
            async with process(server) as run:
                asked = (
                    run.gateway.ask_for(Mark, request(f"judge {n}"), agent="test") for n in range(5)
                )
                parsed = await asyncio.gather(*asked)
                assert [p.value for p in parsed] == [Mark(label="good", points=3)] * 5
                assert {call.way for call in run.ledger.calls.find()} == {
                    run.backend.output_modes[0]
                }

        asyncly(test)
        [made] = server.state.batches.values()
        assert len(made.requests) == 5


def test_what_a_server_refuses_is_found_out_before_a_batch_is_made(process: Any) -> None:
    with BatchServer(echo, refuses=("temperature",)) as server:

        async def test() -> None:
            async with process(server, known=False) as run:
                assert all(a.text for a in await run.ask(6))

        asyncly(test)
        [made] = server.state.batches.values()
        assert len(made.requests) == 5
        assert all("temperature" not in body for body in made.requests.values())
        assert server.state.singles == 1


@pytest.mark.parametrize("fate", ["expired", "overloaded", "lost"])
def test_an_item_that_was_not_answered_is_asked_by_itself(process: Any, fate: str) -> None:
    def fates(said: str) -> str:
        return fate if said in ("question 3", "question 7") else ""

    with BatchServer(echo, fate=fates) as server:

        async def test() -> None:
            async with process(server) as run:
                assert all(a.text for a in await run.ask(10))
                assert run.spending_adds_up()
                assert run.ledger.calls.spent().calls == 12

        asyncly(test)
        assert server.state.singles == 2
        assert set(server.state.paid.values()) == {1}


def test_an_item_that_is_refused_for_good_is_not_asked_again(process: Any) -> None:
    with BatchServer(echo, fate=lambda said: "bad_request" * (said == "question 3")) as server:

        async def test() -> None:
            async with process(server) as run:
                answers = await run.ask(6)
                assert [bool(a.error) for a in answers] == [n == 3 for n in range(6)]
                assert "flagged" in answers[3].error

        asyncly(test)
        assert server.state.singles == 0


def test_a_batch_that_is_under_way_outlives_its_process_and_its_server(
    process: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "lift_agent")
    with BatchServer(echo, pace=4) as server:

        async def first() -> None:
            async with process(server) as run:
                asking = asyncio.create_task(run.ask(20))
                while not server.state.looks:
                    await asyncio.sleep(0.01)
                asking.cancel()
                with suppress(asyncio.CancelledError):
                    await asking

        asyncly(first)
        state, port = server.state, server.port
    assert len(state.batches) == 1
    with BatchServer(echo, pace=4, state=state, port=port) as server:

        async def second() -> None:
            async with process(server) as run:
                assert any("resuming batch" in line for line in caplog.messages)
                assert all(a.text for a in await run.ask(20))
                assert run.spending_adds_up()

        asyncly(second)
    assert len(state.batches) == 1
    assert state.singles == 0
    assert set(state.paid.values()) == {1}


def test_a_server_that_goes_away_for_a_while_is_waited_for(process: Any) -> None:
    state = State()
    server = BatchServer(echo, pace=5, state=state)
    port = server.port

    async def test() -> None:
        async with process(server) as run:
            asking = asyncio.create_task(run.ask(20))
            while not state.looks:
                await asyncio.sleep(0.01)
            await asyncio.to_thread(server.__exit__, None, None, None)
            await asyncio.sleep(0.1)
            with BatchServer(echo, state=state, port=port):
                assert all(a.text for a in await asking)

    server.__enter__()
    asyncly(test)
    assert set(state.paid.values()) == {1}


@pytest.mark.parametrize("verb", ["create", "look"])
def test_a_connection_that_breaks_loses_nothing_and_pays_nothing_twice(
    process: Any, provider: str, verb: str
) -> None:
    path = "/v1/batches" if provider == "openai" else "/v1/messages/batches"
    broken = {f"POST {path}": 2} if verb == "create" else {f"GET {path}/ID": 3}
    with BatchServer(echo, broken=broken) as server:

        async def test() -> None:
            async with process(server) as run:
                assert all(a.text for a in await run.ask(10))

        asyncly(test)
    assert len(server.state.batches) == 1
    assert set(server.state.paid.values()) == {1}


@pytest.mark.parametrize("arrived", [True, False])
def test_a_crash_between_handing_over_and_noting_it(
    process: Any, monkeypatch: pytest.MonkeyPatch, arrived: bool
) -> None:
    with BatchServer(echo) as server:

        async def first() -> None:
            async with process(server) as run:
                create, died = run.service.create, asyncio.Event()

                async def dying(intent: str, lines: list[bytes]) -> str:
                    if arrived:
                        await create(intent, lines)
                    died.set()
                    raise asyncio.CancelledError  # the process ends here

                monkeypatch.setattr(run.service, "create", dying)
                asking = asyncio.create_task(run.ask(8))
                await asyncio.wait_for(died.wait(), 60)
                asking.cancel()
                with suppress(asyncio.CancelledError):
                    await asking

        asyncly(first)
        assert len(server.state.batches) == arrived

        async def second() -> None:
            async with process(server) as run:
                assert all(a.text for a in await run.ask(8))
                assert run.spending_adds_up()

        asyncly(second)
    assert len(server.state.batches) == 1
    assert set(server.state.paid.values()) == {1}


def test_a_strangers_batch_of_as_many_requests_is_not_taken_for_ours(
    process: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with BatchServer(echo) as server:
        message = {"role": "user", "content": "mine"}
        body = {"model": "m", "messages": [message], "max_tokens": 5}
        server.make({f"theirs{n}": body for n in range(4)}, {})

        async def first() -> None:
            async with process(server) as run:
                died = asyncio.Event()

                async def dying(intent: str, lines: list[bytes]) -> str:
                    died.set()
                    raise asyncio.CancelledError

                monkeypatch.setattr(run.service, "create", dying)
                asking = asyncio.create_task(run.ask(4))
                await asyncio.wait_for(died.wait(), 60)
                asking.cancel()

        asyncly(first)

        async def second() -> None:
            async with process(server) as run:
                assert all(a.text for a in await run.ask(4))
                assert [b["state"] for b in run.ledger.batches.batches()] == ["unsent", "done"]

        asyncly(second)
    assert len(server.state.batches) == 2


def test_ctrl_c_leaves_batches_running_and_says_so(
    process: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "lift_agent")
    with BatchServer(echo, pace=0) as server:

        async def test() -> None:
            async with process(server) as run:
                asking = asyncio.create_task(run.ask(5))
                while not server.state.looks:
                    await asyncio.sleep(0.01)
                run.stop_signal.stopped = True
                assert {type(a) for a in await asking} == {Interrupted}
                assert caplog.messages[-1].startswith("batches keep running at the provider")
                assert [b["state"] for b in run.ledger.batches.batches()] == ["sent"]

        asyncly(test)
        [made] = server.state.batches.values()
        assert not made.cancelled


def test_a_batch_cancelled_at_the_provider_stops_the_run_and_is_asked_anew(process: Any) -> None:
    with BatchServer(echo, pace=2) as server:

        async def first() -> None:
            async with process(server) as run:
                asking = asyncio.create_task(run.ask(6))
                while not server.state.looks:
                    await asyncio.sleep(0.01)
                [batch] = run.ledger.batches.batches()
                server.pace = 0
                await run.service.cancel(batch["id"])
                answers = await asking
                assert {type(a) for a in answers} == {type(answers[0]), ModelError}

        asyncly(first)
        done = sum(server.state.paid.values())
        server.pace = 10

        async def second() -> None:
            async with process(server) as run:
                assert all(a.text for a in await run.ask(6))

        asyncly(second)
    assert 2 <= done < 6
    assert set(server.state.paid.values()) == {1}


def test_a_cap_is_never_crossed_by_what_batches_may_spend(process: Any) -> None:
    with BatchServer(echo) as server:

        async def test() -> None:
            async with process(server, caps=Caps(calls=10)) as run:
                answers = await run.ask(25)
                assert sum(isinstance(a, Exception) for a in answers) == 15

        asyncly(test)
    assert sum(len(made.requests) for made in server.state.batches.values()) == 10


@pytest.mark.parametrize("provider", ["openai"], indirect=True)
def test_a_server_without_batches_is_said_to_have_none(process: Any) -> None:
    with MisbehavingServer(echo) as server:
        server.address = server.base_url.removesuffix("/v1")

        async def test() -> None:
            async with process(server) as run:
                [answer] = await run.ask(1)
                assert isinstance(answer, ModelError)
                assert "has no batch endpoint" in str(answer)

        asyncly(test)


class _Refusing(BaseHTTPRequestHandler):
    """A provider that knows no key."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        body = b'{"error": {"message": "no such key"}}'
        self.send_response(401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST

    def log_message(self, *args: Any) -> None:
        """Nothing is printed."""


@pytest.mark.parametrize("known", [True, False], ids=["in a batch", "before one"])
def test_a_refused_key_is_told_with_what_to_do(process: Any, known: bool) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Refusing)
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    place = SimpleNamespace(address=f"http://127.0.0.1:{server.server_port}")

    async def test() -> None:
        async with process(place, known=known) as run:
            [answer] = await run.ask(1)
            assert isinstance(answer, ModelError)
            assert str(answer).startswith(f"{run.backend.name} refused the key")
            assert str(answer).endswith(" to a key of this server")

    asyncly(test)
    server.shutdown()
    server.server_close()


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(1, 400), min_size=1, max_size=40), st.integers(1, 9), st.integers(500, 900)
)
def test_no_part_is_larger_than_a_provider_takes(sizes: list[int], most: int, size: int) -> None:
    def item(n: int) -> BatchItem:
        return BatchItem(Call(str(n), "", "", "", 0, "", {}), Spending())

    waiting = [(item(n), b"x" * length) for n, length in enumerate(sizes)]
    split = list(parts(waiting, most, size))
    assert [one for part in split for one in part] == waiting
    for part in split:
        assert len(part) <= most
        assert sum(len(line) + 1 for _, line in part) <= size


def test_anthropic_is_told_what_to_keep_and_counts_what_it_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with BatchServer(lambda messages: GOOD) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.address)
        name = MODELS["anthropic"]
        backend = open_backend(name, prices={name: (1.0, 1.0, 0.1)})
        ledger = Ledger(tmp_path / "ledger.sqlite")
        gateway = Gateway(backend, ledger.calls)
        turns = (("system", "Judge."), ("user", "a"), ("assistant", "b"), ("user", "c"))
        wanted = Request("test@1", turns, 0.0, 64)
        parsed = asyncio.run(gateway.ask_for(Mark, wanted, agent="test"))
        assert parsed.value == Mark(label="good", points=3)
        [call] = ledger.calls.find()
        assert (call.cached_tokens, call.way) == (8, "tool")
        assert call.cost == pytest.approx((call.input_tokens - 8 + 0.8 + call.output_tokens) / 1e6)
        assert json.loads(call.response) == json.loads(GOOD)
        ledger.close()


@pytest.mark.slow
def test_a_run_with_batches_makes_the_same_dataset(
    seeds: Path, tmp_path: Path, embedder: str
) -> None:
    """The same rows, whether its calls go one by one or in batches, and nothing is left open."""
    from support import go, read_dataset

    with BatchServer(scripted) as server:
        options = {
            "llm": "openai:test-model",
            "base_url": f"{server.address}/v1",
            "prices": {"openai:test-model": (1.0, 1.0)},
            "cache": False,
            "embedder": embedder,
            **{"target_size": 36, "round_size": 6, "rounds": 1, "batch_poll": 0.05},
        }
        summaries = [
            go(seeds, tmp_path / str(batch), batch=batch, **options) for batch in (False, True)
        ]
    datasets = [read_dataset(tmp_path / str(batch)) for batch in (False, True)]
    assert datasets[0] == datasets[1]
    single, batched = (summary.cost for summary in summaries)
    assert batched < 0.6 * single
    with closing(Ledger(tmp_path / "True" / "ledger.sqlite")) as ledger:
        assert len(ledger.batches.batches()) > 2
        assert {batch["state"] for batch in ledger.batches.batches()} == {"done"}


@pytest.mark.slow
def test_force_cancels_the_batches_of_the_run_that_it_removes(
    seeds: Path, tmp_path: Path, embedder: str
) -> None:
    from support import go

    with BatchServer(scripted, pace=0) as server:
        out = tmp_path / "run"
        options = {
            "llm": "openai:test-model",
            "base_url": f"{server.address}/v1",
            "target_size": 20,
            "recipe": "curate",
            "cache": False,
            "embedder": embedder,
        }
        with closing(_ledger_with_a_batch(out, server)) as ledger:
            [batch] = ledger.batches.open_batches()
        go(seeds, out, force=True, **options)
        assert server.state.batches[batch.id].cancelled


def _ledger_with_a_batch(out: Path, server: BatchServer) -> Ledger:
    out.mkdir()
    ledger = Ledger(out / "ledger.sqlite")
    made = server.make({"key": {}}, {})
    batch = Batch("intent", "openai:test-model", 0.0, 0, ())
    ledger.batches.begin_batch(batch)
    ledger.batches.name_batch("intent", made.id, "sent")
    return ledger
