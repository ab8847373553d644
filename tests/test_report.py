"""The report, as a reader opens it."""

import re

import pytest
from browser import page
from support import SCRIPTED, read_dataset


@pytest.fixture
def opened(browser, finished):
    with page(browser) as shown:
        shown.goto(f"file://{finished / 'report.html'}")
        shown.wait_for_selector("html[data-ready=yes]")
        yield shown


@pytest.mark.slow
def test_a_reader_finds_the_figures_of_the_run(opened, finished):
    text = opened.inner_text("main")
    rows = read_dataset(finished)
    made = sum(row["lift"]["origin"] == "generated" for row in rows)
    assert f"{len(rows) - made} + {made}" in text
    assert "after: the dataset" in text
    assert "random seeds, same size" in text
    assert opened.inner_text("h1") == f"{len(rows)} of 45 rows"


@pytest.mark.slow
def test_a_search_brings_rows_and_a_click_their_story(opened, finished):
    opened.fill("#find", "carrots")
    opened.wait_for_selector("#story button.row")
    assert opened.locator("#story button.row").count() >= 15
    opened.locator("#story button.row").first.click()
    story = opened.inner_text("#story")
    assert "carrots" in story
    assert re.search(r"from\s+.*seeds <b>bold\.jsonl, line \d+", story)
    row = re.search(r"[0-9a-f]{16}", story).group()
    opened.fill("#find", row)
    opened.wait_for_function("document.querySelectorAll('#story button.row').length === 1")


@pytest.mark.slow
def test_a_generated_row_leads_to_its_parents(opened, finished):
    made = next(row for row in read_dataset(finished) if row["lift"]["origin"] == "generated")
    opened.fill("#find", made["lift"]["id"])
    opened.wait_for_selector("#story button.row")
    opened.locator("#story button.row").first.click()
    opened.locator("#story button.link").first.click()
    assert made["lift"]["parents"][0] in opened.inner_text("#story")


@pytest.mark.slow
def test_a_click_on_the_map_tells_a_story(opened):
    opened.locator("#map-section").scroll_into_view_if_needed()
    point = opened.locator("#map .scatterlayer .point").first.bounding_box()
    opened.mouse.click(point["x"] + point["width"] / 2, point["y"] + point["height"] / 2)
    opened.wait_for_selector("#story dl")


@pytest.mark.slow
def test_the_rounds_and_the_subspaces_can_be_toggled(opened):
    drawn = "document.querySelectorAll('#map .scatterlayer .point').length"
    everything = opened.evaluate(drawn)
    opened.select_option("#round", "1")
    opened.wait_for_function(f"{drawn} < {everything}")
    outlined = opened.locator("#map .shapelayer path").count()
    assert outlined > 0
    opened.uncheck("#outlines")
    opened.wait_for_function("!document.querySelectorAll('#map .shapelayer path').length")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_readable_in_light_and_dark(browser, finished, scheme):
    with page(browser, color_scheme=scheme) as shown:
        shown.goto(f"file://{finished / 'report.html'}")
        shown.wait_for_selector("html[data-ready=yes]")
        channels = "getComputedStyle(document.body).{}.match(/\\d+/g).map(Number)"
        ink, back = (shown.evaluate(channels.format(p)) for p in ("color", "backgroundColor"))
        assert (sum(ink) < sum(back)) == (scheme == "light")
        assert abs(sum(ink) - sum(back)) > 400
        shown.screenshot(path=finished / f"report-{scheme}.png")


def test_without_scripts_the_tables_tell_all(browser, finished):
    with page(browser, java_script_enabled=False) as shown:
        shown.goto(f"file://{finished / 'report.html'}")
        assert "The map and the charts need JavaScript" in shown.inner_text("main")
        assert "after: the dataset" in shown.inner_text("#coverage")


@pytest.mark.slow
def test_what_rows_hold_comes_out_as_text(opened):
    opened.fill("#find", "onerror")
    opened.wait_for_selector("#story button.row")
    opened.locator("#story button.row").first.click()
    assert "<script>alert('a')</script>" in opened.locator("#story pre").first.inner_text()
    opened.wait_for_timeout(200)  # a dialog or a request would fail the test


def test_the_file_holds_no_signs_that_command_and_no_script_of_a_row(finished):
    text = (finished / "report.html").read_text(encoding="utf-8")
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)
    assert text.count("<script") == 3
    assert "alert(" not in text
    assert len(text) < 8_000_000
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", text)


def test_the_command_writes_it_again(finished, command):
    (finished / "report.html").unlink()
    done = command("report", finished)
    assert str(finished / "report.html") in done.stdout
    assert (finished / "report.html").is_file()


def test_a_run_that_stopped_short_has_one_too(tmp_path, seeds, embedder, process):
    options = ("--llm", SCRIPTED, "--embedder", embedder, "--max-calls", 3, "--out", "short")
    process("run", seeds, *options, code=3)
    text = (tmp_path / "short" / "report.html").read_text(encoding="utf-8")
    assert "stopped with <b>budget</b>" in text
