"""Every error that lift-agent raises on purpose.

LiftAgentError                 exit code 1
├── UsageError                 2   the command line, a setting or a file name is wrong
├── SourceError                1   no usable row in a source file
├── ModelError                 1   the chat model or embedder cannot be used at all
├── RunFolderError             1   the run folder is locked, unreadable or of another run
└── RunStopped                     carries the reason for which a run ends early
    ├── BudgetReached          3   a cap would be crossed by the next call
    ├── TooManyErrors          3   too large a share of the calls fails
    └── Interrupted            130 the user pressed Ctrl-C

Messages are one sentence for a person: what was wrong, where, and what to do.
Only ``cli.py`` turns them into exit codes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .records import StopReason


class LiftAgentError(Exception):
    """Base of all errors with a message meant for the user."""

    exit_code = 1


class UsageError(LiftAgentError):
    """A wrong flag, setting or file name."""

    exit_code = 2


class SourceError(LiftAgentError):
    """A source file from which no row can be used."""


class ModelError(LiftAgentError):
    """A model that cannot be used at all: missing package, wrong key, unknown name."""


class RunFolderError(LiftAgentError):
    """A run folder that cannot be used: locked, unreadable, or holding another run."""


class RunStopped(LiftAgentError):
    """The run has to end before its target; `reason` is one of the stop reasons."""

    exit_code = 3
    reason: StopReason = "errors"


class BudgetReached(RunStopped):
    """The next call could cross a cap."""

    reason: StopReason = "budget"


class TooManyErrors(RunStopped):
    """More calls fail than the settings allow."""

    reason: StopReason = "errors"


class Interrupted(RunStopped):
    """The user asked the run to stop; it can be resumed."""

    exit_code = 130
    reason: StopReason = "interrupted"
