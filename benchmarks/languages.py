"""Which language a text is in: py3langid, as the product asks it, beside lingua.

Every file is in one language, which is the label. Tasks are short, which is where detectors differ;
rows are what a run keeps.

    .venv/bin/python benchmarks/languages.py
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from importlib.metadata import files
from pathlib import Path

from corpora import parser, report, rows_of
from lingua import LanguageDetectorBuilder

from lift_agent.agents.language import known_languages, language, language_of
from lift_agent.records import Row

FILES = {
    "code_alpaca_new.json": "en",
    "gsm8k_train.json": "en",
    "gpteacher_toolformer.json": "en",
    "seed_tasks.jsonl": "en",
    "sharegpt_conversations.json": "en",
    "zh_seed_tasks.json": "zh",
}
ROWS = 300  # of a file


def measured(texts: Sequence[object], told: Callable[..., str], label: str) -> tuple[str, str]:
    """Share of texts that are told rightly and wrongly, and microseconds for one."""
    begun = time.process_time()
    found = [told(text) for text in texts]
    each = (time.process_time() - begun) / len(texts) * 1e6
    right = sum(name == label for name in found) / len(found)
    wrong = sum(name not in (label, "") for name in found) / len(found)
    return f"{right:.3f} / {wrong:.3f}", f"{each:.0f}"


def size(package: str) -> float:
    """Megabytes of an installed package."""
    return sum(Path(file.locate()).stat().st_size for file in files(package) or ()) / 1e6


def main() -> None:
    """Tell the language of each file's tasks and rows, and print how often that is right."""
    args = parser(__doc__).parse_args()
    detector = LanguageDetectorBuilder.from_all_languages().build()

    def by_lingua(text: str) -> str:
        found = detector.detect_language_of(text)
        return found.iso_code_639_1.name.lower() if found else ""

    known_languages()  # loads the model, which is not what is timed
    by_lingua("What time is it?")
    lines = []
    for name, label in FILES.items():
        rows: list[Row] = rows_of(args.data, name)[:ROWS]
        tasks = [row.instruction for row in rows]
        cells = [*measured(tasks, language, label), *measured(tasks, by_lingua, label)]
        lines.append([name, len(rows), *cells, *measured(rows, language_of, label)])
    notes = [
        "Shares of texts told rightly / wrongly; the rest is left open. µs of CPU for one; lingua "
        "loads its models while it tells the first file. There are no other languages in the data.",
        f"Installed: py3langid {size('py3langid'):.0f} MB, lingua "
        f"{size('lingua-language-detector'):.0f} MB.",
    ]
    heads = ("file", "rows", "task", "µs", "task, lingua", "µs", "row", "µs")
    title = "The language of tasks and rows"
    peers = ["py3langid", "lingua-language-detector"]
    report("languages", title, heads, lines, notes=notes, peers=peers)


if __name__ == "__main__":
    main()
