"""lift-agent from Python: run the loop, or use one of its parts on rows that are in memory."""

from .comparing import CoverageTable, coverage
from .curation import Deduplicated, Duplicate, Selected, deduplicate, select
from .reading import Unusable, read_rows
from .runs import Run, arun, run

__all__ = [
    "CoverageTable",
    "Deduplicated",
    "Duplicate",
    "Run",
    "Selected",
    "Unusable",
    "arun",
    "coverage",
    "deduplicate",
    "read_rows",
    "run",
    "select",
]
