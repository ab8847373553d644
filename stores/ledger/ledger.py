"""The ledger: one SQLite file that is the single source of truth of a run.

Every write is an idempotent upsert in one transaction, so that a stage that is run again after
a crash changes nothing that is already there. A stage is done when its rows say so here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ...records.codes import Reason
from .batches import Batches
from .calls import Calls
from .database import Database
from .dataset import Dataset
from .facts import Facts
from .judgements import Judgements
from .rounds import Rounds
from .rows import Rows
from .sources import Sources


class Ledger:
    """The records of one run, by what they are about."""

    def __init__(self, path: Path, *, sync: str = "normal") -> None:
        """Open the ledger at `path`, creating it if it is not there.

        What is committed survives the end of the process (sync = normal), or a power cut too
        (sync = full).

        Raises:
            RunFolderError: the file cannot be opened, or is of a newer lift-agent.
        """
        self.path = path
        self._db = Database(path, sync=sync)
        self.facts = Facts(self._db)
        self.sources = Sources(self._db)
        self.rows = Rows(self._db)
        self.rounds = Rounds(self._db)
        self.judgements = Judgements(self._db)
        self.dataset = Dataset(self._db)
        self.calls = Calls(self._db)
        self.batches = Batches(self._db)

    def read(self, sql: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """What a query brings, one by one: for the modules of `queries`, which only read."""
        return self._db.execute(sql, values)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def copy_sources(self, other: Ledger) -> None:
        """Take over what another run read from its sources."""
        self.rows.add(other.rows.find(origin="seed"))
        self.sources.add_unusable(enumerate(other.sources.unusable()))
        self.sources.add_target_prompts(other.sources.target_prompts("toward"))
        self.sources.add_benchmarks(enumerate(other.sources.benchmarks()))
        self.sources.add(other.sources.all())

    def reopen(self, round: int) -> None:
        """Undo what was decided from a round on that was cut short, so that it is decided whole.

        The answers stay, so deciding again costs nothing; what failed by its call is tried again.
        """
        with self._db.transaction() as db:
            db.execute(
                "UPDATE tasks SET outcome = '', reason = '', detail = ''"
                " WHERE outcome = 'quarantined' AND round >= ?",
                (round,),
            )
            for table in ("checks", "verdicts", "scores"):
                db.execute(
                    f"DELETE FROM {table} WHERE row IN (SELECT id FROM rows WHERE round >= ?)",
                    (round,),
                )
            db.execute(
                "UPDATE rows SET status = 'new', reason = '', detail = '' WHERE round >= ?",
                (round,),
            )
            db.execute("DELETE FROM duels")
            db.execute(
                "UPDATE rows SET status = 'accepted', reason = '', detail = ''"
                " WHERE reason = ? AND id IN (SELECT json_extract(parents, '$[0]') FROM rows"
                "  WHERE strategy = 'answer' AND round >= ?)",
                (Reason.REPLACED, round),
            )
            if round == 0:
                db.execute("DELETE FROM meta WHERE name IN ('longest', 'repeated')")
