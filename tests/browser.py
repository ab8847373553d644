"""A headless Chromium for the tests of the pages, which fails on any error or outside request."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
MISSING = (
    "needs Chromium and playwright: apt install chromium (or another one on the PATH), then "
    "make test again"
)


def installed():
    """The path of an installed Chromium, None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def chromium():
    """The path of an installed Chromium; skips the test where there is none."""
    pytest.importorskip("playwright", reason=MISSING)
    found = installed()
    if not found:
        pytest.skip(MISSING)
    return found


@contextmanager
def serving(folder):
    """The address of the page of a run, as the command prints it."""
    command = [sys.executable, "-m", "lift_agent", "view", str(folder), "--no-browser"]
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)
    try:
        yield server.stdout.readline().strip()
    finally:
        server.send_signal(signal.SIGINT)
        assert server.wait(20) == 0


@contextmanager
def page(browser, *, allowed=("file:", "data:", "blob:"), **options):
    """A fresh page; at its end nothing may have gone wrong or out."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, **options)
    shown, wrong = context.new_page(), []
    shown.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    shown.on("dialog", lambda dialog: (wrong.append("a dialog"), dialog.dismiss()))
    shown.on(
        "console",
        lambda said: said.type == "error" and wrong.append(f"console: {said.text}"),
    )
    shown.on(
        "request",
        lambda asked: asked.url.startswith(allowed) or wrong.append(f"request: {asked.url}"),
    )
    try:
        yield shown
        assert not wrong
    finally:
        context.close()
