"""Fixtures that several test files share."""

import json
import os
import subprocess
import sys

import pytest
from support import SCRIPTED, TESTS, go, static_embedder


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """Give each test a call cache of its own, and none of the user's."""
    monkeypatch.setenv("LIFT_AGENT_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session")
def embedder(tmp_path_factory):
    """The folder of an embedder that is as fast as reading."""
    return static_embedder(tmp_path_factory.mktemp("embedder"))


@pytest.fixture
def seeds(tmp_path):
    """A file of 40 seed rows in four topics, with an exact copy and one that differs in form."""
    rows = []
    for i in range(10):
        for topic, ask, answer in (
            ("code", f"Write a Python function that sorts {i + 2} numbers.", f"def f{i}(x): ..."),
            ("soup", f"How long do I cook {i + 2} carrots for a soup?", f"About {i + 9} minutes."),
            ("bird", f"Describe the song of bird number {i}, shortly.", f"It sings {i} notes."),
            ("maths", f"What is {i} times {i + 3}?", f"It is {i * (i + 3)}."),
        ):
            rows.append({"instruction": ask, "input": "", "output": answer, "topic": topic})
    rows.append(dict(rows[0]))
    rows.append({**rows[1], "instruction": rows[1]["instruction"].upper()})
    path = tmp_path / "seeds.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def command(tmp_path):
    """Run lift-agent as a user does, in a folder of its own; returns the finished process."""

    def run(*args, code=0, **env):
        done = subprocess.run(
            [sys.executable, "-m", "lift_agent", *map(str, args)],
            cwd=tmp_path,
            env={**os.environ, "COLUMNS": "100", "NO_COLOR": "1", **env},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        return done

    return run


@pytest.fixture(scope="session")
def inspected(tmp_path_factory, embedder):
    """The folder of a finished run with two rounds, a failed call and a quarantined row.

    Read only: tests share it.
    """
    folder = tmp_path_factory.mktemp("inspected")
    topics = ("sort", "cook", "sing", "paint", "plant")
    rows = [
        {
            "instruction": f"Explain how to {topics[i % 5]} thing number {i}.",
            "output": f"{topics[i % 5]} it {i} times, then rest for {i + 2} minutes.",
        }
        for i in range(30)
    ]
    rows.append(rows[0])
    source = folder / "seeds.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIFT_AGENT_CACHE", str(folder / "cache"))
        settings = {"target_size": 34, "round_size": 10, "rounds": 2, "max_seed_share": 0.5}
        go(source, folder / "first", embedder=embedder, **settings)
        # The second time, some of the answers are there already.
        settings |= {"llm": f"scripted:{TESTS / 'faulty_model.py'}", "judge_llm": SCRIPTED}
        go(source, folder / "run", embedder=embedder, **settings)
    return folder / "run"
