"""lift-agent: broaden an instruction dataset, remove redundancy, keep the best N rows."""

__version__ = "0.1.0"
