"""Everything that runs coroutines works as well where an event loop is running: in a notebook."""

import asyncio
import os
import signal
import threading
from contextlib import closing

import numpy as np
import pytest
from support import SCRIPTED, read_dataset

from lift_agent.config import resolve
from lift_agent.embedders import LazyEmbedder
from lift_agent.errors import UsageError
from lift_agent.jobs.check import check
from lift_agent.jobs.replay import first_difference, replay
from lift_agent.jobs.run import arun, run
from lift_agent.llms.loops import outside_loop, run_coroutine
from lift_agent.records.events import ItemsDone, RunStopping, StageBegan, StopAsked
from lift_agent.stores.ledger import Ledger


def settings(seeds, out, embedder, **others):
    chosen = {"target_size": 40, "round_size": 16, "llm": SCRIPTED, **others}
    return resolve({"sources": (seeds,), "out": out, "embedder": embedder, **chosen})


async def called(work):
    """Call blocking work from inside a running loop, as a notebook's cell does."""
    return work()


async def double(number):
    await asyncio.sleep(0)
    return 2 * number


def test_a_coroutine_is_run_with_and_without_a_loop():
    assert run_coroutine(double(3)) == 6
    assert asyncio.run(called(lambda: run_coroutine(double(4)))) == 8


def test_work_outside_of_a_loop_stays_in_its_thread():
    here = threading.get_ident()
    assert outside_loop(threading.get_ident) == here
    assert asyncio.run(called(lambda: outside_loop(threading.get_ident))) != here


def test_an_error_comes_out_of_the_thread():
    with pytest.raises(ZeroDivisionError):
        asyncio.run(called(lambda: outside_loop(lambda: 1 // 0)))


@pytest.mark.slow
def test_a_run_in_a_notebook_is_the_run_of_the_command(seeds, embedder, tmp_path):
    plain = run(settings(seeds, tmp_path / "plain", embedder, cache=False))
    blocking = asyncio.run(
        called(lambda: run(settings(seeds, tmp_path / "blocking", embedder, cache=False)))
    )
    awaited = asyncio.run(arun(settings(seeds, tmp_path / "awaited", embedder, cache=False)))
    assert plain.stop == blocking.stop == awaited.stop == "target"
    for folder in ("blocking", "awaited"):
        assert first_difference(tmp_path / "plain", tmp_path / folder) == ""


@pytest.mark.slow
def test_a_run_that_is_awaited_leaves_the_loop_running(seeds, embedder, tmp_path):
    async def both():
        turns = 0

        async def count():
            nonlocal turns
            while True:
                await asyncio.sleep(0.01)
                turns += 1

        task = asyncio.create_task(count())
        summary = await arun(settings(seeds, tmp_path / "run", embedder))
        task.cancel()
        return summary, turns

    summary, turns = asyncio.run(both())
    assert summary.rows == 40
    assert turns > 3


@pytest.mark.slow
def test_it_goes_on_and_starts_anew_in_a_notebook(seeds, embedder, tmp_path):
    async def cells():
        out = tmp_path / "run"
        first = await arun(settings(seeds, out, embedder, max_calls=30))
        second = run(settings(seeds, out, embedder))
        with pytest.raises(UsageError, match="finished run"):
            run(settings(seeds, out, embedder))
        third = run(settings(seeds, out, embedder), force=True)
        return first.stop, second.stop, third.stop

    assert asyncio.run(cells()) == ("budget", "target", "target")
    assert len(read_dataset(tmp_path / "run")) == 40


def test_a_wrong_setting_leaves_no_folder(embedder, tmp_path):
    config = resolve({"sources": ("absent.jsonl",), "out": tmp_path / "run", "llm": "gpt"})
    for start in (lambda: called(lambda: run(config)), lambda: arun(config)):
        with pytest.raises(UsageError, match="provider:model"):
            asyncio.run(start())
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_an_interrupted_cell_stops_the_run_and_saves_it(seeds, embedder, tmp_path):
    told = []

    def emit(event):
        told.append(event)
        if isinstance(event, ItemsDone) and told.count(event) == 40:
            os.kill(os.getpid(), signal.SIGINT)

    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        # As in a notebook, the loop leaves Ctrl-C to the code that runs.
        loop = asyncio.new_event_loop()
        with closing(loop):
            config = settings(seeds, tmp_path / "run", embedder)
            summary = loop.run_until_complete(called(lambda: run(config, emit)))
    finally:
        signal.signal(signal.SIGINT, handler)
    assert summary.stop == "interrupted"
    assert StopAsked() in told
    assert any(isinstance(event, RunStopping) for event in told)
    assert run(settings(seeds, tmp_path / "run", embedder)).stop == "target"


@pytest.mark.slow
def test_signals_are_handled_as_before_once_a_run_has_ended(seeds, embedder, tmp_path):
    async def cell():
        before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
        during = []

        def emit(event):
            if isinstance(event, StageBegan):
                during.append(signal.getsignal(signal.SIGINT))

        await arun(settings(seeds, tmp_path / "run", embedder), emit)
        after = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
        return before, during, after

    before, during, after = asyncio.run(cell())
    assert before == after
    assert any(handler != before[0] for handler in during)


@pytest.mark.slow
def test_replays_checks_and_embedders_work_in_a_notebook(seeds, embedder, tmp_path):
    async def cells():
        await arun(settings(seeds, tmp_path / "run", embedder))
        replay(tmp_path / "run", tmp_path / "again")
        found = check(resolve({"llm": SCRIPTED, "embedder": embedder}), embedder=True)
        return found.usable, LazyEmbedder(embedder).embed(["one text", "another one"])

    usable, vectors = asyncio.run(cells())
    assert usable
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert first_difference(tmp_path / "run", tmp_path / "again") == ""
    with closing(Ledger(tmp_path / "again" / "ledger.sqlite")) as ledger:
        assert ledger.facts.read().replay_of == str(tmp_path / "run")
