"""What is wrong with a written task or answer, by name: pure checks before any judge is paid."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from ..records.codes import DraftFault
from . import signals
from .code import code_fault, looks_like_code, prose
from .language import other_language
from .texts import distinct_trigrams, normalised, rouge_l, script, word_ngrams, words

COPY_ROUGE_L = 0.8  # ROUGE-L with a parent from which a task counts as its copy

_PROMPT_TEXT = re.compile(
    r"\b(first|second|third|new|given|other|two|three) tasks?\b|\btask [123abc]\b|"
    r"\b(instruction|prompt) [123abc]\b|\b(rewritten|fused|new) (prompt|instruction|task)\b|"
    r"#\w+ prompt#|\bskills of (both|all)\b|\bharder than (either|each)\b|"
    r"\b(both|all|these) tasks\b|\btraining set\b|^topic:|"
    r"\{\{|\}\}",
    re.IGNORECASE | re.MULTILINE,
)
_LEAKED = re.compile(
    r"\b(task|instruction|prompt) [123abc]\b|\b(rewritten|fused) (prompt|instruction|task)\b|"
    r"#\w+ prompt#|\bskills of (both|all)\b|\bharder than (either|each)\b|\bdo not solve it\b",
    re.IGNORECASE,
)
_LABEL = re.compile(r"(?<!\w)inputs?\s*[:：]", re.IGNORECASE)
_ANSWER = re.compile(
    r"^\s*(```|def |class |import |from \w+ import|#include|public |function \w+\s*\(|SELECT |"
    r"<\w+|\{|\[|sure[,!]|certainly[,!]|here('s| is| are)\b|the answer\b|to solve this\b|"
    r"(yes|no),|let's\b|you('ll|’ll|'re| will| are| can| could| may| need| should| want)\b|"
    r"i (would|will|am|have|can)\b|this (function|code|program|script|query)\b)",
    re.IGNORECASE,
)
_JOINED = re.compile(
    r"\n\s*(2[.)]|b\)|[-*]\s.+\n\s*[-*])|\.\s+(then|also|additionally|next|finally),? "
    r"(write|create|generate|design|find|explain|describe|convert|develop|construct)\b|"
    r"\band (also )?(write|create|generate|construct|develop|design) (a|an|another|the) ",
    re.IGNORECASE,
)
_REQUEST = re.compile(r"\b(i need|i want|i'd like|help me|should i|your task|you are)\b", re.I)
_VERBS = """
add adapt advise analyse analyze answer apply argue arrange assess assume build calculate
categorise categorize change check choose cite classify clean combine come compare compile
complete compose compute construct consider convert correct count create debug deduce define
derive describe design detect determine develop devise discuss divide do draft draw edit eliminate
estimate evaluate examine expand explain express extend extract fill filter find fix format
formulate generate give group guess identify illustrate imagine implement improve infer insert
integrate interpret invent join judge justify list locate make match measure merge model modify
multiply name optimise optimize order organise organize outline paraphrase pick plan plot predict
prepare present print produce program proofread propose prove provide put query rank rate read
recommend reduce refactor remove render reorder replace report rewrite review round say schedule
select separate set shorten show simplify simulate sketch solve sort specify split state suggest
sum summarise summarize take tell test think tidy trace transform translate turn update use using
validate verify work write
"""
_IMPERATIVES = frozenset(_VERBS.split())
_NUMBERED = re.compile(r"^\s*\d+[.)]\s", re.MULTILINE)
_COMPLETE = tuple(".!?:)]}\"'`”’»。！？：）」』؟।॥።")
_NO_FULL_STOP = ("THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN")


def task_fault(
    instruction: str, input: str, parents: Sequence[str], *, prompt: str, truncated: bool
) -> DraftFault | Literal[""]:
    """Name what is wrong with a fused task, "" if nothing is.

    Args:
        instruction: the new instruction.
        input: the material that it works on, or "".
        parents: the parents' tasks.
        prompt: the prompt's own text, of which no run of words may come back.
        truncated: whether the model was cut off by its token limit.
    """
    if len(words(instruction)) < 4:
        return DraftFault.TOO_SHORT
    end = instruction.rstrip()
    whole = end.endswith(_COMPLETE) or script(end) in _NO_FULL_STOP
    if truncated or not whole or (end.endswith((":", "：")) and not input):
        return DraftFault.CUT_SENTENCE
    if _PROMPT_TEXT.search(instruction) or word_ngrams(f"{instruction} {input}") & word_ngrams(
        prompt
    ):
        return DraftFault.PROMPT_IN_TASK
    if _LABEL.search(instruction):
        return DraftFault.INPUT_IN_INSTRUCTION
    if _ANSWER.search(instruction) or looks_like_code(instruction):
        return DraftFault.ANSWER_AS_TASK
    if any(_copies(instruction, parent) for parent in parents):
        return DraftFault.COPY_OF_PARENT
    if _JOINED.search(instruction) or len(_NUMBERED.findall(instruction)) >= 2:
        return DraftFault.CONCATENATION
    if distinct_trigrams(instruction) < 0.8:
        return DraftFault.TASK_REPEATS_ITSELF
    scripts = {script(parent) for parent in parents}
    if script(instruction) not in scripts or other_language(instruction, " ".join(parents)):
        return DraftFault.LANGUAGE_OF_TASK
    # Only where the parents ask in a way that is known here, which leaves other languages alone.
    if all(_asks(parent) for parent in parents) and not _asks(instruction):
        return DraftFault.STATEMENT
    return ""


def answer_fault(task: str, answer: str, truncated: bool) -> DraftFault | Literal[""]:
    """Name what is wrong with the answer to a generated task, "" if nothing is."""
    if truncated:
        return DraftFault.ANSWER_CUT
    if signals.is_refusal(answer):
        return DraftFault.ANSWER_REFUSED
    if normalised(answer) == normalised(task) or rouge_l(task, answer) >= COPY_ROUGE_L:
        return DraftFault.ANSWER_REPEATS_TASK
    if distinct_trigrams(answer) < 0.5:
        return DraftFault.ANSWER_REPEATS_ITSELF
    leaked = _LEAKED.search(answer)
    if leaked and leaked.group().casefold() not in task.casefold():
        return DraftFault.PROMPT_IN_ANSWER
    if other_language(prose(answer), task):
        return DraftFault.LANGUAGE_OF_ANSWER
    return code_fault(task, answer)


def _asks(text: str) -> bool:
    """Whether an English text asks for something: a question, or a clause with an imperative."""
    if "?" in text or _REQUEST.search(text):
        return True
    clauses = re.split(r"[.!:;,\n–—]|\b(?:and|then|please)\b", text)
    return any((words(clause) or [""])[0] in _IMPERATIVES for clause in clauses)


def _copies(instruction: str, parent: str) -> bool:
    if normalised(instruction) in normalised(parent):
        return True
    return rouge_l(instruction, parent) >= COPY_ROUGE_L
