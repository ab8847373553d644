"""The state machine, as the paragraph that describes it."""

from __future__ import annotations

from typing import Any, Literal

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from . import nodes, paper
from .state import RunContext, RunInput, RunState

Graph = CompiledStateGraph[RunState, RunContext, RunInput, RunState]


def after_select(state: RunState) -> Literal["analyze", "export"]:
    """Go round again until there is a reason to stop."""
    return "export" if state["stop"] else "analyze"


def lift_graph(checkpointer: BaseCheckpointSaver[Any] | None = None) -> Graph:
    """Build the loop of the recipes lift and curate.

    The seeds are embedded, screened, cleared of duplicates, judged and counted; then each round
    finds sparse subspaces, generates rows into them, and takes these the same way.
    """
    graph = StateGraph(RunState, context_schema=RunContext, input_schema=RunInput)
    graph.add_node("ingest", nodes.ingest)
    graph.add_node("embed", nodes.embed)
    graph.add_node("screen", nodes.screen)
    graph.add_node("deduplicate", nodes.deduplicate)
    graph.add_node("judge", nodes.judge)
    graph.add_node("select", nodes.select)
    graph.add_node("analyze", nodes.analyze)
    graph.add_node("generate", nodes.generate)
    graph.add_node("export", nodes.export)

    graph.add_edge(START, "ingest")
    graph.add_edge("ingest", "embed")
    graph.add_edge("embed", "screen")
    graph.add_edge("screen", "deduplicate")
    graph.add_edge("deduplicate", "judge")
    graph.add_edge("judge", "select")
    graph.add_conditional_edges("select", after_select)
    graph.add_edge("analyze", "generate")
    graph.add_edge("generate", "embed")
    graph.add_edge("export", END)
    return graph.compile(checkpointer=checkpointer, name="lift")


def paper_graph(checkpointer: BaseCheckpointSaver[Any] | None = None) -> Graph:
    """Build the recipe paper: k rounds of rewriting, row variance, judge, top N."""
    graph = StateGraph(RunState, context_schema=RunContext, input_schema=RunInput)
    graph.add_node("ingest", nodes.ingest)
    graph.add_node("rewrite", paper.rewrite)
    graph.add_node("embed", nodes.embed)
    graph.add_node("keep_varied", paper.keep_varied)
    graph.add_node("judge", nodes.judge)
    graph.add_node("select", nodes.select)
    graph.add_node("export", nodes.export)

    graph.add_edge(START, "ingest")
    graph.add_edge("ingest", "rewrite")
    graph.add_edge("rewrite", "embed")
    graph.add_edge("embed", "keep_varied")
    graph.add_edge("keep_varied", "judge")
    graph.add_edge("judge", "select")
    graph.add_edge("select", "export")
    graph.add_edge("export", END)
    return graph.compile(checkpointer=checkpointer, name="paper")


def build_graph(recipe: str, checkpointer: BaseCheckpointSaver[Any] | None = None) -> Graph:
    """Build the state machine of a recipe."""
    return paper_graph(checkpointer) if recipe == "paper" else lift_graph(checkpointer)
