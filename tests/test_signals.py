"""Cheap signals of a row's quality, alone and against the rows of a run."""

import asyncio

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lift_agent.agents import scoring, signals
from lift_agent.agents.code import closed, parses
from lift_agent.agents.corpus_statistics import CorpusStatistics
from lift_agent.agents.judge import Judge
from lift_agent.records import Reason, Row, row_id

COLOURS = ("red", "green", "blue", "white", "black", "brown", "yellow", "purple")
THINGS = ("apples", "houses", "horses", "bottles", "candles", "letters", "flowers", "stones")


def a_row(instruction, output, input=""):
    return Row(row_id(instruction, input, output), 0, instruction, input, output)


RUN = [
    a_row(
        f"How many {colour} {thing} are left of {n} when Anna gives {n // 2} of them away?",
        f"Anna begins with {n} {colour} {thing}. She gives {n // 2} of the {thing} away. "
        f"So she has {n - n // 2} {colour} {thing} left.",
    )
    for n, (colour, thing) in enumerate(((c, t) for c in COLOURS for t in THINGS), start=20)
]
BACKGROUND = CorpusStatistics.of(RUN)

GOOD = [
    a_row("How do I fry onions?", "Warm the oil, and fry the onions until they are golden."),
    a_row("Is this spam? Answer yes or no.", "no", "You won a prize!"),
    a_row("What is 6 times 7?", "6 * 7 = 42"),
    a_row("Write a Python function that adds.", "def add(a, b):\n    return a + b"),
    a_row("Say it in JSON.", '```json\n{"a": [1, 2]}\n```'),
    a_row("怎么炒洋葱?", "先把油烧热,然后用小火慢慢炒洋葱,直到洋葱变软变黄"),
    a_row("What is the weather in Rome?", "The weather in Rome is weather('Rome today')."),
    a_row("Translate to Russian: good morning, friend", "Доброе утро, друг"),
    a_row("Name the end token of ChatML.", "It is <|im_end|>.", "One of <|im_end|> and </s>."),
    a_row("Draw a line.", "-" * 60),
]
FATAL = {
    Reason.EMPTY_RESPONSE: " ... ",
    Reason.REFUSAL: "I'm sorry, but I can't help with that.",
    Reason.LEFTOVER_TOKENS: "Fry them.<|im_end|>\n<|im_start|>user\nThank you!",
    Reason.GARBLED: "Fry the oni\ufffd\ufffdns until th\x07y are golden.",
    Reason.ECHO: "How do I fry the onions of my garden?",
    Reason.REPETITION: "Fry the onions. " + "very " * 40,
    Reason.CUT_OFF: "Warm the oil, and fry the onions until the",
}


@pytest.mark.parametrize("row", GOOD, ids=lambda row: row.instruction)
def test_a_good_row_of_any_kind_has_no_fault(row):
    assert signals.fault(row) == ""
    assert scoring.points(row)["is an answer"] == 20
    assert scoring.points(row)["reads like text"] == 20


@pytest.mark.parametrize("name", FATAL)
def test_a_fatal_fault_has_its_name_and_costs_all_points(name):
    row = a_row("How do I fry the onions of my garden?", FATAL[name])
    assert signals.fault(row) == name
    assert not any(scoring.points(row).values())
    assert scoring.reason(scoring.points(row)) != "No cheap signal finds a fault."


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("def f(x):\n    return x\n", True),
        ("def f(x:\n    return x\n", False),
        ("```python\nprint(1)\n```", True),
        ("```python\ndef f(:\n```", False),
        ('```json\n{"a": }\n```', False),
        ("It begins with def and imports nothing.", True),
    ],
)
def test_code_that_does_not_parse_is_noticed(text, whole):
    assert parses(text) == whole


def test_brackets_are_balanced_without_lists_quotes_and_smileys():
    assert closed("1) first\n2) second :-)")
    assert closed("print('(')")
    assert not closed("for (i = 0; i < 3; i++ { f(i); }")


def test_a_response_in_a_script_that_no_one_asked_for_is_strange():
    assert signals.is_in_another_script(a_row("How do I fry onions?", "先把油烧热,然后慢慢炒"))
    assert not signals.is_in_another_script(a_row("打印日期", "console.log(new Date())"))


def test_the_background_sees_what_a_row_alone_does_not_show():
    row = RUN[5]
    whole = scoring.points(row, BACKGROUND)
    assert sum(whole.values()) >= 90
    other = a_row(row.instruction, RUN[50].output)
    assert BACKGROUND.values(other)["relatedness"] < BACKGROUND.values(row)["relatedness"]
    cut = a_row(row.instruction, row.output[: row.output.index("gives") + 5])
    assert BACKGROUND.values(cut)["bounds"] < 0 < BACKGROUND.values(row)["bounds"]
    noise = a_row(row.instruction, "".join(c if i % 4 else "#" for i, c in enumerate(row.output)))
    assert BACKGROUND.tails(noise)["patterns"] < 0.02
    for damaged in (other, cut, noise):
        assert sum(scoring.points(damaged, BACKGROUND).values()) < sum(whole.values())


def test_without_a_model_the_judge_holds_rows_against_the_background():
    other = a_row(RUN[5].instruction, RUN[50].output)

    def judged(row, background):
        return asyncio.run(Judge(None, 1000, background).score(row)).judge

    assert judged(other, BACKGROUND) < judged(other, None)
    assert judged(other, BACKGROUND) < judged(RUN[5], BACKGROUND) - 10


def test_a_row_does_not_vouch_for_itself():
    odd = a_row("Draw the border.", "~~^~~ | ^^~^^ | ~~^~~")
    assert CorpusStatistics.of([*RUN, odd]).values(odd)["patterns"] == 0
    twin = a_row("Draw the border again.", odd.output)
    assert CorpusStatistics.of([*RUN, odd]).values(twin)["patterns"] == 1


def test_rows_with_a_fault_do_not_change_what_is_usual():
    refused = [a_row(row.instruction, FATAL[Reason.REFUSAL]) for row in RUN]
    assert CorpusStatistics.of(RUN + refused).tails(RUN[5]) == BACKGROUND.tails(RUN[5])


@given(st.text(max_size=200), st.text(max_size=400))
@settings(max_examples=60, deadline=None)
def test_any_text_has_points_of_at_most_a_hundred(instruction, output):
    row = a_row(instruction, output)
    signals.fault(row)
    for background in (None, BACKGROUND, CorpusStatistics.of([row]), CorpusStatistics.of([])):
        parts = scoring.points(row, background)
        assert all(0 <= part <= 20 for part in parts.values())
        assert sum(parts.values()) <= 100 + 1e-9
        assert scoring.reason(parts)


@given(st.permutations(range(len(RUN))))
@settings(max_examples=5, deadline=None)
def test_the_background_does_not_depend_on_the_order_of_rows(order):
    made = CorpusStatistics.of(RUN[i] for i in order)
    assert np.array_equal(made.rarity, BACKGROUND.rarity)
    for row in RUN[:5]:
        assert made.values(row) == pytest.approx(BACKGROUND.values(row))
        assert scoring.points(row, made) == scoring.points(row, BACKGROUND)
