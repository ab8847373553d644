"""Why a run ends."""

from __future__ import annotations

from typing import Literal

StopReason = Literal["target", "budget", "rounds", "saturated", "errors", "interrupted"]
