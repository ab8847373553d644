"""The trace in a full screen: the tree on the left, a call on the right, a search below."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import ClassVar

from rich.console import Console
from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Footer, Header, Input, Static, Tree
from textual.widgets.tree import TreeNode

from ..stores.ledger import Ledger
from ..stores.queries.calls import About, CallFilter, CallLine, Group, by_subject, groups
from .call import print_call, story_of
from .format import inert
from .trace import about_line, call_line, counts, when

_MORE = 200  # tasks that are added to the tree at once

Found = Iterator[tuple[About, list[CallLine]]]
Data = Group | Found | CallLine | None  # an agent, the rest of its tasks, a call


class TraceApp(App[None]):
    """Shows a run's calls; arrows and Enter walk the tree, / searches, q leaves."""

    CSS = """
    Tree { width: 45%; border-right: solid $primary; }
    VerticalScroll { padding: 0 1; }
    Input { display: none; dock: bottom; }
    Input.open { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "Search", key_display="/"),
        Binding("escape", "close_search", "Back", show=False),
        Binding("q", "quit", "Quit"),
    ]
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, ledger: Ledger, folder: Path, wanted: CallFilter) -> None:
        super().__init__()
        self.title = inert(str(folder))
        self._ledger = ledger
        self._wanted = wanted

    def compose(self) -> ComposeResult:
        """The parts of the screen."""
        yield Header()
        with Horizontal():
            yield Tree[Data](Text("run"))
            with VerticalScroll(can_focus=True):
                yield Static(Text("Choose a call.", style="dim"), id="call")
        yield Input(placeholder="text in a prompt or an answer; empty for all calls")
        yield Footer()

    def on_mount(self) -> None:
        """Fill the tree."""
        self._fill(self._wanted.text)
        self.query_one(Tree).focus()

    def action_search(self) -> None:
        """Open the field for the text to search."""
        field = self.query_one(Input)
        field.add_class("open")
        field.focus()

    def action_close_search(self) -> None:
        """Close it again."""
        self.query_one(Input).remove_class("open")
        self.query_one(Tree).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Show only the calls with this text."""
        self._fill(event.value)
        self.action_close_search()

    def on_tree_node_expanded(self, event: Tree.NodeExpanded[Data]) -> None:
        """Read an agent's calls when they are looked at."""
        node = event.node
        if isinstance(node.data, Group) and not node.children:
            self._add(node, by_subject(self._ledger, node.data, self._wanted))

    def on_tree_node_selected(self, event: Tree.NodeSelected[Data]) -> None:
        """Add the next tasks, where that was chosen."""
        node = event.node
        if isinstance(node.data, Iterator) and node.parent:
            rest, parent = node.data, node.parent
            node.remove()
            self._add(parent, rest)

    def on_tree_node_highlighted(self, event: Tree.NodeHighlighted[Data]) -> None:
        """Show the call under the cursor."""
        if isinstance(event.node.data, CallLine):
            pane = self.query_one(VerticalScroll)
            self.query_one("#call", Static).update(self._whole(event.node.data.key, pane))
            pane.scroll_home(animate=False)

    def _fill(self, text: str) -> None:
        w = self._wanted
        self._wanted = CallFilter(w.agent, w.round, w.status, w.subjects, text)
        found = groups(self._ledger, self._wanted)
        tree: Tree[Data] = self.query_one(Tree)
        tree.reset(Text(counts(found) if found else "no such call"))
        for round in sorted({group.round for group in found}):
            own = [group for group in found if group.round == round]
            place = tree.root.add(Text(when(round), style="bold"), expand=True)
            for group in own:
                label = Text.assemble((inert(group.agent), "cyan"), "  ", counts([group]))
                place.add(label, data=group)
        tree.root.expand()

    def _add(self, node: TreeNode[Data], found: Found) -> None:
        for about, calls in islice(found, _MORE):
            place = node.add(Text(about_line(about, ()).plain.strip()), expand=True)
            for call in calls:
                place.add_leaf(call_line(call), data=call)
        if len(node.children) % _MORE == 0 and node.children:
            node.add_leaf(Text("… more", style="italic"), data=found)

    def _whole(self, key: str, pane: VerticalScroll) -> Text:
        page = io.StringIO()
        width = max(40, pane.content_size.width)
        print_call(
            story_of(self._ledger, key), Console(file=page, width=width, force_terminal=True)
        )
        return Text.from_ansi(page.getvalue())
