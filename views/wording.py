"""The words that people read for the codes in a ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from ..records import DraftFault, Reason, Scorer, Subspace, Why

# The sets of rows whose coverage is measured, as they are called where the figures are shown.
SETS = {
    "seeds": "before: all seeds",
    "random": "random seeds, same size",
    "variance": "by row variance, same size",
    "dataset": "after: the dataset",
}

_WORDS: Mapping[str, str] = {
    Reason.LEAK: "leaks",
    Reason.EMPTY_RESPONSE: "empty response",
    Reason.REFUSAL: "refusal",
    Reason.LEFTOVER_TOKENS: "leftover tokens",
    Reason.GARBLED: "garbled",
    Reason.ECHO: "echo of the instruction",
    Reason.REPETITION: "repetition",
    Reason.PLACEHOLDER: "placeholder",
    Reason.CUT_OFF: "cut off",
    Reason.OTHER_LANGUAGE: "another language than the task",
    Reason.PERSONAL_DATA: "personal data",
    Reason.LANGUAGE_NOT_WANTED: "language not wanted",
    Reason.COPY_OF_PARENT: "a copy of a parent",
    Reason.LOW_VARIANCE: "row variance too low",
    Reason.NOT_JUDGED: "left out before the judge, by cheap signals",
    Reason.JUDGE_FAILED: "judge",
    Reason.CONCATENATION: "concatenation",
    Reason.LOW_SCORE: "score below min_score",
    Reason.NO_BETTER: "no better than the response it was to replace",
    Reason.REPLACED: "replaced by a better response",
    DraftFault.TOO_SHORT: "too short for a task",
    DraftFault.CUT_SENTENCE: "cut sentence",
    DraftFault.PROMPT_IN_TASK: "text of the prompt",
    DraftFault.INPUT_IN_INSTRUCTION: "the input is inside the instruction",
    DraftFault.ANSWER_AS_TASK: "an answer in place of a task",
    DraftFault.TASK_REPEATS_ITSELF: "repeats itself",
    DraftFault.LANGUAGE_OF_TASK: "another language than the parents",
    DraftFault.STATEMENT: "a statement in place of a task",
    DraftFault.ANSWER_CUT: "the answer was cut by its length",
    DraftFault.ANSWER_REFUSED: "the answer is a refusal",
    DraftFault.ANSWER_REPEATS_TASK: "the answer repeats the task",
    DraftFault.ANSWER_REPEATS_ITSELF: "the answer repeats itself",
    DraftFault.PROMPT_IN_ANSWER: "text of the prompt in the answer",
    DraftFault.LANGUAGE_OF_ANSWER: "the answer is in another language than the task",
    DraftFault.NO_CODE: "no code in the answer to a code task",
    DraftFault.CODE_DOES_NOT_PARSE: "the code does not parse",
    DraftFault.NO_TASK: "no task",
    DraftFault.NO_ANSWER: "no answer",
    DraftFault.REPEATS_TARGET: "repeats the reference",
    DraftFault.COPY_OF_ROW: "a copy of a row",
    DraftFault.COPY_OF_PROBE: "a copy of another probe",
    DraftFault.IMPLAUSIBLE: "not plausible, says the model",
}
_SCORERS: Mapping[str, str] = {
    Scorer.SIGNALS: "cheap signals",
    Scorer.PRECOMPUTED: "given scores",
}
_BETWEEN: Mapping[str, str] = {
    Reason.LEAK: " "
}  # a reason and its detail, where that is not a colon


def worded(why: Why) -> str:
    """A reason with its detail, as people read it; a code that is not known stays as it is."""
    if why.code == Reason.OTHER:
        return why.detail
    words = _WORDS.get(why.code, why.code)
    return f"{words}{_BETWEEN.get(why.code, ': ')}{why.detail}" if why.detail else words


def counts_worded(counts: Mapping[Why, int]) -> dict[str, int]:
    """Counts by reason, by the reasons' words."""
    told: Counter[str] = Counter()
    for why, count in counts.items():
        told[worded(why)] += count
    return dict(told)


def with_detail(what: str, detail: str) -> str:
    """Something, with more about it in brackets, if there is more."""
    return f"{what} ({detail})" if detail else what


def scorer_named(judge: str) -> str:
    """Who scores the rows: a model by its name, or what does in its place."""
    return _SCORERS.get(judge, judge)


def lacking(subspace: Subspace) -> str:
    """Why a subspace was chosen: what is wanted there, beside what there is."""
    there = f"{len(subspace.members)} rows there"
    if not subspace.wanted:
        return f"{there}, {1 - subspace.gap:.2f} the mean cosine to the nearest"
    return (
        f"{len(subspace.wanted)} prompts of the reference lie there, and {there}: "
        f"{subspace.wanted_density:.1%} of what is wanted, {subspace.density:.1%} of the data "
        f"(a gap of {subspace.gap:.1f} standard deviations)"
    )
