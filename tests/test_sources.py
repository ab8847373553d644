"""What a SOURCE may name, and how a run keeps what is no file."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from encoders import COMPRESSIONS, CONTAINERS
from support import go, read_dataset

from lift_agent.errors import SourceError, UsageError
from lift_agent.formats.reading.readers import read_rows
from lift_agent.formats.reading.sources import check_distinct, files_of
from lift_agent.records import Row

PLUGIN = """
def read(rest):
    for n in range(int(rest)):
        yield {"instruction": f"Count to {n}.", "output": str(n), "n": 1.5}
"""


def records(count: int, name: str = "Task") -> list[dict[str, Any]]:
    return [
        {"instruction": f"{name} {n}", "input": "", "output": f"Answer {n}"} for n in range(count)
    ]


def outputs(*sources: str, run: Path | None = None) -> list[str]:
    found = read_rows(files_of(sources, run))
    return [item.instruction for item in found if isinstance(item, Row)]


def write(path: Path, container: str = "JSONL", packed: str = "plain", name: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(COMPRESSIONS[packed](CONTAINERS[container](records(2, name or path.name))))
    return path


def test_a_folder_gives_its_data_files_sorted_and_a_glob_what_matches(tmp_path: Path) -> None:
    write(tmp_path / "b.csv", "CSV")
    write(tmp_path / "a.parquet", "Parquet")
    write(tmp_path / "c" / "d.jsonl.zst", packed="zst")
    write(tmp_path / "c" / "e.txt", "TSV")
    write(tmp_path / "c" / ".hidden.jsonl")
    write(tmp_path / "run" / "dataset.jsonl")
    (tmp_path / "run" / "ledger.sqlite").write_bytes(b"")
    (tmp_path / "README.md").write_text("# About, this\nNothing, here, to see.\n")
    (tmp_path / "dataset_info.json").write_text("{}")
    expected = [
        f"{name} {n}" for name in ("a.parquet", "b.csv", "d.jsonl.zst", "e.txt") for n in (0, 1)
    ]
    assert outputs(str(tmp_path)) == expected
    assert outputs(str(tmp_path / "*.csv")) == ["b.csv 0", "b.csv 1"]
    assert outputs(str(tmp_path / "**" / "*.zst")) == ["d.jsonl.zst 0", "d.jsonl.zst 1"]
    assert outputs(str(tmp_path / "run")) == ["dataset.jsonl 0", "dataset.jsonl 1"]
    with pytest.raises(UsageError, match="nothing matches it"):
        outputs(str(tmp_path / "*.xlsx"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="a folder without data files"):
        outputs(str(tmp_path / "empty"))
    with pytest.raises(UsageError, match="named twice"):
        check_distinct(files_of([str(tmp_path), str(tmp_path / "b.csv")]))


def test_a_dataset_saved_by_datasets_reads_offline(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = datasets.Dataset.from_list(records(3))
    rows.save_to_disk(str(tmp_path / "one"))
    both = datasets.DatasetDict({"train": rows, "test": rows.select([2])})
    both.save_to_disk(str(tmp_path / "two"))
    all_three = ["Task 0", "Task 1", "Task 2"]
    assert outputs(f"hf:{tmp_path / 'one'}") == all_three
    assert outputs(str(tmp_path / "one")) == all_three
    assert outputs(f"hf:{tmp_path / 'two'}") == all_three
    assert outputs(f"hf:{tmp_path / 'two'}:test") == ["Task 2"]
    with pytest.raises(UsageError, match=r"there is no other; .*splits: train, test"):
        outputs(f"hf:{tmp_path / 'two'}:other")
    write(tmp_path / "files" / "train.jsonl")
    assert outputs(f"hf:{tmp_path / 'files'}") == ["train.jsonl 0", "train.jsonl 1"]


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package with a reader called counting."""
    folder = tmp_path / "site"
    about = folder / "counting-1.0.dist-info"
    about.mkdir(parents=True)
    (folder / "counting_reader.py").write_text(PLUGIN)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: counting\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[lift_agent.readers]\ncounting = counting_reader:read\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    return folder


def test_a_plugin_gives_records_and_its_errors_are_sentences(reader: Path) -> None:
    assert outputs("counting:3") == ["Count to 0.", "Count to 1.", "Count to 2."]
    with pytest.raises(SourceError, match=r"counting:many cannot be read .ValueError: invalid"):
        outputs("counting:many")


@pytest.mark.slow
def test_a_run_keeps_what_a_plugin_gave(tmp_path: Path, reader: Path, embedder: str) -> None:
    out = tmp_path / "out"
    go("counting:30", out, recipe="curate", llm="none", target_size=5, embedder=embedder)
    (reader / "counting_reader.py").unlink()
    go("counting:30", out, recipe="curate", llm="none", target_size=6, embedder=embedder)
    dataset = read_dataset(out)
    assert len(dataset) == 6
    assert {row["lift"]["source"] for row in dataset} == {"counting:30"}
    (kept,) = (out / "sources").iterdir()
    kept.write_text(kept.read_text().replace("Count", "Sum"))
    with pytest.raises(UsageError, match="has changed since it was read"):
        go("counting:30", out, recipe="curate", llm="none", target_size=7, embedder=embedder)


@pytest.mark.slow
def test_standard_input_is_kept_for_going_on(tmp_path: Path, embedder: str) -> None:
    piped = gzip.compress(CONTAINERS["CSV"](records(20)))
    flags = ["--recipe", "curate", "--llm", "none", "--embedder", embedder, "--quiet"]

    def lift(*args: str, given: bytes, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "lift_agent", *args],
            cwd=tmp_path,
            input=given,
            capture_output=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return (done.stdout + done.stderr).decode()

    lift("run", "-", "--out", "out", "--target-size", "4", *flags, given=piped)
    lift("resume", "out", "--target-size", "5", "--quiet", given=b"")
    assert len(read_dataset(tmp_path / "out")) == 5
    assert "holds no record" in lift(
        "run", "-", "--out", "out", "--force", *flags, given=b"", code=1
    )


def test_strict_stops_a_run_at_the_first_bad_record(tmp_path: Path, embedder: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("question,answer\na,b\nc,\nd\n")
    options = {"recipe": "curate", "llm": "none", "target_size": 1, "embedder": embedder}
    with pytest.raises(SourceError, match=r"rows.csv:3:3: empty output \(answer\)"):
        go(path, tmp_path / "strict", strict=True, **options)
    go(path, tmp_path / "out", **options)
    quarantined = [json.loads(line) for line in (tmp_path / "out" / "quarantine.jsonl").open()]
    assert [(item["line"], item["column"], item["reason"]) for item in quarantined] == [
        (3, 3, "empty output (answer)"),
        (4, 2, "broken row: 1 cells, not 2"),
    ]


def test_peek_tells_what_would_be_read(tmp_path: Path, command: Any) -> None:
    rows = [
        {
            "question": "What is the name of the river in the city?",
            "answer": "It is \x9b31m the Seine.",
        },
        {
            "question": "What is the name of the river in the city?",
            "answer": "It is \x9b31m the Seine.",
        },
        {"question": "", "answer": "x"},
    ]
    path = tmp_path / "data.bin"
    path.write_bytes(COMPRESSIONS["xz"](CONTAINERS["CSV"](rows)))
    told = json.loads(command("peek", path, "--json").stdout)
    (file,) = told["files"]
    assert (file["container"], file["compression"], file["rows"]) == ("CSV", "xz", 2)
    assert file["forms"] == {"question, answer": 2}
    assert (told["duplicates"], told["reasons"]) == (1, {"empty instruction (question)": 1})
    assert told["languages"] == {"en": 2}
    assert told["rejected"][0]["line"] == 4
    shown = command("peek", path).stdout
    assert "What is the name of the river" in shown
    assert "empty instruction (question)" in shown
    assert "\x9b" not in shown
    mapped = command("peek", path, "--map", "instruction=answer,output=question", "--json").stdout
    assert json.loads(mapped)["rows"][0]["output"].startswith("What")
