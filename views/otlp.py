"""Hands a run's spans to OpenTelemetry: to a collector while it runs, or to a file."""

from __future__ import annotations

import base64
import json
import logging
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..errors import UsageError
from ..redaction import without_credentials
from ..stores.folder import opened_ledger
from ..stores.layout import LEDGER
from ..stores.ledger import Ledger
from .spans import Span, call_spans, outer_spans, trace_id

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

logger = logging.getLogger(__name__)

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_EVERY = 2.0  # seconds between two exports
_BATCH = 500  # spans in a line of the file


def is_wanted(otel: bool | None) -> bool:
    """Whether to export: as the flag says, else if the standard variables name a collector."""
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if otel is None:
        return not disabled and any(os.environ.get(name) for name in _ENDPOINTS)
    return otel


def with_content(flag: bool) -> bool:
    """Whether to export what was asked and answered: by the flag or the standard variable."""
    said = os.environ.get(_CONTENT, "").lower()
    return flag or said in ("true", "1", "span_only", "span_and_event")


@contextmanager
def exported(folder: Path, *, content: bool) -> Iterator[None]:
    """Export the calls of the run in a folder as they come in, and the whole when it ends.

    A collector that cannot be reached costs the run nothing: that is logged once.

    Raises:
        UsageError: the extra is not installed.
    """
    sender, done = _Sender(folder, content), threading.Event()

    def work() -> None:
        while not done.wait(_EVERY):
            sender.send()

    thread = threading.Thread(target=work, name="otel", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        sender.send(last=True)
        sender.close()


class _Sender:
    """Sends what has not been sent yet, by OTLP over HTTP."""

    def __init__(self, folder: Path, content: bool) -> None:
        need_package()
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # ours is enough
        self._folder = folder
        self._content = content
        self._exporter = OTLPSpanExporter()
        self._told = False

    def send(self, *, last: bool = False) -> None:
        """Send the calls that came in; the last time, the spans around them, too."""
        if not (self._folder / LEDGER).is_file():
            return
        try:
            with opened_ledger(self._folder) as ledger:
                self._send(ledger, last)
        except Exception as error:  # whatever the collector, the ledger's lock or a proxy does
            self._complain(f"{type(error).__name__}: {error}")

    def _send(self, ledger: Ledger, last: bool) -> None:
        after = ledger.facts.read().otel_exported
        while True:
            spans, number = call_spans(ledger, after, content=self._content)
            if not spans:
                break
            if not self._export(ledger, spans):
                return
            after = number
            ledger.facts.update(otel_exported=after)
        if last:
            self._export(ledger, list(outer_spans(ledger)))

    def _export(self, ledger: Ledger, spans: Sequence[Span]) -> bool:
        from opentelemetry.sdk.trace.export import SpanExportResult

        sent = self._exporter.export(list(_readable(ledger, spans)))
        if sent is not SpanExportResult.SUCCESS:
            self._complain("no collector accepted them")
            return False
        return True

    def _complain(self, why: str) -> None:
        if not self._told:
            self._told = True
            where = next(filter(None, map(os.environ.get, _ENDPOINTS)), "http://localhost:4318")
            logger.warning(
                "spans cannot be exported to %s (%s): the run continues, and lift-agent trace DIR "
                "--otlp FILE has them all",
                without_credentials(where),
                why,
            )

    def close(self) -> None:
        """Close the connection."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]


def write_spans(ledger: Ledger, path: Path, *, content: bool) -> int:
    """Write all spans of a run as OTLP in JSON, one request a line; return how many.

    Raises:
        UsageError: the extra is not installed.
    """
    need_package()
    from google.protobuf.json_format import MessageToDict
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

    count, spans = 0, _all(ledger, content)
    with path.open("w", encoding="utf-8") as file:
        while batch := list(islice(spans, _BATCH)):
            request = encode_spans(list(_readable(ledger, batch)))
            told = MessageToDict(request, use_integers_for_enums=True)
            file.write(json.dumps(_with_hex_ids(told), ensure_ascii=False) + "\n")
            count += len(batch)
    return count


def _all(ledger: Ledger, content: bool) -> Iterator[Span]:
    yield from outer_spans(ledger)
    after = -1
    while True:
        spans, after = call_spans(ledger, after, content=content)
        if not spans:
            return
        yield from spans


def need_package() -> None:
    """Check that the extra is installed.

    Raises:
        UsageError: it is not.
    """
    try:
        import opentelemetry.exporter.otlp.proto.http  # noqa: F401
    except ImportError:
        raise UsageError(
            'exporting spans needs a package: pip install "lift-agent[otel]"'
        ) from None


def _readable(ledger: Ledger, spans: Iterable[Span]) -> Iterator[ReadableSpan]:
    """Spans as OpenTelemetry's exporters take them."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import Event, ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": "lift-agent"}
    resource = Resource.create({**named, "service.version": __version__})
    scope = InstrumentationScope("lift_agent", __version__)
    trace = trace_id(ledger)

    def context(id: int) -> SpanContext:
        return SpanContext(trace, id, is_remote=False, trace_flags=TraceFlags(1))

    for span in spans:
        yield ReadableSpan(
            span.name,
            context(span.id),
            context(span.parent) if span.parent is not None else None,
            resource,
            span.attributes,
            [Event(e.name, e.attributes, _nanoseconds(e.time)) for e in span.events],
            kind=SpanKind.CLIENT if span.outgoing else SpanKind.INTERNAL,
            status=Status(StatusCode.ERROR, span.error) if span.error else Status(),
            start_time=_nanoseconds(span.start),
            end_time=_nanoseconds(span.end),
            instrumentation_scope=scope,
        )


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)


def _with_hex_ids(value: Any) -> Any:
    """OTLP in JSON writes ids in hexadecimal, unlike other bytes."""
    if isinstance(value, list):
        return [_with_hex_ids(item) for item in value]
    if not isinstance(value, dict):
        return value
    ids = ("traceId", "spanId", "parentSpanId")
    return {
        name: base64.b64decode(item).hex() if name in ids else _with_hex_ids(item)
        for name, item in value.items()
    }
