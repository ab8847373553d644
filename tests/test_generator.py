"""The generator: which parents and strategies are chosen, what is refused, what answers replace."""

import asyncio
import json
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import go
from test_agents import a_row

from lift_agent.agents.code import balanced, code_fault, wants_code
from lift_agent.agents.deepening import means_of
from lift_agent.agents.draft_faults import answer_fault, task_fault
from lift_agent.agents.generator import Generator
from lift_agent.agents.language import language, other_language
from lift_agent.agents.method_rates import ACROSS, ANSWER, INSIDE, OUTSIDE, MethodRates
from lift_agent.agents.task_planning import plan_tasks, response_need
from lift_agent.agents.written_task import WrittenTask
from lift_agent.geometry.neighbours import unit
from lift_agent.geometry.parents import parent_sets
from lift_agent.records import GenerationTask, Score, Subspace, Tally
from lift_agent.records.codes import DraftFault, Reason, Why
from lift_agent.stores.ledger import Ledger


def cloud(seed, rows, dimension=6):
    return unit(np.random.default_rng(seed).normal(size=(rows, dimension)))


@st.composite
def fields(draw):
    """Vectors, a centre, which of them are inside, the size of a set and how many are inside."""
    vectors = cloud(draw(st.integers(0, 10_000)), draw(st.integers(0, 40)))
    centre = cloud(draw(st.integers(0, 10_000)), 1)[0]
    inside = vectors @ centre > draw(st.floats(0, 1))
    size = draw(st.sampled_from([2, 3]))
    return vectors, centre, inside, size, draw(st.integers(0, size))


@settings(max_examples=40, deadline=None)
@given(fields(), st.integers(0, 12), st.randoms(use_true_random=False))
def test_parent_sets_hold_what_was_asked_whatever_the_order_of_the_rows(field, count, rng):
    vectors, centre, inside, size, of_inside = field
    found = parent_sets(vectors, centre, size, count, inside=inside, of_inside=of_inside)
    assert len(found) <= count
    for parents in found:
        assert len(set(parents.members)) == size
        assert inside[list(parents.members)].sum() == of_inside
        mean = vectors[list(parents.members)].sum(axis=0)
        assert parents.proximity == pytest.approx(mean @ centre / np.linalg.norm(mean), abs=1e-4)
    assert len({parents.members for parents in found}) == len(found)
    order = list(range(len(vectors)))
    rng.shuffle(order)
    again = parent_sets(
        vectors[order], centre, size, count, inside=inside[order], of_inside=of_inside
    )
    members = [sorted(order[i] for i in parents.members) for parents in again]
    assert members == [list(parents.members) for parents in found]


@settings(max_examples=25, deadline=None)
@given(fields())
def test_a_used_set_never_comes_again(field):
    vectors, centre, inside, size, of_inside = field
    first = parent_sets(vectors, centre, size, 5, inside=inside, of_inside=of_inside)
    used = {frozenset(parents.members) for parents in first}
    later = parent_sets(vectors, centre, size, 5, inside=inside, of_inside=of_inside, used=used)
    assert not used & {frozenset(parents.members) for parents in later}


def test_parents_around_an_empty_place_are_those_whose_mean_has_no_rivals_there():
    # A dense cluster near the centre would give the nearest means, and the fusion would join it.
    centre = np.asarray([1, 0, 0], dtype=np.float32)
    rng = np.random.default_rng(0)
    cluster = unit(np.asarray([0.8, 0.6, 0]) + rng.normal(0, 0.12, (30, 3)))
    across = unit(np.asarray([[0.75, 0, 0.8], [0.75, 0, -0.8]]))
    vectors = np.concatenate([cluster, across])
    none = np.zeros(len(vectors), dtype=bool)
    best = parent_sets(vectors, centre, 2, 1, inside=none, of_inside=0)[0]
    assert best.members == (30, 31)
    assert best.margin > 0


def test_no_row_is_a_parent_of_everything():
    vectors, centre = cloud(1, 30), cloud(2, 1)[0]
    found = parent_sets(vectors, centre, 2, 10, inside=np.zeros(30, dtype=bool), of_inside=0)
    uses = Counter(i for parents in found for i in parents.members)
    assert len(found) == 10
    assert max(uses.values()) <= 3


def place(vectors, inside, quota, **fields):
    """A subspace around the first row that has so many rows inside."""
    distance = np.sort(1 - vectors @ vectors[0])
    radius = float((distance[inside - 1] + distance[inside]) / 2) if inside else -0.01
    return Subspace(
        "s-1", 1, tuple(vectors[0].tolist()), radius, 0.5, (), (), name="n", quota=quota, **fields
    )


def planned(subspaces, rows, vectors, used, **options):
    return plan_tasks(subspaces, rows, vectors, used, seed=3, **options)


@pytest.mark.parametrize(
    ("inside", "rules"),
    [
        (0, {"two outside", "three outside"}),
        (1, {"one inside", "two outside", "three outside", "constraint", "more steps"}),
        (6, {"all inside", "one inside"}),
    ],
)
def test_the_rules_follow_how_many_rows_are_left(inside, rules):
    vectors = cloud(5, 60, 12)
    rows = [a_row(f"Describe the colour of stone number {i}.", position=i) for i in range(60)]
    tasks = planned([place(vectors, inside, 12)], rows, vectors, set(), round=1, position=0)
    assert len(tasks) == 12
    fused = {task.rule for task in tasks if task.strategy == "fusion"}
    assert fused <= rules
    assert fused & {"all inside", "one inside", "two outside", "three outside"}
    assert all(len(task.parents) == 1 for task in tasks if task.strategy == "deepen")


def test_what_never_lands_gets_fewer_tasks():
    tallies = {
        ("s-1", *INSIDE): Tally(40, 30, 2, 20, 1),
        ("s-1", *ACROSS): Tally(40, 38, 30, 35, 30),
    }
    vectors = cloud(5, 80, 12)
    rows = [a_row(f"Describe the colour of stone number {i}.", position=i) for i in range(80)]
    tasks = planned(
        [place(vectors, 20, 30)], rows, vectors, set(), round=2, position=0, tallies=tallies
    )
    rules = Counter(task.rule for task in tasks)
    assert rules["all inside"] <= 3 < rules["one inside"]


def test_rates_begin_at_what_was_measured_and_follow_what_came():
    assert MethodRates({}).mean(INSIDE) > MethodRates({}).mean(OUTSIDE)
    good = MethodRates({("a", *OUTSIDE): Tally(50, 50, 50, 50, 50)})
    bad = MethodRates({("a", *OUTSIDE): Tally(50, 50, 50, 0, 0), ("b", *OUTSIDE): Tally(50)})
    assert good.mean(OUTSIDE) > 0.9
    assert bad.mean(OUTSIDE) < 0.1
    # An answer has no subspace to land in: that it is better than its parent's is what counts.
    assert MethodRates({("", "answer", "poor response"): Tally(9, 9, 0, 9, 0)}).mean(ANSWER) > 0.7


def test_means_take_turns():
    code, talk = a_row("Write a Python function that sorts."), a_row("Describe the sea at night.")
    assert len({means_of(code, turn) for turn in range(5)}) == 5
    assert len({means_of(talk, turn) for turn in range(4)}) == 4
    assert means_of(code, 2) == means_of(code, 7)


@pytest.mark.parametrize(
    ("parts", "poor"),
    [
        ((14, 12, 5, 10), True),
        ((14, 12, 20, 30), False),
        ((3, 2, 5, 10), False),  # a poor instruction is not worth a better answer
    ],
)
def test_an_answer_is_wanted_for_a_good_instruction_with_a_poor_response(parts, poor):
    names = ("clarity", "difficulty", "explanations", "accuracy")
    row = a_row("Explain why the sky is blue.")
    score = Score(row.id, judge=sum(parts), parts=dict(zip(names, parts, strict=True)))
    assert (response_need(row, score) > 0) == poor
    assert response_need(row, Score(row.id, failed="no answer")) == 0


def test_without_a_judge_a_fault_of_the_response_calls_for_an_answer():
    good = a_row("Explain why the sky is blue.", "Air scatters blue light more than red light.")
    bad = a_row("Explain why the sky is blue.", "As an AI language model, I cannot say.")
    signals = {"not a refusal": 20}
    assert response_need(good, Score(good.id, judge=100, parts=signals)) == 0
    assert response_need(bad, Score(bad.id, judge=80, parts=signals)) > 0


@pytest.mark.parametrize(
    ("text", "instruction", "input"),
    [
        ("Sortiere die Liste.\nEingabe: 3, 1", "Sortiere die Liste.", "3, 1"),
        ("Triez la liste.\nEntrée : 3, 1", "Triez la liste.", "3, 1"),
        ("对列表排序。\n输入：3, 1", "对列表排序。", "3, 1"),
        ("リストを並べ替えてください。\n入力: 3, 1", "リストを並べ替えてください。", "3, 1"),
        ("Отсортируй список.\nВходные данные: 3, 1", "Отсортируй список.", "3, 1"),
        ("Sort the list.\n**Input:** 3, 1", "Sort the list.", "3, 1"),
        ("Sort the list. Input: 3, 1", "Sort the list.", "3, 1"),
        ("Read the input and sort it.", "Read the input and sort it.", ""),
    ],
)
def test_the_input_is_separated_in_any_writing(text, instruction, input):
    written = WrittenTask.read(text)
    assert (written.instruction, written.input) == (instruction, input)


PARENTS = [
    "Write a Python function that counts words.",
    "Write a Python function that sorts words.",
]


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        (
            "Write a Python function that takes input: words, and counts them.",
            DraftFault.INPUT_IN_INSTRUCTION,
        ),
        (
            "Write a program from the rewritten prompt that counts sorted words.",
            DraftFault.PROMPT_IN_TASK,
        ),
        (
            "Write a program that does what Instruction A asks of sorted words.",
            DraftFault.PROMPT_IN_TASK,
        ),
        (
            "Write a function that counts words and write a program that sorts.",
            DraftFault.CONCATENATION,
        ),
        (
            "Schreibe eine Funktion, die mit den Wörtern einer Liste zählt und sie ist.",
            DraftFault.LANGUAGE_OF_TASK,
        ),
    ],
)
def test_what_a_fused_task_must_not_be(written, fault):
    assert task_fault(written, "", PARENTS, prompt="", truncated=False) == fault


@pytest.mark.parametrize(
    ("task", "answer", "fault"),
    [
        (
            "Write a Python function that adds two.",
            "```python\ndef f(x):\n    return x + 2\n```",
            "",
        ),
        ("Write Python code that adds two.", "def f(x):\n    return x + 2", ""),
        (
            "Write a Python function that adds two.",
            "def f(x):\n    return (x + 2",
            DraftFault.CODE_DOES_NOT_PARSE,
        ),
        (
            "Write Python code that adds two.",
            "```python\ndef f(x:\n    x\n```",
            DraftFault.CODE_DOES_NOT_PARSE,
        ),
        ("Write Python code that adds two.", "Take it and go two steps on.", DraftFault.NO_CODE),
        ("Write C code that adds two.", "int f(int x) { return x + 2; }", ""),
        (
            "Write C code that adds two.",
            "```c\nint f(int x) { return x + 2;\n```",
            DraftFault.CODE_DOES_NOT_PARSE,
        ),
        ("Write code for this record in JSON.", '```json\n{"a": [1, 2]}\n```', ""),
        (
            "Write code for this record in JSON.",
            '```json\n{"a": [1, 2}\n```',
            DraftFault.CODE_DOES_NOT_PARSE,
        ),
        ("Write an SQL query for all names.", "SELECT name FROM people;", ""),
        ("Write a poem about a python.", "It sleeps in the sun all day.", ""),
        ("Explain how to write a function.", "Begin with its name and its purpose.", ""),
    ],
)
def test_code_is_asked_for_and_holds(task, answer, fault):
    assert code_fault(task, answer) == fault


@given(st.text("()[]{} ab", max_size=30))
def test_balanced_code_stays_balanced_inside_brackets(text):
    assert balanced(f"({text})") == balanced(text) or not balanced(text)
    assert not balanced(f"{text}(") or not balanced(text)


def test_brackets_in_strings_and_comments_do_not_count():
    assert balanced('puts(":-)"); // smile (')
    assert balanced("a = '('  # open\nb = [1]")
    assert not balanced("f(1]")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("What is the capital of the country that you are from?", "en"),
        ("Wie heißt die Hauptstadt und was ist das für ein Land?", "de"),
        ("Quelle est la capitale de ce pays et que font les gens dans la rue ?", "fr"),
        ("Напиши стихотворение о море и о том, как живут рыбаки.", "ru"),
        ("print(x)", ""),
    ],
)
def test_languages_are_told_or_left_open(text, name):
    assert language(text) == name


def test_an_answer_keeps_the_language_unless_the_task_is_about_languages():
    french = "La mer est belle et les vagues sont dans le soleil pour vous."
    assert other_language(french, "Describe the sea and how it is for the people of the coast.")
    assert not other_language(french, "Translate the note that is below into the usual French.")
    fault = answer_fault(
        "Describe the sea and how it is for the people of the coast.", french, truncated=False
    )
    assert fault == DraftFault.LANGUAGE_OF_ANSWER
    assert not other_language(
        "1969年7月20日，人类登上了月球。", "回答以下问题。 美国何时登上月球的？"
    )
    assert other_language(
        "先把油烧热,然后慢慢炒洋葱。", "Describe how I fry the onions of my garden."
    )
    assert not other_language("print(len(xs)) or sum(xs)", "编写一段简短的代码，获取列表的长度")
    assert wants_code("Write a Python function that sorts.")


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """A finished run of three rounds in which strategies and answers occur."""
    folder = tmp_path_factory.mktemp("judged")
    topics = ("sorting letters", "cooking soup", "singing songs", "painting walls")
    rows = [
        {
            "instruction": f"Explain what matters in {topics[i % 4]} when there are {i} of them.",
            "output": f"{topics[i % 4].capitalize()} takes {i} steps and {i + 2} minutes of rest.",
        }
        for i in range(48)
    ]
    source = folder / "seeds.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    go(source, folder / "run", target_size=90, rounds=3, max_seed_share=0.4, round_size=16)
    ledger = Ledger(folder / "run" / "ledger.sqlite")
    yield ledger
    ledger.close()


@pytest.mark.slow
def test_each_strategy_is_tried_and_its_rate_is_known_by_rule(judged):
    tallies = judged.rounds.tallies()
    strategies = {strategy for _, strategy, _ in tallies}
    assert strategies == {"fusion", "deepen", "answer"}
    assert all(rule for _, _, rule in tallies)
    tasks = [task for round in (1, 2, 3) for task in judged.rounds.tasks(round)]
    assert sum(tally.tried for tally in tallies.values()) == len(tasks)
    for tally in tallies.values():
        assert tally.filled <= min(tally.landed, tally.accepted) <= tally.written <= tally.tried
    for round in judged.rounds.all():
        assert round["filled"] <= min(round["landed"], round["accepted"])


def test_of_a_row_and_the_new_answer_to_it_the_better_one_stays(judged):
    answers = [row for row in judged.rows.find() if row.strategy == "answer"]
    scores = judged.judgements.scores()
    outcomes = set()
    for row in answers:
        parent = judged.rows.by_id(row.parents)[row.parents[0]]
        assert (row.instruction, row.input) == (parent.instruction, parent.input)
        assert row.output != parent.output
        better = scores[row.id].final > scores[parent.id].final
        outcomes.add(better)
        assert (judged.rows.status(row.id)[0] == "accepted") == better
        if better:
            assert judged.rows.status(parent.id) == ("rejected", Why(Reason.REPLACED))
        else:
            assert judged.rows.status(row.id)[1] == Why(Reason.NO_BETTER)
            assert judged.rows.status(parent.id)[0] == "accepted"
    assert True in outcomes


def test_what_an_answer_replaced_comes_back_when_its_round_is_decided_again(judged):
    replaced = [
        row.id
        for row in judged.rows.find("rejected")
        if judged.rows.status(row.id)[1] == Why(Reason.REPLACED)
    ]
    assert replaced
    judged.reopen(1)
    assert {judged.rows.status(id)[0] for id in replaced} == {"accepted"}


def test_an_answer_asks_for_the_response_alone():
    asked = []

    class Gateway:
        backend = SimpleNamespace(small=False)

        async def ask(self, request, **about):
            asked.append(request.prompt)
            return SimpleNamespace(text="Air scatters blue light.", error="", truncated=False)

    parent = a_row("Explain why the sky is blue.", "No idea.")
    task = GenerationTask("r1-0001", 9, 1, "answer", (parent.id,), "", "poor response")
    draft = asyncio.run(Generator(Gateway()).write(task, [parent], None))
    assert [prompt.partition("@")[0] for prompt in asked] == ["answer"]
    assert draft.row.instruction == parent.instruction
    assert draft.row.output == "Air scatters blue light."
    assert (draft.row.strategy, draft.row.parents) == ("answer", (parent.id,))
