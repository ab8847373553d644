"""The ledger of a run, by what its records are about."""

from .database import contains
from .ledger import Ledger
from .schema import MIGRATIONS

__all__ = ["MIGRATIONS", "Ledger", "contains"]
