"""The coverage analyst: references, probes, names, stable places, and the sharing of the work."""

import asyncio
import gzip
import json
import sqlite3
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import SCRIPTED, go, read_dataset

from lift_agent.agents.analyst import CoverageAnalyst
from lift_agent.agents.bandit import PATIENCE, SubspaceArm, best_arm, chance_above, hopeless, quotas
from lift_agent.agents.probes import MOST_THEMES, cluster_count, drawn_in, theme_count
from lift_agent.agents.reference import ReferenceTexts
from lift_agent.agents.subspace_naming import Brief
from lift_agent.agents.target_prompts import TargetPrompts
from lift_agent.agents.texts import word_ngrams
from lift_agent.config import resolve
from lift_agent.errors import SourceError, UsageError
from lift_agent.formats.reading.prompts import read_prompts
from lift_agent.geometry.clusters import cluster_rows
from lift_agent.geometry.density import SparseSubspace
from lift_agent.geometry.neighbours import unit
from lift_agent.geometry.subspaces import SAME_SUBSPACE, match_centres, merge_subspaces
from lift_agent.jobs.replay import first_difference, replay
from lift_agent.jobs.run import run
from lift_agent.llms.messages import Parsed
from lift_agent.records import (
    DraftFault,
    Row,
    TargetPrompt,
    TrackRecord,
    UnusableRecord,
    Why,
    target_prompt_id,
)
from lift_agent.stores.ledger import MIGRATIONS, Ledger
from lift_agent.stores.vectors import VectorStore
from lift_agent.views import events

# the bandit -------------------------------------------------------------------------------

ARMS = st.lists(
    st.builds(
        lambda worth, tried, share, cost: SubspaceArm(worth, tried, round(tried * share), cost),
        st.floats(0.01, 1),
        st.integers(0, 60),
        st.floats(0, 1),
        st.floats(0.2, 5),
    ),
    min_size=1,
    max_size=12,
)


@given(st.integers(0, 120), ARMS, st.integers(0, 9))
def test_quotas_add_up_are_repeatable_and_never_starve_the_best(size, arms, seed):
    given_to = quotas(size, arms, str(seed))
    assert sum(given_to) == size
    assert min(given_to) >= 0
    assert given_to == quotas(size, arms, str(seed))
    assert given_to[best_arm(arms)] >= size // len(arms)


def gained(seed, share):
    """What 20 rounds of 48 tasks bring over 12 arms, with what the best arm and luck allow."""
    rng = np.random.default_rng(seed)
    rates, worth = rng.beta(1, 3, 12), rng.uniform(0.05, 0.3, 12)
    tried, won = np.zeros(12, dtype=int), np.zeros(12, dtype=int)
    for number in range(20):
        arms = [SubspaceArm(w, int(t), int(k)) for w, t, k in zip(worth, tried, won, strict=True)]
        for i, tasks in enumerate(share(arms, f"{seed} {number}")):
            tried[i] += tasks
            won[i] += rng.binomial(tasks, rates[i])
    return float(won @ worth), float((rates * worth).max() * 20 * 48)


def test_the_bandits_regret_is_under_two_thirds_of_that_of_equal_shares():
    by_bandit = [gained(seed, lambda arms, rng: quotas(48, arms, rng)) for seed in range(12)]
    equally = [gained(seed, lambda arms, rng: [4] * len(arms)) for seed in range(12)]
    regret = sum(best - got for got, best in by_bandit)
    assert regret < 2 / 3 * sum(best - got for got, best in equally)


@given(st.floats(0.01, 0.99), st.integers(0, 40), st.floats(0, 1))
def test_the_chance_of_a_rate_follows_its_posterior(rate, tried, share):
    won = round(tried * share)
    chance = chance_above(rate, won, tried)
    assert 0 <= chance <= 1 + 1e-9
    assert chance == pytest.approx(1 - chance_above(1 - rate, tried - won, tried), abs=1e-9)
    assert chance_above(rate, 0, 0) == pytest.approx(1 - rate)
    assert chance >= chance_above(rate, won, tried + 1) - 1e-9


def test_arms_that_bring_nothing_are_given_up_but_never_the_best():
    assert hopeless([SubspaceArm(0.2, 30, 20), SubspaceArm(0.3, PATIENCE, 0)]) == [False, True]
    assert hopeless([SubspaceArm(0.2, 40, 30), SubspaceArm(0.3, 40, 4)]) == [False, True]
    assert hopeless([SubspaceArm(0.2, 30, 20), SubspaceArm(0.3, 4, 0)]) == [False, False]
    assert hopeless([SubspaceArm(0.2, 99, 0), SubspaceArm(0.1, 99, 0)]) == [False, True]
    assert hopeless([]) == []


def test_what_costs_less_gets_more():
    cheap, dear = quotas(
        40, [SubspaceArm(0.2, 20, 10, cost=0.5), SubspaceArm(0.2, 20, 10, cost=2)], "1"
    )
    assert cheap > 2 * dear


# places and clusters ----------------------------------------------------------------------


def a_region(centre, gap=0.1, members=(), wanted=(), nearby=()):
    rows = (np.asarray(part, dtype=np.int64) for part in (members, wanted, nearby))
    return SparseSubspace(0, unit(np.asarray(centre, dtype=np.float32)), 0.1, gap, 0.5, 0.6, *rows)


@given(st.lists(st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda v: sum(map(abs, v)) > 0.1)))
def test_merged_subspaces_are_apart_and_lose_no_row(centres):
    subspaces = [a_region(c, members=[i], wanted=[i]) for i, c in enumerate(centres)]
    kept = merge_subspaces(subspaces)
    for i, one in enumerate(kept):
        assert all(float(one.centre @ other.centre) < SAME_SUBSPACE for other in kept[:i])
    assert sorted(int(i) for subspace in kept for i in subspace.members) == list(
        range(len(centres))
    )


def test_places_are_found_again_one_to_one_the_nearest_first():
    def at(*angles):
        return np.asarray([[np.cos(a), np.sin(a)] for a in angles], dtype=np.float32)

    assert match_centres(at(0.1, 0.02, 2), at(0, 1)) == [None, 0, None]
    assert match_centres(at(0, 1), at(1.1, 0.1)) == [1, 0]
    assert match_centres(at(0), at()) == [None]


@given(st.integers(0, 40), st.integers(1, 6), st.integers(0, 3))
def test_clusters_part_the_rows(n, count, seed):
    points = unit(np.random.default_rng(seed).standard_normal((n, 5)))
    found = cluster_rows(points, count, seed)
    assert len(found) <= count
    assert sorted(int(i) for group in found for i in group) == list(range(n))
    again = cluster_rows(points, count, seed)
    assert [group.tolist() for group in found] == [group.tolist() for group in again]


def test_clear_clusters_are_found():
    noise = 0.05 * np.random.default_rng(1).standard_normal((60, 8))
    points = unit(np.repeat(np.eye(8)[:3], 20, axis=0) + noise)
    found = cluster_rows(points, 3, 0)
    assert {frozenset(int(i) // 20 for i in group) for group in found} == {
        frozenset({0}),
        frozenset({1}),
        frozenset({2}),
    }


# reading prompts --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Name a bird.\n\nName a fish.\n", [("Name a bird.", ""), ("Name a fish.", "")]),
        ("[draft] Name a bird.\n", [("[draft] Name a bird.", "")]),
        ('{"instruction": "Sort.", "input": "3 1"}\n', [("Sort.", "3 1")]),
        ('{"instruction": "Sort.", "output": "1 3"}\n', [("Sort.", "")]),
        ('{"prompt": "A?"}\n{"question": "B?"}\n{"text": "C?"}\n', [(c + "?", "") for c in "ABC"]),
        ('["Name a bird.", "Name a fish."]', [("Name a bird.", ""), ("Name a fish.", "")]),
        ('[\n "Name a bird."\n]', [("Name a bird.", "")]),
        ('[{"prompt": "A?"}]', [("A?", "")]),
        (
            json.dumps({"messages": [{"role": "system", "content": "S"}]})[:-2]
            + ', {"role": "user", "content": "Which boat?"}]}',
            [("Which boat?", "")],
        ),
        (
            '{"instruction": "Add.", "instances": [{"input": "1 2", "output": "3"}]}',
            [("Add.", "1 2")],
        ),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_prompts_are_read_from_any_form(text, expected, zipped, tmp_path):
    path = tmp_path / "prompts"
    data = text.encode()
    path.write_bytes(gzip.compress(data) if zipped else data)
    found = list(read_prompts([path]))
    assert [(p.instruction, p.input) for p in found] == expected
    assert {(p.kind, p.source) for p in found} == {("toward", str(path))}


def test_bad_prompts_are_named_with_their_line(tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"prompt": "A?"}\n{"prompt": 7}\n{"other": "B"}\n{broken\n{"prompt": " "}\n')
    found = list(read_prompts([path]))
    bad = [(r.line, r.reason.split(":")[0]) for r in found if isinstance(r, UnusableRecord)]
    assert bad == [(2, "wrong type"), (3, "no prompt"), (4, "not JSON"), (5, "empty prompt")]
    text = tmp_path / "prompts.txt"
    text.write_bytes(b"Name a bird.\nName \xff fish.\n")
    assert [type(r) for r in read_prompts([text])] == [TargetPrompt, UnusableRecord]
    path.write_text('{"other": "B"}\n')
    with pytest.raises(SourceError, match=r"no usable prompt: on line 1, no prompt"):
        list(read_prompts([path]))


# what the reference says stays out --------------------------------------------------------

SECRET = "Count the vowels in a sentence that is given in upper case letters."


@pytest.mark.parametrize(
    ("task", "answer", "parents", "fault"),
    [
        ("Count the consonants of a word and say which of them is last.", "Use a loop.", [], ""),
        (SECRET.upper(), "Use a loop.", [], DraftFault.REPEATS_TARGET),
        (f"First think, then do this. {SECRET}", "x", [], DraftFault.REPEATS_TARGET),
        ("Write a quiz.", f"1. {SECRET}", [], DraftFault.REPEATS_TARGET),
        (
            "Reverse a sentence that is given in upper case letters, twice.",
            "Do it.",
            ["Sort a sentence that is given in upper case letters."],
            "",
        ),
        ("Count the vowels in a sentence.", "Use a set of the five vowels.", [], ""),
    ],
)
def test_rows_that_repeat_the_reference_are_named(task, answer, parents, fault):
    assert ReferenceTexts([SECRET, "Name a bird"]).fault(task, answer, parents) == fault


def test_names_and_briefs_that_show_the_reference_are_trimmed():
    texts = ReferenceTexts([SECRET, "Name a bird.", "Go on."])
    assert texts.shown_in("Asks to count the vowels in a sentence.")
    assert texts.shown_in("Asks to name a bird.")
    assert not texts.shown_in("Counting letters of a kind. Go on.")
    brief = "Asks for letter counts. Such as: count the vowels in a sentence. Other scripts lack."
    assert texts.trimmed(brief) == "Asks for letter counts. Other scripts lack."
    chinese = ReferenceTexts(["写一个函数统计句子中的单词数量并返回结果"])
    assert not chinese.shown_in("写一个函数的任务")
    assert chinese.shown_in("写一个函数统计句子中的单词")


# the ledger -------------------------------------------------------------------------------


def test_references_are_kept_once_apart_from_the_rows(tmp_path):
    with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        toward = TargetPrompt(target_prompt_id("A?"), 0, "toward", "A?", source="f", line=1)
        probe = TargetPrompt(
            "p-2", 1, "probe", "B?", round=1, theme="birds", fault=DraftFault.CUT_SENTENCE
        )
        ledger.sources.add_target_prompts([toward, probe])
        ledger.sources.add_target_prompts([toward])
        assert ledger.sources.target_prompts("toward") == [toward]
        assert ledger.sources.target_prompts("probe") == [probe]
        assert ledger.rows.find() == []
        assert ledger.rows.ids() == []


def test_subspaces_of_an_older_ledger_keep_their_figures(tmp_path):
    path = tmp_path / "old.sqlite"
    db = sqlite3.connect(path, isolation_level=None)
    for step in MIGRATIONS[:2]:
        step(db)
    db.execute("PRAGMA user_version = 2")
    centre = np.asarray([0.6, 0.8], dtype=np.float32).tobytes()
    db.execute(
        "INSERT INTO subspaces VALUES ('s-1', 1, 'n', 'b', ?, 0.1, 0.5, '[\"r\"]', '[]', 3)",
        (centre,),
    )
    db.close()
    with closing(Ledger(path)) as ledger:
        (found,) = ledger.rounds.subspaces()
    assert (found.gap, found.quota, found.members, found.wanted) == (0.5, 3, ("r",), ())


# the analyst ------------------------------------------------------------------------------


class Says:
    """Stands in for the gateway: names places one after the other."""

    def __init__(self, *briefs):
        self.briefs, self.asked = list(briefs), []

    async def ask_for(self, schema, request, **about):
        self.asked.append(request.messages[-1][1])
        said = self.briefs[(len(self.asked) - 1) % len(self.briefs)] if self.briefs else None
        return Parsed(said and Brief(name=said[0], brief=said[1]), "" if said else "nothing")


def around(*axes, each, seed=0, spread=0.15):
    """Unit vectors close to some axes of a space of 12 dimensions."""
    rng = np.random.default_rng(seed)
    points = np.repeat(np.eye(12)[list(axes)], each, axis=0)
    return unit(points + spread * rng.standard_normal(points.shape))


def data(*axes, each=15):
    vectors = around(*axes, each=each)
    rows = [
        Row(f"row{i:03}", i, f"Describe thing {i} of kind {axes[i // each]}.", "", "Done.")
        for i in range(len(vectors))
    ]
    return rows, vectors


def wanting(*axes, each=15):
    vectors = around(*axes, each=each, seed=1)
    prompts = [
        TargetPrompt(
            f"p-{i:03}", i, "toward", f"Please paint picture {i} in the manner of axis {a}."
        )
        for i, a in enumerate(np.repeat(axes, each))
    ]
    return TargetPrompts(prompts, vectors)


def find(analyst, rows, vectors, wanted, **settings):
    options = {"round": 1, "size": 24, "known": [], "record": {}, **settings}
    return asyncio.run(analyst.find(rows, vectors, wanted, **options))


def test_an_empty_place_is_named_from_what_is_wanted_and_what_lies_near():
    says = Says(("Painted pictures", "Asks for pictures. All are missing."))
    found = find(CoverageAnalyst(says, 0), *data(0, 1), wanting(0, 1, 5))
    first = found[0]
    assert np.argmax(first.centre) == 5
    assert (first.members, first.name) == ((), "Painted pictures")
    assert len(first.wanted) >= 8
    assert "axis 5" in says.asked[0]
    assert "Inside:\n(none)" in says.asked[0]
    assert sum(subspace.quota for subspace in found) == 24
    unnamed = find(CoverageAnalyst(Says(), 0), *data(0, 1), wanting(0, 1, 5))[0]
    assert unnamed.name.startswith("Describe thing")


def test_what_shows_the_reference_is_asked_for_again_and_then_left_out():
    leak = ("Pictures", "Asks for art. As in: paint picture 3 in the manner of axis 5.")
    says = Says(leak, ("Pictures", "Asks for art."))
    first = find(CoverageAnalyst(says, 0), *data(0, 1), wanting(0, 1, 5), size=1)[0]
    assert (first.brief, len(says.asked)) == ("Asks for art.", 2)
    stubborn = Says(leak)
    first = find(CoverageAnalyst(stubborn, 0), *data(0, 1), wanting(0, 1, 5), size=1)[0]
    assert (first.brief, len(stubborn.asked)) == ("Asks for art.", 2)
    named = Says(("Paint picture 3 in the manner", "Asks for art."))
    first = find(CoverageAnalyst(named, 0), *data(0, 1), wanting(0, 1, 5), size=1)[0]
    assert "picture" not in first.name


def test_a_name_that_is_taken_is_asked_for_again_and_numbered_last():
    briefs = [("Pictures", "Asks."), ("Pictures", "Asks."), ("Drawings", "Asks.")]
    found = find(CoverageAnalyst(Says(*briefs), 0), *data(0, 1, 2), wanting(4, 5), size=2)
    assert [subspace.name for subspace in found] == ["Pictures", "Drawings"]
    found = find(CoverageAnalyst(Says(briefs[0]), 0), *data(0, 1, 2), wanting(4, 5), size=2)
    assert [subspace.name for subspace in found] == ["Pictures", "Pictures 2"]


def test_a_place_that_is_found_again_keeps_its_name_and_one_that_brings_nothing_is_given_up():
    says = Says(("One", "Asks."), ("Two", "Asks."))
    analyst, (rows, vectors), wanted = CoverageAnalyst(says, 0), data(0, 1, 2), wanting(4, 5)
    first = find(analyst, rows, vectors, wanted, size=2)
    kept = rows[:-1], vectors[:-1]
    second = find(analyst, *kept, wanted, size=2, round=2, known=first)
    assert {(s.id, s.name) for s in second} == {(s.id, s.name) for s in first}
    assert len(says.asked) == 2
    record = {
        first[0].id: TrackRecord(tried=30, accepted=6, tokens=900),
        first[1].id: TrackRecord(tried=10, accepted=9, landed=8, tokens=300),
    }
    third = find(analyst, *kept, wanted, size=2, round=3, known=[*first, *second], record=record)
    by_id = {subspace.id: subspace for subspace in third}
    assert by_id[first[0].id].quota == 0
    assert by_id[first[0].id].given_up.startswith("0 of 30 tasks")
    assert by_id[first[1].id].quota == 2
    known = [*first, *second, *third]
    fourth = find(analyst, *kept, wanted, size=2, round=4, known=known, record=record)
    assert first[0].id not in {subspace.id for subspace in fourth}


def test_the_cost_of_probes_is_in_proportion():
    def calls(round, tasks):
        drawn = drawn_in(round, theme_count(tasks))
        return cluster_count(drawn) + 2 * drawn

    assert calls(1, 8) <= 12
    assert max(calls(1, tasks) for tasks in (96, 500, 10_000)) <= 2.5 * MOST_THEMES
    assert sum(calls(round, 96) for round in range(2, 31)) <= 150


# whole runs -------------------------------------------------------------------------------


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def skewed(tmp_path):
    """Data that is dense in cooking and thin in sailing, and prompts that want sailing."""
    cooks = [
        {"instruction": f"How do I cook {i + 2} carrots in a soup pot?", "output": f"{i} minutes."}
        for i in range(32)
    ]
    sails = [
        {"instruction": f"Explain how sailors trim sail {i} near wind.", "output": f"Pull {i}."}
        for i in range(4)
    ]
    wanted = [f"Which harbour wind helps sailors trim boat {i} best?" for i in range(24)]
    wanted += [f"Must I cook {i} carrots before the soup boils?" for i in range(24)]
    prompts = [{"prompt": text} for text in wanted]
    return lines(tmp_path / "data.jsonl", cooks + sails), lines(tmp_path / "wanted.jsonl", prompts)


def quick(sources, out, embedder, **settings):
    return go(sources, out, **{"embedder": embedder, "cache": False, **settings})


@pytest.mark.slow
def test_toward_sends_the_work_where_the_data_is_thin_and_shows_the_prompts_to_nobody(
    skewed, embedder, command, tmp_path
):
    source, wanted = skewed
    with wanted.open("a") as file:
        file.write('{"other": 1}\n')
    summary = quick(source, tmp_path / "run", embedder, toward=(wanted,), target_size=20)
    assert (summary.stop, summary.rows, summary.toward, summary.probes) == ("target", 20, 48, 0)
    assert summary.unusable == 1
    assert "wanted.jsonl" in (tmp_path / "run" / "quarantine.jsonl").read_text()
    dataset = (tmp_path / "run" / "dataset.jsonl").read_text()
    assert "prompts that are not in the dataset" in (tmp_path / "run" / "README.md").read_text()
    with closing(Ledger(tmp_path / "run" / "ledger.sqlite")) as ledger:
        prompts = {prompt.id: prompt for prompt in ledger.sources.target_prompts("toward")}
        places = ledger.rounds.subspaces(1)
        assert all("sailors" in prompts[id].instruction for id in places[0].wanted)
        task = next(task for task in ledger.rounds.tasks(1) if task.subspace == places[0].id)
        assert any("sail" in row.instruction for row in ledger.rows.by_id(task.parents).values())
        made = next(r for r in ledger.rows.find(origin="generated") if r.subspace == places[0].id)
        assert "prompts of the reference lie there" in command("why", "run", made.id).stdout
        sent = json.dumps([call.request for call in ledger.calls.find(agent="generator")])
        for prompt in prompts.values():
            assert prompt.instruction not in sent
            assert prompt.instruction not in dataset
            for place in places:
                assert not word_ngrams(prompt.instruction) & word_ngrams(
                    f"{place.name} {place.brief}"
                )
        named = json.dumps([call.request for call in ledger.calls.find(agent="analyst")])
        assert prompts[places[0].wanted[0]].instruction in named
        assert set(ledger.rows.ids()) == set(VectorStore(tmp_path / "run" / "vectors").ids())
    wanted.unlink()
    replay(tmp_path / "run", tmp_path / "again")
    assert first_difference(tmp_path / "run", tmp_path / "again") == ""


@pytest.mark.slow
def test_a_model_that_knows_the_reference_cannot_bring_it_in(skewed, embedder, tmp_path):
    source, wanted = skewed
    secret = "Which harbour wind helps sailors trim boat 3 best?"
    model = tmp_path / "leaky.py"
    model.write_text(
        "import json, runpy\n"
        f"scripted = runpy.run_path({SCRIPTED.removeprefix('scripted:')!r})\n"
        "def answer(messages):\n"
        "    system = messages[0]['content']\n"
        "    if 'You name gaps' in system:\n"
        f"        return json.dumps({{'name': 'Boats', 'brief': 'Asks of boats. {secret}'}})\n"
        "    if 'two tasks' in system and 'Task A' in messages[-1]['content']:\n"
        f"        return {secret!r}\n"
        "    return scripted['answer'](messages)\n"
    )
    summary = quick(
        source, tmp_path / "run", embedder, toward=(wanted,), llm=f"scripted:{model}", rounds=1
    )
    assert summary.faults[Why(DraftFault.REPEATS_TARGET)] > 0
    made = [row["lift"].get("strategy") for row in read_dataset(tmp_path / "run")]
    assert "fusion" not in made  # new answers to seeds bring nothing of the reference
    assert secret not in (tmp_path / "run" / "dataset.jsonl").read_text()
    with closing(Ledger(tmp_path / "run" / "ledger.sqlite")) as ledger:
        assert {place.brief for place in ledger.rounds.subspaces()} == {"Asks of boats."}


@pytest.mark.slow
def test_the_prompts_may_not_change_between_stop_and_resume(skewed, embedder, tmp_path):
    source, wanted = skewed
    settings = {"embedder": embedder, "target_size": 20}
    quick(source, tmp_path / "run", toward=(wanted,), max_calls=20, **settings)
    with pytest.raises(UsageError, match="toward was"):
        quick(source, tmp_path / "run", **settings)
    text = wanted.read_text()
    wanted.write_text(text + '{"prompt": "One more?"}\n')
    with pytest.raises(UsageError, match="has changed"):
        quick(source, tmp_path / "run", toward=(wanted,), **settings)
    wanted.write_text(text)
    assert quick(source, tmp_path / "run", toward=(wanted,), **settings).rows == 20


@pytest.mark.parametrize(
    "settings", [{"recipe": "curate"}, {"recipe": "paper"}, {"rounds": 0}], ids=str
)
def test_toward_is_refused_where_nothing_is_generated(settings):
    with pytest.raises(UsageError, match="toward steers what is generated"):
        resolve({"toward": ("a.txt",), **settings})


@pytest.mark.slow
def test_the_command_takes_several_files_to_go_toward(skewed, embedder, command, tmp_path):
    source, wanted = skewed
    more = (f"Which harbour wind helps sailors trim boat {i} best?\n" for i in (30, 31))
    (tmp_path / "more.txt").write_text("".join(more))
    flags = ("--llm", SCRIPTED, "--embedder", embedder, "--round-size", 16, "--target-size", 20)
    towards = ("--toward", wanted, "--toward", tmp_path / "more.txt")
    done = command("run", source, *flags, *towards, "--out", tmp_path / "run", "--json")
    assert json.loads(done.stdout)["toward"] == 50
    gone = command("run", source, *flags, "--toward", "gone.txt", "--out", "other", code=2)
    assert "there is no file gone.txt" in gone.stderr


@pytest.mark.slow
def test_without_prompts_the_model_writes_probes_which_are_checked_kept_and_used(
    seeds, embedder, tmp_path
):
    summary = quick(seeds, tmp_path / "run", embedder)
    assert summary.stop == "target"
    assert 12 <= summary.plausible < summary.probes <= 24
    with closing(Ledger(tmp_path / "run" / "ledger.sqlite")) as ledger:
        probes = {probe.id: probe for probe in ledger.sources.target_prompts("probe")}
        faults = {probe.fault for probe in probes.values()}
        assert faults == {"", DraftFault.TOO_SHORT, DraftFault.IMPLAUSIBLE}
        assert len({probe.theme for probe in probes.values()}) == 4
        places = ledger.rounds.subspaces(1)
        used = {id for place in places for id in place.wanted}
        assert used
        assert not any(probes[id].fault for id in used)
        analyst = [call.prompt.split("@")[0] for call in ledger.calls.find(agent="analyst")]
        assert analyst.count("neighbours") == 2
        assert analyst.count("probes") == analyst.count("plausible") == 4
    dataset = (tmp_path / "run" / "dataset.jsonl").read_text()
    assert not any(probe.instruction in dataset for probe in probes.values())


@pytest.mark.slow
def test_too_few_plausible_probes_leave_the_data_itself_and_it_is_said(seeds, embedder, tmp_path):
    model = tmp_path / "wordless.py"
    model.write_text(
        "import runpy\n"
        f"scripted = runpy.run_path({SCRIPTED.removeprefix('scripted:')!r})\n"
        "def answer(messages):\n"
        "    if 'You write what people' in messages[0]['content']:\n"
        "        return 'I would rather not.'\n"
        "    return scripted['answer'](messages)\n"
    )
    said = []
    settings = {"sources": (seeds,), "llm": f"scripted:{model}", "embedder": embedder}
    settings |= {"target_size": 40, "round_size": 16, "cache": False, "out": tmp_path / "run"}
    summary = run(resolve(settings), lambda event: said.extend(events.lines(event)))
    assert (summary.stop, summary.plausible) == ("target", 0)
    assert any("the weakest way to find what is missing" in line for line in said)


@pytest.mark.slow
def test_probes_survive_a_stop_anywhere_and_a_replay(seeds, embedder, tmp_path):
    quick(seeds, tmp_path / "whole", embedder, target_size=48)
    with closing(Ledger(tmp_path / "whole" / "ledger.sqlite")) as ledger:
        agents = [call.agent for call in ledger.calls.find()]
    first = agents.index("analyst")
    for calls in (first + 1, first + 5, first + 9, first + 12):
        out = tmp_path / f"capped-{calls}"
        assert quick(seeds, out, embedder, target_size=48, max_calls=calls).stop == "budget"
        replay(out, tmp_path / f"again-{calls}")
        assert first_difference(out, tmp_path / f"again-{calls}") == ""
        summary = quick(seeds, out, embedder, target_size=48)
        assert summary.calls == len(agents)
        assert first_difference(out, tmp_path / "whole") == ""
    replay(tmp_path / "whole", tmp_path / "again")
    assert first_difference(tmp_path / "again", tmp_path / "whole") == ""


@pytest.mark.slow
def test_subspaces_keep_their_ids_and_names_over_the_rounds(seeds, embedder, tmp_path):
    quick(seeds, tmp_path / "run", embedder, target_size=70, rounds=4)
    with closing(Ledger(tmp_path / "run" / "ledger.sqlite")) as ledger:
        places = ledger.rounds.subspaces()
        rounds = {place.round for place in places}
        assert len(rounds) >= 3
        told = {(place.id, place.name, place.brief) for place in places}
        assert len(told) == len({place.id for place in places}) < len(places)
        assert len({place.name.casefold() for place in places}) == len(told)
        assert {probe.round for probe in ledger.sources.target_prompts("probe")} <= {1, 4}
        record = ledger.rounds.track_records()
        aimed = [n.tried for (place, *_), n in ledger.rounds.tallies().items() if place]
        assert sum(done.tried for done in record.values()) == sum(aimed)
        assert all(done.landed <= done.accepted <= done.tried for done in record.values())
        assert all(done.tokens > 0 for done in record.values())
