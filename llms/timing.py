"""How long is waited for servers; in seconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """The times that the gateway's parts wait; the defaults suit servers of any provider.

    `longest_wait` is the most between two attempts after a fault that passes. Where a server
    refuses for its limit and does not say for how long, `first_backoff` is waited first, then
    longer, up to `longest_backoff`; a server that only refuses for `patience` stops the run.
    `notice` is the least time between two messages about a model's limit. `batch_retry` is the
    first wait after a fault of a batch endpoint, and a batch that was submitted is listed by
    its provider after `batch_listed` at the latest.
    """

    longest_wait: float = 60.0
    first_backoff: float = 0.5
    longest_backoff: float = 60.0
    patience: float = 900.0
    notice: float = 30.0
    batch_retry: float = 0.5
    batch_listed: float = 10.0
