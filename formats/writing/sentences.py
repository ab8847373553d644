"""A run's figures in sentences, as its card and everything else that people look at tell them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

EXAMPLES = 3  # leaks that are told one by one

_STOPPED = {
    "target": "the target was reached",
    "budget": "the next call could have crossed a cap",
    "rounds": "the rounds of generation were used up",
    "saturated": "the last rounds produced almost no new rows: the subspaces are full",
    "errors": "too many calls to the model failed",
    "interrupted": "you stopped it",
}


def stop_explained(stop: str) -> str:
    """The stop reason as a sentence."""
    return _STOPPED.get(stop, "the run has not finished")


def screen_lines(found: Mapping[str, Any], *, examples: int = EXAMPLES) -> list[str]:
    """What the screen found, in sentences: languages, personal data, benchmarks, some leaks."""
    if not found:
        return []
    lines = [f"languages: {counted(languages_named(found['languages']))}"]
    if found["chosen"] and len(found["languages"]) > 1:
        lines[0] += f"; of the dataset: {counted(languages_named(found['chosen']))}"
    if found["personal"]:
        within = f", {found['personal_chosen']:,} of them in the dataset" if found["chosen"] else ""
        kinds = counted(found["personal"])
        how = "masked personal data" if found["masked"] else "personal data"
        lines.append(f"{how}: in {found['personal_rows']:,} rows ({kinds}){within}")
    if found["benchmarks"]:
        rows, names = len(found["leaks"]), ", ".join(found["benchmarks"])
        lines.append(
            f"benchmarks: {rows:,} of {sum(found['languages'].values()):,} rows leak one of the "
            f"{sum(found['benchmarks'].values()):,} items of {names}"
        )
    lines += [f"leaked: {evidence}" for evidence in found["leaks"][:examples]]
    return lines


def counted(counts: Mapping[str, int]) -> str:
    """Counts by name on one line."""
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())


def languages_named(counts: Mapping[str, int]) -> dict[str, int]:
    """Rows by language, with a name for those that do not tell theirs."""
    return {language or "not detected": rows for language, rows in counts.items()}


_BARS = "▁▂▃▄▅▆▇█"


def judging_lines(judging: Mapping[str, Any]) -> list[str]:
    """What a run's judge did, in sentences: its scores, how it repeats itself, the near-ties."""
    if not judging:
        return []
    lowest, first, middle, third, highest = judging["quartiles"]
    most = max(judging["histogram"])
    bars = "".join(_BARS[-(-n * 7 // most)] for n in judging["histogram"])
    lines = [
        f"scored {judging['rows']:,} rows from {lowest:g} to {highest:g}, half of them between "
        f"{first:g} and {third:g}, median {middle:g} (0 {bars} 100); correlation with length "
        f"{judging['length_correlation']:.2f}"
    ]
    if panel := judging.get("panel"):
        lines.append(_panel_line(panel))
    if repeats := judging["repeats"]:
        near = repeats.get("undecided")
        lines.append(
            f"judged {repeats['rows']} rows {repeats['samples']} times: a score varies by "
            f"±{repeats['deviation']:.1f} points (ICC {repeats['icc']:.2f}), so scores less than "
            f"{repeats['reach']:.1f} apart cannot be told apart"
            + (f": {near:,} rows lie that close to the cut-off" if near is not None else "")
        )
    if ties := judging["ties"]:
        lines.append(
            f"compared {ties['pairs']:,} pairs near the cut-off in both orders: "
            + (
                f"the same verdict in {ties['consistency']:.0%}, {ties['decided']:,} decided"
                if ties["consistency"] is not None
                else "no verdict"
            )
        )
    return lines


def _panel_line(panel: Mapping[str, Any]) -> str:
    """How far the judges of a panel agree, in a sentence."""
    means = ", ".join(f"{name} {mean:.1f}" for name, mean in panel["means"].items())
    line = f"a panel with the means {means}"
    if panel["deviation"] is not None:
        line += f"; on a row its judges differ by ±{panel['deviation']:.1f} points"
    if panel["correlation"] is not None:
        line += f" (rank correlation {panel['correlation']:.2f})"
    if panel["failed"]:
        line += f"; {panel['failed']:,} judgements failed, where the others decide"
    return line
