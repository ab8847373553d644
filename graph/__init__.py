"""The LangGraph state machine that runs the agents over the stores."""
