"""A row's story, the margins of the selection, subspaces, and two runs side by side."""

import json
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lift_agent.geometry.selection import ranking_margins, select
from lift_agent.stores.folder import held
from lift_agent.stores.layout import LEDGER, VECTORS
from lift_agent.stores.ledger import Ledger
from lift_agent.stores.queries.subspaces import subspace_reports
from lift_agent.stores.vectors import VectorStore
from lift_agent.views.story import story_of
from lift_agent.views.why import nearest_in


@pytest.fixture
def ledger(inspected):
    with closing(Ledger(inspected / LEDGER)) as opened:
        yield opened


def test_the_story_of_a_generated_row_is_whole_and_in_order(inspected, ledger, command):
    row = next(r for r in ledger.dataset.rows() if r.strategy == "fusion")
    place = next(s for s in ledger.rounds.subspaces(row.round) if s.id == row.subspace)
    told = command("why", inspected, row.id[:11]).stdout
    task = ledger.rounds.task_of(row.id)
    calls = ledger.calls.find(subjects=[task.id, row.id])
    _, distance = ledger.rows.landing(row.id)
    parts = [
        row.id,
        f"generated in round {row.round} by fusion ({task.rule})",
        *row.parents,
        place.name,
        place.brief[:40],
        *(call.key[:10] for call in calls if call.agent == "generator"),
        f"{distance:.3f} from the centre, radius {place.radius:.3f}",
        "its nearest neighbours",
        "redundancy: not a duplicate",
        *(call.key[:10] for call in calls if call.agent == "judge"),
        f"final {ledger.judgements.scores()[row.id].final:.1f}",
        f"chosen as number {ledger.dataset.rank(row.id)}",
        f"{len(calls)} calls, ",
    ]
    places = [told.find(part) for part in parts]
    assert -1 not in places, parts[places.index(-1)]
    assert places == sorted(places)
    facts = json.loads(command("why", inspected, row.id, "--json").stdout)
    assert facts["row"]["instruction"] == row.instruction
    assert {step["kind"] for step in facts["steps"]} >= {"call", "landing", "selection"}
    dated = [step["when"] for step in facts["steps"] if step["when"]]
    assert dated == sorted(dated)


def test_a_dropped_row_names_the_one_that_it_repeats(inspected, ledger, command):
    dropped = ledger.rows.find("duplicate")[0]
    told = command("why", inspected, dropped.id).stdout
    assert f"it repeats {ledger.judgements.verdict(dropped.id).other}" in told
    assert f"seeds.jsonl, line {dropped.line}" in told
    assert "selector" not in told


def test_a_text_finds_rows_and_several_are_listed(inspected, ledger, command):
    assert "a seed row: " in command("why", inspected, "THING NUMBER 17.").stdout
    listed = command("why", inspected, "thing number 2").stdout
    hits = [row.id for row in ledger.rows.find() if "thing number 2" in row.task + row.output]
    assert len(hits) > 5
    assert all(id in listed for id in hits[:20])
    assert "name one by its id" in command("why", inspected, "thing", "--json", code=2).stderr
    assert "none has it in its text" in command("why", inspected, "100% nothing_", code=2).stderr


def test_neighbours_are_the_nearest_rows_unless_a_run_holds_the_vectors(inspected, ledger):
    row, store = ledger.rows.find("accepted")[3], VectorStore(inspected / VECTORS)
    ids = [id for id in store.ids() if id != row.id]
    cosines = store.get(ids) @ store.get([row.id])[0]
    steps = story_of(ledger, row, nearest_in(inspected)).steps
    found = [step.facts["cosine"] for step in steps if step.kind == "neighbour"]
    assert np.allclose(found, np.sort(cosines)[::-1][:5], atol=1e-5)
    with held(inspected):
        steps = story_of(ledger, row, nearest_in(inspected)).steps
    said = next(s.said for s in steps if s.kind == "neighbour")
    assert said.startswith("a process is working")


def test_every_row_of_the_pool_knows_by_how_much_it_was_in_or_out(ledger):
    for row in ledger.rows.find("accepted"):
        margin = ledger.dataset.margin(row.id)
        said = story_of(ledger, row).steps[-1].said
        if ledger.dataset.rank(row.id):
            assert margin is None or margin >= 0
            assert "ahead of the next best" in said or "no other row was left" in said
        else:
            assert "below the last one chosen" in said or "max_seed_share" in said
    left = [row for row in ledger.rows.find("accepted") if not ledger.dataset.rank(row.id)]
    assert left, "the run left nothing out to tell it by"


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.integers(1, 30))
def test_margins_of_a_ranking_part_the_chosen_from_the_rest(values, count):
    found = np.asarray(values, dtype=float)
    order = [int(i) for i in np.argsort(-found, kind="stable")[:count]]
    margins = ranking_margins(found, order)
    out = sorted(set(range(len(values))) - set(order))
    assert np.isnan(margins).all() if not out else not np.isnan(margins).any()
    assert (margins[order] >= 0).all() or not out
    assert (margins[out] <= 0).all()


def test_the_next_in_line_is_who_would_have_been_chosen():
    rng = np.random.default_rng(3)
    vectors = rng.standard_normal((60, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    quality, free = rng.random(60), np.zeros(60, dtype=bool)
    choice = select(vectors, quality, 20, 0.5, capped=free, cap=0)
    out = sorted(set(range(60)) - set(choice.order))
    assert not np.isnan(choice.margins).any()
    assert (choice.margins[choice.order] >= 0).all()
    # Quality alone sets apart two rows in the same place.
    twins = np.concatenate([vectors, vectors[out[:1]]])
    better = select(twins, np.append(quality, 0.0), 20, 0.5, capped=np.zeros(61, dtype=bool), cap=0)
    assert better.margins[60] < better.margins[out[0]]


def test_subspaces_add_up_to_what_the_tasks_brought(inspected, ledger, command):
    found = subspace_reports(ledger)
    assert {(r.subspace.round, r.subspace.id) for r in found} == {
        (s.round, s.id) for s in ledger.rounds.subspaces()
    }
    aimed = [row for row in ledger.rows.find(origin="generated") if row.subspace]
    assert sum(r.generated for r in found) == len(aimed)
    tasks = {t.id: t for round in (1, 2) for t in ledger.rounds.tasks(round) if t.subspace}
    about = {*tasks, *(row.id for row in aimed), *(r.subspace.id for r in found)}
    paid = [c for c in ledger.calls.find() if c.subject in about and not c.reused]
    assert sum(r.tokens for r in found) == sum(c.input_tokens + c.output_tokens for c in paid)
    assert sum(r.landed for r in found) == sum(ledger.rows.landing(row.id)[0] for row in aimed)
    accepted = sum(r.accepted for r in found)
    assert accepted == sum(ledger.rows.status(row.id)[0] == "accepted" for row in aimed)
    for region in found:
        assert 0 < region.before <= region.after <= 1.0001
        assert len(region.examples) == min(3, region.generated)
    told = [
        json.loads(line)
        for line in command("subspaces", inspected, "--json").stdout.split("\n")
        if line
    ]
    assert [r["accepted"] for r in told] == [r.accepted for r in found]
    shown = command("subspaces", inspected).stdout
    assert all(r.subspace.name in shown for r in found)


def test_two_runs_are_set_side_by_side(inspected, ledger, command):
    first = inspected.parent / "first"
    found = json.loads(command("diff", first, inspected, "--json").stdout)
    assert set(found["settings"]) == {"llm", "judge_llm"}
    with closing(Ledger(first / LEDGER)) as other:
        both = {row.id for row in ledger.dataset.rows()} & {row.id for row in other.dataset.rows()}
    assert found["common"]["dataset"] == len(both) > 0
    assert found["one"]["coverage"]["dataset"]["rows"] == found["one"]["rows"]
    shown = command("diff", first, inspected).stdout
    assert "Vendi score" in shown and f"{len(both)} in the dataset" in shown
