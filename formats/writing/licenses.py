"""Licences as they are given for a dataset's sources, and as the hub names them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

# What the hub calls the licences under which data is published.
_HUB = frozenset(
    [
        "apache-2.0",
        "mit",
        "openrail",
        "bigscience-openrail-m",
        "creativeml-openrail-m",
        "bsd",
        "bsd-2-clause",
        "bsd-3-clause",
        "c-uda",
        "cc",
        "cc0-1.0",
        "cc-by-2.0",
        "cc-by-2.5",
        "cc-by-3.0",
        "cc-by-4.0",
        "cc-by-sa-3.0",
        "cc-by-sa-4.0",
        "cc-by-nc-2.0",
        "cc-by-nc-3.0",
        "cc-by-nc-4.0",
        "cc-by-nd-4.0",
        "cc-by-nc-nd-3.0",
        "cc-by-nc-nd-4.0",
        "cc-by-nc-sa-2.0",
        "cc-by-nc-sa-3.0",
        "cc-by-nc-sa-4.0",
        "cdla-sharing-1.0",
        "cdla-permissive-1.0",
        "cdla-permissive-2.0",
        "wtfpl",
        "epl-2.0",
        "eupl-1.1",
        "agpl-3.0",
        "gfdl",
        "gpl",
        "gpl-2.0",
        "gpl-3.0",
        "lgpl",
        "lgpl-2.1",
        "lgpl-3.0",
        "mpl-2.0",
        "odc-by",
        "odbl",
        "pddl",
        "unlicense",
        "zlib",
        "artistic-2.0",
        "isc",
        "etalab-2.0",
        "llama2",
        "llama3",
        "gemma",
        "unknown",
    ]
)


def license_of(source: str, given: Sequence[str]) -> str:
    """The licence of a source: what is given for it, by its path or name, else that of all."""
    for name, equals, license in (item.rpartition("=") for item in given):
        if equals and name in (source, PurePath(source).name):
            return license
    return next((item for item in given if "=" not in item), "")


def licenses_of(given: Sequence[str]) -> dict[str, Any]:
    """The lines of the hub's header; what the hub has no name for is `other`, with its name."""
    names = list(dict.fromkeys(item.rpartition("=")[2].strip() for item in given))
    known = list(dict.fromkeys(n.lower() if n.lower() in _HUB else "other" for n in names))
    if not known:
        return {}
    header: dict[str, Any] = {"license": known[0] if len(known) == 1 else known}
    if others := [name for name in names if name.lower() not in _HUB]:
        header["license_name"] = ", ".join(others)
    return header
