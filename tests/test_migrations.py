"""Ledgers of earlier versions, brought up to date as they are opened."""

import json
import sqlite3
from contextlib import closing

import pytest

from lift_agent.records import NO_REASON, DraftFault, Layer, Reason, Scorer, Why
from lift_agent.stores.ledger import MIGRATIONS, Ledger
from lift_agent.views.story import story_of
from lift_agent.views.wording import scorer_named, worded

BEFORE_CODES = 11  # the last version whose reasons are sentences

# What ledgers of that version say, with what it means.
OF_ROWS = {
    "leaks gsm8k": Why(Reason.LEAK, "gsm8k"),
    "leaks exam of 2024.jsonl": Why(Reason.LEAK, "exam of 2024.jsonl"),
    "empty response": Why(Reason.EMPTY_RESPONSE),
    "refusal": Why(Reason.REFUSAL),
    "leftover tokens": Why(Reason.LEFTOVER_TOKENS),
    "garbled": Why(Reason.GARBLED),
    "echo of the instruction": Why(Reason.ECHO),
    "repetition": Why(Reason.REPETITION),
    "placeholder": Why(Reason.PLACEHOLDER),
    "cut off": Why(Reason.CUT_OFF),
    "another language than the task": Why(Reason.OTHER_LANGUAGE),
    "personal data": Why(Reason.PERSONAL_DATA),
    "language not wanted": Why(Reason.LANGUAGE_NOT_WANTED),
    "a copy of a parent": Why(Reason.COPY_OF_PARENT),
    "row variance too low": Why(Reason.LOW_VARIANCE),
    "left out before the judge, by cheap signals": Why(Reason.NOT_JUDGED),
    "concatenation": Why(Reason.CONCATENATION),
    "score below min_score": Why(Reason.LOW_SCORE),
    "no better than the response it was to replace": Why(Reason.NO_BETTER),
    "replaced by a better response": Why(Reason.REPLACED),
    "the moon was full": Why(Reason.OTHER, "the moon was full"),
    "Refusal": Why(Reason.OTHER, "Refusal"),
}
OF_FAILED_JUDGEMENTS = {
    "judge: timeout": Why(Reason.JUDGE_FAILED, "timeout"),
    "judge: HTTP 500: judge: it's down": Why(Reason.JUDGE_FAILED, "HTTP 500: judge: it's down"),
}
OF_DRAFTS = {
    "too short for a task": Why(DraftFault.TOO_SHORT),
    "cut sentence": Why(DraftFault.CUT_SENTENCE),
    "text of the prompt": Why(DraftFault.PROMPT_IN_TASK),
    "the input is inside the instruction": Why(DraftFault.INPUT_IN_INSTRUCTION),
    "an answer in place of a task": Why(DraftFault.ANSWER_AS_TASK),
    "a copy of a parent": Why(DraftFault.COPY_OF_PARENT),
    "concatenation": Why(DraftFault.CONCATENATION),
    "repeats itself": Why(DraftFault.TASK_REPEATS_ITSELF),
    "another language than the parents": Why(DraftFault.LANGUAGE_OF_TASK),
    "a statement in place of a task": Why(DraftFault.STATEMENT),
    "the answer was cut by its length": Why(DraftFault.ANSWER_CUT),
    "the answer is a refusal": Why(DraftFault.ANSWER_REFUSED),
    "the answer repeats the task": Why(DraftFault.ANSWER_REPEATS_TASK),
    "the answer repeats itself": Why(DraftFault.ANSWER_REPEATS_ITSELF),
    "text of the prompt in the answer": Why(DraftFault.PROMPT_IN_ANSWER),
    "the answer is in another language than the task": Why(DraftFault.LANGUAGE_OF_ANSWER),
    "no code in the answer to a code task": Why(DraftFault.NO_CODE),
    "the code does not parse": Why(DraftFault.CODE_DOES_NOT_PARSE),
    "repeats the reference": Why(DraftFault.REPEATS_TARGET),
    "too long for a task": Why(DraftFault.OTHER, "too long for a task"),
}
OF_FAILED_DRAFTS = {
    "no task": Why(DraftFault.NO_TASK),
    "no task: HTTP 500": Why(DraftFault.NO_TASK, "HTTP 500"),
    "no answer": Why(DraftFault.NO_ANSWER),
    "no answer: the answer is empty": Why(DraftFault.NO_ANSWER, "the answer is empty"),
}
OF_PROBES = OF_DRAFTS | {
    "a copy of a row": Why(DraftFault.COPY_OF_ROW),
    "a copy of another probe": Why(DraftFault.COPY_OF_PROBE),
    "not plausible, says the model": Why(DraftFault.IMPLAUSIBLE),
}
EVERYTHING = OF_ROWS | OF_FAILED_JUDGEMENTS | OF_PROBES | OF_FAILED_DRAFTS
LAYERS = ("exact", "normalised", "lexical", "semantic", "model")


def insert(db, table, **values):
    """Add a record; where nothing is given, its columns are empty or 0."""
    columns = db.execute(f"PRAGMA table_info({table})").fetchall()
    for _, name, kind, required, default, _ in columns:
        if required and default is None and name not in values:
            values[name] = "" if kind == "TEXT" else 0
    names = ", ".join(f'"{name}"' for name in values)
    places = ", ".join("?" * len(values))
    db.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", [*values.values()])


def a_row(db, position, status, reason):
    """Add a row whose id is its reason's sentence."""
    texts = {"history": "[]", "extra": "{}", "parents": "[]"}
    insert(
        db,
        "rows",
        id=f"{position} {reason}",
        position=position,
        status=status,
        reason=reason,
        origin="seed",
        **texts,
    )


@pytest.fixture
def old(tmp_path):
    """A ledger of version 11, open in SQLite, with its path."""
    path = tmp_path / "ledger.sqlite"
    with closing(sqlite3.connect(path)) as db:
        for step in MIGRATIONS[:BEFORE_CODES]:
            step(db)
        db.execute(f"PRAGMA user_version = {BEFORE_CODES}")
        db.commit()
        yield db, path


def test_the_sentences_of_rows_become_codes(old):
    db, path = old
    ends = [("rejected", sentence) for sentence in OF_ROWS]
    ends += [("quarantined", sentence) for sentence in OF_FAILED_JUDGEMENTS]
    ends += [("duplicate", layer) for layer in LAYERS]
    ends += [("accepted", ""), ("unique", ""), ("new", "")]
    for position, (status, reason) in enumerate(ends):
        a_row(db, position, status, reason)
    db.commit()
    meant = OF_ROWS | OF_FAILED_JUDGEMENTS | {layer: Why(Layer(layer)) for layer in LAYERS}
    with closing(Ledger(path)) as ledger:
        assert len(ledger.rows.find()) == len(ends)
        for position, (status, sentence) in enumerate(ends):
            found = ledger.rows.status(f"{position} {sentence}")
            assert found == (status, meant.get(sentence, NO_REASON))
            assert worded(found[1]) == sentence


def test_the_sentences_of_tasks_become_codes(old):
    db, path = old
    ends = [("rejected", sentence) for sentence in OF_DRAFTS]
    ends += [("quarantined", sentence) for sentence in OF_FAILED_DRAFTS]
    ends += [("row", ""), ("", "")]
    for position, (outcome, reason) in enumerate(ends):
        insert(db, "tasks", id=f"t{position}", position=position, outcome=outcome, reason=reason)
    db.commit()
    meant = OF_DRAFTS | OF_FAILED_DRAFTS | {"": NO_REASON}
    with closing(Ledger(path)) as ledger:
        outcomes = ledger.rounds.task_outcomes()
        assert outcomes == {(outcome, meant[told]): 1 for outcome, told in ends if outcome}
        assert {worded(why) for _, why in outcomes} == meant.keys()


def test_the_sentences_of_checks_become_codes_and_their_evidence_stays(old):
    db, path = old
    for sentence in [*OF_ROWS, ""]:
        records = {"parts": "{}", "personal": "{}"}
        insert(db, "checks", row=sentence, reason=sentence, evidence="line 1", **records)
    db.commit()
    with closing(Ledger(path)) as ledger:
        checks = ledger.judgements.screening()
    assert {row: check.why for row, check in checks.items()} == OF_ROWS | {"": NO_REASON}
    assert all(worded(check.why) == sentence for sentence, check in checks.items())
    assert {check.evidence for check in checks.values()} == {"line 1"}


def test_what_the_screen_found_is_told_as_before(old):
    db, path = old
    for position, sentence in enumerate(OF_ROWS):
        a_row(db, position, "rejected", sentence)
        row = f"{position} {sentence}"
        records = {"parts": "{}", "personal": "{}"}
        insert(db, "checks", row=row, reason=sentence, evidence="line 1: 'it'", **records)
    db.commit()
    with closing(Ledger(path)) as ledger:
        for row, sentence in zip(ledger.rows.find(), OF_ROWS, strict=True):
            told = story_of(ledger, row)
            (screen,) = (step for step in told.steps if step.kind == "screen")
            why = "leaks" if sentence.startswith("leaks ") else f"{sentence}:"
            assert screen.said.startswith(f"screen: rejected, {why} line 1: 'it'; language")
            assert screen.facts["reason"] == told.reason == sentence


def test_the_sentences_of_probes_become_codes(old):
    db, path = old
    for position, sentence in enumerate([*OF_PROBES, ""]):
        insert(db, "reference", id=sentence, position=position, kind="probe", fault=sentence)
    insert(db, "reference", id="toward", position=99, kind="toward")
    db.commit()
    with closing(Ledger(path)) as ledger:
        probes = ledger.sources.target_prompts("probe")
        (toward,) = ledger.sources.target_prompts("toward")
    assert [probe.id for probe in probes] == [*OF_PROBES, ""]
    found = {probe.id: Why(probe.fault, probe.detail) for probe in probes}
    assert found == OF_PROBES | {"": NO_REASON}
    assert all(worded(why) == sentence for sentence, why in found.items())
    assert not toward.fault and not toward.detail


@pytest.mark.parametrize(
    ("told", "judge"),
    [
        ("cheap signals", Scorer.SIGNALS),
        ("given scores", Scorer.PRECOMPUTED),
        ("openai:gpt-4o and ollama:qwen3", "openai:gpt-4o and ollama:qwen3"),
    ],
)
def test_who_scores_without_a_model_becomes_a_code(old, told, judge):
    db, path = old
    for name, value in {"judge": told, "stop": "target"}.items():
        insert(db, "meta", name=name, value=json.dumps(value))
    db.commit()
    with closing(Ledger(path)) as ledger:
        facts = ledger.facts.read()
    assert (facts.judge, facts.stop) == (judge, "target")
    assert scorer_named(facts.judge) == told


def test_every_code_that_a_run_can_give_has_words_of_its_own():
    codes = {*Reason, *DraftFault} - {Reason.OTHER}
    assert {why.code for why in EVERYTHING.values()} - {Reason.OTHER} == codes
    assert all(worded(why) == sentence for sentence, why in EVERYTHING.items())


def statements_of_the_step(rows):
    """How many statements give codes to a ledger of so many rejected rows, and what it holds."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        for step in MIGRATIONS[:BEFORE_CODES]:
            step(db)
        sentences = [*OF_ROWS]
        db.execute("BEGIN")
        for position in range(rows):
            a_row(db, position, "rejected", sentences[position % len(sentences)])
        db.execute("COMMIT")
        told = []
        db.set_trace_callback(told.append)
        MIGRATIONS[BEFORE_CODES](db)
        db.set_trace_callback(None)
        return len(told), db.execute("SELECT id, reason, detail FROM rows").fetchall()


@pytest.mark.slow
def test_the_step_takes_as_many_statements_for_many_rows_as_for_few():
    few, _ = statements_of_the_step(1)
    many, found = statements_of_the_step(20_000)
    assert many == few
    assert len(found) == 20_000
    for id, *why in found:
        assert Why(*why) == OF_ROWS[id.split(" ", 1)[1]]
