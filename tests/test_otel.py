"""Spans of a run: at a real receiver on loopback, and in a file."""

import json
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from support import SCRIPTED

from lift_agent.stores.layout import LEDGER
from lift_agent.stores.ledger import Ledger
from lift_agent.views.otlp import write_spans


class Receiver(BaseHTTPRequestHandler):
    """Takes OTLP over HTTP as a collector does, and keeps what came."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.server.requests.append(self.path)
        if self.path == "/v1/traces":
            assert self.headers["Content-Type"] == "application/x-protobuf"
            self.server.exports.append(ExportTraceServiceRequest.FromString(body))
        answer = ExportTraceServiceResponse().SerializeToString()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_PATCH = do_POST

    def log_message(self, *_):
        pass


@pytest.fixture
def receiver():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.exports, server.requests = [], []
    server.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def run(seeds, embedder, process):
    """Run a small judged curation as a user does."""

    def go(out, *flags, **env):
        settings = ["--recipe", "curate", "--llm", "none", "--judge-llm", SCRIPTED]
        settings += ["--target-size", 8, "--embedder", embedder, "--yes", "--out", out]
        clean = dict.fromkeys(("LANGSMITH_TRACING", "LANGCHAIN_TRACING_V2"), "")
        return process("run", seeds, *settings, *flags, **{**clean, **env})

    return go


def spans_of(exports):
    """The spans of exports by name, with their attributes as a dictionary."""
    for export in exports:
        for resource in export.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    yield span, {a.key: value_of(a.value) for a in span.attributes}


def value_of(value):
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [value_of(item) for item in value.array_value.values]
    return getattr(value, kind)


@pytest.mark.slow
def test_a_run_arrives_at_a_collector_as_spans_of_the_conventions(receiver, run, tmp_path):
    keys = {"LANGSMITH_ENDPOINT": receiver.address, "LANGSMITH_API_KEY": "lsv2-none"}
    run("run", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.address, LANGSMITH_TRACING="true", **keys)
    assert set(receiver.requests) > {"/v1/traces"}, "LangSmith's own settings do not work any more"
    found = list(spans_of(receiver.exports))
    with closing(Ledger(tmp_path / "run" / LEDGER)) as ledger:
        calls = {call.key: call for call in ledger.calls.find()}
        told = {about["lift_agent.call"]: (span, about) for span, about in found
                if about["openinference.span.kind"] == "LLM"}  # fmt: skip
        assert told.keys() == calls.keys()
        write_spans(ledger, tmp_path / "spans.jsonl", content=False)
    by_id = {span.span_id: span for span, _ in found}
    assert len({span.trace_id for span in by_id.values()}) == 1
    roots = [span.name for span in by_id.values() if not span.parent_span_id]
    assert roots == ["lift-agent run"]
    for key, (span, about) in told.items():
        call, path = calls[key], []
        at = span
        while at.parent_span_id:
            at = by_id[at.parent_span_id]
            path.append(at.name)
        assert path == ["invoke_agent judge", "seeds", "lift-agent run"]
        assert about["gen_ai.operation.name"] == "chat"
        assert about["gen_ai.provider.name"] == about["llm.provider"] == "scripted"
        assert about["gen_ai.usage.input_tokens"] == call.input_tokens
        assert about["llm.token_count.completion"] == call.output_tokens
        assert about["gen_ai.response.finish_reasons"] == ["stop"]
    span, _ = next(iter(told.values()))
    assert [event.name for event in span.events] == ["lift_agent.request"]
    content = ("input.value", "output.value", "gen_ai.input.messages", "gen_ai.output.messages")
    assert not any(name in about for _, about in found for name in content)
    # The file has the same spans: ids, times and attributes come from the ledger.
    lines = (tmp_path / "spans.jsonl").read_text().splitlines()
    written = [
        ParseDict(with_bytes(json.loads(line)), ExportTraceServiceRequest()) for line in lines
    ]
    saved = {span.span_id: (span, about) for span, about in spans_of(written)}
    assert saved.keys() == by_id.keys()
    for span, about in found:
        same, facts = saved[span.span_id]
        assert facts == {**about, "lift_agent.stop": "target"} if not span.parent_span_id else about
        assert (same.start_time_unix_nano, same.name) == (span.start_time_unix_nano, span.name)


def spans_in(file):
    """The spans of a file of OTLP in JSON."""
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    return spans_of(ParseDict(with_bytes(line), ExportTraceServiceRequest()) for line in lines)


def with_bytes(value):
    """Hexadecimal ids as protobuf's JSON wants them."""
    import base64

    if isinstance(value, list):
        return [with_bytes(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: base64.b64encode(bytes.fromhex(item)).decode()
        if name in ("traceId", "spanId", "parentSpanId")
        else with_bytes(item)
        for name, item in value.items()
    }


@pytest.mark.slow
def test_contents_are_exported_when_asked_for(inspected, tmp_path, command):
    file = tmp_path / "spans.jsonl"
    said = command("trace", inspected, "--otlp", file, "--otel-content").stdout
    found = list(spans_in(file))
    assert said.startswith(f"{len(found):,} spans")
    with closing(Ledger(inspected / LEDGER)) as ledger:
        for span, about in found:
            if about["openinference.span.kind"] != "LLM":
                continue
            call = ledger.calls.call(about["lift_agent.call"])
            first = json.loads(about["gen_ai.input.messages"])[0]
            role, text = call.request["messages"][0]
            assert first == {"role": role, "parts": [{"type": "text", "content": text}]}
            assert about["llm.input_messages.0.message.content"] == text
            assert about["output.value"] == call.response
            assert bool(call.error) == (span.status.code == 2) == ("error.type" in about)
            assert ("gen_ai.usage.input_tokens" in about) == (not call.error and not call.reused)


@pytest.mark.slow
def test_a_collector_that_is_not_there_costs_the_run_nothing(run):
    done = run("run", "--otel", OTEL_EXPORTER_OTLP_ENDPOINT="http://me:hunter2@127.0.0.1:9",
               OTEL_EXPORTER_OTLP_TIMEOUT="1")  # fmt: skip
    assert done.stderr.count("spans cannot be exported to http://127.0.0.1:9") == 1
    assert "8 of 8 rows" in done.stdout
    assert "hunter2" not in done.stdout + done.stderr


@pytest.mark.slow
def test_nothing_leaves_the_machine_unasked(receiver, run):
    keys = {"LANGSMITH_ENDPOINT": receiver.address, "LANGSMITH_API_KEY": "lsv2-none"}
    run("quiet", "--no-otel", **keys, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.address)
    assert receiver.requests == []
