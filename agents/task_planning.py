"""Plans a round's tasks: which rows are answered anew, and by what method new ones are made."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence

from ..geometry.neighbours import Vectors
from ..records import GenerationTask, Row, Score, Subspace, Tally
from .deepening import means_of
from .draft_faults import answer_fault
from .method_rates import ANSWER, DEEPEN, Method, MethodRates
from .parent_sources import ParentSources
from .texts import words

ANSWER_SHARE = 0.25  # of a round's tasks that are new answers at most, if all of them are better


def rows_to_answer(
    seeds: Sequence[Row],
    scores: Mapping[str, Score],
    used: Collection[frozenset[str]],
    tallies: Mapping[tuple[str, str, str], Tally],
    *,
    size: int,
) -> list[Row]:
    """Choose the seeds whose instruction is good and whose response is to be written anew.

    At most a quarter of the `size` tasks of a round, times the rate at which such answers
    proved better so far; the poorest responses first.
    """
    most = int(size * ANSWER_SHARE * MethodRates(tallies).mean(ANSWER))
    poor = []
    for row in seeds:
        if row.id in scores and frozenset([row.id]) not in used:
            need = response_need(row, scores[row.id])
            if need > 0:
                poor.append((-need, row.position, row))
    return [row for _, _, row in sorted(poor, key=lambda found: found[:2])[:most]]


def plan_tasks(
    subspaces: Sequence[Subspace],
    candidates: Sequence[Row],
    vectors: Vectors,
    used: Collection[frozenset[str]],
    *,
    round: int,
    position: int,
    seed: int,
    small: bool = False,
    answers: Sequence[Row] = (),
    tallies: Mapping[tuple[str, str, str], Tally] | None = None,
) -> list[GenerationTask]:
    """Choose strategy and parents for each task of each subspace's quota.

    Where two or more candidates lie in the subspace, both parents do, or one of them; where
    one does, it is fused with one beside it, or two beside it with each other; where none
    does, two or three beside it. Single rows inside are deepened. Which of these gets a task
    follows what landed and was accepted before (`MethodRates`). No set of `used` comes again.

    Args:
        subspaces: with their quotas.
        candidates: rows that may be parents.
        vectors: their (n, d) unit vectors.
        used: the sets of parents of earlier tasks, by row id.
        round: number of the round.
        position: position of the first task; the rows they make keep it.
        seed: of the run, by which what is drawn is the same again.
        small: whether a small model writes, which cannot fuse three rows.
        answers: rows to be answered anew, before anything else.
        tallies: what came of earlier tasks, by subspace, strategy and rule.
    """
    planned: list[tuple[Method, tuple[str, ...], str]] = [
        (("answer", "poor response"), (row.id,), "") for row in answers
    ]
    rates = MethodRates(tallies or {})
    taken = {*used, *(frozenset([row.id]) for row in answers)}
    for subspace in subspaces if len(candidates) >= 2 else ():
        rng = random.Random(f"{seed} {subspace.id} {round}")
        sources = ParentSources(subspace, candidates, vectors, taken, small)
        for slot in range(subspace.quota):
            while sources.open:
                method = rates.draw(sources.open, subspace.id, rng)
                parents = sources.next(method)
                if parents:
                    break
            else:
                break
            if method == DEEPEN:
                method = ("deepen", means_of(sources.row(parents[0]), round + slot))
            elif len(parents) > 1:
                parents = tuple(rng.sample(parents, len(parents)))
            planned.append((method, parents, subspace.id))
    return [
        GenerationTask(
            f"r{round}-{i + 1:04d}", position + i, round, strategy, parents, subspace_id, rule
        )
        for i, ((strategy, rule), parents, subspace_id) in enumerate(planned)
    ]


def response_need(row: Row, score: Score) -> float:
    """How much a row needs a better response to a good instruction, above 0 if it does, up to 1.

    By the judge's rubric: clarity and difficulty come to at least half of their 40 points,
    explanations and accuracy to less than half of their 60. By cheap signals, which say nothing
    about an instruction: it is whole, and the response has a fault that has a name.
    """
    parts = score.parts
    if score.failed:
        return 0.0
    if {"clarity", "difficulty", "explanations", "accuracy"} <= set(parts):
        asked = (parts["clarity"] + parts["difficulty"]) / 40
        said = (parts["explanations"] + parts["accuracy"]) / 60
        return asked - said if asked >= 0.5 > said else 0.0
    whole = len(words(row.instruction)) >= 4
    return 1 - score.judge / 101 if whole and answer_fault(row.task, row.output, False) else 0.0
