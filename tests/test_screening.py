"""The screen in the loop: what it rejects is never compared, judged or exported."""

import json
import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import go, read_dataset

from lift_agent.agents.language import language, language_of
from lift_agent.agents.selector import allot
from lift_agent.config import resolve
from lift_agent.errors import UsageError
from lift_agent.records import Row
from lift_agent.records.codes import Reason, Why
from lift_agent.stores.ledger import Ledger
from lift_agent.views.summary import as_record

MAIL = "m_rossi@studio-rossi.co.uk"
EXAM = (
    "A ferry leaves at 7 in the morning and sails 12 knots; how far has it come by a quarter to 10?"
)
CHINESE = ("云", "山", "海", "鱼", "花", "月", "河", "鸟", "桥", "茶", "雪", "风")


def a_seed(instruction, output, **more):
    return {"instruction": instruction, "input": "", "output": output, **more}


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def opened(folder):
    return Ledger(folder / "ledger.sqlite")


BAD = {
    Why(Reason.LEAK, "exam.jsonl"): a_seed(
        "Solve this, please: " + EXAM, "It is 33 nautical miles."
    ),
    Why(Reason.REFUSAL): a_seed("How do I peel a pear?", "I'm sorry, but I can't help with that."),
    Why(Reason.PLACEHOLDER): a_seed("Why is tea brown?", "[Insert your answer here]"),
    Why(Reason.OTHER_LANGUAGE): a_seed(
        "Describe how the tides of the sea come about.",
        "La mer monte et descend parce que la lune attire les eaux, et le soleil aussi.",
    ),
    Why(Reason.PERSONAL_DATA): a_seed(
        "Whom do I ask about the rent?", f"Write to {MAIL} about it."
    ),
    Why(Reason.LANGUAGE_NOT_WANTED): a_seed(
        "Erkläre mir, wie man ein Brot backt und wie lange das dauert.",
        "Man knetet den Teig, lässt ihn ruhen und backt ihn eine Stunde lang.",
    ),
}

WORDS = {
    "leaks exam.jsonl",
    "refusal",
    "placeholder",
    "another language than the task",
    "personal data",
    "language not wanted",
}


@pytest.fixture
def exam(tmp_path):
    return write(tmp_path / "exam.jsonl", [{"question": EXAM}])


@pytest.mark.slow
def test_what_is_rejected_has_a_reason_and_is_neither_compared_nor_judged(
    seeds, exam, tmp_path, embedder, command
):
    with seeds.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in BAD.values())
    run = tmp_path / "run"
    settings = {"rounds": 1, "embedder": embedder, "decontaminate": (exam,), "pii": "drop"}
    summary = go(seeds, run, **settings, languages="en", target_size=30)
    ledger = opened(run)
    rejected = {row.instruction: row for row in ledger.rows.find("rejected", round=0)}
    scores, judged = (
        ledger.judgements.scores(),
        {call.subject for call in ledger.calls.find(agent="judge")},
    )
    for why, bad in BAD.items():
        row = rejected[bad["instruction"]]
        assert ledger.rows.status(row.id) == ("rejected", why)
        assert ledger.judgements.verdict(row.id) is None
        assert row.id not in scores.keys() | judged
    leaking = rejected[BAD[Why(Reason.LEAK, "exam.jsonl")]["instruction"]]
    told = command("why", run, leaking.id).stdout
    assert re.search(r"rejected, leaks exam.jsonl line 1: 2\d-gram 'a ferry leaves at 7", told)
    assert set(BAD) <= summary.rejected.keys()
    assert summary.screen["leaks"][0].startswith("exam.jsonl line 1: ")
    compared = json.loads(command("diff", run, run, "--json").stdout)
    for shown in (compared["one"], compared["other"], as_record(summary)):
        assert shown["rejected"].keys() >= WORDS
        assert shown["screen"]["reasons"].keys() == WORDS
        assert [shown["rejected"][words] for words in WORDS] == [1] * 6
    card = (run / "README.md").read_text()
    assert "1 items of exam.jsonl" in card
    assert "ferry" not in card
    checks = ledger.judgements.screening()
    assert checks.keys() == {row.id for row in ledger.rows.find()}
    assert all(check.points > 0 for id, check in checks.items() if id in scores)


@pytest.mark.slow
def test_a_generated_row_that_leaks_is_never_judged(seeds, tmp_path, embedder):
    settings = {"rounds": 1, "embedder": embedder, "max_seed_share": 0.5}
    go(seeds, tmp_path / "before", **settings)
    generated = opened(tmp_path / "before").rows.find("accepted", origin="generated")
    leaked = max(generated, key=lambda row: len(row.instruction))
    exam = write(tmp_path / "exam.jsonl", [leaked.instruction])
    go(seeds, tmp_path / "run", **settings, decontaminate=(exam,))
    ledger = opened(tmp_path / "run")
    assert ledger.rows.status(leaked.id) == ("rejected", Why(Reason.LEAK, "exam.jsonl"))
    assert not ledger.calls.find(agent="judge", subjects=[leaked.id])
    assert leaked.id not in {row["lift"]["id"] for row in read_dataset(tmp_path / "run")}
    plain = {row["lift"]["id"] for row in read_dataset(tmp_path / "before")}
    assert leaked.id in plain


@pytest.mark.slow
def test_masked_data_reaches_no_model_and_no_file_and_the_run_resumes_and_replays(
    seeds, tmp_path, embedder, command
):
    rows = [json.loads(line) for line in seeds.read_text().splitlines()]
    for i, row in enumerate(rows[:6]):
        row["output"] += f" Ask {i} {MAIL}."
        row["contact"] = {"mail": [MAIL]}
    rows += [a_seed("Greet me.", f"Hello, {name}@posteo.de, my friend.") for name in ("ann", "ben")]
    write(seeds, rows)
    settings = {"rounds": 1, "embedder": embedder, "pii": "mask", "target_size": 44}
    go(seeds, tmp_path / "run", **settings)
    go(seeds, tmp_path / "cut", **settings, max_calls=25, cache=False)
    go(seeds, tmp_path / "cut", **settings, cache=False)
    whole = (tmp_path / "run" / "dataset.jsonl").read_bytes()
    assert (tmp_path / "cut" / "dataset.jsonl").read_bytes() == whole
    command("replay", "run", "--out", "again", "--verify")
    assert b"[EMAIL]" in whole
    ledger = opened(tmp_path / "run")
    assert sum("Greet me." in row.instruction for row in ledger.rows.find()) == 2
    for file in (tmp_path / "run").rglob("*"):
        if file.is_file():
            assert MAIL.encode() not in file.read_bytes(), file


@pytest.fixture
def places(tmp_path):
    names = ("abbey", "castle", "garden", "temple", "palace", "museum", "library", "stadium")
    names += ("theatre", "bridge", "tower", "harbour", "market", "station", "school", "chapel")
    rows = [
        a_seed(f"Tell me of the {name} in a sentence.", f"The {name} is {i} feet high and old.")
        for i, name in enumerate(names)
    ]
    for row in rows[:2]:
        row["output"] += " (and it is [broken"
    return write(tmp_path / "rows.jsonl", rows)


@pytest.mark.slow
def test_only_a_share_is_judged_the_best_by_signals_but_never_too_few(places, tmp_path, embedder):
    settings = {"recipe": "curate", "embedder": embedder, "max_judge_share": 0.5}
    broken = {json.loads(line)["instruction"] for line in places.read_text().splitlines()[:2]}
    for target, judged in ((3, 8), (12, 12)):
        summary = go(places, tmp_path / f"run{target}", **settings, target_size=target)
        ledger = opened(tmp_path / f"run{target}")
        assert summary.rows == target
        assert len({call.subject for call in ledger.calls.find(agent="judge")}) == judged
        left = ledger.rows.find("rejected", reason=Reason.NOT_JUDGED)
        assert len(left) == 16 - judged
        assert {row.instruction for row in left} >= broken
        assert ledger.facts.read().stop == "target"


@pytest.mark.slow
def test_rows_that_were_left_out_are_judged_after_all_before_the_target_is_missed(
    places, tmp_path, embedder
):
    settings = {"recipe": "curate", "embedder": embedder, "cache": False, "target_size": 4}
    go(places, tmp_path / "all", **settings)
    scores = sorted(score.final for score in opened(tmp_path / "all").judgements.scores().values())
    settings |= {"max_judge_share": 0.01}
    go(places, tmp_path / "run", **settings)
    larger = go(places, tmp_path / "run", **settings | {"target_size": 9})
    assert (larger.stop, larger.rows) == ("target", 9)
    assert len(opened(tmp_path / "run").judgements.scores()) == 9

    settings |= {"min_score": scores[8]}
    summary = go(places, tmp_path / "strict", **settings)
    judged = opened(tmp_path / "strict").judgements.scores()
    assert (summary.stop, summary.rows) == ("target", 4)
    assert 4 < len(judged) < 16
    for cap in range(3, len(judged)):
        assert go(places, tmp_path / "cut", **settings, max_calls=cap).stop == "budget"
    go(places, tmp_path / "cut", **settings)
    assert opened(tmp_path / "cut").judgements.scores().keys() == judged.keys()
    assert read_dataset(tmp_path / "cut") == read_dataset(tmp_path / "strict")


@pytest.mark.slow
def test_languages_are_kept_in_balance_as_far_as_there_are_rows(seeds, tmp_path, embedder):
    rows = [json.loads(line) for line in seeds.read_text().splitlines()]
    rows += [
        a_seed(
            f"请用几句话描述{word}的样子和它的用处。",
            f"{word}{word}很美,人们每天都能看到它,也都喜欢它。",
        )
        for word in CHINESE
    ]
    write(seeds, rows)
    settings = {"recipe": "curate", "embedder": embedder, "llm": "none"}
    for languages, target, wanted in (
        ("en,zh", 20, {"en": 10, "zh": 10}),
        ("en=0.75,zh=0.25", 20, {"en": 15, "zh": 5}),
        ("en,zh", 30, {"en": 18, "zh": 12}),
        ("zh", 5, {"zh": 5}),
    ):
        name = f"run-{languages}-{target}"
        go(seeds, tmp_path / name, **settings, languages=languages, target_size=target)
        found = Counter(language(row["instruction"]) for row in read_dataset(tmp_path / name))
        assert found == wanted


NAMES = st.sampled_from(("de", "en", "fr", "zh"))


@given(
    st.dictionaries(NAMES, st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1),
    st.dictionaries(NAMES, st.floats(0.05, 1), max_size=4),
    st.integers(0, 80),
    st.integers(0, 60),
)
@settings(max_examples=200, deadline=None)
def test_places_are_shared_out_to_the_last_one(rooms, shares, target, cap):
    seeds, others = (sum(room[i] for room in rooms.values()) for i in (0, 1))
    count = min(target, others + min(seeds, cap))
    allotted = allot(rooms, shares, count, cap)
    assert sum(places for places, _ in allotted.values()) == count
    assert sum(own for _, own in allotted.values()) <= cap
    for name, (places, own) in allotted.items():
        assert places <= rooms[name][1] + min(rooms[name][0], own)
        assert own <= rooms[name][0]


@pytest.mark.parametrize(
    ("task", "answer", "told"),
    [
        ("Write a Python loop over a list.", "for x in xs:\n    print(x)", "en"),
        ("写一个函数,把两个数相加。", "def add(a, b):\n    return a + b", "zh"),
        ("Schreibe eine Schleife, die alle Zahlen ausgibt.", "for (;;) { f(i); }", "de"),
        ("f(x) = ?", "Il s'agit d'une fonction dont la valeur est toujours positive.", "fr"),
        ("2 + 2", "4", ""),
    ],
)
def test_a_row_with_code_is_told_by_its_prose(task, answer, told):
    assert language_of(Row("a", 0, task, "", answer)) == told


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ({"recipe": "paper", "pii": "drop"}, "pii"),
        ({"recipe": "paper", "languages": "en"}, "languages"),
        ({"languages": "en=0.7,zh=0.7"}, "1.4"),
        ({"languages": "english"}, "languages"),
    ],
)
def test_settings_of_the_screen_that_cannot_be_are_refused(flags, named):
    with pytest.raises(UsageError, match=named):
        resolve(flags)
    assert resolve({"languages": "en,zh"}).languages == {"en": 0.5, "zh": 0.5}
