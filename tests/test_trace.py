"""The tree of a run, its lists, one call whole, the pager, and following a run under way."""

import base64
import json
import threading
import time
from contextlib import closing
from dataclasses import replace

import pytest
from rich.console import Console
from rich.text import Text

from lift_agent.records import Call, Spending
from lift_agent.stores.folder import held
from lift_agent.stores.layout import LEDGER
from lift_agent.stores.ledger import Ledger
from lift_agent.stores.queries.calls import CallFilter, by_subject, groups, listed
from lift_agent.views.call import story_of
from lift_agent.views.paging import paged, print_line
from lift_agent.views.spans import call_spans


@pytest.fixture
def ledger(inspected):
    with closing(Ledger(inspected / LEDGER)) as opened:
        yield opened


def records(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def keys(found):
    return sorted(record["key"] for record in found if record["kind"] == "call")


def test_the_list_by_cost_is_there_by_its_old_name_too(inspected, command):
    told = command("trace", inspected, "--most-expensive", "--json")
    before = command("trace", inspected, "--dearest", "--json")
    assert before.stdout == told.stdout
    costs = [record["cost"] for record in records(told) if record["kind"] == "call"]
    assert costs and costs == sorted(costs, reverse=True)
    assert "--most-expensive" in before.stderr and not told.stderr
    assert "--dearest" not in command("trace", "--help").stdout


def test_the_tree_has_each_call_once_under_its_round_agent_and_subject(inspected, ledger, command):
    lines = command("trace", inspected).stdout.splitlines()
    told = [line.split()[0] for line in lines if line.startswith("      ")]
    assert sorted(told) == sorted(call.key[:10] for call in ledger.calls.find())
    assert [line.split("  ")[0] for line in lines if line and line[0] != " "][1:4] == [
        "seeds",
        "round 1",
        "round 2",
    ]
    for group in groups(ledger):
        alone = [c for c in ledger.calls.find(agent=group.agent) if c.round == group.round]
        assert group.calls == len(alone)
        assert group.failed == sum(bool(c.error) for c in alone)
        assert group.input_tokens == sum(c.input_tokens for c in alone if not c.reused)
        subjects = [about.subject for about, _ in by_subject(ledger, group)]
        assert subjects == list(dict.fromkeys(c.subject for c in alone))


@pytest.mark.parametrize(
    ("flags", "of"),
    [
        (["--agent", "judge"], lambda c, _: c.agent == "judge"),
        (["--round", "1"], lambda c, _: c.round == 1),
        (["--status", "failed"], lambda c, _: c.error),
        (["--status", "cached"], lambda c, _: c.reused),
        (["--status", "quarantined"], lambda c, lost: c.subject in lost),
        (["--grep", "THING NUMBER 7"], lambda c, _: "thing number 7" in json.dumps(c.request)),
    ],
)
def test_a_filter_lists_exactly_the_calls_that_it_names(flags, of, inspected, ledger, command):
    lost = {id for (id,) in ledger.read("SELECT id FROM tasks WHERE outcome = 'quarantined'")}
    wanted = sorted(call.key for call in ledger.calls.find() if of(call, lost))
    assert wanted, "the run has none to tell it by"
    assert keys(records(command("trace", inspected, *flags, "--json"))) == wanted


def test_the_calls_of_a_row_are_those_about_it_and_those_that_made_it(inspected, ledger, command):
    row = next(row for row in ledger.rows.find("accepted", origin="generated"))
    task = ledger.rounds.task_of(row.id)
    wanted = sorted(call.key for call in ledger.calls.find(subjects=[row.id, task.id]))
    assert keys(records(command("trace", inspected, "--row", row.id[:9], "--json"))) == wanted
    assert "no row begins with zz" in command("trace", inspected, "--row", "zz", code=2).stderr


def test_lists_are_ordered_and_limited(ledger):
    slowest = listed(ledger, CallFilter(), "slowest", 7)
    times = sorted((call.seconds for call in ledger.calls.find()), reverse=True)
    assert [line.seconds for line in slowest] == times[:7]
    newest = listed(ledger, CallFilter(agent="judge"), "newest", 3)
    assert [n.number for n in newest] == sorted(n.number for n in newest)
    assert all(line.agent == "judge" for line in newest)


def test_one_call_is_shown_whole_with_each_request_and_its_cause(tmp_path, command):
    with closing(Ledger(tmp_path / LEDGER)) as ledger:
        schema = {"name": "Rubric", "schema": {"type": "object"}}
        request = {"messages": [["system", "Grade."], ["user", "A [red]row[/]"]], "schema": schema}
        call = Call("ab12" + "0" * 28, "judge", "judge@9", "row", 0, "openai:m", request)
        first = ledger.calls.begin_attempt(call.key, 1.0, Spending(1))
        ledger.calls.end_attempt(first, 0.25, "HTTP 500: overloaded", Spending(1))
        second = ledger.calls.begin_attempt(call.key, 2.0, Spending(1))
        answer = '{"reason": "Good.", "clarity": 99}'
        ledger.calls.add_call(replace(call, response=answer, attempts=2), second, Spending(1, 9))
    whole = command("trace", tmp_path, "ab12").stdout
    for told in ("HTTP 500: overloaded after 0.25s", "answered after", "A [red]row[/]", "not hit"):
        assert told in whole
    assert "(none: " in whole, "an answer that breaks the schema's bounds was no result"
    told = records(command("trace", tmp_path, "ab12", "--json"))[0]
    assert [a["outcome"] for a in told["attempts"]] == ["HTTP 500: overloaded", "answered"]
    assert told["result"] is None and told["problem"]
    assert "no call begins with ff" in command("trace", tmp_path, "ff", code=2).stderr


def test_vectors_are_shown_as_how_many_they_are(tmp_path, command):
    coded = base64.b64encode(bytes(3072)).decode()
    request = {"model": "m", "messages": [["text", "cook"], ["text", "sing"]], "max_tokens": 0}
    call = Call("ab12" + "0" * 28, "embedder", "embed@1", "2 texts", 0, "openai:m", request)
    with closing(Ledger(tmp_path / LEDGER)) as ledger:
        ledger.facts.update(run_id="a run")
        ledger.calls.add_call(replace(call, response=f"2 vectors of 384 float32: {coded}"))
        failed = replace(call, key="cd34" + "0" * 28, error="HTTP 500: overloaded")
        ledger.calls.add_call(failed)
        page = story_of(ledger, call.key).as_dict()
        [span, _], _ = call_spans(ledger, -1, content=True)
    listed = command("trace", tmp_path).stdout
    assert "ab12" in command("trace", tmp_path, "--grep", "SING").stdout
    assert "ab12" not in command("trace", tmp_path, "--grep", "AAAA").stdout
    assert "2 vectors of 384 float32" in listed and "HTTP 500: overloaded" in listed
    shown = [listed, command("trace", tmp_path, "ab12").stdout, page, span]
    shown += records(command("trace", tmp_path, "--json"))
    assert not any("AAAA" in str(each) for each in shown)
    assert page["call"]["response"] == "2 vectors of 384 float32"
    about = span.attributes
    assert (span.name, about["gen_ai.operation.name"]) == ("embeddings m", "embeddings")
    assert about["openinference.span.kind"] == "EMBEDDING"
    assert about["embedding.embeddings.1.embedding.text"] == "sing"
    assert about["output.value"] == "2 vectors of 384 float32"


@pytest.mark.slow
def test_tail_follows_a_run_until_it_ends(tmp_path, command):
    blank = Call("", "judge", "judge@1", "row", 0, "openai:m", {"messages": []}, "yes")

    def work():
        with held(tmp_path), closing(Ledger(tmp_path / LEDGER)) as ledger:
            ready.set()
            for i in range(6):
                ledger.calls.add_call(replace(blank, key=f"{i:032d}", started=float(i)))
                time.sleep(0.4)

    ready = threading.Event()
    thread = threading.Thread(target=work)
    thread.start()
    ready.wait()
    told = records(command("trace", tmp_path, "--tail", "--json"))
    assert not thread.is_alive() or thread.join(1) is None
    assert keys(told) == [f"{i:032d}" for i in range(6)]


def test_a_pager_that_is_left_ends_the_work(tmp_path, monkeypatch):
    seen = tmp_path / "seen"
    monkeypatch.setenv("LIFT_AGENT_PAGER", f"sh -c 'head -n 2 > {seen}'")
    made = 0
    with paged(Console(force_terminal=True, no_color=True, width=20)) as console:
        for i in range(100_000):
            made += 1
            print_line(console, Text(f"line {i} " + "x" * 40))
    assert made < 20_000
    assert [line.rstrip() for line in seen.read_text().splitlines()] == [
        "line 0 xxxxxxxxxxxx…",
        "line 1 xxxxxxxxxxxx…",
    ]
    monkeypatch.setenv("LIFT_AGENT_PAGER", "no-such-pager")
    plain = Console(force_terminal=True)
    with paged(plain) as console:
        assert console is plain
