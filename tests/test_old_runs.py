"""Runs of ledger version 11, made before the package's rooms were parted anew, still serve.

`tests/data/ledger-11.tar.xz` holds two runs over the same seeds by the same scripted model and the
default embedder: one that reached its target, and one that `--max-calls 60` stopped.
"""

import asyncio
import json
import re
import sqlite3
import tarfile
from contextlib import closing

import aiohttp
import pytest
from support import TESTS, read_dataset

from lift_agent.stores.layout import LEDGER
from lift_agent.stores.ledger import Ledger
from lift_agent.views.server import serve

FINISHED, STOPPED = "finished", "stopped"


@pytest.fixture
def old(tmp_path):
    """The folder of both runs, where commands are called."""
    with tarfile.open(TESTS / "data" / "ledger-11.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    assert asked(tmp_path, FINISHED, "PRAGMA user_version") == [(11,)]
    return tmp_path


def asked(folder, run, question):
    """What a ledger holds, as SQLite reads it: nothing is migrated."""
    with closing(sqlite3.connect(folder / run / "ledger.sqlite")) as db:
        return db.execute(question).fetchall()


def records(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_its_calls_are_listed_and_shown(old, command):
    keys = {key for (key,) in asked(old, FINISHED, "SELECT key FROM calls")}
    told = records(command("trace", FINISHED, "--json"))
    assert {record["key"] for record in told if record["kind"] == "call"} == keys
    shown = command("trace", FINISHED).stdout
    for agent in ("analyst", "generator", "judge"):
        assert agent in shown
    key, response = asked(
        old, FINISHED, "SELECT key, response FROM calls WHERE agent = 'judge' ORDER BY key"
    )[0]
    whole = command("trace", FINISHED, key).stdout
    assert json.loads(response)["reason"] in whole
    assert "parsed result" in whole


@pytest.mark.slow
def test_rows_of_every_kind_tell_their_story(old, command):
    made = next(r for r in read_dataset(old / FINISHED) if r["lift"]["origin"] == "generated")
    told = command("why", FINISHED, made["lift"]["id"]).stdout
    assert all(parent in told for parent in made["lift"]["parents"])
    assert "selector: in the dataset" in told
    assert "its nearest neighbours" in told
    ((repeats,), *_) = asked(old, FINISHED, "SELECT id FROM rows WHERE status = 'duplicate'")
    assert "it repeats" in command("why", FINISHED, repeats).stdout
    for (id,) in asked(old, FINISHED, "SELECT MIN(id) FROM rows GROUP BY origin, status, reason"):
        assert records(command("why", FINISHED, id, "--json"))[0]["row"]["id"] == id


def test_its_subspaces_are_listed(old, command):
    names = asked(old, FINISHED, "SELECT id, name FROM subspaces ORDER BY round, id")
    told = records(command("subspaces", FINISHED, "--json"))
    assert sorted((record["id"], record["name"]) for record in told) == sorted(names)
    shown = command("subspaces", FINISHED).stdout
    assert all(name in shown for _, name in names)


def test_it_is_reported(old, command):
    command("report", FINISHED)
    text = (old / FINISHED / "report.html").read_text(encoding="utf-8")
    assert "44 of 44 rows" in text
    assert "stopped with <b>target</b>" in text


def test_both_are_listed_with_their_state(old, command):
    listed = command("runs", ".").stdout
    assert re.search(r"finished .*44 of 44", listed)
    assert "finished: target" in listed
    assert "stopped: budget" in listed


def test_its_page_is_served(old):
    rows = read_dataset(old / FINISHED)
    keys = asked(old, FINISHED, "SELECT key FROM calls LIMIT 3")

    async def looked():
        told = []
        with closing(Ledger(old / FINISHED / LEDGER)) as ledger:
            runner = await serve(ledger, old / FINISHED, 0, told.append)
            try:
                async with aiohttp.ClientSession(told[0]) as session:
                    return [await answer(session, path) for path in paths]
            finally:
                await runner.cleanup()

    async def answer(session, path):
        async with session.get(path) as found:
            assert found.status == 200, path
            return await found.json() if path.startswith("api/") else await found.text()

    paths = ["", "view.js", "api/run", "api/rows?fate=chosen", "api/map", "api/calls"]
    paths += [f"api/rows/{row['lift']['id']}" for row in rows[:3]]
    paths += [f"api/calls/{key}" for (key,) in keys]
    _, _, run, chosen, points, calls, *each = asyncio.run(looked())
    assert (run["summary"]["rows"], run["summary"]["stop"]) == (44, "target")
    assert chosen["count"] == 44
    mapped = asked(old, FINISHED, "SELECT COUNT(*) FROM rows WHERE x IS NOT NULL")[0][0]
    assert len(points["points"]) == mapped > 44
    assert calls["calls"]
    assert [told["row"]["id"] for told in each[:3]] == [row["lift"]["id"] for row in rows[:3]]
    assert [told["call"]["key"] for told in each[3:]] == [key for (key,) in keys]


def test_the_two_are_set_side_by_side(old, command):
    (found,) = records(command("diff", FINISHED, STOPPED, "--json"))
    assert found["settings"]["max_calls"] == [None, 60]
    one, two = (read_dataset(old / run) for run in (FINISHED, STOPPED))
    both = {row["lift"]["id"] for row in one} & {row["lift"]["id"] for row in two}
    assert found["common"]["dataset"] == len(both) > 0
    assert (found["one"]["rows"], found["other"]["rows"]) == (len(one), len(two))
    assert "Vendi score" in command("diff", FINISHED, STOPPED).stdout


def test_it_is_exported(old, command):
    command("export", FINISHED, "--format", "messages.jsonl", "--to", "out", "--test-share", 0.1)
    made = [
        json.loads(line)
        for split in ("train", "test")
        for line in (old / "out" / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    ids = sorted(row["lift"]["id"] for row in read_dataset(old / FINISHED))
    assert sorted(row["lift"]["id"] for row in made) == ids
    assert all(row["messages"] for row in made)


@pytest.mark.slow
def test_it_is_replayed_to_the_same_bytes(old, command):
    done = command("replay", FINISHED, "--out", "again", "--verify")
    assert "equal, byte for byte" in done.stdout
    again, before = ((old / run / "dataset.jsonl").read_bytes() for run in ("again", FINISHED))
    assert again == before


@pytest.mark.slow
def test_the_one_that_was_stopped_goes_on_and_asks_nothing_again(old, command, minilm):
    begun = "SELECT * FROM attempts ORDER BY rowid"
    answers = "SELECT key, response, error FROM calls"
    before, attempts = dict_of(asked(old, STOPPED, answers)), asked(old, STOPPED, begun)
    assert len(before) == len(attempts) == 60
    command("resume", STOPPED, "--max-calls", "500")
    assert len(read_dataset(old / STOPPED)) == 44
    after = dict_of(asked(old, STOPPED, answers))
    assert len(after) > 60
    assert {key: after[key] for key in before} == before
    assert asked(old, STOPPED, begun)[:60] == attempts
    keys = [key for (key,) in asked(old, STOPPED, "SELECT key FROM attempts")]
    assert len(keys) == len(set(keys)) == len(after)
    assert "finished: target" in command("runs", ".").stdout


def dict_of(found):
    return {key: rest for key, *rest in found}
