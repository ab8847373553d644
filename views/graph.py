"""The state machine of a recipe, for the terminal and as Mermaid."""

from __future__ import annotations

from ..graph.build import build_graph


def mermaid(recipe: str) -> str:
    """Return the graph as Mermaid, as LangGraph draws it."""
    return build_graph(recipe).get_graph().draw_mermaid()


def drawing(recipe: str) -> str:
    """Return the graph as lines of text: each node with the nodes that may follow."""
    graph = build_graph(recipe).get_graph()
    after: dict[str, list[str]] = {}
    for edge in graph.edges:
        after.setdefault(edge.source, []).append(edge.target)
    order, queue = list[str](), ["__start__"]
    while queue:
        name = queue.pop(0)
        if name in order or name == "__end__":
            continue
        order.append(name)
        queue = [*after.get(name, []), *queue]
    width = max(len(name) for name in order)
    lines = []
    for name in order:
        followers = sorted(after.get(name, []), key=lambda n: (n == "__end__", n))
        marks = [
            f"{follower} (back)" if follower in order[: order.index(name)] else follower
            for follower in followers
        ]
        lines.append(f"{name:<{width}}  →  {'  or  '.join(marks)}")
    return "\n".join(lines)
