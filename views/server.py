"""The local page of a run: rows, map and calls, read from its ledger as they are asked for.

It listens on the loopback interface only, answers only to those who know the token in its
address, and only reads.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

from aiohttp import web

from ..errors import UsageError
from ..formats.writing.sentences import stop_explained
from ..stores.folder import is_held
from ..stores.ledger import Ledger
from ..stores.queries.calls import CallFilter, groups, since
from ..stores.queries.rows import (
    FATES,
    SORTS,
    RowFilter,
    RowLine,
    Window,
    bins,
    count,
    page,
    points,
)
from ..stores.queries.subspaces import subspace_reports
from ..stores.queries.summary import summarise
from . import call as call_view
from .format import inert
from .report import plotly
from .story import story_of
from .summary import as_record as as_summary
from .trace import as_record, told
from .why import nearest_in
from .wording import worded

HOST = "127.0.0.1"
_NAMES = ("127.0.0.1", "localhost", "[::1]")  # by which a browser here may call it
_PAGE = 50
_POINTS = 8000  # rows that the map shows one by one; more are counted in cells
_ACROSS = 100  # cells
_CALLS = 100
_MOST = 2**53  # of a number that is asked for: both JavaScript and SQLite can hold it
_KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline';"
        " connect-src 'self'; img-src data: blob:; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class RunPage:
    """Answers what the page of one run asks."""

    def __init__(self, ledger: Ledger, folder: Path) -> None:
        self._ledger = ledger
        self._folder = folder
        self._told: tuple[int, dict[str, Any]] | None = None

    def routes(self) -> list[web.RouteDef]:
        """What can be asked; all of it is read."""
        answers: dict[str, Callable[[web.Request], Any]] = {
            "run": self._run,
            "rows": self._rows,
            "rows/{id}": self._row,
            "map": self._map,
            "calls": self._calls,
            "calls/{key}": self._call,
        }
        return [
            web.get("/{token}/", _asset("view.html")),
            web.get("/{token}/plotly.js", _plotly),
            *(web.get(f"/{{token}}/{name}", _asset(name)) for name in ("page.css", "view.css")),
            *(web.get(f"/{{token}}/{name}", _asset(name)) for name in ("common.js", "view.js")),
            *(web.get(f"/{{token}}/api/{path}", _json(ask)) for path, ask in answers.items()),
        ]

    def _run(self, request: web.Request) -> dict[str, Any]:
        # SQLite counts what other connections change: what has not changed is not read again.
        version = next(iter(self._ledger.read("PRAGMA data_version")))[0]
        if self._told is None or self._told[0] != version:
            self._told = version, self._figures()
        return {**self._told[1], "running": is_held(self._folder)}

    def _figures(self) -> dict[str, Any]:
        summary = summarise(self._ledger)
        return {
            "folder": self._folder.resolve().name,
            "summary": {**as_summary(summary), "why": stop_explained(summary.stop)},
            "rounds": self._ledger.rounds.all(),
            "places": [_place(region) for region in subspace_reports(self._ledger)],
            "mapped": [
                [round, id, x, y]
                for (round, id), (x, y) in self._ledger.rows.mapped_subspaces().items()
            ],
        }

    def _rows(self, request: web.Request) -> dict[str, Any]:
        asked = request.query
        wanted = _filter(request)
        sort = _one_of(asked.get("sort", "position"), SORTS)
        rows = page(
            self._ledger,
            wanted,
            sort,
            descending=asked.get("down") == "1",
            offset=_whole(asked.get("offset", "0")),
            limit=_PAGE,
        )
        return {"count": count(self._ledger, wanted), "rows": [_row(row) for row in rows]}

    def _row(self, request: web.Request) -> dict[str, Any]:
        id = request.match_info["id"]
        row = self._ledger.rows.by_id([id]).get(id)
        if row is None:
            raise web.HTTPNotFound(text="no such row")
        story = story_of(self._ledger, row, nearest_in(self._folder))
        told_story = story.as_dict()
        told_story["calls"] = [call.key for call in story.calls]
        return told_story

    def _map(self, request: web.Request) -> dict[str, Any]:
        wanted, edges = _filter(request), request.query.get("window", "0,1,0,1").split(",")
        try:
            window = Window(*map(float, edges))
        except (TypeError, ValueError):
            raise web.HTTPBadRequest(text="window: left,right,bottom,top") from None
        found = points(self._ledger, wanted, window, _POINTS)
        if found is not None:
            return {"points": found}
        return {"bins": bins(self._ledger, wanted, window, _ACROSS), "across": _ACROSS}

    def _calls(self, request: web.Request) -> dict[str, Any]:
        asked = request.query
        round = asked.get("round", "")
        wanted = CallFilter(
            asked.get("agent", ""),
            _whole(round) if round else None,
            _one_of(asked.get("status", ""), ("", "failed", "quarantined", "cached")),
            text=asked.get("text", ""),
        )
        after = _whole(asked.get("after", "-1"), least=-1)
        lines = since(self._ledger, wanted, after, _CALLS)
        return {
            "groups": [asdict(group) for group in groups(self._ledger, wanted)],
            "calls": [
                {**as_record(line, about), "number": line.number}
                for line, about in told(self._ledger, lines)
            ],
            "more": len(lines) == _CALLS,
        }

    def _call(self, request: web.Request) -> dict[str, Any]:
        key = request.match_info["key"]
        if self._ledger.calls.call(key) is None:
            raise web.HTTPNotFound(text="no such call")
        return call_view.story_of(self._ledger, key).as_dict()


def application(ledger: Ledger, folder: Path, token: str) -> web.Application:
    """Return the page's server for a run: every address begins with the token."""

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        # By its name, so that no other site's script reaches it through a name of its own.
        host = request.host.rpartition(":")[0] if ":" in request.host else request.host
        known = secrets.compare_digest(request.match_info.get("token", "").encode(), token.encode())
        if host not in _NAMES or not known:
            raise web.HTTPNotFound(text="not found: open the whole address that was printed")
        try:
            return await handler(request)
        except web.HTTPException:
            raise
        except Exception:
            logging.getLogger(__name__).exception("a question of the page was not answered")
            raise web.HTTPInternalServerError(
                text="a fault of lift-agent: the terminal where it runs says more"
            ) from None

    app = web.Application(middlewares=[guarded])
    app.on_response_prepare.append(_protect)
    app.add_routes(RunPage(ledger, folder).routes())
    return app


async def serve(
    ledger: Ledger, folder: Path, port: int, ready: Callable[[str], None]
) -> web.AppRunner:
    """Start the page's server; `ready` is told its address. Port 0 takes any that is free.

    Raises:
        UsageError: the port is taken.
    """
    token = secrets.token_urlsafe(16)
    runner = web.AppRunner(application(ledger, folder, token), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port).start()
    except OSError as error:
        await runner.cleanup()
        raise UsageError(f"port {port} cannot be used ({error.strerror}): try another") from None
    ready(f"http://{HOST}:{runner.addresses[0][1]}/{token}/")
    return runner


async def _protect(request: web.Request, response: web.StreamResponse) -> None:
    """Set the headers of every response, refusals included."""
    response.headers.update(_HEADERS)


def _json(ask: Callable[[web.Request], Any]) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.json_response(_inert(ask(request)))
        response.enable_compression()
        return response

    return handle


def _asset(name: str) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        text = (files("lift_agent") / "views" / "web" / name).read_text("utf-8")
        return web.Response(text=text, content_type=_KINDS[Path(name).suffix])

    return handle


async def _plotly(request: web.Request) -> web.StreamResponse:
    return web.Response(body=plotly(), content_type="text/javascript", charset="utf-8")


def _filter(request: web.Request) -> RowFilter:
    asked = request.query
    round = asked.get("round", "")
    return RowFilter(
        text=asked.get("text", "").strip(),
        origin=_one_of(asked.get("origin", ""), ("", "seed", "generated")),
        fate=_one_of(asked.get("fate", ""), ("", *FATES)),
        round=_whole(round) if round else None,
    )


def _row(row: RowLine) -> dict[str, Any]:
    values = asdict(row)
    del values["why"]
    return values | {"reason": worded(row.why)}


def _place(region: Any) -> dict[str, Any]:
    subspace = region.subspace
    return {"round": subspace.round, "id": subspace.id, "name": subspace.name}


def _one_of(value: str, allowed: tuple[Any, ...]) -> Any:
    if value not in allowed:
        raise web.HTTPBadRequest(text=f"{value}: not one of {', '.join(filter(None, allowed))}")
    return value


def _whole(value: str, least: int = 0) -> int:
    try:
        return min(max(least, int(value)), _MOST)
    except ValueError:
        raise web.HTTPBadRequest(text=f"{value}: not a whole number") from None


def _inert(value: Any) -> Any:
    """A JSON value whose texts hold no signs that turn or hide what is read."""
    if isinstance(value, str):
        return inert(value)
    if isinstance(value, dict):
        return {name: _inert(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_inert(item) for item in value]
    return value
