"""Whole runs, through the command and through the library, with a scripted chat model."""

import json
import sqlite3
import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest
from support import SCRIPTED, go, read_dataset

from lift_agent.agents import scoring
from lift_agent.agents.differences import compare
from lift_agent.agents.task_text import TaskText
from lift_agent.config import RunConfig, resolve
from lift_agent.errors import SourceError, UsageError
from lift_agent.graph.planning import round_size
from lift_agent.stores.ledger import Ledger
from lift_agent.stores.vectors import VectorStore


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One finished run of the loop over 42 seed rows: its summary, folder and ledger."""
    folder = tmp_path_factory.mktemp("finished")
    source = folder / "seeds.jsonl"
    topics = ("sort", "cook", "sing", "paint", "plant")
    rows = [
        {
            "id": i,
            "instruction": f"Explain how to {topics[i % 5]} thing number {i}.",
            "input": "",
            "output": f"{topics[i % 5]} it {i} times, then rest for {i + 2} minutes.",
        }
        for i in range(40)
    ]
    rows.append(rows[0])
    rows.append({**rows[1], "instruction": rows[1]["instruction"].upper()})
    source.write_text("".join(json.dumps(row) + "\n" for row in rows) + "{broken\n")
    summary = go(source, folder / "run")
    ledger = Ledger(folder / "run" / "ledger.sqlite")
    yield summary, folder / "run", ledger
    ledger.close()


@pytest.mark.slow
def test_the_loop_reaches_exactly_its_target(finished):
    summary, folder, ledger = finished
    assert summary.stop == "target"
    assert summary.rows == len(read_dataset(folder)) == 40
    assert summary.generated_chosen >= 8
    assert summary.unusable == 1
    assert summary.near_duplicates >= 2
    for one, two in combinations(map(TaskText, ledger.dataset.rows()), 2):
        assert compare(one, two, cosine=0.95, borderline=0.92).kind != "duplicate"


@pytest.mark.slow
def test_a_map_that_cannot_be_drawn_costs_no_run(tmp_path, seeds, command, embedder, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.manifold", None)  # as if it were not installed
    sizes = ("--target-size", 40, "--round-size", 16)
    flags = ("--llm", SCRIPTED, "--embedder", embedder, *sizes, "--out", "run")
    told = " ".join(command("run", seeds, *flags).stderr.split())
    assert "map of the rows could not be drawn (ModuleNotFoundError" in told
    assert len(read_dataset(tmp_path / "run")) == 40
    assert "finished: target" in command("runs", ".").stdout


def test_each_generated_row_has_parents_a_target_and_a_score_with_its_reason(finished):
    _, folder, ledger = finished
    ids = {row.id for row in ledger.rows.find()}
    generated = [row for row in read_dataset(folder) if row["lift"]["origin"] == "generated"]
    for row in generated:
        story = row["lift"]
        assert len(set(story["parents"])) >= 1 + (story["strategy"] == "fusion")
        assert set(story["parents"]) <= ids
        assert story["strategy"] == "answer" or story["subspace"]["name"]
        assert story["scores"]["reason"]
        assert 0 <= story["scores"]["final"] <= 100


def test_seeds_keep_their_columns_and_know_their_line(finished):
    _, folder, _ = finished
    seeds = [row for row in read_dataset(folder) if row["lift"]["origin"] == "seed"]
    for row in seeds:
        assert row["id"] == row["lift"]["line"] - 1
        assert row["lift"]["source"].endswith("seeds.jsonl")


def test_every_row_read_or_written_has_one_end(finished):
    summary, _, ledger = finished
    states = {status for (_, status, _) in ledger.rows.counts()}
    assert states <= {"accepted", "rejected", "duplicate", "quarantined"}
    outcomes = ledger.rounds.task_outcomes()
    assert sum(outcomes.values()) == summary.tasks
    assert all(reason for (outcome, reason) in outcomes if outcome != "row")


def test_the_run_folder_is_the_one_of_the_design(finished):
    _, folder, _ = finished
    for name in ("run.toml", "ledger.sqlite", "vectors", "dataset.jsonl", "README.md"):
        assert (folder / name).exists(), name
    assert not list(folder.glob("*.partial"))
    card = (folder / "README.md").read_text()
    assert card.startswith("---\nconfigs:")
    assert "40 instruction rows" in card


def test_checkpoints_stay_small_and_hold_no_rows(finished):
    _, folder, _ = finished
    db = sqlite3.connect(folder / "ledger.sqlite")
    sizes = [len(blob) for (blob,) in db.execute("SELECT checkpoint FROM checkpoints")]
    assert sizes
    assert max(sizes) < 10_000
    assert not any(
        b"Explain how to" in blob for (blob,) in db.execute("SELECT checkpoint FROM checkpoints")
    )


def test_subspaces_are_named_apart_and_vectors_are_those_of_the_ledger(finished):
    _, folder, ledger = finished
    subspaces = ledger.rounds.subspaces(1)
    assert len({s.name.casefold() for s in subspaces}) == len(subspaces) >= 2
    assert sum(s.quota for s in subspaces) <= 16
    ids = [row.id for row in ledger.rows.find()]
    vectors = VectorStore(folder / "vectors").get(ids)
    assert vectors.shape == (len(ids), 384)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


@pytest.mark.slow
def test_the_same_seed_and_answers_give_the_same_dataset(finished, tmp_path):
    _, folder, _ = finished
    again = tmp_path / "again"
    go(folder.parent / "seeds.jsonl", again, concurrency=3, cache=False)
    assert (again / "dataset.jsonl").read_bytes() == (folder / "dataset.jsonl").read_bytes()


def test_trace_and_why_tell_what_happened(finished, command):
    _, folder, ledger = finished
    listed = command("trace", folder).stdout
    for agent in ("analyst", "generator", "redundancy", "judge"):
        assert agent in listed or agent not in ledger.calls.usage()
    call = ledger.calls.find(agent="judge")[0]
    whole = command("trace", folder, call.key[:8]).stdout
    assert "clarity" in whole
    assert "parsed result" in whole
    row = next(r for r in read_dataset(folder) if r["lift"]["origin"] == "generated")
    story = command("why", folder, row["lift"]["id"][:12]).stdout
    for parent in row["lift"]["parents"]:
        assert parent in story
    assert "selector: in the dataset" in story
    dropped = next(r for r in ledger.rows.find("duplicate"))
    assert "a duplicate, by the" in command("why", folder, dropped.id).stdout
    assert "no row begins with zz" in command("why", folder, "zz", code=2).stderr


def test_too_few_rows_stop_with_a_reason_and_exit_code_3(seeds, process, tmp_path):
    done = process(
        "run",
        seeds,
        "--llm",
        SCRIPTED,
        "--target-size",
        90,
        "--rounds",
        1,
        "--round-size",
        8,
        "--out",
        "short",
        "--json",
        code=3,
    )
    summary = json.loads(done.stdout)
    assert summary["stop"] == "rounds"
    assert summary["rows"] == len(read_dataset(tmp_path / "short")) < 90


@pytest.mark.slow
def test_curation_needs_no_model(seeds, tmp_path):
    summary = go(seeds, tmp_path / "curated", recipe="curate", llm="none", target_size=20)
    assert (summary.rows, summary.stop, summary.calls) == (20, "target", 0)
    best = read_dataset(tmp_path / "curated")[0]["lift"]["scores"]
    assert set(best["rubric"]) == set(scoring.FAULTS)


@pytest.mark.slow
def test_the_paper_rewrites_every_row_and_keeps_the_varied_ones(seeds, tmp_path):
    summary = go(seeds, tmp_path / "paper", recipe="paper", rounds=1, target_size=5)
    assert (summary.tasks, summary.rounds, summary.stop) == (42, 1, "target")
    assert summary.rows == 5
    assert all(
        len(row["lift"]["parents"]) == 1
        for row in read_dataset(tmp_path / "paper")
        if row["lift"]["origin"] == "generated"
    )


@pytest.mark.slow
def test_multi_turn_rows_are_curated_but_never_parents(seeds, tmp_path):
    talk = [
        {"from": "human", "value": "Hello there, who are you?"},
        {"from": "gpt", "value": "A guide to the harbour."},
        {"from": "human", "value": "Which boats leave at noon?"},
        {"from": "gpt", "value": "The ferry and the mail boat leave at noon."},
    ]
    chats = tmp_path / "chats.json"
    chats.write_text(json.dumps([{"id": "c1", "conversations": talk}]))
    go((seeds, chats), tmp_path / "talk", max_seed_share=1, quality_weight=0, target_size=41)
    rows = read_dataset(tmp_path / "talk")
    chat = next(row for row in rows if row.get("history"))
    assert chat["history"] == [["Hello there, who are you?", "A guide to the harbour."]]
    assert chat["conversations"] == talk
    parents = {p for row in rows for p in row["lift"].get("parents", ())}
    assert chat["lift"]["id"] not in parents


@pytest.mark.slow
def test_conversations_alone_leave_nothing_to_fuse_and_say_so(tmp_path):
    chats = tmp_path / "chats.jsonl"
    with chats.open("w") as file:
        for i in range(12):
            turns = [("user", f"Tell me about boat {i}."), ("assistant", f"It has {i} masts.")] * 2
            messages = [{"role": role, "content": text} for role, text in turns]
            file.write(json.dumps({"messages": messages}) + "\n")
    summary = go(chats, tmp_path / "run", max_seed_share=0.5, target_size=10)
    assert summary.stop == "saturated"
    assert summary.rows == 5


@pytest.mark.slow
def test_unusable_records_are_all_named_even_on_one_line(tmp_path):
    source = tmp_path / "rows.json"
    row = {"instruction": "Name a colour.", "output": "Blue, like the sea."}
    source.write_text(json.dumps([row, {"instruction": "x"}, {"instruction": "x"}, 7]))
    summary = go(source, tmp_path / "run", recipe="curate", llm="none", target_size=1)
    assert (summary.rows, summary.unusable) == (1, 3)
    named = (tmp_path / "run" / "quarantine.jsonl").read_text().splitlines()
    assert [json.loads(line)["line"] for line in named] == [1, 1, 1]


@pytest.mark.slow
def test_no_secret_of_an_address_is_written_down(seeds, tmp_path):
    address = "http://user:hunter2@127.0.0.1:9/v1?key=hunter2"
    go(seeds, tmp_path / "run", base_url=address, recipe="curate", llm="none", target_size=5)
    for file in (tmp_path / "run").rglob("*"):
        assert not file.is_file() or b"hunter2" not in file.read_bytes()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target_size": "many"}, "target_size = many: should be a valid integer"),
        ({"recipe": "cook"}, "recipe = cook: should be lift, paper or curate"),
        ({"max_seed_share": 2}, "max_seed_share = 2: should be less than or equal to 1"),
        ({"targetsize": 3}, "unknown setting targetsize (did you mean target_size?)"),
        ({"llm": "none"}, "llm = none does not go with recipe lift"),
        ({"scores": "s.npy"}, "scores is for the paper recipe only"),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_allowed(settings, message):
    with pytest.raises(UsageError) as error:
        resolve(settings)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_flags_override_the_file_which_overrides_the_defaults(tmp_path):
    file = tmp_path / "lift.toml"
    file.write_text("target_size = 7\nseed = 5\n")
    settings = resolve({"seed": 6, "rounds": None}, file)
    assert (settings.target_size, settings.seed, settings.recipe) == (7, 6, "lift")
    file.write_text("target_sise = 7\n")
    with pytest.raises(UsageError, match=r"lift.toml: unknown setting target_sise"):
        resolve({}, file)


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["run"], 2, "name at least one file"),
        (["run", "absent.jsonl"], 2, "there is no file absent.jsonl"),
        (["run", "{seeds}", "--target-size", "0"], 2, "target_size = 0"),
        (["run", "{seeds}", "--llm", "gpt"], 2, "write provider:model"),
        (["run", "{seeds}", "--llm", "nobody:gpt", "--yes"], 2, "nobody"),
        (["run", "{seeds}", "--llm", "openai:gpt-4o-mini", "--yes"], 1, "OPENAI_API_KEY"),
        (["run", "{seeds}", "--llm", "local:/no/model.gguf"], 2, "there is no file"),
        (["run", "{empty}", "--llm", "none", "--recipe", "curate"], 1, "no usable row"),
        (["why", ".", "x"], 1, "not the folder of a run"),
    ],
)
def test_errors_are_one_clear_line(args, code, message, seeds, tmp_path, process):
    empty = tmp_path / "empty.jsonl"
    empty.write_text("{}\n")
    args = [str(a).format(seeds=seeds, empty=empty) for a in args]
    done = process(*args, code=code, OPENAI_API_KEY="", HF_HUB_OFFLINE="1")
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert message in last


def test_config_prints_every_setting_with_its_description(command):
    printed = command("config", "--seed", 9).stdout
    assert "# Seed of every random choice.\nseed = 9" in printed
    assert "# rounds = (not set)" in printed


def test_graph_shows_the_loop(command):
    shown = command("graph").stdout
    assert "select       →  analyze  or  export" in shown
    assert "graph TD;" in shown


def test_help_is_quick_and_loads_nothing_heavy():
    code = (
        "import sys; sys.argv = ['lift-agent', '--help']\n"
        "from lift_agent.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'chromadb', 'langgraph', 'sklearn', 'langchain_core'}\n"
        "print('LOADED', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "LOADED []" in done.stdout


def test_a_file_without_a_usable_row_is_an_error(tmp_path):
    empty = tmp_path / "empty.jsonl"
    empty.write_text('{"a": 1}\n')
    with pytest.raises(SourceError, match="no usable row"):
        go(empty, tmp_path / "out")


@pytest.mark.parametrize(
    ("accepted", "rounds", "tasks"),
    [
        (60, [], 80),  # before anything is known, every other task is expected to bring a row
        (60, [(0, 0, 60)], 80),  # the seeds' round says nothing of tasks
        (60, [(0, 0, 60), (1, 98, 19)], 200),  # one in five came: five tasks a row
        (60, [(0, 0, 60), (1, 98, 1)], 250),  # never more than the setting
        (99, [(0, 0, 60), (1, 98, 98)], 8),  # never fewer than a round is worth
        (100, [], 8),
    ],
)
def test_a_round_is_as_large_as_what_is_missing_and_the_rate_so_far(accepted, rounds, tasks):
    config = RunConfig(sources=["seeds.jsonl"], target_size=100, round_size=250)
    done = [dict(zip(("round", "planned", "accepted"), numbers, strict=True)) for numbers in rounds]
    assert round_size(config, accepted, done) == tasks
