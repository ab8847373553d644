"""The recipe paper, beside the published procedure written anew from its description."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, NamedTuple

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler
from support import called

from lift_agent.records import Row

REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "code_alpaca_new.json"
TEXTS = ("instruction", "input", "output")
Record = dict[str, Any]


class Ranking(NamedTuple):
    """The rows kept by their variance, best first, and the final score of each record."""

    best: list[int]
    final: dict[int, float]


def published(records: Sequence[Record], embeddings: Any, scores: Any) -> Ranking:
    """Rank the records as the paper says; it is asserted that no rounding decides.

    A row's variance depends on the sign of each component: scikit-learn's are the published ones.
    """
    z = StandardScaler().fit_transform(embeddings)
    pca = PCA(svd_solver="full").fit(z)
    explained = np.cumsum(pca.explained_variance_ratio_)
    components = next(c for c, reached in enumerate(explained, 1) if reached >= 0.95)
    distinct, copy_of = np.unique(z, axis=0, return_inverse=True)  # copies to the last digit
    variance = pca.transform(distinct)[:, :components].var(axis=1)[copy_of.reshape(-1)]
    threshold = percentile(variance, 80)
    assert not np.any((variance != threshold) & (np.abs(variance / threshold - 1) < 1e-9))
    kept = np.flatnonzero(variance > threshold).tolist()

    texts = {i: "".join(records[i][name] for name in TEXTS) for i in kept}
    lengths = {i: len(re.sub(r"[\t\n]", "", text)) for i, text in texts.items()}
    longest = percentile(list(lengths.values()), 98)
    length_scores = {i: min(100.0, 100.0 * length / longest) for i, length in lengths.items()}
    final = {i: 0.9 * float(scores[i]) + 0.1 * length_scores[i] for i in kept}
    ordered = np.sort(list(final.values()))
    assert not np.any((np.diff(ordered) > 0) & (np.diff(ordered) < 1e-9))
    return Ranking(sorted(kept, key=lambda i: (-final[i], i)), final)


def percentile(values: Any, percent: float) -> float:
    """The percentile by linear interpolation between the two nearest ranks."""
    ranked = np.sort(values)
    place = percent * (len(ranked) - 1) / 100
    low = int(place)
    high = min(low + 1, len(ranked) - 1)
    return float(ranked[low] + (ranked[high] - ranked[low]) * (place - low))


def run_paper(
    sources: Sequence[Path], scores: Path, embeddings: Path, size: int
) -> CompletedProcess[str]:
    """The recipe paper without a model; the folder of the run is `run` beside the scores."""
    given = ("--scores", scores, "--embeddings", embeddings, "--out", scores.parent / "run")
    how = ("--recipe", "paper", "--rounds", 0, "--target-size", size, "--quiet")
    return called(("run", *sources, *given, *how), scores.parent)


def dataset(folder: Path) -> list[tuple[Record, float]]:
    """The rows of a run's dataset, as their file had them, each with its final score."""
    lines = (folder / "run" / "dataset.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [(row, row.pop("lift")["scores"]["final"]) for row in rows]


def canonical(row: tuple[Record, float]) -> str:
    return json.dumps(row, sort_keys=True)


def agree(
    found: list[tuple[Record, float]], records: Sequence[Record], ranking: Ranking, size: int
) -> None:
    """Assert that the dataset is the best rows, in the order of arrival."""
    chosen = sorted(ranking.best[:size])
    expected = [(records[i], round(ranking.final[i], 2)) for i in chosen]
    # The same rows and scores, whatever their order; then the order.
    assert sorted(map(canonical, found)) == sorted(map(canonical, expected))
    assert found == expected


def structured(rng: np.random.Generator, rows: int, width: int = 128) -> Any:
    """Random embeddings of low rank, with noise."""
    low = rng.normal(size=(rows, 20)) @ rng.normal(size=(20, width))
    return low + 0.7 * rng.normal(size=(rows, width))


class Case(NamedTuple):
    records: list[Record]
    scores: Any
    embeddings: Any


def synthetic(seed: int) -> Case:
    """180 short records and 120 exact copies of some, shuffled; whole scores from 0 to 10.

    Only the column `number` tells copies apart. Lengths are few, so that ties abound.
    """
    rng = np.random.default_rng(seed)
    origin = rng.permutation(np.r_[np.arange(180), rng.integers(0, 180, 120)])
    tails = ["\tand\nmore" * n for n in rng.integers(0, 6, 180)]
    inputs = [["", "1 2 3", "ä ö"][n] for n in rng.integers(0, 3, 180)]
    records = [
        {
            "instruction": f"Explain task {i:03d}.",
            "input": inputs[i],
            "output": f"As asked:{tails[i]}",
            "number": number,
        }
        for number, i in enumerate(origin.tolist())
    ]
    scores = rng.integers(0, 11, 180).astype(np.float64)
    return Case(records, scores[origin], structured(rng, 180)[origin])


def texts(record: Record) -> list[str]:
    return [record[name] for name in TEXTS]


@pytest.mark.slow
def test_a_cut_through_a_tie_follows_the_order_of_the_input(tmp_path: Path) -> None:
    """The cut parts exact copies, and other rows of the same score; scores come as text."""
    case = synthetic(1)
    ranking = published(case.records, case.embeddings, case.scores)

    def parted(size: int) -> set[bool]:
        """Whether those that the cut parts from their equals in score are the same text."""
        cut = ranking.final[ranking.best[size]]
        tied = [
            [i for i in side if ranking.final[i] == cut]
            for side in (ranking.best[:size], ranking.best[size:])
        ]
        return {texts(case.records[i]) == texts(case.records[j]) for i, j in product(*tied)}

    size = next(n for n in range(1, len(ranking.best)) if parted(n) == {True, False})
    source, scores = tmp_path / "rows.json", tmp_path / "scores.txt"
    source.write_text(json.dumps(case.records, ensure_ascii=False), encoding="utf-8")
    scores.write_text("\n".join(str(int(score)) for score in case.scores))
    np.save(tmp_path / "embeddings.npy", case.embeddings)
    result = run_paper([source], scores, tmp_path / "embeddings.npy", size)
    assert result.returncode == 0, result.stderr
    agree(dataset(tmp_path), case.records, ranking, size)


@pytest.mark.slow
def test_unusable_records_keep_their_place_in_the_scores_and_embeddings(tmp_path: Path) -> None:
    """Also: the records are those of all files, and a run short of N has every row kept."""
    case = synthetic(2)
    broken: dict[int, object] = {
        0: "not JSON",
        7: {"instruction": "No answer."},
        8: {"instruction": " ", "output": "x"},
        150: {"instruction": "Wrong type.", "output": 3},
        299: ["not an object"],
    }
    lines = [json.dumps(broken.get(i, record)) for i, record in enumerate(case.records)]
    lines[0] = '{"instruction": "not JSON", "output": oops}'
    files = [tmp_path / "one.jsonl", tmp_path / "two.jsonl"]
    for file, part in zip(files, (lines[:120], lines[120:]), strict=True):
        file.write_text("\n".join(part) + "\n", encoding="utf-8")
    for i in broken:  # were they used, or others in their place, it would show
        case.embeddings[i], case.scores[i] = 1e4 * case.embeddings[i], 100
    np.save(tmp_path / "scores.npy", case.scores)
    np.save(tmp_path / "embeddings.npy", case.embeddings)
    result = run_paper(files, tmp_path / "scores.npy", tmp_path / "embeddings.npy", 299)
    assert result.returncode == 3, result.stderr
    usable = [i for i in range(len(lines)) if i not in broken]
    records = [case.records[i] for i in usable]
    ranking = published(records, case.embeddings[usable], case.scores[usable])
    agree(dataset(tmp_path), records, ranking, 299)


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_file(), reason=f"{REAL} is not here: it is not part of the repo")
def test_the_real_rows(tmp_path: Path) -> None:
    records = json.loads(REAL.read_text(encoding="utf-8"))
    rng = np.random.default_rng(4535)
    scores = rng.integers(0, 11, len(records)).astype(np.float64)
    embeddings = structured(rng, len(records))
    np.save(tmp_path / "scores.npy", scores)
    np.save(tmp_path / "embeddings.npy", embeddings)
    result = run_paper([REAL], tmp_path / "scores.npy", tmp_path / "embeddings.npy", 500)
    assert result.returncode == 0, result.stderr
    agree(dataset(tmp_path), records, published(records, embeddings, scores), 500)


@pytest.mark.parametrize("rows", [29, 31], ids=["too few", "too many"])
@pytest.mark.parametrize("wrong", ["scores", "embeddings"])
def test_another_number_than_the_records_is_refused(tmp_path: Path, wrong: str, rows: int) -> None:
    case = synthetic(3)
    source, given = tmp_path / "rows.jsonl", {}
    source.write_text("".join(f"{json.dumps(record)}\n" for record in case.records[:30]))
    for name in ("scores", "embeddings"):
        given[name] = tmp_path / f"{name}.npy"
        np.save(given[name], getattr(case, name)[: rows if name == wrong else 30])
    result = run_paper([source], given["scores"], given["embeddings"], 3)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert str(given[wrong]) in line
    assert {"30", str(rows)} <= set(re.findall(r"\b\d+\b", line.replace(str(given[wrong]), "")))


def test_the_text_that_is_embedded() -> None:
    row = Row(id="", position=0, instruction="Add.", input="1 2", output="3\n")
    assert row.text == "<INST> Add. Input: 1 2 </INST> 3\n"
