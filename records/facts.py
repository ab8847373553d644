"""What is known of a run as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

from .codes import StopReason


@dataclass(frozen=True, slots=True)
class RunFacts:
    """The facts of one run; a fact that was never recorded has its default.

    Args:
        run_id: the run's own name, "" before it began.
        settings: those with which it was last started, None before it began.
        fingerprints: SHA-256 of each source, by its name.
        target: rows that are wanted.
        extended: the target before it was raised, None if it never was.
        stop: why the run ended, None while it has not.
        seconds: time that the run has taken, over all its processes.
        estimate: what the run was thought to take, from low to high, by unit.
        replay_of: the folder of the run that this one replays, "" if it replays none.
        backends: what was found out of each model when it was opened, by its name.
        judge: who scores the rows: models by name, or a `Scorer`.
        judging: figures of the judge's scores.
        coverage: measures of the dataset and of other sets of rows, by set.
        longest: length in characters from which a row gets the full length score, None before
            the first row is judged.
        repeated: ids of the rows that are judged several times, None before they are drawn.
        otel_exported: number of the last call that was exported as a span, -1 before the first.
    """

    run_id: str = ""
    settings: Mapping[str, Any] | None = None
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    target: int = 0
    extended: int | None = None
    stop: StopReason | None = None
    seconds: float = 0.0
    estimate: Mapping[str, Any] = field(default_factory=dict)
    replay_of: str = ""
    backends: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    judge: str = ""
    judging: Mapping[str, Any] = field(default_factory=dict)
    coverage: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    longest: float | None = None
    repeated: Sequence[str] | None = None
    otel_exported: int = -1

    def setting(self, name: str, default: Any = None) -> Any:
        """A setting of the run, the default where it has none."""
        return (self.settings or {}).get(name, default)


class FactChanges(TypedDict, total=False):
    """Facts to record, by the names of `RunFacts`; None forgets one."""

    run_id: str
    settings: Mapping[str, Any]
    fingerprints: Mapping[str, str]
    target: int
    extended: int | None
    stop: StopReason | None
    seconds: float
    estimate: Mapping[str, Any]
    replay_of: str
    backends: Mapping[str, Mapping[str, Any]]
    judge: str
    judging: Mapping[str, Any]
    coverage: Mapping[str, Mapping[str, Any]]
    longest: float | None
    repeated: Sequence[str] | None
    otel_exported: int
