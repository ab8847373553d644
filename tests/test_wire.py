"""What goes over the wire to OpenAI and servers that speak its protocol, request by request.

`data/wire.json` holds the bodies and headers that earlier versions sent, so that an answer that
was paid for stays an answer to what is asked now.
"""

import asyncio
import json

import pytest
from provider_stub import serving
from pydantic import BaseModel, Field
from support import TESTS

from lift_agent.config import resolve
from lift_agent.llms.batches.openai import OpenAIBatches
from lift_agent.llms.batches.opening import service_of
from lift_agent.llms.calls import call_key
from lift_agent.llms.messages import Request
from lift_agent.llms.providers import open_backend

RECORDED = json.loads((TESTS / "data" / "wire.json").read_text(encoding="utf-8"))
MODES = ("json_schema", "tool", "json_object", "prompt")
TABLES = {
    "plain": {},
    "set": {
        "temperature": 0.2,
        "top_p": 0.9,
        "max_tokens": 50,
        "reasoning_effort": "low",
        "extra_body": {"min_p": 0.05, "chat_template_kwargs": {"thinking": False}},
    },
}
MODELS = ("my/model-1b", "gpt-4o-mini", "o1-mini", "o3-mini", "gpt-5-mini", "gpt-6-sol")
TURNS = (("system", "Be short."), ("user", "Say “hi”."), ("assistant", "Hi."), ("user", "Again."))
ALONE = (("user", "Hello."),)
COMPLETION = {
    "id": "c1",
    "object": "chat.completion",
    "model": "m",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi."}}
    ],
    "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
}


class Mark(BaseModel):
    label: str = Field(max_length=9)
    points: int


def reply(method, path, body, headers):
    return 200, {}, COMPLETION


def asked_for(case):
    """The request of a case, as an agent makes it."""
    stops = ("###", "\n\n") if case["stops"] else ()
    turns = TURNS if case["turns"] else ALONE
    return Request("test@1", turns, 0.7, 64, sample=2, stop_if_small=stops)


def cases():
    for model in MODELS:
        for table in TABLES:
            for mode in ("", *MODES):
                if (model, mode) == ("gpt-6-sol", "tool"):
                    continue  # it takes tools through the responses API only
                yield {
                    "model": model,
                    "table": table,
                    "mode": mode,
                    "turns": mode != "tool",
                    "stops": True,
                    "drops": [],
                }
    for drops in (["temperature"], ["max_tokens"], ["max_completion_tokens"], ["seed", "stop"]):
        for model in ("my/model-1b", "o1-mini"):
            yield {
                "model": model,
                "table": "plain",
                "mode": "",
                "turns": True,
                "stops": True,
                "drops": drops,
            }


def sent(case, address):
    """Send a case's request; return its call's key and its line in a batch."""
    table = TABLES[case["table"]] | {
        "model": f"openai:{case['model']}",
        "base_url": f"{address}/v1",
    }
    backend = open_backend("mine", tables=resolve({"llms": {"mine": table}}).llms)
    if case["mode"]:
        backend.capabilities.output_mode = case["mode"]
    backend.capabilities.refused |= set(case["drops"])
    body = backend.body(asked_for(case), Mark if case["mode"] else None, 7)

    async def both():
        try:
            return await backend.send(body, 100)
        finally:
            await backend.close()

    got = asyncio.run(both())
    assert (got.text, got.finish_reason) == ("Hi.", "stop")
    assert (got.input_tokens, got.output_tokens) == (9, 2)
    key = call_key(backend.name, "", "test@1", body)
    return key, json.loads(OpenAIBatches(backend).line(key, body, 100))


KEPT = ("authorization", "openai-organization", "openai-project", "x-team", "content-type")


def recorded(case):
    with serving(reply) as (address, seen):
        key, line = sent(case, address)
    ((method, path, body, headers),) = seen
    kept = {name.lower(): value for name, value in headers.items() if name.lower() in KEPT}
    assert line == {"custom_id": key, "method": method, "url": path, "body": body}
    return {"key": key, "sent": [method, path], "body": body, "headers": kept}


@pytest.fixture(autouse=True)
def surroundings(monkeypatch, tmp_path):
    for name in ("OPENAI_ORG_ID", "OPENAI_ORGANIZATION", "OPENAI_PROJECT_ID", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))


@pytest.mark.parametrize("case", cases(), ids=lambda case: "-".join(map(str, case.values())))
def test_a_request_is_what_it_always_was(case):
    known = next(one for one in RECORDED if one["case"] == case)
    assert recorded(case) == {name: known[name] for name in known if name != "case"}


@pytest.mark.parametrize("variable", ["OPENAI_ORG_ID", "OPENAI_ORGANIZATION"])
def test_organization_and_project_come_from_the_environment(variable, monkeypatch):
    monkeypatch.setenv(variable, "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-1")
    case = next(cases())
    assert recorded(case)["headers"] == {
        "authorization": "Bearer sk-test",
        "openai-organization": "org-1",
        "openai-project": "proj-1",
        "content-type": "application/json",
    }


RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 0,
    "status": "completed",
    "model": "m",
    "output": [
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Hi.", "annotations": []}],
        }
    ],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 4},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 11,
    },
}
CALL = {
    "id": "fc_1",
    "type": "function_call",
    "call_id": "call_1",
    "name": "Mark",
    "arguments": '{"label": "good", "points": 3}',
    "status": "completed",
}


def responded(model, mode, response):
    """What a model of OpenAI's responses API is sent, and the reply to it."""
    with serving(lambda *asked: (200, {}, response)) as (address, seen):
        backend = open_backend(f"openai:{model}", f"{address}/v1")
        backend.capabilities.output_mode = mode
        body = backend.body(asked_for({"stops": True, "turns": True}), Mark if mode else None, 7)

        async def both():
            try:
                return await backend.send(body)
            finally:
                await backend.close()

        got = asyncio.run(both())
    ((_, path, sent, headers),) = seen
    assert path == "/v1/responses"
    assert {k.lower(): v for k, v in headers.items()}["authorization"] == "Bearer sk-test"
    return sent, got


def test_a_model_of_responses_only_is_asked_for_them():
    sent, got = responded("gpt-5-pro", "", RESPONSE)
    assert sent["model"] == "gpt-5-pro"
    assert tuple(sent["input"][0][name] for name in ("role", "content")) == TURNS[0]
    assert sent["max_output_tokens"] == 64
    assert not {"seed", "stop", "max_tokens", "max_completion_tokens", "messages"} & set(sent)
    assert (got.text, got.finish_reason) == ("Hi.", "stop")
    assert (got.input_tokens, got.cached_tokens, got.output_tokens) == (9, 4, 2)
    assert got.reasoning_tokens == 1


def test_a_response_that_was_cut_is_known_as_such():
    ended = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    assert responded("gpt-5-pro", "", RESPONSE | ended)[1].finish_reason == "length"


def test_a_model_of_responses_only_is_given_the_schema_where_they_take_it():
    sent, got = responded("gpt-5-pro", "json_schema", RESPONSE)
    form = sent["text"]["format"]
    assert (form["type"], form["name"], form["strict"]) == ("json_schema", "Mark", True)
    assert form["schema"]["required"] == ["label", "points"]
    assert "response_format" not in sent
    assert got.output_mode == "json_schema"


def test_a_model_that_takes_tools_by_responses_is_asked_for_them():
    sent, got = responded("gpt-6-sol", "tool", RESPONSE | {"output": [CALL]})
    (tool,) = sent["tools"]
    assert (tool["type"], tool["name"]) == ("function", "Mark")
    assert sent["tool_choice"] == {"type": "function", "name": "Mark"}
    assert json.loads(got.text) == {"label": "good", "points": 3}


def test_a_model_of_responses_only_has_no_batches():
    assert service_of(open_backend("openai:gpt-5-pro")) is None
    assert service_of(open_backend("openai:gpt-5-mini"))


if __name__ == "__main__":
    import os

    os.environ |= {"OPENAI_API_KEY": "sk-test", "NO_PROXY": "127.0.0.1"}
    found = [{"case": case, **recorded(case)} for case in cases()]
    text = "[\n" + ",\n".join(json.dumps(one, ensure_ascii=False) for one in found) + "\n]\n"
    (TESTS / "data" / "wire.json").write_text(text, encoding="utf-8")
