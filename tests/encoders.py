"""How the tests write records: each container and compression, and each form of a row.

`CONTAINERS` and `FORMS` may be extended with the product's own writers.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import lzma
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

Record = dict[str, Any]
Texts = dict[str, str]  # instruction, input, output


def jsonl(records: list[Record]) -> bytes:
    return "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records).encode()


def array(records: list[Record]) -> bytes:
    return json.dumps(records, indent=2).encode()


def wrapped(records: list[Record]) -> bytes:
    return json.dumps({"version": 1, "data": records}, ensure_ascii=False).encode()


def delimited(delimiter: str, quoting: int) -> Callable[[list[Record]], bytes]:
    def write(records: list[Record]) -> bytes:
        names = list(dict.fromkeys(name for record in records for name in record))
        file = io.StringIO(newline="")
        writer = csv.writer(file, delimiter=delimiter, quoting=quoting, lineterminator="\n")
        writer.writerow(names)
        for record in records:
            cells = [record.get(name, "") for name in names]
            writer.writerow(c if isinstance(c, str) else json.dumps(c) for c in cells)
        return file.getvalue().encode()

    return write


def parquet(records: list[Record]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(records), file, row_group_size=3)
    return file.getvalue()


def arrow(kind: str) -> Callable[[list[Record]], bytes]:
    def write(records: list[Record]) -> bytes:
        table = pa.Table.from_pylist(records)
        file = io.BytesIO()
        with getattr(pa.ipc, f"new_{kind}")(file, table.schema) as writer:
            writer.write_table(table, max_chunksize=3)
        return file.getvalue()

    return write


JSON = {"JSONL": jsonl, "JSON array": array, "JSON object": wrapped}
TABLES = {
    "CSV": delimited(",", csv.QUOTE_MINIMAL),
    "CSV, all quoted": delimited(",", csv.QUOTE_ALL),
    "CSV with semicolons": delimited(";", csv.QUOTE_MINIMAL),
    "TSV": delimited("\t", csv.QUOTE_MINIMAL),
}
COLUMNAR = {"Parquet": parquet, "Arrow": arrow("file"), "Arrow stream": arrow("stream")}
CONTAINERS = {**JSON, **TABLES, **COLUMNAR}
COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda raw: raw,
    "gz": lambda raw: gzip.compress(raw, 1),
    "zst": zstandard.ZstdCompressor().compress,
    "xz": lambda raw: lzma.compress(raw, preset=0),
}


def alpaca(row: Texts) -> Record:
    return {"instruction": row["instruction"], "input": row["input"], "output": row["output"]}


def asked(row: Texts) -> str:
    """An instruction with its input, for the forms that have no place for that."""
    return f"{row['instruction']}\n{row['input']}" if row["input"] else row["instruction"]


def messages(row: Texts) -> Record:
    turns = [("user", asked(row)), ("assistant", row["output"])]
    return {"messages": [{"role": role, "content": text} for role, text in turns]}


def sharegpt(row: Texts) -> Record:
    turns = [("human", asked(row)), ("gpt", row["output"])]
    return {"conversations": [{"from": role, "value": text} for role, text in turns]}


def instances(row: Texts) -> Record:
    one = {"input": row["input"], "output": row["output"]}
    return {"instruction": row["instruction"], "instances": [one]}


def chat_pair(row: Texts) -> Record:
    said = messages(row)["messages"]
    return {"prompt": said[:1], "completion": said[1:]}


def pair(first: str, second: str) -> Callable[[Texts], Record]:
    return lambda row: {first: asked(row), second: row["output"]}


FORMS: dict[str, Callable[[Texts], Record]] = {
    "alpaca": alpaca,
    "messages": messages,
    "conversations": sharegpt,
    "instances": instances,
    "prompt messages": chat_pair,
    "prompt, completion": pair("prompt", "completion"),
    "question, answer": pair("question", "answer"),
    "query, response": pair("query", "response"),
}
