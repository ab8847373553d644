"""Every form in every container: what is written comes back as it was."""

from __future__ import annotations

import datetime
import decimal
import io
import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from encoders import COLUMNAR, COMPRESSIONS, CONTAINERS, FORMS, JSON, TABLES, asked
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lift_agent.errors import SourceError
from lift_agent.formats.reading.containers import LONGEST
from lift_agent.formats.reading.readers import read_rows, stopping
from lift_agent.records import Row, UnusableRecord
from lift_agent.stores.exact_json import dumps, loads
from lift_agent.stores.ledger import Ledger

each = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
characters = st.characters(exclude_categories=["Cs"]).filter(
    lambda c: c in "\n\t" or (c >= " " and c != "\x7f")
)
texts = st.text(characters, max_size=30) | st.sampled_from(
    ['"', 'a "b", c', "a\tb;c|d", "=1+1", "[1]", "null", "1.10", "{", "\u2028é\u0301"]
)
some_text = texts.filter(lambda text: bool(text.strip()))
rows = st.lists(
    st.fixed_dictionaries({"instruction": some_text, "input": texts, "output": some_text}),
    min_size=1,
    max_size=4,
)
NUMBERS = ["1.0", "1.10", "1e5", "1E-7", "12345678901234567890", "-0", "-0.0", "0.1", "1e4"]
numbers = st.sampled_from(NUMBERS)
nested = st.builds(
    lambda tags, n: {"tags": tags, "meta": {"n": n}},
    st.lists(texts, max_size=3),
    st.integers(0, 9),
)


def read(folder: Path, raw: bytes, **options: Any) -> tuple[list[Row], list[UnusableRecord]]:
    path = folder / "rows"
    path.write_bytes(raw)
    found = list(read_rows([path], **options))
    good = [item for item in found if isinstance(item, Row)]
    return good, [item for item in found if isinstance(item, UnusableRecord)]


def problem(folder: Path, raw: bytes, **options: Any) -> tuple[int, int, str]:
    """The one record of a file that cannot be used."""
    _, (rejected,) = read(folder, raw, **options)
    return rejected.line, rejected.column, rejected.reason


@pytest.mark.parametrize("container", CONTAINERS)
@each
@given(
    form=st.sampled_from(sorted(FORMS)),
    rows=rows,
    columns=st.data(),
    compression=st.sampled_from(sorted(COMPRESSIONS)),
)
def test_every_form_comes_back_from_every_container(
    tmp_path: Path,
    form: str,
    container: str,
    rows: list[dict[str, str]],
    columns: st.DataObject,
    compression: str,
) -> None:
    table = container in TABLES
    extras = [{"id": columns.draw(texts)} | ({} if table else columns.draw(nested)) for _ in rows]
    written = [FORMS[form](row) | extra for row, extra in zip(rows, extras, strict=True)]
    raw = COMPRESSIONS[compression](CONTAINERS[container](written))
    found, rejected = read(tmp_path, raw)
    assert not rejected
    kept = form in ("alpaca", "instances")
    assert [(row.instruction, row.input, row.output) for row in found] == [
        (row["instruction"], row["input"], row["output"])
        if kept
        else (asked(row), "", row["output"])
        for row in rows
    ]
    whole = form in ("messages", "conversations", "prompt messages")
    for row, record, extra in zip(found, written, extras, strict=True):
        assert dict(row.extra) == (record if whole else extra)
        assert list(row.extra) == list(record if whole else extra)


@each
@given(st.lists(numbers, min_size=1, max_size=5), st.sampled_from(sorted(JSON)), texts)
def test_numbers_and_texts_come_back_as_they_were_spelled(
    tmp_path: Path, spelled: list[str], container: str, name: str
) -> None:
    extra = f'{{"{{}}": [{", ".join(spelled)}], "text": {json.dumps(name, ensure_ascii=False)}}}'
    extra = extra.replace("{}", "n")
    record = f'{{"instruction": "a", "output": "b", {extra[1:]}'
    raw = {"JSONL": record, "JSON array": f"[{record}]", "JSON object": f'{{"data": [{record}]}}'}
    (row,), _ = read(tmp_path, raw[container].encode())
    assert dumps(row.extra) == extra
    with closing(Ledger(Path(":memory:"))) as ledger:
        ledger.rows.add_seeds([row])
        assert dumps(ledger.rows.find()[0].extra) == extra
    assert loads(extra) == json.loads(extra)


@pytest.mark.parametrize("container", COLUMNAR)
def test_types_that_json_does_not_know_come_back_as_is_documented(
    tmp_path: Path, container: str
) -> None:
    when = datetime.datetime(2024, 2, 29, 12, 30, 1, 5, tzinfo=datetime.timezone.utc)
    columns = {
        "instruction": pa.array(["a", "b"]),
        "output": pa.array(["c", "d"], pa.dictionary(pa.int32(), pa.string())),
        "when": pa.array([when, None], pa.timestamp("us", "UTC")),
        "nanos": pa.array([1, 2], pa.timestamp("ns")),
        "day": pa.array([datetime.date(2024, 2, 29)] * 2),
        "took": pa.array([1500, 3], pa.duration("ms")),
        "price": pa.array([decimal.Decimal("1.10"), decimal.Decimal("20.00")]),
        "raw": pa.array([b"\xff\x00", None]),
        "x": pa.array([float("nan"), float("inf")]),
        "single": pa.array([0.1, 1.0], pa.float32()),
        "big": pa.array([2**64 - 1, 0], pa.uint64()),
        "deep": pa.array([[{"at": when, "b": [b"x"]}], []]),
        "map": pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int64())),
    }
    file = io.BytesIO()
    table = pa.table(columns)
    if container == "Parquet":
        pq.write_table(table, file)
    else:
        open_writer = pa.ipc.new_file if container == "Arrow" else pa.ipc.new_stream
        with open_writer(file, table.schema) as writer:
            writer.write_table(table)
    (one, other), rejected = read(tmp_path, file.getvalue())
    assert not rejected
    assert (one.output, other.output, other.line) == ("c", "d", 2)
    assert dict(one.extra) == {
        "when": "2024-02-29 12:30:01.000005Z",
        "nanos": "1970-01-01 00:00:00.000000001",
        "day": "2024-02-29",
        "took": 1500,
        "price": "1.10",
        "raw": "/wA=",
        "x": None,
        "single": 0.10000000149011612,
        "big": 2**64 - 1,
        "deep": [{"at": "2024-02-29 12:30:01.000005Z", "b": ["eA=="]}],
        "map": [["k", 1]],
    }
    assert (other.extra["x"], other.extra["when"]) == ("Infinity", None)


@pytest.mark.parametrize("container", COLUMNAR)
def test_a_damaged_columnar_file_gives_what_is_before_the_damage(
    tmp_path: Path, container: str
) -> None:
    records = [{"instruction": f"Task {n} " + "x" * n, "output": "y"} for n in range(30)]
    raw = bytearray(COLUMNAR[container](records))
    at = raw.index(b"Task 9 ")  # in Parquet the group of rows 10 to 12 stays unreadable
    raw[at - 200 : at - 100] = b"\xff" * 100
    rows, rejected = read(tmp_path, bytes(raw))
    assert rejected
    assert rows[0].instruction == "Task 0 "
    if container == "Parquet":
        assert rows[-1].line == 30


TOOLS = [
    {"role": "system", "content": "Use tools."},
    {"role": "user", "content": [{"type": "text", "text": "Weather?"}]},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "w", "arguments": "{}"}}
        ],
    },
    {"role": "tool", "tool_call_id": "1", "content": "sunny"},
    {"role": "assistant", "content": "It is sunny."},
    {"role": "user", "content": "Thanks"},
    {"role": "assistant", "content": "Sure."},
]


def test_what_the_model_and_its_tools_say_is_one_turn(tmp_path: Path) -> None:
    (row,), _ = read(tmp_path, json.dumps({"messages": TOOLS, "tools": [{"name": "w"}]}).encode())
    said = (
        '<tool_call>\n{"name": "w", "arguments": "{}"}\n</tool_call>\n'
        "<tool_response>\nsunny\n</tool_response>\nIt is sunny."
    )
    assert row.history == (("Weather?", said),)
    assert (row.system, row.instruction, row.output) == ("Use tools.", "Thanks", "Sure.")
    assert row.extra == {"messages": TOOLS, "tools": [{"name": "w"}]}


def test_sharegpt_tools_and_a_system_column(tmp_path: Path) -> None:
    said = [("human", "Hi"), ("function_call", "f()"), ("observation", "1"), ("gpt", "One.")]
    talk = [{"from": role, "value": text} for role, text in said]
    (row,), _ = read(tmp_path, json.dumps({"conversations": talk, "system": "Be kind."}).encode())
    assert row.system == "Be kind."
    assert row.output == (
        "<tool_call>\nf()\n</tool_call>\n<tool_response>\n1\n</tool_response>\nOne."
    )


def test_alpaca_with_a_system_and_earlier_turns(tmp_path: Path) -> None:
    record = {"instruction": "c", "output": "d", "system": "s", "history": [["a", "b"]], "id": 1}
    (row,), _ = read(tmp_path, json.dumps(record).encode())
    assert (row.system, row.history, row.extra) == ("s", (("a", "b"),), {"id": 1})


def test_mapped_columns_and_nested_ones(tmp_path: Path) -> None:
    columns = {"instruction": "task.text", "output": "answers.0", "input": "context"}
    record = {"task": {"text": "Add.", "level": 2}, "answers": ["3"], "context": "1 2", "id": 5}
    (row, other), rejected = read(
        tmp_path,
        json.dumps(
            [record, {"instruction": "a", "output": "b"}, {**record, "answers": []}]
        ).encode(),
        columns=columns,
    )
    assert (row.instruction, row.input, row.output) == ("Add.", "1 2", "3")
    assert row.extra == {"task": record["task"], "answers": ["3"], "id": 5}
    assert other.instruction == "a"
    assert [item.reason for item in rejected] == ["missing output (answers.0)"]


def test_a_file_may_mix_forms(tmp_path: Path) -> None:
    row = {"instruction": "a", "input": "b", "output": "c"}
    found, rejected = read(tmp_path, JSON["JSONL"]([make(row) for make in FORMS.values()]))
    assert not rejected
    assert [item.output for item in found] == ["c"] * len(FORMS)


LONG = "x" * (LONGEST + 1)
HEAD = "instruction,input,output\n"
GOOD = "a,b,c\n"


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (HEAD + GOOD + "a,b\n" + GOOD, (3, 4, "broken row: 2 cells, not 3")),
        (HEAD + GOOD + "a,b,c,d\n" + GOOD, (3, 7, "broken row: 4 cells, not 3")),
        (HEAD + GOOD + '"a,b,c\n' + GOOD, (3, 1, "broken row: ")),
        (HEAD + GOOD + 'a,"b" x,c\n' + GOOD, (3, 1, "broken row: ")),
        (HEAD + GOOD + "a,b,\n" + GOOD, (3, 5, "empty output")),
        (HEAD + GOOD + '"a, b",\x1b[31m,c\n' + GOOD, (3, 8, "control character: U+001B in input")),
        (HEAD + GOOD + '"x\ny",b, \n' + GOOD, (4, 6, "empty output")),
        (HEAD + GOOD + f"{LONG},b,c\n" + GOOD, (3, 1, "broken row: too long")),
        ('{"instruction": "a", "output": 5}\n', (2, 22, "wrong type: output is a number")),
        ('{"instruction": "a\\u0000", "output": "b"}\n', (2, 2, "control character: U+0000")),
        ('{"instruction": "a", "output": NaN}\n', (2, 1, "not JSON: NaN is not a JSON value")),
        (f'{{"instruction": "a", "output": "{LONG[:1_000_001]}"}}\n', (2, 22, "too long: output")),
        (f'{{"instruction": "a", "output": "{LONG}"}}\n', (2, 1, "too long: the record")),
    ],
    ids=lambda value: str(value)[-30:],
)
def test_bad_rows_have_a_place_and_cost_only_themselves(
    tmp_path: Path, raw: str, place: tuple[int, int, str]
) -> None:
    good = '{"instruction": "a", "output": "b"}\n'
    text = raw if raw.startswith(HEAD) else good + raw + good
    rows, (rejected,) = read(tmp_path, text.encode())
    assert len(rows) == 2
    assert (rejected.line, rejected.column) == place[:2]
    assert rejected.reason.startswith(place[2])
    with pytest.raises(SourceError, match=f"rows:{place[0]}:{place[1]}: "):
        list(stopping(read_rows([tmp_path / "rows"])))


def test_invalid_utf8_in_a_table_names_its_place(tmp_path: Path) -> None:
    raw = (HEAD + GOOD).encode() + "é,".encode() + b"\xff,c\n" + GOOD.encode()
    line, column, reason = problem(tmp_path, raw)
    assert (line, column) == (3, 3)
    assert "byte 0xff at byte offset 3" in reason


def test_tables_are_told_by_their_content(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="unknown form: the keys are a, b"):
        read(tmp_path, b"a,b\n1,2\n")
    rows, _ = read(tmp_path, b"a,b\n1,2\n", columns={"instruction": "a", "output": "b"})
    assert (rows[0].instruction, rows[0].output, rows[0].line) == ("1", "2", 2)
    rows, _ = read(tmp_path, b"\xef\xbb\xbfprompt;completion\r\n\r\nx, y;z\r\n")
    assert (rows[0].instruction, rows[0].output, rows[0].line) == ("x, y", "z", 3)


@pytest.mark.slow
@pytest.mark.parametrize("make", [JSON["JSON array"], JSON["JSON object"]])
def test_an_array_is_not_held_in_memory(
    tmp_path: Path, make: Callable[[list[dict[str, Any]]], bytes]
) -> None:
    import tracemalloc

    records = [{"instruction": "a" * 2000, "output": "b" * 5000} for _ in range(8000)]
    path = tmp_path / "rows"
    path.write_bytes(make(records))
    del records
    tracemalloc.start()
    count = sum(1 for _ in read_rows([path]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 8000
    assert peak < path.stat().st_size * 0.75
