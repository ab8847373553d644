"""JSON records as Arrow tables: a type for each column, and values that fit it.

A column whose values have one type keeps it. One with several (texts and numbers, objects with
other keys) becomes text that holds JSON, and its field says so in its metadata: Arrow would fill
the keys that an object lacks with null, and what was read back would not be what was written.
The columns that lift-agent itself writes are filled in that way: there null and absent mean the
same, and among texts that which is no text becomes its JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import reduce
from itertools import islice
from typing import TYPE_CHECKING, Any

from ...stores.exact_json import dumps

if TYPE_CHECKING:
    import pyarrow as pa

OWN = ("messages", "conversations", "prompt", "completion", "lift")
JSON_TEXT = {"lift_agent": "json"}  # metadata of a text column whose values are JSON

_BATCH = 5000  # rows held at once, and in a row group
_EXACT = 2**53  # largest integer up to which a float holds every one
_LONGEST = 2**63

Kind = Any  # None, bool, int, long, float, string, json, text, or [Kind], or {key: Kind}


def columns_of(records: Iterable[Mapping[str, Any]]) -> list[str]:
    """The columns of all records in order of appearance, the story of the rows last."""
    names = dict.fromkeys(name for record in records for name in record)
    return sorted(names, key=lambda name: name == "lift")


def kinds_of(records: Iterable[Mapping[str, Any]]) -> dict[str, Kind]:
    """What the values of each column have in common."""
    kinds: dict[str, Kind] = {}
    for record in records:
        for name, value in record.items():
            kinds[name] = _merge(kinds.get(name), _kind(value, name in OWN), name in OWN)
    for name, kind in kinds.items():
        if name not in OWN and _has_json(kind):
            kinds[name] = "json"
    return {name: kinds[name] for name in columns_of([kinds])}


def schema_of(kinds: Mapping[str, Kind]) -> pa.Schema:
    """The Arrow schema of columns of these kinds."""
    import pyarrow as pa

    return pa.schema(
        pa.field(name, _arrow(kind), metadata=JSON_TEXT if kind == "json" else None)
        for name, kind in kinds.items()
    )


def batches(
    records: Iterable[Mapping[str, Any]], kinds: Mapping[str, Kind]
) -> Iterator[pa.RecordBatch]:
    """The records as batches of one schema, some thousand at a time."""
    import pyarrow as pa

    schema, rows = schema_of(kinds), iter(records)
    while part := list(islice(rows, _BATCH)):
        fitted = [{n: _fit(row.get(n), kind) for n, kind in kinds.items()} for row in part]
        yield pa.RecordBatch.from_pylist(fitted, schema=schema)


def _kind(value: Any, union: bool) -> Kind:
    if value is None or isinstance(value, bool):
        return None if value is None else "bool"
    if isinstance(value, int):
        return "int" if abs(value) <= _EXACT else "long" if abs(value) < _LONGEST else "json"
    if isinstance(value, dict):
        return {key: _kind(item, union) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        kinds = (_kind(item, union) for item in value)
        return [reduce(lambda one, other: _merge(one, other, union), kinds, None)]
    return "float" if isinstance(value, float) else "string"


def _merge(one: Kind, other: Kind, union: bool) -> Kind:
    """The kind that holds the values of two; with `union` objects may lack keys."""
    if one is None or other is None or one == other:
        return other if one is None else one
    if isinstance(one, list) and isinstance(other, list):
        return [_merge(one[0], other[0], union)]
    if isinstance(one, dict) and isinstance(other, dict) and (union or one.keys() == other.keys()):
        return {key: _merge(one.get(key), other.get(key), union) for key in {**one, **other}}
    numbers = {str(one), str(other)}
    if numbers == {"int", "float"}:
        return "float"
    if numbers == {"int", "long"}:
        return "long"
    return "text" if union else "json"


def _has_json(kind: Kind) -> bool:
    if isinstance(kind, dict):
        return not kind or any(map(_has_json, kind.values()))
    return _has_json(kind[0]) if isinstance(kind, list) else bool(kind == "json")


def _arrow(kind: Kind) -> pa.DataType:
    import pyarrow as pa

    if isinstance(kind, list):
        return pa.list_(_arrow(kind[0]))
    if isinstance(kind, dict) and kind:  # Parquet has no object without keys
        return pa.struct([(key, _arrow(item)) for key, item in kind.items()])
    types = {"bool": pa.bool_(), "int": pa.int64(), "long": pa.int64(), "float": pa.float64()}
    return types.get(str(kind), pa.string())


def _fit(value: Any, kind: Kind) -> Any:
    if value is None:
        return None
    if kind in ("json", {}) or (kind == "text" and not isinstance(value, str)):
        return dumps(value)
    if isinstance(kind, list):
        return [_fit(item, kind[0]) for item in value]
    if isinstance(kind, dict):
        return {key: _fit(value.get(key), item) for key, item in kind.items()}
    return float(value) if kind == "float" else value
