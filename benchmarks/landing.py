"""Where fusions land, by the rule that chose their parents.

Topics are k-means clusters of the code rows. Of each, a third of the rows is the reference that
gives its centre and radius. The other rows of the topic may be parents, or a few of them, or none
(the subspace is empty); rows of other topics always may. Two or three parents are fused by a
template, without a model: their instructions joined into one, their inputs, an equal share of
each output. A fusion *votes* for its topic if at least 5 of the 10 rows nearest to it, of the
whole corpus but its parents, are of the topic. Fusions at cosine > 0.9 to a parent are refused,
as in a run, and count neither way.

Rules and their constants were chosen on the topics of even number; the table is of the others.

    .venv/bin/python benchmarks/landing.py
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from corpora import CODE, embedded, embedded_rows, parser, report
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from lift_agent.agents.acceptance import COPY_COSINE
from lift_agent.geometry.landing import landed_by_vote
from lift_agent.geometry.neighbours import Vectors, unit
from lift_agent.geometry.parents import parent_sets
from lift_agent.records import Row

TOPICS = 40
SMALLEST = 30  # rows of a topic
SETS = 8  # fusions a topic
FEW = 8  # rows of a thinned topic

Rule = Callable[[Vectors, Vectors, NDArray[np.bool_]], Sequence[Sequence[int]]]


def fused(parents: Sequence[Row]) -> str:
    """The text of a row that joins its parents' tasks into one and shares their answers."""
    asks = [row.instruction.rstrip(".?! ") for row in parents]
    tail = "; ".join(ask[:1].lower() + ask[1:] for ask in asks[1:])
    given = ", ".join(row.input for row in parents if row.input)
    said = "\n\n".join(row.output[: 700 // len(parents)] for row in parents)
    return f"<INST> {asks[0]}; and within the same solution {tail}. Input: {given} </INST> {said}"


def random_pairs(vectors: Vectors, centre: Vectors, inside: NDArray[np.bool_]) -> list[list[int]]:
    """Any two rows."""
    rng = np.random.default_rng(len(vectors))
    return [rng.choice(len(vectors), 2, replace=False).tolist() for _ in range(SETS)]


def nearest_pairs(vectors: Vectors, centre: Vectors, inside: NDArray[np.bool_]) -> list[list[int]]:
    """The first and the second nearest row, the third and the fourth, …"""
    order = np.argsort(-(vectors @ centre), kind="stable")
    return order[: 2 * SETS].reshape(-1, 2).tolist()


def midpoint_pairs(vectors: Vectors, centre: Vectors, inside: NDArray[np.bool_]) -> list[list[int]]:
    """Pairs at cosine < 0.45 whose midpoint is nearest to the centre; a row comes twice at most."""
    near = np.argsort(-(vectors @ centre), kind="stable")[:300]
    gram = vectors[near] @ vectors[near].T
    first, second = np.triu_indices(len(near), 1)
    apart = gram[first, second] < 0.45
    first, second = first[apart], second[apart]
    to_centre = vectors[near] @ centre
    proximity = (to_centre[first] + to_centre[second]) / np.sqrt(2 + 2 * gram[first, second])
    uses = np.zeros(len(near), dtype=int)
    chosen: list[list[int]] = []
    for i in np.argsort(-proximity, kind="stable"):
        pair = [first[i], second[i]]
        if (uses[pair] < 2).all() and len(chosen) < SETS:
            uses[pair] += 1
            chosen.append(near[pair].tolist())
    return chosen


def by_margin(size: int, of_inside: int) -> Rule:
    """The product's rule."""

    def rule(vectors: Vectors, centre: Vectors, inside: NDArray[np.bool_]) -> list[tuple[int, ...]]:
        found = parent_sets(vectors, centre, size, SETS, inside=inside, of_inside=of_inside)
        return [parents.members for parents in found]

    return rule


ALL, THINNED, EMPTY = "all its rows", f"{FEW} rows left", "empty"
RULES: list[tuple[str, str, Rule]] = [
    (EMPTY, "random pair", random_pairs),
    (EMPTY, "nearest pairs", nearest_pairs),
    (EMPTY, "midpoint nearest to the centre, cosine < 0.45", midpoint_pairs),
    (EMPTY, "two outside, by margin", by_margin(2, 0)),
    (EMPTY, "three outside, by margin", by_margin(3, 0)),
    (THINNED, "one inside, one outside, by margin", by_margin(2, 1)),
    (THINNED, "both inside, by margin", by_margin(2, 2)),
    (ALL, "both inside, by margin", by_margin(2, 2)),
]


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--choosing", action="store_true", help="the topics that rules are chosen on")
    options = made.parse_args()
    rows, vectors = embedded_rows(options.data, CODE)
    labels = KMeans(TOPICS, n_init=3, random_state=0).fit(vectors).labels_
    topics = [
        topic
        for topic in range(TOPICS)
        if (labels == topic).sum() >= SMALLEST and topic % 2 == int(not options.choosing)
    ]
    lines = []
    for state, name, rule in RULES:
        texts, parents, places = [], [], []
        for topic in topics:
            own = np.random.default_rng(topic).permutation(np.flatnonzero(labels == topic))
            reference, others = np.split(own, [len(own) // 3])
            centre = unit(vectors[reference].mean(axis=0))
            radius = np.quantile(1 - vectors[reference] @ centre, 0.8)
            left = others[: {ALL: None, THINNED: FEW, EMPTY: 0}[state]]
            candidates = np.r_[np.flatnonzero(labels != topic), left]
            for chosen in rule(vectors[candidates], centre, labels[candidates] == topic):
                ids = candidates[list(chosen)]
                order = np.random.default_rng(len(texts)).permutation(ids)
                texts.append(fused([rows[i] for i in order]))
                parents.append(ids)
                places.append((topic, centre, radius))
        votes, landed, copies = [], [], 0
        for child, ids, (topic, centre, radius) in zip(
            embedded(texts), parents, places, strict=True
        ):
            cosine = vectors @ child
            if cosine[ids].max() > COPY_COSINE:
                copies += 1
                continue
            others = np.delete(np.arange(len(vectors)), ids)
            votes.extend(landed_by_vote(child[None], vectors[others], labels[others] == topic))
            landed.append(1 - child @ centre <= radius)
        figures = [f"{np.mean(votes):.2f}", f"{np.mean(landed):.2f}", f"{copies / len(texts):.2f}"]
        lines.append([state, name, len(texts), *figures])
        print(*lines[-1])
    report(
        "landing",
        f"Landing of template fusions: {len(topics)} topics of {CODE}, {SETS} fusions each",
        ("subspace", "parents", "fusions", "vote", "in the radius", "refused as copies"),
        lines,
        notes=[
            "A fusion at cosine > 0.9 to a parent is refused, so none of those kept is a copy.",
            "Constants of geometry/parents.py were chosen with --choosing, on the other topics.",
        ],
        peers=("scikit-learn",),
    )


if __name__ == "__main__":
    main()
