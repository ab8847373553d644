"""The report of a run: one HTML file that holds everything that it shows."""

from __future__ import annotations

import base64
import gzip
import json
from collections import Counter
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..formats.writing.sentences import judging_lines, stop_explained
from ..records import Layer, Row, RowOutcome, Score
from ..stores.files import replace_file
from ..stores.layout import REPORT
from ..stores.ledger import Ledger
from ..stores.queries.subspaces import subspace_reports
from ..stores.queries.summary import PAIR, summarise
from .format import duration, in_one_line, money, number
from .report_rows import columns
from .summary import flow
from .wording import SETS, scorer_named, worded

_BINS = 50  # of the histogram of scores, 2 points each
_EXAMPLES = 5  # near-duplicates that are shown beside the row that they repeat
_REJECTS = 200  # quarantined records that are listed


def write_report(ledger: Ledger, folder: Path) -> Path:
    """Write the report of the run in `folder`; return its path."""
    path = folder / REPORT
    replace_file(path, report(ledger, folder))
    return path


def report(ledger: Ledger, folder: Path) -> str:
    """Return the report's HTML. Nothing in it is fetched from anywhere.

    What comes from models or files is escaped by the template, or packed as JSON that the page
    writes as text only.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("lift_agent", "views/web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = {"number": number, "money": money, "duration": duration, "inert": in_one_line}
    environment.filters.update(filters)
    return environment.get_template("report.html").render(_facts(ledger, folder))


def _facts(ledger: Ledger, folder: Path) -> dict[str, Any]:
    rows = {row.id: row for row in ledger.rows.find()}
    fates, scores = ledger.rows.outcomes(), ledger.judgements.scores()
    summary = summarise(ledger)
    return {
        "version": __version__,
        "folder": folder.resolve().name,
        "s": summary,
        "why": stop_explained(summary.stop),
        "flow": flow(summary),
        "scorer": scorer_named(summary.judge) or "nobody",
        "sets": SETS,
        "pair": PAIR,
        "judging": [*judging_lines(summary.judging), *summary.judging.get("notes", ())],
        "layers": Counter(v.layer for v in ledger.judgements.verdicts().values() if v.duplicate),
        "repeats": _repeats(ledger, rows),
        "subspaces": subspace_reports(ledger),
        "left_out": _left_out(fates),
        "rejects": ledger.sources.unusable()[:_REJECTS],
        "sources": ledger.sources.all(),
        "models": ledger.calls.models(),
        "settings": _settings(ledger.facts.read().settings or {}),
        "data": packed(
            {
                "rows": columns(rows, fates, scores, ledger.judgements.verdicts()),
                "places": _outlines(ledger, rows, fates),
                "scores": _histograms(scores, fates),
                "rounds": [r for r in ledger.rounds.all() if r["round"]],
            }
        ),
        "plotly": _packed(plotly()),
        "script": _asset("common.js") + _asset("report.js"),
        "style": _asset("page.css") + _asset("report.css"),
    }


def packed(value: Any) -> str:
    """A JSON value as text that is safe in HTML: compressed, in base 64."""
    return _packed(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def _packed(data: bytes) -> str:
    return base64.b64encode(gzip.compress(data, 9, mtime=0)).decode()


def plotly() -> bytes:
    """Plotly's own script, from its Python package."""
    return (files("plotly") / "package_data" / "plotly.min.js").read_bytes()


def _asset(name: str) -> str:
    from markupsafe import Markup

    text = (files("lift_agent") / "views" / "web" / name).read_text("utf-8")
    return Markup(text)


def _repeats(ledger: Ledger, rows: Mapping[str, Row]) -> list[dict[str, Any]]:
    """Some near-duplicates that were removed, each with the row that it repeats."""
    found = [
        v for v in ledger.judgements.verdicts().values() if v.duplicate and v.layer != Layer.EXACT
    ]
    closest = sorted(found, key=lambda v: v.cosine)  # the farthest apart tell most
    return [
        {"row": rows[v.row], "other": rows[v.other], "verdict": v}
        for v in closest[:_EXAMPLES]
        if v.row in rows and v.other in rows
    ]


def _left_out(fates: Mapping[str, RowOutcome]) -> list[tuple[str, int]]:
    """Why rows are not in the dataset, and how many."""
    why: Counter[str] = Counter()
    for fate in fates.values():
        if fate.rank is not None:
            continue
        if fate.status == "accepted":
            why["good enough, but others were chosen"] += 1
        elif fate.status == "duplicate":
            why["near-duplicate of an earlier row"] += 1
        elif fate.status in ("rejected", "quarantined"):
            why[f"{fate.status}: {worded(fate.why)}"] += 1
        else:
            why["not judged before the run stopped"] += 1
    return why.most_common()


def _outlines(
    ledger: Ledger, rows: Mapping[str, Row], fates: Mapping[str, RowOutcome]
) -> list[dict[str, Any]]:
    """A circle for each subspace that is on the map: about its centre, out to its rows there."""
    centres = ledger.rows.mapped_subspaces()
    outlines = []
    for place in ledger.rounds.subspaces():
        if (centre := centres.get((place.round, place.id))) is None or not place.quota:
            continue
        landed = [i for i, f in fates.items() if f.landed and rows[i].subspace == place.id]
        points = [(fates[i].x, fates[i].y) for i in {*place.members, *landed} if i in fates]
        apart = [
            np.hypot(x - centre[0], y - centre[1])
            for x, y in points
            if x is not None and y is not None
        ]
        radius = float(np.percentile(apart, 75)) if apart else 0.0
        outlines.append(
            {
                "id": place.id,
                "round": place.round,
                "name": in_one_line(place.name, 60),
                "x": round(centre[0], 4),
                "y": round(centre[1], 4),
                "r": round(min(0.12, max(0.015, radius)), 4),
            }
        )
    return outlines


def _histograms(scores: Mapping[str, Score], fates: Mapping[str, RowOutcome]) -> dict[str, Any]:
    """How many rows have each score: all that were scored, and those of the dataset."""
    finals = {id: s.final for id, s in scores.items() if not s.failed and id in fates}
    chosen = [final for id, final in finals.items() if fates[id].rank is not None]
    edges = np.linspace(0, 100, _BINS + 1)
    return {
        "width": 100 / _BINS,
        "all": np.histogram(list(finals.values()), edges)[0].tolist(),
        "dataset": np.histogram(chosen, edges)[0].tolist(),
    }


def _settings(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (name, in_one_line(json.dumps(value, ensure_ascii=False), 200))
        for name, value in settings.items()
        if value not in (None, [], {})
    ]
