"""The four agents: what each asks a model, and what it decides from the answer."""
