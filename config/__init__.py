"""The settings of a run: what there is, how it is written, where it comes from."""

from .paths import CACHE_VARIABLE, DEFAULT_FILE, NO_FILE, cache_folder
from .resolving import resolve
from .settings import EMBEDDED, IN_FILES, MAY_CHANGE, SECTIONS, Agent, Recipe, RunConfig
from .values import setting_shown

__all__ = [
    "CACHE_VARIABLE",
    "DEFAULT_FILE",
    "EMBEDDED",
    "IN_FILES",
    "MAY_CHANGE",
    "NO_FILE",
    "SECTIONS",
    "Agent",
    "Recipe",
    "RunConfig",
    "cache_folder",
    "resolve",
    "setting_shown",
]
