from __future__ import annotations

import gzip
import hashlib
import json
import os
import tracemalloc
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lift_agent.errors import SourceError, UsageError
from lift_agent.formats.reading.forms import Columns
from lift_agent.formats.reading.prompts import read_prompts
from lift_agent.formats.reading.readers import fingerprint, read_rows
from lift_agent.records import Row, UnusableRecord, row_id
from lift_agent.stores.ledger import Ledger

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
GOOD = {"instruction": "Add.", "input": "1 2", "output": "3"}
BROKEN = '{"instruction": "Add.", "output": oops}'
Record = dict[str, Any]

fuzz = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def packed(text: str) -> bytes:
    """The same bytes at any time: they are in the names of tests."""
    return gzip.compress(text.encode(), mtime=0)


def alpaca(number: int) -> Record:
    return {"instruction": f"Task {number}", "input": "", "output": f"Answer {number}"}


def write(folder: Path, content: str | bytes, name: str = "rows.jsonl") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(*paths: Path) -> tuple[list[Row], list[UnusableRecord]]:
    found = list(read_rows(paths))
    rows = [item for item in found if isinstance(item, Row)]
    return rows, [item for item in found if isinstance(item, UnusableRecord)]


def read_text(folder: Path, content: str | bytes) -> tuple[list[Row], list[UnusableRecord]]:
    return read(write(folder, content))


def reject(folder: Path, record: object) -> str:
    """Return the reason for which a record on line 2 of a JSONL file is rejected."""
    text = record if isinstance(record, str) else json.dumps(record)
    rows, rejected = read_text(folder, f"{json.dumps(GOOD)}\n{text}\n")
    assert len(rows) == 1
    assert [item.line for item in rejected] == [2]
    return rejected[0].reason


def accept(folder: Path, record: object) -> Row:
    (row,), rejected = read_text(folder, json.dumps(record) + "\n")
    assert not rejected
    return row


def lines(items: Iterable[Row | UnusableRecord]) -> list[int]:
    return [item.line for item in items]


# Alpaca


def test_alpaca_keeps_the_other_columns(tmp_path: Path) -> None:
    extra = {"response": "three", "score": 0.1, "big": 2**70, "tags": ["a", {"b": None}]}
    row = accept(tmp_path, {"id": 7, **GOOD, **extra})
    assert (row.instruction, row.input, row.output) == ("Add.", "1 2", "3")
    assert row.extra == {"id": 7, **extra}
    assert list(row.extra) == ["id", *extra]
    assert (row.system, row.history, row.origin) == ("", (), "seed")


@pytest.mark.parametrize("key", ["output", "response", "completion"])
def test_alpaca_output_key(tmp_path: Path, key: str) -> None:
    row = accept(tmp_path, {"instruction": "Add.", key: "3"})
    assert (row.input, row.output, row.extra) == ("", "3", {})


def test_alpaca_null_counts_as_absent(tmp_path: Path) -> None:
    record = {"instruction": "Add.", "input": None, "output": None, "response": "3"}
    row = accept(tmp_path, record)
    assert (row.input, row.output, row.extra) == ("", "3", {"output": None})


def test_alpaca_wins_over_a_conversation_beside_it(tmp_path: Path) -> None:
    row = accept(tmp_path, {**GOOD, "messages": []})
    assert row.extra == {"messages": []}


def test_texts_are_kept_as_they_are(tmp_path: Path) -> None:
    row = accept(tmp_path, {"instruction": "  Add.\n", "input": " ", "output": "\t3 \U0001f600"})
    assert (row.instruction, row.input, row.output) == ("  Add.\n", " ", "\t3 \U0001f600")


# Self-Instruct


def test_self_instruct_gives_a_row_for_each_instance(tmp_path: Path) -> None:
    instances = [{"input": "1 2", "output": "3"}, {"output": "5", "note": "n", "name": "x"}]
    record = {"id": "s", "instruction": "Add.", "instances": instances, "name": "add"}
    rows, rejected = read_text(tmp_path, json.dumps(record))
    assert not rejected
    assert [(row.instruction, row.input, row.output) for row in rows] == [
        ("Add.", "1 2", "3"),
        ("Add.", "", "5"),
    ]
    assert [row.extra for row in rows] == [
        {"id": "s", "name": "add"},
        {"id": "s", "name": "add", "note": "n"},
    ]
    assert [row.position for row in rows] == [0, 1]
    assert lines(rows) == [1, 1]


def test_self_instruct_rejects_single_instances(tmp_path: Path) -> None:
    instances = [{"output": "3"}, {"input": "2"}, "no", {"output": " "}, {"output": "4"}]
    text = json.dumps({"instruction": "Add.", "instances": instances})
    rows, rejected = read_text(tmp_path, text)
    assert [(row.position, row.output) for row in rows] == [(0, "3"), (4, "4")]
    assert [item.reason for item in rejected] == [
        "missing output of instances[1]: none of output, response, completion",
        "wrong type: instances[2] is a string, not an object",
        "empty output of instances[3]",
    ]
    assert lines(rejected) == [1, 1, 1]


# Conversations


def turns(*texts: str, roles: tuple[str, str] = ("user", "assistant")) -> list[Record]:
    return [{"role": roles[i % 2], "content": text} for i, text in enumerate(texts)]


def test_openai_single_turn(tmp_path: Path) -> None:
    record = {"id": 1, "messages": turns("Hi", "Hello")}
    row = accept(tmp_path, record)
    assert (row.instruction, row.input, row.output, row.history) == ("Hi", "", "Hello", ())
    assert row.extra == record


def test_openai_multi_turn_with_system(tmp_path: Path) -> None:
    messages = [{"role": "system", "content": "Be kind."}, *turns("a", "b", "c", "d", "e", "f")]
    row = accept(tmp_path, {"messages": messages})
    assert row.system == "Be kind."
    assert row.history == (("a", "b"), ("c", "d"))
    assert (row.instruction, row.output) == ("e", "f")


@pytest.mark.parametrize("human", ["human", "user"])
@pytest.mark.parametrize("model", ["gpt", "assistant", "chatgpt", "bard", "bing", "model"])
def test_sharegpt_roles(tmp_path: Path, human: str, model: str) -> None:
    talk = [
        {"from": "system", "value": "s"},
        {"from": human, "value": "a"},
        {"from": model, "value": "b"},
    ]
    row = accept(tmp_path, {"conversations": talk, "id": "x"})
    assert (row.system, row.instruction, row.output) == ("s", "a", "b")
    assert row.extra == {"conversations": talk, "id": "x"}


def test_trailing_user_turn_is_dropped(tmp_path: Path) -> None:
    messages = turns("a", "b", "c")
    row = accept(tmp_path, {"messages": messages})
    assert (row.instruction, row.output, row.history) == ("a", "b", ())
    assert row.extra == {"messages": messages}


def test_text_parts_are_joined(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "Hi "}, {"type": "text", "text": "there"}]
    messages = [{"role": "user", "content": parts}, {"role": "assistant", "content": "Hello"}]
    assert accept(tmp_path, {"messages": messages}).instruction == "Hi there"


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ("hi", "wrong type: messages is a string, not a list"),
        ([], "missing instruction: messages has no complete turn"),
        ([{"role": "system", "content": "s"}], "missing instruction: messages has no"),
        (turns("a"), "missing output: messages has no complete turn"),
        (turns("a", "b", roles=("assistant", "user")), "messages[0] is assistant, not user"),
        (turns("a", "b", roles=("user", "user")), "messages[1] is user, not assistant"),
        (turns("a", "b", roles=("system", "system")), "messages[1] is system, not user"),
        (turns("a", "b", roles=("user", "tool")), "messages[1] is tool, not assistant"),
        (
            turns("a", "b", roles=("user", "critic")),
            "messages[1] has the role 'critic', not one of",
        ),
        (turns("a", " ", "c", "d"), "empty output in turn 1"),
        (turns("a", "b", "", "d"), "empty instruction in turn 2"),
        (["a"], "wrong type: messages[0] is a string, not an object"),
        ([{"content": "a"}], "wrong type: messages[0].from is null, not a string"),
        ([{"role": "user"}], "wrong type: messages[0].value is null, not a string"),
        ([{"role": "user", "content": None}], "messages[0].content is null, not a string"),
        ([{"role": "user", "content": 5}], "messages[0].content is a number, not a string"),
        (
            [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}],
            "wrong type: messages[0].content[0] is not a text part",
        ),
        (
            [{"role": "user", "content": [{"type": "text", "text": 1}]}],
            "wrong type: messages[0].content[0].text is a number, not a string",
        ),
    ],
)
def test_conversations_rejected(tmp_path: Path, messages: object, reason: str) -> None:
    assert reason in reject(tmp_path, {"messages": messages})


# Records that cannot be used


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ([1, 2], "not an object but a list"),
        ("7", "not an object but a number"),
        ("null", "not an object but null"),
        ("true", "not an object but a boolean"),
        ('"text"', "not an object but a string"),
        ({"output": "3"}, "missing instruction: the keys are output; the known forms are Alpaca"),
        ({"instruction": None, "output": "3"}, "missing instruction: the keys are"),
        ({"instances": [{"output": "3"}]}, "missing instruction: the keys are instances"),
        ({"instruction": " \n", "output": "3"}, "empty instruction"),
        ({"instruction": "Add."}, "missing output: none of output, response, completion"),
        ({"instruction": "Add.", "output": "\t"}, "empty output"),
        ({"instruction": "Add.", "output": "", "response": "3"}, "empty output"),
        ({"instruction": "Add.", "response": ""}, "empty output (response)"),
        ({"instruction": "Add.", "instances": []}, "missing output: instances is empty"),
        ({"instruction": "Add.", "instances": {}}, "instances is an object, not a list"),
        ({"instruction": 5, "output": "3"}, "wrong type: instruction is a number, not a string"),
        ({"instruction": "Add.", "output": 3.5}, "wrong type: output is a number, not a string"),
        ({"instruction": "Add.", "output": True}, "output is a boolean, not a string"),
        ({**GOOD, "input": ["a"]}, "wrong type: input is a list, not a string"),
        ({"question": "a", "answers": "b"}, "unknown form: the keys are question, answers; the"),
        ({}, "unknown form: the keys are none"),
        (BROKEN, "not JSON: Expecting value (line 2, column 35)"),
        ('{"instruction": "Add.", "output": "3"} x', "not JSON: Extra data (line 2, column 40)"),
        ("plain text", "not JSON: Expecting value (line 2, column 1)"),
        ('{"instruction": "a", "output": "b", "x": NaN}', "not JSON: NaN is not a JSON value"),
        ('{"instruction": "a", "output": "b", "x": -Infinity}', "not JSON: -Infinity is not"),
        ('{"instruction": "a", "output": "b", "x": 1e999}', "the number 1e999 is too large"),
        (r'{"instruction": "a", "output": "\ud800b"}', r"'output' holds the lone surrogate \ud800"),
        (r'{"instruction": "a", "output": "b", "x": ["\udfff"]}', r"'x' holds the lone surrogate"),
        (r'{"instruction": "a", "output": "b", "\udfff": 1}', r"'\udfff' holds the lone surrogate"),
        ('{"instruction": "a", "x": ' + "[" * 200 + "]" * 200 + "}", "nested too deeply"),
        ("[" * 200_000, "nested too deeply"),
        ('{"a":' * 200_000, "nested too deeply"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_records_rejected(tmp_path: Path, record: object, reason: str) -> None:
    assert reason in reject(tmp_path, record)


def test_an_integer_of_thousands_of_digits_does_not_end_the_reading(tmp_path: Path) -> None:
    huge = '{"instruction": "a", "output": "b", "x": ' + "9" * 5000 + "}"
    rows, _ = read_text(tmp_path, f"{json.dumps(GOOD)}\n{huge}\n{json.dumps(GOOD)}\n")
    assert lines(rows)[-1] == 3


def test_paired_surrogates_are_text(tmp_path: Path) -> None:
    row = accept(tmp_path, {"instruction": "\U0001f600", "output": "\U0001f680"})
    assert (row.instruction, row.output) == ("\U0001f600", "\U0001f680")


def test_invalid_utf8_names_the_byte(tmp_path: Path) -> None:
    bad = '{"instruction": "é'.encode() + b"\xff" + b'", "output": "b"}'
    good = json.dumps(GOOD).encode()
    rows, (rejected,) = read_text(tmp_path, b"\n".join([good, bad, good]))
    assert lines(rows) == [1, 3]
    assert rejected.line == 2
    assert rejected.reason == "invalid UTF-8: byte 0xff at byte offset 19 of line 2"
    assert "�" in rejected.excerpt

    array = b"[\n" + b",\n".join([good, bad, good]) + b"\n]"
    rows, (rejected,) = read_text(tmp_path, array)
    assert lines(rows) == [2, 4]
    assert rejected.reason == "invalid UTF-8: byte 0xff at byte offset 19 of line 3"


def test_excerpt_is_short_and_on_one_line(tmp_path: Path) -> None:
    text = json.dumps([GOOD, {"instruction": "a " * 500}], indent=2)
    _, (rejected,) = read_text(tmp_path, text)
    assert rejected.excerpt.startswith('{ "instruction": "a a a')
    assert "\n" not in rejected.excerpt
    assert len(rejected.excerpt) <= 120


# Containers


def test_jsonl_with_bom_blank_lines_and_windows_line_ends(tmp_path: Path) -> None:
    good = json.dumps(GOOD)
    content = f"\ufeff\r\n{good}\r\n\r\n  \r\n{good}\r\n{BROKEN}\r\n{good}"
    rows, rejected = read_text(tmp_path, content)
    assert lines(rows) == [2, 5, 7]
    assert lines(rejected) == [6]


def test_line_separators_inside_a_text_do_not_end_it(tmp_path: Path) -> None:
    record = {**GOOD, "output": "a\u2028b\u0085c"}
    rows, _ = read_text(tmp_path, json.dumps(record, ensure_ascii=False) + "\n" + json.dumps(GOOD))
    assert [row.output for row in rows] == ["a\u2028b\u0085c", "3"]


def test_the_name_of_the_file_does_not_matter(tmp_path: Path) -> None:
    jsonl = "\n".join(json.dumps(alpaca(n)) for n in range(3))
    for name, content in [
        ("a.json", jsonl.encode()),
        ("b.jsonl", json.dumps([alpaca(n) for n in range(3)]).encode()),
        ("c.jsonl", packed(jsonl)),
        (
            "d.txt",
            b"".join(gzip.compress(part.encode(), mtime=0) for part in (jsonl[:80], jsonl[80:])),
        ),
        ("e.gz", jsonl.encode()),
    ]:
        rows, rejected = read(write(tmp_path, content, name))
        assert [row.output for row in rows] == ["Answer 0", "Answer 1", "Answer 2"], name
        assert not rejected


def test_array_lines(tmp_path: Path) -> None:
    records = [alpaca(n) for n in range(3)]
    rows, _ = read_text(tmp_path, "\n\n" + json.dumps(records, indent=4))
    assert lines(rows) == [4, 9, 14]
    rows, _ = read_text(tmp_path, json.dumps(records))
    assert lines(rows) == [1, 1, 1]
    rows, _ = read_text(tmp_path, "[{},\n\n{}\n,{}]".format(*map(json.dumps, records)))
    assert lines(rows) == [1, 3, 4]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("shape", ["{data}", "meta first", "meta last"])
def test_object_around_one_list(tmp_path: Path, indent: int | None, shape: str) -> None:
    records = [alpaca(n) for n in range(3)]
    wrapped: Record = {"data": records}
    if shape == "meta first":
        wrapped = {"version": 1, "tags": ["a", "b"], "about": {"x": []}, **wrapped}
    if shape == "meta last":
        wrapped = {**wrapped, "version": 1, "tags": ["a"]}
    text = json.dumps(wrapped, indent=indent)
    rows, rejected = read_text(tmp_path, text)
    assert not rejected
    assert [row.output for row in rows] == ["Answer 0", "Answer 1", "Answer 2"]
    starts = [n - 1 for n, line in enumerate(text.split("\n"), 1) if '"instruction"' in line]
    assert lines(rows) == (starts if indent else [1, 1, 1])


def test_object_around_a_list_with_a_broken_record(tmp_path: Path) -> None:
    text = json.dumps({"data": [alpaca(n) for n in range(3)]}, indent=2)
    rows, rejected = read_text(tmp_path, text.replace('"Answer 1"', "oops"))
    assert lines(rows) == [3, 13]
    assert lines(rejected) == [8]
    assert rejected[0].reason == "not JSON: Expecting value (line 11, column 17)"


def test_object_around_two_lists_is_one_record(tmp_path: Path) -> None:
    text = json.dumps({"train": [GOOD], "test": [GOOD]}, indent=2)
    with pytest.raises(SourceError, match="the keys are train, test"):
        read_text(tmp_path, text)


def test_pretty_printed_records_in_a_row(tmp_path: Path) -> None:
    talk = {"conversations": [{"from": "user", "value": "a"}, {"from": "gpt", "value": "b"}]}
    text = "\n".join(json.dumps(record, indent=2) for record in [GOOD, talk, GOOD])
    rows, rejected = read_text(tmp_path, text)
    assert not rejected
    assert [row.instruction for row in rows] == ["Add.", "a", "Add."]
    assert lines(rows) == [1, 6, 18]


# Damaged files


@pytest.mark.parametrize("first", ['{"instruction": "a",', '{"instruction":', "{"])
def test_first_line_of_jsonl_is_cut(tmp_path: Path, first: str) -> None:
    text = "\n".join([first, *(json.dumps(alpaca(n)) for n in range(3)), ""])
    rows, rejected = read_text(tmp_path, text)
    assert lines(rows) == [2, 3, 4]
    assert lines(rejected) == [1]


def test_every_tenth_line_is_broken(tmp_path: Path) -> None:
    text = [BROKEN if n % 10 == 0 else json.dumps(alpaca(n)) for n in range(1, 501)]
    rows, rejected = read_text(tmp_path, "\n".join(text))
    assert lines(rejected) == list(range(10, 501, 10))
    assert lines(rows) == [n for n in range(1, 501) if n % 10]
    assert [row.position for row in rows] == [row.line - 1 for row in rows]


DEFECTS: dict[str, Callable[[str], str]] = {
    "bare word": lambda text: text.replace('"Answer', 'oops "Answer'),
    "no colon": lambda text: text.replace('"output":', '"output"'),
    "no comma": lambda text: text.replace('"",', '""'),
    "no quote": lambda text: text.replace('"Answer', "Answer"),
    "no end quote": lambda text: text.replace('"Task', "Task"),
    "no brace": lambda text: text.rstrip("}"),
    "no first brace": lambda text: text.lstrip("{"),
    "two braces": lambda text: text + "}",
    "not an object": lambda _: '"text"',
    "NaN": lambda text: text.replace('""', "NaN"),
    "two commas": lambda _: "",
    "null": lambda _: "null",
}


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("separator", [", ", ",\n", "\n,"])
@pytest.mark.parametrize("defect", DEFECTS)
def test_every_tenth_element_is_broken(
    tmp_path: Path, indent: int | None, separator: str, defect: str
) -> None:
    texts = [json.dumps(alpaca(n), indent=indent) for n in range(100)]
    broken = [DEFECTS[defect](text) if n % 10 == 3 else text for n, text in enumerate(texts)]
    rows, rejected = read_text(tmp_path, f"[{separator.join(broken)}]")
    found = [row.instruction for row in rows]
    expected = [f"Task {n}" for n in range(100) if n % 10 != 3]
    if defect == "two braces":  # the element itself is whole
        expected = [f"Task {n}" for n in range(100)]
    assert found == expected
    assert len(rejected) == (20 if defect == "no first brace" else 10)  # a text, then a colon
    text = "".join(item + separator for item in broken)
    assert lines(rows)[-1] == 1 + text[: text.index('"Task 99"')].count("\n") - bool(indent)


def test_parts_of_a_broken_record_are_not_records(tmp_path: Path) -> None:
    talk = {"conversations": [{"from": "user", "value": "a"}, {"from": "gpt", "value": "b"}]}
    inner = {"instruction": "Sort.", "instances": [{"output": "x"}, {"output": "y"}], "old": [GOOD]}
    for record in talk, inner:
        good = json.dumps(alpaca(1), indent=1)
        broken = json.dumps(record, indent=1)[:-1] + ',"oops"}'
        rows, rejected = read_text(tmp_path, f"[\n{good},\n{broken},\n{good}\n]")
        assert len(rows) == 2
        assert lines(rejected) == [7]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize(
    ("cut", "add", "reason"),
    [
        (1, ",]", "trailing comma"),
        (1, "", "the list has no end"),
        (1, ",", "the list has no end"),
        (1, "] ]", "expected a comma or the end of the list"),
        (1, ', {"instruction": "Ta', "Unterminated string"),
        (0, "\n]", "expected a comma or the end of the list"),
    ],
)
def test_damaged_end_of_an_array(
    tmp_path: Path, indent: int | None, cut: int, add: str, reason: str
) -> None:
    text = json.dumps([alpaca(n) for n in range(3)], indent=indent)
    rows, (rejected,) = read_text(tmp_path, text[: len(text) - cut] + add)
    assert len(rows) == 3
    assert reason in rejected.reason
    assert rejected.line == 1 + text.count("\n")


def test_missing_comma_between_elements(tmp_path: Path) -> None:
    rows, (rejected,) = read_text(tmp_path, f"[{json.dumps(GOOD)}\n {json.dumps(GOOD)}]")
    assert lines(rows) == [1, 2]
    assert rejected.reason == "not JSON: expected a comma or the end of the list (line 2, column 2)"


def test_arrays_one_after_the_other(tmp_path: Path) -> None:
    rows, rejected = read_text(tmp_path, f"[{json.dumps(GOOD)}]\n[{json.dumps(GOOD)}]")
    assert lines(rows) == [1]
    assert lines(rejected) == [1]


def test_damaged_archive(tmp_path: Path) -> None:
    content = "\n".join(json.dumps(alpaca(n)) for n in range(2000)).encode()
    packed = gzip.compress(content)
    rows, (rejected,) = read(write(tmp_path, packed[:-500], "cut.jsonl.gz"))
    assert [row.output for row in rows] == [f"Answer {n}" for n in range(len(rows))]
    assert 1000 < len(rows) < 2000
    assert rejected.line == len(rows) + 1
    assert "the gzip archive is damaged or truncated from here on" in rejected.reason
    with pytest.raises(SourceError, match=r"no usable row.*damaged"):
        read(write(tmp_path, packed[:40], "cut.jsonl.gz"))


# Positions, ids, sources


def test_positions_and_ids_run_over_all_files(tmp_path: Path) -> None:
    one = write(tmp_path, f"{json.dumps(GOOD)}\n{BROKEN}\n{json.dumps(GOOD)}", "one.jsonl")
    folded = {**GOOD, "instruction": " Add. "}
    two = write(tmp_path, json.dumps([alpaca(1), folded]), "two.json")
    rows, (rejected,) = read(one, two)
    assert [row.position for row in rows] == [0, 2, 3, 4]
    assert [row.source for row in rows] == [str(one)] * 2 + [str(two)] * 2
    assert rejected.source == str(one)
    assert [row.id for row in rows] == [
        row_id("Add.", "1 2", "3"),
        row_id("Add.", "1 2", "3"),
        row_id("Task 1", "", "Answer 1"),
        row_id(" Add. ", "1 2", "3"),
    ]
    with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        for _ in range(2):  # as when reading was cut off and begins again
            ledger.sources.clear()
            ledger.rows.add_seeds(rows[:3])
            ledger.rows.add_seeds(rows[3:])
        assert [row.id for row in ledger.rows.find()] == [
            row_id("Add.", "1 2", "3"),
            row_id("Add.", "1 2", "3", occurrence=1),
            row_id("Task 1", "", "Answer 1"),
            row_id(" Add. ", "1 2", "3", occurrence=2),
        ]
        assert [row.position for row in ledger.rows.find()] == [0, 2, 3, 4]


def test_id_covers_system_and_history(tmp_path: Path) -> None:
    messages = [{"role": "system", "content": "s"}, *turns("a", "b", "c", "d")]
    row = accept(tmp_path, {"messages": messages})
    assert row.id == row_id("c", "", "d", "s", (("a", "b"),))


# Files that cannot be used


def test_missing_file_and_folder_are_noticed_before_reading(tmp_path: Path) -> None:
    good = write(tmp_path, json.dumps(GOOD))
    for path, message in [(tmp_path / "none.json", "does not exist"), (tmp_path, "is not a file")]:
        with pytest.raises(UsageError, match=message) as caught:
            read_rows([good, path])
        assert str(path) in str(caught.value)
        with pytest.raises(UsageError, match=message):
            fingerprint(path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_no_permission(tmp_path: Path) -> None:
    path = write(tmp_path, json.dumps(GOOD))
    path.chmod(0)
    with pytest.raises(UsageError, match="Permission denied"):
        read_rows([path])


@pytest.mark.parametrize(
    "content", ["", " \n\n", "\ufeff", "[]", "[\n]\n", gzip.compress(b"", mtime=0)]
)
def test_empty_file(tmp_path: Path, content: str | bytes) -> None:
    path = write(tmp_path, content)
    with pytest.raises(SourceError, match="holds no record") as caught:
        list(read_rows([path]))
    assert str(path) in str(caught.value)


def test_no_usable_row(tmp_path: Path) -> None:
    path = write(tmp_path, f'\n{BROKEN}\n{{"a": 1}}\n')
    found: list[Row | UnusableRecord] = []
    with pytest.raises(SourceError, match=r"on line 2, not JSON: Expecting value") as caught:
        found.extend(read_rows([path]))
    assert str(path) in str(caught.value)
    assert lines(found) == [2, 3]


# Properties

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
written = st.text(  # what may stand in a row: control characters are quarantined
    st.characters(exclude_categories=["Cs"]).filter(lambda c: c >= " " and c != "\x7f"), max_size=20
)
some_text = written.filter(lambda value: bool(value.strip()))
value = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
reserved = {"instruction", "input", "output", "response", "completion", "system", "history"}
columns = st.dictionaries(text.filter(lambda key: key not in reserved), value, max_size=3)
record = st.builds(
    lambda instruction, given, output, extra: {
        "instruction": instruction,
        "input": given,
        "output": output,
        **extra,
    },
    some_text,
    written,
    some_text,
    columns,
)


@pytest.mark.slow
@fuzz
@given(
    records=st.lists(record, min_size=1, max_size=6),
    indent=st.sampled_from([None, 0, 1, 4]),
    container=st.sampled_from(["jsonl", "array", "wrapped"]),
    zipped=st.booleans(),
    ascii_only=st.booleans(),
)
def test_what_is_written_is_read(
    tmp_path: Path,
    records: list[Record],
    indent: int | None,
    container: str,
    zipped: bool,
    ascii_only: bool,
) -> None:
    if container == "jsonl":
        content = "".join(json.dumps(row, ensure_ascii=ascii_only) + "\n" for row in records)
    else:
        whole = {"data": records} if container == "wrapped" else records
        content = json.dumps(whole, ensure_ascii=ascii_only, indent=indent)
    raw = content.encode()
    rows, rejected = read_text(tmp_path, gzip.compress(raw) if zipped else raw)
    assert not rejected
    assert [
        {"instruction": row.instruction, "input": row.input, "output": row.output, **row.extra}
        for row in rows
    ] == records
    assert [row.position for row in rows] == list(range(len(records)))
    if container == "jsonl":
        assert lines(rows) == list(range(1, len(rows) + 1))


@pytest.mark.slow
@fuzz
@given(
    records=st.lists(record, min_size=1, max_size=4),
    indent=st.sampled_from([None, 2]),
    at=st.integers(min_value=0, max_value=400),
    cut=st.integers(min_value=0, max_value=8),
    junk=st.binary(max_size=4)
    | st.sampled_from([b"{", b"}", b"[", b"]", b",", b'"', b"\n", b"\\"]),
)
def test_damage_never_ends_in_another_error(
    tmp_path: Path, records: list[Record], indent: int | None, at: int, cut: int, junk: bytes
) -> None:
    raw = json.dumps(records, indent=indent).encode()
    path = write(tmp_path, raw[:at] + junk + raw[at + cut :])
    found: list[Row | UnusableRecord] = []
    try:
        found.extend(read_rows([path]))
    except SourceError:
        return
    starts = lines(found)
    assert starts == sorted(starts)
    for item in found:
        json.dumps(item.extra if isinstance(item, Row) else item.reason).encode()
        if isinstance(item, UnusableRecord):
            assert item.reason
            (item.reason + item.excerpt).encode()


@fuzz
@given(st.binary(max_size=60) | st.text('[]{},:"\\ \nabc1-', max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(tmp_path: Path, raw: bytes) -> None:
    with pytest.raises(SourceError):
        list(read_rows([write(tmp_path, raw)]))


# Large files


def test_jsonl_is_not_held_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.jsonl"
    with path.open("w") as file:
        for number in range(400):
            file.write(json.dumps({**alpaca(number), "filler": "x" * 30_000}) + "\n")
    tracemalloc.start()
    count = sum(1 for _ in read_rows([path]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 400
    assert peak < 2_000_000


def test_places_are_right_far_into_a_file(tmp_path: Path) -> None:
    records = [
        json.dumps({**alpaca(n), "note": "é" * 500}, ensure_ascii=False) for n in range(3000)
    ]
    broken = [item if n % 10 else item[:-1] + "oops}" for n, item in enumerate(records)]
    for glue in ",", ",\n":
        content = f"[{glue.join(broken)}]"
        rows, rejected = read_text(tmp_path, content)
        assert [row.output for row in rows] == [f"Answer {n}" for n in range(3000) if n % 10]
        assert len(rejected) == 300
        last = content.rindex("oops")
        line = 1 + content.count("\n", 0, last)
        column = last - content.rfind("\n", 0, last)
        assert rejected[-1].reason.endswith(f"(line {line}, column {column})")
        assert rejected[-1].line == line


@pytest.mark.slow
def test_a_good_row_is_found_after_thousands_of_broken_ones(tmp_path: Path) -> None:
    broken = json.dumps({**alpaca(1), "x": None}).replace("null", "None")
    rows, rejected = read_text(tmp_path, "[" + f"{broken}, " * 20_000 + json.dumps(GOOD) + "]")
    assert [row.output for row in rows] == ["3"]
    assert lines(rejected) == [1]


# Published datasets


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="the published datasets are not here")
@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("code_alpaca_new.json", 4535),
        ("gpteacher_toolformer.json", 7673),
        ("gsm8k_train.json", 7473),
        ("gsm8k_test.jsonl", 1319),
        ("HumanEval.jsonl.gz", 164),
        ("seed_tasks.jsonl", 175),
        ("zh_seed_tasks.json", 175),
        ("sharegpt_conversations.json", 500),
    ],
)
def test_published_datasets(name: str, count: int) -> None:
    columns: Columns = {"instruction": "prompt", "output": "canonical_solution"}
    found = list(read_rows([DATA / name], columns if name.startswith("Human") else None))
    rows = [row for row in found if isinstance(row, Row)]
    assert len(rows) == len(found) == count
    assert len(list(read_prompts([DATA / name]))) == count
    assert [row.position for row in rows] == list(range(count))
    if name.startswith("code"):
        assert all(set(row.extra) == {"response"} for row in rows)
    if name.startswith("sharegpt"):
        assert [row.extra["id"] for row in rows] == [f"identity_{n}" for n in range(count)]
        assert rows[0].history == (
            (
                "Who are you?",
                "I am Vicuna, a language model trained by researchers from "
                "Large Model Systems Organization (LMSYS).",
            ),
        )


def test_fingerprint(tmp_path: Path) -> None:
    content = os.urandom(700_000)
    assert fingerprint(write(tmp_path, content)) == hashlib.sha256(content).hexdigest()
