"""Writes down what the agents' rules decided about rows."""

from __future__ import annotations

from collections.abc import Iterable

from ..agents.acceptance import Decision
from ..stores.ledger import Ledger


def apply(decisions: Iterable[Decision], ledger: Ledger) -> None:
    """Give each row the status that was decided, with the reason."""
    ledger.rows.set_statuses((row, status, reason or "") for row, status, reason in decisions)
