"""Folders and files that belong to the user, not to a run."""

from __future__ import annotations

import os
from pathlib import Path

DEFAULT_FILE = Path("lift.toml")
NO_FILE = Path(os.devnull)  # where settings are to come from no file
CACHE_VARIABLE = "LIFT_AGENT_CACHE"


def cache_folder() -> Path:
    """The folder that all runs share: $LIFT_AGENT_CACHE, or in the user's cache folder."""
    import platformdirs

    folder = os.environ.get(CACHE_VARIABLE)
    return Path(folder) if folder else platformdirs.user_cache_path("lift-agent")
