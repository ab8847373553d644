"""The page of a run: what a person clicks, and who may look."""

import asyncio
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import aiohttp
import pytest
from browser import page, serving
from support import SCRIPTED, read_dataset

from lift_agent.stores.layout import LEDGER
from lift_agent.stores.ledger import Ledger
from lift_agent.views.server import serve


@pytest.fixture(scope="module")
def address(finished):
    with serving(finished) as found:
        yield found


@pytest.fixture
def opened(browser, address):
    with page(browser, allowed=(address, "data:", "blob:")) as shown:
        shown.goto(address)
        shown.wait_for_selector("html[data-ready=yes]")
        yield shown


@pytest.mark.slow
def test_rows_are_searched_sorted_and_filtered(opened, finished):
    assert "of 68 rows" in opened.inner_text("#place") or opened.locator("#lines tr").count() == 50
    opened.fill("#row-filter [name=text]", "carrots")
    opened.wait_for_function("document.querySelectorAll('#lines tr').length < 50")
    texts = opened.locator("#lines td.text").all_inner_texts()
    assert texts and all("carrots" in text for text in texts)
    opened.select_option("#row-filter [name=fate]", "chosen")
    opened.get_by_role("button", name="score").click()
    opened.wait_for_selector("th[aria-sort=descending]")
    opened.wait_for_timeout(300)
    scores = [float(x) for x in opened.locator("#lines td.n").all_inner_texts()]
    assert scores == sorted(scores, reverse=True)
    chosen = [r for r in read_dataset(finished) if "carrots" in r["instruction"]]
    assert len(scores) == len(chosen)


@pytest.mark.slow
def test_a_row_tells_its_story_and_leads_to_its_parents_and_calls(opened):
    opened.select_option("#row-filter [name=origin]", "generated")
    opened.wait_for_function("!document.querySelector('#lines').innerText.includes('seeds')")
    opened.locator("#lines tr").first.focus()
    opened.keyboard.press("Enter")
    opened.wait_for_selector("#story li")
    story = opened.inner_text("#story")
    assert "generated in round" in story and "redundancy:" in story
    opened.get_by_role("button", name=re.compile("^call ")).first.click()
    opened.wait_for_function("document.querySelector('#story h3').innerText.startsWith('Call')")
    assert "answered after" in opened.inner_text("#story")


@pytest.mark.slow
def test_the_map_shows_every_row_and_a_click_its_story(opened):
    opened.get_by_role("tab", name="Map").click()
    opened.wait_for_selector("#map .scatterlayer .point")
    drawn = opened.locator("#map .scatterlayer .point").count()
    assert f"{drawn} rows here" in opened.inner_text("#map-note")
    point = opened.locator("#map .scatterlayer .point").first.bounding_box()
    opened.mouse.click(point["x"] + point["width"] / 2, point["y"] + point["height"] / 2)
    opened.wait_for_selector("#story li")


@pytest.mark.slow
def test_calls_are_a_tree_and_are_found_by_a_word(opened):
    opened.get_by_role("tab", name="Calls").click()
    opened.locator("#tree details details summary").first.click()
    opened.wait_for_selector("#tree .line")
    opened.locator("#tree .line").first.click()
    opened.wait_for_function("document.querySelector('#story h3').innerText.startsWith('Call')")
    opened.fill("#call-filter [name=text]", "no prompt has these words")
    opened.wait_for_function("document.querySelector('#tree').innerText.includes('no such call')")


@pytest.mark.slow
def test_hostile_rows_come_out_as_text(opened):
    opened.fill("#row-filter [name=text]", "onerror")
    opened.wait_for_function("document.querySelectorAll('#lines tr').length < 5")
    opened.locator("#lines tr").first.click()
    opened.wait_for_selector("#story li")
    assert "<script>alert('a')</script>" in opened.locator("#story pre").first.inner_text()
    opened.wait_for_timeout(200)  # a dialog or a request would fail the test


def apart(work, **options):
    """Run a coroutine in a thread of its own: Playwright keeps an event loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(work, **options)).result()


async def answers(*asked):
    """Status, headers and text of the answer to each request: verb, address and headers."""
    found = []
    async with aiohttp.ClientSession() as session:
        for method, url, headers in asked:
            async with session.request(method, url, headers=headers) as answer:
                found.append((answer.status, answer.headers, await answer.text()))
    return found


def is_guarded(headers):
    """Whether a browser is told what the answer may do."""
    policy = headers.get("Content-Security-Policy", "")
    return "default-src 'none'" in policy and headers.get("X-Content-Type-Options") == "nosniff"


def test_only_who_knows_the_token_may_look_and_nobody_may_change(address, finished):
    parts = urlsplit(address)
    base = f"{parts.scheme}://{parts.netloc}"
    before = (finished / "dataset.jsonl").read_bytes()
    asked = (
        ("GET", address, {}),
        ("GET", f"{base}/", {}),
        ("GET", f"{base}/{'x' * 22}/", {}),
        ("GET", f"{base}/{'x' * 22}/api/run", {}),
        ("GET", f"{address}api/run", {"Host": "evil.example"}),
        ("POST", f"{address}api/run", {}),
        ("GET", f"{address}..%2f..%2frun.toml", {}),
        ("GET", f"{address}api/rows?sort=nothing", {}),
        ("GET", f"{address}api/rows/unknown", {}),
        ("GET", f"{address}api/rows?offset=99999999999999999999", {}),
        ("GET", f"{address}api/calls?after=99999999999999999999&round=99999999999999999999", {}),
        ("GET", f"{address}api/map?window=nan,nan,inf,-inf", {}),
    )
    found = apart(answers(*asked))
    statuses = [status for status, _, _ in found]
    assert statuses == [200, 404, 404, 404, 404, 404, 404, 400, 404, 200, 200, 200]
    assert all(is_guarded(headers) for _, headers, _ in found)
    assert (finished / "dataset.jsonl").read_bytes() == before
    assert parts.hostname == "127.0.0.1"


def test_a_fault_of_the_page_tells_a_browser_nothing(tmp_path):
    ledger = Ledger(tmp_path / LEDGER)
    ledger.close()  # so that no question can be answered

    async def ask():
        told = []
        runner = await serve(ledger, tmp_path, 0, told.append)
        try:
            return await answers(("GET", f"{told[0]}api/run", {"Accept": "text/html"}))
        finally:
            await runner.cleanup()

    [(status, headers, text)] = apart(ask(), debug=True)
    assert (status, headers["Content-Type"]) == (500, "text/plain; charset=utf-8")
    assert is_guarded(headers)
    assert text == "lift-agent failed: see the terminal where it runs"


def test_it_follows_a_run_under_way(browser, tmp_path, seeds, embedder):
    out = tmp_path / "run"
    slow = tmp_path / "slow.py"
    slow.write_text(
        "import runpy, time\n"
        f"told = runpy.run_path({SCRIPTED.removeprefix('scripted:')!r})['answer']\n"
        "def answer(messages):\n    time.sleep(0.05)\n    return told(messages)\n"
    )
    options = ["--llm", f"scripted:{slow}", "--judge-llm", f"scripted:{slow}", "--concurrency", "1"]
    options += ["--embedder", embedder, "--target-size", "40", "--out", str(out), "--quiet"]
    command = [sys.executable, "-m", "lift_agent", "run", str(seeds), *options]
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        while not (out / "ledger.sqlite").is_file() and time.monotonic() < until:
            time.sleep(0.1)
        with serving(out) as address, page(browser, allowed=(address, "data:", "blob:")) as shown:
            shown.goto(address)
            shown.wait_for_function(
                "document.querySelector('#state').innerText.startsWith('Running')", timeout=60_000
            )
            ended = "document.querySelector('#state').innerText.startsWith('Stopped with target')"
            shown.wait_for_function(ended, timeout=120_000)
    finally:
        assert run.wait(60) == 0
