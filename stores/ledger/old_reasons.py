"""What ledgers up to version 11 say in sentences, as codes; a record of then, never edited."""

from __future__ import annotations

import sqlite3

# Each sentence with its code. Rows, drafts and probes never used one sentence for two things.
CODES = {
    "empty response": "empty_response",
    "refusal": "refusal",
    "leftover tokens": "leftover_tokens",
    "garbled": "garbled",
    "echo of the instruction": "echo",
    "repetition": "repetition",
    "placeholder": "placeholder",
    "cut off": "cut_off",
    "another language than the task": "other_language",
    "personal data": "personal_data",
    "language not wanted": "language_not_wanted",
    "a copy of a parent": "copy_of_parent",
    "row variance too low": "low_variance",
    "left out before the judge, by cheap signals": "not_judged",
    "concatenation": "concatenation",
    "score below min_score": "low_score",
    "no better than the response it was to replace": "no_better",
    "replaced by a better response": "replaced",
    "too short for a task": "too_short",
    "cut sentence": "cut_sentence",
    "text of the prompt": "prompt_in_task",
    "the input is inside the instruction": "input_in_instruction",
    "an answer in place of a task": "answer_as_task",
    "repeats itself": "task_repeats_itself",
    "another language than the parents": "language_of_task",
    "a statement in place of a task": "statement",
    "the answer was cut by its length": "answer_cut",
    "the answer is a refusal": "answer_refused",
    "the answer repeats the task": "answer_repeats_task",
    "the answer repeats itself": "answer_repeats_itself",
    "text of the prompt in the answer": "prompt_in_answer",
    "the answer is in another language than the task": "language_of_answer",
    "no code in the answer to a code task": "no_code",
    "the code does not parse": "code_does_not_parse",
    "no task": "no_task",
    "no answer": "no_answer",
    "repeats the reference": "repeats_target",
    "a copy of a row": "copy_of_row",
    "a copy of another probe": "copy_of_probe",
    "not plausible, says the model": "implausible",
}
# How a sentence begins whose rest is a detail, with its code.
PREFIXES = {
    "leaks ": "leak",
    "judge: ": "judge_failed",
    "no task: ": "no_task",
    "no answer: ": "no_answer",
}
JUDGES = {"cheap signals": "signals", "given scores": "precomputed"}


def give_codes(db: sqlite3.Connection) -> None:
    """Add a detail beside each reason, and put codes in the place of sentences.

    A sentence that is not known becomes the code `other` with itself as the detail.
    """
    db.execute("CREATE TEMP TABLE codes (sentence TEXT PRIMARY KEY, code TEXT NOT NULL)")
    db.executemany("INSERT INTO temp.codes VALUES (?, ?)", CODES.items())
    _translate(db, "rows", "reason", "status IN ('rejected', 'quarantined')")
    _translate(db, "tasks", "reason", "outcome != 'row'")
    _translate(db, "checks", "reason", "1")
    _translate(db, "reference", "fault", "1")
    db.execute("DROP TABLE temp.codes")
    for name, code in JUDGES.items():
        db.execute(
            "UPDATE meta SET value = json_quote(?) WHERE name = 'judge' AND value = json_quote(?)",
            (code, name),
        )


def _translate(db: sqlite3.Connection, table: str, column: str, where: str) -> None:
    begins = {p: f"substr({column}, 1, {len(p)}) = '{p}'" for p in PREFIXES}
    codes = " ".join(f"WHEN {begins[p]} THEN '{code}'" for p, code in PREFIXES.items())
    details = " ".join(f"WHEN {begins[p]} THEN substr({column}, {len(p) + 1})" for p in PREFIXES)
    known = f"(SELECT code FROM temp.codes WHERE sentence = {column})"
    db.execute(f"ALTER TABLE {table} ADD COLUMN detail TEXT NOT NULL DEFAULT ''")
    db.execute(
        f"UPDATE {table} SET {column} = CASE {codes} ELSE COALESCE({known}, 'other') END,"
        f" detail = CASE {details} WHEN {known} IS NULL THEN {column} ELSE '' END"
        f" WHERE {column} != '' AND {where}"
    )
