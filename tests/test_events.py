"""What a run announces, as typed events, and how views word and show it."""

import io
import logging
import re
from dataclasses import fields
from pathlib import Path

import pytest
from rich.console import Console
from support import SCRIPTED, go

from lift_agent.config import resolve
from lift_agent.jobs.run import run
from lift_agent.records import DraftFault, Reason, Why
from lift_agent.records import events as e
from lift_agent.views.events import activity, lines
from lift_agent.views.live_state import LiveState, expected
from lift_agent.views.progress import shown

JUDGING = {
    "rows": 40,
    "quartiles": [10, 40, 50, 60, 90],
    "histogram": [0, 1, 2, 3, 4, 5, 4, 3, 2, 1],
    "length_correlation": 0.25,
    "panel": None,
    "repeats": None,
    "ties": None,
    "notes": ["the judge is inconsistent"],
}
FOUND = {
    "reasons": {Why(Reason.REFUSAL): 2},
    "languages": {"en": 40},
    "chosen": {},
    "masked": False,
    "personal": {},
    "personal_rows": 0,
    "personal_chosen": 0,
    "benchmarks": {},
    "leaks": [],
}
FAULTS = {
    Why(DraftFault.NO_CODE): 4,
    Why(DraftFault.NO_TASK, "HTTP 500"): 2,
    Why(DraftFault.CUT_SENTENCE): 1,
    Why(DraftFault.STATEMENT): 1,
}
SUBSPACES = (("A", 4), ("B", 3), ("C", 2), ("D", 1))


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (e.RunContinued(Path("out"), 2, 30, e.LoopTotals()), ["continuing the run in out"]),
        (
            e.CrashFound("process 7", Path("out")),
            ["process 7 stopped unexpectedly in out: continuing from there"],
        ),
        (e.SettingChanged("toward", [], ["a.jsonl"]), ["toward was not set, now ['a.jsonl']"]),
        (e.SettingChanged("timeout", 120.0, 9.0), ["timeout was 120.0, now 9.0"]),
        (e.StopAsked(), ["stopping after the calls in flight (Ctrl-C again: immediately)"]),
        (
            e.RunStopping("budget", "max_calls = 9 is used up"),
            ["stopping: max_calls = 9 is used up"],
        ),
        (e.TrialFailed("a:b", "HTTP 500"), ["a:b did not answer a small request: HTTP 500"]),
        (
            e.ModelTooSmall("a:b", "judge"),
            ["a:b is too small to judge: scoring by cheap signals (--judge-llm names a judge)"],
        ),
        (
            e.ModelTooSmall("a:b", "redundancy"),
            [
                "a:b is too small to settle doubts about near-duplicates: comparing the rows' "
                "responses instead (--redundancy-llm names a model)"
            ],
        ),
        (
            e.NoBatchEndpoint("a:b"),
            ["a:b has no batch endpoint: its calls are sent one by one"],
        ),
        (e.BatchCancelled("batch_1", "a:b"), ["cancelled batch batch_1 of a:b"]),
        (
            e.BatchGoesOn("batch_1", "a:b", "HTTP 500"),
            ["batch batch_1 of a:b keeps running: HTTP 500"],
        ),
        (e.SourcesRead(1200, 0, None), ["read 1,200 rows, 0 quarantined"]),
        (e.SourcesRead(5, 1, Path("q.jsonl")), ["read 5 rows, 1 quarantined (see q.jsonl)"]),
        (e.PromptsRead(0, 0, 0), []),
        (
            e.PromptsRead(5, 0, 1),
            ["read 5 target prompts, 1 quarantined"],
        ),
        (
            e.PromptsRead(5, 9, 0),
            ["read 5 target prompts and 9 benchmark items, 0 quarantined"],
        ),
        (
            e.VectorsMissing(1200),
            ["1,200 vectors are missing: rebuilding them from the ledger"],
        ),
        (
            e.ProbesWritten(1, 24, 4, 20),
            ["round 1: 24 probes on 4 themes near the data, 20 plausible"],
        ),
        (
            e.ProbesTooFew(3),
            [
                "only 3 probes are plausible: looking for sparse subspaces in the data itself, the "
                "weakest way to find what is missing (--toward is the best)"
            ],
        ),
        (
            e.SubspaceGivenUp(2, "Sailing", "0 of 12 tasks"),
            ["round 2: no longer targets Sailing: 0 of 12 tasks"],
        ),
        (e.RoundPlanned(1, 0, ()), ["round 1: 0 tasks in 0 subspaces"]),
        (e.RoundPlanned(1, 7, SUBSPACES[:2]), ["round 1: 7 tasks in 2 subspaces (A, B)"]),
        (
            e.RoundPlanned(1, 10, SUBSPACES),
            ["round 1: 10 tasks in 4 subspaces (A, B, C and 1 more)"],
        ),
        (e.RowsWritten(1, 8, 8, {}), ["round 1: wrote 8 rows of 8 tasks"]),
        (
            e.RowsWritten(1, 1, 9, FAULTS),
            [
                "round 1: wrote 1 rows of 9 tasks (dropped: 4 no code in the answer to a code "
                "task, 2 no task: HTTP 500, 1 cut sentence)"
            ],
        ),
        (e.RowsScreened(0, {}), []),
        (
            e.RowsScreened(0, FOUND),
            ["seeds: rejected 2 rows before judging (2 refusal)", "seeds: languages: 40 en"],
        ),
        (e.DuplicatesRemoved(1, 2, 9), ["round 1: removed 2 near-duplicates of 9 rows"]),
        (e.RowsFiltered(8, 1200), ["kept 8 of 1,200 rows by their variance"]),
        (e.RowsLeftUnjudged(0, 20), ["seeds: skipped 20 rows before judging, by cheap signals"]),
        (e.RowsTakenBack(1, 3), ["round 1: judging 3 rows after all, to reach the target"]),
        (e.RowsJudged(0, {}), []),
        (
            e.PoolCounted(0, 30, 40, "", e.LoopTotals()),
            ["seeds: 30 of 40 accepted"],
        ),
        (
            e.PoolCounted(3, 40, 40, "target", e.LoopTotals()),
            ["round 3: 40 of 40 accepted; stop: target"],
        ),
        (
            e.PairsCompared(12, 0.75, 9),
            [
                "compared 12 pairs near the cut-off: the same verdict in both orders for 75%, "
                "9 decided"
            ],
        ),
        (
            e.MapFailed("ZeroDivisionError('division by zero')"),
            ["the map of the rows could not be drawn (ZeroDivisionError('division by zero'))"],
        ),
        (e.ItemsDone(), []),
        (e.CallAnswered(1, 1, 0.0), []),
    ],
)
def test_an_event_is_told_in_these_words(event, told):
    assert lines(event) == told


def test_what_the_judge_did_is_told_with_notes_for_the_seeds_only():
    seeds, round = lines(e.RowsJudged(0, JUDGING)), lines(e.RowsJudged(2, JUDGING))
    assert seeds[0].startswith("seeds: scored 40 rows from 10 to 90")
    assert seeds[1:] == ["seeds: the judge is inconsistent"]
    assert [line.removeprefix("round 2: ") for line in round] == [seeds[0].removeprefix("seeds: ")]


def test_every_stage_has_its_activity():
    told = {activity(e.StageBegan(stage, 1200, 7)) for stage in e.Stage}
    assert len(told) == len(e.Stage)
    assert "comparing 1,200 rows with 7" in told
    assert activity(e.ModelOpening("a:b")) == "opening a:b"
    assert activity(e.ModelTried("a:b")) == "sending a:b a small request"
    assert activity(e.ItemsDone()) == ""


def test_the_live_state_follows_the_events():
    state = LiveState()
    told = [
        e.RunBegan(40, 3),
        e.ModelOpening("a:b"),
        e.StageBegan(e.Stage.JUDGE, 12),
        e.ItemsDone(),
        e.ItemsDone(4),
        e.CallAnswered(100, 20, 0.5),
        e.RoundBegan(1),
        e.RoundPlanned(1, 10, SUBSPACES),
        e.PoolCounted(1, 35, 40, "", e.LoopTotals(10, 9, 8, 7)),
    ]
    for event in told:
        state.update(event)
    assert (state.target, state.max_rounds, state.round, state.accepted) == (40, 3, 1, 35)
    assert (state.stage, state.activity) == (e.Stage.JUDGE, "scoring 12 rows")
    assert (state.done, state.total) == (5, 12)
    assert (state.calls, state.tokens, state.usd) == (1, 120, 0.5)
    assert (state.subspaces, state.so_far.accepted) == (SUBSPACES, 7)
    state.update(e.CallAnswered(1, 1, None))
    state.update(e.CallAnswered(1, 1, 0.5))
    assert (state.calls, state.usd) == (3, None)
    state.update(e.StageBegan(e.Stage.SELECT))
    assert (state.done, state.total) == (0, 0)
    state.update(e.RunContinued(Path("out"), 2, 20, e.LoopTotals(5, 4, 3, 2)))
    assert (state.round, state.accepted, state.so_far.planned) == (2, 20, 5)


def test_the_time_to_go_is_that_of_the_stage_and_then_of_the_loop():
    state = LiveState(target=40, started=100.0, stage_began=110.0, stage=e.Stage.JUDGE)
    assert expected(state, 120.0) is None
    state.total, state.done = 20, 4
    assert expected(state, 120.0) is None  # too few to judge by
    state.done = 5
    assert expected(state, 120.0) == pytest.approx(30.0)
    state.done = 20
    assert expected(state, 120.0) is None
    state.round, state.accepted, state.loop_began = 2, 30, 20.0
    state.so_far = e.LoopTotals(30, 25, 20, 20)
    assert expected(state, 160.0) == pytest.approx(10 * (60 - 20) / 20)
    state.accepted = 40
    assert expected(state, 160.0) is None


@pytest.fixture
def screen():
    """A console that is no terminal, and what was printed there."""
    file = io.StringIO()
    return Console(file=file, width=60, force_terminal=False), file


def test_events_and_log_messages_are_timed_lines(screen):
    console, file = screen
    logger = logging.getLogger("lift_agent.llms.throttle")
    with shown(console, quiet=False) as emit:
        emit(e.ItemsDone())
        emit(e.SourcesRead(5, 0, None))
        logger.info("%s is at its limit: [red]slower\x1b[0m", "a:b")
        logger.debug("nobody reads this")
    logger.warning("after the run")
    assert re.sub(r"\[\d+s\]", "[0s]", file.getvalue()).splitlines() == [
        "[0s] read 5 rows, 0 quarantined",
        "[0s] a:b is at its limit: [red]slower�[0m",
    ]


def test_a_quiet_run_shows_nothing(screen, capsys):
    console, file = screen
    with shown(console, quiet=True) as emit:
        emit(e.SourcesRead(5, 0, None))
        logging.getLogger("lift_agent.stores.cache").warning("cannot use the call cache")
    assert (file.getvalue(), *capsys.readouterr()) == ("", "", "")


def test_a_terminal_shows_a_panel_and_the_lines_above_it():
    file = io.StringIO()
    console = Console(file=file, width=120, force_terminal=True, color_system=None)
    with shown(console, quiet=False) as emit:
        emit(e.RunBegan(40, 3))
        emit(e.SourcesRead(5, 0, None))
        emit(e.RoundBegan(1))
        emit(e.RoundPlanned(1, 10, SUBSPACES))
        emit(e.CallAnswered(1000, 500, 0.25))
        emit(e.PoolCounted(1, 5, 40, "", e.LoopTotals(10, 8, 6, 5)))
        emit(e.StageBegan(e.Stage.PROBE))
        emit(e.StageBegan(e.Stage.GENERATE, 10))
        emit(e.ItemsDone(3))
    printed = file.getvalue()
    assert "read 5 rows, 0 quarantined" in printed
    for text in (
        "round 1 of 3",
        "5 of 40 accepted",
        "generator: writing tasks and answering them  3/10",
        "subspaces: A (4), B (3), C (2), D (1)",
        "accepted 50%",
        "landed 75%",
        "calls 1",
        "$0.25",
    ):
        assert text in printed


@pytest.mark.slow
def test_a_run_announces_its_stages_rounds_and_costs(seeds, embedder, tmp_path):
    told = []
    settings = {"sources": (seeds,), "llm": SCRIPTED, "embedder": embedder, "out": tmp_path / "run"}
    summary = run(resolve({**settings, "target_size": 40, "round_size": 16}), told.append)
    assert told[0] == e.RunBegan(40, resolve(settings).max_rounds)
    stages = [event.stage for event in told if isinstance(event, e.StageBegan)]
    assert stages[:5] == [
        *(e.Stage.INGEST, e.Stage.EMBED, e.Stage.EMBED),
        *(e.Stage.SCREEN, e.Stage.DEDUPLICATE),
    ]
    assert {e.Stage.ANALYZE, e.Stage.PROBE, e.Stage.GENERATE, e.Stage.EXPORT} <= set(stages)
    calls = [event for event in told if isinstance(event, e.CallAnswered)]
    assert len(calls) == summary.calls
    assert sum(call.input_tokens + call.output_tokens for call in calls) == summary.tokens
    counted = [event for event in told if isinstance(event, e.PoolCounted)]
    assert [event.round for event in counted] == list(range(len(counted)))
    assert counted[-1].stop == summary.stop == "target"
    assert counted[-1].so_far.written == summary.written
    done = [event for event in told if isinstance(event, e.RowsWritten)]
    assert sum(event.rows for event in done) == summary.written
    # Words are for views: no event but those that carry an error's has a sentence in it.
    for event in told:
        texts = [getattr(event, field.name) for field in fields(event)]
        assert not any(isinstance(text, str) and " " in text and "://" in text for text in texts)


@pytest.mark.slow
def test_a_run_that_goes_on_announces_where_it_was(seeds, embedder, tmp_path):
    told = []
    options = {"embedder": embedder, "target_size": 44}
    go(seeds, tmp_path / "run", **options, max_calls=70)
    settings = {"sources": (seeds,), "llm": SCRIPTED, "round_size": 16, "out": tmp_path / "run"}
    run(resolve({**settings, **options}), told.append)
    changed = next(event for event in told if isinstance(event, e.SettingChanged))
    assert changed == e.SettingChanged("max_calls", 70, None)
    continued = next(event for event in told if isinstance(event, e.RunContinued))
    assert continued.folder == tmp_path / "run"
