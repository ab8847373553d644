"""How a run is told to stop."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import Interrupted


@dataclass(slots=True)
class StopSignal:
    """Set by Ctrl-C: no new call begins, those in flight finish."""

    stopped: bool = False

    def check(self) -> None:
        """Raise Interrupted when it is set."""
        if self.stopped:
            raise Interrupted("stopped by the user")
