"""Embedders of every kind: the same vectors as the library's, whatever else is in the batch."""

import asyncio
import json
import random
import subprocess
import sys
import threading

import numpy as np
import pytest
from embeddings_server import DIMENSION, EmbeddingsServer, vector
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import SCRIPTED, go, minilm_tokenizer, read_dataset

from lift_agent.config import RunConfig, resolve
from lift_agent.embedders import LazyEmbedder, open_embedder
from lift_agent.embedders.onnx_cache import cached_export
from lift_agent.embedders.onnx_model import OnnxEmbedder
from lift_agent.embedders.sentence_transformers import LibraryEmbedder, load, packaged_folder
from lift_agent.errors import ModelError, TooManyErrors, UsageError
from lift_agent.stores.folder import opened_ledger

MINILM = "all-MiniLM-L6-v2"
TEXTS = [
    "",
    "short",
    "  Spaces and\ttabs,\nCAPITALS too  ",
    "Wie spät ist es? 现在几点？ Который час? 🕰",
    *(" ".join(["word", "another", "third"][i % 3] for i in range(n)) for n in (9, 60, 254, 700)),
]


@pytest.fixture
def fast(own_cache):
    made = open_embedder(f"sentence-transformers:{MINILM}")
    assert isinstance(made, OnnxEmbedder)
    return made


@pytest.fixture
def server():
    made = EmbeddingsServer()
    yield made
    made.close()


def hosted(server, **options):
    return LazyEmbedder("openai:stub", base_url=server.base_url, **options)


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def bert(folder, pooling, *, normalize=True, dense=False, prompts=None, default=None):
    """A tiny random BERT in `folder`, with MiniLM's words."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Dense, Normalize, Pooling, Transformer
    from transformers import AutoTokenizer, BertConfig, BertModel

    tokenizer = AutoTokenizer.from_pretrained(packaged_folder(MINILM))
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 64}
    config = BertConfig(vocab_size=len(tokenizer), num_attention_heads=4, **sizes)
    BertModel(config).save_pretrained(folder / "raw")
    tokenizer.save_pretrained(folder / "raw")
    modules = [Transformer(str(folder / "raw"), max_seq_length=48), Pooling(32, pooling)]
    modules += [Dense(32 * (1 if isinstance(pooling, str) else len(pooling)), 16)] if dense else []
    modules += [Normalize()] if normalize else []
    model = SentenceTransformer(modules=modules, prompts=prompts, default_prompt_name=default)
    model.save(str(folder / "model"))
    return folder / "model"


@pytest.mark.slow
def test_a_cpu_gives_the_librarys_vectors_without_the_library(fast):
    library = LibraryEmbedder(MINILM, load(MINILM, packaged_folder(MINILM)), None)
    assert np.abs(fast.embed(TEXTS) - library.embed(TEXTS)).max() <= 1e-5
    code = (
        "import sys; from lift_agent.embedders import open_embedder;"
        f"print(open_embedder({MINILM!r}).embed(['x']).shape, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(1, 384) False"


@pytest.mark.slow
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(range(len(TEXTS))), min_size=1, max_size=10))
def test_a_vector_is_the_same_bits_in_any_batch(fast, chosen):
    alone = {i: fast.embed([TEXTS[i]])[0] for i in set(chosen)}
    together = fast.embed([TEXTS[i] for i in chosen])
    assert all(np.array_equal(together[at], alone[i]) for at, i in enumerate(chosen))


@pytest.mark.slow
@pytest.mark.parametrize(
    "pooling, options",
    [
        ("cls", {"normalize": False}),
        (("mean", "max"), {}),
        ("lasttoken", {}),
        ("weightedmean", {"dense": True}),
        ("mean", {"prompts": {"document": "title: none | text: "}}),
        ("mean", {"prompts": {"query": "query: "}, "default": "query"}),
    ],
)
def test_the_models_own_modules_and_prompts_hold(pooling, options, tmp_path):
    folder = bert(tmp_path, pooling, **options)
    made = open_embedder(str(folder))
    assert isinstance(made, OnnxEmbedder)
    library = load(str(folder), folder)
    expected = library.encode(TEXTS) if options.get("default") else library.encode_document(TEXTS)
    assert np.abs(made.embed(TEXTS) - unit(expected)).max() <= 1e-5
    other = open_embedder(str(folder), prompt="query: ").embed(TEXTS)
    assert np.abs(other - unit(library.encode(TEXTS, prompt="query: "))).max() <= 1e-5


def test_what_cannot_be_exported_is_run_by_the_library_and_it_is_said(tmp_path, caplog):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import StaticEmbedding

    folder, tokenizer = str(tmp_path), minilm_tokenizer()
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((tokenizer.get_vocab_size(), 64)).astype(np.float32)
    modules = [StaticEmbedding(tokenizer, embedding_weights=weights)]
    SentenceTransformer(modules=modules).save(folder)
    made = open_embedder(folder)
    assert isinstance(made, LibraryEmbedder)
    assert "StaticEmbedding" in caplog.messages[-1]
    assert np.allclose(made.embed(TEXTS[1:]), unit(load(folder, None).encode(TEXTS[1:])))


@pytest.mark.slow
def test_two_processes_at_once_export_once_and_whole(tmp_path, monkeypatch):
    monkeypatch.setenv("LIFT_AGENT_CACHE", str(tmp_path / "cache"))
    folder, loads, found = bert(tmp_path, "mean"), [], []

    def counted():
        loads.append(1)
        return load(str(folder), folder)

    threads = [
        threading.Thread(target=lambda: found.append(cached_export(folder, counted)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(loads), len(set(found))) == (1, 1)
    (folder / "1_Pooling" / "config.json").write_text(
        json.dumps({"embedding_dimension": 32, "pooling_mode": "cls"})
    )
    assert cached_export(folder, counted) != found[0]  # another model in the same folder


def test_a_cache_that_cannot_be_written_costs_only_speed(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LIFT_AGENT_CACHE", str(tmp_path / "file"))
    made = open_embedder(MINILM)
    assert isinstance(made, LibraryEmbedder)
    assert "cannot be used" in caplog.messages[-1]


# hosted -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_server_is_asked_in_batches_at_once_and_in_order(server, monkeypatch):
    monkeypatch.setenv("EMBEDDER_API_KEY", "sk-embedder")
    texts = [f"text {i} of many" for i in range(200)]
    server.faults = [lambda body: {**body, "data": body["data"][::-1]}] * 3
    made = hosted(server, prompt="p: ")
    vectors = made.embed(texts)
    assert np.allclose(vectors, unit(np.array([vector(f"p: {t}") for t in texts])), atol=1e-6)
    assert max(map(len, server.seen)) <= 32
    assert server.at_once > 1
    assert server.keys == {"Bearer sk-embedder"}
    assert np.array_equal(made.embed(texts[:3]), vectors[:3])  # in another event loop


def without_last(body):
    return {**body, "data": body["data"][:-1]}


def not_finite(body):
    body["data"][0]["embedding"][3] = float("nan")
    return body


def shorter(body):
    body["data"][0]["embedding"].pop()
    return body


def doubled(body):
    return {**body, "data": [{**item, "index": 0} for item in body["data"]]}


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault", [429, 500, without_last, not_finite, shorter, doubled, lambda body: {"ok": 1}]
)
def test_a_fault_that_passes_is_tried_again(fault, server):
    server.faults = [fault]
    assert np.allclose(
        hosted(server).embed(["a b", "c"]), unit(np.array([vector("a b"), vector("c")]))
    )
    assert len(server.seen) == 2


@pytest.mark.slow
def test_a_text_that_is_too_long_is_cut_and_the_others_are_whole(server):
    server.most = 3000
    texts = ["few words", "word " * 2000, "other words"]
    vectors = hosted(server).embed(texts)
    cut = [texts[0], texts[1][:2500], texts[2]]
    assert np.allclose(vectors, unit(np.array([vector(text) for text in cut])), atol=1e-6)


@pytest.mark.slow
def test_a_server_that_refuses_everything_ends_it_after_few_requests(server):
    server.faults = [400] * 100
    with pytest.raises(TooManyErrors, match="too long or so"):
        hosted(server).embed(["a"] * 32)
    assert len(server.seen) <= 7


@pytest.mark.slow
@pytest.mark.parametrize("status, said", [(401, "refused the key"), (404, "does not know")])
def test_a_wrong_key_or_model_is_said_at_once(status, said, server):
    server.faults = [status] * 9
    with pytest.raises(ModelError, match=said):
        hosted(server).embed(["a"])
    assert len(server.seen) == 1


@pytest.mark.slow
def test_other_dimensions_than_before_are_refused(server):
    before = np.ones((1, DIMENSION + 1)) / 7
    with pytest.raises(ModelError, match=rf"\({DIMENSION + 1} dimensions then, {DIMENSION} now"):
        hosted(server, known=("a", before)).embed(["b"])


def paid(folder):
    with opened_ledger(folder) as ledger:
        return ledger.calls.usage()["embedder"]


@pytest.mark.slow
def test_a_run_counts_keeps_and_replays_its_embeddings(server, seeds, tmp_path, command):
    options = {"embedder": "openai:stub", "embedder_base_url": server.base_url}
    options |= {"prices": "openai:stub=2,0", "budget_usd": 1}
    summary = go(seeds, tmp_path / "run", **options)
    used = paid(tmp_path / "run")
    read = sum(len(text.split()) for texts in server.seen for text in texts)
    assert summary.rows == 40
    assert (used["calls"], used["input_tokens"]) == (len(server.seen), read)
    assert used["cost"] == pytest.approx(read * 2e-6)
    sent = len(server.seen)
    go(seeds, tmp_path / "again", **options)  # from the call cache
    assert len(server.seen) == sent
    assert read_dataset(tmp_path / "again") == read_dataset(tmp_path / "run")
    replayed = command(
        *("replay", tmp_path / "run", "--out", tmp_path / "replayed", "--verify"),
        OPENAI_API_KEY="sk-test",
    )
    assert "byte for byte" in replayed.stdout
    assert len(server.seen) == sent
    key = next(call for call in _calls(tmp_path / "run")).key
    shown = command("trace", tmp_path / "run", key).stdout
    assert f"vectors of {DIMENSION} float32" in shown


def _calls(folder):
    with opened_ledger(folder) as ledger:
        return ledger.calls.find(agent="embedder")


@pytest.mark.slow
def test_a_cap_holds_while_embedding_and_the_run_goes_on(server, seeds, tmp_path):
    options = {"embedder": "openai:stub", "embedder_base_url": server.base_url, "cache": False}
    stopped = go(seeds, tmp_path / "run", **options, max_calls=1)
    assert (stopped.stop, len(server.seen)) == ("budget", 1)
    summary = go(seeds, tmp_path / "run", **options)
    whole = go(seeds, tmp_path / "whole", **options)
    assert summary.rows == whole.rows == 40
    assert read_dataset(tmp_path / "run") == read_dataset(tmp_path / "whole")
    assert paid(tmp_path / "run")["calls"] <= paid(tmp_path / "whole")["calls"] + 1  # the check
    with pytest.raises(UsageError, match="embedder_prompt was not set, now x"):
        go(seeds, tmp_path / "run", **options, target_size=41, embedder_prompt="x")


@pytest.mark.slow
def test_a_stop_at_any_embedding_loses_nothing_and_lets_nothing_past_the_screen(
    server, seeds, tmp_path
):
    first = json.loads(seeds.read_text().splitlines()[0])
    with seeds.open("a", encoding="utf-8") as file:
        file.write(json.dumps(first | {"output": "I'm sorry, but I can't help with that."}) + "\n")
    exam = tmp_path / "exam.jsonl"
    exam.write_text(json.dumps({"question": first["instruction"]}) + "\n", encoding="utf-8")
    options = {"embedder": "openai:stub", "embedder_base_url": server.base_url, "cache": False}
    options |= {"decontaminate": (exam,), "target_size": 50}
    go(seeds, tmp_path / "whole", **options)
    with opened_ledger(tmp_path / "whole") as ledger:
        calls = sorted(ledger.calls.find(), key=lambda call: call.started)
    caps = [i for i, call in enumerate(calls) if call.agent == "embedder" and i]
    assert len(caps) > 2  # the seeds or the exam, and the rows of a round
    for cap in caps:
        for _ in range(2):  # the second time it stops again where it goes on
            stopped = go(seeds, tmp_path / f"cut{cap}", **options, max_calls=cap)
            assert stopped.stop == "budget"
            asked = [row["instruction"] for row in read_dataset(tmp_path / f"cut{cap}")]
            assert first["instruction"] not in asked
        go(seeds, tmp_path / f"cut{cap}", **options)
        assert read_dataset(tmp_path / f"cut{cap}") == read_dataset(tmp_path / "whole")


@pytest.mark.slow
def test_a_dry_run_sends_nothing_and_counts_the_embedder(server, seeds, command):
    flags = ("--llm", SCRIPTED, "--embedder", "openai:stub", "--base-url", server.base_url)
    told = json.loads(command("run", seeds, *flags, "--dry-run", "--json").stdout)
    assert server.seen == []
    assert told["agents"][0]["agent"] == "embedder"
    assert told["agents"][0]["input_tokens"][1] > 0
    assert told["usd"] is None  # another server's price is unknown


# static and plugins -----------------------------------------------------------------------


def test_a_static_model_is_the_mean_of_its_tokens(tmp_path):
    from model2vec import StaticModel

    tokenizer = minilm_tokenizer()
    weights = np.random.default_rng(0).standard_normal((tokenizer.get_vocab_size(), 16))
    StaticModel(weights.astype(np.float32), tokenizer).save_pretrained(str(tmp_path / "m"))
    made = LazyEmbedder(f"static:{tmp_path / 'm'}")
    vectors = made.embed(["red green", "green", "red"])
    assert np.allclose(vectors[0], unit((weights_of(made, "red", "green"))[None])[0], atol=1e-5)
    order = random.Random(0).sample(range(3), 3)
    assert np.array_equal(
        made.embed([["red green", "green", "red"][i] for i in order]), vectors[order]
    )


def weights_of(made, *words):
    model = made._model._model
    return np.mean([model.embedding[model.tokenizer.token_to_id(word)] for word in words], axis=0)


@pytest.fixture
def plugged(tmp_path, monkeypatch):
    """A package with an embedder by the name counting:."""
    package = tmp_path / "site"
    (package / "counting-1.0.dist-info").mkdir(parents=True)
    (package / "counting-1.0.dist-info" / "METADATA").write_text("Name: counting\nVersion: 1.0\n")
    (package / "counting-1.0.dist-info" / "entry_points.txt").write_text(
        "[lift_agent.embedders]\ncounting = counting:open\n"
    )
    (package / "counting.py").write_text(
        "import numpy as np\n"
        "class Counting:\n"
        "    def __init__(self, model): self.letters = model or 1 / 0\n"
        "    def embed(self, texts):\n"
        "        made = [[t.count(c) + 1 for c in self.letters] for t in texts]\n"
        "        return np.array(made[1:] if 'lose' in texts else made)\n"
        "open = Counting\n"
    )
    monkeypatch.syspath_prepend(str(package))
    yield "counting"
    sys.modules.pop("counting", None)


def test_a_plugin_embeds(plugged):
    made = LazyEmbedder("counting:ab")
    assert np.allclose(made.embed(["a", "bb"]), unit(np.array([[2.0, 1], [1, 3]])))
    with pytest.raises(ModelError, match="a vector each"):
        made.embed(["lose", "one"])


def test_what_is_missing_or_unknown_is_said_in_plain_words(plugged, monkeypatch, tmp_path):
    def said(name, kind=ModelError):
        with pytest.raises(kind) as raised:
            LazyEmbedder(name).embed(["x"])
        return str(raised.value)

    assert "openai:, static:, counting:" in said("nothing:x", UsageError)
    assert "name is missing after static:" in said("static:", UsageError)
    for name in ("OPENAI_API_KEY", "EMBEDDER_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    assert "set OPENAI_API_KEY" in said("openai:text-embedding-3-small")
    assert "cannot open the embedder static:" in said(f"static:{tmp_path}")
    monkeypatch.setitem(sys.modules, "model2vec", None)
    assert 'pip install "lift-agent[static]"' in said("static:potion")


@pytest.mark.slow
def test_addresses_keep_their_secrets_out_of_the_run(server, seeds, tmp_path):
    address = server.base_url.replace("//", "//me:secret-word@")
    go(seeds, tmp_path / "run", embedder="openai:stub", embedder_base_url=address)
    files = [file for file in (tmp_path / "run").rglob("*") if file.is_file()]
    assert not [file for file in files if b"secret-word" in file.read_bytes()]
    assert resolve({"sources": (seeds,)}).embedder == RunConfig().embedder


@pytest.mark.slow
def test_many_chunks_at_once_open_one_model(server):
    async def both():
        made = hosted(server, known=("a", unit(np.array([vector("a")]))))
        await asyncio.gather(*(made.aembed([f"text {i}"]) for i in range(6)))

    asyncio.run(both())
    assert sum(texts == ["a"] for texts in server.seen) == 1
