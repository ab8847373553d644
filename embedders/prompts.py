"""The prompt that a model wants before each text."""

from __future__ import annotations

from collections.abc import Mapping

_DOCUMENT_PROMPTS = ("document", "passage", "corpus")  # as sentence-transformers looks for them


def prompt_for(wanted: str | None, prompts: Mapping[str, str | None], default: str | None) -> str:
    """The text put before each row.

    Args:
        wanted: the name of one of the model's prompts, or the text itself; None for the model's
            own choice.
        prompts: the model's prompts, by name.
        default: the name of the model's default prompt.
    """
    if wanted is not None:
        return prompts.get(wanted) or wanted
    names = (default or "", *_DOCUMENT_PROMPTS)
    return next((prompt for name in names if (prompt := prompts.get(name))), "")
