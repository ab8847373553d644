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


if __name__ == "__main__":
    import os

    os.environ |= {"OPENAI_API_KEY": "sk-test", "NO_PROXY": "127.0.0.1"}
    found = [{"case": case, **recorded(case)} for case in cases()]
    text = "[\n" + ",\n".join(json.dumps(one, ensure_ascii=False) for one in found) + "\n]\n"
    (TESTS / "data" / "wire.json").write_text(text, encoding="utf-8")
