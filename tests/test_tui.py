"""The full-screen trace, by Textual's own pilot."""

import asyncio
from contextlib import closing

import pytest
from textual.widgets import Input, Static, Tree

from lift_agent.stores.layout import LEDGER
from lift_agent.stores.ledger import Ledger
from lift_agent.stores.queries.calls import CallFilter, CallLine
from lift_agent.views.tui import TraceApp


@pytest.mark.slow
def test_the_tree_opens_a_call_is_shown_and_a_search_narrows_it(inspected):
    with closing(Ledger(inspected / LEDGER)) as ledger:
        app = TraceApp(ledger, inspected, CallFilter())
        asyncio.run(look_around(app, ledger))


async def look_around(app, ledger):
    async with app.run_test(size=(160, 50)) as pilot:
        tree = app.query_one(Tree)
        agents = [agent for round in tree.root.children for agent in round.children]
        assert len(agents) == len({(c.round, c.agent) for c in ledger.calls.find()})
        await pilot.press("down", "down", "enter", "down", "down")
        await pilot.pause()
        shown = tree.cursor_node.data
        assert isinstance(shown, CallLine)
        said = str(app.query_one("#call", Static).render())
        assert shown.key in said
        assert ledger.calls.call(shown.key).response.split(",")[0] in said
        await pilot.press("slash", *"number 17", "enter")
        await pilot.pause()
        assert not app.query_one(Input).has_class("open")
        found = [c for c in ledger.calls.find() if "number 17" in str(c.request) + c.response]
        assert str(tree.root.label).startswith(f"{len(found)} call")
        await pilot.press("slash", *"no such text anywhere", "enter")
        await pilot.pause()
        assert str(tree.root.label) == "no such call"
