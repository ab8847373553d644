"""The models of a run, behind the gateways through which its agents ask them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ..agents.smoke_test import ask_for_text
from ..config import RunConfig
from ..errors import RunStopped
from ..llms.backend import Backend
from ..llms.batches.batcher import Batcher
from ..llms.budget import Budget
from ..llms.calls import CallGateway
from ..llms.gateway import Gateway
from ..llms.messages import Usage
from ..llms.ports import CallCache, ModelBackend
from ..llms.providers import FIRST_CONCURRENCY
from ..llms.stopping import StopSignal
from ..llms.throttle import Throttle
from ..llms.timing import Timing
from ..records import Call
from ..records.events import CallAnswered, Emit, ModelOpening, ModelTried, TrialFailed
from ..stores.cache import SharedCache
from ..stores.ledger import Ledger
from .batching import batcher_of
from .models import check_price, is_embedded, keep_identity, open_named
from .recording import Recording

AnyGateway = TypeVar("AnyGateway", bound=CallGateway[Any])


@dataclass(slots=True)
class AnnouncedUsage(Usage):
    """Counts what is spent, and announces it."""

    emit: Emit = field(kw_only=True)

    def add(self, call: Call) -> None:
        """Count a call."""
        Usage.add(self, call)
        self.emit(CallAnswered(call.input_tokens, call.output_tokens, call.cost))


class RunModels:
    """The models of a run, each opened once, behind gateways that share one budget."""

    def __init__(
        self,
        config: RunConfig,
        ledger: Ledger,
        emit: Emit,
        stop_signal: StopSignal,
        budget: Budget,
        shared: SharedCache | None,
        recording: Recording | None,
        timing: Timing | None,
    ) -> None:
        """Take what all gateways share; a `recording` takes the place of the models."""
        self.recording = recording
        self._config = config
        self._ledger = ledger
        self._emit = emit
        self._stop_signal = stop_signal
        self._budget = budget
        self._shared = shared
        self._timing = timing
        self._cache: CallCache | None = recording.calls if recording else shared
        self._usage = AnnouncedUsage(emit=emit)
        self._gateways: dict[str, Gateway] = {}
        self._backends: list[ModelBackend] = []
        self._batchers: list[Batcher] = []

    def gateway(self, name: str) -> Gateway | None:
        """The gateway to the model that the settings call `name`; "none" has none."""
        if name == "none":
            return None
        if name not in self._gateways:
            self._emit(ModelOpening(name))
            recording = self.recording
            backend = recording.backend(name) if recording else open_named(name, self._config)
            self._gateways[name] = self.gateway_to(name, backend, Gateway)
        return self._gateways[name]

    def gateway_to(
        self, name: str, backend: ModelBackend, kind: Callable[..., AnyGateway]
    ) -> AnyGateway:
        """The gateway to an opened backend, which keeps the identity that it had in this run."""
        config, table = self._config, self._config.table(name)
        self._backends.append(backend)
        check_price(backend, config)
        self._identify(name, backend)
        if self._shared and isinstance(backend, Backend):
            backend.capabilities.open(self._shared, f"{backend.name} {backend.identity}")
        return kind(
            backend,
            self._ledger.calls,
            self._budget,
            self._throttle(name, backend),
            cache=self._cache,
            batcher=self._batcher(backend),
            timeout=(table and table.timeout) or config.timeout,
            seed=config.seed,
            max_error_rate=config.max_error_rate,
            stop_signal=self._stop_signal,
            usage=self._usage,
            timing=self._timing,
        )

    def _identify(self, name: str, backend: ModelBackend) -> None:
        """Note the facts of a model, which keeps its identity."""
        known = self._ledger.facts.read().backends
        before = self.recording.backends if self.recording else known
        keep_identity(backend, before.get(name))
        self._ledger.facts.update(backends={**known, name: backend.facts()})

    def _batcher(self, backend: ModelBackend) -> Batcher | None:
        if self.recording:
            return None
        batcher = batcher_of(
            backend,
            self._config,
            self._ledger,
            self._budget,
            self._stop_signal,
            self._cache,
            emit=self._emit,
            timing=self._timing,
        )
        if batcher:
            self._batchers.append(batcher)
        return batcher

    def _throttle(self, name: str, backend: ModelBackend) -> Throttle:
        config, table = self._config, self._config.table(name)
        own = table and table.concurrency
        most = own or config.concurrency or backend.concurrency

        def check() -> None:
            self._stop_signal.check()
            self._budget.check_time()

        return Throttle(
            backend.name,
            most,
            start=None if own or config.concurrency else min(FIRST_CONCURRENCY, most),
            rpm=(table and table.rpm) or config.rpm,
            tpm=(table and table.tpm) or config.tpm,
            check=check,
            timing=self._timing,
        )

    async def try_all(self) -> None:
        """Before anything is read or paid for, see that the models on servers answer.

        Raises:
            ModelError: a model cannot be used at all.
        """
        for gateway in self._gateways.values():
            if is_embedded(gateway.backend):
                continue
            name = gateway.backend.name
            self._emit(ModelTried(name))
            try:
                fault = await ask_for_text(gateway)
            except RunStopped:  # the first node will meet it, too
                return
            if fault:
                self._emit(TrialFailed(name, fault))

    async def close(self) -> None:
        """Close the batches and the models."""
        for batcher in self._batchers:
            await batcher.close()
        for backend in self._backends:
            if backend.close:
                await backend.close()
