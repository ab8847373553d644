"""Make the pictures of the documentation from a real run: python docs/screenshots.py DIR.

Those in the repository are of the examples (`make run`, or the command in inspect.md).
The map is the report's own, in a headless Chromium; the terminal's screens are what the commands
print, drawn by rich. Needs the dev extra, and Chromium on the PATH.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from io import StringIO
from pathlib import Path

from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.text import Text

IMAGES = Path(__file__).parent / "images"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WIDTH, LINES = 118, 34


def screen(folder: Path, name: str, *command: str) -> None:
    """Draw what a command prints, its first lines, as an SVG."""
    shown = subprocess.run(
        [sys.executable, "-m", "lift_agent", *command],
        env={**os.environ, "FORCE_COLOR": "1", "COLUMNS": str(WIDTH), "TERM": "xterm-256color"},
        capture_output=True,
        text=True,
        check=True,
        cwd=folder.parent,
    ).stdout
    console = Console(record=True, width=WIDTH, file=StringIO())
    console.print(Text.from_ansi("\n".join(shown.splitlines()[:LINES])))
    drawn = console.export_svg(title=f"lift-agent {' '.join(command)}")
    drawn = re.sub(r"@font-face \{.*?\}", "", drawn, flags=re.DOTALL)  # fetched from elsewhere
    (IMAGES / name).write_text(drawn, encoding="utf-8")


def report_map(report: Path) -> None:
    """Photograph the map of a report beside the story of a generated row of the dataset."""
    browser = next(filter(None, map(shutil.which, BROWSERS)))
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = opened.new_page(viewport={"width": 1200, "height": 840}, device_scale_factor=1.5)
        page.goto(f"file://{report.resolve()}")
        page.wait_for_selector("html[data-ready=yes]")
        page.fill("#find", _generated(report.parent))
        page.click("#story button.row")
        page.mouse.move(0, 0)
        page.evaluate("document.activeElement.blur()")
        page.wait_for_timeout(500)
        page.locator(".map").screenshot(path=IMAGES / "report-map.png")
        opened.close()


def _generated(folder: Path) -> str:
    """The id of a generated row of a run's dataset."""
    lines = (folder / "dataset.jsonl").read_text(encoding="utf-8").splitlines()
    stories = [json.loads(line)["lift"] for line in lines]
    return str(next(s["id"] for s in stories if s.get("strategy") == "fusion"))


def main() -> None:
    """Make all pictures."""
    folder = Path(sys.argv[1])
    IMAGES.mkdir(exist_ok=True)
    screen(folder, "trace.svg", "trace", folder.name)
    screen(folder, "subspaces.svg", "subspaces", folder.name)
    report_map(folder / "report.html")


if __name__ == "__main__":
    main()
