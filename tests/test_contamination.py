"""Leaked benchmarks: what counts as a leak, and the audit as a user runs it."""

import gzip
import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import go

from lift_agent.agents.contamination import Benchmarks, longest_run
from lift_agent.errors import UsageError
from lift_agent.formats.reading.prompts import read_benchmarks
from lift_agent.records import BenchmarkItem, Reason, Row, Why, row_id
from lift_agent.stores.folder import opened_ledger

PROMPT = (
    "Mira's goats give 14 litres of milk a day; she drinks two of them each morning and sells "
    "the rest at the market for 3 coins a litre. How many coins does she earn in a week?"
)
ANSWER = (
    "Mira sells 14 - 2 = 12 litres of milk every day at the market. She earns 12 * 3 = 36 coins "
    "a day, which is 36 * 7 = 252 coins in a week."
)
SHORT = "Name the largest moon of Saturn."


def an_item(prompt, answer="", line=1):
    return BenchmarkItem("exam.jsonl", line, prompt, answer)


def a_row(instruction, output="It depends on many things.", **more):
    input = more.pop("input", "")
    return Row(row_id(instruction, input, output), 0, instruction, input, output, **more)


EXAM = Benchmarks([an_item(PROMPT, ANSWER), an_item(SHORT, "Titan", 2), an_item("Why?", "", 3)])


@pytest.mark.parametrize(
    "row",
    [
        a_row(PROMPT),
        a_row("Solve.", input=PROMPT.upper()),
        a_row("Solve.", "Sure! " + ANSWER.replace(" ", "\n\n")),
        a_row("And now?", history=(("Listen: " + PROMPT, "Yes."),)),
        a_row("Answer.", system=PROMPT),
        a_row(PROMPT.split("; ", maxsplit=1)[0] + "; she", input=PROMPT.split("; she ")[1]),
    ],
)
def test_a_leak_is_found_wherever_it_stands_in_a_row(row):
    (leak,) = EXAM.leaks(row)
    assert leak.item == 0
    assert len(leak.run) >= 13
    assert leak.evidence.startswith("exam.jsonl line 1: ")
    assert " ".join(leak.run[:5]) in leak.evidence


def test_twelve_words_in_common_are_no_leak_and_thirteen_are():
    words = PROMPT.split()
    assert not EXAM.leaks(a_row("So: " + " ".join(words[3:15]) + " and so on."))
    assert EXAM.leaks(a_row("So: " + " ".join(words[3:16]) + " and so on."))
    assert Benchmarks([an_item(PROMPT)], 8).leaks(a_row("So: " + " ".join(words[3:11])))


def test_a_short_prompt_leaks_whole_and_one_of_a_word_only_as_the_task_itself():
    (leak,) = EXAM.leaks(a_row("Please do this: name the largest moon of Saturn, in a word."))
    assert leak.whole
    assert "whole prompt" in leak.evidence
    assert not EXAM.leaks(a_row("Name the largest moon of Jupiter.", "Titan is a moon."))
    assert EXAM.leaks(a_row("why"))
    assert not EXAM.leaks(a_row("Why do cats purr?", "Titan"))


def test_the_form_that_all_items_share_is_no_leak_but_their_content_is():
    form = (
        "Read the passage below, then choose the one answer that is right and give its letter, "
        "with no other word: "
    )
    nouns = ("river", "tower", "violin", "planet", "carpet", "window", "garden", "pepper")
    nouns += ("engine", "bridge", "forest", "silver", "orange", "castle")
    items = [
        an_item(
            f"{form}{noun} " + f"is what the {noun} of the {noun} says about it "
            f"when {noun} meets {noun}",
            line=i,
        )
        for i, noun in enumerate(nouns)
    ]
    exam = Benchmarks(items)
    assert not exam.leaks(a_row(form + "The sea is blue."))
    assert [leak.line for leak in exam.leaks(a_row(items[5].prompt))] == [5]
    same = Benchmarks([an_item(form, line=i) for i in range(14)])
    assert same.leaks(a_row(form))


def test_a_rewording_is_told_with_the_longest_words_in_common():
    row = a_row("Every day the goats of Mira give 14 litres of milk, of which she drinks two.")
    assert not EXAM.leaks(row)
    (leak,) = EXAM.leaks(row, (0, 0.93))
    assert leak.cosine == 0.93
    assert (
        leak.evidence == "exam.jsonl line 1: reworded, cosine 0.93, longest common 5-gram "
        "'give 14 litres of milk'"
    )


WORD = st.text("abcdefgéß日本", min_size=1, max_size=5)
TEXT = st.lists(WORD, min_size=5, max_size=40).map(" ".join)


@given(st.lists(TEXT, min_size=1, max_size=5), TEXT, TEXT, st.data())
@settings(max_examples=60, deadline=None)
def test_a_prompt_that_stands_anywhere_in_a_row_is_found(prompts, before, after, data):
    exam = Benchmarks([an_item(prompt, line=i) for i, prompt in enumerate(prompts)])
    index = data.draw(st.integers(0, len(prompts) - 1))
    whole = data.draw(st.sampled_from((prompts[index], prompts[index].upper().lower())))
    leaks = exam.leaks(a_row("Do it.", f"{before} {whole}. {after}"))
    assert index in {leak.item for leak in leaks}


@given(st.lists(st.integers(0, 3), max_size=12), st.lists(st.integers(0, 3), max_size=12))
@settings(max_examples=60, deadline=None)
def test_the_longest_run_is_in_both_texts_and_no_longer_one_is(first, second):
    def runs(found, size):
        return {tuple(found[i : i + size]) for i in range(len(found) - size + 1)}

    run = longest_run(tuple(first), tuple(second))
    assert run in runs(first, len(run)) & runs(second, len(run))
    assert not runs(first, len(run) + 1) & runs(second, len(run) + 1)


@given(st.randoms())
@settings(max_examples=10, deadline=None)
def test_the_order_of_the_items_does_not_decide_what_leaks(rng):
    items = [*EXAM.items]
    rng.shuffle(items)
    for row in (a_row(PROMPT, ANSWER), a_row(SHORT), a_row("Why?"), a_row("What is that?")):
        found = {leak.line for leak in Benchmarks(items).leaks(row)}
        assert found == {leak.line for leak in EXAM.leaks(row)}


def test_benchmarks_are_read_as_they_are_published(tmp_path):
    code = tmp_path / "HumanEval.jsonl.gz"
    task = {"task_id": "X/0", "prompt": "def f(x):\n", "canonical_solution": "    return x\n"}
    code.write_bytes(gzip.compress(json.dumps(task).encode()))
    maths = tmp_path / "test.jsonl"
    maths.write_text(json.dumps({"question": PROMPT, "answer": ANSWER}) + "\n")
    plain = tmp_path / "prompts.txt"
    plain.write_text("Name a moon.\nName a sea.\n")
    alpaca = tmp_path / "alpaca.json"
    alpaca.write_text(json.dumps([{"instruction": "Add.", "input": "1, 2", "output": "3"}]))
    found = [(i.prompt, i.answer) for i in read_benchmarks([code, maths, plain, alpaca])]
    assert found == [
        ("def f(x):\n", "    return x\n"),
        (PROMPT, ANSWER),
        ("Name a moon.", ""),
        ("Name a sea.", ""),
        ("Add.\n1, 2", "3"),
    ]


@pytest.fixture
def files(tmp_path):
    """An exam, and rows of which three leak it."""
    exam = tmp_path / "exam.jsonl"
    exam.write_text(json.dumps({"question": PROMPT, "answer": ANSWER}) + f'\n"{SHORT}"\n')
    rows = [
        {"instruction": f"Explain rule {i} of chess.", "output": f"It is {i}."} for i in range(30)
    ]
    rows[3]["output"] += f"\u202e {PROMPT}"
    rows[11]["instruction"] = SHORT
    rows[20]["output"] = ANSWER
    random.Random(0).shuffle(rows)
    source = tmp_path / "rows.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return source, exam


def test_the_audit_shows_what_leaks_and_ends_with_a_code_for_ci(files, command, tmp_path):
    source, exam = files
    told = command("audit", source, "--against", exam, "--out", "leaks.jsonl", code=3).stdout
    assert "3 of 30 rows leak (10.00%)" in told
    assert "«Mira's goats give 14 litres" in told
    assert "\u202e" not in told
    table = next(line.split() for line in told.splitlines() if line.startswith("exam.jsonl"))
    assert table == ["exam.jsonl", "2", "2", "3"]
    listed = [json.loads(line) for line in (tmp_path / "leaks.jsonl").read_text().splitlines()]
    assert sorted(record["benchmark_line"] for record in listed) == [1, 1, 2]
    lines = source.read_text().splitlines()
    assert all(
        "goats" in lines[r["line"] - 1]
        or "moon" in lines[r["line"] - 1]
        or "252 coins" in lines[r["line"] - 1]
        for r in listed
    )
    found = json.loads(command("audit", source, "--against", exam, "--json", code=3).stdout)
    assert found["leaking_rows"] == 3
    assert found["leaks"] == listed


def test_an_audit_without_leaks_is_clean_and_a_missing_file_is_named(files, command):
    source, exam = files
    clean = source.with_name("clean.jsonl")
    clean.write_text('{"instruction": "Sing.", "output": "La la."}\n')
    assert "0 of 1 rows leak" in command("audit", clean, "--against", exam).stdout
    assert "nowhere.jsonl" in command("audit", source, "--against", "nowhere.jsonl", code=2).stderr
    command("audit", source, code=2)


@pytest.mark.slow
def test_a_benchmark_is_gone_toward_and_kept_out_but_never_a_source(files, embedder):
    source, exam = files
    both = {"toward": (exam,), "decontaminate": (exam,), "embedder": embedder}
    run = source.with_name("run")
    go(source, run, **both, rounds=1, target_size=2)
    with opened_ledger(run) as ledger:
        assert {prompt.source for prompt in ledger.sources.target_prompts("toward")} == {str(exam)}
        assert {item.source for item in ledger.sources.benchmarks()} == {str(exam)}
        assert ledger.rows.counts()["seed", "rejected", Why(Reason.LEAK, "exam.jsonl")]
    for twice in ({"toward": (exam, exam)}, {"decontaminate": (exam, exam)}, {"toward": (source,)}):
        with pytest.raises(UsageError, match="named twice"):
            go(source, source.with_name("other"), **both | twice)


@pytest.mark.slow
def test_records_of_benchmarks_that_cannot_be_used_are_told_apart_and_strict_stops(
    files, command, embedder
):
    source, exam = files
    with exam.open("a") as file:
        file.write('{"question": \n')
    flags = ("run", source, "--llm", "none", "--recipe", "curate", "--decontaminate", exam)
    flags += ("--target-size", 3, "--embedder", embedder)
    told = command(*flags, "--out", "run").stderr
    assert "read 30 rows, 0 quarantined" in told
    assert "read 2 benchmark items, 1 quarantined" in told
    assert f"{exam}:3:" in command(*flags, "--strict", "--out", "other", code=1).stderr


def test_the_audit_finds_a_rewording_by_its_embedding(files, command, embedder):
    source, exam = files
    words = PROMPT.split()
    moved = " ".join(word for i in range(0, len(words), 3) for word in reversed(words[i : i + 3]))
    source.write_text(json.dumps({"instruction": moved, "output": ANSWER[:40]}) + "\n")
    args = ("audit", source, "--against", exam, "--embedder", embedder, "--leak-cosine", "0.8")
    command(*args)
    told = command(*args, "--semantic", code=3).stdout
    assert "cosine 0.9" in told or "cosine 0.8" in told
