"""Which rows enter the pool, leave it, or are judged at all; and what agents will ask."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_agents import a_row

from lift_agent.agents import generator, judge, probes, redundancy, subspace_naming
from lift_agent.agents.acceptance import (
    REPEATED,
    Decision,
    acceptance,
    copies_of_parents,
    left_out,
    rejected_for,
    repeatedly_judged,
    taken_back,
)
from lift_agent.agents.forecasts import Forecast
from lift_agent.agents.prompts import load
from lift_agent.agents.selector import Selector
from lift_agent.geometry.neighbours import unit
from lift_agent.records import Score, ScreeningResult
from lift_agent.records.codes import Reason
from lift_agent.records.ranges import Range


def rows_of(count, **fields):
    return [a_row(f"Row {i}", position=i, **fields) for i in range(count)]


def scored(rows, *finals):
    return {row.id: Score(row.id, final=f) for row, f in zip(rows, finals, strict=True)}


@pytest.mark.parametrize(
    ("score", "before", "reason"),
    [
        (Score("a", final=80), None, None),
        (Score("a", final=80, concatenation=True), None, Reason.CONCATENATION),
        (Score("a", final=49), None, Reason.LOW_SCORE),
        (Score("a", final=50), None, None),
        (Score("a", final=80), Score("p", final=80), Reason.NO_BETTER),
        (Score("a", final=80), Score("p", final=79), None),
        (Score("a", final=40, concatenation=True), Score("p", final=90), Reason.CONCATENATION),
        (Score("a", final=40), Score("p", final=90), Reason.LOW_SCORE),
    ],
)
def test_a_scored_row_is_rejected_for_one_reason(score, before, reason):
    assert rejected_for(score, before, lowest=50) == reason


def test_rows_without_a_score_wait_and_no_limit_lets_every_score_in():
    rows = rows_of(3)
    scores = scored(rows[:2], 0, 3)
    decided = acceptance(rows, scores, lambda _: False)
    assert decided == [Decision(row.id, "accepted") for row in rows[:2]]
    assert acceptance(rows, scores, lambda _: False, lowest=3)[0].reason == Reason.LOW_SCORE


@pytest.mark.parametrize("in_pool", [True, False])
def test_a_better_answer_takes_its_parents_place_in_the_pool(in_pool):
    parent, other = rows_of(2)
    answer = replace(a_row("Row 0", "More."), id="new", strategy="answer", parents=(parent.id,))
    fused = replace(a_row("Row 7"), strategy="fusion", parents=(parent.id, other.id))
    scores = scored([parent, answer, fused], 60, 61, 61)
    decided = acceptance([answer, fused], scores, {parent.id: in_pool}.__getitem__)
    replaced = [Decision(parent.id, "rejected", Reason.REPLACED)] if in_pool else []
    assert decided == [
        Decision("new", "accepted"),
        *replaced,
        Decision(fused.id, "accepted"),
    ]
    poorer = acceptance([answer], scored([parent, answer], 60, 60), lambda _: True)
    assert poorer == [Decision("new", "rejected", Reason.NO_BETTER)]


def test_a_fused_row_on_one_of_its_parents_is_a_copy():
    rows = rows_of(2)
    vectors = unit(np.asarray([[1, 0.1], [1, 1]], dtype=np.float32))
    parents = [np.eye(2, dtype=np.float32)] * 2
    copies = copies_of_parents(rows, vectors, parents)
    assert copies == [Decision(rows[0].id, "rejected", Reason.COPY_OF_PARENT)]


@given(st.integers(0, 80), st.integers(0, 99))
def test_the_rows_judged_repeatedly_are_drawn_once_and_the_same_again(count, seed):
    rows = rows_of(count)
    drawn = repeatedly_judged(rows, seed)
    assert len(set(drawn)) == len(drawn) == min(REPEATED, count)
    assert set(drawn) <= {row.id for row in rows}
    assert drawn == repeatedly_judged(rows, seed)


def checked(rows, points):
    pairs = zip(rows, points, strict=True)
    return {row.id: ScreeningResult(row.id, parts={"all": float(p)}) for row, p in pairs}


@given(st.lists(st.integers(0, 3), max_size=20), st.floats(0, 1), st.integers(-2, 25))
def test_the_lowest_ranked_rows_are_left_out_beyond_the_share_and_what_is_missing(
    points, share, missing
):
    rows = rows_of(len(points))
    checks = checked(rows, points)
    decided = left_out(rows, checks, share, missing)
    judged = max(math.ceil(share * len(rows)), missing)
    assert len(decided) == max(0, len(rows) - max(judged, 0))
    assert all(d[1:] == ("rejected", Reason.NOT_JUDGED) for d in decided)
    out = {decision.row for decision in decided}
    ins = [checks[row.id].points for row in rows if row.id not in out]
    assert all(checks[id].points <= low for id in out for low in ins)


def test_rows_are_taken_back_as_far_as_they_fill_the_target():
    selector = Selector(4, 0.5, 0.5)
    seeds = rows_of(4, origin="seed")
    made = [replace(row, id=f"g{i}", origin="generated") for i, row in enumerate(rows_of(4))]
    checks = checked([*seeds, *made], [1, 9, 2, 3, 4, 8, 5, 6])

    def back(left, pool):
        return [row.id for row in taken_back(left, pool, checks, selector.fillable_count, 4)]

    # The seeds' share is full: only generated rows fill what is missing, the best of them.
    assert back([*seeds[2:], *made[1:]], [*seeds[:2], made[0]]) == ["g1"]
    assert back([*seeds[1:], *made], []) == [seeds[1].id, "g1", "g3", "g2"]
    assert back(seeds[2:], seeds[:2]) == []
    assert back([], seeds[:1]) == []
    assert back(made[2:], [*seeds[:2], *made[:2]]) == []


# What agents will ask ----------------------------------------------------------------------


def test_a_forecast_counts_the_prompt_its_texts_and_what_the_model_may_write():
    forecast = Forecast("judge", "judge", Range(1, 2), text_bytes=500)
    prompt = load("judge")
    size = 500 + sum(len(text.encode()) for _, text in prompt.turns)
    read, wrote = forecast.tokens(small=False, compact=False, max_tokens=math.inf)
    assert read == Range(size / 5, size / 3)
    assert wrote == Range(0.15 * prompt.max_tokens, 0.7 * prompt.max_tokens)
    assert forecast.tokens(small=True, compact=True, max_tokens=10)[1] == Range(1.5, 7)
    assert forecast.tokens(small=True, compact=True, max_tokens=10)[0].high < read.high


def test_each_agent_forecasts_its_own_calls():
    tasks, rows = Range(10, 20), Range(90, 100)
    drafts, answers = generator.forecast(tasks, 100, rewriting=False)
    assert (drafts.prompt, drafts.calls, drafts.text_bytes) == ("fuse", Range(7.5, 20), 200)
    assert (answers.prompt, answers.calls, answers.small_prompt) == (
        "answer",
        Range(5, 20),
        "answer_small",
    )
    assert generator.forecast(tasks, 100, rewriting=True)[0].prompt == "deepen"
    [scores] = judge.forecast(rows, rows, 300, samples=1, tie_breaks=0)
    assert (scores.calls.low, scores.calls.high) == (90, pytest.approx(110))
    again, pairs = judge.forecast(rows, rows, 300, samples=3, tie_breaks=5)
    assert again.calls.low == 90 + 2 * REPEATED
    assert (pairs.prompt, pairs.calls.low, pairs.text_bytes) == ("compare", 0, 600)
    [doubts] = redundancy.forecast(rows, Range(0, 50), Range(0.1, 0.2), 100)
    assert doubts.calls == Range(9, 100 * 0.2 + 5)
    [names] = subspace_naming.forecast(6, 2)
    assert names.calls == Range(1, 24)
    near, written, plausible = probes.forecast(Range(4, 24), 4)
    assert near.calls == Range(2, pytest.approx((8 + 2) * 1.1))
    assert (written.calls, written.in_words) == (Range(0, 24 + 6), True)
    assert plausible.calls.high == pytest.approx(30 * 1.1)
