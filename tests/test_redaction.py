"""Keys never reach a file of the run or the screen, wherever they turn up."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lift_agent.redaction import MARK, Secrets, redacted, without_own_keys

# Put together here, so that no scanner takes them for real ones.
FORMS = {
    "openai": "sk-" + "proj-Ab3dEf6hIj9kLm2nOp5qRs8t",
    "anthropic": "sk-" + "ant-api03-Zz9yXx8wVv7uTt6sRr5q_Q-AA",
    "aws": "AKIA" + "IOSFODNN7EXAMPLE",
    "github": "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8",
    "github, new": "github_pat_" + "11ABCDEFG0123456789_abcdefghijklmnop",
    "google": "AIza" + "SyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q",
    "slack": "xoxb-" + "123456789012-abcdefABCDEF",
    "hugging face": "hf_" + "AbCdEfGhIjKlMnOpQrStUvWxYz012345",
    "jwt": "eyJ" + "hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmN",
    "langsmith": "lsv2_" + "pt_0123456789abcdef0123456789abcdef_0123456789",
}
PLACES = {
    "header": ("Authorization: Bearer {}", "q8zKfLr2Wm"),
    "header in a dict": ("{{'x-api-key': '{}', 'accept': '*/*'}}", "q8zKfLr2Wm"),
    "basic": ("sent Basic {} to it", "dXNlcjpodW50ZXIy"),
    "login": ("cannot reach https://me:{}@example.org/v1", "hunter2"),
    "parameter": ("GET /v1/models?limit=3&api_key={}&x=1", "hunter2"),
    "token": ("Location: https://example.org/cb?access_token={}", "q8zKfLr2Wm"),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_key_is_known_by_its_form(form):
    text = redacted(f"refused: '{FORMS[form]}', try again")
    assert text == f"refused: '{MARK}', try again"


@pytest.mark.parametrize("place", PLACES)
def test_a_key_is_known_by_where_it_stands(place):
    told, key = PLACES[place]
    text = redacted(told.format(key))
    assert key not in text
    assert MARK in text
    assert redacted(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "HTTP 429: Rate limit reached for gpt-4o-mini on tokens per min (TPM): limit 30000",
        "the task-specific disk-based sketch, risk-free: skip it",
        "https://example.org/a/b?page=2#keys and a@b.org",
        "a Bearer token is missing",
    ],
)
def test_what_is_no_key_stays(text):
    assert redacted(text) == text


@given(st.text())
def test_redacting_twice_is_redacting_once(text):
    once = redacted(text)
    assert redacted(once) == once


def test_a_secret_of_the_environment_is_cut_out_and_rows_keep_what_only_looks_like_one(monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", "open sesame")
    monkeypatch.setenv("OTHER_TOKEN", "7f3a9c1e5b2d8460aa")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=blue,auth=Zk4-not-a-form")
    assert redacted("say open sesame or Zk4-not-a-form") == f"say {MARK} or {MARK}"
    row = f"export OPENAI_API_KEY={FORMS['openai']}; open sesame; 7f3a9c1e5b2d8460aa"
    assert without_own_keys(row) == row.replace("7f3a9c1e5b2d8460aa", MARK)


KEY, PASSWORD, PARAMETER = "Kq7-own-key-of-this-user-3141", "Pw9-hunter-2718", "Qp5-parameter-1618"
ECHOED = FORMS["github"]


class Blabbing(BaseHTTPRequestHandler):
    """Says all that it was sent, in every way in which a server can."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer(500, {"error": {"message": f"no GET {self.path} {dict(self.headers)}"}})

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append(dict(self.headers))
        told = f"{dict(self.headers)} {self.server.about} {ECHOED}"
        count = len(self.server.seen)
        if count == 1:
            self.answer(500, {"error": {"message": told}})
        elif count == 2:
            where = f"/login?access_token={PARAMETER}"
            self.answer(
                307, {}, Location=f"http://me:{PASSWORD}@127.0.0.1:{self.server.port}{where}"
            )
        elif count == 3:
            self.answer(429, {"error": told}, **{"Retry-After": "0"})
        elif count % 3 == 0:
            self.answer(400, {"error": {"message": told}})
        else:
            rubric = {"reason": f"You sent {self.headers['Authorization']}, {KEY}", "clarity": 9}
            rubric |= {"difficulty": 9, "explanations": 9, "accuracy": 9, "concatenation": False}
            message = {"role": "assistant", "content": json.dumps(rubric)}
            choice = {"index": 0, "finish_reason": "stop", "message": message}
            usage = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}
            self.answer(200, {"id": "x", "choices": [choice], "usage": usage, "model": "m"})

    def answer(self, status, body, **headers):
        text = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": len(text)}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


@pytest.fixture
def blabbing():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Blabbing)
    server.seen, server.port = [], server.server_port
    server.about = f"http://me:{PASSWORD}@127.0.0.1/v1?api_key={PARAMETER}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.slow
@pytest.mark.parametrize("login", [True, False])
def test_planted_everywhere_a_key_is_found_nowhere(
    login, blabbing, seeds, embedder, command, tmp_path
):
    where = f"{f'me:{PASSWORD}@' if login else ''}127.0.0.1:{blabbing.port}"
    (tmp_path / "lift.toml").write_text(
        f'base_url = "http://{where}/v1?api_key={PARAMETER}"\n'
        'judge_llm = "openai:m"\nllm = "none"\nrecipe = "curate"\nmax_error_rate = 1.0\n'
        f'embedder = "{embedder}"\ntarget_size = 8\nconcurrency = 1\n'
    )
    env = {"OPENAI_API_KEY": KEY, "ANTHROPIC_API_KEY": FORMS["anthropic"], "LANGSMITH_TRACING": ""}
    env |= {"LIFT_AGENT_CACHE": str(tmp_path / "cache")}
    outputs = [command("run", seeds, "--out", "run", "--yes", **env)]
    sent = blabbing.seen[0]["Authorization"]
    assert sent.startswith("Basic ") if login else sent == f"Bearer {KEY}"
    call = json.loads(command("trace", "run", "--slowest", "--json").stdout.splitlines()[0])["key"]
    row = json.loads((tmp_path / "run" / "dataset.jsonl").read_text().splitlines()[0])["lift"]["id"]
    looks = [["config"], ["trace", "run"], ["trace", "run", call], ["why", "run", row]]
    for args in [*looks, ["trace", "run", "--otlp", "run/spans.jsonl", "--otel-content"]]:
        if login:  # once is enough
            outputs.append(command(*args, **env))
    text = "".join(done.stdout + done.stderr for done in outputs)
    secrets = [KEY, PASSWORD, PARAMETER, ECHOED, FORMS["anthropic"], sent.split()[1]]
    files = [
        f for folder in ("run", "cache") for f in (tmp_path / folder).rglob("*") if f.is_file()
    ]
    assert len(files) > 5
    for secret in secrets:
        assert secret not in text
        for file in files:
            assert secret.encode() not in file.read_bytes(), file
    planted = any(MARK.encode() in file.read_bytes() for file in files)
    assert planted, "nothing was planted where it would have been seen"


def test_a_wrong_setting_with_a_key_in_it_is_named_without_it(command, tmp_path, seeds):
    (tmp_path / "lift.toml").write_text(f'timeout = "{FORMS["openai"]}"\n')
    said = command("run", seeds, code=2).stderr
    assert "timeout" in said
    assert FORMS["openai"] not in said


def test_a_fault_of_our_own_is_told_without_keys(command, tmp_path):
    code = (
        "from lift_agent import cli\n"
        "def fail(): raise RuntimeError('sent Authorization: Bearer q8zKfLr2Wm')\n"
        "cli.app = fail\ncli.main()"
    )
    import subprocess
    import sys

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "RuntimeError" in done.stderr
    assert "q8zKfLr2Wm" not in re.sub(r"File .*\n.*\n", "", done.stderr)


def test_what_is_remembered_is_secret_whatever_it_looks_like():
    secrets = Secrets()
    secrets.remember_address("https://me:p%40ss%20word@example.org/v1?sig=abcdef123&page=77777777")
    text = "p@ss word or p%40ss%20word or abcdef123"
    assert redacted(text, secrets) == f"{MARK} or {MARK} or {MARK}"
    assert redacted("77777777", secrets) == "77777777"
    secrets.forget()
    assert redacted(text, secrets) == text
