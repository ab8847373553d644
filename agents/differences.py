"""What differs between two tasks that look alike, and whether it makes them different tasks.

Cosine cannot tell a flipped word from a reworded sentence, so the words decide: those that are
in one task only are matched by synonym, spelling and stem, and what is left over is named. Word
lists are English; for other languages every word that differs counts, and numbers, inputs,
order, and how far the two outputs agree decide.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from .task_text import TaskText
from .texts import lcs_f1
from .word_lists import CREATION, DEGREES, LANGUAGES, LIGHT, QUANTITIES
from .word_matching import matched, misspelt, moved, opposite, stem

Kind = Literal["duplicate", "distinct", "borderline"]

# ROUGE-L of two outputs: from here on they bear out that the tasks are the same, or below,
# that words which differ make two tasks.
ANSWERS_AGREE = 0.9
ANSWERS_DIFFER = 0.5
_TELLING = 8  # words from which two equal outputs are no coincidence


@dataclass(frozen=True, slots=True)
class Finding:
    """What a comparison came to.

    `same` is the side to choose for a borderline pair when no model can be asked.
    """

    kind: Kind
    evidence: str
    same: bool


def compare(first: TaskText, second: TaskText, cosine: float, borderline: float) -> Finding:
    """Say whether two rows set the same task, and what differs.

    Args:
        first: the earlier row.
        second: the row that may repeat it.
        cosine: of the two rows' embeddings.
        borderline: the cosine below which words that differ make two tasks.
    """
    return (
        _settled(first, second)
        or _by_facts(first, second)
        or _by_words(first, second, cosine >= borderline)
    )


def _one_answer(first: TaskText, second: TaskText) -> bool:
    """Whether the outputs are the same, and so long that this is no coincidence."""
    return first.row.output == second.row.output and len(first.answer) >= _TELLING


def _settled(first: TaskText, second: TaskText) -> Finding | None:
    """What can be said without looking at the words: context, numbers, input."""
    if first.context != second.context:
        return _distinct("another system prompt or conversation before it")
    if first.tokens == second.tokens:
        return Finding("duplicate", "the same task", True)
    if first.input != second.input and _other_input(first, second):
        return _distinct(
            f"another input: {_quote(first.row.input)} versus {_quote(second.row.input)}"
        )
    if first.numbers != second.numbers:
        return _separate(
            first, second, first.numbers - second.numbers, second.numbers - first.numbers
        )
    return None


def _by_facts(first: TaskText, second: TaskText) -> Finding | None:
    """What single words settle: programming languages, negations, opposites, names."""
    one, two = _surplus(first, second), _surplus(second, first)
    lost = {word for word in one if stem(word) not in second.stems}
    new = {word for word in two if stem(word) not in first.stems}
    if (lost | new) & LANGUAGES:
        return _separate(first, second, lost & LANGUAGES, new & LANGUAGES)
    if first.negations != second.negations:
        kind: Kind = "borderline" if first.row.output == second.row.output else "distinct"
        return Finding(kind, "a negation in only one of them", False)
    fewer, more = first.words - second.words, second.words - first.words
    if turned := next(((a, b) for a in fewer for b in more if opposite(a, b)), None):
        return _distinct("{} versus {}".format(*turned))
    if lost & first.names or new & second.names:
        return _separate(first, second, lost & first.names, new & second.names)
    if one & first.names and two & second.names:
        return _distinct(_against(one & first.names, two & second.names))
    return None


def _by_words(first: TaskText, second: TaskText, close: bool) -> Finding:
    """What the words that one task says more often than the other come to."""
    agree = lcs_f1(first.answer, second.answer)
    reworded, one, two = matched(_surplus(first, second), _surplus(second, first))
    if agree >= ANSWERS_AGREE:
        one, two = _unless_misspelt(one, second), _unless_misspelt(two, first)
    one, two = one - CREATION, two - CREATION
    if one or two:
        return _by_leftovers(first, second, one, two, agree if close else 0.0)
    if traded := moved(first.tokens, second.tokens):
        return _distinct(f"{traded} swapped")
    return _worded_alike(first, second, reworded, agree)


def _worded_alike(
    first: TaskText, second: TaskText, reworded: Sequence[tuple[str, str]], agree: float
) -> Finding:
    """A duplicate, unless the answers go with the words that stand for one another."""
    said = f"only {_against(*zip(*reworded, strict=True))}" if reworded else "the same words"
    taken_up = any(
        _answered([a], first, second) and _answered([b], second, first) for a, b in reworded
    )
    if taken_up or (reworded and agree < ANSWERS_DIFFER):
        return Finding("borderline", f"worded alike, with another answer: {said}", True)
    return Finding("duplicate", f"worded alike: {said}", True)


def _separate(
    first: TaskText, second: TaskText, one: Collection[str], two: Collection[str]
) -> Finding:
    """What makes two tasks by itself; a doubt if it is only added, and the answer stayed."""
    if (one and two) or not _one_answer(first, second):
        return _distinct(_against(one, two))
    return Finding("borderline", f"{_against(one, two)}, but the same answer", False)


def _surplus(own: TaskText, other: TaskText) -> set[str]:
    """The words that one task says more often than the other, whatever their endings."""
    return {word for word in own.words if own.stems[stem(word)] > other.stems[stem(word)]}


def _by_leftovers(
    first: TaskText, second: TaskText, one: set[str], two: set[str], agree: float
) -> Finding:
    """Judge words that stand in one task only, and for none of the other's."""
    evidence = _against(one, two)
    if _answered(one, first, second) and _answered(two, second, first):
        return _distinct(f"{evidence}, in the answers too")
    if not one or not two:
        # Something is added. An answer that did not change shows that it requires nothing.
        if _one_answer(first, second) and not (one | two) & QUANTITIES:
            return Finding("duplicate", f"the same answer; {evidence}", True)
        unchanged = first.row.output == second.row.output
        if not unchanged and (len(one | two) > 1 or (one | two) & QUANTITIES - DEGREES):
            return _distinct(evidence)
    if agree < ANSWERS_DIFFER or (one & QUANTITIES and two & QUANTITIES):
        return _distinct(evidence)
    return Finding("borderline", evidence, agree >= ANSWERS_AGREE)


def _unless_misspelt(words: set[str], other: TaskText) -> set[str]:
    """The words that are not a misspelling of one in the other task."""
    return {w for w in words if not any(w != v and misspelt(w, v) for v in (*other.words, *LIGHT))}


def _answered(words: Iterable[str], own: TaskText, other: TaskText) -> bool:
    """Whether one of a task's own words is in its answer, and not in the other's."""
    mine, others = own.row.output.casefold(), other.row.output.casefold()
    return any(word in mine and word not in others for word in words)


def _other_input(first: TaskText, second: TaskText) -> bool:
    """Whether the inputs differ, rather than one of them standing in the instruction."""
    if first.input and second.input:
        return first.input_tokens != second.input_tokens
    inputs = set(first.input_tokens), set(second.input_tokens)
    return not (inputs[0] <= set(second.tokens) and inputs[1] <= set(first.tokens))


def _distinct(evidence: str) -> Finding:
    return Finding("distinct", evidence, False)


def _against(one: Iterable[str], two: Iterable[str]) -> str:
    sides = [", ".join(sorted(side)[:3]) for side in (one, two)]
    if all(sides):
        return f"{sides[0]} versus {sides[1]}"
    return f"{sides[0] or sides[1]} in only one of them"


def _quote(text: str) -> str:
    short = " ".join(text.split())
    return f"'{short[:37]}…'" if len(short) > 40 else f"'{short}'" if short else "none"
