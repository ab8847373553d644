"""Models by name: providers, tables, local weights, scripts, plugins, and the check of them."""

import asyncio
import io
import json
import os
import struct
import subprocess
import sys
from contextlib import closing
from importlib.util import find_spec

import pytest
from misbehaving_server import MisbehavingServer
from provider_stub import anthropic, ollama, serving
from rich.console import Console
from scripted_model import answer
from support import ROOT, SCRIPTED, go, read_dataset

from lift_agent.agents.judge import Rubric
from lift_agent.agents.prompts import load
from lift_agent.config import resolve
from lift_agent.config.tables import FREE, ModelTable
from lift_agent.errors import ModelError, UsageError
from lift_agent.jobs.check import check
from lift_agent.jobs.estimate import estimate
from lift_agent.jobs.replay import first_difference, replay
from lift_agent.jobs.run import run
from lift_agent.jobs.settings import settings_of
from lift_agent.llms import local, sizes
from lift_agent.llms.gateway import Gateway
from lift_agent.llms.local import PACKAGE, packaged_model, slots
from lift_agent.llms.messages import Request
from lift_agent.llms.names import PROVIDERS
from lift_agent.llms.prices import price_of
from lift_agent.llms.providers import open_backend, prospect
from lift_agent.llms.timing import Timing
from lift_agent.redaction import redacted
from lift_agent.stores.ledger import Ledger
from lift_agent.views.check import print_check

HELLO = Request("hello@1", (("system", "Be short."), ("user", "Say hello.")), 0.0, 32)
SHORT = Timing(longest_wait=0.05, first_backoff=0.01, longest_backoff=0.05)
CURATE = {"recipe": "curate", "target_size": 30}

needs_embedded = pytest.mark.skipif(
    find_spec("xllamacpp") is None, reason='needs pip install "lift-agent[local]"'
)


def ask(backend, request=HELLO, schema=None):
    """Send one request as the gateway would, without its retries; return the reply."""
    return asyncio.run(backend.send(backend.body(request, schema, 0)))


def through_gateway(backend, ledger, request=HELLO, timing=None):
    """Ask as an agent does, and close the connections."""

    async def both():
        try:
            return await Gateway(backend, ledger.calls, timing=timing).ask(request, agent="test")
        finally:
            if backend.close:
                await backend.close()

    return asyncio.run(both())


@pytest.fixture
def ledger(tmp_path):
    with closing(Ledger(tmp_path / "calls.sqlite")) as opened:
        yield opened


# Providers ---------------------------------------------------------------------------------


def test_every_provider_of_langchain_has_its_extra():
    from langchain.chat_models.base import _BUILTIN_PROVIDERS as registry

    if sys.version_info < (3, 11):
        pytest.skip("tomllib is newer")
    import tomllib

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    assert set(PROVIDERS) == set(registry)
    for provider, (module, *_) in registry.items():
        package = module.split(".")[0].replace("_", "-")
        extra = PROVIDERS[provider].extra
        if package == "langchain-openai":
            assert extra == "", provider
        else:
            (needed,) = extras[extra]
            assert needed.split("[")[0].split(">")[0] == package, provider


@pytest.mark.parametrize("provider", [p for p in PROVIDERS if not PROVIDERS[p].keys])
def test_a_missing_package_is_named_with_its_extra(provider):
    from langchain.chat_models.base import _BUILTIN_PROVIDERS as registry

    if find_spec(registry[provider][0].split(".")[0]):
        pytest.skip("it is installed")
    with pytest.raises(ModelError) as raised:
        open_backend(f"{provider}:some-model")
    assert f'pip install "lift-agent[{PROVIDERS[provider].extra}]"' in str(raised.value)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("antropic:claude", "did you mean anthropic:?"),
        ("gpt-4o", "write provider:model"),
        ("openai:", "the model's name is missing"),
        ("cheep", "did you mean cheap?"),
    ],
)
def test_a_wrong_name_says_what_to_write(name, hint):
    tables = resolve({"llms": {"cheap": {"model": "openai:x"}}}).llms
    with pytest.raises(UsageError) as raised:
        open_backend(name, tables=tables)
    assert hint in str(raised.value)


def test_a_missing_key_is_named_before_anything_is_sent(monkeypatch):
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    with pytest.raises(ModelError, match="set ANTHROPIC_API_KEY"):
        open_backend("anthropic:claude-haiku-4-5")


@pytest.mark.slow
def test_azure_names_what_is_missing_one_by_one_and_is_asked_at_its_deployment(monkeypatch):
    for name in ("AZURE_OPENAI_ENDPOINT", "OPENAI_API_VERSION", "AZURE_OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)

    def reply(method, path, body, headers):
        message = {"role": "assistant", "content": "Hello."}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
        return (
            200,
            {},
            {"id": "1", "object": "chat.completion", "created": 1, "model": "m"}
            | {
                "choices": [choice],
                "usage": usage,
            },
        )

    with serving(reply) as (address, seen):
        for variable, value in (
            ("AZURE_OPENAI_ENDPOINT", address),
            ("OPENAI_API_VERSION", "2024-10-21"),
            ("AZURE_OPENAI_API_KEY", "azure-secret"),
        ):
            with pytest.raises(ModelError, match=variable):
                open_backend("azure_openai:my-deployment")
            monkeypatch.setenv(variable, value)
        backend = open_backend("azure_openai:my-deployment")
        assert ask(backend, schema=Rubric).text == "Hello."
    _, path, body, headers = seen[0]
    assert path == "/openai/deployments/my-deployment/chat/completions?api-version=2024-10-21"
    assert headers["api-key"] == "azure-secret"
    assert body["response_format"]["type"] == "json_schema"
    assert "azure-secret" not in redacted("a key: azure-secret")
    assert "deployment" in backend.hints[404]


def test_ollama_gets_its_parameters_where_it_looks_for_them(monkeypatch):
    with serving(ollama(lambda messages: "Hello.")) as (address, seen):
        table = {"model": "ollama:tiny", "base_url": address, "top_p": 0.5, "max_tokens": 9}
        tables = resolve({"llms": {"mine": table}}).llms
        reply = ask(open_backend("mine", tables=tables))
    assert (reply.text, reply.finish_reason, reply.output_tokens) == ("Hello.", "stop", 1)
    chat = next(body for _, path, body, _ in seen if path == "/api/chat")
    assert chat["options"] == {"temperature": 0.0, "num_predict": 9, "top_p": 0.5}


def anthropic_at(address, key="ANTHROPIC_API_KEY", model="claude-haiku-4-5"):
    table = {"model": f"anthropic:{model}", "base_url": address, "key_variable": key}
    return open_backend("mine", tables=resolve({"llms": {"mine": table}}).llms)


@pytest.mark.slow
def test_anthropic_is_asked_through_the_gateway_and_its_refusals_are_waited_out(
    monkeypatch, ledger
):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-right")
    with serving(anthropic(lambda messages: "Hello.", [429, 529])) as (address, seen):
        got = through_gateway(anthropic_at(address), ledger, timing=SHORT)
    assert got.text == "Hello."
    assert len(seen) == 3
    assert seen[-1][2]["temperature"] == 0.0
    assert seen[-1][2]["max_tokens"] == 32


@pytest.mark.parametrize(
    ("key", "model", "told"),
    [
        ("sk-wrong", "claude-haiku-4-5", r"refused the key \(HTTP 401\).*set MY_KEY"),
        ("sk-right", "no-such-model", r"does not know the model or address \(HTTP 404\)"),
    ],
)
def test_anthropic_says_what_is_wrong_for_good(key, model, told, monkeypatch, ledger):
    monkeypatch.setenv("MY_KEY", key)
    with (
        serving(anthropic(lambda messages: "Hello.")) as (address, _),
        pytest.raises(ModelError, match=told) as raised,
    ):
        through_gateway(anthropic_at(address, "MY_KEY", model), ledger)
    assert key not in str(raised.value)


# Tables ------------------------------------------------------------------------------------

TABLES = """
target_size = 12
judge_llm = "strict"

[llm]
use = "cheap"

[llm.cheap]
model = "openai:test-model"
base_url = "{address}"
headers = {{ X-Team = "TEAM_VARIABLE" }}
temperature = 0.25
prices = [1.0, 2.0]
rpm = 6000

[llm.strict]
model = "openai:test-model"
base_url = "{address}"
max_tokens = 99
extra_body = {{ seed = 7 }}
"""


@pytest.mark.slow
def test_a_table_decides_what_is_sent_and_never_shows_a_secret(
    seeds, tmp_path, monkeypatch, embedder
):
    monkeypatch.setenv("TEAM_VARIABLE", "team-secret-value")
    file = tmp_path / "lift.toml"
    with MisbehavingServer(answer=answer) as server:
        file.write_text(TABLES.format(address=server.base_url))
        flags = {"sources": (seeds,), "out": tmp_path / "run", "recipe": "curate"}
        config = resolve({**flags, "embedder": embedder}, file)
        run(config)
        bodies = [request.body for request in server.requests]
        judged = [b for b in bodies if "You grade one row" in b["messages"][0]["content"]]
        others = [b for b in bodies if "You grade one row" not in b["messages"][0]["content"]]
        assert {body["max_tokens"] for body in judged} == {99}
        assert {body["seed"] for body in judged} == {7}
        assert {body["temperature"] for body in judged} == {0.0}
        assert {body["temperature"] for body in others if "seed" in body} >= {0.25}
    kept = (tmp_path / "run" / "run.toml").read_text()
    assert "TEAM_VARIABLE" in kept
    for path in (tmp_path / "run").rglob("*"):
        if path.is_file():
            assert b"team-secret-value" not in path.read_bytes(), path
    assert settings_of(tmp_path / "run").llms == config.llms


@pytest.mark.slow
def test_a_run_goes_on_with_other_limits_and_not_with_other_parameters(seeds, tmp_path, embedder):
    table = {"model": SCRIPTED, "temperature": 0.5, "rpm": 60000}
    settings = {"llm": "mine", "embedder": embedder, "max_calls": 20, **CURATE}
    out = tmp_path / "run"
    assert go(seeds, out, llms={"mine": table}, **settings).stop == "budget"
    with pytest.raises(UsageError, match="llms was"):
        go(seeds, out, llms={"mine": table | {"temperature": 0.6}}, **settings)
    settings.pop("max_calls")
    after = go(seeds, out, llms={"mine": table | {"rpm": 90000, "prices": [1, 2]}}, **settings)
    assert after.stop == "target"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[llm.a]\nmodel = "openai:x"\ntemprature = 1', r"\[llm.a\]: unknown key temprature \(did"),
        ("[llm.a]\nrpm = 1", r"\[llm.a\]: model is missing"),
        ('[llm.a]\nmodel = "openai:x"\ntop_p = 3', r"\[llm.a\]: top_p = 3: should be less than"),
        ('[llm]\nmodel = "openai:x"', r"\[llm\] has a key model: there is only use"),
        ('[llm.a]\nmodel = "x:y"\nkey_variable = "sk-live-123"', "name of an environment variable"),
        ('[llm.a]\nmodel = "x:y"\nheaders = { A = "Bearer sk-live-123" }', r"headers.A: should"),
    ],
)
def test_a_wrong_table_is_named_with_its_key(text, told, tmp_path):
    file = tmp_path / "lift.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=told) as raised:
        resolve({}, file)
    assert "sk-live-123" not in str(raised.value)


def test_what_config_prints_is_read_back_as_the_same(tmp_path, command):
    file = tmp_path / "lift.toml"
    file.write_text(TABLES.format(address="http://127.0.0.1:9/v1"))
    before = resolve({}, file)
    file.write_text(command("config").stdout)
    assert resolve({}, file) == before


def test_base_url_without_a_model_that_it_is_for_is_said():
    with pytest.raises(UsageError, match="base_url is the address of openai: models"):
        resolve({"llm": "anthropic:claude-haiku-4-5", "base_url": "http://127.0.0.1:9"})


# Small models ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "small"),
    [
        ("qwen2.5-0.5b-instruct", True),
        ("meta-llama/Llama-3.2-3B-Instruct", True),
        ("llama3.2:1b", True),
        ("SmolLM2-1.7B", True),
        ("smollm2:135m", True),
        ("Qwen3-4B", False),
        ("qwen3-30b-a3b", False),
        ("mixtral-8x7b", False),
        ("gpt-4o-mini", False),
        ("phi-3-mini-128k", False),
    ],
)
def test_a_name_tells_a_small_model(name, small):
    assert sizes.is_small(name) is small


@needs_embedded
def test_the_head_of_a_gguf_file_tells_parameters_and_context(tmp_path):
    head = sizes.read_gguf(packaged_model(PACKAGE))
    assert (head.parameters, head.context) == (134_515_008, 8192)
    (tmp_path / "none.gguf").write_bytes(b"GGUF but no more")
    assert sizes.read_gguf(tmp_path / "none.gguf") is None
    assert local.weights(PACKAGE) == local.weights("") == packaged_model(PACKAGE)


def gguf(pairs, rest, key=3):
    head = struct.pack("<4sIQQ", b"GGUF", 3, 1, pairs) + struct.pack("<Q", key) + b"abc"
    return head + rest + bytes(200)


@pytest.mark.parametrize(
    "content",
    [
        gguf(1, b"", key=1 << 62),
        gguf(1 << 60, struct.pack("<IB", 0, 1)),
        gguf(1, struct.pack("<IIQ", 9, 8, 1 << 60)),
        gguf(1, struct.pack("<IIQ", 9, 10, (1 << 64) - 1)),
        gguf(1, struct.pack("<I", 77)),
        gguf(1, struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 5000),
    ],
    ids=["a long key", "many pairs", "many words", "a long array", "no kind", "nested arrays"],
)
def test_a_hostile_gguf_file_says_nothing(content, tmp_path):
    (tmp_path / "bad.gguf").write_bytes(content)
    assert sizes.read_gguf(tmp_path / "bad.gguf") is None


def test_the_short_form_of_a_prompt_is_shorter_and_has_its_own_version():
    names = sorted(path.stem for path in (ROOT / "agents" / "prompts").glob("*.md"))
    short = {name: load(name).short for name in names if load(name).short}
    assert {"fuse", "judge", "name_subspace", "same_task"} <= set(short)
    for name, prompt in short.items():
        full = load(name)
        assert prompt.version.startswith(f"{full.version}-compact-")
        assert prompt.turns[-1] == full.turns[-1]
        assert [role for role, _ in prompt.turns[1:]] == ["user", "assistant"] * (
            len(prompt.turns) // 2 - 1
        ) + ["user"]
        assert sum(len(t) for _, t in prompt.turns) < 0.75 * sum(len(t) for _, t in full.turns)


def test_a_model_gets_the_form_that_its_backend_asks_for(ledger):
    said = []
    backend = open_backend(SCRIPTED)
    backend.chat.answer = lambda messages: said.append(messages) or "Hello."
    request = load("probes").ask(theme="rivers", tasks="- Name one.")
    for compact in (False, True):
        backend.compact = compact
        through_gateway(backend, ledger, request)
    full, short = said
    assert len(short) < len(full)
    assert short[-1] == full[-1]
    assert {call.prompt for call in ledger.calls.find()} == {"probes@1", "probes@1-compact-1"}


# Scripts -----------------------------------------------------------------------------------


def test_a_file_of_patterns_answers_by_the_first_that_fits(tmp_path, ledger):
    file = tmp_path / "answers.jsonl"
    lines = [{"pattern": "(?i)HELLO", "answer": {"said": "hi"}}, {"pattern": ".", "answer": "no"}]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert ask(open_backend(f"scripted:{file}")).text == '{"said": "hi"}'
    file.write_text(json.dumps({"goodbye": "bye"}) + "\n")
    (tmp_path / "table.json").write_text(json.dumps({"goodbye": "bye"}))
    got = through_gateway(open_backend(f"scripted:{tmp_path / 'table.json'}"), ledger)
    assert "no pattern" in got.error
    assert "Say hello." in got.error


def test_a_list_of_answers_gives_the_same_conversation_the_same_answer(tmp_path):
    file = tmp_path / "answers.json"
    file.write_text(json.dumps([f"answer {i}" for i in range(5)]))

    def said(number):
        asked = Request("p@1", (("user", f"Question {number}"),), 0.0, 9)
        return ask(open_backend(f"scripted:{file}"), asked).text

    first = [said(number) for number in range(12)]
    assert first == [said(number) for number in range(12)]
    assert len(set(first)) > 2


@pytest.mark.parametrize("text", ["", "3", '["a", {"pattern": "(", "answer": "b"}]', "[]"])
def test_a_script_without_answers_is_refused(text, tmp_path):
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(UsageError, match="holds no answers"):
        open_backend(f"scripted:{tmp_path / 'bad.json'}")


# Agents and panels -------------------------------------------------------------------------


def script(folder, name, body):
    """A script that answers as the shared one does, but for what `body` says."""
    file = folder / f"{name}.py"
    file.write_text(
        f"import json, sys\nsys.path.insert(0, {str(ROOT / 'tests')!r})\n"
        f"from scripted_model import answer as usual\n\ndef answer(messages):\n"
        f"    system = messages[0]['content']\n{body}\n    return usual(messages)\n"
    )
    return f"scripted:{file}"


def judging(points):
    return (
        "    if 'You grade one row' in system:\n"
        f"        return json.dumps({{'reason': 'So it is.', 'clarity': {points[0]}, "
        f"'difficulty': {points[1]}, 'explanations': {points[2]}, 'accuracy': {points[3]}, "
        "'concatenation': False})"
    )


@pytest.mark.slow
def test_each_agent_asks_its_own_model_and_the_estimate_knows(seeds, tmp_path, embedder):
    own = {
        agent: script(tmp_path, agent, "    pass") for agent in ("analyst", "generator", "judge")
    }
    settings = {f"{agent}_llm": name for agent, name in own.items()}
    summary = go(seeds, tmp_path / "run", target_size=46, embedder=embedder, rounds=2, **settings)
    assert summary.tasks > 0
    with closing(Ledger(tmp_path / "run" / "ledger.sqlite")) as ledger:
        asked = {(call.agent, call.model) for call in ledger.calls.find()}
    assert {model for agent, model in asked if agent != "redundancy"} == set(own.values())
    assert asked <= {*own.items(), ("redundancy", SCRIPTED)}
    config = resolve({"llm": SCRIPTED, "target_size": 500, **settings})
    parts = {part.agent: part.model for part in estimate(config, [], None).parts}
    assert parts == own | {"redundancy": SCRIPTED}


@pytest.mark.parametrize(
    "settings",
    [
        {"recipe": "paper", "rounds": 0, "scores": "scores.npy"},
        {"recipe": "curate", "judge_llm": "openai:gpt-4o", "redundancy_llm": "openai:gpt-4o"},
    ],
)
def test_the_estimate_needs_no_model_that_nobody_asks(settings):
    config = resolve({"llm": "local:no-such-package", **settings})
    assert "local" not in str(estimate(config, [], None).parts)


@pytest.mark.parametrize("named", [False, True])
def test_a_small_model_settles_doubts_only_where_it_is_asked_for(named, tmp_path, embedder):
    source = tmp_path / "doubt.jsonl"
    tasks = ("Plan a trip to the lake", "Plan a trip to the lake for 3 days")
    rows = [{"instruction": task, "output": "a b c d e f g h"} for task in tasks]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    name = "openai:tiny-0.5b"
    with MisbehavingServer(answer) as server:
        settings = {
            **{"recipe": "curate", "llm": name, "base_url": server.base_url, "target_size": 2},
            **{"embedder": embedder, "candidate_cosine": 0.3, "borderline_cosine": 0.3},
            **({"redundancy_llm": name} if named else {}),
        }
        assert (
            any(p.agent == "redundancy" for p in estimate(resolve(settings), [], None).parts)
            is named
        )
        go(source, tmp_path / "run", **settings)
    with closing(Ledger(tmp_path / "run" / "ledger.sqlite")) as ledger:
        asked = {call.agent for call in ledger.calls.find()} - {"check"}  # its first word
    assert asked == ({"redundancy"} if named else set())


@pytest.mark.slow
def test_a_panel_scores_by_its_mean_and_keeps_what_each_judge_said(
    seeds, tmp_path, embedder, command
):
    mild = script(tmp_path, "mild", judging((14, 20, 20, 30)))
    strict = script(tmp_path, "strict", judging((10, 10, 10, 10)))
    silent = script(tmp_path, "silent", "    if 'You grade' in system:\n        return 'no'")
    out = tmp_path / "run"
    judges = f"{mild}, {strict},{silent}"
    settings = {"judge_llm": judges, "embedder": embedder, "max_error_rate": 1.0}
    summary = go(seeds, out, **settings, **CURATE)
    assert summary.rows == 30
    row = read_dataset(out)[0]["lift"]
    assert row["scores"]["judge"] == 62
    assert row["scores"]["rubric"] == {
        "clarity": 12,
        "difficulty": 15,
        "explanations": 15,
        "accuracy": 20,
    }
    assert row["scores"]["panel"] == {mild: 84, strict: 40}
    panel = summary.judging["panel"]
    assert panel["deviation"] == pytest.approx((2 * 22**2) ** 0.5)
    assert panel["failed"] == summary.judging["rows"]
    told = command("why", out, row["id"]).stdout
    assert f"{mild}: 84 of 100 (clarity 14" in told
    assert f"{silent}: failed" in told
    replay(out, tmp_path / "again")
    assert first_difference(out, tmp_path / "again") == ""


@pytest.mark.slow
def test_a_panel_that_fails_whole_quarantines_the_row(seeds, tmp_path, embedder):
    silent = [
        script(tmp_path, name, "    if 'You grade' in system:\n        return 'no'")
        for name in ("one", "other")
    ]
    settings = {"judge_llm": ",".join(silent), "embedder": embedder, "max_error_rate": 1.0}
    summary = go(seeds, tmp_path / "run", **settings, **CURATE)
    assert summary.rows == 0
    assert summary.judge_quarantined > 30


# Plugins -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plugin_folder(tmp_path_factory):
    """Where the example plugin is installed, and one that is broken."""
    folder = tmp_path_factory.mktemp("site")
    source = ROOT / "examples" / "plugin"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--no-index", "--target", folder, source], check=True)
    broken = folder / "broken_plugin-1.0.dist-info"
    broken.mkdir()
    (broken / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-plugin\nVersion: 1.0\n")
    (broken / "entry_points.txt").write_text("[lift_agent.llms]\nbroken = no_such_module:f\n")
    return folder


def test_the_example_plugin_makes_a_run(plugin_folder, seeds, process, embedder):
    lines = (ROOT / "examples" / "plugin").glob("*.[pt]*")
    assert sum(len(path.read_text().splitlines()) for path in lines) < 60
    paths = f"{plugin_folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    told = process("plugins", PYTHONPATH=paths).stdout
    assert "lift-agent-echo 0.1.0" in told
    assert "broken-plugin 1.0" in told
    assert "No module named 'no_such_module'" in " ".join(told.split())
    done = process(
        *("run", seeds, "--llm", "echo:40", "--judge-llm", SCRIPTED, "--embedder", embedder),
        *("--target-size", "44", "--rounds", "1", "--round-size", "8", "--json"),
        code=3,
        PYTHONPATH=paths,
    )
    usage = json.loads(done.stdout)["usage"]
    assert usage["generator"]["calls"] > 0
    failed = process("check", "--llm", "broken:x", code=1, PYTHONPATH=paths)
    assert "the plugin broken of broken-plugin 1.0 is broken" in failed.stdout


# The check ---------------------------------------------------------------------------------


def test_check_says_what_works_and_what_it_would_take(command):
    with MisbehavingServer(answer=answer) as server:
        done = command(
            *("check", "--llm", "openai:gpt-4o-mini", "--base-url", server.base_url),
            *("--prices", "openai:gpt-4o-mini=0.15,0.60", "--json"),
        )
    told = json.loads(done.stdout)
    (model,) = told["models"]
    assert told["usable"]
    assert model["agents"] == ["analyst", "generator", "redundancy", "judge"]
    assert model["structured"] == "JSON schema"
    assert model["speed"] > 0
    assert model["context"] > 100_000  # the server does not say: LangChain's table does
    low, high = told["estimate"]["usd"]
    assert 0.01 < low < high < 100


def checked(config, **options):
    """What a check finds, and what of it is printed."""
    found = check(config, **options)
    console = Console(record=True, width=100, file=io.StringIO())
    print_check(found, console)
    return found, console.export_text()


@pytest.mark.parametrize(
    ("fault", "told"),
    [("http_401", "refused the key"), ("http_404", "does not know the model")],
)
def test_check_of_what_cannot_be_used_says_the_reason(fault, told):
    with MisbehavingServer(answer=answer, faults={fault: 1.0}) as server:
        found, printed = checked(resolve({"llm": "openai:gone", "base_url": server.base_url}))
    assert not found.usable
    assert found.estimate is None
    assert told in printed


def test_check_reads_every_model_of_a_file_and_the_context_that_ollama_tells(tmp_path):
    with serving(ollama(answer, context=8192)) as (address, _):
        (tmp_path / "lift.toml").write_text(
            f'judge_llm = "{SCRIPTED}"\n[llm]\nuse = "mine"\n[llm.mine]\n'
            f'model = "ollama:tiny"\nbase_url = "{address}"\n'
        )
        found, printed = checked(resolve({}, tmp_path / "lift.toml"))
    mine, judge = found.models
    assert (mine.name, mine.model, mine.context) == ("mine", "ollama:tiny", 8192)
    assert mine.structured == "a tool call"
    assert (judge.agents, judge.failed) == (("judge",), "")
    assert "mine (ollama:tiny)" in printed
    assert "8,192 tokens" in printed


@pytest.mark.slow
def test_check_of_an_embedder_alone(embedder):
    found, printed = checked(resolve({"embedder": embedder}), models=False, embedder=True)
    assert found.usable
    assert "64 dimensions" in printed
    failed, _ = checked(resolve({"embedder": "/no/such"}), models=False, embedder=True)
    assert not failed.usable


def test_a_run_says_that_a_key_is_wrong_before_it_embeds_anything(seeds, tmp_path):
    with MisbehavingServer(answer=answer, faults={"http_401": 1.0}) as server:
        settings = {"llm": "openai:test-model", "base_url": server.base_url, "embedder": "none"}
        with pytest.raises(ModelError, match=r"refused the key.*set OPENAI_API_KEY"):
            go(seeds, tmp_path / "run", **settings)  # there is no such embedder
        assert len(server.requests) == 1


# Whole runs --------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_run_through_ollama_and_one_through_anthropic_give_the_same(
    seeds, tmp_path, embedder, monkeypatch
):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-right")
    sizes_of = {"target_size": 42, "round_size": 8, "rounds": 2, "embedder": embedder}
    with serving(ollama(answer)) as (address, seen):
        table = {"model": "ollama:tiny", "base_url": address}
        first = go(seeds, tmp_path / "a", llm="mine", llms={"mine": table}, **sizes_of)
    assert any(body["options"].get("temperature") == 0.8 for _, _, body, _ in seen)
    with serving(anthropic(answer, [529])) as (address, _):
        table = {"model": "anthropic:claude-haiku-4-5", "base_url": address}
        second = go(seeds, tmp_path / "b", llm="mine", llms={"mine": table}, **sizes_of)
    assert first.written == second.written > 0
    texts = [[r["output"] for r in read_dataset(tmp_path / run)] for run in "ab"]
    assert texts[0] == texts[1]


SERVER = """
import sys, time, xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.hostnames, params.port = sys.argv[1], ["127.0.0.1"], 0
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
params.n_ctx, params.n_parallel, params.ui, params.verbosity = 2048, 1, False, -1
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
sys.stdin.read()
"""


@pytest.mark.slow
@needs_embedded
def test_a_llama_cpp_server_in_another_process_is_checked_and_makes_rows(
    seeds, tmp_path, command, embedder
):
    model = packaged_model(PACKAGE)
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(model)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        address = process.stdout.readline().strip()
        where = ("--llm", "openai:SmolLM2-135M-Instruct", "--base-url", f"{address}/v1")
        told = command("check", *where, "--timeout", "280", "--json").stdout
        (told,) = json.loads(told)["models"]
        assert told["context"] == 2048
        assert told["structured"] == "JSON schema"
        assert told["compact"]
        few = tmp_path / "few.jsonl"
        few.write_text("".join(seeds.read_text().splitlines(keepends=True)[:3]))
        done = command(
            *("run", few, *where, "--recipe", "paper", "--target-size", "1", "--json"),
            *("--embedder", embedder, "--timeout", "280"),
        )
        usage = json.loads(done.stdout)["usage"]
        assert usage["generator"]["output_tokens"] > 0
    finally:
        process.stdin.close()
        process.wait(30)


def test_weights_of_the_hub_are_fetched_once_and_what_is_missing_is_said(tmp_path, process):
    content = b"GGUF, more or less"

    def hub(method, path, body, headers):
        if path == "/owner/small/resolve/main/model.gguf":
            told = {"ETag": '"0123"', "X-Repo-Commit": "a" * 40, "Content-Length": len(content)}
            return 200, {name: str(value) for name, value in told.items()}, content
        kind = "EntryNotFound" if "/owner/small/" in path else "RepoNotFound"
        return 404, {"X-Error-Code": kind}, {"error": "not found"}

    fetch = (
        "from lift_agent.llms.local import weights\n"
        "for _ in range(2): print(weights('hf:owner/small/model.gguf').read_bytes().decode())\n"
    )
    with serving(hub) as (address, seen):
        env = {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "hub")}
        done = subprocess.run(
            [sys.executable, "-c", fetch],
            env=os.environ | env,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.splitlines() == [content.decode()] * 2
        assert sum(method == "GET" and "resolve" in path for method, path, *_ in seen) == 1
        for place, cause in (("small/other.gguf", "no file"), ("gone/x.gguf", "no repository")):
            done = process("check", "--llm", f"local:hf:owner/{place}", code=1, **env)
            assert cause in done.stdout


@pytest.mark.parametrize(("count", "at_once"), [(1, 1), (2, 2), (8, 2), (16, 4), (64, 8)])
def test_slots_follow_the_cores(count, at_once):
    assert slots(count) == at_once


def test_a_table_decides_the_slots():
    assert prospect("local:hf:owner/repo/m-1b.gguf").concurrency == slots()
    tables = resolve({"llms": {"mine": {"model": "local:hf:o/r/m.gguf", "slots": 5}}}).llms
    assert prospect("mine", tables=tables).concurrency == 5


def test_an_installed_package_is_local_weights_by_its_name():
    with pytest.raises(ModelError, match="no installed package of that name"):
        open_backend("local:no-such-package")
    with pytest.raises(UsageError, match="there is no file"):
        open_backend("local:/no/such/model.gguf")


# What the documentation says ---------------------------------------------------------------


def documented_providers():
    for name, (extra, keys) in PROVIDERS.items():
        logs_in = " or ".join(f"`{key}`" for key in keys) or "none, or another login method"
        yield f"| `{name}` | {f'`{extra}`' if extra else 'included'} | {logs_in} |"


def documented_keys():
    for name, field in ModelTable.model_fields.items():
        yield f"| `{name}`{' (free)' if name in FREE else ''} | {field.description} |"


def test_the_tables_of_the_documentation_are_those_of_the_code():
    text = (ROOT / "docs" / "backends.md").read_text(encoding="utf-8")
    for lines in (documented_providers(), documented_keys()):
        assert "\n".join(lines) in text


@pytest.mark.parametrize(
    ("name", "price"),
    [
        ("openai:gpt-4o-mini", (0.15, 0.6, 0.075)),
        ("openai:gpt-4o-mini-2024-07-18", (0.15, 0.6, 0.075)),
        ("anthropic:claude-haiku-4-5-20251001", (1.0, 5.0, 0.1)),
        ("openai:text-embedding-3-small", (0.02, 0.0)),
        ("anthropic:claude-haiku-4-5-of-mine", None),
        ("anthropic:gpt-4o-mini", None),
        ("google_genai:gemini-2.5-pro", (1.25, 10.0, 0.125)),  # of short prompts
        ("deepseek:deepseek-chat", None),  # its price depends on the hour
        ("openai:gpt-4o-mini-2024-07-181", None),
    ],
)
def test_a_listed_model_and_its_dated_snapshots_have_a_price(name, price):
    assert price_of(name) == price
