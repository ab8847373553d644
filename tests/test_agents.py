"""What the agents decide without a model: checks, signals, plans, quotas, verdicts."""

import asyncio

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lift_agent.agents import scoring
from lift_agent.agents.checks import answer_fault, task_fault
from lift_agent.agents.generator import Generator, WrittenTask, is_code
from lift_agent.agents.judge import combined, text_length
from lift_agent.agents.prompts import load
from lift_agent.agents.redundancy import RedundancyAgent
from lift_agent.agents.selector import Selector, TopSelector
from lift_agent.agents.texts import clip, normalised, overlap, script
from lift_agent.records import Row, Score, Subspace, row_id

PARENTS = [
    "Write a Python function that counts the words in a sentence.",
    "Write a Python function that removes punctuation from a string.",
]


PROMPT = "Write a task that needs the skills of both, beginning with a verb. Do not solve it."


def a_row(instruction, output="Done.", position=0, **fields):
    return Row(
        id=row_id(instruction, "", output, occurrence=position),
        position=position,
        instruction=instruction,
        input="",
        output=output,
        **fields,
    )


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("Write a Python function that counts the distinct words without punctuation.", ""),
        ("Count words", "too short for a task"),
        ("Write a Python function that counts the", "cut sentence"),
        ("Write a Python function that can be defined like this:", "cut sentence"),
        ("Combine the two tasks into a Python function for sentences.", "text of the prompt"),
        ("Make a list, beginning with a verb. Do not solve it now.", "text of the prompt"),
        ("Sentences without any punctuation are easier to count.", "a statement in place"),
        ("def count(sentence): return len(sentence.split()) # counts.", "an answer in place"),
        ("You'll want to use a loop that counts all of the words.", "an answer in place"),
        ("Sure, here is a function that counts the words you asked for.", "an answer in place"),
        (PARENTS[0].upper(), "a copy of a parent"),
        ("Write a Python function that counts the words in sentence.", "a copy of a parent"),
        (
            "Count the words of a sentence. Then write a program that draws a red house.",
            "two tasks joined",
        ),
        ("1. Count the words of a text.\n2. Remove all of its commas.", "two tasks joined"),
        ("Count the words of it, the words of it, the words of it, all.", "repeats itself"),
        ("写一个函数,统计句子中的单词数量,并且去掉所有的标点符号。", "another language"),
    ],
)
def test_each_fault_of_a_written_task_has_its_name(written, fault):
    found = task_fault(written, "", PARENTS, prompt=PROMPT, truncated=False)
    assert found.startswith(fault)
    assert bool(found) == bool(fault)


def test_a_task_cut_by_the_token_limit_is_a_cut_sentence():
    whole = "Write a Python function that counts the distinct words without punctuation."
    assert task_fault(whole, "", PARENTS, prompt=PROMPT, truncated=True) == "cut sentence"


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ("Use a set of the stripped words and take its length.", ""),
        ("I'm sorry, but I can't help with that.", "the answer is a refusal"),
        ("Count the distinct words in it!", "the answer repeats the task"),
        ("yes it is so " * 20, "the answer repeats itself"),
    ],
)
def test_each_fault_of_an_answer_has_its_name(answer, fault):
    assert answer_fault("Count the distinct words in it.", answer, truncated=False) == fault


@pytest.mark.parametrize(
    ("text", "instruction", "input"),
    [
        ("Sort it.\nInput: 3, 1, 2", "Sort it.", "3, 1, 2"),
        ("New task: Sort it.", "Sort it.", ""),
        ('"Sort the list."', "Sort the list.", ""),
        ("Sort it.\nInput: None", "Sort it.", ""),
        ("Sort it.\nInput:\n3\n1", "Sort it.", "3\n1"),
    ],
)
def test_a_written_task_is_separated_from_its_input(text, instruction, input):
    written = WrittenTask.read(text)
    assert (written.instruction, written.input) == (instruction, input)


@given(st.text(max_size=300), st.integers(8, 400))
def test_a_clipped_text_fits_and_keeps_both_ends(text, size):
    shown = clip(text, size)
    if len(text.encode()) <= size:
        assert shown == text
    else:
        assert text.startswith(shown.split(" […] ")[0])
        assert text.endswith(shown.split(" […] ")[-1])


@given(st.text(max_size=60), st.text(max_size=60))
def test_overlap_is_symmetric_and_full_for_equal_texts(a, b):
    assert overlap(a, b) == pytest.approx(overlap(b, a))
    assert 0 <= overlap(a, b) <= 1


def test_normalised_texts_keep_what_carries_meaning():
    assert normalised("Sort THE list!") == normalised("sort  the list.")
    assert normalised("a < b") != normalised("a > b")
    assert script("Сортируй список") == "CYRILLIC"


def test_signals_tell_good_from_damaged_responses():
    good = "Take a pan, warm the oil, and fry the onions slowly until they are soft and golden."
    damaged = {
        "cut": good[:61],
        "refusal": "As an AI language model, I cannot cook.",
        "repeats": "fry the onions " * 30,
        "broken code": "```python\ndef f(:\n    pass\n```",
        "echo": "How do I fry onions?",
    }
    best = sum(scoring.points(a_row("How do I fry onions?", good)).values())
    assert best == 100
    for kind, text in damaged.items():
        assert sum(scoring.points(a_row("How do I fry onions?", text)).values()) < best, kind


def test_length_and_final_score_follow_the_paper():
    row = a_row("ab\tc", "de\nf")
    assert text_length(row) == 6
    score = combined(row, judge=80, longest=12, reason="given")
    assert (score.length, score.final) == (50, pytest.approx(77))
    assert combined(row, judge=80, longest=3, reason="").length == 100


def unit_rows(angles):
    return np.asarray([[np.cos(a), np.sin(a)] for a in angles], dtype=np.float32)


def check(new, kept=(), vectors=None, kept_vectors=None):
    agent = RedundancyAgent(None, duplicate=0.95, borderline=0.9)
    vectors = unit_rows(np.arange(len(new))) if vectors is None else vectors
    if kept_vectors is None:
        kept_vectors = unit_rows(np.arange(len(kept)) + 0.5)
    verdicts, stopped = asyncio.run(agent.check(new, vectors, kept, kept_vectors))
    assert stopped is None
    return verdicts


def test_copies_are_named_exact_or_normalised_and_point_to_the_first():
    rows = [
        a_row("Sort the list.", position=0),
        a_row("Sort the list.", position=1),
        a_row("SORT the list", position=2),
        a_row("Reverse the list.", position=3),
    ]
    verdicts = check(rows)
    assert [v.layer for v in verdicts] == ["none", "exact", "normalised", "none"]
    assert [v.duplicate for v in verdicts] == [False, True, True, False]
    assert verdicts[1].other == verdicts[2].other == rows[0].id
    assert check(rows[1:2], kept=rows[:1])[0].layer == "exact"


def test_near_duplicates_go_by_the_embedding_within_a_batch_and_against_earlier_rows():
    rows = [a_row(f"Task {i}", position=i) for i in range(4)]
    verdicts = check(rows, vectors=unit_rows([0, 1.5, 0.1, 3]))
    assert [v.duplicate for v in verdicts] == [False, False, True, False]
    assert verdicts[2].other == rows[0].id
    assert verdicts[2].layer == "semantic"
    assert verdicts[2].cosine == pytest.approx(np.cos(0.1), abs=1e-5)
    late = check(rows[2:3], kept=rows[:1], vectors=unit_rows([0.1]), kept_vectors=unit_rows([0]))
    assert late[0].other == rows[0].id


def test_parents_are_sought_inside_the_subspace_first_and_no_pair_comes_twice():
    rows = [a_row(f"Task {i}", position=i) for i in range(20)]
    vectors = unit_rows(np.linspace(0, 1, 20))
    place = Subspace("s", 1, (1.0, 0.0), 0.02, 0.5, (), (), name="n", quota=8)
    inside = {row.id for row, v in zip(rows, vectors, strict=True) if 1 - v[0] <= 0.02}
    planner = Generator(None, seed=3)
    tasks = planner.plan([place], rows, vectors, set(), round=1, position=100)
    assert len(tasks) == 8
    assert [task.position for task in tasks] == list(range(100, 108))
    pairs = [frozenset(task.parents) for task in tasks]
    assert len(set(pairs)) == 8
    possible = len(inside) * (len(inside) - 1) // 2
    assert all(pair <= inside for pair in pairs[:possible])
    assert planner.plan([place], rows, vectors, set(), round=1, position=100) == tasks
    more = planner.plan([place], rows, vectors, set(pairs), round=2, position=108)
    assert not set(pairs) & {frozenset(task.parents) for task in more}


def test_code_tasks_get_the_code_family():
    assert is_code(a_row("Write a Python function that sorts."))
    assert not is_code(a_row("Write a poem about the sea."))


@given(st.integers(1, 30), st.integers(0, 12), st.integers(0, 12), st.floats(0, 1))
def test_the_selector_takes_exactly_what_the_pool_can_fill(target, seeds, generated, share):
    pool = [
        a_row(f"Row {i}", position=i, origin="seed" if i < seeds else "generated")
        for i in range(seeds + generated)
    ]
    vectors = unit_rows(np.arange(len(pool)) * 0.7)
    scores = {row.id: Score(row.id, final=row.position % 5) for row in pool}
    selector = Selector(target, share, 0.5)
    chosen = selector.choose(pool, vectors, scores) if pool else []
    assert len(chosen) == selector.reachable(pool) <= target
    assert len({row.id for row in chosen}) == len(chosen)
    assert sum(row.origin == "seed" for row in chosen) <= share * target + 1e-6


def test_the_paper_takes_the_best_and_breaks_ties_by_order():
    pool = [a_row(f"Row {i}", position=i) for i in range(6)]
    scores = {row.id: Score(row.id, final=[1, 5, 3, 5, 3, 9][row.position]) for row in pool}
    chosen = TopSelector(4).choose(pool, unit_rows(range(6)), scores)
    assert [row.position for row in chosen] == [5, 1, 3, 2]


@pytest.mark.parametrize(
    "name",
    [
        "fuse",
        "answer",
        "answer_small",
        "name_subspace",
        "neighbours",
        "plausible",
        "probes",
        "judge",
        "compare",
        "same_task",
        "deepen",
        "deepen_code",
    ],
)
def test_every_prompt_loads_and_ends_with_the_users_turn(name):
    prompt = load(name)
    assert prompt.turns[0][0] == "system"
    assert prompt.turns[-1][0] == "user"
    assert "{{" in prompt.turns[-1][1]
    assert all("{{" not in text for _, text in prompt.turns[:-1])
    with pytest.raises(KeyError):
        prompt.ask()
