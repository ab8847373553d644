from __future__ import annotations

import json
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from lift_agent.llms.answers import parse, plain, without_thinking
from lift_agent.records import Call

GOOD = '{"label": "good", "points": 3}'

quick = settings(max_examples=50, deadline=None)


class Mark(BaseModel):
    label: Literal["good", "bad"]
    points: int = Field(ge=0, le=5)


class Remark(BaseModel):
    text: str


class Note(BaseModel):
    text: str = Field(min_length=2, max_length=5)


def said(text: str, finish: str = "stop") -> Call:
    return Call("", "", "", "", 0, "", {}, response=text, finish_reason=finish)


def read(text: str, finish: str = "stop", schema: Any = Mark) -> tuple[Any, str]:
    return parse(schema, said(text, finish))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(GOOD, id="bare"),
        pytest.param(f"\n\t {GOOD} \n", id="white space"),
        pytest.param(f"My verdict: {GOOD} I hope that it helps.", id="prose around"),
        pytest.param(f"{GOOD}\nI used the keys {{label}} and {{points}}.", id="braces after"),
        pytest.param(f"The keys {{label}} and {{points}}: {GOOD}", id="braces before"),
        pytest.param(f"```json\n{GOOD}\n```", id="fence"),
        pytest.param(f"```\n{GOOD}\n```", id="fence without language"),
        pytest.param(f"```JSON\n{GOOD}\n```", id="fence in capitals"),
        pytest.param(f"```json\n{GOOD}", id="fence left open"),
        pytest.param(f"```python\nx = 1\n```\n\n```json\n{GOOD}\n```", id="second fence"),
        pytest.param(f"<think>a {{b}} c</think>{GOOD}", id="thinking"),
        pytest.param(f"<THINKING>\na\n</THINKING>\n{GOOD}", id="thinking in capitals"),
        pytest.param(f"<think>a</think> <think>b</think>{GOOD}", id="thinking twice"),
        pytest.param(f"<think>```json\n{{}}\n```</think>{GOOD}", id="fence in thinking"),
        pytest.param(f"Is it {{this}}? No.\n</think>\n{GOOD}", id="thinking opened by the prompt"),
    ],
)
def test_an_answer_is_found(text: str) -> None:
    assert read(text) == (Mark(label="good", points=3), "")


@pytest.mark.parametrize(
    "text",
    [
        "a {b {c} d} e}",
        'quoted "braces }{" and \\ backslash',
        "héllo 世界 🎉 \u2028",
        "```python\nprint({})\n```",
        "the tag <think> begins a thought",
        "<think>all of it</think>",
    ],
)
@pytest.mark.parametrize("frame", ["{}", "```json\n{}\n```"], ids=["bare", "fence"])
def test_a_text_inside_an_answer_stays_as_it_is(text: str, frame: str) -> None:
    answer = frame.replace("{}", json.dumps({"text": text}))
    assert read(answer, schema=Remark) == (Remark(text=text), "")


@pytest.mark.parametrize(
    ("text", "finish", "cause"),
    [
        ("", "stop", "the answer is empty"),
        (" \n", "stop", "the answer is empty"),
        ("<think>all thought</think>", "stop", "the answer is empty"),
        (f"<think>never ends {GOOD}", "stop", "the answer is empty"),
        (f"<think>never ends {GOOD}", "length", "the answer was cut by its length"),
        ("}{", "stop", "there is no JSON object in it"),
        ("Sorry.", "stop", "there is no JSON object in it"),
        (GOOD[:20], "length", "the answer was cut by its length"),
        ("", "content_filter", "the server's content filter stopped the answer"),
        (GOOD[:20], "content_filter", "the server's content filter stopped the answer"),
        ("I cannot say.", "refusal", "the model refused to answer"),
        ("", "tool_calls", "the model called a tool in place of an answer"),
        ("", "something new", "the answer is empty"),
        ('{"label": "good", "points": {"a": 1}', "length", "the answer was cut by its length"),
        ('{"label": "fair", "points": 3}', "stop", "label: Input should be 'good' or 'bad'"),
        ('{"label": "good", "points": 9}', "stop", "points: Input should be less than or equal"),
        ('{"label": "good", "points": }', "stop", "Invalid JSON"),
    ],
)
def test_an_unusable_answer_has_its_cause(text: str, finish: str, cause: str) -> None:
    value, error = read(text, finish)
    assert value is None
    assert error.startswith(cause)


@pytest.mark.parametrize("finish", ["length", "content_filter", "refusal", "tool_calls", ""])
def test_a_whole_answer_may_end_in_any_way(finish: str) -> None:
    assert read(GOOD, finish) == (Mark(label="good", points=3), "")


def test_a_string_that_is_too_long_is_cut() -> None:
    assert read('{"text": "too long a text"}', schema=Note) == (Note(text="too l"), "")
    assert read('{"text": "x"}', schema=Note)[1].startswith("text: String should have at least 2")


def test_half_a_character_in_an_answer_can_be_kept_or_is_its_cause() -> None:
    value, error = read('{"text": "a \\ud83d b"}', schema=Remark)
    assert value.text.encode() if value else error


def test_deep_nesting_is_read_without_a_crash() -> None:
    for opening in ('{"label": ', "[{"):
        assert read(opening * 1_500) == (None, "there is no JSON object in it")
        assert read(opening * 1_500 + "}")[0] is None


@given(st.text())
@quick
def test_any_text_is_read_without_a_crash(text: str) -> None:
    assert read(text)[0] is None
    assert read(f"{text}{GOOD[:-1]}", "length")[0] is None


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("<think>a</think>b", "b"),
        ("<thinking>a\n</thinking>\nb", "b"),
        ("<think>never ends", ""),
        ("Models open a thought with <think>. It ends later.", None),
        ("Write `<think>x</think>` around it.", None),
    ],
)
def test_only_a_models_own_thinking_is_removed(text: str, rest: str | None) -> None:
    assert without_thinking(text).strip() == (text if rest is None else rest)


@pytest.mark.parametrize(
    ("text", "finish", "answer", "cause"),
    [
        ("<think>a</think>\n b \n", "stop", "b", ""),
        ("half of i", "length", "half of i", ""),
        ("", "length", "", "the answer was cut by its length"),
        ("<think>never ends", "length", "", "the answer was cut by its length"),
        (" \n", "stop", "", "the answer is empty"),
        ("I cannot say.", "refusal", "", "the model refused to answer"),
        ("I cannot say.", "stop", "I cannot say.", ""),
        ("", "content_filter", "", "the server's content filter stopped the answer"),
        ("", "tool_calls", "", "the model called a tool in place of an answer"),
    ],
)
def test_a_text_is_without_thinking_or_has_a_cause(
    text: str, finish: str, answer: str, cause: str
) -> None:
    assert plain(said(text, finish)) == (answer, cause)


def test_a_text_that_the_filter_cut_is_not_taken_for_whole() -> None:
    text, cause = plain(said("First, mix the", "content_filter"))
    assert (text, cause) == ("", "the server's content filter stopped the answer")
