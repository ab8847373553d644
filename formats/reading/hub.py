"""Datasets of the Hugging Face hub, or saved by its library, as records."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...errors import UsageError

_SAVED = ("state.json", "dataset_dict.json")  # what save_to_disk leaves in a folder


def hub_records(name: str) -> Iterator[dict[str, Any]]:
    """Yield the records of `owner/name[:config][:split]`, or of a folder, read as they come.

    Without a split it is `train`, or the only one that there is.

    Raises:
        UsageError: the extra `hub` is not installed, or there is no such config or split.
    """
    try:
        import datasets
    except ImportError:
        raise UsageError(
            'hf: reads datasets of the hub, which needs: pip install "lift-agent[hub]"'
        ) from None
    datasets.disable_progress_bars()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it logs each retry
    path, *parts = name.split(":")
    if any((Path(path) / mark).is_file() for mark in _SAVED):
        found: Any = datasets.load_from_disk(path)
        if not isinstance(found, dict):
            found = {str(found.split or "train"): found}
        config, split = None, _chosen(parts, [], list(found), name)[1]
        yield from found[split]
        return
    configs = datasets.get_dataset_config_names(path)
    config = next((part for part in parts if part in configs), None)
    splits = datasets.get_dataset_split_names(path, config)
    config, split = _chosen(parts, configs, splits, name)
    yield from datasets.load_dataset(path, config, split=split, streaming=True)


def _chosen(
    parts: list[str], configs: list[str], splits: list[str], name: str
) -> tuple[str | None, str]:
    """The config and the split that the parts behind a name mean."""
    config, split = None, None
    for part in parts:
        if part in configs and config is None and (part not in splits or len(parts) > 1):
            config = part
        elif part in splits and split is None:
            split = part
        else:
            raise UsageError(
                f"hf:{name}: there is no {part}; configs: {', '.join(configs) or 'none'}; "
                f"splits: {', '.join(splits)}"
            )
    if split is None and "train" not in splits and len(splits) != 1:
        raise UsageError(f"hf:{name}: name one of the splits {', '.join(splits)}")
    return config, split or ("train" if "train" in splits else splits[0])
