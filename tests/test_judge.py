"""The judge: what it is asked, what its scores are worth, and how near-ties are broken."""

import asyncio
import json
import random
import statistics
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from scipy.stats import spearmanr
from support import SCRIPTED, go, read_dataset

from lift_agent.agents import signals
from lift_agent.agents.calibration import judging_summary, spearman
from lift_agent.agents.judge import Judge, Preference, Rubric
from lift_agent.agents.near_ties import close_pairs, corrected_scores, position_consistency
from lift_agent.agents.repeatability import repeatability
from lift_agent.config import resolve
from lift_agent.embedders import LazyEmbedder
from lift_agent.errors import UsageError
from lift_agent.formats.reading.readers import read_rows
from lift_agent.jobs.estimate import estimate
from lift_agent.jobs.replay import first_difference, replay
from lift_agent.llms.messages import Parsed
from lift_agent.records import PairwiseComparison, Reason, Row, Score, Why, row_id
from lift_agent.stores.ledger import Ledger
from lift_agent.views.summary import as_record, print_summary
from lift_agent.views.why import print_story

# Rank correlation and repeatability --------------------------------------------------------

series = st.lists(st.integers(0, 9), min_size=3, max_size=30)


@given(st.integers(0, 2**32 - 1), st.integers(2, 40))
def test_spearman_is_that_of_scipy(seed, size):
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, 8, (2, size)).astype(float)
    if np.ptp(first) and np.ptp(second):
        assert spearman(first, second) == pytest.approx(spearmanr(first, second)[0])
    else:
        assert spearman(first, second) == 0


@given(series)
def test_spearman_knows_order_only(values):
    values = np.asarray(values, dtype=float)
    if np.ptp(values):
        assert spearman(values, np.exp(values)) == pytest.approx(1)
        assert spearman(values, -values) == pytest.approx(-1)


tables = st.integers(2, 4).flatmap(
    lambda k: st.lists(st.lists(st.integers(0, 100), min_size=k, max_size=k), min_size=2)
)


@given(tables, st.integers(-50, 50), st.integers(1, 7))
def test_repeatability_ignores_the_scale_and_the_order_of_judgements(table, shift, factor):
    base = repeatability(table)
    moved = repeatability([[x * factor + shift for x in row[::-1]] for row in reversed(table)])
    assert moved.deviation == pytest.approx(base.deviation * factor)
    assert moved.icc == pytest.approx(base.icc, abs=1e-9)
    assert base.icc <= 1 + 1e-12


def test_repeatability_agrees_with_the_published_example():
    # Shrout and Fleiss (1979), table 2: six targets, four judges, ICC(1,1) = .17
    table = [(9, 2, 5, 8), (6, 1, 3, 2), (8, 4, 6, 8), (7, 1, 2, 6), (10, 5, 6, 9), (6, 2, 4, 7)]
    assert repeatability(table).icc == pytest.approx(0.17, abs=0.005)
    assert repeatability([(50, 50), (60, 60)]).icc == 1
    assert repeatability([(50,), (60,)]) is None


def test_the_noise_of_a_judge_is_measured_near_its_true_value():
    rng = np.random.default_rng(0)
    true = rng.normal(60, 12, 400)
    measured = repeatability((true[:, None] + rng.normal(0, 4, (400, 3))).tolist())
    assert measured.deviation == pytest.approx(4, rel=0.1)
    assert measured.icc == pytest.approx(144 / (144 + 16), abs=0.03)


# Near-ties ---------------------------------------------------------------------------------

pools = st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.integers(0, 12), min_size=2)


@given(pools, st.integers(1, 20), st.floats(0.2, 5))
def test_pairs_are_all_those_that_cross_the_cut_and_are_close(scores, places, deviation):
    pairs = list(close_pairs(scores, places, deviation))
    ranked = sorted(scores, key=lambda row: (-scores[row], row))
    reach = 1.96 * 2**0.5 * deviation
    every = {
        (a, b) for a in ranked[:places] for b in ranked[places:] if scores[a] - scores[b] <= reach
    }
    assert len(set(pairs)) == len(pairs)
    assert set(pairs) == every
    steps = [int((scores[a] - scores[b]) / deviation) for a, b in pairs]
    assert steps == sorted(steps)
    if pairs:
        assert pairs[0] == (ranked[places - 1], ranked[places])  # the last place is settled first


def test_equal_scores_are_compared_widely_before_any_row_comes_again():
    pairs = list(close_pairs({f"r{i}": 50.0 for i in range(20)}, 10, 1.0))
    assert len({row for pair in pairs[:10] for row in pair}) == 20


def a_win(winner, loser):
    return PairwiseComparison(winner, loser, winner, winner)


comparisons = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 5)).filter(lambda p: p[0] != p[1])
)


@given(comparisons, st.lists(st.integers(0, 100), min_size=7, max_size=7), st.floats(0.1, 10))
def test_duels_move_scores_within_the_noise_and_keep_their_sum(pairs, scores, noise):
    scores = {str(i): float(score) for i, score in enumerate(scores)}
    found = [a_win(str(a), str(b)) for a, b in pairs]
    after = corrected_scores(scores, found, noise)
    assert sum(after.values()) == pytest.approx(sum(scores.values()))
    assert after["6"] == scores["6"]  # it was never compared
    for row, score in scores.items():
        wins = sum(comparison.winner == row for comparison in found)
        losses = sum(comparison.loser == row for comparison in found)
        assert -losses * noise - 1e-6 <= after[row] - score <= wins * noise + 1e-6
    shifted = corrected_scores({row: score + 9 for row, score in scores.items()}, found, noise)
    assert shifted == pytest.approx({row: score + 9 for row, score in after.items()}, abs=1e-6)


def test_a_win_parts_equal_scores_and_leaves_distant_ones():
    after = corrected_scores(
        {"a": 50.0, "b": 50.0, "c": 90.0}, [a_win("b", "a"), a_win("c", "a")], 2.0
    )
    assert after["b"] > 50 > after["a"]
    assert after["c"] == pytest.approx(90, abs=1e-6)  # what was clear brings no news


def test_a_verdict_that_follows_the_order_has_no_winner():
    swayed = PairwiseComparison(
        "a", "b", forward="a", backward="b"
    )  # each time the row shown first
    failed = PairwiseComparison("a", "b", failed="no answer")
    found = [swayed, failed, a_win("a", "b"), PairwiseComparison("a", "b", "", "", "equal")]
    assert [comparison.winner for comparison in found] == ["", "", "a", ""]
    assert position_consistency(found) == pytest.approx(2 / 3)
    assert corrected_scores({"a": 5.0, "b": 5.0}, [swayed, failed], 1.0) == {"a": 5.0, "b": 5.0}


# What is said of a judge -------------------------------------------------------------------


def scores_of(judged, lengths=None):
    lengths = lengths or [50.0] * len(judged)
    return {
        str(i): Score(str(i), score, length, 0.9 * score + 0.1 * length)
        for i, (score, length) in enumerate(zip(judged, lengths, strict=True))
    }


def test_a_judge_that_gives_everything_the_same_score_is_noticed():
    spread = [float(i % 60 + 20) for i in range(60)]
    assert judging_summary(scores_of(spread))["notes"] == []
    for flat in ([80.0] * 20, [80.0, 70.0] * 20, [80.0] * 56 + [1.0, 2.0, 3.0, 4.0]):
        (note,) = judging_summary(scores_of(flat))["notes"]
        assert "barely distinguishes them" in note
    assert judging_summary(scores_of([80.0] * 19))["notes"] == []
    assert judging_summary({"x": Score("x", failed="no answer")}) == {}


def test_length_bias_is_noticed_in_both_directions():
    lengths = [float(i) for i in range(40)]
    longer = judging_summary(scores_of([2 * x for x in lengths], lengths))
    assert longer["length_correlation"] == 1
    assert "the longer ones" in longer["notes"][0]
    shorter = judging_summary(scores_of([90 - 2 * x for x in lengths], lengths))
    assert "the shorter ones" in shorter["notes"][0]


def test_a_judge_that_follows_the_order_of_pairs_is_noticed():
    swayed = [PairwiseComparison(str(i), str(i + 1), str(i), str(i + 1)) for i in range(4)]
    told = judging_summary(scores_of([float(i) for i in range(30)]), swayed)
    assert told["ties"]["consistency"] == 0
    assert told["ties"]["first_favoured"] == 4
    assert "mostly favouring the row shown first" in told["notes"][0]


# What the judge is asked -------------------------------------------------------------------


class Gateway:
    """Answers by a function of the schema and the request, and remembers what it was asked."""

    def __init__(self, answer):
        self.answer, self.asked = answer, []

    def room(self, texts):
        return None

    async def ask_for(self, schema, request, **about):
        self.asked.append(request)
        said = self.answer(schema, request)
        return Parsed(None, said) if isinstance(said, str) else Parsed(schema(**said))


def rubric(points, concatenation=False):
    return {
        "reason": "So it is.",
        "clarity": 10,
        "difficulty": 10,
        "explanations": 10,
        "accuracy": points,
        "concatenation": concatenation,
    }


def a_row(instruction="Name a colour.", output="Blue, like the sea at noon.", **fields):
    id = row_id(instruction, "", output)
    return Row(id, 0, instruction, "", output, **fields)


def score(answer, row=None, **options):
    gateway = Gateway(answer)
    judge = Judge(gateway, length_cap=1000)
    return asyncio.run(judge.score(row or a_row(), **options)), gateway.asked


def test_repeats_are_asked_apart_and_averaged():
    points = iter((20, 23, 26))
    found, asked = score(lambda schema, request: rubric(next(points)), samples=3)
    assert found.judgements == (50, 53, 56)
    assert (found.judge, found.parts["accuracy"]) == (53, 23)
    assert [request.temperature for request in asked] == [0.0, 0.7, 0.7]
    assert len({request.sample for request in asked}) == 3


def test_a_judgement_that_fails_is_tried_again_and_then_a_state_of_its_own():
    found, asked = score(lambda schema, request: "no JSON")
    assert (found.failed, len(asked)) == ("no JSON", 3)
    found, _ = score(
        lambda schema, request: "no JSON" if request.temperature else rubric(30), samples=3
    )
    assert (found.failed, found.judge, found.judgements) == ("", 60, ())


@pytest.mark.parametrize(("strategy", "rejected"), [("fusion", True), ("deepen", False)])
def test_only_a_fused_row_can_be_a_concatenation(strategy, rejected):
    row = a_row(origin="generated", strategy=strategy)
    found, _ = score(lambda schema, request: rubric(30, concatenation=True), row)
    assert found.concatenation is rejected


def test_a_pair_is_shown_in_both_orders_and_a_taste_for_a_place_decides_nothing():
    good, bad = a_row("Name a bird."), a_row("Name a fish.")

    def fair(schema, request):
        assert schema is Preference
        shown = request.messages[-1][1]
        first = shown.index("Name a bird.") < shown.index("Name a fish.")
        return {"reason": "The bird.", "better": "first" if first else "second"}

    for judge_of_pairs, winner in (
        (fair, good.id),
        (lambda schema, request: {"reason": "Here.", "better": "first"}, ""),
        (lambda schema, request: {"reason": "Here.", "better": "second"}, ""),
    ):
        gateway = Gateway(judge_of_pairs)
        comparison = asyncio.run(Judge(gateway, 1000).compare(good, bad))
        assert comparison.winner == winner
        assert comparison.consistent == bool(winner)
        assert len(gateway.asked) == 2


def test_the_rubric_holds_the_points_of_the_paper():
    highest = {
        name: field.metadata[-1].le
        for name, field in Rubric.model_fields.items()
        if name in ("clarity", "difficulty", "explanations", "accuracy")
    }
    assert highest == {"clarity": 15, "difficulty": 25, "explanations": 25, "accuracy": 35}


@pytest.mark.parametrize(
    ("output", "fault"),
    [
        ("I am drawn to it like a moth that can't help but fly to a flame.", ""),
        ("Blue", ""),
        ("```python\nprint(1)\n```", ""),
        ("  \n", Reason.EMPTY_RESPONSE),
        ("I'm sorry, but I cannot help with that request.", Reason.REFUSAL),
        ("The colours of the flag are red, white and", Reason.CUT_OFF),
        ("```python\nprint(1)", Reason.CUT_OFF),
        ("It is blue and blue it is. " * 20, Reason.REPETITION),
    ],
)
def test_a_fatal_fault_has_a_name(output, fault):
    assert signals.fault(a_row(output=output)) == fault


NOUNS = """
anchor basket candle dragon engine feather garden hammer island jacket kettle ladder mirror needle
orchard pencil quarry ribbon saddle tunnel umbrella violin window yarn zebra acorn bridge cactus
dolphin eagle falcon glacier harvest iceberg jungle kitten lantern meadow nectar ocean pebble
quilt river spider thunder uniform valley walnut xylophone
"""

# Whole runs --------------------------------------------------------------------------------


@pytest.fixture
def seeds(tmp_path):
    """A file of 40 rows that have few words in common."""
    rng = random.Random(5)
    nouns = NOUNS.split()
    rows = [
        {
            "instruction": f"Describe {' and '.join(rng.sample(nouns, 4))} number {i}.",
            "input": "",
            "output": f"{' '.join(rng.sample(nouns, 6 + i % 9)).capitalize()}.",
        }
        for i in range(40)
    ]
    path = tmp_path / "seeds.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def scripted(tmp_path):
    """Make a chat model from the scripted one and the body of a function ``graded(row, answer)``.

    It returns the points and whether the row is a concatenation; `better` is the place that the
    model prefers in pairs, if it has one.
    """

    def make(graded, better=""):
        file = tmp_path / "model.py"
        file.write_text(
            "import hashlib, itertools, json, random, runpy\n"
            f"answer_all = runpy.run_path({SCRIPTED.removeprefix('scripted:')!r})['answer']\n"
            "rng, count = random.Random(3), itertools.count()\n"
            "def graded(row):\n"
            f"    {graded}\n"
            "def answer(messages):\n"
            "    system, last = messages[0]['content'], messages[-1]['content']\n"
            f"    if 'You compare two rows' in system and {better!r}:\n"
            f"        return json.dumps({{'reason': 'Here.', 'better': {better!r}}})\n"
            "    if 'You grade one row' not in system:\n"
            "        return answer_all(messages)\n"
            "    points, joined = graded(last)\n"
            "    parts, names = {}, ('clarity', 'difficulty', 'explanations', 'accuracy')\n"
            "    for name, most in zip(names, (15, 25, 25, 35)):\n"
            "        parts[name] = min(most, max(0, points))\n"
            "        points -= parts[name]\n"
            "    return json.dumps({'reason': 'So.', **parts, 'concatenation': joined})\n"
        )
        return f"scripted:{file}"

    return make


@pytest.fixture
def curate(embedder, seeds, tmp_path):
    """Judge and choose the seeds, without generation."""

    def run(name="run", **settings):
        defaults = {"recipe": "curate", "embedder": embedder, "target_size": 20, "cache": False}
        return go(seeds, tmp_path / name, **{**defaults, **settings})

    return run


def printed(view, *args):
    console = Console(width=400, no_color=True)
    with console.capture() as shown:
        view(*args, console)
    return shown.get()


@pytest.mark.slow
def test_a_constant_judge_is_said_in_the_summary_and_on_the_card(curate, scripted, tmp_path):
    summary = curate(llm=scripted("return 80, False"))
    (note,) = summary.judging["notes"]
    assert note.startswith("the judge gave all 40 rows the same score (80")
    assert note in printed(print_summary, summary, tmp_path / "run", 1.0)
    assert note[1:] in (tmp_path / "run" / "README.md").read_text()
    assert json.loads(json.dumps(as_record(summary)))["judging"]["notes"] == [note]


NOISY = (
    "base = int(hashlib.sha256(row.encode()).hexdigest(), 16) % 60 + 20; "
    "return round(base + rng.gauss(0, 5)), False"
)


@pytest.mark.slow
def test_the_noise_of_a_judge_is_reported_and_its_scores_are_means(curate, scripted, tmp_path):
    summary = curate(llm=scripted(NOISY), judge_samples=5, concurrency=1)
    repeats = summary.judging["repeats"]
    assert (repeats["rows"], repeats["samples"]) == (30, 5)
    assert repeats["deviation"] == pytest.approx(5, rel=0.25)
    assert repeats["icc"] > 0.8
    assert summary.calls == 40 + 30 * 4
    assert "judged 30 rows 5 times" in printed(print_summary, summary, tmp_path / "run", 1.0)
    with closing(Ledger(tmp_path / "run" / "ledger.sqlite")) as ledger:
        several = [score for score in ledger.judgements.scores().values() if score.judgements]
        assert len(several) == 30
        for found in several:
            assert found.judge == pytest.approx(statistics.mean(found.judgements))
            assert sum(found.parts.values()) == pytest.approx(found.judge, abs=0.03)
        story = io_story(ledger, several[0].row)
        assert "the mean of 5 judgements" in story


def io_story(ledger, row):
    console = Console(width=400, no_color=True)
    with console.capture() as shown:
        print_story(ledger, console, row)
    return shown.get()


@pytest.mark.slow
@pytest.mark.parametrize(("better", "consistency"), [("", 1), ("first", 0), ("second", 0)])
def test_near_ties_are_broken_by_pairs_that_no_order_sways(
    better, consistency, curate, scripted, tmp_path
):
    model = scripted("return 80, False", better)
    curate("plain", llm=model)
    summary = curate(llm=model, tie_breaks=8)
    ties = summary.judging["ties"]
    assert (ties["pairs"], ties["consistency"]) == (8, consistency)
    assert ties["decided"] == 8 * consistency
    assert summary.calls == 40 + 2 * 8
    with closing(Ledger(tmp_path / "run" / "ledger.sqlite")) as ledger:
        comparison = ledger.judgements.comparisons()[0]
        story = io_story(ledger, comparison.first)
        said = "in both orders" if consistency else "the verdict changed with the order"
        assert said in next(line for line in story.splitlines() if comparison.second in line)
        ranks = {row.id: ledger.dataset.rank(row.id) for row in ledger.rows.find()}
        finals = {id: found.final for id, found in ledger.judgements.scores().items()}
    assert finals[comparison.first] == pytest.approx(finals[comparison.second], abs=3)
    assert sum(rank is not None for rank in ranks.values()) == 20
    if not consistency:  # nothing was decided: the dataset is the one without
        plain, run = (read_dataset(tmp_path / name) for name in ("plain", "run"))
        assert plain == run


@pytest.mark.slow
def test_by_quality_alone_the_winners_are_in_and_the_losers_out(curate, scripted, tmp_path):
    curate(llm=scripted("return 80, False"), tie_breaks=400, quality_weight=1)
    with closing(Ledger(tmp_path / "run" / "ledger.sqlite")) as ledger:
        comparisons = ledger.judgements.comparisons()
        wins, losses = (
            {getattr(comparison, kind) for comparison in comparisons}
            for kind in ("winner", "loser")
        )
        chosen = {row.id for row in ledger.dataset.rows()}
        finals = {id: found.final for id, found in ledger.judgements.scores().items()}
    corrected = corrected_scores(finals, comparisons, 0.9)
    assert min(corrected[row] for row in chosen) >= max(
        score for row, score in corrected.items() if row not in chosen
    )
    assert (wins - losses) - chosen == set()


@pytest.mark.slow
def test_two_tasks_joined_are_rejected_by_name(embedder, seeds, tmp_path, scripted):
    model = scripted("return 60 + len(row) % 7, 'would then' in row and len(row) % 2 == 0")
    summary = go(seeds, tmp_path / "run", llm=model, embedder=embedder, rounds=2, cache=False)
    assert summary.rejected[Why(Reason.CONCATENATION)] > 0
    with closing(Ledger(tmp_path / "run" / "ledger.sqlite")) as ledger:
        joined = [
            row
            for row in ledger.rows.find("rejected")
            if ledger.rows.status(row.id)[1] == Why(Reason.CONCATENATION)
        ]
        assert all(row.strategy == "fusion" for row in joined)
        assert "two tasks joined" in io_story(ledger, joined[0].id)
    kept = {row["lift"]["id"] for row in read_dataset(tmp_path / "run")}
    assert not kept & {row.id for row in joined}


def with_faults(seeds):
    """The seed file with a refusal and a cut response; returns how many rows are sound."""
    lines = seeds.read_text().splitlines()
    for ask, answer in (
        ("Describe the harbour at dawn.", "I'm sorry, but I cannot help with that."),
        ("List the tools of a gardener.", "A gardener needs a spade, a rake and"),
    ):
        lines.append(json.dumps({"instruction": ask, "input": "", "output": answer}))
    seeds.write_text("\n".join(lines))


@pytest.mark.slow
def test_a_fatal_fault_is_rejected_before_the_judge_is_asked(curate, seeds, tmp_path):
    with_faults(seeds)
    summary = curate()
    assert summary.rejected == {Why(Reason.REFUSAL): 1, Why(Reason.CUT_OFF): 1}
    assert summary.calls == 40
    with closing(Ledger(tmp_path / "run" / "ledger.sqlite")) as ledger:
        broken = {row.id for row in ledger.rows.find("rejected")}
        assert len(broken) == 2
        assert not broken & {call.subject for call in ledger.calls.find(agent="judge")}
        assert not broken & set(ledger.judgements.scores())
    assert curate("all", prefilter=False).calls == 42


@pytest.mark.slow
def test_the_paper_judges_broken_rows_too_and_each_once(curate, seeds):
    with_faults(seeds)
    assert curate(recipe="paper", rounds=0, target_size=5).rejected == {}
    for setting in ({"judge_samples": 2}, {"tie_breaks": 1}):
        with pytest.raises(UsageError, match=f"{next(iter(setting))} does not go with the paper"):
            resolve({"recipe": "paper", **setting})


@pytest.mark.slow
@pytest.mark.parametrize("calls", [25, 61, 75])
def test_samples_and_tie_breaks_survive_a_cap_and_are_replayed(calls, curate, seeds, tmp_path):
    with_faults(seeds)
    judging = {"judge_samples": 2, "tie_breaks": 6}
    assert curate("capped", max_calls=calls, **judging).stop == "budget"
    again = replay(tmp_path / "capped", tmp_path / "again")
    assert again.stop == "budget"
    assert first_difference(tmp_path / "capped", tmp_path / "again") == ""
    capped, whole = curate("capped", max_calls=900, **judging), curate("whole", **judging)
    assert capped.stop == whole.stop == "target"
    assert capped.calls == whole.calls == 40 + 30 + 12
    assert capped.judging == whole.judging
    assert first_difference(tmp_path / "capped", tmp_path / "whole") == ""
    again = replay(tmp_path / "whole", tmp_path / "again2")
    assert again.judging == whole.judging
    assert first_difference(tmp_path / "whole", tmp_path / "again2") == ""


def test_the_estimate_counts_samples_and_tie_breaks(seeds, embedder):
    rows = list(read_rows([seeds]))

    def calls(**settings):
        config = resolve({"sources": [seeds], "recipe": "curate", "llm": SCRIPTED, **settings})
        return estimate(config, rows, LazyEmbedder(embedder)).calls

    plain, both = calls(), calls(judge_samples=3, tie_breaks=10)
    assert both.low == pytest.approx(plain.low + 2 * 30)
    assert both.high == pytest.approx(plain.high + 1.1 * (2 * 30 + 2 * 10))


def test_a_ledger_without_judgements_is_migrated(tmp_path):
    with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        found = Score("r", 53.0, 10.0, 48.7, {"accuracy": 23}, "So.", "", (50.0, 56.0), True)
        ledger.judgements.add_scores([found])
        assert ledger.judgements.scores() == {"r": found}
        pairs = [
            PairwiseComparison("r", "s", "r", "r", "It is right."),
            PairwiseComparison("s", "t", failed="no answer"),
        ]
        ledger.judgements.set_comparisons(pairs)
        assert ledger.judgements.comparisons() == pairs
        assert ledger.judgements.comparisons("t") == pairs[1:]
        ledger.reopen(0)
        assert ledger.judgements.comparisons() == []
