"""What several test files and benchmarks need."""

import io
import json
import os
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from subprocess import CompletedProcess

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


def called(args, folder, env):
    """Call the command line in this process, in `folder`; return what a process would have given.

    It starts with everything imported, which takes a process seconds. What it does to the
    environment, the folder and the streams is undone.
    """
    from lift_agent.cli import main

    args = [str(arg) for arg in args]
    before, place, argv = dict(os.environ), Path.cwd(), sys.argv
    out, err = (
        io.TextIOWrapper(io.BytesIO(), "utf-8", errors, newline="", write_through=True)
        for errors in ("strict", "backslashreplace")
    )
    code = 0
    try:
        os.environ.update(env)
        os.chdir(folder)
        sys.argv = ["lift-agent", *args]
        stdin, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO())
        with redirect_stdout(out), redirect_stderr(err), warnings.catch_warnings():
            main()
    except SystemExit as end:
        code = end.code or 0
    finally:
        sys.argv, sys.stdin = argv, stdin
        os.chdir(place)
        os.environ.clear()
        os.environ.update(before)
    told = (stream.buffer.getvalue().decode() for stream in (out, err))
    return CompletedProcess(args, code, *told)


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
