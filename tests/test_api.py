"""The Python interface: what is called, what comes back, in scripts and inside an event loop."""

import asyncio
import json
import shutil
import subprocess
import sys

import datasets
import numpy as np
import pandas
import pytest
from support import ROOT, SCRIPTED

import lift_agent
from lift_agent import Run, arun, coverage, deduplicate, read_rows, run, select
from lift_agent.errors import RunFolderError, SourceError, UsageError
from lift_agent.records.events import PoolCounted, StageBegan

ROWS = [
    {"instruction": f"Explain how to {verb} thing number {i}.", "output": f"{verb} it {i} times."}
    for i in range(2, 12)
    for verb in ("sort", "cook", "paint")
]
COPY = {"instruction": ROWS[4]["instruction"].upper(), "output": ROWS[4]["output"]}
VECTORS = np.random.default_rng(0).standard_normal((len(ROWS) + 1, 16))
VECTORS[-1] = VECTORS[4]
CONTAINERS = {
    "list": lambda rows: rows,
    "dataset": datasets.Dataset.from_list,
    "pandas": pandas.DataFrame,
}


def as_list(rows):
    if isinstance(rows, pandas.DataFrame):
        return rows.to_dict("records")
    return [dict(row) for row in rows]


def test_importing_the_package_loads_nothing_heavy():
    heavy = "numpy", "pydantic", "langgraph", "chromadb", "typer"
    code = f"import sys, lift_agent; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
    assert set(lift_agent.__all__) <= set(dir(lift_agent))
    with pytest.raises(AttributeError, match="no attribute 'walk'"):
        _ = lift_agent.walk


@pytest.mark.parametrize("container", CONTAINERS)
def test_duplicates_are_removed_and_each_names_the_row_that_it_repeats(container):
    found = deduplicate(CONTAINERS[container]([*ROWS, COPY]), vectors=VECTORS)
    assert type(found.rows) is type(CONTAINERS[container]([*ROWS, COPY]))
    assert as_list(found.rows) == ROWS
    assert found.indices == list(range(len(ROWS)))
    [duplicate] = found.duplicates
    assert (duplicate.index, duplicate.repeats) == (len(ROWS), 4)
    assert duplicate.cosine == pytest.approx(1, abs=1e-6)
    assert found.unusable == []


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_selection_has_n_rows_and_says_by_how_much(container):
    found = select(CONTAINERS[container](ROWS), 7, vectors=VECTORS[:-1])
    assert as_list(found.rows) == [ROWS[i] for i in found.indices]
    assert len(set(found.indices)) == 7
    assert found.scores.keys() == set(range(len(ROWS)))
    assert set(found.indices) <= found.margins.keys()
    assert as_list(select(CONTAINERS[container](ROWS), 0, vectors=VECTORS[:-1]).rows) == []
    assert len(as_list(select(CONTAINERS[container](ROWS), 99, vectors=VECTORS[:-1]).rows)) == 30


def test_a_selection_by_quality_alone_is_that_of_the_scores():
    scores = list(np.random.default_rng(1).permutation(len(ROWS)))
    found = select(ROWS, 5, vectors=VECTORS[:-1], scores=scores, quality_weight=1)
    assert [scores[i] for i in found.indices] == [29, 28, 27, 26, 25]


def test_a_row_that_cannot_be_used_is_told_and_costs_no_other():
    rows = [ROWS[0], {"instruction": "Say.", "output": None}, {"a": 1}, ROWS[1]]
    found = deduplicate(rows, vectors=VECTORS[:4])
    assert found.indices == [0, 3]
    assert [(bad.source, bad.line) for bad in found.unusable] == [("rows", 2), ("rows", 3)]
    assert select(rows, 9, vectors=VECTORS[:4]).indices in ([0, 3], [3, 0])
    with pytest.raises(UsageError, match="no usable row: of row 1, "):
        deduplicate([{"a": 1}])


def test_own_columns_and_forms_are_read():
    asked = [{"q": row["instruction"], "a": row["output"]} for row in ROWS]
    names = {"instruction": "q", "output": "a"}
    assert select(asked, 3, vectors=VECTORS[:-1], map=names).indices == (
        select(ROWS, 3, vectors=VECTORS[:-1]).indices
    )
    turns = [
        {
            "messages": [
                {"role": "user", "content": row["instruction"]},
                {"role": "assistant", "content": row["output"]},
            ]
        }
        for row in ROWS
    ]
    assert deduplicate([*turns, turns[0]], vectors=VECTORS).duplicates[0].repeats == 0


def test_the_texts_are_embedded_where_no_vectors_are_given(embedder):
    found = deduplicate([*ROWS, COPY], embedder=embedder)
    assert found.indices == list(range(len(ROWS)))
    assert len(select(ROWS, 4, embedder=embedder).rows) == 4


@pytest.mark.slow
def test_coverage_is_a_table_of_sets_over_the_same_space(embedder):
    some = [ROWS[i] for i in select(ROWS, 6, vectors=VECTORS[:-1]).indices]
    table = coverage(ROWS, some, embedder=embedder)
    assert list(table) == ["a", "b", "random", "variance"]
    assert (table["a"].rows, table["b"].rows, table["random"].rows) == (30, 6, 6)
    assert table["a"].distance == 0 < table["b"].distance
    assert str(table).splitlines()[0].split()[:3] == ["coverage", "rows", "distance"]
    assert list(table.to_pandas().index) == list(table)
    assert "<table" in table._repr_html_()
    assert coverage([], []) == {}
    assert list(coverage(some, ROWS, embedder=embedder)) == ["a", "b"]  # too few rows to compare


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: deduplicate("rows.jsonl"), "read_rows"),
        (lambda: deduplicate({"instruction": "a"}), "list of dicts"),
        (lambda: deduplicate(7), "list of dicts"),
        (lambda: deduplicate(ROWS, cosine=0.9), "unknown setting cosine"),
        (lambda: deduplicate(ROWS, candidate_cosine=3), "candidate_cosine = 3"),
        (lambda: deduplicate(ROWS, vectors=VECTORS[:3]), "vectors must be"),
        (lambda: deduplicate(ROWS, vectors=VECTORS * np.nan), "record 1 is not finite"),
        (lambda: deduplicate(ROWS, map={"instruction": "q"}), "map needs both"),
        (lambda: select(ROWS, -1), "n = -1"),
        (lambda: select(ROWS, 3, vectors=VECTORS, scores=[1, 2]), "one number for each record"),
        (read_rows, "at least one source"),
        (lambda: read_rows("nowhere.jsonl"), "there is no file"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(call, said):
    with pytest.raises(UsageError, match=said):
        call()


def test_files_are_read_as_a_run_reads_them(tmp_path):
    path = tmp_path / "mixed.jsonl"
    lines = [
        json.dumps({**ROWS[0], "topic": "x"}),
        "{",
        json.dumps({"question": "Q?", "answer": "A"}),
    ]
    path.write_text("\n".join(lines))
    rows = read_rows(path)
    assert rows == [
        {**ROWS[0], "input": "", "topic": "x"},
        {"instruction": "Q?", "input": "", "output": "A"},
    ]
    assert [(bad.source, bad.line) for bad in rows.unusable] == [(str(path), 2)]
    path.write_text("{}\n")
    with pytest.raises(SourceError):
        read_rows(path)


# runs -------------------------------------------------------------------------------------


def settings(embedder, tmp_path):
    return {
        **{"llm": SCRIPTED, "embedder": embedder, "out": tmp_path / "run", "cache": False},
        **{"target_size": 24, "round_size": 8, "rounds": 2, "max_seed_share": 0.5},
    }


@pytest.mark.slow
def test_a_run_gives_its_rows_their_stories_and_its_calls(embedder, tmp_path):
    events = []
    made = run(ROWS, progress=events.append, **settings(embedder, tmp_path))
    assert len(made) == made.summary.rows == made.summary.target == 24
    assert made.summary.stop == "target"
    assert any(isinstance(event, StageBegan) for event in events)
    assert [e for e in events if isinstance(e, PoolCounted)][-1].accepted == 24
    assert (made.folder / "report.html").is_file()
    row = next(row for row in made.rows if row["lift"]["origin"] == "generated")
    story = made.why(row)
    assert story.row.id == row["lift"]["id"]
    assert "generated in round" in str(story)
    assert str(made.why(row["lift"]["id"][:10])) == str(story)
    assert json.loads(json.dumps(story.as_dict()))["row"]["id"] == story.row.id
    calls = made.trace(agent="generator")
    assert calls
    assert {call.agent for call in calls} == {"generator"}
    assert made.trace(limit=3) == made.trace()[-3:]
    assert len(made.to_pandas()) == len(made.to_dataset()) == 24
    assert "24 of 24 rows, target" in repr(made)
    assert "Stop reason: target" in str(made)
    again = Run(made.folder)
    assert again.rows == made.rows
    with pytest.raises(UsageError, match="status = fine"):
        made.trace(status="fine")
    with pytest.raises(UsageError, match="no id under lift"):
        made.why({"instruction": "x"})
    with pytest.raises(RunFolderError):
        Run(tmp_path)


@pytest.mark.slow
def test_rows_in_memory_and_in_a_file_make_the_same_dataset_and_a_run_can_be_resumed(
    embedder, tmp_path
):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    given = settings(embedder, tmp_path)
    texts = []
    for number, source in enumerate((path, datasets.Dataset.from_list(ROWS))):
        out = tmp_path / f"run{number}"
        made = run(source, progress=False, **{**given, "out": out})
        texts.append([(row["instruction"], row["output"]) for row in made.rows])
    assert texts[0] == texts[1]
    stopped = {**given, "out": tmp_path / "stopped"}
    short = run(ROWS, progress=False, max_calls=40, **stopped)
    assert short.summary.stop == "budget"
    whole = run(ROWS, progress=False, max_calls=4000, **stopped)
    assert whole.summary.rows == 24
    with pytest.raises(UsageError, match=r"finished run|other settings"):
        run(ROWS[:20], progress=False, **stopped)


@pytest.mark.slow
def test_everything_works_inside_a_running_event_loop(embedder, tmp_path):
    given = settings(embedder, tmp_path)

    async def cells():
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        ticking = asyncio.create_task(tick())
        kept = deduplicate([*ROWS, COPY], embedder=embedder)
        some = select(kept.rows, 5, embedder=embedder)
        table = coverage(ROWS, some.rows, embedder=embedder)
        first = run(ROWS, progress=False, **given)
        ticks = 0
        second = await arun(ROWS, progress=False, **{**given, "out": tmp_path / "second"})
        ticking.cancel()
        return kept, some, table, first, second, ticks

    kept, some, table, first, second, ticks = asyncio.run(cells())
    assert len(kept.rows) == 30
    assert len(some.rows) == table["b"].rows == 5
    assert first.summary.stop == second.summary.stop == "target"
    assert [row["output"] for row in first.rows] == [row["output"] for row in second.rows]
    assert ticks > 0  # the loop went on while the run waited


def test_a_run_that_cannot_start_leaves_no_folder(tmp_path):
    for wrong in ({"llm": "nobody:x"}, {"targetsize": 3}, {"recipe": "fast"}):
        with pytest.raises(UsageError):
            run(ROWS, target_size=5, out=tmp_path / "run", progress=False, **wrong)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_no_lift_toml_of_the_working_folder_is_read(embedder, tmp_path, monkeypatch):
    (tmp_path / "lift.toml").write_text('recipe = "paper"\nnonsense = 3\n')
    monkeypatch.chdir(tmp_path)
    assert len(select(ROWS, 3, vectors=VECTORS[:-1]).rows) == 3
    made = run(ROWS, progress=False, **{**settings(embedder, tmp_path), "rounds": 1})
    assert made.summary.stop in ("target", "rounds")
    with pytest.raises(UsageError, match="unknown setting nonsense"):
        run(ROWS, target_size=3, out=tmp_path / "other", config="lift.toml")


@pytest.mark.slow
@pytest.mark.process
def test_the_notebook_runs(tmp_path):
    import nbformat
    from nbclient import NotebookClient

    shutil.copytree(ROOT / "examples" / "seeds", tmp_path / "examples" / "seeds")
    notebook = nbformat.read(ROOT / "examples" / "notebook.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)  # it is committed without them
    client = NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": tmp_path / "examples"}}
    )
    client.execute()
    told = json.dumps(notebook, default=str)
    assert "20 of 20 rows" in told
    assert "where it came from" in told
    assert (tmp_path / "runs" / "notebook" / "dataset.jsonl").is_file()
