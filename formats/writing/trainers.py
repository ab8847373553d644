"""What each trainer reads: the rows as it wants them, and the lines that point it to them.

The rows carry an `id`, by which `lift-agent why` finds them, and nothing that a trainer does not
read: columns that only some rows have make loaders fail. Paths are relative to the folder, so
that it can be moved.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from ...records import Row
from .shapes import Record
from .turns import SHAREGPT, Turn, plain_messages, sharegpt, trained

_LOADERS = {".jsonl": "json", ".json": "json", ".csv": "csv", ".parquet": "parquet"}
_LOADERS |= {".arrow": "arrow"}


@dataclass(frozen=True, slots=True)
class Data:
    """What was written for a trainer: the dataset's name, its files by split, their kind."""

    name: str
    files: Mapping[str, str]
    container: str
    tools: bool

    @property
    def loader(self) -> str:
        """What `datasets` calls the container."""
        return _LOADERS[self.container]


@dataclass(frozen=True, slots=True)
class Trainer:
    """How rows are written for a trainer, its configuration's file, and how to start."""

    name: str
    texts: Callable[[Row], Record]
    file: str
    configuration: Callable[[Data], str]


def record_for(trainer: Trainer, row: Row, *, tools: bool) -> Record:
    """A row as the trainer reads it; with `tools` every row has that column, as JSON."""
    record = {"id": row.id, **trainer.texts(row)}
    if tools:
        described = row.extra.get("tools") or ""
        record["tools"] = described if isinstance(described, str) else json.dumps(described)
    return record


def uses_tools(row: Row) -> bool:
    """Whether a row's conversation calls functions or describes them."""
    return bool(row.extra.get("tools")) or any(
        turn["role"] == "tool" or "tool_calls" in turn for turn in trained(row)
    )


# TRL ---------------------------------------------------------------------------------------


def _trl_texts(row: Row) -> Record:
    turns = trained(row)
    return {"prompt": turns[:-1], "completion": turns[-1:]}


def _trl(data: Data) -> str:
    files = json.dumps(dict(data.files))
    test = 'eval_dataset=data["test"], ' if "test" in data.files else ""
    return f"""# pip install trl; then: python {TRAINERS["trl"].file} MODEL
import sys
from pathlib import Path
from datasets import load_dataset
from trl import SFTConfig, SFTTrainer
here = Path(__file__).parent
files = {{split: str(here / name) for split, name in {files}.items()}}
data = load_dataset("{data.loader}", data_files=files)
args = SFTConfig(output_dir=str(here / "trained"))  # the loss is on the completions only
SFTTrainer(sys.argv[1], args, train_dataset=data["train"], {test}).train()
""".replace(", )", ")")


# Axolotl -----------------------------------------------------------------------------------


def _axolotl_texts(row: Row) -> Record:
    return {"messages": trained(row)}


def _axolotl(data: Data) -> str:
    parts = [_axolotl_part("datasets", data.files["train"], data)]
    if "test" in data.files:
        parts.append(_axolotl_part("test_datasets", data.files["test"], data))
        parts.append("val_set_size: 0\n")
    return "# For your Axolotl configuration; paths are relative to this folder.\n" + "".join(parts)


def _axolotl_part(key: str, file: str, data: Data) -> str:
    mappings = {"role": "role", "content": "content"}
    if data.tools:
        mappings |= {"tool_calls": "tool_calls", "tool_call_id": "tool_call_id", "name": "name"}
    lines = [
        f"{key}:",
        f"  - path: {json.dumps(file)}",
        f"    ds_type: {data.loader}",
        "    split: train",
        "    type: chat_template",
        "    field_messages: messages",
        *(["    field_tools: tools"] if data.tools else []),
        "    message_property_mappings:",
        *(f"      {name}: {field}" for name, field in mappings.items()),
        '    roles_to_train: ["assistant"]',
        "    train_on_eos: turn",
    ]
    return "\n".join(lines) + "\n"


# LLaMA-Factory -----------------------------------------------------------------------------

_EVEN = (SHAREGPT["user"], SHAREGPT["tool"])
_ODD = (SHAREGPT["assistant"], SHAREGPT["call"])


def _llama_factory_texts(row: Row) -> Record:
    """Turns that alternate, as LLaMA-Factory asks; where they do not, the row's own fields do."""
    turns = _alternating(trained(row))
    said = [turn["from"] for turn in turns if turn["from"] != "system"]
    regular = len(said) % 2 == 0 and all(
        name in (_ODD if i % 2 else _EVEN) for i, name in enumerate(said)
    )
    return {"conversations": turns if regular else _alternating(plain_messages(row))}


def _alternating(messages: list[Turn]) -> list[Turn]:
    """One turn a message (what is said beside a call is left out); results in a row are one."""
    turns = [sharegpt(message)[-1] for message in messages]
    joined: list[Turn] = []
    for name, group in groupby(turns, key=lambda turn: str(turn["from"])):
        run = list(group)
        if name == SHAREGPT["tool"]:
            run = [{"from": name, "value": "\n".join(turn["value"] for turn in run)}]
        joined += run
    return joined


def _llama_factory(data: Data) -> str:
    columns = {"messages": "conversations"} | ({"tools": "tools"} if data.tools else {})
    tags = {
        "role_tag": "from",
        "content_tag": "value",
        "user_tag": SHAREGPT["user"],
        "assistant_tag": SHAREGPT["assistant"],
        "observation_tag": SHAREGPT["tool"],
        "function_tag": SHAREGPT["call"],
        "system_tag": SHAREGPT["system"],
    }
    described: dict[str, Any] = {
        data.name if split == "train" else f"{data.name}_{split}": {
            "file_name": file,
            "formatting": "sharegpt",
            "columns": columns,
            "tags": tags,
        }
        for split, file in data.files.items()
    }
    return json.dumps(described, indent=2, ensure_ascii=False) + "\n"


TRAINERS = {
    trainer.name: trainer
    for trainer in (
        Trainer("trl", _trl_texts, "train_trl.py", _trl),
        Trainer("axolotl", _axolotl_texts, "axolotl.yaml", _axolotl),
        Trainer("llama-factory", _llama_factory_texts, "dataset_info.json", _llama_factory),
    )
}
