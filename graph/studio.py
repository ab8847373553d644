"""The compiled graphs, for LangGraph's own tools (see ``langgraph.json``)."""

from .build import lift_graph, paper_graph

lift = lift_graph()
paper = paper_graph()
