"""The names of what a run folder holds."""

from __future__ import annotations

LEDGER = "ledger.sqlite"
VECTORS = "vectors"  # the embeddings of rows and prompts, made again from the ledger if need be
SOURCES = "sources"  # copies of what was read from standard input, a hub or a plugin
SETTINGS = "run.toml"
DATASET = "dataset.jsonl"
CARD = "README.md"
QUARANTINE = "quarantine.jsonl"
REPORT = "report.html"
LOCK = ".lock"
HOLDER = ".running.json"
