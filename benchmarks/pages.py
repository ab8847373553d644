"""How large the report of 50,000 rows is and how soon it opens; how soon the page of 100,000 rows
answers.

Real rows, over and over with ids of their own, in a ledger that its own methods write, with places
on a made-up map. Each page is opened anew in headless Chromium, which draws in software here:
WebGL, the slowest part, takes less where there is a graphics card.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from corpora import MIXTURE, parser, report, rows_of
from harness import installed, serving

from lift_agent.records import Row, Score
from lift_agent.stores.layout import LEDGER
from lift_agent.stores.ledger import Ledger
from lift_agent.views.report import write_report

SECONDS, MEGABYTES = 2.0, 8.0  # to reach, by the report
REPEATS = 5
GROUPS = 40  # on the map
FLAGS = ("--no-sandbox", "--disable-background-networking", "--disable-component-update")
# When the page says that it is ready, in milliseconds from the start of its loading.
WATCH = """
new MutationObserver((_, self) => {
  if (document.documentElement.dataset.ready !== "yes") return;
  window.readyAfter = performance.now();
  self.disconnect();
}).observe(document, { attributes: true, subtree: true, attributeFilter: ["data-ready"] });
"""


def make(folder: Path, rows: list[Row], size: int) -> None:
    """Write the ledger of a finished run of so many rows, a fifth of them in the dataset."""
    rng, places = random.Random(0), np.random.default_rng(0)
    folder.mkdir()
    made = [
        replace(rows[i % len(rows)], id=f"{rng.getrandbits(64):016x}", position=i)
        for i in range(size)
    ]
    fates = rng.choices(
        [("accepted", ""), ("duplicate", "lexical"), ("rejected", "cut off")], (7, 2, 1), k=size
    )
    centres = places.uniform(size=(GROUPS, 2))
    points = np.clip(centres[np.arange(size) % GROUPS] + places.normal(0, 0.03, (size, 2)), 0, 1)
    with closing(Ledger(folder / LEDGER)) as ledger:
        ledger.rows.add(made)
        ledger.rows.set_statuses([(row.id, *fate) for row, fate in zip(made, fates, strict=True)])
        ledger.judgements.add_scores(
            Score(row.id, 70, 50, min(100, max(0, rng.gauss(70, 12))), reason="Clear, but thin.")
            for row in made
        )
        accepted = [row.id for row, fate in zip(made, fates, strict=True) if not fate[1]]
        ledger.dataset.choose(accepted[: size // 5], {})
        ledger.rows.set_map(
            {row.id: (float(x), float(y)) for row, (x, y) in zip(made, points, strict=True)}, {}
        )
        ledger.facts.update(target=size // 5, stop="target", settings={})


def opened(browser: Any, address: str) -> float:
    """Seconds until the report is ready."""
    with fresh(browser, address) as shown:
        return float(shown.evaluate("window.readyAfter")) / 1000


@contextmanager
def fresh(browser: Any, address: str) -> Iterator[Any]:
    """A page that is ready, with nothing kept from before."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.add_init_script(WATCH)
    shown = context.new_page()
    shown.goto(address)
    shown.wait_for_function("window.readyAfter", timeout=120_000)
    yield shown
    context.close()


def page_times(browser: Any, address: str) -> dict[str, float]:
    """Seconds that each look at the page takes, from the click to what it shows."""
    times: dict[str, float] = {}
    with fresh(browser, address) as shown:
        times["page: first rows"] = shown.evaluate("window.readyAfter") / 1000

        def look(name: str, do: Callable[[], Any], until: str) -> None:
            began = time.monotonic()
            do()
            shown.wait_for_function(until, timeout=120_000)
            times[name] = time.monotonic() - began

        place = "document.querySelector('#place').innerText"
        look("page: next 50 rows", lambda: shown.click("#after"), f"{place}.startsWith('51')")
        look(
            "page: rows by score",
            lambda: shown.get_by_role("button", name="score").click(),
            f"{place}.startsWith('1')",
        )
        whole = shown.inner_text("#place")
        look(
            "page: rows with a word",
            lambda: shown.fill("#row-filter [name=text]", "triangle"),
            f"{place} !== {whole!r}",
        )
        shown.fill("#row-filter [name=text]", "")
        look(
            "page: the map",
            lambda: shown.get_by_role("tab", name="Map").click(),
            "document.querySelector('#map .main-svg')",
        )
    return times


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--rows", type=int, default=50_000, help="of the report; the page's twice")
    given = options.parse_args()
    from playwright.sync_api import sync_playwright

    rows = rows_of(given.data, *MIXTURE)
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        make(folder / "report", rows, given.rows)
        make(folder / "page", rows, 2 * given.rows)
        began = time.process_time()
        with closing(Ledger(folder / "report" / LEDGER)) as ledger:
            file = write_report(ledger, folder / "report")
        spent, size = time.process_time() - began, file.stat().st_size / 1e6
        browser = playwright.chromium.launch(executable_path=installed(), args=FLAGS)
        times = [opened(browser, file.as_uri()) for _ in range(REPEATS)]
        with serving(folder / "page") as address:
            looks = page_times(browser, address)
        browser.close()
    report(
        "pages",
        f"A report of {given.rows:,} rows, and the page of a run of {2 * given.rows:,}",
        ("", "to reach", "measured"),
        [
            ("report: written, CPU s", "", f"{spent:.1f}"),
            ("report: size, MB", f"under {MEGABYTES:g}", f"{size:.1f}"),
            ("report: ready, s", f"under {SECONDS:g}", " ".join(f"{each:.2f}" for each in times)),
            *((f"{name}, s", "", f"{taken:.2f}") for name, taken in looks.items()),
        ],
        data=MIXTURE,
        notes=["Headless Chromium on two cores, without a graphics card."],
        peers=("plotly", "playwright"),
    )
    if statistics.median(times) >= SECONDS or size >= MEGABYTES:
        sys.exit("not reached")


if __name__ == "__main__":
    main()
