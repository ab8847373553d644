"""What is asked of the libraries below before they load."""

from __future__ import annotations

import os


def quieten_libraries() -> None:
    """Keep libraries from printing over the screen and from calling home."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ["ANONYMIZED_TELEMETRY"] = "False"
