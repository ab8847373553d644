"""Codes of what became of rows and tasks, and why; what people read for each is in `views`.

The values are stored in ledgers: a code that is renamed needs a migration.
"""

from __future__ import annotations

from enum import Enum
from typing import Literal, NamedTuple

Status = Literal["new", "unique", "duplicate", "rejected", "quarantined", "accepted"]
TaskOutcome = Literal["row", "rejected", "quarantined"]
StopReason = Literal["target", "budget", "rounds", "saturated", "errors", "interrupted"]


class _Code(str, Enum):
    """A name that is stored as it is."""

    def __str__(self) -> str:
        return str(self.value)


class Reason(_Code):
    """Why a row is not in the pool."""

    # What the screen finds; the detail of a leak is the name of the benchmark.
    LEAK = "leak"
    EMPTY_RESPONSE = "empty_response"
    REFUSAL = "refusal"
    LEFTOVER_TOKENS = "leftover_tokens"
    GARBLED = "garbled"
    ECHO = "echo"
    REPETITION = "repetition"
    PLACEHOLDER = "placeholder"
    CUT_OFF = "cut_off"
    OTHER_LANGUAGE = "other_language"
    PERSONAL_DATA = "personal_data"
    LANGUAGE_NOT_WANTED = "language_not_wanted"
    # What is decided after it; the detail of a failed judgement is its cause.
    COPY_OF_PARENT = "copy_of_parent"
    LOW_VARIANCE = "low_variance"
    NOT_JUDGED = "not_judged"
    JUDGE_FAILED = "judge_failed"
    CONCATENATION = "concatenation"
    LOW_SCORE = "low_score"
    NO_BETTER = "no_better"
    REPLACED = "replaced"
    # The detail is what an older lift-agent called it.
    OTHER = "other"


class DraftFault(_Code):
    """What is wrong with a written task, its answer, or a probe."""

    TOO_SHORT = "too_short"
    CUT_SENTENCE = "cut_sentence"
    PROMPT_IN_TASK = "prompt_in_task"
    INPUT_IN_INSTRUCTION = "input_in_instruction"
    ANSWER_AS_TASK = "answer_as_task"
    COPY_OF_PARENT = "copy_of_parent"
    CONCATENATION = "concatenation"
    TASK_REPEATS_ITSELF = "task_repeats_itself"
    LANGUAGE_OF_TASK = "language_of_task"
    STATEMENT = "statement"
    ANSWER_CUT = "answer_cut"
    ANSWER_REFUSED = "answer_refused"
    ANSWER_REPEATS_TASK = "answer_repeats_task"
    ANSWER_REPEATS_ITSELF = "answer_repeats_itself"
    PROMPT_IN_ANSWER = "prompt_in_answer"
    LANGUAGE_OF_ANSWER = "language_of_answer"
    NO_CODE = "no_code"
    CODE_DOES_NOT_PARSE = "code_does_not_parse"
    # There is no draft at all; the detail is the model's error.
    NO_TASK = "no_task"
    NO_ANSWER = "no_answer"
    # Beside the target prompts, the rows and the other probes.
    REPEATS_TARGET = "repeats_target"
    COPY_OF_ROW = "copy_of_row"
    COPY_OF_PROBE = "copy_of_probe"
    IMPLAUSIBLE = "implausible"
    # The detail is what an older lift-agent called it.
    OTHER = "other"


class Layer(_Code):
    """What decided whether a row repeats another."""

    EXACT = "exact"
    NORMALISED = "normalised"
    LEXICAL = "lexical"
    SEMANTIC = "semantic"
    MODEL = "model"
    NONE = "none"


class Scorer(_Code):
    """Who scores the rows where no model does."""

    SIGNALS = "signals"
    PRECOMPUTED = "precomputed"


class Why(NamedTuple):
    """A code with its detail: a name, or the cause in somebody else's words. False if empty.

    The code is that of a `Reason`, a `DraftFault`, or the `Layer` of a duplicate.
    """

    code: str = ""
    detail: str = ""

    def __bool__(self) -> bool:
        return bool(self.code)


NO_REASON = Why()
