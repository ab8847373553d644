"""Datasets as they go out: what was written comes back, trainers can read it, nothing runs."""

import csv
import gzip
import io
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support import SCRIPTED, called, go

from lift_agent.errors import SourceError, UsageError
from lift_agent.formats.reading.readers import read_rows
from lift_agent.formats.writing.arrow import JSON_TEXT
from lift_agent.formats.writing.cells import cell, restored
from lift_agent.formats.writing.outputs import write_records
from lift_agent.formats.writing.shapes import SHAPES, whole
from lift_agent.formats.writing.trainers import TRAINERS, record_for, uses_tools
from lift_agent.formats.writing.turns import prompt_of
from lift_agent.formats.writing.writers import story
from lift_agent.jobs.export import Options, export
from lift_agent.records import Row, Score, row_id
from lift_agent.stores.folder import opened_ledger

# What the readers quarantine is not written: texts are filled, without lone surrogates.
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)
SAID = TEXT.filter(str.strip) | st.sampled_from(["=1+1", "'=x", "''-1", '@a,"b"', "漢字\n- two"])
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=4,
)
COLUMNS = st.dictionaries(st.sampled_from(["id", "topic", "meta", "score", "=x"]), JSON, max_size=4)


def a_row(instruction, input, output, system="", history=(), extra=None):
    texts = (instruction, input, output, system, tuple(history))
    return Row(row_id(*texts), 0, *texts[:3], system, tuple(history), extra=extra or {}, line=1)


ROWS = st.builds(
    a_row,
    SAID,
    TEXT,
    SAID,
    st.just("") | SAID,
    st.lists(st.tuples(SAID, SAID), max_size=2),
    COLUMNS,
)
SETS = st.lists(ROWS, min_size=1, max_size=4)
ENDINGS = ("jsonl", "jsonl.gz", "jsonl.zst", "json", "json.gz", "csv", "tsv.gz", "parquet", "arrow")


POINTS = {"clarity": 9, "accuracy": 20.5}


def written(rows, shape):
    return [
        whole(row, SHAPES[shape], story(row, Score(row.id, 1, parts=POINTS), "")) for row in rows
    ]


def opened(path):
    """The bytes of a file without its compression, and its container's ending."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        return gzip.decompress(data), path.suffixes[0]
    if path.suffix == ".zst":
        return zstandard.ZstdDecompressor().stream_reader(data).read(), path.suffixes[0]
    return data, path.suffix


def loaded(path):
    """The records of a file, each container by the library that everybody reads it with."""
    data, ending = opened(path)
    if ending == ".parquet":
        return from_table(pq.read_table(io.BytesIO(data)))
    if ending == ".arrow":
        return from_table(pa.ipc.open_stream(data).read_all())
    if ending == ".jsonl":
        return [json.loads(line) for line in data.split(b"\n") if line]
    if ending == ".json":
        return json.loads(data)
    text = io.StringIO(data.decode(), newline="")
    lines = csv.reader(text, delimiter="," if ending == ".csv" else "\t")
    head, *rows = [[restored(text) for text in line] for line in lines]
    return [dict(zip(head, row, strict=True)) for row in rows]


def from_table(table):
    marked = {name.encode(): value.encode() for name, value in JSON_TEXT.items()}
    texts = {field.name for field in table.schema if (field.metadata or {}) == marked}
    return [
        {k: json.loads(v) if k in texts and v is not None else v for k, v in row.items()}
        for row in table.to_pylist()
    ]


def without_nulls(value):
    """In a table a key that is absent is null."""
    if isinstance(value, dict):
        return {k: without_nulls(v) for k, v in value.items() if v is not None}
    return value


@pytest.mark.parametrize("ending", ENDINGS)
@settings(max_examples=25, deadline=None)
@given(rows=SETS, shape=st.sampled_from(list(SHAPES)))
def test_records_come_back_equal_from_every_container(tmp_path_factory, ending, rows, shape):
    path = tmp_path_factory.mktemp("out") / f"x.{ending}"
    records = written(rows, shape)
    write_records(records, path)
    found = loaded(path)
    if ending.startswith(("csv", "tsv")):
        assert found == [{k: cell(r.get(k), defuse=False) for k in found[0]} for r in records]
        assert {k for r in records for k in r} == set(found[0])
    elif ending in ("parquet", "arrow"):
        lift = (
            [without_nulls(r.pop("lift")) for r in records],
            [without_nulls(r.pop("lift")) for r in found],
        )
        assert lift[0] == lift[1]
        filled = [{k: v for k, v in r.items() if v is not None} for r in records]
        assert [{k: v for k, v in r.items() if v is not None} for r in found] == filled
    else:
        assert found == records


def carried(columns, ending):
    """Other columns as they come back: texts from a CSV, where null is empty; in a table it
    stands where a column lacks."""
    if ending.startswith(("csv", "tsv")):
        return {k: cell(v, defuse=False) for k, v in columns.items() if v not in (None, "")}
    if ending in ("parquet", "arrow"):
        return {k: v for k, v in columns.items() if v is not None}
    return columns


@pytest.mark.parametrize("ending", ENDINGS)
@settings(max_examples=25, deadline=None)
@given(rows=SETS, shape=st.sampled_from(list(SHAPES)))
def test_rows_come_back_through_the_readers(tmp_path_factory, ending, rows, shape):
    path = tmp_path_factory.mktemp("out") / f"x.{ending}"
    write_records(written(rows, shape), path)
    found = list(read_rows([path]))
    for row, read in zip(rows, found, strict=True):
        assert isinstance(read, Row), read
        if shape == "alpaca":
            assert (read.instruction, read.input) == (row.instruction, row.input)
        else:
            assert (read.instruction, read.input) == (prompt_of(row), "")
        assert (read.system, read.history) == (row.system, row.history)
        assert read.output == row.output
        extra = {k: v for k, v in read.extra.items() if k in row.extra}
        assert carried(extra, ending) == carried(row.extra, ending)
        story = read.extra["lift"]
        assert (json.loads(story) if isinstance(story, str) else story)["id"] == row.id


TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {}}}]
CALLING = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "How warm is it in Oslo and Rome?"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": f"c{i}",
                "type": "function",
                "function": {"name": "weather", "arguments": json.dumps({"city": city})},
            }
            for i, city in enumerate(("Oslo", "Rome"))
        ],
    },
    {"role": "tool", "tool_call_id": "c0", "content": "3"},
    {"role": "tool", "tool_call_id": "c1", "content": "17"},
    {"role": "assistant", "content": "Oslo 3, Rome 17 degrees."},
]


@pytest.fixture
def calling(tmp_path):
    """A row of a conversation with tools."""
    path = tmp_path / "calling.jsonl"
    path.write_text(json.dumps({"messages": CALLING, "tools": TOOLS}))
    try:
        (row,) = read_rows([path])
    except SourceError:
        pytest.skip("the readers take no tool messages")
    return row


def test_a_conversation_goes_out_untouched_in_its_form_and_converted_in_others(calling):
    assert written([calling], "messages")[0]["messages"] == CALLING
    converted = written([calling], "sharegpt")[0]
    assert "messages" not in converted
    said = [(turn["from"], turn["value"]) for turn in converted["conversations"]]
    assert [name for name, _ in said] == [
        *("system", "human", "function_call", "observation", "observation", "gpt")
    ]
    assert json.loads(said[2][1]) == [
        {"name": "weather", "arguments": {"city": city}} for city in ("Oslo", "Rome")
    ]


def test_trainers_get_tools_in_their_own_manner(calling):
    trl = record_for(TRAINERS["trl"], calling, tools=True)
    assert list(trl) == ["id", "prompt", "completion", "tools"]
    assert trl["completion"] == [CALLING[-1]]
    assert json.loads(trl["tools"]) == TOOLS
    assert trl["prompt"][2]["content"] == ""  # null beside texts is a type of its own
    factory = record_for(TRAINERS["llama-factory"], calling, tools=True)["conversations"]
    # LLaMA-Factory drops a row whose turns do not alternate.
    said = [turn["from"] for turn in factory]
    assert said == ["system", "human", "function_call", "observation", "gpt"]
    assert factory[3]["value"] == "3\n17"
    assert uses_tools(calling)


def test_tools_keep_one_type_in_a_table(calling, tmp_path):
    plain = a_row("Hi.", "", "Hello.")
    records = [record_for(TRAINERS["axolotl"], row, tools=True) for row in (plain, calling)]
    write_records(records, tmp_path / "x.parquet")
    found = loaded(tmp_path / "x.parquet")
    called = found[1]["messages"][2]["tool_calls"][0]["function"]
    assert called == {"name": "weather", "arguments": '{"city": "Oslo"}'}
    assert found[0]["messages"][0]["content"] == "Hi."
    assert found[0]["messages"][0]["tool_calls"] is None


def test_a_trailing_question_is_kept_in_its_form_and_not_trained_on():
    turns = [("human", "Hi."), ("gpt", "Hello."), ("human", "And then?")]
    talk = [{"from": name, "value": text} for name, text in turns]
    row = a_row("Hi.", "", "Hello.", extra={"conversations": talk, "topic": "x"})
    assert written([row], "sharegpt")[0]["conversations"] == talk
    for name in TRAINERS:
        record = record_for(TRAINERS[name], row, tools=False)
        assert "And then?" not in json.dumps(record)
        assert "topic" not in record


@given(SAID | st.text(st.sampled_from("'=+-@\t\r a"), max_size=6))
@example("'")
def test_no_cell_runs_and_every_text_comes_back(text):
    shown = cell(text, defuse=True)
    assert not shown.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert restored(shown) == text
    assert cell(-5, defuse=True) == "-5"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run over rows of several forms, with names that would break a card."""
    folder = tmp_path_factory.mktemp("finished")
    source = folder / "a`|<img src=x>\n# b.jsonl"
    rows = [
        {
            "instruction": f"Explain step {i} of {task}.",
            "input": "=cmd" if i == 3 else "",
            "output": f"For {task} take {i + 2} of them, then wait.",
            "meta": {"a": i} if i % 2 else [str(i)],
        }
        for i in range(9)
        for task in ("sorting mail", "boiling soup", "singing bass", "painting doors")
    ]
    for i in range(4):
        talk = [("user", f"Who are you, {i}?"), ("assistant", f"Guide {i} of the harbour.")] * 2
        rows.append({"messages": [{"role": r, "content": t} for r, t in talk]})
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    go(source, folder / "run", target_size=40, license=(f"{source.name}=MIT", "My own | [x](y)"))
    return folder / "run"


def exported(run, to, name="alpaca", share=0.1):
    export(run, name, to, Options(test_share=share))
    return to


def card_of(folder):
    text = (folder / "README.md").read_text()
    _, header, body = text.split("---\n", 2)
    return yaml.safe_load(header), body


@pytest.mark.slow
@pytest.mark.parametrize("name", ["messages", "csv", "parquet", "arrow", "json.gz", *TRAINERS])
def test_datasets_loads_what_is_exported(finished, tmp_path, monkeypatch, name):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from datasets import disable_progress_bars, load_dataset

    disable_progress_bars()
    # Loaders take the columns of text files from the first: two files may not differ in them.
    split = name not in ("csv", "json.gz")
    out = exported(finished, tmp_path / "out", name, 0.1 if split else 0)
    data = load_dataset(str(out), cache_dir=str(tmp_path / "cache"))
    sizes = {split: len(rows) for split, rows in data.items()}
    assert sizes == ({"train": 36, "test": 4} if split else {"train": 40})
    row = data["test" if split else "train"][0]
    lift = row.get("lift")
    id = row["id"] if name in TRAINERS else (json.loads(lift) if name == "csv" else lift)["id"]
    with opened_ledger(finished) as ledger:
        assert ledger.dataset.rank(id)


def test_configurations_point_to_the_files_by_the_trainers_names(finished, tmp_path):
    for name in TRAINERS:
        exported(finished, tmp_path / name, name)
    info = json.loads((tmp_path / "llama-factory" / "dataset_info.json").read_text())
    assert set(info) == {"llama-factory", "llama-factory_test"}
    tags = info["llama-factory"]["tags"]
    row = json.loads((tmp_path / "llama-factory" / "train.jsonl").read_text().splitlines()[0])
    turns = row[info["llama-factory"]["columns"]["messages"]]
    assert {t[tags["role_tag"]] for t in turns} <= {tags["user_tag"], tags["assistant_tag"]}
    axolotl = yaml.safe_load((tmp_path / "axolotl" / "axolotl.yaml").read_text())
    for part, file in (("datasets", "train.jsonl"), ("test_datasets", "test.jsonl")):
        described = axolotl[part][0]
        row = json.loads((tmp_path / "axolotl" / described["path"]).read_text().splitlines()[0])
        assert (described["path"], described["type"]) == (file, "chat_template")
        keys = set(described["message_property_mappings"].values())
        assert set(row[described["field_messages"]][0]) == keys
    script = (tmp_path / "trl" / "train_trl.py").read_text()
    assert len([line for line in script.splitlines() if not line.startswith("#")]) <= 10
    compile(script, "train_trl.py", "exec")


def test_the_card_is_valid_and_inert_whatever_names_it_holds(finished, tmp_path):
    from huggingface_hub import DatasetCardData

    header, body = card_of(exported(finished, tmp_path / "out"))
    assert DatasetCardData(**header).to_dict()["configs"][0]["data_files"] == [
        {"split": "train", "path": "train.parquet"},
        {"split": "test", "path": "test.parquet"},
    ]
    assert header["license"] == ["mit", "other"]
    assert header["license_name"] == "My own | [x](y)"
    assert "\n# b" not in body
    shown = "\n".join(line for line in body.splitlines() if not line.startswith("    "))
    assert not any("<img" in part for part in shown.split("`")[::2])  # but in code
    assert "## Contamination" not in body
    run_header, _ = card_of(finished)
    assert run_header["configs"][0]["data_files"] == [{"split": "train", "path": "dataset.jsonl"}]


@pytest.mark.slow
def test_the_card_names_tables_sources_and_licences_as_a_run_takes_them(tmp_path, embedder):
    source = tmp_path / "data" / "rows.jsonl"
    source.parent.mkdir()
    rows = ({"instruction": f"Name river {i}.", "output": f"River {i}."} for i in range(6))
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = {"recipe": "curate", "target_size": 4, "license": (f"{source}=mit",)}
    tables = {"mine": {"model": SCRIPTED, "rpm": 600.0}}
    go(source, tmp_path / "run", embedder=embedder, llm="mine", llms=tables, **settings)
    text = (tmp_path / "run" / "README.md").read_text(encoding="utf-8")
    assert "| `rows.jsonl` | 6 | 0 | mit |" in text
    assert "--llm mine" in text
    assert "--llms" not in text
    assert "    [llm.mine]" in text


def test_vectors_that_cannot_be_read_leave_a_report_and_one_sentence(finished, tmp_path, command):
    run = tmp_path / "broken"
    shutil.copytree(finished, run)
    for file in (run / "vectors").rglob("*"):
        if file.is_file():
            file.write_bytes(b"not a store")
    split = ("--format", "messages", "--to", tmp_path / "out", "--test-share", "0.3")
    assert "vectors" in command("export", run, *split, code=1).stderr
    with closing(sqlite3.connect(run / "ledger.sqlite")) as db:
        db.execute("UPDATE rows SET x = NULL, y = NULL")
        db.commit()
    command("report", run)
    assert (run / "report.html").is_file()


@pytest.mark.slow
def test_the_command_in_the_card_makes_the_same_dataset(finished, tmp_path):
    import shlex

    _, body = card_of(finished)
    line = next(line for line in body.splitlines() if line.startswith("    lift-agent run "))
    # The card has names on one line; the source of this test has a line break in its own.
    words = [w.replace("_# b", "\n# b") for w in shlex.split(line)[1:]]
    model = words.index("--llm") + 1
    assert words[model].startswith("scripted:")
    made = called((*words, "--out", tmp_path / "again", "--quiet"), finished.parent)
    assert made.returncode == 0, made.stderr
    again = (tmp_path / "again" / "dataset.jsonl").read_text()
    stripped = [
        [{**json.loads(row), "lift": None} for row in text.splitlines()]
        for text in (again, (finished / "dataset.jsonl").read_text())
    ]
    assert stripped[0] == stripped[1]


@pytest.mark.parametrize(
    ("name", "to", "options", "message"),
    [
        ("excel", "x", {}, "there is no format excel: they are alpaca"),
        ("alpaca", None, {}, "say where to write the dataset"),
        ("alpaca", "x.jsonl", {"test_share": 0.1}, "a split makes two"),
        ("trl", "x.jsonl", {}, "needs its configuration beside"),
        ("parquet", "x.jsonl", {}, "do not go together"),
        ("csv.gz", "x.csv", {}, "do not go together"),
        ("alpaca", "x.parquet.gz", {}, "is not compressed again"),
        ("trl.csv", "x", {}, "reads nested columns"),
        ("alpaca", "x", {"test_share": 1.0}, "test_share = 1.0"),
        ("alpaca", None, {"push": "me/data"}, "write hf:owner/name"),
    ],
)
def test_what_does_not_go_together_is_said_in_one_line(finished, name, to, options, message):
    with pytest.raises(UsageError) as error:
        export(finished, name, to and Path(to), Options(**options))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_the_command_exports_and_why_finds_the_exported_id(finished, tmp_path, command):
    shown = command("export", finished, "--format", "trl", "--to", tmp_path / "out").stdout
    assert "40 rows" in shown
    assert "train_trl.py MODEL" in shown
    first = json.loads((tmp_path / "out" / "train.jsonl").read_text().splitlines()[0])
    assert "selector: in the dataset" in command("why", finished, first["id"]).stdout


@pytest.mark.slow
def test_memory_stays_flat_however_many_rows_are_written(tmp_path):
    import tracemalloc

    class Many:
        def __init__(self, count):
            self.count = count

        def __iter__(self):
            for i in range(self.count):
                yield {"instruction": f"Do {i}. " * 20, "output": "x" * 100, "lift": {"id": i}}

    def peak(count, ending):
        tracemalloc.start()
        write_records(Many(count), tmp_path / f"x.{ending}")
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    for ending in ("jsonl.gz", "csv", "parquet"):
        assert peak(24_000, ending) < 1.2 * peak(12_000, ending) + 100_000, ending
