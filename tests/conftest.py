"""Fixtures that several test files share."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from browser import FLAGS, chromium
from filelock import FileLock
from hypothesis import settings
from support import SCRIPTED, TESTS, called, go, static_embedder

# No deadlines: the machine may be busy. In CI the same examples every time.
settings.register_profile("suite", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("suite")

PLAIN = {"COLUMNS": "100", "NO_COLOR": "1"}  # how commands print

# For the workers and child processes. Arrays are small, and threads of OpenMP that wait for each
# other on a busy processor take minutes; each run's threads leave a heap of their own behind.
for name, value in (
    *((f"{library}_NUM_THREADS", "1") for library in ("OMP", "OPENBLAS", "MKL")),
    ("MALLOC_ARENA_MAX", "2"),
):
    os.environ.setdefault(name, value)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark the tests that use a process or a browser, so that `make test-fast` leaves them out."""
    for item in items:
        for name in {"process", "browser"} & set(item.fixturenames):
            item.add_marker(name)


@pytest.fixture(scope="session")
def together(tmp_path_factory):
    """The folder of this session, which its workers share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def made_once(folder, make):
    """Make `folder` with what is in it, unless another worker of this session has."""
    made = folder.with_name(f"{folder.name}.made")
    with FileLock(f"{folder}.lock"):
        if not made.exists():
            folder.mkdir()
            make(folder)
            made.touch()
    return folder


@pytest.fixture(scope="session")
def exports(together):
    """The folder where exported embedders are kept, for all tests of a session."""
    return made_once(together / "embedders", lambda _: None)


@pytest.fixture(scope="session", autouse=True)
def no_cache_of_the_users(tmp_path_factory, exports):
    """Keep fixtures that several tests share away from the user's call cache."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        (folder / "embedders").symlink_to(exports)
        patch.setenv("LIFT_AGENT_CACHE", str(folder))
        yield


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch, exports):
    """Give each test a call cache of its own, and none of the user's."""
    folder = tmp_path_factory.mktemp("cache")
    (folder / "embedders").symlink_to(exports)
    monkeypatch.setenv("LIFT_AGENT_CACHE", str(folder))


@pytest.fixture(scope="session")
def embedder(together):
    """The name of an embedder that is as fast as reading."""
    return f"static:{made_once(together / 'embedder', static_embedder)}"


@pytest.fixture(scope="session")
def minilm(exports, no_cache_of_the_users):
    """The name of the default embedder, exported: by a process that ends, as torch is large."""
    name = "all-MiniLM-L6-v2"
    code = f"from lift_agent.embedders import open_embedder; open_embedder({name!r})"
    subprocess.run([sys.executable, "-c", code], check=True)
    return name


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
    """Run lift-agent in this process, in a folder of its own; returns what a process would give."""

    def run(*args, code=0, **env):
        return _as_expected(called(args, tmp_path, {**PLAIN, **env}), code)

    return run


@pytest.fixture
def process(tmp_path):
    """Run lift-agent as a user does, in a process of its own; returns the finished process."""

    def run(*args, code=0, **env):
        done = subprocess.run(
            [sys.executable, "-m", "lift_agent", *map(str, args)],
            cwd=tmp_path,
            env={**os.environ, **PLAIN, **env},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return _as_expected(done, code)

    return run


def _as_expected(done, code):
    assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr, done.stderr
    return done


HOSTILE = [
    "<script>alert('a')</script><img src=x onerror=alert(1)>",
    "</script><script>alert('b')</script>",
    "\x1b[31mred\x1b[0m \x07 bell \u202eright to left\u202c",
    "[link](javascript:alert(1)) **bold** | table | `code`",
    "{{ 7 * 7 }} {% raw %} ${7*7}",
    "[bold red]markup[/bold red] null \x00 end",
    "x" * 1_000_000,
]


@pytest.fixture(scope="module")
def finished(together, tmp_path_factory, embedder, no_cache_of_the_users):
    """A finished run over friendly and hostile rows, with its report."""
    from lift_agent.graph.mapping import draw_missing_map
    from lift_agent.stores.folder import opened_ledger
    from lift_agent.views.report import write_report

    def make(folder):
        topics = ("sorting numbers", "boiling carrots", "the song of birds")
        rows = [
            {
                "instruction": f"Explain {topics[i % 3]} in {i + 2} steps.",
                "output": f"Step {i}: go on.",
            }
            for i in range(45)
        ]
        rows += [{"instruction": f"{i} {bad}", "output": bad} for i, bad in enumerate(HOSTILE)]
        source = folder / "seeds <b>bold.jsonl"
        source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        out = folder / "run"
        go(source, out, embedder=embedder, target_size=45, round_size=8, rounds=2, cache=False)
        with opened_ledger(out) as ledger:
            draw_missing_map(ledger, out, print)
            write_report(ledger, out)

    made = made_once(together / "report", make)
    return shutil.copytree(made, tmp_path_factory.mktemp("report") / "of it") / "run"


@pytest.fixture(scope="module")
def browser(finished):  # after the run: Playwright keeps an event loop in this thread
    path = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def inspected(together, tmp_path_factory, embedder, no_cache_of_the_users):
    """The folder of a finished run with two rounds, a failed call and a quarantined row.

    Read only: tests share it.
    """

    def make(folder):
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

    # Each worker has its own copy: some tests hold the run's lock.
    made = made_once(together / "inspected", make)
    return shutil.copytree(made, tmp_path_factory.mktemp("inspected") / "of it") / "run"
