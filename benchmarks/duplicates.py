"""Near-duplicates on labelled pairs: the redundancy agent beside its peers.

The pairs are those of `pairs.py`, the reported half (rows of odd index), and apart from them those
of `fresh_pairs.py`, of kinds of change that nothing was chosen by. Each pair is put to the agent
as it runs in the product: the first row is kept, the second is new.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from corpora import CODE, EMBEDDER, MIXTURE, cleared, embedded, embedded_rows, parser, report
from datasketch import MinHash
from fresh_pairs import fresh_pairs
from pairs import Pair, labelled_pairs
from rouge_score.rouge_scorer import RougeScorer
from semhash import SemHash
from verdicts import BORDERLINE, CANDIDATE, NoModel, agent_verdicts

from lift_agent.agents.redundancy import RedundancyAgent
from lift_agent.agents.texts import normalised, words
from lift_agent.geometry.neighbours import Vectors
from lift_agent.records import Row, Verdict

COLUMNS = (
    *("change", "label", "pairs", "automatic", "asked", "no model", "normalised", "MinHash"),
    *("ROUGE-L", "SemHash .90", "SemHash .95", "cosine .95"),
)
RIGHT = 0.9  # how often the simulated model is right
DRAWS = 200


@dataclass(frozen=True)
class Score:
    """Precision, recall and F1 of duplicates, and the share of verdicts that are right."""

    precision: float
    recall: float
    f1: float
    right: float

    @classmethod
    def of(cls, said: np.ndarray, truth: np.ndarray) -> Score:
        """Score verdicts against labels."""
        hits = int((said & truth).sum())
        precision, recall = hits / max(1, said.sum()), hits / max(1, truth.sum())
        f1 = 2 * hits / max(1, said.sum() + truth.sum())
        return cls(precision, recall, float(f1), float((said == truth).mean()))

    def cells(self) -> list[str]:
        """As table cells."""
        return [f"{x:.3f}" for x in (self.precision, self.recall, self.f1, self.right)]


def with_model(same: np.ndarray, asked: np.ndarray, truth: np.ndarray) -> Score:
    """The mean score when a model that is right nine times in ten settles what is asked."""
    rng = np.random.default_rng(0)
    scores = []
    for _ in range(DRAWS):
        answers = truth ^ (rng.random(len(truth)) >= RIGHT)
        scores.append(Score.of(np.where(asked, answers, same), truth))
    parts = [(s.precision, s.recall, s.f1, s.right) for s in scores]
    return Score(*map(float, np.mean(parts, axis=0)))


def semhash_says(pairs: Sequence[Pair], vectors: dict[str, Any], threshold: float) -> np.ndarray:
    """SemHash's verdicts, with our vectors: an index of the first row, asked for the second."""

    class Encoder:
        def encode(self, texts: Sequence[str], **_: Any) -> np.ndarray:
            return np.stack([vectors[text] for text in texts])

    said = []
    for pair in pairs:
        text = pair.first.text
        index = SemHash.from_embeddings(vectors[text][None], [text], Encoder())
        said.append(bool(index.deduplicate([pair.second.text], threshold).filtered))
    return np.asarray(said)


def minhash_says(pairs: Sequence[Pair], threshold: float = 0.5) -> np.ndarray:
    """MinHash (128 permutations) over word 3-grams of the rows' texts."""

    def sketch(row: Row) -> MinHash:
        made, found = MinHash(), words(row.text)
        made.update_batch([" ".join(found[i : i + 3]).encode() for i in range(len(found) - 2)])
        return made

    return np.asarray([sketch(p.first).jaccard(sketch(p.second)) >= threshold for p in pairs])


def rouge_says(pairs: Sequence[Pair], threshold: float = 0.7) -> np.ndarray:
    """Self-Instruct's rule: ROUGE-L of the instructions above 0.7."""
    scorer = RougeScorer(["rougeL"])
    return np.asarray(
        [
            scorer.score(p.first.instruction, p.second.instruction)["rougeL"].fmeasure > threshold
            for p in pairs
        ]
    )


def removed_from(rows: Sequence[Row], vectors: Vectors) -> list[Verdict]:
    """The agent's verdicts on a whole file, what it would ask a model marked by its layer."""
    agent: Any = RedundancyAgent(NoModel(), CANDIDATE, BORDERLINE)  # type: ignore[arg-type]
    verdicts, _ = asyncio.run(agent.find_duplicates(rows, vectors, [], vectors[:0]))
    return list(verdicts)


def main() -> None:
    """Print and write the tables."""
    data = parser(__doc__).parse_args().data
    known = [pair for pair in labelled_pairs(data) if pair.reported]
    pairs = [*known, *fresh_pairs(data)]
    vectors: dict[str, Any] = {}
    for some in (known, pairs[len(known) :]):
        texts = sorted({row.text for pair in some for row in (pair.first, pair.second)})
        vectors |= dict(zip(texts, embedded(texts), strict=True))
    first = np.stack([vectors[pair.first.text] for pair in pairs])
    second = np.stack([vectors[pair.second.text] for pair in pairs])
    cosine = (first * second).sum(axis=1)
    truth = np.asarray([pair.same for pair in pairs])
    fresh = np.arange(len(pairs)) >= len(known)

    shown = asyncio.run(agent_verdicts(pairs, first, second, NoModel()))
    asked = np.asarray([verdict.layer == "model" for verdict in shown])
    same = np.asarray([verdict.duplicate for verdict in shown])
    alone = asyncio.run(agent_verdicts(pairs, first, second, None))
    ours = np.asarray([verdict.duplicate for verdict in alone])
    semhash = {t: semhash_says(pairs, vectors, t) for t in (0.90, 0.95)}
    peers = {
        "normalised text equal": np.asarray(
            [normalised(p.first.text) == normalised(p.second.text) for p in pairs]
        ),
        "MinHash, word 3-grams, 0.5": minhash_says(pairs),
        "ROUGE-L of the instructions > 0.7": rouge_says(pairs),
        "SemHash, MiniLM vectors, 0.90": semhash[0.90],
        "SemHash, MiniLM vectors, 0.95": semhash[0.95],
        "row cosine ≥ 0.95": cosine >= 0.95,
    }
    lines = []
    for kinds, here in (("known", ~fresh), ("fresh", fresh)):
        band = f"{asked[here].mean():.1%}"
        sure = here & ~asked
        scores = {
            "lift-agent: automatic verdicts alone": (Score.of(same[sure], truth[sure]), band),
            "lift-agent with a model right in 90%": (
                with_model(same[here], asked[here], truth[here]),
                band,
            ),
            "lift-agent without a model": (Score.of(ours[here], truth[here]), "0%"),
        } | {name: (Score.of(said[here], truth[here]), "0%") for name, said in peers.items()}
        lines += [[kinds, name, *score.cells(), asks] for name, (score, asks) in scores.items()]
    report(
        "duplicates",
        f"Near-duplicates: {len(known):,} labelled pairs of known kinds of change, "
        f"{len(pairs) - len(known):,} of fresh ones",
        ["kinds", "method", "precision", "recall", "F1", "right", "asked"],
        lines,
        data=MIXTURE,
        notes=[
            f"Reported half: source rows of odd index. Embedder: {EMBEDDER}. Compared from cosine "
            f"{CANDIDATE}, in doubt from {BORDERLINE}. With a model: mean of {DRAWS} draws.",
            "Known kinds: looked at while the rules were made, some of them as left-out kinds "
            "first. Fresh kinds: written and committed before any result on them was seen, and no "
            "rule was changed after.",
        ],
        peers=["semhash", "datasketch", "rouge-score"],
    )

    count_of = Counter(pair.kind for pair in pairs)
    lines = []
    for kind, count in count_of.items():
        here = np.asarray([pair.kind == kind for pair in pairs])
        sure = here & ~asked
        right = (same == truth)[sure].mean() if sure.any() else float("nan")
        label = "duplicate" if truth[here].all() else "other task"
        name = f"{kind} (fresh)" if fresh[here].any() else kind
        lines.append(
            [name, label, str(count), f"{right:.3f}", f"{asked[here].mean():.1%}"]
            + [f"{(said == truth)[here].mean():.3f}" for said in (ours, *peers.values())]
        )
    report(
        "duplicates_by_kind",
        "Near-duplicates by kind of change: share of verdicts that are right",
        COLUMNS,
        lines,
        data=MIXTURE,
        script="duplicates",
        peers=["semhash", "datasketch", "rouge-score"],
    )

    rows, code = embedded_rows(data, CODE)
    layers = Counter(v.layer for v in removed_from(rows, code) if v.duplicate)
    by_cosine = len(code) - len(cleared(code, 0.95))
    print(
        f"{CODE}: {len(rows):,} rows; removed without a doubt: "
        f"{sum(n for layer, n in layers.items() if layer != 'model'):,} {dict(layers)}; in doubt: "
        f"{layers['model']:,}; at cosine 0.95 alone {by_cosine:,} would go.",
        file=sys.stderr,
    )


if __name__ == "__main__":
    main()
