from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from misbehaving_server import MisbehavingServer
from test_gateway import (
    CAUSES,
    GOOD,
    KEY,
    MODEL,
    Mark,
    always,
    ask,
    ask_for_mark,
    attempts,
    echo,
    opened,
    request,
    serve,
    surroundings,  # noqa: F401  (each test uses it)
)

from lift_agent.errors import RunFolderError
from lift_agent.llms.messages import Answer
from lift_agent.records import Call, Spending
from lift_agent.stores.cache import (
    CachedModel,
    Pace,
    SharedCache,
    cache_path,
    cached_models,
    clear_cache,
    pace_of,
)

CALL = Call(
    key="k1",
    agent="judge",
    prompt="judge@1",
    subject="row 1",
    round=2,
    model=MODEL,
    request={"messages": [["user", "a secret question"]]},
    response="world 世界 \u2028",
    finish_reason="stop",
    input_tokens=12,
    output_tokens=3,
    cost=0.5,
    seconds=1.5,
    attempts=2,
    started=1e9,
    reasoning_tokens=2,
    cached_tokens=4,
    way="tool",
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "cache" / "calls.sqlite"


def everything(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file())


# the file ---------------------------------------------------------------------------------


def test_what_was_put_is_got_without_who_asked(path: Path) -> None:
    with closing(SharedCache(path)) as cache:
        assert cache.get("k1") is None
        cache.put(CALL)
    with closing(SharedCache(path)) as cache:
        found = cache.get("k1")
        assert cache.get("k2") is None
    nobody = replace(CALL, agent="", prompt="", subject="", round=0, request={})
    assert found == replace(nobody, attempts=1, started=0.0)
    assert b"secret question" not in everything(path.parent)


def test_the_latest_answer_counts(path: Path) -> None:
    with closing(SharedCache(path)) as cache:
        cache.put(CALL)
        cache.put(replace(CALL, response="later", cost=None))
        found = cache.get("k1")
    assert found
    assert (found.response, found.cost) == ("later", None)


def test_a_file_of_an_earlier_version_is_gone_on_with(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as db:
        db.execute(
            "CREATE TABLE calls (key TEXT PRIMARY KEY, model TEXT NOT NULL, response TEXT NOT NULL,"
            " finish_reason TEXT NOT NULL, input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT"
            " NULL, cost REAL, seconds REAL NOT NULL, kept REAL NOT NULL) WITHOUT ROWID"
        )
        db.execute("INSERT INTO calls VALUES ('old', 'm', 'paid', 'stop', 1, 1, 0.5, 1.0, 1.0)")
        db.commit()
    for _ in range(2):
        with closing(SharedCache(path)) as cache:
            cache.put(CALL)
            old, new = cache.get("old"), cache.get("k1")
            assert old and (old.response, old.reasoning_tokens, old.way) == ("paid", 0, "")
            assert new and (new.reasoning_tokens, new.cached_tokens, new.way) == (2, 4, "tool")
    assert not caplog.messages


def test_a_closed_cache_is_empty_and_silent(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = SharedCache(path)
    for _ in range(2):
        cache.close()
        cache.put(CALL)
        assert cache.get("k1") is None
    assert not caplog.messages


def put_and_get(path: Path, name: str, calls: int) -> None:
    with closing(SharedCache(path)) as cache:
        for number in range(calls):
            cache.put(replace(CALL, key=f"{name} {number}"))
            cache.put(replace(CALL, key=f"all {number}"))
            assert cache.get(f"{name} {number}")


def test_threads_use_it_at_once(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    threads = [
        threading.Thread(target=put_and_get, args=(path, str(number), 50)) for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not caplog.messages
    assert [model.calls for model in cached_models(path)] == [9 * 50]


@pytest.mark.slow
def test_processes_use_it_at_once(path: Path) -> None:
    code = (
        "import logging, sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
        "logging.basicConfig(stream=sys.stdout)\n"
        "from test_cache import put_and_get\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "put_and_get(Path(sys.argv[2]), sys.argv[3], 100)\n"
    )
    arguments = [sys.executable, "-c", code, str(Path(__file__).parent), str(path)]
    piped: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    users = [subprocess.Popen([*arguments, name], **piped) for name in "ab"]
    for user in users:
        assert user.stdout
        assert user.stdout.readline() == "ready\n"
    said = [user.communicate("go\n", timeout=60)[0].strip() for user in users]
    assert said == ["", ""]
    assert [model.calls for model in cached_models(path)] == [300]


def spoil(path: Path, how: str) -> None:
    path.parent.mkdir(parents=True)
    match how:
        case "no database":
            path.write_text("This is no database, and long enough to be seen as none. " * 20)
        case "another table":
            with closing(sqlite3.connect(path)) as db:
                db.execute("CREATE TABLE calls (name TEXT)")
        case "a folder":
            path.mkdir()
        case "a folder that is a file":
            path.parent.rmdir()
            path.parent.write_text("")


SPOILED = ["no database", "another table", "a folder", "a folder that is a file"]


@pytest.mark.parametrize("how", SPOILED)
def test_a_cache_that_cannot_be_used_is_done_without(
    path: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    spoil(path, how)
    with closing(SharedCache(path)) as cache:
        for _ in range(3):
            cache.put(CALL)
            assert cache.get("k1") is None
    (line,) = caplog.messages
    assert str(path) in line
    assert "without it" in line
    assert "\n" not in line


def test_a_cache_that_breaks_while_it_is_used_is_done_without(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(SharedCache(path)) as cache:
        cache.put(CALL)
        with closing(sqlite3.connect(path)) as db:
            db.execute("DROP TABLE calls")
        for _ in range(3):
            assert cache.get("k1") is None
            cache.put(CALL)
    assert len(caplog.messages) == 1


# what it holds ----------------------------------------------------------------------------


def test_the_models_of_a_cache_are_counted(path: Path) -> None:
    assert cached_models(path) == []
    with closing(SharedCache(path)) as cache:
        assert cached_models(path) == []
        for number in range(3):
            cache.put(replace(CALL, key=str(number)))
        cache.put(replace(CALL, key="other", model="openai:other", cost=None))
        assert cached_models(path) == [
            CachedModel(MODEL, 3, 45, 1.5),
            CachedModel("openai:other", 1, 15, None),
        ]


def test_a_cleared_cache_forgets_all_and_goes_on(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(SharedCache(path)) as cache:
        for key in ("k1", "k2"):
            cache.put(replace(CALL, key=key, response="forget me"))
        cache.remember(MODEL, {"way": "tool"})
        assert clear_cache(path) == 2
        assert cache.get("k1") is None
        assert cache.recall(MODEL) == {}
        cache.remember(MODEL, {"way": "prompt"})
        assert cache.recall(MODEL) == {"way": "prompt"}
        cache.put(CALL)
        assert cache.get("k1")
    assert clear_cache(path) == 1
    assert clear_cache(path) == 0
    assert not caplog.messages
    assert b"forget me" not in everything(path.parent)


def test_clearing_a_cache_that_is_not_there_forgets_nothing(path: Path) -> None:
    assert clear_cache(path) == 0


@pytest.mark.parametrize("how", ["no database", "another table"])
def test_a_spoiled_cache_is_a_clear_error_to_who_asks_for_it(path: Path, how: str) -> None:
    spoil(path, how)
    for look in (cached_models, clear_cache):
        with pytest.raises(RunFolderError, match="cannot read the call cache"):
            look(path)


def test_the_pace_of_a_model_is_the_mean_of_enough_calls() -> None:
    assert pace_of(MODEL) is None
    with closing(SharedCache(cache_path())) as cache:
        for number in range(30):
            cache.put(replace(CALL, key=str(number), seconds=1.0 + number % 2))
            if number == 9:
                assert pace_of(MODEL) is None
        cache.put(replace(CALL, key="other", model="openai:other"))
    assert pace_of(MODEL) == Pace(30, 1.5)
    assert pace_of("openai:other") is None


@pytest.mark.parametrize("how", SPOILED)
def test_a_spoiled_cache_knows_no_pace(
    path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIFT_AGENT_CACHE", str(path.parent))
    spoil(path, how)
    assert pace_of(MODEL) is None


def test_the_cache_is_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIFT_AGENT_CACHE", str(tmp_path / "mine"))
    assert cache_path() == tmp_path / "mine" / "calls.sqlite"
    monkeypatch.delenv("LIFT_AGENT_CACHE")
    assert "lift-agent" in cache_path().parts


# runs that share it -----------------------------------------------------------------------


def folders(tmp_path: Path) -> list[Path]:
    made = [tmp_path / name for name in ("first", "second")]
    for folder in made:
        folder.mkdir()
    return made


def test_a_second_run_sends_nothing(tmp_path: Path, path: Path) -> None:
    first, second = folders(tmp_path)
    with serve(answer=echo) as server, closing(SharedCache(path)) as cache:
        with opened(first, server, cache=cache, price=1.0) as (gateway, ledger):
            answers = ask(gateway, *map(request, range(5)))
            paid = ledger.calls.usage()["test"]
            assert (paid["calls"], paid["reused"]) == (5, 0)
            assert paid["cost"] == pytest.approx(server.tokens / 1e6)
        with opened(second, server, cache=cache, price=1.0) as (gateway, ledger):
            assert ask(gateway, *map(request, range(5))) == answers
            assert ask(gateway, request(0)) == answers[:1]  # now from its own ledger
            calls, used = ledger.calls.find(), ledger.calls.usage()["test"]
            assert attempts(gateway, ledger, request(0)) == []
            assert ledger.calls.spent() == Spending()
            assert (gateway.usage.calls, gateway.usage.reused) == (0, 6)
    assert len(server.requests) == 5
    assert [(call.reused, call.cost, call.attempts) for call in calls] == [(True, 0.0, 0)] * 5
    assert all(call.request["messages"] for call in calls)  # this run's own, for the card
    assert used == {**dict.fromkeys(paid, 0), "reused": 5}


def test_a_cached_answer_is_worth_as_much_as_a_new_one(tmp_path: Path, path: Path) -> None:
    first, second = folders(tmp_path)
    with serve() as server, closing(SharedCache(path)) as cache:
        for folder in (first, second):
            with opened(folder, server, cache=cache) as (gateway, _):
                assert ask_for_mark(gateway, request()) == (Mark(label="good", points=3), "")
    assert len(server.requests) == 1


def test_another_server_gets_requests_of_its_own(tmp_path: Path, path: Path) -> None:
    first, second = folders(tmp_path)
    with serve() as one, serve() as other, closing(SharedCache(path)) as cache:
        servers: list[MisbehavingServer] = [one, other]
        for folder, server in zip((first, second), servers, strict=True):
            with opened(folder, server, cache=cache) as (gateway, _):
                assert ask(gateway, request()) == [Answer(GOOD)]
    assert [len(server.requests) for server in servers] == [1, 1]


@pytest.mark.parametrize("fault", ["http_500", "bad_request", "html"])
def test_a_failed_call_is_not_kept(tmp_path: Path, path: Path, fault: str) -> None:
    with serve(always(fault)) as server, closing(SharedCache(path)) as cache:
        with opened(tmp_path, server, cache=cache) as (gateway, _):
            (answer,) = ask(gateway, request())
        assert answer.error
    assert cached_models(path) == []


def test_unusable_answers_from_the_cache_are_no_failures(tmp_path: Path, path: Path) -> None:
    first, second = folders(tmp_path)

    def fail(messages: list[dict[str, Any]], times: int) -> str:
        return "empty_text" if messages[0]["content"] != "new" else ""

    with serve(fail) as server, closing(SharedCache(path)) as cache:
        for folder, rate in ((first, 1.0), (second, 0.5)):
            with opened(folder, server, cache=cache, max_error_rate=rate) as (gateway, _):
                answers = ask(gateway, *map(request, range(30)))
                assert answers == [Answer(error=CAUSES["empty_text"])] * 30
                if folder == second:
                    assert ask(gateway, request("new")) == [Answer(GOOD)]
    assert len(server.requests) == 31


def test_a_run_goes_on_without_a_cache_that_cannot_be_used(
    tmp_path: Path, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spoil(path, "no database")
    with (
        serve(answer=echo) as server,
        closing(SharedCache(path)) as cache,
        opened(tmp_path, server, cache=cache) as (gateway, _),
    ):
        assert len(ask(gateway, *map(request, range(5)))) == 5
    assert len(server.requests) == 5
    assert len(caplog.messages) == 1


@pytest.mark.parametrize("fault", ["", "http_500"])
def test_nothing_secret_is_in_the_cache(tmp_path: Path, path: Path, fault: str) -> None:
    def tell(messages: list[dict[str, Any]]) -> str:
        return "an answer"

    with serve(always(fault), tell) as server, closing(SharedCache(path)) as cache:
        with opened(tmp_path, server, cache=cache) as (gateway, _):
            ask(gateway, request("a private question"))
        kept = everything(path.parent)  # with the write-ahead log
        address = server.base_url.encode()
    kept += everything(path.parent)
    assert (b"an answer" in kept) == (fault == "")
    for secret in (KEY.encode(), b"bearer", b"authorization", b"private question", address):
        assert secret.lower() not in kept.lower()
