"""What several test files and benchmarks need."""

import json
from pathlib import Path

TESTS = Path(__file__).parent
ROOT = TESTS.parent
SCRIPTED = f"scripted:{TESTS / 'scripted_model.py'}"
SHARED = ROOT.parent / "shared" / "data"


def go(sources, out, **settings):
    """Run the library on sources with the scripted model; return the summary."""
    from lift_agent.config import resolve
    from lift_agent.jobs.run import run

    sources = sources if isinstance(sources, tuple) else (sources,)
    options = {name: settings.pop(name) for name in ("force", "estimate") if name in settings}
    settings = {"llm": SCRIPTED, "target_size": 40, "round_size": 16, **settings}
    return run(resolve({"sources": sources, "out": out, **settings}), **options)


def read_dataset(folder):
    """The rows of a run's dataset."""
    text = (Path(folder) / "dataset.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def static_embedder(folder, *, dimension=64, seed=0):
    """Make a model in `folder` that embeds thousands of rows a second; return its name.

    It is the mean of a random vector for each token: rows with the same words come out alike.
    A process that embeds with it imports neither torch nor sentence-transformers.
    """
    import numpy as np
    from model2vec import StaticModel

    tokenizer = minilm_tokenizer()
    size = tokenizer.get_vocab_size()
    weights = np.random.default_rng(seed).standard_normal((size, dimension)).astype(np.float32)
    StaticModel(weights, tokenizer).save_pretrained(str(folder))
    return f"static:{folder}"


def minilm_tokenizer():
    """The tokenizer of the packaged model."""
    from tokenizers import Tokenizer

    from lift_agent.embedders.sentence_transformers import packaged_folder

    tokenizer = Tokenizer.from_file(str(packaged_folder("all-MiniLM-L6-v2") / "tokenizer.json"))
    tokenizer.no_padding()
    return tokenizer
