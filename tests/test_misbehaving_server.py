"""What the faults of the misbehaving server look like on the wire."""

from __future__ import annotations

import hashlib
import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from misbehaving_server import FAULTS, REFUSAL, Message, MisbehavingServer, closed_port

TEXT = '{"label": "good", "points": 3}'


def serve(faults: Any = None, **settings: Any) -> MisbehavingServer:
    return MisbehavingServer(lambda messages: TEXT, faults, **settings)


def always(fault: str) -> Callable[[list[Message], int], str]:
    return lambda messages, times: fault


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, timeout=10, headers={"Authorization": "Bearer k"}) as client:
        yield client


@pytest.fixture
def post(client: httpx.Client) -> Callable[..., httpx.Response]:
    def post(server: MisbehavingServer, text: object = "Hello", **more: Any) -> httpx.Response:
        body = {"model": "m", "messages": [{"role": "user", "content": str(text)}]}
        return client.post(f"{server.base_url}/chat/completions", json=body, **more)

    return post


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def fates(server: MisbehavingServer) -> dict[str, list[str]]:
    met: dict[str, list[str]] = {}
    for seen in server.requests:
        met.setdefault(seen.digest, []).append(seen.fault)
    return met


# fates ------------------------------------------------------------------------------------


def test_a_seed_and_a_body_make_a_fate(post) -> None:
    faults = {"http_500": 0.3, "http_429": 0.2, "refusal": 0.2}
    texts = [*range(30), *range(10)]
    met = []
    for seed, order, latency in (
        (1, texts, (0, 0)),
        (1, texts[::-1], lambda draw: min(draw.lognormvariate(-7, 1), 0.01)),
        (2, texts, (0, 0)),
    ):
        with (
            serve(faults, seed=seed, latency=latency) as server,
            ThreadPoolExecutor(8) as pool,
        ):
            list(pool.map(lambda text, server=server: post(server, text), order))
            met.append(fates(server))
    assert met[0] == met[1] != met[2]
    assert {fault for each in met[0].values() for fault in each} == {"", *faults}


def test_a_latency_may_be_drawn_from_any_distribution(post) -> None:
    def latency(draw: random.Random) -> float:
        return 0.05 + 0.05 * draw.random()

    with serve(latency=latency) as server:
        started = time.time()
        post(server)
    assert 0.05 <= server.requests[0].finished - started < 1


@pytest.mark.slow
def test_many_connections_at_once_are_all_held() -> None:
    together = threading.Barrier(96)

    def wait_for_all(messages: list[Message]) -> str:
        together.wait(20)
        return TEXT

    limits = httpx.Limits(max_connections=96)
    with (
        MisbehavingServer(wait_for_all) as server,
        httpx.Client(trust_env=False, timeout=30, limits=limits) as client,
        ThreadPoolExecutor(96) as pool,
    ):
        body = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}
        url = f"{server.base_url}/chat/completions"
        answers = list(pool.map(lambda _: client.post(url, json=body), range(96)))
    assert {answer.status_code for answer in answers} == {200}
    assert server.peak == 96


# faults -----------------------------------------------------------------------------------


def test_an_unknown_fault_is_refused() -> None:
    with pytest.raises(ValueError, match="no such fault: http_418"):
        serve({"http_418": 0.1})


def test_every_fault_has_one_name() -> None:
    assert len(set(FAULTS)) == len(FAULTS)


@pytest.mark.parametrize(
    ("fault", "status", "error"),
    [
        ("http_403", 403, {"code": "403"}),
        ("http_404", 404, {"code": "model_not_found"}),
        ("quota", 429, {"code": "insufficient_quota", "type": "insufficient_quota"}),
        ("bad_request", 400, {"code": "context_length_exceeded"}),
    ],
)
def test_a_refusal_is_an_error_with_its_code(
    post, fault: str, status: int, error: dict[str, str]
) -> None:
    with serve(always(fault)) as server:
        response = post(server)
    assert response.status_code == server.requests[0].status == status
    assert response.json()["error"].items() >= error.items()
    assert "Retry-After" not in response.headers
    assert server.tokens == 0
    if fault == "bad_request":
        message = response.json()["error"]["message"]
        assert message == "This model's maximum context length is 4096 tokens"


@pytest.mark.parametrize(
    ("fault", "finish", "message"),
    [
        ("", "stop", {"content": TEXT}),
        ("refusal_field", "stop", {"content": None, "refusal": REFUSAL}),
        ("content_filter", "content_filter", {"content": ""}),
    ],
)
def test_an_answer_has_the_shape_of_its_fault(
    post, fault: str, finish: str, message: Message
) -> None:
    with serve(always(fault)) as server:
        (choice,) = post(server).json()["choices"]
    assert choice["finish_reason"] == finish
    assert choice["message"] == {"role": "assistant", **message}


def test_a_cut_answer_is_half_there_and_paid_for(client: httpx.Client) -> None:
    with serve(lambda messages, times: "cut" if times else "") as server:
        url = f"{server.base_url}/chat/completions"
        body = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}
        whole = client.post(url, json=body).content
        got = b""
        with (
            client.stream("POST", url, json=body) as response,
            pytest.raises(httpx.RemoteProtocolError),
        ):
            for chunk in response.iter_raw():
                got += chunk
    assert response.status_code == 200
    assert int(response.headers["Content-Length"]) == len(whole)
    assert got == whole[: len(whole) // 2]
    right, cut = server.requests
    assert (cut.status, cut.tokens) == (200, right.tokens)
    assert cut.tokens > 0


def test_nothing_listens_at_a_closed_port(client: httpx.Client) -> None:
    with pytest.raises(httpx.ConnectError):
        client.post(f"{closed_port()}/chat/completions", json={})


# the rate limit ---------------------------------------------------------------------------


def test_the_rate_limit_holds(post) -> None:
    with serve(rate_limit=600) as server, ThreadPoolExecutor(8) as pool:
        started = time.monotonic()
        statuses = list(pool.map(lambda n: post(server, n).status_code, range(40)))
        took = time.monotonic() - started
    assert set(statuses) == {200, 429}
    assert 10 <= statuses.count(200) <= 10 + 10 * took
    assert statuses.count(429) == server.count("rate_limit")


@pytest.mark.parametrize("fault", ["http_429", "rate_limit"])
@pytest.mark.parametrize("whole", [False, True])
def test_retry_after_may_be_whole(post, fault: str, whole: bool) -> None:
    settings: dict[str, Any] = {"rate_limit": 40} if fault == "rate_limit" else {}
    with serve(always("http_429"), retry_after=1.5, retry_after_whole=whole, **settings) as server:
        responses = [post(server), post(server)]
    assert server.requests[1].fault == fault
    said = responses[1].headers["Retry-After"]
    exact = 1.5 if fault == "http_429" else pytest.approx(1.5, abs=0.4)
    assert said == "2" if whole else float(said) == exact


@pytest.mark.parametrize("whole", [False, True])
def test_no_retry_after_is_none(post, whole: bool) -> None:
    with serve(
        always("http_429"), rate_limit=60, retry_after=None, retry_after_whole=whole
    ) as server:
        responses = [post(server), post(server)]
    assert [seen.fault for seen in server.requests] == ["http_429", "rate_limit"]
    assert not any("Retry-After" in response.headers for response in responses)


# the log ----------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["", "http_500", "html"])
def test_an_answered_request_is_finished(post, fault: str) -> None:
    with serve(always(fault), latency=(0.02, 0.02)) as server:
        post(server)
    (seen,) = server.requests
    assert seen.time + 0.02 <= seen.finished + 0.005
    assert seen.finished <= time.time()
    text = json.dumps(seen.body, sort_keys=True)
    assert seen.digest == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("fault", ["reset", "cut"])
def test_a_request_left_without_its_answer_is_not_finished(post, fault: str) -> None:
    with serve(always(fault)) as server, pytest.raises(httpx.TransportError):
        post(server)
    assert [seen.finished for seen in server.requests] == [0.0]


def test_an_answer_to_a_client_that_is_gone_is_not_finished(post) -> None:
    with serve(always("timeout"), late=0.3) as server:
        with pytest.raises(httpx.ReadTimeout):
            post(server, timeout=httpx.Timeout(10, read=0.05))
        until(lambda: any(seen.status for seen in server.requests))
    (seen,) = server.requests
    assert seen.finished == 0.0
    assert seen.tokens > 0
