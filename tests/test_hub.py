"""Pushing to the hub, over HTTP, to a stub that speaks as the hub does."""

import io
import json

import hub_server
import pyarrow.parquet as pq
import pytest
from support import go

from lift_agent.errors import UsageError
from lift_agent.formats.writing.push import repository


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    rows = [
        {"instruction": f"Name river {i} of the north.", "output": f"River {i} is long and cold."}
        for i in range(12)
    ]
    (folder / "rows.json").write_text(json.dumps(rows))
    go(folder / "rows.json", folder / "run", recipe="curate", llm="none", target_size=5)
    return folder / "run"


@pytest.fixture
def pushed(finished, process, tmp_path):
    """Push to a hub of the test's own; yields the hub and the command."""
    with hub_server.serving() as (hub, address):

        def push(name, *args, code=0, token=hub_server.TOKEN, endpoint=address):
            done = process(
                *("export", finished, "--push", f"hf:{name}", *args),
                code=code,
                HF_ENDPOINT=endpoint,
                HF_TOKEN=token,
                HF_HOME=str(tmp_path / "home"),
                HF_HUB_DISABLE_XET="1",
            )
            assert not token or token not in done.stdout + done.stderr
            return done

        yield hub, push


@pytest.mark.slow
def test_a_dataset_is_pushed_with_its_card_and_is_private(pushed):
    hub, push = pushed
    assert "datasets/me/data" in push("me/data").stdout
    assert hub.private == {"me/data": True}
    assert set(hub.files["me/data"]) == {"train.jsonl", "README.md"}
    assert len(hub.files["me/data"]["train.jsonl"].splitlines()) == 5
    again = push("me/data", code=1).stderr
    assert again == (
        "error: me/data is on the hub already: push to another name, or write to it with --force\n"
    )
    push("me/data", "--force", "--format", "messages.parquet")
    table = pq.read_table(io.BytesIO(hub.files["me/data"]["train.parquet"]))
    assert table.num_rows == 5
    assert b"train.parquet" in hub.files["me/data"]["README.md"]


@pytest.mark.slow
def test_a_dataset_is_public_only_if_that_is_said(pushed, tmp_path):
    hub, push = pushed
    push("me/open", "--public", "--format", "trl", "--to", tmp_path / "out")
    assert hub.private == {"me/open": False}
    assert set(hub.files["me/open"]) == {"train.jsonl", "train_trl.py", "README.md"}
    assert (tmp_path / "out" / "train.jsonl").is_file()


@pytest.mark.slow
def test_what_the_hub_refuses_is_said_in_plain_words(pushed):
    hub, push = pushed
    assert "may not write to other/data" in push("other/data", code=1).stderr
    assert "does not know the token" in push("me/data", code=1, token="hf_" + "x" * 30).stderr
    assert "needs a token" in push("me/data", code=2, token="").stderr
    hub.broken = True
    assert "answered 500" in push("me/data", code=1).stderr
    assert "reachable?" in push("me/data", code=1, endpoint="http://127.0.0.1:9").stderr


@pytest.mark.parametrize("target", ["me/data", "hf:data", "hf:a/b/c", "hf:me/da ta"])
def test_a_target_that_is_none_is_named(target):
    with pytest.raises(UsageError, match="write hf:owner/name"):
        repository(target)
