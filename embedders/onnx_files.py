"""The files of a model's ONNX export."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

MODEL, TOKENIZER, RECIPE = "model.onnx", "tokenizer.json", "recipe.json"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How an export is to be used.

    Attributes:
        library: why the library has to be used in its place; "" if it need not be.
        prompts: the model's own prompts, by name.
        default_prompt: the name of the one that the model puts before each text.
    """

    library: str
    prompts: Mapping[str, str | None]
    default_prompt: str | None

    @classmethod
    def read(cls, folder: Path) -> Recipe:
        """Read the recipe of an export.

        Raises:
            OSError: the folder cannot be read.
        """
        return cls(**json.loads((folder / RECIPE).read_text(encoding="utf-8")))

    def write(self, folder: Path) -> None:
        """Write the recipe into the folder of an export."""
        (folder / RECIPE).write_text(json.dumps(asdict(self)), encoding="utf-8")
