"""The state machine of a recipe, as lines for the terminal."""

from __future__ import annotations

from collections.abc import Iterable


def drawing(edges: Iterable[tuple[str, str]]) -> str:
    """Draw a state machine as lines of text: each node with the nodes that may follow.

    Args:
        edges: pairs of nodes, the later of which may follow the earlier; the machine begins at
            ``__start__`` and ends at ``__end__``.
    """
    after: dict[str, list[str]] = {}
    for source, target in edges:
        after.setdefault(source, []).append(target)
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
