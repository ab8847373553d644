"""Why a row, a draft or a probe is refused, and how a repeat was found, as it is stored.

The code compares these names, never the words. Where a reason has a detail, such as the name of a
benchmark or a model's error, the detail has a field of its own; `worded` joins the two for a record
that keeps them in one. Why a row is not accepted is in `records.codes`.
"""

from __future__ import annotations

from typing import Literal

from ..records.codes import Reason

# What is wrong with a row's response: no judge is needed to see it.
EMPTY_RESPONSE = "empty response"
REFUSAL = "refusal"
LEFTOVER_TOKENS = "leftover tokens"
GARBLED = "garbled"
ECHO = "echo of the instruction"
REPETITION = "repetition"
PLACEHOLDER = "placeholder"
CUT_OFF = "cut off"

# What is wrong with a written task.
TOO_SHORT = "too short for a task"
CUT_SENTENCE = "cut sentence"
PROMPT_IN_TASK = "text of the prompt"
INPUT_IN_INSTRUCTION = "the input is inside the instruction"
ANSWER_AS_TASK = "an answer in place of a task"
COPY_OF_PARENT = Reason.COPY_OF_PARENT
CONCATENATION = Reason.CONCATENATION
TASK_REPEATS_ITSELF = "repeats itself"
LANGUAGE_OF_TASK = "another language than the parents"
STATEMENT = "a statement in place of a task"

# What is wrong with the answer to a written task.
ANSWER_CUT = "the answer was cut by its length"
ANSWER_REFUSED = "the answer is a refusal"
ANSWER_REPEATS_TASK = "the answer repeats the task"
ANSWER_REPEATS_ITSELF = "the answer repeats itself"
PROMPT_IN_ANSWER = "text of the prompt in the answer"
LANGUAGE_OF_ANSWER = "the answer is in another language than the task"
NO_CODE = "no code in the answer to a code task"
CODE_DOES_NOT_PARSE = "the code does not parse"

# Why there is no draft at all; the detail is the model's error.
NO_TASK = "no task"
NO_ANSWER = "no answer"

# What is wrong with a row or a probe beside the reference or other probes.
REPEATS_REFERENCE = "repeats the reference"
COPY_OF_ROW = "a copy of a row"
COPY_OF_PROBE = "a copy of another probe"
IMPLAUSIBLE = "not plausible, says the model"

# Why the screen rejects a row; the detail of a leak is the name of the benchmark.
LEAK = "leaks"
LANGUAGE_OF_RESPONSE = "another language than the task"
PERSONAL_DATA = "personal data"
LANGUAGE_NOT_WANTED = "language not wanted"

# The reason of a score that the user gave.
PRECOMPUTED = "given"

# What decided whether a row repeats another.
Layer = Literal["exact", "normalised", "lexical", "semantic", "model", "none"]
EXACT: Layer = "exact"
NORMALISED: Layer = "normalised"
LEXICAL: Layer = "lexical"
SEMANTIC: Layer = "semantic"
MODEL: Layer = "model"
NONE: Layer = "none"


def worded(reason: str, detail: str, between: str = ": ") -> str:
    """The reason with its detail after it, for a record that has one field for both."""
    return f"{reason}{between}{detail}" if detail else reason
