"""What models and strangers wrote comes out as text that commands nothing."""

import json
import re
import unicodedata
from contextlib import closing
from dataclasses import replace

import pytest

from lift_agent.records import Call, GenerationTask, Row, Score, Spending, Subspace, Verdict, Why
from lift_agent.stores.layout import LEDGER
from lift_agent.stores.ledger import Ledger

EVIL = (
    "\x1b[2J\x1b]0;title\x07\x1b]8;;http://evil\x1b\\link [red]markup[/red] [link=http://e]x[/] "
    "\u202egnp.exe\u202c \u2066iso\u2069 nul\x00 bell\x07 back\x08\x7f cr\rover \x9b31m \ud800 "
    "line\u2028sep\u2029 <script>alert(1)</script> ~END~ "
)
LONG = "x" * 1_000_000
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def storable(text):
    """As the readers let it in: half a character is never stored."""
    return text.encode("utf-8", "replace").decode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of a run whose every text is hostile."""
    run = tmp_path_factory.mktemp("hostile") / "run"
    run.mkdir()
    evil = storable(EVIL)
    with closing(Ledger(run / LEDGER)) as ledger:
        seed = Row("a" * 16, 0, evil + LONG, evil, evil * 3, evil, ((evil, evil),), source=evil)
        made = Row("b" * 16, 1, evil, "", LONG + evil, origin="generated", source="", round=1)
        made = replace(made, strategy="fusion", parents=(seed.id,), subspace="s-1")
        ledger.rows.add([seed])
        settings = {"llm": evil, evil: evil}
        ledger.facts.update(stop=evil, judge=evil, run_id=evil, settings=settings, target=2)
        place = Subspace("s-1", 1, (1.0,), 0.1, 1.0, (), (), evil, evil, 1, given_up=evil)
        ledger.rounds.plan(
            1, [place], [GenerationTask("r1-1", 1, 1, "fusion", (seed.id,), "s-1", evil)]
        )
        ledger.rounds.finish_task("r1-1", "row", Why(evil, evil), evil, made)
        ledger.rows.set_landing({made.id: (True, 0.05)})
        ledger.judgements.add_verdicts([Verdict(made.id, False, evil, seed.id, 0.9, evil)])
        ledger.judgements.add_scores(
            [Score(made.id, 9, 9, 9, {evil: 3.0}, evil, judgements=(9.0, 9.0))]
        )
        ledger.rows.set_statuses([(made.id, "accepted", evil)])
        schema = {"name": evil, "schema": {"type": "object", evil: evil}}
        request = {"messages": [[evil, evil], ["user", evil + LONG]], "schema": schema, evil: evil}
        told = json.dumps({evil: evil, "reason": LONG}, ensure_ascii=False)
        call = Call("c" * 32, evil, evil, "r1-1", 1, evil, request, told, evil)
        attempt = ledger.calls.begin_attempt(call.key, 1.0, Spending(1))
        ledger.calls.end_attempt(attempt, 1.0, evil, Spending(1))
        ledger.calls.add_call(call)
        ledger.calls.add_call(replace(call, key="d" * 32, subject=evil, error=evil + LONG))
        ledger.calls.add_call(replace(call, key="e" * 32, subject=made.id, response=evil))
        ledger.rounds.close(1, 1)
    return run


COMMANDS = [
    ["trace", "{}"],
    ["trace", "{}", "c" * 32],
    ["trace", "{}", "d" * 32],
    ["trace", "{}", "--slowest"],
    ["trace", "{}", "--tail"],
    ["why", "{}", "b" * 16],
    ["why", "{}", "a" * 16],
    ["why", "{}", "~END~"],
    ["subspaces", "{}"],
    ["diff", "{}", "{}"],
]


@pytest.mark.slow
@pytest.mark.parametrize("args", COMMANDS, ids=" ".join)
def test_hostile_text_comes_out_inert(args, folder, command):
    done = command(*(arg.format(folder) for arg in args))
    assert not list(commanding(done.stdout + done.stderr))
    assert "[red]markup[/red]" in done.stdout or args[0] == "diff"


def test_colours_are_the_only_commands_of_a_coloured_story(folder, command):
    shown = command("why", folder, "b" * 16, NO_COLOR="", FORCE_COLOR="1", PAGER="cat").stdout
    assert COLOUR.search(shown)
    assert not list(commanding(COLOUR.sub("", shown)))


@pytest.mark.parametrize("args", [["trace", "{}"], ["why", "{}", "b" * 16], ["subspaces", "{}"]])
def test_as_json_it_is_escaped(args, folder, command):
    done = command(*(arg.format(folder) for arg in args), "--json")
    assert done.stdout.isascii()
    assert all(json.loads(line) for line in done.stdout.splitlines())


def test_a_call_does_not_flood_a_list_with_a_line_of_a_million_characters(folder, command):
    for args in (["trace", folder], ["trace", folder, "--slowest"], ["subspaces", folder]):
        assert max(map(len, command(*args).stdout.splitlines())) < 2000


def commanding(text):
    """The characters of a text that a terminal would obey."""
    for c in text:
        if c not in "\n\t" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"):
            yield c
