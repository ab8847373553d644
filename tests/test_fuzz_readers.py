"""Ten thousand mutated files: no error but our own, no hang, no good row lost."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest
from encoders import COMPRESSIONS, CONTAINERS, FORMS, Record, messages

from lift_agent.errors import LiftAgentError
from lift_agent.formats.reading.readers import read_rows
from lift_agent.records import Row, UnusableRecord

FILES = 10_000
SECONDS = 5  # that one file may take, on a machine that is busy
KINDS = [(container, packed) for container in CONTAINERS for packed in COMPRESSIONS]
LINES = ("JSONL", "CSV", "CSV, all quoted", "CSV with semicolons", "TSV")
JUNK = (b'"', b"\n", b"\0", b"{", b"]", b",")
Mutation = Callable[[bytearray, random.Random, int], None]


def flip(raw: bytearray, rng: random.Random, start: int) -> None:
    raw[rng.randrange(start, len(raw))] ^= 1 << rng.randrange(8)


def cut(raw: bytearray, rng: random.Random, start: int) -> None:
    del raw[rng.randrange(start, len(raw)) :]


def splice(raw: bytearray, rng: random.Random, start: int) -> None:
    at = rng.randrange(start, len(raw))
    del raw[at : at + rng.randrange(1, 40)]


def insert(raw: bytearray, rng: random.Random, start: int) -> None:
    at = rng.randrange(start, len(raw))
    raw[at:at] = rng.choice(
        [b'"', b"\n", b"\0", b"{", b"]", b",", rng.randbytes(rng.randint(1, 9))]
    )


def swap(raw: bytearray, rng: random.Random, start: int) -> None:
    size = rng.randrange(1, 30)
    one, other = (rng.randrange(start, len(raw)) for _ in range(2))
    if abs(one - other) >= size and max(one, other) + size <= len(raw):
        one_part, other_part = raw[one : one + size], raw[other : other + size]
        raw[one : one + size], raw[other : other + size] = other_part, one_part


MUTATIONS: tuple[Mutation, ...] = (flip, cut, splice, insert, swap)


def records(rng: random.Random, form: Callable[[dict[str, str]], Record]) -> list[Record]:
    words = ("sort", "é", "a, b", 'say "x"', "日本", "1;2", "tab", "ü\u2028")
    return [
        form({"instruction": f"Task {n} {rng.choice(words)}", "input": "", "output": f"Answer {n}"})
        for n in range(5)
    ]


def mutated(raw: bytes, rng: random.Random, start: int = 0) -> bytes:
    damaged = bytearray(raw)
    for _ in range(rng.randint(1, 3)):
        if len(damaged) > start:
            rng.choice(MUTATIONS)(damaged, rng, start)
    return bytes(damaged)


def read(path: Path, raw: bytes) -> list[Row | UnusableRecord]:
    path.write_bytes(raw)
    found: list[Row | UnusableRecord] = []
    began = time.process_time()
    try:
        for item in read_rows([path]):
            found.append(item)
    except LiftAgentError as error:
        str(error).encode()
    assert time.process_time() - began < SECONDS
    for item in found:
        if isinstance(item, UnusableRecord):
            assert item.reason
            (item.reason + item.excerpt).encode()
            assert item.line >= 1
            assert item.column >= 1
    return found


def cases(seed: int) -> Iterator[tuple[str, str, random.Random]]:
    rng = random.Random(seed)
    while True:
        for container, packed in KINDS:
            yield container, packed, rng


@pytest.mark.slow
def test_ten_thousand_mutated_files_are_read_or_refused(tmp_path: Path) -> None:
    forms = list(FORMS.values())
    made: dict[tuple[str, str, int], bytes] = {}
    for number, (container, packed, rng) in enumerate(islice(cases(0), FILES)):
        key = container, packed, number % len(forms)
        if key not in made:
            rows = CONTAINERS[container](records(rng, forms[number % len(forms)]))
            made[key] = COMPRESSIONS[packed](rows)
        read(tmp_path / "file", mutated(made[key], rng))


@pytest.mark.parametrize("container", LINES)
def test_no_line_that_is_untouched_is_lost(tmp_path: Path, container: str) -> None:
    rng = random.Random(1)
    for number in range(300):
        form = FORMS["alpaca"] if container != "JSONL" or number % 2 else messages
        raw = CONTAINERS[container](records(rng, form))
        head = 0 if container == "JSONL" else raw.index(b"\n") + 1
        expected = read(tmp_path / "whole", raw)
        lines = raw[head:].rstrip(b"\n").split(b"\n")
        rows = {
            line: row for line, row in zip(lines, expected, strict=True) if isinstance(row, Row)
        }
        damaged = mutated(raw, rng, head)
        found = [row for row in read(tmp_path / "damaged", damaged) if isinstance(row, Row)]
        ids = {row.id for row in found}
        # A quote may turn lines into a part of a cell, as it does in any reader of CSV.
        texts = "\n".join(row.text for row in found)
        for line in damaged[head:].split(b"\n"):
            if line in rows and rows[line].id not in ids:
                assert b"\n" + line in texts.encode(), damaged.decode("utf-8", "replace")
