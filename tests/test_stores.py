"""The ledger and the vectors: idempotent writes, versions, what comes back."""

import json
import sqlite3
from dataclasses import fields, replace
from typing import get_type_hints

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lift_agent.errors import RunFolderError
from lift_agent.formats.writing.shapes import alpaca, whole
from lift_agent.formats.writing.writers import story
from lift_agent.records import (
    Call,
    DraftFault,
    GenerationTask,
    Layer,
    Reason,
    Row,
    Score,
    Subspace,
    Tally,
    TrackRecord,
    UnusableRecord,
    Verdict,
    Why,
    row_id,
)
from lift_agent.records.facts import FactChanges, RunFacts
from lift_agent.stores.files import replace_file
from lift_agent.stores.ledger import MIGRATIONS, Ledger
from lift_agent.stores.queries.rows import RowFilter, count, page
from lift_agent.stores.vectors import VectorStore

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
ROWS = st.builds(
    Row,
    id=st.uuids().map(str),
    position=st.integers(0, 10**6),
    instruction=TEXT,
    input=TEXT,
    output=TEXT,
    system=TEXT,
    history=st.lists(st.tuples(TEXT, TEXT), max_size=2).map(tuple),
    origin=st.sampled_from(["seed", "generated"]),
    source=TEXT,
    line=st.integers(0, 10**6),
    extra=st.dictionaries(TEXT, JSON, max_size=3),
    round=st.integers(0, 99),
    strategy=st.sampled_from(["", "fusion", "deepen", "answer"]),
    parents=st.lists(TEXT, max_size=3).map(tuple),
    subspace=TEXT,
)


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    yield ledger
    ledger.close()


def a_row(i, **fields):
    return Row(id=f"row{i}", position=i, instruction=f"Do {i}", input="", output="Done", **fields)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.lists(ROWS, max_size=6, unique_by=(lambda r: r.id, lambda r: r.position)))
def test_rows_come_back_as_they_were_in_order_however_often_they_are_added(rows):
    ledger = Ledger(":memory:")
    ledger.rows.add(rows)
    ledger.rows.add(rows)
    assert ledger.rows.find() == sorted(rows, key=lambda row: row.position)
    assert ledger.rows.by_id([row.id for row in rows]) == {row.id: row for row in rows}
    ledger.close()


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(TEXT, TEXT.filter(bool), TEXT, st.sampled_from(["instruction", "input", "output"]))
def test_a_row_is_found_by_each_piece_of_its_texts_whatever_the_case(before, piece, after, field):
    ledger = Ledger(":memory:")
    row = Row("row", 0, "", "", "")
    ledger.rows.add([replace(row, **{field: before + piece + after}), replace(row, id="other")])
    swapped = "".join(c.swapcase() if c.isascii() else c for c in piece)
    wanted = RowFilter(text=swapped)
    assert [line.id for line in page(ledger, wanted)] == ["row"]
    assert count(ledger, wanted) == 1
    ledger.close()


def test_a_row_is_found_by_the_beginning_of_its_id(ledger):
    ledger.rows.add([a_row(1), a_row(2)])
    assert [line.id for line in page(ledger, RowFilter(text="ROW2"))] == ["row2"]
    assert not page(ledger, RowFilter(text="w2"))


def test_a_verdict_sets_the_status_only_of_rows_that_are_new(ledger):
    ledger.rows.add([a_row(0), a_row(1)])
    verdicts = [
        Verdict("row0", False, Layer.NONE),
        Verdict("row1", True, Layer.EXACT, "row0", 1.0),
    ]
    ledger.judgements.add_verdicts(verdicts)
    ledger.rows.set_statuses([("row0", "accepted", "")])
    ledger.judgements.add_verdicts(verdicts)
    assert ledger.rows.status("row0") == ("accepted", Why())
    assert ledger.rows.status("row1") == ("duplicate", Why(Layer.EXACT))
    assert ledger.judgements.verdict("row1") == verdicts[1]


def test_a_failed_judgement_quarantines_its_row_and_is_no_score(ledger):
    ledger.rows.add([a_row(0)])
    ledger.judgements.add_scores([Score("row0", failed="the answer is empty")])
    why = Why(Reason.JUDGE_FAILED, "the answer is empty")
    assert ledger.rows.status("row0") == ("quarantined", why)


def test_a_round_is_planned_once_and_its_tasks_are_finished_with_their_row(ledger):
    place = Subspace("s-1", 1, (0.6, 0.8), 0.1, 0.5, ("row0",), (), "name", "brief", 2)
    tasks = [
        GenerationTask(f"r1-{i}", 10 + i, 1, "fusion", ("row0", f"row{i}"), "s-1", "one inside")
        for i in (1, 2)
    ]
    for _ in range(2):
        ledger.rounds.plan(1, [place], tasks)
    assert ledger.rounds.tasks(1) == tasks
    found = ledger.rounds.subspaces(1)[0]
    assert np.allclose(found.centre, place.centre)
    assert (found.name, found.quota, found.members) == ("name", 2, ("row0",))
    made = a_row(10, origin="generated", round=1, subspace="s-1")
    ledger.rounds.finish_task("r1-1", "row", Why(), "Do 10", made)
    fault = Why(DraftFault.CUT_SENTENCE)
    ledger.rounds.finish_task("r1-2", "rejected", fault, "Do", None)
    assert ledger.rounds.tasks(1, pending=True) == []
    assert ledger.rounds.task_outcomes() == {("row", Why()): 1, ("rejected", fault): 1}
    assert ledger.rounds.task_of("row10") == tasks[0]
    assert ledger.rounds.used_parents() == {
        frozenset({"row0", "row1"}),
        frozenset({"row0", "row2"}),
    }
    assert ledger.rows.next_position() == 13
    ledger.rows.set_statuses([("row10", "accepted", "")])
    ledger.rows.set_landing({"row10": (True, 0.05)})
    ledger.rounds.close(1, pool=5)
    names = ("round", "planned", "written", "landed", "accepted", "filled", "pool")
    assert ledger.rounds.all() == [dict(zip(names, (1, 2, 1, 1, 1, 1, 5), strict=True))]
    assert ledger.rounds.track_records() == {"s-1": TrackRecord(tried=2, accepted=1, landed=1)}
    assert ledger.rounds.tallies() == {("s-1", "fusion", "one inside"): Tally(2, 1, 1, 1, 1)}
    ledger.rows.set_landing(
        {"row10": (False, 0.5)}
    )  # accepted, but elsewhere: the quota is not filled
    assert ledger.rounds.track_records() == {"s-1": TrackRecord(tried=2, accepted=1, landed=0)}


def test_calls_come_back_and_a_later_try_replaces_a_failure(ledger):
    call = Call("key1", "judge", "judge@1", "row0", 0, "m", {"messages": [["user", "é\ud83d"]]})
    with pytest.raises(UnicodeEncodeError):
        ledger.calls.add_call(call)
    call = Call(
        "key1", "judge", "judge@1", "row0", 0, "m", {"messages": [["user", "é"]]}, error="x"
    )
    ledger.calls.add_call(call)
    assert ledger.calls.call("key1") == call
    assert ledger.calls.usage()["judge"]["failed"] == 1
    ledger.calls.add_call(replace(call, error="", response="yes"))
    assert ledger.calls.call("key1").response == "yes"
    assert ledger.calls.usage()["judge"]["failed"] == 0
    call = ledger.calls.call("key1")
    assert ledger.calls.find(key="key") == [call]
    assert ledger.calls.call("other") is None


def test_the_ledger_is_write_ahead_logged_and_versioned(tmp_path, ledger):
    db = sqlite3.connect(tmp_path / "ledger.sqlite")
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)


def test_a_newer_ledger_is_refused_and_a_broken_one_named(tmp_path):
    path = tmp_path / "ledger.sqlite"
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    db.close()
    with pytest.raises(RunFolderError, match="newer lift-agent"):
        Ledger(path)
    path.write_bytes(b"this is no database at all" * 100)
    with pytest.raises(RunFolderError, match="cannot open the ledger"):
        Ledger(path)


def test_unusable_records_are_kept_with_their_place(ledger):
    rejects = [
        UnusableRecord("a.jsonl", 3, "not JSON", "{"),
        UnusableRecord("a.jsonl", 7, "empty", "{}"),
    ]
    ledger.sources.add_unusable(enumerate(rejects))
    ledger.sources.add_unusable(enumerate(rejects))
    assert ledger.sources.unusable() == rejects


def test_facts_come_back_one_at_a_time_and_none_forgets_one(ledger):
    assert ledger.facts.read() == RunFacts()
    ledger.facts.update(run_id="a", target=3, stop="budget", longest=2.5, repeated=["x", "y"])
    ledger.facts.update(stop=None, seconds=1.5)
    found = ledger.facts.read()
    assert found == RunFacts("a", target=3, longest=2.5, repeated=["x", "y"], seconds=1.5)
    assert found.setting("seed", 7) == 7 and found.settings is None
    assert get_type_hints(FactChanges).keys() == {field.name for field in fields(RunFacts)}


def test_vectors_come_back_bit_for_bit_in_the_order_asked(tmp_path):
    store = VectorStore(tmp_path / "vectors")
    vectors = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    ids = [f"row{i}" for i in range(50)]
    store.put(ids[:30], vectors[:30])
    store.put(ids, vectors)
    assert np.array_equal(store.get(ids[::-1]), vectors[::-1])
    assert store.missing([*ids, "other"]) == ["other"]
    assert len(store.get([])) == 0
    with pytest.raises(KeyError):
        store.get(["other"])


def test_a_row_is_written_with_its_columns_and_its_own_texts_win():
    row = a_row(1, source="a.json", line=4, extra={"output": None, "id": 7, "lift": {"old": 1}})
    told = story(row, Score("row1", 80, 50, 77, {"clarity": 9}, "Good."), "")
    written = whole(row, alpaca, told)
    assert written["output"] == "Done"
    assert written["id"] == 7
    assert written["lift"]["previous"] == {"old": 1}
    assert written["lift"]["scores"]["final"] == 77
    assert json.loads(json.dumps(written)) == written


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "dataset.jsonl"
    replace_file(path, "first\n")
    with pytest.raises(UnicodeEncodeError):
        replace_file(path, "second \ud83d\n")
    assert path.read_text() == "first\n"


@given(TEXT, TEXT, TEXT)
def test_ids_follow_the_text_and_fold_white_space(instruction, input, output):
    id = row_id(instruction, input, output)
    assert id == row_id(f"  {instruction}\n", input, output)
    assert id != row_id(instruction, input, output, occurrence=1)
    assert len(id) == 16
