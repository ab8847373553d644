"""Nothing is lost and nothing is paid for twice: crashes, resumes, caps, replays."""

import json
import os
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from misbehaving_server import MisbehavingServer
from scripted_model import answer
from support import SCRIPTED, go, read_dataset, static_embedder

from lift_agent.errors import ModelError, RunFolderError, UsageError
from lift_agent.jobs.replay import first_difference, replay
from lift_agent.jobs.settings import settings_of
from lift_agent.stores.folder import held, runs_under
from lift_agent.stores.layout import HOLDER
from lift_agent.stores.ledger import MIGRATIONS, Ledger
from lift_agent.stores.vectors import VectorStore


@pytest.fixture
def quick(embedder, seeds, tmp_path):
    """Run in `tmp_path / name` with the fast embedder and without the call cache."""

    def run(name="run", **settings):
        return go(seeds, tmp_path / name, **{"embedder": embedder, "cache": False, **settings})

    return run


@pytest.fixture
def server(monkeypatch):
    """A chat server that answers everything sensibly after a moment."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with MisbehavingServer(answer, latency=(0.02, 0.1)) as server:
        yield server


def dataset(folder):
    return (folder / "dataset.jsonl").read_bytes()


def begin(*args):
    return subprocess.Popen(
        [sys.executable, "-m", "lift_agent", *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition, process):
    deadline = time.monotonic() + 120
    while not condition() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def asking(server, embedder, **settings):
    return {
        "llm": "openai:test",
        "base_url": server.base_url,
        "embedder": embedder,
        "target_size": 40,
        "round_size": 16,
        "concurrency": 8,
        **settings,
    }


def http(server, embedder, out, **settings):
    flags = asking(server, embedder, **settings)
    named = [(f"--{name.replace('_', '-')}", value) for name, value in flags.items()]
    return ["--out", out, "--no-cache", "--yes", *(part for pair in named for part in pair)]


# crashes ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_ends_with_the_same_dataset(
    server, embedder, seeds, tmp_path
):
    kills = (1, 12, 55, 90)
    for enough in kills:
        process = begin("run", seeds, *http(server, embedder, tmp_path / "killed"))
        wait_for(lambda enough=enough: len(server.requests) >= enough, process)
        process.kill()
        process.communicate()
    last = begin("run", seeds, *http(server, embedder, tmp_path / "killed"))
    _, err = last.communicate(timeout=300)
    assert last.returncode == 0, err
    assert "stopped unexpectedly in" in err
    assert "continuing the run" in err
    sent = [seen.digest for seen in server.requests]
    with closing(Ledger(tmp_path / "killed" / "ledger.sqlite")) as ledger:
        for call in ledger.calls.find():
            outcomes = [attempt.outcome for attempt in ledger.calls.attempts(call.key)]
            assert outcomes.index("answered") == len(outcomes) - 1  # none after the answer
    assert len(sent) - len(set(sent)) <= len(kills) * 8

    go(seeds, tmp_path / "whole", cache=False, **asking(server, embedder))
    assert dataset(tmp_path / "killed") == dataset(tmp_path / "whole")


@pytest.mark.slow
def test_ctrl_c_saves_says_how_to_go_on_and_resume_continues(server, embedder, seeds, tmp_path):
    process = begin("run", seeds, *http(server, embedder, tmp_path / "run"))
    wait_for(lambda: len(server.requests) >= 45, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert f"Continue: lift-agent resume {tmp_path / 'run'}" in err
    assert len(read_dataset(tmp_path / "run")) > 0
    again = begin("resume", tmp_path / "run")
    _, err = again.communicate(timeout=300)
    assert again.returncode == 0, err
    sent = [seen.digest for seen in server.requests]
    assert len(sent) == len(set(sent))  # nothing was asked twice
    go(seeds, tmp_path / "whole", cache=False, **asking(server, embedder))
    assert dataset(tmp_path / "run") == dataset(tmp_path / "whole")


@pytest.mark.slow
def test_the_same_command_in_a_new_folder_pays_for_nothing(server, embedder, seeds, tmp_path):
    flags = {"llm": "openai:test", "base_url": server.base_url, "embedder": embedder}
    first = go(seeds, tmp_path / "one", **flags)
    sent = len(server.requests)
    second = go(seeds, tmp_path / "two", **flags)
    assert len(server.requests) == sent == first.calls
    assert (second.calls, second.reused, second.tokens) == (0, first.calls, 0)
    assert dataset(tmp_path / "one") == dataset(tmp_path / "two")
    third = go(seeds, tmp_path / "three", **flags, cache=False)
    assert third.calls == first.calls == len(server.requests) - sent


# caps -------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("calls", [5, 45, 60])
def test_a_run_that_a_cap_stopped_goes_on_to_the_dataset_of_one_without(calls, quick, tmp_path):
    stopped = quick("capped", max_calls=calls)
    assert stopped.stop == "budget"
    assert stopped.calls == calls
    for more in range(calls + 10, 2000, 10):
        summary = quick("capped", max_calls=more)
        if summary.stop != "budget":
            break
    assert (summary.stop, summary.rows) == ("target", 40)
    whole = quick("whole")
    assert summary.calls == whole.calls
    assert dataset(tmp_path / "capped") == dataset(tmp_path / "whole")


@pytest.mark.slow
def test_a_budget_in_money_needs_a_price_and_is_kept(server, embedder, seeds, tmp_path):
    flags = {"llm": "openai:test", "base_url": server.base_url, "embedder": embedder}
    with pytest.raises(UsageError, match=r'--prices "openai:test=INPUT,OUTPUT"'):
        go(seeds, tmp_path / "run", budget_usd=0.01, **flags)
    assert not server.requests
    capped = go(seeds, tmp_path / "run", budget_usd=0.01, prices="openai:test=1,1", **flags)
    assert capped.stop == "budget"
    assert 0.005 < capped.cost == pytest.approx(server.tokens / 1e6)
    assert capped.cost <= 0.01


@pytest.mark.slow
def test_no_call_begins_when_the_time_is_up_and_more_time_goes_on(server, quick):
    model = {"llm": "openai:test", "base_url": server.base_url}
    assert quick(max_time="2s", concurrency=1, **model).stop == "budget"
    assert quick(max_time="2s", **model).stop == "budget"  # time counts over all starts
    assert quick(max_time="1h", **model).stop == "target"


@pytest.mark.slow
def test_a_dry_run_sends_nothing_and_estimates_what_comes(
    server, embedder, seeds, command, tmp_path
):
    flags = http(server, embedder, tmp_path / "run", prices="openai:test=1,2")
    shown = command("run", seeds, *flags, "--dry-run").stdout
    assert "Nothing was sent" in shown
    assert "judge" in shown
    assert "as you gave it" in shown
    assert not server.requests
    assert not (tmp_path / "run").exists()
    said = json.loads(command("run", seeds, *flags, "--dry-run", "--json").stdout)
    done = command("run", seeds, *flags, "--json")
    actual = json.loads(done.stdout)
    assert said["calls"][0] <= actual["calls"] <= said["calls"][1]
    assert said["tokens"][0] <= actual["tokens"] <= said["tokens"][1]
    assert said["usd"][0] <= actual["cost"] <= said["usd"][1]
    assert actual["estimate"]["calls"] == pytest.approx(said["calls"], rel=0.2)


def test_an_unknown_price_is_said(server, embedder, seeds, command, tmp_path):
    shown = command("run", seeds, *http(server, embedder, tmp_path / "run"), "--dry-run").stdout
    assert "openai:test: price unknown" in shown
    assert "unknown" in shown.split("together")[1]


@pytest.mark.slow
def test_the_paper_goes_on_where_a_cap_stopped_its_rewriting(quick, tmp_path):
    paper = {"recipe": "paper", "rounds": 1, "target_size": 5}
    assert quick("capped", max_calls=30, **paper).stop == "budget"
    assert quick("capped", **paper).stop == "target"
    quick("whole", **paper)
    assert dataset(tmp_path / "capped") == dataset(tmp_path / "whole")


@pytest.mark.slow
def test_time_that_is_up_stops_those_who_wait_for_a_place(quick, tmp_path):
    slow = tmp_path / "slow.py"
    slow.write_text(
        "import runpy, time\n"
        f"scripted = runpy.run_path({SCRIPTED.removeprefix('scripted:')!r})\n"
        "def answer(messages):\n    time.sleep(0.2)\n    return scripted['answer'](messages)\n"
    )
    summary = quick(llm=f"scripted:{slow}", max_time="3s", concurrency=2)
    assert summary.stop == "budget"
    with closing(Ledger(tmp_path / "run" / "ledger.sqlite")) as ledger:
        begun = [call.started for call in ledger.calls.find()]
    assert max(begun, default=0) - min(begun, default=0) < 3.5
    slow.write_text(slow.read_text().replace("0.2", "0.0"))
    with pytest.raises(RunFolderError, match="not the model that this run began with"):
        quick(llm=f"scripted:{slow}")


# the folder -------------------------------------------------------------------------------


def test_a_second_process_is_refused_with_the_pid_of_the_first(seeds, tmp_path):
    with held(tmp_path / "run") as before, pytest.raises(RunFolderError) as error:
        assert before is None
        go(seeds, tmp_path / "run")
    assert f"process {os.getpid()} is working in" in str(error.value)


def test_the_lock_of_a_dead_process_is_recognised(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    dead = {"pid": 4_000_000, "host": socket.gethostname(), "started": 0.0}
    (folder / HOLDER).write_text(json.dumps(dead))
    with held(folder) as before:
        assert before.pid == 4_000_000
    with held(folder) as before:
        assert before is None


@pytest.mark.slow
def test_a_finished_run_is_refused_unless_forced(quick, tmp_path):
    first = quick()
    with pytest.raises(UsageError, match=r"finished run.*--force"):
        quick()
    again = quick(force=True, target_size=30)
    assert (first.rows, again.rows) == (40, 30)


@pytest.mark.slow
def test_settings_that_differ_are_named_and_those_that_may_change_are_taken(quick):
    quick(max_calls=30)
    with pytest.raises(UsageError) as error:
        quick(seed=1, round_size=8)
    assert "round_size was 16, now 8" in str(error.value)
    assert "seed was 0, now 1" in str(error.value)
    with pytest.raises(UsageError, match="it can only grow"):
        quick(target_size=20)
    assert quick(concurrency=3, timeout=5, max_error_rate=1).rows == 40


@pytest.mark.slow
def test_a_finished_run_can_be_made_larger(quick, tmp_path):
    quick()
    larger = quick(target_size=48)
    assert (larger.rows, larger.stop) == (48, "target")
    assert len(read_dataset(tmp_path / "run")) == 48
    with pytest.raises(RunFolderError, match="extended from 40 rows to 48"):
        replay(tmp_path / "run", tmp_path / "again")


@pytest.mark.slow
def test_an_extension_that_is_killed_goes_on(server, embedder, seeds, tmp_path):
    flags = {"embedder": embedder, "cache": False, "llm": "openai:test"}
    go(seeds, tmp_path / "run", base_url=server.base_url, **flags)
    before = len(server.requests)
    more = http(server, embedder, tmp_path / "run", target_size=56)
    process = begin("run", seeds, *more)
    wait_for(lambda: len(server.requests) > before + 2, process)
    process.kill()
    process.communicate()
    assert [entry.state for entry in runs_under(tmp_path)] == ["unfinished"]
    done = go(
        seeds, tmp_path / "run", base_url=server.base_url, target_size=56, concurrency=8, **flags
    )
    assert (done.stop, done.rows) == ("target", 56)


@pytest.mark.slow
def test_another_address_is_the_same_model_and_none_is_refused(embedder, seeds, tmp_path):
    flags = {"embedder": embedder, "cache": False, "llm": "openai:test"}
    with MisbehavingServer(answer) as one, MisbehavingServer(answer) as two:
        first = go(seeds, tmp_path / "run", base_url=one.base_url, max_calls=30, **flags)
        with pytest.raises(UsageError, match=r"base_url was http.*now not set"):
            go(seeds, tmp_path / "run", **flags)
        done = go(seeds, tmp_path / "run", base_url=two.base_url, **flags)
        assert first.calls == len(one.requests) == 30
        assert done.calls == len(one.requests) + len(two.requests)
        whole = go(seeds, tmp_path / "whole", base_url=two.base_url, **flags)
        assert whole.calls == done.calls  # nothing of what the first answered was asked again
    assert first_difference(tmp_path / "run", tmp_path / "whole") == ""


@pytest.mark.slow
def test_force_takes_nothing_from_a_folder_without_a_run(quick, tmp_path):
    (tmp_path / "run" / "vectors").mkdir(parents=True)
    (tmp_path / "run" / "vectors" / "mine.txt").write_text("mine")
    quick(force=True, recipe="curate", llm="none", target_size=5)
    assert (tmp_path / "run" / "vectors" / "mine.txt").read_text() == "mine"


@pytest.mark.slow
def test_a_run_out_of_rounds_goes_on_with_more(quick):
    assert quick(target_size=90, rounds=1).stop == "rounds"
    with pytest.raises(UsageError, match="finished run"):
        quick(target_size=90, rounds=1)
    assert quick(target_size=90, rounds=2).rounds == 2


@pytest.mark.slow
def test_a_source_that_changed_is_refused_and_one_that_is_gone_is_not_needed(quick, seeds):
    quick(max_calls=30)
    text = seeds.read_text()
    seeds.write_text(text + "\n")
    with pytest.raises(UsageError, match="has changed"):
        quick()
    seeds.unlink()
    assert quick().rows == 40


@pytest.mark.slow
def test_runs_are_listed_with_their_state(quick, tmp_path, command):
    quick("done")
    quick("capped", max_calls=30)
    with held(tmp_path / "done"):
        assert [e.state for e in runs_under(tmp_path)] == ["stopped", "running"]
    listed = command("runs", tmp_path).stdout
    assert "finished: target" in listed
    assert "stopped: budget" in listed
    assert "40 of 40" in listed
    assert "no run in" in command("runs", tmp_path / "done" / "vectors").stdout
    assert "is not a folder" in command("runs", tmp_path / "absent", code=1).stderr


@pytest.mark.slow
def test_resume_takes_the_settings_of_the_run_and_those_that_are_given(quick, tmp_path, command):
    quick(max_calls=30)
    done = command("resume", tmp_path / "run", "--max-calls", 40, "--quiet", code=3)
    assert "higher cap" in done.stderr
    assert settings_of(tmp_path / "run").max_calls == 40
    assert command("resume", tmp_path / "run", "--max-calls", 4000, "--quiet").returncode == 0
    assert "finished run" in command("resume", tmp_path / "run", code=2).stderr
    assert "not the folder of a run" in command("resume", tmp_path, code=1).stderr


# the vectors ------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="the system lists no open files")
def test_a_run_gives_back_its_files_and_threads(quick):
    def held_by_us():
        return [len(list(Path("/proc/self", kind).iterdir())) for kind in ("fd", "task")]

    quick("first")
    files, threads = held_by_us()
    for name in ("second", "third", "fourth"):
        quick(name, target_size=20)
    more_files, more_threads = held_by_us()
    assert more_files <= files + 2
    assert more_threads <= threads + 4  # those of a pool that is about to end


def _lose_all(folder):
    shutil.rmtree(folder)


def _lose_some(folder):
    store = VectorStore(folder)
    store.remove(store.ids()[::3])


def _add_strangers(folder):
    store = VectorStore(folder)
    store.put(["nobody"], store.get(store.ids(1)))


def _scribble(folder):
    (folder / "chroma.sqlite3").write_bytes(b"not a database at all" * 1000)


@pytest.mark.slow
@pytest.mark.parametrize("harm", [_lose_all, _lose_some, _add_strangers, _scribble])
def test_vectors_that_were_lost_are_made_again(harm, quick, tmp_path):
    quick(max_calls=60)
    harm(tmp_path / "run" / "vectors")
    from chromadb.api.shared_system_client import SharedSystemClient

    SharedSystemClient.clear_system_cache()  # as in a new process
    assert quick().rows == 40
    quick("whole")
    assert dataset(tmp_path / "run") == dataset(tmp_path / "whole")
    with closing(Ledger(tmp_path / "run" / "ledger.sqlite")) as ledger:
        assert set(VectorStore(tmp_path / "run" / "vectors").ids()) == set(ledger.rows.ids())


@pytest.mark.slow
def test_vectors_that_are_lost_while_rows_wait_for_their_verdict_are_made_again(
    server, embedder, tmp_path
):
    # Tasks that leave a doubt, so that the first calls are those of the redundancy agent.
    seeds = tmp_path / "doubtful.jsonl"
    things = "house, barn, boat, mill, tower, bridge, cabin, castle, church, inn, hut, tent"
    row = {"input": "", "output": "It is grey and cold, and full of wind."}
    with seeds.open("w") as file:
        for thing in things.split(", "):
            ask = {"instruction": f"Describe the old {thing} by the sea."}
            file.write(json.dumps(ask | row) + "\n")
    flags = http(server, embedder, tmp_path / "run", borderline_cosine=0.75)
    process = begin("run", seeds, *flags)
    wait_for(lambda: len(server.requests) >= 4, process)
    process.kill()
    process.communicate()
    with closing(Ledger(tmp_path / "run" / "ledger.sqlite")) as ledger:
        assert len(ledger.rows.find("new")) == 12
    shutil.rmtree(tmp_path / "run" / "vectors")
    again = begin("run", seeds, *flags)
    _, err = again.communicate(timeout=300)
    assert again.returncode in (0, 3), err
    assert "vectors are missing" in err


@pytest.mark.slow
@pytest.mark.parametrize("other", [{"seed": 1}, {"dimension": 32}], ids=["weights", "dimension"])
def test_another_embedder_under_the_same_name_is_refused(other, quick, tmp_path):
    folder = tmp_path / "model"
    name = static_embedder(folder)
    quick(embedder=name, max_calls=60)
    shutil.rmtree(folder)
    assert static_embedder(folder, **other) == name
    with pytest.raises(ModelError, match="not the one that this run began with"):
        quick(embedder=name)
    with pytest.raises(UsageError, match="embedder was"):
        quick()


# a full disk, a folder without permission -------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("megabytes", [0.02, 0.2, 0.4, 0.6])
def test_a_full_disk_is_one_sentence_and_corrupts_nothing(
    megabytes, seeds, embedder, tmp_path, quick
):
    args = ("run", seeds, "--llm", SCRIPTED, "--target-size", "40", "--round-size", "16")
    flags = ("--embedder", embedder, "--no-cache", "--out", tmp_path / "run")
    size = int(megabytes * 1e6)
    done = subprocess.run(
        [sys.executable, "-m", "lift_agent", *map(str, (*args, *flags))],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == 1, done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    if (tmp_path / "run" / "ledger.sqlite").exists():
        db = sqlite3.connect(tmp_path / "run" / "ledger.sqlite")
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        db.close()
    assert quick().rows == 40
    quick("whole")
    assert dataset(tmp_path / "run") == dataset(tmp_path / "whole")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_one_sentence(seeds, tmp_path, command):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    args = ("run", seeds, "--recipe", "curate", "--llm", "none", "--out")
    assert "cannot make the run folder" in command(*args, closed / "run", code=1).stderr
    assert "cannot write in" in command(*args, closed, code=1).stderr


@pytest.mark.slow
def test_a_cache_that_cannot_be_used_is_said_and_done_without(seeds, embedder, tmp_path, command):
    (tmp_path / "file").write_text("")
    done = command(
        *("run", seeds, "--llm", SCRIPTED, "--embedder", embedder, "--round-size", 16),
        *("--target-size", 40, "--out", tmp_path / "run"),
        LIFT_AGENT_CACHE=str(tmp_path / "file" / "cache"),
    )
    assert done.stderr.count("cannot use the call cache") == 1


# versions ---------------------------------------------------------------------------------


def test_an_older_ledger_is_migrated_and_goes_on(quick, tmp_path):
    path = tmp_path / "old.sqlite"
    db = sqlite3.connect(path, isolation_level=None)
    MIGRATIONS[0](db)
    db.execute("PRAGMA user_version = 1")
    db.execute(
        "INSERT INTO calls VALUES ('k', 'judge', 'judge@1', 'row', 0, 'm', '{}', 'yes', 'stop',"
        " '', 10, 5, 0.25, 1.0, 3, 99.0)"
    )
    db.close()
    with closing(Ledger(path)) as ledger:
        (call,) = ledger.calls.find()
        assert (call.response, call.reused, call.attempts) == ("yes", False, 3)
        spent = ledger.calls.spent()
        assert (spent.calls, spent.tokens, spent.usd) == (3, 15, 0.25)
        assert ledger.calls.attempts("k")[0].outcome == "answered"
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)


def test_a_newer_ledger_is_refused_with_the_version_that_is_needed(tmp_path):
    path = tmp_path / "new.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    with pytest.raises(RunFolderError, match=rf"ledger version {len(MIGRATIONS) + 1}.*upgrade"):
        Ledger(path)


# replay -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_replay_gives_the_same_dataset_with_no_model_and_no_sources(
    server, seeds, tmp_path, command
):
    model = tmp_path / "model"
    command("run", seeds, *http(server, static_embedder(model), tmp_path / "run"))
    sent = len(server.requests)
    shutil.rmtree(model)
    seeds.unlink()
    done = command("replay", tmp_path / "run", "--out", tmp_path / "again", "--verify")
    assert "equal, byte for byte" in done.stdout
    assert dataset(tmp_path / "run") == dataset(tmp_path / "again")
    assert len(server.requests) == sent
    refused = command("replay", tmp_path / "run", "--out", tmp_path / "again", code=2).stderr
    assert "is not empty" in refused


@pytest.mark.slow
@pytest.mark.parametrize("calls", [20, 44, 60])
def test_a_run_that_stopped_short_is_replayed_to_the_same_end(calls, quick, tmp_path):
    stopped = quick(max_calls=calls)
    again = replay(tmp_path / "run", tmp_path / "again")
    assert (again.stop, again.rows) == (stopped.stop, stopped.rows) == ("budget", stopped.rows)
    assert first_difference(tmp_path / "run", tmp_path / "again") == ""


@pytest.mark.slow
def test_a_replay_of_a_ledger_that_was_changed_is_noticed(quick, tmp_path, command):
    quick()
    with closing(sqlite3.connect(tmp_path / "run" / "ledger.sqlite")) as db, db:
        db.execute("DELETE FROM calls WHERE key = (SELECT MIN(key) FROM calls)")
    with pytest.raises(ModelError, match="has no call"):
        replay(tmp_path / "run", tmp_path / "again")
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "dataset.jsonl").write_text("1\n2\n")
    (tmp_path / "b" / "dataset.jsonl").write_text("1\n3\n")
    assert "differ from line 2" in first_difference(tmp_path / "a", tmp_path / "b")


@pytest.mark.slow
def test_a_replay_is_not_gone_on_with(quick, tmp_path, command):
    quick(max_calls=44)
    replay(tmp_path / "run", tmp_path / "again")
    assert "holds a replay" in command("resume", tmp_path / "again", code=2).stderr


def test_a_run_that_has_not_ended_is_not_replayed(tmp_path):
    with pytest.raises(RunFolderError, match="not the folder of a run"):
        replay(tmp_path, tmp_path / "again")
