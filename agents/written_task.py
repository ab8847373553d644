"""A task as a model writes it in plain text, read back into an instruction and its input."""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict

_LABEL = re.compile(r"^\s*(new |fused |final )?(task|instruction)\s*:\s*", re.IGNORECASE)
_INPUT_WORDS = (
    "inputs?|eingaben?|entrées?|entradas?|ingressi|ingresso|invoer|indata|dane wejściowe|wejście|"
    "girdi|ввод|входные данные|вхідні дані|είσοδος|קלט|المدخلات|مدخلات|المدخل|ورودی|इनपुट|ইনপুট|"
    "输入|輸入|入力|입력|อินพุต|đầu vào|masukan"
)
# At the start of a line, or after the end of a sentence on the same line.
_INPUT = re.compile(
    rf"(?:^[ \t]*|(?<=[.?!。？！:])[ \t]+)[*_#]*(?:{_INPUT_WORDS})[*_]*\s*[:：][*_]*[ \t]*\n?",
    re.IGNORECASE | re.MULTILINE,
)
_NO_INPUT = ("", "none", "n/a", "no input", "(none)", "none.", "keine", "aucune", "无", "なし", "-")


class WrittenTask(BaseModel):
    """A task as a model writes it in plain text: the instruction, then perhaps `Input:`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    instruction: str
    input: str = ""

    @classmethod
    def read(cls, text: str) -> WrittenTask:
        """Separate the instruction from its input; drop a leading label and quotes."""
        instruction, *rest = _INPUT.split(_LABEL.sub("", text.strip()), maxsplit=1)
        input = rest[0].strip() if rest else ""
        instruction = instruction.strip()
        if len(instruction) > 2 and instruction[0] == instruction[-1] == '"':
            instruction = instruction[1:-1].strip()
        return cls(instruction=instruction, input="" if input.casefold() in _NO_INPUT else input)

    @property
    def task(self) -> str:
        """The task as the answering model sees it."""
        return f"{self.instruction}\nInput: {self.input}" if self.input else self.instruction
