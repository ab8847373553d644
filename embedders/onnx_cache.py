"""Sentence-transformers models exported to ONNX once, in the user's cache folder.

The whole model is traced, from token ids to the vector: its pooling, dense layers and
normalisation are in the graph as its own modules define them. Before an export is used it is
compared with the library; a model that gives other vectors, or cannot be traced, is noted as one
for the library.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import tempfile
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ..config import cache_folder
from ..geometry.neighbours import unit
from .onnx_files import MODEL, RECIPE, TOKENIZER, Recipe
from .onnx_model import Session

logger = logging.getLogger(__name__)

_TOLERANCE = 1e-5  # largest difference from the library's vectors
_LAYOUT = "1"  # of the exported folder
_READ = {".json", ".txt", ".model", ".safetensors", ".bin", ".py"}  # files that make a model
_VERSIONS = ("sentence-transformers", "transformers", "torch")
_TRIAL_TEXTS = (
    "",
    "  Two  spaces, CAPITALS and a\nnew line ",
    "Ein Käfer, 一只甲虫, жук, 🪲.",
    "def f(x):\n\treturn x[::-1]  # reversed",
    "A text that is longer than most models read. " * 400,
)


def cached_export(folder: Path, load: Callable[[], Any]) -> Path | str:
    """Return the folder of a model's export, made now if it is not there.

    Where the library has to be used, return the reason instead. Two processes at once are safe:
    one exports, the other waits for it.

    Args:
        folder: the model's files.
        load: loads the model with the library.
    """
    from filelock import FileLock

    place = cache_folder() / "embedders" / f"{folder.name}-{_fingerprint(folder)}"
    try:
        if not (place / RECIPE).is_file():
            place.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{place}.lock"):
                if not (place / RECIPE).is_file():
                    logger.info("exporting the embedder to ONNX, once")
                    _make(place, load())
        recipe = Recipe.read(place)
    except OSError as error:
        return f"the cache folder {place.parent} cannot be used ({error.strerror})"
    return recipe.library or place


def _fingerprint(folder: Path) -> str:
    """Digest of the files that make the model, and of the versions that read them."""
    seen = hashlib.sha256("\0".join([_LAYOUT, *map(version, _VERSIONS)]).encode())
    for file in sorted(folder.rglob("*")):
        inside = file.relative_to(folder)
        if file.suffix in _READ and inside.parts[0] not in ("onnx", "openvino"):
            seen.update(str(inside).encode())
            with file.open("rb") as content:
                while block := content.read(1 << 20):
                    seen.update(block)
    return seen.hexdigest()[:20]


def _make(place: Path, model: Any) -> None:
    """Export into a folder beside, and move it into place when it is whole."""
    made = Path(tempfile.mkdtemp(dir=place.parent))
    try:
        reason = _export(model, made)
        if reason:
            shutil.rmtree(made)
            made.mkdir()
        Recipe(reason, dict(model.prompts), model.default_prompt_name).write(made)
        made.rename(place)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _export(model: Any, made: Path) -> str:
    """Export a loaded model; return why the library has to be used, "" if it need not."""
    if type(model[0]).__name__ != "Transformer":
        return f"it begins with a {type(model[0]).__name__}, which is not exported"
    if not hasattr(model.tokenizer, "backend_tokenizer"):
        return "its tokenizer is written in Python"
    if any(getattr(module, "include_prompt", True) is False for module in model):
        return "it leaves the prompt out of its pooling"
    try:
        _trace(model.to("cpu").eval(), made / MODEL)
        _save_tokenizer(model, made / TOKENIZER)
        difference = _difference(model, made)
    except Exception as error:  # models differ in what cannot be traced
        return f"it cannot be exported ({type(error).__name__}: {str(error).splitlines()[:1]})"
    return "" if difference <= _TOLERANCE else f"its export differs by {difference:.1g}"


def _trace(model: Any, file: Path) -> None:
    import torch

    class Whole(torch.nn.Module):
        """Token ids of one text to its vector; alone it has no padding, and needs no mask."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
            """Return the (1, d) vector of (1, tokens) ids."""
            found: torch.Tensor = self.model({"input_ids": input_ids})["sentence_embedding"]
            return found

    ids = torch.tensor([model.tokenizer("An example of some words.")["input_ids"]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Whole().eval(),
            (ids,),
            str(file),
            input_names=["input_ids"],
            output_names=["vector"],
            dynamic_axes={"input_ids": {1: "tokens"}},
            opset_version=17,
            dynamo=False,
        )


def _save_tokenizer(model: Any, file: Path) -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(model.tokenizer.backend_tokenizer.to_str())
    tokenizer.no_padding()
    tokenizer.no_truncation()
    most = model.max_seq_length or model.tokenizer.model_max_length
    if most < 1 << 30:  # where there is no limit, transformers has a very large one
        tokenizer.enable_truncation(most)
    tokenizer.save(str(file))


def _difference(model: Any, made: Path) -> float:
    """Largest difference between the library's vectors of the trial texts and the export's."""
    library = unit(np.asarray(model.encode(list(_TRIAL_TEXTS), prompt="", show_progress_bar=False)))
    export = unit(Session(made).embed(_TRIAL_TEXTS))
    return float(np.abs(library - export).max()) if library.shape == export.shape else np.inf
