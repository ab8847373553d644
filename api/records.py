"""What callers have in memory: lists of mappings, `datasets.Dataset`, `pandas.DataFrame`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast

from ..errors import UsageError

Records = TypeVar("Records")


def records_of(data: Any) -> Iterator[Mapping[str, Any]]:
    """The records of a list, a Dataset or a DataFrame, one by one.

    Raises:
        UsageError: it is something else.
    """
    if isinstance(data, str | bytes | Mapping):
        raise UsageError(
            f"rows are a list of dicts, a Dataset or a DataFrame, not a {type(data).__name__}: "
            "read_rows(path) reads a file"
        )
    if hasattr(data, "to_dict") and hasattr(data, "iloc"):
        names = [str(name) for name in data.columns]
        for values in data.itertuples(index=False, name=None):
            yield dict(zip(names, map(_scalar, values), strict=True))
        return
    if not hasattr(data, "__iter__"):
        raise UsageError(
            f"rows are a list of dicts, a Dataset or a DataFrame, not a {type(data).__name__}"
        )
    yield from data


def taken(data: Records, numbers: Sequence[int]) -> Records:
    """The records with these numbers, in this order, in the kind of container that was given."""
    container = cast(Any, data)
    if hasattr(container, "iloc"):
        return cast(Records, container.iloc[list(numbers)])
    if hasattr(container, "select") and hasattr(container, "features"):
        return cast(Records, container.select(list(numbers)))
    items = container if isinstance(container, Sequence) else list(container)
    return cast(Records, [items[number] for number in numbers])


def _scalar(value: Any) -> Any:
    """A cell of a DataFrame as Python has it: NumPy's scalars and arrays are none of JSON's."""
    return value.tolist() if hasattr(value, "tolist") else value
