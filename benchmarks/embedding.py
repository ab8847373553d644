"""How fast rows are embedded on a CPU, beside the library's own default, with equal vectors.

Real rows (a sample of the mixture) go through the default embedder as lift-agent runs it, and
through ``SentenceTransformer.encode`` with its defaults, each in a process of its own, in turn.
Every process prints the time from its start to its first vector, its rows a second of wall and of
processor time, and its peak of memory. The limit of both is what the processor can multiply: a
matrix product of numpy's, as large as those of the model, is timed in the same run.
"""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from corpora import EMBEDDER, MIXTURE, parser, report, rows_of

from lift_agent.embedders.sentence_transformers import packaged_folder

WAYS = ("lift-agent", "the library")
LAYERS, WIDTH = 6, 384  # of the model; the products of a layer are of 12 WIDTH² weights
TARGET, NEAR = 2.0, 0.85  # times the library; share of limit that leaves little to gain


def timed(way: str, folder: Path) -> dict[str, float]:
    """Embed the texts in `folder` in this process, keep the vectors there, and return figures."""
    import resource

    began = float((folder / "began").read_text())
    texts = json.loads((folder / "texts.json").read_text(encoding="utf-8"))
    if way == WAYS[0]:
        from lift_agent.embedders import open_embedder

        embed = open_embedder(EMBEDDER).embed
    else:
        from sentence_transformers import SentenceTransformer

        embed = SentenceTransformer(str(packaged_folder(EMBEDDER) or EMBEDDER), device="cpu").encode
    embed(texts[:1])
    first = time.time() - began
    clock, processor = time.monotonic(), time.process_time()
    vectors = embed(texts)
    clock, processor = time.monotonic() - clock, time.process_time() - processor
    np.save(folder / f"{way}.npy", vectors)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
    return {
        "rows": len(texts) / clock,
        "cpu": len(texts) / processor,
        "first": first,
        "memory": memory,
    }


def limit() -> float:
    """Gigaflops a second of numpy's matrix product, on one thread."""
    from threadpoolctl import threadpool_limits

    rng = np.random.default_rng(0)
    rows = rng.random((128, WIDTH), dtype=np.float32)
    weights = rng.random((WIDTH, 4 * WIDTH), dtype=np.float32)
    with threadpool_limits(1):
        began, products = time.process_time(), 0
        while time.process_time() - began < 2:
            for _ in range(50):
                rows @ weights
            products += 50
        spent = time.process_time() - began
    return 2 * rows.size * 4 * WIDTH * products / spent / 1e9


def gigaflops(texts: list[str]) -> float:
    """What the model's products with its weights take, for a text."""
    from tokenizers import Tokenizer

    folder = packaged_folder(EMBEDDER)
    assert folder is not None
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(256)
    tokens = sum(len(encoding.ids) for encoding in tokenizer.encode_batch(texts))
    return 2 * tokens * LAYERS * 12 * WIDTH**2 / len(texts) / 1e9


def measured(way: str, folder: Path) -> dict[str, float]:
    """The figures of a way, in a process of its own."""
    (folder / "began").write_text(str(time.time()))
    args = [sys.executable, __file__, "--way", way, "--folder", str(folder)]
    done = subprocess.run(args, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--rows", type=int, default=1000)
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--way", choices=WAYS, help="measure one way, in this process")
    options.add_argument("--folder", type=Path)
    given = options.parse_args()
    if given.way:
        print(json.dumps(timed(given.way, given.folder)))
        return
    rows = random.Random(0).sample(rows_of(given.data, *MIXTURE), given.rows)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "texts.json"
        file.write_text('["a text"]', encoding="utf-8")
        for way in WAYS:  # exports the model, and warms the disk's cache
            measured(way, folder)
        file.write_text(json.dumps([row.text for row in rows]), encoding="utf-8")
        found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
        for _ in range(given.repeats):
            for way in WAYS:
                found[way].append(measured(way, folder))
        ours, theirs = (np.load(folder / f"{way}.npy") for way in WAYS)

    def middle(way: str, figure: str) -> float:
        return statistics.median(one[figure] for one in found[way])

    most = limit() / gigaflops([row.text for row in rows])  # rows a CPU second
    ratios = [a["rows"] / b["rows"] for a, b in zip(*found.values(), strict=True)]
    largest = float(np.abs(ours - theirs).max())
    report(
        "embedding",
        f"Embedding {given.rows:,} rows on a CPU ({EMBEDDER})",
        (
            "",
            "rows a second",
            "rows a CPU second",
            "of limit",
            "first vector",
            "peak memory",
        ),
        [
            (
                way,
                f"{middle(way, 'rows'):.1f}",
                f"{middle(way, 'cpu'):.1f}",
                f"{middle(way, 'cpu') / most:.2f}",
                f"{middle(way, 'first'):.1f} s",
                f"{middle(way, 'memory'):.2f} GB",
            )
            for way in WAYS
        ],
        notes=[
            f"lift-agent over the library, rows a second, each pair of runs in turn: "
            f"{', '.join(f'{ratio:.2f}' for ratio in ratios)}. "
            f"Largest difference between the vectors: {largest:.1g}.",
            f"The limit: {most:.1f} rows a CPU second, if a model did nothing but its products "
            "with its weights, at the speed of numpy's. First vector: time from the start.",
            f"`--rows {given.rows} --repeats {given.repeats}`; the library with its defaults "
            "(`SentenceTransformer.encode(texts)`). Times depend on what else runs: compare them "
            "within the table.",
        ],
        data=MIXTURE,
        peers=("sentence-transformers", "torch", "onnxruntime"),
    )
    fast = statistics.median(ratios) >= TARGET or middle(WAYS[0], "cpu") / most >= NEAR
    if not fast or largest > 1e-5:
        sys.exit(f"to reach: {TARGET:g} times the library or {NEAR:g} of limit, and 1e-5")


if __name__ == "__main__":
    main()
