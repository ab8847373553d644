"""What the agents decide without a model: checks, signals, plans, quotas, verdicts."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lift_agent.agents import scoring
from lift_agent.agents.code import is_code
from lift_agent.agents.differences import compare
from lift_agent.agents.draft_faults import answer_fault, task_fault
from lift_agent.agents.duplicate_sweep import CANDIDATES
from lift_agent.agents.final_score import final_score, text_length
from lift_agent.agents.prompts import load
from lift_agent.agents.redundancy import RedundancyAgent
from lift_agent.agents.selector import Selector, TopSelector
from lift_agent.agents.task_planning import plan_tasks
from lift_agent.agents.task_text import TaskText
from lift_agent.agents.texts import clip, normalised, rouge_l, script
from lift_agent.agents.written_task import WrittenTask
from lift_agent.geometry.neighbours import unit
from lift_agent.records import DraftFault, Layer, Row, Score, Subspace, row_id

PARENTS = [
    "Write a Python function that counts the words in a sentence.",
    "Write a Python function that removes punctuation from a string.",
]


PROMPT = "Write a task that needs the skills of both, beginning with a verb. Do not solve it."


def a_row(instruction, output="Done.", position=0, **fields):
    return Row(
        id=row_id(instruction, "", output, occurrence=position),
        position=position,
        instruction=instruction,
        input="",
        output=output,
        **fields,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("Write a Python function that counts the distinct words without punctuation.", ""),
        ("Count words", DraftFault.TOO_SHORT),
        ("Write a Python function that counts the", DraftFault.CUT_SENTENCE),
        ("Write a Python function that can be defined like this:", DraftFault.CUT_SENTENCE),
        ("Combine the two tasks into a Python function for sentences.", DraftFault.PROMPT_IN_TASK),
        ("Make a list, beginning with a verb. Do not solve it now.", DraftFault.PROMPT_IN_TASK),
        ("Sentences without any punctuation are easier to count.", DraftFault.STATEMENT),
        ("def count(sentence): return len(sentence.split()) # counts.", DraftFault.ANSWER_AS_TASK),
        ("You'll want to use a loop that counts all of the words.", DraftFault.ANSWER_AS_TASK),
        (
            "Sure, here is a function that counts the words you asked for.",
            DraftFault.ANSWER_AS_TASK,
        ),
        (PARENTS[0].upper(), DraftFault.COPY_OF_PARENT),
        ("Write a Python function that counts the words in sentence.", DraftFault.COPY_OF_PARENT),
        (
            "Count the words of a sentence. Then write a program that draws a red house.",
            DraftFault.CONCATENATION,
        ),
        ("1. Count the words of a text.\n2. Remove all of its commas.", DraftFault.CONCATENATION),
        (
            "Count the words of it, the words of it, the words of it, all.",
            DraftFault.TASK_REPEATS_ITSELF,
        ),
        ("写一个函数,统计句子中的单词数量,并且去掉所有的标点符号。", DraftFault.LANGUAGE_OF_TASK),
    ],
)
def test_each_fault_of_a_written_task_has_its_name(written, fault):
    assert task_fault(written, "", PARENTS, prompt=PROMPT, truncated=False) == fault


def test_a_task_cut_by_the_token_limit_is_a_cut_sentence():
    whole = "Write a Python function that counts the distinct words without punctuation."
    assert task_fault(whole, "", PARENTS, prompt=PROMPT, truncated=True) == DraftFault.CUT_SENTENCE


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ("Use a set of the stripped words and take its length.", ""),
        ("I'm sorry, but I can't help with that.", DraftFault.ANSWER_REFUSED),
        ("Count the distinct words in it!", DraftFault.ANSWER_REPEATS_TASK),
        ("yes it is so " * 20, DraftFault.ANSWER_REPEATS_ITSELF),
    ],
)
def test_each_fault_of_an_answer_has_its_name(answer, fault):
    assert answer_fault("Count the distinct words in it.", answer, truncated=False) == fault


@pytest.mark.parametrize(
    ("text", "instruction", "input"),
    [
        ("Sort it.\nInput: 3, 1, 2", "Sort it.", "3, 1, 2"),
        ("New task: Sort it.", "Sort it.", ""),
        ('"Sort the list."', "Sort the list.", ""),
        ("Sort it.\nInput: None", "Sort it.", ""),
        ("Sort it.\nInput:\n3\n1", "Sort it.", "3\n1"),
    ],
)
def test_a_written_task_is_separated_from_its_input(text, instruction, input):
    written = WrittenTask.read(text)
    assert (written.instruction, written.input) == (instruction, input)


@given(st.text(max_size=300), st.integers(8, 400))
def test_a_clipped_text_fits_and_keeps_both_ends(text, size):
    shown = clip(text, size)
    if len(text.encode()) <= size:
        assert shown == text
    else:
        assert text.startswith(shown.split(" […] ")[0])
        assert text.endswith(shown.split(" […] ")[-1])


@given(st.text(max_size=60), st.text(max_size=60))
def test_rouge_l_is_symmetric_and_full_for_equal_texts(a, b):
    assert rouge_l(a, b) == pytest.approx(rouge_l(b, a))
    assert 0 <= rouge_l(a, b) <= 1


def test_normalised_texts_keep_what_carries_meaning():
    assert normalised("Sort THE list!") == normalised("sort  the list.")
    assert normalised("a < b") != normalised("a > b")
    assert script("Сортируй список") == "CYRILLIC"


def test_signals_tell_good_from_damaged_responses():
    good = "Take a pan, warm the oil, and fry the onions slowly until they are soft and golden."
    damaged = {
        "cut": good[:61],
        "refusal": "As an AI language model, I cannot cook.",
        "repeats": "fry the onions " * 30,
        "broken code": "```python\ndef f(:\n    pass\n```",
        "echo": "How do I fry onions?",
    }
    best = sum(scoring.points(a_row("How do I fry onions?", good)).values())
    assert best == 100
    for kind, text in damaged.items():
        assert sum(scoring.points(a_row("How do I fry onions?", text)).values()) < best, kind


def test_length_and_final_score_follow_the_paper():
    row = a_row("ab\tc", "de\nf")
    assert text_length(row) == 6
    score = final_score(row, judge=80, length_cap=12, reason="given")
    assert (score.length, score.final) == (50, pytest.approx(77))
    assert final_score(row, judge=80, length_cap=3, reason="").length == 100


def unit_rows(angles):
    return np.asarray([[np.cos(a), np.sin(a)] for a in angles], dtype=np.float32)


def check(new, kept=(), vectors=None, kept_vectors=None, gateway=None, **options):
    agent = RedundancyAgent(gateway, candidate=0.85, borderline=0.92, **options)
    vectors = unit_rows(np.arange(len(new))) if vectors is None else vectors
    if kept_vectors is None:
        kept_vectors = unit_rows(np.arange(len(kept)) + 0.5)
    verdicts, stopped = asyncio.run(agent.find_duplicates(new, vectors, kept, kept_vectors))
    assert stopped is None
    return verdicts


def test_copies_are_named_exact_or_normalised_and_point_to_the_first():
    rows = [
        a_row("Sort the list.", position=0),
        a_row("Sort the list.", position=1),
        a_row("SORT the list", position=2),
        a_row("Reverse the list.", position=3),
    ]
    verdicts = check(rows)
    assert [v.layer for v in verdicts] == [Layer.NONE, Layer.EXACT, Layer.NORMALISED, Layer.NONE]
    assert [v.duplicate for v in verdicts] == [False, True, True, False]
    assert verdicts[1].other == verdicts[2].other == rows[0].id
    assert check(rows[1:2], kept=rows[:1])[0].layer == Layer.EXACT


def alike(n):
    """Vectors so near each other that the words decide."""
    return unit_rows(np.arange(n) * 0.01)


ASK = "Write a Python function that sorts 20 numbers in ascending order."
ANSWER = "def ascending(numbers): return sorted(numbers)  # the smallest of all numbers first"


@pytest.mark.parametrize(
    ("instruction", "evidence"),
    [
        ("Please create a Python function, sorting 20 numbers in ascending order", "worded alike"),
        ("In ascending order, write a Python function that sorts 20 numbers.", "worded alike"),
        ("Write a Python funtcion that sorts twenty numbers in ascendin order.", "worded alike"),
        ("- WRITE a python function that sorts 20 numbers in ascending order", "the same task"),
        ("Could you make a Python routine which sorts 20 integers in ascending order?", "only"),
    ],
)
def test_a_reworded_task_is_a_duplicate(instruction, evidence):
    rows = [a_row(ASK, ANSWER), a_row(instruction, ANSWER + "  # sorted", 1)]
    [verdict] = [verdict for verdict in check(rows, vectors=alike(2)) if verdict.duplicate]
    assert {verdict.row, verdict.other} == {row.id for row in rows}
    assert evidence in verdict.reason
    assert verdict.layer in (Layer.LEXICAL, Layer.SEMANTIC)


@pytest.mark.parametrize(
    ("instruction", "output", "evidence"),
    [
        (ASK.replace("20", "30"), ANSWER, "20 versus 30"),
        (ASK.replace("asc", "desc"), ANSWER, "ascending versus descending"),
        (ASK.replace("Python", "Rust"), ANSWER, "python versus rust"),
        (ASK.replace("sorts", "does not sort"), ANSWER, "a negation"),
        (ASK.replace("numbers", "Roman numerals of Livius"), ANSWER, "livius"),
        (ASK.replace("numbers", "words"), ANSWER.replace("numbers", "words"), "in the answers too"),
    ],
)
def test_a_hard_negative_survives_at_any_cosine(instruction, output, evidence):
    rows = [a_row(ASK, ANSWER.replace("ascending", "order")), a_row(instruction, output, 1)]
    verdict = check(rows, vectors=unit_rows([0, 0]))[1]
    assert not verdict.duplicate
    assert evidence in verdict.reason


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("Convert a temperature from Celsius to Fahrenheit.", "from Fahrenheit to Celsius"),
        ("Ann has 5 pears and Bob has 3 plums. How many has Ann?", "5 plums and Bob has 3 pears"),
        ("如何把摄氏度转换为华氏度", "华氏度转换为摄氏度"),
    ],
)
def test_words_in_each_others_place_make_another_task(one, two):
    other = {
        "from Fahrenheit to Celsius": "Convert a temperature from Fahrenheit to Celsius.",
        "5 plums and Bob has 3 pears": "Ann has 5 plums and Bob has 3 pears. How many has Ann?",
        "华氏度转换为摄氏度": "如何把华氏度转换为摄氏度",
    }[two]
    verdict = check([a_row(one), a_row(other, position=1)], vectors=alike(2))[1]
    assert not verdict.duplicate


WORDS = "Count the words of each sentence, then print those words"


@pytest.mark.parametrize(
    ("one", "two", "output", "kind"),
    [
        ("Write a JavaScript loop", "Write a JS loop", "for (;;) {}", "duplicate"),
        ("Use golang to sort", "Use Go to sort", "sort.Ints(x)", "duplicate"),
        # Said elsewhere too, a word is still replaced, not added.
        (WORDS, WORDS.replace("those words", "each sentence"), "a b c d e f g h", "borderline"),
        # What is added makes another task, unless the answer stayed.
        ("Plan a trip", "Plan a trip for 3 days", "a b c d e f g h", "borderline"),
        ("Plan a trip", "Plan a trip for 3 days", "a b c", "distinct"),
        ("Plan a trip for 3 days", "Plan a trip for 4 days", "a b c d e f g h", "distinct"),
        (
            "Add up the next three days",
            "Add up the next thhree days",
            "a b c d e f g h",
            "borderline",
        ),
        ("Show the most recent news", "Show the latest news", "a b c", "borderline"),
        (
            "On Monday he ran 3 km and on Friday he ran 4",
            "On Friday he ran 3 km and on Monday he ran 4",
            "a b c d e f g h",
            "distinct",
        ),
    ],
)
def test_words_and_answers_must_agree_before_anything_is_decided(one, two, output, kind):
    pair = [TaskText(a_row(text, output)) for text in (one, two)]
    assert compare(*pair, 0.95, 0.92).kind == kind
    assert compare(*reversed(pair), 0.95, 0.92).kind == kind


def test_words_that_may_stand_for_one_another_are_in_doubt_where_the_answers_take_them_up():
    rows = (
        a_row("Build an array of names", "array = names"),
        a_row("Build a list of names", "list = names"),
    )
    assert compare(*map(TaskText, rows), 0.95, 0.92).kind == "borderline"
    same = replace(rows[1], output="array = names")
    assert compare(TaskText(rows[0]), TaskText(same), 0.95, 0.92).kind == "duplicate"


def test_another_input_is_another_task_and_no_input_is_none():
    rows = [
        replace(a_row("Sort the list.", "1 2 3"), input="3, 1, 2"),
        replace(a_row("Sort the list.", "4 5 6", 1), input="6, 5, 4"),
        replace(a_row("Sort this list: 3, 1, 2", "1 2 3", 2), input="N/A"),
    ]
    verdicts = check(rows, vectors=unit_rows([0, 0, 0]))
    assert [v.duplicate for v in verdicts] == [False, False, True]
    assert "another input" in verdicts[1].reason


@given(st.text(min_size=1, max_size=40), st.text(max_size=40))
def test_a_text_is_a_duplicate_of_itself_in_any_language(instruction, output):
    row = a_row(instruction, output)
    assert compare(TaskText(row), TaskText(row), 0.9, 0.92).kind == "duplicate"
    assert check([row, a_row(instruction, output, 1)])[1].layer == Layer.EXACT


def test_the_true_duplicate_is_found_behind_nearer_hard_negatives():
    rows = [a_row(ASK, ANSWER), *(a_row(ASK.replace("20", str(n)), ANSWER, n) for n in range(5))]
    again = a_row("Create a Python function which sorts 20 numbers in ascending order", "no", 9)
    verdicts = check([again], rows, unit_rows([0]), unit_rows([0.2, 0.1, 0.1, 0.1, 0.1, 0.1]))
    assert verdicts[0].duplicate
    assert verdicts[0].other == rows[0].id


def test_the_better_of_two_new_rows_stays_and_kept_rows_stay_whatever_they_are():
    worse = a_row(ASK, "I'm sorry, but I cannot help with")
    better = a_row("Please " + ASK, ANSWER, 1)
    verdicts = check([worse, better], vectors=alike(2))
    assert [v.duplicate for v in verdicts] == [True, False]
    assert verdicts[0].other == better.id
    late = check([better], [worse], alike(1), alike(1))
    assert late[0].duplicate


class Model:
    """A gateway that answers every question alike, and remembers them."""

    def __init__(self, same):
        self.same, self.asked = same, []

    def room(self, _):
        return None

    async def ask_for(self, schema, request, **_):
        self.asked.append(request.messages[-1][1])
        return SimpleNamespace(value=schema(reason="It says so.", same=self.same), error="")


@pytest.mark.parametrize("same", [True, False])
def test_the_model_is_asked_only_where_the_words_leave_a_doubt(same):
    model = Model(same)
    doubtful = a_row(ASK.replace("numbers", "books"), ANSWER, 1)
    rows = [a_row(ASK, ANSWER), doubtful, a_row(ASK.replace("20", "7"), ANSWER, 2)]
    verdicts = check(rows, vectors=alike(3), gateway=model)
    assert len(model.asked) == 1
    assert "books" in model.asked[0]
    assert [v.duplicate for v in verdicts] == [False, same, False]
    assert (verdicts[1].layer, verdicts[1].reason) == (Layer.MODEL, "It says so.")


def test_a_row_that_repeats_a_removed_row_is_compared_with_what_was_kept():
    model = Model(True)
    books, maps = (
        a_row(ASK.replace("numbers", w), ANSWER, i) for i, w in ((1, "books"), (2, "maps"))
    )
    verdicts = check([a_row(ASK, ANSWER), books, maps], vectors=alike(3), gateway=model)
    assert [v.duplicate for v in verdicts] == [False, True, True]
    assert verdicts[2].other == verdicts[1].other != books.id
    assert len(model.asked) == 2  # nothing of the row that went


FRAMES = [
    "Sort {} numbers.",
    "Please sort {} numbers!",
    "Order {} integers.",
    "Reverse {} numbers.",
    "Sort {} large numbers.",
    "Please sort {} red numbers!",
]


class Fickle(Model):
    """A gateway whose answer depends on the pair it is asked about, and on nothing else."""

    async def ask_for(self, schema, request, **_):
        same = sum(request.messages[-1][1].encode()) % 2 == self.same
        return SimpleNamespace(value=schema(reason="It depends.", same=same), error="")


@pytest.mark.slow
@given(
    st.lists(st.tuples(st.sampled_from(FRAMES), st.integers(2, 4)), max_size=30),
    st.lists(st.integers(0, 30), max_size=4).map(sorted),
    st.sampled_from([1, 3, 1024]),
    st.sampled_from([None, 0, 1]),
    st.sampled_from([0.02, 0.3]),
    st.integers(0, 5),
)
def test_batches_and_blocks_change_nothing(tasks, cuts, block, parity, apart, seed):
    rows = [a_row(frame.format(n), "Done.", i) for i, (frame, n) in enumerate(tasks)]
    angles = np.random.default_rng(seed).permutation(len(rows)) * apart
    vectors = unit_rows(angles)
    model = None if parity is None else Fickle(parity)
    whole = check(rows, vectors=vectors, gateway=model)
    stay, parts = [], []
    for start, end in zip([0, *cuts], [*cuts, len(rows)], strict=True):
        kept = [rows[i] for i in stay]
        part = check(rows[start:end], kept, vectors[start:end], vectors[stay], model, block=block)
        stay += [start + i for i, v in enumerate(part) if not v.duplicate]
        parts += part
    assert [v.duplicate for v in whole] == [v.duplicate for v in parts]
    assert [v.other for v in whole if v.duplicate] == [v.other for v in parts if v.duplicate]
    if model:
        return
    left = [i for i, v in enumerate(whole) if not v.duplicate]
    for i in left:
        for j in left:
            cosine = float(vectors[i] @ vectors[j])
            near = sum(vectors[left] @ vectors[i] >= cosine) <= CANDIDATES
            found = compare(TaskText(rows[i]), TaskText(rows[j]), cosine, 0.92)
            assert i == j or cosine < 0.85 or not near or found.kind != "duplicate"


def test_a_few_new_rows_are_compared_with_all_of_many_kept_ones():
    kept = [a_row(f"Explain planet {i} briefly", f"It is planet {i}.", i) for i in range(2000)]
    new = [
        replace(row, id=f"new-{row.id}", instruction=row.instruction.replace("brief", "breif"))
        for row in kept[::50]
    ]
    vectors = unit(np.random.default_rng(0).normal(size=(2000, 48)))
    moved = unit(vectors[::50] + 0.45 * unit(np.random.default_rng(1).normal(size=(40, 48))))
    verdicts = check(new, kept, moved, vectors, exact_limit=400, probes=1)
    assert [v.other for v in verdicts if v.duplicate] == [row.id for row in kept[::50]]


def test_parents_are_sought_inside_the_subspace_first_and_no_pair_comes_twice():
    rows = [a_row(f"Task {i}", position=i) for i in range(20)]
    vectors = unit_rows(np.linspace(-1.5, 1.5, 20))
    place = Subspace("s", 1, (1.0, 0.0), 0.02, 0.5, (), (), name="n", quota=8)
    inside = {row.id for row, v in zip(rows, vectors, strict=True) if 1 - v[0] <= 0.02}
    tasks = plan_tasks([place], rows, vectors, set(), round=1, position=100, seed=3)
    assert len(tasks) == 8
    assert [task.position for task in tasks] == list(range(100, 108))
    pairs = [frozenset(task.parents) for task in tasks]
    assert len(set(pairs)) == 8
    assert all(pair & inside for pair in pairs)
    assert plan_tasks([place], rows, vectors, set(), round=1, position=100, seed=3) == tasks
    more = plan_tasks([place], rows, vectors, set(pairs), round=2, position=108, seed=3)
    assert not set(pairs) & {frozenset(task.parents) for task in more}


def test_code_tasks_get_the_code_family():
    assert is_code(a_row("Write a Python function that sorts."))
    assert not is_code(a_row("Write a poem about the sea."))


@pytest.mark.slow
@given(st.integers(1, 30), st.integers(0, 12), st.integers(0, 12), st.floats(0, 1))
def test_the_selector_takes_exactly_what_the_pool_can_fill(target, seeds, generated, share):
    pool = [
        a_row(f"Row {i}", position=i, origin="seed" if i < seeds else "generated")
        for i in range(seeds + generated)
    ]
    vectors = unit_rows(np.arange(len(pool)) * 0.7)
    scores = {row.id: Score(row.id, final=row.position % 5) for row in pool}
    selector = Selector(target, share, 0.5)
    chosen = selector.choose(pool, vectors, scores).rows if pool else []
    assert len(chosen) == selector.fillable_count(pool) <= target
    assert len({row.id for row in chosen}) == len(chosen)
    assert sum(row.origin == "seed" for row in chosen) <= share * target + 1e-6


def test_the_paper_takes_the_best_and_breaks_ties_by_order():
    pool = [a_row(f"Row {i}", position=i) for i in range(6)]
    scores = {row.id: Score(row.id, final=[1, 5, 3, 5, 3, 9][row.position]) for row in pool}
    chosen = TopSelector(4).choose(pool, unit_rows(range(6)), scores).rows
    assert [row.position for row in chosen] == [5, 1, 3, 2]


@pytest.mark.parametrize(
    "name",
    [
        "fuse",
        "answer",
        "answer_small",
        "name_subspace",
        "neighbours",
        "plausible",
        "probes",
        "judge",
        "compare",
        "same_task",
        "deepen",
        "deepen_code",
    ],
)
def test_every_prompt_loads_and_ends_with_the_users_turn(name):
    prompt = load(name)
    assert prompt.turns[0][0] == "system"
    assert prompt.turns[-1][0] == "user"
    assert "{{" in prompt.turns[-1][1]
    assert all("{{" not in text for _, text in prompt.turns[:-1])
    with pytest.raises(KeyError):
        prompt.ask()
