"""The records of a run: what the agents decide about and the stores keep."""

from .calls import Attempt, Batch, BatchItem, Call, Spending
from .judgements import LEAKS, Check, Duel, Score, Verdict
from .planning import Subspace, Tally, Task, TrackRecord
from .rows import (
    BenchmarkItem,
    Fate,
    Mapped,
    Origin,
    Point,
    Reference,
    ReferenceKind,
    Rejected,
    Row,
    Status,
    Strategy,
    reference_id,
    row_id,
)
from .stopping import StopReason

__all__ = [
    "LEAKS",
    "Attempt",
    "Batch",
    "BatchItem",
    "BenchmarkItem",
    "Call",
    "Check",
    "Duel",
    "Fate",
    "Mapped",
    "Origin",
    "Point",
    "Reference",
    "ReferenceKind",
    "Rejected",
    "Row",
    "Score",
    "Spending",
    "Status",
    "StopReason",
    "Strategy",
    "Subspace",
    "Tally",
    "Task",
    "TrackRecord",
    "Verdict",
    "reference_id",
    "row_id",
]
