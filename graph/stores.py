"""The stores of a run, as its nodes share them."""

from __future__ import annotations

from dataclasses import dataclass

from ..stores.ledger import Ledger
from ..stores.vectors import VectorStore


@dataclass(frozen=True, slots=True)
class RunStores:
    """The ledger, the vectors of the rows, and those of target prompts and benchmarks."""

    ledger: Ledger
    vectors: VectorStore
    target_vectors: VectorStore
